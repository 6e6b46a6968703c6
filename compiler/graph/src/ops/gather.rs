//! `Gather`: slices at computed positions, with XLA's dimension numbers (so that batching stays inside the kind).

use super::scatter::{Combine, Scatter};
use super::{Rule, check_axes, check_rank, tensors};
use crate::batch::{Batch, Batcher, Lane, behind};
use crate::eval::{Array, Cx, Eval, Value, arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp, zeros};
use crate::graph::{Graph, NodeId};
use crate::text::attrs::attrs;
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Diag, Dim, Known, Result as DiagResult, ScalarOp};

/// Slices of the first operand at positions given by the second, whose last axis is the index vector.
///
/// Result axes: `offset_axes` walk inside a slice, the others walk the index array. Positions are clamped so that the
/// slice lies inside the operand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gather {
    /// Extent of a slice along each operand axis.
    pub sizes: Vec<Dim>,
    /// Result axes that walk inside a slice, in the order of the operand's axes that are neither collapsed nor batch.
    pub offset_axes: Vec<usize>,
    /// Operand axes of slice extent 1 that are dropped.
    pub collapsed: Vec<usize>,
    /// Operand axis that each component of the index vector positions.
    pub start_map: Vec<usize>,
    /// Operand axes (dropped, extent 1) that walk together with the index axes of `index_batch`.
    pub operand_batch: Vec<usize>,
    /// Index axes that walk together with `operand_batch`.
    pub index_batch: Vec<usize>,
}

pub(super) fn check_indices(indices: &TensorTy, components: usize) -> Result<(), String> {
    if !indices.dtype.is_int() || indices.rank() == 0 {
        return Err(format!("indices are integers with a last axis of components, got {indices}"));
    }
    if !indices.shape[indices.rank() - 1].is(components as i64) {
        return Err(format!("the last axis of {indices} must have {components} components"));
    }
    Ok(())
}

pub(super) fn check_batch(x: &TensorTy, indices: &TensorTy, ob: &[usize], ib: &[usize]) -> Result<(), String> {
    check_axes(ob, x)?;
    check_axes(ib, indices)?;
    let fits = ob.len() == ib.len()
        && ib.iter().all(|i| *i + 1 < indices.rank())
        && ob.iter().zip(ib).all(|(o, i)| x.shape[*o] == indices.shape[*i]);
    if fits { Ok(()) } else { Err(format!("batch axes {ob:?} of {x} and {ib:?} of {indices} do not pair up")) }
}

impl Gather {
    /// The operand axes that a slice keeps, in order.
    pub fn kept_axes(&self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|a| !self.collapsed.contains(a) && !self.operand_batch.contains(a)).collect()
    }
}

impl Rule for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x, indices] = tensors(operands)?;
        check_indices(indices, self.start_map.len())?;
        check_rank("slice sizes", self.sizes.len(), x)?;
        check_axes(&self.collapsed, x)?;
        check_axes(&self.start_map, x)?;
        check_batch(x, indices, &self.operand_batch, &self.index_batch)?;
        for a in 0..x.rank() {
            let dropped = self.collapsed.contains(&a) || self.operand_batch.contains(&a);
            if self.sizes[a].known_le(&x.shape[a]) == Known::No || (dropped && !self.sizes[a].is(1)) {
                return Err(format!("a slice of {} does not fit axis {a} of {x}", self.sizes[a]));
            }
        }
        let kept = self.kept_axes(x.rank());
        if kept.len() != self.offset_axes.len() {
            return Err(format!("{} offset axes for {} kept operand axes", self.offset_axes.len(), kept.len()));
        }
        let rank = kept.len() + indices.rank() - 1;
        let mut index_axes = indices.shape[..indices.rank() - 1].iter();
        let mut shape = Vec::new();
        for a in 0..rank {
            match self.offset_axes.iter().position(|o| *o == a) {
                Some(k) => shape.push(self.sizes[kept[k]].clone()),
                None => {
                    shape.push(index_axes.next().ok_or("offset axes must lie inside the result, each once")?.clone())
                }
            }
        }
        if index_axes.next().is_some() {
            return Err("offset axes must lie inside the result, each once".into());
        }
        Ok(x.with_shape(shape).into())
    }
}

/// Where the slice begins that belongs to the index axes `at`, one coordinate per operand axis, not yet clamped.
pub(super) fn slice_start(
    indices: &Array,
    at: &[usize],
    rank: usize,
    map: &[usize],
    ob: &[usize],
    ib: &[usize],
) -> Vec<i128> {
    let row = at.iter().zip(&indices.shape).fold(0, |flat, (i, n)| flat * n + i);
    let mut start = vec![0; rank];
    for (component, axis) in map.iter().enumerate() {
        start[*axis] = indices.int(row * map.len() + component);
    }
    for (axis, index_axis) in ob.iter().zip(ib) {
        start[*axis] = at[*index_axis] as i128;
    }
    start
}

impl Eval for Gather {
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let [x, indices] = arrays(args)?;
        let (shape, sizes) = (cx.shape_of(ty)?, cx.shape(&self.sizes)?);
        if let Some(a) = (0..sizes.len()).find(|a| sizes[*a] > x.shape[*a]) {
            return Err(Diag::error("G206", format!("a slice of {} does not fit axis {a} of {:?}", sizes[a], x.shape)));
        }
        let (rank, own, kept) = (x.shape.len(), view::strides(&x.shape), self.kept_axes(x.shape.len()));
        let index_axes: Vec<usize> = (0..shape.len()).filter(|a| !self.offset_axes.contains(a)).collect();
        let mut source = Vec::new();
        for flat in 0..shape.iter().product() {
            let index = view::unflatten(flat, &shape);
            let at: Vec<usize> = index_axes.iter().map(|a| index[*a]).collect();
            let start = slice_start(indices, &at, rank, &self.start_map, &self.operand_batch, &self.index_batch);
            let mut place: Vec<usize> =
                (0..rank).map(|a| start[a].clamp(0, (x.shape[a] - sizes[a]) as i128) as usize).collect();
            kept.iter().zip(&self.offset_axes).for_each(|(axis, offset)| place[*axis] += index[*offset]);
            source.push(place.iter().zip(&own).map(|(i, s)| i * *s as usize).sum());
        }
        Ok(Array { dtype: x.dtype, shape, data: x.data.pick(source.into_iter()) }.into())
    }
}

attrs!(Gather "gather" { sizes, offset_axes, collapsed, start_map, operand_batch, index_batch });

/// The largest start of every component of the index vectors at which a slice of `sizes` still fits, with the
/// indices' type; and the indices, in a dtype that holds it.
pub(crate) fn last_starts(
    g: &mut Graph,
    indices: NodeId,
    x: &TensorTy,
    start_map: &[usize],
    sizes: &[Dim],
) -> DiagResult<(NodeId, NodeId)> {
    let dtype = g.tensor(indices)?.dtype;
    let indices = if dtype.bits() < 32 { g.cast(indices, DType::I32)? } else { indices };
    let ty = g.tensor(indices)?.clone();
    let mut limits = Vec::new();
    for a in start_map {
        let limit = g.size(&x.shape[*a] - &sizes[*a], ty.dtype)?;
        limits.push(g.reshape(limit, vec![Dim::ONE])?);
    }
    let limits = if limits.is_empty() { g.splat(0, TensorTy::new(ty.dtype, [0]))? } else { g.concat(&limits, 0)? };
    Ok((indices, g.broadcast_to(limits, &ty.shape)?))
}

impl Gather {
    /// The scatter that sends elements of a slice back to where this takes them from.
    fn scatter(&self, combine: Combine) -> Scatter {
        Scatter {
            combine,
            window_axes: self.offset_axes.clone(),
            inserted: self.collapsed.clone(),
            start_map: self.start_map.clone(),
            operand_batch: self.operand_batch.clone(),
            index_batch: self.index_batch.clone(),
            unique: false,
        }
    }
}

impl Vjp for Gather {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None, None]) };
        let ty = b.g.tensor(at.operands[0])?.clone();
        // Gather clamps where scatter drops, so the positions are clamped first.
        let (indices, limits) = last_starts(&mut b.g, at.operands[1], &ty, &self.start_map, &self.sizes)?;
        let tensor = b.g.tensor(indices)?.clone();
        let zero = zeros(&mut b.g, &tensor)?;
        let clamped = b.g.map(ScalarOp::Clamp, &[indices, zero, limits])?;
        let acc = ty.dtype.accumulator();
        let sum = zeros(&mut b.g, &ty.with_dtype(acc))?;
        let ct = b.g.cast(ct, acc)?;
        let d = b.g.push(self.scatter(Combine::Add), &[sum, clamped, ct])?;
        Ok(vec![Some(b.g.cast(d, ty.dtype)?), None])
    }
}

impl Batch for Gather {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let (x, indices) = (args[0], args[1]);
        let mut op = Gather { offset_axes: behind(&self.offset_axes), ..self.clone() };
        if indices.batched {
            op.index_batch = behind(&self.index_batch);
        }
        if x.batched {
            op.collapsed = behind(&self.collapsed);
            op.start_map = behind(&self.start_map);
            op.operand_batch = behind(&self.operand_batch);
            op.sizes.insert(0, if indices.batched { Dim::ONE } else { b.size.clone() });
        }
        match (x.batched, indices.batched) {
            (true, true) => {
                op.operand_batch.insert(0, 0);
                op.index_batch.insert(0, 0);
            }
            // The batch is part of every slice.
            (true, false) => op.offset_axes.insert(0, 0),
            _ => {}
        }
        b.push(op, &[x.id, indices.id])
    }
}
