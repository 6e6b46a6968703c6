//! Text to graph. Never panics; what it allocates is bounded by the length of the text.

mod cursor;
mod items;
mod sizes;

use super::attrs::{Field, Fields, Item, Symbols};
use super::lex::{Spanned, Token, lex};
use crate::graph::{Graph, NodeId, ParamKind};
use crate::ops::{Attr, Callee, Op};
use crate::ty::Ty;
use girih_base::{Diag, Loc, Result, Symbol};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Brackets inside each other.
const MAX_NESTING: usize = 32;
/// Bodies inside each other, since passes walk them recursively.
const MAX_BODIES: usize = 64;
/// Parts of a type: a dot can double the rank and a tuple the members, line by line.
const MAX_TYPE: usize = 1 << 12;

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
