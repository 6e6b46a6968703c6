//! The text form of sizes, `2*n*m+floordiv(n,4)-1`: printing, parsing, and serialization as text.
//!
//! ```text
//! sum     = ["-"] product { ("+" | "-") product }
//! product = factor { "*" factor }
//! factor  = integer | symbol | "(" sum ")" | function "(" sum "," sum ")" | "-" factor
//! ```
//! Functions are `floordiv ceildiv mod min max`; a symbol is any run of characters but spaces and `+-*(),` that does
//! not begin with a digit.

use super::{Atom, Dim, Symbol};
use crate::{Diag, Result};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// How deep parentheses may nest; deeper text is refused, so that no text can exhaust the stack.
const MAX_NESTING: usize = 64;

impl Dim {
    /// Parses the text form; names are looked up in `symbols`.
    ///
    /// ```
    /// use girih_base::{Dim, Symbol};
    /// let n = Symbol { name: "n".into(), min: 1, max: 4096, multiple_of: 1 };
    /// let size = Dim::parse("ceildiv(n, 64) * 64", &[n])?;
    /// assert_eq!(size.to_string(), "64*floordiv(n+63,64)");
    /// # Ok::<(), Box<girih_base::Diag>>(())
    /// ```
    ///
    /// # Errors
    /// `B003` for text that is no size, an unknown symbol, or a size beyond the limits of [`Dim::too_large`].
    pub fn parse(text: &str, symbols: &[Symbol]) -> Result<Dim> {
        parse(text, &|name| symbols.iter().find(|s| &*s.name == name))
    }

    fn write(&self, out: &mut dyn Write, name: &dyn Fn(&Symbol, &mut dyn Write) -> fmt::Result) -> fmt::Result {
        if self.terms().is_empty() {
            return out.write_str("0");
        }
        for (i, (mono, coeff)) in self.terms().iter().enumerate() {
            match (i, *coeff < 0) {
                (_, true) => out.write_str("-")?,
                (0, false) => {}
                (_, false) => out.write_str("+")?,
            }
            let magnitude = coeff.unsigned_abs();
            let hidden = magnitude == 1 && !mono.is_empty();
            if !hidden {
                write!(out, "{magnitude}")?;
            }
            for (j, atom) in mono.iter().enumerate() {
                if j > 0 || !hidden {
                    out.write_str("*")?;
                }
                let (function, a, b) = match atom {
                    Atom::Sym(s) => {
                        name(s, out)?;
                        continue;
                    }
                    Atom::FloorDiv(a, b) => ("floordiv", a, b),
                    Atom::Mod(a, b) => ("mod", a, b),
                    Atom::Min(a, b) => ("min", a, b),
                    Atom::Max(a, b) => ("max", a, b),
                };
                write!(out, "{function}(")?;
                a.write(out, name)?;
                out.write_str(",")?;
                b.write(out, name)?;
                out.write_str(")")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &|s, out| out.write_str(&s.name))
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A size as it is serialized: text in which `$i` is the symbol number `i`. Reading it parses it, so a hostile file
/// can neither nest without bound nor make a size that is not canonical.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    text: String,
    symbols: Vec<Symbol>,
}

impl From<Dim> for Stored {
    fn from(dim: Dim) -> Stored {
        let symbols = dim.symbols();
        let mut text = String::new();
        let number = |s: &Symbol, out: &mut dyn Write| write!(out, "${}", symbols.partition_point(|t| t < s));
        // Writing to a string does not fail.
        let _ = dim.write(&mut text, &number);
        Stored { text, symbols }
    }
}

impl TryFrom<Stored> for Dim {
    type Error = Box<Diag>;

    fn try_from(stored: Stored) -> Result<Dim> {
        if let Some(s) = stored.symbols.iter().find(|s| s.min > s.max || s.multiple_of < 1) {
            return Err(Diag::error("B003", format!("the symbol `{}` has no values", s.name)));
        }
        let lookup = |name: &str| stored.symbols.get(name.strip_prefix('$')?.parse::<usize>().ok()?);
        parse_raw(&stored.text, &lookup)
    }
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<&'a Symbol>;

fn parse<'a>(text: &'a str, lookup: Lookup<'a>) -> Result<Dim> {
    let dim = parse_raw(text, lookup)?;
    if dim.is_too_large() {
        return Err(Diag::error("B003", format!("the size `{}` is too large", shorten(text))));
    }
    Ok(dim)
}

fn parse_raw<'a>(text: &'a str, lookup: Lookup<'a>) -> Result<Dim> {
    let mut p = Parser { text, rest: text.trim_start(), lookup, nesting: 0 };
    let dim = p.sum()?;
    if p.rest.is_empty() { Ok(dim) } else { Err(p.expected("`+`, `-`, `*` or the end")) }
}

struct Parser<'a> {
    text: &'a str,
    /// What is left, without leading spaces.
    rest: &'a str,
    lookup: Lookup<'a>,
    nesting: usize,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Dim> {
        let mut sum = self.product()?;
        loop {
            if self.eat('+') {
                sum = sum + self.product()?;
            } else if self.rest.starts_with('-') {
                // The sign belongs to the product, so that the smallest i64 is read whole.
                sum = sum + self.product()?;
            } else {
                return Ok(sum);
            }
        }
    }

    fn product(&mut self) -> Result<Dim> {
        let mut product = self.factor()?;
        while self.eat('*') {
            product = product * self.factor()?;
        }
        Ok(product)
    }

    fn factor(&mut self) -> Result<Dim> {
        let mut negative = false;
        while self.eat('-') {
            negative = !negative;
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return self.integer(negative);
        }
        let value = self.operand()?;
        Ok(if negative { -value } else { value })
    }

    fn integer(&mut self, negative: bool) -> Result<Dim> {
        let digits = self.take(|c| c.is_ascii_digit());
        let value = digits.parse::<i128>().ok().map(|v| if negative { -v } else { v });
        match value.and_then(|v| i64::try_from(v).ok()) {
            Some(v) => Ok(Dim::from(v)),
            None => Err(Diag::error("B003", format!("`{}` does not fit 64 bits", shorten(digits)))),
        }
    }

    fn operand(&mut self) -> Result<Dim> {
        if self.rest.starts_with('(') {
            let mut args = self.arguments(1)?;
            return Ok(args.pop().unwrap_or(Dim::ZERO));
        }
        let name = self.take(|c| !c.is_whitespace() && !"+-*(),".contains(c));
        if name.is_empty() {
            return Err(self.expected("an integer, a symbol, a function or `(`"));
        }
        if !self.rest.starts_with('(') {
            return match (self.lookup)(name) {
                Some(symbol) => Ok(Dim::from(symbol.clone())),
                None => Err(Diag::error("B003", format!("no symbol `{}` here", shorten(name)))),
            };
        }
        let function: fn(&Dim, &Dim) -> Dim = match name {
            "floordiv" => Dim::floor_div,
            "ceildiv" => Dim::ceil_div,
            "mod" => Dim::modulo,
            "min" => Dim::min_of,
            "max" => Dim::max_of,
            _ => {
                return Err(Diag::error("B003", format!("no function `{}` on sizes", shorten(name)))
                    .help("the functions are floordiv, ceildiv, mod, min and max"));
            }
        };
        match &self.arguments(2)?[..] {
            [a, b] => Ok(function(a, b)),
            _ => Err(self.expected("two arguments")),
        }
    }

    /// `count` sums in parentheses, with commas between them.
    fn arguments(&mut self, count: usize) -> Result<Vec<Dim>> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(Diag::error("B003", format!("a size nests more than {MAX_NESTING} parentheses")));
        }
        let mut args = Vec::with_capacity(count);
        for i in 0..count {
            let open = if i == 0 { '(' } else { ',' };
            if !self.eat(open) {
                return Err(self.expected(&format!("`{open}`")));
            }
            args.push(self.sum()?);
        }
        if !self.eat(')') {
            return Err(self.expected("`)`"));
        }
        self.nesting -= 1;
        Ok(args)
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        token
    }

    fn expected(&self, what: &str) -> Box<Diag> {
        let found = match self.rest.chars().next() {
            Some(c) => format!("`{c}`"),
            None => "the end".to_string(),
        };
        let column = self.text.len() - self.rest.len() + 1;
        Diag::error("B003", format!("expected {what}, found {found}"))
            .note(format!("at byte {column} of the size `{}`", shorten(self.text)))
    }
}

/// Text short enough for a message.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}
