//! Chooses, for a nest and a target, the order of the axes in tiles and the extent of tiles along each axis.

mod dot;
mod rows;

use super::affine::{Affine, AxisId};
use super::nest::{Attention, Expr, ExprId, Nest};
use crate::target::{TargetDesc, TargetKind};
use dot::tile_dot;
use girih_base::Dim;
use rows::tile_rows;
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
