//! Expressions, by precedence.

use super::{Parser, number};
use crate::ast::*;
use crate::source::{At, Kind};
use girih_base::Result;
use std::sync::Arc;

const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// Longest chain of one level of operators.
const MOST_TERMS: usize = 2000;

const ASSIGN: &[&str] = &["+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<="];

fn make(kind: ExprKind, at: At) -> Expr {
    Expr { kind, at }
}

impl Parser<'_> {
    /// An expression with commas.
    pub(super) fn expression(&mut self) -> Result<Expr> {
        let mut e = self.assignment()?;
        while self.is(",") {
            let at = self.here();
            self.at += 1;
            let next = self.assignment()?;
            e = make(ExprKind::Comma(Box::new(e), Box::new(next)), at);
        }
        Ok(e)
    }

    /// An expression without commas.
    pub(super) fn assignment(&mut self) -> Result<Expr> {
        self.deeper(|p| {
            let left = p.ternary()?;
            let at = p.here();
            if p.eat("=") {
                let right = if p.is("{") { p.list()? } else { p.assignment()? };
                return Ok(make(ExprKind::Assign(None, Box::new(left), Box::new(right)), at));
            }
            if p.is(">") && p.ahead(1, ">=") && p.token(1).is_some_and(|t| !t.space) {
                p.at += 2;
                let right = p.assignment()?;
                return Ok(make(ExprKind::Assign(Some(">>"), Box::new(left), Box::new(right)), at));
            }
            for op in ASSIGN {
                if p.eat(op) {
                    let right = p.assignment()?;
                    let plain = LEVELS.iter().flat_map(|l| l.iter()).find(|o| op.strip_suffix('=') == Some(o));
                    return Ok(make(ExprKind::Assign(plain.copied(), Box::new(left), Box::new(right)), at));
                }
            }
            Ok(left)
        })
    }

    /// A conditional expression.
    pub(super) fn ternary(&mut self) -> Result<Expr> {
        let c = self.binary(0)?;
        if !self.is("?") {
            return Ok(c);
        }
        let at = self.here();
        self.at += 1;
        let angle = std::mem::replace(&mut self.angle, false);
        let a = self.expression()?;
        self.angle = angle;
        self.expect(":")?;
        let b = self.assignment()?;
        Ok(make(ExprKind::Choose(Box::new(c), Box::new(a), Box::new(b)), at))
    }

    fn infix(&mut self, level: usize) -> Option<&'static str> {
        let t = self.token(0)?;
        let adjacent = |n: usize, text: &str| self.token(n).is_some_and(|t| t.is(text) && !t.space);
        for op in LEVELS[level] {
            let width = match *op {
                ">>" if t.is(">") && adjacent(1, ">") && !self.angle => 2,
                ">>" => continue,
                ">" if adjacent(1, ">") || adjacent(1, ">=") => continue,
                ">" | ">=" if self.angle => continue,
                op if t.is(op) => 1,
                _ => continue,
            };
            self.at += width;
            return Some(op);
        }
        None
    }

    fn binary(&mut self, level: usize) -> Result<Expr> {
        if level == LEVELS.len() {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        // The tree of a chain is as deep as the chain is long.
        for _ in 0..MOST_TERMS {
            let at = self.here();
            let Some(op) = self.infix(level) else { return Ok(left) };
            let right = self.binary(level + 1)?;
            left = make(ExprKind::Binary(op, Box::new(left), Box::new(right)), at);
        }
        Err(self.program.sources.error(
            "U006",
            self.here(),
            format!("an expression of more than {MOST_TERMS} terms"),
            "here",
        ))
    }

    fn unary(&mut self) -> Result<Expr> {
        self.deeper(|p| {
            let at = p.here();
            for (text, op) in [("-", "-"), ("+", "+"), ("!", "!"), ("~", "~"), ("*", "*"), ("&", "&"), ("not", "!")] {
                if p.eat(text) {
                    let e = p.unary()?;
                    return Ok(make(ExprKind::Unary(op, Box::new(e)), at));
                }
            }
            for (text, by) in [("++", 1), ("--", -1)] {
                if p.eat(text) {
                    let e = p.unary()?;
                    return Ok(make(ExprKind::Step(by, true, Box::new(e)), at));
                }
            }
            if p.is("alignof") || p.is("__alignof__") || p.is("__alignof") {
                p.at += 1;
                p.expect("(")?;
                let ty = p.full_type()?;
                p.expect(")")?;
                return Ok(make(ExprKind::Alignof(ty), at));
            }
            if p.eat("sizeof") {
                if p.is("(") {
                    let ty = p.attempt(|p| {
                        p.expect("(")?;
                        let ty = p.full_type()?;
                        p.expect(")")?;
                        Ok(ty)
                    });
                    if let Some(ty) = ty {
                        return Ok(make(ExprKind::SizeofType(ty), at));
                    }
                }
                let e = p.unary()?;
                return Ok(make(ExprKind::Sizeof(Box::new(e)), at));
            }
            if p.is("new") || p.is("delete") {
                let word = p.name()?;
                while p.token(0).is_some() && !p.is(";") {
                    p.at += 1;
                }
                let name = Name { parts: vec![Part { id: word, args: None }], at };
                let f = make(ExprKind::Name(name), at);
                return Ok(make(ExprKind::Call(Box::new(f), Vec::new()), at));
            }
            if p.is("(") {
                let cast = p.attempt(|p| {
                    p.expect("(")?;
                    let angle = std::mem::replace(&mut p.angle, false);
                    let ty = p.full_type()?;
                    p.angle = angle;
                    p.expect(")")?;
                    Ok(ty)
                });
                if let Some(ty) = cast {
                    if p.is("{") {
                        let list = p.list()?;
                        let ExprKind::List(args) = list.kind else { return Ok(list) };
                        return Ok(make(ExprKind::Construct(ty, args, true), at));
                    }
                    let e = p.unary()?;
                    return Ok(make(ExprKind::Cast(Cast::Value, ty, Box::new(e)), at));
                }
            }
            p.postfix()
        })
    }

    /// `{a, b}`.
    pub(super) fn list(&mut self) -> Result<Expr> {
        let at = self.here();
        let items = self.arguments("{", "}")?;
        Ok(make(ExprKind::List(items), at))
    }

    /// Comma-separated expressions in brackets.
    pub(super) fn arguments(&mut self, open: &str, close: &str) -> Result<Vec<Expr>> {
        self.expect(open)?;
        let angle = std::mem::replace(&mut self.angle, false);
        let mut args = Vec::new();
        while !self.is(close) {
            let at = self.here();
            let field = if open == "{" && self.is(".") && self.is_name(1) && self.ahead(2, "=") {
                self.at += 1;
                let name = self.name()?;
                self.at += 1;
                Some(name)
            } else {
                None
            };
            let value = if self.is("{") { self.list()? } else { self.assignment()? };
            args.push(match field {
                Some(name) => make(ExprKind::Designated(name, Box::new(value)), at),
                None => value,
            });
            self.eat("...");
            if !self.eat(",") {
                break;
            }
        }
        self.angle = angle;
        self.expect(close)?;
        Ok(args)
    }

    fn postfix(&mut self) -> Result<Expr> {
        let mut e = self.primary()?;
        loop {
            let at = self.here();
            if self.is("(") {
                let args = self.arguments("(", ")")?;
                e = make(ExprKind::Call(Box::new(e), args), at);
            } else if self.is("[") {
                self.at += 1;
                let angle = std::mem::replace(&mut self.angle, false);
                let i = self.expression()?;
                self.angle = angle;
                self.expect("]")?;
                e = make(ExprKind::Index(Box::new(e), Box::new(i)), at);
            } else if self.is(".") || self.is("->") {
                let arrow = self.is("->");
                self.at += 1;
                self.eat("template");
                let at = self.here();
                let mut id = self.name()?;
                if &*id == "operator" {
                    id = self.operator_name()?;
                }
                let args =
                    if self.is("<") && self.is_template(&id) { self.attempt(|p| p.template_args()) } else { None };
                e = make(ExprKind::Member(Box::new(e), Part { id, args }, arrow), at);
            } else if self.is("++") || self.is("--") {
                let by = if self.is("++") { 1 } else { -1 };
                self.at += 1;
                e = make(ExprKind::Step(by, false, Box::new(e)), at);
            } else if self.is("<<") && self.ahead(1, "<") && matches!(e.kind, ExprKind::Name(_)) {
                while self.token(0).is_some() && !self.is("(") {
                    self.at += 1;
                }
                while self.token(0).is_some() && !self.is(";") {
                    self.at += 1;
                }
                return Ok(make(ExprKind::Launch, at));
            } else {
                return Ok(e);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr> {
        let at = self.here();
        let Some(t) = self.token(0).cloned() else { return Err(self.unexpected("expected an expression")) };
        match t.kind {
            Kind::Number => {
                self.at += 1;
                let bad = || self.program.sources.error("U002", at, format!("`{}` is not a number", t.text), "here");
                if let Some((v, ty)) = number::float(&t.text) {
                    return Ok(make(ExprKind::Float(v, ty), at));
                }
                let (v, ty) = number::integer(&t.text).ok_or_else(bad)?;
                Ok(make(ExprKind::Int(v, ty), at))
            }
            Kind::Char => {
                self.at += 1;
                let v = number::character(&t.text).ok_or_else(|| {
                    let what = format!("{} is not one character", t.text);
                    self.program.sources.error("U002", at, what, "here")
                })?;
                Ok(make(ExprKind::Int(v as u64, crate::types::Scalar::Char), at))
            }
            Kind::Text => {
                let mut text = String::new();
                while let Some(t) = self.token(0).filter(|t| t.kind == Kind::Text) {
                    text.push_str(&number::text(&t.text));
                    self.at += 1;
                }
                Ok(make(ExprKind::Text(text.into()), at))
            }
            Kind::Punct if t.is("(") => {
                self.at += 1;
                let angle = std::mem::replace(&mut self.angle, false);
                let e = self.expression()?;
                self.angle = angle;
                self.expect(")")?;
                Ok(e)
            }
            Kind::Punct if t.is("[") => self.lambda(),
            Kind::Name => self.named(at),
            _ if t.is("::") => self.named(at),
            _ => Err(self.unexpected("expected an expression")),
        }
    }

    fn named(&mut self, at: At) -> Result<Expr> {
        let text = self.token(0).map(|t| t.text.clone()).unwrap_or_default();
        let simple = |kind| Ok(make(kind, at));
        match &*text {
            "true" | "false" => {
                self.at += 1;
                return simple(ExprKind::Bool(&*text == "true"));
            }
            "nullptr" | "NULL" => {
                self.at += 1;
                return simple(ExprKind::Null);
            }
            "this" => {
                self.at += 1;
                return simple(ExprKind::This);
            }
            "static_cast" | "reinterpret_cast" | "const_cast" | "dynamic_cast" => {
                self.at += 1;
                self.expect("<")?;
                let angle = std::mem::replace(&mut self.angle, true);
                let ty = self.full_type()?;
                self.angle = angle;
                self.expect(">")?;
                self.expect("(")?;
                let angle = std::mem::replace(&mut self.angle, false);
                let e = self.expression()?;
                self.angle = angle;
                self.expect(")")?;
                let how = if &*text == "reinterpret_cast" { Cast::Bits } else { Cast::Value };
                return simple(ExprKind::Cast(how, ty, Box::new(e)));
            }
            _ => {}
        }
        // A type makes a value: T(x), T{x}.
        let construct = self.attempt(|p| {
            let before = p.at;
            let ty = if p.at_fundamental() || p.is("typename") {
                p.base_type(&mut Default::default())?
            } else {
                let name = p.qualified(true)?;
                if !p.names_type(&name) {
                    return Err(p.unexpected("expected a type"));
                }
                TypeExpr::Named(name)
            };
            if p.at == before || !(p.is("(") || p.is("{")) {
                return Err(p.unexpected("expected `(`"));
            }
            Ok(ty)
        });
        if let Some(ty) = construct {
            let braces = self.is("{");
            let (open, close) = if braces { ("{", "}") } else { ("(", ")") };
            let args = self.arguments(open, close)?;
            if args.len() == 1 && !braces && !matches!(args[0].kind, ExprKind::List(_)) {
                let e = args.into_iter().next().unwrap_or(make(ExprKind::Null, at));
                return simple(ExprKind::Cast(Cast::Value, ty, Box::new(e)));
            }
            return simple(ExprKind::Construct(ty, args, braces));
        }
        let name = self.qualified(false)?;
        Ok(make(ExprKind::Name(name), at))
    }

    fn lambda(&mut self) -> Result<Expr> {
        let at = self.here();
        let (mut copies, mut captures, mut made) = (false, Vec::new(), Vec::new());
        self.expect("[")?;
        let angle = std::mem::replace(&mut self.angle, false);
        while !self.is("]") {
            let by_reference = self.eat("&");
            if self.eat("=") {
                copies = true;
            } else if self.eat("*") {
                self.expect("this")?;
                return Err(self.unexpected("a copy of the object is captured: copy it to a variable first"));
            } else if self.is_name(0) {
                let name = self.name()?;
                self.eat("...");
                match self.initializer()? {
                    Some(Init::Value(e)) => made.push((name, e, by_reference)),
                    Some(Init::Args(mut args, _)) if args.len() == 1 => made.push((name, args.remove(0), by_reference)),
                    Some(_) => return Err(self.unexpected("expected one value for this capture")),
                    None if self.is("(") => return Err(self.unexpected("write the capture with `=`")),
                    None => captures.push((name, by_reference)),
                }
            } else if !by_reference {
                return Err(self.unexpected("expected a capture"));
            }
            if !self.eat(",") {
                break;
            }
        }
        self.angle = angle;
        self.expect("]")?;
        let params = if self.is("(") { self.params()? } else { Vec::new() };
        self.scopes.push(std::collections::BTreeSet::new());
        params.iter().for_each(|p| self.hide_type(&p.name));
        while self.eat("mutable")
            || self.eat("__device__")
            || self.eat("__host__")
            || self.eat("constexpr")
            || self.eat("noexcept")
        {}
        let ret = if self.eat("->") { Some(self.full_type()?) } else { None };
        let body = self.block();
        self.scopes.pop();
        let body = body?;
        Ok(make(ExprKind::Lambda(Arc::new(Lambda { copies, captures, made, params, ret, body })), at))
    }

    /// After `operator`: `operator+`, `operator[]`, `operator()`, or a conversion.
    pub(super) fn operator_name(&mut self) -> Result<std::sync::Arc<str>> {
        if self.is("(") && self.ahead(1, ")") {
            self.at += 2;
            return Ok("operator()".into());
        }
        if self.is("[") && self.ahead(1, "]") {
            self.at += 2;
            return Ok("operator[]".into());
        }
        let mut text = String::from("operator");
        while let Some(t) = self.token(0).filter(|t| t.kind == Kind::Punct && !t.is("(")) {
            text.push_str(&t.text);
            self.at += 1;
        }
        if text == "operator" {
            self.full_type()?;
            text.push_str(" conversion");
        }
        Ok(text.into())
    }
}
