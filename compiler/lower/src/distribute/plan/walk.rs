//! Walks over a kernel: layouts forward from anchors and backward from stores, then what is deferred.

use super::relabel::{dot_layout, fast_axis, pushed};
use super::{Plan, pulled, pure};
use crate::TargetDesc;
use crate::distribute::layout::Layout;
use girih_tile::{Block, Combine, Kernel, Op, ValueId};
use std::collections::BTreeSet;

/// The state of the walks, indexed by value.
pub(super) struct Walk<'k, 'p> {
    pub(super) kernel: &'k Kernel,
    pub(super) desc: &'p TargetDesc,
    pub(super) plan: Plan<'k>,
    pub(super) natural: Vec<Option<Layout>>,
    pub(super) wanted: Vec<Option<Layout>>,
    pub(super) sinks: Vec<BTreeSet<(usize, usize)>>,
    pub(super) stmts: usize,
}

impl<'k> Walk<'k, '_> {
    pub(super) fn index(&mut self, block: &'k Block) {
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

    pub(super) fn blocked(&self, v: usize, fast: Option<usize>) -> Layout {
        let bits = &self.plan.bits[v];
        let mut order: Vec<usize> = (0..bits.len()).rev().collect();
        if let Some(at) = fast.and_then(|f| order.iter().position(|a| *a == f)) {
            let axis = order.remove(at);
            order.insert(0, axis);
        }
        Layout::blocked(bits, &order, self.plan.lanes)
    }

    pub(super) fn forward(&mut self, block: &'k Block) {
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

    pub(super) fn backward(&mut self, block: &'k Block) {
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
    pub(super) fn defer(&mut self, block: &'k Block, mut next_block: usize) -> usize {
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
