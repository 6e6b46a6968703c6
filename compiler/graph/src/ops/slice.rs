//! `Slice`: a rectangular, possibly strided part.

use super::pad::{Pad, span};
use super::{Rule, check_rank, tensors};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Cx, Eval, Value, arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::text::attrs::attrs;
use crate::ty::Ty;
use girih_base::{Diag, Dim, Known, Result as DiagResult};

/// Elements `start, start + stride, ..` below `limit` of each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// First element of each axis.
    pub start: Vec<Dim>,
    /// One past the last element of each axis.
    pub limit: Vec<Dim>,
    /// Step along each axis, at least 1.
    pub stride: Vec<i64>,
}

impl Rule for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        check_rank("starts", self.start.len(), x)?;
        check_rank("limits", self.limit.len(), x)?;
        check_rank("strides", self.stride.len(), x)?;
        let mut shape = Vec::new();
        for (a, extent) in x.shape.iter().enumerate() {
            let (start, limit, stride) = (&self.start[a], &self.limit[a], self.stride[a]);
            let outside = Dim::ZERO.known_le(start) == Known::No
                || start.known_le(limit) == Known::No
                || limit.known_le(extent) == Known::No;
            if outside || stride < 1 {
                return Err(format!("{start}..{limit} step {stride} is outside axis {a} of {x}"));
            }
            shape.push((limit.clone() - start.clone()).ceil_div(&Dim::from(stride)));
        }
        Ok(x.with_shape(shape).into())
    }
}

impl Eval for Slice {
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let own = view::strides(&x.shape);
        let (mut base, mut steps) = (0, Vec::new());
        for (a, extent) in x.shape.iter().enumerate() {
            let (start, limit) = (cx.extent(&self.start[a])?, cx.extent(&self.limit[a])?);
            if start > limit || limit > *extent {
                return Err(Diag::error("G206", format!("{start}..{limit} is outside axis {a} of {:?}", x.shape)));
            }
            base += start as isize * own[a];
            steps.push(self.stride[a] as isize * own[a]);
        }
        Ok(x.view(&cx.shape_of(ty)?, base, &steps)?.into())
    }
}

attrs!(Slice "slice" { start, limit, stride });

impl Vjp for Slice {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None]) };
        let (whole, part) = (b.g.tensor(at.operands[0])?.clone(), b.g.tensor(ct)?.clone());
        let interior: Vec<i64> = self.stride.iter().map(|s| s - 1).collect();
        let high = (0..whole.rank())
            .map(|a| &(&whole.shape[a] - &self.start[a]) - &span(&part.shape[a], interior[a]))
            .collect();
        let zero = b.g.scalar(0.0, whole.dtype)?;
        Ok(vec![Some(b.g.push(Pad { low: self.start.clone(), high, interior }, &[ct, zero])?)])
    }
}

impl Batch for Slice {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let mut op = self.clone();
        op.start.insert(0, Dim::ZERO);
        op.limit.insert(0, b.size.clone());
        op.stride.insert(0, 1);
        b.push(op, &[args[0].id])
    }
}
