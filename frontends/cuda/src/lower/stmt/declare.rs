//! Variables: where they are kept, and their first values.

use super::super::scan;
use super::super::value::{Base, Binding, Ix, Place, Ptr, Tv, Val};
use super::super::*;
use crate::ast::*;
use girih_base::DType;
use girih_simt::Op;

impl Lowerer<'_> {
    /// A variable of the thread: locals for its scalars, or its bytes in order where that matters.
    pub fn variable(&mut self, name: &str, ty: &Type, at: At) -> R<Place> {
        if (self.choices.memory.contains(&at) || self.has_union(ty)) && !matches!(ty, Type::Pointer(_)) {
            if self.has_pointer(ty) {
                return Err(self.refuse(
                    at,
                    "bytes of a variable with pointers",
                    "keep the pointers in variables of their own",
                ));
            }
            let words = self.size(ty).div_ceil(4).max(1);
            let local = self.new_local(name, Ty::scalar(DType::U32), Some(words));
            let unit = if self.size(ty).is_multiple_of(4) { 4 } else { 1 };
            return Ok(Place::Memory(Ptr {
                base: Base::Space(Space::Local(local)),
                unit,
                ix: Ix::K(0),
                plus: 0,
                to: ty.clone(),
            }));
        }
        let tree = self.tree(name, ty, at)?;
        Ok(Place::Tree { tree, leaf: 0, ix: None, ty: ty.clone() })
    }

    /// The first value of a variable: no other thread's business, so not guarded.
    pub fn initialise(&mut self, place: &Place, v: &Val, at: At) -> R<()> {
        let plain = std::mem::replace(&mut self.plain, true);
        let done = self.store(place, v, at);
        self.plain = plain;
        done
    }

    pub(super) fn declare(&mut self, v: &Var) -> R<()> {
        self.loc(v.at);
        match v.place {
            Storage::Shared => return self.declare_shared(v),
            Storage::Dynamic => return self.declare_dynamic(v),
            _ => {}
        }
        if let TypeExpr::Reference(inner, _) = &v.ty {
            let Some(Init::Value(e)) = &v.init else {
                return Err(self.err("U004", v.at, "a reference needs something to refer to"));
            };
            let place = self.place(e)?;
            if !matches!(**inner, TypeExpr::Auto) {
                let t = self.ty(inner, v.at)?;
                if *place.ty() != t && matches!(place, Place::Value(_)) {
                    let tv = self.load(&place, v.at)?;
                    let tv = self.convert(tv, &t, v.at)?;
                    self.bind(&v.name, Binding::Place(Place::Value(tv)));
                    return Ok(());
                }
            }
            self.bind(&v.name, Binding::Place(place));
            return Ok(());
        }
        if let (TypeExpr::Auto, Some(Init::Value(e))) = (&v.ty, &v.init)
            && matches!(e.kind, ExprKind::Lambda(_))
        {
            let tv = self.value(e)?;
            self.bind(&v.name, Binding::Place(Place::Value(tv)));
            return Ok(());
        }
        let t = self.declared(&v.ty, v.init.as_ref(), v.at)?;
        let changed = self.changed.contains(&v.name, &t);
        let loads = v.init.as_ref().is_some_and(|i| match i {
            Init::Value(e) => !self.light(e),
            Init::Args(args, _) => args.iter().any(|e| !self.light(e)),
        });
        let collective = v.init.as_ref().is_some_and(|i| match i {
            Init::Value(e) => self.collective_expr(e),
            Init::Args(args, _) => args.iter().any(|e| self.collective_expr(e)),
        });
        let value_like = matches!(t, Type::Scalar(_) | Type::Vector(..) | Type::Struct(_));
        if self.guarded() && loads && !collective && value_like {
            // One guard around the whole initialiser.
            let place = self.variable(&v.name, &t, v.at)?;
            let Some(mask) = self.masks.last().map(|m| m.local) else { return Ok(()) };
            let on = self.b.get(mask);
            self.open();
            self.plain = true;
            let done = (|s: &mut Self| -> R<()> {
                let Some(init) = &v.init else { return Ok(()) };
                let tv = s.initial_of(init, &t, v.at)?;
                s.store(&place, &tv.v, v.at)
            })(self);
            self.plain = false;
            let body = self.close();
            done?;
            self.b.effect(Op::If(on, body, Vec::new()));
            self.bind(&v.name, Binding::Place(place));
            return Ok(());
        }
        if let (false, Some(init)) = (changed, &v.init) {
            // Never changed: the value itself.
            let fixed = matches!(
                t,
                Type::Scalar(_)
                    | Type::Vector(..)
                    | Type::Pointer(_)
                    | Type::Lambda(_)
                    | Type::Group(_)
                    | Type::Functor(_)
                    | Type::Callable(_)
                    | Type::Null
                    | Type::Texture
            ) || (v.constant && matches!(t, Type::Array(..)) && !self.choices.memory.contains(&v.at));
            if fixed && !self.choices.memory.contains(&v.at) {
                let tv = self.initial_of(init, &t, v.at)?;
                self.name_value(&tv, &v.name);
                let constant_table = matches!(t, Type::Array(..)) && !all_known(&tv.v);
                if !constant_table {
                    self.bind(&v.name, Binding::Place(Place::Value(tv)));
                    return Ok(());
                }
                let place = self.variable(&v.name, &t, v.at)?;
                self.initialise(&place, &tv.v, v.at)?;
                self.bind(&v.name, Binding::Place(place));
                return Ok(());
            }
        }
        if v.place == Storage::Static && !v.constant {
            return Err(self.refuse(v.at, "a static variable that keeps its value between calls", "use a buffer"));
        }
        match t {
            Type::Group(_) | Type::Lambda(_) | Type::Functor(_) | Type::Callable(_) => {
                let tv = match &v.init {
                    Some(init) => self.initial_of(init, &t, v.at)?,
                    None => Tv { v: Val::Opaque, t },
                };
                self.bind(&v.name, Binding::Place(Place::Value(tv)));
            }
            t => {
                let place = self.variable(&v.name, &t, v.at)?;
                match (&v.init, &t) {
                    (Some(init), _) => {
                        let tv = self.initial_of(init, &t, v.at)?;
                        self.initialise(&place, &tv.v, v.at)?;
                    }
                    (None, Type::Struct(id)) => {
                        if self
                            .methods(*id, "constructor")
                            .iter()
                            .any(|m| self.p.functions[*m].params.iter().all(|p| p.default.is_some()))
                        {
                            let tv = self.construct(*id, &[], v.at)?;
                            self.initialise(&place, &tv.v, v.at)?;
                        } else {
                            self.default_fields(&place, *id, v.at)?;
                        }
                    }
                    (None, Type::Vector(Scalar::UInt, 3)) if type_is(&v.ty, "dim3") => {
                        self.initialise(&place, &Val::Group(vec![Val::Int(1); 3]), v.at)?;
                    }
                    _ => {}
                }
                self.bind(&v.name, Binding::Place(place));
            }
        }
        Ok(())
    }

    /// Whether evaluating touches no memory.
    pub(super) fn light(&self, e: &Expr) -> bool {
        !scan::any_expr(e, &mut |n| match n {
            scan::Node::Expr(e) => match &e.kind {
                ExprKind::Index(..)
                | ExprKind::Unary("*", _)
                | ExprKind::Assign(..)
                | ExprKind::Step(..)
                | ExprKind::Lambda(_) => true,
                ExprKind::Member(_, _, arrow) => *arrow,
                ExprKind::Call(f, _) => scan::callee(f).is_none_or(|n| {
                    self.p.functions.iter().any(|f| f.name == *n)
                        || n.starts_with("__ld")
                        || n.starts_with("atomic")
                        || texture::known(n)
                }),
                ExprKind::Binary("/" | "%", ..) => false,
                _ => false,
            },
            scan::Node::Stmt(_) => true,
        })
    }

    /// Gives a computed scalar the author's name.
    pub fn name_value(&mut self, tv: &Tv, name: &Arc<str>) {
        let name = Some(name.clone());
        match &tv.v {
            Val::One(v) if self.b.known(*v).is_none() => self.b.name(*v, name),
            Val::Pointer(Ptr { ix: Ix::V(_), .. }) => {}
            _ => {}
        }
    }

    pub(super) fn declare_shared(&mut self, v: &Var) -> R<()> {
        let t = self.ty(&v.ty, v.at)?;
        let key = (v.at, self.instance.clone());
        if let Some(place) = self.shared_vars.get(&key).filter(|p| *p.ty() == t).cloned() {
            self.bind(&v.name, Binding::Place(place));
            return Ok(());
        }
        let place = self.shared_array(&v.name, &t, v.at)?;
        self.shared_vars.insert(key, place.clone());
        self.bind(&v.name, Binding::Place(place));
        Ok(())
    }

    pub fn shared_array(&mut self, name: &str, t: &Type, at: At) -> R<Place> {
        if self.has_pointer(t) {
            return Err(self.refuse(at, "pointers in shared memory", "store indices instead"));
        }
        let unique = self.unique(name);
        let dtype = self.storage(&format!("s:{unique}"), t);
        let size = dtype.bits() / 8;
        let len = self.size(t).div_ceil(size).max(1);
        self.b.shared.push(girih_simt::Shared { name: unique, elem: Ty::scalar(dtype), len });
        let space = Space::Shared(self.b.shared.len() as u32 - 1);
        let unit = if self.size(t).is_multiple_of(size) { size } else { 1 };
        Ok(Place::Memory(Ptr { base: Base::Space(space), unit, ix: Ix::K(0), plus: 0, to: t.clone() }))
    }

    pub(super) fn declare_dynamic(&mut self, v: &Var) -> R<()> {
        let place = self.dynamic_shared(v)?;
        self.bind(&v.name, Binding::Place(place));
        Ok(())
    }

    /// `extern __shared__`: every declaration names the same memory.
    pub fn dynamic_shared(&mut self, v: &Var) -> R<Place> {
        let elem = match &v.ty {
            TypeExpr::Array(inner, _) => self.ty(inner, v.at)?,
            t => self.ty(t, v.at)?,
        };
        let bytes = self.shape.dynamic_shared;
        if bytes == 0 {
            return Err(
                match self.err(
                    "U007",
                    v.at,
                    format!("`{}` is dynamic shared memory, and the launch gives none", v.name),
                ) {
                    Fail::Diag(d) => Fail::Diag(d.help("give the launch its number of bytes of shared memory")),
                    retry => retry,
                },
            );
        }
        let index = match self.dynamic {
            Some(i) => i,
            None => {
                let unique = self.unique(&v.name);
                let dtype = self.storage(&format!("s:{unique}"), &elem);
                let len = bytes.div_ceil(dtype.bits() / 8);
                self.b.shared.push(girih_simt::Shared { name: unique, elem: Ty::scalar(dtype), len });
                let i = self.b.shared.len() as u32 - 1;
                self.dynamic = Some(i);
                i
            }
        };
        let n = (bytes / self.size(&elem).max(1)).max(1);
        let to = Type::Array(Rc::new(elem), n);
        let unit = self.store_of(Space::Shared(index)).size;
        Ok(Place::Memory(Ptr { base: Base::Space(Space::Shared(index)), unit, ix: Ix::K(0), plus: 0, to }))
    }

    /// The type of a variable, from its initialiser where that decides it.
    pub fn declared(&mut self, ty: &TypeExpr, init: Option<&Init>, at: At) -> R<Type> {
        match (ty, init) {
            (TypeExpr::Auto, Some(Init::Value(e))) => {
                let t = self.type_of(e)?;
                Ok(if let Type::Array(e, _) = t { Type::Pointer(e) } else { t })
            }
            (TypeExpr::Auto, Some(Init::Args(args, _))) if args.len() == 1 => self.type_of(&args[0]),
            (TypeExpr::Pointer(inner, ..), Some(Init::Value(e))) if matches!(**inner, TypeExpr::Auto) => {
                let t = self.type_of(e)?;
                Ok(if let Type::Array(e, _) = t { Type::Pointer(e) } else { t })
            }
            (
                TypeExpr::Array(inner, None),
                Some(Init::Value(Expr { kind: ExprKind::List(items), .. }) | Init::Args(items, true)),
            ) => {
                let elem = self.ty(inner, at)?;
                Ok(Type::Array(Rc::new(elem), items.len().max(1) as u32))
            }
            _ => self.ty(ty, at),
        }
    }

    /// An initialiser's value.
    pub fn initial_of(&mut self, init: &Init, t: &Type, at: At) -> R<Tv> {
        match init {
            Init::Value(e) => self.initial(e, t),
            Init::Args(args, braces) => {
                if let Type::Struct(id) = t {
                    let constructors = !self.methods(*id, "constructor").is_empty();
                    if constructors || !braces {
                        let mut values = Vec::new();
                        for a in args {
                            values.push(self.operand(a)?);
                        }
                        return self.construct(*id, &values, at);
                    }
                }
                if args.len() == 1 && matches!(t, Type::Scalar(_) | Type::Pointer(_) | Type::Group(_)) {
                    return self.initial(&args[0], t);
                }
                if args.len() == 1 && !matches!(args[0].kind, ExprKind::List(_)) && !matches!(t, Type::Array(..)) {
                    let tv = self.value(&args[0])?;
                    return self.convert(tv, t, at);
                }
                self.list(args, t, at)
            }
        }
    }

    /// An expression, or a list in braces, as a value of a type.
    pub fn initial(&mut self, e: &Expr, t: &Type) -> R<Tv> {
        if let ExprKind::List(items) = &e.kind {
            return self.initial_of(&Init::Args(items.clone(), true), t, e.at);
        }
        let tv = self.value(e)?;
        self.convert(tv, t, e.at)
    }

    pub(super) fn list(&mut self, items: &[Expr], t: &Type, at: At) -> R<Tv> {
        let parts = self.parts(t);
        if parts.is_empty() {
            return match (items, t) {
                ([], t) => Ok(Tv { v: self.zero(t, at)?, t: t.clone() }),
                _ => Err(self.err("U004", at, format!("a list for {}", self.type_name(t)))),
            };
        }
        if items.len() > parts.len() {
            return Err(self.err("U004", at, format!("{} values for {} places", items.len(), parts.len())));
        }
        let fields = match t {
            Type::Struct(id) => self.structs[*id as usize].fields.clone(),
            _ => Vec::new(),
        };
        let lanes = ["x", "y", "z", "w"];
        let one = matches!(t, Type::Vector(Scalar::UInt, 3));
        let (mut out, mut items) = (Vec::new(), items.iter().peekable());
        let some = items.peek().is_some();
        for (i, (_, part)) in parts.iter().enumerate() {
            // A named field waits until the others before it are filled.
            let name = fields.get(i).map_or_else(|| lanes.get(i).copied().unwrap_or_default(), |f| &*f.name);
            let e = match items.peek().map(|e| &e.kind) {
                Some(ExprKind::Designated(field, e)) if **field == *name => {
                    items.next();
                    Some(&**e)
                }
                Some(ExprKind::Designated(..)) | None => None,
                Some(_) => items.next(),
            };
            out.push(match (e, t, fields.get(i)) {
                (Some(e), ..) => self.initial(e, part)?.v,
                (None, Type::Struct(id), Some(f)) => self.default_field(*id, f, at)?,
                _ if one && some => Val::Int(1),
                _ => self.zero(part, at)?,
            });
        }
        match items.next() {
            Some(e) => Err(self.err("U004", e.at, "no such field, or one out of order")),
            None => Ok(Tv { v: Val::Group(out), t: t.clone() }),
        }
    }

    /// Zero of a type.
    pub fn zero(&mut self, t: &Type, at: At) -> R<Val> {
        Ok(match t {
            Type::Scalar(s) if s.is_float() => Val::Float(0.0),
            Type::Scalar(_) => Val::Int(0),
            Type::Pointer(to) => Val::Pointer(super::convert::null((**to).clone())),
            Type::Vector(..) | Type::Struct(_) | Type::Array(..) => {
                let parts = self.parts(t);
                if parts.len() > 4096 {
                    return Err(self.err("U006", at, "this initial value has more than 4096 parts"));
                }
                let mut out = Vec::new();
                for (_, p) in parts {
                    out.push(self.zero(&p, at)?);
                }
                Val::Group(out)
            }
            Type::Fragment(..) => {
                let inner = self.fragment_type(t);
                self.zero(&inner, at)?
            }
            _ => Val::Opaque,
        })
    }
}

fn all_known(v: &Val) -> bool {
    match v {
        Val::Group(parts) => parts.iter().all(all_known),
        Val::Int(_) | Val::Float(_) => true,
        _ => false,
    }
}

fn type_is(t: &TypeExpr, name: &str) -> bool {
    matches!(t, TypeExpr::Named(n) if &*n.last().id == name)
}
