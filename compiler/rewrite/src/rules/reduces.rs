//! Reductions: fewer axes, merged folds, constants out, long folds in two steps.

use super::Class::{Exact, Reassoc};
use super::Phase::{Algebra, Simplify};
use super::Rule;
use crate::build::Build;
use crate::pattern::{Match, payload};
use egg::Id;
use girih_base::{Dim, ScalarOp};
use girih_graph::Monoid;
use girih_graph::ops::Reduce;

pub(super) const RULES: &[Rule] = &[
    // No axes: nothing to fold.
    Rule::build("reduce-nothing", Exact, Simplify, "(reduce@r ?x)", |b, m| {
        let r = payload!(m, b, "r", Reduce);
        let plain = matches!(r.monoid, Monoid::Sum | Monoid::Prod | Monoid::Max | Monoid::Min);
        if plain && r.axes.is_empty() { b.cast(m.id("x")?, r.acc) } else { None }
    }),
    // The largest of equal elements is the element.
    Rule::build("reduce-broadcast", Exact, Simplify, "(reduce@r (broadcast@w ?x))", reduce_broadcast),
    // fold over permuted axes = permuted fold
    Rule::build("reduce-permute", Exact, Simplify, "(reduce@r (permute@p ?x))", reduce_permute).when(idempotent_or_int),
    Rule::build("reduce-permute-float", Reassoc, Simplify, "(reduce@r (permute@p ?x))", reduce_permute),
    // fold of fold = fold over both
    Rule::build("reduce-reduce", Exact, Simplify, "(reduce@r (reduce@i ?x))", reduce_reduce).when(idempotent_or_int),
    Rule::build("reduce-reduce-float", Reassoc, Simplify, "(reduce@r (reduce@i ?x))", reduce_reduce),
    // sum(c x) = c sum(x)
    Rule::build("sum-scale", Reassoc, Algebra, "(reduce@r (mul ?x ?c))", |b, m| {
        let (r, x, c) = (payload!(m, b, "r", Reduce), m.id("x")?, m.id("c")?);
        let value = b.value(c).filter(|v| v.is_finite())?;
        if r.monoid != Monoid::Sum || b.value(x).is_some() || !r.acc.is_float() || b.ty(x)?.dtype != r.acc {
            return None;
        }
        let sum = b.add(r, &[x])?;
        let ty = b.ty(sum)?;
        let scale = b.number(value, &ty)?;
        b.map(ScalarOp::Mul, &[sum, scale])
    }),
    // sum of n = sum of n / 256 sums of 256
    Rule::build("reduce-split", Exact, Algebra, "(reduce@r ?x)", reduce_split).when(idempotent_or_int),
    Rule::build("reduce-split-float", Reassoc, Algebra, "(reduce@r ?x)", reduce_split),
];

/// Folds whose order cannot be seen in the result.
fn idempotent_or_int(b: &Build, m: &Match) -> bool {
    let fold = || Some(payload!(m, b, "r", Reduce));
    fold().is_some_and(|r| !matches!(r.monoid, Monoid::Sum | Monoid::Prod | Monoid::Custom(..)) || !r.acc.is_float())
}

/// Folds with one result of the operand's type and no notion of position.
fn simple(r: &Reduce) -> bool {
    use Monoid::*;
    matches!(r.monoid, Sum | Prod | Max | Min | And | Or | Xor)
}

fn reduce_broadcast(b: &mut Build, m: &Match) -> Option<Id> {
    let (r, w) = (payload!(m, b, "r", Reduce), payload!(m, b, "w", Broadcast));
    let same = matches!(r.monoid, Monoid::Max | Monoid::Min | Monoid::And | Monoid::Or);
    let x = m.id("x")?;
    // Every folded axis is one the value repeats along, and none is empty.
    let repeats = r.axes.iter().all(|a| !w.axes.contains(a) && w.shape[*a].bounds().0 > 0);
    if !same || !repeats {
        return None;
    }
    let kept: Vec<usize> = (0..w.shape.len()).filter(|a| !r.axes.contains(a)).collect();
    let axes: Option<Vec<usize>> = w.axes.iter().map(|a| kept.iter().position(|k| k == a)).collect();
    let shape = b.ty(m.root)?.shape;
    b.broadcast(x, &shape, &axes?)
}

fn reduce_permute(b: &mut Build, m: &Match) -> Option<Id> {
    let (r, p) = (payload!(m, b, "r", Reduce), payload!(m, b, "p", Permute).perm);
    if !simple(&r) {
        return None;
    }
    let mut axes: Vec<usize> = r.axes.iter().map(|a| p[*a]).collect();
    axes.sort();
    let kept: Vec<usize> = (0..p.len()).filter(|a| !axes.contains(a)).collect();
    let order: Option<Vec<usize>> =
        (0..p.len()).filter(|a| !r.axes.contains(a)).map(|a| kept.iter().position(|k| *k == p[a])).collect();
    let folded = b.reduce(r.monoid, m.id("x")?, axes, r.acc)?;
    b.permute(folded, &order?)
}

fn reduce_reduce(b: &mut Build, m: &Match) -> Option<Id> {
    let (r, i) = (payload!(m, b, "r", Reduce), payload!(m, b, "i", Reduce));
    let x = m.id("x")?;
    if !simple(&r) || r.monoid != i.monoid || r.acc != i.acc {
        return None;
    }
    let kept: Vec<usize> = (0..b.ty(x)?.rank()).filter(|a| !i.axes.contains(a)).collect();
    let mut axes: Vec<usize> = i.axes.iter().copied().chain(r.axes.iter().map(|a| kept[*a])).collect();
    axes.sort();
    b.reduce(r.monoid, x, axes, r.acc)
}

/// Elements below which one group of threads folds a whole tensor about as fast as many.
const LONG: i64 = 1 << 16;
/// Length of each first-step fold.
const PART: i64 = 256;

fn reduce_split(b: &mut Build, m: &Match) -> Option<Id> {
    let (r, x) = (payload!(m, b, "r", Reduce), m.id("x")?);
    let t = b.ty(x)?;
    if !simple(&r) || r.axes.len() != 1 {
        return None;
    }
    let axis = r.axes[0];
    let n = t.shape[axis].as_const()?;
    let rows = (t.elements().exact_div(&t.shape[axis])?).as_const()?;
    // Many rows keep every thread busy without splitting.
    if n < LONG || n % PART != 0 || rows > 64 {
        return None;
    }
    let mut shape = t.shape.clone();
    shape.splice(axis..=axis, [Dim::from(n / PART), Dim::from(PART)]);
    let parts = b.reshape(x, &shape)?;
    let inner = b.reduce(r.monoid.clone(), parts, vec![axis + 1], r.acc)?;
    b.reduce(r.monoid, inner, vec![axis], r.acc)
}
