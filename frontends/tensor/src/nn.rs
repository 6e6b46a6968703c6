//! Neural network functions. Shapes are written outermost axis first; `..` stands for any leading axes.
//!
//! Attention, the norms, softmax, rotary embedding and SwiGLU stay one node each in the graph, which targets know by name.

use crate::tensor::Tensor;
use crate::trace;
use girih_base::{DType, Dim, Loc, Result};
use girih_graph::nn as lib;
pub use girih_graph::nn::Conv2d;
use girih_graph::{Graph, NodeId};

/// `x w + b`: `x [.., in]`, `w [in, out]`, `b [out]` -> `[.., out]`.
#[track_caller]
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Tensor {
    with_optional(&[x, w], b, Loc::caller(), |g, i, b| lib::linear(g, i[0], i[1], b))
}

/// Rows of `table [n, d]` at integer `ids [..]` -> `[.., d]`.
#[track_caller]
pub fn embedding(table: &Tensor, ids: &Tensor) -> Tensor {
    Tensor::apply(&[table, ids], Loc::caller(), |g, i| lib::embedding(g, i[0], i[1]))
}

/// Cross-correlation of images with kernels: `x [n, c, h, w]`, `w [o, c / groups, kh, kw]`, `b [o]` -> `[n, o, h', w']`.
#[track_caller]
pub fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, how: &Conv2d) -> Tensor {
    with_optional(&[x, w], b, Loc::caller(), |g, i, b| lib::conv2d(g, i[0], i[1], b, how))
}

/// The largest element of every window: `x [n, c, h, w]` -> `[n, c, h', w']`.
#[track_caller]
pub fn max_pool2d(x: &Tensor, size: [i64; 2], stride: [i64; 2]) -> Tensor {
    Tensor::apply(&[x], Loc::caller(), |g, i| lib::max_pool2d(g, i[0], size, stride, [(0, 0); 2]))
}

/// The average of every window: `x [n, c, h, w]` -> `[n, c, h', w']`.
#[track_caller]
pub fn avg_pool2d(x: &Tensor, size: [i64; 2], stride: [i64; 2]) -> Tensor {
    Tensor::apply(&[x], Loc::caller(), |g, i| lib::avg_pool2d(g, i[0], size, stride, [(0, 0); 2], true))
}

/// `(x - mean) / sqrt(variance + eps) * w + b` over the last axis: `w` and `b [n]`.
#[track_caller]
pub fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Tensor {
    Tensor::apply(&[x, w, b], Loc::caller(), |g, i| lib::layer_norm(g, i[0], i[1], i[2], eps))
}

/// `x / sqrt(mean(x^2) + eps) * w` over the last axis: `w [n]`.
#[track_caller]
pub fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Tensor {
    Tensor::apply(&[x, w], Loc::caller(), |g, i| lib::rms_norm(g, i[0], i[1], eps))
}

/// Layer normalisation over groups of channels: `x [n, c, ..]`, `w` and `b [c]`.
#[track_caller]
pub fn group_norm(x: &Tensor, w: &Tensor, b: &Tensor, groups: usize, eps: f64) -> Tensor {
    Tensor::apply(&[x, w, b], Loc::caller(), |g, i| lib::group_norm(g, i[0], i[1], i[2], groups, eps))
}

/// `exp(x) / sum(exp(x))` along an axis, computed without overflow.
#[track_caller]
pub fn softmax(x: &Tensor, axis: i64) -> Tensor {
    let loc = Loc::caller();
    x.at_axis(axis, &loc, |axis| Tensor::apply(&[x], loc.clone(), |g, i| lib::softmax(g, i[0], axis)))
}

/// `log(softmax(x))` along an axis, accurate where softmax is near 0.
#[track_caller]
pub fn log_softmax(x: &Tensor, axis: i64) -> Tensor {
    let loc = Loc::caller();
    x.at_axis(axis, &loc, |axis| Tensor::apply(&[x], loc.clone(), |g, i| lib::log_softmax(g, i[0], axis)))
}

/// What an [`attention`] may see, and how scores are scaled.
#[derive(Clone, Debug, Default)]
pub struct Attention<'a> {
    /// Factor of the scores; `1 / sqrt(d)` when absent.
    pub scale: Option<f64>,
    /// A bool that broadcasts to the scores `[.., queries, keys]` and hides where it is false.
    pub mask: Option<&'a Tensor>,
    /// The query at position `i` sees the keys `t <= i + causal`: the number of keys before the first query.
    pub causal: Option<Dim>,
}

/// `softmax(q k^T scale) v`: `q [b.., f.., d]`, `k [b.., t, d]`, `v [b.., t, e]` -> `[b.., f.., e]`. All axes of `k` but its
/// last two are batch axes; query heads that share a key head are axes of `f..`.
#[track_caller]
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, how: &Attention) -> Tensor {
    let scale = how.scale.unwrap_or_else(|| 1.0 / (q.dim(-1).max(1) as f64).sqrt());
    with_optional(&[q, k, v], how.mask, Loc::caller(), |g, i, mask| {
        lib::attention(g, i[0], i[1], i[2], mask, scale, how.causal.clone())
    })
}

/// Rotary position embedding of `x [.., s, d]` with `cos` and `sin [s, d / 2]` from [`rope_tables`].
#[track_caller]
pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Tensor {
    Tensor::apply(&[x, cos, sin], Loc::caller(), |g, i| lib::rope(g, i[0], i[1], i[2]))
}

/// Cosine and sine tables f32 `[length, features / 2]` for positions `offset..offset + length`.
#[track_caller]
pub fn rope_tables(length: impl Into<Dim>, features: usize, offset: impl Into<Dim>, theta: f64) -> (Tensor, Tensor) {
    let (length, offset) = (length.into(), offset.into());
    let tables = trace::build(&[], Loc::caller(), |g, _| {
        let (cos, sin) = lib::rope_tables(g, length, features, offset, theta)?;
        Ok(vec![cos, sin])
    });
    match &tables[..] {
        [cos, sin] => (cos.clone(), sin.clone()),
        other => (other[0].clone(), other[0].clone()),
    }
}

/// `x Phi(x)` with the error function.
#[track_caller]
pub fn gelu(x: &Tensor) -> Tensor {
    x.gelu()
}

/// `x sigmoid(x)`.
#[track_caller]
pub fn silu(x: &Tensor) -> Tensor {
    x.silu()
}

/// `max(x, 0)`.
#[track_caller]
pub fn relu(x: &Tensor) -> Tensor {
    x.relu()
}

/// `silu(gate) * up`.
#[track_caller]
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Tensor {
    Tensor::apply(&[gate, up], Loc::caller(), |g, i| lib::swiglu(g, i[0], i[1]))
}

/// Zeroes each element with probability `rate` and divides the others by `1 - rate`. `key` is a random key.
#[track_caller]
pub fn dropout(x: &Tensor, key: &crate::random::Key, rate: f64) -> Tensor {
    Tensor::apply(&[x, &key.0], Loc::caller(), |g, i| lib::dropout(g, i[0], i[1], rate))
}

/// `-log_softmax(logits)[label]` of every example: `logits [.., classes]`, integer `labels [..]` -> `[..]`. A label outside
/// the classes gives 0, so that -1 can mark padding.
#[track_caller]
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    Tensor::apply(&[logits, labels], Loc::caller(), |g, i| lib::cross_entropy(g, i[0], i[1]))
}

/// The share of examples whose largest logit is the label's: `logits [.., classes]`, `labels [..]` i32 -> f32 scalar.
#[track_caller]
pub fn accuracy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.argmax(-1).equal(labels).cast(DType::F32).mean(..)
}

fn with_optional(
    inputs: &[&Tensor],
    optional: Option<&Tensor>,
    loc: Loc,
    f: impl FnOnce(&mut Graph, &[NodeId], Option<NodeId>) -> Result<NodeId>,
) -> Tensor {
    let all: Vec<&Tensor> = inputs.iter().copied().chain(optional).collect();
    Tensor::apply(&all, loc, |g, ids| f(g, ids, ids.get(inputs.len()).copied()))
}
