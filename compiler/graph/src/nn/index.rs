//! Picking, comparing and ordering elements.

use super::{last_axis, refuse};
use crate::graph::{Graph, NodeId};
use crate::ops::{Gather, Monoid, Scan, Sort, check_axis};
use girih_base::{DType, Dim, Result, ScalarOp};

/// Rows of a table: `table` [rows, width], integer `ids` [..] -> [.., width]. Ids are clamped to the table.
pub fn embedding(g: &mut Graph, table: NodeId, ids: NodeId) -> Result<NodeId> {
    take(g, table, ids, 0)
}

/// Slices of `x` along `axis` at integer `indices` [i..]: the axis is replaced by the axes of `indices` (NumPy's
/// `take`). Indices are clamped to the axis.
pub fn take(g: &mut Graph, x: NodeId, indices: NodeId, axis: usize) -> Result<NodeId> {
    let (tx, ti) = (g.tensor(x)?.clone(), g.tensor(indices)?.clone());
    check_axis(axis, &tx).map_err(|why| refuse(g, x, why))?;
    let mut sizes = tx.shape.clone();
    sizes[axis] = Dim::ONE;
    let offset_axes = (0..tx.rank() - 1).map(|a| if a < axis { a } else { a + ti.rank() }).collect();
    let mut shape = ti.shape.clone();
    shape.push(Dim::ONE);
    let indices = g.reshape(indices, shape)?;
    let op = Gather {
        sizes,
        offset_axes,
        collapsed: vec![axis],
        start_map: vec![axis],
        operand_batch: Vec::new(),
        index_batch: Vec::new(),
    };
    g.push(op, &[x, indices])
}

/// One element per position along `axis`: `y[.., i, ..] = x[.., indices[.., i, ..], ..]`; `indices` has `x`'s extents
/// but along `axis` (NumPy's `take_along_axis`). Indices are clamped to the axis.
pub fn take_along(g: &mut Graph, x: NodeId, indices: NodeId, axis: usize) -> Result<NodeId> {
    let (tx, ti) = (g.tensor(x)?.clone(), g.tensor(indices)?.clone());
    check_axis(axis, &tx).map_err(|why| refuse(g, x, why))?;
    let others: Vec<usize> = (0..tx.rank()).filter(|a| *a != axis).collect();
    let mut shape = ti.shape.clone();
    shape.push(Dim::ONE);
    let indices = g.reshape(indices, shape)?;
    let op = Gather {
        sizes: vec![Dim::ONE; tx.rank()],
        offset_axes: Vec::new(),
        collapsed: vec![axis],
        start_map: vec![axis],
        operand_batch: others.clone(),
        index_batch: others,
    };
    g.push(op, &[x, indices])
}

/// 1 where the last, new axis counts to the integer `indices` [..], else 0: [.., depth] of `dtype`.
pub fn one_hot(g: &mut Graph, indices: NodeId, depth: Dim, dtype: DType) -> Result<NodeId> {
    let mut ty = g.tensor(indices)?.clone();
    let axis = ty.rank();
    ty.shape.push(depth);
    let class = g.iota(ty.clone(), axis)?;
    let wanted = super::spread(g, indices, &[axis], &ty)?;
    let hit = g.map(ScalarOp::Eq, &[class, wanted])?;
    g.cast(hit, dtype)
}

/// `x` where `condition` (bool) holds, else `y`; the three broadcast against each other.
pub fn where_(g: &mut Graph, condition: NodeId, x: NodeId, y: NodeId) -> Result<NodeId> {
    g.map_broadcast(ScalarOp::Select, &[condition, x, y])
}

/// The value of `x` (a float), through which no gradient flows. Shape and dtype kept.
pub fn stop_gradient(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    let dtype = g.tensor(x)?.dtype;
    let bits = match dtype.bits() {
        4 => DType::U4,
        8 => DType::U8,
        16 => DType::U16,
        32 => DType::U32,
        _ => DType::U64,
    };
    // Bits have no derivative.
    let y = g.bitcast(x, bits)?;
    g.bitcast(y, dtype)
}

/// Position (i32) of the first largest element along `axis`, which vanishes.
pub fn argmax(g: &mut Graph, x: NodeId, axis: usize) -> Result<NodeId> {
    let both = g.reduce(Monoid::ArgMax, x, &[axis])?;
    g.proj(both, 1)
}

/// Running sums along `axis`; shape and dtype kept, summed in the accumulator.
pub fn cumsum(g: &mut Graph, x: NodeId, axis: usize) -> Result<NodeId> {
    let dtype = g.tensor(x)?.dtype;
    let op = Scan { monoid: Monoid::Sum, axis, reverse: false, exclusive: false, acc: dtype.accumulator() };
    let y = g.push(op, &[x])?;
    g.cast(y, dtype)
}

/// The `k` largest elements of the last axis in falling order, and their positions (i32): two of [.., k]. Among equal
/// elements the earlier comes first.
pub fn top_k(g: &mut Graph, x: NodeId, k: Dim) -> Result<(NodeId, NodeId)> {
    let (axis, _) = last_axis(g, x, "top_k")?;
    let ty = g.tensor(x)?.clone();
    let position = g.iota(ty.with_dtype(DType::I32), axis)?;
    let sorted = g.push(Sort { axis, keys: 1, descending: true }, &[x, position])?;
    let (values, positions) = (g.proj(sorted, 0)?, g.proj(sorted, 1)?);
    Ok((g.slice_axis(values, axis, Dim::ZERO, k.clone())?, g.slice_axis(positions, axis, Dim::ZERO, k)?))
}
