//! Operators of Rust that mean something else than Python's, for `#[kernel]`.

use super::Args;
use crate::eval::Eval;
use crate::value::Value;
use girih_base::Result;
use ruff_python_ast::{Operator, UnaryOp};

/// `/`: divides floats, and rounds to zero on integers.
pub(super) fn quotient(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = (a.get("x"), a.get("y"));
    if let (Value::Int(x), Value::Int(y)) = (&x, &y)
        && let Some(q) = x.checked_div(*y)
    {
        return Ok(Value::Int(q));
    }
    let is_float = |v: &Value| match v {
        Value::Float(_) => true,
        Value::Tensor(t) => t.dtype.is_float(),
        _ => false,
    };
    let op = if is_float(&x) || is_float(&y) { Operator::Div } else { Operator::FloorDiv };
    e.binary(op, &x, &y)
}

/// `%`: what is left by a quotient that is rounded to zero, with the sign of `x`.
pub(super) fn remainder(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = (a.get("x"), a.get("y"));
    match (&x, &y) {
        (Value::Int(p), Value::Int(q)) if *q != 0 => Ok(Value::Int(p.checked_rem(*q).unwrap_or(0))),
        (p, Value::Float(_)) | (Value::Float(_), p) if p.is_number() => {
            Ok(Value::Float(x.as_f64().unwrap_or(f64::NAN) % y.as_f64().unwrap_or(f64::NAN)))
        }
        _ => e.binary(Operator::Mod, &x, &y),
    }
}

/// `!`: not, of truth values and of the bits of integers.
pub(super) fn negation(e: &mut Eval, a: &mut Args) -> Result<Value> {
    match a.get("x") {
        Value::Bool(v) => Ok(Value::Bool(!v)),
        v => e.unary(UnaryOp::Invert, &v),
    }
}
