//! Matrix products on tiles.

use super::{Emitter, Val};
use crate::fuse::affine::AxisId;
use crate::fuse::nest::{Expr, ExprId};
use girih_base::{Diag, Result, ScalarOp};
use girih_tile::{Literal, TileTy, ValueId};

impl Emitter<'_> {
    pub(in crate::fuse) fn dot(&mut self, e: ExprId) -> Result<Val> {
        let node = self.nest.node(e);
        let Expr::Dot { a, b, axes } = node.expr.clone() else { return Err(Diag::error("L004", "not a product")) };
        let acc_dtype = node.dtypes[0];
        let roles = self.schedule.dot.clone().ok_or_else(|| Diag::error("L004", "a product without a schedule"))?;
        let axes: Vec<AxisId> = axes.into_iter().filter(|x| !self.nest.extent(*x).is(1)).collect();
        let support = node.support.clone();
        self.hoist(&[a, b], &axes)?;
        let size = |s: &Self, x: &[AxisId]| x.iter().map(|x| s.schedule.tile(*x)).product::<u32>();
        let (m, n, k) = (size(self, &roles.m), size(self, roles.n.as_slice()), size(self, &roles.k));
        let loops = self.chunked(&axes);
        let zero = if acc_dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
        let init =
            if loops.is_empty() { Vec::new() } else { vec![self.b.constant(zero, TileTy::new(acc_dtype, [m, n]))] };
        let out = self.looped(&loops, init, &mut |this, carried| {
            let left = this.matrix(a, roles.m.clone(), roles.k.clone(), [m, k])?;
            let right = this.matrix(b, roles.k.clone(), roles.n, [k, n])?;
            Ok(vec![this.b.dot(left, right, carried.first().copied(), acc_dtype)])
        })?;
        let order = self.ordered(&support);
        let mn: Vec<AxisId> = roles.m.iter().copied().chain(roles.n).filter(|x| support.contains(x)).collect();
        let lead: Vec<AxisId> = order.iter().copied().filter(|x| !mn.contains(x)).collect();
        let given: Vec<AxisId> = lead.into_iter().chain(mn).collect();
        let shape = self.shape(&given);
        let id = self.b.reshape(out[0], &shape);
        let axes = self.ordered(&support);
        let perm: Vec<usize> = axes.iter().filter_map(|x| given.iter().position(|g| g == x)).collect();
        Ok(Val { id: if axes == given { id } else { self.b.permute(id, &perm) }, axes })
    }

    /// An operand of a product as the tile `[rows, columns]`; masked tails are zero.
    pub(in crate::fuse) fn matrix(
        &mut self,
        e: ExprId,
        rows: impl IntoIterator<Item = AxisId>,
        columns: impl IntoIterator<Item = AxisId>,
        shape: [u32; 2],
    ) -> Result<ValueId> {
        let support = self.nest.node(e).support.clone();
        let last: Vec<AxisId> = rows.into_iter().chain(columns).collect();
        let lead: Vec<AxisId> = self.ordered(&support).into_iter().filter(|x| !last.contains(x)).collect();
        let want: Vec<AxisId> = lead.into_iter().chain(last.iter().copied()).collect();
        if self.find(e).is_none() && matches!(self.nest.node(e).expr, Expr::Load { .. }) {
            let v = self.load(e, &want)?;
            return Ok(self.b.reshape(v.id, &shape));
        }
        let v = self.value(e)?;
        let order: Vec<AxisId> = self.ordered(&want.iter().copied().collect());
        let mut id = self.spread(&v, &order);
        // A computed operand may hold anything where the contracted axis has ended.
        let folded: Vec<AxisId> = last.into_iter().filter(|a| self.nest.axes[a.0 as usize].row).collect();
        let tails = self.tails(&folded);
        if !tails.is_empty() && !matches!(self.nest.node(e).expr, Expr::Quant { .. }) {
            let inside = self.bounds(&tails, &order);
            let ty = self.b.ty(id).clone();
            let zero = if ty.dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
            let zero = self.b.constant(zero, ty);
            id = self.b.map(ScalarOp::Select, &[inside, id, zero]);
        }
        let perm: Vec<usize> = want.iter().filter_map(|x| order.iter().position(|o| o == x)).collect();
        let id = if order == want { id } else { self.b.permute(id, &perm) };
        Ok(self.b.reshape(id, &shape))
    }
}
