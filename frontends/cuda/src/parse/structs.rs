//! Structs, classes and unions.

use super::Parser;
use super::types::Specifiers;
use crate::ast::*;
use girih_base::Result;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Parser<'_> {
    /// A struct's definition or forward declaration; its index.
    pub(super) fn structure(&mut self, template: Vec<TemplateParam>) -> Result<usize> {
        let union = self.is("union");
        self.at += 1;
        let mut s = Specifiers::default();
        self.specifiers(&mut s)?;
        let at = self.here();
        let name: Arc<str> =
            if self.is_name(0) { self.name()? } else { format!("unnamed{}", self.program.structs.len()).into() };
        let outer = self.scopes.clone();
        let templated = !template.is_empty() || self.is("<");
        let special = if self.is("<") { Some(self.template_args()?) } else { None };
        match self.scopes.first() {
            Some(_) if self.member_of.is_some() || outer.len() > 1 => self.declare_type(&name),
            _ => {
                self.program.names.types.insert(name.clone());
            }
        }
        // Methods see the struct's own name wherever it is declared.
        self.program.names.types.insert(name.clone());
        if templated {
            self.program.names.templates.insert(name.clone());
        }
        self.eat("final");
        if self.is(";") {
            return Ok(self.program.structs.iter().position(|s| s.name == name).unwrap_or_else(|| {
                self.program.structs.push(empty(name, at));
                self.program.structs.len() - 1
            }));
        }
        let mut bases = Vec::new();
        if self.eat(":") {
            loop {
                while self.eat("public") || self.eat("private") || self.eat("protected") || self.eat("virtual") {}
                bases.push(self.full_type()?);
                if !self.eat(",") {
                    break;
                }
            }
        }
        let index = self.program.structs.iter().position(|s| {
            s.name == name
                && s.fields.is_empty()
                && s.methods.is_empty()
                && special.is_none()
                && s.template.is_empty()
                && s.special.is_none()
                && s.at == at
        });
        let index = index.unwrap_or(self.program.structs.len());
        self.program.structs.push(Struct {
            template: template.clone(),
            special,
            bases,
            union,
            align: s.align.clone(),
            ..empty(name.clone(), at)
        });
        self.expect("{")?;
        let before = self.member_of.replace(index);
        self.scopes.push(BTreeSet::new());
        let depth = self.scopes.len();
        while !self.is("}") {
            if self.token(0).is_none() {
                return Err(self.unexpected("expected `}`"));
            }
            let start = self.at;
            if let Err(why) = self.member(index, &name) {
                if why.code == "U006" {
                    return Err(why);
                }
                self.recover(start, why);
            }
            self.scopes.truncate(depth);
        }
        self.scopes.pop();
        self.member_of = before;
        self.expect("}")?;
        Ok(index)
    }

    pub(super) fn member(&mut self, index: usize, name: &Arc<str>) -> Result<()> {
        if (self.is("public") || self.is("private") || self.is("protected")) && self.ahead(1, ":") {
            self.at += 2;
            return Ok(());
        }
        if self.eat(";") {
            return Ok(());
        }
        if self.eat("using") {
            let alias = self.name()?;
            if !self.eat("=") {
                while !self.eat(";") && self.token(0).is_some() {
                    self.at += 1;
                }
                return Ok(());
            }
            let ty = self.full_type()?;
            self.expect(";")?;
            self.alias_member(index, alias, ty);
            return Ok(());
        }
        if self.eat("typedef") {
            let mut s = Specifiers::default();
            let base = self.base_type(&mut s)?;
            let ty = self.pointers(base, &mut s)?;
            let (alias, ty) = self.declarator(ty)?;
            self.expect(";")?;
            self.alias_member(index, alias, ty);
            return Ok(());
        }
        let mut template = Vec::new();
        if self.eat("template") {
            self.scopes.push(BTreeSet::new());
            template = self.template_params()?;
        }
        if self.is("static_assert") || self.is("friend") && !self.ahead(1, "__device__") && !self.ahead(1, "inline") {
            while let Some(t) = self.token(0) {
                if t.is("{") {
                    return self.skip_group();
                }
                self.at += 1;
                if self.tokens[self.at - 1].is(";") {
                    break;
                }
            }
            return Ok(());
        }
        if self.is("enum") && self.enum_ahead() {
            self.enumeration()?;
            return self.expect(";");
        }
        if self.at_struct() {
            let inner = self.structure(Vec::new())?;
            let id = self.program.structs[inner].name.clone();
            self.program.names.members.insert(id.clone());
            if self.eat(";") {
                // The fields of an anonymous union or struct belong to its parent.
                if id.starts_with("unnamed") {
                    let ty =
                        TypeExpr::Named(Name { parts: vec![Part { id: id.clone(), args: None }], at: self.here() });
                    let at = self.here();
                    self.field(
                        index,
                        Var { name: id, ty, init: None, at, place: Storage::Auto, constant: false, align: None },
                    );
                }
                return Ok(());
            }
            let ty = TypeExpr::Named(Name { parts: vec![Part { id, args: None }], at: self.here() });
            return self.rest_of_declaration(Specifiers::default(), ty, template, true);
        }
        let mut s = Specifiers::default();
        self.specifiers(&mut s)?;
        // Constructor, destructor, conversion.
        let destructor = self.is("~");
        if destructor {
            self.at += 1;
        }
        if self.is(name) && self.ahead(1, "(") {
            self.at += 1;
            let ctor: Arc<str> = if destructor { "~".into() } else { "constructor".into() };
            return self.function(s, TypeExpr::Void, ctor, template);
        }
        if self.eat("operator") {
            let start = self.at;
            let ty = self.full_type()?;
            if self.at == start {
                return Err(self.unexpected("expected a type"));
            }
            return self.function(s, ty, "operator conversion".into(), template);
        }
        let base = self.base_type(&mut s)?;
        self.rest_of_declaration(s, base, template, true)
    }

    pub(super) fn alias_member(&mut self, index: usize, alias: Arc<str>, ty: TypeExpr) {
        self.program.names.members.insert(alias.clone());
        self.program.structs[index].aliases.push((alias.clone(), ty));
        let depth = self.scopes.len();
        // The struct's own scope: visible to the members that follow.
        if depth > 0 {
            self.scopes[depth - 1].insert(alias);
        }
    }

    pub(super) fn field(&mut self, index: usize, var: Var) {
        self.program.structs[index].fields.push(var);
    }
}

fn empty(name: Arc<str>, at: crate::source::At) -> Struct {
    Struct {
        name,
        template: Vec::new(),
        special: None,
        fields: Vec::new(),
        bases: Vec::new(),
        statics: Vec::new(),
        aliases: Vec::new(),
        methods: Vec::new(),
        union: false,
        align: None,
        at,
    }
}
