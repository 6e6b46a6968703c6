//! Constant folding of splats by the scalar table's exact meanings.

use girih_base::scalar::IntType;
use girih_base::{DType, ScalarOp};
use girih_graph::{Number, Op};

/// The one value of every element of `op` on operands of one value each, when it is known exactly.
/// `from` is the dtype of the first operand, `to` that of the result.
pub fn splat(op: &Op, args: &[Number], from: DType, to: DType) -> Option<Number> {
    match op {
        Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) | Op::Reverse(_) | Op::Window(_) => {
            args.first().copied()
        }
        Op::Concat(_) | Op::Pad(_) => args.first().copied().filter(|a| args.iter().all(|b| a == b)),
        Op::Map(op) => map(*op, args, from, to),
        Op::Cast(_) => cast(args.first().copied()?, from, to),
        _ => None,
    }
}

fn map(op: ScalarOp, args: &[Number], from: DType, to: DType) -> Option<Number> {
    if op == ScalarOp::Select {
        return args.get(if args.first()?.as_int() != 0 { 1 } else { 2 }).copied();
    }
    let meaning = op.row().meaning;
    if from.is_float() {
        let values: Vec<f64> = args.iter().map(|a| a.as_f64()).collect();
        return match meaning.test {
            Some(test) => Some(Number::Int(test(&values) as i128)),
            None => round(meaning.float?(&values), to),
        };
    }
    let ty = IntType::of(from)?;
    let values: Vec<i128> = args.iter().map(|a| ty.wrap(a.as_int())).collect();
    let result = meaning.int?(&values, ty);
    Some(Number::Int(IntType::of(to)?.wrap(result)))
}

fn cast(value: Number, from: DType, to: DType) -> Option<Number> {
    match (from.is_float(), to.is_float()) {
        (_, true) => round(value.as_f64(), to),
        // Narrowing integers and floats to integers has rules of its own; only what certainly fits is folded.
        _ if to == DType::Bool => None,
        _ => {
            let ty = IntType::of(to)?;
            let whole = value.as_f64().fract() == 0.0 && value.as_f64().abs() < 9e15;
            (whole && ty.wrap(value.as_int()) == value.as_int()).then(|| Number::Int(value.as_int()))
        }
    }
}

/// The value rounded to a float dtype the host has; narrower ones are left to the target.
fn round(value: f64, to: DType) -> Option<Number> {
    match to {
        DType::F64 => Some(Number::from(value)),
        DType::F32 => Some(Number::from(value as f32 as f64)),
        _ => None,
    }
}
