//! `Reverse`: axes walked from their end.

use super::{Rule, check_axes, tensors};
use crate::batch::{Batch, Batcher, Lane, behind};
use crate::eval::{Cx, Eval, Value, arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::text::attrs::attrs;
use crate::ty::Ty;
use girih_base::Result as DiagResult;

/// Axes walked from their end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reverse {
    /// The axes.
    pub axes: Vec<usize>,
}

impl Rule for Reverse {
    fn name(&self) -> &'static str {
        "reverse"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        check_axes(&self.axes, x)?;
        Ok(x.clone().into())
    }
}

impl Eval for Reverse {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let (mut base, mut steps) = (0, view::strides(&x.shape));
        for a in &self.axes {
            base += steps[*a] * (x.shape[*a] as isize - 1);
            steps[*a] = -steps[*a];
        }
        Ok(x.view(&x.shape, base, &steps)?.into())
    }
}

attrs!(Reverse "reverse" { axes });

impl Vjp for Reverse {
    fn vjp(&self, b: &mut Backward, _: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None]) };
        Ok(vec![Some(b.g.push(self.clone(), &[ct])?)])
    }
}

impl Batch for Reverse {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        b.push(Reverse { axes: behind(&self.axes) }, &[args[0].id])
    }
}
