//! Products that share their left operand become one: query, key and value projections, gate and up projections.
//!
//! `x a, x b, x c = split(x [a | b | c])`, exactly: every result element is the same sum. The right sides must be
//! weights (floats or quantised blocks of one format), since joining them must cost nothing at run time. This is
//! decided after extraction: the gain appears only when all members change together, which a choice made class by
//! class cannot see.

use crate::budget::Device;
use crate::cost::typical;
use crate::report::Origin;
use girih_base::{Diag, Dim, QuantFormat, Result};
use girih_graph::ops::{Dot, Rule as _};
use girih_graph::{Graph, NodeId, Op, ParamKind, nn};
use smallvec::SmallVec;

/// The name under which reports show it.
pub const RULE: &str = "merge-dots";

struct Group {
    lhs: NodeId,
    dot: Dot,
    format: Option<QuantFormat>,
    members: Vec<NodeId>,
}

/// Merges products where the device gains by it; also how many groups were merged.
pub fn merge(graph: &Graph, device: &Device, origins: Vec<Origin>) -> Result<(Graph, Vec<Origin>, usize)> {
    let groups: Vec<Group> = groups(graph).into_iter().filter(|g| gains(graph, g, device)).collect();
    if groups.is_empty() {
        return Ok((graph.clone(), origins, 0));
    }
    let mut rewrite =
        Rewrite { old: graph, new: Graph::new(graph.name.clone()), map: vec![None; graph.len()], origins: Vec::new() };
    for param in graph.params() {
        let node = graph.node(*param);
        if let Op::Param(p) = &node.op {
            let name = node.name.as_deref().unwrap_or("");
            rewrite.map[param.0 as usize] = Some(rewrite.new.param(name, node.ty.clone(), p.kind, node.loc.clone()));
        }
    }
    let mut made: Vec<Origin> = origins;
    made.sort_by_key(|o| o.node);
    for id in graph.ids() {
        if rewrite.map[id.0 as usize].is_some() {
            continue;
        }
        match groups.iter().find(|g| g.members.contains(&id)) {
            Some(group) => rewrite.write_group(group)?,
            None => rewrite.copy(id)?,
        }
        if let (Ok(at), Some(new)) = (made.binary_search_by_key(&id.0, |o| o.node), rewrite.map[id.0 as usize])
            && rewrite.origins.last().is_none_or(|o| o.node != new.0)
        {
            rewrite.origins.push(Origin { node: new.0, ..made[at].clone() });
        }
    }
    let outputs = graph.outputs().iter().filter_map(|o| rewrite.map[o.0 as usize]).collect();
    rewrite.new.set_outputs(outputs);
    rewrite.origins.sort_by_key(|o| o.node);
    Ok((rewrite.new, rewrite.origins, groups.len()))
}

struct Rewrite<'g> {
    old: &'g Graph,
    new: Graph,
    map: Vec<Option<NodeId>>,
    origins: Vec<Origin>,
}

impl Rewrite<'_> {
    /// Copies a node whose operands are copied.
    fn copy(&mut self, id: NodeId) -> Result<()> {
        let kids: SmallVec<[NodeId; 4]> = self.old.operands(id).iter().filter_map(|o| self.map[o.0 as usize]).collect();
        let node = self.old.node(id);
        let new = self.new.add(node.op.clone(), &kids, node.loc.clone())?;
        if let Some(name) = &node.name {
            self.new.set_name(new, name);
        }
        self.map[id.0 as usize] = Some(new);
        Ok(())
    }

    /// A weight, with everything it is made of. Weights do not depend on products, so this may run ahead of the order.
    fn weight(&mut self, id: NodeId) -> Result<NodeId> {
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            if self.map[next.0 as usize].is_some() {
                continue;
            }
            let missing: Vec<NodeId> =
                self.old.operands(next).into_iter().filter(|o| self.map[o.0 as usize].is_none()).collect();
            if missing.is_empty() {
                self.copy(next)?;
            } else {
                open.push(next);
                open.extend(missing);
            }
        }
        self.map[id.0 as usize].ok_or_else(|| Diag::error("R001", "the optimiser lost a weight"))
    }

    /// The merged product at the place of the first member; every member becomes a part of it.
    fn write_group(&mut self, group: &Group) -> Result<()> {
        let lhs = self.weight(group.lhs)?;
        let loc = self.old.node(group.members[0]).loc.clone();
        let first = self.new.len() as u32;
        self.new.set_loc(loc.clone());
        let mut sides = Vec::new();
        for m in &group.members {
            let rhs = self.old.operands(*m)[1];
            let source = if group.format.is_some() { self.old.operands(rhs)[0] } else { rhs };
            sides.push(self.weight(source)?);
        }
        let axis = if group.format.is_some() { 0 } else { free_axis(self.old, group.members[0], &group.dot) };
        let mut rhs = self.new.concat(&sides, axis)?;
        if let Some(format) = group.format {
            rhs = nn::dequant(&mut self.new, rhs, format)?;
        }
        let product = self.new.push(group.dot.clone(), &[lhs, rhs])?;
        let last = self.new.tensor(product)?.rank() - 1;
        let mut start = Dim::ZERO;
        for m in &group.members {
            let width = self.old.tensor(*m)?.shape[last].clone();
            let limit = start.clone() + width;
            self.new.set_loc(self.old.node(*m).loc.clone());
            let part = self.new.slice_axis(product, last, start, limit.clone())?;
            if let Some(name) = &self.old.node(*m).name {
                self.new.set_name(part, name);
            }
            self.map[m.0 as usize] = Some(part);
            start = limit;
        }
        for node in first..self.new.len() as u32 {
            let op = self.new.op(NodeId(node)).name().to_string();
            self.origins.push(Origin { node, op, rule: RULE, loc: loc.to_string() });
        }
        Ok(())
    }
}

/// The right operand's one free axis.
fn free_axis(graph: &Graph, member: NodeId, dot: &Dot) -> usize {
    let rank = graph.tensor(graph.operands(member)[1]).map_or(0, |t| t.rank());
    dot.rhs_free(rank).first().copied().unwrap_or(0)
}

/// Products by left operand and attributes, in order of appearance.
fn groups(graph: &Graph) -> Vec<Group> {
    let weights = weight_only(graph);
    let mut out: Vec<Group> = Vec::new();
    for id in graph.ids() {
        let Op::Dot(dot) = graph.op(id) else { continue };
        let (lhs, rhs) = (graph.operands(id)[0], graph.operands(id)[1]);
        let Some(shape) = graph.ty(rhs).tensor().map(|t| t.shape.clone()) else { continue };
        let free = dot.rhs_free(shape.len());
        if !weights[rhs.0 as usize] || weights[lhs.0 as usize] || !dot.batch.is_empty() || free.len() != 1 {
            continue;
        }
        let format = match graph.op(rhs) {
            Op::Call(c) => c.callee.name.strip_prefix("dequant.").and_then(QuantFormat::from_name),
            _ => None,
        };
        // Decoding gives rows, so quantised weights are joined along their rows only; computed weights are left alone.
        let joins = match format {
            Some(_) => free == [0],
            None => matches!(graph.op(rhs), Op::Param(_) | Op::Permute(_)),
        };
        if !joins {
            continue;
        }
        match out.iter_mut().find(|g| g.lhs == lhs && g.dot == *dot && g.format == format) {
            Some(group) => group.members.push(id),
            None => out.push(Group { lhs, dot: dot.clone(), format, members: vec![id] }),
        }
    }
    out.retain(|g| g.members.len() > 1);
    out
}

/// Whether one dispatch costs less than several: what is saved is dispatches and reads of the left operand.
fn gains(graph: &Graph, group: &Group, device: &Device) -> bool {
    let Ok(t) = graph.tensor(group.lhs) else { return false };
    let left = t.shape.iter().map(typical).product::<f64>() * t.dtype.bits() as f64 / 8.0;
    (group.members.len() - 1) as f64 * (device.dispatch + left / device.bytes) > 0.0
}

/// Values that depend on weights only, by id.
fn weight_only(graph: &Graph) -> Vec<bool> {
    let mut out = vec![false; graph.len()];
    for id in graph.ids() {
        out[id.0 as usize] = match graph.op(id) {
            Op::Param(p) => p.kind == ParamKind::Weight,
            Op::Const(_) => true,
            Op::Kernel(_) | Op::Fence(_) | Op::Collective(_) => false,
            _ => !graph.operands(id).is_empty() && graph.operands(id).iter().all(|o| out[o.0 as usize]),
        };
    }
    out
}
