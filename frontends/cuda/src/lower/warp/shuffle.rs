//! Shuffles, matches and sums over the lanes of a warp.

use super::*;

impl Lowerer<'_> {
    pub(in crate::lower) fn shuffle(&mut self, op: &str, args: &[Operand], at: At) -> R<Tv> {
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

    pub(in crate::lower) fn match_any(&mut self, v: Tv, at: At) -> R<ValueId> {
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
    pub(in crate::lower) fn reduce(
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
