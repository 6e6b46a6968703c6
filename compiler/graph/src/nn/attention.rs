//! Scaled dot-product attention, also with fewer key/value heads than query heads.

use super::norm::softmax_plain;
use super::{count, refuse, with};
use crate::graph::{Graph, NodeId};
use crate::literal::Number;
use crate::ops::Attr;
use girih_base::{DType, Dim, Result, ScalarOp};

/// The score of a key that must not be seen. Finite, so that a row without any visible key gives the average of all
/// values and never NaN.
const HIDDEN: f64 = -2.3819763e38;

/// `softmax(q k^T * scale) v`, one composite call of [`attention_plain`] named `attention`.
///
/// `q` [B.., F.., D], `k` [B.., T, D], `v` [B.., T, E] -> [B.., F.., E] of `q`'s dtype. All axes of `k` but its last
/// two are batch axes; query heads that share a key/value head are axes of `F..`. `mask`, a bool that broadcasts to
/// the scores [B.., F.., T], hides where it is false. With `causal`, the query at position `i` of the last `F` axis
/// sees the keys `t <= i + causal`; `causal` is the number of keys before the first query (the cache position).
pub fn attention(
    g: &mut Graph,
    q: NodeId,
    k: NodeId,
    v: NodeId,
    mask: Option<NodeId>,
    scale: f64,
    causal: Option<Dim>,
) -> Result<NodeId> {
    let mut attrs = Vec::new();
    attrs.extend(causal.clone().map(|c| ("causal", Attr::Dim(c))));
    attrs.push(("scale", Attr::Number(Number::from(scale))));
    let mut args = vec![("q", q), ("k", k), ("v", v)];
    args.extend(mask.map(|m| ("mask", m)));
    g.composite("attention", attrs, &args, |b, p| {
        attention_plain(b, p[0], p[1], p[2], p.get(3).copied(), scale, causal)
    })
}

/// [`attention`] in plain operations. Scores and softmax are computed in the dtype's accumulator.
pub fn attention_plain(
    g: &mut Graph,
    q: NodeId,
    k: NodeId,
    v: NodeId,
    mask: Option<NodeId>,
    scale: f64,
    causal: Option<Dim>,
) -> Result<NodeId> {
    let (dtype, rank, keys) = (g.tensor(q)?.dtype, g.tensor(q)?.rank(), g.tensor(k)?.rank());
    if keys < 2 || rank + 1 < keys || (causal.is_some() && rank < keys) {
        return Err(refuse(g, q, "attention takes queries [B.., F.., D], keys [B.., T, D] and values [B.., T, E]")
            .note(format!("the keys are {}", g.ty(k))));
    }
    let nb = keys - 2;
    let batch: Vec<(usize, usize)> = (0..nb).map(|i| (i, i)).collect();
    let scores = g.dot(q, k, &batch, &[(rank - 1, keys - 1)])?;
    let mut scores = with(g, ScalarOp::Mul, scores, scale)?;
    let ty = g.tensor(scores)?.clone();
    if let Some(offset) = causal {
        let visible = causal_mask(g, &ty.shape[rank - 2], &ty.shape[rank - 1], &offset)?;
        scores = hide(g, scores, visible)?;
    }
    if let Some(mask) = mask {
        scores = hide(g, scores, mask)?;
    }
    let p = softmax_plain(g, scores, rank - 1)?;
    let p = g.cast(p, dtype)?;
    let y = g.dot(p, v, &batch, &[(rank - 1, keys - 2)])?;
    g.cast(y, dtype)
}

/// Attention over heads side by side, as projections give them: `q` [.., S, H, D], `k` [.., T, G, D], `v` [.., T, G, E]
/// -> [.., S, H, E], where `G` divides `H` and head `h` of the queries uses head `h / (H / G)` of keys and values.
pub fn grouped_attention(
    g: &mut Graph,
    q: NodeId,
    k: NodeId,
    v: NodeId,
    scale: f64,
    causal: Option<Dim>,
) -> Result<NodeId> {
    let (tq, tk, tv) = (g.tensor(q)?.clone(), g.tensor(k)?.clone(), g.tensor(v)?.clone());
    let n = tq.rank();
    if n < 3 || tk.rank() != n || tv.rank() != n {
        return Err(refuse(g, q, "grouped attention takes [.., length, heads, features] three times")
            .note(format!("the keys are {tk}, the values {tv}")));
    }
    let (heads, groups) = (&tq.shape[n - 2], &tk.shape[n - 2]);
    let Some(shared) = heads.exact_div(groups) else {
        return Err(refuse(g, q, format!("{groups} key/value heads do not divide {heads} query heads")));
    };
    // [.., S, H, D] -> [.., H, S, D] -> [.., G, H/G, S, D]
    let mut swap: Vec<usize> = (0..n).collect();
    swap.swap(n - 3, n - 2);
    let (q, k, v) = (g.permute(q, &swap)?, g.permute(k, &swap)?, g.permute(v, &swap)?);
    let mut split = tq.shape[..n - 3].to_vec();
    split.extend([groups.clone(), shared, tq.shape[n - 3].clone(), tq.shape[n - 1].clone()]);
    let q = g.reshape(q, split)?;
    let y = attention(g, q, k, v, None, scale, causal)?;
    let mut joined = tq.shape[..n - 3].to_vec();
    joined.extend([heads.clone(), tq.shape[n - 3].clone(), tv.shape[n - 1].clone()]);
    let y = g.reshape(y, joined)?;
    g.permute(y, &swap)
}

/// bool [queries, keys]: whether key `t <= i + offset`.
fn causal_mask(g: &mut Graph, queries: &Dim, keys: &Dim, offset: &Dim) -> Result<NodeId> {
    let ty = crate::ty::TensorTy::new(DType::I32, [queries.clone(), keys.clone()]);
    let (i, t) = (g.iota(ty.clone(), 0)?, g.iota(ty.clone(), 1)?);
    let offset = count(g, offset, DType::I32)?;
    let last = g.map_broadcast(ScalarOp::Add, &[i, offset])?;
    g.map(ScalarOp::Le, &[t, last])
}

fn hide(g: &mut Graph, scores: NodeId, visible: NodeId) -> Result<NodeId> {
    let shape = g.tensor(scores)?.shape.clone();
    let visible = g.broadcast_to(visible, &shape)?;
    let hidden = super::like(g, scores, HIDDEN)?;
    g.map(ScalarOp::Select, &[visible, scores, hidden])
}
