//! Integers as sums: what the compiler knows of offsets and masks.
//!
//! A scalar is `fixed + sum atom * factor`, a tile adds `sum coordinate * stride`. All of it modulo 2^32, which is exact
//! for offsets: an element that exists lies below 2^31.

use girih_base::Dim;
use girih_tile::ValueId;
use std::collections::BTreeMap;

/// A scalar: a symbolic size plus run-time i32 values times symbolic sizes.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Lin {
    pub fixed: Option<Dim>,
    pub terms: BTreeMap<ValueId, Dim>,
}

impl Lin {
    pub fn new(fixed: Dim) -> Lin {
        Lin { fixed: Some(fixed), terms: BTreeMap::new() }
    }

    pub fn int(value: i64) -> Lin {
        Lin::new(Dim::from(value))
    }

    pub fn atom(v: ValueId) -> Lin {
        Lin { fixed: None, terms: BTreeMap::from([(v, Dim::ONE)]) }
    }

    /// The part without run-time values.
    pub fn fixed(&self) -> Dim {
        self.fixed.clone().unwrap_or(Dim::ZERO)
    }

    /// The whole, where no run-time value occurs.
    pub fn dim(&self) -> Option<Dim> {
        self.terms.is_empty().then(|| self.fixed())
    }

    pub fn is_zero(&self) -> bool {
        self.dim().is_some_and(|d| d.is(0))
    }

    pub fn add(&self, other: &Lin) -> Lin {
        let mut terms = self.terms.clone();
        for (v, d) in &other.terms {
            let sum = terms.get(v).unwrap_or(&Dim::ZERO) + d;
            if sum.is(0) {
                terms.remove(v);
            } else {
                terms.insert(*v, sum);
            }
        }
        Lin { fixed: Some(&self.fixed() + &other.fixed()), terms }
    }

    pub fn scale(&self, by: &Dim) -> Lin {
        if by.is(0) {
            return Lin::int(0);
        }
        let terms = self.terms.iter().map(|(v, d)| (*v, d * by)).collect();
        Lin { fixed: Some(&self.fixed() * by), terms }
    }

    pub fn sub(&self, other: &Lin) -> Lin {
        self.add(&other.scale(&Dim::from(-1i64)))
    }

    /// The product, where one side has no run-time value.
    pub fn mul(&self, other: &Lin) -> Option<Lin> {
        match (self.dim(), other.dim()) {
            (_, Some(d)) => Some(self.scale(&d)),
            (Some(d), _) => Some(other.scale(&d)),
            _ => None,
        }
    }

    /// Whether a size in it is beyond what sizes can be.
    pub fn too_large(&self) -> bool {
        self.fixed().is_too_large() || self.terms.values().any(Dim::is_too_large)
    }
}

/// An integer tile: `base + sum coordinate * stride`; a scalar has no strides.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Affine {
    pub base: Lin,
    pub strides: Vec<Dim>,
    /// Zeros of [wrapped indices](crate::wrap) in the base, and the axes along which those lie.
    pub wrapped: Vec<(ValueId, usize)>,
}

impl Affine {
    pub fn scalar(base: Lin) -> Affine {
        Affine { base, ..Affine::default() }
    }

    /// The same scalar everywhere.
    pub fn splat(base: Lin, rank: usize) -> Affine {
        Affine { base, strides: vec![Dim::ZERO; rank], wrapped: Vec::new() }
    }

    pub fn is_uniform(&self) -> bool {
        self.strides.iter().all(|s| s.is(0))
    }

    pub fn zip(&self, other: &Affine, f: impl Fn(&Dim, &Dim) -> Dim, base: Lin) -> Option<Affine> {
        if self.strides.len() != other.strides.len() {
            return None;
        }
        let strides = self.strides.iter().zip(&other.strides).map(|(a, b)| f(a, b)).collect();
        let mut wrapped = self.wrapped.clone();
        wrapped.extend(other.wrapped.iter().filter(|w| !self.wrapped.contains(w)));
        Some(Affine { base, strides, wrapped }).filter(Affine::sound)
    }

    pub fn add(&self, other: &Affine) -> Option<Affine> {
        self.zip(other, |a, b| a + b, self.base.add(&other.base))
    }

    pub fn sub(&self, other: &Affine) -> Option<Affine> {
        self.zip(other, |a, b| a - b, self.base.sub(&other.base))
    }

    /// The product, where one side is the same symbolic size everywhere, or both are scalars whose product is a sum.
    pub fn mul(&self, other: &Affine) -> Option<Affine> {
        let by = |x: &Affine, d: &Dim| Affine {
            base: x.base.scale(d),
            strides: x.strides.iter().map(|s| s * d).collect(),
            wrapped: x.wrapped.clone(),
        };
        let uniform = |x: &Affine| x.base.dim().filter(|_| x.is_uniform());
        let product = match (uniform(self), uniform(other)) {
            (_, Some(d)) => by(self, &d),
            (Some(d), _) => by(other, &d),
            _ => return None,
        };
        Some(product).filter(Affine::sound)
    }

    fn sound(&self) -> bool {
        !self.base.too_large() && !self.strides.iter().any(Dim::is_too_large)
    }
}

/// What is known of a bool: it holds exactly where all conditions do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cond {
    /// `lhs < bound`, as signed numbers.
    Below(Affine, Dim),
    /// `0 <= lhs`.
    NonNegative(Affine),
}

impl Cond {
    pub fn map(&self, f: impl Fn(&Affine) -> Affine) -> Cond {
        match self {
            Cond::Below(a, d) => Cond::Below(f(a), d.clone()),
            Cond::NonNegative(a) => Cond::NonNegative(f(a)),
        }
    }
}

/// Smallest and largest value.
pub(crate) type Range = (i128, i128);

/// Every i32.
pub(crate) const I32: Range = (i32::MIN as i128, i32::MAX as i128);

/// Whether a range lies in another.
pub(crate) fn within(r: Range, outer: Range) -> bool {
    outer.0 <= r.0 && r.1 <= outer.1
}

/// The range of a product.
pub(crate) fn product(a: Range, b: Range) -> Range {
    let p = [a.0.saturating_mul(b.0), a.0.saturating_mul(b.1), a.1.saturating_mul(b.0), a.1.saturating_mul(b.1)];
    (p.into_iter().min().unwrap_or(0), p.into_iter().max().unwrap_or(0))
}

/// The range of a sum.
pub(crate) fn sum(a: Range, b: Range) -> Range {
    (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
}
