//! `Scatter`: slices combined into computed positions, with the dimension numbers of `Gather`.

use super::gather::{Gather, check_batch, check_indices, last_starts, slice_start};
use super::{Rule, check_axes, tensors};
use crate::batch::{Batch, Batcher, Lane, behind};
use crate::eval::{Array, Cx, Eval, Value, arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp, no_derivative, zeros};
use crate::graph::{Graph, NodeId};
use crate::text::attrs::{attrs, words};
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Dim, Known, Result as DiagResult, ScalarOp};

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

attrs!(Scatter "scatter" { combine, window_axes, inserted, start_map, operand_batch, index_batch, unique });

words!(Combine { Set "set", Add "add", Mul "mul", Min "min", Max "max" });

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
