//! `Gather` and `Scatter`, with XLA's dimension numbers (so that batching stays inside the kind).

use super::{Rule, check_axes, check_rank, tensors};
use crate::ty::{TensorTy, Ty};
use girih_base::{Dim, Known};

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
                None => shape.push(index_axes.next().ok_or("offset axes must lie inside the result, each once")?.clone()),
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
        let kept: Vec<_> =
            (0..x.rank()).filter(|a| !self.inserted.contains(a) && !self.operand_batch.contains(a)).collect();
        if kept.len() != self.window_axes.len() || updates.rank() != kept.len() + indices.rank() - 1 {
            return Err(format!("updates {updates} do not have the axes of indices {indices} and a slice of {x}"));
        }
        let scattered: Vec<_> = (0..updates.rank()).filter(|a| !self.window_axes.contains(a)).collect();
        let index_fits = scattered.iter().zip(&indices.shape).all(|(u, i)| updates.shape[*u] == *i);
        let window_fits =
            kept.iter().zip(&self.window_axes).all(|(k, u)| updates.shape[*u].known_le(&x.shape[*k]) != Known::No);
        if index_fits && window_fits { Ok(x.clone().into()) } else { Err(format!("updates {updates} do not fit {x} at {indices}")) }
    }
}
