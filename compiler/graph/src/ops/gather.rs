//! `Gather` and `Scatter`, with XLA's dimension numbers (so that batching stays inside the kind).

use super::{Rule, check_axes, check_rank, tensors};
use crate::eval::{Array, Cx, Eval, Value, arrays, view};
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
