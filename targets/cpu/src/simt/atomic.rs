//! Read-modify-write, thread after thread.
//!
//! Buffers are updated by the processor's atomic instructions where workgroups may run at the same time. Kernels for whose
//! results the order of workgroups matters run them in order (see `SimtProgram::sequential`), so results are always the same.

use super::access::{Index, Place};
use super::machine::{SimtLaunch, SimtWorker};
use super::program::{Array, At, Reg};
use crate::simd::{atomic, fallback};
use girih_base::codec::cast;
use girih_base::{AtomicOp, DType, Result, ScalarOp};

impl SimtWorker {
    pub(super) fn atomic(
        &mut self,
        l: &SimtLaunch<'_>,
        op: AtomicOp,
        array: Array,
        index: &Reg,
        x: &Reg,
        dst: Option<&Reg>,
    ) -> Result<()> {
        let Some(p) = self.place(l, array) else { return Ok(()) };
        let index = self.indices(l, array, p.len, &At::Reg(*index))?;
        let shared = matches!(array, Array::Buffer(_)) && !l.program.sequential;
        self.each(&p, index, |w, t, at| {
            let lane = p.lane.bytes();
            let x = w.lanes(x, 0).wrapping_add(t * x.varies as usize * lane);
            // SAFETY: an element of the array, an operand and a result of the thread.
            unsafe {
                let mut old = [0u64; 1];
                let to = dst.map_or(old.as_mut_ptr().cast(), |d| w.lanes(d, 0).wrapping_add(t * lane));
                if shared { atomic::update(op, p.dtype, at, x, to) } else { alone(op, &p, at, x, to) }
            }
        });
        Ok(())
    }

    pub(super) fn exchange(
        &mut self,
        l: &SimtLaunch<'_>,
        array: Array,
        index: &Reg,
        [expected, new]: [&Reg; 2],
        dst: Option<&Reg>,
    ) -> Result<()> {
        let Some(p) = self.place(l, array) else { return Ok(()) };
        let index = self.indices(l, array, p.len, &At::Reg(*index))?;
        let bytes = p.lane.bytes();
        self.each(&p, index, |w, t, at| {
            let value = |r: &Reg| w.lanes(r, 0).wrapping_add(t * r.varies as usize * bytes);
            // SAFETY: as above; kernels with this instruction on buffers run their workgroups in order.
            unsafe {
                let same = std::slice::from_raw_parts(at, bytes) == std::slice::from_raw_parts(value(expected), bytes);
                if let Some(d) = dst {
                    std::ptr::copy_nonoverlapping(at, w.lanes(d, 0).wrapping_add(t * bytes), bytes);
                }
                if same {
                    std::ptr::copy_nonoverlapping(value(new), at, bytes);
                }
            }
        });
        Ok(())
    }

    /// Calls `f` for each running thread in order, with its number from the first running one and its element.
    fn each(&self, p: &Place, index: Index<'_>, f: impl Fn(&SimtWorker, usize, *mut u8)) {
        let bytes = p.lane.bytes();
        for t in (0..self.running.span()).filter(|t| self.running.has(self.running.lo + t)) {
            let i = match index {
                Index::Same(i) => i,
                Index::Row(i) => i + t,
                Index::Each(all) => all[t] as usize,
            };
            f(self, t, p.base.wrapping_add(i * bytes));
        }
    }
}

/// One thread's update where no other is at work.
///
/// # Safety
/// An element at `at`, an operand at `x`, room for the old element at `old`.
unsafe fn alone(op: AtomicOp, p: &Place, at: *mut u8, x: *const u8, old: *mut u8) {
    let scalar = match op {
        AtomicOp::Add => ScalarOp::Add,
        AtomicOp::Min => ScalarOp::Min,
        AtomicOp::Max => ScalarOp::Max,
        AtomicOp::And => ScalarOp::And,
        AtomicOp::Or => ScalarOp::Or,
        AtomicOp::Xor => ScalarOp::Xor,
        // SAFETY: the caller's promise.
        AtomicOp::Exchange => unsafe {
            std::ptr::copy_nonoverlapping(at, old, p.lane.bytes());
            return std::ptr::copy_nonoverlapping(x, at, p.lane.bytes());
        },
    };
    // SAFETY: the caller's promise.
    unsafe {
        std::ptr::copy_nonoverlapping(at, old, p.lane.bytes());
        match (op, p.dtype) {
            (AtomicOp::Add, DType::U32 | DType::I32) => *at.cast::<u32>() = (*at.cast::<u32>()).wrapping_add(*x.cast()),
            (AtomicOp::Add, DType::F32) => *at.cast::<f32>() += *x.cast::<f32>(),
            _ => {
                let args = [fallback::read(p.lane, at), fallback::read(p.lane, x)];
                fallback::write(p.lane, at, cast(fallback::apply(scalar, p.dtype, &args), p.dtype));
            }
        }
    }
}
