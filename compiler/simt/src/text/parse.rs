//! Parses kernels: declarations and the structure of bodies.

use crate::ir::*;
use crate::op::*;
use girih_base::text::{Cursor, Token};
use girih_base::{DType, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How deep regions may nest.
const DEPTH: usize = 64;

/// The kernel of a text, not verified.
///
/// # Errors
/// `S005` with line and column when the text is not understood.
pub fn parse(text: &str) -> Result<Kernel> {
    let text = Cursor::new(text, "S005")?;
    let k = Kernel {
        name: String::new(),
        buffers: Vec::new(),
        uniforms: Vec::new(),
        shared: Vec::new(),
        locals: Vec::new(),
        workgroup: [1; 3],
        groups: girih_base::Dim::ONE,
        values: Vec::new(),
        body: Vec::new(),
    };
    Parser { text, k, values: BTreeMap::new(), uses: Vec::new() }.kernel()
}

/// Line and column.
type At = (u32, u32);

pub(super) struct Parser {
    pub(super) text: Cursor,
    pub(super) k: Kernel,
    values: BTreeMap<u32, Value>,
    /// Names written where values are used, to be compared with their definitions.
    uses: Vec<(At, u32, Arc<str>)>,
}

impl Parser {
    fn kernel(mut self) -> Result<Kernel> {
        self.text.symbols()?;
        self.text.keyword("kernel")?;
        self.text.expect('@')?;
        self.k.name = self.text.name()?;
        self.text.keyword("workgroup")?;
        self.text.expect('[')?;
        let at = self.text.position();
        let threads = self.text.until(']', Cursor::small)?;
        self.k.workgroup = threads.try_into().map_err(|_| self.text.error_at(at, "a workgroup has three extents"))?;
        self.text.keyword("groups")?;
        self.k.groups = self.text.dim()?;
        self.text.expect('{')?;
        self.declarations()?;
        self.k.body = self.block(0)?;
        while self.text.accept_word("dead") {
            let (at, id, name) = self.value_and_name()?;
            self.text.expect(':')?;
            let ty = self.ty()?;
            self.define(at, id, name, ty)?;
        }
        self.text.end()?;
        self.names()?;
        let count = self.values.len();
        let dense = |(index, (id, value)): (usize, (u32, Value))| (index == id as usize).then_some(value);
        self.k.values = self.values.into_iter().enumerate().map_while(dense).collect();
        if self.k.values.len() != count {
            let missing = self.k.values.len();
            return Err(self.text.error(format!("%{missing} is not defined, but later values are")));
        }
        Ok(self.k)
    }

    fn declarations(&mut self) -> Result<()> {
        loop {
            let at = self.text.position();
            if self.text.accept_word("buffer") {
                let (name, elem) = self.declared()?;
                let (written, read_only) = if self.text.accept_word("written") {
                    (true, self.text.accept_word("read"))
                } else {
                    self.text.keyword("read")?;
                    (false, self.text.peek_mark('-'))
                };
                if read_only {
                    self.text.expect('-')?;
                    self.text.keyword("only")?;
                }
                self.k.buffers.push(Buffer { name, elem, written, read_only });
            } else if self.text.accept_word("uniform") {
                let name: Arc<str> = self.text.name()?.into();
                if self.k.uniforms.contains(&name) {
                    return Err(self.text.error_at(at, format!("two uniforms are called `{name}`")));
                }
                self.k.uniforms.push(name);
            } else if self.text.accept_word("shared") {
                let (name, elem) = self.declared()?;
                self.text.expect('[')?;
                let len = self.text.small()?;
                self.text.expect(']')?;
                self.k.shared.push(Shared { name, elem, len });
            } else if self.text.accept_word("local") {
                let (name, elem) = self.declared()?;
                let len = if self.text.accept('[') { Some(self.text.small()?) } else { None };
                if len.is_some() {
                    self.text.expect(']')?;
                }
                self.k.locals.push(Local { name, elem, len });
            } else {
                return Ok(());
            }
        }
    }

    /// `name: type`, the name not yet taken.
    fn declared(&mut self) -> Result<(Arc<str>, Ty)> {
        let (at, name) = (self.text.position(), self.text.name()?);
        if self.space(&name).is_some() {
            return Err(self.text.error_at(at, format!("two arrays or variables are called `{name}`")));
        }
        self.text.expect(':')?;
        Ok((name.into(), self.ty()?))
    }

    /// The array or variable of a name.
    pub(super) fn space(&self, name: &str) -> Option<Space> {
        let position = |found: Option<usize>, space: fn(u32) -> Space| found.map(|i| space(i as u32));
        let k = &self.k;
        position(k.buffers.iter().position(|b| *b.name == *name), Space::Buffer)
            .or_else(|| position(k.shared.iter().position(|s| *s.name == *name), Space::Shared))
            .or_else(|| position(k.locals.iter().position(|l| *l.name == *name), Space::Local))
    }

    fn block(&mut self, depth: usize) -> Result<Vec<Stmt>> {
        if depth > DEPTH {
            return Err(self.text.error("regions are nested too deeply"));
        }
        let mut out = Vec::new();
        while !self.text.accept('}') {
            out.push(self.stmt(depth)?);
        }
        Ok(out)
    }

    fn stmt(&mut self, depth: usize) -> Result<Stmt> {
        if let Some(Token::Remark(text)) = self.text.peek() {
            let op = Op::Comment(text.as_str().into());
            self.text.next();
            return Ok(Stmt { result: None, op, loc: girih_base::Loc::unknown() });
        }
        if let Some(Token::Value(_)) = self.text.peek() {
            let (at, id, name) = self.value_and_name()?;
            self.text.expect('=')?;
            let op = self.expression()?;
            self.text.expect(':')?;
            let ty = self.ty()?;
            self.define(at, id, name, ty)?;
            return Ok(Stmt { result: Some(ValueId(id)), op, loc: self.text.loc()? });
        }
        if self.text.accept_word("if") {
            let cond = self.value()?;
            let loc = self.text.loc()?;
            self.text.expect('{')?;
            let then = self.block(depth + 1)?;
            let mut otherwise = Vec::new();
            if self.text.accept_word("else") {
                self.text.expect('{')?;
                otherwise = self.block(depth + 1)?;
            }
            return Ok(Stmt { result: None, op: Op::If(cond, then, otherwise), loc });
        }
        if self.text.accept_word("for") {
            return self.counted(depth);
        }
        if self.text.accept_word("loop") {
            let loc = self.text.loc()?;
            self.text.expect('{')?;
            return Ok(Stmt { result: None, op: Op::Loop(self.block(depth + 1)?), loc });
        }
        Ok(Stmt { result: None, op: self.effect()?, loc: self.text.loc()? })
    }

    fn counted(&mut self, depth: usize) -> Result<Stmt> {
        let (at, id, name) = self.value_and_name()?;
        self.define(at, id, name, Ty::scalar(DType::U32))?;
        self.text.keyword("in")?;
        let lo = self.value()?;
        self.text.range()?;
        let hi = self.value()?;
        self.text.keyword("step")?;
        let step = self.text.small()?;
        let uniform = self.text.accept_word("uniform");
        let loc = self.text.loc()?;
        self.text.expect('{')?;
        let body = self.block(depth + 1)?;
        Ok(Stmt { result: None, op: Op::For { index: ValueId(id), lo, hi, step, uniform, body }, loc })
    }

    /// `f32` or `vec4<f32>`.
    fn ty(&mut self) -> Result<Ty> {
        for lanes in 2..=4 {
            if self.text.accept_word(&format!("vec{lanes}")) {
                self.text.expect('<')?;
                let dtype = self.text.dtype()?;
                self.text.expect('>')?;
                return Ok(Ty::vec(dtype, lanes));
            }
        }
        self.text.dtype().map(Ty::scalar)
    }

    /// A value that is used here.
    pub(super) fn value(&mut self) -> Result<ValueId> {
        let (at, id, name) = self.value_and_name()?;
        self.uses.extend(name.map(|name| (at, id, name)));
        Ok(ValueId(id))
    }

    /// Values that are used here, with commas between them.
    pub(super) fn value_list(&mut self) -> Result<Vec<ValueId>> {
        let mut out = vec![self.value()?];
        while self.text.accept(',') {
            out.push(self.value()?);
        }
        Ok(out)
    }

    fn value_and_name(&mut self) -> Result<(At, u32, Option<Arc<str>>)> {
        let (at, id) = (self.text.position(), self.text.value()?);
        // `%7.0` and `%7.[%1]` are components.
        let named =
            self.text.peek_mark('.') && matches!(self.text.peek_second(), Some(Token::Word(_) | Token::Text(_)));
        if !named {
            return Ok((at, id, None));
        }
        self.text.expect('.')?;
        Ok((at, id, Some(self.text.name()?.into())))
    }

    /// Regions side by side may define the same value, if it is the same in both.
    fn define(&mut self, at: At, id: u32, name: Option<Arc<str>>, ty: Ty) -> Result<()> {
        let value = Value { ty, name };
        match self.values.get(&id) {
            Some(other) if *other != value => {
                Err(self.text.error_at(at, format!("%{id} is defined twice, with different types or names")))
            }
            _ => {
                self.values.insert(id, value);
                Ok(())
            }
        }
    }

    fn names(&self) -> Result<()> {
        let wrong = |(_, id, name): &&(At, u32, Arc<str>)| {
            self.values.get(id).is_some_and(|v| v.name.as_deref() != Some(&**name))
        };
        match self.uses.iter().find(wrong) {
            Some((at, id, name)) => Err(self.text.error_at(*at, format!("%{id} is not called `{name}`"))),
            None => Ok(()),
        }
    }
}
