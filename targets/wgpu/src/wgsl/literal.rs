//! Literals that read back to the same bits.

use girih_base::{DType, Scalar, codec};

/// A literal of a scalar type, and whether it is a plain token (no sign, no call).
///
/// Floats are the shortest decimal that gives the same bits; infinities and NaN, which WGSL has no literals for, are
/// written by their bits.
pub fn literal(value: Scalar, dtype: DType) -> (String, bool) {
    match dtype {
        DType::Bool => ((if value.as_int() != 0 { "true" } else { "false" }).into(), true),
        DType::U32 => (format!("{}u", value.as_int() as u32), true),
        DType::I32 => match value.as_int() as i32 {
            i32::MIN => ("bitcast<i32>(0x80000000u)".into(), true),
            v => (format!("{v}i"), v >= 0),
        },
        DType::U64 => (format!("{}lu", value.as_int() as u64), true),
        DType::I64 => match value.as_int() as i64 {
            i64::MIN => ("(-9223372036854775807li - 1li)".into(), true),
            v => (format!("{v}li"), v >= 0),
        },
        DType::F64 => match value.as_f64() {
            v if v.is_finite() && (v != 0.0 || v.is_sign_positive()) => (format!("{v:?}lf"), !v.is_sign_negative()),
            v => (format!("bitcast<f64>(0x{:016x}lu)", v.to_bits()), true),
        },
        DType::F16 => (format!("{:?}h", value.as_f64()), !value.as_f64().is_sign_negative()),
        _ => float(codec::encode(value, DType::F32) as u32),
    }
}

fn float(bits: u32) -> (String, bool) {
    let value = f32::from_bits(bits);
    let special = !value.is_finite() || value.is_subnormal() || bits == 0x8000_0000;
    let text = format!("{value:?}");
    if special || text.parse::<f64>().map(|v| (v as f32).to_bits()) != Ok(bits) {
        return (format!("bitcast<f32>(0x{bits:08x}u)"), true);
    }
    (text, !value.is_sign_negative())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_and_exact() {
        let f = |v: f32| literal(Scalar::Float(v as f64), DType::F32).0;
        assert_eq!(f(1.0), "1.0");
        assert_eq!(f(-0.1), "-0.1");
        assert_eq!(f(-0.0), "bitcast<f32>(0x80000000u)");
        assert_eq!(f(f32::INFINITY), "bitcast<f32>(0x7f800000u)");
        assert_eq!(f(f32::MAX), "3.4028235e38");
        assert_eq!(literal(Scalar::Int(-1), DType::I32), ("-1i".into(), false));
        assert_eq!(literal(Scalar::Int(-1), DType::U32), ("4294967295u".into(), true));
    }
}
