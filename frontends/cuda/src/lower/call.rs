//! Calls of the program's functions: overloads are chosen, templates instantiated, bodies inlined.

use super::scan;
use super::template::Env;
use super::value::{Binding, Place, Tv, Val};
use super::*;
use crate::ast::*;

/// An argument as evaluated: a place where it is one.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Place(Place),
    Value(Tv),
    /// A list in braces: the parameter decides what it makes.
    Braces(Rc<Vec<Operand>>),
}

impl Operand {
    pub fn ty(&self) -> &Type {
        match self {
            Operand::Place(p) => p.ty(),
            Operand::Value(tv) => &tv.t,
            Operand::Braces(_) => &Type::Void,
        }
    }
}

struct Choice {
    function: usize,
    env: Env,
    params: Vec<Type>,
    cost: u32,
}

impl Lowerer<'_> {
    /// The operand's value; arrays become pointers.
    pub fn operand_value(&mut self, o: &Operand, at: At) -> R<Tv> {
        match o {
            Operand::Place(p) => self.rvalue(p, at),
            Operand::Value(tv) if matches!(tv.t, Type::Array(..)) => self.rvalue(&Place::Value(tv.clone()), at),
            Operand::Value(tv) => Ok(tv.clone()),
            Operand::Braces(_) => Err(self.err("U004", at, "a list in braces needs a type here")),
        }
    }

    /// The operand converted to a type.
    pub fn operand_as(&mut self, o: &Operand, t: &Type, at: At) -> R<Tv> {
        let Operand::Braces(items) = o else {
            let tv = self.operand_value(o, at)?;
            return self.convert(tv, t, at);
        };
        if let Type::Struct(id) = t {
            return self.construct(*id, items, at);
        }
        let parts = self.parts(t);
        if parts.is_empty() && items.len() == 1 {
            return self.operand_as(&items[0], t, at);
        }
        if items.len() > parts.len() {
            return Err(self.err("U004", at, format!("{} values for {} places", items.len(), parts.len())));
        }
        let mut out = Vec::new();
        for (i, (_, part)) in parts.iter().enumerate() {
            out.push(match items.get(i) {
                Some(o) => self.operand_as(o, part, at)?.v,
                None => self.zero(part, at)?,
            });
        }
        Ok(Tv { v: Val::Group(out), t: t.clone() })
    }

    /// The operand's type as a parameter sees it.
    fn decayed(&self, o: &Operand) -> Type {
        match o.ty() {
            Type::Array(t, _) => Type::Pointer(t.clone()),
            t => t.clone(),
        }
    }

    /// Calls a function by name; `None` when there is none.
    pub fn call_named(
        &mut self,
        name: &str,
        explicit: Option<&[TemplateArg]>,
        args: &[Operand],
        this: Option<(Place, u32)>,
        at: At,
    ) -> R<Option<Operand>> {
        let candidates: Vec<usize> = match &this {
            Some((_, id)) => self.methods(*id, name),
            None => (0..self.p.functions.len())
                .filter(|i| {
                    let f = &self.p.functions[*i];
                    &*f.name == name && f.member_of.is_none()
                })
                .collect(),
        };
        if candidates.is_empty() {
            return Ok(None);
        }
        let mut best: Option<Choice> = None;
        let mut why = None;
        for f in candidates.iter().copied() {
            match self.applicable(f, explicit, args, this.as_ref().map(|t| t.1), at) {
                Ok(Some(c)) if best.as_ref().is_none_or(|b| c.cost < b.cost) => best = Some(c),
                Ok(_) => {}
                Err(Fail::Retry) => return Err(Fail::Retry),
                Err(e) => why = Some(e),
            }
        }
        let Some(choice) = best else {
            if let Some(e) = why {
                return Err(e);
            }
            if this.is_none() && name.starts_with("operator") {
                return Ok(None);
            }
            let types: Vec<String> = args.iter().map(|a| self.type_name(a.ty())).collect();
            return Err(self.err("U004", at, format!("no `{name}` takes ({})", types.join(", "))));
        };
        let choice = self.specialised(choice, at)?;
        self.inline(choice, args, this, at).map(Some)
    }

    /// The explicit specialisation for the chosen template's arguments, where there is one.
    fn specialised(&mut self, mut choice: Choice, at: At) -> R<Choice> {
        let primary = &self.p.functions[choice.function];
        if primary.template.is_empty() {
            return Ok(choice);
        }
        for (i, f) in self.p.functions.iter().enumerate() {
            let Some(special) = f.special.as_ref().filter(|_| f.name == primary.name && f.member_of == primary.member_of)
            else {
                continue;
            };
            let (env, _) = self.bind_template(&primary.template, special, at)?;
            if primary.template.iter().all(|p| {
                format!("{:?}", env.get(&p.name)) == format!("{:?}", choice.env.get(&p.name))
            }) {
                choice.function = i;
                break;
            }
        }
        Ok(choice)
    }

    /// Methods of a struct and its bases by name.
    pub fn methods(&self, id: u32, name: &str) -> Vec<usize> {
        let mut out = Vec::new();
        let mut defs = vec![self.structs[id as usize].def];
        while let Some(d) = defs.pop() {
            let s = &self.p.structs[d];
            out.extend(s.methods.iter().copied().filter(|m| &*self.p.functions[*m].name == name));
            for b in &s.bases {
                if let TypeExpr::Named(n) = b {
                    defs.extend(self.p.structs.iter().position(|s| s.name == n.last().id));
                }
            }
            if defs.len() > 64 {
                break;
            }
        }
        out
    }

    fn applicable(
        &mut self,
        index: usize,
        explicit: Option<&[TemplateArg]>,
        args: &[Operand],
        owner: Option<u32>,
        at: At,
    ) -> R<Option<Choice>> {
        let f = &self.p.functions[index];
        let pack = f.params.last().is_some_and(|p| p.pack);
        let required = f.params.iter().filter(|p| p.default.is_none() && !p.pack).count();
        if args.len() < required || (args.len() > f.params.len() && !pack) || f.special.is_some() {
            return Ok(None);
        }
        let template = f.template.clone();
        let patterns: Vec<TypeExpr> = f.params.iter().map(|p| p.ty.clone()).collect();
        let mut env = Env::new();
        for (p, a) in template.iter().zip(explicit.unwrap_or_default()) {
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
        for (pattern, a) in patterns.iter().zip(args) {
            let by_reference = matches!(pattern, TypeExpr::Reference(..));
            let actual = if by_reference { a.ty().clone() } else { self.decayed(a) };
            self.deduce(pattern, &actual, &template, &mut env);
        }
        if let Some(id) = owner {
            for (k, v) in self.type_env(id) {
                env.entry(k).or_insert(v);
            }
        }
        for p in &template {
            if env.contains_key(&p.name) {
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
            let bound = match (&p.value, d) {
                (None, d) => self.template_type(d, at).map(Binding::Type),
                (Some(_), d) => self.template_int(d, at).map(|n| Binding::Place(Place::Value(Tv::int(n, Scalar::Int)))),
            };
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
        self.scopes.push(env.clone());
        let mut params = Vec::new();
        let mut failed = None;
        let count = patterns.len() - pack as usize;
        for pattern in patterns.iter().take(count) {
            match self.ty(pattern, at) {
                Ok(t) => params.push(t),
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
        }
        self.scopes.pop();
        match failed {
            Some(Fail::Retry) => return Err(Fail::Retry),
            Some(_) if !template.is_empty() => return Ok(None),
            Some(e) => return Err(e),
            None => {}
        }
        let mut cost = !template.is_empty() as u32;
        for ((t, a), pattern) in params.iter().zip(args).zip(&patterns) {
            let reference = matches!(pattern, TypeExpr::Reference(_, false));
            match self.conversion_cost(a, t, reference) {
                Some(c) => cost += c,
                None => return Ok(None),
            }
        }
        Ok(Some(Choice { function: index, env, params, cost }))
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

    fn inline(&mut self, choice: Choice, args: &[Operand], this: Option<(Place, u32)>, at: At) -> R<Operand> {
        let f = &self.p.functions[choice.function];
        // A declaration stands for the definition elsewhere in the file.
        let f = match f.body.is_empty() {
            true => {
                let same = |g: &&Function| {
                    g.name == f.name
                        && !g.body.is_empty()
                        && g.params.len() == f.params.len()
                        && g.member_of == f.member_of
                };
                match self.p.functions.iter().find(same) {
                    Some(g) => g,
                    None => return Err(self.err("U003", at, format!("`{}` is declared but has no body here", f.name))),
                }
            }
            false => f,
        };
        match f.role {
            Role::Kernel => {
                return Err(self.refuse(
                    at,
                    format!("kernel `{}` is called from device code", f.name),
                    "move its body into a __device__ function",
                ));
            }
            Role::Host if f.member_of.is_none() => {
                return Err(match self.err("U004", at, format!("`{}` is a host function", f.name)) {
                    Fail::Diag(d) => Fail::Diag(d.help("mark it __device__")),
                    retry => retry,
                });
            }
            _ => {}
        }
        let body = match f.parsed.get() {
            Some(Ok(body)) => body.clone(),
            Some(Err(d)) => return Err(Fail::Diag(d.clone())),
            None => return Err(self.err("U003", at, format!("`{}` has no body", f.name))),
        };
        let key: Arc<str> = format!("{}#{}#{:?}", f.name, choice.function, choice.env).into();
        if self.instances.contains(&*key) && self.depth > 60 || self.depth >= MOST_CALLS {
            return Err(self.refuse(
                at,
                format!("`{}` calls itself", f.name),
                "WGSL has no recursion: write it as a loop, with a stack of its own where needed",
            ));
        }
        if self.instances.contains(&*key) && self.instances.len() > 40 {
            return Err(self.refuse(
                at,
                format!("`{}` calls itself", f.name),
                "WGSL has no recursion: write it as a loop",
            ));
        }
        let fresh = self.instances.insert(key.to_string());
        if !fresh {
            return Err(self.refuse(
                at,
                format!("`{}` calls itself", f.name),
                "WGSL has no recursion: write it as a loop, with a stack of its own where needed",
            ));
        }
        let caller = std::mem::replace(&mut self.scopes, vec![choice.env.clone(), Env::new()]);
        self.depth += 1;
        let plain = self.plain;
        let done = self.inline_body(f, &body, &choice, args, this, caller, at);
        self.plain = plain;
        self.depth -= 1;
        self.instances.remove(&*key);
        done
    }

    #[allow(clippy::too_many_arguments, reason = "the pieces of a call")]
    fn inline_body(
        &mut self,
        f: &Function,
        body: &Arc<Body>,
        choice: &Choice,
        args: &[Operand],
        this: Option<(Place, u32)>,
        caller: Vec<Env>,
        at: At,
    ) -> R<Operand> {
        let mut changed = scan::Changed::default();
        self.assigned(&body.block, &mut changed);
        let frame = Frame {
            ret: Type::Void,
            result: None,
            done: None,
            masks: self.masks.len(),
            loops: Vec::new(),
            leaves: false,
            collective: self.collective(&body.block),
            this: this.as_ref().map(|t| t.0.clone()),
            owner: this.as_ref().map(|t| t.1),
            name: f.name.clone(),
        };
        self.frames.push(frame);
        let outer = std::mem::replace(&mut self.changed, changed.clone());
        let done = (|s: &mut Self| -> R<Operand> {
            for (i, p) in f.params.iter().enumerate() {
                if p.pack {
                    let rest: Vec<Binding> = args
                        .iter()
                        .skip(i)
                        .map(|a| match a {
                            Operand::Place(p) => Binding::Place(p.clone()),
                            Operand::Value(tv) => Binding::Place(Place::Value(tv.clone())),
                            Operand::Braces(_) => Binding::Place(Place::Value(Tv::void())),
                        })
                        .collect();
                    s.bind(&p.name, Binding::Pack(rest));
                    break;
                }
                let reference = matches!(p.ty, TypeExpr::Reference(..));
                let binding = match (args.get(i), &p.default) {
                    (Some(Operand::Place(place)), _)
                        if reference
                            && (*place.ty() == choice.params[i]
                                || matches!(place.ty(), Type::Array(..) | Type::Group(_))) =>
                    {
                        Binding::Place(place.clone())
                    }
                    (Some(a), _) => {
                        let tv = s.operand_as(a, &choice.params[i], at)?;
                        s.parameter(tv, &p.name, reference || !changed.contains(&p.name, &choice.params[i]), p.at)?
                    }
                    (None, Some(e)) => {
                        let e = e.clone();
                        let tv = s.initial(&e, &choice.params[i])?;
                        {
                            let fixed = !changed.contains(&p.name, &tv.t);
                            s.parameter(tv, &p.name, fixed, p.at)?
                        }
                    }
                    (None, None) => return Err(s.err("U004", at, "an argument is missing")),
                };
                s.bind(&p.name, binding);
            }
            for (name, args) in &body.inits {
                s.member_init(name, args, at)?;
            }
            s.body(f, body, at)
        })(self);
        self.changed = outer;
        self.frames.pop();
        self.scopes = caller;
        done
    }

    /// A parameter taken by value.
    pub fn parameter(&mut self, tv: Tv, name: &str, unchanged: bool, at: At) -> R<Binding> {
        if unchanged {
            let simple = matches!(
                tv.t,
                Type::Scalar(_)
                    | Type::Pointer(_)
                    | Type::Group(_)
                    | Type::Lambda(_)
                    | Type::Functor(_)
                    | Type::Vector(..)
                    | Type::Struct(_)
                    | Type::Null
                    | Type::Texture
                    | Type::Callable(_)
                    | Type::Void
            );
            if simple && !self.choices.memory.contains(&at) {
                return Ok(Binding::Place(Place::Value(tv)));
            }
        }
        let place = self.variable(name, &tv.t.clone(), at)?;
        self.initialise(&place, &tv.v, at)?;
        Ok(Binding::Place(place))
    }

    /// The body of a function whose parameters are bound.
    fn body(&mut self, f: &Function, body: &Arc<Body>, at: At) -> R<Operand> {
        let StmtKind::Block(list) = &body.block.kind else { return Ok(Operand::Value(Tv::void())) };
        let reference = matches!(f.ret, TypeExpr::Reference(..));
        // One return at the end: its expression is the call.
        if let Some((Stmt { kind: StmtKind::Return(Some(e)), at: here }, rest)) = list.split_last()
            && !rest.iter().any(scan::returns)
        {
            self.scopes.push(Env::new());
            self.stmts(rest)?;
            self.loc(*here);
            if reference {
                let o = self.operand(e)?;
                return Ok(o);
            }
            let tv = match (&f.ret, &e.kind) {
                (TypeExpr::Auto, _) => self.value(e)?,
                (ret, _) => {
                    let ret = self.ty(&ret.clone(), f.at)?;
                    self.initial(e, &ret)?
                }
            };
            return Ok(Operand::Value(tv));
        }
        let ret = match &f.ret {
            TypeExpr::Auto => {
                if list.iter().any(scan::returns_value) {
                    return Err(self.refuse(at, "`auto` of several returns", "write the result's type"));
                }
                Type::Void
            }
            t => self.ty(&t.clone(), f.at)?,
        };
        self.many_returns(&f.name, ret, list, f.at)
    }

    /// A body with returns in several places: the result is a variable.
    pub fn many_returns(&mut self, name: &str, ret: Type, list: &[Stmt], at: At) -> R<Operand> {
        let result = if ret == Type::Void { None } else { Some(self.variable(name, &ret, at)?) };
        let block = Stmt { kind: StmtKind::Block(list.to_vec()), at };
        let flag = scan::needs_flag(&block);
        let done = if flag {
            let local = self.new_local("done", Ty::scalar(girih_base::DType::Bool), None);
            let no = self.b.constant(girih_simt::Literal::Int(0), Ty::scalar(girih_base::DType::Bool));
            self.b.set(local, no);
            Some(local)
        } else {
            None
        };
        let frame = self.frame();
        (frame.ret, frame.result, frame.done) = (ret, result.clone(), done);
        let masked = self.guarded() && scan::returns(&block);
        if masked {
            self.push_mask_copy();
        }
        self.scopes.push(Env::new());
        self.stmts(list)?;
        let depth = self.frame().masks;
        self.masks.truncate(depth);
        match result {
            Some(place) => {
                let tv = self.load(&place, at)?;
                Ok(Operand::Value(tv))
            }
            None => Ok(Operand::Value(Tv::void())),
        }
    }

    /// Calls a lambda.
    pub fn call_lambda(&mut self, index: u32, args: &[Operand], at: At) -> R<Operand> {
        let Some(closure) = self.closures.get(index as usize).cloned() else {
            return Err(self.err("U004", at, "this is no lambda"));
        };
        if self.depth >= MOST_CALLS {
            return Err(self.err("U006", at, "lambdas are called too deep"));
        }
        let lambda = closure.lambda.clone();
        if lambda.params.len() < args.len() {
            return Err(self.err("U004", at, format!("this lambda takes {} arguments", lambda.params.len())));
        }
        let mut scopes = closure.scopes.clone();
        scopes.push(Env::new());
        let caller = std::mem::replace(&mut self.scopes, scopes);
        let (this, owner) = (self.frames.last().and_then(|f| f.this.clone()), self.frames.last().and_then(|f| f.owner));
        self.frames.push(Frame {
            ret: Type::Void,
            result: None,
            done: None,
            masks: self.masks.len(),
            loops: Vec::new(),
            leaves: false,
            collective: self.collective(&lambda.body),
            this,
            owner,
            name: "lambda".into(),
        });
        self.depth += 1;
        let mut changed = scan::Changed::default();
        self.assigned(&lambda.body, &mut changed);
        let outer = std::mem::replace(&mut self.changed, changed.clone());
        let done = (|s: &mut Self| -> R<Operand> {
            for (p, a) in lambda.params.iter().zip(args) {
                let reference = matches!(p.ty, TypeExpr::Reference(..));
                let binding = match a {
                    Operand::Place(place) if reference => Binding::Place(place.clone()),
                    a => {
                        let mut tv = s.operand_value(a, at)?;
                        let auto = matches!(&p.ty, TypeExpr::Auto)
                            || matches!(&p.ty, TypeExpr::Reference(t, _) if matches!(**t, TypeExpr::Auto));
                        if !auto {
                            let t = s.ty(&p.ty, p.at)?;
                            tv = s.convert(tv, &t, at)?;
                        }
                        {
                            let fixed = !changed.contains(&p.name, &tv.t);
                            s.parameter(tv, &p.name, fixed, p.at)?
                        }
                    }
                };
                s.bind(&p.name, binding);
            }
            let StmtKind::Block(list) = &lambda.body.kind else { return Ok(Operand::Value(Tv::void())) };
            match list.split_last() {
                Some((Stmt { kind: StmtKind::Return(Some(e)), .. }, rest)) if !rest.iter().any(scan::returns) => {
                    s.scopes.push(Env::new());
                    s.stmts(rest)?;
                    let tv = s.value(e)?;
                    Ok(Operand::Value(tv))
                }
                _ if list.iter().any(scan::returns_value) => {
                    // The first return decides the type, as for all lambdas without one written.
                    let first = scan::first_return(list);
                    let ret = match first {
                        Some(e) => s.type_of(e)?,
                        None => Type::Void,
                    };
                    s.many_returns("result", ret, list, at)
                }
                _ => s.many_returns("result", Type::Void, list, at),
            }
        })(self);
        self.changed = outer;
        self.depth -= 1;
        self.frames.pop();
        self.scopes = caller;
        done
    }
}
