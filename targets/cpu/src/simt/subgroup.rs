//! Operations across the threads of a subgroup.
//!
//! The verifier lets them occur only where all threads of the workgroup run. Folds go from the first thread of a subgroup to
//! its last, so that sums of floats are the emulator's.

use super::machine::{SimtLaunch, SimtWorker};
use super::program::{Reg, SUBGROUP};
use crate::program::Lane;
use crate::simd::fallback;
use crate::simd::fold::Fold;
use girih_base::ScalarOp;
use girih_base::codec::{Scalar, cast};
use girih_simt::{Shuffle, SubgroupOp};

impl SimtWorker {
    pub(super) fn subgroup(&mut self, l: &SimtLaunch<'_>, op: SubgroupOp, x: &Reg, dst: &Reg) {
        let threads = l.program.threads;
        let bytes = dst.lane.bytes();
        let size = SUBGROUP.min(threads);
        for c in 0..dst.parts {
            let (from, to) = (self.part(x, c), self.part(dst, c));
            let at = |t: usize| from.wrapping_add(t * x.varies as usize * bytes).cast_const();
            let fold = |op: ScalarOp| {
                if Lane::is_memory(x.dtype) || x.lane == Lane::Bool {
                    // SAFETY: each thread has an element of the operand (or all have one) and of the result, of this lane.
                    return unsafe { folds(op, x.lane, at(0), x.varies as usize, to, threads) };
                }
                for first in (0..threads).step_by(size) {
                    let members = first..(first + size).min(threads);
                    // SAFETY: each thread has an element of the operand (or all have one) and of the result.
                    unsafe {
                        let mut sum = fallback::read(x.lane, at(first));
                        for t in members.clone().skip(1) {
                            sum = fallback::apply(op, x.dtype, &[sum, fallback::read(x.lane, at(t))]);
                        }
                        members.for_each(|t| fallback::write(x.lane, to.wrapping_add(t * bytes), sum));
                    }
                }
            };
            let scan = |inclusive: bool| {
                for first in (0..threads).step_by(size) {
                    let mut sum = cast(Scalar::Int(0), x.dtype);
                    for t in first..(first + size).min(threads) {
                        // SAFETY: each thread has an element of the operand (or all have one) and of the result.
                        unsafe {
                            let own = fallback::read(x.lane, at(t));
                            let to = to.wrapping_add(t * bytes);
                            // The first sum is the first element, so that a -0 stays one.
                            let with =
                                if t == first { own } else { fallback::apply(ScalarOp::Add, x.dtype, &[sum, own]) };
                            fallback::write(x.lane, to, if inclusive { with } else { sum });
                            sum = with;
                        }
                    }
                }
            };
            // The thread whose value each thread gets: another lane of its subgroup, or itself.
            let lane = |t: usize, lane: usize| {
                let from = t / SUBGROUP * SUBGROUP + lane;
                if lane < SUBGROUP && from < threads { from } else { t }
            };
            // The thread whose value each thread gets.
            let source: &dyn Fn(usize) -> usize = match op {
                SubgroupOp::Add => {
                    fold(ScalarOp::Add);
                    continue;
                }
                SubgroupOp::Min => {
                    fold(ScalarOp::Min);
                    continue;
                }
                SubgroupOp::Max => {
                    fold(ScalarOp::Max);
                    continue;
                }
                SubgroupOp::And | SubgroupOp::All => {
                    fold(ScalarOp::And);
                    continue;
                }
                SubgroupOp::Or | SubgroupOp::Any => {
                    fold(ScalarOp::Or);
                    continue;
                }
                SubgroupOp::Xor => {
                    fold(ScalarOp::Xor);
                    continue;
                }
                SubgroupOp::InclusiveAdd => {
                    scan(true);
                    continue;
                }
                SubgroupOp::ExclusiveAdd => {
                    scan(false);
                    continue;
                }
                SubgroupOp::Ballot => {
                    // SAFETY: as above, for bools; component `c` of the result has the bits of lanes 32 `c` on.
                    unsafe { self.ballot(threads, x, to.cast(), c) };
                    continue;
                }
                SubgroupOp::ShuffleXor(n) => &move |t| lane(t, (t % SUBGROUP) ^ n as usize),
                SubgroupOp::Broadcast(n) => &move |t| lane(t, n as usize),
                SubgroupOp::BroadcastFirst => &|t| t / SUBGROUP * SUBGROUP,
            };
            for t in 0..threads {
                // SAFETY: as above; the source is a thread of the workgroup.
                unsafe { std::ptr::copy_nonoverlapping(at(source(t)), to.wrapping_add(t * bytes), bytes) };
            }
        }
    }

    /// Each thread's value as the lane it chooses has it.
    pub(super) fn shuffle(&mut self, l: &SimtLaunch<'_>, kind: Shuffle, x: &Reg, n: &Reg, dst: &Reg) {
        let (threads, bytes) = (l.program.threads, dst.lane.bytes());
        let chosen = self.part(n, 0).cast::<u32>();
        for c in 0..dst.parts {
            let (from, to) = (self.part(x, c), self.part(dst, c));
            for t in 0..threads {
                let first = t / SUBGROUP * SUBGROUP;
                let members = SUBGROUP.min(threads - first) as u32;
                // SAFETY: each thread has an element of the operands (or all have one) and of the result; the source is a
                // thread of the workgroup.
                unsafe {
                    let n = *chosen.wrapping_add(t * n.varies as usize);
                    let source = first + kind.source((t - first) as u32, n, members) as usize;
                    let at = from.wrapping_add(source * x.varies as usize * bytes);
                    std::ptr::copy_nonoverlapping(at.cast_const(), to.wrapping_add(t * bytes), bytes);
                }
            }
        }
    }

    /// The bits of the lanes `32 * part ..` of each thread's subgroup.
    ///
    /// # Safety
    /// `x` is a bool of each thread, or one of all; `to` has room for a word of each thread.
    unsafe fn ballot(&self, threads: usize, x: &Reg, to: *mut u32, part: usize) {
        let flags = self.part(x, 0);
        for t in 0..threads {
            let first = t / SUBGROUP * SUBGROUP;
            let lanes = part * 32..(part + 1) * 32;
            let members = lanes.filter(|lane| *lane < SUBGROUP && first + lane < threads);
            // SAFETY: the caller's promise.
            let bit = |lane: usize| unsafe { (*flags.add((first + lane) * x.varies as usize) != 0) as u32 };
            let bits = members.fold(0, |bits, lane| bits | bit(lane) << (lane % 32));
            // SAFETY: the caller's promise.
            unsafe { *to.add(t) = bits };
        }
    }
}

/// Folds each subgroup's elements, `step` (0 or 1) apart, and gives the result to all its threads.
///
/// # Safety
/// `threads` elements of the lane lie at `from` (one with `step` 0), and as many at `to`.
unsafe fn folds(op: ScalarOp, lane: Lane, from: *const u8, step: usize, to: *mut u8, threads: usize) {
    /// # Safety
    /// As for [`folds`].
    unsafe fn typed<T: Fold>(op: ScalarOp, from: *const T, step: usize, to: *mut T, threads: usize) {
        for first in (0..threads).step_by(SUBGROUP) {
            let members = first..(first + SUBGROUP).min(threads);
            // SAFETY: the caller's promise.
            unsafe {
                let start = *from.add(first * step);
                let sum = members.clone().skip(1).fold(start, |sum, t| T::fold(op, sum, *from.add(t * step)));
                std::slice::from_raw_parts_mut(to.add(first), members.len()).fill(sum);
            }
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        match lane {
            Lane::Bool => typed::<u8>(op, from, step, to, threads),
            Lane::I32 => typed::<i32>(op, from.cast(), step, to.cast(), threads),
            Lane::U32 => typed::<u32>(op, from.cast(), step, to.cast(), threads),
            Lane::I64 => typed::<i64>(op, from.cast(), step, to.cast(), threads),
            Lane::U64 => typed::<u64>(op, from.cast(), step, to.cast(), threads),
            Lane::F32 => typed::<f32>(op, from.cast(), step, to.cast(), threads),
            Lane::F64 => typed::<f64>(op, from.cast(), step, to.cast(), threads),
        }
    }
}
