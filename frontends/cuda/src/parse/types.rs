//! Types, names and declarators.

use super::Parser;
use crate::ast::*;
use crate::source::Kind;
use crate::types::Scalar;
use girih_base::Result;
use std::sync::Arc;

/// Declaration specifiers.
#[derive(Clone, Default)]
pub struct Specifiers {
    pub global: bool,
    pub device: bool,
    pub host: bool,
    pub shared: bool,
    pub constant: bool,
    pub managed: bool,
    pub is_static: bool,
    pub is_extern: bool,
    pub is_const: bool,
    pub constexpr: bool,
    pub volatile: bool,
    pub bounds: Option<Expr>,
    pub align: Option<Expr>,
}

const FUNDAMENTAL: &[&str] =
    &["unsigned", "signed", "int", "char", "short", "long", "float", "double", "bool", "__int64", "void", "auto"];

impl Parser<'_> {
    /// Specifiers before or after the type.
    pub(super) fn specifiers(&mut self, s: &mut Specifiers) -> Result<()> {
        while let Some(t) = self.token(0) {
            match &*t.text {
                "static" => s.is_static = true,
                "extern" => s.is_extern = true,
                "const" => s.is_const = true,
                "constexpr" | "consteval" => s.constexpr = true,
                "__global__" => s.global = true,
                "__device__" => s.device = true,
                "__host__" => s.host = true,
                "__shared__" => s.shared = true,
                "__constant__" => s.constant = true,
                "__managed__" => s.managed = true,
                "volatile" | "__volatile__" => s.volatile = true,
                "inline" | "__inline__" | "__inline" | "__forceinline__" | "__noinline__" | "virtual" | "explicit"
                | "friend" | "mutable" | "register" | "thread_local" | "typename" | "__restrict__" | "__restrict"
                | "restrict" | "__grid_constant__" => {}
                "__launch_bounds__" | "__align__" | "alignas" => {
                    let bounds = &*t.text == "__launch_bounds__";
                    self.at += 1;
                    self.expect("(")?;
                    let e = match self.attempt(|p| p.assignment()) {
                        Some(e) => Some(e),
                        None => {
                            let ty = self.full_type()?;
                            Some(Expr { kind: ExprKind::SizeofType(ty), at: self.here() })
                        }
                    };
                    while !self.eat(")") {
                        if self.eat(",") {
                            self.assignment()?;
                        } else {
                            return Err(self.unexpected("expected `)`"));
                        }
                    }
                    *(if bounds { &mut s.bounds } else { &mut s.align }) = e;
                    continue;
                }
                "__attribute__" | "__declspec" | "__cluster_dims__" | "__block_size__" | "__maxnreg__" => {
                    self.at += 1;
                    self.skip_group()?;
                    continue;
                }
                "[" if self.ahead(1, "[") => {
                    self.skip_group()?;
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Whether a fundamental type's keyword is next.
    pub(super) fn at_fundamental(&self) -> bool {
        self.token(0).is_some_and(|t| t.kind == Kind::Name && FUNDAMENTAL.contains(&&*t.text))
    }

    /// The type without pointers, with the specifiers around it.
    pub(super) fn base_type(&mut self, s: &mut Specifiers) -> Result<TypeExpr> {
        self.specifiers(s)?;
        let (mut words, mut longs, mut unsigned, mut signed) = (Vec::new(), 0, false, false);
        loop {
            match self.token(0).map(|t| &*t.text) {
                Some("unsigned") => unsigned = true,
                Some("signed") => signed = true,
                Some("long") => longs += 1,
                Some(w @ ("int" | "char" | "short" | "float" | "double" | "bool" | "__int64" | "void" | "auto")) => {
                    words.push(w.to_string())
                }
                _ => break,
            }
            self.at += 1;
            self.specifiers(s)?;
        }
        if !words.is_empty() || longs > 0 || unsigned || signed {
            words.retain(|w| w != "int" || (longs == 0 && !unsigned && !signed));
            words.sort();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let scalar = match (&words[..], longs) {
                (["void"], 0) => return Ok(TypeExpr::Void),
                (["auto"], _) => return Ok(TypeExpr::Auto),
                (["bool"], 0) => Scalar::Bool,
                (["float"], 0) => Scalar::Float,
                (["double"], _) => Scalar::Double,
                (["char"], 0) if unsigned => Scalar::UChar,
                (["char"], 0) if signed => Scalar::SChar,
                (["char"], 0) => Scalar::Char,
                (["short"] | ["int", "short"], 0) if unsigned => Scalar::UShort,
                (["short"] | ["int", "short"], 0) => Scalar::Short,
                (["__int64"], 0) | ([], 2) if unsigned => Scalar::ULongLong,
                (["__int64"], 0) | ([], 2) => Scalar::LongLong,
                ([], 1) if unsigned => Scalar::ULong,
                ([], 1) => Scalar::Long,
                ([], 0) if unsigned => Scalar::UInt,
                ([] | ["int"], 0) => Scalar::Int,
                _ => return Err(self.unexpected("these words make no type")),
            };
            return Ok(TypeExpr::Scalar(scalar));
        }
        if self.is("struct") || self.is("class") || self.is("union") || self.is("enum") {
            self.at += 1;
            let name = self.qualified(true)?;
            self.specifiers(s)?;
            return Ok(TypeExpr::Named(name));
        }
        if self.is("decltype") || self.is("__typeof__") {
            self.at += 1;
            self.expect("(")?;
            let e = self.expression()?;
            self.expect(")")?;
            return Ok(TypeExpr::Decltype(Box::new(e)));
        }
        let dependent = self.at > 0 && self.tokens[self.at - 1].is("typename");
        if !self.is_name(0) && !self.is("::") {
            return Err(self.unexpected("expected a type"));
        }
        let start = self.at;
        let name = self.qualified(true)?;
        if !(dependent || self.names_type(&name)) {
            self.at = start;
            return Err(self.unexpected("expected a type"));
        }
        self.specifiers(s)?;
        Ok(TypeExpr::Named(name))
    }

    /// Whether a name is that of a type.
    pub(super) fn names_type(&self, name: &Name) -> bool {
        let last = &name.last().id;
        match name.parts.len() {
            1 => self.is_type(last),
            // `Struct<T>::value` is a value, `Struct<T>::type` a type.
            n => {
                let qualified = self.is_type(&name.parts[n - 2].id);
                if qualified { self.program.names.members.contains(last) } else { self.is_type(last) }
            }
        }
    }

    /// `*`, `&` and qualifiers after a type.
    pub(super) fn pointers(&mut self, mut ty: TypeExpr, s: &mut Specifiers) -> Result<TypeExpr> {
        let mut constant = s.is_const;
        loop {
            if self.eat("*") {
                let (mut restrict, mut next) = (false, false);
                while let Some(t) = self.token(0) {
                    match &*t.text {
                        "const" => next = true,
                        "__restrict__" | "__restrict" | "restrict" => restrict = true,
                        "volatile" => {}
                        _ => break,
                    }
                    self.at += 1;
                }
                ty = TypeExpr::Pointer(Box::new(ty), constant, restrict);
                constant = next;
            } else if self.eat("&") || self.eat("&&") {
                while self.eat("__restrict__") {}
                ty = TypeExpr::Reference(Box::new(ty), constant);
            } else if self.eat("const") {
                constant = true;
            } else if self.eat("volatile") {
                s.volatile = true;
            } else {
                s.is_const = constant;
                return Ok(ty);
            }
        }
    }

    /// A whole type without a name, as in casts and template arguments.
    pub(super) fn full_type(&mut self) -> Result<TypeExpr> {
        self.deeper(|p| {
            let mut s = Specifiers::default();
            let base = p.base_type(&mut s)?;
            let mut ty = p.pointers(base, &mut s)?;
            if p.is("(") && p.ahead(1, "*") && p.ahead(2, ")") {
                p.at += 3;
                if p.is("(") {
                    p.skip_group()?;
                    return Ok(TypeExpr::Function);
                }
                ty = TypeExpr::Pointer(Box::new(p.array_suffix(ty)?), false, false);
            }
            if p.is("(") && p.ahead(1, "&") && p.ahead(2, ")") {
                p.at += 3;
                ty = TypeExpr::Reference(Box::new(p.array_suffix(ty)?), false);
            }
            p.array_suffix(ty)
        })
    }

    /// `[2][3]`.
    pub(super) fn array_suffix(&mut self, ty: TypeExpr) -> Result<TypeExpr> {
        if !self.is("[") || self.ahead(1, "[") {
            return Ok(ty);
        }
        self.at += 1;
        let angle = std::mem::replace(&mut self.angle, false);
        let len = if self.is("]") { None } else { Some(Box::new(self.expression()?)) };
        self.angle = angle;
        self.expect("]")?;
        let inner = self.array_suffix(ty)?;
        Ok(TypeExpr::Array(Box::new(inner), len))
    }

    /// The name and the rest of a declarator.
    pub(super) fn declarator(&mut self, ty: TypeExpr) -> Result<(Arc<str>, TypeExpr)> {
        if self.is("(") && (self.ahead(1, "*") || self.ahead(1, "&")) {
            let pointer = self.ahead(1, "*");
            self.at += 2;
            while self.eat("const") || self.eat("__restrict__") {}
            let name = if self.is_name(0) { self.name()? } else { "".into() };
            let inner = self.array_suffix(TypeExpr::Function)?;
            self.expect(")")?;
            if self.is("(") {
                self.skip_group()?;
                let ty = if let TypeExpr::Array(_, n) = inner {
                    TypeExpr::Array(Box::new(TypeExpr::Function), n)
                } else {
                    TypeExpr::Function
                };
                return Ok((name, ty));
            }
            let ty = self.array_suffix(ty)?;
            let ty = Box::new(ty);
            return Ok((
                name,
                if pointer { TypeExpr::Pointer(ty, false, false) } else { TypeExpr::Reference(ty, false) },
            ));
        }
        let name = if self.is_name(0) { self.name()? } else { "".into() };
        let ty = self.array_suffix(ty)?;
        Ok((name, ty))
    }

    /// A name with qualifiers and template arguments. `types`: a `<` after a type's name opens arguments.
    pub(super) fn qualified(&mut self, types: bool) -> Result<Name> {
        let at = self.here();
        self.eat("::");
        let mut parts = Vec::new();
        loop {
            self.eat("template");
            let id = self.name()?;
            let mut args = None;
            if self.is("<") && (self.is_template(&id) || (types && self.is_type(&id))) {
                args = match self.attempt(|p| p.template_args()) {
                    Some(a) => Some(a),
                    None if types => return Err(self.unexpected("these template arguments do not parse")),
                    None => None,
                };
            }
            parts.push(Part { id, args });
            if self.is("::") && self.is_name(1) {
                self.at += 1;
                continue;
            }
            return Ok(Name { parts, at });
        }
    }

    /// `<a, b>`.
    pub(super) fn template_args(&mut self) -> Result<Vec<TemplateArg>> {
        self.deeper(|p| {
            p.expect("<")?;
            let angle = std::mem::replace(&mut p.angle, true);
            let mut args = Vec::new();
            while !p.is(">") {
                let ty = p.attempt(|p| {
                    let ty = p.full_type()?;
                    p.eat("...");
                    if p.is(",") || p.is(">") { Ok(ty) } else { Err(p.unexpected("expected `,`")) }
                });
                args.push(match ty {
                    Some(ty) => TemplateArg::Type(ty),
                    None => {
                        let e = TemplateArg::Value(p.ternary()?);
                        p.eat("...");
                        e
                    }
                });
                if !p.eat(",") {
                    break;
                }
            }
            p.angle = angle;
            p.expect(">")?;
            Ok(args)
        })
    }

    /// `<typename T, int N = 4>` after `template`.
    pub(super) fn template_params(&mut self) -> Result<Vec<TemplateParam>> {
        self.expect("<")?;
        let mut params = Vec::new();
        while !self.is(">") {
            if (self.is("typename") || self.is("class")) && !self.ahead(2, "::") {
                self.at += 1;
                let pack = self.eat("...");
                let name = if self.is_name(0) { self.name()? } else { "".into() };
                self.declare_type(&name);
                let default = if self.eat("=") {
                    let angle = std::mem::replace(&mut self.angle, true);
                    let ty = self.full_type()?;
                    self.angle = angle;
                    Some(TemplateArg::Type(ty))
                } else {
                    None
                };
                params.push(TemplateParam { name, value: None, default, pack });
            } else if self.is("template") {
                return Err(self.unexpected("templates as template parameters are not supported"));
            } else {
                let mut s = Specifiers::default();
                let base = self.base_type(&mut s)?;
                let ty = self.pointers(base, &mut s)?;
                let pack = self.eat("...");
                let (name, ty) = self.declarator(ty)?;
                let default = if self.eat("=") {
                    let angle = std::mem::replace(&mut self.angle, true);
                    let e = self.ternary()?;
                    self.angle = angle;
                    Some(TemplateArg::Value(e))
                } else {
                    None
                };
                params.push(TemplateParam { name, value: Some(ty), default, pack });
            }
            if !self.eat(",") {
                break;
            }
        }
        self.expect(">")?;
        Ok(params)
    }

    /// `(int a, float* b = nullptr)`.
    pub(super) fn params(&mut self) -> Result<Vec<Param>> {
        self.expect("(")?;
        let mut params = Vec::new();
        if self.is("void") && self.ahead(1, ")") {
            self.at += 1;
        }
        while !self.is(")") {
            if self.eat("...") {
                break;
            }
            let mut s = Specifiers::default();
            let base = self.base_type(&mut s)?;
            let ty = self.pointers(base, &mut s)?;
            let pack = self.eat("...");
            let at = self.here();
            let (name, ty) = self.declarator(ty)?;
            self.specifiers(&mut s)?;
            if s.volatile && matches!(ty, TypeExpr::Pointer(..) | TypeExpr::Array(..)) {
                self.program.volatile.insert(name.clone());
            }
            let default = if self.eat("=") { Some(self.assignment()?) } else { None };
            params.push(Param { name, ty, default, at, pack });
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(params)
    }
}
