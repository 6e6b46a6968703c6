//! Numbers as their dtype stores them.

use super::array::{Data, widen};
use girih_base::DType;
use girih_base::scalar::IntType;

/// A small float format with exponents and subnormals as in IEEE 754.
struct Format {
    mantissa: i32,
    bias: i32,
    max: f64,
    infinity: bool,
    nan: Option<u64>,
}

fn format(dtype: DType) -> Option<Format> {
    let f = |mantissa, bias, max, infinity, nan| Some(Format { mantissa, bias, max, infinity, nan });
    match dtype {
        DType::F4E2M1 => f(1, 1, 6.0, false, None),
        DType::F8E4M3Fn => f(3, 7, 448.0, false, Some(0x7f)),
        DType::F8E5M2 => f(2, 15, 57344.0, true, Some(0x7e)),
        DType::F16 => f(10, 15, 65504.0, true, Some(0x7e00)),
        DType::Bf16 => f(7, 127, (2.0 - (-7f64).exp2()) * 127f64.exp2(), true, Some(0x7fc0)),
        _ => None,
    }
}

/// The nearest value of the dtype, ties to even. Beyond the largest: infinity, or NaN where there is none, or (f4) the
/// largest. NaN where there is none (f4) gives 0.
pub(crate) fn round(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F32 => x as f32 as f64,
        DType::F64 => x,
        _ => decode_bits(dtype, encode_float(dtype, x)),
    }
}

/// The nearest f64; on the way to a narrower float, rounded to odd, so that the rounding after it is as if done at once.
pub(crate) fn int_to_float(to: DType, i: i128) -> f64 {
    let nearest = i as f64;
    let back = nearest as i128;
    if to == DType::F64 || back == i || nearest.to_bits() & 1 == 1 {
        return nearest;
    }
    let outward = i.unsigned_abs() > back.unsigned_abs();
    f64::from_bits(if outward { nearest.to_bits() + 1 } else { nearest.to_bits() - 1 })
}

fn encode_float(dtype: DType, x: f64) -> u64 {
    match dtype {
        DType::F64 => return x.to_bits(),
        DType::F32 => return (x as f32).to_bits() as u64,
        // A power of two without sign: rounded in the logarithm's fraction bit, 255 is NaN.
        DType::F8E8M0 => {
            if x.is_nan() || x < 0.0 || x.is_infinite() {
                return 255;
            }
            let e = exponent(x.max((-127f64).exp2()));
            let up = x / (e as f64).exp2() >= 1.5;
            return ((e + up as i32 + 127).clamp(0, 255)) as u64;
        }
        _ => {}
    }
    let Some(f) = format(dtype) else { return 0 };
    let sign = (x.is_sign_negative() as u64) << (dtype.bits() - 1);
    if x.is_nan() {
        return f.nan.unwrap_or(0);
    }
    let a = x.abs();
    let e = exponent(a).max(1 - f.bias);
    let mut steps = (a / ((e - f.mantissa) as f64).exp2()).round_ties_even();
    let mut biased = e + f.bias;
    if steps >= ((2 << f.mantissa) as f64) {
        steps /= 2.0;
        biased += 1;
    }
    let value = steps * ((biased - f.bias - f.mantissa) as f64).exp2();
    let top = ((1u64 << (dtype.bits() - 1)) - 1) >> f.mantissa << f.mantissa;
    if a.is_infinite() || value > f.max {
        return match (f.infinity, f.nan) {
            (true, _) => sign | top,
            (false, Some(nan)) => sign | nan,
            (false, None) => sign | ((1 << (dtype.bits() - 1)) - 1),
        };
    }
    // A subnormal has no hidden bit, and its exponent field is one less than its exponent says.
    sign | (steps as u64 + (((biased - 1) as u64) << f.mantissa))
}

/// floor(log2(x)) of a positive finite number; very small for zero.
fn exponent(x: f64) -> i32 {
    let field = (x.to_bits() >> 52 & 0x7ff) as i32;
    if field == 0 { -1022 } else { field - 1023 }
}

fn decode_bits(dtype: DType, bits: u64) -> f64 {
    match dtype {
        DType::F64 => return f64::from_bits(bits),
        DType::F32 => return f32::from_bits(bits as u32) as f64,
        DType::F8E8M0 => return if bits == 255 { f64::NAN } else { (bits as f64 - 127.0).exp2() },
        _ => {}
    }
    let Some(f) = format(dtype) else { return 0.0 };
    let sign = if bits >> (dtype.bits() - 1) & 1 == 1 { -1.0 } else { 1.0 };
    let low = bits & ((1 << (dtype.bits() - 1)) - 1);
    let (field, mantissa) = ((low >> f.mantissa) as i32, (low & ((1 << f.mantissa) - 1)) as f64);
    let full = ((1u64 << (dtype.bits() - 1)) - 1) >> f.mantissa;
    if f.infinity && field as u64 == full {
        return if mantissa == 0.0 { sign * f64::INFINITY } else { f64::NAN };
    }
    if f.nan.is_some() && !f.infinity && f.nan == Some(low) {
        return f64::NAN;
    }
    let scale = ((field.max(1) - f.bias - f.mantissa) as f64).exp2();
    sign * scale * if field == 0 { mantissa } else { mantissa + (1u64 << f.mantissa) as f64 }
}

/// The smallest and largest value that the dtype has; infinities where it has them.
pub(crate) fn float_range(dtype: DType) -> (f64, f64) {
    match (dtype, format(dtype)) {
        (DType::F8E8M0, _) => ((-127f64).exp2(), 127f64.exp2()),
        (_, Some(f)) if !f.infinity => (-f.max, f.max),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// The smallest and largest value of an integer type.
pub(crate) fn int_range(t: IntType) -> (i128, i128) {
    if t.signed { (-1 << (t.bits - 1), (1 << (t.bits - 1)) - 1) } else { (0, (1 << t.bits) - 1) }
}

/// The bits of element `i` as stored, in the low end.
pub(crate) fn bits_of(dtype: DType, data: &Data, i: usize) -> u64 {
    match data {
        Data::Floats(v) => encode_float(dtype, v[i]),
        Data::Ints(v) => match IntType::of(dtype) {
            Some(t) => t.bits_of(widen(dtype, v[i])) as u64,
            None => 0,
        },
    }
}

/// The elements that have these bits.
pub(crate) fn from_bits(dtype: DType, bits: impl Iterator<Item = u64>) -> Data {
    match IntType::of(dtype) {
        None => Data::Floats(bits.map(|b| decode_bits(dtype, b)).collect()),
        Some(t) => Data::Ints(bits.map(|b| t.wrap(b as i128) as i64).collect()),
    }
}

/// Row-major, little-endian, sub-byte types packed low end first.
pub(crate) fn encode(dtype: DType, data: &Data) -> Vec<u8> {
    let n = data.len();
    let mut out = vec![0u8; dtype.bytes_for(n as u64) as usize];
    for i in 0..n {
        let bits = bits_of(dtype, data, i);
        match dtype.bits() {
            4 => out[i / 2] |= (bits as u8 & 15) << (4 * (i % 2)),
            w => {
                let bytes = w as usize / 8;
                out[i * bytes..(i + 1) * bytes].copy_from_slice(&bits.to_le_bytes()[..bytes]);
            }
        }
    }
    out
}

/// The inverse of [`encode`]; `bytes` has the right length.
pub(crate) fn decode(dtype: DType, n: usize, bytes: &[u8]) -> Data {
    let width = dtype.bits() as usize / 8;
    from_bits(
        dtype,
        (0..n).map(|i| match width {
            0 => (bytes[i / 2] >> (4 * (i % 2)) & 15) as u64,
            w => bytes[i * w..(i + 1) * w].iter().rev().fold(0, |a, b| a << 8 | *b as u64),
        }),
    )
}
