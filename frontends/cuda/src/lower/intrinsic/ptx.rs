//! Inline PTX: a table of instructions; the rest is refused by name.

use super::super::value::{Place, Tv, Val};
use super::super::*;
use crate::ast::Asm;
use girih_base::{DType, ScalarOp as S};

/// The operands of an `asm` statement, evaluated once.
struct Operands {
    outputs: Vec<Place>,
    inputs: Vec<Tv>,
}

/// Qualifiers of an instruction that are known here, beside its types; others change the result.
fn qualifiers(op: &str) -> &'static [&'static str] {
    match op {
        "add" | "sub" => &["rn", "ftz"],
        "mul" | "mad" => &["rn", "ftz", "lo", "hi", "wide"],
        "fma" => &["rn", "ftz"],
        "div" => &["rn", "ftz", "approx", "full"],
        "min" | "max" | "abs" | "neg" => &["ftz"],
        "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh" => &["rn", "ftz", "approx"],
        "ld" => {
            &["global", "shared", "const", "local", "param", "nc", "ca", "cg", "cs", "lu", "cv", "volatile", "weak"]
        }
        "bar" | "barrier" => &["sync", "cta", "aligned"],
        "membar" => &["cta", "gl", "sys"],
        "fence" => &["sc", "acq_rel", "cta", "gpu", "sys"],
        "cvt" => &["rn", "rni", "rmi", "rpi", "rzi", "ftz"],
        "vabsdiff4" => &["add"],
        _ => &[],
    }
}

const TYPES: &[&str] =
    &["s8", "u8", "b8", "s16", "u16", "b16", "s32", "u32", "b32", "s64", "u64", "b64", "f16", "bf16", "f32", "f64"];

impl Lowerer<'_> {
    pub fn asm(&mut self, asm: &Asm, at: At) -> R<()> {
        let text = asm.text.trim();
        let mut operands = Operands { outputs: Vec::new(), inputs: Vec::new() };
        for (_, e) in &asm.outputs {
            operands.outputs.push(self.place(e)?);
        }
        for (how, e) in &asm.inputs {
            if how.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(self.refuse(
                    at,
                    "a PTX input that shares the place of an output",
                    "make the output \"+r\"",
                ));
            }
            operands.inputs.push(self.value(e)?);
        }
        // Several instructions, in order.
        let body = text.trim_matches(|c| c == '{' || c == '}' || char::is_whitespace(c));
        for line in body.split(';').map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("//")) {
            if line.starts_with(".reg") {
                return Err(self.refuse_ptx(line, at));
            }
            self.instruction(line, &operands, at)?;
        }
        Ok(())
    }

    fn refuse_ptx(&self, line: &str, at: At) -> Fail {
        let op = line.split_whitespace().next().unwrap_or(line);
        self.refuse(at, format!("the PTX instruction `{op}`"), "write it in C++, or with an intrinsic")
    }

    fn operand_of(&mut self, name: &str, given: &Operands, at: At) -> R<Tv> {
        let name = name.trim().trim_start_matches('[').trim_end_matches(']').trim();
        if name.trim_start_matches('%') == "laneid" && name.starts_with('%') {
            return Ok(Tv::one(self.warp_lane(), Scalar::UInt));
        }
        if let Some(n) = name.strip_prefix('%').and_then(|n| n.parse::<usize>().ok()) {
            return match n.checked_sub(given.outputs.len()) {
                // What an instruction before this one wrote.
                None => self.rvalue(&given.outputs[n], at),
                Some(i) => match given.inputs.get(i) {
                    Some(v) => Ok(v.clone()),
                    None => Err(self.err("U005", at, format!("PTX operand %{n} is not given"))),
                },
            };
        }
        let (digits, sign) = match name.strip_prefix('-') {
            Some(d) => (d, -1),
            None => (name, 1),
        };
        if let Some(hex) = digits.strip_prefix("0f").or_else(|| digits.strip_prefix("0F"))
            && let Ok(bits) = u32::from_str_radix(hex, 16)
        {
            return Ok(Tv { v: Val::Float(f32::from_bits(bits) as f64), t: Type::Scalar(Scalar::Float) });
        }
        match crate::parse::number::integer(digits) {
            Some((v, _)) => Ok(Tv::int(sign * v as i128, Scalar::LongLong)),
            None => {
                Err(self.refuse(at, format!("the PTX operand `{name}`"), "give operands as %0, %1, ... or numbers"))
            }
        }
    }

    fn instruction(&mut self, line: &str, given: &Operands, at: At) -> R<()> {
        let (op, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let args: Vec<&str> =
            if rest.trim().is_empty() { Vec::new() } else { rest.split(',').map(str::trim).collect() };
        let parts: Vec<&str> = op.split('.').collect();
        let last = parts.last().copied().unwrap_or_default();
        if parts[1..].iter().any(|p| !TYPES.contains(p) && !qualifiers(parts[0]).contains(p)) {
            return Err(self.refuse_ptx(line, at));
        }
        let scalar = match last {
            "s32" => Scalar::Int,
            "u32" | "b32" => Scalar::UInt,
            "s64" => Scalar::LongLong,
            "u64" | "b64" => Scalar::ULongLong,
            "f32" => Scalar::Float,
            "f64" => Scalar::Double,
            "s16" => Scalar::Short,
            "u16" | "b16" => Scalar::UShort,
            "s8" => Scalar::SChar,
            "u8" | "b8" => Scalar::UChar,
            "f16" => Scalar::Half,
            "bf16" => Scalar::Bf16,
            _ => Scalar::UInt,
        };
        let (word, long) = (scalar.size() == 4, scalar.size() == 8);
        // Arithmetic in registers; narrow floats travel in integer registers and only cvt and ld know them.
        if scalar.narrow_float() && !matches!(parts[0], "cvt")
            || scalar.size() == 1 && !matches!(parts[0], "cvt" | "ld")
        {
            return Err(self.refuse_ptx(line, at));
        }
        let t = Type::Scalar(scalar);
        let mut values = Vec::new();
        for a in args.iter().skip(1) {
            let v = self.operand_of(a, given, at)?;
            values.push(v);
        }
        let typed = |l: &mut Self, v: &Tv, t: &Type| -> R<Tv> {
            match v.t {
                Type::Pointer(_) => Ok(v.clone()),
                _ => l.convert(v.clone(), t, at),
            }
        };
        let result = match (parts[0], &values[..]) {
            ("mov", [v]) => typed(self, v, &t)?,
            ("add" | "sub" | "mul" | "and" | "or" | "xor" | "shl" | "shr" | "div" | "rem" | "min" | "max", [a, b])
                if !parts.contains(&"wide") && !parts.contains(&"hi") && !parts.contains(&"cc") =>
            {
                let (a, b) = (typed(self, a, &t)?, typed(self, b, &t)?);
                match parts[0] {
                    "add" => self.binary("+", a, b, at)?,
                    "sub" => self.binary("-", a, b, at)?,
                    "mul" => self.binary("*", a, b, at)?,
                    "and" => self.binary("&", a, b, at)?,
                    "or" => self.binary("|", a, b, at)?,
                    "xor" => self.binary("^", a, b, at)?,
                    "div" => self.binary("/", a, b, at)?,
                    "rem" => self.binary("%", a, b, at)?,
                    "min" => self.extreme(false, a, b, at)?,
                    "max" => self.extreme(true, a, b, at)?,
                    // Shifts of PTX clamp their count.
                    other => self.clamped_shift(if other == "shl" { "<<" } else { ">>" }, a, b, scalar, at)?,
                }
            }
            ("mul", [a, b]) if parts.contains(&"hi") && word => {
                let name = if scalar.signed() { "__mulhi" } else { "__umulhi" };
                self.bits_call(name, &[a.clone(), b.clone()], at)?.unwrap_or(Tv::void())
            }
            ("mul", [a, b]) if parts.contains(&"wide") => {
                let wide = Type::Scalar(if scalar.signed() { Scalar::LongLong } else { Scalar::ULongLong });
                let (a, b) = (typed(self, a, &t)?, typed(self, b, &t)?);
                let (a, b) = (typed(self, &a, &wide)?, typed(self, &b, &wide)?);
                self.binary("*", a, b, at)?
            }
            ("mad" | "fma", [a, b, c]) if !parts.contains(&"wide") && !parts.contains(&"hi") => {
                let (a, b, c) = (typed(self, a, &t)?, typed(self, b, &t)?, typed(self, c, &t)?);
                if scalar.is_float() {
                    let name = if scalar == Scalar::Float { "fmaf" } else { "fma" };
                    self.math_call(name, &[a, b, c], at)?.unwrap_or(Tv::void())
                } else {
                    let p = self.binary("*", a, b, at)?;
                    self.binary("+", p, c, at)?
                }
            }
            ("not", [a]) => {
                let a = typed(self, a, &t)?;
                self.unary("~", a, at)?
            }
            ("neg", [a]) => {
                let a = typed(self, a, &t)?;
                self.unary("-", a, at)?
            }
            ("abs", [a]) => {
                let a = typed(self, a, &t)?;
                self.math_call(if scalar == Scalar::Float { "fabsf" } else { "abs" }, &[a], at)?.unwrap_or(Tv::void())
            }
            ("popc" | "clz" | "brev", [a]) if word || long => {
                let name = format!("__{}{}", parts[0], if long { "ll" } else { "" });
                self.bits_call(&name, std::slice::from_ref(a), at)?.unwrap_or(Tv::void())
            }
            // The place of the highest bit; -1 where there is none.
            ("bfind", [a]) if parts == ["bfind", "u32"] => {
                let zeros = self.bits_call("__clz", std::slice::from_ref(a), at)?.unwrap_or(Tv::void());
                self.binary("-", Tv::int(31, Scalar::Int), zeros, at)?
            }
            ("vabsdiff4", [a, b, c]) if parts == ["vabsdiff4", "u32", "u32", "u32", "add"] => {
                let sum = self.bits_call("__vsadu4", &[a.clone(), b.clone()], at)?.unwrap_or(Tv::void());
                let (sum, c) = (typed(self, &sum, &UINT)?, typed(self, c, &UINT)?);
                self.binary("+", sum, c, at)?
            }
            ("rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh", [a]) if scalar == Scalar::Float => {
                let x = self.f32(a, at)?;
                let op = match parts[0] {
                    "rcp" => S::Recip,
                    "sqrt" => S::Sqrt,
                    "rsqrt" => S::Rsqrt,
                    "ex2" => S::Exp2,
                    "lg2" => S::Log2,
                    "sin" => S::Sin,
                    "cos" => S::Cos,
                    _ => S::Tanh,
                };
                Tv::one(self.m(op, &[x]), Scalar::Float)
            }
            ("lop3", [a, b, c, table]) if word => {
                let Some(table) = table.known() else { return Err(self.refuse_ptx(line, at)) };
                let (a, b, c) = (self.u32(a, at)?, self.u32(b, at)?, self.u32(c, at)?);
                Tv::one(self.lop3(a, b, c, table as u32 & 0xff), Scalar::UInt)
            }
            ("prmt", [a, b, sel]) if parts.len() == 2 && word => {
                let (a, b, s) = (self.u32(a, at)?, self.u32(b, at)?, self.u32(sel, at)?);
                Tv::one(self.byte_perm(a, b, s), Scalar::UInt)
            }
            ("bfe", [a, pos, len]) if word => {
                let (x, p, n) = (self.u32(a, at)?, self.u32(pos, at)?, self.u32(len, at)?);
                Tv::one(
                    self.bit_field(x, p, n, scalar.signed()),
                    if scalar.signed() { Scalar::Int } else { Scalar::UInt },
                )
            }
            ("bfi", [a, b, pos, len]) if word => {
                let (x, y, p, n) = (self.u32(a, at)?, self.u32(b, at)?, self.u32(pos, at)?, self.u32(len, at)?);
                let (one, full, thirty_two) = (self.b.uint(1), self.b.uint(u32::MAX), self.b.uint(32));
                let small = self.m(S::Shl, &[one, n]);
                let small = self.m(S::Sub, &[small, one]);
                let whole = self.m(S::Ge, &[n, thirty_two]);
                let mask = self.m(S::Select, &[whole, full, small]);
                let mask = self.m(S::Shl, &[mask, p]);
                let bits = self.m(S::Shl, &[x, p]);
                let bits = self.m(S::And, &[bits, mask]);
                let keep = self.m(S::Not, &[mask]);
                let rest = self.m(S::And, &[y, keep]);
                Tv::one(self.m(S::Or, &[rest, bits]), Scalar::UInt)
            }
            // As wide as the instruction says, whatever the pointer points to.
            ("ld", [p]) if matches!(p.v, Val::Pointer(_)) => {
                let v = self.repoint(p.v.clone(), t.clone(), at)?;
                let place = self.dereference(Tv { v, t: t.clone().pointer() }, at)?;
                self.load(&place, at)?
            }
            ("cvt", [a]) => self.cvt(&parts, a, line, at)?,
            ("bar" | "barrier", []) | ("bar", _) if parts.contains(&"sync") && args.len() <= 1 => {
                self.sync_threads(at)?;
                return Ok(());
            }
            ("membar" | "fence", _) => {
                self.fence(!parts.contains(&"cta"), at);
                return Ok(());
            }
            ("selp", [a, b, p]) => {
                let test = self.truth(p.clone(), at)?;
                let test = self.id(&test.v, Scalar::Bool);
                let (a, b) = (typed(self, a, &t)?, typed(self, b, &t)?);
                Tv { v: self.select(test, &a.v, &b.v, &t, at)?, t: t.clone() }
            }
            _ if matches!(args.first(), Some(&"%0")) && values.is_empty() && args.len() == 2 => {
                return Err(self.refuse_ptx(line, at));
            }
            _ => return Err(self.refuse_ptx(line, at)),
        };
        let Some(target) = args
            .first()
            .and_then(|a| a.strip_prefix('%'))
            .and_then(|n| n.parse::<usize>().ok())
            .and_then(|n| given.outputs.get(n))
        else {
            return Err(self.refuse(
                at,
                format!("PTX `{line}` writes no output operand"),
                "write results to %0, %1, ...",
            ));
        };
        let place = target.clone();
        let want = place.ty().clone();
        // Registers have bits, not types.
        let result = match (result.t.scalar(), want.scalar()) {
            (Some(a), Some(b)) if a != b && a.size() == 4 && b.size() == 4 && (a.is_float() != b.is_float()) => {
                Tv { v: self.bits32(&result.v, a, b), t: want.clone() }
            }
            _ => self.convert(result, &want, at)?,
        };
        self.store(&place, &result.v, at)
    }

    fn clamped_shift(&mut self, op: &str, a: Tv, b: Tv, s: Scalar, at: At) -> R<Tv> {
        let n = self.convert(b, &UINT, at)?;
        let bits = s.size() as i128 * 8;
        if n.known().is_some_and(|n| n < bits) {
            return self.binary(op, a, n, at);
        }
        let top = Tv::int(bits - 1, Scalar::UInt);
        let small = self.extreme(false, n.clone(), top.clone(), at)?;
        let shifted = self.binary(op, a, small, at)?;
        if op == ">>" && s.signed() {
            return Ok(shifted);
        }
        let over = self.binary(">", n, top, at)?;
        let test = self.id(&over.v, Scalar::Bool);
        let t = shifted.t.clone();
        Ok(Tv { v: self.select(test, &Val::Int(0), &shifted.v, &t, at)?, t })
    }

    /// Any function of three bits, by its table: bit `4a + 2b + c`.
    fn lop3(&mut self, a: ValueId, b: ValueId, c: ValueId, table: u32) -> ValueId {
        match table {
            0xea => {
                let ab = self.m(S::And, &[a, b]);
                return self.m(S::Or, &[ab, c]);
            }
            0x96 => {
                let ab = self.m(S::Xor, &[a, b]);
                return self.m(S::Xor, &[ab, c]);
            }
            0x80 => {
                let ab = self.m(S::And, &[a, b]);
                return self.m(S::And, &[ab, c]);
            }
            0xfe => {
                let ab = self.m(S::Or, &[a, b]);
                return self.m(S::Or, &[ab, c]);
            }
            _ => {}
        }
        let inputs = [a, b, c].map(|x| (x, self.m(S::Not, &[x])));
        let mut out = self.b.uint(0);
        for row in (0..8u32).filter(|r| table >> r & 1 == 1) {
            let pick = |i: usize, bit: u32| if row >> bit & 1 == 1 { inputs[i].0 } else { inputs[i].1 };
            let term = self.m(S::And, &[pick(0, 2), pick(1, 1)]);
            let term = self.m(S::And, &[term, pick(2, 0)]);
            out = self.m(S::Or, &[out, term]);
        }
        out
    }

    fn bit_field(&mut self, x: ValueId, pos: ValueId, len: ValueId, signed: bool) -> ValueId {
        // Up to the top, then down, filling with the sign or with zeros; a field of no bits is 0.
        let (word, zero, all) = (self.b.uint(32), self.b.uint(0), self.b.uint(31));
        let end = self.b.add(pos, len);
        let end = self.m(S::Min, &[end, word]);
        let up = self.m(S::Sub, &[word, end]);
        let up = self.m(S::And, &[up, all]);
        // A field that reaches beyond the top has only the bits that are there.
        let first = self.m(S::Min, &[pos, word]);
        let width = self.m(S::Sub, &[end, first]);
        let down = self.m(S::Sub, &[word, width]);
        let down = self.m(S::Min, &[down, all]);
        let high = self.m(S::Shl, &[x, up]);
        let v = if signed {
            let (h, d) = (self.b.bitcast(high, DType::I32), self.b.cast(down, DType::I32));
            let v = self.m(S::Shr, &[h, d]);
            self.b.bitcast(v, DType::U32)
        } else {
            self.m(S::Shr, &[high, down])
        };
        let mut empty = self.m(S::Eq, &[len, zero]);
        if !signed {
            let none = self.m(S::Eq, &[width, zero]);
            empty = self.m(S::Or, &[empty, none]);
        }
        let v = self.m(S::Select, &[empty, zero, v]);
        if signed { self.b.bitcast(v, DType::I32) } else { v }
    }

    fn cvt(&mut self, parts: &[&str], a: &Tv, line: &str, at: At) -> R<Tv> {
        let ty = |s: &str| {
            Some(match s {
                "f32" => Scalar::Float,
                "f64" => Scalar::Double,
                "f16" => Scalar::Half,
                "bf16" => Scalar::Bf16,
                "s32" => Scalar::Int,
                "u32" => Scalar::UInt,
                "s64" => Scalar::LongLong,
                "u64" => Scalar::ULongLong,
                "s16" => Scalar::Short,
                "u16" => Scalar::UShort,
                "s8" => Scalar::SChar,
                "u8" => Scalar::UChar,
                _ => return None,
            })
        };
        let n = parts.len();
        let (Some(to), Some(from)) = (parts.get(n.wrapping_sub(2)).and_then(|p| ty(p)), ty(parts[n - 1])) else {
            return Err(self.refuse_ptx(line, at));
        };
        // Whole numbers to floats and floats to narrower ones round to the nearest here.
        // 16-bit floats travel in integer registers.
        let x = if from.narrow_float() && a.t.scalar().is_some_and(|s| s.is_int()) {
            let word = self.u32(a, at)?;
            Tv::one(self.narrow(word, super::super::value::Ix::K(0), from), from)
        } else {
            self.convert(a.clone(), &Type::Scalar(from), at)?
        };
        let x = match parts.iter().find(|p| matches!(**p, "rni" | "rmi" | "rpi" | "rzi")) {
            Some(p) => {
                let id = self.id(&x.v, from);
                let op = match *p {
                    "rni" => S::Round,
                    "rmi" => S::Floor,
                    "rpi" => S::Ceil,
                    _ => S::Trunc,
                };
                Tv::one(self.m(op, &[id]), from)
            }
            None => x,
        };
        let y = self.convert(x, &Type::Scalar(to), at)?;
        if to.narrow_float() {
            let bits = self.bits_of(&y.v, to);
            return Ok(Tv::one(bits, Scalar::UInt));
        }
        Ok(y)
    }
}
