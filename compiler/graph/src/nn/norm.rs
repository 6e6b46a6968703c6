//! Softmax and the normalisations. Floats narrower than f32 are computed in f32 and rounded once at the end.

use super::{last_axis, over, refuse, spread};
use crate::graph::{Graph, NodeId};
use crate::literal::Number;
use crate::ops::{Attr, Monoid, check_axis};
use girih_base::{Dim, Result, ScalarOp};

/// `exp(x) / sum(exp(x))` along `axis`, shifted by the maximum; shape and dtype kept. Composite `softmax`.
pub fn softmax(g: &mut Graph, x: NodeId, axis: usize) -> Result<NodeId> {
    check_axis(axis, g.tensor(x)?).map_err(|why| refuse(g, x, why))?;
    let attrs = vec![("axis", Attr::Ints(vec![axis as i64]))];
    g.composite("softmax", attrs, &[("x", x)], |b, p| softmax_plain(b, p[0], axis))
}

/// [`softmax`] in plain operations.
pub(crate) fn softmax_plain(g: &mut Graph, x: NodeId, axis: usize) -> Result<NodeId> {
    let dtype = g.tensor(x)?.dtype;
    let x = g.cast(x, dtype.accumulator())?;
    let ty = g.tensor(x)?.clone();
    let shifted = shift_by_max(g, x, axis)?;
    let e = g.map(ScalarOp::Exp, &[shifted])?;
    let sum = g.reduce(Monoid::Sum, e, &[axis])?;
    let sum = spread(g, sum, &[axis], &ty)?;
    let y = g.map(ScalarOp::Div, &[e, sum])?;
    g.cast(y, dtype)
}

/// `x - log(sum(exp(x)))` along `axis`; shape and dtype kept.
pub fn log_softmax(g: &mut Graph, x: NodeId, axis: usize) -> Result<NodeId> {
    check_axis(axis, g.tensor(x)?).map_err(|why| refuse(g, x, why))?;
    let dtype = g.tensor(x)?.dtype;
    let x = g.cast(x, dtype.accumulator())?;
    let ty = g.tensor(x)?.clone();
    let shifted = shift_by_max(g, x, axis)?;
    let e = g.map(ScalarOp::Exp, &[shifted])?;
    let sum = g.reduce(Monoid::Sum, e, &[axis])?;
    let log = g.map(ScalarOp::Log, &[sum])?;
    let log = spread(g, log, &[axis], &ty)?;
    let y = g.map(ScalarOp::Sub, &[shifted, log])?;
    g.cast(y, dtype)
}

fn shift_by_max(g: &mut Graph, x: NodeId, axis: usize) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    let max = g.reduce(Monoid::Max, x, &[axis])?;
    let max = spread(g, max, &[axis], &ty)?;
    g.map(ScalarOp::Sub, &[x, max])
}

/// `x / sqrt(mean(x^2) + eps) * w` over the last axis: `x` [.., n], `w` `[n]`. Composite `rms_norm`.
pub fn rms_norm(g: &mut Graph, x: NodeId, w: NodeId, eps: f64) -> Result<NodeId> {
    let (axis, n) = last_axis(g, x, "rms_norm")?;
    g.composite("rms_norm", eps_attr(eps), &[("x", x), ("w", w)], |b, p| {
        let dtype = b.tensor(p[0])?.dtype;
        let x = b.cast(p[0], dtype.accumulator())?;
        let scale = inverse_deviation(b, x, &[axis], &n, eps)?;
        let y = b.map(ScalarOp::Mul, &[x, scale])?;
        affine(b, y, Some(p[1]), None, dtype)
    })
}

/// `(x - mean) / sqrt(variance + eps) * w + b` over the last axis: `x` [.., n], `w` and `b` `[n]`; the variance is
/// the population's. Composite `layer_norm`.
pub fn layer_norm(g: &mut Graph, x: NodeId, w: NodeId, b: NodeId, eps: f64) -> Result<NodeId> {
    let (axis, n) = last_axis(g, x, "layer_norm")?;
    g.composite("layer_norm", eps_attr(eps), &[("x", x), ("w", w), ("b", b)], |b, p| {
        let dtype = b.tensor(p[0])?.dtype;
        let x = b.cast(p[0], dtype.accumulator())?;
        let y = standardise(b, x, &[axis], &n, eps)?;
        affine(b, y, Some(p[1]), Some(p[2]), dtype)
    })
}

/// Layer normalisation over groups of channels: `x` [N, C, ..], `w` and `b` `[C]`; `groups` must divide C, a constant.
pub fn group_norm(g: &mut Graph, x: NodeId, w: NodeId, b: NodeId, groups: usize, eps: f64) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    let channels = ty.shape.get(1).and_then(Dim::as_const).filter(|c| groups > 0 && c % groups as i64 == 0);
    let Some(channels) = channels else {
        return Err(refuse(g, x, format!("{groups} groups do not divide the channels (axis 1) of {ty}")));
    };
    let wide = g.cast(x, ty.dtype.accumulator())?;
    let mut split = vec![ty.shape[0].clone(), Dim::from(groups), Dim::from(channels / groups as i64)];
    split.extend_from_slice(&ty.shape[2..]);
    let n = crate::ty::product(&split[2..]);
    let axes: Vec<usize> = (2..split.len()).collect();
    let y = g.reshape(wide, split)?;
    let y = standardise(g, y, &axes, &n, eps)?;
    let y = g.reshape(y, ty.shape.clone())?;
    let per_channel = |g: &mut Graph, v: NodeId| -> Result<NodeId> { g.broadcast(v, ty.shape.clone(), vec![1]) };
    let (w, b) = (per_channel(g, w)?, per_channel(g, b)?);
    affine(g, y, Some(w), Some(b), ty.dtype)
}

fn eps_attr(eps: f64) -> Vec<(&'static str, Attr)> {
    vec![("eps", Attr::Number(Number::from(eps)))]
}

/// `(x - mean) / sqrt(variance + eps)` over `axes`, which hold `n` elements.
fn standardise(g: &mut Graph, x: NodeId, axes: &[usize], n: &Dim, eps: f64) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    let sum = g.reduce(Monoid::Sum, x, axes)?;
    let mean = over(g, sum, n)?;
    let mean = spread(g, mean, axes, &ty)?;
    let centred = g.map(ScalarOp::Sub, &[x, mean])?;
    let scale = inverse_deviation(g, centred, axes, n, eps)?;
    g.map(ScalarOp::Mul, &[centred, scale])
}

/// `1 / sqrt(mean(x^2) + eps)` over `axes`, repeated to `x`'s shape.
fn inverse_deviation(g: &mut Graph, x: NodeId, axes: &[usize], n: &Dim, eps: f64) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    let square = g.map(ScalarOp::Mul, &[x, x])?;
    let sum = g.reduce(Monoid::Sum, square, axes)?;
    let mean = over(g, sum, n)?;
    let safe = super::with(g, ScalarOp::Add, mean, eps)?;
    let scale = g.map(ScalarOp::Rsqrt, &[safe])?;
    spread(g, scale, axes, &ty)
}

/// `y * w + b` in `y`'s dtype, then rounded to `dtype`.
fn affine(g: &mut Graph, y: NodeId, w: Option<NodeId>, b: Option<NodeId>, dtype: girih_base::DType) -> Result<NodeId> {
    let wide = g.tensor(y)?.dtype;
    let mut y = y;
    for (op, v) in [(ScalarOp::Mul, w), (ScalarOp::Add, b)] {
        if let Some(v) = v {
            let v = g.cast(v, wide)?;
            y = g.map_broadcast(op, &[y, v])?;
        }
    }
    g.cast(y, dtype)
}
