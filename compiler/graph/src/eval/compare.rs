//! Measures of how far two arrays are apart, and arrays to try things on.

use super::array::{Array, Data, Value};
use girih_base::DType;
use girih_base::codec::{self, Scalar};
use girih_base::scalar::IntType;

/// A small deterministic generator of test data (SplitMix64), the same on every host.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.bits() % n as u64) as usize }
    }

    /// A number in `-1.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// One of the items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

impl Array {
    /// Random elements that the dtype holds exactly: floats in -1..1 (positive for f8e8m0), small integers.
    pub fn random(dtype: DType, shape: &[usize], seed: u64) -> Array {
        let mut r = Random(seed);
        let n: usize = shape.iter().product();
        match IntType::of(dtype) {
            None if dtype == DType::F8E8M0 => {
                Array::from_f64(dtype, shape, (0..n).map(|_| (r.below(7) as f64 - 3.0).exp2()))
            }
            None => Array::from_f64(dtype, shape, (0..n).map(|_| codec::cast(Scalar::Float(r.unit()), dtype).as_f64())),
            Some(t) => {
                let span = 1usize << t.bits.min(5);
                let low = if t.signed { span as i128 / 2 } else { 0 };
                Array::from_ints(dtype, shape, (0..n).map(|_| r.below(span) as i128 - low))
            }
        }
    }
}

/// Refuses `got` unless every float is within `atol + rtol * |want|` of `want` (NaN equal to NaN, infinities equal) and
/// every integer is equal. The error tells the worst element.
pub fn allclose(got: &Value, want: &Value, rtol: f64, atol: f64) -> Result<(), String> {
    match (got, want) {
        (Value::Tuple(a), Value::Tuple(b)) if a.len() == b.len() => {
            a.iter().zip(b).try_for_each(|(x, y)| allclose(x, y, rtol, atol))
        }
        (Value::Array(a), Value::Array(b)) => close_arrays(a, b, rtol, atol),
        _ => Err("one is a tuple of another length".into()),
    }
}

fn close_arrays(got: &Array, want: &Array, rtol: f64, atol: f64) -> Result<(), String> {
    if got.dtype != want.dtype || got.shape != want.shape || got.len() != want.len() {
        return Err(format!("got {}, want {}", got.ty(), want.ty()));
    }
    let (x, y) = match (&got.data, &want.data) {
        (Data::Ints(x), Data::Ints(y)) => {
            return match (0..x.len()).find(|i| x[*i] != y[*i]) {
                Some(i) => Err(format!("element {i} of {} is {}, want {}", got.ty(), got.int(i), want.int(i))),
                None => Ok(()),
            };
        }
        (Data::Floats(x), Data::Floats(y)) => (x, y),
        _ => return Err("floats and integers".into()),
    };
    let mut worst: Option<(usize, f64)> = None;
    for (i, (a, b)) in x.iter().zip(y).enumerate() {
        let same = a == b || (a.is_nan() && b.is_nan());
        let excess = (a - b).abs() - (atol + rtol * b.abs());
        let excess = if excess.is_nan() || b.is_infinite() { f64::INFINITY } else { excess };
        if !same && excess > 0.0 && worst.is_none_or(|(_, w)| excess > w) {
            worst = Some((i, excess));
        }
    }
    match worst {
        Some((i, _)) => Err(format!("element {i} of {} is {:e}, want {:e}", got.ty(), x[i], y[i])),
        None => Ok(()),
    }
}

/// Normalised mean squared error, `sum (got - want)^2 / sum want^2`; infinite when a value is not finite in one only
/// or the shapes differ, 0 when both are all zero.
pub fn nmse(got: &Array, want: &Array) -> f64 {
    if got.shape != want.shape || got.len() != want.len() {
        return f64::INFINITY;
    }
    let (mut error, mut power) = (0.0, 0.0);
    for i in 0..want.len() {
        let (a, b) = (got.f64(i), want.f64(i));
        if a == b || (a.is_nan() && b.is_nan()) {
            power += if b.is_finite() { b * b } else { 0.0 };
            continue;
        }
        error += (a - b) * (a - b);
        power += b * b;
    }
    match (error, power) {
        (0.0, _) => 0.0,
        (e, p) if e.is_finite() && p > 0.0 => e / p,
        _ => f64::INFINITY,
    }
}
