//! Loads, stores and atomic updates.

use super::Args;
use crate::eval::Eval;
use crate::value::{Tensor, Value};
use girih_base::{AtomicOp, DType, Result};

fn mask(e: &mut Eval, a: &Args, name: &str) -> Result<Option<Tensor>> {
    match a.some(name) {
        None => Ok(None),
        Some(v) => match v.truth() {
            Some(true) => Ok(None),
            _ => {
                let t = e.expect_tensor(&v, "the mask")?;
                if t.dtype.is_float() {
                    return Err(e.error("K004", format!("the mask is {v}, expected int1"), "here"));
                }
                Ok(Some(e.cast(&t, DType::Bool)?))
            }
        },
    }
}

/// The axes of `boundary_check`.
fn checked(e: &Eval, a: &Args) -> Result<Vec<usize>> {
    let axes = match a.some("boundary_check") {
        None => return Ok(Vec::new()),
        Some(Value::Tuple(list)) => list.to_vec(),
        Some(v) => vec![v],
    };
    axes.iter()
        .map(|v| match v.as_int().and_then(|i| usize::try_from(i).ok()) {
            Some(i) => Ok(i),
            None => Err(e.error("K006", "`boundary_check` lists axes", "here")),
        })
        .collect()
}

pub(super) fn load(e: &mut Eval, a: &mut Args) -> Result<Value> {
    if let Value::BlockPointer(p) = a.get("pointer") {
        let nan = matches!(a.text("padding_option").as_deref(), Some("nan"));
        let axes = checked(e, a)?;
        return e.load_block(&p, &axes, nan).map(Value::Tensor);
    }
    let p = a.pointer(e, "pointer")?;
    let m = mask(e, a, "mask")?;
    let other = a.some("other");
    if other.is_some() && a.some("mask").is_none() {
        return Err(e.error("K006", "`other` without a mask", "here").help("give `mask=`, or drop `other`"));
    }
    e.load(&p, m, other).map(Value::Tensor)
}

pub(super) fn store(e: &mut Eval, a: &mut Args) -> Result<Value> {
    if let Value::BlockPointer(p) = a.get("pointer") {
        let axes = checked(e, a)?;
        e.store_block(&p, &a.get("value"), &axes)?;
        return Ok(Value::None);
    }
    let p = a.pointer(e, "pointer")?;
    let m = mask(e, a, "mask")?;
    e.store(&p, &a.get("value"), m)?;
    Ok(Value::None)
}

fn atomic(e: &mut Eval, a: &Args, op: AtomicOp) -> Result<Value> {
    let p = a.pointer(e, "pointer")?;
    let m = mask(e, a, "mask")?;
    e.atomic(op, &p, &a.get("val"), m).map(Value::Tensor)
}

pub(super) fn atomic_add(e: &mut Eval, a: &mut Args) -> Result<Value> {
    atomic(e, a, AtomicOp::Add)
}

pub(super) fn atomic_max(e: &mut Eval, a: &mut Args) -> Result<Value> {
    atomic(e, a, AtomicOp::Max)
}

pub(super) fn atomic_min(e: &mut Eval, a: &mut Args) -> Result<Value> {
    atomic(e, a, AtomicOp::Min)
}

pub(super) fn atomic_and(e: &mut Eval, a: &mut Args) -> Result<Value> {
    atomic(e, a, AtomicOp::And)
}

pub(super) fn atomic_or(e: &mut Eval, a: &mut Args) -> Result<Value> {
    atomic(e, a, AtomicOp::Or)
}

pub(super) fn atomic_xor(e: &mut Eval, a: &mut Args) -> Result<Value> {
    atomic(e, a, AtomicOp::Xor)
}

pub(super) fn atomic_xchg(e: &mut Eval, a: &mut Args) -> Result<Value> {
    atomic(e, a, AtomicOp::Exchange)
}

pub(super) fn atomic_cas(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let p = a.pointer(e, "pointer")?;
    e.compare_exchange(&p, &a.get("cmp"), &a.get("val")).map(Value::Tensor)
}

/// An atomic read: an update that changes nothing.
pub(super) fn atomic_load(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let p = a.pointer(e, "pointer")?;
    let m = mask(e, a, "mask")?;
    let op = if p.dtype.is_float() { AtomicOp::Add } else { AtomicOp::Or };
    e.atomic(op, &p, &Value::Int(0), m).map(Value::Tensor)
}

pub(super) fn atomic_store(e: &mut Eval, a: &mut Args) -> Result<Value> {
    atomic(e, a, AtomicOp::Exchange)?;
    Ok(Value::None)
}
