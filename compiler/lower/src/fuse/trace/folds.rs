//! Folds, running folds and sorts: which axes they walk, and whether they may join a kernel.

use super::{Stop, Trace, key};
use crate::fuse::affine::{Affine, AxisId};
use crate::fuse::nest::{Expr, ExprId};
use girih_base::{DType, Dim};
use girih_graph::{Monoid, NodeId, Op, Ty};
use std::collections::BTreeSet;

impl Trace<'_> {
    pub(super) fn pull_multi(&mut self, node: NodeId, coords: &[Affine]) -> Result<ExprId, Stop> {
        let graph = self.graph;
        let operands = graph.operands(node);
        let dtypes: Vec<DType> = match graph.ty(node) {
            Ty::Tensor(t) => vec![t.dtype],
            Ty::Tuple(tys) => tys.iter().filter_map(|t| t.tensor().map(|t| t.dtype)).collect(),
        };
        // Folds may not run where lanes of a guard are missing, nor twice over different guards.
        if !self.guards.is_empty() && node != self.root {
            return Err(Stop::Blocked(node));
        }
        let memo_key = (node, key(coords), self.guard_set());
        if let Some(e) = self.memo.get(&memo_key) {
            return Ok(*e);
        }
        let used: BTreeSet<AxisId> = coords.iter().flat_map(|c| c.terms.keys().copied()).collect();
        let (expr, name) = match graph.op(node) {
            Op::Reduce(r) => {
                let shape = graph.tensor(operands[0])?.shape.clone();
                let mut taken = used.clone();
                let mut axes = Vec::new();
                let mut inner: Vec<Affine> = Vec::new();
                let mut rest = coords.iter();
                for (a, extent) in shape.iter().enumerate() {
                    if r.axes.contains(&a) {
                        self.columns_ok(extent)?;
                        let axis = self.fold_axis(extent, &taken);
                        taken.insert(axis);
                        axes.push(axis);
                        inner.push(self.axis_coord(axis));
                    } else {
                        inner.push(rest.next().cloned().unwrap_or(Affine::constant(Dim::ZERO)));
                    }
                }
                self.recompute_ok(node, &taken)?;
                let mut args = Vec::new();
                for o in &operands {
                    let e = self.pull(*o, &inner)?;
                    let acc = dtypes[args.len().min(dtypes.len() - 1)];
                    args.push(if matches!(r.monoid, Monoid::Custom(..)) { e } else { self.cast(*o, e, acc) });
                }
                if matches!(r.monoid, Monoid::ArgMax | Monoid::ArgMin) {
                    args.push(self.push(node, Expr::Coordinate(inner[r.axes[0]].clone()), DType::I32));
                }
                (Expr::Reduce { args, axes, monoid: r.monoid.clone() }, graph.node(node).name.clone())
            }
            Op::Scan(s) => {
                let Some(axis) = self.walked(node, &coords[s.axis]) else { return Err(Stop::Blocked(node)) };
                if s.exclusive || coords.iter().enumerate().any(|(i, c)| i != s.axis && c.terms.contains_key(&axis)) {
                    return Err(Stop::Blocked(node));
                }
                self.nest.axes[axis.0 as usize].row = true;
                let mut args = Vec::new();
                for o in &operands {
                    let e = self.pull(*o, coords)?;
                    let acc = dtypes[args.len().min(dtypes.len() - 1)];
                    args.push(if matches!(s.monoid, Monoid::Custom(..)) { e } else { self.cast(*o, e, acc) });
                }
                if matches!(s.monoid, Monoid::ArgMax | Monoid::ArgMin) {
                    args.push(self.push(node, Expr::Coordinate(coords[s.axis].clone()), DType::I32));
                }
                (Expr::Scan { args, axis, monoid: s.monoid.clone(), reverse: s.reverse }, graph.node(node).name.clone())
            }
            Op::Sort(s) => {
                let Some(axis) = self.walked(node, &coords[s.axis]) else { return Err(Stop::Blocked(node)) };
                self.nest.axes[axis.0 as usize].row = true;
                let args = operands.iter().map(|o| self.pull(*o, coords)).collect::<Result<Vec<_>, _>>()?;
                let (keys, descending) = (s.keys, s.descending);
                (Expr::Sort { args, axis, keys, descending }, graph.node(node).name.clone())
            }
            _ => return Err(Stop::Blocked(node)),
        };
        let e = self.nest.push(expr, dtypes, name, graph.node(node).loc.clone());
        self.memo.insert(memo_key, e);
        Ok(e)
    }

    /// An axis for a fold of extent `extent` whose result has `coords`: one that is already there when it can serve.
    pub(super) fn fold_axis(&mut self, extent: &Dim, used: &BTreeSet<AxisId>) -> AxisId {
        if extent.is(1) {
            return self.nest.axis(Dim::ONE);
        }
        let found = (0..self.nest.axes.len() as u32).map(AxisId).find(|a| {
            !used.contains(a)
                && self.nest.extent(*a) == *extent
                && (self.nest.axes[a.0 as usize].row || self.root_axes.contains(a))
        });
        let axis = found.unwrap_or_else(|| {
            let a = self.nest.axis(extent.clone());
            self.nest.axes[a.0 as usize].folded = true;
            a
        });
        self.nest.axes[axis.0 as usize].row = true;
        axis
    }

    /// The axis a scan or sort walks: one of the root's own, or a new one where there is a single point.
    pub(super) fn walked(&mut self, node: NodeId, coord: &Affine) -> Option<AxisId> {
        if node != self.root_core() {
            return None;
        }
        match coord.as_axis() {
            None if coord.is_constant() => Some(self.nest.axis(Dim::ONE)),
            axis => axis,
        }
    }

    /// The root, or the tuple it is a part of.
    pub(super) fn root_core(&self) -> NodeId {
        match self.graph.op(self.root) {
            Op::Proj(_) => self.graph.operands(self.root)[0],
            _ => self.root,
        }
    }

    pub(super) fn cast(&mut self, node: NodeId, e: ExprId, to: DType) -> ExprId {
        if self.nest.node(e).dtypes[0] == to { e } else { self.push(node, Expr::Cast(e), to) }
    }

    /// A fold inside a kernel whose root has axes the fold knows nothing of would run once for every point of them.
    pub(super) fn recompute_ok(&self, node: NodeId, used: &BTreeSet<AxisId>) -> Result<(), Stop> {
        if node == self.root || node == self.root_core() {
            return Ok(());
        }
        let repeats = self.root_axes.iter().any(|a| !used.contains(a) && !self.nest.extent(*a).is(1));
        let allowed = self.anchor.is_some() && self.vector;
        if repeats && !allowed { Err(Stop::Blocked(node)) } else { Ok(()) }
    }

    /// A fold over the columns of a product needs whole rows of it in one tile.
    pub(super) fn columns_ok(&self, extent: &Dim) -> Result<(), Stop> {
        let product = self.nest.exprs.iter().any(|n| matches!(n.expr, Expr::Dot { .. }));
        match self.anchor {
            Some(anchor) if product && extent.as_const().is_none_or(|e| e > self.policy.fold_columns) => {
                Err(Stop::Blocked(anchor))
            }
            _ => Ok(()),
        }
    }
}
