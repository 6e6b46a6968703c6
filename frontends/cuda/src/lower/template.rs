//! Types as written become types: aliases, template arguments, struct instances; and template arguments are deduced from calls.

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

    fn built_in_class(&mut self, name: &Name, part: &Part) -> R<Type> {
        let at = name.at;
        let args = part.args.clone().unwrap_or_default();
        Ok(match &*part.id {
            "thread_block" => Type::Group(Group::Block),
            "grid_group" => Type::Group(Group::Grid),
            "coalesced_group" => Type::Group(Group::Coalesced),
            "thread_group" => Type::Group(Group::Block),
            "thread_block_tile" => {
                let n = match args.first() {
                    Some(a) => self.template_int(a, at)?,
                    None => 32,
                };
                Type::Group(Group::Tile(u32::try_from(n).unwrap_or(32)))
            }
            "cudaTextureObject_t" | "cudaSurfaceObject_t" => Type::Texture,
            "plus" => Type::Functor("plus"),
            "less" => Type::Functor("less"),
            "greater" => Type::Functor("greater"),
            "bit_and" => Type::Functor("bit_and"),
            "bit_or" => Type::Functor("bit_or"),
            "bit_xor" => Type::Functor("bit_xor"),
            "multiplies" => Type::Functor("multiplies"),
            "conditional_t" | "conditional" if args.len() == 3 => {
                let yes = self.template_int(&args[0], at)? != 0;
                return self.template_type(if yes { &args[1] } else { &args[2] }, at);
            }
            "enable_if_t" | "enable_if" if !args.is_empty() => {
                if self.template_int(&args[0], at)? == 0 {
                    return Err(self.err("U004", at, "no `enable_if` type: its condition is false"));
                }
                match args.get(1) {
                    Some(a) => return self.template_type(a, at),
                    None => Type::Void,
                }
            }
            // Constness and references are not kept.
            "remove_reference_t" | "remove_cv_t" | "decay_t" | "remove_reference" | "remove_cv" | "remove_const"
            | "remove_const_t" | "decay"
                if args.len() == 1 =>
            {
                return self.template_type(&args[0], at);
            }
            "true_type" => TRUE,
            "false_type" => FALSE,
            "bool_constant" if args.len() == 1 => truth_type(self.template_int(&args[0], at)? != 0),
            "integral_constant" if matches!(args[..], [TemplateArg::Type(TypeExpr::Scalar(Scalar::Bool)), _]) => {
                truth_type(self.template_int(&args[1], at)? != 0)
            }
            id if super::traits::known(id) => truth_type(self.type_trait(id, &args, at)?),
            "fragment" if args.len() >= 5 => {
                let word = |a: &TemplateArg| match a {
                    TemplateArg::Type(TypeExpr::Named(n)) => n.last().id.to_string(),
                    TemplateArg::Value(Expr { kind: ExprKind::Name(n), .. }) => n.last().id.to_string(),
                    _ => String::new(),
                };
                let part = match &*word(&args[0]) {
                    "matrix_a" => Use::A,
                    "matrix_b" => Use::B,
                    _ => Use::Accumulator,
                };
                let mut shape = [0u32; 3];
                for (n, a) in shape.iter_mut().zip(&args[1..4]) {
                    *n = u32::try_from(self.template_int(a, at)?).ok().filter(|n| (1..=64).contains(n)).unwrap_or(16);
                }
                let elem = self.template_type(&args[4], at)?;
                let Some(s) = elem.scalar() else { return Err(self.err("U004", at, "a fragment holds numbers")) };
                let rows = args.get(5).is_none_or(|a| word(a) == "row_major");
                Type::Fragment(part, s, shape, rows)
            }
            "nullptr_t" => Type::Null,
            "layout_t" => Type::Void,
            "integral_constant" => {
                return Err(self.refuse(
                    at,
                    "std::integral_constant of a number",
                    "pass the number as a template argument",
                ));
            }
            id => {
                let what = format!("`{id}`");
                return Err(match id {
                    "clock_t" => {
                        self.refuse(at, "the device clock", "WGSL has no clock: time whole kernels from the host")
                    }
                    "texture" | "surface" => self.refuse(
                        at,
                        "a texture or surface reference",
                        "CUDA 12 has none either: pass a cudaTextureObject_t to the kernel",
                    ),
                    _ if id.starts_with("curand") => self.refuse(
                        at,
                        format!("the random generator {what}"),
                        "write the generator into the kernel, for example Philox or xorshift",
                    ),
                    "grid_group" | "multi_grid_group" | "cluster_group" => self.refuse(
                        at,
                        what,
                        "workgroups of WebGPU do not run together: split the kernel where it waits",
                    ),
                    "barrier" | "pipeline" => {
                        self.refuse(at, format!("asynchronous {what}"), "use __syncthreads and plain copies")
                    }
                    _ => self.err("U003", at, format!("{what} is not a known type")),
                });
            }
        })
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

    /// A struct with template arguments.
    fn instantiate(&mut self, part: &Part, at: At) -> R<Type> {
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
    fn any_argument(&mut self, a: &TemplateArg, at: At) -> R<Binding> {
        match self.template_type(a, at) {
            Ok(t) => Ok(Binding::Type(t)),
            Err(Fail::Retry) => Err(Fail::Retry),
            Err(_) => self.template_int(a, at).map(|n| Binding::Place(Place::Value(Tv::int(n, Scalar::LongLong)))),
        }
    }

    /// The specialisation that fits the arguments, with what its own parameters are; of several the most special one.
    fn special_struct(&mut self, list: &[usize], actual: &[Binding], name: &str, at: At) -> R<Option<(usize, Env)>> {
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

    fn struct_instance(&mut self, def: usize, env: Env, key: String, at: At) -> R<Type> {
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

    fn lay_out(&mut self, id: u32, def: usize, s: &Struct, at: At) -> R<()> {
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

    /// Matches a parameter's type with an argument's, binding template parameters.
    pub fn deduce(&mut self, pattern: &TypeExpr, actual: &Type, params: &[TemplateParam], env: &mut Env) {
        match (pattern, actual) {
            (TypeExpr::Named(n), t) if n.parts.len() == 1 && n.last().args.is_none() => {
                let id = &n.last().id;
                if params.iter().any(|p| p.name == *id && p.value.is_none()) && !env.contains_key(id) {
                    env.insert(id.clone(), Binding::Type(t.clone()));
                }
            }
            (TypeExpr::Named(n), Type::Group(Group::Tile(size))) => {
                if let Some(
                    TemplateArg::Type(TypeExpr::Named(a)) | TemplateArg::Value(Expr { kind: ExprKind::Name(a), .. }),
                ) = n.last().args.as_ref().and_then(|a| a.first())
                {
                    let id = a.last().id.clone();
                    if params.iter().any(|p| p.name == id) {
                        env.entry(id).or_insert(Binding::Place(Place::Value(Tv::int(*size as i128, Scalar::Int))));
                    }
                }
            }
            (TypeExpr::Named(n), Type::Struct(id)) => {
                let inst = &self.structs[*id as usize];
                let def = &self.p.structs[inst.def];
                if def.name != n.last().id && !self.p.aliases.contains_key(&n.last().id) {
                    return;
                }
                let bound: Vec<Option<Binding>> = def.template.iter().map(|p| inst.env.get(&p.name).cloned()).collect();
                for (a, b) in n.last().args.iter().flatten().zip(bound) {
                    match (a, b) {
                        (TemplateArg::Type(t), Some(Binding::Type(actual))) => {
                            let t = t.clone();
                            self.deduce(&t, &actual, params, env);
                        }
                        (
                            TemplateArg::Type(TypeExpr::Named(x))
                            | TemplateArg::Value(Expr { kind: ExprKind::Name(x), .. }),
                            Some(b),
                        ) => {
                            let id = x.last().id.clone();
                            if params.iter().any(|p| p.name == id) {
                                env.entry(id).or_insert(b);
                            }
                        }
                        _ => {}
                    }
                }
            }
            (TypeExpr::Pointer(p, ..), Type::Pointer(t)) => self.deduce(p, t, params, env),
            (TypeExpr::Pointer(p, ..), Type::Array(t, _)) => self.deduce(p, t, params, env),
            (TypeExpr::Array(p, None), Type::Pointer(t) | Type::Array(t, _)) => self.deduce(p, t, params, env),
            (TypeExpr::Array(p, Some(n)), Type::Array(t, len)) => {
                if let ExprKind::Name(name) = &n.kind {
                    let id = name.last().id.clone();
                    if params.iter().any(|p| p.name == id) {
                        env.entry(id).or_insert(Binding::Place(Place::Value(Tv::int(*len as i128, Scalar::ULong))));
                    }
                }
                self.deduce(p, t, params, env);
            }
            (TypeExpr::Array(p, Some(_)), Type::Pointer(t)) => self.deduce(p, t, params, env),
            (TypeExpr::Reference(p, _), t) => self.deduce(p, t, params, env),
            _ => {}
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
