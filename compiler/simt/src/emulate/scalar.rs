//! Scalar arithmetic on bits: the meaning of the operation table, rounded to the dtype.

use girih_base::codec::{Scalar, encode};
use girih_base::dtype::Class;
use girih_base::scalar::{IntType, Output};
use girih_base::{DType, ScalarOp};
use half::f16;

/// Bytes of a component in memory; bool takes a word.
pub fn bytes(dtype: DType) -> usize {
    if dtype == DType::Bool { 4 } else { dtype.bits() as usize / 8 }
}

/// The number behind the bits of a float.
pub fn float(dtype: DType, bits: u64) -> f64 {
    match dtype {
        DType::F64 => f64::from_bits(bits),
        DType::F16 => f16::from_bits(bits as u16).to_f64(),
        _ => f32::from_bits(bits as u32) as f64,
    }
}

/// Rounds to a float's bits.
pub fn float_bits(dtype: DType, value: f64) -> u64 {
    match dtype {
        DType::F64 => value.to_bits(),
        // `half` rounds twice where the processor converts.
        DType::F16 => encode(Scalar::Float(value), DType::F16),
        _ => (value as f32).to_bits() as u64,
    }
}

fn int(dtype: DType, bits: u64) -> i128 {
    match IntType::of(dtype) {
        Some(t) => t.wrap(bits as i128),
        None => 0,
    }
}

fn int_bits(dtype: DType, value: i128) -> u64 {
    match IntType::of(dtype) {
        Some(t) => t.bits_of(value) as u64,
        None => 0,
    }
}

/// The bits of a literal.
pub fn literal(dtype: DType, value: crate::Literal) -> u64 {
    match (value, dtype.is_float()) {
        (crate::Literal::Float(f), true) => float_bits(dtype, f64::from_bits(f)),
        (crate::Literal::Float(f), false) => int_bits(dtype, f64::from_bits(f) as i128),
        (crate::Literal::Int(i), true) => float_bits(dtype, i as f64),
        (crate::Literal::Int(i), false) => int_bits(dtype, i as i128),
    }
}

/// An operation on operands of `dtype` (of the last operand).
pub fn map(op: ScalarOp, dtype: DType, a: &[u64]) -> u64 {
    if let Some(fast) = fast(op, dtype, a) {
        return fast;
    }
    if op == ScalarOp::Select {
        return if a[0] != 0 { a[1] } else { a[2] };
    }
    let row = op.row();
    if dtype.is_float() {
        let mut x = [0.0; 3];
        for (x, bits) in x.iter_mut().zip(a) {
            *x = float(dtype, *bits);
        }
        match (row.meaning.test, row.meaning.float) {
            (Some(test), _) => test(&x[..a.len()]) as u64,
            (_, Some(f)) => float_bits(dtype, f(&x[..a.len()])),
            _ => 0,
        }
    } else {
        let mut x = [0; 3];
        for (x, bits) in x.iter_mut().zip(a) {
            *x = int(dtype, *bits);
        }
        let (Some(f), Some(t)) = (row.meaning.int, IntType::of(dtype)) else { return 0 };
        let value = f(&x[..a.len()], t);
        if row.output == Output::Bool { value as u64 } else { int_bits(dtype, value) }
    }
}

/// The common cases without the detour through f64 and i128; equal to the table's meaning.
fn fast(op: ScalarOp, dtype: DType, a: &[u64]) -> Option<u64> {
    if dtype == DType::F32 && a.len() >= 2 && op != ScalarOp::Select {
        let (x, y) = (f32::from_bits(a[0] as u32), f32::from_bits(a[1] as u32));
        let value = match op {
            ScalarOp::Add => x + y,
            ScalarOp::Sub => x - y,
            ScalarOp::Mul => x * y,
            ScalarOp::Div => x / y,
            ScalarOp::Fma => x.mul_add(y, f32::from_bits(a[2] as u32)),
            _ => return None,
        };
        return Some(value.to_bits() as u64);
    }
    if dtype == DType::U32 && a.len() == 2 {
        let (x, y) = (a[0] as u32, a[1] as u32);
        let value = match op {
            ScalarOp::Add => x.wrapping_add(y),
            ScalarOp::Sub => x.wrapping_sub(y),
            ScalarOp::Mul => x.wrapping_mul(y),
            ScalarOp::And => x & y,
            ScalarOp::Or => x | y,
            ScalarOp::Shl => x.wrapping_shl(y),
            ScalarOp::Shr => x.wrapping_shr(y),
            ScalarOp::Lt => (x < y) as u32,
            ScalarOp::Eq => (x == y) as u32,
            _ => return None,
        };
        return Some(value as u64);
    }
    None
}

/// Value conversion: floats to integers truncate and saturate (NaN becomes 0), integers wrap, bool is "not zero".
pub fn cast(from: DType, to: DType, bits: u64) -> u64 {
    match (from.class(), to.class()) {
        (_, Class::Bool) if from.is_float() => (float(from, bits) != 0.0) as u64,
        (_, Class::Bool) => (bits != 0) as u64,
        (Class::Float, Class::Float) => float_bits(to, float(from, bits)),
        (Class::Float, _) => {
            let value = float(from, bits) as i128;
            let Some(t) = IntType::of(to) else { return 0 };
            let (lo, hi) = if t.signed {
                (-(1i128 << (t.bits - 1)), (1i128 << (t.bits - 1)) - 1)
            } else {
                (0, (1i128 << t.bits) - 1)
            };
            t.bits_of(value.clamp(lo, hi)) as u64
        }
        (_, Class::Float) => match (to, int(from, bits)) {
            (DType::F32, v) => (v as f32).to_bits() as u64,
            (_, v) => float_bits(to, v as f64),
        },
        _ => int_bits(to, int(from, bits)),
    }
}

/// The two halves of a word as f32 bits.
pub fn unpack_half(word: u64) -> [u64; 2] {
    [word as u16, (word >> 16) as u16].map(|h| f16::from_bits(h).to_f32().to_bits() as u64)
}

/// Two f32 rounded to halves.
pub fn pack_half(pair: [u64; 2]) -> u64 {
    let [lo, hi] = pair.map(|b| f16::from_f32(f32::from_bits(b as u32)).to_bits() as u64);
    lo | hi << 16
}
