//! Views: merged, dropped, and moved to where they cost nothing. Broadcasts, reshapes and permutations move towards
//! the results (so that arithmetic happens on fewer elements, and views meet and merge); slices move towards the inputs.

use super::Class::Exact;
use super::Phase::Simplify;
use super::Rule;
use crate::build::Build;
use crate::egraph;
use crate::pattern::{Match, payload};
use egg::Id;
use girih_base::{DType, Dim, Known};
use girih_graph::Op;
use girih_graph::ops::{Iota, Slice};

pub(super) const RULES: &[Rule] = &[
    Rule::build("reshape-reshape", Exact, Simplify, "(reshape@r (reshape ?x))", |b, m| {
        let r = payload!(m, b, "r", Reshape);
        b.reshape(m.id("x")?, &r.shape)
    }),
    Rule::build("reshape-same", Exact, Simplify, "(reshape ?x)", |_, m| m.id("x")),
    Rule::build("permute-permute", Exact, Simplify, "(permute@p (permute@q ?x))", |b, m| {
        let (p, q) = (payload!(m, b, "p", Permute).perm, payload!(m, b, "q", Permute).perm);
        let both: Vec<usize> = p.iter().map(|a| q[*a]).collect();
        b.permute(m.id("x")?, &both)
    }),
    Rule::build("permute-unit-axes", Exact, Simplify, "(permute@p ?x)", permute_unit_axes),
    Rule::build("broadcast-broadcast", Exact, Simplify, "(broadcast@o (broadcast@i ?x))", |b, m| {
        let (o, i) = (payload!(m, b, "o", Broadcast), payload!(m, b, "i", Broadcast));
        let axes: Vec<usize> = i.axes.iter().map(|a| o.axes[*a]).collect();
        b.broadcast(m.id("x")?, &o.shape, &axes)
    }),
    Rule::build("broadcast-same", Exact, Simplify, "(broadcast ?x)", |_, m| m.id("x")),
    // A broadcast keeps its kept axes' positions when a permutation keeps their order.
    Rule::build("permute-broadcast", Exact, Simplify, "(permute@p (broadcast@w ?x))", |b, m| {
        let (p, w) = (payload!(m, b, "p", Permute).perm, payload!(m, b, "w", Broadcast));
        let x = m.id("x")?;
        let at: Option<Vec<usize>> = w.axes.iter().map(|a| p.iter().position(|q| q == a)).collect();
        let at = at?;
        let mut order: Vec<usize> = (0..at.len()).collect();
        order.sort_by_key(|i| at[*i]);
        let axes: Vec<usize> = order.iter().map(|i| at[*i]).collect();
        let shape: Vec<Dim> = p.iter().map(|a| w.shape[*a].clone()).collect();
        let x = b.permute(x, &order)?;
        b.broadcast(x, &shape, &axes)
    }),
    Rule::build("broadcast-iota", Exact, Simplify, "(broadcast@w (iota@i))", |b, m| {
        let (w, i) = (payload!(m, b, "w", Broadcast), payload!(m, b, "i", Iota));
        b.add(Iota { ty: i.ty.with_shape(w.shape.clone()), axis: w.axes[i.axis] }, &[])
    }),
    Rule::build("slice-whole", Exact, Simplify, "(slice@s ?x)", |b, m| {
        let (s, x) = (payload!(m, b, "s", Slice), m.id("x")?);
        let t = b.ty(x)?;
        let whole = (0..t.rank()).all(|a| s.start[a].is(0) && s.limit[a] == t.shape[a] && s.stride[a] == 1);
        whole.then_some(x)
    }),
    Rule::build("slice-slice", Exact, Simplify, "(slice@o (slice@i ?x))", slice_slice),
    Rule::build("slice-map-1", Exact, Simplify, "(slice@s (map@f ?a))", slice_map),
    Rule::build("slice-map-2", Exact, Simplify, "(slice@s (map@f ?a ?b))", slice_map),
    Rule::build("slice-cast", Exact, Simplify, "(slice@s (cast@c ?x))", |b, m| {
        let (s, c) = (payload!(m, b, "s", Slice), payload!(m, b, "c", Cast));
        let part = b.add(s, &[m.id("x")?])?;
        b.cast(part, c.to)
    }),
    Rule::build("slice-broadcast", Exact, Simplify, "(slice@s (broadcast@w ?x))", |b, m| {
        let (s, w) = (payload!(m, b, "s", Slice), payload!(m, b, "w", Broadcast));
        let shape = b.ty(m.root)?.shape;
        let pick = |v: &[Dim]| -> Vec<Dim> { w.axes.iter().map(|a| v[*a].clone()).collect() };
        let stride = w.axes.iter().map(|a| s.stride[*a]).collect();
        let part = b.add(Slice { start: pick(&s.start), limit: pick(&s.limit), stride }, &[m.id("x")?])?;
        b.broadcast(part, &shape, &w.axes)
    }),
    Rule::build("slice-permute", Exact, Simplify, "(slice@s (permute@p ?x))", |b, m| {
        let (s, p) = (payload!(m, b, "s", Slice), payload!(m, b, "p", Permute).perm);
        let back: Option<Vec<usize>> = (0..p.len()).map(|a| p.iter().position(|q| *q == a)).collect();
        let back = back?;
        let pick = |v: &[Dim]| -> Vec<Dim> { back.iter().map(|a| v[*a].clone()).collect() };
        let stride = back.iter().map(|a| s.stride[*a]).collect();
        let part = b.add(Slice { start: pick(&s.start), limit: pick(&s.limit), stride }, &[m.id("x")?])?;
        b.permute(part, &p)
    }),
    // The part of a concatenation that lies inside its first or second operand.
    Rule::build("slice-concat", Exact, Simplify, "(slice@s (concat@c ?x ?y))", slice_concat),
    // Neighbouring parts of one value, joined again.
    Rule::build("concat-slices", Exact, Simplify, "(concat@c (slice@s ?x) (slice@t ?x))", concat_slices),
    Rule::build("lift-view-1", Exact, Simplify, "(map@f ?a)", lift_view),
    Rule::build("lift-view-2", Exact, Simplify, "(map@f ?a ?b)", lift_view),
    Rule::build("lift-view-3", Exact, Simplify, "(map@f ?a ?b ?c)", lift_view),
    Rule::build("cast-same", Exact, Simplify, "(cast ?x)", |_, m| m.id("x")),
    // Through a type that holds every value of the first, directly.
    Rule::build("cast-cast", Exact, Simplify, "(cast@o (cast@i ?x))", |b, m| {
        let (o, i, x) = (payload!(m, b, "o", Cast), payload!(m, b, "i", Cast), m.id("x")?);
        if !holds(i.to, b.ty(x)?.dtype) { None } else { b.cast(x, o.to) }
    }),
    Rule::build("bitcast-bitcast", Exact, Simplify, "(bitcast@o (bitcast ?x))", |b, m| {
        let (o, x) = (payload!(m, b, "o", Bitcast), m.id("x")?);
        if b.ty(x)?.dtype == o.to { Some(x) } else { b.add(o, &[x]) }
    }),
];

/// A permutation that only moves axes of extent 1 is a reshape.
fn permute_unit_axes(b: &mut Build, m: &Match) -> Option<Id> {
    let (p, x) = (payload!(m, b, "p", Permute).perm, m.id("x")?);
    let t = b.ty(x)?;
    let long: Vec<usize> = p.iter().copied().filter(|a| !t.shape[*a].is(1)).collect();
    if long.windows(2).any(|w| w[0] > w[1]) {
        return None;
    }
    let shape = b.ty(m.root)?.shape;
    b.reshape(x, &shape)
}

fn slice_slice(b: &mut Build, m: &Match) -> Option<Id> {
    let (o, i) = (payload!(m, b, "o", Slice), payload!(m, b, "i", Slice));
    let mut s = i.clone();
    for a in 0..i.start.len() {
        let step = |d: &Dim| i.start[a].clone() + d.clone() * i.stride[a];
        s.start[a] = step(&o.start[a]);
        // The limit must not reach past the inner slice's own: x[0..5:2][0..3] ends at 5, not at 6.
        s.limit[a] = step(&o.limit[a]).min_of(&i.limit[a]);
        s.stride[a] = i.stride[a].checked_mul(o.stride[a])?;
        // One element has one spelling, or steps would grow without end where a slice of a value equals the value.
        if (s.limit[a].clone() - s.start[a].clone()).known_le(&Dim::from(s.stride[a])).yes()
            && s.start[a].known_le(&(s.limit[a].clone() - 1)).yes()
        {
            (s.limit[a], s.stride[a]) = (s.start[a].clone() + 1, 1);
        }
    }
    b.add(s, &[m.id("x")?])
}

fn slice_map(b: &mut Build, m: &Match) -> Option<Id> {
    let (s, f) = (payload!(m, b, "s", Slice), payload!(m, b, "f", Map));
    let mut parts = Vec::new();
    for name in ["a", "b"].into_iter().take(f.arity()) {
        parts.push(b.add(s.clone(), &[m.id(name)?])?);
    }
    b.map(f, &parts)
}

fn slice_concat(b: &mut Build, m: &Match) -> Option<Id> {
    let (mut s, axis) = (payload!(m, b, "s", Slice), payload!(m, b, "c", Concat).axis);
    let (x, y) = (m.id("x")?, m.id("y")?);
    let split = b.ty(x)?.shape[axis].clone();
    if s.limit[axis].known_le(&split) == Known::Yes {
        return b.add(s, &[x]);
    }
    if split.known_le(&s.start[axis]) != Known::Yes {
        return None;
    }
    s.start[axis] = s.start[axis].clone() - split.clone();
    s.limit[axis] = s.limit[axis].clone() - split;
    b.add(s, &[y])
}

fn concat_slices(b: &mut Build, m: &Match) -> Option<Id> {
    let axis = payload!(m, b, "c", Concat).axis;
    let (s, t) = (payload!(m, b, "s", Slice), payload!(m, b, "t", Slice));
    let fits = s.stride == t.stride
        && s.stride[axis] == 1
        && s.limit[axis] == t.start[axis]
        && (0..s.start.len()).all(|a| a == axis || (s.start[a] == t.start[a] && s.limit[a] == t.limit[a]));
    if !fits {
        return None;
    }
    let mut both = s;
    both.limit[axis] = t.limit[axis].clone();
    b.add(both, &[m.id("x")?])
}

/// f(view(a), view(b), constant) = view(f(a, b, constant)), for the first view that all operands share.
fn lift_view(b: &mut Build, m: &Match) -> Option<Id> {
    let f = payload!(m, b, "f", Map);
    let kids: Option<Vec<Id>> = ["a", "b", "c"].into_iter().take(f.arity()).map(|n| m.id(n)).collect();
    let kids = kids?;
    let first = *kids.iter().find(|k| b.value(**k).is_none())?;
    let views: Vec<(u32, Id)> =
        b.eg[first].nodes.iter().filter(|n| liftable(egraph::op(b.eg, n))).map(|n| (n.op, n.kids[0])).collect();
    let (view, source) = views.into_iter().find(|(op, source)| {
        let shape = b.ty(*source).map(|t| t.shape);
        kids.iter()
            .all(|k| b.value(*k).is_some() || under(b, *k, *op).is_some_and(|s| b.ty(s).map(|t| t.shape) == shape))
    })?;
    let shape = b.ty(source)?.shape;
    let mut inner = Vec::new();
    for k in &kids {
        inner.push(match b.value(*k) {
            Some(v) => {
                let ty = b.ty(*k)?.with_shape(shape.clone());
                b.number(v, &ty)?
            }
            None => under(b, *k, view)?,
        });
    }
    let value = b.map(f, &inner)?;
    let view = b.eg.analysis.op(view).clone();
    b.add(view, &[value])
}

fn liftable(op: &Op) -> bool {
    matches!(op, Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_))
}

/// What the view `op` was applied to in class `id`.
fn under(b: &Build, id: Id, op: u32) -> Option<Id> {
    b.eg[id].nodes.iter().find(|n| n.op == op).map(|n| b.eg.find(n.kids[0]))
}

/// Whether every value of `narrow` is a value of `wide`.
fn holds(wide: DType, narrow: DType) -> bool {
    use DType::*;
    match (wide, narrow) {
        (F64, F32 | F16 | Bf16 | F8E4M3Fn | F8E5M2 | F4E2M1) | (F32, F16 | Bf16 | F8E4M3Fn | F8E5M2 | F4E2M1) => true,
        _ if wide.is_int() && narrow.is_int() => {
            wide == narrow || (wide.bits() > narrow.bits() && (wide.is_signed() || !narrow.is_signed()))
        }
        _ => wide == narrow,
    }
}
