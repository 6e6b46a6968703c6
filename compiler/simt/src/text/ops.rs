//! Parses single operations.

use super::parse::Parser;
use crate::ir::*;
use crate::op::*;
use girih_base::Result;
use girih_base::text::Token;

const BUILTINS: [Builtin; 4] =
    [Builtin::WorkgroupIndex, Builtin::LocalIndex, Builtin::SubgroupSize, Builtin::SubgroupLane];

impl Parser {
    /// What stands after `=`.
    pub(super) fn expression(&mut self) -> Result<Op> {
        match self.text.peek() {
            Some(Token::Int(_) | Token::Float(_) | Token::Bits(_) | Token::Mark('-')) => {
                self.text.literal().map(Op::Const)
            }
            Some(Token::Value(_)) => self.component(),
            _ => self.effect(),
        }
    }

    /// `%1.2` or `%1.[%3]`.
    fn component(&mut self) -> Result<Op> {
        let vector = self.value()?;
        self.text.expect('.')?;
        if self.text.accept('[') {
            let at = self.value()?;
            self.text.expect(']')?;
            return Ok(Op::ComponentAt(vector, at));
        }
        let at = self.text.position();
        let index = u8::try_from(self.text.small()?);
        index.map(|i| Op::Component(vector, i)).map_err(|_| self.text.error_at(at, "a component is 0, 1, 2 or 3"))
    }

    /// An operation that begins with a word.
    pub(super) fn effect(&mut self) -> Result<Op> {
        let at = self.text.position();
        let name = self.text.identifier()?;
        if let Some(b) = BUILTINS.iter().find(|b| b.name() == name) {
            return Ok(Op::Builtin(*b));
        }
        if let Some(op) = SubgroupOp::all(0).into_iter().find(|op| op.name() == name) {
            let x = self.value()?;
            return Ok(Op::Subgroup(self.with_lane(op)?, x));
        }
        if let Some(kind) = Shuffle::ALL.into_iter().find(|k| k.name() == name) {
            let x = self.value()?;
            self.text.expect(',')?;
            return Ok(Op::Shuffle(kind, x, self.value()?));
        }
        if let Some(op) = name.strip_prefix("atomic_") {
            let op = AtomicOp::ALL.iter().copied().find(|o| o.name() == op);
            let op = op.ok_or_else(|| self.text.error_at(at, format!("no operation `{name}`")))?;
            let (space, index) = self.element()?;
            self.text.expect(',')?;
            return Ok(Op::Atomic(op, space, index, self.value()?));
        }
        Ok(match &name[..] {
            "uniform" => {
                let (at, name) = (self.text.position(), self.text.name()?);
                let index = self.k.uniforms.iter().position(|u| **u == *name);
                Op::Uniform(index.ok_or_else(|| self.text.error_at(at, format!("no uniform `{name}`")))? as u32)
            }
            "cast" => Op::Cast(self.value()?),
            "bitcast" => Op::Bitcast(self.value()?),
            "vec" => Op::MakeVec(self.value_list()?),
            "unpack_half" => Op::UnpackHalf(self.value()?),
            "pack_half" => Op::PackHalf(self.value()?),
            "load" => {
                let (space, index) = self.element()?;
                Op::Load(space, index)
            }
            "store" => {
                let (space, index) = self.element()?;
                self.text.expect('=')?;
                Op::Store(space, index, self.value()?)
            }
            "get" => Op::Get(self.variable()?),
            "set" => {
                let variable = self.variable()?;
                self.text.expect('=')?;
                Op::Set(variable, self.value()?)
            }
            "compare_exchange" => {
                let (space, index) = self.element()?;
                self.text.expect(',')?;
                let expected = self.value()?;
                self.text.expect(',')?;
                Op::CompareExchange(space, index, expected, self.value()?)
            }
            "barrier" => Op::Barrier,
            "subgroup_barrier" => Op::SubgroupBarrier,
            "break" => Op::Break,
            "continue" => Op::Continue,
            "return" => Op::Return,
            "assert" => {
                let cond = self.value()?;
                self.text.expect(',')?;
                Op::Assert(cond, self.quoted()?.into())
            }
            "print" => {
                let text = self.quoted()?.into();
                Op::Print(text, if self.text.accept(',') { self.value_list()? } else { Vec::new() })
            }
            "remark" => Op::Comment(self.quoted()?.into()),
            _ => Op::Map(self.text.scalar_op(at, &name)?, self.value_list()?),
        })
    }

    /// The operation with the lane that follows, if it has one.
    fn with_lane(&mut self, op: SubgroupOp) -> Result<SubgroupOp> {
        if op.lane().is_none() {
            return Ok(op);
        }
        self.text.expect(',')?;
        let lane = self.text.small()?;
        Ok(if matches!(op, SubgroupOp::Broadcast(_)) {
            SubgroupOp::Broadcast(lane)
        } else {
            SubgroupOp::ShuffleXor(lane)
        })
    }

    fn quoted(&mut self) -> Result<String> {
        self.text.accept_text().ok_or_else(|| self.text.error("expected quoted text"))
    }

    /// `x[%1]`.
    fn element(&mut self) -> Result<(Space, ValueId)> {
        let (at, name) = (self.text.position(), self.text.name()?);
        let space = self.space(&name).ok_or_else(|| self.text.error_at(at, format!("no array `{name}`")))?;
        self.text.expect('[')?;
        let index = self.value()?;
        self.text.expect(']')?;
        Ok((space, index))
    }

    fn variable(&mut self) -> Result<u32> {
        let (at, name) = (self.text.position(), self.text.name()?);
        match self.space(&name) {
            Some(Space::Local(i)) => Ok(i),
            _ => Err(self.text.error_at(at, format!("no variable `{name}`"))),
        }
    }
}
