//! Conversions between types, as C++ defines them.

use super::value::{Base, Ix, Place, Ptr, Tv, Val};
use super::*;
use girih_base::{DType, ScalarOp};
use girih_simt::{Literal, Op};
use half::{bf16, f16};

/// Rounds a constant to a float type.
pub(crate) fn round(f: f64, s: Scalar) -> f64 {
    // By way of an f32 that is rounded to odd, so that the narrow one is rounded once.
    let odd = || {
        let near = f as f32;
        let even = near.to_bits() & 1 == 0;
        match (near as f64).abs().partial_cmp(&f.abs()) {
            Some(std::cmp::Ordering::Greater) if even && near.is_finite() => f32::from_bits(near.to_bits() - 1),
            Some(std::cmp::Ordering::Less) if even && near.is_finite() => f32::from_bits(near.to_bits() + 1),
            _ => near,
        }
    };
    match s {
        Scalar::Half => f16::from_f32(odd()).to_f64(),
        Scalar::Bf16 => bf16::from_f32(odd()).to_f64(),
        Scalar::Float => f as f32 as f64,
        _ => f,
    }
}

impl Lowerer<'_> {
    /// Converts to a type, as an assignment does.
    pub fn convert(&mut self, tv: Tv, to: &Type, at: At) -> R<Tv> {
        if tv.t == *to {
            return Ok(tv);
        }
        let tv = self.decay(tv, at)?;
        match (&tv.t, to) {
            (a, b) if a == b => Ok(tv),
            (Type::Scalar(_), Type::Scalar(d)) => {
                let v = self.scalar_to(&tv, *d, at)?;
                Ok(Tv { v, t: to.clone() })
            }
            (Type::Pointer(_), Type::Scalar(Scalar::Bool)) => {
                // A text beside a condition, as assertions have them.
                if matches!(tv.v, Val::Text) {
                    return Ok(Tv::int(1, Scalar::Bool));
                }
                let Val::Pointer(p) = &tv.v else { return Err(self.err("U004", at, "this is no pointer")) };
                let v = self.not_null(p);
                Ok(Tv { v, t: to.clone() })
            }
            (Type::Null, Type::Scalar(Scalar::Bool)) => Ok(Tv::int(0, Scalar::Bool)),
            (Type::Null, Type::Pointer(t)) => Ok(Tv { v: Val::Pointer(null((**t).clone())), t: to.clone() }),
            (Type::Scalar(s), Type::Pointer(t)) if s.is_int() && tv.known() == Some(0) => {
                Ok(Tv { v: Val::Pointer(null((**t).clone())), t: to.clone() })
            }
            (Type::Pointer(_), Type::Pointer(t)) => {
                let t = (**t).clone();
                let v = self.repoint(tv.v, t, at)?;
                Ok(Tv { v, t: to.clone() })
            }
            (Type::Vector(a, n), Type::Vector(b, m)) if a == b && m < n => {
                let Val::Group(mut parts) = tv.v else { return Ok(tv) };
                parts.truncate(*m as usize);
                Ok(Tv { v: Val::Group(parts), t: to.clone() })
            }
            (Type::Scalar(_), Type::Vector(s, 2)) if s.narrow_float() => {
                let v = self.scalar_to(&tv, *s, at)?;
                Ok(Tv { v: Val::Group(vec![v.clone(), v]), t: to.clone() })
            }
            // dim3 from a number.
            (Type::Scalar(s), Type::Vector(Scalar::UInt, 3)) if s.is_int() => {
                let v = self.scalar_to(&tv, Scalar::UInt, at)?;
                Ok(Tv { v: Val::Group(vec![v, Val::Int(1), Val::Int(1)]), t: to.clone() })
            }
            (Type::Texture, _) | (_, Type::Texture) => Err(self.refuse(
                at,
                "a texture object as a number",
                "a texture is known by its parameter: pass the object itself",
            )),
            (Type::Group(_), Type::Group(_))
            | (Type::Callable(_), Type::Callable(_))
            | (Type::Lambda(_), Type::Callable(_)) => Ok(Tv { v: tv.v, t: tv.t }),
            (_, Type::Struct(id)) => self.construct_from(*id, tv, at),
            (Type::Struct(_), _) => match self.conversion_operator(&tv, to, at)? {
                Some(v) => self.convert(v, to, at),
                None => Err(self.no_conversion(&tv.t, to, at)),
            },
            (_, Type::Void) => Ok(Tv::void()),
            _ => Err(self.no_conversion(&tv.t, to, at)),
        }
    }

    fn no_conversion(&self, from: &Type, to: &Type, at: At) -> Fail {
        self.err("U004", at, format!("{} does not convert to {}", self.type_name(from), self.type_name(to)))
    }

    /// Arrays as pointers to their first element; other values as they are.
    pub fn decay(&mut self, tv: Tv, at: At) -> R<Tv> {
        match &tv.t {
            Type::Array(..) => Err(self.err("U004", at, "an array is used as a value")),
            _ => Ok(tv),
        }
    }

    /// A place as a value: arrays become pointers.
    pub fn rvalue(&mut self, place: &Place, at: At) -> R<Tv> {
        match place.ty().clone() {
            Type::Array(t, n) => {
                let p = match place {
                    Place::Tree { tree, leaf, ix, .. } => {
                        let ix = self.ix_mul(ix.unwrap_or(Ix::K(0)), n as i64);
                        Ptr { base: Base::Tree(tree.clone(), *leaf), unit: 1, ix, plus: 0, to: (*t).clone() }
                    }
                    Place::Memory(p) => {
                        let mut p = p.clone();
                        if let Base::Tree(..) = p.base {
                            p.ix = self.ix_mul(p.ix, n as i64);
                        }
                        p.to = (*t).clone();
                        p
                    }
                    Place::Value(tv) => {
                        // A constant array is given a home.
                        let home = self.home(tv.clone(), "table", at)?;
                        return self.rvalue(&home, at);
                    }
                };
                Ok(Tv { v: Val::Pointer(p), t: Type::Pointer(t) })
            }
            _ => self.load(place, at),
        }
    }

    /// A variable that holds the value.
    pub fn home(&mut self, tv: Tv, name: &str, at: At) -> R<Place> {
        let place = self.variable(name, &tv.t.clone(), at)?;
        self.initialise(&place, &tv.v, at)?;
        Ok(place)
    }

    /// A pointer to another type at the same address.
    pub fn repoint(&mut self, v: Val, to: Type, at: At) -> R<Val> {
        let Val::Pointer(mut p) = v else { return Err(self.err("U004", at, "this is no pointer")) };
        if p.to == to {
            return Ok(Val::Pointer(p));
        }
        if let Base::Tree(tree, _) = &p.base
            && to != Type::Void
            && p.to != Type::Void
        {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            self.scalars(&p.to, 0, &mut a);
            self.scalars(&to, 0, &mut b);
            // An array and its element, or types of one layout, share their locals.
            let same = a.iter().zip(&b).all(|(x, y)| x == y) && a.len() == b.len();
            if !same {
                let at_var = tree.at;
                return Err(self.need_memory(at_var, at));
            }
        }
        p.to = to;
        Ok(Val::Pointer(p))
    }

    fn not_null(&mut self, p: &Ptr) -> Val {
        match (&p.base, p.ix) {
            (Base::Null, _) => Val::Int(0),
            (_, Ix::V(v)) if p.plus == 0 => {
                let none = self.b.uint(u32::MAX);
                Val::One(self.b.map(ScalarOp::Ne, &[v, none]))
            }
            _ => Val::Int(1),
        }
    }

    /// A scalar of another scalar type.
    pub fn scalar_to(&mut self, tv: &Tv, to: Scalar, at: At) -> R<Val> {
        let Some(from) = tv.t.scalar() else {
            return Err(self.err("U004", at, format!("{} is no number", self.type_name(&tv.t))));
        };
        if from == to {
            return Ok(tv.v.clone());
        }
        match tv.v {
            Val::Int(n) if to == Scalar::Bool => return Ok(Val::Int((n != 0) as i128)),
            Val::Int(n) if to.is_int() => return Ok(Val::Int(to.wrap(n))),
            Val::Int(n) => {
                let f = if to == Scalar::Float { n as f32 as f64 } else { n as f64 };
                return Ok(Val::Float(round(f, to)));
            }
            Val::Float(f) if to.is_float() => return Ok(Val::Float(round(f, to))),
            Val::Float(f) if to == Scalar::Bool => return Ok(Val::Int((f != 0.0) as i128)),
            Val::Float(f) => {
                let t = f.trunc() as i128;
                let bits = to.size() * 8;
                let (lo, hi) = if to.signed() {
                    (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
                } else {
                    (0, (1i128 << bits) - 1)
                };
                return Ok(Val::Int(t.clamp(lo, hi)));
            }
            _ => {}
        }
        if to == Scalar::Double && !self.caps.double {
            return Err(self.no_double(at));
        }
        Ok(self.convert_register(&tv.v, from, to))
    }

    fn convert_register(&mut self, v: &Val, from: Scalar, to: Scalar) -> Val {
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
    fn float_to_odd(&mut self, x: ValueId) -> ValueId {
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

    fn unpair(&mut self, lo: ValueId, hi: ValueId, from: Scalar, to: Scalar) -> Val {
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
    fn size_of_pair(&mut self, lo: ValueId, hi: ValueId) -> (ValueId, ValueId) {
        let (zero, word) = (self.b.int(0), self.b.bitcast(hi, DType::I32));
        let negative = self.b.map(ScalarOp::Lt, &[word, zero]);
        let (nlo, nhi) = self.negate_pair(lo, hi);
        (self.b.map(ScalarOp::Select, &[negative, nlo, lo]), self.b.map(ScalarOp::Select, &[negative, nhi, hi]))
    }

    /// The f32 nearest to a pair: its first 32 bits, the last of which tells whether ones follow, are rounded once.
    fn nearest_float(&mut self, lo: ValueId, hi: ValueId) -> ValueId {
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

    fn make_pair(&mut self, x: ValueId, from: Scalar, to: Scalar) -> Val {
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

    /// A condition: known, or a bool value.
    pub fn truth(&mut self, tv: Tv, at: At) -> R<Tv> {
        self.convert(tv, &BOOL, at)
    }

    /// The same bits as another type of the same size.
    pub fn reinterpret(&mut self, tv: &Tv, to: &Type, at: At) -> R<Tv> {
        let (a, b) = (self.size(&tv.t), self.size(to));
        if a != b {
            return Err(self.err("U004", at, format!("{a} bytes as {b} bytes")));
        }
        let words = a.div_ceil(4);
        // Through a word array of the thread.
        let local = self.new_local("bits", Ty::scalar(DType::U32), Some(words.max(1)));
        let space = Space::Local(local);
        let plain = std::mem::replace(&mut self.plain, true);
        let source = Ptr { base: Base::Space(space), unit: 4, ix: Ix::K(0), plus: 0, to: tv.t.clone() };
        self.store(&Place::Memory(source.clone()), &tv.v, at)?;
        let got = self.load(&Place::Memory(Ptr { to: to.clone(), ..source }), at);
        self.plain = plain;
        got
    }

    /// A bitcast of scalars of 32 bits.
    pub fn bits32(&mut self, v: &Val, from: Scalar, to: Scalar) -> Val {
        let x = self.id(v, from);
        let Some(dtype) = self.reg(to) else { return Val::One(x) };
        Val::One(self.b_bits(x, dtype))
    }

    /// A comment in the generated source.
    pub fn comment(&mut self, text: &str) {
        self.b.effect(Op::Comment(text.into()));
    }
}

/// A null pointer.
pub(crate) fn null(to: Type) -> Ptr {
    Ptr { base: Base::Null, unit: 1, ix: Ix::K(u32::MAX as i64), plus: 0, to }
}
