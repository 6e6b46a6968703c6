//! Chooses the nodes that get memory of their own. Only speed depends on it: a trace names what it cannot pull in.

use girih_graph::{Graph, Literal, NodeId, Op, Ty};
use std::collections::BTreeSet;

/// Whether a node only rearranges elements.
pub fn is_view(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) | Op::Reverse(_) | Op::Window(_))
}

/// Whether a node is a kernel of its own kind: it always gets memory.
fn is_root(graph: &Graph, id: NodeId) -> bool {
    match graph.op(id) {
        Op::Concat(_) => !feeds_update(graph, id),
        Op::Param(_) | Op::Scatter(_) | Op::DynUpdate(_) | Op::Scan(_) | Op::Sort(_) | Op::Fence(_) => true,
        Op::Const(c) => matches!(c.value, Literal::Dense(_)),
        Op::Pad(p) => p.interior.iter().any(|i| *i != 0),
        Op::Call(c) => !c.callee.name.starts_with("dequant."),
        Op::Loop(_) | Op::Cond(_) | Op::Kernel(_) => true,
        Op::Proj(_) => {
            let tuple = graph.operands(id)[0];
            !matches!(graph.op(tuple), Op::Tuple(_) | Op::Reduce(_))
        }
        _ => false,
    }
}

/// Whether a value is only written into a larger one, directly or through a reshape.
fn feeds_update(graph: &Graph, id: NodeId) -> bool {
    match &graph.users(id)[..] {
        [user] => match graph.op(*user) {
            Op::DynUpdate(_) => graph.operands(*user)[1] == id,
            Op::Reshape(_) => !graph.outputs().contains(user) && feeds_update(graph, *user),
            _ => false,
        },
        _ => false,
    }
}

/// Operands that an operation reads at computed places, or hands to a body: they must be in memory.
fn needed_in_memory(graph: &Graph, id: NodeId) -> Vec<NodeId> {
    let operands = graph.operands(id);
    match graph.op(id) {
        Op::Gather(_) | Op::DynSlice(_) | Op::DynUpdate(_) => vec![operands[0]],
        Op::Call(c) if c.callee.name.starts_with("dequant.") => vec![operands[0]],
        Op::Loop(_) | Op::Cond(_) | Op::Kernel(_) => operands.to_vec(),
        _ => Vec::new(),
    }
}

/// Strips reshapes, which share their operand's memory.
pub fn core(graph: &Graph, mut id: NodeId) -> NodeId {
    while let Op::Reshape(_) = graph.op(id) {
        id = graph.operands(id)[0];
    }
    id
}

/// The chosen nodes.
pub fn choose(graph: &Graph, live: &[bool]) -> BTreeSet<NodeId> {
    let mut stored = BTreeSet::new();
    let alive = |id: NodeId| live[id.0 as usize];
    for id in graph.ids().filter(|id| alive(*id)) {
        if is_root(graph, id) && matches!(graph.ty(id), Ty::Tensor(_)) {
            stored.insert(id);
        }
        for operand in needed_in_memory(graph, id) {
            stored.insert(core(graph, operand));
        }
    }
    for out in graph.outputs() {
        stored.insert(core(graph, *out));
    }
    // Walking from users to operands: the kernels each node would be computed in, the product each kernel is built
    // around, and whether a node would be computed in front of a product.
    let mut kernels: Vec<BTreeSet<NodeId>> = vec![BTreeSet::new(); graph.len()];
    let mut front: Vec<Option<Front>> = vec![None; graph.len()];
    let mut anchored: BTreeSet<NodeId> = BTreeSet::new();
    // Whether a node would be computed under a fold.
    let mut folded = vec![false; graph.len()];
    for id in graph.ids().rev().filter(|id| alive(*id)) {
        let mut set = BTreeSet::new();
        let mut here = None;
        for user in graph.users(id).into_iter().filter(|u| alive(*u)) {
            if stored.contains(&user) {
                set.insert(user);
            } else if set.len() < 8 {
                set.extend(kernels[user.0 as usize].iter().copied());
            }
            folded[id.0 as usize] |=
                matches!(graph.op(user), Op::Reduce(_)) || !stored.contains(&user) && folded[user.0 as usize];
            let through = !stored.contains(&user) || matches!(graph.op(user), Op::Dot(_));
            if through {
                here = here.max(front[user.0 as usize]).max(in_front(graph, user, id));
            }
        }
        let single = if set.len() == 1 { set.first().copied() } else { None };
        if !stored.contains(&id) && matches!(graph.ty(id), Ty::Tensor(_)) && !is_view(graph.op(id)) {
            let shared = set.len() > 1;
            let keep = match graph.op(id) {
                // A fold wants whole rows in one program; all other programs would idle at the product with a vector.
                Op::Dot(_) if folded[id.0 as usize] && is_vector(graph, id) => true,
                Op::Dot(_) => shared || here.is_some() || single.is_some_and(|k| anchored.contains(&k)),
                Op::Reduce(_) | Op::Proj(_) => shared || here == Some(Front::Matrix),
                Op::Gather(_) => shared,
                Op::Map(_) => here == Some(Front::Matrix) || shared && heavy(graph, &stored, id),
                _ => shared && heavy(graph, &stored, id),
            };
            if keep {
                stored.insert(id);
            }
        }
        if let Op::Dot(_) = graph.op(id) {
            anchored.extend(if stored.contains(&id) { Some(id) } else { single });
        }
        kernels[id.0 as usize] = set;
        front[id.0 as usize] = if stored.contains(&id) { None } else { here };
    }
    stored
}

/// Where a node stands that a matrix product reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Front {
    /// In front of a vector: what it takes is computed again by each program, which costs little.
    Vector,
    /// In front of a matrix: arithmetic there would be repeated for every tile of the result.
    Matrix,
}

fn in_front(graph: &Graph, user: NodeId, id: NodeId) -> Option<Front> {
    let Op::Dot(_) = graph.op(user) else { return None };
    let vector = is_vector(graph, user) && graph.operands(user)[1] != id;
    Some(if vector { Front::Vector } else { Front::Matrix })
}

/// Whether a product has a vector on the left.
fn is_vector(graph: &Graph, id: NodeId) -> bool {
    let (Op::Dot(dot), Ok(lhs)) = (graph.op(id), graph.tensor(graph.operands(id)[0])) else { return false };
    dot.lhs_free(lhs.rank()).iter().all(|a| lhs.shape[*a].is(1))
}

/// Whether computing a node twice costs more than a round trip through memory.
fn heavy(graph: &Graph, stored: &BTreeSet<NodeId>, root: NodeId) -> bool {
    let mut work = 0;
    let mut seen = BTreeSet::new();
    let mut todo = vec![root];
    while let Some(id) = todo.pop() {
        if !seen.insert(id) || (id != root && stored.contains(&id)) {
            continue;
        }
        work += match graph.op(id) {
            Op::Dot(_) | Op::Reduce(_) | Op::Call(_) => return true,
            Op::Map(op) => match op.row().wgsl {
                girih_base::scalar::Wgsl::Special | girih_base::scalar::Wgsl::Expand => 4,
                _ => 1,
            },
            Op::Gather(_) => 4,
            _ => 0,
        };
        if work > 12 {
            return true;
        }
        todo.extend(graph.operands(id));
    }
    false
}
