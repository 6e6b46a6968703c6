//! Attention from products, scale, mask and softmax, whatever the order of its axes, with or without shared key heads.

use super::Class::Reassoc;
use super::Phase::Composite;
use super::{Rule, index};
use crate::build::Build;
use crate::egraph;
use crate::pattern::{Match, Pattern, payload};
use egg::Id;
use girih_base::{DType, Dim};
use girih_graph::ops::{Attr, Broadcast, Dot};
use girih_graph::{Op, nn};
use std::sync::OnceLock;

pub(super) const RULES: &[Rule] = &[
    // softmax(mask(q k^T scale)) v. A query that sees no key at all is outside the promise: NaN when written with -inf, the
    // average of the values in the composite.
    Rule::build("attention", Reassoc, Composite, "(dot@o (softmax ?s) ?v)", attention),
];

/// What is known of the scores.
struct Scores {
    dot: Dot,
    q: Id,
    k: Id,
    scale: f64,
    /// Masks over the scores; true where a key is seen.
    masks: Vec<Id>,
}

/// The forms of scores, as patterns: the mask selects against a large negative number or adds it.
fn forms() -> &'static [Pattern] {
    static FORMS: OnceLock<Vec<Pattern>> = OnceLock::new();
    FORMS.get_or_init(|| {
        let bare = ["(mul (dot@d ?q ?k) ?c)", "(dot@d ?q ?k)"];
        let wrapped = [
            "(select ?n (select ?m BARE ?low) ?low)",
            "(select ?m BARE ?low)",
            "(add BARE (select ?m 0 ?low))",
            "BARE",
        ];
        let texts = wrapped.iter().flat_map(|w| bare.iter().map(move |b| w.replace("BARE", b)));
        texts.filter_map(|t| Pattern::parse(&t).ok()).collect()
    })
}

/// A mask value so low that exp(low - anything seen) is zero in f32.
const LOW: f64 = -1e4;

fn scores(b: &Build, s: Id) -> Option<Scores> {
    for form in forms() {
        let mut found = None;
        form.search(b.eg, s, &mut |subst| {
            let m = Match { pattern: form, subst: &subst, root: s };
            if found.is_none() {
                found = read(b, &m);
            }
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

fn read(b: &Build, m: &Match) -> Option<Scores> {
    let Op::Dot(dot) = m.op(b.eg, "d")? else { return None };
    let scale = match m.id("c") {
        Some(c) => b.value(c)?,
        None => 1.0,
    };
    if let Some(low) = m.id("low") {
        b.value(low).filter(|v| *v <= LOW)?;
    }
    Some(Scores {
        dot: dot.clone(),
        q: m.id("q")?,
        k: m.id("k")?,
        scale,
        masks: ["m", "n"].iter().filter_map(|n| m.id(n)).collect(),
    })
}

fn attention(b: &mut Build, m: &Match) -> Option<Id> {
    let (s, v) = (m.id("s")?, m.id("v")?);
    let outer = payload!(m, b, "o", Dot);
    let t = b.ty(s)?;
    let last = t.rank().checked_sub(1)?;
    let Scores { dot, q, k, scale, mut masks } = scores(b, s)?;
    let (nb, tq, tk, tv) = (dot.batch.len(), b.ty(q)?, b.ty(k)?, b.ty(v)?);
    // softmax runs over the last axis of the scores, which is the keys' one free axis.
    let softmax_last = softmax_axis(b, m.root, s, &outer)? == last;
    let k_free = dot.rhs_free(tk.rank());
    let straight = outer.batch.len() == nb
        && outer.batch.iter().enumerate().all(|(i, p)| p.0 == i)
        && outer.contract.len() == 1
        && outer.contract[0].0 == last
        && outer.rhs_free(tv.rank()).len() == 1
        && dot.contract.len() == 1
        && k_free.len() == 1;
    let f32s = [tq.dtype, tk.dtype, tv.dtype, dot.acc, outer.acc].iter().all(|d| *d == DType::F32);
    if !softmax_last || !straight || !f32s || t.rank() < nb + 2 {
        return None;
    }
    // Axes in the composite's order: batch, free, contracted.
    let mut q_order: Vec<usize> = dot.batch.iter().map(|p| p.0).collect();
    q_order.extend(dot.lhs_free(tq.rank()));
    q_order.push(dot.contract[0].0);
    let mut k_order: Vec<usize> = dot.batch.iter().map(|p| p.1).collect();
    k_order.extend([k_free[0], dot.contract[0].1]);
    let mut v_order: Vec<usize> = outer.batch.iter().map(|p| p.1).collect();
    v_order.extend([outer.contract[0].1, outer.rhs_free(tv.rank())[0]]);
    let (q, k, v) = (b.permute(q, &q_order)?, b.permute(k, &k_order)?, b.permute(v, &v_order)?);
    // One causal mask is an attribute; of the others one may be an operand.
    let found = masks.iter().position(|mask| index::causal(b, *mask, last - 1, last).is_some());
    let causal = found.and_then(|at| index::causal(b, masks.remove(at), last - 1, last));
    let mut args = vec![q, k, v];
    match masks[..] {
        [] => {}
        [mask] => args.push(unrepeated(b, mask)),
        _ => return None,
    }
    call_grouped(b, args, scale, causal)
}

/// The axis of the softmax that the match looked through.
fn softmax_axis(b: &Build, root: Id, s: Id, outer: &Dot) -> Option<usize> {
    let probabilities = b.eg[root].nodes.iter().filter(|n| matches!(egraph::op(b.eg, n), Op::Dot(d) if d == outer));
    probabilities.flat_map(|n| &b.eg[n.kids[0]].nodes).find_map(|n| match egraph::op(b.eg, n) {
        Op::Call(c) if &*c.callee.name == "softmax" && b.eg.find(n.kids[0]) == b.eg.find(s) => {
            match c.callee.attr("axis")? {
                Attr::Ints(axes) => axes.first().map(|a| *a as usize),
                Attr::Dim(d) => d.as_const().map(|a| a as usize),
                Attr::Number(n) => Some(n.as_int() as usize),
                _ => None,
            }
        }
        _ => None,
    })
}

/// A mask before it was repeated along leading axes.
pub(super) fn unrepeated(b: &Build, mask: Id) -> Id {
    let source = b.eg[mask].nodes.iter().find_map(|n| match egraph::op(b.eg, n) {
        Op::Broadcast(w) if w.axes.iter().rev().zip((0..w.shape.len()).rev()).all(|(a, i)| *a == i) => Some(n.kids[0]),
        _ => None,
    });
    source.unwrap_or(mask)
}

/// The call. Keys and values repeated for groups of query heads are passed once:
/// q [G*H, S, D] with k, v [H, T, D] repeated G times = q [H, G, S, D] with k, v [H, T, D].
fn call_grouped(b: &mut Build, mut args: Vec<Id>, scale: f64, causal: Option<Dim>) -> Option<Id> {
    let (k, v) = (repeated(b, args[1]), repeated(b, args[2]));
    let tq = b.ty(args[0])?;
    let mut result_shape = None;
    if let (Some((k, k_groups)), Some((v, v_groups))) = (k, v)
        && k_groups == v_groups
        && tq.rank() >= 3
        && args.len() == 3
    {
        let at = b.ty(k)?.rank() - 3;
        let heads = b.ty(k)?.shape[at].clone();
        let mut shape = tq.shape.clone();
        shape.splice(at..=at, [heads, k_groups]);
        let mut result = tq.shape.clone();
        *result.last_mut()? = b.ty(v)?.shape.last()?.clone();
        args[0] = b.reshape(args[0], &shape)?;
        (args[1], args[2]) = (k, v);
        result_shape = Some(result);
    }
    let out = b.library(&format!("attention {scale} {causal:?}"), &args, |g, p| {
        nn::attention(g, p[0], p[1], p[2], p.get(3).copied(), scale, causal)
    })?;
    match result_shape {
        Some(shape) => b.reshape(out, &shape),
        None => Some(out),
    }
}

/// What was repeated, and how often, if a class is `reshape(broadcast(x [.., H, T, D] to [.., H, G, T, D]))`.
fn repeated(b: &Build, id: Id) -> Option<(Id, Dim)> {
    let t = b.ty(id)?;
    b.eg[id].nodes.iter().filter(|n| matches!(egraph::op(b.eg, n), Op::Reshape(_))).find_map(|n| {
        b.eg[n.kids[0]].nodes.iter().find_map(|w| {
            let Op::Broadcast(Broadcast { shape, axes }) = egraph::op(b.eg, w) else { return None };
            let rank = shape.len();
            let group = rank.checked_sub(3)?;
            let fits = rank == t.rank() + 1
                && group >= 1
                && axes.iter().copied().eq((0..rank).filter(|a| *a != group))
                && shape[rank - 2..] == t.shape[t.rank() - 2..];
            fits.then(|| (b.eg.find(w.kids[0]), shape[group].clone()))
        })
    })
}
