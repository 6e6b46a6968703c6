//! Expressions.

use super::call::Operand;
use super::value::{Base, Binding, Ix, Place, Ptr, Tv, Val};
use super::*;
use crate::ast::*;
use girih_base::ScalarOp as S;
use girih_simt::Op;

impl Lowerer<'_> {
    /// An expression's value; arrays become pointers.
    pub fn value(&mut self, e: &Expr) -> R<Tv> {
        let o = self.operand(e)?;
        self.operand_value(&o, e.at)
    }

    /// A place that can be assigned to.
    pub fn place(&mut self, e: &Expr) -> R<Place> {
        match self.operand(e)? {
            Operand::Place(p) => Ok(p),
            Operand::Value(tv) => Ok(Place::Value(tv)),
            Operand::Braces(_) => Err(self.err("U004", e.at, "a list in braces needs a type here")),
        }
    }

    /// An expression as a place where it is one, else a value.
    pub fn operand(&mut self, e: &Expr) -> R<Operand> {
        self.spend(e.at)?;
        self.nested(e.at, |s| s.operand_here(e))
    }

    fn operand_here(&mut self, e: &Expr) -> R<Operand> {
        self.loc(e.at);
        let value = |tv: Tv| Ok(Operand::Value(tv));
        match &e.kind {
            ExprKind::Int(v, s) => value(Tv::int(*v as i128, *s)),
            ExprKind::Float(f, s) => value(Tv { v: Val::Float(*f), t: Type::Scalar(*s) }),
            ExprKind::Bool(b) => value(Tv::int(*b as i128, Scalar::Bool)),
            ExprKind::Null => value(Tv { v: Val::Pointer(super::convert::null(Type::Void)), t: Type::Null }),
            ExprKind::Text(_) => value(Tv { v: Val::Text, t: Type::Scalar(Scalar::Char).pointer() }),
            ExprKind::This => match self.frames.last().and_then(|f| f.this.clone()) {
                Some(place) => {
                    let p = self.address(&place, e.at)?;
                    value(p)
                }
                None => Err(self.err("U003", e.at, "`this` outside of a method")),
            },
            ExprKind::Name(n) => self.name(n, e),
            ExprKind::Unary("&", a) => {
                let p = self.place(a)?;
                let p = self.address(&p, e.at)?;
                value(p)
            }
            ExprKind::Unary("*", a) => {
                let tv = self.value(a)?;
                if let Type::Struct(_) = tv.t
                    && let Some(v) = self.overloaded_unary("*", &tv, e.at)?
                {
                    return value(v);
                }
                self.dereference(tv, e.at).map(Operand::Place)
            }
            ExprKind::Unary(op, a) => {
                let a = self.value(a)?;
                self.loc(e.at);
                let v = self.unary(op, a, e.at)?;
                value(v)
            }
            ExprKind::Step(by, before, a) => self.step(*by, *before, a, e.at),
            ExprKind::Binary(op @ ("&&" | "||"), a, b) => {
                let v = self.short_circuit(op, a, b, e.at)?;
                value(v)
            }
            ExprKind::Binary(op, a, b) => {
                let x = self.value(a)?;
                let y = self.value(b)?;
                self.loc(e.at);
                let v = self.binary(op, x, y, e.at)?;
                value(v)
            }
            ExprKind::Assign(op, a, b) => self.assign(*op, a, b, e.at),
            ExprKind::Choose(c, a, b) => {
                let v = self.choose(c, a, b, e.at)?;
                value(v)
            }
            ExprKind::Comma(a, b) => {
                self.operand(a)?;
                self.operand(b)
            }
            ExprKind::Call(f, args) => self.call(f, args, e.at),
            ExprKind::Index(a, i) => self.index(a, i, e.at),
            ExprKind::Member(a, part, arrow) => self.member(a, part, *arrow, e.at),
            ExprKind::Cast(how, ty, a) => self.cast(*how, ty, a, e.at),
            ExprKind::Construct(ty, args, braces) => {
                let t = self.ty(ty, e.at)?;
                let v = self.initial_of(&Init::Args(args.clone(), *braces), &t, e.at)?;
                value(v)
            }
            ExprKind::List(_) => Err(self.err("U004", e.at, "a list in braces needs a type here")),
            ExprKind::SizeofType(t) => {
                let t = self.ty(t, e.at)?;
                value(Tv::int(self.size(&t) as i128, Scalar::ULong))
            }
            ExprKind::Sizeof(a) => {
                if let ExprKind::Name(n) = &a.kind
                    && let Some(Binding::Pack(list)) = self.lookup(&n.last().id)
                {
                    return value(Tv::int(list.len() as i128, Scalar::ULong));
                }
                let t = self.type_of(a)?;
                value(Tv::int(self.size(&t) as i128, Scalar::ULong))
            }
            ExprKind::Lambda(l) => {
                let index = self.closures.len() as u32;
                let mut scopes = self.scopes.clone();
                scopes.push(self.captured(l, e.at)?);
                self.closures.push(Rc::new(value::Closure { lambda: l.clone(), scopes }));
                value(Tv { v: Val::Opaque, t: Type::Lambda(index) })
            }
            ExprKind::Launch => Err(self.refuse(
                e.at,
                "a kernel launched by a kernel (dynamic parallelism)",
                "launch it from the host after this kernel",
            )),
        }
    }

    /// Copies of the variables that a lambda captures by value: later changes are not its business.
    fn captured(&mut self, l: &Lambda, at: At) -> R<BTreeMap<Arc<str>, Binding>> {
        let mut names = BTreeSet::new();
        scan::any_stmt(&l.body, &mut |n| {
            if let scan::Node::Expr(Expr { kind: ExprKind::Name(n), .. }) = n {
                names.insert(n.parts[0].id.clone());
            }
            false
        });
        let mut out = BTreeMap::new();
        for name in names {
            let explicit = l.captures.iter().find(|c| c.0 == name).map(|c| !c.1);
            if !explicit.unwrap_or(l.copies) {
                continue;
            }
            let Some(Binding::Place(place @ Place::Tree { .. })) = self.lookup(&name).cloned() else { continue };
            if matches!(place.ty(), Type::Array(..) | Type::Fragment(..)) {
                return Err(self.refuse(at, format!("array `{name}` captured by value"), "capture it by reference"));
            }
            // A pointer to which nothing was assigned has no value to copy.
            match self.load(&place, at) {
                Ok(tv) => {
                    let home = self.home(tv, &name, at)?;
                    out.insert(name, Binding::Place(home));
                }
                Err(Fail::Retry) => return Err(Fail::Retry),
                Err(_) => {}
            }
        }
        Ok(out)
    }

    /// The address of a place.
    pub fn address(&mut self, place: &Place, at: At) -> R<Tv> {
        let ty = place.ty().clone();
        let p = match place {
            Place::Memory(p) => p.clone(),
            Place::Tree { tree, leaf, ix, .. } => Ptr {
                base: Base::Tree(tree.clone(), *leaf),
                unit: 1,
                ix: ix.unwrap_or(Ix::K(0)),
                plus: 0,
                to: ty.clone(),
            },
            Place::Value(tv) => {
                let home = self.home(tv.clone(), "value", at)?;
                return self.address(&home, at);
            }
        };
        Ok(Tv { v: Val::Pointer(p), t: ty.pointer() })
    }

    pub fn dereference(&mut self, tv: Tv, at: At) -> R<Place> {
        match tv.v {
            Val::Pointer(p) if p.to == Type::Void => {
                Err(self.err("U004", at, "a void pointer is followed; cast it first"))
            }
            Val::Pointer(p) => Ok(self.pointee(p)),
            _ => Err(self.err("U004", at, format!("{} is no pointer", self.type_name(&tv.t)))),
        }
    }

    fn step(&mut self, by: i8, before: bool, a: &Expr, at: At) -> R<Operand> {
        let place = self.place(a)?;
        let old = self.load(&place, at)?;
        if matches!(old.t, Type::Struct(_)) {
            return Err(self.err("U004", at, "`++` of a struct"));
        }
        let one = Tv::int(1, Scalar::Int);
        let t = old.t.clone();
        let new = self.binary(if by > 0 { "+" } else { "-" }, old.clone(), one, at)?;
        let new = self.convert(new, &t, at)?;
        self.store(&place, &new.v, at)?;
        Ok(if before { Operand::Place(place) } else { Operand::Value(old) })
    }

    fn assign(&mut self, op: Option<&'static str>, a: &Expr, b: &Expr, at: At) -> R<Operand> {
        // The right side first, as C++17 orders it.
        if op.is_none() && matches!(b.kind, ExprKind::List(_)) {
            let place = self.place(a)?;
            let t = place.ty().clone();
            let v = self.initial(b, &t)?;
            self.store(&place, &v.v, at)?;
            return Ok(Operand::Place(place));
        }
        let right = self.operand(b)?;
        let right_value = self.operand_value(&right, at)?;
        let place = self.place(a)?;
        self.loc(at);
        let t = place.ty().clone();
        if let Type::Struct(id) = t {
            let name = format!("operator{}=", op.unwrap_or_default());
            let custom = !self.methods(id, &name).is_empty() && (op.is_some() || right_value.t != t);
            if custom {
                self.call_named(&name, None, &[Operand::Value(right_value)], Some((place.clone(), id)), at)?;
                return Ok(Operand::Place(place));
            }
        }
        let value = match op {
            None => right_value,
            Some(op) => {
                if matches!(t, Type::Vector(..) | Type::Struct(_)) {
                    let name = format!("operator{op}=");
                    let args = [Operand::Place(place.clone()), Operand::Value(right_value.clone())];
                    if self.call_named(&name, None, &args, None, at)?.is_some() {
                        return Ok(Operand::Place(place));
                    }
                }
                let old = self.load(&place, at)?;
                self.binary(op, old, right_value, at)?
            }
        };
        let value = self.convert(value, &t, at)?;
        self.store(&place, &value.v, at)?;
        Ok(Operand::Place(place))
    }

    /// Whether evaluating the expression more than C++ would is harmless: no effects, no memory, little work.
    fn cheap(&self, e: &Expr) -> bool {
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

    fn short_circuit(&mut self, op: &str, a: &Expr, b: &Expr, at: At) -> R<Tv> {
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

    fn choose(&mut self, c: &Expr, a: &Expr, b: &Expr, at: At) -> R<Tv> {
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

    fn common_type(&mut self, a: &Tv, b: &Tv, at: At) -> R<Type> {
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
            (Type::Pointer(_), Val::Pointer(p), Val::Pointer(q)) => {
                if p.base != q.base {
                    return Err(self.refuse(
                        at,
                        "a pointer that points into one of two arrays",
                        "choose between the values read, not between the addresses",
                    ));
                }
                let g = if p.unit == q.unit && p.plus == 0 && q.plus == 0 { p.unit } else { 1 };
                let (a, b) = match p.base {
                    Base::Tree(..) => (p.ix, q.ix),
                    _ => (self.count_in(p.unit, p.ix, p.plus, g), self.count_in(q.unit, q.ix, q.plus, g)),
                };
                let (a, b) = (self.ix(a), self.ix(b));
                let ix = Ix::V(self.b.map(S::Select, &[test, a, b]));
                Ok(Val::Pointer(Ptr { base: p.base.clone(), unit: g, ix, plus: 0, to: p.to.clone() }))
            }
            (_, Val::Group(a), Val::Group(b)) => {
                let parts = self.parts(t);
                let mut out = Vec::new();
                for ((a, b), (_, t)) in a.clone().iter().zip(b.clone().iter()).zip(parts) {
                    out.push(self.select(test, a, b, &t, at)?);
                }
                Ok(Val::Group(out))
            }
            _ => Ok(x.clone()),
        }
    }

    fn cast(&mut self, how: Cast, ty: &TypeExpr, a: &Expr, at: At) -> R<Operand> {
        // A cast to a reference reads the place as another type.
        if let TypeExpr::Reference(inner, _) = ty {
            let t = self.ty(inner, at)?;
            let place = self.place(a)?;
            if *place.ty() == t {
                return Ok(Operand::Place(place));
            }
            let p = self.address(&place, at)?;
            let v = self.repoint(p.v, t, at)?;
            let Val::Pointer(p) = v else { return Err(self.err("U004", at, "this is no pointer")) };
            return Ok(Operand::Place(Place::Memory(p)));
        }
        let t = self.ty(ty, at)?;
        if t == Type::Void {
            self.operand(a)?;
            return Ok(Operand::Value(Tv::void()));
        }
        let tv = self.value(a)?;
        self.loc(at);
        match (&tv.t, &t) {
            (Type::Pointer(_), Type::Scalar(s)) if s.is_int() => {
                // An address as a number: only its low bits, relative to the array, have a meaning.
                let Val::Pointer(p) = &tv.v else { return Err(self.err("U004", at, "this is no pointer")) };
                let p = p.clone();
                let bytes = self.count_in(p.unit, p.ix, p.plus, 1);
                let id = self.ix(bytes);
                let v = self.convert(Tv::one(id, Scalar::UInt), &t, at)?;
                Ok(Operand::Value(v))
            }
            (Type::Scalar(s), Type::Pointer(_)) if s.is_int() && tv.known() != Some(0) => Err(self.refuse(
                at,
                "a number made into a pointer",
                "WGSL has no addresses: keep the pointer itself, or an index",
            )),
            (Type::Scalar(_), Type::Scalar(_)) if how == Cast::Bits => self.convert(tv, &t, at).map(Operand::Value),
            _ => self.convert(tv, &t, at).map(Operand::Value),
        }
    }

    fn index(&mut self, a: &Expr, i: &Expr, at: At) -> R<Operand> {
        let base = self.operand(a)?;
        if let Type::Struct(id) = *base.ty() {
            let arg = self.operand(i)?;
            let this = match base {
                Operand::Place(p) => p,
                Operand::Value(tv) => Place::Value(tv),
                Operand::Braces(_) => return Err(self.err("U004", at, "a list cannot be indexed")),
            };
            return match self.call_named("operator[]", None, &[arg], Some((this, id)), at)? {
                Some(o) => Ok(o),
                None => Err(self.err("U004", at, "this struct has no `operator[]`")),
            };
        }
        let n = self.value(i)?;
        self.loc(at);
        // A known element of a constant array.
        if let (
            Operand::Value(Tv { v: Val::Group(parts), t: Type::Array(t, _) })
            | Operand::Place(Place::Value(Tv { v: Val::Group(parts), t: Type::Array(t, _) })),
            Some(k),
        ) = (&base, n.known())
        {
            if let Some(v) = usize::try_from(k).ok().and_then(|k| parts.get(k)) {
                return Ok(Operand::Value(Tv { v: v.clone(), t: (**t).clone() }));
            }
            return Err(self.err("U004", at, format!("element {k} of an array of {}", parts.len())));
        }
        if let (Operand::Place(Place::Tree { .. }), Type::Array(_, len), Some(k)) =
            (&base, base.ty().clone(), n.known())
            && !(0..=len as i128).contains(&k)
        {
            return Err(self.err("U004", at, format!("element {k} of an array of {len}")));
        }
        let p = self.operand_value(&base, at)?;
        let (p, n) = if matches!(p.t, Type::Pointer(_)) { (p, n) } else { (n, p) };
        let sum = self.advance(p, n, false, at)?;
        self.dereference(sum, at).map(Operand::Place)
    }

    /// A field of a place.
    pub fn field(&mut self, place: &Place, name: &str, at: At) -> R<Place> {
        let ty = place.ty().clone();
        let (index, offset, leaf_offset, t) = match &ty {
            Type::Vector(s, n) => {
                let lane = match name {
                    "x" | "r" => 0,
                    "y" | "g" => 1,
                    "z" | "b" => 2,
                    "w" | "a" => 3,
                    _ => 9,
                };
                if lane >= *n as usize {
                    return Err(self.err("U003", at, format!("{} has no lane `{name}`", self.type_name(&ty))));
                }
                (lane, lane as u32 * s.size(), lane, Type::Scalar(*s))
            }
            Type::Struct(id) => {
                let fields = &self.structs[*id as usize].fields;
                let Some(index) = fields.iter().position(|f| &*f.name == name) else {
                    return Err(self.err("U003", at, format!("{} has no field `{name}`", self.type_name(&ty))));
                };
                let leaves = fields[..index].iter().map(|f| self.leaf_count(&f.ty)).sum();
                (index, fields[index].offset, leaves, fields[index].ty.clone())
            }
            Type::Fragment(..) if name == "x" => {
                let inner = self.fragment_type(&ty);
                (0, 0, 0, inner)
            }
            other => return Err(self.err("U004", at, format!("{} has no fields", self.type_name(other)))),
        };
        Ok(match place {
            Place::Tree { tree, leaf, ix, .. } => {
                Place::Tree { tree: tree.clone(), leaf: leaf + leaf_offset, ix: *ix, ty: t }
            }
            Place::Memory(p) => match &p.base {
                Base::Tree(tree, leaf) => {
                    let base = Base::Tree(tree.clone(), leaf + leaf_offset);
                    Place::Memory(Ptr { base, to: t, ..p.clone() })
                }
                _ => Place::Memory(Ptr { plus: p.plus + offset as i64, to: t, ..p.clone() }),
            },
            Place::Value(tv) => {
                let v = match &tv.v {
                    Val::Group(parts) => parts.get(index).cloned().unwrap_or(Val::Void),
                    _ => Val::Void,
                };
                Place::Value(Tv { v, t })
            }
        })
    }

    fn member(&mut self, a: &Expr, part: &Part, arrow: bool, at: At) -> R<Operand> {
        if let Some(v) = self.builtin_member(a, part, at)? {
            return Ok(Operand::Value(v));
        }
        let place = self.object(a, arrow, at)?;
        if let Type::Fragment(..) = place.ty()
            && &*part.id == "num_elements"
        {
            let Type::Array(_, n) = self.fragment_type(place.ty()) else {
                return Err(self.err("U004", at, "no elements"));
            };
            return Ok(Operand::Value(Tv::int(n as i128, Scalar::Int)));
        }
        match self.field(&place, &part.id, at) {
            Ok(p) => Ok(Operand::Place(p)),
            Err(e) => match *place.ty() {
                Type::Struct(id) => match self.static_member(id, &part.id)? {
                    Some(tv) => Ok(Operand::Value(tv)),
                    None => Err(e),
                },
                _ => Err(e),
            },
        }
    }

    /// The object of a member access.
    pub fn object(&mut self, a: &Expr, arrow: bool, at: At) -> R<Place> {
        let o = self.operand(a)?;
        if arrow {
            let tv = self.operand_value(&o, at)?;
            return self.dereference(tv, at);
        }
        Ok(match o {
            Operand::Place(p) => p,
            Operand::Value(tv) => Place::Value(tv),
            Operand::Braces(_) => return Err(self.err("U004", at, "a list has no members")),
        })
    }

    /// A static constant of a struct.
    pub fn static_member(&mut self, id: u32, name: &str) -> R<Option<Tv>> {
        let def = self.structs[id as usize].def;
        let Some(var) = self.p.structs[def].statics.iter().find(|v| &*v.name == name).cloned() else {
            let bases = self.p.structs[def].bases.clone();
            for b in bases {
                let at = self.p.structs[def].at;
                if let Type::Struct(base) = self.in_struct(id, |s| s.ty(&b, at))?
                    && let Some(v) = self.static_member(base, name)?
                {
                    return Ok(Some(v));
                }
            }
            return Ok(None);
        };
        let Some(init) = &var.init else { return Ok(None) };
        let at = var.at;
        self.frames.push(Frame {
            ret: Type::Void,
            result: None,
            done: None,
            masks: self.masks.len(),
            loops: Vec::new(),
            leaves: false,
            collective: false,
            this: None,
            owner: Some(id),
            name: name.into(),
        });
        let done = self.in_struct(id, |s| {
            let t = s.declared(&var.ty, Some(init), at)?;
            s.initial_of(init, &t, at)
        });
        self.frames.pop();
        done.map(Some)
    }

    fn name(&mut self, n: &Name, e: &Expr) -> R<Operand> {
        let part = n.last();
        if n.parts.len() > 1 {
            let owner = &n.parts[n.parts.len() - 2];
            let is_type = self.p.structs.iter().any(|s| s.name == owner.id)
                || self.p.aliases.contains_key(&owner.id)
                || matches!(self.lookup(&owner.id), Some(Binding::Type(_)))
                || self.frames.last().and_then(|f| f.owner).is_some_and(|id| {
                    let def = self.structs[id as usize].def;
                    self.p.structs[def].aliases.iter().any(|a| a.0 == owner.id)
                });
            if is_type {
                let owner = TypeExpr::Named(Name { parts: n.parts[..n.parts.len() - 1].to_vec(), at: n.at });
                if let Type::Struct(id) = self.ty(&owner, n.at)?
                    && let Some(tv) = self.static_member(id, &part.id)?
                {
                    return Ok(Operand::Value(tv));
                }
            }
        } else if let Some(b) = self.lookup(&part.id) {
            return match b.clone() {
                Binding::Place(Place::Value(tv)) => Ok(Operand::Value(tv)),
                Binding::Place(p) => Ok(Operand::Place(p)),
                _ => Err(self.err("U004", e.at, format!("`{}` is a type, not a value", part.id))),
            };
        }
        if let Some((this, owner)) = self.frames.last().map(|f| (f.this.clone(), f.owner)) {
            if let Some(this) = &this
                && let Type::Struct(id) = this.ty()
                && self.structs[*id as usize].fields.iter().any(|f| f.name == part.id)
            {
                let this = this.clone();
                return self.field(&this, &part.id, e.at).map(Operand::Place);
            }
            if let Some(id) = owner
                && let Some(tv) = self.static_member(id, &part.id)?
            {
                return Ok(Operand::Value(tv));
            }
        }
        if let Some(v) = self.enumerator(&part.id, 0)? {
            return Ok(Operand::Value(v));
        }
        if let Some(i) = self.p.globals.iter().position(|g| g.name == part.id) {
            return self.global(i, part, e.at);
        }
        if let Some(tv) = self.builtin_value(n, e.at)? {
            return Ok(Operand::Value(tv));
        }
        if self.p.functions.iter().any(|f| f.name == part.id) {
            return Ok(Operand::Value(Tv { v: Val::Opaque, t: Type::Callable(part.id.clone()) }));
        }
        Err(self.err("U003", e.at, format!("`{}` is not known here", part.id)))
    }

    pub fn enumerator(&mut self, id: &Arc<str>, depth: usize) -> R<Option<Tv>> {
        let Some((before, value)) = self.p.enumerators.get(id).cloned() else { return Ok(None) };
        if let Some(e) = value {
            let n = self.constant(&e)?;
            return Ok(Some(Tv::int(n, Scalar::Int)));
        }
        if depth > 2000 {
            return Ok(Some(Tv::int(0, Scalar::Int)));
        }
        let n = match before {
            Some(b) => self.enumerator(&b, depth + 1)?.and_then(|t| t.known()).unwrap_or(-1) + 1,
            None => 0,
        };
        Ok(Some(Tv::int(n, Scalar::Int)))
    }
}
