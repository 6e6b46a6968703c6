//! Parses kernels: recursive descent over tokens.

use super::lex::{Spanned, Token, error, lex};
use crate::ir::*;
use girih_base::{DType, Diag, Loc, Result, ScalarOp, Symbol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How deep regions may nest.
const DEPTH: usize = 64;

/// The kernel of a text, not verified.
///
/// # Errors
/// `T001` with line and column when the text is not understood.
pub fn parse(text: &str) -> Result<Kernel> {
    let mut p =
        Parser { tokens: lex(text)?, at: 0, symbols: BTreeMap::new(), params: Vec::new(), values: BTreeMap::new() };
    p.kernel()
}

pub(super) struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    pub(super) symbols: BTreeMap<Arc<str>, Symbol>,
    params: Vec<Param>,
    values: BTreeMap<u32, Value>,
}

impl Parser {
    fn kernel(&mut self) -> Result<Kernel> {
        self.keyword("kernel")?;
        let name = self.name()?;
        while self.accept_word("sym") {
            let name: Arc<str> = self.name()?.into();
            let min = self.integer()?;
            self.token(&Token::Range)?;
            let max = self.integer()?;
            let multiple_of = if self.accept_word("multiple") { self.integer()? } else { 1 };
            if self.symbols.insert(name.clone(), Symbol { name: name.clone(), min, max, multiple_of }).is_some() {
                return Err(self.error(format!("symbol `{name}` is declared twice")));
            }
        }
        while self.accept_word("param") {
            let param = self.param()?;
            self.params.push(param);
        }
        let mut grid = Vec::new();
        if self.accept_word("grid") {
            grid.push(self.dim()?);
            while self.accept(',') {
                grid.push(self.dim()?);
            }
        }
        let body = self.block(0)?;
        while self.accept_word("dead") {
            self.def()?;
        }
        if self.at < self.tokens.len() {
            return Err(self.error("expected the end of the kernel"));
        }
        let count = self.values.len();
        let values: Vec<Value> = std::mem::take(&mut self.values).into_iter().enumerate().map_while(dense).collect();
        if values.len() != count {
            return Err(self.error(format!("%{} is not defined, but later values are", values.len())));
        }
        Ok(Kernel { name, params: std::mem::take(&mut self.params), grid, values, body })
    }

    fn param(&mut self) -> Result<Param> {
        let name: Arc<str> = self.name()?.into();
        if self.params.iter().any(|p| p.name == name) {
            return Err(self.error(format!("two parameters are named `{name}`")));
        }
        let dtype = self.dtype()?;
        self.expect('[')?;
        let len = self.dim()?;
        self.expect(']')?;
        let at = self.position();
        let access = match &self.identifier()?[..] {
            "read" => Access::Read,
            "write" => Access::Write,
            "readwrite" => Access::ReadWrite,
            _ => return Err(self.error_at(at, "expected `read`, `write` or `readwrite`")),
        };
        Ok(Param { name, dtype, len, access, constant: self.accept_word("const") })
    }

    fn block(&mut self, depth: usize) -> Result<Block> {
        if depth > DEPTH {
            return Err(self.error("regions are nested too deeply"));
        }
        let params = if self.accept('(') { self.defs_until(')')? } else { Vec::new() };
        self.expect('{')?;
        let (mut stmts, mut results) = (Vec::new(), Vec::new());
        while !self.accept('}') {
            if self.accept_word("yield") {
                results = self.values_list()?;
                self.expect('}')?;
                break;
            }
            stmts.push(self.stmt(depth)?);
        }
        Ok(Block { params, stmts, results })
    }

    fn stmt(&mut self, depth: usize) -> Result<Stmt> {
        let results = if matches!(self.peek(), Some(Token::Value(_))) { self.defs_until('=')? } else { Vec::new() };
        let op = self.op(depth)?;
        Ok(Stmt { results, op, loc: self.loc()? })
    }

    fn loc(&mut self) -> Result<Loc> {
        let mut sites = Vec::new();
        while self.accept('@') {
            let at = self.position();
            let Some(Token::Text(file)) = self.next() else {
                return Err(self.error_at(at, "expected a quoted file name"));
            };
            self.expect(':')?;
            let line = self.small()?;
            self.expect(':')?;
            sites.push(Loc::new(file, line, self.small()?));
        }
        let outermost = sites.pop().unwrap_or_default();
        Ok(sites.iter().rev().fold(outermost, |site, inner| inner.inlined_at(&site)))
    }

    fn op(&mut self, depth: usize) -> Result<Op> {
        let at = self.position();
        let name = self.identifier()?;
        Ok(match &name[..] {
            "program_id" => Op::ProgramId(self.index()?),
            "const" => Op::Const(self.literal()?),
            "size" => Op::Size(self.dim()?),
            "cast" => Op::Cast(self.value()?),
            "bitcast" => Op::Bitcast(self.value()?),
            "splat" => Op::Splat(self.value()?),
            "arange" => Op::Arange(self.index()?),
            "reshape" => Op::Reshape(self.value()?),
            "permute" => Op::Permute(self.value()?, self.paren(Parser::index)?),
            "broadcast" => Op::Broadcast(self.value()?, self.paren(Parser::index)?),
            "load" => {
                let (param, view) = (self.param_ref()?, self.view()?);
                Op::Load { param, view, at: self.coordinates()?, mask: self.mask()?, other: self.other()? }
            }
            "load_quant" => {
                let (param, format) = (self.param_ref()?, self.name()?.into());
                self.expect('(')?;
                let rows = self.dim()?;
                self.expect(',')?;
                let columns = self.dim()?;
                self.expect(')')?;
                let place = self.position();
                match self.coordinates()?[..] {
                    [r, c] => Op::LoadQuant { param, format, rows, columns, at: [r, c] },
                    _ => return Err(self.error_at(place, "`load_quant` has two coordinates")),
                }
            }
            "load_at" => {
                let (param, index) = (self.param_ref()?, self.value()?);
                Op::LoadAt { param, index, mask: self.mask()?, other: self.other()? }
            }
            "store" => {
                let (param, view, at) = (self.param_ref()?, self.view()?, self.coordinates()?);
                Op::Store { param, view, at, value: self.value()?, mask: self.mask()? }
            }
            "store_at" => {
                let (param, index, value) = (self.param_ref()?, self.value()?, self.value()?);
                Op::StoreAt { param, index, value, mask: self.mask()? }
            }
            "atomic" => {
                let (place, name) = (self.position(), self.identifier()?);
                let op = AtomicOp::ALL.iter().copied().find(|op| op.name() == name);
                let op = op.ok_or_else(|| self.error_at(place, format!("no atomic operation `{name}`")))?;
                let (param, index, value) = (self.param_ref()?, self.value()?, self.value()?);
                Op::Atomic { op, param, index, value, mask: self.mask()? }
            }
            "dot" => {
                let a = self.value()?;
                self.expect(',')?;
                let b = self.value()?;
                Op::Dot { a, b, acc: if self.accept_word("acc") { Some(self.value()?) } else { None } }
            }
            "reduce" => {
                let (combine, axis) = self.combine()?;
                let args = self.paren(Parser::value)?;
                Op::Reduce { args, axis, combine: self.combine_body(combine, depth)? }
            }
            "scan" => {
                let (combine, axis) = self.combine()?;
                let reverse = self.accept_word("reverse");
                let args = self.paren(Parser::value)?;
                Op::Scan { args, axis, combine: self.combine_body(combine, depth)?, reverse }
            }
            "sort" => {
                self.keyword("axis")?;
                let axis = self.index()?;
                self.keyword("keys")?;
                let keys = self.index()?;
                let descending = self.accept_word("descending");
                Op::Sort { args: self.paren(Parser::value)?, axis, keys, descending }
            }
            "for" => {
                let lo = self.value()?;
                self.expect(',')?;
                let hi = self.value()?;
                self.keyword("step")?;
                let step = self.small()?;
                self.keyword("init")?;
                let init = self.paren(Parser::value)?;
                Op::For { lo, hi, step, init, body: self.block(depth + 1)? }
            }
            "if" => {
                let cond = self.value()?;
                let then = self.block(depth + 1)?;
                self.keyword("else")?;
                Op::If { cond, then, otherwise: self.block(depth + 1)? }
            }
            _ => match ScalarOp::from_name(&name) {
                Some(op) => Op::Map(op, self.values_list()?),
                None => return Err(self.error_at(at, format!("no operation `{name}`"))),
            },
        })
    }

    /// The scalar operation (none for `body`) and the axis.
    fn combine(&mut self) -> Result<(Option<ScalarOp>, usize)> {
        let (at, name) = (self.position(), self.identifier()?);
        let op = match &name[..] {
            "body" => None,
            _ => match ScalarOp::from_name(&name) {
                Some(op) => Some(op),
                None => return Err(self.error_at(at, format!("no operation `{name}`"))),
            },
        };
        self.keyword("axis")?;
        Ok((op, self.index()?))
    }

    fn combine_body(&mut self, op: Option<ScalarOp>, depth: usize) -> Result<Combine> {
        match op {
            Some(op) => Ok(Combine::Scalar(op)),
            None => self.block(depth + 1).map(Combine::Body),
        }
    }

    fn view(&mut self) -> Result<View> {
        self.keyword("view")?;
        self.expect('(')?;
        let mut view = View { offset: self.dim()?, axes: Vec::new(), guards: Vec::new() };
        while self.accept(';') {
            if self.accept_word("guard") {
                self.expect('(')?;
                let base = self.dim()?;
                self.expect(';')?;
                let mut coeffs = Vec::new();
                while !self.accept(';') {
                    if !coeffs.is_empty() {
                        self.expect(',')?;
                    }
                    coeffs.push(self.integer()?);
                }
                let extent = self.dim()?;
                self.expect(')')?;
                view.guards.push(Guard { base, coeffs, extent });
            } else {
                loop {
                    let extent = self.dim()?;
                    self.expect(':')?;
                    let stride = self.dim()?;
                    view.axes.push(ViewAxis { extent, stride, inside: self.accept('!') });
                    if !self.accept(',') {
                        break;
                    }
                }
            }
        }
        self.expect(')')?;
        Ok(view)
    }

    fn coordinates(&mut self) -> Result<Vec<ValueId>> {
        self.keyword("at")?;
        self.paren(Parser::value)
    }

    fn mask(&mut self) -> Result<Option<ValueId>> {
        if self.accept_word("mask") { self.value().map(Some) } else { Ok(None) }
    }

    fn other(&mut self) -> Result<Literal> {
        self.keyword("other")?;
        self.literal()
    }

    fn literal(&mut self) -> Result<Literal> {
        let (at, negative) = (self.position(), self.accept('-'));
        match self.next() {
            Some(Token::Float(v)) => Ok(Literal::float(if negative { -v } else { v })),
            Some(Token::Bits(bits)) if !negative => Ok(Literal::Float(bits)),
            Some(Token::Int(v)) => {
                let v = if negative { 0i64.checked_sub_unsigned(v) } else { i64::try_from(v).ok() };
                v.map(Literal::Int).ok_or_else(|| self.error_at(at, "this integer is too large"))
            }
            _ => Err(self.error_at(at, "expected a number")),
        }
    }

    fn param_ref(&mut self) -> Result<usize> {
        let (at, name) = (self.position(), self.name()?);
        let index = self.params.iter().position(|p| *p.name == *name);
        index.ok_or_else(|| self.error_at(at, format!("no parameter `{name}`")))
    }

    /// `%1 "name": f32[4]`
    fn def(&mut self) -> Result<ValueId> {
        let (at, id) = (self.position(), self.value()?);
        let name = match self.peek() {
            Some(Token::Text(name)) => Some(name.as_str().into()),
            _ => None,
        };
        self.at += name.is_some() as usize;
        self.expect(':')?;
        let dtype = self.dtype()?;
        let mut shape = Vec::new();
        if self.accept('[') {
            while !self.accept(']') {
                if !shape.is_empty() {
                    self.expect(',')?;
                }
                shape.push(self.small()?);
            }
        }
        match self.values.insert(id.0, Value { ty: TileTy { dtype, shape }, name }) {
            None => Ok(id),
            Some(_) => Err(self.error_at(at, format!("{id} is defined twice"))),
        }
    }

    fn defs_until(&mut self, end: char) -> Result<Vec<ValueId>> {
        let mut out = Vec::new();
        while !self.accept(end) {
            if !out.is_empty() {
                self.expect(',')?;
            }
            out.push(self.def()?);
        }
        Ok(out)
    }

    fn values_list(&mut self) -> Result<Vec<ValueId>> {
        let mut out = vec![self.value()?];
        while self.accept(',') {
            out.push(self.value()?);
        }
        Ok(out)
    }

    fn paren<T>(&mut self, item: impl Fn(&mut Parser) -> Result<T>) -> Result<Vec<T>> {
        self.expect('(')?;
        let mut out = Vec::new();
        while !self.accept(')') {
            if !out.is_empty() {
                self.expect(',')?;
            }
            out.push(item(self)?);
        }
        Ok(out)
    }

    fn dtype(&mut self) -> Result<DType> {
        let (at, name) = (self.position(), self.identifier()?);
        DType::from_name(&name).ok_or_else(|| self.error_at(at, format!("no dtype `{name}`")))
    }

    fn value(&mut self) -> Result<ValueId> {
        let at = self.position();
        match self.next() {
            Some(Token::Value(id)) => Ok(ValueId(id)),
            _ => Err(self.error_at(at, "expected a value")),
        }
    }

    fn integer(&mut self) -> Result<i64> {
        let at = self.position();
        match self.literal()? {
            Literal::Int(v) => Ok(v),
            Literal::Float(_) => Err(self.error_at(at, "expected an integer")),
        }
    }

    fn small(&mut self) -> Result<u32> {
        let at = self.position();
        u32::try_from(self.integer()?).map_err(|_| self.error_at(at, "expected a number from 0 to 4294967295"))
    }

    fn index(&mut self) -> Result<usize> {
        self.small().map(|v| v as usize)
    }

    fn name(&mut self) -> Result<String> {
        let at = self.position();
        match self.next() {
            Some(Token::Word(name) | Token::Text(name)) => Ok(name),
            _ => Err(self.error_at(at, "expected a name")),
        }
    }

    fn identifier(&mut self) -> Result<String> {
        let at = self.position();
        match self.next() {
            Some(Token::Word(name)) => Ok(name),
            _ => Err(self.error_at(at, "expected a word")),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.token)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    pub(super) fn peek_mark(&self, mark: char) -> bool {
        self.peek() == Some(&Token::Mark(mark))
    }

    pub(super) fn accept(&mut self, mark: char) -> bool {
        let here = self.peek_mark(mark);
        self.at += here as usize;
        here
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Word(w)) if w == word);
        self.at += here as usize;
        here
    }

    pub(super) fn expect(&mut self, mark: char) -> Result<()> {
        if self.accept(mark) { Ok(()) } else { Err(self.error(format!("expected `{mark}`"))) }
    }

    fn keyword(&mut self, word: &str) -> Result<()> {
        if self.accept_word(word) { Ok(()) } else { Err(self.error(format!("expected `{word}`"))) }
    }

    fn token(&mut self, token: &Token) -> Result<()> {
        if self.peek() == Some(token) {
            self.at += 1;
            return Ok(());
        }
        Err(self.error("expected `..`"))
    }

    /// Line and column of the next token, or just past the last one.
    pub(super) fn position(&self) -> (u32, u32) {
        match self.tokens.get(self.at).or(self.tokens.last()) {
            Some(t) => (t.line, t.column),
            None => (1, 1),
        }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Box<Diag> {
        self.error_at(self.position(), message)
    }

    pub(super) fn error_at(&self, (line, column): (u32, u32), message: impl Into<String>) -> Box<Diag> {
        error(line, column, message)
    }
}

/// The value, as long as ids count up from zero without a gap.
fn dense((index, (id, value)): (usize, (u32, Value))) -> Option<Value> {
    (index == id as usize).then_some(value)
}
