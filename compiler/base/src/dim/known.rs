//! Questions about a size that hold for every value of its symbols.

use super::{Atom, Dim};

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

/// Everything: where an intermediate bound leaves `i128`.
const ANY: (i128, i128) = (i128::MIN, i128::MAX);

impl Dim {
    /// The smallest and largest value over all values of the symbols (interval arithmetic: an outer bound), limited to
    /// `i64`.
    pub fn bounds(&self) -> (i64, i64) {
        let (lo, hi) = self.range();
        (clamp(lo), clamp(hi))
    }

    fn range(&self) -> (i128, i128) {
        let mut sum = (0i128, 0i128);
        for (mono, coeff) in self.terms().iter() {
            let mut term = (*coeff as i128, *coeff as i128);
            for atom in mono {
                let (lo, hi) = atom.bounds();
                let Some(product) = mul_range(term, (lo as i128, hi as i128)) else { return ANY };
                term = product;
            }
            match (sum.0.checked_add(term.0), sum.1.checked_add(term.1)) {
                (Some(lo), Some(hi)) => sum = (lo, hi),
                _ => return ANY,
            }
        }
        sum
    }

    /// Whether the two are equal for every value of the symbols.
    pub fn known_eq(&self, other: &Dim) -> Known {
        if self.is_too_large() || other.is_too_large() {
            return Known::Unknown;
        }
        if self == other {
            return Known::Yes;
        }
        let (lo, hi) = (self - other).range();
        if lo > 0 || hi < 0 { Known::No } else { Known::Unknown }
    }

    /// Whether `self <= other` for every value of the symbols.
    pub fn known_le(&self, other: &Dim) -> Known {
        if self.is_too_large() || other.is_too_large() {
            return Known::Unknown;
        }
        let (lo, hi) = (other - self).range();
        if lo >= 0 {
            Known::Yes
        } else if hi < 0 {
            Known::No
        } else {
            Known::Unknown
        }
    }

    /// Whether `0 <= self < end` for every value of the symbols.
    pub(super) fn is_between_zero_and(&self, end: &Dim) -> bool {
        self.range().0 >= 0 && (self + &Dim::ONE).known_le(end).yes()
    }

    /// Whether this is a multiple of `n` for every value of the symbols; only 0 is a multiple of 0.
    pub fn divisible_by(&self, n: i64) -> Known {
        if self.is_too_large() {
            return Known::Unknown;
        }
        let divides = |v: u64| v == 0 || n != 0 && v.is_multiple_of(n.unsigned_abs());
        let (mut factor, mut constant) = (0, 0);
        for (mono, coeff) in self.terms().iter() {
            if mono.is_empty() {
                constant = coeff.unsigned_abs();
            } else {
                factor = gcd(factor, term_factor(mono, *coeff));
            }
        }
        match (divides(factor), divides(constant)) {
            (true, true) => Known::Yes,
            (true, false) => Known::No,
            _ => Known::Unknown,
        }
    }

    /// A number that divides this for every value of the symbols; 0 only for zero itself.
    fn factor(&self) -> u64 {
        self.terms().iter().fold(0, |g, (mono, coeff)| gcd(g, term_factor(mono, *coeff)))
    }
}

impl Atom {
    fn bounds(&self) -> (i64, i64) {
        match self {
            Atom::Sym(s) => (s.min.min(s.max), s.max.max(s.min)),
            Atom::FloorDiv(a, b) => {
                let ((alo, ahi), (blo, bhi)) = (a.bounds(), b.bounds());
                let (blo, bhi) = (blo.max(1), bhi.max(1));
                corners([alo.div_euclid(blo), alo.div_euclid(bhi), ahi.div_euclid(blo), ahi.div_euclid(bhi)])
            }
            Atom::Mod(a, b) => {
                let (lo, hi) = a.bounds();
                let end = b.bounds().1.max(1) - 1;
                (0, if lo >= 0 { end.min(hi) } else { end })
            }
            Atom::Min(a, b) => (a.bounds().0.min(b.bounds().0), a.bounds().1.min(b.bounds().1)),
            Atom::Max(a, b) => (a.bounds().0.max(b.bounds().0), a.bounds().1.max(b.bounds().1)),
        }
    }

    fn factor(&self) -> u64 {
        match self {
            Atom::Sym(s) => s.multiple_of.unsigned_abs().max(1),
            Atom::FloorDiv(..) => 1,
            Atom::Min(a, b) | Atom::Max(a, b) | Atom::Mod(a, b) => gcd(a.factor(), b.factor()),
        }
    }
}

/// A divisor of the term; factors that would overflow are left out, which leaves a divisor.
fn term_factor(mono: &[Atom], coeff: i64) -> u64 {
    mono.iter().fold(coeff.unsigned_abs(), |product, atom| product.checked_mul(atom.factor()).unwrap_or(product))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn mul_range(a: (i128, i128), b: (i128, i128)) -> Option<(i128, i128)> {
    let p = [a.0.checked_mul(b.0)?, a.0.checked_mul(b.1)?, a.1.checked_mul(b.0)?, a.1.checked_mul(b.1)?];
    Some(corners(p))
}

fn corners<T: Ord + Copy>(p: [T; 4]) -> (T, T) {
    (p[0].min(p[1]).min(p[2]).min(p[3]), p[0].max(p[1]).max(p[2]).max(p[3]))
}

fn clamp(v: i128) -> i64 {
    v.clamp(i64::MIN as i128, i64::MAX as i128) as i64
}
