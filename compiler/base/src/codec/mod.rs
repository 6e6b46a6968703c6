//! How elements are stored: every dtype's codes, exactly.
//!
//! A *code* is the bit pattern of one element in the low bits of a `u64`. [`Scalar`] holds the value of any element
//! of any dtype without loss, except that all NaNs are one NaN: their sign and payload differ between machines, so
//! nothing may depend on them.

mod float;
mod slice;
#[cfg(test)]
mod tests;

pub use slice::{codes, decode_floats, decode_slice, encode_floats, encode_slice};

use crate::DType;
use crate::dtype::Class;
use crate::scalar::IntType;
use float::{FloatFormat, Overflow};

/// The exact value of one element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// A float of any float dtype; each is exact in f64.
    Float(f64),
    /// An integer of any integer dtype, or a bool as 0 or 1.
    Int(i128),
}

impl Scalar {
    /// The value as f64; integers beyond 2^53 round to nearest even.
    pub fn as_f64(self) -> f64 {
        match self {
            Scalar::Float(v) => v,
            Scalar::Int(v) => v as f64,
        }
    }

    /// The value as an integer; floats round toward zero, NaN gives 0.
    pub fn as_int(self) -> i128 {
        match self {
            Scalar::Float(v) => v as i128,
            Scalar::Int(v) => v,
        }
    }
}

/// What Graph IR's `Cast` does: the value of dtype `to` that `value` becomes.
///
/// | from | to | rule |
/// |---|---|---|
/// | float | integer | round toward zero, then limit to the range; NaN gives 0 |
/// | integer, bool | integer | keep the low bits |
/// | any | bool | whether it is not 0 (NaN is not 0) |
/// | any | float | round to nearest even, once, from the exact value |
///
/// A float too large for `to` becomes Inf of its sign, or NaN where `to` has no Inf (`f8e4m3fn`, `f8e8m0`), or the
/// largest value where it has neither (`f4e2m1`). NaN in `f4e2m1` becomes -0. `f8e8m0` has only positive values:
/// zero and negative values become NaN, tiny ones 2^-127, and ties round up. This is what
/// `ml_dtypes` does.
pub fn cast(value: Scalar, to: DType) -> Scalar {
    match (value, to) {
        (Scalar::Float(v), DType::F64) => Scalar::Float(v),
        (Scalar::Float(v), DType::F32) => Scalar::Float(v as f32 as f64),
        _ => decode(encode(value, to), to),
    }
}

/// The code of `value` in `dtype`, after [`cast`].
pub fn encode(value: Scalar, dtype: DType) -> u64 {
    code(value, dtype, Overflow::Special)
}

/// The code of the value of `dtype` nearest to `value`: like [`encode`], but integers outside the range become its
/// nearest end, and floats beyond the largest finite value, infinities too, become that value with their sign.
///
/// NaN stays NaN; in `f8e8m0`, zero and negative values become the smallest value, 2^-127.
pub fn encode_saturating(value: Scalar, dtype: DType) -> u64 {
    let value = match (value, IntType::of(dtype)) {
        (Scalar::Int(v), Some(t)) => Scalar::Int(v.clamp(t.min(), t.max())),
        _ => value,
    };
    code(value, dtype, Overflow::Saturate)
}

/// The value of a code; bits above the dtype's width are ignored, and every bool code but 0 is true.
pub fn decode(code: u64, dtype: DType) -> Scalar {
    match (dtype.class(), IntType::of(dtype)) {
        (Class::Bool, _) => Scalar::Int((code & 0xff != 0) as i128),
        (_, Some(t)) => Scalar::Int(t.wrap(code as i128)),
        (_, None) => Scalar::Float(decode_float(code, dtype)),
    }
}

fn code(value: Scalar, dtype: DType, overflow: Overflow) -> u64 {
    let int = match (dtype.class(), IntType::of(dtype)) {
        (Class::Bool, _) => {
            return match value {
                Scalar::Float(v) => (v != 0.0) as u64,
                Scalar::Int(v) => (v != 0) as u64,
            };
        }
        (_, Some(t)) => t,
        (_, None) => return encode_float(value, dtype, overflow),
    };
    match value {
        Scalar::Int(v) => int.bits_of(v) as u64,
        Scalar::Float(v) => int.bits_of((v as i128).clamp(int.min(), int.max())) as u64,
    }
}

fn decode_float(code: u64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::from_bits(code),
        DType::F32 => f32::from_bits(code as u32) as f64,
        DType::F8E8M0 => float::decode_scale(code),
        _ => FloatFormat::of(dtype).map_or(f64::NAN, |f| f.decode(code)),
    }
}

fn encode_float(value: Scalar, dtype: DType, overflow: Overflow) -> u64 {
    match dtype {
        DType::F64 => float::encode_f64(value.as_f64(), overflow),
        DType::F8E8M0 => float::encode_scale(value, overflow),
        _ => FloatFormat::of(dtype).map_or(0, |f| f.encode(value, overflow)),
    }
}
