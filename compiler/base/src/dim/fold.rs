//! Walking a size as a tree, to print it in another language.

use super::{Atom, Dim, Symbol};

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

impl Dim {
    /// Visits the expression as a tree, for printing in another language: sums of products of leaves.
    pub fn fold<T>(&self, v: &mut dyn DimVisitor<T>) -> T {
        let mut sum: Option<T> = None;
        for (mono, coeff) in self.terms().iter() {
            let mut product: Option<T> = None;
            for atom in mono {
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
                None => v.constant(*coeff),
                Some(p) if *coeff == 1 => p,
                Some(p) => {
                    let c = v.constant(*coeff);
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
}
