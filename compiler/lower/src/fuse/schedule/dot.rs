//! Tiles of matrix products.

use super::{DotAxes, Schedule, fit, fit_within, most};
use crate::fuse::affine::AxisId;
use crate::fuse::nest::{Expr, ExprId, Nest};
use crate::target::{TargetDesc, TargetKind};

pub(super) fn tile_dot(nest: &Nest, desc: &TargetDesc, e: ExprId, s: &mut Schedule) {
    let Expr::Dot { a, b, axes } = &nest.node(e).expr else { return };
    let (sa, sb) = (&nest.node(*a).support, &nest.node(*b).support);
    let last =
        |f: &dyn Fn(&AxisId) -> bool| s.order.iter().copied().filter(|x| f(x)).max_by_key(|x| most(nest, *x).min(4096));
    let m = last(&|x| sa.contains(x) && !sb.contains(x) && !axes.contains(x));
    let n = last(&|x| sb.contains(x) && !sa.contains(x) && !axes.contains(x));
    let k = last(&|x| axes.contains(x));
    let (em, en) = (m.map_or(1, |a| most(nest, a)), n.map_or(1, |a| most(nest, a)));
    for a in &s.order {
        s.tile.insert(*a, 1);
    }
    let others: u64 = s
        .order
        .iter()
        .filter(|x| Some(**x) != m && Some(**x) != n && !axes.contains(x))
        .map(|x| most(nest, *x))
        .fold(1, u64::saturating_mul);
    let [mut tm, mut tn] = [desc.dot_tile[0] as u64, desc.dot_tile[1] as u64];
    if desc.kind == TargetKind::Cpu {
        let cores = desc.threads.max(1) as u64;
        // Threads share one product best inside it; what follows the product would run on one of them alone.
        let stored = nest.stores.iter().all(|s| s.value == e);
        let fixed = m.into_iter().chain(n).all(|a| nest.extent(a).as_const().is_some_and(|e| e <= 1024));
        if em > 16 && others == 1 && stored && fixed {
            (tm, tn) = (em, en);
        } else if em <= 16 {
            tn = (en.div_ceil(cores * 4 / others.min(cores * 4)).next_multiple_of(16)).max(32);
        } else {
            tm = tm.max(em.min(512));
            // Few large programs keep packing cheap; enough of them keep every core busy.
            let want = (cores * 2).div_ceil(others);
            tn = en.div_ceil(want.div_ceil(em.div_ceil(tm)).max(1)).next_multiple_of(16).min(2048);
        }
    }
    if let Some(a) = m {
        s.tile.insert(a, fit_within(&nest.extent(a), tm, desc, 1));
    }
    if let Some(a) = n {
        // A fold over the columns wants whole rows.
        let limit = if nest.axes[a.0 as usize].row { most(nest, a).next_power_of_two() } else { tn };
        s.tile.insert(a, fit_within(&nest.extent(a), limit, desc, 1));
    }
    if let Some(a) = k {
        let limit = match (desc.kind, nest.extent(a).as_const()) {
            (TargetKind::Cpu, Some(_)) => 1 << 20,
            (TargetKind::Cpu, None) => 256,
            (TargetKind::Gpu, _) => desc.dot_depth as u64,
        };
        s.tile.insert(a, fit_within(&nest.extent(a), limit, desc, 1));
    }
    // Folds in front of a vector have the axis to themselves.
    for a in s.order.clone() {
        if nest.axes[a.0 as usize].row && !axes.contains(&a) && Some(a) != n && Some(a) != m {
            s.tile.insert(a, fit(&nest.extent(a), desc.tile_elements as u64, desc));
        }
    }
    let (mut rows, mut depth): (Vec<AxisId>, Vec<AxisId>) = (m.into_iter().collect(), k.into_iter().collect());
    if desc.kind == TargetKind::Cpu {
        widen_windows(nest, desc, [*a, *b], axes, &mut rows, &mut depth, s);
    }
    // Operands come as [.., m, k] and [.., k, n]: these are last, in the result's order.
    let last: Vec<AxisId> = rows.iter().copied().chain(n).chain(depth.iter().copied()).collect();
    s.order.retain(|x| !last.contains(x));
    s.order.extend(last);
    s.dot = Some(DotAxes { m: rows, n, k: depth });
}

/// Convolutions contract several short axes: on a CPU one product over all of them and over several rows of pixels, its left
/// operand gathered in the second cache, instead of a small product for each offset of the window.
pub(super) fn widen_windows(
    nest: &Nest,
    desc: &TargetDesc,
    [a, b]: [ExprId; 2],
    contracted: &[AxisId],
    rows: &mut Vec<AxisId>,
    depth: &mut Vec<AxisId>,
    s: &mut Schedule,
) {
    let axes: Vec<AxisId> = s.order.iter().copied().filter(|x| contracted.contains(x)).collect();
    let plain = [a, b].iter().all(|e| matches!(nest.node(*e).expr, Expr::Load { .. }));
    let constant = axes.iter().all(|x| nest.extent(*x).as_const().is_some());
    let total: u64 = axes.iter().map(|x| most(nest, *x)).fold(1, u64::saturating_mul);
    if axes.len() < 2 || !plain || !constant || total > 8192 || s.order.len() > 8 {
        return;
    }
    s.tile.extend(axes.iter().map(|x| (*x, most(nest, *x) as u32)));
    *depth = axes;
    let (left, right) = (&nest.node(a).support, &nest.node(b).support);
    let more = s
        .order
        .iter()
        .copied()
        .filter(|x| left.contains(x) && !right.contains(x) && !contracted.contains(x) && !rows.contains(x));
    let (Some(first), Some(outer)) = (rows.first().copied(), more.max_by_key(|x| most(nest, *x))) else { return };
    if !s.whole(nest, first) || [first, outer].iter().any(|x| nest.extent(*x).as_const().is_none()) {
        return;
    }
    // Half a megabyte of gathered operand, and two tiles for each core.
    let inside = (total * most(nest, first) * 4).max(1);
    let share = most(nest, outer) / (2 * desc.threads.max(1) as u64);
    let tile = fit(&nest.extent(outer), ((1 << 19) / inside).clamp(1, share.max(1)), desc);
    s.tile.insert(outer, tile);
    rows.push(outer);
    let at = |x: &AxisId| s.order.iter().position(|y| y == x);
    rows.sort_by_key(at);
}
