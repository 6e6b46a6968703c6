//! Reads and writes of memory.

use super::{Emitter, Val};
use crate::fuse::affine::{Affine, AxisId};
use crate::fuse::nest::{Bound, Expr, ExprId, Store};
use girih_base::{DType, Diag, Result, ScalarOp};
use girih_tile::{Literal, Op, TileTy, ValueId};

impl Emitter<'_> {
    /// A load with its tile axes in the given order, which must hold the expression's support.
    pub(in crate::fuse) fn load(&mut self, e: ExprId, axes: &[AxisId]) -> Result<Val> {
        let Expr::Load { tensor, offset, dynamic, bounds, other } = self.nest.node(e).expr.clone() else {
            return Err(Diag::error("L004", "not a load"));
        };
        let dtype = self.nest.node(e).dtypes[0];
        let other = if dtype.is_float() { Literal::float(other) } else { Literal::Int(other as i64) };
        let param = self.param(tensor, false);
        let shape = self.shape(axes);
        if dynamic.iter().any(|d| !self.nest.node(d.0).support.is_empty()) {
            let mut index = self.affine(&offset, axes);
            for (d, stride) in &dynamic {
                let v = self.value(*d)?;
                let v = self.spread(&v, axes);
                let k = self.b.size(stride);
                let k = self.b.splat(k, &shape);
                let step = if stride.is(1) { v } else { self.b.map(ScalarOp::Mul, &[v, k]) };
                index = self.b.map(ScalarOp::Add, &[index, step]);
            }
            let all: Vec<Bound> = bounds.iter().cloned().chain(self.tails(axes)).collect();
            let mask = if all.is_empty() { None } else { Some(self.bounds(&all, axes)) };
            let op = Op::LoadAt { param, index, mask, other };
            let id = self.b.push(op, vec![TileTy::new(dtype, shape)])[0];
            return Ok(Val { id, axes: axes.to_vec() });
        }
        let mut view = self.view(&offset, axes, &bounds)?;
        let mut at: Vec<ValueId> = axes.iter().map(|a| self.starts[a]).collect();
        self.lead(&mut view, &mut at, &dynamic)?;
        let mut full = vec![1; view.axes.len() - axes.len()];
        full.extend(&shape);
        let loaded = self.b.load(param, view, &at, &full, other);
        Ok(Val { id: self.b.reshape(loaded, &shape), axes: axes.to_vec() })
    }

    /// Decoded rows `[rows, columns]`, put into schedule order.
    pub(in crate::fuse) fn quant(&mut self, e: ExprId) -> Result<Val> {
        let Expr::Quant { tensor, format, shape, row, column } = self.nest.node(e).expr.clone() else {
            return Err(Diag::error("L004", "not a quantised load"));
        };
        let param = self.param(tensor, false);
        let axis_of = |a: &Affine| a.terms.keys().next().copied();
        let (ra, ca) = (axis_of(&row), axis_of(&column));
        let at = [&row, &column].map(|a| {
            let base = self.b.size(&a.base);
            match axis_of(a) {
                Some(axis) => {
                    let start = self.starts[&axis];
                    self.b.map(ScalarOp::Add, &[base, start])
                }
                None => base,
            }
        });
        let tile = [ra, ca].map(|a| a.map_or(1, |a| self.schedule.tile(a)));
        let op = Op::LoadQuant { param, format, rows: shape[0].clone(), columns: shape[1].clone(), at };
        let id = self.b.push(op, vec![TileTy::new(DType::F32, tile)])[0];
        let given: Vec<AxisId> = [ra, ca].into_iter().flatten().collect();
        let squeezed = self.shape(&given);
        let id = self.b.reshape(id, &squeezed);
        let axes = self.ordered(&given.iter().copied().collect());
        if axes != given {
            return Ok(Val { id: self.b.permute(id, &[1, 0]), axes });
        }
        Ok(Val { id, axes })
    }

    pub(in crate::fuse) fn store(&mut self, index: usize) -> Result<()> {
        let store = self.nest.stores[index].clone();
        let mut support = self.nest.node(store.value).support.clone();
        for e in store.dynamic.iter().map(|d| d.0).chain(store.mask) {
            support.extend(self.nest.node(e).support.iter().copied());
        }
        support.extend(store.offset.terms.keys().copied().filter(|a| !self.nest.extent(*a).is(1)));
        let axes = self.ordered(&support);
        let rows: Vec<AxisId> = axes.iter().copied().filter(|a| self.nest.axes[a.0 as usize].row).collect();
        let loops = self.chunked(&rows);
        let reads: Vec<ExprId> = store.dynamic.iter().map(|d| d.0).chain(store.mask).chain([store.value]).collect();
        self.hoist(&reads, &loops)?;
        let param = self.param(store.tensor, true);
        let scattered = store.mask.is_some() || store.combine.is_some();
        self.looped(&loops, Vec::new(), &mut |this, _| {
            let v = this.value(store.value)?;
            let tile = this.spread(&v, &axes);
            if scattered {
                this.scatter(param, tile, &store, &axes)?;
                return Ok(Vec::new());
            }
            let mut view = this.view(&store.offset, &axes, &[])?;
            let mut at: Vec<ValueId> = axes.iter().map(|a| this.starts[a]).collect();
            this.lead(&mut view, &mut at, &store.dynamic)?;
            let mut full = vec![1; view.axes.len() - axes.len()];
            full.extend(this.shape(&axes));
            let tile = this.b.reshape(tile, &full);
            this.b.store(param, view, &at, tile);
            Ok(Vec::new())
        })?;
        Ok(())
    }

    /// Writes a tile at computed offsets, where the mask allows it.
    pub(in crate::fuse) fn scatter(
        &mut self,
        param: usize,
        mut tile: ValueId,
        store: &Store,
        axes: &[AxisId],
    ) -> Result<()> {
        let shape = self.shape(axes);
        let mut index = self.affine(&store.offset, axes);
        for (e, stride) in &store.dynamic {
            let v = self.value(*e)?;
            let v = self.spread(&v, axes);
            let k = self.b.size(stride);
            let k = self.b.splat(k, &shape);
            let step = self.b.map(ScalarOp::Mul, &[v, k]);
            index = self.b.map(ScalarOp::Add, &[index, step]);
        }
        let tails = self.tails(axes);
        let mut mask = if tails.is_empty() { None } else { Some(self.bounds(&tails, axes)) };
        if let Some(e) = store.mask {
            let v = self.value(e)?;
            let v = self.spread(&v, axes);
            mask = Some(match mask {
                Some(m) => self.b.map(ScalarOp::And, &[m, v]),
                None => v,
            });
        }
        if let Some(op) = store.combine {
            let ty = self.b.ty(tile).clone();
            let other = if ty.dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
            let old = self.b.push(Op::LoadAt { param, index, mask, other }, vec![ty])[0];
            self.param(store.tensor, false);
            tile = self.b.map(op, &[old, tile]);
        }
        self.b.push(Op::StoreAt { param, index, value: tile, mask }, Vec::new());
        Ok(())
    }
}
