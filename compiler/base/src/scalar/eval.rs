//! The reference meaning of an operation on stored values: exact, then rounded or wrapped to the dtype, once.

use super::{IntType, Output, ScalarOp};
use crate::codec::{Scalar, cast};
use crate::{Class, DType};

/// Evaluates `op` on values of `dtype` (for `select`, the dtype of the last two; the first is a bool).
///
/// Floats are computed in f64 and rounded to `dtype`; integers are computed without bounds and wrapped. The result
/// has the dtype that [`ScalarOp::infer`] gives.
///
/// # Errors
/// A sentence, when `op` does not take this number of operands, or these operands, or this dtype.
pub fn eval(op: ScalarOp, args: &[Scalar], dtype: DType) -> Result<Scalar, String> {
    let row = op.row();
    if args.len() != row.arity {
        return Err(format!("`{}` takes {} operands, got {}", row.name, row.arity, args.len()));
    }
    let result = match (op, args) {
        (ScalarOp::Select, [Scalar::Int(c), y, z]) => Some(if *c != 0 { *y } else { *z }),
        _ => match IntType::of(dtype) {
            Some(t) => row.meaning.int.and_then(|f| with_ints(args, t, f)).map(Scalar::Int),
            None => match row.output {
                Output::Same => row.meaning.float.and_then(|f| with_floats(args, f)).map(Scalar::Float),
                Output::Bool => {
                    row.meaning.test.and_then(|f| with_floats(args, f)).map(|holds| Scalar::Int(holds as i128))
                }
            },
        },
    };
    match result {
        Some(value) if row.operands.accepts(dtype) => Ok(match (row.output, dtype.class()) {
            (Output::Bool, _) => value,
            // Bool operations are those of one-bit integers: `not` keeps the low bit.
            (Output::Same, Class::Bool) => Scalar::Int(value.as_int() & 1),
            (Output::Same, _) => cast(value, dtype),
        }),
        _ => Err(format!("`{}` has no meaning on {args:?} as {dtype}", row.name)),
    }
}

fn with_floats<T>(args: &[Scalar], f: impl Fn(&[f64]) -> T) -> Option<T> {
    let mut values = [0.0; 3];
    for (slot, arg) in values.iter_mut().zip(args) {
        let Scalar::Float(v) = arg else { return None };
        *slot = *v;
    }
    values.get(..args.len()).map(f)
}

/// Operands are wrapped to their type first, so that no meaning can overflow `i128`.
fn with_ints(args: &[Scalar], t: IntType, f: fn(&[i128], IntType) -> i128) -> Option<i128> {
    let mut values = [0; 3];
    for (slot, arg) in values.iter_mut().zip(args) {
        let Scalar::Int(v) = arg else { return None };
        *slot = t.wrap(*v);
    }
    values.get(..args.len()).map(|a| f(a, t))
}
