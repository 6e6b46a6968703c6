//! Loads and stores of a group.

use super::Grouper;
use crate::ir::{Block, Guard, Kernel, Stmt, TileTy, ValueId, View, ViewAxis};
use crate::op::{Literal, Op};
use crate::verify::MAX_RANK;
use girih_base::{DType, Dim};

/// Whether an instance may run again from the start after it was stopped anywhere.
pub(super) fn restartable(kernel: &Kernel) -> bool {
    fn walk(block: &Block, read: &mut [bool], written: &mut [bool]) -> bool {
        block.stmts.iter().all(|s| {
            match &s.op {
                Op::Load { param, .. } | Op::LoadAt { param, .. } | Op::LoadQuant { param, .. } => read[*param] = true,
                Op::Store { param, .. } | Op::StoreAt { param, .. } => written[*param] = true,
                Op::Atomic { .. } | Op::CompareExchange { .. } => return false,
                _ => {}
            }
            s.op.blocks().into_iter().all(|b| walk(b, read, written))
        })
    }
    let mut read = vec![false; kernel.params.len()];
    let mut written = read.clone();
    walk(&kernel.body, &mut read, &mut written) && read.iter().zip(&written).all(|(r, w)| !(r & w))
}

/// A tile of a view for all instances.
struct Spread {
    view: View,
    /// Coordinates in the old kernel; none for the axis of instances.
    at: Vec<Option<ValueId>>,
    tile: Vec<u32>,
}

/// The tile that consists of all instances' tiles one after the other. `factor` is by how much each coordinate differs from one
/// instance to the next.
fn spread(view: &View, at: &[ValueId], tile: &[u32], factor: &[Dim], count: u32) -> Option<Spread> {
    let moving: Vec<usize> = (0..at.len()).filter(|i| !factor[*i].is(0)).collect();
    let mut at: Vec<Option<ValueId>> = at.iter().copied().map(Some).collect();
    // Tiles that follow each other along an axis are one longer tile.
    if let [axis] = moving[..]
        && factor[axis].is(tile[axis] as i64)
        && tile[..axis].iter().all(|e| *e == 1)
    {
        let mut tile = tile.to_vec();
        tile[axis] = tile[axis].checked_mul(count)?;
        return Some(Spread { view: view.clone(), at, tile });
    }
    if at.len() >= MAX_RANK {
        return None;
    }
    // Otherwise instances are an axis of their own.
    let mut view = view.clone();
    let coefficient = |coeffs: &[i64]| {
        moving.iter().try_fold(0i64, |sum, i| match coeffs[*i] {
            0 => Some(sum),
            c => sum.checked_add(c.checked_mul(factor[*i].as_const()?)?),
        })
    };
    for g in &mut view.guards {
        g.coeffs.insert(0, coefficient(&g.coeffs)?);
    }
    let mut stride = Dim::ZERO;
    for i in &moving {
        let axis = &mut view.axes[*i];
        stride = &stride + &(&factor[*i] * &axis.stride);
        if axis.inside {
            continue;
        }
        // The coordinate that must exist is the sum of two axes'.
        let mut coeffs = vec![0; at.len() + 1];
        (coeffs[0], coeffs[i + 1]) = (factor[*i].as_const()?, 1);
        view.guards.push(Guard { base: Dim::ZERO, coeffs, extent: axis.extent.clone() });
        axis.inside = true;
        axis.extent = Dim::from(i32::MAX);
    }
    if stride.is_too_large() {
        return None;
    }
    view.axes.insert(0, ViewAxis { extent: Dim::from(count), stride, inside: true });
    at.insert(0, None);
    let tile = std::iter::once(count).chain(tile.iter().copied()).collect();
    Some(Spread { view, at, tile })
}

impl Grouper<'_> {
    pub(super) fn memory(&mut self, s: &Stmt) -> Option<()> {
        let varies = s.op.operands().iter().any(|v| self.varies(*v));
        let writes = matches!(s.op, Op::Store { .. } | Op::StoreAt { .. } | Op::Atomic { .. });
        self.written |= writes;
        // What all instances do alike is done once; only an update counts every time.
        if !varies && !matches!(s.op, Op::Atomic { .. }) {
            let mut op = s.op.clone();
            op.map_operands(&mut |v| self.one[v.0 as usize].unwrap_or(v));
            let tys = s.results.iter().map(|r| self.ty(*r).clone()).collect();
            let new = self.b.push(op, tys);
            s.results.iter().zip(new).for_each(|(old, new)| self.define_one(*old, new));
            return Some(());
        }
        match &s.op {
            Op::Load { param, view, at, mask, other } => {
                let r = s.results[0];
                let ty = self.ty(r).clone();
                let t = self.spread(view, at, &ty.shape)?;
                let mask = self.mask(*mask, &t.tile)?;
                let at = self.coordinates(&t.at)?;
                let tile = TileTy { dtype: ty.dtype, shape: t.tile };
                let op = Op::Load { param: *param, view: t.view, at, mask, other: *other };
                let loaded = self.push(op, tile);
                let wide = self.wide(&ty);
                let shaped = self.shaped(loaded, wide)?;
                self.define_lanes(r, shaped);
            }
            Op::Store { param, view, at, value, mask } => {
                let moves = at.iter().any(|v| self.varies(*v));
                let ty = self.ty(*value).clone();
                // Different values in one place, or one value in the place of some instances.
                if !moves {
                    return None;
                }
                let t = self.spread(view, at, &ty.shape)?;
                let mask = self.mask(*mask, &t.tile)?;
                let at = self.coordinates(&t.at)?;
                let value = self.lanes(*value)?;
                let value = self.shaped(value, TileTy { dtype: ty.dtype, shape: t.tile })?;
                self.b.push(Op::Store { param: *param, view: t.view, at, value, mask }, Vec::new());
            }
            Op::LoadAt { param, index, mask, other } => {
                let (index, mask) = (self.lanes(*index)?, self.all_of(*mask)?);
                self.wide_results(s, Op::LoadAt { param: *param, index, mask, other: *other })?;
            }
            Op::StoreAt { param, index, value, mask } => {
                if !self.varies(*index) {
                    return None;
                }
                let (index, value, mask) = (self.lanes(*index)?, self.lanes(*value)?, self.all_of(*mask)?);
                if self.ty_rank_full(s) {
                    return None;
                }
                self.b.push(Op::StoreAt { param: *param, index, value, mask }, Vec::new());
            }
            Op::Atomic { op, param, index, value, mask } => {
                // A result that all instances share would be the first one's only.
                if s.results.iter().any(|r| !self.varies(*r)) {
                    return None;
                }
                let (index, value, mask) = (self.lanes(*index)?, self.lanes(*value)?, self.all_of(*mask)?);
                self.wide_results(s, Op::Atomic { op: *op, param: *param, index, value, mask })?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether an operand has no room for another axis.
    fn ty_rank_full(&self, s: &Stmt) -> bool {
        s.op.operands().iter().any(|v| self.ty(*v).shape.len() >= MAX_RANK)
    }

    fn spread(&mut self, view: &View, at: &[ValueId], tile: &[u32]) -> Option<Spread> {
        let factor = at.iter().map(|v| self.facts.factor(*v)).collect::<Option<Vec<_>>>()?;
        spread(view, at, tile, &factor, self.count)
    }

    /// The first instance's coordinates.
    fn coordinates(&mut self, at: &[Option<ValueId>]) -> Option<Vec<ValueId>> {
        at.iter()
            .map(|v| match v {
                Some(v) => self.one(*v),
                None => Some(self.push(Op::Const(Literal::Int(0)), TileTy::scalar(DType::I32))),
            })
            .collect()
    }

    /// A coordinate with the condition that nobody's leaves the range of i32.
    pub(super) fn checked(&mut self, old: ValueId, one: ValueId) -> ValueId {
        self.late |= !self.in_time();
        let span = self.facts.factor(old).map(|d| &d * (self.count as i64 - 1));
        // A value of its own, since a condition belongs to a statement.
        let checked = self.push(Op::Reshape(one), TileTy::scalar(DType::I32));
        self.spans.extend(span.map(|span| (checked, span)));
        checked
    }

    /// All instances' masks.
    fn all_of(&mut self, mask: Option<ValueId>) -> Option<Option<ValueId>> {
        match mask {
            Some(m) => Some(Some(self.lanes(m)?)),
            None => Some(None),
        }
    }

    /// All instances' masks in the shape of a tile.
    fn mask(&mut self, mask: Option<ValueId>, tile: &[u32]) -> Option<Option<ValueId>> {
        match self.all_of(mask)? {
            Some(m) => Some(Some(self.shaped(m, TileTy::new(DType::Bool, tile))?)),
            None => Some(None),
        }
    }

    fn shaped(&mut self, v: ValueId, to: TileTy) -> Option<ValueId> {
        if to.shape.len() > MAX_RANK {
            return None;
        }
        Some(if *self.b.ty(v) == to { v } else { self.push(Op::Reshape(v), to) })
    }
}
