//! What lanes exchange: through subgroups of 32 threads, else through workgroup memory.

use super::*;

impl Lowerer<'_> {
    /// Publishes a word of every thread; a barrier lies before and after.
    pub(in crate::lower) fn publish(&mut self, word: ValueId) -> Space {
        let space = Space::Shared(self.scratch_array("exchange", self.threads));
        self.b.effect(Op::Barrier);
        let lane = self.lane;
        self.b.store(space, lane, word);
        self.b.effect(Op::Barrier);
        space
    }

    /// The word of another thread of the warp.
    pub(super) fn fetch(&mut self, word: ValueId, from: Source) -> ValueId {
        if self.caps.checked.is_some() {
            return self.checked_fetch(word, from.thread);
        }
        if self.caps.native {
            // Of a lane that does not exist nothing is asked, and every lane has its word whether it takes part or not.
            let op = match from.xor {
                Some(n) => Op::Subgroup(SubgroupOp::ShuffleXor(n), word),
                None => {
                    let low = self.b.uint(self.warp() - 1);
                    Op::Shuffle(Shuffle::Index, word, self.m(S::And, &[from.thread, low]))
                }
            };
            return self.b.push(op, Ty::scalar(DType::U32));
        }
        let space = self.publish(word);
        self.b.load(space, from.thread)
    }

    /// Every scalar of a value from another thread.
    pub(super) fn fetch_value(&mut self, v: &Val, t: &Type, from: Source, at: At) -> R<Val> {
        Ok(match (t, v) {
            (Type::Scalar(s), v) if s.size() == 8 => {
                if *s == Scalar::Double {
                    let bits =
                        self.reinterpret(&Tv { v: v.clone(), t: t.clone() }, &Type::Scalar(Scalar::ULongLong), at)?;
                    let got = self.fetch_value(&bits.v, &Type::Scalar(Scalar::ULongLong), from, at)?;
                    return Ok(self.reinterpret(&Tv { v: got, t: Type::Scalar(Scalar::ULongLong) }, t, at)?.v);
                }
                let (lo, hi) = self.pair(v);
                let (lo, hi) = (self.fetch(lo, from), self.fetch(hi, from));
                self.wide(lo, hi, *s)
            }
            (Type::Scalar(s), v) => {
                let bits = self.bits_of(v, *s);
                let got = self.fetch(bits, from);
                if s.size() == 4 {
                    self.bits32(&Val::One(got), Scalar::UInt, *s)
                } else {
                    Val::One(self.narrow(got, value::Ix::K(0), *s))
                }
            }
            (Type::Vector(s, 2), v) if s.size() == 2 => {
                let _ = s;
                let word = self.reinterpret(&Tv { v: v.clone(), t: t.clone() }, &UINT, at)?;
                let id = self.id(&word.v, Scalar::UInt);
                let got = self.fetch(id, from);
                self.reinterpret(&Tv::one(got, Scalar::UInt), t, at)?.v
            }
            (_, Val::Group(parts)) => {
                let types = self.parts(t);
                let mut out = Vec::new();
                for (v, (_, t)) in parts.clone().iter().zip(types) {
                    out.push(self.fetch_value(v, &t, from, at)?);
                }
                Val::Group(out)
            }
            _ => return Err(self.err("U004", at, format!("{} cannot be exchanged between lanes", self.type_name(t)))),
        })
    }

    /// One bit for each lane of the warp.
    pub(in crate::lower) fn ballot(&mut self, pred: ValueId) -> ValueId {
        if self.caps.checked.is_some() || self.caps.native {
            return self.subgroup_ballot(pred);
        }
        let warps = self.threads.div_ceil(32);
        let space = Space::Shared(self.scratch_array("ballots", warps));
        let (five, zero, one) = (self.b.uint(5), self.b.uint(0), self.b.uint(1));
        let thread = self.lane;
        let warp = self.m(S::Shr, &[thread, five]);
        let lane = self.warp_lane();
        self.b.effect(Op::Barrier);
        let first = self.m(S::Eq, &[lane, zero]);
        self.b.if_then(first, |b| b.store(space, warp, zero));
        self.b.effect(Op::Barrier);
        let vote = self.and_active(pred);
        let bit = self.m(S::Shl, &[one, lane]);
        self.b.if_then(vote, |b| b.effect(Op::Atomic(AtomicOp::Or, space, warp, bit)));
        self.b.effect(Op::Barrier);
        self.b.load(space, warp)
    }

    /// A count or mask over the whole block.
    pub(in crate::lower) fn block_vote(&mut self, op: AtomicOp, v: ValueId, when: ValueId) -> ValueId {
        let space = Space::Shared(self.scratch_array("block_vote", 1));
        let zero = self.b.uint(0);
        let thread = self.lane;
        self.b.effect(Op::Barrier);
        let first = self.m(S::Eq, &[thread, zero]);
        self.b.if_then(first, |b| b.store(space, zero, zero));
        self.b.effect(Op::Barrier);
        let when = self.and_active(when);
        self.b.if_then(when, |b| b.effect(Op::Atomic(op, space, zero, v)));
        self.b.effect(Op::Barrier);
        self.b.load(space, zero)
    }
}
