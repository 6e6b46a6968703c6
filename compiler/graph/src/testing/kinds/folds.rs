//! Products, folds and sorting.

use super::computes;
use crate::ops::*;
use crate::testing::{Fact, Grow};
use crate::ty::TensorTy;
use girih_base::{DType, Dim};

pub(super) fn dot(g: &mut Grow) -> Option<()> {
    let a =
        g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0 && t.dtype != DType::Bool && computes(t.dtype)))?;
    let ty = g.ty(a);
    let left = g.r.below(ty.rank());
    let batch_axis = (0..ty.rank()).find(|i| *i != left).filter(|_| g.r.below(3) == 0);
    let n = g.extent();
    let mut shape = vec![ty.shape[left].clone(), n];
    let mut right = 0;
    if g.r.below(2) == 0 {
        shape.swap(0, 1);
        right = 1;
    }
    let mut batch = Vec::new();
    if let Some(axis) = batch_axis {
        shape.insert(0, ty.shape[axis].clone());
        right += 1;
        batch.push((axis, 0));
    }
    let b = g.like(&TensorTy { dtype: ty.dtype, shape });
    let k = g.elements(&[ty.shape[left].clone()])?[0] as f64;
    let op = Dot { batch, contract: vec![(left, right)], acc: ty.dtype.accumulator(), precision: Precision::Exact };
    let id = g.add(op, &[a.id, b.id])?;
    let exact = !ty.dtype.is_float() && a.exact && b.exact;
    g.keep_all(id, a.bound * b.bound * k.max(1.0), exact)
}

/// A monoid for the value, its accumulator, the result's bound over `n` elements, and whether the result is exact.
fn monoid(g: &mut Grow, x: Fact, n: f64) -> Option<(Monoid, DType, f64, bool)> {
    let dtype = g.ty(x).dtype;
    let plain = match dtype {
        DType::Bool => vec![Monoid::And, Monoid::Or, Monoid::Xor],
        d if d.is_int() => {
            use Monoid::*;
            vec![Sum, Prod, Max, Min, And, Or, Xor, ArgMax, ArgMin]
        }
        _ => {
            vec![Monoid::Sum, Monoid::Max, Monoid::Min, Monoid::ArgMax, Monoid::ArgMin, Monoid::Welford, Monoid::Online]
        }
    };
    let m = g.r.pick(&plain).clone();
    let sums = matches!(m, Monoid::Sum | Monoid::Prod | Monoid::Welford | Monoid::Online);
    let position = matches!(m, Monoid::ArgMax | Monoid::ArgMin);
    // The fold of nothing is infinite, and a position jumps.
    let empty = n == 0.0 && dtype.is_float() && !matches!(m, Monoid::Sum);
    if empty || (position && !x.exact) || (dtype.is_float() && !computes(dtype) && sums) {
        return None;
    }
    let bound = if sums { (x.bound + 1.0).powi(2) * n.max(1.0) } else { x.bound };
    let exact = x.exact && (!dtype.is_float() || !sums);
    Some((m, if sums { dtype.accumulator() } else { dtype }, bound, exact))
}

pub(super) fn reduce(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let ty = g.ty(x);
    let mut axes = vec![g.r.below(ty.rank())];
    let folded: Vec<Dim> = axes.iter().map(|a| ty.shape[*a].clone()).collect();
    let mut n = g.elements(&folded)?[0] as f64;
    let (monoid, acc, mut bound, exact) = monoid(g, x, n)?;
    let second = (0..ty.rank()).find(|a| *a != axes[0]).filter(|_| g.r.below(3) == 0);
    if let (Some(a), false) = (second, matches!(monoid, Monoid::ArgMax | Monoid::ArgMin)) {
        n = g.elements(&[ty.shape[a].clone()])?[0] as f64;
        if n > 0.0 {
            axes.push(a);
            bound *= n;
        }
    }
    let id = g.add(Reduce { monoid, axes, acc }, &[x.id])?;
    g.keep_all(id, bound, exact)
}

pub(super) fn scan(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let ty = g.ty(x);
    let axis = g.r.below(ty.rank());
    let n = g.elements(&[ty.shape[axis].clone()])?[0] as f64;
    let (monoid, acc, bound, exact) = monoid(g, x, n)?;
    // An exclusive scan begins with the identity, which is infinite for the others.
    let exclusive = g.r.below(3) == 0 && (!ty.dtype.is_float() || matches!(monoid, Monoid::Sum));
    let reverse = g.r.below(3) == 0;
    let id = g.add(Scan { monoid, axis, reverse, exclusive, acc }, &[x.id])?;
    g.keep_all(id, bound, exact)
}

pub(super) fn sort(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| x.exact && g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let ty = g.ty(x);
    let y = g.like(&ty.with_dtype(DType::I32));
    let op = Sort { axis: g.r.below(ty.rank()), keys: 1 + g.r.below(2), descending: g.r.below(2) == 0 };
    // A key that is not exact would jump; -0 and 0 are equal keys, which a stable sort keeps in order.
    if !y.exact {
        return None;
    }
    let id = g.add(op, &[x.id, y.id])?;
    g.keep_all(id, x.bound, true)
}
