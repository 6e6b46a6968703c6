//! Operators on scalars, pointers and 16-bit float pairs, with constants folded as C++ computes them.

mod pointer;

use super::convert::round;
use super::value::{Base, Ix, Ptr, Tv, Val};
use super::*;
use girih_base::ScalarOp as S;

fn compares(op: &str) -> bool {
    matches!(op, "<" | ">" | "<=" | ">=" | "==" | "!=")
}

fn scalar_op(op: &str) -> Option<S> {
    Some(match op {
        "+" => S::Add,
        "-" => S::Sub,
        "*" => S::Mul,
        "/" => S::Div,
        "%" => S::Rem,
        "&" => S::And,
        "|" => S::Or,
        "^" => S::Xor,
        "<<" => S::Shl,
        ">>" => S::Shr,
        "<" => S::Lt,
        ">" => S::Gt,
        "<=" => S::Le,
        ">=" => S::Ge,
        "==" => S::Eq,
        "!=" => S::Ne,
        _ => return None,
    })
}

impl Lowerer<'_> {
    /// `a op b` for all but assignment and the short-circuit operators.
    pub fn binary(&mut self, op: &str, a: Tv, b: Tv, at: At) -> R<Tv> {
        if let Some(v) = self.overloaded(op, &a, &b, at)? {
            return Ok(v);
        }
        match (&a.t, &b.t) {
            (Type::Scalar(x), Type::Scalar(y)) => self.scalar_binary(op, &a, *x, &b, *y, at),
            (Type::Pointer(_), Type::Scalar(_)) | (Type::Scalar(_), Type::Pointer(_)) => {
                let (p, n) = if matches!(a.t, Type::Pointer(_)) { (a, b) } else { (b, a) };
                match op {
                    "+" | "-" => self.advance(p, n, op == "-", at),
                    _ if compares(op) && n.known() == Some(0) => {
                        let null = Tv { v: Val::Pointer(super::convert::null(Type::Void)), t: Type::Void.pointer() };
                        self.compare_pointers(op, p, null, at)
                    }
                    _ => Err(self.no_operator(op, &p.t, &n.t, at)),
                }
            }
            (Type::Pointer(_) | Type::Null, Type::Pointer(_) | Type::Null) => self.compare_pointers(op, a, b, at),
            (Type::Vector(s, n), Type::Vector(t, m)) if s == t && n == m && s.narrow_float() => {
                self.lanewise(op, &a, &b, *s, at)
            }
            (Type::Vector(s, 2), Type::Scalar(_)) if s.narrow_float() => {
                let (s, t) = (*s, a.t.clone());
                let b = self.convert(b, &t, at)?;
                self.lanewise(op, &a, &b, s, at)
            }
            (Type::Scalar(_), Type::Vector(s, 2)) if s.narrow_float() => {
                let (s, t) = (*s, b.t.clone());
                let a = self.convert(a, &t, at)?;
                self.lanewise(op, &a, &b, s, at)
            }
            (Type::Struct(_), Type::Scalar(_))
            | (Type::Scalar(_), Type::Struct(_))
            | (Type::Struct(_), Type::Struct(_)) => {
                // A struct that converts to a number, such as an integral constant.
                let (ta, tb) = (a.t.clone(), b.t.clone());
                let (x, y) = (self.as_scalar(a, at)?, self.as_scalar(b, at)?);
                match (x, y) {
                    (Some(x), Some(y)) => self.binary(op, x, y, at),
                    _ => Err(self.no_operator(op, &ta, &tb, at)),
                }
            }
            _ => Err(self.no_operator(op, &a.t, &b.t, at)),
        }
    }

    fn as_scalar(&mut self, v: Tv, at: At) -> R<Option<Tv>> {
        match &v.t {
            Type::Scalar(_) => Ok(Some(v)),
            Type::Struct(_) => self.conversion_to_scalar(&v, at),
            _ => Ok(None),
        }
    }

    pub fn no_operator(&self, op: &str, a: &Type, b: &Type, at: At) -> Fail {
        self.err("U004", at, format!("no operator `{op}` for {} and {}", self.type_name(a), self.type_name(b)))
    }

    fn lanewise(&mut self, op: &str, a: &Tv, b: &Tv, s: Scalar, at: At) -> R<Tv> {
        let (Val::Group(x), Val::Group(y)) = (&a.v, &b.v) else { return Err(self.no_operator(op, &a.t, &b.t, at)) };
        let t = Type::Scalar(s);
        let mut out = Vec::new();
        for (x, y) in x.clone().into_iter().zip(y.clone()) {
            out.push(self.binary(op, Tv { v: x, t: t.clone() }, Tv { v: y, t: t.clone() }, at)?);
        }
        if compares(op) {
            // Half2 comparisons of operators hold for both lanes.
            let (x, y) = (out[0].clone(), out[1].clone());
            return self.scalar_binary("&", &x, Scalar::Bool, &y, Scalar::Bool, at).and_then(|v| self.truth(v, at));
        }
        Ok(Tv { v: Val::Group(out.into_iter().map(|v| v.v).collect()), t: a.t.clone() })
    }

    fn scalar_binary(&mut self, op: &str, a: &Tv, x: Scalar, b: &Tv, y: Scalar, at: At) -> R<Tv> {
        let shift = matches!(op, "<<" | ">>");
        let common = if shift { x.promote() } else { x.common(y) };
        if common.is_float() && matches!(op, "%" | "&" | "|" | "^" | "<<" | ">>") {
            return Err(self.no_operator(op, &a.t, &b.t, at));
        }
        if common == Scalar::Double && !self.caps.double {
            return Err(self.no_double(at));
        }
        let result = if compares(op) { Scalar::Bool } else { common };
        let p = self.scalar_to(a, common, at)?;
        let q = if shift { b.v.clone() } else { self.scalar_to(b, common, at)? };
        if let Some(v) = fold(op, &p, &q, common) {
            return Ok(Tv { v, t: Type::Scalar(result) });
        }
        if matches!(op, "/" | "%") && q == Val::Int(0) {
            return Err(self.err("U004", at, "a division by zero"));
        }
        if self.reg(common).is_none() {
            let q = if shift {
                let n = self.scalar_to(b, if y.wide() { y } else { Scalar::UInt }, at)?;
                let lo = self.id(&n, Scalar::UInt);
                Val::Pair(lo, lo)
            } else {
                q
            };
            let v = self.pair_op(op, &p, &q, common.signed());
            return v.map(|v| Tv { v, t: Type::Scalar(result) }).ok_or_else(|| self.no_operator(op, &a.t, &b.t, at));
        }
        let Some(sop) = scalar_op(op) else { return Err(self.no_operator(op, &a.t, &b.t, at)) };
        let l = self.id(&p, common);
        let r = if shift {
            let n = self.scalar_to(b, Scalar::UInt, at)?;
            let n = self.id(&n, Scalar::UInt);
            let dtype = self.b.ty(l).dtype;
            self.b.cast(n, dtype)
        } else {
            self.id(&q, common)
        };
        let v = self.b.map(sop, &[l, r]);
        // Of two such numbers the result is none below 0: an int that overflows has no meaning in C++.
        let keeps = matches!(op, "+" | "*" | "/" | "%" | ">>") || (op == "&" && common.is_int());
        // Unsigned products wrap: only those by small numbers, as of indices and block sizes, count.
        let small = |s: &Self, v: ValueId| s.b.known(v).is_some_and(|n| n <= 4096);
        let keeps = keeps && (op != "*" || common == Scalar::Int || small(self, l) || small(self, r));
        if keeps && common.size() == 4 && common.is_int() && self.not_negative(l) && self.not_negative(r) {
            self.not_negative.insert(v);
        }
        let v = if common.narrow_float() && !compares(op) { self.round_narrow(v, common) } else { v };
        Ok(Tv { v: Val::One(v), t: Type::Scalar(result) })
    }

    /// `-a`, `~a`, `+a`, `!a`.
    pub fn unary(&mut self, op: &str, a: Tv, at: At) -> R<Tv> {
        if op == "!" {
            let v = self.truth(a, at)?;
            return Ok(match v.v {
                Val::Int(n) => Tv::int((n == 0) as i128, Scalar::Bool),
                v => {
                    let id = self.id(&v, Scalar::Bool);
                    Tv::one(self.b.map(S::Not, &[id]), Scalar::Bool)
                }
            });
        }
        match &a.t {
            Type::Scalar(s) => {
                let s = s.promote();
                let v = self.scalar_to(&a, s, at)?;
                if op == "+" {
                    return Ok(Tv { v, t: Type::Scalar(s) });
                }
                if op == "~" && s.is_float() {
                    return Err(self.err("U004", at, "`~` of a float"));
                }
                let t = Type::Scalar(s);
                match (&v, op) {
                    (Val::Int(n), "-") => return Ok(Tv::int(n.wrapping_neg(), s)),
                    (Val::Int(n), _) => return Ok(Tv::int(!n, s)),
                    (Val::Float(f), _) => return Ok(Tv { v: Val::Float(-f), t }),
                    _ => {}
                }
                if self.reg(s).is_none() {
                    let (lo, hi) = self.pair(&v);
                    let (lo, hi) = if op == "-" {
                        self.negate_pair(lo, hi)
                    } else {
                        (self.b.map(S::Not, &[lo]), self.b.map(S::Not, &[hi]))
                    };
                    return Ok(Tv { v: Val::Pair(lo, hi), t });
                }
                let id = self.id(&v, s);
                let v = self.b.map(if op == "-" { S::Neg } else { S::Not }, &[id]);
                Ok(Tv { v: Val::One(v), t })
            }
            Type::Vector(s, 2) if s.narrow_float() && op == "-" => {
                let (Val::Group(parts), t, s) = (&a.v, a.t.clone(), *s) else { return Ok(a) };
                let mut out = Vec::new();
                for v in parts.clone() {
                    out.push(self.unary(op, Tv { v, t: Type::Scalar(s) }, at)?.v);
                }
                Ok(Tv { v: Val::Group(out), t })
            }
            Type::Struct(_) => match self.overloaded_unary(op, &a, at)? {
                Some(v) => Ok(v),
                None => Err(self.err("U004", at, format!("no operator `{op}` for {}", self.type_name(&a.t)))),
            },
            other => match self.overloaded_unary(op, &a, at)? {
                Some(v) => Ok(v),
                None => Err(self.err("U004", at, format!("no operator `{op}` for {}", self.type_name(other)))),
            },
        }
    }
}

fn a_type(tv: &Tv) -> Type {
    tv.t.clone()
}

fn gcd3(a: u32, b: u32, x: i64, y: i64) -> u32 {
    (1..=16.min(a).min(b))
        .rev()
        .find(|g| a.is_multiple_of(*g) && b.is_multiple_of(*g) && x % *g as i64 == 0 && y % *g as i64 == 0)
        .unwrap_or(1)
}

/// Constant operands.
fn fold(op: &str, a: &Val, b: &Val, s: Scalar) -> Option<Val> {
    match (a, b) {
        (Val::Int(x), Val::Int(y)) => {
            let bits = s.size() as i128 * 8;
            let n = (*y & (bits - 1)) as u32;
            Some(Val::Int(match op {
                "+" => s.wrap(x + y),
                "-" => s.wrap(x - y),
                "*" => s.wrap(x.wrapping_mul(*y)),
                "/" | "%" if *y == 0 => return None,
                "/" => s.wrap(x / y),
                "%" => s.wrap(x % y),
                "&" => x & y,
                "|" => s.wrap(x | y),
                "^" => s.wrap(x ^ y),
                "<<" => s.wrap(x << n),
                ">>" => x >> n,
                "<" => (x < y) as i128,
                ">" => (x > y) as i128,
                "<=" => (x <= y) as i128,
                ">=" => (x >= y) as i128,
                "==" => (x == y) as i128,
                "!=" => (x != y) as i128,
                _ => return None,
            }))
        }
        (Val::Float(x), Val::Float(y)) => {
            let float = match op {
                "+" => x + y,
                "-" => x - y,
                "*" => x * y,
                "/" => x / y,
                _ => {
                    return Some(Val::Int(match op {
                        "<" => x < y,
                        ">" => x > y,
                        "<=" => x <= y,
                        ">=" => x >= y,
                        "==" => x == y,
                        "!=" => x != y,
                        _ => return None,
                    } as i128));
                }
            };
            Some(Val::Float(round(float, s)))
        }
        _ => None,
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Val) -> bool {
        matches!((self, other), (Val::Int(a), Val::Int(b)) if a == b)
    }
}
