//! Index arithmetic: what position an integer tensor holds, as one coordinate plus a size.

use crate::build::Build;
use crate::egraph;
use egg::Id;
use girih_base::{DType, Dim, ScalarOp};
use girih_graph::{Literal, Op};

/// `coordinate along axis + offset` (just the offset when there is no axis).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Position {
    /// The axis whose coordinate is counted.
    pub axis: Option<usize>,
    /// What is added to it.
    pub offset: Dim,
}

/// Nodes looked through; an index expression is shallow, and the e-graph may be cyclic.
const DEPTH: usize = 8;

/// The position every element of an integer class holds, if it has that form.
pub(crate) fn position(b: &Build, id: Id) -> Option<Position> {
    walk(b, id, DEPTH)
}

fn walk(b: &Build, id: Id, depth: usize) -> Option<Position> {
    let depth = depth.checked_sub(1)?;
    let fact = b.fact(id);
    if !egraph::tensor(b.eg, id)?.dtype.is_int() {
        return None;
    }
    if let Some(n) = fact.splat {
        return Some(Position { axis: None, offset: Dim::from(i64::try_from(n.as_int()).ok()?) });
    }
    b.eg[id].nodes.iter().find_map(|n| match egraph::op(b.eg, n) {
        Op::Iota(i) => Some(Position { axis: Some(i.axis), offset: Dim::ZERO }),
        Op::Const(c) => match &c.value {
            Literal::Dim(d) => Some(Position { axis: None, offset: d.clone() }),
            _ => None,
        },
        Op::Broadcast(w) => {
            let inner = walk(b, n.kids[0], depth)?;
            Some(Position { axis: inner.axis.and_then(|a| w.axes.get(a).copied()), offset: inner.offset })
        }
        // A wider integer holds the same positions.
        Op::Cast(c) if c.to.bits() >= 32 && wide_int(b, n.kids[0]) => walk(b, n.kids[0], depth),
        Op::Map(op @ (ScalarOp::Add | ScalarOp::Sub)) => {
            let (x, y) = (walk(b, n.kids[0], depth)?, walk(b, n.kids[1], depth)?);
            match (op, x.axis, y.axis) {
                (ScalarOp::Add, axis, None) | (ScalarOp::Add, None, axis) => {
                    Some(Position { axis, offset: x.offset + y.offset })
                }
                (ScalarOp::Sub, axis, None) => Some(Position { axis, offset: x.offset - y.offset }),
                _ => None,
            }
        }
        _ => None,
    })
}

fn wide_int(b: &Build, id: Id) -> bool {
    egraph::tensor(b.eg, id).is_some_and(|t| matches!(t.dtype, DType::I32 | DType::U32 | DType::I64))
}

/// The offset `c` for which the mask is `coordinate along key <= coordinate along query + c`.
pub(crate) fn causal(b: &Build, mask: Id, query: usize, key: usize) -> Option<Dim> {
    b.eg[mask].nodes.iter().find_map(|n| {
        let Op::Map(op) = egraph::op(b.eg, n) else {
            return match egraph::op(b.eg, n) {
                // The mask of a whole batch, repeated.
                Op::Broadcast(w) => {
                    let at = |axis: usize| w.axes.iter().position(|a| *a == axis);
                    causal(b, n.kids[0], at(query)?, at(key)?)
                }
                _ => None,
            };
        };
        let (small, large, extra) = match op {
            ScalarOp::Le => (n.kids[0], n.kids[1], 0),
            ScalarOp::Lt => (n.kids[0], n.kids[1], 1),
            _ => return None,
        };
        let (t, i) = (position(b, small)?, position(b, large)?);
        (t.axis == Some(key) && i.axis == Some(query)).then(|| i.offset - t.offset - extra)
    })
}
