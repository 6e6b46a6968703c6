//! Expression text with as few parentheses as WGSL's grammar allows.

use girih_simt::Space;

/// How tightly an expression binds, by WGSL's grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `a & b`, and `|`, `^`, which mix with nothing.
    Bits,
    /// `a < b`.
    Relation,
    /// `a << b`.
    Shift,
    /// `a + b`.
    Sum,
    /// `a * b`.
    Product,
    /// `-a`.
    Unary,
    /// Literals, names, calls, elements.
    Atom,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Its text.
    pub text: String,
    /// How tightly it binds.
    pub level: Level,
    /// Memory that it reads and that somebody may change.
    pub reads: Vec<Read>,
    /// Operator and operands' lengths of an infix expression: what `x = x + y` and chains of `&` are found by.
    pub infix: Option<(&'static str, usize)>,
}

/// Something an expression reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Read {
    /// An array.
    Array(u8, u32),
    /// A variable.
    Variable(u32),
}

impl Read {
    /// The array behind a space.
    pub fn of(space: Space) -> Read {
        match space {
            Space::Buffer(i) => Read::Array(0, i),
            Space::Shared(i) => Read::Array(1, i),
            Space::Local(i) => Read::Variable(i),
        }
    }
}

impl Expr {
    /// A name, literal, call or element.
    pub fn atom(text: impl Into<String>) -> Expr {
        Expr { text: text.into(), level: Level::Atom, reads: Vec::new(), infix: None }
    }

    /// A call; what the arguments read is read.
    pub fn call(function: &str, args: &[Expr]) -> Expr {
        // `f(a < b, c > d)` would be read as a template.
        let wrap = |(i, a): (usize, &Expr)| if i + 1 < args.len() { a.at(Level::Shift) } else { a.text.clone() };
        let texts: Vec<String> = args.iter().enumerate().map(wrap).collect();
        Expr::atom(format!("{function}({})", texts.join(", "))).reading(args)
    }

    /// An infix operation.
    pub fn infix(op: &'static str, a: &Expr, b: &Expr) -> Expr {
        let (level, left, right) = match op {
            "*" | "/" | "%" => (Level::Product, Level::Product, Level::Unary),
            "+" | "-" => (Level::Sum, Level::Sum, Level::Product),
            "<<" | ">>" => (Level::Shift, Level::Unary, Level::Unary),
            "&" | "|" | "^" => {
                let chain = a.infix.is_some_and(|(o, _)| o == op);
                (Level::Bits, if chain { Level::Bits } else { Level::Unary }, Level::Unary)
            }
            _ => (Level::Relation, Level::Sum, Level::Sum),
        };
        let left = a.at(left);
        let split = left.len();
        let text = format!("{left} {op} {}", b.at(right));
        Expr { text, level, reads: Vec::new(), infix: Some((op, split)) }.reading(&[a.clone(), b.clone()])
    }

    /// A prefix operation.
    pub fn prefix(op: &str, x: &Expr) -> Expr {
        let inner = if x.text.starts_with(['-', '~', '!']) { format!("({})", x.text) } else { x.at(Level::Unary) };
        Expr { text: format!("{op}{inner}"), level: Level::Unary, reads: x.reads.clone(), infix: None }
    }

    /// Something after the expression: `.x`, `[i]`.
    pub fn suffix(&self, text: &str) -> Expr {
        let text = format!("{}{text}", self.at(Level::Atom));
        Expr { text, level: Level::Atom, reads: self.reads.clone(), infix: None }
    }

    /// The text where at least `level` is wanted.
    pub fn at(&self, level: Level) -> String {
        if self.level >= level { self.text.clone() } else { format!("({})", self.text) }
    }

    /// In parentheses.
    pub fn grouped(self) -> Expr {
        Expr { text: format!("({})", self.text), level: Level::Atom, infix: None, ..self }
    }

    /// Adds what other expressions read.
    pub fn reading(mut self, others: &[Expr]) -> Expr {
        self.reads.extend(others.iter().flat_map(|e| e.reads.iter().copied()));
        self.reads.sort_unstable();
        self.reads.dedup();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_where_the_grammar_wants_them() {
        let (a, b, c) = (Expr::atom("a"), Expr::atom("b"), Expr::atom("c"));
        let sum = Expr::infix("+", &a, &b);
        assert_eq!(Expr::infix("+", &sum, &c).text, "a + b + c");
        assert_eq!(Expr::infix("+", &c, &sum).text, "c + (a + b)");
        assert_eq!(Expr::infix("*", &sum, &c).text, "(a + b) * c");
        assert_eq!(Expr::infix("<<", &sum, &c).text, "(a + b) << c");
        let and = Expr::infix("&", &a, &b);
        assert_eq!(Expr::infix("&", &and, &c).text, "a & b & c");
        assert_eq!(Expr::infix("|", &and, &c).text, "(a & b) | c");
        let less = Expr::infix("<", &sum, &c);
        assert_eq!(Expr::infix("&", &less, &c).text, "(a + b < c) & c");
        assert_eq!(Expr::call("select", &[a.clone(), less.clone(), less]).text, "select(a, (a + b < c), a + b < c)");
        assert_eq!(Expr::prefix("-", &Expr::prefix("-", &a)).text, "-(-a)");
        assert_eq!(sum.suffix(".x").text, "(a + b).x");
    }
}
