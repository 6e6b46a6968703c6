//! Types as written become types: aliases, template arguments, struct instances; and template arguments are deduced from calls.

mod builtin;
mod deduce;
mod instance;

use super::value::{Binding, Place, Tv};
use super::*;
use crate::ast::*;
use crate::types::{Group, Use, named_scalar, vector};

pub(crate) type Env = BTreeMap<Arc<str>, Binding>;

impl Lowerer<'_> {
    /// Resolves a type.
    pub fn ty(&mut self, t: &TypeExpr, at: At) -> R<Type> {
        self.nested(at, |s| s.ty_here(t, at))
    }

    fn ty_here(&mut self, t: &TypeExpr, at: At) -> R<Type> {
        match t {
            TypeExpr::Void => Ok(Type::Void),
            TypeExpr::Scalar(s) => Ok(Type::Scalar(*s)),
            TypeExpr::Auto => Err(self.err("U004", at, "`auto` needs an initial value")),
            TypeExpr::Pointer(inner, ..) => Ok(self.ty(inner, at)?.pointer()),
            TypeExpr::Reference(inner, _) => self.ty(inner, at),
            TypeExpr::Array(inner, Some(n)) => {
                let elem = self.ty(inner, at)?;
                let n = self.constant(n)?;
                let n = u32::try_from(n).ok().filter(|n| *n > 0);
                let n = n.ok_or_else(|| self.err("U004", at, "an array needs a positive length"))?;
                if self.size(&elem) as u64 * n as u64 > 1 << 30 {
                    return Err(self.err("U006", at, "this array is too large"));
                }
                Ok(Type::Array(Rc::new(elem), n))
            }
            TypeExpr::Array(inner, None) => Ok(self.ty(inner, at)?.pointer()),
            TypeExpr::Decltype(e) => self.type_of(e),
            // Known functions travel as types; others have nothing to be bound to.
            TypeExpr::Function => Ok(Type::Callable("".into())),
            TypeExpr::Named(name) => self.named_type(name),
        }
    }

    /// The type of an expression, without keeping its code.
    pub fn type_of(&mut self, e: &Expr) -> R<Type> {
        self.open();
        let operand = self.operand(e);
        self.close();
        Ok(operand?.ty().clone())
    }

    /// A constant integer.
    pub fn constant(&mut self, e: &Expr) -> R<i128> {
        let tv = self.value(e)?;
        match self.convert_constant(tv) {
            Some(n) => Ok(n),
            None => Err(self.err("U004", e.at, "this must be a constant")),
        }
    }

    fn convert_constant(&mut self, tv: Tv) -> Option<i128> {
        match tv.v {
            value::Val::Int(n) => Some(n),
            value::Val::Float(f) => Some(f as i128),
            _ => None,
        }
    }

    fn named_type(&mut self, name: &Name) -> R<Type> {
        let at = name.at;
        let part = name.last().clone();
        if name.parts.len() > 1 {
            let owner = Name { parts: name.parts[..name.parts.len() - 1].to_vec(), at };
            if self.is_struct_name(&owner.last().id)
                && let Ok(Type::Struct(id)) = self.named_type(&owner)
            {
                return self.member_type(id, &part, at);
            }
            // `std::enable_if<c, T>::type` and its like.
            if &*part.id == "type" && owner.last().args.is_some() {
                return self.built_in_class(&owner, owner.last());
            }
        }
        if let Some(Binding::Type(t)) = self.lookup(&part.id) {
            return Ok(t.clone());
        }
        // Member types of the struct whose method this is.
        if let Some(id) = self.frames.last().and_then(|f| f.owner) {
            let def = self.structs[id as usize].def;
            if let Some((_, t)) = self.p.structs[def].aliases.iter().find(|a| a.0 == part.id) {
                let t = t.clone();
                return self.in_struct(id, |s| s.ty(&t, at));
            }
            if self.p.structs[def].name == part.id && part.args.is_none() {
                return Ok(Type::Struct(id));
            }
        }
        if let Some((params, t)) = self.p.aliases.get(&part.id) {
            let (params, t) = (params.clone(), t.clone());
            if params.is_empty() {
                return self.ty(&t, at);
            }
            let (env, _) = self.bind_template(&params, part.args.as_deref().unwrap_or_default(), at)?;
            self.scopes.push(env);
            let done = self.ty(&t, at);
            self.scopes.pop();
            return done;
        }
        if self.p.structs.iter().any(|s| s.name == part.id) {
            return self.instantiate(&part, at);
        }
        if let Some(t) = self.enum_type(&part.id, None, at)? {
            return Ok(t);
        }
        if let Some(s) = named_scalar(&part.id) {
            return Ok(Type::Scalar(s));
        }
        if let Some(t) = vector(&part.id) {
            return Ok(t);
        }
        self.built_in_class(name, &part)
    }

    fn is_struct_name(&self, id: &Arc<str>) -> bool {
        matches!(self.lookup(id), Some(Binding::Type(Type::Struct(_))))
            || self.p.structs.iter().any(|s| s.name == *id)
            || self.p.aliases.contains_key(id)
    }

    fn member_type(&mut self, id: u32, part: &Part, at: At) -> R<Type> {
        let def = self.structs[id as usize].def;
        let alias = self.p.structs[def].aliases.iter().find(|a| a.0 == part.id).map(|a| a.1.clone());
        match alias {
            Some(t) => self.in_struct(id, |s| s.ty(&t, at)),
            None if self.p.structs.iter().any(|s| s.name == part.id) => self.instantiate(part, at),
            None => match self.enum_type(&part.id, Some(def), at)? {
                Some(t) => Ok(t),
                None => Err(self.err("U003", at, format!("no type `{}` in this struct", part.id))),
            },
        }
    }

    /// Runs with the names of a struct's template arguments.
    pub fn in_struct<T>(&mut self, id: u32, f: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        let env = self.type_env(id);
        self.scopes.push(env);
        let done = f(self);
        self.scopes.pop();
        done
    }

    /// The function a template argument names.
    pub fn function_argument(&self, a: &TemplateArg) -> Option<Arc<str>> {
        let n = match a {
            TemplateArg::Type(TypeExpr::Named(n)) | TemplateArg::Value(Expr { kind: ExprKind::Name(n), .. }) => n,
            TemplateArg::Value(Expr { kind: ExprKind::Unary("&", e), .. }) => match &e.kind {
                ExprKind::Name(n) => n,
                _ => return None,
            },
            _ => return None,
        };
        let id = &n.last().id;
        if let Some(Binding::Place(Place::Value(Tv { t: Type::Callable(f), .. }))) = self.lookup(id) {
            return Some(f.clone());
        }
        self.p.functions.iter().any(|f| f.name == *id).then(|| id.clone())
    }

    /// A template argument as an integer.
    pub fn template_int(&mut self, a: &TemplateArg, at: At) -> R<i128> {
        match a {
            TemplateArg::Value(e) => self.constant(e),
            TemplateArg::Type(TypeExpr::Named(n)) => {
                let e = Expr { kind: ExprKind::Name(n.clone()), at };
                self.constant(&e)
            }
            _ => Err(self.err("U004", at, "a value is needed here, not a type")),
        }
    }

    pub fn template_type(&mut self, a: &TemplateArg, at: At) -> R<Type> {
        match a {
            TemplateArg::Type(t) => self.ty(t, at),
            TemplateArg::Value(Expr { kind: ExprKind::Name(n), .. }) => self.named_type(n),
            TemplateArg::Value(_) => Err(self.err("U004", at, "a type is needed here, not a value")),
        }
    }

    /// Template parameters bound to arguments and defaults; and a key for the instance.
    pub fn bind_template(&mut self, params: &[TemplateParam], args: &[TemplateArg], at: At) -> R<(Env, String)> {
        let (mut env, mut key) = (Env::new(), String::new());
        for (i, p) in params.iter().enumerate() {
            if p.pack {
                let mut pack = Vec::new();
                for a in args.iter().skip(i) {
                    pack.push(self.template_binding(p, a, at)?);
                }
                key.push_str(&format!("{pack:?},"));
                env.insert(p.name.clone(), Binding::Pack(pack));
                continue;
            }
            let binding = match (args.get(i), &p.default) {
                (Some(a), _) => self.template_binding(p, a, at)?,
                (None, Some(d)) => {
                    self.scopes.push(env.clone());
                    let b = self.template_binding(p, &d.clone(), at);
                    self.scopes.pop();
                    b?
                }
                (None, None) => {
                    return Err(self.err("U007", at, format!("template parameter `{}` needs an argument", p.name)));
                }
            };
            key.push_str(&format!("{binding:?},"));
            env.insert(p.name.clone(), binding);
        }
        Ok((env, key))
    }

    fn template_binding(&mut self, p: &TemplateParam, a: &TemplateArg, at: At) -> R<Binding> {
        match &p.value {
            None => Ok(Binding::Type(self.template_type(a, at)?)),
            Some(t) => {
                if let Some(f) = self.function_argument(a) {
                    return Ok(Binding::Place(Place::Value(Tv { v: value::Val::Opaque, t: Type::Callable(f) })));
                }
                let n = self.template_int(a, at)?;
                let t = self.ty(t, at).ok().and_then(|t| t.scalar()).unwrap_or(Scalar::Int);
                Ok(Binding::Place(Place::Value(Tv::int(n, t))))
            }
        }
    }
}

/// `std::true_type`.
pub(super) const TRUE: Type = Type::Functor("true_type");
/// `std::false_type`.
pub(super) const FALSE: Type = Type::Functor("false_type");

fn truth_type(yes: bool) -> Type {
    if yes { TRUE } else { FALSE }
}
