//! Parses operations: one word, then what belongs to it.

use super::parse::Parser;
use crate::ir::*;
use crate::op::*;
use girih_base::{Result, ScalarOp};
use std::sync::Arc;

impl Parser {
    pub(super) fn op(&mut self, depth: usize) -> Result<Op> {
        let at = self.text.position();
        let name = self.text.identifier()?;
        Ok(match &name[..] {
            "program_id" => Op::ProgramId(self.index()?),
            "const" => Op::Const(self.text.literal()?),
            "size" => Op::Size(self.text.dim()?),
            "scalar" => {
                let (at, name) = (self.text.position(), self.text.name()?);
                let index = self.scalars.iter().position(|s| *s.name == *name);
                Op::Scalar(index.ok_or_else(|| self.text.error_at(at, format!("no scalar `{name}`")))?)
            }
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
                let (param, format) = (self.param_ref()?, self.text.name()?.into());
                self.text.expect('(')?;
                let rows = self.text.dim()?;
                self.text.expect(',')?;
                let columns = self.text.dim()?;
                self.text.expect(')')?;
                let place = self.text.position();
                match self.coordinates()?[..] {
                    [r, c] => Op::LoadQuant { param, format, rows, columns, at: [r, c] },
                    _ => return Err(self.text.error_at(place, "`load_quant` has two coordinates")),
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
                let (place, name) = (self.text.position(), self.text.identifier()?);
                let op = AtomicOp::ALL.iter().copied().find(|op| op.name() == name);
                let op = op.ok_or_else(|| self.text.error_at(place, format!("no atomic operation `{name}`")))?;
                let (param, index, value) = (self.param_ref()?, self.value()?, self.value()?);
                Op::Atomic { op, param, index, value, mask: self.mask()? }
            }
            "compare_exchange" => {
                let (param, index) = (self.param_ref()?, self.value()?);
                Op::CompareExchange { param, index, expected: self.value()?, value: self.value()? }
            }
            "dot" => {
                let a = self.value()?;
                self.text.expect(',')?;
                let b = self.value()?;
                Op::Dot { a, b, acc: if self.text.accept_word("acc") { Some(self.value()?) } else { None } }
            }
            "reduce" => {
                let (combine, axis) = self.combine()?;
                let args = self.paren(Parser::value)?;
                Op::Reduce { args, axis, combine: self.combine_body(combine, depth)? }
            }
            "scan" => {
                let (combine, axis) = self.combine()?;
                let reverse = self.text.accept_word("reverse");
                let args = self.paren(Parser::value)?;
                Op::Scan { args, axis, combine: self.combine_body(combine, depth)?, reverse }
            }
            "sort" => {
                self.text.keyword("axis")?;
                let axis = self.index()?;
                self.text.keyword("keys")?;
                let keys = self.index()?;
                let descending = self.text.accept_word("descending");
                Op::Sort { args: self.paren(Parser::value)?, axis, keys, descending }
            }
            "for" => {
                let lo = self.value()?;
                self.text.expect(',')?;
                let hi = self.value()?;
                self.text.keyword("step")?;
                let step = self.text.small()?;
                self.text.keyword("init")?;
                let init = self.paren(Parser::value)?;
                Op::For { lo, hi, step, init, body: self.block(depth + 1)? }
            }
            "while" => {
                self.text.keyword("init")?;
                let init = self.paren(Parser::value)?;
                let test = self.block(depth + 1)?;
                self.text.keyword("do")?;
                Op::While { init, test, body: self.block(depth + 1)? }
            }
            "if" => {
                let cond = self.value()?;
                let then = self.block(depth + 1)?;
                self.text.keyword("else")?;
                Op::If { cond, then, otherwise: self.block(depth + 1)? }
            }
            "print" => {
                let text = self.quoted()?;
                Op::Print(text, self.paren(Parser::value)?)
            }
            "assert" => {
                let x = self.value()?;
                Op::Assert(x, self.quoted()?)
            }
            _ => Op::Map(self.text.scalar_op(at, &name)?, self.values_list()?),
        })
    }

    /// The scalar operation (none for `body`) and the axis.
    fn combine(&mut self) -> Result<(Option<ScalarOp>, usize)> {
        let (at, name) = (self.text.position(), self.text.identifier()?);
        let op = if name == "body" { None } else { Some(self.text.scalar_op(at, &name)?) };
        self.text.keyword("axis")?;
        Ok((op, self.index()?))
    }

    fn combine_body(&mut self, op: Option<ScalarOp>, depth: usize) -> Result<Combine> {
        match op {
            Some(op) => Ok(Combine::Scalar(op)),
            None => self.block(depth + 1).map(Combine::Body),
        }
    }

    fn view(&mut self) -> Result<View> {
        self.text.keyword("view")?;
        self.text.expect('(')?;
        let mut view = View { offset: self.text.dim()?, axes: Vec::new(), guards: Vec::new() };
        while self.text.accept(';') {
            if self.text.accept_word("guard") {
                self.text.expect('(')?;
                let base = self.text.dim()?;
                self.text.expect(';')?;
                let mut coeffs = Vec::new();
                while !self.text.accept(';') {
                    if !coeffs.is_empty() {
                        self.text.expect(',')?;
                    }
                    coeffs.push(self.text.integer()?);
                }
                let extent = self.text.dim()?;
                self.text.expect(')')?;
                view.guards.push(Guard { base, coeffs, extent });
            } else {
                loop {
                    let extent = self.text.dim()?;
                    self.text.expect(':')?;
                    let stride = self.text.dim()?;
                    view.axes.push(ViewAxis { extent, stride, inside: self.text.accept('!') });
                    if !self.text.accept(',') {
                        break;
                    }
                }
            }
        }
        self.text.expect(')')?;
        Ok(view)
    }

    fn coordinates(&mut self) -> Result<Vec<ValueId>> {
        self.text.keyword("at")?;
        self.paren(Parser::value)
    }

    fn mask(&mut self) -> Result<Option<ValueId>> {
        if self.text.accept_word("mask") { self.value().map(Some) } else { Ok(None) }
    }

    fn other(&mut self) -> Result<Literal> {
        self.text.keyword("other")?;
        self.text.literal()
    }

    fn param_ref(&mut self) -> Result<usize> {
        let (at, name) = (self.text.position(), self.text.name()?);
        let index = self.params.iter().position(|p| *p.name == *name);
        index.ok_or_else(|| self.text.error_at(at, format!("no parameter `{name}`")))
    }

    fn paren<T>(&mut self, item: impl Fn(&mut Parser) -> Result<T>) -> Result<Vec<T>> {
        self.text.expect('(')?;
        let mut out = Vec::new();
        while !self.text.accept(')') {
            if !out.is_empty() {
                self.text.expect(',')?;
            }
            out.push(item(self)?);
        }
        Ok(out)
    }

    fn quoted(&mut self) -> Result<Arc<str>> {
        let text = self.text.accept_text().map(Arc::from);
        text.ok_or_else(|| self.text.error("expected a text in quotes"))
    }

    pub(super) fn value(&mut self) -> Result<ValueId> {
        self.text.value().map(ValueId)
    }

    fn index(&mut self) -> Result<usize> {
        self.text.small().map(|v| v as usize)
    }
}
