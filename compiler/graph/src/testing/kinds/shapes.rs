//! The same elements seen otherwise, and parts.

use super::known;
use crate::graph::NodeId;
use crate::ops::*;
use crate::testing::{Fact, Grow};
use crate::ty::TensorTy;
use girih_base::{DType, Dim};

pub(super) fn reshape(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let mut shape = g.ty(x).shape;
    match g.r.below(3) {
        0 => shape.insert(g.r.below(shape.len() + 1), Dim::ONE),
        1 if shape.len() > 1 => {
            let at = g.r.below(shape.len() - 1);
            let next = shape.remove(at + 1);
            shape[at] = &shape[at] * &next;
        }
        _ => {
            let at = (0..shape.len()).find(|a| shape[*a].as_const().is_some_and(|n| n > 2 && n % 2 == 0))?;
            shape[at] = Dim::from(shape[at].as_const()? / 2);
            shape.insert(at + 1, Dim::from(2i64));
        }
    }
    g.moved(Reshape { shape }, &[x.id], x)
}

pub(super) fn permute(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 1))?;
    let rank = g.ty(x).rank();
    let mut perm: Vec<usize> = (0..rank).collect();
    for i in (1..rank).rev() {
        perm.swap(i, g.r.below(i + 1));
    }
    g.moved(Permute { perm }, &[x.id], x)
}

pub(super) fn broadcast(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let mut shape = g.ty(x).shape;
    let at = g.r.below(shape.len() + 1);
    let extent = g.extent();
    let axes = (0..shape.len()).map(|a| a + (a >= at) as usize).collect();
    shape.insert(at, extent);
    g.moved(Broadcast { shape, axes }, &[x.id], x)
}

pub(super) fn slice(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let rank = ty.rank();
    let mut op = Slice { start: vec![Dim::ZERO; rank], limit: ty.shape.clone(), stride: vec![1; rank] };
    for a in 0..rank {
        if let Some(n) = known(&ty, a, 0) {
            let start = g.r.below(n);
            op.start[a] = Dim::from(start);
            op.limit[a] = Dim::from(start + 1 + g.r.below(n - start));
            op.stride[a] = *g.r.pick(&[1, 1, 2, 3]);
        }
    }
    g.moved(op, &[x.id], x)
}

pub(super) fn pad(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let mut sizes = |choices: &[i64]| (0..ty.rank()).map(|_| *g.r.pick(choices)).collect::<Vec<_>>();
    let (low, high, interior) = (sizes(&[0, 1, 2]), sizes(&[0, 1, 3]), sizes(&[0, 0, 1]));
    let dims = |list: Vec<i64>| list.into_iter().map(Dim::from).collect();
    let value = g.like(&TensorTy::scalar(ty.dtype));
    let of = Fact { bound: x.bound.max(value.bound), exact: x.exact && value.exact, ..x };
    g.moved(Pad { low: dims(low), high: dims(high), interior }, &[x.id, value.id], of)
}

pub(super) fn reverse(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let axes = (0..g.ty(x).rank()).filter(|_| g.r.below(2) == 0).collect();
    g.moved(Reverse { axes }, &[x.id], x)
}

pub(super) fn window(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let mut axes = Vec::new();
    for axis in 0..ty.rank() {
        if let (Some(n), true) = (known(&ty, axis, 1), axes.len() < 2) {
            let (size, dilation) = (1 + g.r.below(n.min(3)) as i64, *g.r.pick(&[1, 1, 2]));
            if (size - 1) * dilation < n as i64 {
                axes.push(WindowAxis { axis, size, stride: *g.r.pick(&[1, 2, 3]), dilation });
            }
        }
    }
    g.moved(Window { axes }, &[x.id], x)
}

pub(super) fn concat(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let mut ty = g.ty(x);
    let axis = g.r.below(ty.rank());
    ty.shape[axis] = g.extent();
    let y = g.like(&ty);
    let of = Fact { bound: x.bound.max(y.bound), exact: x.exact && y.exact, ..x };
    g.moved(Concat { axis }, &[x.id, y.id], of)
}

fn starts(g: &mut Grow, rank: usize) -> Vec<NodeId> {
    let ty = TensorTy::scalar(DType::I32);
    (0..rank).map(|_| g.like(&ty).id).collect()
}

/// Extents no larger than the operand's.
fn smaller(g: &mut Grow, ty: &TensorTy) -> Vec<Dim> {
    (0..ty.rank()).map(|a| known(ty, a, 1).map_or(ty.shape[a].clone(), |n| Dim::from(1 + g.r.below(n)))).collect()
}

pub(super) fn dyn_slice(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let sizes = smaller(g, &ty);
    let mut operands = vec![x.id];
    operands.extend(starts(g, ty.rank()));
    g.moved(DynSlice { sizes }, &operands, x)
}

pub(super) fn dyn_update(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let shape = smaller(g, &ty);
    let part = g.like(&ty.with_shape(shape));
    let mut operands = vec![x.id, part.id];
    operands.extend(starts(g, ty.rank()));
    let of = Fact { bound: x.bound.max(part.bound), exact: x.exact && part.exact, ..x };
    g.moved(DynUpdate { donate: false }, &operands, of)
}
