//! Functions that people compose models from. Each builds plain operations; those that a target may know by name
//! are wrapped as a `Call` of a body that defines them ([`Graph::composite`]).
//!
//! Shapes are written outermost axis first; `..` stands for any number of leading axes. Every function gives an
//! error when shapes or dtypes do not fit, naming the operands and their source lines.

mod activation;
mod attention;
mod batched;
mod conv;
mod dequant;
mod index;
mod loss;
mod norm;
mod rope;

pub use activation::{dropout, gelu, gelu_tanh, relu, silu, swiglu};
pub use attention::{attention, attention_plain, grouped_attention};
pub(crate) use batched::batched_composite;
pub use conv::{Conv2d, avg_pool2d, conv2d, max_pool2d};
pub use dequant::dequant;
pub use index::{argmax, cumsum, embedding, one_hot, stop_gradient, take, take_along, top_k, where_};
pub use loss::{cross_entropy, mean, mean_squared_error};
pub use norm::{group_norm, layer_norm, log_softmax, rms_norm, softmax};
pub use rope::{rope, rope_interleaved, rope_tables};

use crate::graph::{Graph, NodeId, ParamKind};
use crate::literal::Number;
use crate::ops::{Attr, Callee};
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Diag, Dim, Result, ScalarOp};
use std::sync::Arc;

/// A matrix product with a bias: `x` [.., in], `w` [in, out], `b` `[out]` -> [.., out] of `x`'s dtype.
pub fn linear(g: &mut Graph, x: NodeId, w: NodeId, b: Option<NodeId>) -> Result<NodeId> {
    let dtype = g.tensor(x)?.dtype;
    let y = g.matmul(x, w)?;
    let y = g.cast(y, dtype)?;
    match b {
        Some(b) => g.map_broadcast(ScalarOp::Add, &[y, b]),
        None => Ok(y),
    }
}

impl Graph {
    /// Calls a library function by name. The body is built once per name, attributes and argument types, and shared
    /// by all later calls in this graph. `args` are the parameter names and the arguments.
    pub fn composite(
        &mut self,
        name: &str,
        attrs: Vec<(&'static str, Attr)>,
        args: &[(&str, NodeId)],
        build: impl FnOnce(&mut Graph, &[NodeId]) -> Result<NodeId>,
    ) -> Result<NodeId> {
        let results = self.composite_many(name, attrs, args, |b, p| Ok(vec![build(b, p)?]))?;
        Ok(results[0])
    }

    /// [`Graph::composite`] with any number of results.
    pub fn composite_many(
        &mut self,
        name: &str,
        attrs: Vec<(&'static str, Attr)>,
        args: &[(&str, NodeId)],
        build: impl FnOnce(&mut Graph, &[NodeId]) -> Result<Vec<NodeId>>,
    ) -> Result<Vec<NodeId>> {
        let tys: Vec<Ty> = args.iter().map(|a| self.ty(a.1).clone()).collect();
        let fits = |c: &Callee| {
            let params = c.body.params();
            *c.name == *name
                && c.attrs == attrs
                && params.len() == tys.len()
                && params.iter().zip(&tys).all(|(p, t)| c.body.ty(*p) == t)
        };
        let callee = match self.composites.iter().find(|c| fits(c)) {
            Some(known) => known.clone(),
            None => {
                let mut body = Graph::new(name);
                body.set_loc(self.here.clone());
                let mut params = Vec::new();
                for ((n, a), ty) in args.iter().zip(tys) {
                    params.push(body.param(n, ty, ParamKind::Input, self.node(*a).loc.clone()));
                }
                let results = build(&mut body, &params)?;
                body.set_outputs(results);
                let callee = Arc::new(Callee { name: name.into(), attrs, body });
                self.composites.push(callee.clone());
                callee
            }
        };
        let operands: Vec<NodeId> = args.iter().map(|a| a.1).collect();
        self.call(&callee, &operands)
    }
}

/// A constant of the type of `x`.
pub(crate) fn like(g: &mut Graph, x: NodeId, value: f64) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    let value: Number = if ty.dtype.is_float() { value.into() } else { (value as i64).into() };
    g.splat(value, ty)
}

/// A size as a scalar of any number dtype.
pub(crate) fn count(g: &mut Graph, n: &Dim, dtype: DType) -> Result<NodeId> {
    match n.as_const() {
        Some(n) if dtype.is_float() => g.scalar(n as f64, dtype),
        Some(n) => g.scalar(n, dtype),
        None => {
            let n = g.size(n.clone(), DType::I32)?;
            g.cast(n, dtype)
        }
    }
}

/// `x` divided by the number `n` of elements it was summed over.
pub(crate) fn over(g: &mut Graph, x: NodeId, n: &Dim) -> Result<NodeId> {
    let dtype = g.tensor(x)?.dtype;
    let n = count(g, n, dtype)?;
    g.map_broadcast(ScalarOp::Div, &[x, n])
}

/// `x` op constant.
pub(crate) fn with(g: &mut Graph, op: ScalarOp, x: NodeId, value: f64) -> Result<NodeId> {
    let c = like(g, x, value)?;
    g.map(op, &[x, c])
}

/// A reduced value with its vanished axes back, repeated to `ty`'s shape.
pub(crate) fn spread(g: &mut Graph, x: NodeId, axes: &[usize], ty: &TensorTy) -> Result<NodeId> {
    let kept = (0..ty.rank()).filter(|a| !axes.contains(a)).collect();
    g.broadcast(x, ty.shape.clone(), kept)
}

/// The last axis of `x` and its extent; scalars are refused.
pub(crate) fn last_axis(g: &Graph, x: NodeId, what: &str) -> Result<(usize, Dim)> {
    let t = g.tensor(x)?;
    match t.shape.last() {
        Some(d) => Ok((t.rank() - 1, d.clone())),
        None => Err(refuse(g, x, format!("{what} needs at least one axis, got {t}"))),
    }
}

/// An error about a value.
pub(crate) fn refuse(g: &Graph, x: NodeId, why: impl Into<String>) -> Box<Diag> {
    let node = g.node(x);
    let diag = Diag::error("G010", why).at(&g.here, "this operation").at(&node.loc, "the value was made here");
    match &node.name {
        Some(name) => diag.note(format!("the value is `{name}`: {}", node.ty)),
        None => diag.note(format!("the value is {}", node.ty)),
    }
}
