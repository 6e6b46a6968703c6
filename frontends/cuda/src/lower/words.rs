//! Arrays of words: which element, which bits of it, and scalars narrower than a word inside them.

use super::value::{Ix, Ptr, Val};
use super::*;
use girih_base::{DType, ScalarOp};
use girih_simt::{AtomicOp, Op};

/// A word that holds several scalars, loaded once.
pub(super) type Cache = BTreeMap<i64, ValueId>;

impl Lowerer<'_> {
    /// The name under which an array's choices are kept.
    pub(super) fn space_key(&self, space: Space) -> String {
        match space {
            Space::Buffer(i) => format!("b:{}", self.b.buffers[i as usize].name),
            Space::Shared(i) => format!("s:{}", self.b.shared[i as usize].name),
            Space::Local(i) => format!("l:{}", self.b.locals[i as usize].name),
        }
    }

    /// Keeps an array as u32 words from the next walk on.
    pub fn need_words(&mut self, space: Space, at: At) -> Fail {
        let key = self.space_key(space);
        if self.choices.words.insert(key) {
            Fail::Retry
        } else {
            self.err("U009", at, "this access mixes element types in a way that has no form")
        }
    }

    /// Keeps a variable's bytes in order from the next walk on.
    pub fn need_memory(&mut self, var: At, at: At) -> Fail {
        if self.choices.memory.insert(var) {
            Fail::Retry
        } else {
            self.err("U009", at, "this pointer into a variable cannot be followed")
        }
    }

    /// `ix * unit + plus` bytes, counted in `g` bytes.
    pub fn count_in(&mut self, unit: u32, ix: Ix, plus: i64, g: u32) -> Ix {
        if unit.is_multiple_of(g) {
            let scaled = self.ix_mul(ix, (unit / g) as i64);
            return self.ix_add(scaled, Ix::K(plus.div_euclid(g as i64)));
        }
        if g.is_multiple_of(unit) && plus % unit as i64 == 0 {
            let sum = self.ix_add(ix, Ix::K(plus / unit as i64));
            return self.ix_div(sum, (g / unit) as i64);
        }
        let bytes = self.ix_mul(ix, unit as i64);
        let bytes = self.ix_add(bytes, Ix::K(plus));
        self.ix_div(bytes, g as i64)
    }

    /// The element index, and the bit position in it of something of `size` bytes.
    pub(super) fn element(&mut self, p: &Ptr, plus: i64, size: u32, store: u32) -> (Ix, Ix) {
        if size >= store {
            return (self.count_in(p.unit, p.ix, plus, store), Ix::K(0));
        }
        if p.unit.is_multiple_of(store) {
            let at = self.count_in(p.unit, p.ix, plus - plus.rem_euclid(store as i64), store);
            return (at, Ix::K(8 * plus.rem_euclid(store as i64)));
        }
        let small = self.count_in(p.unit, p.ix, plus, size);
        let per = store / size;
        let word = self.ix_div(small, per as i64);
        let bit = match small {
            Ix::K(n) => Ix::K(n.rem_euclid(per as i64) * 8 * size as i64),
            Ix::V(v) => {
                let (mask, width) = (self.b.uint(per - 1), self.b.uint((8 * size).trailing_zeros()));
                let part = self.b.map(ScalarOp::And, &[v, mask]);
                Ix::V(self.b.map(ScalarOp::Shl, &[part, width]))
            }
        };
        (word, bit)
    }

    pub fn mark_written(&mut self, space: Space) {
        if let Space::Buffer(i) = space {
            self.b.buffers[i as usize].written = true;
        }
    }

    fn as_words(&mut self, v: ValueId) -> ValueId {
        self.b_bits(v, DType::U32)
    }

    /// Bits as another type of the same width.
    pub fn b_bits(&mut self, v: ValueId, to: DType) -> ValueId {
        if self.b.ty(v).dtype == to { v } else { self.b.bitcast(v, to) }
    }

    pub(super) fn load_scalar(
        &mut self,
        p: &Ptr,
        space: Space,
        plus: i64,
        s: Scalar,
        cache: &mut Cache,
        at: At,
    ) -> R<Val> {
        let store = self.store_of(space);
        let size = s.size();
        if s == Scalar::Double && !self.caps.double {
            return Err(self.no_double(at));
        }
        if store.size == 8 && size != 8 {
            return Err(self.need_words(space, at));
        }
        let (index, bit) = self.element(p, plus, size, store.size);
        if size == store.size {
            let raw = self.raw_load(space, index);
            if size == 8 {
                return Ok(self.long_value(raw, s));
            }
            let Some(want) = self.reg(s) else { return Err(self.need_words(space, at)) };
            return Ok(Val::One(self.b_bits(raw, want)));
        }
        if size == 8 {
            let lo = self.raw_load(space, index);
            let next = self.ix_add(index, Ix::K(1));
            let hi = self.raw_load(space, next);
            let (lo, hi) = (self.as_words(lo), self.as_words(hi));
            if s == Scalar::Double {
                return Ok(self.double(lo, hi));
            }
            return Ok(self.wide(lo, hi, s));
        }
        let known = match (index, bit, p.ix) {
            (_, Ix::K(_), _) => cache.get(&plus.div_euclid(4)).copied(),
            _ => None,
        };
        let word = match known {
            Some(w) => w,
            None => {
                let raw = self.raw_load(space, index);
                let w = self.as_words(raw);
                if matches!(bit, Ix::K(_)) {
                    cache.insert(plus.div_euclid(4), w);
                }
                w
            }
        };
        Ok(Val::One(self.narrow(word, bit, s)))
    }

    /// A scalar narrower than a word, from the bits at `bit`.
    pub fn narrow(&mut self, word: ValueId, bit: Ix, s: Scalar) -> ValueId {
        let width = s.size() * 8;
        if let (Scalar::Half, Ix::K(b @ (0 | 16))) = (s, bit) {
            let both = self.b.push(Op::UnpackHalf(word), Ty::vec(DType::F32, 2));
            return self.b.component(both, (b / 16) as u8);
        }
        if s.signed() && s.is_int() {
            // Up against the top, then down with the sign.
            let up = match bit {
                Ix::K(b) => self.b.uint(32 - width - b as u32),
                Ix::V(b) => {
                    let top = self.b.uint(32 - width);
                    self.b.map(ScalarOp::Sub, &[top, b])
                }
            };
            let down = self.b.uint(32 - width);
            let high = self.b.map(ScalarOp::Shl, &[word, up]);
            let high = self.b.bitcast(high, DType::I32);
            let down = self.b.cast(down, DType::I32);
            return self.b.map(ScalarOp::Shr, &[high, down]);
        }
        let shift = self.ix(bit);
        let low = self.b.map(ScalarOp::Shr, &[word, shift]);
        match s {
            Scalar::Half => {
                let both = self.b.push(Op::UnpackHalf(low), Ty::vec(DType::F32, 2));
                self.b.component(both, 0)
            }
            Scalar::Bf16 => {
                let n = self.b.uint(16);
                let bits = self.b.map(ScalarOp::Shl, &[low, n]);
                self.b.bitcast(bits, DType::F32)
            }
            _ => {
                let mask = self.b.uint(((1u64 << width) - 1) as u32);
                let v = self.b.map(ScalarOp::And, &[low, mask]);
                if s == Scalar::Bool {
                    let zero = self.b.uint(0);
                    self.b.map(ScalarOp::Ne, &[v, zero])
                } else {
                    v
                }
            }
        }
    }

    /// The low bits of a word that a scalar of at most 32 bits takes in memory, zeros above.
    pub fn bits_of(&mut self, v: &Val, s: Scalar) -> ValueId {
        let id = self.id(v, s);
        match s {
            Scalar::Half => {
                let zero = self.b.constant(girih_simt::Literal::Float(0), Ty::scalar(DType::F32));
                let pair = self.b.push(Op::MakeVec(vec![id, zero]), Ty::vec(DType::F32, 2));
                self.b.push(Op::PackHalf(pair), Ty::scalar(DType::U32))
            }
            Scalar::Bf16 => self.bf16_bits(id),
            Scalar::Bool => self.b.cast(id, DType::U32),
            s if s.size() < 4 => {
                let word = self.as_words(id);
                let mask = self.b.uint((1u32 << (s.size() * 8)) - 1);
                self.b.map(ScalarOp::And, &[word, mask])
            }
            _ => self.as_words(id),
        }
    }

    /// Rounds an f32 to bfloat16's bits, to nearest even; NaN stays NaN.
    fn bf16_bits(&mut self, x: ValueId) -> ValueId {
        let bits = self.b.bitcast(x, DType::U32);
        let (n, one, half) = (self.b.uint(16), self.b.uint(1), self.b.uint(0x7fff));
        let odd = self.b.map(ScalarOp::Shr, &[bits, n]);
        let odd = self.b.map(ScalarOp::And, &[odd, one]);
        let up = self.b.add(half, odd);
        let sum = self.b.add(bits, up);
        let rounded = self.b.map(ScalarOp::Shr, &[sum, n]);
        let nan = self.b.map(ScalarOp::IsNan, &[x]);
        let quiet = self.b.uint(0x7fff);
        self.b.map(ScalarOp::Select, &[nan, quiet, rounded])
    }

    pub(super) fn store_scalar(&mut self, p: &Ptr, space: Space, plus: i64, v: &Val, s: Scalar, at: At) -> R<()> {
        let store = self.store_of(space);
        let size = s.size();
        if store.size == 8 && size != 8 {
            return Err(self.need_words(space, at));
        }
        let (index, bit) = self.element(p, plus, size, store.size);
        if size == store.size {
            let id = if size == 8 {
                self.long_bits(v, s, store.dtype)
            } else if self.reg(s).is_some() {
                let id = self.id(v, s);
                self.b_bits(id, store.dtype)
            } else {
                return Err(self.need_words(space, at));
            };
            self.raw_store(space, index, id);
            return Ok(());
        }
        if size == 8 {
            let (lo, hi) = if s == Scalar::Double { self.words_of(v) } else { self.pair(v) };
            let (lo, hi) = (self.b_bits(lo, store.dtype), self.b_bits(hi, store.dtype));
            self.raw_store(space, index, lo);
            let next = self.ix_add(index, Ix::K(1));
            self.raw_store(space, next, hi);
            return Ok(());
        }
        if store.dtype != DType::U32 {
            return Err(self.need_words(space, at));
        }
        let bits = self.bits_of(v, s);
        let shift = self.ix(bit);
        let bits = self.b.map(ScalarOp::Shl, &[bits, shift]);
        let ones = self.b.uint(((1u64 << (size * 8)) - 1) as u32);
        let field = self.b.map(ScalarOp::Shl, &[ones, shift]);
        let keep = self.b.map(ScalarOp::Not, &[field]);
        if matches!(space, Space::Local(_)) {
            let old = self.raw_load(space, index);
            let old = self.b.map(ScalarOp::And, &[old, keep]);
            let new = self.b.map(ScalarOp::Or, &[old, bits]);
            self.raw_store(space, index, new);
        } else {
            // Neighbouring threads may write the other bytes of the word: only this thread's bits change.
            self.mark_written(space);
            self.coherent(space, true);
            let index = self.ix(index);
            self.guard(|l| {
                l.b.effect(Op::Atomic(AtomicOp::And, space, index, keep));
                l.b.effect(Op::Atomic(AtomicOp::Or, space, index, bits));
            });
        }
        Ok(())
    }
}
