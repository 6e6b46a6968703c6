//! `Reshape`, `Permute`, `Broadcast`: the same elements, seen otherwise.

use super::{Rule, check_rank, tensors};
use crate::batch::{Batch, Batcher, Lane, behind};
use crate::eval::{Array, Cx, Eval, Value, arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::text::attrs::attrs;
use crate::ty::{Ty, product};
use girih_base::{Diag, Dim, Known, Result as DiagResult};

/// Row-major order kept, shape changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reshape {
    /// Result shape, with as many elements as the operand's.
    pub shape: Vec<Dim>,
}

/// Axes reordered: result axis `i` is operand axis `perm[i]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permute {
    /// A permutation of the axes.
    pub perm: Vec<usize>,
}

/// Operand axis `i` becomes result axis `axes[i]`; the value repeats along all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broadcast {
    /// Result shape.
    pub shape: Vec<Dim>,
    /// Strictly increasing positions of the operand's axes, whose extents must agree.
    pub axes: Vec<usize>,
}

impl Rule for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        if product(&self.shape).known_eq(&x.elements()) != Known::Yes {
            return Err(format!(
                "{x} has {} elements, the new shape {:?} has {}",
                x.elements(),
                self.shape,
                product(&self.shape)
            ));
        }
        Ok(x.with_shape(self.shape.clone()).into())
    }
}

impl Rule for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        check_rank("positions", self.perm.len(), x)?;
        let mut seen = self.perm.clone();
        seen.sort();
        if seen.iter().enumerate().any(|(i, a)| i != *a) {
            return Err(format!("{:?} is not a permutation of the axes of {x}", self.perm));
        }
        Ok(x.with_shape(self.perm.iter().map(|a| x.shape[*a].clone()).collect()).into())
    }
}

impl Rule for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        check_rank("positions", self.axes.len(), x)?;
        if self.axes.windows(2).any(|w| w[0] >= w[1]) || self.axes.iter().any(|a| *a >= self.shape.len()) {
            return Err(format!("positions {:?} must increase and lie inside the result {:?}", self.axes, self.shape));
        }
        for (i, a) in self.axes.iter().enumerate() {
            if x.shape[i] != self.shape[*a] {
                return Err(format!("axis {i} of {x} does not fit axis {a} of {:?}", self.shape));
            }
        }
        Ok(x.with_shape(self.shape.clone()).into())
    }
}

impl Eval for Reshape {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let shape = cx.shape(&self.shape)?;
        if shape.iter().product::<usize>() != x.len() {
            return Err(Diag::error("G206", format!("{} elements do not make {shape:?}", x.len())));
        }
        Ok(Array { dtype: x.dtype, shape, data: x.data.clone() }.into())
    }
}

impl Eval for Permute {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        Ok(x.permuted(&self.perm)?.into())
    }
}

impl Eval for Broadcast {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let shape = cx.shape(&self.shape)?;
        let mut steps = vec![0; shape.len()];
        for (axis, step) in self.axes.iter().zip(view::strides(&x.shape)) {
            steps[*axis] = step;
        }
        Ok(x.view(&shape, 0, &steps)?.into())
    }
}

attrs!(Reshape "reshape" { shape });
attrs!(Permute "permute" { perm });
attrs!(Broadcast "broadcast" { shape, axes });

impl Vjp for Reshape {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None]) };
        let shape = b.g.tensor(at.operands[0])?.shape.clone();
        Ok(vec![Some(b.g.reshape(ct, shape)?)])
    }
}

/// The permutation that undoes `perm`.
pub(crate) fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut out = vec![0; perm.len()];
    for (i, p) in perm.iter().enumerate() {
        out[*p] = i;
    }
    out
}

impl Vjp for Permute {
    fn vjp(&self, b: &mut Backward, _: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None]) };
        Ok(vec![Some(b.g.permute(ct, &inverse(&self.perm))?)])
    }
}

impl Vjp for Broadcast {
    fn vjp(&self, b: &mut Backward, _: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None]) };
        let dtype = b.g.tensor(ct)?.dtype;
        let repeated: Vec<usize> = (0..self.shape.len()).filter(|a| !self.axes.contains(a)).collect();
        if repeated.is_empty() {
            return Ok(vec![Some(ct)]);
        }
        let sum = b.g.reduce(super::Monoid::Sum, ct, &repeated)?;
        Ok(vec![Some(b.g.cast(sum, dtype)?)])
    }
}

impl Batch for Reshape {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let shape = b.shape(&self.shape);
        b.push(Reshape { shape }, &[args[0].id])
    }
}

impl Batch for Permute {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let mut perm = behind(&self.perm);
        perm.insert(0, 0);
        b.push(Permute { perm }, &[args[0].id])
    }
}

impl Batch for Broadcast {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let mut axes = behind(&self.axes);
        axes.insert(0, 0);
        let shape = b.shape(&self.shape);
        b.push(Broadcast { shape, axes }, &[args[0].id])
    }
}
