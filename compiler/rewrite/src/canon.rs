//! Canonical order of associative chains, before the e-graph, so that no rule there has to know associativity.
//!
//! Integer, bool and min/max chains are flattened, sorted (constants last) and rebuilt from the left: exact. Float sums
//! and products keep the order they were written in: their patterns match chains in any order anyway, and a
//! recognised part (`0.5 x (1 + erf ..)`) must stay together.

use girih_base::{Result, ScalarOp};
use girih_graph::{Graph, NodeId, Op};
use smallvec::SmallVec;

/// The live part of a graph with sorted chains.
pub fn canonical(graph: &Graph) -> Result<Graph> {
    let live = graph.live();
    let mut uses = vec![0usize; graph.len()];
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        graph.operands(id).iter().for_each(|o| uses[o.0 as usize] += 1);
    }
    graph.outputs().iter().for_each(|o| uses[o.0 as usize] += 1);

    let mut out = Graph::new(graph.name.clone());
    let mut map: Vec<Option<NodeId>> = vec![None; graph.len()];
    for (at, param) in graph.params().iter().enumerate() {
        let node = graph.node(*param);
        let Op::Param(p) = &node.op else { continue };
        debug_assert_eq!(p.index, at);
        let name = node.name.as_deref().unwrap_or("");
        map[param.0 as usize] = Some(out.param(name, node.ty.clone(), p.kind, node.loc.clone()));
    }
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        if map[id.0 as usize].is_some() {
            continue;
        }
        let node = graph.node(id);
        let new = match chain_op(graph, id) {
            Some(op) => rebuild_chain(graph, &mut out, &map, &uses, id, op)?,
            None => {
                let kids: SmallVec<[NodeId; 4]> = graph.operands(id).iter().filter_map(|o| map[o.0 as usize]).collect();
                out.add(node.op.clone(), &kids, node.loc.clone())?
            }
        };
        if let Some(name) = &node.name {
            out.set_name(new, name);
        }
        map[id.0 as usize] = Some(new);
    }
    let outputs = graph.outputs().iter().filter_map(|o| map[o.0 as usize]).collect();
    out.set_outputs(outputs);
    Ok(out)
}

/// The operation of a node, if its chains may be reordered without changing any result.
fn chain_op(graph: &Graph, id: NodeId) -> Option<ScalarOp> {
    use ScalarOp::*;
    let Op::Map(op) = graph.op(id) else { return None };
    let float = graph.ty(id).tensor()?.dtype.is_float();
    match op {
        Min | Max | And | Or | Xor => Some(*op),
        Add | Mul if !float => Some(*op),
        _ => None,
    }
}

fn rebuild_chain(
    graph: &Graph,
    out: &mut Graph,
    map: &[Option<NodeId>],
    uses: &[usize],
    id: NodeId,
    op: ScalarOp,
) -> Result<NodeId> {
    let mut leaves: Vec<NodeId> = Vec::new();
    let mut open: Vec<NodeId> = graph.operands(id).to_vec();
    while let Some(next) = open.pop() {
        // A value that others use too stays whole.
        if uses[next.0 as usize] == 1 && chain_op(graph, next) == Some(op) {
            open.extend(graph.operands(next));
        } else {
            leaves.push(next);
        }
    }
    leaves.sort_by_key(|l| (matches!(graph.op(*l), Op::Const(_)), *l));
    let mut leaves = leaves.iter().filter_map(|l| map[l.0 as usize]);
    let loc = &graph.node(id).loc;
    let mut value = leaves.next();
    for leaf in leaves {
        value = Some(match value {
            Some(v) => out.add(op.into(), &[v, leaf], loc.clone())?,
            None => leaf,
        });
    }
    match value {
        Some(v) => Ok(v),
        None => out.add(op.into(), &[], loc.clone()),
    }
}
