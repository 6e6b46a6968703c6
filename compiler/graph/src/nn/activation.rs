//! Elementwise non-linearities and dropout.

use super::{refuse, with};
use crate::graph::{Graph, NodeId};
use crate::random;
use girih_base::{Result, ScalarOp};

/// `x * Phi(x)` by the error function; any float shape, kept.
pub fn gelu(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    g.map(ScalarOp::Gelu, &[x])
}

/// The tanh form of GELU; any float shape, kept.
pub fn gelu_tanh(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    g.map(ScalarOp::GeluTanh, &[x])
}

/// `x * sigmoid(x)`; any float shape, kept.
pub fn silu(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    g.map(ScalarOp::Silu, &[x])
}

/// `max(x, 0)`; any shape, kept.
pub fn relu(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    g.map(ScalarOp::Relu, &[x])
}

/// `silu(gate) * up`; two floats of one shape. Composite `swiglu`.
pub fn swiglu(g: &mut Graph, gate: NodeId, up: NodeId) -> Result<NodeId> {
    g.composite("swiglu", Vec::new(), &[("gate", gate), ("up", up)], |b, p| {
        let s = b.map(ScalarOp::Silu, &[p[0]])?;
        b.map(ScalarOp::Mul, &[s, p[1]])
    })
}

/// Zeroes each element of `x` with probability `rate` and divides the others by `1 - rate`. `key` is a `u32[2]` random
/// key; the mask is `jax.random.bernoulli(key, 1 - rate, x.shape)`. `rate` must lie in `0..1`.
pub fn dropout(g: &mut Graph, x: NodeId, key: NodeId, rate: f64) -> Result<NodeId> {
    if !(0.0..1.0).contains(&rate) {
        return Err(refuse(g, x, format!("a dropout rate lies in 0..1, got {rate}")));
    }
    let shape = g.tensor(x)?.shape.clone();
    let keep = random::bernoulli(g, key, 1.0 - rate, &shape)?;
    let scaled = with(g, ScalarOp::Div, x, 1.0 - rate)?;
    let zero = super::like(g, x, 0.0)?;
    g.map(ScalarOp::Select, &[keep, scaled, zero])
}
