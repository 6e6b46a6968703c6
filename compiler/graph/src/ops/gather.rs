//! `Gather` and `Scatter`, with XLA's dimension numbers (so that batching stays inside the kind).

use super::{Rule, check_axes, check_rank, tensors};
use crate::batch::{Batch, Batcher, Lane, behind};
use crate::eval::{Array, Cx, Eval, Value, arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp, no_derivative, zeros};
use crate::graph::{Graph, NodeId};
use crate::text::attrs::{attrs, words};
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

/// How an update meets the element that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    /// Replaces it; among several updates of one element the last in row-major order wins.
    Set,
    /// Adds to it.
    Add,
    /// Multiplies it.
    Mul,
    /// The smaller one stays.
    Min,
    /// The larger one stays.
    Max,
}

/// The first operand with slices of the third combined in at positions given by the second.
/// Slices that would lie outside are dropped. Axis names are those of [`Gather`], seen from the updates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scatter {
    /// How updates meet what is there.
    pub combine: Combine,
    /// Axes of the updates that walk inside a slice.
    pub window_axes: Vec<usize>,
    /// Operand axes of slice extent 1 that the updates lack.
    pub inserted: Vec<usize>,
    /// Operand axis that each component of the index vector positions.
    pub start_map: Vec<usize>,
    /// Operand axes that walk together with `index_batch`.
    pub operand_batch: Vec<usize>,
    /// Index axes that walk together with `operand_batch`.
    pub index_batch: Vec<usize>,
    /// Promise that no element is updated twice.
    pub unique: bool,
}

fn check_indices(indices: &TensorTy, components: usize) -> Result<(), String> {
    if !indices.dtype.is_int() || indices.rank() == 0 {
        return Err(format!("indices are integers with a last axis of components, got {indices}"));
    }
    if !indices.shape[indices.rank() - 1].is(components as i64) {
        return Err(format!("the last axis of {indices} must have {components} components"));
    }
    Ok(())
}

fn check_batch(x: &TensorTy, indices: &TensorTy, ob: &[usize], ib: &[usize]) -> Result<(), String> {
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

impl Rule for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x, indices, updates] = tensors(operands)?;
        check_indices(indices, self.start_map.len())?;
        check_axes(&self.inserted, x)?;
        check_axes(&self.start_map, x)?;
        check_axes(&self.window_axes, updates)?;
        check_batch(x, indices, &self.operand_batch, &self.index_batch)?;
        if updates.dtype != x.dtype {
            return Err(format!("updates {updates} and operand {x} have different dtypes"));
        }
        let kept = self.kept_axes(x.rank());
        if kept.len() != self.window_axes.len() || updates.rank() != kept.len() + indices.rank() - 1 {
            return Err(format!("updates {updates} do not have the axes of indices {indices} and a slice of {x}"));
        }
        let scattered: Vec<_> = (0..updates.rank()).filter(|a| !self.window_axes.contains(a)).collect();
        let index_fits = scattered.iter().zip(&indices.shape).all(|(u, i)| updates.shape[*u] == *i);
        let window_fits =
            kept.iter().zip(&self.window_axes).all(|(k, u)| updates.shape[*u].known_le(&x.shape[*k]) != Known::No);
        if index_fits && window_fits {
            Ok(x.clone().into())
        } else {
            Err(format!("updates {updates} do not fit {x} at {indices}"))
        }
    }
}

/// Where the slice begins that belongs to the index axes `at`, one coordinate per operand axis, not yet clamped.
fn slice_start(indices: &Array, at: &[usize], rank: usize, map: &[usize], ob: &[usize], ib: &[usize]) -> Vec<i128> {
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

impl Combine {
    /// The scalar operation on (what is there, update); none for `Set`.
    pub fn op(self) -> Option<ScalarOp> {
        match self {
            Combine::Set => None,
            Combine::Add => Some(ScalarOp::Add),
            Combine::Mul => Some(ScalarOp::Mul),
            Combine::Min => Some(ScalarOp::Min),
            Combine::Max => Some(ScalarOp::Max),
        }
    }

    fn apply(self, dtype: DType, there: &mut Array, i: usize, updates: &Array, u: usize) -> DiagResult<()> {
        match self.op() {
            None => there.data.put(i, &updates.data, u),
            Some(op) => {
                let both = super::map::apply(op, dtype, &[there.elem(i), updates.elem(u)])?;
                there.data.put(i, &Array::repeat(dtype, &[], both).data, 0);
            }
        }
        Ok(())
    }
}

impl Scatter {
    /// The operand axes that a slice of the updates has, in order.
    pub fn kept_axes(&self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|a| !self.inserted.contains(a) && !self.operand_batch.contains(a)).collect()
    }
}

impl Eval for Scatter {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let [x, indices, updates] = arrays(args)?;
        let (rank, own, kept) = (x.shape.len(), view::strides(&x.shape), self.kept_axes(x.shape.len()));
        let mut sizes = vec![1; rank];
        kept.iter().zip(&self.window_axes).for_each(|(axis, u)| sizes[*axis] = updates.shape[*u]);
        let index_axes: Vec<usize> = (0..updates.shape.len()).filter(|a| !self.window_axes.contains(a)).collect();
        let mut out = x.clone();
        for flat in 0..updates.len() {
            let index = view::unflatten(flat, &updates.shape);
            let at: Vec<usize> = index_axes.iter().map(|a| index[*a]).collect();
            let start = slice_start(indices, &at, rank, &self.start_map, &self.operand_batch, &self.index_batch);
            if (0..rank).any(|a| start[a] < 0 || start[a] + sizes[a] as i128 > x.shape[a] as i128) {
                continue;
            }
            let mut place: Vec<usize> = start.iter().map(|s| *s as usize).collect();
            kept.iter().zip(&self.window_axes).for_each(|(axis, u)| place[*axis] += index[*u]);
            let to = place.iter().zip(&own).map(|(i, s)| i * *s as usize).sum();
            self.combine.apply(x.dtype, &mut out, to, updates, flat)?;
        }
        Ok(out.into())
    }
}

attrs!(Gather "gather" { sizes, offset_axes, collapsed, start_map, operand_batch, index_batch });
attrs!(Scatter "scatter" { combine, window_axes, inserted, start_map, operand_batch, index_batch, unique });
words!(Combine { Set "set", Add "add", Mul "mul", Min "min", Max "max" });

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

impl Scatter {
    /// The gather that reads the elements this writes, for updates of type `updates`.
    fn gather(&self, x: &TensorTy, updates: &TensorTy) -> Gather {
        let mut window = self.window_axes.iter();
        let sizes = (0..x.rank())
            .map(|a| {
                let dropped = self.inserted.contains(&a) || self.operand_batch.contains(&a);
                let axis = if dropped { None } else { window.next() };
                axis.map_or(Dim::ONE, |w| updates.shape[*w].clone())
            })
            .collect();
        Gather {
            sizes,
            offset_axes: self.window_axes.clone(),
            collapsed: self.inserted.clone(),
            start_map: self.start_map.clone(),
            operand_batch: self.operand_batch.clone(),
            index_batch: self.index_batch.clone(),
        }
    }

    /// bool of the updates' shape: whether the update's slice lies inside the operand.
    fn inside(&self, g: &mut Graph, indices: NodeId, x: &TensorTy, updates: &TensorTy) -> DiagResult<NodeId> {
        let sizes = self.gather(x, updates).sizes;
        let (indices, limits) = last_starts(g, indices, x, &self.start_map, &sizes)?;
        let ty = g.tensor(indices)?.clone();
        let zero = zeros(g, &ty)?;
        let low = g.map(ScalarOp::Ge, &[indices, zero])?;
        let high = g.map(ScalarOp::Le, &[indices, limits])?;
        let both = g.map(ScalarOp::And, &[low, high])?;
        let all = g.reduce(super::Monoid::And, both, &[ty.rank() - 1])?;
        let axes = (0..updates.rank()).filter(|a| !self.window_axes.contains(a)).collect();
        g.broadcast(all, updates.shape.clone(), axes)
    }

    /// bool of the updates' shape: whether the update is the one that stays.
    fn last_writer(&self, g: &mut Graph, indices: NodeId, x: &TensorTy, updates: &TensorTy) -> DiagResult<NodeId> {
        let number = g.iota(TensorTy { dtype: DType::I32, shape: vec![updates.elements()] }, 0)?;
        let number = g.reshape(number, updates.shape.clone())?;
        let nobody = g.splat(-1, x.with_dtype(DType::I32))?;
        let winner = g.push(self.clone(), &[nobody, indices, number])?;
        let seen = g.push(self.gather(x, updates), &[winner, indices])?;
        g.map(ScalarOp::Eq, &[seen, number])
    }
}

impl Vjp for Scatter {
    /// `Min` and `Max` share a cotangent equally among all that equal the result.
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None; 3]) };
        let [x, indices, updates] = [at.operands[0], at.operands[1], at.operands[2]];
        let (tx, tu) = (b.g.tensor(x)?.clone(), b.g.tensor(updates)?.clone());
        let gather = self.gather(&tx, &tu);
        let inside = self.inside(&mut b.g, indices, &tx, &tu)?;
        let none = zeros(&mut b.g, &tu)?;
        let (dx, du) = match self.combine {
            Combine::Add => (ct, b.g.push(gather, &[ct, indices])?),
            Combine::Set => {
                let dx = b.g.push(self.clone(), &[ct, indices, none])?;
                let du = b.g.push(gather, &[ct, indices])?;
                let stays = self.last_writer(&mut b.g, indices, &tx, &tu)?;
                (dx, if self.unique { du } else { b.g.map(ScalarOp::Select, &[stays, du, none])? })
            }
            Combine::Mul if self.unique => {
                let dx = b.g.push(self.clone(), &[ct, indices, updates])?;
                let scaled = b.g.map(ScalarOp::Mul, &[ct, x])?;
                (dx, b.g.push(gather, &[scaled, indices])?)
            }
            Combine::Mul => {
                return Err(no_derivative(&b.g, at.node, "a multiplying scatter", "positions may repeat")
                    .help("promise `unique` if they do not"));
            }
            Combine::Min | Combine::Max => {
                let hit_x = b.g.map(ScalarOp::Eq, &[x, at.node])?;
                let seen = b.g.push(gather.clone(), &[at.node, indices])?;
                let hit_u = b.g.map(ScalarOp::Eq, &[updates, seen])?;
                let (one_x, one_u) = (b.g.cast(hit_x, tx.dtype)?, b.g.cast(hit_u, tx.dtype)?);
                let ties = b.g.push(Scatter { combine: Combine::Add, ..self.clone() }, &[one_x, indices, one_u])?;
                let part = b.g.map(ScalarOp::Div, &[ct, ties])?;
                let zero = zeros(&mut b.g, &tx)?;
                let dx = b.g.map(ScalarOp::Select, &[hit_x, part, zero])?;
                let du = b.g.push(gather, &[part, indices])?;
                (dx, b.g.map(ScalarOp::Select, &[hit_u, du, none])?)
            }
        };
        let du = b.g.map(ScalarOp::Select, &[inside, du, none])?;
        Ok(vec![Some(dx), None, Some(du)])
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

impl Batch for Scatter {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let args = b.lift_all(args)?;
        let mut op = Scatter {
            window_axes: behind(&self.window_axes),
            inserted: behind(&self.inserted),
            start_map: behind(&self.start_map),
            operand_batch: behind(&self.operand_batch),
            index_batch: behind(&self.index_batch),
            ..self.clone()
        };
        op.operand_batch.insert(0, 0);
        op.index_batch.insert(0, 0);
        b.push(op, &args)
    }
}
