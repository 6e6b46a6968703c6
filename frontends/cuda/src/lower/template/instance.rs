//! Structs with their template arguments: which specialisation, and where its fields lie.

use super::*;

impl Lowerer<'_> {
    /// A struct with template arguments.
    pub(super) fn instantiate(&mut self, part: &Part, at: At) -> R<Type> {
        let args = part.args.clone().unwrap_or_default();
        let (mut primary, mut special) = (None, Vec::new());
        for (i, s) in self.p.structs.iter().enumerate().filter(|(_, s)| s.name == part.id) {
            match &s.special {
                None if primary.is_none_or(|p: usize| {
                    self.p.structs[p].fields.is_empty() && self.p.structs[p].methods.is_empty()
                }) =>
                {
                    primary = Some(i)
                }
                None => {}
                Some(_) => special.push(i),
            }
        }
        let params = primary.map(|i| self.p.structs[i].template.clone()).unwrap_or_default();
        let bound = match (primary, params.is_empty()) {
            (Some(_), false) => Some(self.bind_template(&params, &args, at)?),
            _ => None,
        };
        if !special.is_empty() {
            // Arguments as far as they are given, then the defaults of the template.
            let mut actual = Vec::new();
            match &bound {
                Some((env, _)) => {
                    for p in &params {
                        match env.get(&p.name) {
                            Some(Binding::Pack(list)) => actual.extend(list.iter().cloned()),
                            Some(b) => actual.push(b.clone()),
                            None => {}
                        }
                    }
                }
                None => {
                    for a in &args {
                        actual.push(self.any_argument(a, at)?);
                    }
                }
            }
            if let Some((i, env)) = self.special_struct(&special, &actual, &part.id, at)? {
                let key = format!("{i}:{env:?}");
                return self.struct_instance(i, env, key, at);
            }
        }
        let Some(i) = primary else {
            return Err(self.err("U003", at, format!("`{}` has no definition for these arguments", part.id)));
        };
        let (env, key) = match bound {
            Some(bound) => bound,
            None => self.bind_template(&params, &args, at)?,
        };
        self.struct_instance(i, env, format!("{i}:{key}"), at)
    }

    /// A template argument whose parameter is not known: a type where it is one, else a number.
    pub(super) fn any_argument(&mut self, a: &TemplateArg, at: At) -> R<Binding> {
        match self.template_type(a, at) {
            Ok(t) => Ok(Binding::Type(t)),
            Err(Fail::Retry) => Err(Fail::Retry),
            Err(_) => self.template_int(a, at).map(|n| Binding::Place(Place::Value(Tv::int(n, Scalar::LongLong)))),
        }
    }

    /// The specialisation that fits the arguments, with what its own parameters are; of several the most special one.
    pub(super) fn special_struct(
        &mut self,
        list: &[usize],
        actual: &[Binding],
        name: &str,
        at: At,
    ) -> R<Option<(usize, Env)>> {
        let mut best: Option<(u32, usize, Env)> = None;
        let mut tie = false;
        for i in list.iter().copied() {
            let s = &self.p.structs[i];
            let (template, patterns) = (s.template.clone(), s.special.clone().unwrap_or_default());
            if patterns.len() != actual.len() {
                continue;
            }
            let mut env = Env::new();
            for (pattern, b) in patterns.iter().zip(actual) {
                match (pattern, b) {
                    (TemplateArg::Type(t), Binding::Type(actual)) => self.deduce(t, actual, &template, &mut env),
                    (
                        TemplateArg::Type(TypeExpr::Named(n))
                        | TemplateArg::Value(Expr { kind: ExprKind::Name(n), .. }),
                        b,
                    ) if template.iter().any(|p| p.name == n.last().id) => {
                        env.entry(n.last().id.clone()).or_insert(b.clone());
                    }
                    _ => {}
                }
            }
            if template.iter().any(|p| !env.contains_key(&p.name)) {
                continue;
            }
            // The pattern with these parameters must be the arguments.
            self.scopes.push(env.clone());
            let mut same = true;
            for (pattern, b) in patterns.iter().zip(actual) {
                let fits = match b {
                    Binding::Type(t) => self.template_type(pattern, at).map(|p| p == *t),
                    Binding::Place(Place::Value(tv)) => self.template_int(pattern, at).map(|n| tv.known() == Some(n)),
                    _ => Ok(false),
                };
                match fits {
                    Err(Fail::Retry) => {
                        self.scopes.pop();
                        return Err(Fail::Retry);
                    }
                    fits => same &= fits.unwrap_or(false),
                }
            }
            self.scopes.pop();
            if !same {
                continue;
            }
            let rank = patterns.iter().map(|a| super::overload::specific_argument(a, &template)).sum::<u32>();
            match best.as_ref().map(|b| b.0) {
                Some(old) if old > rank => {}
                Some(old) if old == rank => tie = true,
                _ => (best, tie) = (Some((rank, i, env)), false),
            }
        }
        if tie {
            return Err(self.err(
                "U004",
                at,
                format!("`{name}` is ambiguous: two specialisations fit these arguments"),
            ));
        }
        Ok(best.map(|(_, i, env)| (i, env)))
    }

    pub(super) fn struct_instance(&mut self, def: usize, env: Env, key: String, at: At) -> R<Type> {
        if let Some(id) = self.struct_keys.get(&key) {
            return Ok(Type::Struct(*id));
        }
        if self.structs.len() > 2000 || self.depth > MOST_CALLS {
            return Err(self.err("U006", at, "templates are instantiated without end"));
        }
        let id = self.structs.len() as u32;
        self.structs.push(StructInst {
            def,
            env: env.clone(),
            fields: Vec::new(),
            bases: Vec::new(),
            size: 1,
            align: 1,
        });
        self.struct_keys.insert(key, id);
        let s = self.p.structs[def].clone();
        self.scopes.push(env);
        self.depth += 1;
        let done = self.lay_out(id, def, &s, at);
        self.depth -= 1;
        self.scopes.pop();
        done?;
        Ok(Type::Struct(id))
    }

    pub(super) fn lay_out(&mut self, id: u32, def: usize, s: &Struct, at: At) -> R<()> {
        let (mut fields, mut end, mut align) = (Vec::new(), 0u32, 1u32);
        for base in &s.bases {
            if let Type::Struct(b) = self.ty(base, at)? {
                self.structs[id as usize].bases.push(b);
                let inst = &self.structs[b as usize];
                fields.extend(inst.fields.clone());
                end = inst.size.max(end);
                align = align.max(inst.align);
                if inst.fields.is_empty() {
                    end = 0;
                }
            }
        }
        // Static constants may be sizes of arrays.
        self.frames.push(self.struct_frame(id, &s.name));
        for (i, var) in s.fields.iter().enumerate() {
            let ty = match self.ty(&var.ty, var.at) {
                Ok(t) => t,
                Err(e) => {
                    self.frames.pop();
                    return Err(e);
                }
            };
            let (size, mut a) = self.size_align(&ty);
            if let Some(e) = &var.align {
                a = a.max(u32::try_from(self.constant(e)?).unwrap_or(a));
            }
            let offset = if s.union { 0 } else { end.next_multiple_of(a.max(1)) };
            end = if s.union { end.max(size) } else { offset + size };
            align = align.max(a);
            if var.name.starts_with("unnamed")
                && let Type::Struct(inner) = ty
            {
                let inner: Vec<Field> = self.structs[inner as usize].fields.clone();
                let union = self.p.structs.iter().any(|s| s.name == var.name && s.union);
                if union {
                    self.frames.pop();
                    return Err(self.refuse(var.at, "an unnamed union", "give it a name"));
                }
                fields.extend(inner.into_iter().map(|f| Field { offset: f.offset + offset, ..f }));
                continue;
            }
            fields.push(Field { name: var.name.clone(), ty, offset, from: (def, i) });
        }
        self.frames.pop();
        if let Some(e) = &s.align {
            let n = self.constant(e)?;
            align = align.max(u32::try_from(n).unwrap_or(align));
        }
        let inst = &mut self.structs[id as usize];
        inst.fields = fields;
        inst.align = align;
        inst.size = end.max(1).next_multiple_of(align);
        Ok(())
    }
}
