//! Symbolic dimensions: integer polynomials in a canonical form, so that equal sizes compare equal.

mod fold;
mod known;
mod poly;
#[cfg(test)]
mod tests;
mod text;

pub use fold::DimVisitor;
pub use known::Known;

use poly::{Poly, Terms};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A named unknown size with what is known of it. Two symbols are the same when all four fields agree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Symbol {
    /// Name, unique within a graph.
    pub name: Arc<str>,
    /// Smallest value it takes.
    pub min: i64,
    /// Largest value it takes.
    pub max: i64,
    /// It is always a multiple of this (1 when nothing is known).
    pub multiple_of: i64,
}

/// The values of symbols at run time.
pub type Bindings = BTreeMap<Arc<str>, i64>;

/// A size or offset: an integer polynomial over symbols, `floordiv`, `mod`, `min` and `max`.
///
/// Always canonical (terms sorted, no zero coefficients), so `==` decides equality of polynomials.
///
/// What does not fit, since a coefficient leaves `i64` or the expression outgrows its limits (see [`Dim::too_large`]),
/// becomes the one size that is too large: it absorbs all arithmetic, every question about it is answered
/// [`Known::Unknown`], and it does not evaluate. No real tensor comes near.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "text::Stored", into = "text::Stored")]
pub struct Dim(Repr);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    Const(i64),
    Poly(Arc<Poly>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Atom {
    Sym(Symbol),
    FloorDiv(Dim, Dim),
    Mod(Dim, Dim),
    Min(Dim, Dim),
    Max(Dim, Dim),
}

/// The name under which the size that is too large fails to evaluate.
const TOO_LARGE: &str = "<too large>";

impl Dim {
    /// Zero.
    pub const ZERO: Dim = Dim(Repr::Const(0));
    /// One.
    pub const ONE: Dim = Dim(Repr::Const(1));

    /// A symbol named `name` with values in `min..=max`.
    pub fn symbol(name: &str, min: i64, max: i64) -> Dim {
        Dim::from(Symbol { name: name.into(), min, max, multiple_of: 1 })
    }

    /// The size that does not fit: more than 128 terms, 16 factors in a term, 16 levels of nesting, or 2048 factors in
    /// all, or a coefficient beyond `i64`.
    pub fn too_large() -> Dim {
        Dim::symbol(TOO_LARGE, i64::MIN, i64::MAX)
    }

    /// Whether this is [`Dim::too_large`].
    pub fn is_too_large(&self) -> bool {
        match &self.0 {
            Repr::Const(_) => false,
            Repr::Poly(p) => p.lone_atom().is_some_and(|a| matches!(a, Atom::Sym(s) if &*s.name == TOO_LARGE)),
        }
    }

    /// The value, when no symbol occurs.
    pub fn as_const(&self) -> Option<i64> {
        match self.0 {
            Repr::Const(c) => Some(c),
            Repr::Poly(_) => None,
        }
    }

    /// Whether this is the constant `value`.
    pub fn is(&self, value: i64) -> bool {
        self.as_const() == Some(value)
    }

    /// `floor(self / by)`. What can be divided symbolically is. A divisor below 1 counts as 1, so that there is a
    /// value for all values of the symbols.
    pub fn floor_div(&self, by: &Dim) -> Dim {
        if let (Some(a), Some(b)) = (self.as_const(), by.as_const()) {
            return Dim::from(a.div_euclid(b.max(1)));
        }
        let (by_min, by_max) = by.bounds();
        if self.is_too_large() || by.is_too_large() {
            return Dim::too_large();
        }
        if by_max <= 1 {
            return self.clone();
        }
        if self.is(0) || self.is_between_zero_and(by) {
            return Dim::ZERO;
        }
        if by_min < 1 {
            return Dim::atom(Atom::FloorDiv(self.clone(), by.clone()));
        }
        if let Some(q) = self.exact_div(by) {
            return q;
        }
        let (whole, rest) = self.split_multiples(by);
        let tail = match rest.as_const().zip(by.as_const()) {
            Some((a, b)) => Dim::from(a.div_euclid(b)),
            None if rest.is_between_zero_and(by) => Dim::ZERO,
            None => Dim::atom(Atom::FloorDiv(rest, by.clone())),
        };
        whole + tail
    }

    /// `ceil(self / by)`; a divisor below 1 counts as 1.
    pub fn ceil_div(&self, by: &Dim) -> Dim {
        let by = by.max_of(&Dim::ONE);
        self.exact_div(&by).unwrap_or_else(|| (self + &by - 1).floor_div(&by))
    }

    /// `self - by * floor(self / by)`, never negative; a divisor below 1 counts as 1.
    pub fn modulo(&self, by: &Dim) -> Dim {
        if self.is_too_large() || by.is_too_large() {
            return Dim::too_large();
        }
        if by.bounds().1 <= 1 || self.exact_div(by).is_some() {
            return Dim::ZERO;
        }
        let (_, rest) = self.split_multiples(by);
        match (rest.as_const(), by.as_const()) {
            (Some(a), Some(b)) => Dim::from(a.rem_euclid(b.max(1))),
            _ if rest.is_between_zero_and(by) => rest,
            _ => Dim::atom(Atom::Mod(rest, by.clone())),
        }
    }

    /// The smaller of the two.
    pub fn min_of(&self, other: &Dim) -> Dim {
        self.extremum(other, Atom::Min, |a, b| a.known_le(b))
    }

    /// The larger of the two.
    pub fn max_of(&self, other: &Dim) -> Dim {
        self.extremum(other, Atom::Max, |a, b| b.known_le(a))
    }

    /// The operand that is known to come first, else an atom of both.
    fn extremum(&self, other: &Dim, atom: fn(Dim, Dim) -> Atom, first: fn(&Dim, &Dim) -> Known) -> Dim {
        // Sorted, so that the order of the operands does not show even when two forms have the same value.
        let (a, b) = if self <= other { (self, other) } else { (other, self) };
        if a.is_too_large() || b.is_too_large() {
            Dim::too_large()
        } else if first(a, b).yes() {
            a.clone()
        } else if first(b, a).yes() {
            b.clone()
        } else {
            Dim::atom(atom(a.clone(), b.clone()))
        }
    }

    /// Evaluates with the given symbol values, exactly.
    ///
    /// # Errors
    /// The name of a symbol that has no value, or `<too large>` when the value does not fit `i64`.
    pub fn eval(&self, bindings: &Bindings) -> Result<i64, Arc<str>> {
        let mut sum = Some(0i128);
        for (mono, coeff) in self.terms().iter() {
            let mut product = Some(*coeff as i128);
            for atom in mono {
                let value = atom.eval(bindings)? as i128;
                product = product.and_then(|p| p.checked_mul(value));
            }
            sum = sum.zip(product).and_then(|(s, p)| s.checked_add(p));
        }
        sum.and_then(|s| i64::try_from(s).ok()).ok_or_else(|| TOO_LARGE.into())
    }

    /// Replaces symbols that `bindings` names by their values.
    pub fn substitute(&self, bindings: &Bindings) -> Dim {
        self.map_symbols(&|s| match bindings.get(&s.name) {
            Some(v) => Dim::from(*v),
            None => Dim::from(s.clone()),
        })
    }

    /// Replaces every symbol by what `f` makes of it.
    pub fn map_symbols(&self, f: &dyn Fn(&Symbol) -> Dim) -> Dim {
        if self.as_const().is_some() || self.is_too_large() {
            return self.clone();
        }
        let mut sum = Dim::ZERO;
        for (mono, coeff) in self.terms().iter() {
            let factors = mono.iter().map(|atom| match atom {
                Atom::Sym(s) => f(s),
                Atom::FloorDiv(a, b) => a.map_symbols(f).floor_div(&b.map_symbols(f)),
                Atom::Mod(a, b) => a.map_symbols(f).modulo(&b.map_symbols(f)),
                Atom::Min(a, b) => a.map_symbols(f).min_of(&b.map_symbols(f)),
                Atom::Max(a, b) => a.map_symbols(f).max_of(&b.map_symbols(f)),
            });
            sum = sum + factors.fold(Dim::from(*coeff), |product, factor| product * factor);
        }
        sum
    }

    /// Every symbol that occurs, each once, in name order.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut out = Vec::new();
        self.collect_symbols(&mut out);
        out.sort();
        out.dedup();
        out
    }

    fn collect_symbols(&self, out: &mut Vec<Symbol>) {
        for atom in self.terms().iter().flat_map(|(mono, _)| mono) {
            match atom {
                Atom::Sym(s) => out.push(s.clone()),
                Atom::FloorDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
                    a.collect_symbols(out);
                    b.collect_symbols(out);
                }
            }
        }
    }

    fn terms(&self) -> Terms<'_> {
        match &self.0 {
            Repr::Const(0) => Terms::Borrowed(&[]),
            Repr::Const(c) => Terms::Owned([(Vec::new(), *c)]),
            Repr::Poly(p) => Terms::Borrowed(p.terms()),
        }
    }
}

impl Atom {
    fn eval(&self, bindings: &Bindings) -> Result<i64, Arc<str>> {
        Ok(match self {
            Atom::Sym(s) => *bindings.get(&s.name).ok_or_else(|| s.name.clone())?,
            Atom::FloorDiv(a, b) => a.eval(bindings)?.div_euclid(b.eval(bindings)?.max(1)),
            Atom::Mod(a, b) => a.eval(bindings)?.rem_euclid(b.eval(bindings)?.max(1)),
            Atom::Min(a, b) => a.eval(bindings)?.min(b.eval(bindings)?),
            Atom::Max(a, b) => a.eval(bindings)?.max(b.eval(bindings)?),
        })
    }
}

impl From<Symbol> for Dim {
    fn from(s: Symbol) -> Dim {
        Dim::atom(Atom::Sym(s))
    }
}

macro_rules! from_int {
    ($($t:ty),*) => {$(
        impl From<$t> for Dim {
            fn from(v: $t) -> Dim { i64::try_from(v).map_or_else(|_| Dim::too_large(), |v| Dim(Repr::Const(v))) }
        }
    )*};
}
from_int!(i64, i32, u32, usize);
