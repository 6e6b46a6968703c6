//! Operations on words and bools that are the same in all threads: one element, without the way to a vectorised loop.

use super::machine::SimtWorker;
use super::program::Reg;
use super::uniform::Varies;
use crate::simd::ints::Int;
use girih_base::{DType, ScalarOp};
use girih_simt::{Kernel, Op, Stmt};

/// Such an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar {
    pub op: ScalarOp,
    pub kind: Kind,
    pub args: [Reg; 3],
    pub dst: Reg,
}

/// What the operands are, apart from the condition of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unsigned,
    Signed,
    Bool,
}

/// The kind of the operation that a statement is, if it is such a one.
pub(super) fn of(kernel: &Kernel, varies: &Varies, s: &Stmt) -> Option<Kind> {
    use ScalarOp::*;
    let (Op::Map(op, args), Some(r)) = (&s.op, s.result) else { return None };
    let same = |v: girih_simt::ValueId| !varies.values[v.0 as usize] && kernel.values[v.0 as usize].ty.lanes == 1;
    if !same(r) || !args.iter().all(|v| same(*v)) {
        return None;
    }
    let kind = match kernel.values[args.last()?.0 as usize].ty.dtype {
        DType::U32 => Kind::Unsigned,
        DType::I32 => Kind::Signed,
        DType::Bool => Kind::Bool,
        _ => return None,
    };
    let any = matches!(op, And | Or | Xor | Not | Eq | Ne | Select);
    let word = matches!(op, Add | Sub | Mul | Div | Rem | Neg | Min | Max | Shl | Shr | Lt | Le | Gt | Ge);
    (any || word && kind != Kind::Bool).then_some(kind)
}

/// What comes out.
enum Out<T> {
    Same(T),
    Bool(bool),
}

/// As the vectorised loops do it.
#[inline(always)]
fn apply<T: Int>(op: ScalarOp, x: T, y: T) -> Out<T> {
    use ScalarOp::*;
    match op {
        Add => Out::Same(x.add(y)),
        Sub => Out::Same(x.sub(y)),
        Mul => Out::Same(x.mul(y)),
        Div => Out::Same(x.div(y)),
        Rem => Out::Same(x.rem(y)),
        Neg => Out::Same(T::default().sub(x)),
        Min => Out::Same(x.min(y)),
        Max => Out::Same(x.max(y)),
        And => Out::Same(x.and(y)),
        Or => Out::Same(x.or(y)),
        Xor => Out::Same(x.xor(y)),
        Not => Out::Same(x.not()),
        Shl => Out::Same(x.shl(y)),
        Shr => Out::Same(x.shr(y)),
        Eq => Out::Bool(x == y),
        Ne => Out::Bool(x != y),
        Lt => Out::Bool(x < y),
        Le => Out::Bool(x <= y),
        Gt => Out::Bool(x > y),
        _ => Out::Bool(x >= y),
    }
}

impl SimtWorker {
    #[inline]
    pub(super) fn scalar(&mut self, s: &Scalar) {
        let [x, y, z] = &s.args;
        let to = self.part(&s.dst, 0);
        // SAFETY: every register has an element of its dtype.
        unsafe {
            let flag = |r: &Reg| *self.part(r, 0) != 0;
            let word = |r: &Reg| *self.part(r, 0).cast::<u32>();
            if s.op == ScalarOp::Select {
                let chosen = if flag(x) { y } else { z };
                match s.kind {
                    Kind::Bool => *to = *self.part(chosen, 0),
                    _ => *to.cast::<u32>() = word(chosen),
                }
                return;
            }
            let put = |out: Out<u32>| match out {
                Out::Same(w) => *to.cast::<u32>() = w,
                Out::Bool(b) => *to = b as u8,
            };
            match s.kind {
                Kind::Unsigned => put(apply(s.op, word(x), word(y))),
                Kind::Signed => put(match apply(s.op, word(x) as i32, word(y) as i32) {
                    Out::Same(w) => Out::Same(w as u32),
                    Out::Bool(b) => Out::Bool(b),
                }),
                Kind::Bool => {
                    let (x, y) = (flag(x), flag(y));
                    *to = match s.op {
                        ScalarOp::And => x & y,
                        ScalarOp::Or => x | y,
                        ScalarOp::Not => !x,
                        ScalarOp::Eq => x == y,
                        _ => x != y,
                    } as u8;
                }
            }
        }
    }
}
