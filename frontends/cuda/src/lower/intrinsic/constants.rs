//! Named constants of the C headers and CUDA, and the limits of types.

use super::super::value::{Tv, Val};
use super::super::*;

/// Named constants of the C headers and CUDA.
pub fn constant(id: &str) -> Option<Tv> {
    use std::f64::consts as c;
    let float = |f: f64| Some(Tv { v: Val::Float(f as f32 as f64), t: Type::Scalar(Scalar::Float) });
    let double = |f: f64| Some(Tv { v: Val::Float(f), t: Type::Scalar(Scalar::Double) });
    let int = |n: i128, s: Scalar| Some(Tv::int(n, s));
    match id {
        "cudaBoundaryModeZero" => int(0, Scalar::Int),
        "cudaBoundaryModeClamp" => int(1, Scalar::Int),
        "cudaBoundaryModeTrap" => int(2, Scalar::Int),
        "INFINITY" | "CUDART_INF_F" | "HUGE_VALF" => float(f64::INFINITY),
        "NAN" | "CUDART_NAN_F" => float(f64::NAN),
        "FLT_MAX" | "CUDART_MAX_NORMAL_F" => float(f32::MAX as f64),
        "FLT_MIN" => float(f32::MIN_POSITIVE as f64),
        "FLT_EPSILON" => float(f32::EPSILON as f64),
        "CUDART_PI_F" => float(c::PI),
        "CUDART_INF" | "HUGE_VAL" => double(f64::INFINITY),
        "DBL_MAX" => double(f64::MAX),
        "DBL_MIN" => double(f64::MIN_POSITIVE),
        "DBL_EPSILON" => double(f64::EPSILON),
        "M_PI" | "CUDART_PI" => double(c::PI),
        "M_PI_2" => double(c::FRAC_PI_2),
        "M_PI_4" => double(c::FRAC_PI_4),
        "M_1_PI" => double(c::FRAC_1_PI),
        "M_2_PI" => double(c::FRAC_2_PI),
        "M_E" => double(c::E),
        "M_LN2" => double(c::LN_2),
        "M_LN10" => double(c::LN_10),
        "M_LOG2E" => double(c::LOG2_E),
        "M_LOG10E" => double(c::LOG10_E),
        "M_SQRT2" => double(c::SQRT_2),
        "M_SQRT1_2" => double(c::FRAC_1_SQRT_2),
        "M_2_SQRTPI" => double(c::FRAC_2_SQRT_PI),
        "INT_MAX" | "INT32_MAX" => int(i32::MAX as i128, Scalar::Int),
        "INT_MIN" | "INT32_MIN" => int(i32::MIN as i128, Scalar::Int),
        "UINT_MAX" | "UINT32_MAX" => int(u32::MAX as i128, Scalar::UInt),
        "LLONG_MAX" | "INT64_MAX" | "LONG_MAX" => int(i64::MAX as i128, Scalar::LongLong),
        "LLONG_MIN" | "INT64_MIN" | "LONG_MIN" => int(i64::MIN as i128, Scalar::LongLong),
        "ULLONG_MAX" | "UINT64_MAX" | "SIZE_MAX" | "ULONG_MAX" => int(u64::MAX as i128, Scalar::ULongLong),
        "CHAR_BIT" => int(8, Scalar::Int),
        "CHAR_MAX" | "SCHAR_MAX" => int(127, Scalar::Int),
        "CHAR_MIN" | "SCHAR_MIN" => int(-128, Scalar::Int),
        "UCHAR_MAX" => int(255, Scalar::Int),
        "SHRT_MAX" => int(32767, Scalar::Int),
        "SHRT_MIN" => int(-32768, Scalar::Int),
        "USHRT_MAX" => int(65535, Scalar::Int),
        _ => None,
    }
}

/// `std::numeric_limits<s>::name()`.
pub fn limit(s: Scalar, name: &str) -> Option<Tv> {
    let t = Type::Scalar(s);
    let float = |f: f64| Some(Tv { v: Val::Float(f), t: t.clone() });
    let bits = s.size() as i128 * 8;
    match (s, name) {
        (Scalar::Float, "max") => float(f32::MAX as f64),
        (Scalar::Float, "lowest") => float(f32::MIN as f64),
        (Scalar::Float, "min") => float(f32::MIN_POSITIVE as f64),
        (Scalar::Float, "epsilon") => float(f32::EPSILON as f64),
        (Scalar::Double, "max") => float(f64::MAX),
        (Scalar::Double, "lowest") => float(f64::MIN),
        (Scalar::Double, "min") => float(f64::MIN_POSITIVE),
        (Scalar::Double, "epsilon") => float(f64::EPSILON),
        (s, "infinity") if s.is_float() => float(f64::INFINITY),
        (s, "quiet_NaN") if s.is_float() => float(f64::NAN),
        (s, "max") if s.is_int() => Some(Tv::int(if s.signed() { (1 << (bits - 1)) - 1 } else { (1 << bits) - 1 }, s)),
        (s, "min" | "lowest") if s.is_int() => Some(Tv::int(if s.signed() { -(1 << (bits - 1)) } else { 0 }, s)),
        _ => None,
    }
}
