//! Shapes.

use super::Args;
use super::create::sized;
use crate::eval::Eval;
use crate::value::{Pointer, Tensor, Value, describe_type};
use girih_base::{DType, Literal, Result, ScalarOp};
use girih_tile::{Block, Combine, Op, TileTy, ValueId};

fn on_pointer(e: &mut Eval, a: &Args, name: &str, f: impl Fn(&mut Eval, &Tensor) -> Result<Tensor>) -> Result<Value> {
    match a.get(name) {
        Value::Pointer(p) => Ok(Value::Pointer(Pointer { offset: f(e, &p.offset)?, ..p })),
        _ => {
            let t = a.tensor(e, name)?;
            f(e, &t).map(Value::Tensor)
        }
    }
}

pub(super) fn reshape(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let shape = a.shape(e, "shape")?;
    sized(e, &shape)?;
    on_pointer(e, a, "input", |e, t| e.reshape(t, &shape))
}

pub(super) fn ravel(e: &mut Eval, a: &mut Args) -> Result<Value> {
    on_pointer(e, a, "x", |e, t| {
        sized(e, &t.shape)?;
        let n: u32 = t.shape.iter().product();
        e.reshape(t, &[n])
    })
}

pub(super) fn broadcast_to(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let shape = a.shape(e, "shape")?;
    sized(e, &shape)?;
    on_pointer(e, a, "input", |e, t| {
        if !t.shape.is_empty() && t.shape.len() != shape.len() {
            let have = describe_type(t.dtype, &t.shape);
            return Err(e.error("K005", format!("{have} cannot be broadcast to {shape:?}: the ranks differ"), "here"));
        }
        e.broadcast_to(t, &shape)
    })
}

pub(super) fn broadcast(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = (a.tensor(e, "input")?, a.tensor(e, "other")?);
    let (x, y) = e.broadcast_pair(x, y)?;
    Ok(Value::tuple(vec![Value::Tensor(x), Value::Tensor(y)]))
}

pub(super) fn expand_dims(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let axes = a.ints(e, "axis")?;
    if axes.is_empty() {
        return Err(e.not_constant("the axis of `tl.expand_dims`"));
    }
    let mut v = a.get("input");
    if !matches!(v, Value::Pointer(_)) {
        v = Value::Tensor(a.tensor(e, "input")?);
    }
    let rank = match &v {
        Value::Pointer(p) => p.offset.shape.len(),
        Value::Tensor(t) => t.shape.len(),
        _ => 0,
    } as i128
        + axes.len() as i128;
    let mut places: Vec<i128> = axes.iter().map(|x| if *x < 0 { x.saturating_add(rank) } else { *x }).collect();
    places.sort_unstable();
    for p in places {
        let Ok(p) = usize::try_from(p) else { return Err(e.error("K006", "an axis out of range", "here")) };
        v = e.expand_dims(&v, p)?;
    }
    Ok(v)
}

pub(super) fn squeeze(e: &mut Eval, a: &mut Args) -> Result<Value> {
    on_pointer(e, a, "x", |e, t| {
        let Some(at) = a.axis(e, "dim", t.shape.len())? else { return Err(e.error("K006", "which axis?", "here")) };
        if t.shape[at] != 1 {
            return Err(e.error("K005", format!("axis {at} of {:?} is not 1", t.shape), "here"));
        }
        let mut shape = t.shape.clone();
        shape.remove(at);
        e.reshape(t, &shape)
    })
}

pub(super) fn trans(e: &mut Eval, a: &mut Args) -> Result<Value> {
    on_pointer(e, a, "input", |e, t| {
        let rank = t.shape.len();
        let dims = a.ints(e, "dims")?;
        let perm: Vec<usize> = if dims.is_empty() {
            let mut p: Vec<usize> = (0..rank).collect();
            if rank >= 2 {
                p.swap(rank - 1, rank - 2);
            }
            p
        } else {
            let at = |d: &i128| {
                usize::try_from(if *d < 0 { d.saturating_add(rank as i128) } else { *d }).unwrap_or(usize::MAX)
            };
            dims.iter().map(at).collect()
        };
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(e.error("K005", format!("{dims:?} does not name each of {rank} axes once"), "here"));
        }
        Ok(e.permute(t, &perm))
    })
}

/// The first (or last) element along an axis of extent 2 or more, exactly.
pub(super) fn end(e: &mut Eval, t: &Tensor, axis: usize, last: bool) -> Result<Tensor> {
    let scalar = TileTy::scalar(t.dtype);
    let params: Vec<ValueId> = (0..2).map(|_| e.b.fresh(scalar.clone())).collect();
    let body = Block { results: vec![params[usize::from(last)]], params, stmts: Vec::new() };
    let mut shape = t.shape.clone();
    shape.remove(axis);
    let id = e.push(Op::Reduce { args: vec![t.id], axis, combine: Combine::Body(body) }, t.dtype, &shape);
    Ok(e.fresh_tensor(id, t.dtype, &shape))
}

pub(super) fn split(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let t = a.tensor(e, "a")?;
    if t.shape.last() != Some(&2) {
        let have = describe_type(t.dtype, &t.shape);
        return Err(e
            .error("K005", format!("`tl.split` of {have}: the last axis must have two elements"), "here")
            .help("reshape to `[..., 2]` first"));
    }
    let axis = t.shape.len() - 1;
    Ok(Value::tuple(vec![Value::Tensor(end(e, &t, axis, false)?), Value::Tensor(end(e, &t, axis, true)?)]))
}

/// Two tensors side by side along a new last axis.
pub(super) fn join_last(e: &mut Eval, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let mut shape = x.shape.clone();
    shape.push(2);
    sized(e, &shape)?;
    let wide = |e: &mut Eval, t: &Tensor| {
        let mut one = t.shape.clone();
        one.push(1);
        let t = e.reshape(t, &one)?;
        e.broadcast_to(&t, &shape)
    };
    let (x, y) = (wide(e, x)?, wide(e, y)?);
    let at = e.b.arange(&shape, shape.len() - 1);
    let zero = e.filled(Literal::Int(0), DType::I32, &shape);
    let first = e.b.map(ScalarOp::Eq, &[at, zero.id]);
    let first = Tensor::new(first, DType::Bool, shape.clone());
    let mut t = e.map(ScalarOp::Select, &[&first, &x, &y])?;
    t.affine = None;
    Ok(t)
}

pub(super) fn join(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = e.operands(&a.get("a"), &a.get("b"), false)?;
    Ok(Value::Tensor(join_last(e, &x, &y)?))
}

pub(super) fn interleave(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = e.operands(&a.get("a"), &a.get("b"), false)?;
    let j = join_last(e, &x, &y)?;
    let mut shape = x.shape.clone();
    match shape.last_mut() {
        Some(n) => *n *= 2,
        None => shape.push(2),
    }
    Ok(Value::Tensor(e.reshape(&j, &shape)?))
}

pub(super) fn cat(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = (a.tensor(e, "input")?, a.tensor(e, "other")?);
    if x.shape.len() != 1 || x.shape != y.shape {
        return Err(e.error("K005", "`tl.cat` takes two tiles of one axis and one extent", "here"));
    }
    let (x, y) = e.operands(&Value::Tensor(x), &Value::Tensor(y), false)?;
    let j = join_last(e, &x, &y)?;
    let t = e.permute(&j, &[1, 0]);
    Ok(Value::Tensor(e.reshape(&t, &[2 * x.shape[0]])?))
}

/// The elements along an axis in reverse, by swapping halves of every size.
pub(super) fn reversed(e: &mut Eval, t: &Tensor, axis: usize) -> Result<Tensor> {
    let (outer, n): (u32, u32) = (t.shape[..axis].iter().product(), t.shape[axis]);
    let inner: u32 = t.shape[axis + 1..].iter().product();
    let mut x = t.clone();
    let mut half = n / 2;
    while half >= 1 {
        let shape = [outer * (n / (2 * half)), 2, half * inner];
        let y = e.reshape(&x, &shape)?;
        let (first, last) = (end(e, &y, 1, false)?, end(e, &y, 1, true)?);
        let spread = |e: &mut Eval, v: &Tensor| {
            let v = e.reshape(v, &[shape[0], 1, shape[2]])?;
            e.broadcast_to(&v, &shape)
        };
        let (first, last) = (spread(e, &first)?, spread(e, &last)?);
        let at = e.b.arange(&shape, 1);
        let zero = e.filled(Literal::Int(0), DType::I32, &shape);
        let left = e.b.map(ScalarOp::Eq, &[at, zero.id]);
        let left = Tensor::new(left, DType::Bool, shape.to_vec());
        x = e.map(ScalarOp::Select, &[&left, &last, &first])?;
        half /= 2;
    }
    let mut out = e.reshape(&x, &t.shape)?;
    out.affine = None;
    Ok(out)
}

pub(super) fn flip(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let t = a.tensor(e, "x")?;
    let last = t.shape.len().saturating_sub(1);
    let axis = a.axis(e, "dim", t.shape.len())?.unwrap_or(last);
    if t.shape.is_empty() {
        return Ok(Value::Tensor(t));
    }
    Ok(Value::Tensor(reversed(e, &t, axis)?))
}
