//! Triton's type promotion, which is neither NumPy's nor C's. Source: the rules of `triton.language.semantic` and the page
//! "Triton Semantics" of its documentation.

use crate::value::type_name;
use girih_base::DType;

/// bool < integers < floats.
fn kind(d: DType) -> u8 {
    match d {
        DType::Bool => 0,
        d if d.is_float() => 2,
        _ => 1,
    }
}

fn is_fp8(d: DType) -> bool {
    d.is_float() && d.bits() == 8
}

/// The type that two operands are computed in. `number` marks Python numbers, which do not promote tensors of their own kind or
/// a higher one; `division` covers `/`, `//` and `%`.
pub(crate) fn computation_type(
    mut a: DType,
    a_number: bool,
    mut b: DType,
    b_number: bool,
    division: bool,
) -> Result<DType, String> {
    use DType::{Bf16, F16, F32, F64};
    if a_number != b_number {
        let (number, tensor) = if a_number { (a, b) } else { (b, a) };
        if kind(number) <= kind(tensor) {
            (a, b) = (tensor, tensor);
        }
    }
    if a == F64 || b == F64 {
        return Ok(F64);
    }
    if division && (a.is_float() || b.is_float()) {
        return Ok(F32);
    }
    for wide in [F32, F16] {
        if a == wide || b == wide {
            return Ok(wide);
        }
    }
    if a == Bf16 || b == Bf16 {
        return Ok(Bf16);
    }
    if is_fp8(a) && is_fp8(b) {
        return Ok(if a == b { a } else { F16 });
    }
    if a.is_float() || b.is_float() {
        return Ok(if a.is_float() && b.is_float() {
            F16
        } else if a.is_float() {
            a
        } else {
            b
        });
    }
    if division && a.is_signed() != b.is_signed() && a != DType::Bool && b != DType::Bool {
        return Err(format!(
            "/, // and % of {} and {}, which differ in signedness; cast them to one",
            type_name(a),
            type_name(b)
        ));
    }
    Ok(integer(a, b))
}

/// C's usual conversions: the wider one, and of equals the unsigned one.
pub(crate) fn integer(a: DType, b: DType) -> DType {
    let width = |d: DType| if d == DType::Bool { 1 } else { d.bits() };
    // `int1` counts as signed.
    let signed = |d: DType| d.is_signed() || d == DType::Bool;
    match (signed(a), signed(b)) {
        (x, y) if x == y => {
            if width(a) > width(b) {
                a
            } else {
                b
            }
        }
        (false, _) => {
            if width(a) >= width(b) {
                a
            } else {
                b
            }
        }
        _ => {
            if width(b) >= width(a) {
                b
            } else {
                a
            }
        }
    }
}

/// The type of a Python integer as a tensor.
pub(crate) fn of_int(v: i128) -> Option<DType> {
    let range = |lo: i128, hi: i128| (lo..hi).contains(&v);
    if range(-(1 << 31), 1 << 31) {
        Some(DType::I32)
    } else if range(1 << 31, 1 << 32) {
        Some(DType::U32)
    } else if range(-(1 << 63), 1 << 63) {
        Some(DType::I64)
    } else if range(1 << 63, 1 << 64) {
        Some(DType::U64)
    } else {
        None
    }
}

/// The type of a Python float as a tensor: fp32 unless its magnitude is not one of normal fp32 numbers.
pub(crate) fn of_float(v: f64) -> DType {
    let a = v.abs();
    let fits = a.is_nan() || a.is_infinite() || a == 0.0 || (f32::MIN_POSITIVE as f64..=f32::MAX as f64).contains(&a);
    if fits { DType::F32 } else { DType::F64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DType::*;

    #[test]
    fn the_documented_examples() {
        let tensors = |a, b| computation_type(a, false, b, false, false);
        assert_eq!(tensors(F16, Bf16), Ok(F16));
        assert_eq!(tensors(I32, Bf16), Ok(Bf16));
        assert_eq!(tensors(I32, U32), Ok(U32));
        assert_eq!(tensors(F32, F16), Ok(F32));
        assert_eq!(tensors(I16, U8), Ok(I16));
        assert_eq!(tensors(Bool, I8), Ok(I8));
        let number = |a, b| computation_type(a, false, b, true, false);
        assert_eq!(number(F16, F32), Ok(F16), "a Python float does not widen a half tensor");
        assert_eq!(number(I8, I32), Ok(I8));
        assert_eq!(number(I32, F32), Ok(F32));
        assert_eq!(computation_type(F16, false, F16, false, true), Ok(F32));
        assert!(computation_type(I32, false, U32, false, true).is_err());
    }
}
