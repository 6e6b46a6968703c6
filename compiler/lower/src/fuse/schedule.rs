//! Chooses, for a nest and a target, the order of the axes in tiles and the extent of tiles along each axis.

use super::affine::{Affine, AxisId};
use super::nest::{Attention, Expr, ExprId, Nest};
use crate::target::{TargetDesc, TargetKind};
use girih_base::Dim;
use std::collections::BTreeMap;

/// How a nest is cut into tiles.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Axes of more than one point, outermost first: the order of axes in every tile.
    pub order: Vec<AxisId>,
    /// Tile extent of each axis in `order`.
    pub tile: BTreeMap<AxisId, u32>,
    /// Folds over several tiles keep running values for every element of a tile.
    pub wide_folds: bool,
    /// The matrix product, if there is one: its row, column and depth axes (each may be missing).
    pub dot: Option<DotAxes>,
}

/// The roles of axes in a matrix product.
#[derive(Clone, Debug)]
pub struct DotAxes {
    /// Rows: axes of the left operand alone, outermost first.
    pub m: Vec<AxisId>,
    /// Columns: an axis of the right operand alone.
    pub n: Option<AxisId>,
    /// The contracted axes that tiles take, outermost first; others are looped over.
    pub k: Vec<AxisId>,
}

impl Schedule {
    /// The tile extent of an axis.
    pub fn tile(&self, axis: AxisId) -> u32 {
        self.tile.get(&axis).copied().unwrap_or(1)
    }

    /// Whether one tile takes the whole axis.
    pub fn whole(&self, nest: &Nest, axis: AxisId) -> bool {
        nest.extent(axis).known_le(&Dim::from(self.tile(axis))).yes()
    }

    /// Whether no tile reaches past the end of the axis.
    pub fn exact(&self, nest: &Nest, axis: AxisId) -> bool {
        let extent = nest.extent(axis);
        // A tile that takes the whole axis has no loop or grid in front of it that an empty axis would skip.
        let filled = !self.whole(nest, axis) || extent.is(self.tile(axis) as i64);
        filled && extent.divisible_by(self.tile(axis) as i64).yes()
    }
}

/// Most points an axis can have.
fn most(nest: &Nest, axis: AxisId) -> u64 {
    nest.extent(axis).bounds().1.max(1) as u64
}

/// Decides the schedule.
pub fn schedule(nest: &Nest, desc: &TargetDesc) -> Schedule {
    let order = memory_order(nest);
    let dot = nest.exprs.iter().enumerate().find_map(|(i, n)| match &n.expr {
        Expr::Dot { .. } => Some(ExprId(i as u32)),
        _ => None,
    });
    let tile = BTreeMap::new();
    let mut s = Schedule { order, tile, wide_folds: desc.kind == TargetKind::Gpu, dot: None };
    let attention = nest.exprs.iter().find_map(|n| match &n.expr {
        Expr::Attention(x) => Some(x),
        _ => None,
    });
    if let Some(x) = attention {
        tile_attention(nest, desc, x, &mut s);
        return s;
    }
    if nest.axes.iter().any(|a| a.serial) {
        tile_serial(nest, desc, &mut s);
        return s;
    }
    match dot {
        Some(e) => tile_dot(nest, desc, e, &mut s),
        None if nest.axes.iter().any(|a| a.row && !a.extent.is(1)) => tile_rows(nest, desc, &mut s),
        None => tile_points(nest, desc, &mut s),
    }
    s
}

/// Axes sorted by how far apart their neighbours lie in the largest access, so that the last axis is the one memory runs along.
fn memory_order(nest: &Nest) -> Vec<AxisId> {
    let axes: Vec<AxisId> = (0..nest.axes.len() as u32).map(AxisId).filter(|a| !nest.extent(*a).is(1)).collect();
    let size = |x: &Affine| x.terms.keys().map(|a| most(nest, *a)).fold(1u64, u64::saturating_mul);
    let stores = nest.stores.iter().map(|s| &s.offset);
    let loads = nest.exprs.iter().filter_map(|n| match &n.expr {
        Expr::Load { offset, .. } => Some(offset),
        _ => None,
    });
    let mut reference: Option<&Affine> = None;
    for access in stores.chain(loads) {
        if reference.is_none_or(|r| size(access) > size(r)) {
            reference = Some(access);
        }
    }
    let mut order = axes;
    if let Some(r) = reference {
        // Axes the access lacks come first: a tile holds one point of them.
        order.sort_by_key(|a| match r.terms.get(a) {
            Some(c) => std::cmp::Reverse(c.bounds().1.unsigned_abs().max(c.bounds().0.unsigned_abs())),
            None => std::cmp::Reverse(u64::MAX),
        });
    }
    order
}

/// The extent of a tile of at most `limit` along an axis of `extent`: a divisor if there is a good one (CPU), or a power of two.
fn fit(extent: &Dim, limit: u64, desc: &TargetDesc) -> u32 {
    fit_within(extent, limit, desc, 8)
}

/// [`fit`] where a GPU tile may shrink up to `slack` times to divide the extent.
fn fit_within(extent: &Dim, limit: u64, desc: &TargetDesc, slack: u64) -> u32 {
    let limit = limit.max(1);
    let most = extent.bounds().1.max(1) as u64;
    if desc.kind == TargetKind::Gpu {
        let cap = if limit.is_power_of_two() { limit } else { limit.next_power_of_two() / 2 };
        let full = most.next_power_of_two().min(cap);
        // A smaller power of two that divides the extent saves every tail check.
        let exact = extent.as_const().map_or(1, |e| 1u64 << e.trailing_zeros().min(62)).min(full);
        return if exact * slack >= full { exact as u32 } else { full as u32 };
    }
    if most <= limit {
        return most as u32;
    }
    match extent.as_const() {
        // The largest divisor within a factor of two of the limit saves every tail.
        Some(e) => (limit / 2..=limit).rev().find(|d| (e as u64).is_multiple_of(*d)).unwrap_or(limit) as u32,
        None => limit as u32,
    }
}

fn tile_points(nest: &Nest, desc: &TargetDesc, s: &mut Schedule) {
    let mut room = match desc.kind {
        TargetKind::Cpu => desc.tile_elements as u64,
        TargetKind::Gpu => (desc.threads * desc.vector) as u64,
    };
    // Leave enough tiles for every core.
    let total: u64 = s.order.iter().map(|a| most(nest, *a)).fold(1, u64::saturating_mul);
    if desc.kind == TargetKind::Cpu {
        room = room.min((total / (2 * desc.threads.max(1) as u64)).max(256));
    }
    for axis in s.order.iter().rev() {
        let t = fit(&nest.extent(*axis), room, desc);
        s.tile.insert(*axis, t);
        room /= t.max(1) as u64;
        if room == 0 {
            room = 1;
        }
    }
}

fn tile_rows(nest: &Nest, desc: &TargetDesc, s: &mut Schedule) {
    let rows: Vec<AxisId> = s.order.iter().copied().filter(|a| nest.axes[a.0 as usize].row).collect();
    let rest: Vec<AxisId> = s.order.iter().copied().filter(|a| !nest.axes[a.0 as usize].row).collect();
    let total: u64 = rows.iter().map(|a| most(nest, *a)).fold(1, u64::saturating_mul);
    let constant = rows.iter().all(|a| nest.extent(*a).as_const().is_some());
    let whole_limit = match desc.kind {
        TargetKind::Cpu => 4 * desc.tile_elements as u64,
        TargetKind::Gpu => (desc.threads * desc.vector * 4) as u64,
    };
    let ordered = nest.exprs.iter().any(|n| matches!(n.expr, Expr::Sort { .. } | Expr::Scan { .. }));
    let along_memory = s.order.last().is_some_and(|a| rows.contains(a));
    // A fold straight out of memory keeps nothing between: larger tiles only mean fewer of them.
    let streams = desc.kind == TargetKind::Cpu
        && nest.exprs.iter().all(|n| matches!(n.expr, Expr::Load { .. } | Expr::Reduce { .. } | Expr::Const(_)));
    let mut room = match desc.kind {
        TargetKind::Cpu if streams => 8 * desc.tile_elements as u64,
        TargetKind::Cpu => 2 * desc.tile_elements as u64,
        TargetKind::Gpu => (desc.threads * desc.vector) as u64,
    };
    if !along_memory {
        // Memory runs along a kept axis: tiles are wide there and a few rows deep.
        let wide = rest.last().copied();
        let width = wide.map_or(1, |a| {
            let programs: u64 = rest.iter().filter(|x| **x != a).map(|x| most(nest, *x)).fold(1, u64::saturating_mul);
            let share = (most(nest, a) * programs / (2 * desc.threads.max(1) as u64)).max(64);
            let limit = match desc.kind {
                TargetKind::Cpu => (room / 4).min(2048).min(share),
                // Scans and sorts keep whole lines, with room for several arrays in workgroup memory.
                TargetKind::Gpu if ordered => {
                    (desc.workgroup_bytes as u64 / line_bytes(nest) / total.next_power_of_two()).clamp(1, room)
                }
                TargetKind::Gpu => room,
            };
            fit(&nest.extent(a), limit, desc) as u64
        });
        if let Some(a) = wide {
            s.tile.insert(a, width as u32);
        }
        let mut depth = if desc.kind == TargetKind::Gpu { 4 } else { (room / width.max(1)).max(1) };
        for a in rows.iter().rev() {
            let t = match (ordered, desc.kind) {
                (true, TargetKind::Gpu) => most(nest, *a).next_power_of_two() as u32,
                (true, TargetKind::Cpu) => fit(&nest.extent(*a), u64::MAX >> 1, desc),
                (false, _) => fit(&nest.extent(*a), depth, desc),
            };
            s.tile.insert(*a, t);
            depth = (depth / t.max(1) as u64).max(1);
        }
        return;
    }
    let waste = total.next_power_of_two() as f64 / total as f64;
    let whole = ordered || (constant && total <= whole_limit && (desc.kind == TargetKind::Cpu || waste < 1.3));
    let mut inside = 1u64;
    if whole {
        for a in &rows {
            let most = most(nest, *a);
            let t = if desc.kind == TargetKind::Gpu { most.next_power_of_two() } else { most } as u32;
            s.tile.insert(*a, t);
            inside = inside.saturating_mul(t as u64);
        }
    } else {
        for a in rows.iter().rev() {
            let t = fit(&nest.extent(*a), (room / inside).max(1), desc);
            s.tile.insert(*a, t);
            inside *= t as u64;
        }
    }
    room = (room / inside.max(1)).max(1);
    let programs: u64 = rest.iter().map(|a| most(nest, *a)).fold(1, u64::saturating_mul);
    if desc.kind == TargetKind::Cpu {
        room = room.min((programs / (4 * desc.threads.max(1) as u64)).max(1));
    }
    for a in rest.iter().rev() {
        let t = fit(&nest.extent(*a), room, desc);
        s.tile.insert(*a, t);
        room = (room / t.max(1) as u64).max(1);
    }
}

/// Bytes of workgroup memory for one element of a line: of everything sorted or scanned, and a word for the order.
fn line_bytes(nest: &Nest) -> u64 {
    let bytes = |e: &ExprId| nest.node(*e).dtypes.iter().map(|d| (d.bits() as u64 / 8).max(4)).sum::<u64>();
    let lines = nest.exprs.iter().filter_map(|n| match &n.expr {
        Expr::Sort { args, .. } | Expr::Scan { args, .. } => Some(args.iter().map(bytes).sum::<u64>() + 4),
        _ => None,
    });
    lines.max().unwrap_or(0).max(16)
}

/// Query rows by all value features, keys in chunks, the scores' features whole.
fn tile_attention(nest: &Nest, desc: &TargetDesc, x: &Attention, s: &mut Schedule) {
    for a in &s.order {
        s.tile.insert(*a, 1);
    }
    let cpu = desc.kind == TargetKind::Cpu;
    let [features, keys] = x.inner;
    let full = |a: AxisId| fit_within(&nest.extent(a), most(nest, a).next_power_of_two(), desc, 1);
    s.tile.insert(features, full(features));
    s.tile.insert(keys, fit_within(&nest.extent(keys), if cpu { 256 } else { 32 }, desc, 1));
    if let Some(a) = x.columns {
        s.tile.insert(a, full(a));
    }
    if let Some(a) = x.rows {
        s.tile.insert(a, fit_within(&nest.extent(a), if cpu { 64 } else { 16 }, desc, 1));
    }
    let last = [x.rows, x.columns, Some(features), Some(keys)];
    s.order.retain(|a| !last.contains(&Some(*a)));
    s.order.extend(last.into_iter().flatten().filter(|a| !nest.extent(*a).is(1)));
}

/// Serial axes one point at a time, the others as points.
fn tile_serial(nest: &Nest, desc: &TargetDesc, s: &mut Schedule) {
    let (serial, free): (Vec<_>, Vec<_>) = s.order.iter().copied().partition(|a| nest.axes[a.0 as usize].serial);
    s.order = free;
    tile_points(nest, desc, s);
    for a in serial.iter().rev() {
        s.order.insert(0, *a);
        s.tile.insert(*a, 1);
    }
    s.order[..serial.len()].sort();
}

fn tile_dot(nest: &Nest, desc: &TargetDesc, e: ExprId, s: &mut Schedule) {
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
fn widen_windows(
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
