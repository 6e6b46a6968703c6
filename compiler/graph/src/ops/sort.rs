//! `Sort`: stable, by the leading operands.

use super::{Rule, all_tensors, check_axis};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Array, Cx, Eval, Value, all_arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::text::attrs::attrs;
use crate::ty::Ty;
use girih_base::DType;
use girih_base::{Result as DiagResult, Scalar};
use std::cmp::Ordering;

/// Sorts all operands together along one axis; the first `keys` of them decide, in order.
/// Floats are ordered by the total order of IEEE 754 with -0 = 0 and NaN last (first when descending).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The axis.
    pub axis: usize,
    /// Number of leading operands that are compared.
    pub keys: usize,
    /// Largest first.
    pub descending: bool,
}

impl Rule for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        check_axis(self.axis, first)?;
        if self.keys == 0 || self.keys > list.len() {
            return Err(format!("{} keys among {} operands", self.keys, list.len()));
        }
        if let Some(t) = list.iter().find(|t| t.shape != first.shape) {
            return Err(format!("shapes differ: {first} and {t}"));
        }
        Ok(match operands {
            [one] => (*one).clone(),
            _ => Ty::Tuple(operands.iter().map(|t| (*t).clone()).collect()),
        })
    }
}

/// Numbers by value, -0 = 0; NaN after all numbers.
fn total_order(a: Scalar, b: Scalar) -> Ordering {
    match (a, b) {
        (Scalar::Float(a), Scalar::Float(b)) => a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())),
        (a, b) => a.as_int().cmp(&b.as_int()),
    }
}

impl Eval for Sort {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let shape = &list[0].shape;
        let (own, n) = (view::strides(shape), shape[self.axis]);
        let step = own[self.axis] as usize;
        let compare = |a: &usize, b: &usize| {
            let keys = list[..self.keys].iter().map(|k| total_order(k.elem(*a), k.elem(*b)));
            let order = keys.fold(Ordering::Equal, Ordering::then);
            if self.descending { order.reverse() } else { order }
        };
        let mut lines = shape.clone();
        lines[self.axis] = 1;
        let mut source = vec![0; list[0].len()];
        for base in view::walk(&lines, 0, &own).take(if n == 0 { 0 } else { usize::MAX }) {
            let mut line: Vec<usize> = (0..n).map(|i| base + i * step).collect();
            line.sort_by(compare);
            line.into_iter().enumerate().for_each(|(i, from)| source[base + i * step] = from);
        }
        let sorted = list.iter().map(|a| {
            Value::from(Array { dtype: a.dtype, shape: a.shape.clone(), data: a.data.pick(source.iter().copied()) })
        });
        let mut sorted: Vec<Value> = sorted.collect();
        Ok(if sorted.len() == 1 { sorted.remove(0) } else { Value::Tuple(sorted) })
    }
}

attrs!(Sort "sort" { axis, keys, descending });

impl Vjp for Sort {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        // Positions sorted along with the operands say where each element came from; sorting the cotangents by them
        // sends each back.
        let mut out = vec![None; at.operands.len()];
        let ty = b.g.tensor(at.operands[0])?.with_dtype(DType::I32);
        let mut forward = at.operands.clone();
        forward.push(b.g.iota(ty, self.axis)?);
        let sorted = b.g.push(self.clone(), &forward)?;
        let origin = b.g.proj(sorted, at.operands.len())?;
        let present: Vec<usize> = (0..cts.len()).filter(|i| cts[*i].is_some()).collect();
        let mut backward = vec![origin];
        backward.extend(cts.iter().flatten());
        let returned = b.g.push(Sort { axis: self.axis, keys: 1, descending: false }, &backward)?;
        for (place, i) in present.iter().enumerate() {
            out[*i] = Some(b.g.proj(returned, place + 1)?);
        }
        Ok(out)
    }
}

impl Batch for Sort {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let args = b.lift_all(args)?;
        b.push(Sort { axis: self.axis + 1, ..self.clone() }, &args)
    }
}
