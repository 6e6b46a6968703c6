//! Decisions before any code is emitted: how many threads, which layout each value gets, and which values are computed
//! where they are used instead of being kept.
//!
//! Layouts flow forward from anchors (dot products, folds) and backward from stores. A pure value with a single consumer
//! statement in the same region is *deferred*: the consumer computes it element by element in the layout it needs, so
//! that a chain of elementwise operations becomes one pass.

use super::layout::{Bit, Layout, bit_at, linear_of, log2};
use crate::TargetDesc;
use girih_base::Result;
use girih_tile::{Access, Block, Combine, Kernel, Op, Stmt, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// log2 of the elements of a tile that one thread holds before a kernel takes more threads than usual.
const REGISTER_BITS: usize = 5;

/// The decisions, indexed by value.
pub struct Plan<'k> {
    /// log2 of the number of threads.
    pub lanes: usize,
    /// log2 of each value's extents.
    pub bits: Vec<Vec<u8>>,
    /// The layout a value has when it is kept.
    pub layout: Vec<Layout>,
    /// Computed where it is used.
    pub deferred: Vec<bool>,
    /// Number of operand positions that name the value.
    pub uses: Vec<u32>,
    /// The statement that defines a value.
    pub defs: BTreeMap<ValueId, &'k Stmt>,
}

struct Walk<'k, 'p> {
    kernel: &'k Kernel,
    desc: &'p TargetDesc,
    plan: Plan<'k>,
    natural: Vec<Option<Layout>>,
    wanted: Vec<Option<Layout>>,
    sinks: Vec<BTreeSet<(usize, usize)>>,
    stmts: usize,
}

/// Makes the decisions for a kernel.
///
/// # Errors
/// `L201` an extent that is not a power of two.
pub fn plan<'k>(kernel: &'k Kernel, desc: &TargetDesc) -> Result<Plan<'k>> {
    let n = kernel.values.len();
    let mut bits = Vec::with_capacity(n);
    for (i, v) in kernel.values.iter().enumerate() {
        let what = v.name.as_ref().map_or_else(|| format!("value {i}"), |n| format!("`{n}`"));
        bits.push(log2(&v.ty.shape, &format!("{what} of kernel `{}`", kernel.name))?);
    }
    let lanes = threads(kernel, desc, &bits);
    let plan =
        Plan { lanes, bits, layout: Vec::new(), deferred: vec![false; n], uses: vec![0; n], defs: BTreeMap::new() };
    let (natural, wanted, sinks) = (vec![None; n], vec![None; n], vec![BTreeSet::new(); n]);
    let mut walk = Walk { kernel, desc, plan, natural, wanted, sinks, stmts: 0 };
    walk.index(&kernel.body);
    walk.forward(&kernel.body);
    walk.backward(&kernel.body);
    walk.defer(&kernel.body, 0);
    for i in 0..n {
        let chosen = walk.natural[i].clone().or(walk.wanted[i].clone());
        let layout = chosen.unwrap_or_else(|| walk.blocked(i, None)).compressed();
        walk.plan.layout.push(layout);
    }
    Ok(walk.plan)
}

/// log2 of the number of threads: what the dots' register blocks ask for, else the target's number, at most one per vector.
fn threads(kernel: &Kernel, desc: &TargetDesc, bits: &[Vec<u8>]) -> usize {
    let mut dots = Vec::new();
    collect_dots(&kernel.body, &mut dots);
    let most = desc.max_threads.max(1).ilog2() as usize;
    let usual = desc.threads.max(1).ilog2() as usize;
    if dots.is_empty() {
        let largest = bits.iter().map(|b| b.iter().map(|x| *x as usize).sum::<usize>()).max().unwrap_or(0);
        // Large tiles take more threads, so that what one of them holds stays in registers.
        let usual = usual.max(largest.saturating_sub(REGISTER_BITS));
        return usual.min(largest.saturating_sub(2)).min(most);
    }
    let block = desc.dot_block[0].max(1).ilog2() as usize;
    let block_n = desc.dot_block[1].max(4).ilog2() as usize;
    let need = |v: &ValueId| {
        let b = &bits[v.0 as usize];
        let (m, n) = (b[0] as usize, b[1] as usize);
        m + n - block.min(m) - block_n.min(n)
    };
    dots.iter().map(need).max().unwrap_or(0).min(most)
}

fn collect_dots(block: &Block, out: &mut Vec<ValueId>) {
    for s in &block.stmts {
        if matches!(s.op, Op::Dot { .. }) {
            out.extend(&s.results);
        }
        for b in s.op.blocks() {
            collect_dots(b, out);
        }
    }
}

/// Whether the operation is a function of its operands (and read-only memory) alone.
pub fn pure(kernel: &Kernel, op: &Op) -> bool {
    match op {
        Op::Map(..) | Op::Cast(_) | Op::Bitcast(_) | Op::Splat(_) | Op::Arange(_) | Op::Const(_) => true,
        Op::Reshape(_) | Op::Permute(..) | Op::Broadcast(..) => true,
        Op::Load { param, .. } | Op::LoadAt { param, .. } | Op::LoadQuant { param, .. } => {
            kernel.params[*param].access == Access::Read
        }
        _ => false,
    }
}

/// The layout an operand needs so that the result of a relabelling operation comes out in `layout`.
pub fn pulled(op: &Op, layout: &Layout, from: &[u8], to: &[u8]) -> Layout {
    match op {
        Op::Broadcast(_, axes) => {
            layout.map(|b| axes.iter().position(|a| *a == b.axis as usize).map(|axis| Bit { axis: axis as u8, ..b }))
        }
        Op::Permute(_, perm) => layout.map(|b| Some(Bit { axis: perm[b.axis as usize] as u8, ..b })),
        Op::Reshape(_) => layout.map(|b| bit_at(from, linear_of(to, b))),
        _ => layout.clone(),
    }
}

/// The layout of a relabelling operation's result when its operand has `layout`; `None` where bits would be missing.
fn pushed(op: &Op, layout: &Layout, from: &[u8], to: &[u8]) -> Option<Layout> {
    match op {
        Op::Broadcast(..) => None,
        Op::Permute(_, perm) => {
            let place =
                |b: Bit| perm.iter().position(|p| *p == b.axis as usize).map(|axis| Bit { axis: axis as u8, ..b });
            Some(layout.map(place))
        }
        Op::Reshape(_) => Some(layout.map(|b| bit_at(to, linear_of(from, b)))),
        _ => Some(layout.clone()),
    }
}

/// The axis along which a value's elements are neighbours in memory, followed through elementwise operations.
pub fn fast_axis(plan: &Plan, v: ValueId) -> Option<usize> {
    let stmt = plan.defs.get(&v)?;
    match &stmt.op {
        Op::Load { view, .. } => view.axes.iter().position(|a| a.stride.is(1)),
        Op::LoadQuant { .. } => Some(1),
        Op::Permute(x, perm) => {
            let inner = fast_axis(plan, *x)?;
            perm.iter().position(|p| *p == inner)
        }
        Op::Broadcast(x, axes) => fast_axis(plan, *x).map(|a| axes[a]),
        Op::Reshape(x) => {
            let (from, to) = (&plan.bits[x.0 as usize], &plan.bits[v.0 as usize]);
            let inner = fast_axis(plan, *x)?;
            bit_at(to, linear_of(from, Bit { axis: inner as u8, bit: 0 })).map(|b| b.axis as usize)
        }
        Op::Map(_, args) => {
            // The operand with most elements behind it decides: broadcast vectors have little say.
            let direct =
                |v: &&ValueId| !matches!(plan.defs.get(v).map(|s| &s.op), Some(Op::Broadcast(..) | Op::Splat(_)));
            args.iter().filter(direct).chain(args).find_map(|a| fast_axis(plan, *a))
        }
        Op::Cast(x) | Op::Bitcast(x) => fast_axis(plan, *x),
        Op::For { body, .. } => {
            let at = stmt.results.iter().position(|r| *r == v)?;
            fast_axis(plan, body.results[at])
        }
        _ => None,
    }
}

/// Layout of a dot's accumulator `[m, n]`: vectors along n, neighbouring threads along n, a block of rows per thread.
pub fn dot_layout(m: u8, n: u8, lanes: usize, block: [u32; 2]) -> Layout {
    let (mut rows, mut columns) = (block[0].max(1).ilog2() as u8, block[1].max(4).ilog2() as u8);
    (rows, columns) = (rows.min(m), columns.min(n));
    let floor = n.min(2);
    let need = (m + n).saturating_sub(lanes as u8).max(floor);
    while rows + columns > need {
        if rows > 0 && rows + floor >= columns {
            rows -= 1;
        } else if columns > floor {
            columns -= 1;
        } else {
            break;
        }
    }
    while rows + columns < need {
        if rows < m {
            rows += 1;
        } else {
            columns += 1;
        }
    }
    let (row, column) = (|bit| Some(Bit { axis: 0, bit }), |bit| Some(Bit { axis: 1, bit }));
    let high = n - (columns - floor);
    let mut lane: Vec<Option<Bit>> = (floor..high).map(column).chain((rows..m).map(row)).collect();
    lane.resize(lanes, None);
    Layout { reg: (0..floor).chain(high..n).map(column).chain((0..rows).map(row)).collect(), lane }
}

impl<'k> Walk<'k, '_> {
    fn index(&mut self, block: &'k Block) {
        for r in &block.results {
            self.plan.uses[r.0 as usize] += 1;
        }
        for s in &block.stmts {
            for v in s.op.operands() {
                self.plan.uses[v.0 as usize] += 1;
            }
            for r in &s.results {
                self.plan.defs.insert(*r, s);
            }
            for b in regions(&s.op) {
                self.index(b);
            }
            if let Op::Reduce { combine: Combine::Body(b), .. } | Op::Scan { combine: Combine::Body(b), .. } = &s.op {
                // Bodies of folds are emitted in place, so only where their values come from matters.
                for s in &b.stmts {
                    self.plan.defs.extend(s.results.iter().map(|r| (*r, s)));
                }
            }
        }
    }

    fn blocked(&self, v: usize, fast: Option<usize>) -> Layout {
        let bits = &self.plan.bits[v];
        let mut order: Vec<usize> = (0..bits.len()).rev().collect();
        if let Some(at) = fast.and_then(|f| order.iter().position(|a| *a == f)) {
            let axis = order.remove(at);
            order.insert(0, axis);
        }
        Layout::blocked(bits, &order, self.plan.lanes)
    }

    fn forward(&mut self, block: &'k Block) {
        for s in &block.stmts {
            let bits = |w: &Self, v: ValueId| w.plan.bits[v.0 as usize].clone();
            let known = match &s.op {
                Op::Dot { .. } => {
                    let b = bits(self, s.results[0]);
                    Some(dot_layout(b[0], b[1], self.plan.lanes, self.desc.dot_block))
                }
                Op::Reduce { args, axis, combine } => {
                    let first = args[0].0 as usize;
                    let ordered = matches!(combine, Combine::Body(_));
                    let layout = match (&self.natural[first], ordered) {
                        (Some(l), false) => l.clone(),
                        (_, true) => Layout::serial(&self.plan.bits[first], *axis, self.plan.lanes),
                        _ => self.blocked(first, fast_axis(&self.plan, args[0])),
                    };
                    for a in args {
                        self.want(*a, &layout);
                    }
                    Some(layout.without(*axis))
                }
                Op::For { init, body, .. } => {
                    for round in 0..2 {
                        for (p, (i, y)) in body.params[1..].iter().zip(init.iter().zip(&body.results)) {
                            let from = if round == 0 { *i } else { *y };
                            let known = self.natural[from.0 as usize].clone();
                            let slot = &mut self.natural[p.0 as usize];
                            *slot = known.or(slot.take());
                        }
                        self.forward(body);
                    }
                    for (r, y) in s.results.iter().zip(&body.results) {
                        self.natural[r.0 as usize] = self.natural[y.0 as usize].clone();
                    }
                    None
                }
                Op::While { init, test, body } => {
                    for (round, from) in [init, &body.results].into_iter().enumerate() {
                        for (i, v) in from.iter().enumerate() {
                            let known = self.natural[v.0 as usize].clone();
                            for p in [test.params[i], body.params[i]] {
                                let slot = &mut self.natural[p.0 as usize];
                                *slot = known.clone().or(slot.take());
                            }
                        }
                        self.forward(test);
                        self.forward(body);
                        debug_assert!(round < 2);
                    }
                    for (r, y) in s.results.iter().zip(&body.results) {
                        self.natural[r.0 as usize] = self.natural[y.0 as usize].clone();
                    }
                    None
                }
                Op::If { then, otherwise, .. } => {
                    self.forward(then);
                    self.forward(otherwise);
                    for (r, (a, b)) in s.results.iter().zip(then.results.iter().zip(&otherwise.results)) {
                        let known = self.natural[a.0 as usize].clone().or(self.natural[b.0 as usize].clone());
                        self.natural[r.0 as usize] = known;
                    }
                    None
                }
                Op::Map(..) | Op::Cast(_) | Op::Bitcast(_) | Op::Reshape(_) | Op::Permute(..) => {
                    let to = bits(self, s.results[0]);
                    let push = |v: ValueId| {
                        pushed(&s.op, self.natural[v.0 as usize].as_ref()?, &self.plan.bits[v.0 as usize], &to)
                    };
                    s.op.operands().into_iter().find_map(push)
                }
                _ => None,
            };
            if let (Some(layout), false) = (known, s.results.is_empty()) {
                for r in &s.results {
                    self.natural[r.0 as usize] = Some(layout.clone());
                }
            }
        }
    }

    fn want(&mut self, v: ValueId, layout: &Layout) {
        let i = v.0 as usize;
        if self.natural[i].is_none() && self.wanted[i].is_none() && !self.plan.bits[i].is_empty() {
            self.wanted[i] = Some(layout.compressed());
        }
    }

    fn backward(&mut self, block: &'k Block) {
        for s in block.stmts.iter().rev() {
            match &s.op {
                Op::Store { view, value, mask, .. } => {
                    let fast = view.axes.iter().position(|a| a.stride.is(1));
                    let layout = self.layout_or(*value, fast);
                    self.want(*value, &layout);
                    mask.iter().for_each(|m| self.want(*m, &layout));
                }
                Op::Dot { a, b, .. } => {
                    for v in [*a, *b] {
                        let layout = self.layout_or(v, fast_axis(&self.plan, v));
                        self.want(v, &layout);
                    }
                }
                Op::CompareExchange { index, expected, value, .. } => {
                    let layout = self.layout_or(*value, None);
                    [*index, *expected, *value].into_iter().for_each(|v| self.want(v, &layout));
                }
                Op::StoreAt { index, value, mask, .. } | Op::Atomic { index, value, mask, .. } => {
                    let layout = self.layout_or(*value, None);
                    for v in [*index, *value].into_iter().chain(*mask) {
                        self.want(v, &layout);
                    }
                }
                Op::For { init, body, .. } => {
                    for (i, r) in s.results.iter().enumerate() {
                        let (param, yielded) = (body.params[i + 1], body.results[i]);
                        let layout = self.layout_or(*r, fast_axis(&self.plan, yielded));
                        for v in [*r, param, yielded, init[i]] {
                            self.want(v, &layout);
                        }
                    }
                    self.backward(body);
                }
                Op::While { init, test, body } => {
                    for (i, r) in s.results.iter().enumerate() {
                        let layout = self.layout_or(*r, fast_axis(&self.plan, body.results[i]));
                        for v in [*r, test.params[i], body.params[i], body.results[i], init[i]] {
                            self.want(v, &layout);
                        }
                    }
                    self.backward(body);
                    self.backward(test);
                }
                Op::If { then, otherwise, .. } => {
                    for (i, r) in s.results.iter().enumerate() {
                        let layout = self.layout_or(*r, None);
                        for v in [*r, then.results[i], otherwise.results[i]] {
                            self.want(v, &layout);
                        }
                    }
                    self.backward(then);
                    self.backward(otherwise);
                }
                op if pure(self.kernel, op) => {
                    let Some(r) = s.results.first() else { continue };
                    if self.natural[r.0 as usize].is_none() && self.wanted[r.0 as usize].is_none() {
                        continue;
                    }
                    let layout = self.layout_or(*r, None);
                    let operands: Vec<ValueId> = match op {
                        Op::Load { mask, .. } => mask.iter().copied().collect(),
                        Op::LoadAt { index, mask, .. } => std::iter::once(*index).chain(*mask).collect(),
                        Op::LoadQuant { .. } | Op::Splat(_) => Vec::new(),
                        op => op.operands(),
                    };
                    for v in operands {
                        let pull = pulled(op, &layout, &self.plan.bits[v.0 as usize], &self.plan.bits[r.0 as usize]);
                        self.want(v, &pull);
                    }
                }
                _ => {}
            }
        }
    }

    fn layout_or(&self, v: ValueId, fast: Option<usize>) -> Layout {
        let i = v.0 as usize;
        self.natural[i].clone().or(self.wanted[i].clone()).unwrap_or_else(|| self.blocked(i, fast))
    }

    /// Finds each value's consumer statements, last statement first, and with them what is deferred.
    fn defer(&mut self, block: &'k Block, mut next_block: usize) -> usize {
        let id = next_block;
        next_block += 1;
        // Regions are numbered in program order, as `index` did.
        let mut numbers = Vec::new();
        for s in &block.stmts {
            let mut mine = Vec::new();
            for b in regions(&s.op) {
                mine.push(next_block);
                next_block += count_blocks(b);
            }
            numbers.push(mine);
        }
        self.stmts += 1;
        let end = self.stmts;
        for r in &block.results {
            self.sinks[r.0 as usize].insert((end, id));
        }
        for (s, numbers) in block.stmts.iter().zip(numbers).rev() {
            for (b, number) in regions(&s.op).into_iter().zip(numbers) {
                self.defer(b, number);
            }
            self.stmts += 1;
            let here = (self.stmts, id);
            let mut deferred = false;
            if let (true, Some(r)) = (pure(self.kernel, &s.op), s.results.first()) {
                let (i, sinks) = (r.0 as usize, &self.sinks[r.0 as usize]);
                let free = matches!(
                    s.op,
                    Op::Const(_) | Op::Splat(_) | Op::Arange(_) | Op::Reshape(_) | Op::Permute(..) | Op::Broadcast(..)
                );
                let single = sinks.len() <= 1 && sinks.iter().all(|(_, b)| *b == id);
                deferred = !self.plan.bits[i].is_empty() && (free || single);
                self.plan.deferred[i] = deferred;
            }
            let passed = match (deferred, s.results.first()) {
                (true, Some(r)) => self.sinks[r.0 as usize].clone(),
                _ => BTreeSet::from([here]),
            };
            for v in s.op.operands() {
                self.sinks[v.0 as usize].extend(passed.iter().copied());
            }
        }
        next_block
    }
}

fn regions(op: &Op) -> Vec<&Block> {
    match op {
        Op::For { .. } | Op::While { .. } | Op::If { .. } => op.blocks(),
        _ => Vec::new(),
    }
}

fn count_blocks(block: &Block) -> usize {
    1 + block.stmts.iter().flat_map(|s| regions(&s.op)).map(count_blocks).sum::<usize>()
}
