//! Memory that starts as something else and is then partly overwritten: updates, scatters, padding with gaps.

use super::{Job, in_memory};
use crate::fuse::affine::{Affine, linearize, reshape, strides};
use crate::fuse::nest::{Expr, ExprId, Nest, Store};
use crate::fuse::stored;
use crate::fuse::trace::{Policy, Stop, Trace};
use girih_base::{DType, Dim, ScalarOp};
use girih_graph::ops::{Combine, Pad, Scatter};
use girih_graph::{Graph, NodeId, Op};
use std::collections::BTreeSet;

/// Updates one after the other along the axes that index (several may meet in one element), in parallel along the rest.
pub(super) fn scatter(
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

/// An update whose part is a concatenation: every piece goes straight to its place.
pub(super) fn update_parts(
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

/// A concatenation of equal shapes behind a reshape, used here alone: its operands can be written where they end up.
pub(super) fn parts(graph: &Graph, stored: &BTreeSet<NodeId>, id: NodeId) -> Option<(NodeId, usize)> {
    let at = stored::core(graph, id);
    let Op::Concat(c) = graph.op(at) else { return None };
    let operands = graph.operands(at);
    let shape = |o: NodeId| graph.tensor(o).ok().map(|t| t.shape.clone());
    let alike = operands.iter().all(|o| shape(*o) == shape(operands[0]));
    let alone = graph.users(at).len() == 1 && (at == id || graph.users(id).len() == 1);
    (alike && alone && operands.len() <= 4 && !stored.contains(&at)).then_some((at, c.axis))
}

/// Points that are walked one by one have no place for a matrix product.
pub(super) fn no_product(t: &Trace, operand: NodeId) -> Result<(), Stop> {
    match t.nest.exprs.iter().any(|n| matches!(n.expr, Expr::Dot { .. })) {
        true => Err(Stop::Blocked(operand)),
        false => Ok(()),
    }
}

/// Padding with gaps: the padding value everywhere, then the operand at its steps.
pub(super) fn spread(
    graph: &Graph,
    stored: &BTreeSet<NodeId>,
    id: NodeId,
    pad: &Pad,
    policy: Policy,
) -> Result<Vec<Job>, Stop> {
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
