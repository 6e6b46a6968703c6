//! The meaning: what members of a group get for what they give.

use super::{Collective, CollectiveKind};
use crate::eval::{Array, Cx, Data, Eval, Value, arrays, view};
use crate::ops::{Monoid, map};
use crate::ty::Ty;
use girih_base::{Diag, Result, ScalarOp};

impl Eval for Collective {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> Result<Value> {
        let [x] = arrays(args)?;
        match self.size {
            1 => Ok(self.exchange(&[x], cx)?.remove(0).into()),
            _ => Err(self.one_device()),
        }
    }
}

impl Collective {
    /// The results of all positions along the axis from the operands of all.
    pub(crate) fn exchange(&self, all: &[&Array], cx: &Cx) -> Result<Vec<Array>> {
        if all.len() != self.size {
            return Err(Diag::error("G209", format!("{} of {} replicas exchange values", all.len(), self.size)));
        }
        if let CollectiveKind::Permute(pairs) = &self.kind {
            let mut out: Vec<Array> = all.iter().map(|x| zeros(x, &x.shape)).collect();
            pairs.iter().for_each(|(from, to)| out[*to] = all[*from].clone());
            return Ok(out);
        }
        let everybody = [(0..self.size).collect()];
        let groups = if self.groups.is_empty() { &everybody[..] } else { &self.groups };
        let mut out: Vec<Option<Array>> = vec![None; self.size];
        for group in groups {
            let given: Vec<&Array> = group.iter().map(|p| all[*p]).collect();
            for (p, y) in group.iter().zip(self.within_group(&given, cx)?) {
                out[*p] = Some(y);
            }
        }
        let missing = || Diag::error("G209", "a replica is in no group");
        out.into_iter().map(|y| y.ok_or_else(missing)).collect()
    }

    fn within_group(&self, given: &[&Array], cx: &Cx) -> Result<Vec<Array>> {
        let n = given.len();
        match &self.kind {
            CollectiveKind::AllReduce(monoid) => Ok(vec![fold(monoid, given)?; n]),
            CollectiveKind::AllGather(axis) => {
                let own: Vec<Array> = given.iter().map(|x| (*x).clone()).collect();
                Ok(vec![join(&own, *axis, cx)?; n])
            }
            CollectiveKind::ReduceScatter(axis) => {
                let sum = fold(&Monoid::Sum, given)?;
                (0..n).map(|p| part(&sum, *axis, p, n)).collect()
            }
            CollectiveKind::AllToAll { split, concat } => {
                let received = |p| given.iter().map(|x| part(x, *split, p, n)).collect::<Result<Vec<_>>>();
                (0..n).map(|p| join(&received(p)?, *concat, cx)).collect()
            }
            CollectiveKind::Permute(_) => Err(Diag::error("G209", "a permutation has no groups")),
        }
    }
}

fn zeros(like: &Array, shape: &[usize]) -> Array {
    Array::splat(like.dtype, shape, crate::literal::Number::Int(0))
}

/// Element by element, in the order of the members.
fn fold(monoid: &Monoid, given: &[&Array]) -> Result<Array> {
    let op = match monoid {
        Monoid::Sum => ScalarOp::Add,
        Monoid::Prod => ScalarOp::Mul,
        Monoid::Max => ScalarOp::Max,
        Monoid::Min => ScalarOp::Min,
        other => return Err(Diag::error("G204", format!("replicas do not fold by `{}`", other.name()))),
    };
    let mut out = given[0].clone();
    for x in &given[1..] {
        let mut data = Data::empty(out.dtype);
        for i in 0..out.len() {
            data.push(out.dtype, map::apply(op, out.dtype, &[out.elem(i), x.elem(i)])?);
        }
        out.data = data;
    }
    Ok(out)
}

fn join(list: &[Array], axis: usize, cx: &Cx) -> Result<Array> {
    let mut shape = list[0].shape.clone();
    shape[axis] *= list.len();
    let dims: Vec<girih_base::Dim> = shape.iter().map(|n| girih_base::Dim::from(*n)).collect();
    let mut out = zeros(&list[0], &cx.shape(&dims)?);
    let own = view::strides(&shape);
    for (i, x) in list.iter().enumerate() {
        let start = (i * x.shape[axis]) as isize * own[axis];
        out.data.place(&x.data, view::walk(&x.shape, start, &own));
    }
    Ok(out)
}

/// Part `p` of `n` equal ones along an axis.
fn part(x: &Array, axis: usize, p: usize, n: usize) -> Result<Array> {
    let mut shape = x.shape.clone();
    shape[axis] /= n;
    let own = view::strides(&x.shape);
    let data = x.data.pick(view::walk(&shape, (p * shape[axis]) as isize * own[axis], &own));
    Ok(Array { dtype: x.dtype, shape, data })
}
