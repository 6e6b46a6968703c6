//! Matrix products: views into their axes, scales out of them, the cheaper order of three factors.

use super::Class::{Exact, Reassoc};
use super::Phase::{Algebra, Simplify};
use super::Rule;
use crate::build::Build;
use crate::pattern::{Match, payload};
use egg::Id;
use girih_base::ScalarOp;
use girih_graph::ops::Dot;

pub(super) const RULES: &[Rule] = &[
    // dot(permute(x), y) = permute(dot(x, y)) over the axes x has
    Rule::build("dot-permute-left", Exact, Simplify, "(dot@d (permute@p ?x) ?y)", |b, m| dot_permute(b, m, true)),
    Rule::build("dot-permute-right", Exact, Simplify, "(dot@d ?y (permute@p ?x))", |b, m| dot_permute(b, m, false)),
    // Operands are multiplied by their own values, so widening them first changes nothing.
    Rule::build("dot-cast", Exact, Algebra, "(dot@d (cast@l ?x) (cast@r ?y))", |b, m| {
        let (d, x, y) = (payload!(m, b, "d", Dot), m.id("x")?, m.id("y")?);
        let (tx, ty) = (b.ty(x)?.dtype, b.ty(y)?.dtype);
        let wide = payload!(m, b, "l", Cast).to;
        let widens = tx == ty && tx.is_float() && wide.is_float() && wide.bits() > tx.bits() && d.acc == wide;
        if widens { b.add(d, &[x, y]) } else { None }
    }),
    // (c x) y = c (x y)
    Rule::build("dot-scale-left", Reassoc, Algebra, "(dot@d (mul ?x ?c) ?y)", |b, m| dot_scale(b, m, true)),
    Rule::build("dot-scale-right", Reassoc, Algebra, "(dot@d ?y (mul ?x ?c))", |b, m| dot_scale(b, m, false)),
    // (diag(s) x) y = diag(s) (x y)
    Rule::build("dot-row-scale-left", Reassoc, Algebra, "(dot@d (mul ?x (broadcast@w ?s)) ?y)", |b, m| {
        row_scale(b, m, ScalarOp::Mul)
    }),
    Rule::build("dot-row-divide-left", Reassoc, Algebra, "(dot@d (div ?x (broadcast@w ?s)) ?y)", |b, m| {
        row_scale(b, m, ScalarOp::Div)
    }),
    // diag(s) (x y) = (diag(s) x) y
    Rule::build("row-scale-into-dot", Reassoc, Algebra, "(mul (dot@d ?x ?y) (broadcast@w ?s))", row_scale_in),
    // (x a) b = x (a b)
    Rule::build("dot-assoc-right", Reassoc, Algebra, "(dot@o (dot@i ?x ?a) ?b)", |b, m| {
        let (x, mid, last) = (m.id("x")?, m.id("a")?, m.id("b")?);
        let (o, i) = plain_pair(b, m, x, mid, last)?;
        // a [.., k, ..] and b: contract a's free axis with b's contracted one.
        let free = *i.rhs_free(b.ty(mid)?.rank()).first()?;
        let ab = Dot { contract: vec![(free, o.contract[0].1)], ..i.clone() };
        let ab = b.add(ab, &[mid, last])?;
        // The product's axes: a's contracted axis, then b's free one.
        b.add(Dot { contract: vec![(i.contract[0].0, 0)], ..o }, &[x, ab])
    }),
    // x (a b) = (x a) b
    Rule::build("dot-assoc-left", Reassoc, Algebra, "(dot@o ?x (dot@i ?a ?b))", |b, m| {
        let (x, mid, last) = (m.id("x")?, m.id("a")?, m.id("b")?);
        let (o, i) = (payload!(m, b, "o", Dot), payload!(m, b, "i", Dot));
        let plain =
            single(&o) && single(&i) && b.ty(mid)?.rank() == 2 && b.ty(last)?.rank() == 2 && o.contract[0].1 == 0;
        if !plain || !same_float(b, x, &o, &i) {
            return None;
        }
        let free = *i.lhs_free(2).first()?;
        let xa = b.add(Dot { contract: vec![(o.contract[0].0, free)], ..i.clone() }, &[x, mid])?;
        // x's free axes, then a's contracted axis, which is the last one.
        let at = b.ty(xa)?.rank() - 1;
        b.add(Dot { contract: vec![(at, i.contract[0].1)], ..o }, &[xa, last])
    }),
];

fn single(d: &Dot) -> bool {
    d.batch.is_empty() && d.contract.len() == 1
}

/// Both products round in the operands' own float type, so regrouping them loses nothing but rounding.
fn same_float(b: &Build, x: Id, o: &Dot, i: &Dot) -> bool {
    o.acc == i.acc && o.precision == i.precision && b.ty(x).is_some_and(|t| t.dtype == o.acc)
}

/// dot(dot(x, a), b) with one contraction each, a and b matrices, and b contracted with a's free axis.
fn plain_pair(b: &Build, m: &Match, x: Id, mid: Id, last: Id) -> Option<(Dot, Dot)> {
    let (o, i) = (payload!(m, b, "o", Dot), payload!(m, b, "i", Dot));
    let plain = single(&o) && single(&i) && b.ty(mid)?.rank() == 2 && b.ty(last)?.rank() == 2;
    // The inner result's last axis is a's free one.
    let chained = plain && o.contract[0].0 == b.ty(x)?.rank() - 1;
    (chained && same_float(b, x, &o, &i)).then_some((o, i))
}

fn dot_permute(b: &mut Build, m: &Match, left: bool) -> Option<Id> {
    let (d, p) = (payload!(m, b, "d", Dot), payload!(m, b, "p", Permute).perm);
    let (x, y) = (m.id("x")?, m.id("y")?);
    let map = |pairs: &[(usize, usize)]| -> Vec<(usize, usize)> {
        pairs.iter().map(|(l, r)| if left { (p[*l], *r) } else { (*l, p[*r]) }).collect()
    };
    let new = Dot { batch: map(&d.batch), contract: map(&d.contract), ..d.clone() };
    // Where each result axis of the old product is in the new one.
    let free = if left { d.lhs_free(p.len()) } else { d.rhs_free(p.len()) };
    let moved: Vec<usize> = free.iter().map(|a| p[*a]).collect();
    let mut sorted = moved.clone();
    sorted.sort();
    let rank = b.ty(m.root)?.rank();
    let offset = if left { d.batch.len() } else { rank - free.len() };
    let mut perm: Vec<usize> = (0..rank).collect();
    for (k, a) in moved.iter().enumerate() {
        perm[offset + k] = offset + sorted.iter().position(|s| s == a)?;
    }
    let product = if left { b.add(new, &[x, y])? } else { b.add(new, &[y, x])? };
    b.permute(product, &perm)
}

fn dot_scale(b: &mut Build, m: &Match, left: bool) -> Option<Id> {
    let (d, x, y, c) = (payload!(m, b, "d", Dot), m.id("x")?, m.id("y")?, m.id("c")?);
    let value = b.value(c).filter(|v| v.is_finite())?;
    if !b.ty(x)?.dtype.is_float() || b.value(x).is_some() {
        return None;
    }
    let product = if left { b.add(d, &[x, y])? } else { b.add(d, &[y, x])? };
    let ty = b.ty(product)?;
    let scale = b.number(value, &ty)?;
    b.map(ScalarOp::Mul, &[product, scale])
}

/// Positions in the product's result of the left axes that `s` varies along; none if one is contracted.
fn result_axes(d: &Dot, rank: usize, axes: &[usize]) -> Option<Vec<usize>> {
    let free = d.lhs_free(rank);
    axes.iter()
        .map(|a| {
            let batch = d.batch.iter().position(|p| p.0 == *a);
            batch.or_else(|| free.iter().position(|f| f == a).map(|f| d.batch.len() + f))
        })
        .collect()
}

fn row_scale(b: &mut Build, m: &Match, op: ScalarOp) -> Option<Id> {
    let (d, w) = (payload!(m, b, "d", Dot), payload!(m, b, "w", Broadcast));
    let (x, y, s) = (m.id("x")?, m.id("y")?, m.id("s")?);
    let t = b.ty(x)?;
    let axes = result_axes(&d, t.rank(), &w.axes)?;
    if t.dtype != d.acc || !t.dtype.is_float() || axes.windows(2).any(|w| w[0] >= w[1]) {
        return None;
    }
    let product = b.add(d, &[x, y])?;
    let shape = b.ty(product)?.shape;
    let scale = b.broadcast(s, &shape, &axes)?;
    b.map(op, &[product, scale])
}

fn row_scale_in(b: &mut Build, m: &Match) -> Option<Id> {
    let (d, w) = (payload!(m, b, "d", Dot), payload!(m, b, "w", Broadcast));
    let (x, y, s) = (m.id("x")?, m.id("y")?, m.id("s")?);
    let t = b.ty(x)?;
    if t.dtype != d.acc || !t.dtype.is_float() {
        return None;
    }
    let free = d.lhs_free(t.rank());
    let axes: Option<Vec<usize>> = w
        .axes
        .iter()
        .map(|a| match a.checked_sub(d.batch.len()) {
            None => Some(d.batch[*a].0),
            Some(f) => free.get(f).copied(),
        })
        .collect();
    let axes = axes?;
    if axes.windows(2).any(|w| w[0] >= w[1]) {
        return None;
    }
    let scale = b.broadcast(s, &t.shape, &axes)?;
    let scaled = b.map(ScalarOp::Mul, &[x, scale])?;
    b.add(d, &[scaled, y])
}
