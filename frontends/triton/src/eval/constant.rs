//! Python's arithmetic on constants.

use crate::value::Value;
use ruff_python_ast::{CmpOp, Operator};

/// Most characters of a text and most entries of a tuple, those inside of entries included.
pub(crate) const LARGEST: usize = 1 << 16;

/// Whether a constant is larger than constants may be.
pub(crate) fn too_large(v: &Value) -> bool {
    fn within(v: &Value, room: &mut usize) -> bool {
        *room = match room.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        match v {
            Value::Str(s) => s.len() <= LARGEST,
            Value::Tuple(list) => list.iter().all(|v| within(v, room)),
            Value::Dict(pairs) => pairs.iter().all(|(k, v)| within(k, room) && within(v, room)),
            _ => true,
        }
    }
    !within(v, &mut { LARGEST })
}

/// A binary operation on constants; `Ok(None)` when it is not one on constants, an error when Python would raise.
pub(crate) fn binary(op: Operator, a: &Value, b: &Value) -> Result<Option<Value>, String> {
    if let (Some(x), Some(y)) = (a.as_int(), b.as_int()) {
        if let (Value::Bool(p), Value::Bool(q)) = (a, b) {
            match op {
                Operator::BitAnd => return Ok(Some(Value::Bool(*p & *q))),
                Operator::BitOr => return Ok(Some(Value::Bool(*p | *q))),
                Operator::BitXor => return Ok(Some(Value::Bool(*p ^ *q))),
                _ => {}
            }
        }
        return integers(op, x, y).map(Some);
    }
    if let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) {
        return floats(op, x, y).map(|v| Some(Value::Float(v)));
    }
    let large = || Err("this constant is too large".to_string());
    Ok(match (op, a, b) {
        (Operator::Add, Value::Str(x), Value::Str(y)) if x.len() + y.len() > LARGEST => return large(),
        (Operator::Add, Value::Tuple(x), Value::Tuple(y)) if x.len() + y.len() > LARGEST => return large(),
        (Operator::Add, Value::Str(x), Value::Str(y)) => Some(Value::str(format!("{x}{y}"))),
        (Operator::Add, Value::Tuple(x), Value::Tuple(y)) => {
            Some(Value::tuple(x.iter().chain(y.iter()).cloned().collect()))
        }
        (Operator::Mult, Value::Tuple(x), n) | (Operator::Mult, n, Value::Tuple(x)) => match n.as_int() {
            Some(n) if (0..=1024).contains(&n) && x.len() <= 1024 => {
                Some(Value::tuple((0..n).flat_map(|_| x.iter().cloned()).collect()))
            }
            _ => None,
        },
        _ => None,
    })
}

fn integers(op: Operator, x: i128, y: i128) -> Result<Value, String> {
    let big = || "this constant is too large".to_string();
    let zero = || "division by zero".to_string();
    let int = |v: Option<i128>| v.map(Value::Int).ok_or_else(big);
    let shift = |v: i128| u32::try_from(v).ok().filter(|n| *n < 127).ok_or_else(|| format!("a shift by {v}"));
    match op {
        Operator::Add => int(x.checked_add(y)),
        Operator::Sub => int(x.checked_sub(y)),
        Operator::Mult => int(x.checked_mul(y)),
        Operator::Div if y == 0 => Err(zero()),
        Operator::Div => Ok(Value::Float(x as f64 / y as f64)),
        Operator::FloorDiv | Operator::Mod if y == 0 => Err(zero()),
        Operator::FloorDiv => int(x.checked_div_euclid(y).map(|_| floor_div(x, y))),
        Operator::Mod => int(x.checked_rem(y).map(|r| if r != 0 && (r < 0) != (y < 0) { r + y } else { r })),
        Operator::Pow if y < 0 => Ok(Value::Float((x as f64).powi(y.max(-4096) as i32))),
        Operator::Pow => int(u32::try_from(y).ok().and_then(|y| x.checked_pow(y))),
        Operator::LShift => int(x.checked_mul(1i128.checked_shl(shift(y)?).ok_or_else(big)?)),
        Operator::RShift => Ok(Value::Int(x >> shift(y)?)),
        Operator::BitOr => Ok(Value::Int(x | y)),
        Operator::BitXor => Ok(Value::Int(x ^ y)),
        Operator::BitAnd => Ok(Value::Int(x & y)),
        Operator::MatMult => Err("`@` of numbers".into()),
    }
}

fn floor_div(x: i128, y: i128) -> i128 {
    let q = x / y;
    if x % y != 0 && (x < 0) != (y < 0) { q - 1 } else { q }
}

fn floats(op: Operator, x: f64, y: f64) -> Result<f64, String> {
    let divides = matches!(op, Operator::Div | Operator::FloorDiv | Operator::Mod);
    if divides && y == 0.0 {
        return Err("division by zero".into());
    }
    Ok(match op {
        Operator::Add => x + y,
        Operator::Sub => x - y,
        Operator::Mult => x * y,
        Operator::Div => x / y,
        Operator::FloorDiv => (x / y).floor(),
        Operator::Mod => x - y * (x / y).floor(),
        Operator::Pow => x.powf(y),
        _ => return Err(format!("`{}` of floats", op.as_str())),
    })
}

/// A comparison of constants; `None` when they do not compare.
pub(crate) fn compare(op: CmpOp, a: &Value, b: &Value) -> Option<bool> {
    let same = || match (a.as_f64(), b.as_f64()) {
        (Some(_), Some(_)) => match (a.as_int(), b.as_int()) {
            (Some(x), Some(y)) => x == y,
            _ => a.as_f64() == b.as_f64(),
        },
        _ => equal(a, b),
    };
    Some(match op {
        CmpOp::Eq => same(),
        CmpOp::NotEq => !same(),
        CmpOp::Is => a.same(b),
        CmpOp::IsNot => !a.same(b),
        CmpOp::In | CmpOp::NotIn => {
            let found = match (a, b) {
                (_, Value::Tuple(list)) => list.iter().any(|v| compare(CmpOp::Eq, a, v) == Some(true)),
                (Value::Str(x), Value::Str(y)) => y.contains(&**x),
                (_, Value::Dict(pairs)) => pairs.iter().any(|(k, _)| compare(CmpOp::Eq, a, k) == Some(true)),
                _ => return None,
            };
            found == (op == CmpOp::In)
        }
        _ => {
            let order = match (a, b) {
                (Value::Str(x), Value::Str(y)) => Some(x.cmp(y)),
                _ => match (a.as_int(), b.as_int()) {
                    (Some(x), Some(y)) => Some(x.cmp(&y)),
                    _ => {
                        let (x, y) = (a.as_f64()?, b.as_f64()?);
                        match x.partial_cmp(&y) {
                            Some(o) => Some(o),
                            None => return Some(false),
                        }
                    }
                },
            }?;
            match op {
                CmpOp::Lt => order.is_lt(),
                CmpOp::LtE => order.is_le(),
                CmpOp::Gt => order.is_gt(),
                _ => order.is_ge(),
            }
        }
    })
}

/// Python's `==` on constants that are not numbers.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Tuple(x), Value::Tuple(y)) => {
            x.len() == y.len() && x.iter().zip(y.iter()).all(|(p, q)| compare(CmpOp::Eq, p, q) == Some(true))
        }
        _ => a.same(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_divide_as_python_does() {
        let int = |op, x, y| binary(op, &Value::Int(x), &Value::Int(y)).ok().flatten().and_then(|v| v.as_int());
        assert_eq!(int(Operator::FloorDiv, -7, 2), Some(-4));
        assert_eq!(int(Operator::Mod, -7, 2), Some(1));
        assert_eq!(int(Operator::Mod, 7, -2), Some(-1));
        assert_eq!(int(Operator::Pow, 2, 10), Some(1024));
        assert!(binary(Operator::Div, &Value::Int(1), &Value::Int(0)).is_err());
        assert!(binary(Operator::Mult, &Value::Int(i128::MAX), &Value::Int(2)).is_err());
        assert_eq!(compare(CmpOp::Eq, &Value::Int(1), &Value::Float(1.0)), Some(true));
    }
}
