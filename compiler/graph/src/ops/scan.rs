//! `Scan`: running folds along an axis.

use super::fold::{Columns, Fold, result, row, same_shapes, value_of};
use super::monoid::Monoid;
use super::{Rule, all_tensors, check_axes};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Cx, Eval, Value, all_arrays, view};
use crate::grad::folding::{self, Gives};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::text::attrs::attrs;
use crate::ty::Ty;
use girih_base::{DType, Result as DiagResult};

/// Running folds along one axis; the shape is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    /// The fold.
    pub monoid: Monoid,
    /// The axis.
    pub axis: usize,
    /// From the end of the axis to its start.
    pub reverse: bool,
    /// Element `i` folds the elements before it, not itself.
    pub exclusive: bool,
    /// Dtype of the running value and of the result.
    pub acc: DType,
}

impl Rule for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        same_shapes(&list)?;
        check_axes(&[self.axis], first)?;
        Ok(result(self.monoid.infer(&list, self.acc)?, &first.shape))
    }
}

impl Eval for Scan {
    /// Walks each line in its direction; the results are put back in the order of the axis.
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let shape = list[0].shape.clone();
        let (own, n) = (view::strides(&shape), shape[self.axis]);
        let mut lines = shape.clone();
        lines[self.axis] = 1;
        let mut columns = Columns::new(ty);
        // Where each result element, in the order it is made, belongs.
        let mut places = vec![0; list[0].len()];
        let (mut made, mut x) = (0, Vec::new());
        for base in view::walk(&lines, 0, &own).take(if n == 0 { 0 } else { usize::MAX }) {
            let mut fold = Fold::new(&self.monoid, self.acc, cx);
            for step in 0..n {
                let at = if self.reverse { n - 1 - step } else { step };
                let i = (base as isize + at as isize * own[self.axis]) as usize;
                if self.exclusive {
                    columns.push(&fold.state);
                }
                row(&list, i, &mut x);
                fold.push(&x, at)?;
                if !self.exclusive {
                    columns.push(&fold.state);
                }
                places[i] = made;
                made += 1;
            }
        }
        let mut out = columns.finish(&shape)?;
        out.iter_mut().for_each(|a| a.data = a.data.pick(places.iter().copied()));
        Ok(value_of(out, ty))
    }
}

attrs!(Scan "scan" { monoid, axis, reverse, exclusive, acc });

/// Prefix products, sums and the like of one operand.
pub(super) fn scan(
    b: &mut Backward,
    monoid: Monoid,
    x: NodeId,
    axis: usize,
    reverse: bool,
    exclusive: bool,
) -> DiagResult<NodeId> {
    let acc = b.g.tensor(x)?.dtype;
    b.g.push(Scan { monoid, axis, reverse, exclusive, acc }, &[x])
}

impl Vjp for Scan {
    /// Sums are folded backwards; other folds are differentiated as the loops they are. Of equal elements the earlier one
    /// keeps the maximum.
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let mut out = vec![None; at.operands.len()];
        if let (Monoid::Sum, [Some(ct)]) = (&self.monoid, cts) {
            let dtype = b.g.tensor(at.operands[0])?.dtype;
            let d = scan(b, Monoid::Sum, *ct, self.axis, !self.reverse, self.exclusive)?;
            out[0] = Some(b.g.cast(d, dtype)?);
            return Ok(out);
        }
        let how = (self.axis, self.reverse, Gives::Every { exclusive: self.exclusive });
        let operands = self.monoid.widened(b, at, self.acc)?;
        let wrt: Vec<usize> = (0..operands.len()).filter(|i| at.needs[*i]).collect();
        let grads = folding::differentiate(b, at, &self.monoid, how, &operands, &wrt, cts)?;
        for (w, d) in wrt.iter().zip(grads) {
            let dtype = b.g.tensor(at.operands[*w])?.dtype;
            out[*w] = Some(b.g.cast(d, dtype)?);
        }
        Ok(out)
    }
}

impl Batch for Scan {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let args = b.lift_all(args)?;
        b.push(Scan { axis: self.axis + 1, ..self.clone() }, &args)
    }
}
