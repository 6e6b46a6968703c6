//! `Concat`: operands joined along an axis.

use super::{Rule, all_tensors, check_axis};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Array, Cx, Eval, Value, all_arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::text::attrs::attrs;
use crate::ty::Ty;
use girih_base::{Dim, Result as DiagResult};

/// Operands joined along one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Rule for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        check_axis(self.axis, first)?;
        let mut shape = first.shape.clone();
        for t in &list[1..] {
            let fits = t.dtype == first.dtype
                && t.rank() == first.rank()
                && (0..t.rank()).all(|a| a == self.axis || t.shape[a] == first.shape[a]);
            if !fits {
                return Err(format!("{first} and {t} differ outside axis {}", self.axis));
            }
            shape[self.axis] = &shape[self.axis] + &t.shape[self.axis];
        }
        Ok(first.with_shape(shape).into())
    }
}

impl Eval for Concat {
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let shape = cx.shape_of(ty)?;
        let own = view::strides(&shape);
        let mut out = Array::splat(list[0].dtype, &shape, crate::literal::Number::Int(0));
        let mut start = 0;
        for x in list {
            out.data.place(&x.data, view::walk(&x.shape, start as isize * own[self.axis], &own));
            start += x.shape[self.axis];
        }
        Ok(out.into())
    }
}

attrs!(Concat "concat" { axis });

impl Vjp for Concat {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let mut out = vec![None; at.operands.len()];
        let Some(ct) = cts[0] else { return Ok(out) };
        let mut start = Dim::ZERO;
        for (i, o) in at.operands.iter().enumerate() {
            let limit = &start + &b.g.tensor(*o)?.shape[self.axis];
            if at.needs[i] {
                out[i] = Some(b.g.slice_axis(ct, self.axis, start, limit.clone())?);
            }
            start = limit;
        }
        Ok(out)
    }
}

impl Batch for Concat {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let args = b.lift_all(args)?;
        b.push(Concat { axis: self.axis + 1 }, &args)
    }
}
