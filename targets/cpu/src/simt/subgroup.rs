//! Operations across the threads of a subgroup.
//!
//! The verifier lets them occur only where all threads of the workgroup run. Folds go from the first thread of a subgroup to
//! its last, so that sums of floats are the emulator's.

use super::machine::{SimtLaunch, SimtWorker};
use super::program::{Reg, SUBGROUP};
use crate::simd::fallback;
use girih_base::ScalarOp;
use girih_simt::SubgroupOp;

impl SimtWorker {
    pub(super) fn subgroup(&mut self, l: &SimtLaunch<'_>, op: SubgroupOp, x: &Reg, dst: &Reg) {
        let threads = l.program.threads;
        let bytes = dst.lane.bytes();
        let size = SUBGROUP.min(threads);
        for c in 0..dst.parts {
            let (from, to) = (self.part(x, c), self.part(dst, c));
            let at = |t: usize| from.wrapping_add(t * x.varies as usize * bytes).cast_const();
            let fold = |op: ScalarOp| {
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
                SubgroupOp::ShuffleXor(n) => {
                    &move |t| (t / SUBGROUP * SUBGROUP + (t % SUBGROUP ^ n as usize)).min(threads - 1)
                }
                SubgroupOp::BroadcastFirst => &|t| t / SUBGROUP * SUBGROUP,
            };
            for t in 0..threads {
                // SAFETY: as above; the source is a thread of the workgroup.
                unsafe { std::ptr::copy_nonoverlapping(at(source(t)), to.wrapping_add(t * bytes), bytes) };
            }
        }
    }
}
