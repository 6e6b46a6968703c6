//! Offsets of a structured access, and whether its elements exist.

use crate::distribute::emit::{Emit, Idx};
use crate::distribute::layout::Layout;
use girih_base::{Result, ScalarOp};
use girih_simt::ValueId as Sv;
use girih_tile::{ValueId as Tv, View};

impl Emit<'_> {
    /// `at` plus the thread's part of the coordinate along `axis`, u32 (negative values wrap and fail bounds checks).
    pub fn coordinate_base(&mut self, at: Tv, l: &Layout, axis: usize) -> Result<Sv> {
        let at = self.scalar(at)?;
        let at = self.as_uint(at);
        let lane = self.gather(l, &Idx::default(), 0, true, false, |b| (b.axis as usize == axis).then_some(b.bit));
        Ok(match lane.value {
            Some(v) => self.add(at, v),
            None => at,
        })
    }

    /// The thread's coordinate along an axis for a component of a vector.
    pub fn coordinate(&mut self, at: Tv, l: &Layout, idx: &Idx, comp: u32, axis: usize) -> Result<Sv> {
        let base = self.coordinate_base(at, l, axis)?;
        let reg = self.gather(l, idx, comp, false, true, |b| (b.axis as usize == axis).then_some(b.bit));
        let base = match reg.value {
            Some(v) => self.add(base, v),
            None => base,
        };
        Ok(self.add_fixed(base, reg.fixed))
    }

    /// The element offset of the thread's first register.
    pub fn address(&mut self, view: &View, at: &[Tv], l: &Layout) -> Result<Sv> {
        let mut sum = self.dim(&view.offset);
        for (axis, a) in view.axes.iter().enumerate() {
            if a.stride.is(0) {
                continue;
            }
            let c = self.coordinate_base(at[axis], l, axis)?;
            let stride = self.dim(&a.stride);
            let part = self.mul(c, stride);
            sum = self.add(sum, part);
        }
        Ok(sum)
    }

    pub(super) fn element(&mut self, view: &View, base: Sv, l: &Layout, idx: &Idx, comp: u32) -> Sv {
        let (mut sum, mut fixed) = (base, 0u32);
        for (axis, a) in view.axes.iter().enumerate() {
            let reg = self.gather(l, idx, comp, false, true, |b| (b.axis as usize == axis).then_some(b.bit));
            if let Some(v) = reg.value {
                let stride = self.dim(&a.stride);
                let part = self.mul(v, stride);
                sum = self.add(sum, part);
            }
            match a.stride.as_const() {
                Some(s) => fixed = fixed.wrapping_add(reg.fixed.wrapping_mul(s as u32)),
                None if reg.fixed != 0 => {
                    let (stride, n) = (self.dim(&a.stride), self.uint(reg.fixed));
                    let part = self.mul(stride, n);
                    sum = self.add(sum, part);
                }
                None => {}
            }
        }
        self.add_fixed(sum, fixed)
    }

    /// Whether the element of a component exists; `None` when that is certain.
    pub(super) fn exists(
        &mut self,
        view: &View,
        at: &[Tv],
        l: &Layout,
        idx: &Idx,
        comp: u32,
        bits: &[u8],
    ) -> Result<Option<Sv>> {
        let mut cond = None;
        for (axis, a) in view.axes.iter().enumerate() {
            let start = self.scalar(at[axis])?;
            let start = self.b.known(start).filter(|s| *s >= 0);
            let fits = match (start, a.extent.as_const()) {
                (Some(s), Some(extent)) => s + (1i64 << bits[axis]) <= extent,
                _ => false,
            };
            if a.inside || fits {
                continue;
            }
            let c = self.coordinate(at[axis], l, idx, comp, axis)?;
            let extent = self.dim(&a.extent);
            let inside = self.index(ScalarOp::Lt, &[c, extent]);
            cond = self.both(cond, Some(inside));
        }
        for g in &view.guards {
            let mut sum = self.dim(&g.base);
            for (axis, coeff) in g.coeffs.iter().enumerate().filter(|(_, c)| **c != 0) {
                let c = self.coordinate(at[axis], l, idx, comp, axis)?;
                let coeff = self.uint(*coeff as u32);
                let part = self.mul(c, coeff);
                sum = self.add(sum, part);
            }
            let extent = self.dim(&g.extent);
            let inside = self.index(ScalarOp::Lt, &[sum, extent]);
            cond = self.both(cond, Some(inside));
        }
        Ok(cond)
    }

    /// The conditions of each component of a vector, masks included.
    #[allow(clippy::too_many_arguments, reason = "one access has many parts")]
    pub(super) fn conditions(
        &mut self,
        view: &View,
        at: &[Tv],
        mask: Option<Tv>,
        l: &Layout,
        idx: &Idx,
        n: u32,
        bits: &[u8],
    ) -> Result<Vec<Option<Sv>>> {
        let mask = mask.map(|m| self.eval(m, l, idx)).transpose()?;
        (0..n)
            .map(|c| {
                let structural = self.exists(view, at, l, idx, c, bits)?;
                let allowed = mask.map(|m| self.b.component(m, c as u8));
                Ok(self.both(structural, allowed))
            })
            .collect()
    }
}
