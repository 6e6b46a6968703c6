//! Rounding into the small float formats. One algorithm serves all of them; a format is a row of numbers.

use super::Scalar;
use crate::DType;

/// What becomes of values beyond the largest finite one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// Inf, or NaN where there is no Inf, or the largest value where there is neither.
    Special,
    /// The largest value.
    Saturate,
}

/// A binary float format with a sign bit and subnormals, up to 32 bits.
pub(super) struct FloatFormat {
    /// Width in bits, the sign bit on top.
    bits: u32,
    /// Stored fraction bits.
    fraction: u32,
    /// Exponent field of 1.0.
    bias: i32,
    /// Code of the largest finite value.
    max: u64,
    /// Code of +Inf.
    inf: Option<u64>,
    /// Code of NaN.
    nan: Option<u64>,
}

const F4E2M1: FloatFormat = FloatFormat { bits: 4, fraction: 1, bias: 1, max: 0x7, inf: None, nan: None };
const F8E4M3FN: FloatFormat = FloatFormat { bits: 8, fraction: 3, bias: 7, max: 0x7e, inf: None, nan: Some(0x7f) };
const F8E5M2: FloatFormat = FloatFormat { bits: 8, fraction: 2, bias: 15, max: 0x7b, inf: Some(0x7c), nan: Some(0x7e) };
const F16: FloatFormat =
    FloatFormat { bits: 16, fraction: 10, bias: 15, max: 0x7bff, inf: Some(0x7c00), nan: Some(0x7e00) };
const BF16: FloatFormat =
    FloatFormat { bits: 16, fraction: 7, bias: 127, max: 0x7f7f, inf: Some(0x7f80), nan: Some(0x7fc0) };
const F32: FloatFormat =
    FloatFormat { bits: 32, fraction: 23, bias: 127, max: 0x7f7f_ffff, inf: Some(0x7f80_0000), nan: Some(0x7fc0_0000) };

impl FloatFormat {
    /// The format of a dtype; f64 (the identity) and f8e8m0 (no sign, no fraction) have functions of their own.
    pub(super) fn of(dtype: DType) -> Option<&'static FloatFormat> {
        match dtype {
            DType::F4E2M1 => Some(&F4E2M1),
            DType::F8E4M3Fn => Some(&F8E4M3FN),
            DType::F8E5M2 => Some(&F8E5M2),
            DType::F16 => Some(&F16),
            DType::Bf16 => Some(&BF16),
            DType::F32 => Some(&F32),
            _ => None,
        }
    }

    pub(super) fn decode(&self, code: u64) -> f64 {
        let magnitude = code & (self.sign() - 1);
        let (exponent, fraction) = (magnitude >> self.fraction, magnitude & ((1 << self.fraction) - 1));
        let value = if Some(magnitude) == self.inf {
            f64::INFINITY
        } else if magnitude > self.max {
            return f64::NAN;
        } else if exponent == 0 {
            fraction as f64 * power_of_two(1 - self.bias - self.fraction as i32)
        } else {
            (fraction | 1 << self.fraction) as f64 * power_of_two(exponent as i32 - self.bias - self.fraction as i32)
        };
        if code & self.sign() != 0 { -value } else { value }
    }

    pub(super) fn encode(&self, value: Scalar, overflow: Overflow) -> u64 {
        let (negative, magnitude) = match value {
            // Without a NaN it is -0, as in `ml_dtypes`.
            Scalar::Float(v) if v.is_nan() => return self.nan.unwrap_or(self.sign()),
            Scalar::Float(v) if v.is_infinite() => (v < 0.0, self.beyond(overflow)),
            Scalar::Float(v) => {
                let (significand, exponent) = parts(v);
                (v.is_sign_negative(), self.round(significand as u128, exponent, overflow))
            }
            Scalar::Int(v) => (v < 0, self.round(v.unsigned_abs(), 0, overflow)),
        };
        // Where there is no Inf, an overflow is the one NaN.
        if negative && Some(magnitude) != self.nan { magnitude | self.sign() } else { magnitude }
    }

    /// The code of `significand * 2^exponent`, rounded to nearest even.
    fn round(&self, significand: u128, exponent: i32, overflow: Overflow) -> u64 {
        if significand == 0 {
            return 0;
        }
        let smallest = 1 - self.bias;
        let binade = (significand.ilog2() as i32 + exponent).max(smallest);
        // The result counts units of 2^(binade - fraction); a normal one has the implicit bit set, which, added to
        // the field below, makes the exponent field one larger, and a carry out of the fraction one larger again.
        let drop = binade - self.fraction as i32 - exponent;
        let units = if drop <= 0 { significand << -drop } else { shift_right_to_even(significand, drop as u32) };
        let code = (((binade - smallest) as u64) << self.fraction) + units as u64;
        if code > self.max { self.beyond(overflow) } else { code }
    }

    fn beyond(&self, overflow: Overflow) -> u64 {
        match overflow {
            Overflow::Saturate => self.max,
            Overflow::Special => self.inf.or(self.nan).unwrap_or(self.max),
        }
    }

    fn sign(&self) -> u64 {
        1 << (self.bits - 1)
    }
}

/// The code of an f64 itself; every NaN becomes the one quiet NaN.
pub(super) fn encode_f64(v: f64, overflow: Overflow) -> u64 {
    if v.is_nan() {
        return 0x7ff8_0000_0000_0000;
    }
    match overflow {
        Overflow::Special => v.to_bits(),
        Overflow::Saturate => v.clamp(f64::MIN, f64::MAX).to_bits(),
    }
}

/// f8e8m0: 255 is NaN, any other code is 2^(code - 127).
pub(super) fn decode_scale(code: u64) -> f64 {
    match code & 0xff {
        255 => f64::NAN,
        code => power_of_two(code as i32 - 127),
    }
}

pub(super) fn encode_scale(value: Scalar, overflow: Overflow) -> u64 {
    let (smallest, largest) = if overflow == Overflow::Saturate { (0, 254) } else { (255, 255) };
    let (significand, exponent) = match value {
        Scalar::Float(v) if v.is_nan() => return 255,
        Scalar::Float(v) if v <= 0.0 => return smallest,
        Scalar::Float(f64::INFINITY) => return largest,
        Scalar::Float(v) => {
            let (significand, exponent) = parts(v);
            (significand as u128, exponent)
        }
        Scalar::Int(v) if v <= 0 => return smallest,
        Scalar::Int(v) => (v as u128, 0),
    };
    let top = significand.ilog2();
    // The bit below the leading one decides: 1.5 and above round up.
    let up = top > 0 && significand >> (top - 1) & 1 == 1;
    let code = top as i32 + exponent + 127 + up as i32;
    (code.max(0) as u64).min(largest)
}

/// A finite float as `significand * 2^exponent`, sign dropped.
fn parts(v: f64) -> (u64, i32) {
    let (field, fraction) = (v.to_bits() >> 52 & 0x7ff, v.to_bits() & ((1 << 52) - 1));
    if field == 0 { (fraction, -1074) } else { (fraction | 1 << 52, field as i32 - 1075) }
}

fn shift_right_to_even(v: u128, by: u32) -> u128 {
    if by > 128 {
        return 0;
    }
    let whole = v.checked_shr(by).unwrap_or(0);
    let half = 1u128 << (by - 1);
    let rest = v & (half | (half - 1));
    whole + (rest > half || (rest == half && whole & 1 == 1)) as u128
}

/// 2^e for e in the normal range of f64, which covers every format of at most 32 bits.
fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}
