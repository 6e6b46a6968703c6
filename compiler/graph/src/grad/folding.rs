//! Folds written out as counted loops: how those are differentiated that have no rule of their own.

use super::{Backward, Site, no_derivative, zeros};
use crate::batch::vmap;
use crate::graph::{Graph, NodeId, ParamKind};
use crate::literal::Number;
use crate::ops::{DynSlice, DynUpdate, Loop, LoopKind, Monoid};
use crate::ty::{TensorTy, product};
use girih_base::{DType, Dim, Loc, Result, ScalarOp};
use std::sync::Arc;

/// What a fold along one axis gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// The final state; the axis keeps extent 1.
    Last,
    /// The state after each element, or before it.
    Every {
        /// Before it.
        exclusive: bool,
    },
}

/// The cotangents of operands folded along `axis`. `operands` are the values that are folded (already in the dtype of
/// the fold), `wrt` those that need a cotangent.
pub(crate) fn differentiate(
    b: &mut Backward,
    at: &Site,
    monoid: &Monoid,
    (axis, reverse, gives): (usize, bool, Gives),
    operands: &[NodeId],
    wrt: &[usize],
    cts: &[Option<NodeId>],
) -> Result<Vec<NodeId>> {
    let tys: Vec<TensorTy> = operands.iter().map(|o| b.g.tensor(*o).cloned()).collect::<Result<_>>()?;
    let Some(combine) = Combine::new(monoid) else {
        let what = format!("a `{}` scan", monoid.name());
        return Err(no_derivative(&b.g, at.node, &what, "no rule is known").help("write it as a counted loop"));
    };
    let graph = as_loop(&combine, &tys, axis, reverse, gives)?;
    let (mask, present) = Backward::present(cts);
    let back = b.body(&graph, wrt, &mask)?;
    let args: Vec<NodeId> = operands.iter().chain(&present).copied().collect();
    b.g.inline(&back, &args, &Loc::unknown())
}

/// The step of a fold, and where it starts.
struct Combine {
    identity: Vec<Number>,
    step: Step,
}

enum Step {
    Scalar(ScalarOp),
    Body(Arc<Graph>),
}

impl Combine {
    /// The folds whose state has the type of their operands.
    fn new(monoid: &Monoid) -> Option<Combine> {
        let one = |op, identity: f64| Combine { identity: vec![identity.into()], step: Step::Scalar(op) };
        Some(match monoid {
            Monoid::Prod => one(ScalarOp::Mul, 1.0),
            Monoid::Max => one(ScalarOp::Max, f64::NEG_INFINITY),
            Monoid::Min => one(ScalarOp::Min, f64::INFINITY),
            Monoid::Custom(body, identity) => Combine { identity: identity.clone(), step: Step::Body(body.clone()) },
            _ => return None,
        })
    }

    /// `state` after `element`, both tensors of one shape.
    fn apply(&self, g: &mut Graph, state: &[NodeId], element: &[NodeId]) -> Result<Vec<NodeId>> {
        match &self.step {
            Step::Scalar(op) => Ok(vec![g.map(*op, &[state[0], element[0]])?]),
            Step::Body(body) => {
                // The body is about scalars: it is mapped over all elements.
                let shape = g.tensor(state[0])?.shape.clone();
                let n = product(&shape);
                let mapped = vmap(body, &vec![Some(0); body.params().len()], n.clone())?;
                let mut args = Vec::new();
                for x in state.iter().chain(element) {
                    args.push(g.reshape(*x, vec![n.clone()])?);
                }
                let out = g.inline(&mapped, &args, &Loc::unknown())?;
                out.into_iter().map(|y| g.reshape(y, shape.clone())).collect()
            }
        }
    }
}

/// A graph over the operands with a counted loop of the fold's meaning.
fn as_loop(combine: &Combine, tys: &[TensorTy], axis: usize, reverse: bool, gives: Gives) -> Result<Graph> {
    let count = tys[0].shape[axis].clone();
    let part = |t: &TensorTy| {
        let mut t = t.clone();
        t.shape[axis] = Dim::ONE;
        t
    };
    // Body: round, states, results so far (none for the last state alone), operands.
    let mut body = Graph::new("fold");
    let mut param = |name: &str, ty: TensorTy| body.param(name, ty, ParamKind::Input, Loc::unknown());
    let round = param("round", TensorTy::scalar(DType::I32));
    let states: Vec<NodeId> = tys.iter().map(|t| param("state", part(t))).collect();
    let outs: Vec<NodeId> = match gives {
        Gives::Last => Vec::new(),
        Gives::Every { .. } => tys.iter().map(|t| param("out", t.clone())).collect(),
    };
    let xs: Vec<NodeId> = tys.iter().map(|t| param("x", t.clone())).collect();
    let place = if reverse {
        let last = body.size(&count - 1, DType::I32)?;
        body.map(ScalarOp::Sub, &[last, round])?
    } else {
        round
    };
    let zero = body.scalar(0, DType::I32)?;
    let starts: Vec<NodeId> = (0..tys[0].rank()).map(|a| if a == axis { place } else { zero }).collect();
    let at = |first: &[NodeId]| -> Vec<NodeId> { first.iter().chain(&starts).copied().collect() };
    let mut elements = Vec::new();
    for (x, t) in xs.iter().zip(tys) {
        elements.push(body.push(DynSlice { sizes: part(t).shape }, &at(&[*x]))?);
    }
    let next = combine.apply(&mut body, &states, &elements)?;
    let written = if gives == (Gives::Every { exclusive: true }) { &states } else { &next };
    let mut outputs = next.clone();
    for (out, value) in outs.iter().zip(written) {
        outputs.push(body.push(DynUpdate { donate: true }, &at(&[*out, *value]))?);
    }
    body.set_outputs(outputs);

    let mut g = Graph::new("fold");
    let xs: Vec<NodeId> = tys.iter().map(|t| g.param("x", t.clone(), ParamKind::Input, Loc::unknown())).collect();
    let mut operands = Vec::new();
    for (t, identity) in tys.iter().zip(&combine.identity) {
        operands.push(g.splat(*identity, part(t))?);
    }
    for t in &tys[..outs.len()] {
        operands.push(zeros(&mut g, t)?);
    }
    let carried = operands.len();
    operands.extend(&xs);
    let l = g.push(Loop { kind: LoopKind::For(count), body: Arc::new(body), carried }, &operands)?;
    let first = if gives == Gives::Last { 0 } else { tys.len() };
    let results = (first..first + tys.len()).map(|i| g.proj(l, i)).collect::<Result<_>>()?;
    g.set_outputs(results);
    Ok(g)
}
