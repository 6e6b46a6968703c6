//! Symbolic dimensions: integer polynomials in a canonical form, so that equal sizes compare equal.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};
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

/// The answer to a question about symbolic sizes. `Unknown` never enables a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// True for every value of the symbols.
    Yes,
    /// False for every value of the symbols.
    No,
    /// Depends, or could not be decided.
    Unknown,
}

impl Known {
    /// True only for [`Known::Yes`].
    pub fn yes(self) -> bool {
        self == Known::Yes
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Atom {
    Sym(Symbol),
    FloorDiv(Dim, Dim),
    Mod(Dim, Dim),
    Min(Dim, Dim),
    Max(Dim, Dim),
}

/// A product of atoms, sorted, with repetition: `n*n*m`. The empty product is 1.
type Monomial = Vec<Atom>;

/// A size or offset: an integer polynomial over symbols, `floordiv`, `mod`, `min` and `max`.
///
/// Always canonical (terms sorted, no zero coefficients), so `==` decides equality of polynomials.
/// Arithmetic saturates at the ends of `i64`, which no real tensor reaches.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dim(Repr);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Repr {
    Const(i64),
    Poly(Arc<Vec<(Monomial, i64)>>),
}

impl Dim {
    /// Zero.
    pub const ZERO: Dim = Dim(Repr::Const(0));
    /// One.
    pub const ONE: Dim = Dim(Repr::Const(1));

    /// A symbol named `name` with values in `min..=max`.
    pub fn symbol(name: &str, min: i64, max: i64) -> Dim {
        Dim::from(Symbol { name: name.into(), min, max, multiple_of: 1 })
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

    /// `floor(self / by)`. Exact polynomial division is done symbolically; `by` must be positive.
    pub fn floor_div(&self, by: &Dim) -> Dim {
        match (self.as_const(), by.as_const()) {
            (Some(a), Some(b)) if b != 0 => return Dim::from(a.div_euclid(b)),
            (_, Some(1)) => return self.clone(),
            (Some(0), _) => return Dim::ZERO,
            _ => {}
        }
        match self.exact_div(by) {
            Some(q) => q,
            None => Dim::atom(Atom::FloorDiv(self.clone(), by.clone())),
        }
    }

    /// `ceil(self / by)`; `by` must be positive.
    pub fn ceil_div(&self, by: &Dim) -> Dim {
        match self.exact_div(by) {
            Some(q) => q,
            None => (self.clone() + by.clone() - Dim::ONE).floor_div(by),
        }
    }

    /// `self - by * floor(self / by)`; `by` must be positive.
    pub fn modulo(&self, by: &Dim) -> Dim {
        match (self.as_const(), by.as_const()) {
            (Some(a), Some(b)) if b != 0 => Dim::from(a.rem_euclid(b)),
            _ if self.exact_div(by).is_some() => Dim::ZERO,
            _ => Dim::atom(Atom::Mod(self.clone(), by.clone())),
        }
    }

    /// The smaller of the two.
    pub fn min_of(&self, other: &Dim) -> Dim {
        match (self.known_le(other), other.known_le(self)) {
            (Known::Yes, _) => self.clone(),
            (_, Known::Yes) => other.clone(),
            _ => {
                let (a, b) = if self <= other { (self, other) } else { (other, self) };
                Dim::atom(Atom::Min(a.clone(), b.clone()))
            }
        }
    }

    /// The larger of the two.
    pub fn max_of(&self, other: &Dim) -> Dim {
        match (self.known_le(other), other.known_le(self)) {
            (Known::Yes, _) => other.clone(),
            (_, Known::Yes) => self.clone(),
            _ => {
                let (a, b) = if self <= other { (self, other) } else { (other, self) };
                Dim::atom(Atom::Max(a.clone(), b.clone()))
            }
        }
    }

    /// The quotient when `by` divides this polynomial term by term, with a zero remainder for every value.
    pub fn exact_div(&self, by: &Dim) -> Option<Dim> {
        if self == by && !by.is(0) {
            return Some(Dim::ONE);
        }
        let [(mono, coeff)] = &by.terms()[..] else { return None };
        let mut out = Vec::new();
        for (m, c) in self.terms() {
            if c % coeff == 0 {
                let mut rest = m.clone();
                for atom in mono {
                    let at = rest.iter().position(|a| a == atom)?;
                    rest.remove(at);
                }
                out.push((rest, c / coeff));
            } else {
                return None;
            }
        }
        Some(Dim::from_terms(out))
    }

    /// Evaluates with the given symbol values; the error is the name of a symbol that has none.
    pub fn eval(&self, bindings: &Bindings) -> Result<i64, Arc<str>> {
        let mut sum = 0i64;
        for (mono, coeff) in self.terms() {
            let mut product = coeff;
            for atom in &mono {
                product = product.saturating_mul(atom.eval(bindings)?);
            }
            sum = sum.saturating_add(product);
        }
        Ok(sum)
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
        if self.as_const().is_some() {
            return self.clone();
        }
        let mut sum = Dim::ZERO;
        for (mono, coeff) in self.terms() {
            let mut product = Dim::from(coeff);
            for atom in &mono {
                product = product
                    * match atom {
                        Atom::Sym(s) => f(s),
                        Atom::FloorDiv(a, b) => a.map_symbols(f).floor_div(&b.map_symbols(f)),
                        Atom::Mod(a, b) => a.map_symbols(f).modulo(&b.map_symbols(f)),
                        Atom::Min(a, b) => a.map_symbols(f).min_of(&b.map_symbols(f)),
                        Atom::Max(a, b) => a.map_symbols(f).max_of(&b.map_symbols(f)),
                    };
            }
            sum = sum + product;
        }
        sum
    }

    /// The smallest and largest value over all values of the symbols (interval arithmetic: an outer bound).
    pub fn bounds(&self) -> (i64, i64) {
        let (mut lo, mut hi) = (0i64, 0i64);
        for (mono, coeff) in self.terms() {
            let mut term = (coeff, coeff);
            for atom in &mono {
                term = mul_range(term, atom.bounds());
            }
            lo = lo.saturating_add(term.0);
            hi = hi.saturating_add(term.1);
        }
        (lo, hi)
    }

    /// Whether the two are equal for every value of the symbols.
    pub fn known_eq(&self, other: &Dim) -> Known {
        if self == other {
            return Known::Yes;
        }
        let (lo, hi) = (self.clone() - other.clone()).bounds();
        if lo > 0 || hi < 0 { Known::No } else { Known::Unknown }
    }

    /// Whether `self <= other` for every value of the symbols.
    pub fn known_le(&self, other: &Dim) -> Known {
        let (lo, hi) = (other.clone() - self.clone()).bounds();
        if lo >= 0 {
            Known::Yes
        } else if hi < 0 {
            Known::No
        } else {
            Known::Unknown
        }
    }

    /// Whether this is a multiple of `n` for every value of the symbols.
    pub fn divisible_by(&self, n: i64) -> Known {
        if n == 1 {
            return Known::Yes;
        }
        if let Some(c) = self.as_const() {
            return if n != 0 && c % n == 0 { Known::Yes } else { Known::No };
        }
        let whole = self.terms().iter().all(|(mono, coeff)| {
            let known = mono.iter().fold(*coeff, |c, a| match a {
                Atom::Sym(s) => c.saturating_mul(s.multiple_of),
                _ => c,
            });
            n != 0 && known % n == 0
        });
        if whole { Known::Yes } else { Known::Unknown }
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
        for (mono, _) in self.terms() {
            for atom in mono {
                match atom {
                    Atom::Sym(s) => out.push(s),
                    Atom::FloorDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
                        a.collect_symbols(out);
                        b.collect_symbols(out);
                    }
                }
            }
        }
    }

    /// Visits the expression as a tree, for printing in another language: sums of products of leaves.
    pub fn fold<T>(&self, v: &mut dyn DimVisitor<T>) -> T {
        let mut sum: Option<T> = None;
        for (mono, coeff) in self.terms() {
            let mut product: Option<T> = None;
            for atom in &mono {
                let a = match atom {
                    Atom::Sym(s) => v.symbol(s),
                    Atom::FloorDiv(a, b) => {
                        let (a, b) = (a.fold(v), b.fold(v));
                        v.floor_div(a, b)
                    }
                    Atom::Mod(a, b) => {
                        let (a, b) = (a.fold(v), b.fold(v));
                        v.modulo(a, b)
                    }
                    Atom::Min(a, b) => {
                        let (a, b) = (a.fold(v), b.fold(v));
                        v.min(a, b)
                    }
                    Atom::Max(a, b) => {
                        let (a, b) = (a.fold(v), b.fold(v));
                        v.max(a, b)
                    }
                };
                product = Some(match product {
                    None => a,
                    Some(p) => v.mul(p, a),
                });
            }
            let term = match product {
                None => v.constant(coeff),
                Some(p) if coeff == 1 => p,
                Some(p) => {
                    let c = v.constant(coeff);
                    v.mul(p, c)
                }
            };
            sum = Some(match sum {
                None => term,
                Some(s) => v.add(s, term),
            });
        }
        match sum {
            Some(s) => s,
            None => v.constant(0),
        }
    }

    fn atom(atom: Atom) -> Dim {
        Dim(Repr::Poly(Arc::new(vec![(vec![atom], 1)])))
    }

    fn terms(&self) -> Vec<(Monomial, i64)> {
        match &self.0 {
            Repr::Const(0) => Vec::new(),
            Repr::Const(c) => vec![(Vec::new(), *c)],
            Repr::Poly(p) => p.to_vec(),
        }
    }

    fn from_terms(terms: Vec<(Monomial, i64)>) -> Dim {
        let mut sum: BTreeMap<Monomial, i64> = BTreeMap::new();
        for (mut mono, coeff) in terms {
            mono.sort();
            let c = sum.entry(mono).or_insert(0);
            *c = c.saturating_add(coeff);
        }
        // Products of symbols first, the constant last: `n*m + n + 1` reads as people write it.
        let mut terms: Vec<_> = sum.into_iter().filter(|(_, c)| *c != 0).collect();
        terms.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        match &terms[..] {
            [] => Dim::ZERO,
            [(m, c)] if m.is_empty() => Dim(Repr::Const(*c)),
            _ => Dim(Repr::Poly(Arc::new(terms))),
        }
    }
}

/// What [`Dim::fold`] calls for each part of the expression.
pub trait DimVisitor<T> {
    /// An integer.
    fn constant(&mut self, value: i64) -> T;
    /// A symbol.
    fn symbol(&mut self, symbol: &Symbol) -> T;
    /// A sum.
    fn add(&mut self, a: T, b: T) -> T;
    /// A product.
    fn mul(&mut self, a: T, b: T) -> T;
    /// A quotient rounded down.
    fn floor_div(&mut self, a: T, b: T) -> T;
    /// A remainder, never negative.
    fn modulo(&mut self, a: T, b: T) -> T;
    /// The smaller one.
    fn min(&mut self, a: T, b: T) -> T;
    /// The larger one.
    fn max(&mut self, a: T, b: T) -> T;
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

    fn bounds(&self) -> (i64, i64) {
        match self {
            Atom::Sym(s) => (s.min, s.max),
            Atom::FloorDiv(a, b) => {
                let ((alo, ahi), (blo, bhi)) = (a.bounds(), b.bounds());
                let (blo, bhi) = (blo.max(1), bhi.max(1));
                let q = [alo.div_euclid(blo), alo.div_euclid(bhi), ahi.div_euclid(blo), ahi.div_euclid(bhi)];
                (q[0].min(q[1]).min(q[2]).min(q[3]), q[0].max(q[1]).max(q[2]).max(q[3]))
            }
            Atom::Mod(_, b) => (0, b.bounds().1.max(1) - 1),
            Atom::Min(a, b) => (a.bounds().0.min(b.bounds().0), a.bounds().1.min(b.bounds().1)),
            Atom::Max(a, b) => (a.bounds().0.max(b.bounds().0), a.bounds().1.max(b.bounds().1)),
        }
    }
}

fn mul_range(a: (i64, i64), b: (i64, i64)) -> (i64, i64) {
    let p = [a.0.saturating_mul(b.0), a.0.saturating_mul(b.1), a.1.saturating_mul(b.0), a.1.saturating_mul(b.1)];
    (p[0].min(p[1]).min(p[2]).min(p[3]), p[0].max(p[1]).max(p[2]).max(p[3]))
}

impl From<Symbol> for Dim {
    fn from(s: Symbol) -> Dim {
        Dim::atom(Atom::Sym(s))
    }
}

macro_rules! from_int {
    ($($t:ty),*) => {$(
        impl From<$t> for Dim {
            fn from(v: $t) -> Dim { Dim(Repr::Const(v as i64)) }
        }
    )*};
}
from_int!(i64, i32, u32, usize);

macro_rules! operator {
    ($trait:ident $fn:ident |$a:ident, $b:ident| $body:expr) => {
        impl $trait for Dim {
            type Output = Dim;
            fn $fn(self, rhs: Dim) -> Dim {
                let ($a, $b) = (&self, &rhs);
                $body
            }
        }
        impl $trait<&Dim> for &Dim {
            type Output = Dim;
            fn $fn(self, rhs: &Dim) -> Dim {
                let ($a, $b) = (self, rhs);
                $body
            }
        }
        impl $trait<i64> for &Dim {
            type Output = Dim;
            fn $fn(self, rhs: i64) -> Dim {
                let ($a, $b) = (self, &Dim::from(rhs));
                $body
            }
        }
        impl $trait<i64> for Dim {
            type Output = Dim;
            fn $fn(self, rhs: i64) -> Dim {
                let ($a, $b) = (&self, &Dim::from(rhs));
                $body
            }
        }
    };
}

operator!(Add add |a, b| match (a.as_const(), b.as_const()) {
    (Some(x), Some(y)) => Dim::from(x.saturating_add(y)),
    _ => Dim::from_terms(a.terms().into_iter().chain(b.terms()).collect()),
});
operator!(Sub sub |a, b| match (a.as_const(), b.as_const()) {
    (Some(x), Some(y)) => Dim::from(x.saturating_sub(y)),
    _ => Dim::from_terms(a.terms().into_iter().chain(b.terms().into_iter().map(|(m, c)| (m, -c))).collect()),
});
operator!(Mul mul |a, b| match (a.as_const(), b.as_const()) {
    (Some(x), Some(y)) => Dim::from(x.saturating_mul(y)),
    _ => {
        let mut out = Vec::new();
        for (ma, ca) in a.terms() {
            for (mb, cb) in b.terms() {
                out.push((ma.iter().cloned().chain(mb).collect(), ca.saturating_mul(cb)));
            }
        }
        Dim::from_terms(out)
    }
});

impl Neg for Dim {
    type Output = Dim;
    fn neg(self) -> Dim {
        Dim::ZERO - self
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = self.terms();
        if terms.is_empty() {
            return f.write_str("0");
        }
        for (i, (mono, coeff)) in terms.iter().enumerate() {
            let magnitude = coeff.unsigned_abs();
            match (i, *coeff < 0) {
                (0, true) => f.write_str("-")?,
                (0, false) => {}
                (_, true) => f.write_str("-")?,
                (_, false) => f.write_str("+")?,
            }
            if mono.is_empty() || magnitude != 1 {
                write!(f, "{magnitude}")?;
            }
            for (j, atom) in mono.iter().enumerate() {
                if j > 0 || magnitude != 1 {
                    f.write_str("*")?;
                }
                match atom {
                    Atom::Sym(s) => f.write_str(&s.name)?,
                    Atom::FloorDiv(a, b) => write!(f, "floordiv({a},{b})")?,
                    Atom::Mod(a, b) => write!(f, "mod({a},{b})")?,
                    Atom::Min(a, b) => write!(f, "min({a},{b})")?,
                    Atom::Max(a, b) => write!(f, "max({a},{b})")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
