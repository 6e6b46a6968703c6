//! Folds, running folds and sorts along axes of the nest.

use super::{Emitter, Val};
use crate::fuse::affine::AxisId;
use crate::fuse::monoid;
use crate::fuse::nest::{Expr, ExprId};
use girih_base::{DType, Diag, Result, ScalarOp};
use girih_graph::Monoid;
use girih_tile::{Literal, Op, TileTy, ValueId};
use std::collections::BTreeSet;

impl Emitter<'_> {
    pub(in crate::fuse) fn reduce(&mut self, e: ExprId) -> Result<Vec<Val>> {
        let Expr::Reduce { args, axes, monoid } = self.nest.node(e).expr.clone() else {
            return Err(Diag::error("L004", "not a fold"));
        };
        let axes: Vec<AxisId> = axes.into_iter().filter(|a| !self.nest.extent(*a).is(1)).collect();
        let kept = self.ordered(&self.nest.node(e).support);
        let mut span: BTreeSet<AxisId> = kept.iter().copied().collect();
        span.extend(&axes);
        let full = self.ordered(&span);
        self.hoist(&args, &axes)?;
        let lifted: Vec<DType> = self.state_dtypes(&args, &monoid);
        let identity = monoid::identity(&monoid, &lifted);
        let loops = self.chunked(&axes);
        // Running values for every element of the tile, folded once at the end, where folding a tile is dear (threads have to
        // meet); a body of the user's may care about the order and folds tile by tile.
        let wide = self.schedule.wide_folds && !loops.is_empty() && !matches!(monoid, Monoid::Custom(..));
        let shape = if wide { self.shape(&full) } else { self.shape(&kept) };
        let init: Vec<ValueId> = if loops.is_empty() {
            Vec::new()
        } else {
            identity.iter().zip(&lifted).map(|(v, d)| self.b.constant(*v, TileTy::new(*d, shape.clone()))).collect()
        };
        let states = self.looped(&loops, init, &mut |this, carried| {
            let mut vals = Vec::new();
            for a in &args {
                let v = this.value(*a)?;
                vals.push(this.spread(&v, &full));
            }
            let mut states = monoid::lift(&monoid, &mut this.b, &vals);
            let tails = this.tails(&axes);
            if !tails.is_empty() {
                let inside = this.bounds(&tails, &full);
                for (s, id) in states.iter_mut().zip(&identity) {
                    let ty = this.b.ty(*s).clone();
                    let id = this.b.constant(*id, ty);
                    *s = this.b.map(ScalarOp::Select, &[inside, *s, id]);
                }
            }
            if !wide {
                states = this.fold(states, &full, &axes, &monoid, &lifted)?;
            }
            if carried.is_empty() { Ok(states) } else { monoid::merge(&monoid, &mut this.b, &carried, &states) }
        })?;
        let states = if wide { self.fold(states, &full, &axes, &monoid, &lifted)? } else { states };
        let mut results = monoid::results(&monoid, &states);
        let empty = axes.iter().any(|a| self.nest.extent(*a).bounds().0 < 1);
        if let (true, Monoid::ArgMax | Monoid::ArgMin, [_, position]) = (empty, &monoid, &mut results[..]) {
            // The position in nothing is 0.
            let ty = self.b.ty(*position).clone();
            let none = self.b.constant(Literal::Int(i32::MAX as i64), ty.clone());
            let zero = self.b.constant(Literal::Int(0), ty);
            let nothing = self.b.map(ScalarOp::Eq, &[*position, none]);
            *position = self.b.map(ScalarOp::Select, &[nothing, zero, *position]);
        }
        Ok(results.into_iter().map(|id| Val { id, axes: kept.clone() }).collect())
    }

    /// Folds `axes` of tiles over `full` away.
    pub(in crate::fuse) fn fold(
        &mut self,
        mut states: Vec<ValueId>,
        full: &[AxisId],
        axes: &[AxisId],
        monoid: &Monoid,
        dtypes: &[DType],
    ) -> Result<Vec<ValueId>> {
        let mut left = full.to_vec();
        for axis in axes.iter().rev() {
            let Some(at) = left.iter().position(|a| a == axis) else { continue };
            left.remove(at);
            let combine = monoid::combine(monoid, &mut self.b, dtypes)?;
            let shape = self.shape(&left);
            let tys = dtypes.iter().map(|d| TileTy::new(*d, shape.clone())).collect();
            states = self.b.push(Op::Reduce { args: states, axis: at, combine }, tys);
        }
        Ok(states)
    }

    pub(in crate::fuse) fn state_dtypes(&self, args: &[ExprId], monoid: &Monoid) -> Vec<DType> {
        let first = self.nest.node(args[0]).dtypes[0];
        match monoid {
            Monoid::Welford => vec![first; 3],
            Monoid::Online => vec![first; 2],
            _ => args.iter().map(|a| self.nest.node(*a).dtypes[0]).collect(),
        }
    }

    pub(in crate::fuse) fn scan(&mut self, e: ExprId) -> Result<Vec<Val>> {
        let node = self.nest.node(e);
        let Expr::Scan { args, axis, monoid, reverse } = node.expr.clone() else {
            return Err(Diag::error("L004", "not a scan"));
        };
        let axes = self.ordered(&node.support);
        let mut vals = Vec::new();
        for a in &args {
            let v = self.value(*a)?;
            vals.push(self.spread(&v, &axes));
        }
        let mut states = monoid::lift(&monoid, &mut self.b, &vals);
        let dtypes = self.state_dtypes(&args, &monoid);
        let tails = self.tails(&[axis]);
        if !tails.is_empty() {
            let inside = self.bounds(&tails, &axes);
            for (s, id) in states.iter_mut().zip(monoid::identity(&monoid, &dtypes)) {
                let ty = self.b.ty(*s).clone();
                let id = self.b.constant(id, ty);
                *s = self.b.map(ScalarOp::Select, &[inside, *s, id]);
            }
        }
        let Some(at) = axes.iter().position(|a| *a == axis) else {
            // A single point: its own running value.
            return Ok(monoid::results(&monoid, &states)
                .into_iter()
                .map(|id| Val { id, axes: axes.clone() })
                .collect());
        };
        let combine = monoid::combine(&monoid, &mut self.b, &dtypes)?;
        let shape = self.shape(&axes);
        let tys = dtypes.iter().map(|d| TileTy::new(*d, shape.clone())).collect();
        let states = self.b.push(Op::Scan { args: states, axis: at, combine, reverse }, tys);
        Ok(monoid::results(&monoid, &states).into_iter().map(|id| Val { id, axes: axes.clone() }).collect())
    }

    pub(in crate::fuse) fn sort(
        &mut self,
        args: &[ExprId],
        axis: AxisId,
        keys: usize,
        descending: bool,
        axes: &[AxisId],
    ) -> Result<Vec<Val>> {
        let mut vals = Vec::new();
        for a in args {
            let v = self.value(*a)?;
            vals.push(self.spread(&v, axes));
        }
        // What a tile has beyond the axis must sort behind everything that exists; stability settles ties.
        let tails = self.tails(&[axis]);
        if !tails.is_empty() {
            let inside = self.bounds(&tails, axes);
            for v in vals.iter_mut().take(keys) {
                let ty = self.b.ty(*v).clone();
                let last = self.b.constant(monoid::last_in_order(ty.dtype, descending), ty);
                *v = self.b.map(ScalarOp::Select, &[inside, *v, last]);
            }
        }
        let Some(at) = axes.iter().position(|a| *a == axis) else {
            return Ok(vals.into_iter().map(|id| Val { id, axes: axes.to_vec() }).collect());
        };
        let tys: Vec<TileTy> = vals.iter().map(|v| self.b.ty(*v).clone()).collect();
        let out = self.b.push(Op::Sort { args: vals, axis: at, keys, descending }, tys);
        Ok(out.into_iter().map(|id| Val { id, axes: axes.to_vec() }).collect())
    }
}
