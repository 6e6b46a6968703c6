//! Loops over the tiles of axes, and what is computed in front of them.

use super::{Body, Emitter};
use crate::fuse::affine::AxisId;
use crate::fuse::nest::{Expr, ExprId};
use girih_base::{DType, Result};
use girih_tile::{Op, TileTy, ValueId};
use std::collections::{BTreeMap, BTreeSet};

impl Emitter<'_> {
    /// Emits now, in the current scope, everything below `roots` that does not depend on `axes`, nor on an axis whose own loop
    /// is further inside.
    pub(in crate::fuse) fn hoist(&mut self, roots: &[ExprId], axes: &[AxisId]) -> Result<()> {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<ExprId> = roots.iter().rev().copied().collect();
        while let Some(e) = todo.pop() {
            if !seen.insert(e) {
                continue;
            }
            let node = self.nest.node(e);
            if axes.iter().any(|a| node.support.contains(a)) || node.support.iter().any(|a| self.is_ahead(*a)) {
                todo.extend(node.expr.operands().into_iter().rev());
            } else if !matches!(node.expr, Expr::Const(_) | Expr::Int(_) | Expr::Size(_) | Expr::Coordinate(_)) {
                self.values(e)?;
            }
        }
        Ok(())
    }

    /// Whether an axis is taken tile by tile in a loop that is not open here: nothing that depends on it has a value yet.
    pub(in crate::fuse) fn is_ahead(&self, axis: AxisId) -> bool {
        self.nest.axes[axis.0 as usize].row && !self.schedule.whole(self.nest, axis) && !self.open.contains(&axis)
    }

    /// Runs `body` for every tile along `axes`, carrying values.
    pub(in crate::fuse) fn looped(
        &mut self,
        axes: &[AxisId],
        init: Vec<ValueId>,
        body: Body<'_, Self>,
    ) -> Result<Vec<ValueId>> {
        let Some((axis, rest)) = axes.split_first() else { return body(self, init) };
        let lo = self.b.int(0);
        let hi = match self.ends.get(axis) {
            Some(end) => *end,
            None => self.b.size(&self.nest.extent(*axis)),
        };
        let step = self.schedule.tile(*axis);
        let tys: Vec<TileTy> = init.iter().map(|v| self.b.ty(*v).clone()).collect();
        let i = self.b.fresh(TileTy::scalar(DType::I32));
        let carried: Vec<ValueId> = tys.iter().map(|t| self.b.fresh(t.clone())).collect();
        self.b.begin(std::iter::once(i).chain(carried.iter().copied()).collect());
        let outer = self.starts.insert(*axis, i);
        let first = self.open.insert(*axis);
        self.scopes.push(BTreeMap::new());
        let out = self.looped(rest, carried, body);
        self.scopes.pop();
        if first {
            self.open.remove(axis);
        }
        if let Some(start) = outer {
            self.starts.insert(*axis, start);
        }
        let block = self.b.end(out.as_ref().map_or(Vec::new(), Clone::clone));
        out?;
        Ok(self.b.push(Op::For { lo, hi, step, init, body: block }, tys))
    }

    pub(in crate::fuse) fn chunked(&self, axes: &[AxisId]) -> Vec<AxisId> {
        let mut out: Vec<AxisId> = axes.iter().copied().filter(|a| !self.schedule.whole(self.nest, *a)).collect();
        out.sort_by_key(|a| self.schedule.order.iter().position(|x| x == a));
        out
    }
}
