//! Joins iteration axes that every access walks as one, so that tiles are long and grids have few axes.

use super::affine::{Affine, AxisId};
use super::nest::{Expr, Nest};
use girih_base::Dim;

/// Joins what can be joined; a joined-away axis is left with extent 1.
pub fn merge_axes(nest: &mut Nest) {
    let count = nest.axes.len() as u32;
    loop {
        let pairs = (0..count).flat_map(|i| (0..count).map(move |j| (AxisId(i), AxisId(j))));
        let Some((outer, inner)) = pairs.filter(|(i, j)| i != j).find(|(i, j)| mergeable(nest, *i, *j)) else { return };
        join(nest, outer, inner);
    }
}

fn mergeable(nest: &Nest, outer: AxisId, inner: AxisId) -> bool {
    let (a, b) = (&nest.axes[outer.0 as usize], &nest.axes[inner.0 as usize]);
    if a.extent.is(1) || b.extent.is(1) || a.row != b.row || a.folded != b.folded || a.serial || b.serial {
        return false;
    }
    let together = |axes: &[AxisId]| axes.contains(&outer) == axes.contains(&inner);
    let walks = |x: &Affine| x.coefficient(outer) == &x.coefficient(inner) * &b.extent;
    let exprs = nest.exprs.iter().all(|n| match &n.expr {
        Expr::Load { offset, bounds, .. } => walks(offset) && bounds.iter().all(|b| walks(&b.value)),
        Expr::Quant { row, column, .. } => walks(row) && walks(column),
        Expr::Coordinate(c) => walks(c),
        Expr::Guard(bounds, ..) => bounds.iter().all(|b| walks(&b.value)),
        Expr::Reduce { axes, .. } | Expr::Dot { axes, .. } => together(axes),
        Expr::Attention(x) => {
            let special = [Some(x.inner[0]), Some(x.inner[1]), x.rows, x.columns];
            !special.contains(&Some(outer))
                && !special.contains(&Some(inner))
                && x.causal.iter().all(|(row, _)| walks(row))
        }
        Expr::Scan { axis, .. } | Expr::Sort { axis, .. } => *axis != outer && *axis != inner,
        _ => true,
    });
    exprs && nest.stores.iter().all(|s| walks(&s.offset))
}

fn join(nest: &mut Nest, outer: AxisId, inner: AxisId) {
    let extent = &nest.extent(outer) * &nest.extent(inner);
    nest.axes[inner.0 as usize].extent = extent;
    nest.axes[outer.0 as usize].extent = Dim::ONE;
    let drop = |x: &mut Affine| {
        x.terms.remove(&outer);
    };
    for node in &mut nest.exprs {
        node.support.remove(&outer);
        match &mut node.expr {
            Expr::Load { offset, bounds, .. } => {
                drop(offset);
                bounds.iter_mut().for_each(|b| drop(&mut b.value));
            }
            Expr::Quant { row, column, .. } => {
                drop(row);
                drop(column);
            }
            Expr::Coordinate(c) => drop(c),
            Expr::Guard(bounds, ..) => bounds.iter_mut().for_each(|b| drop(&mut b.value)),
            Expr::Reduce { axes, .. } | Expr::Dot { axes, .. } => axes.retain(|a| *a != outer),
            Expr::Attention(x) => x.causal.iter_mut().for_each(|(row, _)| drop(row)),
            _ => {}
        }
    }
    nest.stores.iter_mut().for_each(|s| drop(&mut s.offset));
}
