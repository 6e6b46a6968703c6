//! Layouts through operations that only rename elements, and the layouts of products.

use super::Plan;
use crate::distribute::layout::{Bit, Layout, bit_at, linear_of};
use girih_tile::{Op, ValueId};

/// The layout an operand needs so that the result of a relabelling operation comes out in `layout`.
pub fn pulled(op: &Op, layout: &Layout, from: &[u8], to: &[u8]) -> Layout {
    match op {
        Op::Broadcast(_, axes) => {
            layout.map(|b| axes.iter().position(|a| *a == b.axis as usize).map(|axis| Bit { axis: axis as u8, ..b }))
        }
        Op::Permute(_, perm) => layout.map(|b| Some(Bit { axis: perm[b.axis as usize] as u8, ..b })),
        Op::Reshape(_) => layout.map(|b| bit_at(from, linear_of(to, b))),
        _ => layout.clone(),
    }
}

/// The layout of a relabelling operation's result when its operand has `layout`; `None` where bits would be missing.
pub(super) fn pushed(op: &Op, layout: &Layout, from: &[u8], to: &[u8]) -> Option<Layout> {
    match op {
        Op::Broadcast(..) => None,
        Op::Permute(_, perm) => {
            let place =
                |b: Bit| perm.iter().position(|p| *p == b.axis as usize).map(|axis| Bit { axis: axis as u8, ..b });
            Some(layout.map(place))
        }
        Op::Reshape(_) => Some(layout.map(|b| bit_at(to, linear_of(from, b)))),
        _ => Some(layout.clone()),
    }
}

/// The axis along which a value's elements are neighbours in memory, followed through elementwise operations.
pub fn fast_axis(plan: &Plan, v: ValueId) -> Option<usize> {
    let stmt = plan.defs.get(&v)?;
    match &stmt.op {
        Op::Load { view, .. } => view.axes.iter().position(|a| a.stride.is(1)),
        Op::LoadQuant { .. } => Some(1),
        Op::Permute(x, perm) => {
            let inner = fast_axis(plan, *x)?;
            perm.iter().position(|p| *p == inner)
        }
        Op::Broadcast(x, axes) => fast_axis(plan, *x).map(|a| axes[a]),
        Op::Reshape(x) => {
            let (from, to) = (&plan.bits[x.0 as usize], &plan.bits[v.0 as usize]);
            let inner = fast_axis(plan, *x)?;
            bit_at(to, linear_of(from, Bit { axis: inner as u8, bit: 0 })).map(|b| b.axis as usize)
        }
        Op::Map(_, args) => {
            // The operand with most elements behind it decides: broadcast vectors have little say.
            let direct =
                |v: &&ValueId| !matches!(plan.defs.get(v).map(|s| &s.op), Some(Op::Broadcast(..) | Op::Splat(_)));
            args.iter().filter(direct).chain(args).find_map(|a| fast_axis(plan, *a))
        }
        Op::Cast(x) | Op::Bitcast(x) => fast_axis(plan, *x),
        Op::For { body, .. } => {
            let at = stmt.results.iter().position(|r| *r == v)?;
            fast_axis(plan, body.results[at])
        }
        _ => None,
    }
}

/// Layout of a dot's accumulator `[m, n]`: vectors along n, neighbouring threads along n, a block of rows per thread.
pub fn dot_layout(m: u8, n: u8, lanes: usize, block: [u32; 2]) -> Layout {
    let (mut rows, mut columns) = (block[0].max(1).ilog2() as u8, block[1].max(4).ilog2() as u8);
    (rows, columns) = (rows.min(m), columns.min(n));
    let floor = n.min(2);
    let need = (m + n).saturating_sub(lanes as u8).max(floor);
    while rows + columns > need {
        if rows > 0 && rows + floor >= columns {
            rows -= 1;
        } else if columns > floor {
            columns -= 1;
        } else {
            break;
        }
    }
    while rows + columns < need {
        if rows < m {
            rows += 1;
        } else {
            columns += 1;
        }
    }
    let (row, column) = (|bit| Some(Bit { axis: 0, bit }), |bit| Some(Bit { axis: 1, bit }));
    let high = n - (columns - floor);
    let mut lane: Vec<Option<Bit>> = (floor..high).map(column).chain((rows..m).map(row)).collect();
    lane.resize(lanes, None);
    Layout { reg: (0..floor).chain(high..n).map(column).chain((0..rows).map(row)).collect(), lane }
}
