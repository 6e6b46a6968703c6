//! Which function a call means: candidates by name, template arguments by deduction, the best by the conversions it needs.

use super::call::Operand;
use super::template::Env;
use super::value::{Binding, Place, Tv, Val};
use super::*;
use crate::ast::*;

/// A function with the template arguments and parameter types of one call.
pub(super) struct Choice {
    pub function: usize,
    pub env: Env,
    pub params: Vec<Type>,
    /// Default values of the parameters, from the definition or a declaration before it.
    pub defaults: Vec<Option<Expr>>,
    /// What the conversions of the arguments cost.
    cost: u32,
}

impl Lowerer<'_> {
    /// Calls a function by name; `None` when there is none.
    pub fn call_named(
        &mut self,
        name: &str,
        explicit: Option<&[TemplateArg]>,
        args: &[Operand],
        this: Option<(Place, u32)>,
        at: At,
    ) -> R<Option<Operand>> {
        let all: Vec<(usize, Option<u32>)> = match &this {
            Some((_, id)) => self.methods_of(*id, name).into_iter().map(|(f, owner)| (f, Some(owner))).collect(),
            None => (0..self.p.functions.len())
                .filter(|i| {
                    let f = &self.p.functions[*i];
                    &*f.name == name && f.member_of.is_none()
                })
                .map(|f| (f, None))
                .collect(),
        };
        if all.is_empty() {
            return Ok(None);
        }
        let alone =
            |f: &Function| f.special.is_some() && f.member_of.is_some_and(|s| !self.p.structs[s].template.is_empty());
        if all.iter().any(|(f, _)| alone(&self.p.functions[*f])) {
            return Err(self.refuse(
                at,
                format!("`{name}`, a member function that is specialised without its struct"),
                "specialise the whole struct",
            ));
        }
        // A declaration stands for the definition with the same parameters.
        let candidates: Vec<(usize, Option<u32>)> = all
            .iter()
            .copied()
            .filter(|(f, owner)| {
                !self.p.functions[*f].body.is_empty()
                    || !all.iter().any(|(g, other)| {
                        !self.p.functions[*g].body.is_empty() && owner == other && self.same_parameters(*f, *g)
                    })
            })
            .collect();
        let mut best: Option<Choice> = None;
        let (mut why, mut rival) = (None, None);
        for (f, owner) in candidates {
            match self.applicable(f, &all, explicit, args, owner, at) {
                Ok(Some(c)) => match best.as_ref().map_or(std::cmp::Ordering::Less, |b| self.compare(&c, b)) {
                    std::cmp::Ordering::Less => (best, rival) = (Some(c), None),
                    std::cmp::Ordering::Equal => rival = Some(c.function),
                    std::cmp::Ordering::Greater => {}
                },
                Ok(None) => {}
                Err(Fail::Retry) => return Err(Fail::Retry),
                Err(e) => why = Some(e),
            }
        }
        let types = |l: &Self| args.iter().map(|a| l.type_name(a.ty())).collect::<Vec<_>>().join(", ");
        let Some(choice) = best else {
            if let Some(e) = why {
                return Err(e);
            }
            if this.is_none() && name.starts_with("operator") {
                return Ok(None);
            }
            return Err(self.err("U004", at, format!("no `{name}` takes ({})", types(self))));
        };
        if let Some(rival) = rival.filter(|r| !self.may_stand_for(choice.function, *r)) {
            let e = self.err("U004", at, format!("`{name}` of ({}) is ambiguous: two functions fit", types(self)));
            return Err(match e {
                Fail::Diag(d) => Fail::Diag(
                    d.at(&self.p.sources.loc(self.p.functions[choice.function].at), "this one")
                        .at(&self.p.sources.loc(self.p.functions[rival].at), "and this one")
                        .help("convert the arguments to the types of the one that is meant, or rename it"),
                ),
                retry => retry,
            });
        }
        let choice = self.specialised(choice, at)?;
        self.inline(choice, args, this, at).map(Some)
    }

    /// Calls a conversion operator: the one to `to`, or the only one.
    pub(super) fn converted(&mut self, tv: &Tv, to: Option<&Type>, at: At) -> R<Option<Tv>> {
        let Type::Struct(id) = tv.t else { return Ok(None) };
        let all = self.methods_of(id, "operator conversion");
        let mut made: Vec<(Type, Choice)> = Vec::new();
        for (f, owner) in all.iter().copied() {
            if self.p.functions[f].body.is_empty() {
                continue;
            }
            let Some(choice) = self.applicable(
                f,
                &all.iter().map(|m| (m.0, Some(m.1))).collect::<Vec<_>>(),
                None,
                &[],
                Some(owner),
                at,
            )?
            else {
                continue;
            };
            let ret = self.p.functions[f].ret.clone();
            self.scopes.push(choice.env.clone());
            let t = self.ty(&ret, at);
            self.scopes.pop();
            let t = t?;
            // The first of a const and a plain one, or of one that hides the base's.
            if made.iter().all(|m| m.0 != t) {
                made.push((t, choice));
            }
        }
        let exact = made.iter().position(|m| Some(&m.0) == to);
        let choice = match (exact, made.len()) {
            (_, 0) => return Ok(None),
            (Some(i), _) => made.swap_remove(i).1,
            (None, 1) => made.swap_remove(0).1,
            _ => {
                let name = self.type_name(&tv.t);
                return Err(self.err("U004", at, format!("the conversion of {name} is ambiguous: it has several")));
            }
        };
        let o = self.inline(choice, &[], Some((Place::Value(tv.clone()), id)), at)?;
        self.operand_value(&o, at).map(Some)
    }

    /// `Less` where the first is the better choice: fewer conversions, then the more special one.
    fn compare(&self, a: &Choice, b: &Choice) -> std::cmp::Ordering {
        let rank = |c: &Choice| {
            let f = &self.p.functions[c.function];
            let special: u32 = f.params.iter().map(|p| specific(&p.ty, &f.template)).sum();
            let host = f.role == Role::Host && f.member_of.is_none();
            (c.cost, f.params.iter().any(|p| p.pack), std::cmp::Reverse(special), host)
        };
        rank(a).cmp(&rank(b))
    }

    /// Whether two candidates as good as each other differ only in what is const, so that either will do.
    fn may_stand_for(&self, a: usize, b: usize) -> bool {
        let (f, g) = (&self.p.functions[a], &self.p.functions[b]);
        let kinds = |f: &Function| -> Vec<String> {
            f.params.iter().map(|p| self.shape(&p.ty, a, false, 0)).collect::<Vec<_>>()
        };
        match f.member_of {
            // A method and its const twin, or one that hides the base's.
            Some(_) => kinds(f) == kinds(g),
            None => kinds(f) == kinds(g) && !self.same_parameters(a, b),
        }
    }

    /// Whether two functions of one name are the same one, declared twice.
    fn same_parameters(&self, a: usize, b: usize) -> bool {
        let (f, g) = (&self.p.functions[a], &self.p.functions[b]);
        let shapes = |i: usize| -> Vec<String> {
            self.p.functions[i].params.iter().map(|p| self.shape(&p.ty, i, true, 0)).collect()
        };
        f.special.is_some() == g.special.is_some()
            && f.template.len().wrapping_sub(f.outer) == g.template.len().wrapping_sub(g.outer)
            && shapes(a) == shapes(b)
    }

    /// A type as written, with template parameters by position and aliases followed; `exact`: with what is const.
    fn shape(&self, t: &TypeExpr, function: usize, exact: bool, depth: u32) -> String {
        let again = |t: &TypeExpr| self.shape(t, function, exact, depth + 1);
        if depth > 40 {
            return String::new();
        }
        match t {
            TypeExpr::Void => "void".into(),
            TypeExpr::Auto => "auto".into(),
            TypeExpr::Scalar(s) => s.name().into(),
            TypeExpr::Pointer(t, constant, _) => format!("{}*{}", again(t), if exact && *constant { "c" } else { "" }),
            TypeExpr::Array(t, _) => format!("{}*", again(t)),
            TypeExpr::Reference(t, constant) if exact => format!("{}&{}", again(t), if *constant { "c" } else { "" }),
            TypeExpr::Reference(t, _) => again(t),
            TypeExpr::Decltype(_) => "decltype".into(),
            TypeExpr::Function => "function".into(),
            TypeExpr::Named(n) => self.name_shape(n, function, exact, depth),
        }
    }

    fn name_shape(&self, n: &Name, function: usize, exact: bool, depth: u32) -> String {
        let f = &self.p.functions[function];
        let part = n.last();
        let owner = f.member_of.map(|i| &self.p.structs[i]);
        let outer = owner.filter(|_| f.outer == 0).map(|s| &s.template[..]).unwrap_or_default();
        if n.parts.len() == 1 && part.args.is_none() {
            if let Some(i) = outer.iter().chain(&f.template).position(|p| p.name == part.id) {
                return format!("#{i}");
            }
            if let Some((params, t)) = self.p.aliases.get(&part.id).filter(|a| a.0.is_empty()) {
                let _ = params;
                return self.shape(t, function, exact, depth + 1);
            }
            if let Some(s) = crate::types::named_scalar(&part.id) {
                return s.name().into();
            }
        }
        if owner.is_some_and(|s| s.name == part.id) {
            return part.id.to_string();
        }
        let args: Vec<String> = part
            .args
            .iter()
            .flatten()
            .map(|a| match a {
                TemplateArg::Type(t) => self.shape(t, function, exact, depth + 1),
                TemplateArg::Value(Expr { kind: ExprKind::Int(n, _), .. }) => n.to_string(),
                TemplateArg::Value(Expr { kind: ExprKind::Name(n), .. }) => {
                    self.name_shape(n, function, exact, depth + 1)
                }
                TemplateArg::Value(_) => "value".into(),
            })
            .collect();
        if args.is_empty() { part.id.to_string() } else { format!("{}<{}>", part.id, args.join(",")) }
    }

    /// The explicit specialisation for the chosen template's arguments, where there is one.
    fn specialised(&mut self, mut choice: Choice, at: At) -> R<Choice> {
        let primary = &self.p.functions[choice.function];
        if primary.template.is_empty() {
            return Ok(choice);
        }
        let mut found: Option<usize> = None;
        for (i, f) in self.p.functions.iter().enumerate() {
            let Some(special) =
                f.special.as_ref().filter(|_| f.name == primary.name && f.member_of == primary.member_of)
            else {
                continue;
            };
            let (env, _) = self.bind_template(&primary.template, special, at)?;
            let same =
                |p: &TemplateParam| format!("{:?}", env.get(&p.name)) == format!("{:?}", choice.env.get(&p.name));
            if primary.template.iter().all(same) && found.is_none_or(|old| self.p.functions[old].body.is_empty()) {
                found = Some(i);
            }
        }
        choice.function = found.unwrap_or(choice.function);
        Ok(choice)
    }

    /// Methods of a struct and its bases by name, each with the struct it belongs to.
    fn methods_of(&self, id: u32, name: &str) -> Vec<(usize, u32)> {
        let mut out = Vec::new();
        let mut left = vec![id];
        while let Some(id) = left.pop() {
            let inst = &self.structs[id as usize];
            let own = self.p.structs[inst.def].methods.iter();
            out.extend(own.copied().filter(|m| &*self.p.functions[*m].name == name).map(|m| (m, id)));
            left.extend(&inst.bases);
            if out.len() > 4096 {
                break;
            }
        }
        out
    }

    /// Methods of a struct and its bases by name.
    pub fn methods(&self, id: u32, name: &str) -> Vec<usize> {
        self.methods_of(id, name).into_iter().map(|m| m.0).collect()
    }

    /// Default values of a function's parameters: its own, or those of a declaration of the same function.
    fn defaults(&self, index: usize, all: &[(usize, Option<u32>)]) -> Vec<Option<Expr>> {
        let f = &self.p.functions[index];
        let mut out: Vec<Option<Expr>> = f.params.iter().map(|p| p.default.clone()).collect();
        for (g, _) in all {
            let other = &self.p.functions[*g];
            if *g != index && other.body.is_empty() && self.same_parameters(index, *g) {
                for (d, p) in out.iter_mut().zip(&other.params) {
                    *d = d.take().or_else(|| p.default.clone());
                }
            }
        }
        out
    }

    /// Whether a call may mean this function, and with which template arguments and conversions.
    fn applicable(
        &mut self,
        index: usize,
        all: &[(usize, Option<u32>)],
        explicit: Option<&[TemplateArg]>,
        args: &[Operand],
        owner: Option<u32>,
        at: At,
    ) -> R<Option<Choice>> {
        let f = &self.p.functions[index];
        let pack = f.params.last().is_some_and(|p| p.pack);
        let defaults = self.defaults(index, all);
        let required = f.params.iter().zip(&defaults).filter(|(p, d)| d.is_none() && !p.pack).count();
        if args.len() < required || (args.len() > f.params.len() && !pack) || f.special.is_some() {
            return Ok(None);
        }
        let template = f.template.clone();
        let patterns: Vec<TypeExpr> = f.params.iter().map(|p| p.ty.clone()).collect();
        let mut env = Env::new();
        if let Some(id) = owner {
            env = self.type_env(id);
            // Outside of the struct its template's parameters may go by other names.
            let inner = self.p.structs[self.structs[id as usize].def].template.clone();
            for (ours, theirs) in template.iter().take(f.outer).zip(&inner) {
                if let Some(b) = env.get(&theirs.name).cloned() {
                    env.insert(ours.name.clone(), b);
                }
            }
        }
        for (p, a) in template[f.outer.min(template.len())..].iter().zip(explicit.unwrap_or_default()) {
            if p.pack {
                break;
            }
            let binding = match &p.value {
                None => match self.template_type(a, at) {
                    Ok(t) => Binding::Type(t),
                    Err(_) => return Ok(None),
                },
                Some(_) if self.function_argument(a).is_some() => {
                    let f = self.function_argument(a).unwrap_or_default();
                    Binding::Place(Place::Value(Tv { v: Val::Opaque, t: Type::Callable(f) }))
                }
                Some(t) => {
                    let n = self.template_int(a, at)?;
                    let t = self.ty(&t.clone(), at).ok().and_then(|t| t.scalar()).unwrap_or(Scalar::Int);
                    Binding::Place(Place::Value(Tv::int(n, t)))
                }
            };
            env.insert(p.name.clone(), binding);
        }
        let count = patterns.len() - pack as usize;
        for (pattern, a) in patterns[..count].iter().zip(args) {
            let by_reference = matches!(pattern, TypeExpr::Reference(..));
            let actual = if by_reference { a.ty().clone() } else { self.decayed(a) };
            self.deduce(pattern, &actual, &template, &mut env);
        }
        for p in &template {
            if env.contains_key(&p.name) && !p.name.is_empty() {
                continue;
            }
            if p.pack {
                let types = args.iter().skip(patterns.len().saturating_sub(1)).map(|a| Binding::Type(self.decayed(a)));
                let types = types.collect();
                env.insert(p.name.clone(), Binding::Pack(types));
                continue;
            }
            let Some(d) = &p.default else { return Ok(None) };
            self.scopes.push(env.clone());
            let bound = self.default_argument(p, d, at);
            self.scopes.pop();
            match bound {
                Ok(b) => {
                    env.insert(p.name.clone(), b);
                }
                Err(Fail::Retry) => return Err(Fail::Retry),
                // A default that has no meaning for these arguments removes the candidate.
                Err(_) => return Ok(None),
            }
        }
        let ret = f.ret.clone();
        self.scopes.push(env.clone());
        let mut params = Vec::new();
        let mut failed = None;
        for pattern in &patterns[..count] {
            match self.ty(pattern, at) {
                Ok(t) => params.push(match (pattern, t) {
                    // An array as a parameter is a pointer, whatever its length.
                    (TypeExpr::Array(..), Type::Array(e, _)) => Type::Pointer(e),
                    (_, t) => t,
                }),
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
        }
        // A result without a type removes a template too; what follows from the parameters' names is looked at later.
        let looked_at = !matches!(ret, TypeExpr::Auto | TypeExpr::Decltype(_));
        let result =
            if template.is_empty() || failed.is_some() || !looked_at { Ok(()) } else { self.ty(&ret, at).map(drop) };
        self.scopes.pop();
        match failed {
            Some(Fail::Retry) => return Err(Fail::Retry),
            Some(_) if !template.is_empty() => return Ok(None),
            Some(e) => return Err(e),
            None => result?,
        }
        let mut cost = (template.len() > f.outer) as u32;
        for ((t, a), pattern) in params.iter().zip(args).zip(&patterns) {
            let reference = matches!(pattern, TypeExpr::Reference(_, false));
            match self.conversion_cost(a, t, reference) {
                Some(c) => cost += c,
                None => return Ok(None),
            }
        }
        Ok(Some(Choice { function: index, env, params, defaults, cost }))
    }

    /// What a template's parameter is without an argument; for a value its type must have a meaning too.
    fn default_argument(&mut self, p: &TemplateParam, d: &TemplateArg, at: At) -> R<Binding> {
        match &p.value {
            None => self.template_type(d, at).map(Binding::Type),
            Some(t) => {
                let t = self.ty(t, at)?.scalar().unwrap_or(Scalar::Int);
                let null = matches!(d, TemplateArg::Value(Expr { kind: ExprKind::Null, .. }));
                let n = if null { 0 } else { self.template_int(d, at)? };
                Ok(Binding::Place(Place::Value(Tv::int(n, t))))
            }
        }
    }

    fn conversion_cost(&self, a: &Operand, to: &Type, reference: bool) -> Option<u32> {
        if let Operand::Braces(list) = a {
            return match to {
                Type::Struct(_) | Type::Vector(..) | Type::Array(..) => Some(3),
                _ => (list.len() < 2).then_some(5),
            };
        }
        let from = a.ty();
        if from == to {
            return Some(0);
        }
        if reference {
            return match (a, from, to) {
                (_, Type::Array(x, _), Type::Pointer(y)) if x == y => Some(0),
                (_, Type::Group(_), Type::Group(_)) | (_, Type::Callable(_) | Type::Lambda(_), Type::Callable(_)) => {
                    Some(2)
                }
                _ => None,
            };
        }
        Some(match (&self.decayed(a), to) {
            (x, y) if x == y => 0,
            (Type::Scalar(x), Type::Scalar(y)) => match (x.is_float(), y.is_float()) {
                _ if x.promote() == *y => 2,
                (true, true) if *x == Scalar::Float && *y == Scalar::Double => 2,
                // 16-bit floats convert to float, and from there to double.
                (true, true) if x.narrow_float() && *y == Scalar::Float => 3,
                (true, true) | (false, false) => 4,
                _ => 5,
            },
            (Type::Pointer(_), Type::Pointer(t)) if **t == Type::Void => 4,
            (Type::Null, Type::Pointer(_)) => 2,
            (Type::Scalar(s), Type::Pointer(_)) if s.is_int() => 40,
            (Type::Group(_), Type::Group(_)) | (Type::Callable(_) | Type::Lambda(_), Type::Callable(_)) => 2,
            (Type::Scalar(_), Type::Vector(Scalar::Half | Scalar::Bf16, 2)) => 40,
            (_, Type::Struct(id)) if !self.methods(*id, "constructor").is_empty() => 30,
            (Type::Struct(id), _) if !self.methods(*id, "operator conversion").is_empty() => 30,
            _ => return None,
        })
    }
}

/// How much a parameter's type says: of two templates that fit alike, the one that says more is meant.
pub(super) fn specific(t: &TypeExpr, template: &[TemplateParam]) -> u32 {
    match t {
        TypeExpr::Named(n) => {
            let part = n.last();
            if n.parts.len() == 1 && template.iter().any(|p| p.name == part.id) {
                return 0;
            }
            1 + part.args.iter().flatten().map(|a| specific_argument(a, template)).sum::<u32>()
        }
        TypeExpr::Pointer(t, ..) | TypeExpr::Array(t, _) => 1 + specific(t, template),
        TypeExpr::Reference(t, _) => specific(t, template),
        TypeExpr::Auto => 0,
        _ => 1,
    }
}

/// The same of a template argument.
pub(super) fn specific_argument(a: &TemplateArg, template: &[TemplateParam]) -> u32 {
    match a {
        TemplateArg::Type(t) => specific(t, template),
        TemplateArg::Value(Expr { kind: ExprKind::Name(n), .. }) if template.iter().any(|p| p.name == n.last().id) => 0,
        TemplateArg::Value(_) => 1,
    }
}
