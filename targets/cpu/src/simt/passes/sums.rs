//! Sums of the thread's number and values that are the same in all threads: the latter are added first.
//!
//! `base + (t + i)` becomes `t + (base + i)`, which counts up with the threads (see [`Rows`](super::super::rows::Rows)); sums of words
//! wrap around, so their order makes no difference.

use super::super::rows::Row;
use super::super::uniform::{self, Varies};
use girih_base::{DType, Loc, ScalarOp};
use girih_simt::{Builtin, Kernel, Op, Stmt, Ty, Value, ValueId};

const U32: Ty = Ty::scalar(DType::U32);

/// The kernel with such sums rewritten.
pub(in super::super) fn rewritten(kernel: &Kernel) -> Kernel {
    let varies = uniform::varies(kernel);
    let rows = vec![None; kernel.values.len()];
    let out = Kernel { body: Vec::new(), ..kernel.clone() };
    let mut sums = Sums { varies: &varies, rows, out, here: Loc::default() };
    let body = sums.block(&kernel.body);
    Kernel { body, ..sums.out }
}

struct Sums<'k> {
    varies: &'k Varies,
    /// Per value of the old kernel.
    rows: Vec<Option<Row>>,
    /// New values.
    out: Kernel,
    here: Loc,
}

impl Sums<'_> {
    fn block(&mut self, stmts: &[Stmt]) -> Vec<Stmt> {
        let mut out = Vec::new();
        for s in stmts {
            self.here = s.loc.clone();
            let mut s = s.clone();
            if let Some(r) = s.result {
                let (row, changed) = self.row(&s.op, r, &mut out);
                self.rows[r.0 as usize] = row;
                s.op = changed.unwrap_or(s.op);
            }
            for b in s.op.blocks_mut() {
                *b = self.block(b);
            }
            out.push(s);
        }
        out
    }

    /// The row that the result of an operation is, and what to do instead of it after the statements added to `out`.
    fn row(&mut self, op: &Op, r: ValueId, out: &mut Vec<Stmt>) -> (Option<Row>, Option<Op>) {
        let known = |v: ValueId| self.rows[v.0 as usize];
        match op {
            Op::Builtin(Builtin::LocalIndex) => (Some(None), None),
            Op::Get(_) => (self.varies.once[r.0 as usize].and_then(known), None),
            Op::Cast(x) | Op::Bitcast(x) if self.word(*x) && self.word(r) => (known(*x), None),
            Op::Map(op @ (ScalarOp::Add | ScalarOp::Sub), args) if self.word(r) => {
                let (row, by) = match (known(args[0]), known(args[1])) {
                    (Some(row), None) if self.uniform(args[1]) => (row, args[1]),
                    (None, Some(row)) if self.uniform(args[0]) && *op == ScalarOp::Add => (row, args[0]),
                    _ => return (None, None),
                };
                if row.is_none() && *op == ScalarOp::Add {
                    return (Some(Some(by)), None);
                }
                let by = self.as_word(by, out);
                let sum = match row {
                    Some(base) => {
                        let base = self.as_word(base, out);
                        self.put(Op::Map(*op, vec![base, by]), out)
                    }
                    None => self.put(Op::Map(ScalarOp::Neg, vec![by]), out),
                };
                let lane = self.put(Op::Builtin(Builtin::LocalIndex), out);
                let whole = Op::Map(ScalarOp::Add, vec![lane, sum]);
                if self.out.values[r.0 as usize].ty == U32 {
                    return (Some(Some(sum)), Some(whole));
                }
                let whole = self.put(whole, out);
                (Some(Some(sum)), Some(Op::Bitcast(whole)))
            }
            _ => (None, None),
        }
    }

    fn uniform(&self, v: ValueId) -> bool {
        !self.varies.values[v.0 as usize]
    }

    fn word(&self, v: ValueId) -> bool {
        let ty = self.out.values[v.0 as usize].ty;
        ty.lanes == 1 && matches!(ty.dtype, DType::U32 | DType::I32)
    }

    fn as_word(&mut self, v: ValueId, out: &mut Vec<Stmt>) -> ValueId {
        if self.out.values[v.0 as usize].ty == U32 { v } else { self.put(Op::Bitcast(v), out) }
    }

    fn put(&mut self, op: Op, out: &mut Vec<Stmt>) -> ValueId {
        self.out.values.push(Value { ty: U32, name: None });
        let r = ValueId(self.out.values.len() as u32 - 1);
        out.push(Stmt { result: Some(r), op, loc: self.here.clone() });
        r
    }
}
