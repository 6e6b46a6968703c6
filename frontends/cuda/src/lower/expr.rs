//! Expressions.

use super::call::Operand;
use super::value::{Base, Binding, Ix, Place, Ptr, Tv, Val};
use super::*;
use crate::ast::*;

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
            ExprKind::Alignof(t) => {
                let t = self.ty(t, e.at)?;
                value(Tv::int(self.size_align(&t).1 as i128, Scalar::ULong))
            }
            ExprKind::Designated(..) => Err(self.err("U004", e.at, "a named field needs a struct here")),
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
        for (name, e, by_reference) in &l.made {
            let place = match by_reference {
                true => self.place(e)?,
                false => Place::Value(self.value(e)?),
            };
            out.insert(name.clone(), Binding::Place(place));
            names.remove(name);
        }
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
        self.store_together(self.lockstep(a), &place, &new.v, at)?;
        Ok(if before { Operand::Place(place) } else { Operand::Value(old) })
    }

    /// A store; in lockstep all lanes have read before one stores, and all have stored before one goes on.
    fn store_together(&mut self, lockstep: bool, place: &Place, v: &Val, at: At) -> R<()> {
        let shared = matches!(place, Place::Memory(p) if matches!(p.base, Base::Space(Space::Shared(_))));
        if !(lockstep && shared) {
            return self.store(place, v, at);
        }
        self.warp_barrier();
        self.store(place, v, at)?;
        self.warp_barrier();
        Ok(())
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
        self.store_together(self.lockstep(a), &place, &value.v, at)?;
        Ok(Operand::Place(place))
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
}
