//! Graph rewrites that the lowering needs: kinds it has no kernel for, in terms of kinds it has.

use crate::fuse::monoid::identity;
use girih_base::{DType, Dim, Loc, Result};
use girih_graph::ops::{Pad, Scan, Slice, Tuple};
use girih_graph::{Graph, Monoid, NodeId, Number, Ty};
use girih_tile::Literal;

/// An exclusive scan: the inclusive one, moved on by one element, with the identity in front.
pub fn exclusive_scan(g: &mut Graph, scan: &Scan, operands: &[NodeId], loc: &Loc) -> Result<NodeId> {
    let inclusive = g.add(Scan { exclusive: false, ..scan.clone() }.into(), operands, loc.clone())?;
    let parts: Vec<NodeId> = match g.ty(inclusive) {
        Ty::Tensor(_) => vec![inclusive],
        Ty::Tuple(tys) => (0..tys.len()).map(|i| g.proj(inclusive, i)).collect::<Result<_>>()?,
    };
    let dtypes: Vec<DType> = parts.iter().map(|p| Ok(g.tensor(*p)?.dtype)).collect::<Result<_>>()?;
    let mut moved = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let ty = g.tensor(*part)?.clone();
        let rank = ty.rank();
        let (mut start, mut limit) = (vec![Dim::ZERO; rank], ty.shape.clone());
        let (mut low, mut high) = (vec![Dim::ZERO; rank], vec![Dim::ZERO; rank]);
        let one = ty.shape[scan.axis].min_of(&Dim::ONE);
        if scan.reverse {
            start[scan.axis] = one.clone();
            high[scan.axis] = one;
        } else {
            limit[scan.axis] = &ty.shape[scan.axis] - &one;
            low[scan.axis] = one;
        }
        let kept = g.add(Slice { start, limit, stride: vec![1; rank] }.into(), &[*part], loc.clone())?;
        let first = match identity(&scan.monoid, &dtypes).get(i).copied() {
            // The position of the best of nothing is 0.
            _ if i == 1 && matches!(scan.monoid, Monoid::ArgMax | Monoid::ArgMin) => Number::from(0i64),
            Some(Literal::Float(bits)) => Number::Float(bits),
            Some(Literal::Int(v)) => Number::from(v),
            None => Number::from(0i64),
        };
        let first = g.scalar(first, ty.dtype)?;
        moved.push(g.add(Pad { low, high, interior: vec![0; rank] }.into(), &[kept, first], loc.clone())?);
    }
    match moved[..] {
        [one] => Ok(one),
        _ => g.add(Tuple.into(), &moved, loc.clone()),
    }
}
