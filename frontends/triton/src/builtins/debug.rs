//! Hints, assertions and printing.

use super::Args;
use crate::eval::Eval;
use crate::value::Value;
use girih_base::Result;

/// Hints are accepted and change nothing.
pub(super) fn hint(_: &mut Eval, a: &mut Args) -> Result<Value> {
    Ok(a.get("input"))
}

pub(super) fn nothing(_: &mut Eval, _: &mut Args) -> Result<Value> {
    Ok(Value::None)
}

pub(super) fn static_assert(e: &mut Eval, a: &mut Args) -> Result<Value> {
    match a.get("cond").truth() {
        Some(true) => Ok(Value::None),
        Some(false) => {
            let message = a.some("msg").map_or(String::new(), |m| format!(": {m}"));
            Err(e.error("K009", format!("assertion failed{message}"), "this does not hold"))
        }
        None => Err(e.not_constant("a static assertion")),
    }
}

pub(super) fn static_print(e: &mut Eval, a: &mut Args) -> Result<Value> {
    if let Value::Tuple(list) = a.get("values") {
        e.notes.push(list.iter().map(Value::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(Value::None)
}
