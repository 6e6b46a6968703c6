//! What a node with memory takes: fused kernels, copies, control steps.

use crate::fuse::affine::{Affine, AxisId, linearize, reshape, strides};
use crate::fuse::nest::{Attention, Expr, ExprId, Nest, Store};
use crate::fuse::stored;
use crate::fuse::trace::{Policy, Stop, Trace};
use crate::lines;
use crate::target::{TargetDesc, TargetKind};
use girih_base::{DType, Dim, ScalarOp};
use girih_graph::ops::{Attr, Callee, Combine, Pad, Scatter};
use girih_graph::{Graph, Literal, NodeId, Op, TensorTy};
use std::collections::BTreeSet;
use std::sync::Arc;

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

/// Whether this target computes a call of `attention` in one kernel: a CPU always (the scores stay in its cache), a GPU when there
/// are few query rows for the keys, as in decoding; otherwise three kernels are faster.
pub fn fuses_attention(callee: &Callee, desc: &TargetDesc) -> bool {
    if &*callee.name != "attention" || callee.body.params().len() != 3 {
        return false;
    }
    let shapes: Vec<Option<&TensorTy>> = callee.body.params().iter().map(|p| callee.body.ty(*p).tensor()).collect();
    let [Some(q), Some(k), Some(v)] = shapes[..] else { return false };
    let f32s = [q, k, v].iter().all(|t| t.dtype == DType::F32);
    let rows = girih_graph::ty::product(&q.shape[k.rank() - 2..q.rank() - 1]);
    let small = |d: &Dim, most: i64| d.as_const().is_some_and(|d| d <= most);
    let features = small(&q.shape[q.rank() - 1], 512) && small(&v.shape[v.rank() - 1], 512);
    f32s && features && (desc.kind == TargetKind::Cpu || small(&rows, 8))
}

/// One kernel for `softmax(q k^T * scale) v`.
fn attention(
    graph: &Graph,
    stored: &BTreeSet<NodeId>,
    id: NodeId,
    callee: &Callee,
    policy: Policy,
) -> Result<Vec<Job>, Stop> {
    let operands = graph.operands(id);
    let full = graph.tensor(id)?.shape.clone();
    let keys = graph.tensor(operands[1])?.shape.clone();
    let mut t = Trace::new(graph, stored, id, &full, policy);
    let coords = t.root_coords();
    let (batch, rank) = (keys.len() - 2, full.len());
    let mut fold = |extent: &Dim| {
        let a = t.nest.axis(extent.clone());
        let axis = &mut t.nest.axes[a.0 as usize];
        (axis.row, axis.folded) = (true, true);
        a
    };
    let inner = [fold(&keys[batch + 1]), fold(&keys[batch])];
    let at =
        |t: &Trace<'_>, a: AxisId| if t.nest.extent(a).is(1) { Affine::constant(Dim::ZERO) } else { Affine::axis(a) };
    let (d, k) = (at(&t, inner[0]), at(&t, inner[1]));
    let mut query: Vec<Affine> = coords[..rank - 1].to_vec();
    query.push(d.clone());
    let key: Vec<Affine> = coords[..batch].iter().cloned().chain([k.clone(), d]).collect();
    let value: Vec<Affine> = coords[..batch].iter().cloned().chain([k, coords[rank - 1].clone()]).collect();
    let qkv = [
        t.pull_operand(operands[0], &query, true)?,
        t.pull_operand(operands[1], &key, false)?,
        t.pull_operand(operands[2], &value, false)?,
    ];
    let scale = match callee.attr("scale") {
        Some(Attr::Number(n)) => n.as_f64(),
        _ => 1.0,
    };
    let causal = match callee.attr("causal") {
        Some(Attr::Dim(before)) => Some((coords[rank - 2].clone(), before.clone())),
        _ => None,
    };
    // The longest axis of query rows goes into tiles.
    let rows = coords[batch..rank - 1].iter().filter_map(Affine::as_axis).max_by_key(|a| t.nest.extent(*a).bounds().1);
    let columns = coords[rank - 1].as_axis();
    let value = t.push(id, Expr::Attention(Attention { qkv, scale, causal, inner, rows, columns }), DType::F32);
    t.store(id, value, linearize(&coords, &full), Vec::new());
    Ok(vec![Job::Fresh, Job::Nest(t.nest)])
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

/// A concatenation of equal shapes behind a reshape, used here alone: its operands can be written where they end up.
fn parts(graph: &Graph, stored: &BTreeSet<NodeId>, id: NodeId) -> Option<(NodeId, usize)> {
    let at = stored::core(graph, id);
    let Op::Concat(c) = graph.op(at) else { return None };
    let operands = graph.operands(at);
    let shape = |o: NodeId| graph.tensor(o).ok().map(|t| t.shape.clone());
    let alike = operands.iter().all(|o| shape(*o) == shape(operands[0]));
    let alone = graph.users(at).len() == 1 && (at == id || graph.users(id).len() == 1);
    (alike && alone && operands.len() <= 4 && !stored.contains(&at)).then_some((at, c.axis))
}

/// An update whose part is a concatenation: every piece goes straight to its place.
fn update_parts(
    graph: &Graph,
    stored: &BTreeSet<NodeId>,
    id: NodeId,
    joined: NodeId,
    axis: usize,
    policy: Policy,
) -> Result<Option<Nest>, Stop> {
    let operands = graph.operands(id);
    let full = graph.tensor(id)?.shape.clone();
    let part = graph.tensor(operands[1])?.shape.clone();
    let whole = graph.tensor(joined)?.shape.clone();
    let pieces = graph.operands(joined);
    let piece = graph.tensor(pieces[0])?.shape.clone();
    let mut t = Trace::new(graph, stored, id, &piece, policy);
    let coords = t.root_coords();
    let dynamic = t.starts(&operands[2..], &full, &part)?;
    for (i, p) in pieces.iter().enumerate() {
        let mut at = coords.clone();
        at[axis] = at[axis].shift(&(&piece[axis] * i as i64));
        let nest = &t.nest;
        let Some(at) = reshape(&at, &whole, &part, &|a| nest.extent(a)) else { return Ok(None) };
        let value = t.pull(*p, &coords)?;
        t.store(id, value, linearize(&at, &full), dynamic.clone());
    }
    Ok(Some(t.nest))
}

/// Padding with gaps: the padding value everywhere, then the operand at its steps.
fn spread(graph: &Graph, stored: &BTreeSet<NodeId>, id: NodeId, pad: &Pad, policy: Policy) -> Result<Vec<Job>, Stop> {
    let operands = graph.operands(id);
    let full = graph.tensor(id)?.shape.clone();
    let mut t = Trace::new(graph, stored, id, &full, policy);
    let coords = t.root_coords();
    let value = t.pull(operands[1], &[])?;
    t.store(id, value, linearize(&coords, &full), Vec::new());
    let fill = t.nest;
    let shape = graph.tensor(operands[0])?.shape.clone();
    let mut t = Trace::new(graph, stored, id, &shape, policy);
    let coords = t.root_coords();
    let value = t.pull(operands[0], &coords)?;
    let placed: Vec<Affine> =
        coords.iter().enumerate().map(|(a, c)| c.scale(&Dim::from(pad.interior[a] + 1)).shift(&pad.low[a])).collect();
    t.store(id, value, linearize(&placed, &full), Vec::new());
    Ok(vec![Job::Fresh, Job::Nest(fill), Job::Nest(t.nest)])
}

/// Points that are walked one by one have no place for a matrix product.
fn no_product(t: &Trace, operand: NodeId) -> Result<(), Stop> {
    match t.nest.exprs.iter().any(|n| matches!(n.expr, Expr::Dot { .. })) {
        true => Err(Stop::Blocked(operand)),
        false => Ok(()),
    }
}

/// Updates one after the other along the axes that index (several may meet in one element), in parallel along the rest.
fn scatter(
    graph: &Graph,
    stored: &BTreeSet<NodeId>,
    id: NodeId,
    s: &Scatter,
    policy: Policy,
) -> Result<Vec<Job>, Stop> {
    let operands = graph.operands(id);
    let source = in_memory(graph, stored, operands[0])?;
    let full = graph.tensor(id)?.shape.clone();
    let steps = strides(&full);
    let shape = graph.tensor(operands[2])?.shape.clone();
    let mut t = Trace::new(graph, stored, id, &shape, policy);
    let coords = t.root_coords();
    let value = t.pull(operands[2], &coords)?;
    no_product(&t, operands[2])?;
    let batch: Vec<Affine> =
        (0..shape.len()).filter(|a| !s.window_axes.contains(a)).map(|a| coords[a].clone()).collect();
    let kept: Vec<usize> =
        (0..full.len()).filter(|a| !s.inserted.contains(a) && !s.operand_batch.contains(a)).collect();
    let mut offset = Affine::constant(Dim::ZERO);
    let mut sizes = vec![Dim::ONE; full.len()];
    for (k, u) in kept.iter().zip(&s.window_axes) {
        offset = offset.add(&coords[*u].scale(&steps[*k]));
        sizes[*k] = shape[*u].clone();
    }
    for (o, i) in s.operand_batch.iter().zip(&s.index_batch) {
        offset = offset.add(&batch[*i].scale(&steps[*o]));
    }
    let mut dynamic: Vec<(ExprId, Dim)> = Vec::new();
    let mut mask: Option<ExprId> = None;
    for (component, a) in s.start_map.iter().enumerate() {
        let mut at = batch.clone();
        at.push(Affine::constant(Dim::from(component)));
        let raw = t.pull(operands[1], &at)?;
        no_product(&t, operands[1])?;
        let room = &full[*a] - &sizes[*a];
        let clamped = t.clamp(operands[1], raw, &room);
        // A start that clamping moves is outside, and its whole slice is dropped.
        let dtype = t.nest.node(raw).dtypes[0];
        let same = t.push(operands[1], Expr::Cast(clamped), dtype);
        let inside = t.push(operands[1], Expr::Map(ScalarOp::Eq, vec![same, raw]), DType::Bool);
        mask = Some(match mask {
            None => inside,
            Some(m) => t.push(operands[1], Expr::Map(ScalarOp::And, vec![m, inside]), DType::Bool),
        });
        dynamic.push((clamped, steps[*a].clone()));
    }
    let combine = match s.combine {
        Combine::Set => None,
        Combine::Add => Some(ScalarOp::Add),
        Combine::Mul => Some(ScalarOp::Mul),
        Combine::Min => Some(ScalarOp::Min),
        Combine::Max => Some(ScalarOp::Max),
    };
    if !s.unique {
        for c in &batch {
            if let Some(axis) = c.as_axis() {
                let axis = &mut t.nest.axes[axis.0 as usize];
                (axis.row, axis.serial) = (true, true);
            }
        }
    }
    t.nest.stores.push(Store { tensor: id, value, offset, dynamic, mask, combine });
    Ok(vec![Job::From { source, donate: false }, Job::Nest(t.nest)])
}
