//! `Reduce`: axes folded away.

use super::fold::{Columns, Fold, result, row, same_shapes, value_of};
use super::layout::inverse;
use super::monoid::Monoid;
use super::scan::scan;
use super::{Rule, all_tensors, check_axes};
use crate::batch::{Batch, Batcher, Lane, behind};
use crate::eval::{Cx, Eval, Value, all_arrays, view};
use crate::grad::folding::{self, Gives};
use crate::grad::{Backward, Cotangents, Site, Vjp, no_derivative, zeros};
use crate::graph::NodeId;
use crate::nn::{over, spread, with};
use crate::text::attrs::attrs;
use crate::ty::Ty;
use girih_base::{DType, Diag, Dim, Result as DiagResult, ScalarOp};

/// Axes folded away. The result has the accumulator's dtype.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// The fold.
    pub monoid: Monoid,
    /// The axes that vanish, in any order. `ArgMax` and `ArgMin` take exactly one.
    pub axes: Vec<usize>,
    /// Dtype of the running value and of the result.
    pub acc: DType,
}

impl Rule for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        same_shapes(&list)?;
        check_axes(&self.axes, first)?;
        if matches!(self.monoid, Monoid::ArgMax | Monoid::ArgMin) && self.axes.len() != 1 {
            return Err(format!("`{}` takes one axis, got {:?}", self.monoid.name(), self.axes));
        }
        let dtypes = self.monoid.infer(&list, self.acc)?;
        let shape: Vec<_> =
            (0..first.rank()).filter(|a| !self.axes.contains(a)).map(|a| first.shape[a].clone()).collect();
        Ok(result(dtypes, &shape))
    }
}

impl Eval for Reduce {
    /// Elements are folded in row-major order of the folded axes.
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let (kept, mut folded): (Vec<_>, Vec<_>) = (0..list[0].shape.len()).partition(|a| !self.axes.contains(a));
        folded.sort();
        let own = view::strides(&list[0].shape);
        let pick = |axes: &[usize]| -> (Vec<usize>, Vec<isize>) {
            (axes.iter().map(|a| list[0].shape[*a]).collect(), axes.iter().map(|a| own[*a]).collect())
        };
        let ((outer, outer_steps), (inner, inner_steps)) = (pick(&kept), pick(&folded));
        let mut columns = Columns::new(ty);
        let mut x = Vec::new();
        for base in view::walk(&outer, 0, &outer_steps) {
            let mut fold = Fold::new(&self.monoid, self.acc, cx);
            for (at, i) in view::walk(&inner, base as isize, &inner_steps).enumerate() {
                row(&list, i, &mut x);
                fold.push(&x, at)?;
            }
            columns.push(&fold.state);
        }
        Ok(value_of(columns.finish(&outer)?, ty))
    }
}

attrs!(Reduce "reduce" { monoid, axes, acc });

impl Vjp for Reduce {
    /// Where several elements share the maximum (minimum), each gets an equal part; `ArgMax` and `ArgMin` give all of it
    /// to the first one.
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        if let Monoid::Custom(..) = self.monoid {
            return self.custom_vjp(b, at, cts);
        }
        let narrow = b.g.tensor(at.operands[0])?.clone();
        let x = b.g.cast(at.operands[0], self.acc)?;
        let ty = narrow.with_dtype(self.acc);
        let axes = &self.axes;
        let d = match (&self.monoid, cts) {
            (_, [None]) | (_, [None, None]) => return Ok(vec![None; at.operands.len()]),
            (Monoid::Sum, [Some(ct)]) => spread(&mut b.g, *ct, axes, &ty)?,
            (Monoid::Prod, [Some(ct)]) => {
                let others = product_of_others(b, x, axes)?;
                let ct = spread(&mut b.g, *ct, axes, &ty)?;
                b.g.map(ScalarOp::Mul, &[ct, others])?
            }
            (Monoid::Max | Monoid::Min, [Some(ct)]) => share(b, x, at.node, *ct, axes)?,
            (Monoid::ArgMax | Monoid::ArgMin, [Some(ct), _]) => {
                let winner = b.g.proj(at.node, 1)?;
                let at_i = ty.with_dtype(DType::I32);
                let winner = spread(&mut b.g, winner, axes, &at_i)?;
                let position = b.g.iota(at_i, axes[0])?;
                let hit = b.g.map(ScalarOp::Eq, &[position, winner])?;
                let (ct, zero) = (spread(&mut b.g, *ct, axes, &ty)?, zeros(&mut b.g, &ty)?);
                b.g.map(ScalarOp::Select, &[hit, ct, zero])?
            }
            (Monoid::Welford, [mean_ct, squares_ct]) => {
                let mut parts = Vec::new();
                if let Some(ct) = mean_ct {
                    let n = axes.iter().fold(Dim::ONE, |n, a| &n * &ty.shape[*a]);
                    let each = over(&mut b.g, *ct, &n)?;
                    parts.push(spread(&mut b.g, each, axes, &ty)?);
                }
                if let Some(ct) = squares_ct {
                    let mean = b.g.proj(at.node, 0)?;
                    let mean = spread(&mut b.g, mean, axes, &ty)?;
                    let centred = b.g.map(ScalarOp::Sub, &[x, mean])?;
                    let twice = with(&mut b.g, ScalarOp::Mul, centred, 2.0)?;
                    let ct = spread(&mut b.g, *ct, axes, &ty)?;
                    parts.push(b.g.map(ScalarOp::Mul, &[ct, twice])?);
                }
                add_up(b, &parts)?
            }
            (Monoid::Online, [max_ct, sum_ct]) => {
                // l = sum exp(x - m): x moves l directly, and through m by -l.
                let (m, l) = (b.g.proj(at.node, 0)?, b.g.proj(at.node, 1)?);
                let (mut parts, mut through_max) = (Vec::new(), max_ct.iter().copied().collect::<Vec<_>>());
                if let Some(ct) = sum_ct {
                    let wide = spread(&mut b.g, m, axes, &ty)?;
                    let shifted = b.g.map(ScalarOp::Sub, &[x, wide])?;
                    let e = b.g.map(ScalarOp::Exp, &[shifted])?;
                    let spread_ct = spread(&mut b.g, *ct, axes, &ty)?;
                    parts.push(b.g.map(ScalarOp::Mul, &[spread_ct, e])?);
                    let back = b.g.map(ScalarOp::Mul, &[*ct, l])?;
                    through_max.push(b.g.map(ScalarOp::Neg, &[back])?);
                }
                let ct = add_up(b, &through_max)?;
                parts.push(share(b, x, m, ct, axes)?);
                add_up(b, &parts)?
            }
            (other, _) => {
                let what = format!("a `{}` fold", other.name());
                return Err(no_derivative(&b.g, at.node, &what, "no rule is known"));
            }
        };
        Ok(vec![Some(b.g.cast(d, narrow.dtype)?)])
    }
}

fn add_up(b: &mut Backward, parts: &[NodeId]) -> DiagResult<NodeId> {
    match parts {
        [one] => Ok(*one),
        [x, y] => b.g.map(ScalarOp::Add, &[*x, *y]),
        _ => Err(Diag::error("G021", "a fold has no cotangent")),
    }
}

/// `ct` in equal parts to the elements that equal the folded value `best`, 0 to the others.
fn share(b: &mut Backward, x: NodeId, best: NodeId, ct: NodeId, axes: &[usize]) -> DiagResult<NodeId> {
    let ty = b.g.tensor(x)?.clone();
    let best = spread(&mut b.g, best, axes, &ty)?;
    let hit = b.g.map(ScalarOp::Eq, &[x, best])?;
    let ones = b.g.cast(hit, ty.dtype.accumulator())?;
    let ties = b.g.reduce(Monoid::Sum, ones, axes)?;
    let ties = b.g.cast(ties, ty.dtype)?;
    let part = b.g.map(ScalarOp::Div, &[ct, ties])?;
    let (part, zero) = (spread(&mut b.g, part, axes, &ty)?, zeros(&mut b.g, &ty)?);
    b.g.map(ScalarOp::Select, &[hit, part, zero])
}

/// For every element the product of all others over `axes`: products before it times products after it, so that zeros
/// are no special case.
fn product_of_others(b: &mut Backward, x: NodeId, axes: &[usize]) -> DiagResult<NodeId> {
    let ty = b.g.tensor(x)?.clone();
    let mut order: Vec<usize> = (0..ty.rank()).filter(|a| !axes.contains(a)).collect();
    let kept = order.len();
    order.extend(axes);
    let moved = b.g.permute(x, &order)?;
    let full = b.g.tensor(moved)?.shape.clone();
    let mut shape = full[..kept].to_vec();
    shape.push(crate::ty::product(&full[kept..]));
    let flat = b.g.reshape(moved, shape)?;
    let before = scan(b, Monoid::Prod, flat, kept, false, true)?;
    let after = scan(b, Monoid::Prod, flat, kept, true, true)?;
    let others = b.g.map(ScalarOp::Mul, &[before, after])?;
    let others = b.g.reshape(others, full)?;
    b.g.permute(others, &inverse(&order))
}

impl Reduce {
    /// The derivative of a custom fold: its axes as one, last axis, folded by a loop.
    fn custom_vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let shape = b.g.tensor(at.operands[0])?.shape.clone();
        let mut order: Vec<usize> = (0..shape.len()).filter(|a| !self.axes.contains(a)).collect();
        let kept = order.len();
        order.extend((0..shape.len()).filter(|a| self.axes.contains(a)));
        let moved: Vec<Dim> = order.iter().map(|a| shape[*a].clone()).collect();
        let mut flat = moved[..kept].to_vec();
        flat.push(crate::ty::product(&moved[kept..]));
        let mut single = moved[..kept].to_vec();
        single.push(Dim::ONE);

        let mut operands = Vec::new();
        for o in &at.operands {
            let x = b.g.permute(*o, &order)?;
            operands.push(b.g.reshape(x, flat.clone())?);
        }
        let mut wide = Vec::new();
        for ct in cts {
            wide.push(match ct {
                Some(ct) => Some(b.g.reshape(*ct, single.clone())?),
                None => None,
            });
        }
        let wrt: Vec<usize> = (0..operands.len()).filter(|i| at.needs[*i]).collect();
        let how = (kept, false, Gives::Last);
        let grads = folding::differentiate(b, at, &self.monoid, how, &operands, &wrt, &wide)?;
        let mut out = vec![None; at.operands.len()];
        for (w, d) in wrt.iter().zip(grads) {
            let d = b.g.reshape(d, moved.clone())?;
            out[*w] = Some(b.g.permute(d, &inverse(&order))?);
        }
        Ok(out)
    }
}

impl Batch for Reduce {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let args = b.lift_all(args)?;
        b.push(Reduce { axes: behind(&self.axes), ..self.clone() }, &args)
    }
}
