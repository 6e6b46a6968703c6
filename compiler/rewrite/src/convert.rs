//! Graph to e-graph and back. Locations and names ride on the e-nodes.

use crate::egraph::{self, EGraph, ENode, Tables};
use crate::pattern::commutes;
use crate::report::Origin;
use crate::rules;
use egg::Id;
use girih_base::{Diag, Result};
use girih_graph::ops::Rule as _;
use girih_graph::{Graph, NodeId, Op};
use smallvec::SmallVec;

/// An e-graph with the classes of the graph's outputs.
pub struct Loaded {
    /// The e-graph.
    pub eg: EGraph,
    /// Class of each output.
    pub outputs: Vec<Id>,
}

/// Copies the live part of a graph into a new e-graph; equal nodes fall together.
pub fn load(graph: &Graph) -> Loaded {
    let mut eg = EGraph::new(Tables::default());
    let live = graph.live();
    let mut classes: Vec<Option<Id>> = vec![None; graph.len()];
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        let node = graph.node(id);
        let own = matches!(node.op, Op::Param(_)).then(|| node.ty.clone());
        let op = eg.analysis.op_id(node.op.clone(), own);
        let mut kids: SmallVec<[Id; 3]> = graph.operands(id).iter().filter_map(|o| classes[o.0 as usize]).collect();
        if matches!(node.op, Op::Map(op) if commutes(op)) {
            kids.sort();
        }
        let meta = eg.analysis.meta_of(node);
        classes[id.0 as usize] = Some(eg.add(ENode { op, kids, meta }));
    }
    eg.rebuild();
    let outputs = graph.outputs().iter().filter_map(|o| classes[o.0 as usize]).collect();
    Loaded { eg, outputs }
}

/// Writes the chosen nodes as a graph with the parameters of `like`; also says which rules made its nodes.
pub fn unload(
    eg: &EGraph,
    outputs: &[Id],
    choice: &dyn Fn(Id) -> Option<ENode>,
    like: &Graph,
) -> Result<(Graph, Vec<Origin>)> {
    let mut out = Graph::new(like.name.clone());
    for param in like.params() {
        let node = like.node(*param);
        if let Op::Param(p) = &node.op {
            out.param(node.name.as_deref().unwrap_or(""), node.ty.clone(), p.kind, node.loc.clone());
        }
    }
    let mut done: Vec<Option<NodeId>> = Vec::new();
    let mut origins = Vec::new();
    // Depth-first without recursion: a graph may be as deep as it is long.
    let mut stack: Vec<(Id, bool)> = outputs.iter().rev().map(|o| (eg.find(*o), false)).collect();
    while let Some((id, ready)) = stack.pop() {
        let at = usize::from(id);
        if done.len() <= at {
            done.resize(at + 1, None);
        }
        if done[at].is_some() {
            continue;
        }
        let node = choice(id).ok_or_else(|| Diag::error("R001", "the optimiser chose no node for a value"))?;
        if !ready {
            stack.push((id, true));
            stack.extend(node.kids.iter().rev().map(|k| (eg.find(*k), false)));
            continue;
        }
        let kids: SmallVec<[NodeId; 4]> =
            node.kids.iter().filter_map(|k| done.get(usize::from(eg.find(*k))).copied().flatten()).collect();
        done[at] = Some(emit(eg, &node, &kids, &mut out, &mut origins)?);
    }
    let results = outputs.iter().filter_map(|o| done[usize::from(eg.find(*o))]).collect();
    out.set_outputs(results);
    Ok((out, origins))
}

fn emit(eg: &EGraph, node: &ENode, kids: &[NodeId], out: &mut Graph, origins: &mut Vec<Origin>) -> Result<NodeId> {
    let op = egraph::op(eg, node);
    if let Op::Param(p) = op {
        let missing = || Diag::error("R001", "the optimiser lost a parameter");
        return out.params().get(p.index).copied().ok_or_else(missing);
    }
    let meta = &eg.analysis.metas[node.meta as usize];
    let id = out.add(op.clone(), kids, meta.loc.clone())?;
    if let Some(name) = &meta.name {
        out.set_name(id, name);
    }
    if let Some(rule) = meta.rule.and_then(|r| rules::all().get(r as usize)) {
        let what = match op {
            Op::Call(c) => c.callee.name.to_string(),
            Op::Map(op) => op.name().to_string(),
            other => other.name().to_string(),
        };
        origins.push(Origin { node: id.0, op: what, rule: rule.name, loc: meta.loc.to_string() });
    }
    Ok(id)
}
