//! Gather and scatter.

use super::{computes, known};
use crate::ops::{Combine, Gather, Iota, Scatter};
use crate::testing::{Fact, Grow};
use crate::ty::TensorTy;
use girih_base::{DType, Dim};

/// Positions: whole numbers around the extents, some of them outside.
fn indices(g: &mut Grow, count: usize, components: usize) -> Fact {
    let dtype = *g.r.pick(&[DType::I32, DType::I32, DType::U8, DType::I64]);
    g.fresh(TensorTy::new(dtype, [count, components]))
}

pub(super) fn gather(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let ty = g.ty(x);
    let axis = g.r.below(ty.rank());
    known(&ty, axis, 0)?;
    let count = g.r.below(6);
    let at = indices(g, count, 1);
    let mut sizes = ty.shape.clone();
    sizes[axis] = Dim::ONE;
    let op = Gather {
        sizes,
        offset_axes: (1..ty.rank()).collect(),
        collapsed: vec![axis],
        start_map: vec![axis],
        operand_batch: vec![],
        index_batch: vec![],
    };
    g.moved(op, &[x.id, at.id], x)
}

pub(super) fn scatter(g: &mut Grow) -> Option<()> {
    let x =
        g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0 && t.dtype != DType::Bool && computes(t.dtype)))?;
    let ty = g.ty(x);
    let axis = g.r.below(ty.rank());
    let n = known(&ty, axis, 0)?;
    let combine = *g.r.pick(&[Combine::Add, Combine::Max, Combine::Min, Combine::Set]);
    let count = if combine == Combine::Set { 1 + g.r.below(n) } else { g.r.below(6) };
    // `Set` only where no element is hit twice.
    let at = match combine {
        Combine::Set => g.add(Iota { ty: TensorTy::new(DType::I32, [count, 1]), axis: 0 }, &[])?,
        _ => indices(g, count, 1).id,
    };
    let mut shape = ty.shape.clone();
    shape.remove(axis);
    shape.insert(0, Dim::from(count));
    let updates = g.like(&ty.with_shape(shape));
    let op = Scatter {
        combine,
        window_axes: (1..ty.rank()).collect(),
        inserted: vec![axis],
        start_map: vec![axis],
        operand_batch: vec![],
        index_batch: vec![],
        unique: combine == Combine::Set,
    };
    let id = g.add(op, &[x.id, at, updates.id])?;
    let exact = x.exact && updates.exact && (combine != Combine::Add || !ty.dtype.is_float());
    g.keep_all(id, x.bound + count as f64 * updates.bound, exact)
}
