//! Operations without a loop of their own run through the meaning in the scalar table, element by element.

use crate::program::Lane;
use girih_base::codec::{Scalar, cast};
use girih_base::scalar::{IntType, Output};
use girih_base::{DType, ScalarOp};

/// Reads a lane.
///
/// # Safety
/// `at` points to a readable lane.
#[inline(always)]
pub(crate) unsafe fn read(lane: Lane, at: *const u8) -> Scalar {
    // SAFETY: the caller's promise.
    unsafe {
        match lane {
            Lane::Bool => Scalar::Int((*at != 0) as i128),
            Lane::I32 => Scalar::Int(*at.cast::<i32>() as i128),
            Lane::U32 => Scalar::Int(*at.cast::<u32>() as i128),
            Lane::I64 => Scalar::Int(*at.cast::<i64>() as i128),
            Lane::U64 => Scalar::Int(*at.cast::<u64>() as i128),
            Lane::F32 => Scalar::Float(*at.cast::<f32>() as f64),
            Lane::F64 => Scalar::Float(*at.cast::<f64>()),
        }
    }
}

/// Writes a lane; the value is one of its dtype already.
///
/// # Safety
/// `at` points to a writable lane.
#[inline(always)]
pub(crate) unsafe fn write(lane: Lane, at: *mut u8, value: Scalar) {
    // SAFETY: the caller's promise.
    unsafe {
        match lane {
            Lane::Bool => *at = (value.as_int() != 0) as u8,
            Lane::I32 => *at.cast() = value.as_int() as i32,
            Lane::U32 => *at.cast() = value.as_int() as u32,
            Lane::I64 => *at.cast() = value.as_int() as i64,
            Lane::U64 => *at.cast() = value.as_int() as u64,
            Lane::F32 => *at.cast() = value.as_f64() as f32,
            Lane::F64 => *at.cast() = value.as_f64(),
        }
    }
}

/// The result of an operation on values of `dtype` (for `select`, that of the last operand), rounded to it.
pub(crate) fn apply(op: ScalarOp, dtype: DType, args: &[Scalar]) -> Scalar {
    let row = op.row();
    if op == ScalarOp::Select {
        return if args[0].as_int() != 0 { args[1] } else { args[2] };
    }
    let test = row.output == Output::Bool;
    if let Some(int) = IntType::of(dtype)
        && let Some(f) = row.meaning.int
    {
        let mut values = [0i128; 3];
        values.iter_mut().zip(args).for_each(|(v, a)| *v = a.as_int());
        let result = f(&values[..args.len()], int);
        return Scalar::Int(if test { (result != 0) as i128 } else { int.wrap(result) });
    }
    let mut values = [0f64; 3];
    values.iter_mut().zip(args).for_each(|(v, a)| *v = a.as_f64());
    let values = &values[..args.len()];
    match (row.meaning.float, row.meaning.test) {
        (_, Some(f)) if test => Scalar::Int(f(values) as i128),
        (Some(f), _) => cast(Scalar::Float(f(values)), dtype),
        // The type checker lets no operation without a meaning for its class through.
        _ => Scalar::Float(f64::NAN),
    }
}
