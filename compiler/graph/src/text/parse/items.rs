//! Attributes.

use super::{Def, MAX_NESTING, Parser};
use crate::text::attrs::Item;
use crate::text::lex::Token;
use crate::text::print::RESERVED;
use girih_base::{DType, Result};

impl Parser {
    /// `{name = item, ..}`.
    pub(super) fn fields(&mut self, depth: &mut usize) -> Result<Vec<(String, Item)>> {
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

    pub(super) fn item(&mut self, nesting: usize, depth: &mut usize) -> Result<Item> {
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
                const VARIANTS: [&str; 10] = [
                    "size",
                    "number",
                    "custom",
                    "for",
                    "while",
                    "all_reduce",
                    "all_gather",
                    "reduce_scatter",
                    "all_to_all",
                    "permute",
                ];
                let Some(name) = VARIANTS.into_iter().find(|v| *v == w) else {
                    return Err(self.expected(&format!("one of {} before `(`", VARIANTS.join(", "))));
                };
                self.at += 2;
                Ok(Item::Call(name, self.items(")", nesting, depth)?))
            }
            _ => self.number_or_size(),
        }
    }

    pub(super) fn items(&mut self, close: &'static str, nesting: usize, depth: &mut usize) -> Result<Vec<Item>> {
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
    pub(super) fn number_or_size(&mut self) -> Result<Item> {
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

    pub(super) fn then(&mut self, item: Item) -> Result<Item> {
        self.at += 1;
        Ok(item)
    }
}
