//! Reverse-mode differentiation: graphs to graphs.
//!
//! A transform copies the graph, then walks the copy backwards. Each operation's own rule ([`Vjp`]) turns the
//! cotangents of its results into those of its operands, in ordinary operations; so gradients can be differentiated
//! and batched again. Transforms leave dead nodes behind for [`Graph::compact`], which they call once at the end.

mod body;
mod engine;
pub(crate) mod folding;
mod forward;
pub(crate) mod looping;

pub use engine::{Backward, Site};
pub use forward::jvp;
pub(crate) use looping::SavedLoop;

use crate::graph::{Graph, NodeId, ParamKind};
use crate::ty::TensorTy;
use engine::{Cache, Pullback, pullback};
use girih_base::{Diag, Loc, Result};

/// One cotangent per tensor of the operands.
pub type Cotangents = Result<Vec<Option<NodeId>>>;

/// The derivative rule of an operation kind.
pub trait Vjp {
    /// The cotangents of the operands from those of the results (`None` stands for zero), appended to `b.g`.
    ///
    /// Tuples are flattened: `cts` has one entry per tensor of the result, the answer one per tensor of the operands.
    /// Entries that `at.needs` does not ask for are ignored.
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents;
}

/// The vector-Jacobian product: parameters are those of `f` and one cotangent per float output of `f`; outputs are the
/// gradients of the parameters `wrt` (positions), of the parameters' types.
pub fn vjp(f: &Graph, wrt: &[usize]) -> Result<Graph> {
    let mask: Vec<bool> = f.outputs().iter().map(|o| is_float(f, *o)).collect();
    let mut cache = Cache::default();
    body::vjp_graph(f, wrt, &mask, &mut cache)
}

/// The gradients of the first output of `f`, a float scalar, by the parameters `wrt` (positions). Outputs: one gradient
/// per entry of `wrt`, then the new states if `f` has states.
pub fn grad(f: &Graph, wrt: &[usize]) -> Result<Graph> {
    differentiate(f, wrt, false)
}

/// The outputs of `f`, then the gradients of its first output, a float scalar, by the parameters `wrt`. New states, which
/// are the last outputs of `f`, stay the last.
pub fn value_and_grad(f: &Graph, wrt: &[usize]) -> Result<Graph> {
    differentiate(f, wrt, true)
}

fn differentiate(f: &Graph, wrt: &[usize], with_values: bool) -> Result<Graph> {
    let loss = f.outputs().first().and_then(|o| f.ty(*o).tensor()).filter(|t| t.rank() == 0 && t.dtype.is_float());
    let Some(ty) = loss.cloned() else {
        let got = f.outputs().first().map_or("no output".into(), |o| f.ty(*o).to_string());
        return Err(Diag::error("G020", format!("only a float scalar has a gradient; `{}` gives {got}", f.name))
            .at(f.outputs().first().map_or(&Loc::unknown(), |o| &f.node(*o).loc), "the first output")
            .help("reduce the result to one number first (for example its mean), or use `vjp`"));
    };
    let states = f.params().iter().filter(|p| is_state(f, **p)).count();
    let mut cache = Cache::default();
    let Pullback { mut g, outputs, grads } = pullback(f, wrt, &mut cache, |g, outputs| {
        let mut seeds = vec![None; outputs.len()];
        seeds[0] = Some(g.splat(1.0, ty)?);
        Ok(seeds)
    })?;
    let (values, state) = outputs.split_at(outputs.len().saturating_sub(states));
    let mut all = if with_values { values.to_vec() } else { Vec::new() };
    all.extend(grads);
    all.extend(state);
    g.set_outputs(all);
    g.name = format!("{}.grad", f.name);
    g.compact()
}

fn is_state(f: &Graph, p: NodeId) -> bool {
    matches!(f.op(p), crate::ops::Op::Param(p) if p.kind == ParamKind::State)
}

/// Whether a node is one float tensor.
pub(crate) fn is_float(g: &Graph, id: NodeId) -> bool {
    g.ty(id).tensor().is_some_and(|t| t.dtype.is_float())
}

/// A tensor of zeros.
pub(crate) fn zeros(g: &mut Graph, ty: &TensorTy) -> Result<NodeId> {
    if ty.dtype.is_float() { g.splat(0.0, ty.clone()) } else { g.splat(0, ty.clone()) }
}

/// The error of an operation that has no derivative.
pub(crate) fn no_derivative(g: &Graph, node: NodeId, what: &str, why: &str) -> Box<Diag> {
    Diag::error("G021", format!("{what} cannot be differentiated: {why}")).at(&g.node(node).loc, "this operation")
}
