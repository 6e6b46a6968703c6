//! Batching. Over another axis, an exchange does the same for every example. Over the batch axis itself, the examples are
//! the replicas, and the exchange becomes local operations along that axis.

use super::{Collective, CollectiveKind};
use crate::batch::{Batch, Batcher, Lane, cannot_batch};
use crate::graph::NodeId;
use crate::nn;
use crate::ops::Monoid;
use girih_base::{DType, Dim, Result, ScalarOp};

impl Batch for Collective {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> Result<Vec<Lane>> {
        if b.resolves(&self.over) {
            return Ok(vec![self.resolve(b, args[0])?]);
        }
        let kind = match &self.kind {
            CollectiveKind::AllReduce(_) | CollectiveKind::Permute(_) => self.kind.clone(),
            CollectiveKind::AllGather(axis) => CollectiveKind::AllGather(axis + 1),
            CollectiveKind::ReduceScatter(axis) => CollectiveKind::ReduceScatter(axis + 1),
            CollectiveKind::AllToAll { split, concat } => {
                CollectiveKind::AllToAll { split: split + 1, concat: concat + 1 }
            }
        };
        b.push(self.with(kind), &[args[0].id])
    }
}

/// Replicas in groups: a tensor `[groups, members, ..]`.
struct Grouped {
    x: NodeId,
    groups: Dim,
    members: Dim,
    shape: Vec<Dim>,
}

impl Collective {
    fn resolve(&self, b: &mut Batcher, x: Lane) -> Result<Lane> {
        if !b.size.is(self.size as i64) {
            let why = format!("it is over {} replicas, the axis `{}` has {}", self.size, self.over, b.size);
            return Err(cannot_batch(&b.g, self.word(), &why));
        }
        let x = b.lift(x)?.id;
        let dtype = b.g.tensor(x)?.dtype;
        let shape = b.g.tensor(x)?.shape[1..].to_vec();
        let everybody = self.groups.len() <= 1 && self.groups.iter().flatten().is_sorted();
        let batched = |id| Lane { id, batched: true };
        match &self.kind {
            CollectiveKind::Permute(pairs) => self.moved(b, x, pairs).map(batched),
            CollectiveKind::AllReduce(monoid) if everybody => {
                let y = b.g.reduce(monoid.clone(), x, &[0])?;
                Ok(Lane { id: b.g.cast(y, dtype)?, batched: false })
            }
            CollectiveKind::AllReduce(monoid) => {
                let g = self.grouped(b, x, shape)?;
                let y = b.g.reduce(monoid.clone(), g.x, &[1])?;
                let y = b.g.cast(y, dtype)?;
                let shape = g.shape.clone();
                self.given_to_each(b, &g, y, shape).map(batched)
            }
            CollectiveKind::AllGather(axis) => {
                let g = self.grouped(b, x, shape)?;
                let mut order: Vec<usize> = (0..g.shape.len() + 2).filter(|a| *a != 1).collect();
                order.insert(axis + 1, 1);
                let y = b.g.permute(g.x, &order)?;
                let mut joined = g.shape.clone();
                joined[*axis] = &joined[*axis] * &g.members;
                if everybody {
                    return Ok(Lane { id: b.g.reshape(y, joined)?, batched: false });
                }
                let y = b.g.reshape(y, with(&[&g.groups], &joined))?;
                self.given_to_each(b, &g, y, joined).map(batched)
            }
            CollectiveKind::ReduceScatter(axis) => {
                let g = self.grouped(b, x, shape)?;
                let y = b.g.reduce(Monoid::Sum, g.x, &[1])?;
                let y = b.g.cast(y, dtype)?;
                // [groups, .., members, part, ..], members to the front.
                let (y, part) = split(b, y, &g, axis + 1)?;
                let mut order: Vec<usize> = (0..g.shape.len() + 2).filter(|a| *a != axis + 1).collect();
                order.insert(1, axis + 1);
                let y = b.g.permute(y, &order)?;
                let mut shape = g.shape.clone();
                shape[*axis] = part;
                self.ungrouped(b, y, &shape).map(batched)
            }
            CollectiveKind::AllToAll { split: from, concat } => {
                let g = self.grouped(b, x, shape)?;
                // [groups, senders, .., receivers, part, ..]: receivers to the front, senders before the joined axis.
                let (y, part) = split(b, g.x, &g, from + 2)?;
                let receivers = from + 2;
                let mut shape = g.shape.clone();
                shape[*from] = part;
                let mut order = vec![0, receivers];
                for a in 0..shape.len() {
                    if a == *concat {
                        order.push(1);
                    }
                    order.push(if a < *from { a + 2 } else { a + 3 });
                }
                let y = b.g.permute(y, &order)?;
                shape[*concat] = &shape[*concat] * &g.members;
                self.ungrouped(b, y, &shape).map(batched)
            }
        }
    }

    /// Groups and their members as two axes, members in the order of their group.
    fn grouped(&self, b: &mut Batcher, x: NodeId, shape: Vec<Dim>) -> Result<Grouped> {
        let order: Vec<usize> = self.groups.concat();
        let x = picked(b, x, &order)?;
        let groups = Dim::from(self.groups.len().max(1) as i64);
        let members = Dim::from(self.members() as i64);
        let x = b.g.reshape(x, with(&[&groups, &members], &shape))?;
        Ok(Grouped { x, groups, members, shape })
    }

    /// `y [groups, shape..]` repeated for the members of each group, in the order of the axis.
    fn given_to_each(&self, b: &mut Batcher, g: &Grouped, y: NodeId, shape: Vec<Dim>) -> Result<NodeId> {
        let axes = (0..shape.len() + 2).filter(|a| *a != 1).collect();
        let y = b.g.broadcast(y, with(&[&g.groups, &g.members], &shape), axes)?;
        self.ungrouped(b, y, &shape)
    }

    /// Groups and members as one axis again, in its own order.
    fn ungrouped(&self, b: &mut Batcher, y: NodeId, shape: &[Dim]) -> Result<NodeId> {
        let y = b.g.reshape(y, with(&[&b.size.clone()], shape))?;
        let order: Vec<usize> = self.groups.concat();
        picked(b, y, &crate::ops::layout::inverse(&order))
    }

    fn moved(&self, b: &mut Batcher, x: NodeId, pairs: &[(usize, usize)]) -> Result<NodeId> {
        let (mut source, mut sent) = (vec![0; self.size], vec![0u8; self.size]);
        for (from, to) in pairs {
            (source[*to], sent[*to]) = (*from, 1);
        }
        let y = picked(b, x, &source)?;
        if pairs.len() == self.size {
            return Ok(y);
        }
        let ty = b.g.tensor(y)?.clone();
        let size = Dim::from(self.size as i64);
        let sent = b.g.dense(crate::ty::TensorTy { dtype: DType::U8, shape: vec![size] }, sent)?;
        let sent = nn::with(&mut b.g, ScalarOp::Ne, sent, 0.0)?;
        let sent = b.g.broadcast(sent, ty.shape.clone(), vec![0])?;
        let zero = crate::grad::zeros(&mut b.g, &ty)?;
        b.g.map(ScalarOp::Select, &[sent, y, zero])
    }
}

/// The slices of the first axis at these positions; all of them, in order, if there are none.
fn picked(b: &mut Batcher, x: NodeId, positions: &[usize]) -> Result<NodeId> {
    if positions.iter().enumerate().all(|(i, p)| i == *p) {
        return Ok(x);
    }
    let bytes: Vec<u8> = positions.iter().flat_map(|p| (*p as i32).to_le_bytes()).collect();
    let ty = crate::ty::TensorTy { dtype: DType::I32, shape: vec![Dim::from(positions.len() as i64)] };
    let positions = b.g.dense(ty, bytes)?;
    nn::take(&mut b.g, x, positions, 0)
}

/// An axis taken apart into `[members, part]`; gives the extent of a part too.
fn split(b: &mut Batcher, x: NodeId, g: &Grouped, axis: usize) -> Result<(NodeId, Dim)> {
    let mut shape = b.g.tensor(x)?.shape.clone();
    let part = shape[axis].floor_div(&g.members);
    shape[axis] = part.clone();
    shape.insert(axis, g.members.clone());
    Ok((b.g.reshape(x, shape)?, part))
}

fn with(first: &[&Dim], rest: &[Dim]) -> Vec<Dim> {
    first.iter().map(|d| (*d).clone()).chain(rest.iter().cloned()).collect()
}
