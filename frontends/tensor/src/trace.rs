//! From tensors to graphs and back: the only place where the two meet.
//!
//! * [`build`] runs a graph builder on the types of some tensors and turns what it built into lazy tensors;
//! * [`lower`] collects the lazy tensors behind some results into one graph;
//! * [`splice`] puts a whole graph (a derivative, a batched function) behind tensors.

use crate::tensor::{CONST, KNOWN, State, Tensor};
use girih_base::{Diag, Loc, Result};
use girih_graph::ops::{Attr, Call};
use girih_graph::{Callee, Graph, NodeId, Op, ParamKind, TensorTy, Ty};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Numbers of traces: they only grow, so that a trace inside another has the larger one.
static NEXT_TRACE: AtomicU64 = AtomicU64::new(KNOWN + 1);

/// A function being watched. Tensors that depend on its arguments have at least this level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    pub fn new() -> Trace {
        Trace(NEXT_TRACE.fetch_add(1, Ordering::Relaxed))
    }

    /// A stand-in for an argument of this type.
    pub fn argument(self, ty: TensorTy, name: &str, loc: Loc) -> Tensor {
        Tensor::make(ty.into(), loc, self.0, Some(name.into()), State::Traced)
    }

    /// Whether a tensor belongs to what surrounds the trace: known elements, or values of an outer trace.
    fn is_outside(self, t: &Tensor) -> bool {
        t.0.level != CONST && t.0.level < self.0
    }
}

/// Applies a function on graphs to tensors. New nodes get `loc`, and errors name the operands as the user knows them.
pub(crate) fn build(
    inputs: &[&Tensor],
    loc: Loc,
    f: impl FnOnce(&mut Graph, &[NodeId]) -> Result<Vec<NodeId>>,
) -> Vec<Tensor> {
    if let Some(why) = inputs.iter().find_map(|t| t.refusal()) {
        return vec![Tensor::refused(Box::new((*why).clone()))];
    }
    let mut graph = Graph::new("");
    let mut ids = Vec::with_capacity(inputs.len());
    for (i, t) in inputs.iter().enumerate() {
        let name = t.name();
        let name = name.as_deref().map_or(format!("operand {i}"), str::to_string);
        ids.push(graph.param(&name, t.0.ty.clone(), ParamKind::Input, t.0.loc.clone()));
    }
    graph.set_loc(loc);
    let args: Vec<Tensor> = inputs.iter().map(|t| (*t).clone()).collect();
    let outputs = f(&mut graph, &ids).and_then(|outputs| {
        graph.set_outputs(outputs);
        put_behind(&graph, &args, &mut |op| shared(op))
    });
    outputs.unwrap_or_else(|why| vec![Tensor::refused(why)])
}

type Key = (Arc<str>, Vec<(&'static str, Attr)>, Vec<Ty>);

thread_local! {
    /// Bodies of library functions that tensors use now. Looked up only; its order reaches nothing.
    static LIBRARY: RefCell<HashMap<Key, Weak<Callee>>> = RefCell::default();
}

/// A call of a library function with the body that earlier calls of it use: name, attributes and argument types decide.
/// So a model with thirty attentions has one attention to compile.
fn shared(op: &Op) -> Op {
    let Op::Call(Call { callee }) = op else { return op.clone() };
    let types = callee.body.params().iter().map(|p| callee.body.ty(*p).clone()).collect();
    let key = (callee.name.clone(), callee.attrs.clone(), types);
    LIBRARY.with_borrow_mut(|library| {
        if let Some(known) = library.get(&key).and_then(Weak::upgrade) {
            return Call { callee: known }.into();
        }
        library.retain(|_, callee| callee.strong_count() > 0);
        library.insert(key, Arc::downgrade(callee));
        op.clone()
    })
}

/// The outputs of `graph` with tensors for its parameters, as lazy tensors.
pub(crate) fn splice(graph: &Graph, args: &[Tensor]) -> Result<Vec<Tensor>> {
    put_behind(graph, args, &mut Op::clone)
}

fn put_behind(graph: &Graph, args: &[Tensor], replace: &mut dyn FnMut(&Op) -> Op) -> Result<Vec<Tensor>> {
    if let Some(why) = args.iter().find_map(|t| t.refusal()) {
        return Err(Box::new((*why).clone()));
    }
    let live = graph.live();
    let mut made: Vec<Option<Tensor>> = vec![None; graph.len()];
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        let node = graph.node(id);
        let tensor = match &node.op {
            Op::Param(p) => args.get(p.index).cloned().ok_or_else(|| missing(graph))?,
            op => {
                let operands: Vec<Tensor> = graph
                    .operands(id)
                    .iter()
                    .map(|o| made[o.0 as usize].clone().ok_or_else(|| missing(graph)))
                    .collect::<Result<_>>()?;
                let level = operands.iter().map(|t| t.0.level).max().unwrap_or(CONST);
                let state = State::Lazy(replace(op), operands);
                Tensor::make(node.ty.clone(), node.loc.clone(), level, node.name.clone(), state)
            }
        };
        made[id.0 as usize] = Some(tensor);
    }
    graph.outputs().iter().map(|o| made[o.0 as usize].clone().ok_or_else(|| missing(graph))).collect()
}

fn missing(graph: &Graph) -> Box<Diag> {
    Diag::error("T007", format!("`{}` takes {} arguments, got fewer", graph.name, graph.params().len()))
}

/// A call of `callee`, which keeps its identity.
pub(crate) fn call(callee: &Arc<Callee>, args: &[Tensor], loc: &Loc) -> Result<Vec<Tensor>> {
    let mut graph = Graph::new("");
    let body = &callee.body;
    let ids: Vec<NodeId> = (body.params().iter())
        .map(|p| graph.param("", body.ty(*p).clone(), ParamKind::Input, Loc::unknown()))
        .collect();
    graph.set_loc(loc.clone());
    let outputs = graph.call(callee, &ids)?;
    graph.set_outputs(outputs);
    splice(&graph, args)
}

/// A function as a graph.
pub(crate) struct Lowered {
    /// Its parameters are the arguments, then one for each captured tensor.
    pub graph: Graph,
    /// Tensors from outside the function that it uses.
    pub captured: Vec<Tensor>,
    /// The lazy tensors that became nodes, with their nodes.
    pub inside: Vec<(Tensor, NodeId)>,
}

impl Lowered {
    /// The lazy tensors, of those that depend on known elements, that someone outside the graph still holds.
    pub fn held(&self) -> Vec<(Tensor, NodeId)> {
        let mut uses: HashMap<usize, usize> = HashMap::new();
        for (t, _) in &self.inside {
            if let State::Lazy(_, operands) = t.state() {
                operands.iter().for_each(|o| *uses.entry(o.key()).or_default() += 1);
            }
        }
        // One more handle is the one in `inside`.
        let is_held = |t: &Tensor| t.handles() > uses.get(&t.key()).copied().unwrap_or(0) + 1;
        let worth = |t: &Tensor| t.0.level == KNOWN && t.ty().is_some();
        self.inside.iter().filter(|(t, _)| worth(t) && is_held(t)).cloned().collect()
    }
}

/// The graph behind `outputs` as a function of `arguments`.
///
/// With a trace, what lies outside of it is captured; without one, known elements are.
pub(crate) fn lower(name: &str, trace: Option<Trace>, arguments: &[Tensor], outputs: &[Tensor]) -> Result<Lowered> {
    if let Some(why) = outputs.iter().find_map(|t| t.refusal()) {
        return Err(Box::new((*why).clone()));
    }
    let mut graph = Graph::new(name);
    // Looked up by identity only; never walked, so its order cannot reach the graph.
    let mut ids: HashMap<usize, NodeId> = HashMap::new();
    let (mut captured, mut inside) = (Vec::new(), Vec::new());
    for t in arguments {
        let name = t.name().unwrap_or_else(|| Arc::from(format!("x{}", ids.len())));
        ids.insert(t.key(), graph.param(&name, t.0.ty.clone(), ParamKind::Input, t.0.loc.clone()));
    }
    let mut pending: Vec<(Tensor, bool)> = outputs.iter().rev().map(|t| (t.clone(), false)).collect();
    while let Some((t, operands_done)) = pending.pop() {
        if ids.contains_key(&t.key()) {
            continue;
        }
        let outside = trace.is_some_and(|trace| trace.is_outside(&t)) || t.is_known();
        let id = match t.state() {
            _ if outside => {
                let name = t.name().unwrap_or_else(|| Arc::from(format!("captured{}", captured.len())));
                captured.push(t.clone());
                graph.param(&name, t.0.ty.clone(), ParamKind::Input, t.0.loc.clone())
            }
            State::Lazy(op, operands) if operands_done => {
                let nodes: Vec<NodeId> = operands.iter().filter_map(|o| ids.get(&o.key()).copied()).collect();
                let id = graph.add(op, &nodes, t.0.loc.clone())?;
                if let Some(name) = t.name() {
                    graph.set_name(id, &name);
                }
                inside.push((t.clone(), id));
                id
            }
            State::Lazy(_, operands) => {
                pending.push((t, true));
                pending.extend(operands.into_iter().rev().map(|o| (o, false)));
                continue;
            }
            State::Refused(why) => return Err(Box::new((*why).clone())),
            State::Traced | State::Known(_) => return Err(leaked(&t)),
        };
        ids.insert(t.key(), id);
    }
    graph.set_outputs(outputs.iter().filter_map(|t| ids.get(&t.key()).copied()).collect());
    Ok(Lowered { graph, captured, inside })
}

fn leaked(t: &Tensor) -> Box<Diag> {
    Diag::error("T003", format!("the elements of a traced tensor are not known: {}", t.describe()))
        .at(&t.0.loc, "it stands for an argument made here")
        .note("`jit`, `grad` and `vmap` run a function once with stand-ins, to see what it computes")
        .help("return the tensor from the function and read it outside; choose with `where_` instead of `if`")
}
