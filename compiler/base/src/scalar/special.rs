//! Reference special functions in f64 that the standard library lacks.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

/// Where the series gives way to the continued fraction.
const SWITCH: f64 = 2.0;

/// The error function, to about one unit in the last place.
pub fn erf(x: f64) -> f64 {
    if x.abs() < SWITCH { erf_series(x) } else { (1.0 - erfc_fraction(x.abs())).copysign(x) }
}

/// One minus the error function, without cancellation where that is tiny.
pub fn erfc(x: f64) -> f64 {
    if x.abs() < SWITCH {
        1.0 - erf_series(x)
    } else if x < 0.0 {
        2.0 - erfc_fraction(-x)
    } else {
        erfc_fraction(x)
    }
}

/// `2/sqrt(pi) e^(-x^2) sum 2^n x^(2n+1) / (2n+1)!!` (Abramowitz and Stegun 7.1.6): all terms have one sign, so
/// nothing cancels.
fn erf_series(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// `erfc(x)` for `x >= 2` by its continued fraction (Abramowitz and Stegun 7.1.14), evaluated from the tail; NaN for
/// NaN.
fn erfc_fraction(x: f64) -> f64 {
    let tail = (1..=120).rev().fold(0.0, |tail, k| (k as f64 / 2.0) / (x + tail));
    (-x * x).exp() / (PI.sqrt() * (x + tail))
}
