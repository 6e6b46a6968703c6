//! Types of single statements.

use crate::ir::*;
use crate::op::*;
use girih_base::scalar::Output;
use girih_base::{DType, Diag, Result, ScalarOp};

const U32: Ty = Ty::scalar(DType::U32);
const BOOL: Ty = Ty::scalar(DType::Bool);

/// Checks the operands and the result of a statement whose references are sound.
pub fn check(kernel: &Kernel, s: &Stmt) -> Result<()> {
    let ty = |v: &ValueId| kernel.values[v.0 as usize].ty;
    let want = |what: &str, v: &ValueId, expected: Ty| match ty(v) == expected {
        true => Ok(()),
        false => Err(wrong(&format!("{what} is {}, must be {}", show(ty(v)), show(expected)))),
    };
    let elem = |space: Space| match space {
        Space::Buffer(i) => kernel.buffers[i as usize].elem,
        Space::Shared(i) => kernel.shared[i as usize].elem,
        Space::Local(i) => kernel.locals[i as usize].elem,
    };
    let result = match &s.op {
        Op::Const(v) => {
            let r = declared(kernel, s)?;
            if matches!(v, Literal::Float(_)) != r.dtype.is_float() {
                return Err(wrong(&format!("a literal of the wrong kind for {}", show(r))));
            }
            Some(r)
        }
        Op::Uniform(_) | Op::Builtin(_) => Some(U32),
        Op::Map(op, args) => Some(map(*op, &args.iter().map(ty).collect::<Vec<_>>())?),
        Op::Cast(x) => {
            let r = declared(kernel, s)?;
            same_lanes(r, ty(x))?;
            Some(r)
        }
        Op::Bitcast(x) => {
            let (r, from) = (declared(kernel, s)?, ty(x));
            same_lanes(r, from)?;
            if r.dtype.bits() != from.dtype.bits() || r.dtype == DType::Bool || from.dtype == DType::Bool {
                return Err(wrong(&format!("{} cannot be reinterpreted as {}", show(from), show(r))));
            }
            Some(r)
        }
        Op::MakeVec(parts) => {
            let r = declared(kernel, s)?;
            if r.lanes < 2 || !(parts.len() == 1 || parts.len() == r.lanes as usize) {
                return Err(wrong(&format!("{} parts do not make {}", parts.len(), show(r))));
            }
            parts.iter().try_for_each(|p| want("a component", p, Ty::scalar(r.dtype)))?;
            Some(r)
        }
        Op::Component(x, c) if *c < ty(x).lanes && ty(x).lanes > 1 => Some(Ty::scalar(ty(x).dtype)),
        Op::Component(x, c) => return Err(wrong(&format!("{} has no component {c}", show(ty(x))))),
        Op::ComponentAt(x, i) => {
            want("the component index", i, U32)?;
            if ty(x).lanes < 2 {
                return Err(wrong("a component of a scalar"));
            }
            Some(Ty::scalar(ty(x).dtype))
        }
        Op::UnpackHalf(x) => {
            want("the word", x, U32)?;
            Some(Ty::vec(DType::F32, 2))
        }
        Op::PackHalf(x) => {
            want("the pair", x, Ty::vec(DType::F32, 2))?;
            Some(U32)
        }
        Op::Load(space, i) => {
            want("the index", i, U32)?;
            Some(elem(*space))
        }
        Op::Store(space, i, x) => {
            want("the index", i, U32)?;
            want("the stored value", x, elem(*space))?;
            writable(kernel, *space)?;
            None
        }
        Op::Get(i) => Some(kernel.locals[*i as usize].elem),
        Op::Set(i, x) => {
            want("the new value", x, kernel.locals[*i as usize].elem)?;
            None
        }
        Op::Atomic(_, space, i, x) => {
            want("the index", i, U32)?;
            want("the operand", x, atomic(*space, elem(*space))?)?;
            writable(kernel, *space)?;
            Some(elem(*space))
        }
        Op::CompareExchange(space, i, expected, new) => {
            want("the index", i, U32)?;
            let t = atomic(*space, elem(*space))?;
            want("the expected value", expected, t)?;
            want("the new value", new, t)?;
            writable(kernel, *space)?;
            Some(t)
        }
        Op::Subgroup(op, x) => Some(subgroup(*op, ty(x))?),
        Op::Shuffle(_, x, n) => {
            want("the lane", n, U32)?;
            number(ty(x))?;
            Some(ty(x))
        }
        Op::Assert(c, _) => {
            want("the condition", c, BOOL)?;
            None
        }
        Op::Print(text, args) => {
            let pieces = girih_base::print::parse(text).map_err(|why| wrong(&format!("a printed line: {why}")))?;
            let places: usize = pieces.iter().map(girih_base::print::Piece::values).sum();
            if places != args.len() {
                return Err(wrong(&format!("{} values for {places} places in a printed line", args.len())));
            }
            None
        }
        Op::If(c, ..) => {
            want("the condition", c, BOOL)?;
            None
        }
        Op::For { index, lo, hi, step, .. } => {
            let declared = kernel.values.get(index.0 as usize).map(|v| v.ty);
            if declared != Some(U32) || *step == 0 {
                return Err(wrong("a loop needs a u32 index and a positive step"));
            }
            want("the first value", lo, U32)?;
            want("the end", hi, U32)?;
            None
        }
        Op::Barrier | Op::SubgroupBarrier | Op::Loop(_) | Op::Break | Op::Continue | Op::Return | Op::Comment(_) => {
            None
        }
    };
    match (result, s.result) {
        (None, None) | (Some(_), None) => Ok(()),
        (None, Some(_)) => Err(wrong("this statement has no result")),
        (Some(t), Some(r)) if kernel.values.get(r.0 as usize).is_some_and(|v| v.ty == t) => Ok(()),
        (Some(t), Some(r)) => Err(wrong(&format!("the result %{} must be {}", r.0, show(t)))),
    }
}

fn declared(kernel: &Kernel, s: &Stmt) -> Result<Ty> {
    let v = s.result.and_then(|r| kernel.values.get(r.0 as usize));
    v.map(|v| v.ty).ok_or_else(|| wrong("this statement needs a result"))
}

fn map(op: ScalarOp, tys: &[Ty]) -> Result<Ty> {
    let dtypes: Vec<DType> = tys.iter().map(|t| t.dtype).collect();
    let dtype = op.infer(&dtypes).map_err(|e| wrong(&e))?;
    let lanes = tys[tys.len() - 1].lanes;
    // The condition of `select` may be one bool for all components.
    let loose = |i: usize, t: &Ty| op == ScalarOp::Select && i == 0 && t.lanes == 1;
    if tys.iter().enumerate().any(|(i, t)| t.lanes != lanes && !loose(i, t)) {
        return Err(wrong(&format!("the operands of `{}` differ in width", op.name())));
    }
    debug_assert!(op.row().output != Output::Bool || dtype == DType::Bool);
    Ok(Ty { dtype, lanes })
}

fn number(t: Ty) -> Result<()> {
    if t.dtype == DType::Bool { Err(wrong("subgroups exchange numbers, not bools")) } else { Ok(()) }
}

fn subgroup(op: SubgroupOp, t: Ty) -> Result<Ty> {
    match op {
        SubgroupOp::Any | SubgroupOp::All | SubgroupOp::Ballot if t != BOOL => {
            Err(wrong(&format!("{} takes a bool, got {}", op.name(), show(t))))
        }
        SubgroupOp::Any | SubgroupOp::All => Ok(BOOL),
        SubgroupOp::Ballot => Ok(Ty::vec(DType::U32, 4)),
        SubgroupOp::And | SubgroupOp::Or | SubgroupOp::Xor if !t.dtype.is_int() => {
            Err(wrong(&format!("{} takes integers, got {}", op.name(), show(t))))
        }
        _ => number(t).map(|_| t),
    }
}

fn same_lanes(a: Ty, b: Ty) -> Result<()> {
    if a.lanes == b.lanes { Ok(()) } else { Err(wrong(&format!("{} and {} differ in width", show(a), show(b)))) }
}

fn atomic(space: Space, t: Ty) -> Result<Ty> {
    let word = t.lanes == 1 && matches!(t.dtype, DType::U32 | DType::I32 | DType::U64 | DType::I64);
    if word && !matches!(space, Space::Local(_)) {
        return Ok(t);
    }
    Err(wrong(&format!("no atomic operations on {} there", show(t))))
}

fn writable(kernel: &Kernel, space: Space) -> Result<()> {
    match space {
        Space::Buffer(i) if !kernel.buffers[i as usize].written => {
            Err(wrong(&format!("buffer `{}` is written, but declared as only read", kernel.buffers[i as usize].name)))
        }
        _ => Ok(()),
    }
}

/// `f32` or `f32x4`.
pub fn show(t: Ty) -> String {
    if t.lanes == 1 { t.dtype.name().to_string() } else { format!("{}x{}", t.dtype, t.lanes) }
}

fn wrong(what: &str) -> Box<Diag> {
    Diag::error("S002", what)
}
