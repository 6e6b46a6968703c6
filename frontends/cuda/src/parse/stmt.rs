//! Statements.

use super::types::Specifiers;
use super::{Parser, number};
use crate::ast::*;
use crate::source::Kind;
use girih_base::Result;
use std::collections::BTreeSet;
use std::sync::Arc;

fn make(kind: StmtKind, at: crate::source::At) -> Stmt {
    Stmt { kind, at }
}

impl Parser<'_> {
    /// `{ ... }`.
    pub(super) fn block(&mut self) -> Result<Stmt> {
        let at = self.here();
        self.expect("{")?;
        self.scopes.push(BTreeSet::new());
        let angle = std::mem::replace(&mut self.angle, false);
        let mut list = Vec::new();
        while !self.is("}") {
            if self.token(0).is_none() {
                return Err(self.unexpected("expected `}`"));
            }
            list.push(self.statement()?);
        }
        self.angle = angle;
        self.scopes.pop();
        self.expect("}")?;
        Ok(make(StmtKind::Block(list), at))
    }

    fn boxed(&mut self) -> Result<Box<Stmt>> {
        Ok(Box::new(self.statement()?))
    }

    /// One statement.
    pub(super) fn statement(&mut self) -> Result<Stmt> {
        self.deeper(|p| p.statement_here())
    }

    fn statement_here(&mut self) -> Result<Stmt> {
        let mut unroll = None;
        while let Some(t) = self.token(0).filter(|t| t.kind == Kind::Pragma) {
            let text = t.text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).replace(['(', ')'], "");
            unroll = Some(if text.split_whitespace().last() == Some("1") { Unroll::No } else { Unroll::Full });
            self.at += 1;
        }
        let at = self.here();
        let Some(first) = self.token(0).map(|t| t.text.clone()) else {
            return Err(self.unexpected("expected a statement"));
        };
        let kind = match &*first {
            "{" => return self.block(),
            // A label: what jumps to it is refused where it stands.
            _ if self.is_name(0) && self.ahead(1, ":") && !matches!(&*first, "default" | "case") => {
                self.at += 2;
                StmtKind::Empty
            }
            ";" => {
                self.at += 1;
                StmtKind::Empty
            }
            "if" => {
                self.at += 1;
                let constexpr = self.eat("constexpr");
                self.expect("(")?;
                let mut init = make(StmtKind::Empty, at);
                if self.at_declaration() {
                    init = self.declaration_until(&[";", ")"])?;
                    if self.is(")") {
                        // `if (int x = f())` tests the variable.
                        let name = match &init.kind {
                            StmtKind::Decl(vars) => vars.last().map(|v| v.name.clone()),
                            _ => None,
                        };
                        let Some(id) = name else { return Err(self.unexpected("expected a condition")) };
                        let cond = Expr { kind: ExprKind::Name(Name { parts: vec![Part { id, args: None }], at }), at };
                        self.expect(")")?;
                        return self.rest_of_if(init, cond, constexpr, at);
                    }
                    self.expect(";")?;
                }
                let cond = self.expression()?;
                self.expect(")")?;
                return self.rest_of_if(init, cond, constexpr, at);
            }
            "for" => return self.for_loop(unroll, at),
            "while" => {
                self.at += 1;
                self.expect("(")?;
                let cond = self.expression()?;
                self.expect(")")?;
                StmtKind::While(cond, self.boxed()?)
            }
            "do" => {
                self.at += 1;
                let body = self.boxed()?;
                self.expect("while")?;
                self.expect("(")?;
                let cond = self.expression()?;
                self.expect(")")?;
                self.expect(";")?;
                StmtKind::Do(body, cond)
            }
            "switch" => return self.switch(at),
            "break" | "continue" => {
                self.at += 1;
                self.expect(";")?;
                if &*first == "break" { StmtKind::Break } else { StmtKind::Continue }
            }
            "return" => {
                self.at += 1;
                let value = match () {
                    _ if self.is(";") => None,
                    _ if self.is("{") => Some(self.list()?),
                    _ => Some(self.expression()?),
                };
                self.expect(";")?;
                StmtKind::Return(value)
            }
            "goto" | "try" | "throw" => {
                let why = match &*first {
                    "goto" => "`goto` has no structured form",
                    _ => "device code has no exceptions",
                };
                while !self.is(";") && !self.is("}") && self.token(0).is_some() {
                    if self.is("{") { self.skip_group()? } else { self.at += 1 }
                }
                self.eat(";");
                StmtKind::Refused(why)
            }
            "asm" | "__asm__" | "__asm" => return self.asm(at),
            "using" => {
                self.at += 1;
                if self.is("namespace") || !self.ahead(1, "=") {
                    while !self.eat(";") && self.token(0).is_some() {
                        self.at += 1;
                    }
                    return Ok(make(StmtKind::Empty, at));
                }
                let name = self.name()?;
                self.expect("=")?;
                let ty = self.full_type()?;
                self.expect(";")?;
                self.declare_type(&name);
                StmtKind::Type(LocalType::Alias(name, ty))
            }
            "typedef" => {
                self.at += 1;
                let mut s = Specifiers::default();
                let base = self.base_type(&mut s)?;
                let ty = self.pointers(base, &mut s)?;
                let (name, ty) = self.declarator(ty)?;
                self.expect(";")?;
                self.declare_type(&name);
                StmtKind::Type(LocalType::Alias(name, ty))
            }
            "namespace" => {
                while !self.eat(";") && self.token(0).is_some() {
                    self.at += 1;
                }
                StmtKind::Empty
            }
            "static_assert" => {
                self.at += 1;
                let mut args = self.arguments("(", ")")?;
                self.eat(";");
                let text = match args.get(1).map(|e| &e.kind) {
                    Some(ExprKind::Text(t)) => t.clone(),
                    _ => "".into(),
                };
                if args.is_empty() {
                    return Err(self.unexpected("expected a condition"));
                }
                StmtKind::Assert(args.swap_remove(0), text)
            }
            "enum" if (1..10).any(|n| self.ahead(n, "{")) => {
                let index = self.enumeration()?;
                self.program.enums[index].local = true;
                self.expect(";")?;
                StmtKind::Type(LocalType::Enum(index))
            }
            "struct" | "union" | "class" if (1..4).any(|n| self.ahead(n, "{")) => {
                let index = self.structure(Vec::new())?;
                if self.eat(";") {
                    StmtKind::Type(LocalType::Declared)
                } else {
                    let id = self.program.structs[index].name.clone();
                    let ty = TypeExpr::Named(Name { parts: vec![Part { id, args: None }], at });
                    let vars = self.variables(Specifiers::default(), ty)?;
                    self.expect(";")?;
                    StmtKind::Decl(vars)
                }
            }
            "case" | "default" => return Err(self.unexpected("a label inside of another statement")),
            _ if self.at_declaration() => {
                let decl = self.declaration_until(&[";"])?;
                self.expect(";")?;
                return Ok(decl);
            }
            _ => {
                let e = self.expression()?;
                self.expect(";")?;
                StmtKind::Expr(e)
            }
        };
        Ok(make(kind, at))
    }

    fn rest_of_if(&mut self, init: Stmt, cond: Expr, constexpr: bool, at: crate::source::At) -> Result<Stmt> {
        let then = self.boxed()?;
        let other = if self.eat("else") { Some(self.boxed()?) } else { None };
        Ok(make(StmtKind::If(Box::new(init), cond, then, other, constexpr), at))
    }

    fn for_loop(&mut self, unroll: Option<Unroll>, at: crate::source::At) -> Result<Stmt> {
        self.at += 1;
        self.expect("(")?;
        self.scopes.push(BTreeSet::new());
        let init = if self.eat(";") {
            make(StmtKind::Empty, at)
        } else if self.at_declaration() {
            let d = self.declaration_until(&[";", ":"])?;
            if self.eat(":") {
                let range = self.expression()?;
                self.expect(")")?;
                let body = self.boxed()?;
                self.scopes.pop();
                let StmtKind::Decl(mut vars) = d.kind else { return Err(self.unexpected("expected a variable")) };
                let Some(var) = vars.pop() else { return Err(self.unexpected("expected a variable")) };
                return Ok(make(StmtKind::Each(Box::new(var), range, body), at));
            }
            self.expect(";")?;
            d
        } else {
            let at = self.here();
            let e = self.expression()?;
            self.expect(";")?;
            make(StmtKind::Expr(e), at)
        };
        let cond = if self.is(";") { None } else { Some(self.expression()?) };
        self.expect(";")?;
        let step = if self.is(")") { None } else { Some(self.expression()?) };
        self.expect(")")?;
        let body = self.boxed()?;
        self.scopes.pop();
        Ok(make(StmtKind::For(Box::new(init), cond, step, body, unroll), at))
    }

    fn switch(&mut self, at: crate::source::At) -> Result<Stmt> {
        self.at += 1;
        self.expect("(")?;
        let value = self.expression()?;
        self.expect(")")?;
        self.expect("{")?;
        self.scopes.push(BTreeSet::new());
        let mut cases: Vec<Case> = Vec::new();
        while !self.eat("}") {
            if self.is("case") || self.is("default") {
                let label = if self.eat("default") {
                    None
                } else {
                    self.at += 1;
                    Some(self.ternary()?)
                };
                self.expect(":")?;
                match cases.last_mut().filter(|c| c.body.is_empty()) {
                    Some(c) => c.labels.push(label),
                    None => cases.push(Case { labels: vec![label], body: Vec::new() }),
                }
                continue;
            }
            let s = self.statement()?;
            match cases.last_mut() {
                Some(c) => c.body.push(s),
                None => return Err(self.unexpected("a switch starts with a label")),
            }
        }
        self.scopes.pop();
        Ok(make(StmtKind::Switch(value, cases), at))
    }

    fn asm(&mut self, at: crate::source::At) -> Result<Stmt> {
        self.at += 1;
        while self.eat("volatile") || self.eat("__volatile__") {}
        self.expect("(")?;
        let mut text = String::new();
        while let Some(t) = self.token(0).filter(|t| t.kind == Kind::Text) {
            text.push_str(&number::text(&t.text));
            self.at += 1;
        }
        let mut lists: [Vec<(std::sync::Arc<str>, Expr)>; 2] = [Vec::new(), Vec::new()];
        for list in &mut lists {
            if self.is("::") {
                break;
            }
            if !self.eat(":") {
                break;
            }
            while self.token(0).is_some_and(|t| t.kind == Kind::Text) {
                let how = number::text(&self.token(0).map(|t| t.text.clone()).unwrap_or_default());
                self.at += 1;
                self.expect("(")?;
                let e = self.expression()?;
                self.expect(")")?;
                list.push((how.into(), e));
                if !self.eat(",") {
                    break;
                }
            }
        }
        let mut inputs_after = Vec::new();
        if self.eat("::") {
            while self.token(0).is_some_and(|t| t.kind == Kind::Text) && self.ahead(1, "(") {
                let how = number::text(&self.token(0).map(|t| t.text.clone()).unwrap_or_default());
                self.at += 1;
                self.expect("(")?;
                let e = self.expression()?;
                self.expect(")")?;
                inputs_after.push((how.into(), e));
                if !self.eat(",") {
                    break;
                }
            }
        }
        while !self.is(")") && self.token(0).is_some() {
            self.at += 1;
        }
        self.expect(")")?;
        self.eat(";");
        let [outputs, mut inputs] = lists;
        if inputs.is_empty() {
            inputs = inputs_after;
        }
        Ok(make(StmtKind::Asm(Arc::new(Asm { text: text.into(), outputs, inputs })), at))
    }

    /// Whether a declaration starts here.
    fn at_declaration(&mut self) -> bool {
        const WORDS: &[&str] = &[
            "const",
            "constexpr",
            "static",
            "volatile",
            "__shared__",
            "extern",
            "struct",
            "class",
            "union",
            "enum",
            "typename",
            "register",
            "alignas",
            "__align__",
            "decltype",
            "__constant__",
            "auto",
            "__attribute__",
            "__device__",
            "thread_local",
        ];
        let Some(t) = self.token(0) else { return false };
        if t.is("[") && self.ahead(1, "[") {
            return true;
        }
        if t.kind != Kind::Name && !t.is("::") {
            return false;
        }
        if WORDS.contains(&&*t.text) {
            return true;
        }
        if self.at_fundamental() {
            return !self.ahead(1, "(") && !self.ahead(1, "{");
        }
        let start = self.at;
        let name = self.attempt(|p| p.qualified(true));
        let declares = match &name {
            Some(name) => {
                let next = self.token(0);
                let word = next.is_some_and(|t| t.kind == Kind::Name);
                let pointer = next.is_some_and(|t| t.is("*") || t.is("&") || t.is("&&"));
                word || (self.names_type(name) && pointer)
            }
            None => false,
        };
        self.at = start;
        declares
    }

    fn declaration_until(&mut self, ends: &[&str]) -> Result<Stmt> {
        let at = self.here();
        let mut s = Specifiers::default();
        let base = match self.base_type(&mut s) {
            Ok(base) => base,
            Err(why) => {
                let unknown = self.token(0).map(|t| t.text.clone());
                let follows = self.is_name(0) && self.is_name(1);
                return Err(match unknown {
                    Some(id) if follows => {
                        self.program.sources.error("U003", at, format!("`{id}` is not a known type"), "here")
                    }
                    _ => why,
                });
            }
        };
        let vars = self.variables(s, base)?;
        if !ends.iter().any(|e| self.is(e)) {
            return Err(self.unexpected(&format!("expected `{}`", ends[0])));
        }
        Ok(make(StmtKind::Decl(vars), at))
    }

    fn variables(&mut self, mut s: Specifiers, base: TypeExpr) -> Result<Vec<Var>> {
        let mut vars = Vec::new();
        let base_const = s.is_const;
        loop {
            s.is_const = base_const;
            let ty = self.pointers(base.clone(), &mut s)?;
            self.specifiers(&mut s)?;
            let at = self.here();
            if self.is("[") && !self.ahead(1, "[") {
                return Err(self.unexpected("structured bindings are not supported"));
            }
            let (name, ty) = self.declarator(ty)?;
            if name.is_empty() {
                return Err(self.unexpected("expected a name"));
            }
            self.hide_type(&name);
            self.specifiers(&mut s)?;
            let init = match self.initializer()? {
                Some(init) => Some(init),
                None if self.is("(") => Some(Init::Args(self.arguments("(", ")")?, false)),
                None => None,
            };
            if s.volatile && matches!(ty, TypeExpr::Pointer(..) | TypeExpr::Array(..)) {
                self.program.volatile.insert(name.clone());
            }
            let place = match () {
                _ if s.shared && s.is_extern => Storage::Dynamic,
                _ if s.shared => Storage::Shared,
                _ if s.is_static => Storage::Static,
                _ => Storage::Auto,
            };
            let align = s.align.clone().map(Box::new);
            vars.push(Var { name, ty, init, at, place, constant: s.is_const || s.constexpr, align });
            if !self.eat(",") {
                return Ok(vars);
            }
        }
    }
}
