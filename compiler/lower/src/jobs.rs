//! What a node with memory takes: fused kernels, copies, control steps.

mod attention;
mod update;

use crate::fuse::affine::linearize;
use crate::fuse::nest::Nest;
use crate::fuse::stored;
use crate::fuse::trace::{Policy, Stop, Trace};
use crate::lines;
use crate::target::TargetDesc;
use attention::attention;
pub use attention::fuses_attention;
use girih_base::Dim;
use girih_graph::{Graph, Literal, NodeId, Op};
use std::collections::BTreeSet;
use std::sync::Arc;
use update::{parts, scatter, spread, update_parts};

/// One piece of work for a node's memory.
#[derive(Debug)]
pub enum Job {
    /// The memory is constant data.
    Constant(Arc<[u8]>),
    /// New memory.
    Fresh,
    /// Memory that starts as the contents of `source`; that memory itself where it may be overwritten.
    From {
        /// The node whose contents are taken.
        source: NodeId,
        /// Whether the graph gives it away.
        donate: bool,
    },
    /// All of `source`'s bytes, copied to a byte offset.
    Copy {
        /// The node copied.
        source: NodeId,
        /// Where to.
        to_offset: Dim,
    },
    /// A fused kernel.
    Nest(Nest),
    /// One result of an operation of several steps.
    Part {
        /// The operation.
        tuple: NodeId,
        /// Which result.
        index: usize,
    },
}

/// The jobs of node `id`, or the node that must get memory first.
pub fn jobs(graph: &Graph, stored: &BTreeSet<NodeId>, id: NodeId, desc: &TargetDesc) -> Result<Vec<Job>, Stop> {
    let (operands, policy) = (graph.operands(id), Policy::of(desc));
    let (tuple, index) = match graph.op(id) {
        Op::Proj(p) => (operands[0], p.index),
        _ => (id, 0),
    };
    let several = matches!(graph.op(tuple), Op::Loop(_) | Op::Cond(_) | Op::Kernel(_));
    if several && tuple != id || matches!(graph.op(id), Op::Kernel(_)) || lines::is_long(graph, tuple, desc) {
        graph.operands(tuple).into_iter().try_for_each(|o| in_memory(graph, stored, o).map(|_| ()))?;
        return Ok(vec![Job::Part { tuple, index }]);
    }
    match graph.op(id) {
        Op::Const(c) => match &c.value {
            Literal::Dense(bytes) => Ok(vec![Job::Constant(bytes.clone())]),
            _ => points(graph, stored, id, id, policy),
        },
        Op::Concat(c) => concat(graph, stored, id, c.axis, policy),
        Op::DynUpdate(u) => {
            let source = in_memory(graph, stored, operands[0])?;
            let full = graph.tensor(id)?.shape.clone();
            let shape = graph.tensor(operands[1])?.shape.clone();
            let base = Job::From { source, donate: u.donate };
            if let Some((joined, axis)) = parts(graph, stored, operands[1])
                && let Some(nest) = update_parts(graph, stored, id, joined, axis, policy)?
            {
                return Ok(vec![base, Job::Nest(nest)]);
            }
            let mut t = Trace::new(graph, stored, id, &shape, policy);
            let coords = t.root_coords();
            let value = t.pull(operands[1], &coords)?;
            let dynamic = t.starts(&operands[2..], &full, &shape)?;
            t.store(id, value, linearize(&coords, &full), dynamic);
            Ok(vec![base, Job::Nest(t.nest)])
        }
        Op::Scatter(s) => scatter(graph, stored, id, s, policy),
        Op::Pad(p) if p.interior.iter().any(|i| *i != 0) => spread(graph, stored, id, p, policy),
        Op::Call(c) if &*c.callee.name == "attention" => attention(graph, stored, id, &c.callee, policy),
        Op::Fence(_) => points(graph, stored, id, operands[0], policy),
        Op::Param(_) | Op::Loop(_) | Op::Cond(_) => Err(Stop::Blocked(id)),
        _ => points(graph, stored, id, id, policy),
    }
}

fn in_memory(graph: &Graph, stored: &BTreeSet<NodeId>, id: NodeId) -> Result<NodeId, Stop> {
    Trace::memory(graph, stored, id).ok_or_else(|| Stop::Blocked(stored::core(graph, id)))
}

/// One kernel over the node's own shape.
fn points(
    graph: &Graph,
    stored: &BTreeSet<NodeId>,
    id: NodeId,
    from: NodeId,
    policy: Policy,
) -> Result<Vec<Job>, Stop> {
    let shape = graph.tensor(id)?.shape.clone();
    let mut t = Trace::new(graph, stored, id, &shape, policy);
    let coords = t.root_coords();
    let value = t.pull(from, &coords)?;
    t.store(id, value, linearize(&coords, &shape), Vec::new());
    Ok(vec![Job::Fresh, Job::Nest(t.nest)])
}

/// A copy or a kernel per operand, each writing its part; operands of one shape are written by one kernel.
fn concat(graph: &Graph, stored: &BTreeSet<NodeId>, id: NodeId, axis: usize, policy: Policy) -> Result<Vec<Job>, Stop> {
    let ty = graph.tensor(id)?.clone();
    let operands = graph.operands(id);
    let stride = girih_graph::ty::product(&ty.shape[axis + 1..]);
    let leading = ty.shape[..axis].iter().all(|d| d.is(1)) && ty.dtype.bits() >= 8;
    let first = graph.tensor(operands[0])?.shape.clone();
    let alike = operands.len() <= 4 && operands.iter().all(|o| graph.tensor(*o).is_ok_and(|t| t.shape == first));
    let copied = |o: NodeId| Trace::memory(graph, stored, o).filter(|_| leading);
    if alike && operands.iter().all(|o| copied(*o).is_none()) {
        let mut t = Trace::new(graph, stored, id, &first, policy);
        let coords = t.root_coords();
        for (i, operand) in operands.iter().enumerate() {
            let value = t.pull(*operand, &coords)?;
            let offset = &(&first[axis] * i as i64) * &stride;
            t.store(id, value, linearize(&coords, &ty.shape).shift(&offset), Vec::new());
        }
        return Ok(vec![Job::Fresh, Job::Nest(t.nest)]);
    }
    let mut jobs = vec![Job::Fresh];
    let mut at = Dim::ZERO;
    for operand in operands {
        let shape = graph.tensor(operand)?.shape.clone();
        let offset = &at * &stride;
        match copied(operand) {
            Some(source) => jobs.push(Job::Copy { source, to_offset: &offset * (ty.dtype.bits() as i64 / 8) }),
            None => {
                let mut t = Trace::new(graph, stored, id, &shape, policy);
                let coords = t.root_coords();
                let value = t.pull(operand, &coords)?;
                t.store(id, value, linearize(&coords, &ty.shape).shift(&offset), Vec::new());
                jobs.push(Job::Nest(t.nest));
            }
        }
        at = &at + &shape[axis];
    }
    Ok(jobs)
}
