//! Mathematical functions, their fast forms, limits and constants.

use super::super::value::{Tv, Val};
use super::super::*;
use super::constants::constant;
use girih_base::{DType, ScalarOp as S};

/// Functions of one argument by their double name.
const UNARY: &[(&str, S)] = &[
    ("sqrt", S::Sqrt),
    ("rsqrt", S::Rsqrt),
    ("exp", S::Exp),
    ("exp2", S::Exp2),
    ("expm1", S::Expm1),
    ("log", S::Log),
    ("log2", S::Log2),
    ("log10", S::Log10),
    ("log1p", S::Log1p),
    ("sin", S::Sin),
    ("cos", S::Cos),
    ("tan", S::Tan),
    ("asin", S::Asin),
    ("acos", S::Acos),
    ("atan", S::Atan),
    ("sinh", S::Sinh),
    ("cosh", S::Cosh),
    ("tanh", S::Tanh),
    ("asinh", S::Asinh),
    ("acosh", S::Acosh),
    ("atanh", S::Atanh),
    ("floor", S::Floor),
    ("ceil", S::Ceil),
    ("trunc", S::Trunc),
    ("rint", S::Round),
    ("nearbyint", S::Round),
    ("fabs", S::Abs),
    ("cbrt", S::Cbrt),
    ("erf", S::Erf),
];

const BINARY: &[(&str, S)] = &[("pow", S::Pow), ("fmod", S::Rem), ("atan2", S::Atan2), ("copysign", S::CopySign)];

/// Fast forms on floats and what they are here.
const FAST: &[(&str, &str)] = &[
    ("__expf", "expf"),
    ("__exp10f", "exp10f"),
    ("__logf", "logf"),
    ("__log2f", "log2f"),
    ("__log10f", "log10f"),
    ("__sinf", "sinf"),
    ("__cosf", "cosf"),
    ("__tanf", "tanf"),
    ("__tanhf", "tanhf"),
    ("__powf", "powf"),
    ("__fsqrt_rn", "sqrtf"),
    ("__frsqrt_rn", "rsqrtf"),
    ("__fmaf_rn", "fmaf"),
    ("__sincosf", "sincosf"),
];

const OTHERS: &[&str] = &[
    "fma", "fmaf", "max", "min", "fmaxf", "fminf", "fmax", "fmin", "abs", "labs", "llabs", "round", "roundf",
    "lroundf", "lrintf", "hypotf", "hypot", "isnan", "isinf", "isfinite", "signbit", "fdimf", "exp10f", "exp10",
    "erfcf", "erfc", "sinpif", "cospif", "rhypotf", "norm3df", "norm4df", "rnorm3df", "sincosf", "modff", "umin",
    "umax", "llmin", "llmax", "normcdff", "lrint", "lround", "sincos", "rnorm4df", "logf", "umulhi", "fdividef",
    "clamp", "saturate", "nanf",
];

pub fn known(name: &str) -> bool {
    let stem = name.strip_suffix('f').unwrap_or(name);
    let in_table = |t: &[(&str, S)]| t.iter().any(|(n, _)| *n == name || *n == stem);
    in_table(UNARY) || in_table(BINARY) || OTHERS.contains(&name)
}

impl Lowerer<'_> {
    /// The type a function without suffix works in.
    fn math_type(&mut self, name: &str, args: &[Tv], at: At) -> R<Scalar> {
        if name.ends_with('f') && !matches!(name, "erf" | "modf") {
            return Ok(Scalar::Float);
        }
        let mut t = Scalar::Bool;
        for a in args {
            let Some(s) = a.t.scalar() else {
                return Err(self.err("U004", at, format!("`{name}` takes numbers, got {}", self.type_name(&a.t))));
            };
            t = if t == Scalar::Bool { s } else { t.common(s) };
        }
        // Whole numbers become doubles, 16-bit floats floats.
        Ok(match t {
            s if s.is_int() => Scalar::Double,
            s if s.narrow_float() => Scalar::Float,
            s => s,
        })
    }

    fn in_type(&mut self, args: &[Tv], s: Scalar, at: At) -> R<Vec<ValueId>> {
        args.iter()
            .map(|a| {
                let v = self.convert(a.clone(), &Type::Scalar(s), at)?;
                Ok(self.id(&v.v, s))
            })
            .collect()
    }

    /// A mathematical function; `None` when there is none of that name.
    pub fn math_call(&mut self, name: &str, args: &[Tv], at: At) -> R<Option<Tv>> {
        let name = FAST.iter().find(|(n, _)| *n == name).map_or(name, |(_, n)| n);
        let stem = name.strip_suffix('f').filter(|s| !s.is_empty()).unwrap_or(name);
        let row = |t: &[(&str, S)], n: usize| {
            (args.len() == n)
                .then(|| t.iter().find(|(k, _)| *k == name).or_else(|| t.iter().find(|(k, _)| *k == stem)).map(|r| r.1))
                .flatten()
        };
        if let Some(op) = row(UNARY, 1).or(row(BINARY, 2)) {
            let s = self.math_type(name, args, at)?;
            if let ([Val::Float(f)], Some(meaning)) =
                (&args.iter().map(|a| a.v.clone()).collect::<Vec<_>>()[..], op.row().meaning.float)
            {
                let f = super::super::convert::round(meaning(&[*f]), s);
                return Ok(Some(Tv { v: Val::Float(f), t: Type::Scalar(s) }));
            }
            if s == Scalar::Double && !self.caps.double {
                return Err(self.no_double(at));
            }
            let ids = self.in_type(args, s, at)?;
            return Ok(Some(Tv::one(self.m(op, &ids), s)));
        }
        let float = |v: ValueId| Ok(Some(Tv::one(v, Scalar::Float)));
        match (name, args) {
            ("fma" | "fmaf", [_, _, _]) => {
                let s = self.math_type(name, args, at)?;
                let ids = self.in_type(args, s, at)?;
                Ok(Some(Tv::one(self.m(S::Fma, &ids), s)))
            }
            ("fmaxf" | "fmax" | "fminf" | "fmin", [a, b]) => {
                let t = Type::Scalar(self.math_type(name, args, at)?);
                let (a, b) = (self.convert(a.clone(), &t, at)?, self.convert(b.clone(), &t, at)?);
                self.extreme(name.starts_with("fmax"), a, b, at).map(Some)
            }
            ("max" | "umax" | "llmax", [a, b]) => self.extreme(true, a.clone(), b.clone(), at).map(Some),
            ("min" | "umin" | "llmin", [a, b]) => self.extreme(false, a.clone(), b.clone(), at).map(Some),
            ("abs" | "labs" | "llabs", [a]) => {
                let Some(s) = a.t.scalar().map(Scalar::promote) else { return Ok(None) };
                if s.is_float() || s.reg_small() {
                    let ids = self.in_type(args, s, at)?;
                    return Ok(Some(Tv::one(self.m(S::Abs, &ids), s)));
                }
                let zero = Tv::int(0, s);
                let neg = self.binary("<", a.clone(), zero, at)?;
                let minus = self.unary("-", a.clone(), at)?;
                let test = self.id(&neg.v, Scalar::Bool);
                let t = Type::Scalar(s);
                let (x, y) = (self.convert(minus, &t, at)?, self.convert(a.clone(), &t, at)?);
                let v = self.select(test, &x.v, &y.v, &t, at)?;
                Ok(Some(Tv { v, t }))
            }
            ("round" | "roundf" | "lroundf" | "lround", [_]) => {
                // Halves away from zero.
                let s = if name == "lroundf" { Scalar::Float } else { self.math_type(name, args, at)? };
                let ids = self.in_type(args, s, at)?;
                let x = ids[0];
                let whole = self.m(S::Trunc, &[x]);
                let rest = self.m(S::Sub, &[x, whole]);
                let rest = self.m(S::Abs, &[rest]);
                let half = self.id(&Val::Float(0.5), s);
                let one = self.id(&Val::Float(1.0), s);
                let up = self.m(S::Ge, &[rest, half]);
                let step = self.m(S::CopySign, &[one, x]);
                let next = self.m(S::Add, &[whole, step]);
                let v = Tv::one(self.m(S::Select, &[up, next, whole]), s);
                if name.starts_with('l') {
                    self.convert(v, &Type::Scalar(Scalar::Long), at).map(Some)
                } else {
                    Ok(Some(v))
                }
            }
            ("lrintf" | "lrint", [_]) => {
                let s = if name == "lrintf" { Scalar::Float } else { self.math_type(name, args, at)? };
                let x = self.in_type(args, s, at)?;
                let v = Tv::one(self.m(S::Round, &x), s);
                self.convert(v, &Type::Scalar(Scalar::Long), at).map(Some)
            }
            ("hypotf" | "hypot" | "rhypotf", [_, _])
            | ("norm3df" | "rnorm3df", [_, _, _])
            | ("norm4df" | "rnorm4df", [_, _, _, _]) => {
                let s = self.math_type(name, args, at)?;
                let ids = self.in_type(args, s, at)?;
                Ok(Some(Tv::one(self.norm(&ids, name.starts_with('r'), s), s)))
            }
            ("isnan" | "isinf" | "isfinite", [a]) => {
                let s = a.t.scalar().filter(|s| *s == Scalar::Double).unwrap_or(Scalar::Float);
                let ids = self.in_type(args, s, at)?;
                let op = match name {
                    "isnan" => S::IsNan,
                    "isinf" => S::IsInf,
                    _ => S::IsFinite,
                };
                Ok(Some(Tv::one(self.m(op, &ids), Scalar::Bool)))
            }
            ("signbit", [_]) => {
                let x = self.in_type(args, Scalar::Float, at)?;
                let bits = self.b.bitcast(x[0], DType::I32);
                let zero = self.b.int(0);
                Ok(Some(Tv::one(self.m(S::Lt, &[bits, zero]), Scalar::Bool)))
            }
            ("fdimf", [a, b]) => {
                let (x, y) = (self.f32(a, at)?, self.f32(b, at)?);
                let d = self.m(S::Sub, &[x, y]);
                let zero = self.fconst(0.0);
                let le = self.m(S::Le, &[x, y]);
                float(self.m(S::Select, &[le, zero, d]))
            }
            ("exp10f" | "exp10", [_]) => {
                let s = self.math_type(name, args, at)?;
                let ids = self.in_type(args, s, at)?;
                let ten = self.id(&Val::Float(10.0), s);
                Ok(Some(Tv::one(self.m(S::Pow, &[ten, ids[0]]), s)))
            }
            ("sinpif" | "cospif", [a]) => {
                // Reduced before the product with pi, which would lose the digits of large angles.
                let x = self.f32(a, at)?;
                let (two, pi) = (self.fconst(2.0), self.fconst(std::f64::consts::PI));
                let r = self.m(S::Rem, &[x, two]);
                let y = self.m(S::Mul, &[r, pi]);
                float(self.m(if name == "sinpif" { S::Sin } else { S::Cos }, &[y]))
            }
            ("erfc", [a]) if self.math_type(name, std::slice::from_ref(a), at)? == Scalar::Double => Err(self.refuse(
                at,
                "`erfc` of a double",
                "write it in the kernel, or use erfcf where single precision is enough",
            )),
            ("erfcf" | "erfc" | "normcdff", [a]) => {
                let x = self.f32(a, at)?;
                let x = if name == "normcdff" {
                    let k = self.fconst(-std::f64::consts::FRAC_1_SQRT_2);
                    self.m(S::Mul, &[x, k])
                } else {
                    x
                };
                let y = self.erfc(x);
                let y = if name == "normcdff" {
                    let half = self.fconst(0.5);
                    self.m(S::Mul, &[y, half])
                } else {
                    y
                };
                float(y)
            }
            ("sincosf" | "sincos", [a, s, c]) => {
                let of = self.math_type(name, std::slice::from_ref(a), at)?;
                let x = self.in_type(std::slice::from_ref(a), of, at)?;
                for (p, op) in [(s, S::Sin), (c, S::Cos)] {
                    let v = Tv::one(self.m(op, &x), of);
                    let place = self.dereference(p.clone(), at)?;
                    let t = place.ty().clone();
                    let v = self.convert(v, &t, at)?;
                    self.store(&place, &v.v, at)?;
                }
                Ok(Some(Tv::void()))
            }
            ("modff", [a, p]) => {
                let x = self.f32(a, at)?;
                let whole = self.m(S::Trunc, &[x]);
                let place = self.dereference(p.clone(), at)?;
                self.store(&place, &Val::One(whole), at)?;
                float(self.m(S::Sub, &[x, whole]))
            }
            ("__fdividef" | "__fdiv_rn" | "fdividef", [a, b]) => {
                let (x, y) = (self.f32(a, at)?, self.f32(b, at)?);
                float(self.m(S::Div, &[x, y]))
            }
            ("__frcp_rn", [a]) => {
                let x = self.f32(a, at)?;
                float(self.m(S::Recip, &[x]))
            }
            ("__fadd_rn" | "__fsub_rn" | "__fmul_rn", [a, b]) => {
                let (x, y) = (self.f32(a, at)?, self.f32(b, at)?);
                let op = match &name[3..6] {
                    "add" => S::Add,
                    "sub" => S::Sub,
                    _ => S::Mul,
                };
                float(self.m(op, &[x, y]))
            }
            ("__saturatef", [a]) => {
                let x = self.f32(a, at)?;
                let (zero, one) = (self.fconst(0.0), self.fconst(1.0));
                // NaN becomes 0.
                let up = self.m(S::Lt, &[zero, x]);
                let y = self.m(S::Select, &[up, x, zero]);
                let over = self.m(S::Lt, &[one, y]);
                float(self.m(S::Select, &[over, one, y]))
            }
            ("nanf", _) => Ok(constant("NAN")),
            _ => Ok(None),
        }
    }

    /// The root of the sum of squares, or one over it. Powers of two bring large and small numbers to where squares are finite,
    /// without rounding.
    fn norm(&mut self, ids: &[ValueId], inverse: bool, s: Scalar) -> ValueId {
        let (far, by) = if s == Scalar::Double { (450, 600) } else { (60, 90) };
        let power = |l: &mut Self, n: i32| l.id(&Val::Float(2f64.powi(n)), s);
        let (big, small, one) = (power(self, far), power(self, -far), power(self, 0));
        let (down, up) = (power(self, -by * 2 / 3), power(self, by));
        let (mut large, mut sum) = (None, power(self, -1));
        for x in ids {
            let size = self.m(S::Abs, &[*x]);
            large = Some(match large {
                Some(old) => self.m(S::Max, &[old, size]),
                None => size,
            });
        }
        let Some(large) = large else { return sum };
        let (above, below) = (self.m(S::Gt, &[large, big]), self.m(S::Lt, &[large, small]));
        let scale = self.m(S::Select, &[below, up, one]);
        let scale = self.m(S::Select, &[above, down, scale]);
        for (i, x) in ids.iter().enumerate() {
            let x = self.m(S::Mul, &[*x, scale]);
            let square = self.m(S::Mul, &[x, x]);
            sum = if i == 0 { square } else { self.m(S::Add, &[sum, square]) };
        }
        if inverse {
            let y = self.m(S::Rsqrt, &[sum]);
            return self.m(S::Mul, &[y, scale]);
        }
        let y = self.m(S::Sqrt, &[sum]);
        self.m(S::Div, &[y, scale])
    }

    /// The larger or smaller of two numbers in their common type; of floats the one that is a number.
    pub fn extreme(&mut self, larger: bool, a: Tv, b: Tv, at: At) -> R<Tv> {
        let (Some(x), Some(y)) = (a.t.scalar(), b.t.scalar()) else {
            return Err(self.no_operator(if larger { "max" } else { "min" }, &a.t, &b.t, at));
        };
        let s = if x == y { x } else { x.common(y) };
        let t = Type::Scalar(s);
        let (a, b) = (self.convert(a, &t, at)?, self.convert(b, &t, at)?);
        match (&a.v, &b.v) {
            (Val::Int(p), Val::Int(q)) => return Ok(Tv::int(if larger { *p.max(q) } else { *p.min(q) }, s)),
            (Val::Float(p), Val::Float(q)) => {
                return Ok(Tv { v: Val::Float(if larger { p.max(*q) } else { p.min(*q) }), t });
            }
            _ => {}
        }
        if s == Scalar::Double && !self.caps.double {
            return Err(self.no_double(at));
        }
        if self.reg(s).is_none() {
            let less = self.binary("<", a.clone(), b.clone(), at)?;
            let test = self.id(&less.v, Scalar::Bool);
            let v =
                if larger { self.select(test, &b.v, &a.v, &t, at)? } else { self.select(test, &a.v, &b.v, &t, at)? };
            return Ok(Tv { v, t });
        }
        let (p, q) = (self.id(&a.v, s), self.id(&b.v, s));
        if s.is_int() && s != Scalar::Bool {
            let v = self.m(if larger { S::Max } else { S::Min }, &[p, q]);
            if self.not_negative(p) && self.not_negative(q) {
                self.not_negative.insert(v);
            }
            return Ok(Tv::one(v, s));
        }
        // A number beats NaN.
        let less = if larger { self.m(S::Lt, &[p, q]) } else { self.m(S::Lt, &[q, p]) };
        let take = match &a.v {
            Val::Float(_) => less,
            _ if s.is_float() => {
                let nan = self.m(S::IsNan, &[p]);
                self.m(S::Or, &[less, nan])
            }
            _ => less,
        };
        Ok(Tv::one(self.m(S::Select, &[take, q, p]), s))
    }

    /// The complementary error function with a relative error of 1.2e-7 everywhere (Press et al., Numerical Recipes, 6.2).
    fn erfc(&mut self, x: ValueId) -> ValueId {
        let a = self.m(S::Abs, &[x]);
        let (one, half) = (self.fconst(1.0), self.fconst(0.5));
        let d = self.m(S::Fma, &[a, half, one]);
        let t = self.m(S::Div, &[one, d]);
        let mut p = self.fconst(0.17087277);
        for c in [-0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368] {
            let c = self.fconst(c);
            p = self.m(S::Fma, &[p, t, c]);
        }
        let c = self.fconst(-1.26551223);
        let p = self.m(S::Fma, &[p, t, c]);
        let sq = self.m(S::Mul, &[a, a]);
        let e = self.m(S::Sub, &[p, sq]);
        let e = self.m(S::Exp, &[e]);
        let y = self.m(S::Mul, &[t, e]);
        let (zero, two) = (self.fconst(0.0), self.fconst(2.0));
        let negative = self.m(S::Lt, &[x, zero]);
        let z = self.m(S::Sub, &[two, y]);
        self.m(S::Select, &[negative, z, y])
    }
}

impl Scalar {
    /// Held in one 32-bit register as an integer.
    fn reg_small(self) -> bool {
        self.is_int() && self.size() <= 4
    }
}
