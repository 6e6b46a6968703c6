//! What a kernel says when it is translated for a checker: operations of warps keep their own form instead of going through workgroup
//! memory, whose barriers would order more than the program does, and assertions state what it takes for granted.

use super::value::{Ix, Ptr};
use super::*;
use girih_base::{DType, ScalarOp as S};
use girih_simt::emulate::{INACTIVE, LANES, MISALIGNED};
use girih_simt::{Op, Shuffle, SubgroupOp};

impl Lowerer<'_> {
    /// Lanes of a warp.
    pub fn warp(&self) -> u32 {
        self.caps.checked.unwrap_or(32)
    }

    /// Orders what the threads of a warp do.
    pub fn warp_barrier(&mut self) {
        let checked = self.caps.checked.is_some();
        self.b.effect(if checked { Op::SubgroupBarrier } else { Op::Barrier });
    }

    /// The word that the thread `from` of the same warp has; nothing if it takes no part.
    pub(super) fn checked_fetch(&mut self, word: ValueId, from: ValueId) -> ValueId {
        let (low, threads) = (self.b.uint(self.warp() - 1), self.b.uint(self.threads));
        let lane = self.m(S::And, &[from, low]);
        let u32s = Ty::scalar(DType::U32);
        let got = self.b.push(Op::Shuffle(Shuffle::Index, word, lane), u32s);
        let mut there = self.m(S::Lt, &[from, threads]);
        if let Some(on) = self.active() {
            let on = self.b.cast(on, DType::U32);
            let theirs = self.b.push(Op::Shuffle(Shuffle::Index, on, lane), u32s);
            let theirs = self.b.cast(theirs, DType::Bool);
            there = self.m(S::And, &[there, theirs]);
        }
        let nothing = self.new_local(INACTIVE, u32s, None);
        let nothing = self.b.get(nothing);
        self.m(S::Select, &[there, got, nothing])
    }

    /// One bit for each lane of the warp, by the subgroup that it is.
    pub(super) fn subgroup_ballot(&mut self, pred: ValueId) -> ValueId {
        let vote = self.and_active(pred);
        let all = self.b.push(Op::Subgroup(SubgroupOp::Ballot, vote), Ty::vec(DType::U32, 4));
        self.b.component(all, 0)
    }

    /// Bits of the lanes whose word is the same.
    pub(super) fn checked_match(&mut self, word: ValueId) -> ValueId {
        let mut found = self.b.uint(0);
        for i in 0..self.warp().min(32) {
            let (lane, bit, zero) = (self.b.uint(i), self.b.uint(1 << i), self.b.uint(0));
            let other = self.b.push(Op::Shuffle(Shuffle::Index, word, lane), Ty::scalar(DType::U32));
            let same = self.m(S::Eq, &[other, word]);
            let bit = self.m(S::Select, &[same, bit, zero]);
            found = self.m(S::Or, &[found, bit]);
        }
        found
    }

    /// The mask of an operation names its own lane, and none that is still there and does not reach the operation.
    pub(super) fn claim_lanes(&mut self, mask: ValueId) {
        if self.caps.checked != Some(32) {
            return;
        }
        let (yes, one, zero) = (self.bool_const(true), self.b.uint(1), self.b.uint(0));
        let here = self.subgroup_ballot(yes);
        let alive = match self.masks.first().filter(|_| self.exits) {
            Some(m) => {
                let m = m.local;
                self.b.get(m)
            }
            None => yes,
        };
        let alive = self.b.push(Op::Subgroup(SubgroupOp::Ballot, alive), Ty::vec(DType::U32, 4));
        let alive = self.b.component(alive, 0);
        let lane = self.warp_lane();
        let own = self.m(S::Shr, &[mask, lane]);
        let own = self.m(S::And, &[own, one]);
        let own = self.m(S::Eq, &[own, one]);
        let absent = self.m(S::Not, &[here]);
        let absent = self.m(S::And, &[alive, absent]);
        let absent = self.m(S::And, &[mask, absent]);
        let none = self.m(S::Eq, &[absent, zero]);
        self.claim(own, format!("{LANES}the mask leaves out the lane that asks"));
        self.claim(none, format!("{LANES}the mask names lanes of the warp that do not reach this operation"));
    }

    /// An access to something of an alignment lies at a multiple of it.
    pub(super) fn claim_aligned(&mut self, p: &Ptr, ty: &Type) {
        let align = self.size_align(ty).1.min(16);
        if self.caps.checked.is_none() || align <= 1 || !align.is_power_of_two() {
            return;
        }
        let even = p.unit.is_multiple_of(align) || p.ix == Ix::K(0);
        if even && p.plus % align as i64 == 0 {
            return;
        }
        let bytes = self.ix_mul(p.ix, p.unit as i64);
        let bytes = self.ix_add(bytes, Ix::K(p.plus));
        let bytes = self.ix(bytes);
        let (low, zero) = (self.b.uint(align - 1), self.b.uint(0));
        let rest = self.m(S::And, &[bytes, low]);
        let holds = self.m(S::Eq, &[rest, zero]);
        let what = self.type_name(ty);
        self.claim(holds, format!("{MISALIGNED}{what} lies at a multiple of {align} bytes"));
    }

    fn claim(&mut self, holds: ValueId, text: String) {
        self.guard(|l| l.b.effect(Op::Assert(holds, text.into())));
    }
}
