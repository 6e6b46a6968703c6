//! Parses kernels: recursive descent over tokens.

use crate::ir::*;
use girih_base::Result;
use girih_base::text::{Cursor, Token};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How deep regions may nest.
const DEPTH: usize = 64;

/// The kernel of a text, not verified.
///
/// # Errors
/// `T101` with line and column when the text is not understood.
pub fn parse(text: &str) -> Result<Kernel> {
    Parser { text: Cursor::new(text, "T101")?, params: Vec::new(), scalars: Vec::new(), values: BTreeMap::new() }
        .kernel()
}

pub(super) struct Parser {
    pub(super) text: Cursor,
    pub(super) params: Vec<Param>,
    pub(super) scalars: Vec<Scalar>,
    values: BTreeMap<u32, Value>,
}

impl Parser {
    fn kernel(&mut self) -> Result<Kernel> {
        self.text.keyword("kernel")?;
        let name = self.text.name()?;
        self.text.symbols()?;
        while self.text.accept_word("param") {
            let param = self.param()?;
            self.params.push(param);
        }
        while self.text.accept_word("scalar") {
            let name: Arc<str> = self.text.name()?.into();
            if self.scalars.iter().any(|s| s.name == name) {
                return Err(self.text.error(format!("two scalars are named `{name}`")));
            }
            let dtype = self.text.dtype()?;
            self.scalars.push(Scalar { name, dtype });
        }
        let mut grid = Vec::new();
        if self.text.accept_word("grid") {
            grid = self.text.list(Cursor::dim)?;
        }
        let body = self.block(0)?;
        while self.text.accept_word("dead") {
            self.def()?;
        }
        self.text.end()?;
        let count = self.values.len();
        let values: Vec<Value> = std::mem::take(&mut self.values).into_iter().enumerate().map_while(dense).collect();
        if values.len() != count {
            return Err(self.text.error(format!("%{} is not defined, but later values are", values.len())));
        }
        let (params, scalars) = (std::mem::take(&mut self.params), std::mem::take(&mut self.scalars));
        Ok(Kernel { name, params, scalars, grid, values, body })
    }

    fn param(&mut self) -> Result<Param> {
        let name: Arc<str> = self.text.name()?.into();
        if self.params.iter().any(|p| p.name == name) {
            return Err(self.text.error(format!("two parameters are named `{name}`")));
        }
        let dtype = self.text.dtype()?;
        self.text.expect('[')?;
        let len = self.text.dim()?;
        self.text.expect(']')?;
        let at = self.text.position();
        let access = match &self.text.identifier()?[..] {
            "read" => Access::Read,
            "write" => Access::Write,
            "readwrite" => Access::ReadWrite,
            _ => return Err(self.text.error_at(at, "expected `read`, `write` or `readwrite`")),
        };
        Ok(Param { name, dtype, len, access, constant: self.text.accept_word("const") })
    }

    pub(super) fn block(&mut self, depth: usize) -> Result<Block> {
        if depth > DEPTH {
            return Err(self.text.error("regions are nested too deeply"));
        }
        let params = if self.text.accept('(') { self.defs_until(')')? } else { Vec::new() };
        self.text.expect('{')?;
        let (mut stmts, mut results) = (Vec::new(), Vec::new());
        while !self.text.accept('}') {
            if self.text.accept_word("yield") {
                results = self.values_list()?;
                self.text.expect('}')?;
                break;
            }
            stmts.push(self.stmt(depth)?);
        }
        Ok(Block { params, stmts, results })
    }

    fn stmt(&mut self, depth: usize) -> Result<Stmt> {
        let results =
            if matches!(self.text.peek(), Some(Token::Value(_))) { self.defs_until('=')? } else { Vec::new() };
        let op = self.op(depth)?;
        Ok(Stmt { results, op, loc: self.text.loc()? })
    }

    /// `%1 "name": f32[4]`
    fn def(&mut self) -> Result<ValueId> {
        let (at, id) = (self.text.position(), self.value()?);
        let name = self.text.accept_text().map(Into::into);
        self.text.expect(':')?;
        let dtype = self.text.dtype()?;
        let shape = if self.text.accept('[') { self.text.until(']', Cursor::small)? } else { Vec::new() };
        match self.values.insert(id.0, Value { ty: TileTy { dtype, shape }, name }) {
            None => Ok(id),
            Some(_) => Err(self.text.error_at(at, format!("{id} is defined twice"))),
        }
    }

    fn defs_until(&mut self, end: char) -> Result<Vec<ValueId>> {
        let mut out = Vec::new();
        while !self.text.accept(end) {
            if !out.is_empty() {
                self.text.expect(',')?;
            }
            out.push(self.def()?);
        }
        Ok(out)
    }

    pub(super) fn values_list(&mut self) -> Result<Vec<ValueId>> {
        self.text.list(Cursor::value).map(|ids| ids.into_iter().map(ValueId).collect())
    }
}

/// The value, as long as ids count up from zero without a gap.
fn dense((index, (id, value)): (usize, (u32, Value))) -> Option<Value> {
    (index == id as usize).then_some(value)
}
