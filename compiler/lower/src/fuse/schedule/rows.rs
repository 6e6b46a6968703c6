//! Tiles of kernels that fold, scan or sort along axes.

use super::{Schedule, fit, most};
use crate::fuse::affine::AxisId;
use crate::fuse::nest::{Expr, ExprId, Nest};
use crate::target::{TargetDesc, TargetKind};

pub(super) fn tile_rows(nest: &Nest, desc: &TargetDesc, s: &mut Schedule) {
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
pub(super) fn line_bytes(nest: &Nest) -> u64 {
    let bytes = |e: &ExprId| nest.node(*e).dtypes.iter().map(|d| (d.bits() as u64 / 8).max(4)).sum::<u64>();
    let lines = nest.exprs.iter().filter_map(|n| match &n.expr {
        Expr::Sort { args, .. } | Expr::Scan { args, .. } => Some(args.iter().map(bytes).sum::<u64>() + 4),
        _ => None,
    });
    lines.max().unwrap_or(0).max(16)
}
