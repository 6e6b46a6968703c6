//! Which candidates take the arguments of a call, and what their conversions cost.

use super::*;

impl Lowerer<'_> {
    /// Whether a call may mean this function, and with which template arguments and conversions.
    pub(super) fn applicable(
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
    pub(super) fn default_argument(&mut self, p: &TemplateParam, d: &TemplateArg, at: At) -> R<Binding> {
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

    pub(super) fn conversion_cost(&self, a: &Operand, to: &Type, reference: bool) -> Option<u32> {
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
