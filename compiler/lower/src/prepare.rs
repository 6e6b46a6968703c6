//! Graph rewrites that the lowering needs: kinds it has no kernel for, in terms of kinds it has.

use crate::fuse::monoid::identity;
use girih_base::{DType, Dim, Loc, Result};
use girih_graph::ops::{Pad, Reduce, Scan, Slice, Tuple};
use girih_graph::{Graph, Monoid, NodeId, Number, TensorTy, Ty};
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

/// Lines from this length on are folded in two steps, so that they take more than one workgroup (and fewer rounds of its threads
/// than llvmpipe makes).
const LONG: i64 = 1 << 18;

/// Longest piece of a line that is folded in the first step.
const PIECE: i64 = 1 << 14;

/// Into how many pieces of equal length a long line is cut for its fold; nothing where it is short or of symbolic length, where no
/// length fits, or where there are lines enough to keep a GPU busy and none is very long.
pub fn two_steps(reduce: &Reduce, of: &TensorTy) -> Option<i64> {
    use Monoid::{And, Max, Min, Or, Prod, Sum, Xor};
    let [axis] = reduce.axes[..] else { return None };
    let plain = matches!(reduce.monoid, Sum | Prod | Max | Min | And | Or | Xor);
    // Along other axes the second fold would take the first one in.
    let last = axis + 1 == of.rank();
    let n = of.shape.get(axis)?.as_const().filter(|n| plain && last && *n >= LONG)?;
    let lines = of.shape.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, d)| d.bounds().1);
    if lines.fold(1i64, |all, d| all.saturating_mul(d)) > 1024 && n < 8 * LONG {
        return None;
    }
    let whole = |step: i64| (1..=PIECE / step).rev().map(|p| p * step).find(|p| *p >= 256 && n % p == 0);
    // Whole vectors if possible.
    whole(4).or_else(|| whole(1)).map(|piece| n / piece)
}

/// The fold of a line as the fold of the folds of its pieces; exact but for the order of float sums and products.
pub fn fold_in_two_steps(g: &mut Graph, reduce: &Reduce, pieces: i64, x: NodeId, loc: &Loc) -> Result<NodeId> {
    let axis = reduce.axes[0];
    let mut shape = g.tensor(x)?.shape.clone();
    let piece = shape[axis].floor_div(&Dim::from(pieces));
    shape.splice(axis..=axis, [Dim::from(pieces), piece]);
    let cut = g.reshape(x, shape)?;
    let first = g.add(Reduce { axes: vec![axis + 1], ..reduce.clone() }.into(), &[cut], loc.clone())?;
    g.add(reduce.clone().into(), &[first], loc.clone())
}
