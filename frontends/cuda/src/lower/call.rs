//! Calls of the program's functions and lambdas: parameters are bound, bodies inlined.

use super::overload::Choice;
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
    pub(super) fn decayed(&self, o: &Operand) -> Type {
        match o.ty() {
            Type::Array(t, _) => Type::Pointer(t.clone()),
            t => t.clone(),
        }
    }

    pub(super) fn inline(
        &mut self,
        choice: Choice,
        args: &[Operand],
        this: Option<(Place, u32)>,
        at: At,
    ) -> R<Operand> {
        let f = &self.p.functions[choice.function];
        if f.body.is_empty() {
            return Err(self.err("U003", at, format!("`{}` is declared but has no body here", f.name)));
        }
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
        let outer = std::mem::replace(&mut self.instance, key.clone());
        let done = self.inline_body(f, &body, &choice, args, this, caller, at);
        self.plain = plain;
        self.depth -= 1;
        self.instance = outer;
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
        changed.add_aliases(&f.params, None);
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
                let binding = match (args.get(i), choice.defaults.get(i).and_then(|d| d.as_ref())) {
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
        changed.add_aliases(&lambda.params, Some(&self.changed));
        let outer = std::mem::replace(&mut self.changed, changed.clone());
        let done = (|s: &mut Self| -> R<Operand> {
            for (p, a) in lambda.params.iter().zip(args) {
                let reference = matches!(p.ty, TypeExpr::Reference(..));
                let auto = matches!(&p.ty, TypeExpr::Auto)
                    || matches!(&p.ty, TypeExpr::Reference(t, _) if matches!(**t, TypeExpr::Auto));
                let t = if auto { None } else { Some(s.ty(&p.ty, p.at)?) };
                let same = |place: &Place| {
                    t.as_ref().is_none_or(|t| t == place.ty()) || matches!(place.ty(), Type::Array(..) | Type::Group(_))
                };
                let binding = match a {
                    Operand::Place(place) if reference && same(place) => Binding::Place(place.clone()),
                    a => {
                        let tv = match &t {
                            Some(t) => s.operand_as(a, t, at)?,
                            None => s.operand_value(a, at)?,
                        };
                        {
                            let fixed = !changed.contains(&p.name, &tv.t);
                            s.parameter(tv, &p.name, fixed, p.at)?
                        }
                    }
                };
                s.bind(&p.name, binding);
            }
            let StmtKind::Block(list) = &lambda.body.kind else { return Ok(Operand::Value(Tv::void())) };
            let written = match &lambda.ret {
                None | Some(TypeExpr::Auto) => None,
                Some(t) => Some(s.ty(t, at)?),
            };
            let reference = matches!(lambda.ret, Some(TypeExpr::Reference(..)));
            match list.split_last() {
                Some((Stmt { kind: StmtKind::Return(Some(e)), .. }, rest)) if !rest.iter().any(scan::returns) => {
                    s.scopes.push(Env::new());
                    s.stmts(rest)?;
                    match &written {
                        _ if reference => s.operand(e),
                        Some(t) => s.initial(e, t).map(Operand::Value),
                        None => s.value(e).map(Operand::Value),
                    }
                }
                _ if list.iter().any(scan::returns_value) => {
                    // The first return decides the type, as for all lambdas without one written.
                    let ret = match (written, scan::first_return(list)) {
                        (Some(t), _) => t,
                        (None, Some(e)) => s.type_of(e)?,
                        (None, None) => Type::Void,
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
