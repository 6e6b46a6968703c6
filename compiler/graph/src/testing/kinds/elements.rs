//! Fresh values, and operations element by element.

use super::computes;
use crate::graph::NodeId;
use crate::ops::{Bitcast, Cast, Iota};
use crate::testing::{Fact, Grow};
use crate::ty::TensorTy;
use girih_base::scalar::Operands;
use girih_base::{DType, ScalarOp};

pub(super) fn fresh(g: &mut Grow) -> Option<()> {
    let dtype = *g.r.pick(&g.config.dtypes);
    let rank = g.r.below(5);
    let shape = g.shape(rank);
    g.fresh(TensorTy { dtype, shape });
    Some(())
}

pub(super) fn iota(g: &mut Grow) -> Option<()> {
    let rank = g.r.below(3) + 1;
    let shape = g.shape(rank);
    let dtype = *g.r.pick(&[DType::I32, DType::F32, DType::U8]);
    let axis = g.r.below(rank);
    let id = g.add(Iota { ty: TensorTy { dtype, shape }, axis }, &[])?;
    g.keep_all(id, g.config.max_elements as f64, true)
}

/// What must hold of an operand so that the result is a number of known size.
enum Domain {
    Any,
    Positive,
    Unit,
    AboveOne,
    Small,
}

fn domain(op: ScalarOp, slot: usize) -> Domain {
    match (op, slot) {
        (ScalarOp::Div | ScalarOp::Atan2, 1) => Domain::Positive,
        (ScalarOp::Pow, 0) => Domain::Positive,
        (
            ScalarOp::Sqrt
            | ScalarOp::Rsqrt
            | ScalarOp::Log
            | ScalarOp::Log2
            | ScalarOp::Log10
            | ScalarOp::Recip
            | ScalarOp::Cbrt,
            _,
        ) => Domain::Positive,
        (ScalarOp::Asin | ScalarOp::Acos | ScalarOp::Atanh | ScalarOp::Tan, _) => Domain::Unit,
        (ScalarOp::Acosh, _) => Domain::AboveOne,
        (ScalarOp::Log1p, _) => Domain::Unit,
        (
            ScalarOp::Exp
            | ScalarOp::Exp2
            | ScalarOp::Expm1
            | ScalarOp::Sinh
            | ScalarOp::Cosh
            | ScalarOp::Pow
            | ScalarOp::Sin
            | ScalarOp::Cos,
            _,
        ) => Domain::Small,
        _ => Domain::Any,
    }
}

/// The float value brought into a domain.
fn guarded(g: &mut Grow, x: Fact, domain: Domain) -> Option<Fact> {
    let ty = g.ty(x);
    let unit = |g: &mut Grow| -> Option<NodeId> {
        let t = g.add(ScalarOp::Tanh, &[x.id])?;
        let scale = g.g.splat(0.75, ty.clone()).ok()?;
        g.add(ScalarOp::Mul, &[t, scale])
    };
    let shifted = |g: &mut Grow, by: f64| -> Option<NodeId> {
        let a = g.add(ScalarOp::Abs, &[x.id])?;
        let by = g.g.splat(by, ty.clone()).ok()?;
        g.add(ScalarOp::Add, &[a, by])
    };
    let (id, bound) = match domain {
        Domain::Any => return Some(x),
        Domain::Small if x.bound <= 2.0 => return Some(x),
        Domain::Small | Domain::Unit => (unit(g)?, 0.75),
        Domain::Positive => (shifted(g, 0.5)?, x.bound + 0.5),
        Domain::AboveOne => (shifted(g, 1.5)?, x.bound + 1.5),
    };
    Some(Fact { id, bound, exact: false })
}

pub(super) fn map(g: &mut Grow) -> Option<()> {
    use ScalarOp as S;
    let x = g.pick()?;
    let ty = g.ty(x);
    let fits = |op: &&S| match op.row().operands {
        Operands::Float => ty.dtype.is_float(),
        Operands::Int => ty.dtype.is_int(),
        Operands::Number => ty.dtype != DType::Bool,
        Operands::Bits => !ty.dtype.is_float(),
        Operands::Bool => ty.dtype == DType::Bool,
        Operands::Any | Operands::Select => true,
    };
    let ops: Vec<S> = S::ALL.iter().filter(fits).copied().collect();
    let op = *g.r.pick(&ops);
    if op == S::Select {
        let condition = g.like(&ty.with_dtype(DType::Bool));
        let other = g.like(&ty);
        let id = g.add(op, &[condition.id, x.id, other.id])?;
        g.keep(id, x.bound.max(other.bound), x.exact && other.exact && condition.exact);
        return Some(());
    }
    let mut operands = vec![x];
    while operands.len() < op.arity() {
        operands.push(g.like(&ty));
    }
    if !ty.dtype.is_float() {
        let ids: Vec<NodeId> = operands.iter().map(|o| o.id).collect();
        let id = g.add(op, &ids)?;
        g.keep(id, 0.0, operands.iter().all(|o| o.exact));
        return Some(());
    }
    // Results that jump, and results that every target gives exactly when the operands are exact.
    let jumps = matches!(
        op,
        S::Floor
            | S::Ceil
            | S::Trunc
            | S::Round
            | S::Sign
            | S::Eq
            | S::Ne
            | S::Lt
            | S::Le
            | S::Gt
            | S::Ge
            | S::CopySign
    );
    let keeps = matches!(op, S::Neg | S::Abs | S::Min | S::Max | S::Relu | S::IsNan | S::IsInf | S::IsFinite);
    let exact = operands.iter().all(|o| o.exact);
    // Float remainders jump where a quotient that is not exact crosses a whole number.
    if matches!(op, S::Rem | S::FloorDiv | S::FloorMod) || (jumps && !exact) || !computes(ty.dtype) {
        return None;
    }
    for (slot, operand) in operands.iter_mut().enumerate() {
        *operand = guarded(g, *operand, domain(op, slot))?;
    }
    if op == S::Clamp {
        // The limits in order.
        let one = g.g.splat(1.0, ty.clone()).ok()?;
        let above = g.add(S::Add, &[operands[1].id, one])?;
        operands[2] = Fact { id: above, bound: operands[1].bound + 1.0, exact: false };
    }
    let ids: Vec<NodeId> = operands.iter().map(|o| o.id).collect();
    let id = g.add(op, &ids)?;
    let b: Vec<f64> = operands.iter().map(|o| o.bound).collect();
    let sum: f64 = b.iter().sum();
    let bound = match op {
        S::Mul => b[0] * b[1],
        S::Square => b[0] * b[0],
        S::Fma => b[0] * b[1] + b[2],
        S::Div => 2.0 * b[0],
        S::Pow => (2.0 + b[0]).powf(b[1].max(1.0)),
        S::Exp | S::Exp2 | S::Expm1 | S::Sinh | S::Cosh => 8.0,
        S::Tan | S::Atanh | S::Asin | S::Acos => 4.0,
        _ => sum + 8.0,
    };
    g.squash(id, bound, exact && (jumps || keeps))?;
    Some(())
}

pub(super) fn cast(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let (from, to) = (g.ty(x).dtype, *g.r.pick(&g.config.dtypes));
    let narrow = to.is_float() && !computes(to);
    if from.is_float() && (!to.is_float() || narrow) && !x.exact {
        return None;
    }
    // -0 in f8e8m0 is NaN, as are all negative values.
    if to == DType::F8E8M0 && from != DType::F8E8M0 {
        return None;
    }
    let mut of = x;
    if !from.is_float() && to.is_float() && from != DType::Bool {
        // Small whole numbers, which every float type but the smallest holds exactly.
        let mask = g.g.splat(3i64, g.ty(x)).ok()?;
        of = Fact { id: g.add(ScalarOp::And, &[x.id, mask])?, bound: 4.0, exact: x.exact };
    }
    let range = if to == DType::F4E2M1 { 6.0 } else { 448.0 };
    if narrow && of.bound > range {
        return None;
    }
    let id = g.add(Cast { to }, &[of.id])?;
    g.keep(id, of.bound.max(1.0), of.exact);
    Some(())
}

pub(super) fn bitcast(g: &mut Grow) -> Option<()> {
    // Between integers only: float bits may be NaN one way, and differ in the last place the other.
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.dtype.is_int()))?;
    let from = g.ty(x).dtype;
    let to = DType::ALL.iter().copied().find(|d| d.is_int() && d.bits() == from.bits() && *d != from)?;
    g.moved(Bitcast { to }, &[x.id], x)
}
