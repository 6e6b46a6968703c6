//! Softmax and normalisations recognised from plain operations.

use super::Class::Reassoc;
use super::Phase::{Composite, Simplify};
use super::Rule;
use crate::build::Build;
use crate::pattern::{Match, payload};
use egg::Id;
use girih_base::DType;
use girih_base::ScalarOp::{Div, Mul, Rsqrt};
use girih_graph::{Monoid, nn};

pub(super) const RULES: &[Rule] = &[
    // x * (1 / s) = x / s, s repeated along the folded axes
    Rule::build("mul-repeated-recip", Reassoc, Simplify, "(mul ?x (broadcast@w (recip ?s)))", |b, m| {
        let w = payload!(m, b, "w", Broadcast);
        let s = b.broadcast(m.id("s")?, &w.shape, &w.axes)?;
        b.map(Div, &[m.id("x")?, s])
    }),
    // x / sqrt(v) = x * rsqrt(v)
    Rule::build("div-repeated-sqrt", Reassoc, Simplify, "(div ?x (broadcast@w (sqrt ?v)))", |b, m| {
        let w = payload!(m, b, "w", Broadcast);
        let r = b.map(Rsqrt, &[m.id("v")?])?;
        let r = b.broadcast(r, &w.shape, &w.axes)?;
        b.map(Mul, &[m.id("x")?, r])
    }),
    // e^(x - max x) / sum e^(x - max x)
    Rule::build(
        "softmax",
        Reassoc,
        Composite,
        "(div (exp (sub ?x (broadcast@w (reduce@m ?x)))) (broadcast@w (reduce@s (exp (sub ?x (broadcast@w (reduce@m ?x)))))))",
        softmax,
    ),
    // x / sqrt(mean x^2 + eps) * w
    Rule::build(
        "rms-norm",
        Reassoc,
        Composite,
        "(mul ?x (broadcast@r (rsqrt (add (mul (reduce@s (square ?x)) ?n) ?e))) (broadcast@g ?w))",
        |b, m| {
            last_axis_norm(b, m, m.id("x")?)?;
            let args = [m.id("x")?, m.id("w")?];
            let eps = b.value(m.id("e")?)?;
            b.library(&format!("rms_norm {eps}"), &args, |g, p| nn::rms_norm(g, p[0], p[1], eps))
        },
    ),
    // (x - mean x) / sqrt(mean (x - mean x)^2 + eps) * w + b
    Rule::build(
        "layer-norm",
        Reassoc,
        Composite,
        "(add (mul (sub ?x (broadcast@r (mul (reduce@s ?x) ?n))) \
              (broadcast@r (rsqrt (add (mul (reduce@s (square (sub ?x (broadcast@r (mul (reduce@s ?x) ?n))))) ?n) ?e))) \
              (broadcast@g ?w)) (broadcast@g ?b))",
        |b, m| {
            last_axis_norm(b, m, m.id("x")?)?;
            let args = [m.id("x")?, m.id("w")?, m.id("b")?];
            let eps = b.value(m.id("e")?)?;
            b.library(&format!("layer_norm {eps}"), &args, |g, p| nn::layer_norm(g, p[0], p[1], p[2], eps))
        },
    ),
];

/// Checks that `s` sums the last axis, `n` is one over its length, `r` repeats along it, and `g` along all others.
fn last_axis_norm(b: &Build, m: &Match, x: Id) -> Option<()> {
    let (s, r, g) = (payload!(m, b, "s", Reduce), payload!(m, b, "r", Broadcast), payload!(m, b, "g", Broadcast));
    let t = b.ty(x)?;
    let last = t.rank().checked_sub(1)?;
    let length = t.shape[last].as_const()? as f64;
    let n = b.value(m.id("n")?)?;
    let fits = s.monoid == Monoid::Sum
        && s.axes == [last]
        && t.dtype == DType::F32
        && s.acc == t.dtype
        && (n * length - 1.0).abs() < 1e-6
        && r.axes.iter().copied().eq(0..last)
        && g.axes == [last];
    fits.then_some(())
}

fn softmax(b: &mut Build, m: &Match) -> Option<Id> {
    let (w, max, sum) = (payload!(m, b, "w", Broadcast), payload!(m, b, "m", Reduce), payload!(m, b, "s", Reduce));
    let x = m.id("x")?;
    let t = b.ty(x)?;
    let [axis] = max.axes[..] else { return None };
    let others: Vec<usize> = (0..t.rank()).filter(|a| *a != axis).collect();
    if max.monoid != Monoid::Max
        || sum.monoid != Monoid::Sum
        || sum.axes != max.axes
        || w.axes != others
        || sum.acc != t.dtype
    {
        return None;
    }
    b.library(&format!("softmax {axis}"), &[x], |g, p| nn::softmax(g, p[0], axis))
}
