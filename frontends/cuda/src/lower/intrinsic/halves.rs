//! half and bfloat16: conversions, arithmetic and pairs. Values are kept as f32 that the narrow type can hold; every operation is
//! done in f32 and rounded once more, which for + - * / and sqrt is the correctly rounded result.

use super::super::value::{Tv, Val};
use super::super::*;
use girih_base::ScalarOp as S;

pub fn known(name: &str) -> bool {
    name.starts_with("__h")
        || name.contains("half")
        || name.contains("bfloat")
        || (name.starts_with('h') && UNARY.iter().any(|(n, _)| *n == name))
}

const UNARY: &[(&str, S)] = &[
    ("hsqrt", S::Sqrt),
    ("hrsqrt", S::Rsqrt),
    ("hexp", S::Exp),
    ("hexp2", S::Exp2),
    ("hlog", S::Log),
    ("hlog2", S::Log2),
    ("hlog10", S::Log10),
    ("hsin", S::Sin),
    ("hcos", S::Cos),
    ("hrcp", S::Recip),
    ("hfloor", S::Floor),
    ("hceil", S::Ceil),
    ("htrunc", S::Trunc),
    ("hrint", S::Round),
    ("h2sqrt", S::Sqrt),
    ("h2rsqrt", S::Rsqrt),
    ("h2exp", S::Exp),
    ("h2exp2", S::Exp2),
    ("h2log", S::Log),
    ("h2rcp", S::Recip),
    ("__habs", S::Abs),
    ("__habs2", S::Abs),
];

impl Lowerer<'_> {
    fn narrow_kind(&self, args: &[Tv]) -> Option<Scalar> {
        args.iter().find_map(|a| match a.t {
            Type::Scalar(s) | Type::Vector(s, 2) if s.narrow_float() => Some(s),
            _ => None,
        })
    }

    pub fn half_call(&mut self, name: &str, args: &[Tv], at: At) -> R<Option<Tv>> {
        if let Some(v) = self.half_conversion(name, args, at)? {
            return Ok(Some(v));
        }
        let Some(s) = self.narrow_kind(args) else { return Ok(None) };
        if let Some((_, op)) = UNARY.iter().find(|(n, _)| *n == name) {
            return self
                .each_lane(&args[0].clone(), s, |l, v| {
                    let id = l.id(&v, s);
                    let y = l.m(*op, &[id]);
                    Ok(Val::One(l.round_narrow(y, s)))
                })
                .map(Some);
        }
        let (stem, lanes) = name.strip_suffix('2').map_or((name, false), |stem| (stem, true));
        let stem = stem.trim_end_matches("_rn");
        let op = match stem {
            "__hadd" => "+",
            "__hsub" => "-",
            "__hmul" => "*",
            "__hdiv" | "__h2div" => "/",
            "__hadd_sat" | "__hmul_sat" | "__hsub_sat" | "__hfma_sat" => return Ok(None),
            "__hlt" => "<",
            "__hle" => "<=",
            "__hgt" => ">",
            "__hge" => ">=",
            "__heq" => "==",
            "__hne" => "!=",
            "__hneg" => return self.unary("-", args[0].clone(), at).map(Some),
            "__hmax" | "__hmin" if args.len() == 2 => {
                let larger = stem == "__hmax";
                return self
                    .lanes2(&args[0].clone(), &args[1].clone(), s, at, |l, a, b| l.extreme(larger, a, b, at))
                    .map(Some);
            }
            "__hfma" if args.len() == 3 => return self.half_fma(args, s, at).map(Some),
            "__hisnan" if !lanes => {
                let id = self.id(&args[0].v, s);
                return Ok(Some(Tv::one(self.m(S::IsNan, &[id]), Scalar::Bool)));
            }
            _ => return Ok(None),
        };
        if args.len() != 2 {
            return Ok(None);
        }
        if lanes && matches!(op, "<" | "<=" | ">" | ">=" | "==" | "!=") {
            // One or zero for each lane.
            let one = |l: &mut Self, a: Tv, b: Tv| -> R<Tv> {
                let yes = l.binary(op, a, b, at)?;
                l.convert(yes, &Type::Scalar(s), at)
            };
            return self.lanes2(&args[0].clone(), &args[1].clone(), s, at, one).map(Some);
        }
        self.binary(op, args[0].clone(), args[1].clone(), at).map(Some)
    }

    /// a * b + c: the product of two narrow floats is exact in f32; the sum is rounded to odd before it is rounded to the narrow
    /// type, so that it is rounded once (Boldo and Melquiond 2008).
    fn half_fma(&mut self, args: &[Tv], s: Scalar, at: At) -> R<Tv> {
        let parts = |tv: &Tv| match &tv.v {
            Val::Group(p) => p.clone(),
            v => vec![v.clone()],
        };
        let (a, b, c) = (parts(&args[0]), parts(&args[1]), parts(&args[2]));
        let mut out = Vec::new();
        for ((a, b), c) in a.iter().zip(&b).zip(&c) {
            let (x, y, z) = (self.id(a, s), self.id(b, s), self.id(c, s));
            let p = self.m(S::Mul, &[x, y]);
            let sum = self.m(S::Add, &[p, z]);
            // The error of the sum (Knuth's two-sum).
            let back = self.m(S::Sub, &[sum, p]);
            let rest = self.m(S::Sub, &[sum, back]);
            let e1 = self.m(S::Sub, &[p, rest]);
            let e2 = self.m(S::Sub, &[z, back]);
            let error = self.m(S::Add, &[e1, e2]);
            let zero = self.fconst(0.0);
            let inexact = self.m(S::Ne, &[error, zero]);
            // Toward the error by one where the last bit is even.
            let (sum_negative, error_negative) = (self.m(S::Lt, &[sum, zero]), self.m(S::Lt, &[error, zero]));
            let over = self.m(S::Xor, &[sum_negative, error_negative]);
            let odd = self.round_to_odd(sum, inexact, over);
            out.push(Val::One(self.round_narrow(odd, s)));
        }
        let _ = at;
        let t = args[0].t.clone();
        Ok(Tv { v: if out.len() == 1 { out.swap_remove(0) } else { Val::Group(out) }, t })
    }

    fn each_lane(&mut self, a: &Tv, _s: Scalar, mut f: impl FnMut(&mut Self, Val) -> R<Val>) -> R<Tv> {
        let v = match &a.v {
            Val::Group(parts) => {
                let mut out = Vec::new();
                for p in parts.clone() {
                    out.push(f(self, p)?);
                }
                Val::Group(out)
            }
            v => f(self, v.clone())?,
        };
        Ok(Tv { v, t: a.t.clone() })
    }

    fn lanes2(&mut self, a: &Tv, b: &Tv, s: Scalar, _at: At, mut f: impl FnMut(&mut Self, Tv, Tv) -> R<Tv>) -> R<Tv> {
        let t = Type::Scalar(s);
        match (&a.v, &b.v) {
            (Val::Group(x), Val::Group(y)) => {
                let mut out = Vec::new();
                for (x, y) in x.clone().into_iter().zip(y.clone()) {
                    out.push(f(self, Tv { v: x, t: t.clone() }, Tv { v: y, t: t.clone() })?.v);
                }
                Ok(Tv { v: Val::Group(out), t: a.t.clone() })
            }
            _ => f(self, a.clone(), b.clone()),
        }
    }

    fn half_conversion(&mut self, name: &str, args: &[Tv], at: At) -> R<Option<Tv>> {
        let (half, bf) = (Scalar::Half, Scalar::Bf16);
        let pair = |s: Scalar| Type::Vector(s, 2);
        let scalar = |l: &mut Self, v: &Tv, s: Scalar| -> R<Val> { Ok(l.convert(v.clone(), &Type::Scalar(s), at)?.v) };
        let lane = |l: &mut Self, v: &Tv, i: usize| -> R<Val> {
            match &v.v {
                Val::Group(p) if i < p.len() => Ok(p[i].clone()),
                _ => Err(l.err("U004", at, format!("`{name}` takes a pair"))),
            }
        };
        let kind = |a: &Tv| match a.t {
            Type::Vector(s, 2) => s,
            Type::Scalar(s) if s.narrow_float() => s,
            _ => half,
        };
        let one = |v: Val, s: Scalar| Ok(Some(Tv { v, t: Type::Scalar(s) }));
        match (name, args) {
            (
                "__float2half" | "__float2half_rn" | "__double2half" | "__int2half_rn" | "__uint2half_rn"
                | "__ushort2half_rn" | "__short2half_rn",
                [a],
            ) => {
                let v = scalar(self, a, half)?;
                one(v, half)
            }
            ("__float2bfloat16" | "__float2bfloat16_rn" | "__double2bfloat16" | "__int2bfloat16_rn", [a]) => {
                let v = scalar(self, a, bf)?;
                one(v, bf)
            }
            ("__half2float" | "__bfloat162float", [a]) => {
                let v = scalar(self, a, Scalar::Float)?;
                one(v, Scalar::Float)
            }
            ("__half_as_ushort" | "__half_as_short" | "__bfloat16_as_ushort" | "__bfloat16_as_short", [a]) => {
                let bits = self.bits_of(&a.v, kind(a));
                let to = if name.ends_with("ushort") { Scalar::UShort } else { Scalar::Short };
                let v = self.convert(Tv::one(bits, Scalar::UInt), &Type::Scalar(to), at)?;
                Ok(Some(v))
            }
            ("__ushort_as_half" | "__short_as_half" | "__ushort_as_bfloat16" | "__short_as_bfloat16", [a]) => {
                let s = if name.ends_with("half") { half } else { bf };
                let word = self.u32(a, at)?;
                one(Val::One(self.narrow(word, super::super::value::Ix::K(0), s)), s)
            }
            ("__float2half2_rn" | "__float2bfloat162_rn" | "__half2half2" | "__bfloat162bfloat162", [a]) => {
                let s = if name.contains("bfloat") { bf } else { half };
                let v = scalar(self, a, s)?;
                Ok(Some(Tv { v: Val::Group(vec![v.clone(), v]), t: pair(s) }))
            }
            (
                "__floats2half2_rn"
                | "__floats2bfloat162_rn"
                | "__halves2half2"
                | "__halves2bfloat162"
                | "make_half2"
                | "make_bfloat162"
                | "make___nv_bfloat162",
                [a, b],
            ) => {
                let s = if name.contains("bfloat") { bf } else { half };
                let v = vec![scalar(self, a, s)?, scalar(self, b, s)?];
                Ok(Some(Tv { v: Val::Group(v), t: pair(s) }))
            }
            ("__float22half2_rn" | "__float22bfloat162_rn", [a]) => {
                let s = if name.contains("bfloat") { bf } else { half };
                let mut out = Vec::new();
                for i in 0..2 {
                    let v = lane(self, a, i)?;
                    out.push(scalar(self, &Tv { v, t: Type::Scalar(Scalar::Float) }, s)?);
                }
                Ok(Some(Tv { v: Val::Group(out), t: pair(s) }))
            }
            ("__half22float2" | "__bfloat1622float2", [a]) => {
                let v = vec![lane(self, a, 0)?, lane(self, a, 1)?];
                Ok(Some(Tv { v: Val::Group(v), t: pair(Scalar::Float) }))
            }
            ("__low2half" | "__low2bfloat16", [a]) => {
                let v = lane(self, a, 0)?;
                one(v, kind(a))
            }
            ("__high2half" | "__high2bfloat16", [a]) => {
                let v = lane(self, a, 1)?;
                one(v, kind(a))
            }
            ("__low2float", [a]) => {
                let v = lane(self, a, 0)?;
                one(v, Scalar::Float)
            }
            ("__high2float", [a]) => {
                let v = lane(self, a, 1)?;
                one(v, Scalar::Float)
            }
            ("__low2half2" | "__high2half2" | "__lowhigh2highlow", [a]) => {
                let (x, y) = (lane(self, a, 0)?, lane(self, a, 1)?);
                let v = match name {
                    "__low2half2" => vec![x.clone(), x],
                    "__high2half2" => vec![y.clone(), y],
                    _ => vec![y, x],
                };
                Ok(Some(Tv { v: Val::Group(v), t: a.t.clone() }))
            }
            ("__lows2half2" | "__highs2half2" | "__lows2bfloat162" | "__highs2bfloat162", [a, b]) => {
                let i = name.starts_with("__high") as usize;
                let v = vec![lane(self, a, i)?, lane(self, b, i)?];
                Ok(Some(Tv { v: Val::Group(v), t: a.t.clone() }))
            }
            ("__half2int_rn" | "__half2int_rz" | "__half2uint_rn" | "__half2short_rn", [a]) => {
                let id = self.id(&a.v, half);
                let x = if name.ends_with("rn") { self.m(S::Round, &[id]) } else { id };
                let to = if name.contains("uint") { Scalar::UInt } else { Scalar::Int };
                self.convert(Tv::one(x, Scalar::Float), &Type::Scalar(to), at).map(Some)
            }
            _ => Ok(None),
        }
    }
}
