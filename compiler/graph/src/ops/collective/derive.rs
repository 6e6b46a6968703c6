//! The derivative: exchanges are linear (but for products and extremes), and each is another's transpose.

use super::{Collective, CollectiveKind};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::ops::{Monoid, Reduce};
use girih_base::{Diag, Dim, Result};

impl Vjp for Collective {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None]) };
        let kind = match &self.kind {
            CollectiveKind::AllReduce(Monoid::Sum) => self.kind.clone(),
            CollectiveKind::AllReduce(monoid) => return Ok(vec![Some(self.through_fold(b, monoid, at, ct)?)]),
            CollectiveKind::AllGather(axis) => CollectiveKind::ReduceScatter(*axis),
            CollectiveKind::ReduceScatter(axis) => CollectiveKind::AllGather(*axis),
            CollectiveKind::AllToAll { split, concat } => CollectiveKind::AllToAll { split: *concat, concat: *split },
            CollectiveKind::Permute(pairs) => {
                CollectiveKind::Permute(pairs.iter().map(|(from, to)| (*to, *from)).collect())
            }
        };
        Ok(vec![Some(b.g.push(self.with(kind), &[ct])?)])
    }
}

impl Collective {
    /// The fold as what it is, all values gathered along a new first axis and folded by each replica: `Reduce` has the rule,
    /// for ties and zeros too, and what the replicas owe each other's values is summed.
    fn through_fold(&self, b: &mut Backward, monoid: &Monoid, at: &Site, ct: NodeId) -> Result<NodeId> {
        let ty = b.g.tensor(at.operands[0])?.clone();
        let mut single = ty.shape.clone();
        single.insert(0, Dim::ONE);
        let x = b.g.reshape(at.operands[0], single)?;
        let gathered = b.g.push(self.with(CollectiveKind::AllGather(0)), &[x])?;
        let fold = Reduce { monoid: monoid.clone(), axes: vec![0], acc: ty.dtype };
        let node = b.g.push(fold.clone(), &[gathered])?;
        let site = Site { node, operands: vec![gathered], needs: vec![true] };
        let Some(d) = fold.vjp(b, &site, &[Some(ct)])?.pop().flatten() else {
            return Err(Diag::error("G021", "a fold has no cotangent"));
        };
        let own = b.g.push(self.with(CollectiveKind::ReduceScatter(0)), &[d])?;
        b.g.reshape(own, ty.shape)
    }
}
