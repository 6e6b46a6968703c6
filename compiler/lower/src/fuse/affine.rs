//! Coordinates as affine functions of a kernel's iteration axes.

use girih_base::{Dim, Known};
use std::collections::BTreeMap;

/// An iteration axis of a nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AxisId(pub u32);

/// `base + sum coefficient * axis`; no zero coefficients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Affine {
    /// The constant part.
    pub base: Dim,
    /// Coefficients, by axis.
    pub terms: BTreeMap<AxisId, Dim>,
}

impl Affine {
    /// A constant.
    pub fn constant(base: Dim) -> Affine {
        Affine { base, terms: BTreeMap::new() }
    }

    /// The coordinate along one axis.
    pub fn axis(axis: AxisId) -> Affine {
        Affine { base: Dim::ZERO, terms: BTreeMap::from([(axis, Dim::ONE)]) }
    }

    /// The sum of two.
    pub fn add(&self, other: &Affine) -> Affine {
        let mut out = self.clone();
        out.base = &out.base + &other.base;
        for (axis, c) in &other.terms {
            let sum = &out.coefficient(*axis) + c;
            if sum.is(0) {
                out.terms.remove(axis);
            } else {
                out.terms.insert(*axis, sum);
            }
        }
        out
    }

    /// This plus a constant.
    pub fn shift(&self, by: &Dim) -> Affine {
        Affine { base: &self.base + by, terms: self.terms.clone() }
    }

    /// This times a constant.
    pub fn scale(&self, by: &Dim) -> Affine {
        if by.is(0) {
            return Affine::constant(Dim::ZERO);
        }
        Affine { base: &self.base * by, terms: self.terms.iter().map(|(a, c)| (*a, c * by)).collect() }
    }

    /// The coefficient of an axis.
    pub fn coefficient(&self, axis: AxisId) -> Dim {
        self.terms.get(&axis).cloned().unwrap_or(Dim::ZERO)
    }

    /// Whether no axis occurs.
    pub fn is_constant(&self) -> bool {
        self.terms.is_empty()
    }

    /// The axis, if this is exactly one axis' coordinate.
    pub fn as_axis(&self) -> Option<AxisId> {
        match self.terms.iter().next() {
            Some((axis, c)) if c.is(1) && self.base.is(0) && self.terms.len() == 1 => Some(*axis),
            _ => None,
        }
    }

    /// Splits into quotient and remainder by `by`, if that is affine too: every coefficient (and the base) is a multiple of
    /// `by` or the terms that are not stay below `by` together.
    pub fn split(&self, by: &Dim, extent: &dyn Fn(AxisId) -> Dim) -> Option<(Affine, Affine)> {
        let (mut high, mut low) = (Affine::constant(Dim::ZERO), Affine::constant(Dim::ZERO));
        match self.base.exact_div(by) {
            Some(q) => high.base = q,
            None => low.base = self.base.clone(),
        }
        for (axis, c) in &self.terms {
            match c.exact_div(by) {
                Some(q) => high.terms.insert(*axis, q),
                None => low.terms.insert(*axis, c.clone()),
            };
        }
        let mut most = low.base.clone();
        for (axis, c) in &low.terms {
            if Dim::ZERO.known_le(c) != Known::Yes {
                return None;
            }
            most = &most + &(c * &(extent(*axis) - 1));
        }
        let fits = Dim::ZERO.known_le(&low.base) == Known::Yes && (most + 1).known_le(by) == Known::Yes;
        fits.then_some((high, low))
    }
}

/// Row-major strides of a shape, in elements.
pub fn strides(shape: &[Dim]) -> Vec<Dim> {
    let mut out = vec![Dim::ONE; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        out[i] = &out[i + 1] * &shape[i + 1];
    }
    out
}

/// The row-major offset of coordinates in a shape.
pub fn linearize(coords: &[Affine], shape: &[Dim]) -> Affine {
    let mut sum = Affine::constant(Dim::ZERO);
    for (c, stride) in coords.iter().zip(strides(shape)) {
        sum = sum.add(&c.scale(&stride));
    }
    sum
}

/// The coordinates in `to` of the element that has `coords` in `from`, two shapes of one row-major buffer; `None` when
/// that is not affine.
pub fn reshape(coords: &[Affine], from: &[Dim], to: &[Dim], extent: &dyn Fn(AxisId) -> Dim) -> Option<Vec<Affine>> {
    let mut out = vec![Affine::constant(Dim::ZERO); to.len()];
    let (mut i, mut j) = (from.len(), to.len());
    // Walk from the last axis in groups whose products agree; inside a group, linearise and take digits.
    while i > 0 || j > 0 {
        let (hi_i, hi_j) = (i, j);
        let (mut pi, mut pj) = (Dim::ONE, Dim::ONE);
        loop {
            if pi == pj && (i < hi_i || j < hi_j) {
                break;
            }
            let shorter_from = pi.known_le(&pj) == Known::Yes;
            if (shorter_from && i > 0) || j == 0 {
                if i == 0 {
                    return None;
                }
                i -= 1;
                pi = &pi * &from[i];
            } else {
                j -= 1;
                pj = &pj * &to[j];
            }
        }
        let mut rest = linearize(&coords[i..hi_i], &from[i..hi_i]);
        for k in (j..hi_j).rev() {
            if k == j {
                out[k] = rest.clone();
                break;
            }
            if to[k].is(1) {
                continue;
            }
            let (high, low) = rest.split(&to[k], extent)?;
            out[k] = low;
            rest = high;
        }
        if j == hi_j && !rest.is_constant() {
            return None;
        }
    }
    Some(out)
}
