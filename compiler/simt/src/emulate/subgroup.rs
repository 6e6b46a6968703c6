//! Operations across the threads of a subgroup, all of which are active. Folds go in the order of lanes.

use super::exec::Machine;
use super::scalar;
use crate::ir::{Ty, ValueId};
use crate::op::{Shuffle, SubgroupOp};
use girih_base::{DType, ScalarOp};

type Vector = [u64; 4];

impl Machine<'_> {
    pub(super) fn subgroup(&mut self, op: SubgroupOp, x: ValueId, result: Option<ValueId>) {
        let Some(result) = result else { return };
        let (ty, size) = (self.ty(x), self.options.subgroup);
        let all: Vec<Vector> = (0..self.threads).map(|t| self.vec(x, t)).collect();
        for (first, members) in (0..).step_by(size as usize).zip(all.chunks(size as usize)) {
            for (lane, own) in (0u32..).zip(members) {
                let at = |from: u32| *members.get(from as usize).unwrap_or(own);
                let value = match op {
                    SubgroupOp::Add => fold(ScalarOp::Add, ty, members),
                    SubgroupOp::Min => fold(ScalarOp::Min, ty, members),
                    SubgroupOp::Max => fold(ScalarOp::Max, ty, members),
                    SubgroupOp::And | SubgroupOp::All => fold(ScalarOp::And, ty, members),
                    SubgroupOp::Or | SubgroupOp::Any => fold(ScalarOp::Or, ty, members),
                    SubgroupOp::Xor => fold(ScalarOp::Xor, ty, members),
                    SubgroupOp::InclusiveAdd => fold(ScalarOp::Add, ty, &members[..=lane as usize]),
                    SubgroupOp::ExclusiveAdd => fold(ScalarOp::Add, ty, &members[..lane as usize]),
                    SubgroupOp::ShuffleXor(n) => at(lane ^ n),
                    SubgroupOp::BroadcastFirst => at(0),
                    SubgroupOp::Broadcast(n) => at(n),
                    SubgroupOp::Ballot => ballot(members),
                };
                let lanes = self.ty(result).lanes as usize;
                self.set(result, first + lane, &value[..lanes]);
            }
        }
    }

    /// Gives the thread that each one takes its value from.
    pub(super) fn shuffle(&mut self, kind: Shuffle, x: ValueId, n: ValueId, result: Option<ValueId>) -> Vec<u32> {
        let Some(result) = result else { return Vec::new() };
        let (lanes, size) = (self.ty(x).lanes as usize, self.options.subgroup);
        let all: Vec<Vector> = (0..self.threads).map(|t| self.vec(x, t)).collect();
        let mut sources = Vec::with_capacity(all.len());
        for t in 0..self.threads {
            let first = t / size * size;
            let members = size.min(self.threads - first);
            let from = first + kind.source(t - first, self.get(n, t) as u32, members);
            self.set(result, t, &all[from as usize][..lanes]);
            sources.push(from);
        }
        sources
    }
}

/// The fold of some lanes; 0 for none.
fn fold(op: ScalarOp, ty: Ty, members: &[Vector]) -> Vector {
    let Some((first, rest)) = members.split_first() else { return [0; 4] };
    let mut sum = *first;
    for m in rest {
        for c in 0..ty.lanes as usize {
            sum[c] = match ty.dtype {
                DType::Bool if op == ScalarOp::And => sum[c] & m[c],
                DType::Bool => sum[c] | m[c],
                dtype => scalar::map(op, dtype, &[sum[c], m[c]]),
            };
        }
    }
    sum
}

/// One bit per lane, 32 to a component.
fn ballot(members: &[Vector]) -> Vector {
    let mut bits = [0; 4];
    for (lane, m) in members.iter().enumerate() {
        bits[lane / 32] |= (m[0] & 1) << (lane % 32);
    }
    bits
}
