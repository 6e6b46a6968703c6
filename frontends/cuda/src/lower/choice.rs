//! Expressions that evaluate one of two others: `&&`, `||` and `?:`.

use super::value::{Place, Tv, Val};
use super::*;
use crate::ast::*;
use girih_base::ScalarOp as S;
use girih_simt::Op;

impl Lowerer<'_> {
    /// Whether evaluating the expression more than C++ would is harmless: no effects, no memory, little work.
    pub(super) fn cheap(&self, e: &Expr) -> bool {
        let mut nodes = 0;
        !scan::any_expr(e, &mut |n| {
            nodes += 1;
            let scan::Node::Expr(e) = n else { return true };
            let costly = match &e.kind {
                ExprKind::Assign(..)
                | ExprKind::Step(..)
                | ExprKind::Index(..)
                | ExprKind::Unary("*", _)
                | ExprKind::Lambda(_) => true,
                ExprKind::Member(_, _, arrow) => *arrow,
                ExprKind::Call(f, _) => {
                    scan::callee(f).is_none_or(|n| !matches!(&**n, "min" | "max" | "fabsf" | "fminf" | "fmaxf" | "abs"))
                }
                _ => false,
            };
            costly || nodes > 24
        })
    }

    pub(super) fn short_circuit(&mut self, op: &str, a: &Expr, b: &Expr, at: At) -> R<Tv> {
        let x = self.value(a)?;
        let x = self.truth(x, at)?;
        let and = op == "&&";
        if let Some(n) = x.known() {
            if (n != 0) != and {
                return Ok(Tv::int(n, Scalar::Bool));
            }
            let y = self.value(b)?;
            return self.truth(y, at);
        }
        if self.cheap(b) {
            let y = self.value(b)?;
            let y = self.truth(y, at)?;
            if let Some(n) = y.known() {
                return Ok(if (n != 0) == and { x } else { y });
            }
            let (p, q) = (self.id(&x.v, Scalar::Bool), self.id(&y.v, Scalar::Bool));
            return Ok(Tv::one(self.b.map(if and { S::And } else { S::Or }, &[p, q]), Scalar::Bool));
        }
        if self.guarded() && self.collective_expr(b) {
            return Err(self.refuse(
                at,
                "an operation of the whole warp behind `&&` or `||`",
                "give its result a name before the condition",
            ));
        }
        let (cond, local) =
            (self.id(&x.v, Scalar::Bool), self.new_local("both", Ty::scalar(girih_base::DType::Bool), None));
        self.b.set(local, cond);
        let test = if and { cond } else { self.b.map(S::Not, &[cond]) };
        if self.collective_expr(b) {
            self.together(test, at)?;
        }
        self.open();
        let done = (|s: &mut Self| -> R<()> {
            let y = s.value(b)?;
            let y = s.truth(y, at)?;
            let id = s.id(&y.v, Scalar::Bool);
            s.b.set(local, id);
            Ok(())
        })(self);
        let body = self.close();
        done?;
        self.b.effect(Op::If(test, body, Vec::new()));
        Ok(Tv::one(self.b.get(local), Scalar::Bool))
    }

    /// Notes that a condition decides whether all threads reach an operation of the block or none; refused where it differs.
    fn together(&mut self, test: ValueId, at: At) -> R<()> {
        if !self.choices.diverges.contains(&at) {
            self.assumed.push((at, test));
            return Ok(());
        }
        let what = "an operation that all threads reach together stands in an expression that only some evaluate";
        let d = self.p.sources.error("U008", at, what, "the condition differs between threads");
        Err(Fail::Diag(d.help("compute it before the condition, in a statement of its own")))
    }

    pub(super) fn choose(&mut self, c: &Expr, a: &Expr, b: &Expr, at: At) -> R<Tv> {
        let cond = self.value(c)?;
        let cond = self.truth(cond, at)?;
        if let Some(n) = cond.known() {
            // The other branch decides the type all the same.
            let (pick, other) = if n != 0 { (a, b) } else { (b, a) };
            let v = self.value(pick)?;
            return match (v.t.scalar(), self.type_of(other).ok().and_then(|t| t.scalar())) {
                (Some(x), Some(y)) => {
                    let t = if x == y { x } else { x.common(y) };
                    self.convert(v, &Type::Scalar(t), at)
                }
                _ => Ok(v),
            };
        }
        let test = self.id(&cond.v, Scalar::Bool);
        if self.cheap(a) && self.cheap(b) {
            let (x, y) = (self.value(a)?, self.value(b)?);
            let t = self.common_type(&x, &y, at)?;
            let (x, y) = (self.convert(x, &t, at)?, self.convert(y, &t, at)?);
            let v = self.select(test, &x.v, &y.v, &t, at)?;
            return Ok(Tv { v, t });
        }
        if self.guarded() && (self.collective_expr(a) || self.collective_expr(b)) {
            return Err(self.refuse(at, "an operation of the whole warp inside `?:`", "give its result a name before"));
        }
        if self.collective_expr(a) || self.collective_expr(b) {
            self.together(test, at)?;
        }
        // Types first: each branch writes the result in the type of both.
        let (ta, tb) = (self.type_of(a)?, self.type_of(b)?);
        let dummy = |t: Type| Tv { v: Val::Void, t };
        let decay = |t: Type| if let Type::Array(e, _) = t { Type::Pointer(e) } else { t };
        let t = self.common_type(&dummy(decay(ta)), &dummy(decay(tb)), at)?;
        let tree = self.tree("chosen", &t, at)?;
        let place = Place::Tree { tree, leaf: 0, ix: None, ty: t.clone() };
        let mut regions = Vec::new();
        let plain = self.plain;
        for e in [a, b] {
            self.open();
            let done = (|s: &mut Self| -> R<()> {
                let v = s.value(e)?;
                let v = s.convert(v, &t, at)?;
                s.plain = true;
                s.store(&place, &v.v, at)
            })(self);
            self.plain = plain;
            regions.push(self.close());
            done?;
        }
        let other = regions.pop().unwrap_or_default();
        let then = regions.pop().unwrap_or_default();
        self.b.effect(Op::If(test, then, other));
        self.load(&place, at)
    }

    pub(super) fn common_type(&mut self, a: &Tv, b: &Tv, at: At) -> R<Type> {
        match (&a.t, &b.t) {
            (x, y) if x == y => Ok(x.clone()),
            (Type::Scalar(x), Type::Scalar(y)) => Ok(Type::Scalar(x.common(*y))),
            (p @ Type::Pointer(_), Type::Null | Type::Scalar(_))
            | (Type::Null | Type::Scalar(_), p @ Type::Pointer(_)) => Ok(p.clone()),
            (s @ Type::Struct(_), _) | (_, s @ Type::Struct(_)) => Ok(s.clone()),
            (Type::Pointer(_), Type::Pointer(_)) => Ok(a.t.clone()),
            (v @ Type::Vector(..), Type::Scalar(_)) | (Type::Scalar(_), v @ Type::Vector(..)) => Ok(v.clone()),
            _ => Err(self.err(
                "U004",
                at,
                format!("{} or {}: no common type", self.type_name(&a.t), self.type_name(&b.t)),
            )),
        }
    }

    /// One of two values of a type.
    pub fn select(&mut self, test: ValueId, x: &Val, y: &Val, t: &Type, at: At) -> R<Val> {
        match (t, x, y) {
            (Type::Scalar(s), x, y) if self.reg(*s).is_none() => {
                let (p, q) = (self.pair(x), self.pair(y));
                Ok(Val::Pair(self.b.map(S::Select, &[test, p.0, q.0]), self.b.map(S::Select, &[test, p.1, q.1])))
            }
            (Type::Scalar(s), x, y) => {
                let (p, q) = (self.id(x, *s), self.id(y, *s));
                Ok(Val::One(self.b.map(S::Select, &[test, p, q])))
            }
            (Type::Pointer(_), Val::Pointer(p), Val::Pointer(q)) => self.select_pointer(test, p, q, at),
            (_, Val::Group(a), Val::Group(b)) => {
                let parts = self.parts(t);
                let mut out = Vec::new();
                for ((a, b), (_, t)) in a.clone().iter().zip(b.clone().iter()).zip(parts) {
                    out.push(self.select(test, a, b, &t, at)?);
                }
                Ok(Val::Group(out))
            }
            (Type::Texture, Val::Texture(a), Val::Texture(b)) if a != b => {
                Err(self.refuse(at, "one of two textures", "choose between the values read, not between the textures"))
            }
            _ => Ok(x.clone()),
        }
    }
}
