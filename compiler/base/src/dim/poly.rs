//! Sums of products, kept canonical and bounded, and their arithmetic.

use super::{Atom, Dim, Repr};
use std::collections::BTreeMap;
use std::ops::{Add, Deref, Mul, Neg, Sub};
use std::sync::Arc;

/// A product of atoms, sorted, with repetition: `n*n*m`. The empty product is 1.
pub(super) type Monomial = Vec<Atom>;

/// A product and its coefficient.
pub(super) type Term = (Monomial, i64);

/// Limits that keep every operation cheap and every recursion shallow; stated in [`Dim::too_large`].
const MAX_TERMS: usize = 128;
const MAX_DEGREE: usize = 16;
const MAX_DEPTH: u32 = 16;
const MAX_WEIGHT: usize = 2048;

/// The terms of a size that is not a constant, products of most factors first and the constant last.
#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Poly {
    terms: Vec<Term>,
    /// Levels of `floordiv`, `mod`, `min`, `max` inside each other.
    depth: u32,
    /// Atoms in all, nested ones included.
    weight: usize,
}

/// The terms of any size; a constant makes its one term on the fly.
pub(super) enum Terms<'a> {
    Borrowed(&'a [Term]),
    Owned([Term; 1]),
}

impl Deref for Terms<'_> {
    type Target = [Term];

    fn deref(&self) -> &[Term] {
        match self {
            Terms::Borrowed(terms) => terms,
            Terms::Owned(term) => term,
        }
    }
}

impl Poly {
    pub(super) fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The atom, when this is nothing but one.
    pub(super) fn lone_atom(&self) -> Option<&Atom> {
        match &self.terms[..] {
            [(mono, 1)] if mono.len() == 1 => mono.first(),
            _ => None,
        }
    }
}

impl Dim {
    pub(super) fn atom(atom: Atom) -> Dim {
        Dim::bounded(vec![(vec![atom], 1)])
    }

    /// Sums terms of any order; [`Dim::too_large`] when a coefficient or the whole does not fit.
    pub(super) fn from_terms(terms: impl IntoIterator<Item = Term>) -> Dim {
        let mut sum: BTreeMap<Monomial, i128> = BTreeMap::new();
        for (mut mono, coeff) in terms {
            mono.sort();
            // At most MAX_TERMS^2 summands of 63 bits: no overflow.
            *sum.entry(mono).or_insert(0) += coeff as i128;
        }
        let mut terms = Vec::new();
        for (mono, coeff) in sum.into_iter().filter(|(_, c)| *c != 0) {
            match i64::try_from(coeff) {
                Ok(coeff) => terms.push((mono, coeff)),
                Err(_) => return Dim::too_large(),
            }
        }
        // Products of symbols first, the constant last: `n*m + n + 1` reads as people write it.
        terms.sort_by(|a, b| order(&a.0, &b.0));
        match &terms[..] {
            [] => Dim::ZERO,
            [(m, c)] if m.is_empty() => Dim(Repr::Const(*c)),
            _ => Dim::bounded(terms),
        }
    }

    fn bounded(terms: Vec<Term>) -> Dim {
        let atoms = || terms.iter().flat_map(|(mono, _)| mono);
        let depth = atoms().map(Atom::depth).max().unwrap_or(0);
        let weight = atoms().map(Atom::weight).fold(0, usize::saturating_add);
        let degree = terms.iter().map(|(mono, _)| mono.len()).max().unwrap_or(0);
        if terms.len() > MAX_TERMS || degree > MAX_DEGREE || depth > MAX_DEPTH || weight > MAX_WEIGHT {
            return Dim::too_large();
        }
        Dim(Repr::Poly(Arc::new(Poly { terms, depth, weight })))
    }

    /// The quotient when `by` divides this as a polynomial: `self = quotient * by` for every value of the symbols.
    pub fn exact_div(&self, by: &Dim) -> Option<Dim> {
        if self.is_too_large() || by.is_too_large() {
            return None;
        }
        // Long division: the order of terms is graded lexicographic, so leading terms multiply.
        let by_terms = by.terms();
        let lead = by_terms.first()?;
        let (mut rest, mut quotient) = (self.clone(), Vec::new());
        for _ in 0..MAX_TERMS {
            let Some(term) = rest.terms().first().map(|t| divide_term(t, lead)) else {
                return Some(Dim::from_terms(quotient)).filter(|q| !q.is_too_large());
            };
            let term = term?;
            rest = rest - Dim::from_terms([term.clone()]) * by.clone();
            if rest.is_too_large() {
                return None;
            }
            quotient.push(term);
        }
        if rest.is(0) { Some(Dim::from_terms(quotient)) } else { None }
    }

    /// `(q, r)` with `self = q * by + r`, where `q` takes every term that a single-term `by` divides.
    pub(super) fn split_multiples(&self, by: &Dim) -> (Dim, Dim) {
        let by_terms = by.terms();
        let [lead] = &by_terms[..] else { return (Dim::ZERO, self.clone()) };
        let (mut whole, mut rest) = (Vec::new(), Vec::new());
        for term in self.terms().iter() {
            match divide_term(term, lead) {
                Some(q) => whole.push(q),
                None => rest.push(term.clone()),
            }
        }
        (Dim::from_terms(whole), Dim::from_terms(rest))
    }

    fn depth(&self) -> u32 {
        match &self.0 {
            Repr::Const(_) => 0,
            Repr::Poly(p) => p.depth,
        }
    }

    fn weight(&self) -> usize {
        match &self.0 {
            Repr::Const(_) => 0,
            Repr::Poly(p) => p.weight,
        }
    }
}

impl Atom {
    fn depth(&self) -> u32 {
        match self {
            Atom::Sym(_) => 0,
            Atom::FloorDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => 1 + a.depth().max(b.depth()),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Atom::Sym(_) => 1,
            Atom::FloorDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => 1 + a.weight() + b.weight(),
        }
    }
}

/// Graded lexicographic order, largest first.
fn order(a: &Monomial, b: &Monomial) -> std::cmp::Ordering {
    b.len().cmp(&a.len()).then_with(|| a.cmp(b))
}

fn divide_term((mono, coeff): &Term, (by, by_coeff): &Term) -> Option<Term> {
    if coeff.checked_rem(*by_coeff)? != 0 {
        return None;
    }
    let mut rest = mono.clone();
    for atom in by {
        let at = rest.iter().position(|a| a == atom)?;
        rest.remove(at);
    }
    Some((rest, coeff.checked_div(*by_coeff)?))
}

fn add(a: &Dim, b: &Dim) -> Dim {
    match (a.as_const(), b.as_const()) {
        (Some(x), Some(y)) => x.checked_add(y).map_or_else(Dim::too_large, Dim::from),
        _ if a.is_too_large() || b.is_too_large() => Dim::too_large(),
        _ => Dim::from_terms(a.terms().iter().chain(b.terms().iter()).cloned()),
    }
}

fn mul(a: &Dim, b: &Dim) -> Dim {
    match (a.as_const(), b.as_const()) {
        (Some(x), Some(y)) => return x.checked_mul(y).map_or_else(Dim::too_large, Dim::from),
        (Some(1), _) => return b.clone(),
        (_, Some(1)) => return a.clone(),
        _ if a.is_too_large() || b.is_too_large() => return Dim::too_large(),
        _ => {}
    }
    let mut out = Vec::new();
    for (ma, ca) in a.terms().iter() {
        for (mb, cb) in b.terms().iter() {
            let Some(coeff) = ca.checked_mul(*cb) else { return Dim::too_large() };
            out.push((ma.iter().chain(mb).cloned().collect(), coeff));
        }
    }
    Dim::from_terms(out)
}

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

operator!(Add add |a, b| add(a, b));
operator!(Sub sub |a, b| match (a.as_const(), b.as_const()) {
    (Some(x), Some(y)) => x.checked_sub(y).map_or_else(Dim::too_large, Dim::from),
    _ => add(a, &mul(b, &Dim::from(-1i64))),
});
operator!(Mul mul |a, b| mul(a, b));

impl Neg for Dim {
    type Output = Dim;
    fn neg(self) -> Dim {
        Dim::ZERO - self
    }
}
