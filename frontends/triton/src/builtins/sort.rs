//! Sorting, histograms, gathering.

use super::Args;
use super::create::sized;
use crate::affine::{Affine, Lin};
use crate::eval::Eval;
use crate::value::{Tensor, Value, describe_type};
use girih_base::{DType, Dim, Result, ScalarOp};
use girih_tile::Op;

fn sorted(e: &mut Eval, a: &Args, descending: bool) -> Result<(Tensor, usize)> {
    let t = a.tensor(e, "x")?;
    let last = t.shape.len().saturating_sub(1);
    let axis = a.axis(e, "dim", t.shape.len())?.unwrap_or(last);
    if t.shape.is_empty() || axis != last {
        return Err(e
            .error("K005", format!("`tl.{}` along another axis than the last", a.row.name), "here")
            .help("permute first"));
    }
    let id = e.push(Op::Sort { args: vec![t.id], axis, keys: 1, descending }, t.dtype, &t.shape);
    Ok((e.fresh_tensor(id, t.dtype, &t.shape), axis))
}

pub(super) fn sort(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let descending = a.flag(e, "descending", false)?;
    Ok(Value::Tensor(sorted(e, a, descending)?.0))
}

pub(super) fn topk(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let descending = a.flag(e, "descending", true)?;
    let Some(k) = a.int(e, "k")?.and_then(|k| u32::try_from(k).ok()) else {
        return Err(e.not_constant("the number of elements"));
    };
    let (t, axis) = sorted(e, a, descending)?;
    let n = t.shape[axis];
    if !k.is_power_of_two() || k > n {
        return Err(e
            .error("K005", format!("the {k} largest of {n} elements"), "here")
            .note("a power of two, at most all"));
    }
    let mut shape = t.shape.clone();
    shape[axis] = n / k;
    shape.push(k);
    let t = e.reshape(&t, &shape)?;
    Ok(Value::Tensor(super::shape::end(e, &t, axis, false)?))
}

/// Positions along an axis.
fn positions(e: &mut Eval, shape: &[u32], axis: usize) -> Tensor {
    let mut strides = vec![Dim::ZERO; shape.len()];
    strides[axis] = Dim::ONE;
    e.affine_tensor(Affine { base: Lin::int(0), strides, ..Affine::default() }, shape)
}

pub(super) fn histogram(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let t = a.tensor(e, "input")?;
    let Some(bins) = a.int(e, "num_bins")?.and_then(|k| u32::try_from(k).ok()).filter(|n| n.is_power_of_two()) else {
        return Err(e.error("K006", "the number of bins is a constant power of two", "here"));
    };
    if t.shape.len() != 1 || !t.dtype.is_int() {
        let have = describe_type(t.dtype, &t.shape);
        return Err(e.error("K004", format!("`tl.histogram` of {have}"), "here").help("it takes one axis of integers"));
    }
    let n = t.shape[0];
    let shape = [n, bins];
    sized(e, &shape)?;
    let t = e.cast(&t, DType::I32)?;
    let t = e.reshape(&t, &[n, 1])?;
    let t = e.broadcast_to(&t, &shape)?;
    let bin = positions(e, &shape, 1);
    let mut hit = e.map(ScalarOp::Eq, &[&t, &bin])?;
    if let Some(m) = a.some("mask") {
        let m = e.truth_tensor(&m)?;
        let m = e.reshape(&m, &[n, 1])?;
        let m = e.broadcast_to(&m, &shape)?;
        hit = e.map(ScalarOp::And, &[&hit, &m])?;
    }
    let count = e.cast(&hit, DType::I32)?;
    Ok(Value::Tensor(super::reduce::fold(e, &count, Some(0), ScalarOp::Add, false)?))
}

/// Elements along an axis by index: compares every index with every position, so it costs the product of the extents.
pub(super) fn gather(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (t, i) = (a.tensor(e, "src")?, a.tensor(e, "index")?);
    let rank = t.shape.len();
    let Some(axis) = a.axis(e, "axis", rank)? else { return Err(e.error("K006", "along which axis?", "here")) };
    let others = |s: &[u32]| s.iter().enumerate().filter(|(k, _)| *k != axis).map(|(_, n)| *n).collect::<Vec<_>>();
    if i.shape.len() != rank || others(&t.shape) != others(&i.shape) || !i.dtype.is_int() {
        let (p, q) = (describe_type(t.dtype, &t.shape), describe_type(i.dtype, &i.shape));
        return Err(e
            .error("K005", format!("`tl.gather` of {p} by {q}"), "here")
            .note("the shapes differ along the axis only"));
    }
    // [.., index, source, ..]
    let mut wide = i.shape.clone();
    wide.insert(axis + 1, t.shape[axis]);
    sized(e, &wide)?;
    let index = e.cast(&i, DType::I32)?;
    let mut shape = i.shape.clone();
    shape.insert(axis + 1, 1);
    let index = e.reshape(&index, &shape)?;
    let index = e.broadcast_to(&index, &wide)?;
    let mut shape = t.shape.clone();
    shape.insert(axis, 1);
    let bits = match t.dtype.bits() {
        64 => DType::U64,
        32 => DType::U32,
        16 => DType::U16,
        _ => DType::U8,
    };
    let raw = match t.dtype {
        DType::Bool => e.cast(&t, bits)?,
        d if d.is_float() => e.bitcast(&t, bits)?,
        _ => e.cast(&t, bits)?,
    };
    let source = e.reshape(&raw, &shape)?;
    let source = e.broadcast_to(&source, &wide)?;
    let place = positions(e, &wide, axis + 1);
    let hit = e.map(ScalarOp::Eq, &[&index, &place])?;
    let none = super::create::zero_tile(e, bits, &wide);
    let found = e.map(ScalarOp::Select, &[&hit, &source, &none])?;
    let r = super::reduce::fold(e, &found, Some(axis + 1), ScalarOp::Or, false)?;
    let out = match t.dtype {
        d if d.is_float() => e.bitcast(&r, d)?,
        d => e.cast(&r, d)?,
    };
    Ok(Value::Tensor(out))
}
