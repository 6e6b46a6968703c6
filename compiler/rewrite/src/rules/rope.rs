//! Rotary position embedding recognised from plain operations, for both ways of pairing features.

use super::Class::{Exact, Reassoc};
use super::Phase::{Algebra, Composite};
use super::Rule;
use super::attention::unrepeated;
use crate::build::Build;
use crate::egraph;
use crate::pattern::{Match, payload};
use egg::Id;
use girih_base::{DType, Dim};
use girih_graph::ops::Slice;
use girih_graph::{Op, nn};

pub(super) const RULES: &[Rule] = &[
    // (a cos - b sin, b cos + a sin) with a, b the halves of the last axis
    Rule::build(
        "rope",
        Reassoc,
        Composite,
        "(concat@k (sub (mul ?a ?c) (mul ?b ?s)) (add (mul ?b ?c) (mul ?a ?s)))",
        |b, m| {
            let axis = payload!(m, b, "k", Concat).axis;
            let x = common(halves(b, m.id("a")?, 0), halves(b, m.id("b")?, 1))?;
            if axis + 1 != b.ty(x)?.rank() {
                return None;
            }
            let args = tables(b, m, x)?;
            b.library("rope", &args, |g, p| nn::rope(g, p[0], p[1], p[2]))
        },
    ),
    // the same with a, b the even and odd features
    Rule::build(
        "rope-interleaved",
        Reassoc,
        Composite,
        "(reshape (concat@k (reshape (sub (mul ?a ?c) (mul ?b ?s))) (reshape (add (mul ?b ?c) (mul ?a ?s)))))",
        |b, m| {
            let axis = payload!(m, b, "k", Concat).axis;
            let x = common(strided(b, m.id("a")?, 0), strided(b, m.id("b")?, 1))?;
            let part = b.ty(m.id("a")?)?;
            let same = b.ty(x)? == b.ty(m.root)?;
            // The parts meet on a new last axis of extent 2.
            if axis != part.rank() || !same {
                return None;
            }
            let args = tables(b, m, x)?;
            b.library("rope_interleaved", &args, |g, p| nn::rope_interleaved(g, p[0], p[1], p[2]))
        },
    ),
    // f(c, c) = (f(c), f(c)) and the same for repetition: tables of two equal halves, seen through what was done to them
    Rule::build("map-twice", Exact, Algebra, "(map@f (concat@t ?c ?c))", |b, m| {
        let (f, t) = (payload!(m, b, "f", Map), payload!(m, b, "t", Concat));
        let half = b.map(f, &[m.id("c")?])?;
        b.concat(&[half, half], t.axis)
    }),
    Rule::build("broadcast-twice", Exact, Algebra, "(broadcast@w (concat@t ?c ?c))", |b, m| {
        let (w, t, c) = (payload!(m, b, "w", Broadcast), payload!(m, b, "t", Concat), m.id("c")?);
        let mut shape = w.shape.clone();
        shape[w.axes[t.axis]] = b.ty(c)?.shape[t.axis].clone();
        let half = b.broadcast(c, &shape, &w.axes)?;
        b.concat(&[half, half], w.axes[t.axis])
    }),
    // x cos + (-b, a) sin, the tables being two equal halves
    Rule::build(
        "rope-rotate-half",
        Reassoc,
        Composite,
        "(add (mul ?x (concat@t ?c ?c)) (mul (concat@t (neg ?b) ?a) (concat@t ?s ?s)))",
        |b, m| {
            let (axis, x) = (payload!(m, b, "t", Concat).axis, m.id("x")?);
            let found = common(halves(b, m.id("a")?, 0), halves(b, m.id("b")?, 1))?;
            if found != b.eg.find(x) || axis + 1 != b.ty(x)?.rank() {
                return None;
            }
            let args = tables(b, m, x)?;
            b.library("rope", &args, |g, p| nn::rope(g, p[0], p[1], p[2]))
        },
    ),
];

fn common(a: Vec<Id>, b: Vec<Id>) -> Option<Id> {
    a.into_iter().find(|x| b.contains(x))
}

fn tables(b: &Build, m: &Match, x: Id) -> Option<[Id; 3]> {
    let (c, s) = (m.id("c")?, m.id("s")?);
    let f32s = [x, c, s].iter().all(|i| b.ty(*i).is_some_and(|t| t.dtype == DType::F32));
    f32s.then(|| [x, unrepeated(b, c), unrepeated(b, s)])
}

/// The values of whose last axis class `part` is the first (0) or second (1) half.
fn halves(b: &Build, part: Id, which: i64) -> Vec<Id> {
    sliced(b, part, |s, last, n| {
        let half = n.exact_div(&Dim::from(2))?;
        let start = half.clone() * which;
        let fits = s.stride[last] == 1 && s.start[last] == start && s.limit[last] == start + half;
        fits.then_some(())
    })
}

/// The values of whose last axis class `part` is every second feature, from feature `which` on.
fn strided(b: &Build, part: Id, which: i64) -> Vec<Id> {
    let mut out = sliced(b, part, |s, last, n| {
        let past = s.limit[last].clone() + 2 - n.clone();
        let fits = s.stride[last] == 2 && s.start[last].is(which) && (past.is(2) || (which == 0 && past.is(1)));
        (fits && n.exact_div(&Dim::from(2)).is_some()).then_some(())
    });
    // Or through pairs: reshape x to [.., D / 2, 2], take one of the two, drop the axis.
    let reshapes = |id: Id| {
        b.eg[id].nodes.iter().filter(|n| matches!(egraph::op(b.eg, n), Op::Reshape(_))).map(|n| b.eg.find(n.kids[0]))
    };
    let Some(shape) = b.ty(part).map(|t| t.shape) else { return out };
    for single in reshapes(part) {
        for pairs in sliced(b, single, |s, last, n| {
            (n.is(2) && s.start[last].is(which) && s.limit[last].is(which + 1)).then_some(())
        }) {
            let split = b.ty(pairs).is_some_and(|t| t.rank() == shape.len() + 1 && t.shape[..shape.len()] == shape[..]);
            if split {
                out.extend(reshapes(pairs).filter(|x| joined(b, *x, &shape)));
            }
        }
    }
    out
}

/// Whether `x` has the shape `half` but for a last axis twice as long.
fn joined(b: &Build, x: Id, half: &[Dim]) -> bool {
    let Some((last, lead)) = half.split_last() else { return false };
    b.ty(x).is_some_and(|t| t.shape.split_last().is_some_and(|(l, rest)| rest == lead && *l == last.clone() * 2))
}

/// Operands of slices in class `part` that keep all axes but the last, which `fits` judges.
fn sliced(b: &Build, part: Id, fits: impl Fn(&Slice, usize, &Dim) -> Option<()>) -> Vec<Id> {
    let mut out = Vec::new();
    for n in &b.eg[part].nodes {
        let Op::Slice(s) = egraph::op(b.eg, n) else { continue };
        let Some(shape) = b.ty(n.kids[0]).map(|t| t.shape) else { continue };
        let Some(last) = shape.len().checked_sub(1) else { continue };
        let whole = (0..last).all(|a| s.start[a].is(0) && s.limit[a] == shape[a] && s.stride[a] == 1);
        if whole && fits(s, last, &shape[last]).is_some() {
            out.push(b.eg.find(n.kids[0]));
        }
    }
    out
}
