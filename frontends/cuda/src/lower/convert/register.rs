//! Conversions of numbers in registers: narrow ones, pairs of words, floats rounded once.

use super::*;

impl Lowerer<'_> {
    pub(super) fn convert_register(&mut self, v: &Val, from: Scalar, to: Scalar) -> Val {
        if let (Val::Pair(lo, hi), true) = (v, from.wide()) {
            return self.unpair(*lo, *hi, from, to);
        }
        let x = self.id(v, from);
        if to == Scalar::Bool {
            return Val::One(self.b.cast(x, DType::Bool));
        }
        if to.wide() && self.reg(to).is_none() {
            return self.make_pair(x, from, to);
        }
        let Some(dtype) = self.reg(to) else { return Val::One(x) };
        let have = self.b.ty(x).dtype;
        let plain = |s: &mut Self, x: ValueId| {
            let have = s.b.ty(x).dtype;
            // Integers of one width keep their bits, so that no conversion has to be proven harmless.
            match (have, dtype) {
                (DType::I32, DType::U32) | (DType::U32, DType::I32) if s.b.known(x).is_none() => s.b.bitcast(x, dtype),
                (DType::I64, DType::U64) | (DType::U64, DType::I64) => s.b.bitcast(x, dtype),
                _ => s.b.cast(x, dtype),
            }
        };
        if to.is_int() && to.size() < 4 {
            // Through 32 bits of the same sign, then wrapped.
            let wide = if have.is_float() {
                self.b.cast(x, DType::I32)
            } else if have == DType::I64 || have == DType::U64 {
                let bits = self.b_bits(x, DType::U64);
                self.b.cast(bits, DType::U32)
            } else {
                x
            };
            if from.is_int() && from != Scalar::Bool && from.size() == to.size() && from.signed() == to.signed() {
                return Val::One(x);
            }
            let wide = if self.b.ty(wide).dtype == DType::Bool { self.b.cast(wide, dtype) } else { wide };
            let wide = self.b_bits(wide, dtype);
            let narrow = self.wrap_narrow(wide, to);
            if !to.signed() {
                self.not_negative.insert(narrow);
            }
            return Val::One(narrow);
        }
        let y = match have {
            _ if have == dtype => x,
            DType::F64 if to.narrow_float() => self.float_to_odd(x),
            _ => plain(self, x),
        };
        if from.is_int() && to.is_int() && self.not_negative(x) {
            self.not_negative.insert(y);
        }
        Val::One(if to.narrow_float() && !(from.is_int() && from.size() == 1) { self.round_narrow(y, to) } else { y })
    }

    /// Keeps the low 8 or 16 bits, with their sign.
    pub fn wrap_narrow(&mut self, x: ValueId, s: Scalar) -> ValueId {
        let bits = s.size() * 8;
        if s.signed() {
            let n = self.b.uint(32 - bits);
            let n = self.b.cast(n, DType::I32);
            let up = self.b.map(ScalarOp::Shl, &[x, n]);
            self.b.map(ScalarOp::Shr, &[up, n])
        } else {
            let mask = self.b.uint((1u32 << bits) - 1);
            self.b.map(ScalarOp::And, &[x, mask])
        }
    }

    /// Rounds an f32 to half or bfloat16, kept as f32.
    pub fn round_narrow(&mut self, x: ValueId, s: Scalar) -> ValueId {
        let bits = self.bits_of(&Val::One(x), s);
        self.narrow(bits, Ix::K(0), s)
    }

    /// A double as f32, rounded to odd: rounded once more, to a narrow type, it is rounded once (Boldo and Melquiond 2008).
    pub(super) fn float_to_odd(&mut self, x: ValueId) -> ValueId {
        let near = self.b.cast(x, DType::F32);
        let back = self.b.cast(near, DType::F64);
        let inexact = self.b.map(ScalarOp::Ne, &[back, x]);
        let (size, wanted) = (self.b.map(ScalarOp::Abs, &[back]), self.b.map(ScalarOp::Abs, &[x]));
        let over = self.b.map(ScalarOp::Gt, &[size, wanted]);
        self.round_to_odd(near, inexact, over)
    }

    /// An f32 whose last bit is even and that is not exact becomes the odd one on the other side of the exact number: the smaller
    /// one where it is `over` it.
    pub(crate) fn round_to_odd(&mut self, near: ValueId, inexact: ValueId, over: ValueId) -> ValueId {
        let bits = self.b.bitcast(near, DType::U32);
        let (one, none) = (self.b.uint(1), self.b.uint(0));
        let low = self.b.map(ScalarOp::And, &[bits, one]);
        let even = self.b.map(ScalarOp::Eq, &[low, none]);
        let (up, down) = (self.b.add(bits, one), self.b.map(ScalarOp::Sub, &[bits, one]));
        let moved = self.b.map(ScalarOp::Select, &[over, down, up]);
        let finite = self.b.map(ScalarOp::IsFinite, &[near]);
        let both = self.b.map(ScalarOp::And, &[inexact, even]);
        let both = self.b.map(ScalarOp::And, &[both, finite]);
        let odd = self.b.map(ScalarOp::Select, &[both, moved, bits]);
        self.b.bitcast(odd, DType::F32)
    }

    pub(super) fn unpair(&mut self, lo: ValueId, hi: ValueId, from: Scalar, to: Scalar) -> Val {
        if to.wide() {
            return Val::Pair(lo, hi);
        }
        if to == Scalar::Bool {
            let any = self.b.map(ScalarOp::Or, &[lo, hi]);
            return Val::One(self.b.cast(any, DType::Bool));
        }
        if to.is_int() {
            return self.convert_register(&Val::One(lo), Scalar::UInt, to);
        }
        if to == Scalar::Double {
            // Both halves and the product are exact: rounded once.
            let scale = self.b.constant(Literal::Float(4294967296f64.to_bits()), Ty::scalar(DType::F64));
            let top = if from.signed() { self.b.bitcast(hi, DType::I32) } else { hi };
            let (high, low) = (self.b.cast(top, DType::F64), self.b.cast(lo, DType::F64));
            let high = self.b.mul(high, scale);
            return Val::One(self.b.add(high, low));
        }
        let size = if from.signed() { self.size_of_pair(lo, hi) } else { (lo, hi) };
        let near = self.nearest_float(size.0, size.1);
        let near = if from.signed() {
            let (zero, word) = (self.b.int(0), self.b.bitcast(hi, DType::I32));
            let negative = self.b.map(ScalarOp::Lt, &[word, zero]);
            let minus = self.b.map(ScalarOp::Neg, &[near]);
            self.b.map(ScalarOp::Select, &[negative, minus, near])
        } else {
            near
        };
        Val::One(if to.narrow_float() { self.round_narrow(near, to) } else { near })
    }

    /// The magnitude of a signed pair.
    pub(super) fn size_of_pair(&mut self, lo: ValueId, hi: ValueId) -> (ValueId, ValueId) {
        let (zero, word) = (self.b.int(0), self.b.bitcast(hi, DType::I32));
        let negative = self.b.map(ScalarOp::Lt, &[word, zero]);
        let (nlo, nhi) = self.negate_pair(lo, hi);
        (self.b.map(ScalarOp::Select, &[negative, nlo, lo]), self.b.map(ScalarOp::Select, &[negative, nhi, hi]))
    }

    /// The f32 nearest to a pair: its first 32 bits, the last of which tells whether ones follow, are rounded once.
    pub(super) fn nearest_float(&mut self, lo: ValueId, hi: ValueId) -> ValueId {
        let (zero, word) = (self.b.uint(0), self.b.uint(32));
        let n = self.b.map(ScalarOp::Clz, &[hi]);
        let rest = self.b.map(ScalarOp::Sub, &[word, n]);
        let first = self.b.map(ScalarOp::Shl, &[hi, n]);
        // Shifts by 32 are shifts by 0: then the high word is the first one.
        let second = self.b.map(ScalarOp::Shr, &[lo, rest]);
        let full = self.b.map(ScalarOp::Eq, &[n, zero]);
        let second = self.b.map(ScalarOp::Select, &[full, zero, second]);
        let left = self.b.map(ScalarOp::Shl, &[lo, n]);
        let more = self.b.map(ScalarOp::Ne, &[left, zero]);
        let more = self.b.cast(more, DType::U32);
        let bits = self.b.map(ScalarOp::Or, &[first, second]);
        let bits = self.b.map(ScalarOp::Or, &[bits, more]);
        let (bias, fraction) = (self.b.uint(127), self.b.uint(23));
        let power = self.b.add(rest, bias);
        let power = self.b.map(ScalarOp::Shl, &[power, fraction]);
        let power = self.b.bitcast(power, DType::F32);
        let near = self.b.cast(bits, DType::F32);
        let near = self.b.mul(near, power);
        let small = self.b.map(ScalarOp::Eq, &[hi, zero]);
        let low = self.b.cast(lo, DType::F32);
        self.b.map(ScalarOp::Select, &[small, low, near])
    }

    pub(super) fn make_pair(&mut self, x: ValueId, from: Scalar, to: Scalar) -> Val {
        let zero = self.b.uint(0);
        if from.is_int() {
            if from.signed() {
                let n = self.b.int(31);
                let high = self.b.map(ScalarOp::Shr, &[x, n]);
                let (lo, hi) = (self.b.bitcast(x, DType::U32), self.b.bitcast(high, DType::U32));
                return Val::Pair(lo, hi);
            }
            let lo = if from == Scalar::Bool { self.b.cast(x, DType::U32) } else { x };
            return Val::Pair(lo, zero);
        }
        // |x| = high * 2^32 + low, exactly; then the sign.
        let dtype = self.b.ty(x).dtype;
        let size = self.b.map(ScalarOp::Abs, &[x]);
        let size = self.b.map(ScalarOp::Trunc, &[size]);
        let scale = self.b.constant(Literal::Float(4294967296f64.to_bits()), Ty::scalar(dtype));
        let down = self.b.constant(Literal::Float((1.0 / 4294967296f64).to_bits()), Ty::scalar(dtype));
        let top = self.b.mul(size, down);
        let top = self.b.map(ScalarOp::Floor, &[top]);
        let part = self.b.mul(top, scale);
        let low = self.b.map(ScalarOp::Sub, &[size, part]);
        let (lo, hi) = (self.b.cast(low, DType::U32), self.b.cast(top, DType::U32));
        let none = self.b.constant(Literal::Float(0), Ty::scalar(dtype));
        let negative = self.b.map(ScalarOp::Lt, &[x, none]);
        // What is too large becomes the largest number, as on the device.
        let limit = if to.signed() { 2147483648f64 } else { 4294967296f64 };
        let limit = self.b.constant(Literal::Float(limit.to_bits()), Ty::scalar(dtype));
        let over = self.b.map(ScalarOp::Ge, &[top, limit]);
        let (ones, most) = (self.b.uint(u32::MAX), self.b.uint(if to.signed() { i32::MAX as u32 } else { u32::MAX }));
        let choose = |s: &mut Self, c: ValueId, x: [ValueId; 2], y: [ValueId; 2]| {
            [0, 1].map(|i| s.b.map(ScalarOp::Select, &[c, x[i], y[i]]))
        };
        let positive = choose(self, over, [ones, most], [lo, hi]);
        let below = if to.signed() {
            let (nlo, nhi) = self.negate_pair(lo, hi);
            let least = self.b.uint(1 << 31);
            choose(self, over, [zero, least], [nlo, nhi])
        } else {
            // Negative numbers become 0, as on the device.
            [zero, zero]
        };
        let [lo, hi] = choose(self, negative, below, positive);
        Val::Pair(lo, hi)
    }
}
