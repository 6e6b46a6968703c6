//! Which function a call means: candidates by name, template arguments by deduction, the best by the conversions it needs.

mod order;
mod viable;

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
