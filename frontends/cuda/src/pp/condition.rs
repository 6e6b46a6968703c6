//! Expressions of `#if`.

use super::Pp;
use super::expand::Frame;
use crate::source::{At, Kind, Token};
use girih_base::Result;

impl Pp<'_> {
    pub(super) fn condition(&mut self, line: &[Token], at: At) -> Result<bool> {
        let mut resolved = Vec::new();
        let mut i = 0;
        while i < line.len() {
            let t = &line[i];
            let number = |n: bool| Token { kind: Kind::Number, text: if n { "1" } else { "0" }.into(), ..t.clone() };
            if t.is("defined") {
                let paren = line.get(i + 1).is_some_and(|t| t.is("("));
                let name = line.get(i + 1 + paren as usize);
                resolved.push(number(name.is_some_and(|n| self.macros.contains_key(&n.text))));
                i += 2 + 2 * paren as usize;
            } else if t.is("__has_include") {
                let end = line[i..].iter().position(|t| t.is(")")).map_or(line.len(), |n| i + n);
                let name: String = line[i..end].iter().skip(2).map(|t| &*t.text).collect();
                let name = name.trim_matches(['"', '<', '>']);
                resolved.push(number(crate::headers::known(name)));
                i = end + 1;
            } else {
                resolved.push(t.clone());
                i += 1;
            }
        }
        let tokens = self.expand(vec![Frame::new(resolved)])?;
        let mut parser = Condition { pp: self, tokens: &tokens, at: 0, whole: at, depth: 0, unused: 0 };
        let value = parser.ternary()?;
        if parser.at < tokens.len() {
            return Err(parser.wrong("something follows the condition"));
        }
        Ok(value != 0)
    }
}

struct Condition<'p, 'r, 't> {
    pp: &'p Pp<'r>,
    tokens: &'t [Token],
    at: usize,
    whole: At,
    depth: u32,
    /// Inside of operands that are not evaluated.
    unused: u32,
}

const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl Condition<'_, '_, '_> {
    fn wrong(&self, what: &str) -> Box<girih_base::Diag> {
        let at = self.tokens.get(self.at).map_or(self.whole, |t| t.at);
        self.pp.malformed(at, what)
    }

    fn eat(&mut self, op: &str) -> bool {
        if op == ">>" {
            let two = |i: usize| self.tokens.get(self.at + i).is_some_and(|t| t.is(">"));
            let yes = two(0) && two(1);
            self.at += 2 * yes as usize;
            return yes;
        }
        let yes = self.tokens.get(self.at).is_some_and(|t| t.is(op));
        self.at += yes as usize;
        yes
    }

    fn ternary(&mut self) -> Result<i64> {
        let c = self.binary(0)?;
        if !self.eat("?") {
            return Ok(c);
        }
        let a = self.only_if(c != 0, Self::ternary)?;
        if !self.eat(":") {
            return Err(self.wrong("`:` is missing"));
        }
        let b = self.only_if(c == 0, Self::ternary)?;
        Ok(if c != 0 { a } else { b })
    }

    /// Parses an operand that counts only under a condition.
    fn only_if(&mut self, used: bool, f: impl FnOnce(&mut Self) -> Result<i64>) -> Result<i64> {
        self.unused += !used as u32;
        let v = f(self);
        self.unused -= !used as u32;
        v
    }

    fn binary(&mut self, level: usize) -> Result<i64> {
        let Some(ops) = LEVELS.get(level) else { return self.unary() };
        let mut a = self.binary(level + 1)?;
        while let Some(op) = ops.iter().find(|op| self.eat(op)) {
            let used = match *op {
                "||" => a == 0,
                "&&" => a != 0,
                _ => true,
            };
            let b = self.only_if(used, |s| s.binary(level + 1))?;
            a = match *op {
                "||" => (a != 0 || b != 0) as i64,
                "&&" => (a != 0 && b != 0) as i64,
                "|" => a | b,
                "^" => a ^ b,
                "&" => a & b,
                "==" => (a == b) as i64,
                "!=" => (a != b) as i64,
                "<=" => (a <= b) as i64,
                ">=" => (a >= b) as i64,
                "<" => (a < b) as i64,
                ">" => (a > b) as i64,
                "<<" => a.wrapping_shl(b as u32),
                ">>" => a.wrapping_shr(b as u32),
                "+" => a.wrapping_add(b),
                "-" => a.wrapping_sub(b),
                "*" => a.wrapping_mul(b),
                _ if b == 0 && self.unused > 0 => 0,
                _ if b == 0 => return Err(self.wrong("a division by zero")),
                "/" => a.wrapping_div(b),
                _ => a.wrapping_rem(b),
            };
        }
        Ok(a)
    }

    fn unary(&mut self) -> Result<i64> {
        self.depth += 1;
        if self.depth > 200 {
            return Err(self.wrong("this condition is nested too deep"));
        }
        let value = if self.eat("!") {
            (self.unary()? == 0) as i64
        } else if self.eat("-") {
            self.unary()?.wrapping_neg()
        } else if self.eat("+") {
            self.unary()?
        } else if self.eat("~") {
            !self.unary()?
        } else if self.eat("(") {
            let v = self.ternary()?;
            if !self.eat(")") {
                return Err(self.wrong("`)` is missing"));
            }
            v
        } else {
            let Some(t) = self.tokens.get(self.at) else { return Err(self.wrong("a condition ends too early")) };
            self.at += 1;
            match t.kind {
                Kind::Number => match crate::parse::number::integer(&t.text) {
                    Some((v, _)) => v as i64,
                    None => return Err(self.wrong(&format!("`{}` is not a whole number", t.text))),
                },
                Kind::Char => match crate::parse::number::character(&t.text) {
                    Some(v) => v as i64,
                    None => return Err(self.wrong(&format!("{} is not one character", t.text))),
                },
                // A call of something unknown, such as __has_attribute(x).
                Kind::Name => {
                    if self.tokens.get(self.at).is_some_and(|t| t.is("(")) {
                        let close = self.tokens[self.at..].iter().position(|t| t.is(")"));
                        self.at += close.map_or(1, |n| n + 1);
                    }
                    (&*t.text == "true") as i64
                }
                _ => return Err(self.wrong("a condition has numbers, names and operators")),
            }
        };
        self.depth -= 1;
        Ok(value)
    }
}
