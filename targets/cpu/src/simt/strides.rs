//! Loops in which neighbouring threads stride over an array: `for (i = t; i < n; i += step)`, counted or with a variable.
//!
//! Their index differs between threads, but only by the number of the thread: where nothing wraps around, one counter for all
//! threads takes its place, and each round runs for the threads whose index is still below the end. The loop as it was written
//! stays beside it for the other cases.

use super::rows::Rows;
use super::uniform::{self, Varies};
use girih_base::{DType, Loc, ScalarOp};
use girih_simt::{Builtin, Kernel, Literal, Local, Op, Space, Stmt, Ty, Value, ValueId};
use std::collections::BTreeMap;

/// Numbers up to this do not wrap around when a step and the number of a thread are added.
const MOST: u32 = i32::MAX as u32;

/// Largest step.
const STEP: u32 = 1 << 30;

/// Most statements of a body that is written twice.
const SIZE: usize = 400;

const U32: Ty = Ty::scalar(DType::U32);
const BOOL: Ty = Ty::scalar(DType::Bool);

/// The kernel with such loops rewritten.
pub(super) fn rewritten(kernel: &Kernel) -> Kernel {
    let varies = uniform::varies(kernel);
    let rows = Rows::new(kernel, &varies);
    let mut definitions = BTreeMap::new();
    define(&kernel.body, &mut definitions);
    let (mut uses, mut sets) = (vec![0; kernel.locals.len()], vec![0; kernel.locals.len()]);
    count(&kernel.body, &mut uses, &mut sets);
    let out = Kernel { body: Vec::new(), ..kernel.clone() };
    let mut r =
        Rewrite { old: kernel, varies: &varies, rows: &rows, definitions, uses, sets, out, here: Loc::default() };
    let body = r.block(&kernel.body, false);
    Kernel { body, ..r.out }
}

fn define<'k>(stmts: &'k [Stmt], out: &mut BTreeMap<ValueId, &'k Op>) {
    for s in stmts {
        if let Some(r) = s.result {
            out.insert(r, &s.op);
        }
        s.op.blocks().into_iter().for_each(|b| define(b, out));
    }
}

/// Statements that use and that set each variable.
fn count(stmts: &[Stmt], uses: &mut [usize], sets: &mut [usize]) {
    for s in stmts {
        match &s.op {
            Op::Set(i, _) => {
                uses[*i as usize] += 1;
                sets[*i as usize] += 1;
            }
            Op::Get(i) => uses[*i as usize] += 1,
            op => {
                if let Some(Space::Local(i)) = op.space() {
                    uses[i as usize] += 1;
                }
            }
        }
        s.op.blocks().into_iter().for_each(|b| count(b, uses, sets));
    }
}

/// Whether a body may be written twice and run for fewer threads: no loops, and nothing that all threads do together.
fn simple(stmts: &[Stmt], left: &mut usize) -> bool {
    stmts.iter().all(|s| {
        *left = left.saturating_sub(1);
        let alone = !matches!(
            s.op,
            Op::Barrier | Op::SubgroupBarrier | Op::Subgroup(..) | Op::Shuffle(..) | Op::For { .. } | Op::Loop(_)
        );
        alone && *left > 0 && s.op.blocks().into_iter().all(|b| simple(b, left))
    })
}

/// Whether threads leave a round early.
fn leaves(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|s| matches!(s.op, Op::Break | Op::Continue | Op::Return) || s.op.blocks().into_iter().any(leaves))
}

/// A loop over a variable: what the parts of it are.
struct Counted<'k> {
    local: u32,
    /// In thread 0, before the loop.
    base: Option<ValueId>,
    end: ValueId,
    step: ValueId,
    /// Between the test and the step.
    body: &'k [Stmt],
    /// What the loop computes.
    inside: BTreeMap<ValueId, &'k Op>,
}

struct Rewrite<'k> {
    old: &'k Kernel,
    varies: &'k Varies,
    rows: &'k Rows,
    definitions: BTreeMap<ValueId, &'k Op>,
    uses: Vec<usize>,
    sets: Vec<usize>,
    /// New values and variables.
    out: Kernel,
    here: Loc,
}

impl<'k> Rewrite<'k> {
    fn uniform(&self, v: ValueId) -> bool {
        !self.varies.values[v.0 as usize]
    }

    fn block(&mut self, stmts: &'k [Stmt], divergent: bool) -> Vec<Stmt> {
        let mut out = Vec::new();
        for (at, s) in stmts.iter().enumerate() {
            self.here = s.loc.clone();
            let op = match &s.op {
                Op::For { index, lo, hi, step, body, .. } => {
                    let row = self.rows.index(Space::Buffer(0), *lo);
                    if let Some(row) = row
                        && self.uniform(*hi)
                        && *step <= STEP
                        && simple(body, &mut SIZE.clone())
                    {
                        self.counted(s, *index, row, *hi, *step, body, &mut out);
                        continue;
                    }
                    let Op::For { uniform, .. } = &s.op else { continue };
                    let parts = divergent || !self.uniform(*lo) || !self.uniform(*hi) || leaves(body);
                    let body = self.block(body, parts);
                    Op::For { index: *index, lo: *lo, hi: *hi, step: *step, uniform: *uniform, body }
                }
                Op::Loop(body) => {
                    if let Some(c) = self.strided(&stmts[..at], body).filter(|_| !divergent) {
                        self.with_variable(s, &c, &mut out);
                        continue;
                    }
                    Op::Loop(self.block(body, divergent || leaves(body)))
                }
                Op::If(c, a, b) => {
                    let divergent = divergent || !self.uniform(*c);
                    Op::If(*c, self.block(a, divergent), self.block(b, divergent))
                }
                op => op.clone(),
            };
            out.push(Stmt { op, ..s.clone() });
        }
        out
    }

    fn stmt(&self, result: Option<ValueId>, op: Op) -> Stmt {
        Stmt { result, op, loc: self.here.clone() }
    }

    fn fresh(&mut self, ty: Ty) -> ValueId {
        self.out.values.push(Value { ty, name: None });
        ValueId(self.out.values.len() as u32 - 1)
    }

    fn put(&mut self, op: Op, ty: Ty, out: &mut Vec<Stmt>) -> ValueId {
        let r = self.fresh(ty);
        out.push(self.stmt(Some(r), op));
        r
    }

    fn map(&mut self, op: ScalarOp, args: [ValueId; 2], ty: Ty, out: &mut Vec<Stmt>) -> ValueId {
        self.put(Op::Map(op, args.to_vec()), ty, out)
    }

    fn uint(&mut self, n: u32, out: &mut Vec<Stmt>) -> ValueId {
        self.put(Op::Const(Literal::Int(n as i64)), U32, out)
    }

    /// A word as u32; 0 for none.
    fn word(&mut self, v: Option<ValueId>, out: &mut Vec<Stmt>) -> ValueId {
        match v {
            None => self.uint(0, out),
            Some(v) if self.out.values[v.0 as usize].ty == U32 => v,
            Some(v) => self.put(Op::Bitcast(v), U32, out),
        }
    }

    /// Whether all of these are at most [`MOST`].
    fn small(&mut self, all: &[ValueId], out: &mut Vec<Stmt>) -> ValueId {
        let most = self.uint(MOST, out);
        let mut holds = None;
        for v in all {
            let le = self.map(ScalarOp::Le, [*v, most], BOOL, out);
            holds = Some(match holds {
                Some(h) => self.map(ScalarOp::And, [h, le], BOOL, out),
                None => le,
            });
        }
        holds.unwrap_or(most)
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a counted loop")]
    fn counted(
        &mut self,
        whole: &Stmt,
        index: ValueId,
        row: Option<ValueId>,
        hi: ValueId,
        step: u32,
        body: &'k [Stmt],
        out: &mut Vec<Stmt>,
    ) {
        let base = self.word(row, out);
        let fits = self.small(&[base, hi], out);
        let counter = self.fresh(U32);
        let mut round = Vec::new();
        let lane = self.put(Op::Builtin(Builtin::LocalIndex), U32, &mut round);
        round.push(self.stmt(Some(index), Op::Map(ScalarOp::Add, vec![lane, counter])));
        let inside = self.map(ScalarOp::Lt, [index, hi], BOOL, &mut round);
        round.push(self.stmt(None, Op::If(inside, body.to_vec(), Vec::new())));
        let fast = Op::For { index: counter, lo: base, hi, step, uniform: false, body: round };
        let slow = self.copied(whole);
        out.push(self.stmt(None, Op::If(fits, vec![self.stmt(None, fast)], vec![slow])));
    }

    fn with_variable(&mut self, whole: &Stmt, c: &Counted<'k>, out: &mut Vec<Stmt>) {
        let (end, step) = (self.lifted(c.end, &c.inside, out), self.lifted(c.step, &c.inside, out));
        let (base, end, step) = (self.word(c.base, out), self.word(Some(end), out), self.word(Some(step), out));
        let (one, largest) = (self.uint(1, out), self.uint(STEP, out));
        let small = self.small(&[base, end], out);
        let least = self.map(ScalarOp::Ge, [step, one], BOOL, out);
        let most = self.map(ScalarOp::Le, [step, largest], BOOL, out);
        let fits = self.map(ScalarOp::And, [least, most], BOOL, out);
        let fits = self.map(ScalarOp::And, [fits, small], BOOL, out);
        let name = self.old.locals[c.local as usize].name.clone();
        self.out.locals.push(Local { name, elem: U32, len: None });
        let counter = self.out.locals.len() as u32 - 1;
        let mut round = Vec::new();
        let now = self.put(Op::Get(counter), U32, &mut round);
        let more = self.map(ScalarOp::Lt, [now, end], BOOL, &mut round);
        round.push(self.stmt(None, Op::If(more, Vec::new(), vec![self.stmt(None, Op::Break)])));
        let lane = self.put(Op::Builtin(Builtin::LocalIndex), U32, &mut round);
        let index = self.map(ScalarOp::Add, [lane, now], U32, &mut round);
        let inside = self.map(ScalarOp::Lt, [index, end], BOOL, &mut round);
        let body = self.indexed(c.body, c.local, lane, now);
        round.push(self.stmt(None, Op::If(inside, body, Vec::new())));
        let next = self.map(ScalarOp::Add, [now, step], U32, &mut round);
        round.push(self.stmt(None, Op::Set(counter, next)));
        let fast = vec![self.stmt(None, Op::Set(counter, base)), self.stmt(None, Op::Loop(round))];
        let slow = self.copied(whole);
        out.push(self.stmt(None, Op::If(fits, fast, vec![slow])));
    }

    /// A body in which reads of the variable are sums of the thread's number and the counter.
    fn indexed(&mut self, stmts: &[Stmt], local: u32, lane: ValueId, now: ValueId) -> Vec<Stmt> {
        let mut out = Vec::new();
        for s in stmts {
            match (&s.op, s.result) {
                (Op::Get(i), Some(r)) if *i == local => {
                    let sum = Op::Map(ScalarOp::Add, vec![lane, now]);
                    if self.out.values[r.0 as usize].ty == U32 {
                        out.push(self.stmt(Some(r), sum));
                    } else {
                        let word = self.put(sum, U32, &mut out);
                        out.push(self.stmt(Some(r), Op::Bitcast(word)));
                    }
                }
                (Op::If(c, a, b), _) => {
                    let (a, b) = (self.indexed(a, local, lane, now), self.indexed(b, local, lane, now));
                    out.push(Stmt { op: Op::If(*c, a, b), ..s.clone() });
                }
                _ => out.push(s.clone()),
            }
        }
        out
    }

    /// The value behind conversions between words.
    fn behind(&self, v: ValueId) -> ValueId {
        match self.definitions.get(&v) {
            Some(Op::Bitcast(x) | Op::Cast(x)) if self.is_word(*x) && self.is_word(v) => self.behind(*x),
            _ => v,
        }
    }

    fn is_word(&self, v: ValueId) -> bool {
        let ty = self.old.values[v.0 as usize].ty;
        ty.lanes == 1 && matches!(ty.dtype, DType::U32 | DType::I32)
    }

    /// The variable that a value was read from.
    fn read(&self, v: ValueId) -> Option<u32> {
        match self.definitions.get(&self.behind(v)) {
            Some(Op::Get(i)) => Some(*i),
            _ => None,
        }
    }

    /// Recognises `loop { if (!(i < end)) break; body; i += step; }` after `i = row`.
    fn strided(&self, before: &[Stmt], stmts: &'k [Stmt]) -> Option<Counted<'k>> {
        let test = stmts.iter().position(|s| matches!(s.op, Op::If(..)))?;
        let head_is_pure = stmts[..test].iter().all(|s| {
            matches!(s.op, Op::Get(_) | Op::Map(..) | Op::Bitcast(_) | Op::Cast(_) | Op::Const(_) | Op::Uniform(_))
        });
        let Op::If(cond, yes, no) = &stmts[test].op else { return None };
        let breaks = |b: &[Stmt]| matches!(b, [Stmt { op: Op::Break, .. }]);
        let (goes_on, cond) = match (yes.is_empty() && breaks(no), breaks(yes) && no.is_empty()) {
            (true, _) => (true, *cond),
            (_, true) => (false, *cond),
            _ => return None,
        };
        let (goes_on, cond) = match self.definitions.get(&cond)? {
            Op::Map(ScalarOp::Not, x) => (!goes_on, x[0]),
            _ => (goes_on, cond),
        };
        let Op::Map(op, args) = self.definitions.get(&cond)? else { return None };
        let (i, end) = match (op, goes_on) {
            (ScalarOp::Lt, true) | (ScalarOp::Ge, false) => (args[0], args[1]),
            (ScalarOp::Gt, true) | (ScalarOp::Le, false) => (args[1], args[0]),
            _ => return None,
        };
        let local = self.read(i).filter(|_| self.is_word(i) && self.uniform(end))?;
        let (last, body) = stmts[test + 1..].split_last()?;
        let Op::Set(to, next) = &last.op else { return None };
        let Op::Map(ScalarOp::Add, sum) = self.definitions.get(&self.behind(*next))? else { return None };
        let step = match (self.read(sum[0]), self.read(sum[1])) {
            (Some(x), _) if x == local => sum[1],
            (_, Some(x)) if x == local => sum[0],
            _ => return None,
        };
        let mut inside = BTreeMap::new();
        define(stmts, &mut inside);
        let known = |v: ValueId| self.uniform(v) && self.early(v, &inside);
        let start = before.iter().rev().find_map(|s| match &s.op {
            Op::Set(i, x) if *i == local => Some(*x),
            _ => None,
        })?;
        let base = self.rows.index(Space::Buffer(0), start)?;
        let (mut uses, mut sets) = (vec![0; self.old.locals.len()], vec![0; self.old.locals.len()]);
        count(stmts, &mut uses, &mut sets);
        let l = local as usize;
        // One statement sets it before the loop, one inside; nobody reads it after.
        let own = sets[l] == 1 && self.sets[l] == 2 && uses[l] + 1 == self.uses[l];
        let fits = *to == local && own && known(step) && known(end) && self.is_word(step) && head_is_pure;
        let plain =
            simple(body, &mut SIZE.clone()) && !leaves(body) && stmts[..test].iter().all(|s| !self.used_in(s, body));
        (fits && plain).then_some(Counted { local, base, end, step, body, inside })
    }

    /// Whether a value can be computed before the loop that computes `inside`.
    fn early(&self, v: ValueId, inside: &BTreeMap<ValueId, &Op>) -> bool {
        match inside.get(&v) {
            None => true,
            Some(op @ (Op::Map(..) | Op::Bitcast(_) | Op::Cast(_) | Op::Const(_) | Op::Uniform(_))) => {
                op.operands().iter().all(|x| self.early(*x, inside))
            }
            Some(_) => false,
        }
    }

    /// Computes such a value there.
    fn lifted(&mut self, v: ValueId, inside: &BTreeMap<ValueId, &Op>, out: &mut Vec<Stmt>) -> ValueId {
        let Some(op) = inside.get(&v) else { return v };
        let mut op = (*op).clone();
        let names = op.operands().into_iter().map(|x| (x, self.lifted(x, inside, out))).collect();
        rename(&mut op, &names, &BTreeMap::new());
        let ty = self.out.values[v.0 as usize].ty;
        self.put(op, ty, out)
    }

    /// Whether the body uses what a statement of the loop's head computes.
    fn used_in(&self, s: &Stmt, body: &[Stmt]) -> bool {
        let Some(r) = s.result else { return false };
        body.iter()
            .any(|b| b.op.operands().contains(&r) || b.op.blocks().into_iter().any(|inner| self.used_in(s, inner)))
    }

    /// A copy of a statement with values, and variables of its own, of other names.
    fn copied(&mut self, s: &Stmt) -> Stmt {
        let (mut uses, mut sets) = (vec![0; self.old.locals.len()], vec![0; self.old.locals.len()]);
        count(std::slice::from_ref(s), &mut uses, &mut sets);
        let mut locals = BTreeMap::new();
        for (i, (here, all)) in uses.iter().zip(&self.uses).enumerate() {
            if *here > 0 && here == all {
                self.out.locals.push(self.old.locals[i].clone());
                locals.insert(i as u32, self.out.locals.len() as u32 - 1);
            }
        }
        let mut values = BTreeMap::new();
        self.copy(s, &mut values, &locals)
    }

    fn copy(&mut self, s: &Stmt, values: &mut BTreeMap<ValueId, ValueId>, locals: &BTreeMap<u32, u32>) -> Stmt {
        let mut op = s.op.clone();
        if let Op::For { index, .. } = &mut op {
            let fresh = self.fresh(U32);
            values.insert(*index, fresh);
            *index = fresh;
        }
        rename(&mut op, values, locals);
        let mut inner =
            |this: &mut Self, b: &mut Vec<Stmt>| *b = b.iter().map(|s| this.copy(s, values, locals)).collect();
        match &mut op {
            Op::If(_, a, b) => {
                inner(self, a);
                inner(self, b);
            }
            Op::For { body, .. } | Op::Loop(body) => inner(self, body),
            _ => {}
        }
        let result = s.result.map(|r| {
            let ty = self.out.values[r.0 as usize].ty;
            let fresh = self.fresh(ty);
            values.insert(r, fresh);
            fresh
        });
        Stmt { result, op, loc: s.loc.clone() }
    }
}

/// Other names for operands and variables.
fn rename(op: &mut Op, values: &BTreeMap<ValueId, ValueId>, locals: &BTreeMap<u32, u32>) {
    let v = |x: &mut ValueId| *x = values.get(x).copied().unwrap_or(*x);
    let local = |i: &mut u32| *i = locals.get(i).copied().unwrap_or(*i);
    match op {
        Op::Load(Space::Local(i), _) | Op::Store(Space::Local(i), ..) | Op::Get(i) | Op::Set(i, _) => local(i),
        _ => {}
    }
    match op {
        Op::Map(_, args) | Op::MakeVec(args) | Op::Print(_, args) => args.iter_mut().for_each(v),
        Op::Cast(x) | Op::Bitcast(x) | Op::Component(x, _) | Op::UnpackHalf(x) | Op::PackHalf(x) => v(x),
        Op::Load(_, x) | Op::Set(_, x) | Op::Subgroup(_, x) | Op::If(x, ..) | Op::Assert(x, _) => v(x),
        Op::ComponentAt(x, y) | Op::Store(_, x, y) | Op::Atomic(_, _, x, y) | Op::Shuffle(_, x, y) => {
            v(x);
            v(y);
        }
        Op::CompareExchange(_, x, y, z) => [x, y, z].into_iter().for_each(v),
        Op::For { lo, hi, .. } => {
            v(lo);
            v(hi);
        }
        Op::Const(_) | Op::Uniform(_) | Op::Builtin(_) | Op::Get(_) | Op::Barrier | Op::SubgroupBarrier => {}
        Op::Loop(_) | Op::Break | Op::Continue | Op::Return | Op::Comment(_) => {}
    }
}
