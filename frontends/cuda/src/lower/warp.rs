//! Barriers, warps of 32 lanes and cooperative groups. Lanes exchange words through workgroup memory, all threads of the block
//! together, so that the result does not depend on the width of the hardware's subgroups.

use super::call::Operand;
use super::value::{Place, Tv, Val};
use super::*;
use crate::ast::TemplateArg;
use crate::types::Group;
use girih_base::{DType, ScalarOp as S};
use girih_simt::{AtomicOp, Op, Shuffle, SubgroupOp};

/// From which thread a word comes.
#[derive(Clone, Copy)]
struct Source {
    /// Its number in the block.
    thread: ValueId,
    /// By how much its lane differs in every thread, if that is so.
    xor: Option<u32>,
}

impl Lowerer<'_> {
    /// `__syncthreads()`: refused where threads part.
    pub fn sync_threads(&mut self, at: At) -> R<()> {
        if let Some(why) = self.masks.iter().find_map(|m| m.why) {
            let d = self.p.sources.error(
                "U008",
                at,
                "this __syncthreads() is reached by some threads of the block only",
                "reached under a condition",
            );
            let d = d.at(&self.p.sources.loc(why), "the condition differs between threads");
            return Err(Fail::Diag(
                d.help("move it out of the condition, so that every thread of the block reaches it"),
            ));
        }
        self.b.effect(Op::Barrier);
        Ok(())
    }

    pub(super) fn bool_id(&mut self, tv: Tv, at: At) -> R<ValueId> {
        let v = self.truth(tv, at)?;
        Ok(self.id(&v.v, Scalar::Bool))
    }

    /// Whether this thread takes part.
    pub(super) fn active(&mut self) -> Option<ValueId> {
        let mask = self.masks.last().filter(|_| !self.plain).map(|m| m.local)?;
        Some(self.b.get(mask))
    }

    pub(super) fn and_active(&mut self, v: ValueId) -> ValueId {
        match self.active() {
            Some(on) => self.m(S::And, &[on, v]),
            None => v,
        }
    }

    /// The lane in the warp.
    pub fn warp_lane(&mut self) -> ValueId {
        let (lane, mask) = (self.lane, self.b.uint(self.warp() - 1));
        self.m(S::And, &[lane, mask])
    }

    /// The first thread of the warp.
    pub(super) fn warp_base(&mut self) -> ValueId {
        let (lane, mask) = (self.lane, self.b.uint(!(self.warp() - 1)));
        self.m(S::And, &[lane, mask])
    }

    /// Publishes a word of every thread; a barrier lies before and after.
    pub(super) fn publish(&mut self, word: ValueId) -> Space {
        let space = Space::Shared(self.scratch_array("exchange", self.threads));
        self.b.effect(Op::Barrier);
        let lane = self.lane;
        self.b.store(space, lane, word);
        self.b.effect(Op::Barrier);
        space
    }

    /// The word of another thread of the warp.
    fn fetch(&mut self, word: ValueId, from: Source) -> ValueId {
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
    fn fetch_value(&mut self, v: &Val, t: &Type, from: Source, at: At) -> R<Val> {
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
    pub(super) fn ballot(&mut self, pred: ValueId) -> ValueId {
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
    pub(super) fn block_vote(&mut self, op: AtomicOp, v: ValueId, when: ValueId) -> ValueId {
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

    pub(super) fn bool_const(&mut self, v: bool) -> ValueId {
        self.b.constant(girih_simt::Literal::Int(v as i64), Ty::scalar(DType::Bool))
    }

    /// Barrier and warp intrinsics, and the functions of cooperative groups.
    pub fn warp_call(&mut self, id: &str, targs: Option<&[TemplateArg]>, args: &[Operand], at: At) -> R<Option<Tv>> {
        if let Some(op) = id.strip_prefix("__shfl") {
            return self.shuffle(op, args, at).map(Some);
        }
        let simple = |l: &mut Self, i: usize| l.operand_value(&args[i], at);
        Ok(Some(match (id, args.len()) {
            ("__syncthreads" | "__barrier_sync", _) => {
                self.sync_threads(at)?;
                Tv::void()
            }
            ("__syncthreads_count" | "__syncthreads_and" | "__syncthreads_or", 1) => {
                self.sync_threads_allowed(at)?;
                let p = simple(self, 0)?;
                let p = self.bool_id(p, at)?;
                let one = self.b.uint(1);
                let v = match id {
                    "__syncthreads_count" => self.block_vote(AtomicOp::Add, one, p),
                    "__syncthreads_or" => self.block_vote(AtomicOp::Or, one, p),
                    _ => {
                        let not = self.m(S::Not, &[p]);
                        let bad = self.block_vote(AtomicOp::Or, one, not);
                        let one = self.b.uint(1);
                        self.m(S::Xor, &[bad, one])
                    }
                };
                Tv::one(self.b.bitcast(v, DType::I32), Scalar::Int)
            }
            ("__syncwarp", _) => {
                self.claim_mask(args, at)?;
                self.warp_barrier();
                Tv::void()
            }
            ("__activemask", 0) => {
                let yes = self.bool_const(true);
                Tv::one(self.ballot(yes), Scalar::UInt)
            }
            ("__ballot_sync", 2) | ("__ballot", 1) => {
                let among = self.claim_mask(&args[..args.len() - 1], at)?;
                let p = simple(self, args.len() - 1)?;
                let p = self.bool_id(p, at)?;
                let votes = self.ballot(p);
                Tv::one(self.among(votes, among), Scalar::UInt)
            }
            ("__any_sync", 2) | ("__any", 1) | ("__all_sync", 2) | ("__all", 1) => {
                let among = self.claim_mask(&args[..args.len() - 1], at)?;
                let p = simple(self, args.len() - 1)?;
                let p = self.bool_id(p, at)?;
                self.any_all(id.contains("all"), p, among)
            }
            ("__match_any_sync", 2) => {
                let among = self.claim_mask(&args[..1], at)?;
                let v = simple(self, 1)?;
                let same = self.match_any(v, at)?;
                Tv::one(self.among(same, among), Scalar::UInt)
            }
            (
                "__reduce_add_sync" | "__reduce_min_sync" | "__reduce_max_sync" | "__reduce_and_sync"
                | "__reduce_or_sync" | "__reduce_xor_sync",
                2,
            ) => {
                let among = self.claim_mask(&args[..1], at)?;
                let v = simple(self, 1)?;
                let s = v.t.scalar().map(Scalar::promote).unwrap_or(Scalar::Int);
                let v = self.convert(v, &Type::Scalar(s), at)?;
                let op = id.trim_start_matches("__reduce_").trim_end_matches("_sync").to_string();
                self.reduce(self.warp(), v, among, at, |l, a, b| match &*op {
                    "add" => l.binary("+", a, b, at),
                    "min" => l.extreme(false, a, b, at),
                    "max" => l.extreme(true, a, b, at),
                    "and" => l.binary("&", a, b, at),
                    "or" => l.binary("|", a, b, at),
                    _ => l.binary("^", a, b, at),
                })?
            }
            ("this_thread_block", 0) => Tv { v: Val::Opaque, t: Type::Group(Group::Block) },
            ("coalesced_threads", 0) => {
                let yes = self.bool_const(true);
                let mask = self.ballot(yes);
                Tv { v: Val::One(mask), t: Type::Group(Group::Coalesced) }
            }
            ("tiled_partition", 1 | 2) => {
                let n = match targs.and_then(|t| t.first()) {
                    Some(a) => self.template_int(&a.clone(), at)?,
                    None if args.len() == 2 => {
                        let v = simple(self, 1)?;
                        v.known()
                            .ok_or(())
                            .map_err(|()| self.err("U004", at, "the size of a tile must be a constant"))?
                    }
                    None => return Err(self.err("U004", at, "the size of a tile is missing")),
                };
                if ![1, 2, 4, 8, 16, 32].contains(&n) || n > self.warp() as i128 {
                    return Err(self.refuse(at, format!("a tile of {n} threads"), "use 1, 2, 4, 8, 16 or 32"));
                }
                // A part of a tile counts its ranks in that tile.
                let parent = match args.first().map(Operand::ty) {
                    Some(Type::Group(Group::Tile(m))) => Val::Int(*m as i128),
                    _ => Val::Opaque,
                };
                Tv { v: parent, t: Type::Group(Group::Tile(n as u32)) }
            }
            // cg::sync(group) and its like.
            ("sync" | "reduce" | "inclusive_scan" | "exclusive_scan", 1..)
                if matches!(args[0].ty(), Type::Group(_)) =>
            {
                let Type::Group(g) = *args[0].ty() else { return Ok(None) };
                let place = match &args[0] {
                    Operand::Place(p) => p.clone(),
                    Operand::Value(tv) => Place::Value(tv.clone()),
                    Operand::Braces(_) => return Ok(None),
                };
                self.group_call(g, &place, id, &args[1..], at)?
            }
            ("load_matrix_sync" | "store_matrix_sync" | "mma_sync" | "fill_fragment", _) => {
                self.matrix_call(id, args, at)?
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn sync_threads_allowed(&mut self, at: At) -> R<()> {
        // The barrier itself is part of the vote.
        self.open();
        let done = self.sync_threads(at);
        self.close();
        done
    }

    /// The lanes that the program says take part, where they are not the whole warp: several sets of lanes may meet at one
    /// operation, each with a mask of its own.
    fn claim_mask(&mut self, mask: &[Operand], at: At) -> R<Option<ValueId>> {
        let [mask] = mask else { return Ok(None) };
        let mask = self.operand_value(mask, at)?;
        let mask = self.convert(mask, &UINT, at)?;
        let known = mask.known();
        let mask = self.u32(&mask, at)?;
        if self.caps.checked == Some(32) {
            self.claim_lanes(mask);
        }
        let lanes = self.threads.min(self.warp());
        let all = (1i128 << lanes) - 1;
        Ok(if known.is_some_and(|m| m & all == all) { None } else { Some(mask) })
    }

    /// The bits of the lanes that take part.
    fn among(&mut self, bits: ValueId, lanes: Option<ValueId>) -> ValueId {
        match lanes {
            Some(lanes) => self.m(S::And, &[bits, lanes]),
            None => bits,
        }
    }

    pub(super) fn any_all(&mut self, all: bool, p: ValueId, among: Option<ValueId>) -> Tv {
        let zero = self.b.uint(0);
        if all {
            let not = self.m(S::Not, &[p]);
            let mask = self.ballot(not);
            let mask = self.among(mask, among);
            let v = self.m(S::Eq, &[mask, zero]);
            let v = self.b.cast(v, DType::I32);
            return Tv::one(v, Scalar::Int);
        }
        let mask = self.ballot(p);
        let mask = self.among(mask, among);
        let v = self.m(S::Ne, &[mask, zero]);
        Tv::one(self.b.cast(v, DType::I32), Scalar::Int)
    }

    pub(super) fn shuffle(&mut self, op: &str, args: &[Operand], at: At) -> R<Tv> {
        let sync = op.ends_with("_sync");
        let op = op.trim_end_matches("_sync").trim_start_matches('_');
        let (mask, args) = args.split_at(args.len().min(sync as usize));
        self.claim_mask(mask, at)?;
        let [v, n, rest @ ..] = args else { return Err(self.err("U004", at, "a shuffle takes a value and a lane")) };
        let v = self.operand_value(v, at)?;
        let n = self.operand_value(n, at)?;
        let width = match rest.first() {
            Some(w) => {
                let w = self.operand_value(w, at)?;
                match w.known() {
                    Some(w @ (1 | 2 | 4 | 8 | 16 | 32)) => (w as u32).min(self.warp()),
                    _ => {
                        return Err(self.refuse(
                            at,
                            "a shuffle whose width is not a known power of two up to 32",
                            "make the width a constant",
                        ));
                    }
                }
            }
            None => self.warp(),
        };
        let v = match v.t.scalar() {
            Some(Scalar::Bool | Scalar::Char | Scalar::SChar | Scalar::UChar | Scalar::Short | Scalar::UShort) => {
                self.convert(v, &INT, at)?
            }
            _ => v,
        };
        self.shuffle_value(op, v, n, width, at)
    }

    /// `op`: "" from a lane, "up", "down", "xor".
    pub fn shuffle_value(&mut self, op: &str, v: Tv, n: Tv, width: u32, at: At) -> R<Tv> {
        let (warp, n) = (self.warp(), self.convert(n, &INT, at)?);
        let n = self.u32(&n, at)?;
        let (lane, base) = (self.warp_lane(), self.warp_base());
        let low = self.b.uint(width - 1);
        let high = self.b.uint(!(width - 1) & (warp - 1));
        let segment = if width == warp { self.b.uint(0) } else { self.m(S::And, &[lane, high]) };
        let source = match op {
            "xor" if width == warp && self.b.known(n).is_some_and(|n| n < warp as i64) => self.m(S::Xor, &[lane, n]),
            "" if width == warp => self.m(S::And, &[n, low]),
            "" => {
                let n = self.m(S::And, &[n, low]);
                self.m(S::Or, &[segment, n])
            }
            "up" => {
                let inner = if width == warp { lane } else { self.m(S::And, &[lane, low]) };
                let inside = self.m(S::Ge, &[inner, n]);
                let from = self.m(S::Sub, &[lane, n]);
                self.m(S::Select, &[inside, from, lane])
            }
            "down" => {
                let inner = if width == warp { lane } else { self.m(S::And, &[lane, low]) };
                let to = self.b.add(inner, n);
                let inside = self.m(S::Le, &[to, low]);
                let from = self.b.add(lane, n);
                self.m(S::Select, &[inside, from, lane])
            }
            "xor" => {
                let from = self.m(S::Xor, &[lane, n]);
                let end = self.b.uint(width);
                let end = self.b.add(segment, end);
                let inside = self.m(S::Lt, &[from, end]);
                self.m(S::Select, &[inside, from, lane])
            }
            other => return Err(self.err("U003", at, format!("there is no shuffle `{other}`"))),
        };
        let from = self.b.add(base, source);
        // A thread beyond the end of the block does not exist: a thread keeps its own value instead.
        let from = if self.threads.is_multiple_of(warp) || self.caps.checked.is_some() {
            from
        } else {
            let (count, own) = (self.b.uint(self.threads), self.lane);
            let there = self.m(S::Lt, &[from, count]);
            self.m(S::Select, &[there, from, own])
        };
        let known = self.b.known(n).and_then(|n| u32::try_from(n).ok());
        let xor = known.filter(|n| op == "xor" && *n < width && self.threads.is_multiple_of(warp));
        let got = self.fetch_value(&v.v, &v.t, Source { thread: from, xor }, at)?;
        Ok(Tv { v: got, t: v.t })
    }

    pub(super) fn match_any(&mut self, v: Tv, at: At) -> R<ValueId> {
        let yes = self.bool_const(true);
        let active = self.ballot(yes);
        let Some(s) = v.t.scalar() else { return Err(self.err("U004", at, "a match is of numbers")) };
        let words = if s.size() == 8 {
            let (lo, hi) = self.pair(&v.v);
            vec![lo, hi]
        } else {
            vec![self.bits_of(&v.v, s)]
        };
        let base = self.warp_base();
        let mut mask = active;
        for w in words {
            if self.caps.checked.is_some() {
                let bits = self.checked_match(w);
                mask = self.m(S::And, &[mask, bits]);
                continue;
            }
            let space = if self.caps.native { None } else { Some(self.publish(w)) };
            let found = self.new_local("same", Ty::scalar(DType::U32), None);
            let (lo, hi) = (self.b.uint(0), self.b.uint(32));
            self.b.set(found, lo);
            let last = self.b.uint(self.threads - 1);
            let one = self.b.uint(1);
            self.b.for_loop(lo, hi, 1, true, |b, i| {
                let at = b.add(base, i);
                let at = b.map(S::Min, &[at, last]);
                let other = match space {
                    Some(space) => b.load(space, at),
                    None => b.push(Op::Shuffle(Shuffle::Index, w, i), Ty::scalar(DType::U32)),
                };
                let same = b.map(S::Eq, &[other, w]);
                let bit = b.map(S::Shl, &[one, i]);
                let old = b.get(found);
                let new = b.map(S::Or, &[old, bit]);
                let v = b.map(S::Select, &[same, new, old]);
                b.set(found, v);
            });
            let bits = self.b.get(found);
            mask = self.m(S::And, &[mask, bits]);
        }
        Ok(mask)
    }

    /// Combines the values of a tile's active threads, in the order of lanes.
    /// `among`: of these lanes only.
    pub(super) fn reduce(
        &mut self,
        width: u32,
        v: Tv,
        among: Option<ValueId>,
        at: At,
        mut f: impl FnMut(&mut Self, Tv, Tv) -> R<Tv>,
    ) -> R<Tv> {
        if among.is_some() || self.guarded() || !self.threads.is_multiple_of(width) {
            // Inactive lanes count for nothing: every lane folds those that are there.
            let yes = self.bool_const(true);
            let active = self.ballot(yes);
            let active = self.among(active, among);
            let t = v.t.clone();
            let home = self.home(v.clone(), "folded", at)?;
            let any = self.home(Tv::int(0, Scalar::Bool), "any", at)?;
            for i in 0..width {
                let lane = Tv::int(i as i128, Scalar::Int);
                let other = self.shuffle_value("", v.clone(), lane, width, at)?;
                let (me, high) = (self.warp_lane(), self.b.uint(!(width - 1) & (self.warp() - 1)));
                let segment = self.m(S::And, &[me, high]);
                let i = self.b.uint(i);
                let bit = self.m(S::Or, &[segment, i]);
                let there = self.m(S::Shr, &[active, bit]);
                let one = self.b.uint(1);
                let there = self.m(S::And, &[there, one]);
                let there = self.b.cast(there, DType::Bool);
                let (old, some) = (self.load(&home, at)?, self.load(&any, at)?);
                let some = self.id(&some.v, Scalar::Bool);
                let both = f(self, old.clone(), other.clone())?;
                let both = self.convert(both, &t, at)?;
                let new = self.select(some, &both.v, &other.v, &t, at)?;
                let new = self.select(there, &new, &old.v, &t, at)?;
                self.initialise(&home, &new, at)?;
                let some = self.m(S::Or, &[some, there]);
                self.initialise(&any, &Val::One(some), at)?;
            }
            return self.load(&home, at);
        }
        let t = v.t.clone();
        let mut v = v;
        let mut step = width / 2;
        while step > 0 {
            let n = Tv::int(step as i128, Scalar::Int);
            let other = self.shuffle_value("xor", v.clone(), n, width, at)?;
            let both = f(self, v, other)?;
            v = self.convert(both, &t, at)?;
            step /= 2;
        }
        Ok(v)
    }
}
