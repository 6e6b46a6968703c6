//! Loops in which neighbouring threads stride over an array: `for (i = t; i < n; i += step)`, counted or with a variable.
//!
//! Their index differs between threads, but only by the number of the thread: where nothing wraps around, one counter for all
//! threads takes its place, and each round runs for the threads whose index is still below the end. The loop as it was written
//! stays beside it for the other cases.

mod copy;
mod find;

use super::super::rows::Rows;
use super::super::uniform::{self, Varies};
use find::{Counted, SIZE, count, leaves, simple};
use girih_base::{DType, Loc, ScalarOp};
use girih_simt::{Builtin, Kernel, Literal, Op, Space, Stmt, Ty, Value, ValueId};
use std::collections::BTreeMap;

/// Numbers up to this do not wrap around when a step and the number of a thread are added.
const MOST: u32 = i32::MAX as u32;

/// Largest step.
const STEP: u32 = 1 << 30;

const U32: Ty = Ty::scalar(DType::U32);
const BOOL: Ty = Ty::scalar(DType::Bool);

/// How far the counter of a loop that this pass wrote goes up each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    Fixed(u32),
    /// The same in all threads; the statement's own step is not used.
    Value(ValueId),
}

/// The counters of the loops that this pass wrote: counted loops whose counter is the same in all threads and stays below 2^31, and
/// whose body runs where the thread's number more than the counter is below the loop's end.
pub(in super::super) type Steps = BTreeMap<ValueId, Step>;

/// The kernel with such loops rewritten.
pub(in super::super) fn rewritten(kernel: &Kernel) -> (Kernel, Steps) {
    let varies = uniform::varies(kernel);
    let rows = Rows::new(kernel, &varies);
    let mut definitions = BTreeMap::new();
    define(&kernel.body, &mut definitions);
    let (mut uses, mut sets) = (vec![0; kernel.locals.len()], vec![0; kernel.locals.len()]);
    count(&kernel.body, &mut uses, &mut sets);
    let out = Kernel { body: Vec::new(), ..kernel.clone() };
    let mut r = Rewrite {
        old: kernel,
        varies: &varies,
        rows: &rows,
        definitions,
        uses,
        sets,
        out,
        steps: Steps::new(),
        here: Loc::default(),
    };
    let body = r.block(&kernel.body, false);
    (Kernel { body, ..r.out }, r.steps)
}

/// The operation behind each value.
pub(in super::super) fn define<'k>(stmts: &'k [Stmt], out: &mut BTreeMap<ValueId, &'k Op>) {
    for s in stmts {
        if let Some(r) = s.result {
            out.insert(r, &s.op);
        }
        s.op.blocks().into_iter().for_each(|b| define(b, out));
    }
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
    steps: Steps,
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

    /// Whether the end, and the start if it is not 0, are at most [`MOST`].
    fn small(&mut self, start: Option<ValueId>, end: ValueId, out: &mut Vec<Stmt>) -> ValueId {
        let most = self.uint(MOST, out);
        let fits = self.map(ScalarOp::Le, [end, most], BOOL, out);
        let Some(start) = start else { return fits };
        let start = self.word(Some(start), out);
        let start = self.map(ScalarOp::Le, [start, most], BOOL, out);
        self.map(ScalarOp::And, [start, fits], BOOL, out)
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
        let fits = self.small(row, hi, out);
        let counter = self.fresh(U32);
        self.steps.insert(counter, Step::Fixed(step));
        let mut inner = Vec::new();
        let lane = self.put(Op::Builtin(Builtin::LocalIndex), U32, &mut inner);
        inner.push(self.stmt(Some(index), Op::Map(ScalarOp::Add, vec![lane, counter])));
        inner.extend_from_slice(body);
        let base = self.word(row, out);
        let fast = self.rounds(counter, base, hi, step, inner);
        let slow = self.copied(whole);
        out.push(self.stmt(None, Op::If(fits, vec![fast], vec![slow])));
    }

    fn with_variable(&mut self, whole: &Stmt, c: &Counted<'k>, out: &mut Vec<Stmt>) {
        let (end, step) = (self.lifted(c.end, &c.inside, out), self.lifted(c.step, &c.inside, out));
        let (base, end, step) = (self.word(c.base, out), self.word(Some(end), out), self.word(Some(step), out));
        let (one, largest) = (self.uint(1, out), self.uint(STEP, out));
        let small = self.small(c.base, end, out);
        let least = self.map(ScalarOp::Ge, [step, one], BOOL, out);
        let most = self.map(ScalarOp::Le, [step, largest], BOOL, out);
        let fits = self.map(ScalarOp::And, [least, most], BOOL, out);
        let fits = self.map(ScalarOp::And, [fits, small], BOOL, out);
        let counter = self.fresh(U32);
        self.steps.insert(counter, Step::Value(step));
        let body = self.indexed(c.body, c.local, counter);
        let fast = self.rounds(counter, base, end, 1, body);
        let slow = self.copied(whole);
        out.push(self.stmt(None, Op::If(fits, vec![fast], vec![slow])));
    }

    /// A loop over the counter, whose body runs where the thread's number more than it is below the end.
    fn rounds(&mut self, counter: ValueId, lo: ValueId, hi: ValueId, step: u32, body: Vec<Stmt>) -> Stmt {
        let mut round = Vec::new();
        let lane = self.put(Op::Builtin(Builtin::LocalIndex), U32, &mut round);
        let index = self.map(ScalarOp::Add, [lane, counter], U32, &mut round);
        let inside = self.map(ScalarOp::Lt, [index, hi], BOOL, &mut round);
        round.push(self.stmt(None, Op::If(inside, body, Vec::new())));
        self.stmt(None, Op::For { index: counter, lo, hi, step, uniform: false, body: round })
    }

    /// A body in which reads of the variable are sums of the thread's number and the counter.
    fn indexed(&mut self, stmts: &[Stmt], local: u32, counter: ValueId) -> Vec<Stmt> {
        let mut out = Vec::new();
        for s in stmts {
            match (&s.op, s.result) {
                (Op::Get(i), Some(r)) if *i == local => {
                    let lane = self.put(Op::Builtin(Builtin::LocalIndex), U32, &mut out);
                    let sum = Op::Map(ScalarOp::Add, vec![lane, counter]);
                    if self.out.values[r.0 as usize].ty == U32 {
                        out.push(self.stmt(Some(r), sum));
                    } else {
                        let word = self.put(sum, U32, &mut out);
                        out.push(self.stmt(Some(r), Op::Bitcast(word)));
                    }
                }
                (Op::If(c, a, b), _) => {
                    let (a, b) = (self.indexed(a, local, counter), self.indexed(b, local, counter));
                    out.push(Stmt { op: Op::If(*c, a, b), ..s.clone() });
                }
                _ => out.push(s.clone()),
            }
        }
        out
    }
}
