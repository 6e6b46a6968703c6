//! Elements picked by position or by condition, and tensors joined.

use super::axis_of;
use crate::ops::Operand;
use crate::tensor::Tensor;
use girih_base::{DType, Dim, Loc, Result, ScalarOp};
use girih_graph::ops::{DynSlice, DynUpdate, Gather};
use girih_graph::{Graph, NodeId};

/// `yes` where `condition` holds, else `no`. All three broadcast; a number adopts the other's dtype.
#[track_caller]
pub fn where_(condition: &Tensor, yes: &Tensor, no: impl Operand) -> Tensor {
    condition.map(ScalarOp::Select, &[yes, &no.operand(yes)])
}

/// Tensors joined along an axis.
#[track_caller]
pub fn concat(tensors: &[&Tensor], axis: i64) -> Tensor {
    let loc = Loc::caller();
    let rank = tensors.first().map_or(0, |t| t.rank());
    match axis_of(axis, rank, &loc) {
        _ if tensors.iter().any(|t| t.refusal().is_some()) => Tensor::apply(tensors, loc, |_, ids| Ok(ids[0])),
        Ok(axis) => Tensor::apply(tensors, loc, |g, ids| g.concat(ids, axis)),
        Err(why) => Tensor::refused(why),
    }
}

/// Tensors of one shape joined along a new axis.
#[track_caller]
pub fn stack(tensors: &[&Tensor], axis: i64) -> Tensor {
    let rows: Vec<Tensor> = tensors.iter().map(|t| t.unsqueeze(axis)).collect();
    concat(&rows.iter().collect::<Vec<_>>(), axis)
}

impl Tensor {
    /// Rows of `axis` at integer `indices` of any shape, which replaces the axis: NumPy's `take`. Positions are clamped.
    #[track_caller]
    pub fn take(&self, indices: &Tensor, axis: i64) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| Tensor::apply(&[self, indices], loc.clone(), |g, x| take(g, x[0], x[1], axis)))
    }

    /// `y[.., i, ..] = x[.., indices[.., i, ..], ..]`: NumPy's `take_along_axis`. `indices` has this tensor's rank and its
    /// extents outside `axis`. Positions are clamped.
    #[track_caller]
    pub fn gather(&self, indices: &Tensor, axis: i64) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| {
            Tensor::apply(&[self, indices], loc.clone(), |g, x| {
                let rank = g.tensor(x[0])?.rank();
                let mut shape = g.tensor(x[1])?.shape.clone();
                shape.push(Dim::ONE);
                let vectors = g.reshape(x[1], shape)?;
                let batch: Vec<usize> = (0..rank).filter(|a| *a != axis).collect();
                let op = Gather {
                    sizes: vec![Dim::ONE; rank],
                    offset_axes: Vec::new(),
                    collapsed: vec![axis],
                    start_map: vec![axis],
                    operand_batch: batch.clone(),
                    index_batch: batch,
                };
                g.push(op, &[x[0], vectors])
            })
        })
    }

    /// `size` elements of `axis` from a computed start (an integer scalar), clamped inside.
    #[track_caller]
    pub fn dyn_slice(&self, axis: i64, start: &Tensor, size: usize) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| {
            Tensor::apply(&[self, start], loc.clone(), |g, x| {
                let starts = starts(g, x[0], x[1], axis)?;
                let mut sizes = g.tensor(x[0])?.shape.clone();
                sizes[axis] = size.into();
                g.push(DynSlice { sizes }, &[&[x[0]], &starts[..]].concat())
            })
        })
    }

    /// This tensor with the part of `axis` from a computed start (an integer scalar, clamped) replaced by `part`.
    #[track_caller]
    pub fn dyn_update(&self, axis: i64, start: &Tensor, part: &Tensor) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| {
            Tensor::apply(&[self, part, start], loc.clone(), |g, x| {
                let starts = starts(g, x[0], x[2], axis)?;
                g.push(DynUpdate { donate: false }, &[&[x[0], x[1]], &starts[..]].concat())
            })
        })
    }

    /// A new last axis of `classes` with 1 at the position the integer element names and 0 elsewhere.
    #[track_caller]
    pub fn one_hot(&self, classes: usize, dtype: DType) -> Tensor {
        let counter = Tensor::iota(self.dtype(), [classes], 0);
        self.unsqueeze(-1).equal(&counter).cast(dtype)
    }
}

/// Start positions for every axis: `start` for one of them, 0 for the others.
fn starts(g: &mut Graph, x: NodeId, start: NodeId, axis: usize) -> Result<Vec<NodeId>> {
    let zero = g.scalar(0i64, DType::I32)?;
    Ok((0..g.tensor(x)?.rank()).map(|a| if a == axis { start } else { zero }).collect())
}

fn take(g: &mut Graph, x: NodeId, indices: NodeId, axis: usize) -> Result<NodeId> {
    let (table, index) = (g.tensor(x)?.clone(), g.tensor(indices)?.clone());
    let mut shape = index.shape.clone();
    shape.push(Dim::ONE);
    let vectors = g.reshape(indices, shape)?;
    let mut sizes = table.shape.clone();
    sizes[axis] = Dim::ONE;
    // The index axes stand where the taken axis stood.
    let before = 0..axis;
    let after = axis + index.rank()..table.rank() - 1 + index.rank();
    let op = Gather {
        sizes,
        offset_axes: before.chain(after).collect(),
        collapsed: vec![axis],
        start_map: vec![axis],
        operand_batch: Vec::new(),
        index_batch: Vec::new(),
    };
    g.push(op, &[x, vectors])
}
