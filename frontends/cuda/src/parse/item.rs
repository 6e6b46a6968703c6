//! Declarations at file scope and in structs.

use super::Parser;
use super::types::Specifiers;
use crate::ast::*;
use crate::source::Kind;
use girih_base::{Diag, Result};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The struct of a member defined outside of it, how many template parameters it repeats, and the arguments of the struct where the
/// member alone is specialised.
type Owner = (usize, usize, Option<Vec<TemplateArg>>);

impl Parser<'_> {
    /// Everything up to the end, or to the `}` of a namespace.
    pub(super) fn items(&mut self) {
        while self.token(0).is_some() {
            let start = self.at;
            self.scopes.clear();
            self.depth = 0;
            self.angle = false;
            self.member_of = None;
            if self.eat("}") || self.eat(";") {
                continue;
            }
            if let Err(why) = self.item(Vec::new()) {
                self.recover(start, why);
            }
        }
    }

    /// Skips an item that did not parse: to its `;`, or past its braces.
    pub(super) fn recover(&mut self, start: usize, why: Box<Diag>) {
        self.at = start;
        let mut names = Vec::new();
        while let Some(t) = self.token(0) {
            if t.kind == Kind::Name && names.len() < 64 {
                names.push(t.text.clone());
            }
            if t.is(";") {
                self.at += 1;
                break;
            }
            if t.is("{") {
                let done = self.skip_group();
                if done.is_err() {
                    self.at = self.end;
                }
                self.eat(";");
                break;
            }
            if t.is("}") && self.at > start {
                break;
            }
            self.at += 1;
        }
        if self.at == start {
            self.at += 1;
        }
        if self.program.skipped.len() < 10_000 {
            self.program.skipped.push((names, why));
        }
    }

    pub(super) fn item(&mut self, template: Vec<TemplateParam>) -> Result<()> {
        while self.token(0).is_some_and(|t| t.kind == Kind::Pragma) {
            self.at += 1;
        }
        if self.is("inline") && self.ahead(1, "namespace") {
            self.at += 1;
        }
        if self.eat("namespace") {
            while !self.is("{") && !self.is(";") && self.token(0).is_some() {
                self.at += 1;
            }
            if !self.eat("{") {
                self.expect(";")?;
            }
            return Ok(());
        }
        if self.is("extern") && self.token(1).is_some_and(|t| t.kind == Kind::Text) {
            self.at += 2;
            self.eat("{");
            return Ok(());
        }
        if self.eat("template") {
            if !self.is("<") {
                return Err(self.unexpected("explicit instantiations are not needed"));
            }
            self.scopes.push(BTreeSet::new());
            let params = self.template_params()?;
            let mut all = template;
            all.extend(params);
            // `template <>` keeps an unnamed parameter so that the item is known to be a specialisation.
            return self.item(all);
        }
        if self.eat("using") {
            return self.using(template);
        }
        if self.eat("typedef") {
            return self.typedef().map(|_| ());
        }
        if self.is("static_assert") {
            while !self.eat(";") && self.token(0).is_some() {
                self.at += 1;
            }
            return Ok(());
        }
        if self.at_struct() {
            let index = self.structure(template)?;
            if !self.eat(";") {
                let name = self.program.structs[index].name.clone();
                let ty = TypeExpr::Named(Name { parts: vec![Part { id: name, args: None }], at: self.here() });
                self.rest_of_declaration(Specifiers::default(), ty, Vec::new(), false)?;
            }
            return Ok(());
        }
        if self.is("enum") && self.enum_ahead() {
            self.enumeration()?;
            return self.expect(";");
        }
        let mut s = Specifiers::default();
        let base = self.base_type(&mut s)?;
        self.rest_of_declaration(s, base, template, false)
    }

    pub(super) fn at_struct(&self) -> bool {
        if !(self.is("struct") || self.is("class") || self.is("union")) {
            return false;
        }
        // A definition or a forward declaration, not `struct X f();`. Arguments of a specialisation may be of any form.
        let mut angles = 0i32;
        for n in 1..64 {
            match self.token(n) {
                Some(t) if t.is("<") => angles += 1,
                Some(t) if t.is(">") => angles -= 1,
                Some(t) if angles > 0 && (t.is("*") || t.is("&") || t.is("=") || t.is("(")) => {}
                Some(t) if t.is("{") || t.is(":") => return true,
                Some(t) if t.is(";") => return n <= 4,
                // Attributes have parentheses; what else does is a function.
                Some(t) if t.is("(") => {
                    let attribute = ["__align__", "alignas", "__attribute__"].iter().any(|a| self.ahead(n - 1, a));
                    if !attribute && !self.ahead(n - 1, "(") {
                        return false;
                    }
                }
                Some(t) if t.is("=") || t.is("*") || t.is("&") => return false,
                None => return false,
                _ => {}
            }
        }
        false
    }

    pub(super) fn enum_ahead(&self) -> bool {
        (1..10).any(|n| self.ahead(n, "{")) && !(1..4).any(|n| self.ahead(n, "("))
    }

    pub(super) fn using(&mut self, template: Vec<TemplateParam>) -> Result<()> {
        if self.eat("namespace") {
            while !self.eat(";") && self.token(0).is_some() {
                self.at += 1;
            }
            return Ok(());
        }
        if !(self.is_name(0) && self.ahead(1, "=")) {
            // `using A::b;` adds nothing: qualifiers do not matter here.
            while !self.eat(";") && self.token(0).is_some() {
                self.at += 1;
            }
            return Ok(());
        }
        let name = self.name()?;
        self.expect("=")?;
        let ty = self.full_type()?;
        if self.is("(") {
            self.skip_group()?;
        }
        self.expect(";")?;
        self.scopes.clear();
        self.declare_type(&name);
        if !template.is_empty() {
            self.program.names.templates.insert(name.clone());
        }
        self.program.aliases.insert(name, (template, ty));
        Ok(())
    }

    /// After `typedef`; gives the aliases.
    pub(super) fn typedef(&mut self) -> Result<Vec<(Arc<str>, TypeExpr)>> {
        let mut s = Specifiers::default();
        let base = if self.at_struct() {
            let index = self.structure(Vec::new())?;
            let id = self.program.structs[index].name.clone();
            TypeExpr::Named(Name { parts: vec![Part { id, args: None }], at: self.here() })
        } else if self.is("enum") && self.enum_ahead() {
            let index = self.enumeration()?;
            self.program.enums[index].ty.clone().unwrap_or(TypeExpr::Scalar(crate::types::Scalar::Int))
        } else {
            self.base_type(&mut s)?
        };
        let mut made = Vec::new();
        loop {
            let ty = self.pointers(base.clone(), &mut s)?;
            let (name, ty) = self.declarator(ty)?;
            let ty = if self.is("(") {
                self.skip_group()?;
                TypeExpr::Function
            } else {
                ty
            };
            self.specifiers(&mut s)?;
            self.declare_type(&name);
            self.program.aliases.insert(name.clone(), (Vec::new(), ty.clone()));
            made.push((name, ty));
            if !self.eat(",") {
                break;
            }
        }
        self.expect(";")?;
        Ok(made)
    }

    /// `enum [class] [name] [: type] { a, b = 3 }`; its number.
    pub(super) fn enumeration(&mut self) -> Result<usize> {
        self.expect("enum")?;
        let scoped = self.eat("class") || self.eat("struct");
        let name: Arc<str> = if self.is_name(0) { self.name()? } else { "".into() };
        let ty = if self.eat(":") { Some(self.full_type()?) } else { None };
        self.declare_type(&name);
        if self.member_of.is_some() {
            self.program.names.members.insert(name.clone());
        }
        self.expect("{")?;
        let mut items = Vec::new();
        while !self.is("}") {
            let id = self.name()?;
            let value = if self.eat("=") { Some(self.ternary()?) } else { None };
            items.push((id, value));
            if !self.eat(",") {
                break;
            }
        }
        self.expect("}")?;
        self.program.enums.push(Enumeration { name, scoped, member_of: self.member_of, local: false, ty, items });
        Ok(self.program.enums.len() - 1)
    }

    /// Declarators up to the `;`, or a function.
    pub(super) fn rest_of_declaration(
        &mut self,
        mut s: Specifiers,
        base: TypeExpr,
        template: Vec<TemplateParam>,
        member: bool,
    ) -> Result<()> {
        let base_const = s.is_const;
        loop {
            s.is_const = base_const;
            let ty = self.pointers(base.clone(), &mut s)?;
            self.specifiers(&mut s)?;
            if self.is("operator") {
                self.at += 1;
                let name = self.operator_name()?;
                return self.function(s, ty, name, template);
            }
            let at = self.here();
            let (name, ty) = if self.is_name(0) && (self.ahead(1, "::") || self.ahead(1, "<")) {
                // Out-of-line members and explicit specialisations.
                let full = self.qualified(true)?;
                let owner = match full.parts.len().checked_sub(2).map(|i| &full.parts[i]) {
                    Some(part) => self.owner(part, &template)?,
                    None => None,
                };
                self.member_of = owner.as_ref().map(|o| o.0).or(self.member_of);
                let special = full.last().args.clone().or(owner.as_ref().and_then(|o| o.2.clone()));
                let name = full.last().id.clone();
                if self.is("(") {
                    let before = self.program.functions.len();
                    self.function(s, ty, name, template)?;
                    if let Some(f) = self.program.functions.get_mut(before) {
                        f.special = special;
                        f.outer = owner.as_ref().map_or(0, |o| o.1);
                    }
                    return Ok(());
                }
                let ty = self.array_suffix(ty)?;
                (name, ty)
            } else {
                self.declarator(ty)?
            };
            if self.is("(") {
                return self.function(s, ty, name, template);
            }
            if name.is_empty() {
                return Err(self.unexpected("expected a name"));
            }
            self.specifiers(&mut s)?;
            if self.eat(":") {
                return Err(self.unexpected("bit fields are not supported"));
            }
            let init = self.initializer()?;
            if s.volatile && s.shared {
                self.program.volatile.insert(name.clone());
            }
            let place = match () {
                _ if s.constant => Storage::Constant,
                _ if s.device || s.managed => Storage::Device,
                _ if s.shared && s.is_extern => Storage::Dynamic,
                _ if s.shared => Storage::Shared,
                _ => Storage::Static,
            };
            let constant = s.is_const || s.constexpr;
            let place = if place == Storage::Device && s.constexpr { Storage::Static } else { place };
            let var = Var { name: name.clone(), ty, init, at, place, constant, align: s.align.clone().map(Box::new) };
            match (member, self.member_of) {
                (true, Some(index)) if s.is_static || s.constexpr => self.program.structs[index].statics.push(var),
                (true, Some(index)) => self.field(index, var),
                _ => {
                    if !template.is_empty() {
                        self.program.names.templates.insert(name.clone());
                        self.program.variable_templates.insert(name, template.clone());
                    }
                    self.program.globals.push(var);
                }
            }
            if !self.eat(",") {
                break;
            }
        }
        self.expect(";")
    }

    /// The struct that a member defined outside of it belongs to, the number of template parameters it repeats, and the
    /// arguments where the member alone is specialised.
    fn owner(&self, part: &Part, template: &[TemplateParam]) -> Result<Option<Owner>> {
        let named = |i: &usize| self.program.structs[*i].name == part.id;
        let all: Vec<usize> = (0..self.program.structs.len()).filter(named).collect();
        let Some(args) = &part.args else {
            // A namespace, or a struct without parameters.
            return Ok(all.first().map(|i| (*i, 0, None)));
        };
        let text = |a: &TemplateArg| plain(a).ok_or_else(|| self.unexpected("a member of such a specialisation"));
        let given = args.iter().map(text).collect::<Result<Vec<_>>>()?;
        for i in &all {
            let s = &self.program.structs[*i];
            if let Some(special) = &s.special
                && special.iter().map(plain).collect::<Option<Vec<_>>>().as_ref() == Some(&given)
            {
                return Ok(Some((*i, s.template.len(), None)));
            }
        }
        let primary = all.iter().copied().find(|i| {
            let s = &self.program.structs[*i];
            s.special.is_none() && !s.template.is_empty()
        });
        let Some(primary) = primary else { return Ok(None) };
        let outer = self.program.structs[primary].template.len();
        let own: Vec<String> = template.iter().take(outer).map(|p| p.name.to_string()).collect();
        Ok(Some(match own == given {
            true => (primary, outer, None),
            false => (primary, 0, Some(args.clone())),
        }))
    }

    /// `= e`, `= {...}`, `{...}`; not `(...)`.
    pub(super) fn initializer(&mut self) -> Result<Option<Init>> {
        if self.eat("=") {
            let e = if self.is("{") { self.list()? } else { self.assignment()? };
            return Ok(Some(Init::Value(e)));
        }
        if self.is("{") {
            return Ok(Some(Init::Args(self.arguments("{", "}")?, true)));
        }
        Ok(None)
    }

    /// A function from its parameter list on.
    pub(super) fn function(
        &mut self,
        mut s: Specifiers,
        ret: TypeExpr,
        name: Arc<str>,
        template: Vec<TemplateParam>,
    ) -> Result<()> {
        let at = self.tokens.get(self.at.saturating_sub(1)).map_or(self.here(), |t| t.at);
        let member_of = self.member_of;
        if !template.is_empty() {
            self.program.names.templates.insert(name.clone());
        }
        let params = self.params()?;
        let mut ret = ret;
        loop {
            let before = self.at;
            self.specifiers(&mut s)?;
            if self.eat("noexcept") && self.is("(") {
                self.skip_group()?;
            }
            if self.eat("->") {
                ret = self.full_type()?;
            }
            let _ = self.eat("override") || self.eat("final") || self.eat("&");
            if self.at == before {
                break;
            }
        }
        if self.eat("=") {
            // `= default`, `= delete`, `= 0`.
            while !self.eat(";") && self.token(0).is_some() {
                self.at += 1;
            }
            return Ok(());
        }
        let mut inits = 0..0;
        if self.is(":") {
            let start = self.at;
            self.at += 1;
            while self.token(0).is_some() {
                self.qualified(true)?;
                if self.is("(") || self.is("{") {
                    self.skip_group()?;
                }
                if !self.eat(",") {
                    break;
                }
            }
            inits = start + 1..self.at;
        }
        let mut body = 0..0;
        if self.is("{") {
            let start = self.at;
            self.skip_group()?;
            body = start..self.at;
        } else {
            self.expect(";")?;
        }
        let role = match () {
            _ if s.global => Role::Kernel,
            _ if s.device || s.constexpr => Role::Device,
            _ => Role::Host,
        };
        self.program.functions.push(Function {
            name,
            template,
            outer: 0,
            special: None,
            params,
            ret,
            role,
            at,
            body,
            inits,
            member_of,
            bounds: s.bounds,
            parsed: std::sync::OnceLock::new(),
        });
        let index = self.program.functions.len() - 1;
        if let Some(owner) = member_of {
            self.program.structs[owner].methods.push(index);
        }
        Ok(())
    }

    /// Parses the bodies of device functions, now that every name is known.
    pub(super) fn bodies(&mut self) {
        for i in 0..self.program.functions.len() {
            let f = &self.program.functions[i];
            if f.body.is_empty() || (f.role == Role::Host && f.member_of.is_none()) {
                continue;
            }
            let (body, inits, owner) = (f.body.clone(), f.inits.clone(), f.member_of);
            let mut scope: BTreeSet<Arc<str>> =
                f.template.iter().filter(|p| p.value.is_none()).map(|p| p.name.clone()).collect();
            if let Some(owner) = owner {
                let s = &self.program.structs[owner];
                scope.extend(s.template.iter().filter(|p| p.value.is_none()).map(|p| p.name.clone()));
                scope.extend(s.aliases.iter().map(|a| a.0.clone()));
            }
            let params: Vec<Arc<str>> = f.params.iter().map(|p| p.name.clone()).collect();
            self.scopes = vec![scope];
            params.iter().for_each(|p| self.hide_type(p));
            (self.depth, self.angle, self.member_of) = (0, false, None);
            let whole = self.end;
            let parsed = self.body(body, inits);
            self.end = whole;
            let _ = self.program.functions[i].parsed.set(parsed.map(std::sync::Arc::new));
        }
    }

    pub(super) fn body(&mut self, body: std::ops::Range<usize>, inits: std::ops::Range<usize>) -> Result<Body> {
        let mut list = Vec::new();
        if !inits.is_empty() {
            (self.at, self.end) = (inits.start, inits.end);
            while self.token(0).is_some() {
                let name = self.qualified(true)?;
                let args = if self.is("{") { self.arguments("{", "}")? } else { self.arguments("(", ")")? };
                list.push((name.last().id.clone(), args));
                if !self.eat(",") {
                    break;
                }
            }
        }
        (self.at, self.end) = (body.start, body.end);
        let block = self.block()?;
        Ok(Body { inits: list, block })
    }
}

/// A template argument as text, where it is a name, a number or a fundamental type, or points to one.
fn plain(a: &TemplateArg) -> Option<String> {
    fn of(t: &TypeExpr) -> Option<String> {
        match t {
            TypeExpr::Scalar(s) => Some(s.name().to_string()),
            TypeExpr::Named(n) if n.last().args.is_none() => Some(n.last().id.to_string()),
            TypeExpr::Pointer(t, ..) => Some(format!("{}*", of(t)?)),
            _ => None,
        }
    }
    match a {
        TemplateArg::Type(t) => of(t),
        TemplateArg::Value(Expr { kind: ExprKind::Int(n, _), .. }) => Some(n.to_string()),
        TemplateArg::Value(Expr { kind: ExprKind::Bool(b), .. }) => Some(b.to_string()),
        TemplateArg::Value(Expr { kind: ExprKind::Name(n), .. }) => Some(n.last().id.to_string()),
        _ => None,
    }
}
