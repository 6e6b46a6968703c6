//! Matrix products: the anchor of a kernel, and what may stand in front of it.

use super::{Stop, Trace};
use crate::fuse::affine::{Affine, AxisId};
use crate::fuse::nest::{Expr, ExprId};
use girih_base::{Dim, ScalarOp};
use girih_graph::{Monoid, NodeId, Op};
use std::collections::BTreeSet;

impl Trace<'_> {
    pub(super) fn pull_dot(&mut self, node: NodeId, coords: &[Affine]) -> Result<ExprId, Stop> {
        let graph = self.graph;
        let Op::Dot(dot) = graph.op(node) else { return Err(Stop::Blocked(node)) };
        let operands = graph.operands(node);
        let (ta, tb) = (graph.tensor(operands[0])?.clone(), graph.tensor(operands[1])?.clone());
        // Every root axis must be exactly one axis of the product, else it would be computed more than once.
        let mut seen = BTreeSet::new();
        let direct = coords.iter().all(|c| match c.as_axis() {
            Some(a) => self.root_axes.contains(&a) && seen.insert(a),
            None => c.is_constant(),
        });
        let covers = self.root_axes.iter().all(|a| self.nest.extent(*a).is(1) || seen.contains(a));
        let no_rows = self.nest.axes.iter().all(|a| !a.row);
        if self.anchor.is_some() || !direct || !covers || !no_rows || !self.guards.is_empty() {
            return Err(Stop::Blocked(node));
        }
        self.anchor = Some(node);
        let (fa, fb) = (dot.lhs_free(ta.rank()), dot.rhs_free(tb.rank()));
        let mut ca = vec![Affine::constant(Dim::ZERO); ta.rank()];
        let mut cb = vec![Affine::constant(Dim::ZERO); tb.rank()];
        let mut at = coords.iter();
        let mut next = || at.next().cloned().unwrap_or(Affine::constant(Dim::ZERO));
        for (l, r) in &dot.batch {
            let c = next();
            (ca[*l], cb[*r]) = (c.clone(), c);
        }
        fa.iter().for_each(|a| ca[*a] = next());
        fb.iter().for_each(|b| cb[*b] = next());
        let vector = fa.iter().all(|a| ta.shape[*a].is(1));
        self.vector = vector;
        let mut axes = Vec::new();
        let mut taken: BTreeSet<AxisId> = self.root_axes.iter().copied().collect();
        for (l, r) in &dot.contract {
            let axis = if vector {
                self.fold_axis(&ta.shape[*l], &taken)
            } else {
                let a = self.nest.axis(ta.shape[*l].clone());
                self.nest.axes[a.0 as usize].folded = true;
                a
            };
            taken.insert(axis);
            axes.push(axis);
            (ca[*l], cb[*r]) = (self.axis_coord(axis), self.axis_coord(axis));
        }
        let a = self.pull_operand(operands[0], &ca, vector)?;
        let b = self.pull_operand(operands[1], &cb, false)?;
        let (a, b) = if ta.dtype == dot.acc || vector && self.policy.fold_vectors {
            (self.cast(node, a, dot.acc), self.cast(node, b, dot.acc))
        } else {
            (a, b)
        };
        if vector && self.policy.fold_vectors {
            let product = self.push(node, Expr::Map(ScalarOp::Mul, vec![a, b]), dot.acc);
            return Ok(self.push(node, Expr::Reduce { args: vec![product], axes, monoid: Monoid::Sum }, dot.acc));
        }
        for axis in &axes {
            self.nest.axes[axis.0 as usize].row = true;
        }
        Ok(self.push(node, Expr::Dot { a, b, axes }, dot.acc))
    }

    /// An operand of a product: views, loads, casts and decoding are pulled in; arithmetic only in front of a vector, where it
    /// costs little.
    pub fn pull_operand(&mut self, node: NodeId, coords: &[Affine], free: bool) -> Result<ExprId, Stop> {
        if !free {
            let mut at = node;
            while Self::memory(self.graph, self.stored, at).is_none() {
                match self.graph.op(at) {
                    Op::Call(c) if c.callee.name.starts_with("dequant.") => break,
                    Op::Cast(_)
                    | Op::Permute(_)
                    | Op::Broadcast(_)
                    | Op::Slice(_)
                    | Op::Window(_)
                    | Op::Pad(_)
                    | Op::Reverse(_)
                    | Op::Reshape(_) => at = self.graph.operands(at)[0],
                    Op::Const(_) | Op::Iota(_) => break,
                    _ => return Err(Stop::Blocked(at)),
                }
            }
        }
        self.pull(node, coords)
    }
}
