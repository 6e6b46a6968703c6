//! Sizes and types.

use super::{MAX_NESTING, Parser};
use crate::text::lex::Token;
use crate::text::print::RESERVED;
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Dim, Result};

/// Axes of a tensor.
const MAX_RANK: usize = 64;
/// Elements of a tensor, so that no size computed from it overflows.
const MAX_ELEMENTS: i64 = 1 << 48;

impl Parser {
    /// A sum of products. Sizes bound themselves; see `Dim::too_large`.
    pub(super) fn dim(&mut self, nesting: usize) -> Result<Dim> {
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

    pub(super) fn factor(&mut self, negative: bool, nesting: usize) -> Result<Dim> {
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

    pub(super) fn ty(&mut self, nesting: usize) -> Result<Ty> {
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

    pub(super) fn tensor(&mut self) -> Result<TensorTy> {
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

    pub(super) fn check_ty(&self, ty: &Ty) -> Result<(), String> {
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
}
