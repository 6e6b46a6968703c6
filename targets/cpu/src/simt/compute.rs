//! Instructions without memory: arithmetic, conversions, copies.
//!
//! They compute for every thread from the first to the last running one. Results of threads in between that do not run are
//! never looked at.

use super::machine::{SimtLaunch, SimtWorker};
use super::program::Reg;
use crate::exec::Inner;
use crate::simd::{cast, gather};
use girih_base::{Diag, Result};
use half::f16;
use half::slice::HalfFloatSliceExt;

impl SimtWorker {
    pub(super) fn map(&mut self, inner: &Inner, args: &[Reg; 3], dst: &Reg) {
        let n = self.count(dst);
        let bytes = dst.lane.bytes();
        let [x, y, z] = args;
        let by = |r: &Reg| (n == 1 || r.varies) as usize;
        for c in 0..dst.parts {
            // The condition of a choice between vectors may be one bool.
            let from = |r: &Reg| self.lanes(r, c.min(r.parts - 1)).cast_const();
            let to = self.lanes(dst, c);
            // SAFETY: every operand has an element per thread of the range, or one; values that live now do not overlap.
            unsafe {
                inner.along((to, bytes), [from(x), from(y), from(z)], [by(x), by(y), by(z)], n, || self.strips());
                inner.finish(dst.dtype, to, n);
            }
        }
    }

    pub(super) fn cast(&mut self, x: &Reg, dst: &Reg) {
        let n = self.count(dst);
        for c in 0..dst.parts {
            // SAFETY: both have `n` elements, in different places.
            unsafe { cast::convert(x.dtype, self.lanes(x, c), dst.dtype, self.lanes(dst, c), n) };
        }
    }

    pub(super) fn bits(&mut self, x: &Reg, dst: &Reg) {
        let n = self.count(dst);
        for c in 0..dst.parts {
            // SAFETY: as in `cast`.
            unsafe { cast::reinterpret(x.dtype, self.lanes(x, c), dst.dtype, self.lanes(dst, c), n) };
        }
    }

    /// Copies a component, repeating a value that is the same in all threads.
    pub(super) fn copy(&mut self, x: &Reg, from: usize, dst: &Reg, to: usize) {
        let (src, out, n) = (self.lanes(x, from), self.lanes(dst, to), self.count(dst));
        let bytes = dst.lane.bytes();
        // SAFETY: both have an element per thread of the range, or one, of this size; they are different values.
        unsafe {
            if n == 1 || x.varies {
                std::ptr::copy_nonoverlapping(src, out, n * bytes);
            } else {
                gather::repeat(src, bytes, out, n);
            }
        }
    }

    /// As [`Self::copy`], for running threads only: others see the variable later.
    pub(super) fn set(&mut self, l: &SimtLaunch<'_>, x: &Reg, from: usize, dst: &Reg, to: usize) {
        if self.running.full || !dst.varies {
            return self.copy(x, from, dst, to);
        }
        let (src, out) = (self.lanes(x, from), self.lanes(dst, to));
        // SAFETY: as in `copy`; there is a byte for each thread of the range.
        unsafe { gather::blend(src, x.varies as usize, dst.lane.bytes(), out, self.chosen(l)) };
    }

    /// A byte for each thread of the range, 1 for those that run; valid until the spare room is used for something else.
    pub(super) fn chosen<'a>(&self, l: &'a SimtLaunch<'_>) -> &'a [u8] {
        // SAFETY: the second spare room has eight bytes for each thread.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.spare(l, 1), self.running.span()) };
        self.running.bytes(bytes);
        bytes
    }

    pub(super) fn part_at(&mut self, l: &SimtLaunch<'_>, x: &Reg, index: &Reg, dst: &Reg) -> Result<()> {
        let (at, n, bytes) = (self.lanes(index, 0).cast::<u32>(), self.count(dst), dst.lane.bytes());
        for t in 0..n {
            // SAFETY: the index has an element per thread of the range, or one; components are chosen among those there are.
            unsafe {
                let part = *at.add(t * index.varies as usize) as usize;
                if part >= x.parts {
                    if dst.varies && !self.running.has(self.running.lo + t) {
                        continue;
                    }
                    let what = format!("component {part} of a vector of {}", x.parts);
                    return Err(Diag::error("X103", format!("kernel `{}` reaches {what}", l.program.name)));
                }
                let from = self.lanes(x, part).add(t * x.varies as usize * bytes);
                std::ptr::copy_nonoverlapping(from, self.lanes(dst, 0).add(t * bytes), bytes);
            }
        }
        Ok(())
    }

    pub(super) fn unpack_half(&mut self, x: &Reg, dst: &Reg) {
        const STEP: usize = 64;
        let n = self.count(dst);
        let (low, high) = (self.lanes(dst, 0).cast::<f32>(), self.lanes(dst, 1).cast::<f32>());
        // SAFETY: a word and two floats for each thread of the range.
        unsafe {
            let words = std::slice::from_raw_parts(self.lanes(x, 0).cast::<u32>(), n);
            for (i, words) in words.chunks(STEP).enumerate() {
                for (shift, to) in [(0, low), (16, high)] {
                    let mut halves = [f16::ZERO; STEP];
                    halves.iter_mut().zip(words).for_each(|(h, w)| *h = f16::from_bits((w >> shift) as u16));
                    let to = std::slice::from_raw_parts_mut(to.add(i * STEP), words.len());
                    halves[..words.len()].convert_to_f32_slice(to);
                }
            }
        }
    }

    pub(super) fn pack_half(&mut self, x: &Reg, dst: &Reg) {
        const STEP: usize = 64;
        let n = self.count(dst);
        let (low, high) = (self.lanes(x, 0).cast::<f32>(), self.lanes(x, 1).cast::<f32>());
        // SAFETY: two floats and a word for each thread of the range.
        unsafe {
            let words = std::slice::from_raw_parts_mut(self.lanes(dst, 0).cast::<u32>(), n);
            for (i, words) in words.chunks_mut(STEP).enumerate() {
                let mut halves = [[f16::ZERO; STEP]; 2];
                for (halves, from) in halves.iter_mut().zip([low, high]) {
                    let from = std::slice::from_raw_parts(from.add(i * STEP), words.len());
                    halves[..words.len()].convert_from_f32_slice(from);
                }
                for (t, word) in words.iter_mut().enumerate() {
                    *word = halves[0][t].to_bits() as u32 | (halves[1][t].to_bits() as u32) << 16;
                }
            }
        }
    }
}
