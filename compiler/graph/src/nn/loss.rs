//! Losses.

use super::{last_axis, log_softmax, over, refuse};
use crate::graph::{Graph, NodeId};
use crate::ops::Monoid;
use girih_base::{Result, ScalarOp};

/// `-log_softmax(logits)[label]` of every example: `logits` [.., classes], integer `labels` [..] -> [..]. A label outside
/// `0..classes` gives 0 (and no gradient), so that -1 can mark padding.
pub fn cross_entropy(g: &mut Graph, logits: NodeId, labels: NodeId) -> Result<NodeId> {
    let (axis, _) = last_axis(g, logits, "cross_entropy")?;
    let (ty, lt) = (g.tensor(logits)?.clone(), g.tensor(labels)?.clone());
    if !lt.dtype.is_int() || lt.shape != ty.shape[..axis] {
        return Err(refuse(g, labels, format!("labels of logits {ty} are integers with all its axes but the last")));
    }
    let logp = log_softmax(g, logits, axis)?;
    let zero = super::like(g, logp, 0.0)?;
    // A comparison instead of a gather: it fuses into the softmax, and its gradient needs no scatter.
    let class = g.iota(ty.with_dtype(lt.dtype), axis)?;
    let label = super::spread(g, labels, &[axis], &ty)?;
    let hit = g.map(ScalarOp::Eq, &[class, label])?;
    let picked = g.map(ScalarOp::Select, &[hit, logp, zero])?;
    let sum = g.reduce(Monoid::Sum, picked, &[axis])?;
    let loss = g.map(ScalarOp::Neg, &[sum])?;
    g.cast(loss, ty.dtype)
}

/// Mean over `axes`, summed in the accumulator; dtype kept.
pub fn mean(g: &mut Graph, x: NodeId, axes: &[usize]) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    if !ty.dtype.is_float() {
        return Err(refuse(g, x, "the mean is taken of floats; cast first"));
    }
    let sum = g.reduce(Monoid::Sum, x, axes)?;
    let n = axes.iter().filter_map(|a| ty.shape.get(*a)).fold(girih_base::Dim::ONE, |n, d| &n * d);
    let y = over(g, sum, &n)?;
    g.cast(y, ty.dtype)
}

/// Mean of `(x - target)^2` over all elements; two floats of one shape -> scalar.
pub fn mean_squared_error(g: &mut Graph, x: NodeId, target: NodeId) -> Result<NodeId> {
    let d = g.map(ScalarOp::Sub, &[x, target])?;
    let square = g.map(ScalarOp::Square, &[d])?;
    let axes: Vec<usize> = (0..g.tensor(square)?.rank()).collect();
    mean(g, square, &axes)
}
