//! Reference special functions in f64 that the standard library lacks.

/// The error function.
///
/// Series `2/sqrt(pi) * sum (-1)^n x^(2n+1) / (n! (2n+1))` up to |x| = 3, beyond that one minus Lentz's continued
/// fraction for `erfc` (Abramowitz and Stegun 7.1.5 and 7.1.14).
pub fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let a = x.abs();
    let value = if a < 3.0 {
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            n += 1.0;
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
            if n > 200.0 {
                break;
            }
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else if a < 7.0 {
        1.0 - erfc_fraction(a)
    } else {
        1.0
    };
    value.copysign(x)
}

/// `erfc(x)` for `x >= 3` by its continued fraction, evaluated from the tail.
fn erfc_fraction(x: f64) -> f64 {
    let mut tail = 0.0;
    for k in (1..=80).rev() {
        tail = (k as f64 / 2.0) / (x + tail);
    }
    (-x * x).exp() / (std::f64::consts::PI.sqrt() * (x + tail))
}
