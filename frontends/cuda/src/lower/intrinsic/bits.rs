//! Integer intrinsics: counting and moving bits, wide products, and the operations on bytes and halves of a word.

use super::super::value::{Tv, Val};
use super::super::*;
use girih_base::{DType, ScalarOp as S};

const NAMES: &[&str] = &[
    "__popc",
    "__popcll",
    "__clz",
    "__clzll",
    "__ffs",
    "__ffsll",
    "__brev",
    "__brevll",
    "__byte_perm",
    "__mulhi",
    "__umulhi",
    "__mul24",
    "__umul24",
    "__sad",
    "__usad",
    "__funnelshift_l",
    "__funnelshift_r",
    "__funnelshift_lc",
    "__funnelshift_rc",
    "__dp4a",
];

pub fn known(name: &str) -> bool {
    NAMES.contains(&name) || name.starts_with("__v")
}

impl Lowerer<'_> {
    fn int_result(&mut self, v: ValueId) -> R<Option<Tv>> {
        let v = self.b_bits(v, DType::I32);
        Ok(Some(Tv::one(v, Scalar::Int)))
    }

    pub fn bits_call(&mut self, name: &str, args: &[Tv], at: At) -> R<Option<Tv>> {
        if let Some(v) = self.simd_call(name, args, at)? {
            return Ok(Some(v));
        }
        let uint = |v: ValueId| Ok(Some(Tv::one(v, Scalar::UInt)));
        if let Some(v) = self.conversion(name, args, at)? {
            return Ok(Some(v));
        }
        match (name, args) {
            ("__popc", [a]) => {
                if let Some(n) = a.known() {
                    return Ok(Some(Tv::int((n as u32).count_ones() as i128, Scalar::Int)));
                }
                let x = self.u32(a, at)?;
                let n = self.m(S::Popcount, &[x]);
                self.int_result(n)
            }
            ("__clz", [a]) => {
                let x = self.u32(a, at)?;
                let n = self.m(S::Clz, &[x]);
                self.int_result(n)
            }
            ("__ffs", [a]) => {
                let x = self.u32(a, at)?;
                let n = self.ffs(x);
                self.int_result(n)
            }
            ("__popcll" | "__clzll" | "__ffsll" | "__brevll", [a]) => {
                let v = self.convert(a.clone(), &Type::Scalar(Scalar::ULongLong), at)?;
                let (lo, hi) = self.pair(&v.v);
                match name {
                    "__popcll" => {
                        let (x, y) = (self.m(S::Popcount, &[lo]), self.m(S::Popcount, &[hi]));
                        let n = self.b.add(x, y);
                        self.int_result(n)
                    }
                    "__clzll" => {
                        let (x, y, zero, word) =
                            (self.m(S::Clz, &[hi]), self.m(S::Clz, &[lo]), self.b.uint(0), self.b.uint(32));
                        let none = self.m(S::Eq, &[hi, zero]);
                        let far = self.b.add(y, word);
                        let n = self.m(S::Select, &[none, far, x]);
                        self.int_result(n)
                    }
                    "__ffsll" => {
                        let (x, y, zero, word) = (self.ffs(lo), self.ffs(hi), self.b.uint(0), self.b.uint(32));
                        let low = self.m(S::Ne, &[lo, zero]);
                        let some = self.m(S::Ne, &[hi, zero]);
                        let far = self.b.add(y, word);
                        let far = self.m(S::Select, &[some, far, zero]);
                        let n = self.m(S::Select, &[low, x, far]);
                        self.int_result(n)
                    }
                    _ => {
                        let (x, y) = (self.reverse(hi), self.reverse(lo));
                        let v = self.wide(x, y, Scalar::ULongLong);
                        Ok(Some(Tv { v, t: Type::Scalar(Scalar::ULongLong) }))
                    }
                }
            }
            ("__brev", [a]) => {
                let x = self.u32(a, at)?;
                uint(self.reverse(x))
            }
            ("__byte_perm", [a, b, sel]) => {
                let (x, y, s) = (self.u32(a, at)?, self.u32(b, at)?, self.u32(sel, at)?);
                uint(self.byte_perm(x, y, s))
            }
            ("__mulhi" | "__umulhi", [a, b]) => {
                let s = if name == "__mulhi" { Scalar::Int } else { Scalar::UInt };
                let t = Type::Scalar(s);
                let (x, y) = (self.convert(a.clone(), &t, at)?, self.convert(b.clone(), &t, at)?);
                let (x, y) = (self.id(&x.v, s), self.id(&y.v, s));
                Ok(Some(Tv::one(self.m(S::MulHi, &[x, y]), s)))
            }
            ("__mul24" | "__umul24", [a, b]) => {
                let s = if name == "__mul24" { Scalar::Int } else { Scalar::UInt };
                let t = Type::Scalar(s);
                let mut low = Vec::new();
                for v in [a, b] {
                    let v = self.convert(v.clone(), &t, at)?;
                    let eight = Tv::int(8, Scalar::Int);
                    let up = self.binary("<<", v, eight.clone(), at)?;
                    low.push(self.binary(">>", up, eight, at)?);
                }
                self.binary("*", low[0].clone(), low[1].clone(), at).map(Some)
            }
            ("__sad" | "__usad", [a, b, c]) => {
                let s = if name == "__sad" { Scalar::Int } else { Scalar::UInt };
                let t = Type::Scalar(s);
                let (x, y) = (self.convert(a.clone(), &t, at)?, self.convert(b.clone(), &t, at)?);
                let (big, small) = (self.extreme(true, x.clone(), y.clone(), at)?, self.extreme(false, x, y, at)?);
                let d = self.binary("-", big, small, at)?;
                let d = self.convert(d, &UINT, at)?;
                let c = self.convert(c.clone(), &UINT, at)?;
                self.binary("+", d, c, at).map(Some)
            }
            ("__funnelshift_l" | "__funnelshift_r" | "__funnelshift_lc" | "__funnelshift_rc", [lo, hi, n]) => {
                let (l, h, n) = (self.u32(lo, at)?, self.u32(hi, at)?, self.u32(n, at)?);
                let (mask, word, zero) = (self.b.uint(31), self.b.uint(32), self.b.uint(0));
                let whole = self.m(S::Ge, &[n, word]);
                let n = self.m(S::And, &[n, mask]);
                let back = self.m(S::Sub, &[word, n]);
                let back = self.m(S::And, &[back, mask]);
                let none = self.m(S::Eq, &[n, zero]);
                let left = name.contains("_l");
                let (main, other) = if left { (h, l) } else { (l, h) };
                let main = self.m(if left { S::Shl } else { S::Shr }, &[main, n]);
                let other = self.m(if left { S::Shr } else { S::Shl }, &[other, back]);
                let other = self.m(S::Select, &[none, zero, other]);
                let shifted = self.m(S::Or, &[main, other]);
                if !name.ends_with('c') {
                    return uint(shifted);
                }
                // The clamped forms stop at a whole word: what was moved in is all there is.
                uint(self.m(S::Select, &[whole, if left { l } else { h }, shifted]))
            }
            ("__dp4a", [a, b, c]) => {
                let signed = |t: &Type| t.scalar().is_some_and(|s| s.signed());
                let kinds = [
                    signed(&a.t) || matches!(a.t, Type::Vector(Scalar::SChar, _)),
                    signed(&b.t) || matches!(b.t, Type::Vector(Scalar::SChar, _)),
                ];
                let (x, y) = (self.word_of(a, at)?, self.word_of(b, at)?);
                let any = kinds[0] || kinds[1];
                let s = if any { Scalar::Int } else { Scalar::UInt };
                let mut sum = self.convert(c.clone(), &Type::Scalar(s), at)?;
                for i in 0..4 {
                    let p = self.lane(x, 8, i, kinds[0]);
                    let q = self.lane(y, 8, i, kinds[1]);
                    let (p, q) = (self.b_bits(p, DType::I32), self.b_bits(q, DType::I32));
                    let product = Tv::one(self.m(S::Mul, &[p, q]), Scalar::Int);
                    let product = self.convert(product, &Type::Scalar(s), at)?;
                    sum = self.binary("+", sum, product, at)?;
                }
                Ok(Some(sum))
            }
            _ => Ok(None),
        }
    }

    /// A 32-bit argument: a number, or four bytes.
    fn word_of(&mut self, v: &Tv, at: At) -> R<ValueId> {
        if let Type::Vector(..) = v.t {
            let w = self.reinterpret(v, &UINT, at)?;
            return Ok(self.id(&w.v, Scalar::UInt));
        }
        self.u32(v, at)
    }

    fn ffs(&mut self, x: ValueId) -> ValueId {
        let (zero, one) = (self.b.uint(0), self.b.uint(1));
        let n = self.m(S::Ctz, &[x]);
        let n = self.b.add(n, one);
        let none = self.m(S::Eq, &[x, zero]);
        self.m(S::Select, &[none, zero, n])
    }

    /// Bits in reverse order, by swapping ever larger groups.
    fn reverse(&mut self, mut x: ValueId) -> ValueId {
        for (n, mask) in [(1, 0x5555_5555u32), (2, 0x3333_3333), (4, 0x0f0f_0f0f), (8, 0x00ff_00ff), (16, 0xffff)] {
            let (n, mask) = (self.b.uint(n), self.b.uint(mask));
            let hi = self.m(S::Shr, &[x, n]);
            let hi = self.m(S::And, &[hi, mask]);
            let lo = self.m(S::And, &[x, mask]);
            let lo = self.m(S::Shl, &[lo, n]);
            x = self.m(S::Or, &[hi, lo]);
        }
        x
    }

    /// PRMT in its default mode: nibbles choose bytes of `y:x`; their top bit repeats the byte's sign.
    pub fn byte_perm(&mut self, x: ValueId, y: ValueId, sel: ValueId) -> ValueId {
        let mut out = self.b.uint(0);
        for i in 0..4u32 {
            let (shift, three, eight, seven, ff, zero) =
                (self.b.uint(4 * i), self.b.uint(3), self.b.uint(8), self.b.uint(7), self.b.uint(0xff), self.b.uint(0));
            let n = self.m(S::Shr, &[sel, shift]);
            let which = self.m(S::And, &[n, seven]);
            let four = self.b.uint(4);
            let high = self.m(S::Ge, &[which, four]);
            let word = self.m(S::Select, &[high, y, x]);
            let byte = self.m(S::And, &[which, three]);
            let bits = self.m(S::Mul, &[byte, eight]);
            let v = self.m(S::Shr, &[word, bits]);
            let v = self.m(S::And, &[v, ff]);
            let sign = self.m(S::And, &[n, eight]);
            let signed = self.m(S::Ne, &[sign, zero]);
            let top = self.m(S::Shr, &[v, seven]);
            let set = self.m(S::Ne, &[top, zero]);
            let fill = self.m(S::Select, &[set, ff, zero]);
            let v = self.m(S::Select, &[signed, fill, v]);
            let place = self.b.uint(8 * i);
            let v = self.m(S::Shl, &[v, place]);
            out = self.m(S::Or, &[out, v]);
        }
        out
    }

    /// A lane of a word, as i32 or u32.
    fn lane(&mut self, word: ValueId, width: u32, i: u32, signed: bool) -> ValueId {
        let s = match (width, signed) {
            (8, true) => Scalar::SChar,
            (8, false) => Scalar::UChar,
            (_, true) => Scalar::Short,
            (_, false) => Scalar::UShort,
        };
        self.narrow(word, super::super::value::Ix::K((i * width) as i64), s)
    }

    /// `__vadd4` and its family: an operation, its kind of overflow and the lanes are in the name.
    fn simd_call(&mut self, name: &str, args: &[Tv], at: At) -> R<Option<Tv>> {
        let Some(rest) = name.strip_prefix("__v") else { return Ok(None) };
        let (stem, width) = match rest.strip_suffix('4') {
            Some(stem) => (stem, 8u32),
            None => match rest.strip_suffix('2') {
                Some(stem) => (stem, 16),
                None => return Ok(None),
            },
        };
        if let "sadu" | "sads" = stem {
            // The sum of the differences' sizes.
            let each = format!("__vabsdiff{}{}", &stem[3..], 32 / width);
            let Some(Tv { v, .. }) = self.simd_call(&each, args, at)? else { return Ok(None) };
            let each = self.id(&v, Scalar::UInt);
            let mut sum = self.b.uint(0);
            for i in 0..32 / width {
                let part = self.lane(each, width, i, false);
                sum = self.m(S::Add, &[sum, part]);
            }
            return Ok(Some(Tv::one(sum, Scalar::UInt)));
        }
        let (op, mode) = match stem {
            "add" | "sub" | "abs" | "neg" => (stem, ""),
            "addss" | "addus" | "subss" | "subus" => (&stem[..3], &stem[3..]),
            "absss" | "negss" => (&stem[..3], "ss"),
            "absdiffs" | "absdiffu" => ("absdiff", &stem[7..]),
            "avgs" | "avgu" | "maxs" | "maxu" | "mins" | "minu" => (&stem[..3], &stem[3..]),
            "hadd" | "haddu" => ("hadd", "u"),
            _ if stem.starts_with("cmp") || stem.starts_with("set") => (&stem[..3], &stem[3..]),
            _ => return Ok(None),
        };
        let signed = match op {
            "cmp" | "set" => mode.ends_with('s') || matches!(mode, "eq" | "ne"),
            "absdiff" | "avg" | "max" | "min" => mode == "s",
            "add" | "sub" => mode != "us",
            "hadd" => false,
            _ => true,
        };
        let x = match args.first() {
            Some(a) => self.word_of(a, at)?,
            None => return Ok(None),
        };
        let y = match args.get(1) {
            Some(a) => self.word_of(a, at)?,
            None => self.b.uint(0),
        };
        let mut out = self.b.uint(0);
        let lanes = 32 / width;
        let (low, high) =
            if signed { (-(1i64 << (width - 1)), (1i64 << (width - 1)) - 1) } else { (0, (1i64 << width) - 1) };
        for i in 0..lanes {
            let a = self.lane(x, width, i, signed);
            let b = self.lane(y, width, i, signed);
            let (a, b) = (self.b_bits(a, DType::I32), self.b_bits(b, DType::I32));
            let (zero, one) = (self.b.int(0), self.b.int(1));
            let mut v = match op {
                "add" => self.m(S::Add, &[a, b]),
                "sub" => self.m(S::Sub, &[a, b]),
                "neg" => self.m(S::Sub, &[zero, a]),
                "abs" => self.m(S::Abs, &[a]),
                "absdiff" => {
                    let d = self.m(S::Sub, &[a, b]);
                    self.m(S::Abs, &[d])
                }
                "avg" => {
                    // Rounded up; negative sums of odd size round away from zero as the hardware does.
                    let sum = self.m(S::Add, &[a, b]);
                    let bias = if signed {
                        let sign = self.m(S::Lt, &[sum, zero]);
                        self.m(S::Select, &[sign, zero, one])
                    } else {
                        one
                    };
                    let sum = self.m(S::Add, &[sum, bias]);
                    self.m(S::Shr, &[sum, one])
                }
                "hadd" => {
                    let sum = self.m(S::Add, &[a, b]);
                    self.m(S::Shr, &[sum, one])
                }
                "max" => self.m(S::Max, &[a, b]),
                "min" => self.m(S::Min, &[a, b]),
                _ => {
                    let test = match mode.trim_end_matches(['s', 'u']) {
                        "eq" => S::Eq,
                        "ne" => S::Ne,
                        "lt" => S::Lt,
                        "le" => S::Le,
                        "gt" => S::Gt,
                        "ge" => S::Ge,
                        _ => return Ok(None),
                    };
                    let t = self.m(test, &[a, b]);
                    let yes = if op == "cmp" { self.b.int(-1) } else { one };
                    self.m(S::Select, &[t, yes, zero])
                }
            };
            if matches!(mode, "ss" | "us") {
                let (lo, hi) = (self.b.int(low as i32), self.b.int(high as i32));
                v = self.m(S::Max, &[v, lo]);
                v = self.m(S::Min, &[v, hi]);
            }
            let bits = self.b_bits(v, DType::U32);
            let mask = self.b.uint(((1u64 << width) - 1) as u32);
            let bits = self.m(S::And, &[bits, mask]);
            let place = self.b.uint(i * width);
            let bits = self.m(S::Shl, &[bits, place]);
            out = self.m(S::Or, &[out, bits]);
        }
        Ok(Some(Tv::one(out, Scalar::UInt)))
    }

    /// Reinterpretations and conversions with a rounding in their name.
    fn conversion(&mut self, name: &str, args: &[Tv], at: At) -> R<Option<Tv>> {
        let [a] = args else {
            if let ("__hiloint2double", [hi, lo]) = (name, args) {
                let (h, l) = (self.u32(hi, at)?, self.u32(lo, at)?);
                let v = self.wide(l, h, Scalar::ULongLong);
                return self
                    .reinterpret(&Tv { v, t: Type::Scalar(Scalar::ULongLong) }, &Type::Scalar(Scalar::Double), at)
                    .map(Some);
            }
            return Ok(None);
        };
        let bits = |from: Scalar, to: Scalar| Some((from, to));
        let same = match name {
            "__float_as_int" => bits(Scalar::Float, Scalar::Int),
            "__float_as_uint" => bits(Scalar::Float, Scalar::UInt),
            "__int_as_float" => bits(Scalar::Int, Scalar::Float),
            "__uint_as_float" => bits(Scalar::UInt, Scalar::Float),
            _ => None,
        };
        if let Some((from, to)) = same {
            let v = self.convert(a.clone(), &Type::Scalar(from), at)?;
            if let (Val::Int(n), Scalar::Float) = (&v.v, to) {
                return Ok(Some(Tv { v: Val::Float(f32::from_bits(*n as u32) as f64), t: Type::Scalar(to) }));
            }
            return Ok(Some(Tv { v: self.bits32(&v.v, from, to), t: Type::Scalar(to) }));
        }
        let wide = match name {
            "__double_as_longlong" => bits(Scalar::Double, Scalar::LongLong),
            "__longlong_as_double" => bits(Scalar::LongLong, Scalar::Double),
            _ => None,
        };
        if let Some((from, to)) = wide {
            let v = self.convert(a.clone(), &Type::Scalar(from), at)?;
            return self.reinterpret(&v, &Type::Scalar(to), at).map(Some);
        }
        let Some((from, to, how)) = rounding(name) else { return Ok(None) };
        if to.is_float() && how != "rn" && !exact(from, to) {
            return Err(self.refuse(
                at,
                format!("`{name}`, which does not round to the nearest"),
                "use the form that ends in _rn, and correct its result where the direction matters",
            ));
        }
        let v = self.convert(a.clone(), &Type::Scalar(from), at)?;
        let v = match how {
            "rn" if from.is_float() && to.is_int() => {
                let id = self.id(&v.v, from);
                Tv::one(self.m(S::Round, &[id]), from)
            }
            "rd" if from.is_float() && to.is_int() => {
                let id = self.id(&v.v, from);
                Tv::one(self.m(S::Floor, &[id]), from)
            }
            "ru" if from.is_float() && to.is_int() => {
                let id = self.id(&v.v, from);
                Tv::one(self.m(S::Ceil, &[id]), from)
            }
            _ => v,
        };
        self.convert(v, &Type::Scalar(to), at).map(Some)
    }
}

/// Whether every number of the first type is one of the second.
fn exact(from: Scalar, to: Scalar) -> bool {
    let digits = |s: Scalar| match s {
        Scalar::Double => 53,
        Scalar::Float => 24,
        Scalar::Half => 11,
        Scalar::Bf16 => 8,
        s => s.size() * 8,
    };
    digits(from) <= digits(to)
        && !(from == Scalar::Bf16 && to == Scalar::Half)
        && !(to == Scalar::Half && from.is_int())
}

/// `__float2int_rn` as source, target and rounding.
fn rounding(name: &str) -> Option<(Scalar, Scalar, &str)> {
    let (body, how) = name.strip_prefix("__")?.rsplit_once('_')?;
    let (from, to) = body.split_once('2')?;
    let ty = |s: &str| {
        Some(match s {
            "float" => Scalar::Float,
            "double" => Scalar::Double,
            "int" => Scalar::Int,
            "uint" => Scalar::UInt,
            "ll" => Scalar::LongLong,
            "ull" => Scalar::ULongLong,
            "half" => Scalar::Half,
            "bfloat16" => Scalar::Bf16,
            "short" => Scalar::Short,
            "ushort" => Scalar::UShort,
            _ => return None,
        })
    };
    matches!(how, "rn" | "rz" | "rd" | "ru").then_some((ty(from)?, ty(to)?, how))
}
