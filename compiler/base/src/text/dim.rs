//! Size expressions: `4*n*m-1`, `floordiv(n,16)`, as `Dim`'s `Display` writes them.

use super::{Cursor, Token};
use crate::{Dim, Result};

/// How deep calls may nest.
const DEPTH: usize = 32;

impl Cursor {
    /// A size over the symbols declared so far: a sum of products.
    ///
    /// # Errors
    /// Text that is no size, an unknown symbol, or a size beyond the limits of [`Dim::too_large`].
    pub fn dim(&mut self) -> Result<Dim> {
        let at = self.position();
        let dim = self.sum(0)?;
        if dim.is_too_large() { Err(self.error_at(at, "this size is too large")) } else { Ok(dim) }
    }

    fn sum(&mut self, depth: usize) -> Result<Dim> {
        if depth > DEPTH {
            return Err(self.error("this size is nested too deeply"));
        }
        let negative = self.accept('-');
        let mut total = self.product(depth, negative)?;
        loop {
            if self.accept('+') {
                total = total + self.product(depth, false)?;
            } else if self.accept('-') {
                total = total + self.product(depth, true)?;
            } else {
                return Ok(total);
            }
        }
    }

    fn product(&mut self, depth: usize, negative: bool) -> Result<Dim> {
        let mut product = self.factor(depth, negative)?;
        while self.accept('*') {
            product = product * self.factor(depth, false)?;
        }
        Ok(product)
    }

    fn factor(&mut self, depth: usize, negative: bool) -> Result<Dim> {
        let at = self.position();
        let signed = |d: Dim| if negative { -d } else { d };
        match self.next() {
            Some(Token::Int(v)) => {
                let v = if negative { 0i64.checked_sub_unsigned(v) } else { i64::try_from(v).ok() };
                v.map(Dim::from).ok_or_else(|| self.error_at(at, "this integer is too large"))
            }
            Some(Token::Word(name)) if self.peek_mark('(') => {
                self.expect('(')?;
                let a = self.sum(depth + 1)?;
                self.expect(',')?;
                let b = self.sum(depth + 1)?;
                self.expect(')')?;
                Ok(signed(match &name[..] {
                    "floordiv" => a.floor_div(&b),
                    "mod" => a.modulo(&b),
                    "min" => a.min_of(&b),
                    "max" => a.max_of(&b),
                    _ => return Err(self.error_at(at, format!("no size function `{name}`"))),
                }))
            }
            Some(Token::Word(name) | Token::Text(name)) => match self.symbol(&name) {
                Some(s) => Ok(signed(Dim::from(s.clone()))),
                None => Err(self.error_at(at, format!("`{name}` is not declared")).help("declare it: `sym n 1..1024`")),
            },
            _ => Err(self.error_at(at, "expected a size")),
        }
    }
}
