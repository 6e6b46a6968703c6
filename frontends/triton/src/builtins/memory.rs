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
                    return Err(e
                        .error("K004", format!("the mask is {v}, expected int1"), "here")
                        .help("compare: `mask != 0`"));
                }
                Ok(Some(e.cast(&t, DType::Bool)?))
            }
        },
    }
}

/// The axes of `boundary_check`.
fn checked(e: &Eval, a: &Args, rank: usize) -> Result<Vec<usize>> {
    let place = |i: i128| match usize::try_from(i).ok().filter(|i| *i < rank) {
        Some(i) => Ok(i),
        None => Err(e.error("K006", format!("`boundary_check` names axis {i} of {rank}"), "here")),
    };
    a.ints(e, "boundary_check")?.into_iter().map(place).collect()
}

/// Whether elements outside read as NaN.
pub(super) fn padding(e: &Eval, a: &Args) -> Result<bool> {
    match a.some("padding_option") {
        None => Ok(false),
        Some(Value::Str(s)) if matches!(&*s, "" | "zero") => Ok(false),
        Some(Value::Str(s)) if &*s == "nan" => Ok(true),
        Some(v) => Err(e.error("K006", format!("no padding option {v}"), "here").help("`zero` or `nan`")),
    }
}

/// Refuses arguments that this kind of pointer has no use for.
fn unused(e: &Eval, a: &Args, names: &[&str], advice: &str) -> Result<()> {
    let given = |n: &&&str| a.some(n).is_some_and(|v| !matches!(&v, Value::Tuple(t) if t.is_empty()));
    match names.iter().find(given) {
        None => Ok(()),
        Some(name) => {
            let why = format!("`{name}` of `tl.{}` through {}", a.row.name, a.get("pointer"));
            Err(e.error("K006", why, "here").help(advice))
        }
    }
}

const BLOCKS: &str = "windows are checked by `boundary_check` and padded by `padding_option`";
const PLAIN: &str = "only block pointers know their bounds; give `mask` and `other`";

pub(super) fn load(e: &mut Eval, a: &mut Args) -> Result<Value> {
    if let Value::BlockPointer(p) = a.get("pointer") {
        unused(e, a, &["mask", "other"], BLOCKS)?;
        let nan = padding(e, a)?;
        if nan && !p.base.dtype.is_float() {
            return Err(e.error("K006", "integers cannot be padded with NaN", "here"));
        }
        let axes = checked(e, a, p.block.len())?;
        return e.load_block(&p, &axes, nan).map(Value::Tensor);
    }
    let p = a.pointer(e, "pointer")?;
    unused(e, a, &["boundary_check"], PLAIN)?;
    if padding(e, a)? {
        unused(e, a, &["padding_option"], PLAIN)?;
    }
    let m = mask(e, a, "mask")?;
    let other = a.some("other");
    if other.is_some() && a.some("mask").is_none() {
        return Err(e.error("K006", "`other` without a mask", "here").help("give `mask=`, or drop `other`"));
    }
    e.load(&p, m, other).map(Value::Tensor)
}

pub(super) fn store(e: &mut Eval, a: &mut Args) -> Result<Value> {
    if let Value::BlockPointer(p) = a.get("pointer") {
        unused(e, a, &["mask"], BLOCKS)?;
        let axes = checked(e, a, p.block.len())?;
        e.store_block(&p, &a.get("value"), &axes)?;
        return Ok(Value::None);
    }
    let p = a.pointer(e, "pointer")?;
    unused(e, a, &["boundary_check"], PLAIN)?;
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
