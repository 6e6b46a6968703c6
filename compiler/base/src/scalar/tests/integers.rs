//! Every integer operation on all operands of 8 bits, against the machine's own arithmetic.

use super::*;

/// All operands of an 8-bit type or bool; three operands are thinned out to the ends and every 23rd value.
pub(super) fn operands(arity: usize, dtype: DType) -> Vec<Vec<Scalar>> {
    let codes = if dtype == DType::Bool { 2 } else { 256 };
    let kept: Vec<Scalar> = (0..codes)
        .filter(|c| arity < 3 || codes == 2 || [0, 1, 127, 128, 255].contains(c) || c % 23 == 0)
        .map(|c| decode(c, dtype))
        .collect();
    let count = kept.len().pow(arity as u32);
    (0..count).map(|i| (0..arity).map(|k| kept[i / kept.len().pow(k as u32) % kept.len()]).collect()).collect()
}

macro_rules! model {
    ($model:ident, $int:ident, $wide:ident, $unsigned:ident) => {
        /// What the operation should give, in the machine's arithmetic of the type; none when there is no model.
        fn $model(name: &str, a: &[$int]) -> Option<i128> {
            let x = a[0];
            let y = a.get(1).copied().unwrap_or(0);
            let z = a.get(2).copied().unwrap_or(0);
            let by = y.rem_euclid(8) as u32;
            let holds = |b: bool| Some(b as i128);
            let value: $int = match name {
                "add" => x.wrapping_add(y),
                "sub" => x.wrapping_sub(y),
                "mul" => x.wrapping_mul(y),
                "div" => {
                    if y == 0 {
                        x
                    } else {
                        x.wrapping_div(y)
                    }
                }
                "rem" => {
                    if y == 0 {
                        0
                    } else {
                        x.wrapping_rem(y)
                    }
                }
                "floor_div" => {
                    if y == 0 {
                        x
                    } else {
                        (x as f64 / y as f64).floor() as i32 as $int
                    }
                }
                "floor_mod" => {
                    if y == 0 {
                        0
                    } else {
                        (x as i32 - (x as f64 / y as f64).floor() as i32 * y as i32) as $int
                    }
                }
                "neg" => x.wrapping_neg(),
                "abs" => {
                    if x < (0 as $int) {
                        x.wrapping_neg()
                    } else {
                        x
                    }
                }
                "sign" => (x > 0) as $int - (x < (0 as $int)) as $int,
                "square" => x.wrapping_mul(x),
                "relu" => {
                    if x > 0 {
                        x
                    } else {
                        0
                    }
                }
                "min" => {
                    if x < y {
                        x
                    } else {
                        y
                    }
                }
                "max" => {
                    if x > y {
                        x
                    } else {
                        y
                    }
                }
                "clamp" => Ord::min(Ord::max(x, y), z),
                "and" => x & y,
                "or" => x | y,
                "xor" => x ^ y,
                "not" => !x,
                "shl" => x.wrapping_shl(by),
                "shr" => x.wrapping_shr(by),
                "shr_logical" => (x as $unsigned).wrapping_shr(by) as $int,
                "popcount" => x.count_ones() as $int,
                "clz" => x.leading_zeros() as $int,
                "ctz" => x.trailing_zeros() as $int,
                "mul_hi" => ((x as $wide * y as $wide) >> 8) as $int,
                "eq" => return holds(x == y),
                "ne" => return holds(x != y),
                "lt" => return holds(x < y),
                "le" => return holds(x <= y),
                "gt" => return holds(x > y),
                "ge" => return holds(x >= y),
                _ => return None,
            };
            Some(value as i128)
        }
    };
}
model!(model_i8, i8, i16, u8);
model!(model_u8, u8, u16, u8);

#[test]
fn all_8_bit_operands() {
    for op in ScalarOp::ALL.iter().copied().filter(|op| op.row().meaning.int.is_some()) {
        for dtype in [DType::I8, DType::U8] {
            for args in operands(op.arity(), dtype) {
                let ints: Vec<i128> = args.iter().map(|a| a.as_int()).collect();
                let expected = match dtype {
                    DType::I8 => model_i8(op.name(), &ints.iter().map(|v| *v as i8).collect::<Vec<_>>()),
                    _ => model_u8(op.name(), &ints.iter().map(|v| *v as u8).collect::<Vec<_>>()),
                };
                let expected = expected.unwrap_or_else(|| panic!("no model of `{}`", op.name()));
                if op.row().operands.accepts(dtype) {
                    assert_eq!(eval(op, &args, dtype), Ok(Scalar::Int(expected)), "{}{ints:?} {dtype}", op.name());
                }
            }
        }
    }
}

#[test]
fn bool_operations_are_logical() {
    for args in operands(2, DType::Bool) {
        let (x, y) = (args[0].as_int() != 0, args[1].as_int() != 0);
        for (op, expected) in [
            (ScalarOp::And, x && y),
            (ScalarOp::Or, x || y),
            (ScalarOp::Xor, x != y),
            (ScalarOp::Eq, x == y),
            (ScalarOp::Lt, !x && y),
            (ScalarOp::Ge, x || !y),
        ] {
            assert_eq!(eval(op, &args, DType::Bool), Ok(Scalar::Int(expected as i128)), "{op:?} {x} {y}");
        }
        assert_eq!(eval(ScalarOp::Not, &args[..1], DType::Bool), Ok(Scalar::Int(!x as i128)));
    }
}

/// Where products and shifts of 64-bit values leave narrower arithmetic.
#[test]
fn sixty_four_bits_do_not_overflow() {
    use DType::{I64, U64};
    let run = |op, x: i128, y: i128, dtype| eval(op, &[Scalar::Int(x), Scalar::Int(y)], dtype).unwrap().as_int();
    let (top, low) = (u64::MAX as i128, i64::MIN as i128);
    assert_eq!(run(ScalarOp::Mul, top, top, U64), 1);
    assert_eq!(run(ScalarOp::MulHi, top, top, U64), top - 1);
    assert_eq!(run(ScalarOp::MulHi, low, low, I64), 1 << 62);
    assert_eq!(run(ScalarOp::MulHi, low, 1, I64), -1);
    assert_eq!(run(ScalarOp::Div, low, -1, I64), low);
    assert_eq!(run(ScalarOp::Rem, low, -1, I64), 0);
    assert_eq!(run(ScalarOp::Shl, top, 63, U64), 1 << 63);
    assert_eq!(run(ScalarOp::Add, i128::MAX, i128::MAX, I64), -2, "operands are wrapped first");
    assert_eq!(run(ScalarOp::Mul, i128::MIN, i128::MIN, U64), 0);
    assert_eq!(eval(ScalarOp::Square, &[Scalar::Int(top)], U64), Ok(Scalar::Int(1)));
    assert_eq!(eval(ScalarOp::Neg, &[Scalar::Int(low)], I64), Ok(Scalar::Int(low)));
}
