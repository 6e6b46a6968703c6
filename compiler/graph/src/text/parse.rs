//! Text to graph. Never panics; what it allocates is bounded by the length of the text.

use super::attrs::{Field, Fields, Item, Symbols};
use super::lex::{Spanned, Token, lex};
use super::print::RESERVED;
use crate::graph::{Graph, NodeId, ParamKind};
use crate::ops::{Attr, Callee, Op};
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Diag, Dim, Loc, Result, Symbol};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Brackets inside each other.
const MAX_NESTING: usize = 32;
/// Bodies inside each other, since passes walk them recursively.
const MAX_BODIES: usize = 64;
/// Axes of a tensor.
const MAX_RANK: usize = 64;
/// Parts of a type: a dot can double the rank and a tuple the members, line by line.
const MAX_TYPE: usize = 1 << 12;
/// Elements of a tensor, so that no size computed from it overflows.
const MAX_ELEMENTS: i64 = 1 << 48;

/// Parses a graph; `file` is the name that errors give.
///
/// # Errors
/// `G301` for text that is no graph, with its line and column; what an operation refuses about its operands is a note.
pub fn parse(text: &str, file: &str) -> Result<Graph> {
    let file: Arc<str> = file.into();
    let tokens = lex(text, &file)?;
    Parser { tokens, at: 0, file, symbols: Symbols::new(), defs: BTreeMap::new(), parts_left: 64 * text.len() }.module()
}

impl std::str::FromStr for Graph {
    type Err = Box<Diag>;
    fn from_str(text: &str) -> Result<Graph> {
        parse(text, "<text>")
    }
}

#[derive(Clone)]
enum Def {
    Body(Arc<Graph>),
    Callee(Arc<Callee>),
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    file: Arc<str>,
    symbols: Symbols,
    /// Definitions and how deep bodies nest in each.
    defs: BTreeMap<String, (Def, usize)>,
    /// Parts of types that the text may still make.
    parts_left: usize,
}

impl Parser {
    fn module(mut self) -> Result<Graph> {
        while self.eat_word("symbol") {
            self.symbol()?;
        }
        loop {
            if self.eat_word("callee") {
                let label = self.label()?;
                let name = self.text()?;
                let attrs = self.callee_attrs()?;
                self.expect_word("graph")?;
                let (body, depth) = self.graph()?;
                let callee = Callee { name: name.into(), attrs, body };
                self.define(label, Def::Callee(Arc::new(callee)), depth)?;
            } else {
                self.expect_word("graph")?;
                if !matches!(self.peek(), Token::Label(_)) {
                    let (graph, _) = self.graph()?;
                    return match self.peek() {
                        Token::End => Ok(graph),
                        _ => Err(self.expected("the end after the graph without a label")),
                    };
                }
                let label = self.label()?;
                let (body, depth) = self.graph()?;
                self.define(label, Def::Body(Arc::new(body)), depth)?;
            }
        }
    }

    fn define(&mut self, label: String, def: Def, depth: usize) -> Result<()> {
        if depth >= MAX_BODIES {
            return Err(self.error(format!("more than {MAX_BODIES} bodies inside each other")));
        }
        match self.defs.insert(label, (def, depth)) {
            None => Ok(()),
            Some(_) => Err(self.error("a label is defined twice")),
        }
    }

    fn symbol(&mut self) -> Result<()> {
        let name: Arc<str> = self.symbol_name()?.into();
        let min = self.signed("the smallest value")?;
        self.expect("..=")?;
        let max = self.signed("the largest value")?;
        let multiple_of = if self.eat_word("step") { self.signed("a step")? } else { 1 };
        if min > max || multiple_of < 1 {
            return Err(self.error(format!("the symbol `{name}` has no values")));
        }
        let symbol = Symbol { name: name.clone(), min, max, multiple_of };
        match self.symbols.insert(name, symbol) {
            None => Ok(()),
            Some(s) => Err(self.error(format!("the symbol `{}` is declared twice", s.name))),
        }
    }

    fn callee_attrs(&mut self) -> Result<Vec<(&'static str, Attr)>> {
        let mut out: Vec<(&'static str, Attr)> = Vec::new();
        for (name, item) in self.fields(&mut 0)? {
            let attr = Attr::read(item, &self.symbols).map_err(|e| self.error(format!("`{name}`: {e}")))?;
            if out.iter().any(|(n, _)| *n == name) {
                return Err(self.error(format!("`{name}` is given twice")));
            }
            out.push((intern(&name).ok_or_else(|| self.error("too many attribute names"))?, attr));
        }
        Ok(out)
    }

    /// A graph after the word, and how deep its bodies nest.
    fn graph(&mut self) -> Result<(Graph, usize)> {
        let mut graph = Graph::new(self.text()?);
        let mut depth = 0;
        self.expect("{")?;
        loop {
            if self.eat_word("return") {
                let outputs = self.values(&graph)?;
                graph.set_outputs(outputs);
                self.expect("}")?;
                return Ok((graph, depth + 1));
            }
            self.node(&mut graph, &mut depth)?;
        }
    }

    fn node(&mut self, graph: &mut Graph, depth: &mut usize) -> Result<()> {
        let here = self.here();
        match self.peek() {
            Token::Value(n) if *n == graph.len() as u64 => self.at += 1,
            _ => return Err(self.expected(&format!("`%{}` or `return`", graph.len()))),
        }
        self.expect("=")?;
        let word = self.word("an operation")?;
        let operands = self.values(graph)?;
        let list = if matches!(self.peek(), Token::Mark("{")) { self.fields(depth)? } else { Vec::new() };
        let ty = if self.eat(":") { Some(self.ty(0)?) } else { None };
        let name = if self.eat_word("as") { Some(self.text()?) } else { None };
        let loc = self.loc()?;
        let kind = match word.as_str() {
            "input" => Some(ParamKind::Input),
            "weight" => Some(ParamKind::Weight),
            "state" => Some(ParamKind::State),
            _ => None,
        };
        let id = if let Some(kind) = kind {
            let ty = ty.ok_or_else(|| self.refused(&here, "a parameter needs `: type`"))?;
            if !operands.is_empty() || !list.is_empty() {
                return Err(self.refused(&here, "a parameter has neither operands nor attributes"));
            }
            self.spend(&ty, &here)?;
            graph.param(name.as_deref().unwrap_or(""), ty, kind, loc)
        } else {
            let op = self.op(&word, list, ty.as_ref(), &here)?;
            // Before inference, which would build what is too large.
            let tys: Vec<&Ty> = operands.iter().map(|o| graph.ty(*o)).collect();
            if tys.iter().map(|t| parts(t)).sum::<usize>() > MAX_TYPE {
                return Err(self.refused(&here, "the operands' types are too large"));
            }
            let id = graph.add(op, &operands, loc).map_err(|e| self.refused(&here, e.message.clone()))?;
            self.check_ty(graph.ty(id)).map_err(|e| self.refused(&here, e))?;
            self.spend(graph.ty(id), &here)?;
            match ty {
                Some(ty) if ty != *graph.ty(id) => {
                    let why = format!("the result is {}, not {ty}", graph.ty(id));
                    return Err(self.refused(&here, why));
                }
                _ => id,
            }
        };
        if let Some(name) = name {
            graph.set_name(id, &name);
        }
        Ok(())
    }

    fn op(&mut self, word: &str, list: Vec<(String, Item)>, ty: Option<&Ty>, here: &Loc) -> Result<Op> {
        let mut fields = Fields { list, ty: ty.and_then(Ty::tensor).cloned(), symbols: &self.symbols };
        let op = Op::read(word, &mut fields).map_err(|e| self.refused(here, format!("{word}: {e}")))?;
        match fields.list.first() {
            None => Ok(op),
            Some((name, _)) => {
                Err(self.refused(here, format!("{word} has no attribute `{name}`, or it is given twice")))
            }
        }
    }

    /// `%1, %2`, or nothing.
    fn values(&mut self, graph: &Graph) -> Result<Vec<NodeId>> {
        let mut out = Vec::new();
        while let Token::Value(n) = *self.peek() {
            if n >= graph.len() as u64 {
                return Err(self.error(format!("%{n} is not defined above")));
            }
            self.at += 1;
            out.push(NodeId(n as u32));
            if !self.eat(",") {
                break;
            }
        }
        Ok(out)
    }

    /// `{name = item, ..}`.
    fn fields(&mut self, depth: &mut usize) -> Result<Vec<(String, Item)>> {
        self.expect("{")?;
        let mut out = Vec::new();
        while !self.eat("}") {
            let name = self.word("an attribute")?;
            self.expect("=")?;
            out.push((name, self.item(0, depth)?));
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(out)
    }

    fn item(&mut self, nesting: usize, depth: &mut usize) -> Result<Item> {
        if nesting > MAX_NESTING {
            return Err(self.error("too many brackets inside each other"));
        }
        let token = self.peek().clone();
        match token {
            Token::Text(t) => {
                self.at += 1;
                Ok(Item::Text(t.into()))
            }
            Token::Bytes(b) => {
                self.at += 1;
                Ok(Item::Bytes(b.into()))
            }
            Token::Label(label) => {
                let (def, below) =
                    self.defs.get(&label).cloned().ok_or_else(|| self.expected("a label defined above"))?;
                self.at += 1;
                *depth = below.max(*depth);
                Ok(match def {
                    Def::Body(b) => Item::Body(b),
                    Def::Callee(c) => Item::Callee(c),
                })
            }
            Token::Mark("[") => {
                self.at += 1;
                Ok(Item::List(self.items("]", nesting, depth)?))
            }
            Token::Word(w) if DType::from_name(&w).is_some() && self.peek_after() == &Token::Mark("[") => {
                Ok(Item::Type(self.tensor()?))
            }
            Token::Word(w) if w == "nan" && self.peek_after() == &Token::Mark("(") => {
                self.at += 2;
                let bits = self.unsigned("the bits of a NaN")?;
                self.expect(")")?;
                let value = u64::try_from(bits).map(f64::from_bits).ok().filter(|v| v.is_nan());
                Ok(Item::Float(value.ok_or_else(|| self.error("these are not the bits of a NaN"))?))
            }
            Token::Word(w) if self.peek_after() == &Token::Mark("(") && !RESERVED.contains(&w.as_str()) => {
                const VARIANTS: [&str; 5] = ["size", "number", "custom", "for", "while"];
                let Some(name) = VARIANTS.into_iter().find(|v| *v == w) else {
                    return Err(self.expected("size, number, custom, for or while before `(`"));
                };
                self.at += 2;
                Ok(Item::Call(name, self.items(")", nesting, depth)?))
            }
            _ => self.number_or_size(),
        }
    }

    fn items(&mut self, close: &'static str, nesting: usize, depth: &mut usize) -> Result<Vec<Item>> {
        let mut out = Vec::new();
        while !self.eat(close) {
            out.push(self.item(nesting + 1, depth)?);
            if !self.eat(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(out)
    }

    /// A float, an integer of any width, one word, or a size.
    fn number_or_size(&mut self) -> Result<Item> {
        let start = self.at;
        let negative = self.eat("-");
        let token = self.peek().clone();
        let ends = !matches!(self.peek_after(), Token::Mark("+" | "-" | "*"));
        let sign = if negative { -1.0 } else { 1.0 };
        match token {
            Token::Float(v) if ends => self.then(Item::Float(sign * v)),
            Token::Word(w) if ends && w == "inf" => self.then(Item::Float(sign * f64::INFINITY)),
            Token::Word(w) if ends && w == "nan" && !negative => self.then(Item::Float(f64::NAN)),
            Token::Word(w) if ends && !negative && self.peek_after() != &Token::Mark("(") => self.then(Item::Word(w)),
            Token::Int(i) if ends => {
                match if negative { 0i128.checked_sub_unsigned(i) } else { i128::try_from(i).ok() } {
                    Some(i) => self.then(Item::Int(i)),
                    None => Err(self.error("the integer is too large")),
                }
            }
            _ => {
                self.at = start;
                Ok(Item::Dim(self.dim(0)?))
            }
        }
    }

    fn then(&mut self, item: Item) -> Result<Item> {
        self.at += 1;
        Ok(item)
    }

    /// A sum of products. Sizes bound themselves; see `Dim::too_large`.
    fn dim(&mut self, nesting: usize) -> Result<Dim> {
        if nesting > MAX_NESTING {
            return Err(self.error("too many functions inside each other"));
        }
        let mut sum = Dim::ZERO;
        loop {
            // The sign belongs to the number, so that the smallest i64 is read whole.
            let negative = self.eat("-");
            let mut product = self.factor(negative, nesting)?;
            while self.eat("*") {
                product = product * self.factor(false, nesting)?;
            }
            sum = sum + product;
            if sum.is_too_large() {
                return Err(self.error("the size is too large"));
            }
            if !self.eat("+") && !matches!(self.peek(), Token::Mark("-")) {
                return Ok(sum);
            }
        }
    }

    fn factor(&mut self, negative: bool, nesting: usize) -> Result<Dim> {
        if let Token::Int(i) = *self.peek() {
            let value = if negative {
                0i64.checked_sub_unsigned(u64::try_from(i).unwrap_or(u64::MAX))
            } else {
                i64::try_from(i).ok()
            };
            let value = value.ok_or_else(|| self.error("the size is too large"))?;
            self.at += 1;
            return Ok(Dim::from(value));
        }
        let dim = match self.peek().clone() {
            Token::Word(w) if RESERVED.contains(&w.as_str()) => {
                self.at += 1;
                self.expect("(")?;
                let a = self.dim(nesting + 1)?;
                self.expect(",")?;
                let b = self.dim(nesting + 1)?;
                self.expect(")")?;
                match w.as_str() {
                    "floordiv" => a.floor_div(&b),
                    "mod" => a.modulo(&b),
                    "min" => a.min_of(&b),
                    "max" => a.max_of(&b),
                    _ => return Err(self.error(format!("`{w}` is not a function of sizes"))),
                }
            }
            Token::Word(_) | Token::Symbol(_) => {
                let name = self.symbol_name()?;
                match self.symbols.get(name.as_str()) {
                    Some(s) => Dim::from(s.clone()),
                    None => return Err(self.error(format!("no symbol `{name}` was declared"))),
                }
            }
            _ => return Err(self.expected("a size")),
        };
        Ok(if negative { -dim } else { dim })
    }

    fn ty(&mut self, nesting: usize) -> Result<Ty> {
        if nesting > MAX_NESTING {
            return Err(self.error("too many tuples inside each other"));
        }
        if !self.eat("(") {
            return Ok(self.tensor()?.into());
        }
        let mut items = Vec::new();
        while !self.eat(")") {
            items.push(self.ty(nesting + 1)?);
            if !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(Ty::Tuple(items))
    }

    fn tensor(&mut self) -> Result<TensorTy> {
        let word = self.word("a dtype")?;
        let dtype = DType::from_name(&word).ok_or_else(|| self.error(format!("no dtype `{word}`")))?;
        self.expect("[")?;
        let mut shape = Vec::new();
        while !self.eat("]") {
            shape.push(self.dim(0)?);
            if !self.eat(",") {
                self.expect("]")?;
                break;
            }
        }
        let ty = TensorTy { dtype, shape };
        self.check_ty(&Ty::from(ty.clone())).map_err(|e| self.error(e))?;
        Ok(ty)
    }

    fn check_ty(&self, ty: &Ty) -> Result<(), String> {
        match ty {
            Ty::Tuple(items) => items.iter().try_for_each(|t| self.check_ty(t)),
            Ty::Tensor(t) => {
                let count = t.shape.iter().filter_map(Dim::as_const).filter(|n| *n != 0);
                let count = count.clone().all(|n| n > 0).then(|| count.fold(1i64, |a, n| a.saturating_mul(n)));
                match count {
                    _ if t.rank() > MAX_RANK => Err(format!("more than {MAX_RANK} axes")),
                    None => Err(format!("a negative extent in {t}")),
                    Some(n) if n > MAX_ELEMENTS => Err(format!("{t} has too many elements")),
                    Some(_) => Ok(()),
                }
            }
        }
    }

    /// Counts the parts of a type against what the text may make in all.
    fn spend(&mut self, ty: &Ty, here: &Loc) -> Result<()> {
        let n = parts(ty);
        if n > MAX_TYPE || n > self.parts_left {
            return Err(self.refused(here, "the type is too large"));
        }
        self.parts_left -= n;
        Ok(())
    }

    /// `at "file":1:2 from "file":3:4`, or nothing.
    fn loc(&mut self) -> Result<Loc> {
        const MAX_SITES: usize = 256;
        let mut sites = Vec::new();
        let mut word = "at";
        while self.eat_word(word) {
            let file = self.text()?;
            self.expect(":")?;
            let line = self.unsigned("a line")?;
            self.expect(":")?;
            let column = self.unsigned("a column")?;
            match (u32::try_from(line), u32::try_from(column)) {
                (Ok(l), Ok(c)) if sites.len() < MAX_SITES => sites.push(Loc::new(file, l, c)),
                _ => return Err(self.error("no such place in a file")),
            }
            word = "from";
        }
        Ok(sites.into_iter().rev().reduce(|outer, inner| inner.inlined_at(&outer)).unwrap_or_default())
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |t| &t.token)
    }

    fn peek_after(&self) -> &Token {
        self.tokens.get(self.at + 1).map_or(&Token::End, |t| &t.token)
    }

    fn eat(&mut self, mark: &'static str) -> bool {
        let found = matches!(self.peek(), Token::Mark(m) if *m == mark);
        self.at += found as usize;
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if w == word);
        self.at += found as usize;
        found
    }

    fn expect(&mut self, mark: &'static str) -> Result<()> {
        if self.eat(mark) { Ok(()) } else { Err(self.expected(&format!("`{mark}`"))) }
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.eat_word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    fn word(&mut self, what: &str) -> Result<String> {
        match self.peek().clone() {
            Token::Word(w) => {
                self.at += 1;
                Ok(w)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn symbol_name(&mut self) -> Result<String> {
        match self.peek().clone() {
            Token::Word(w) if !RESERVED.contains(&w.as_str()) => {
                self.at += 1;
                Ok(w)
            }
            Token::Symbol(s) => {
                self.at += 1;
                Ok(s)
            }
            _ => Err(self.expected("a symbol")),
        }
    }

    fn label(&mut self) -> Result<String> {
        match self.peek().clone() {
            Token::Label(l) => {
                self.at += 1;
                Ok(l)
            }
            _ => Err(self.expected("an @label")),
        }
    }

    fn text(&mut self) -> Result<String> {
        match self.peek().clone() {
            Token::Text(t) => {
                self.at += 1;
                Ok(t)
            }
            _ => Err(self.expected("a text in quotes")),
        }
    }

    fn unsigned(&mut self, what: &str) -> Result<u128> {
        match *self.peek() {
            Token::Int(i) => {
                self.at += 1;
                Ok(i)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn signed(&mut self, what: &str) -> Result<i64> {
        let negative = self.eat("-");
        let i = self.unsigned(what)?;
        let value = if negative { 0i128.checked_sub_unsigned(i) } else { i128::try_from(i).ok() };
        value.and_then(|v| i64::try_from(v).ok()).ok_or_else(|| self.error(format!("{what} is out of range")))
    }

    fn here(&self) -> Loc {
        let last = self.tokens.get(self.at).or(self.tokens.last());
        last.map_or(Loc::unknown(), |t| Loc::new(self.file.clone(), t.line, t.column))
    }

    fn error(&self, message: impl Into<String>) -> Box<Diag> {
        Diag::error("G301", message).at(&self.here(), "here")
    }

    fn expected(&self, what: &str) -> Box<Diag> {
        self.error(format!("expected {what}, found {}", describe(self.peek())))
    }

    fn refused(&self, at: &Loc, message: impl Into<String>) -> Box<Diag> {
        Diag::error("G301", message).at(at, "in this line")
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Word(w) => format!("`{w}`"),
        Token::Symbol(s) => format!("the symbol `{s}`"),
        Token::Value(n) => format!("`%{n}`"),
        Token::Label(l) => format!("`@{l}`"),
        Token::Int(i) => format!("`{i}`"),
        Token::Float(v) => format!("`{v:?}`"),
        Token::Text(_) => "a text".into(),
        Token::Bytes(_) => "hex data".into(),
        Token::Mark(m) => format!("`{m}`"),
        Token::End => "the end".into(),
    }
}

/// Tensors, axes and tuples in a type.
fn parts(ty: &Ty) -> usize {
    match ty {
        Ty::Tensor(t) => 1 + t.rank(),
        Ty::Tuple(items) => 1 + items.iter().map(parts).sum::<usize>(),
    }
}

/// Attribute names live as long as the process, as those written in Rust do; they are few, and so many are kept.
fn intern(name: &str) -> Option<&'static str> {
    const MAX_NAMES: usize = 4096;
    const MAX_LENGTH: usize = 64;
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().ok()?;
    if let Some(known) = names.get(name) {
        return Some(known);
    }
    if names.len() >= MAX_NAMES || name.len() > MAX_LENGTH {
        return None;
    }
    let kept: &'static str = Box::leak(name.into());
    names.insert(kept);
    Some(kept)
}
