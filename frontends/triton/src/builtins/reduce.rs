//! Folds and running folds.

use super::Args;
use crate::affine::{Affine, Lin};
use crate::eval::Eval;
use crate::value::{Tensor, Value, describe_type};
use girih_base::{DType, Dim, Result, ScalarOp};
use girih_tile::{Block, Combine, Op, TileTy, ValueId};

/// Sums of narrow integers are int32.
fn sum_type(d: DType) -> DType {
    match d {
        DType::Bool => DType::I32,
        d if d.is_int() && d.bits() < 32 => {
            if d.is_signed() {
                DType::I32
            } else {
                DType::U32
            }
        }
        d => d,
    }
}

/// Comparisons of narrow types are made in 32 bits.
fn order_type(d: DType) -> DType {
    match d {
        d if d.is_float() && d.bits() < 32 => DType::F32,
        d if d.bits() < 32 => DType::I32,
        d => d,
    }
}

/// A fold of one tensor by a scalar operation; without an axis over all elements.
pub(super) fn fold(e: &mut Eval, t: &Tensor, axis: Option<usize>, op: ScalarOp, keep: bool) -> Result<Tensor> {
    let rank = t.shape.len();
    if rank == 0 {
        return Ok(t.clone());
    }
    let (flat, at) = flat(e, t, axis)?;
    let mut shape = flat.shape.clone();
    shape.remove(at);
    let op = Op::Reduce { args: vec![flat.id], axis: at, combine: Combine::Scalar(op) };
    let id = e.push(op, t.dtype, &shape);
    let out = e.fresh_tensor(id, t.dtype, &shape);
    kept(e, out, rank, axis, keep)
}

/// Without an axis, all elements in one axis.
fn flat(e: &mut Eval, t: &Tensor, axis: Option<usize>) -> Result<(Tensor, usize)> {
    match axis {
        Some(a) => Ok((t.clone(), a)),
        None => {
            super::create::sized(e, &t.shape)?;
            let n: u32 = t.shape.iter().product();
            Ok((e.reshape(t, &[n])?, 0))
        }
    }
}

/// Puts the folded axis back with extent 1.
fn kept(e: &mut Eval, t: Tensor, rank: usize, axis: Option<usize>, keep: bool) -> Result<Tensor> {
    if !keep {
        return Ok(t);
    }
    let mut shape = t.shape.clone();
    match axis {
        Some(a) => shape.insert(a, 1),
        None => shape = vec![1; rank],
    }
    e.reshape(&t, &shape)
}

fn simple(e: &mut Eval, a: &Args, op: ScalarOp, to: fn(DType) -> DType) -> Result<Value> {
    let t = a.tensor(e, "input")?;
    let axis = a.axis(e, "axis", t.shape.len())?;
    let keep = a.flag(e, "keep_dims", false)?;
    let dtype = a.dtype(e, "dtype")?.unwrap_or_else(|| to(t.dtype));
    let t = e.cast(&t, dtype)?;
    Ok(Value::Tensor(fold(e, &t, axis, op, keep)?))
}

pub(super) fn sum(e: &mut Eval, a: &mut Args) -> Result<Value> {
    simple(e, a, ScalarOp::Add, sum_type)
}

pub(super) fn xor_sum(e: &mut Eval, a: &mut Args) -> Result<Value> {
    bitwise(e, a, ScalarOp::Xor)
}

pub(super) fn reduce_or(e: &mut Eval, a: &mut Args) -> Result<Value> {
    bitwise(e, a, ScalarOp::Or)
}

fn bitwise(e: &mut Eval, a: &Args, op: ScalarOp) -> Result<Value> {
    let t = a.tensor(e, "input")?;
    if t.dtype.is_float() {
        let have = describe_type(t.dtype, &t.shape);
        return Err(e.error("K004", format!("`tl.{}` takes integers, got {have}", a.row.name), "here"));
    }
    simple(e, a, op, |d| d)
}

pub(super) fn max(e: &mut Eval, a: &mut Args) -> Result<Value> {
    extremum(e, a, true)
}

pub(super) fn min(e: &mut Eval, a: &mut Args) -> Result<Value> {
    extremum(e, a, false)
}

fn extremum(e: &mut Eval, a: &Args, largest: bool) -> Result<Value> {
    if a.flag(e, "return_indices", false)? {
        let (v, i) = with_index(e, a, largest)?;
        return Ok(Value::tuple(vec![Value::Tensor(v), Value::Tensor(i)]));
    }
    simple(e, a, if largest { ScalarOp::Max } else { ScalarOp::Min }, order_type)
}

pub(super) fn argmax(e: &mut Eval, a: &mut Args) -> Result<Value> {
    Ok(Value::Tensor(with_index(e, a, true)?.1))
}

pub(super) fn argmin(e: &mut Eval, a: &mut Args) -> Result<Value> {
    Ok(Value::Tensor(with_index(e, a, false)?.1))
}

/// Extreme element and its position; of equals the first position, which is right for either `tie_break_left`.
fn with_index(e: &mut Eval, a: &Args, largest: bool) -> Result<(Tensor, Tensor)> {
    let t = a.tensor(e, "input")?;
    let rank = t.shape.len();
    let axis = a.axis(e, "axis", rank)?;
    let keep = a.flag(e, "keep_dims", false)?;
    let dtype = order_type(t.dtype);
    let t = e.cast(&t, dtype)?;
    let (flat, at) = flat(e, &t, axis)?;
    let mut strides = vec![Dim::ZERO; flat.shape.len()];
    strides[at] = Dim::ONE;
    let index = e.affine_tensor(Affine { base: Lin::int(0), strides, ..Affine::default() }, &flat.shape);
    let tys = [TileTy::scalar(dtype), TileTy::scalar(DType::I32)];
    let params: Vec<ValueId> = tys.iter().chain(&tys).map(|t| e.b.fresh(t.clone())).collect();
    e.b.begin(params.clone());
    let [v1, i1, v2, i2] = [params[0], params[1], params[2], params[3]];
    let better = if largest { e.b.map(ScalarOp::Lt, &[v2, v1]) } else { e.b.map(ScalarOp::Lt, &[v1, v2]) };
    let (same, first) = (e.b.map(ScalarOp::Eq, &[v1, v2]), e.b.map(ScalarOp::Lt, &[i1, i2]));
    let tie = e.b.map(ScalarOp::And, &[same, first]);
    let take = e.b.map(ScalarOp::Or, &[better, tie]);
    let (v, i) = (e.b.map(ScalarOp::Select, &[take, v1, v2]), e.b.map(ScalarOp::Select, &[take, i1, i2]));
    let body = Block { params, ..e.b.end(vec![v, i]) };
    let mut shape = flat.shape.clone();
    shape.remove(at);
    let op = Op::Reduce { args: vec![flat.id, index.id], axis: at, combine: Combine::Body(body) };
    let ids = e.b.push(op, vec![TileTy::new(dtype, shape.clone()), TileTy::new(DType::I32, shape.clone())]);
    let (v, i) = (e.fresh_tensor(ids[0], dtype, &shape), e.fresh_tensor(ids[1], DType::I32, &shape));
    Ok((kept(e, v, rank, axis, keep)?, kept(e, i, rank, axis, keep)?))
}

/// The tensors of an argument that is one or a tuple.
fn inputs(e: &mut Eval, a: &Args) -> Result<(Vec<Tensor>, bool)> {
    let list = match a.get("input") {
        Value::Tuple(list) => (list.to_vec(), true),
        v => (vec![v], false),
    };
    let mut out: Vec<Tensor> = Vec::new();
    for v in &list.0 {
        let t = e.expect_tensor(v, "an operand")?;
        if out.first().is_some_and(|f| f.shape != t.shape) {
            return Err(e.error(
                "K005",
                format!("operands of shapes {:?} and {:?}", out[0].shape, t.shape),
                "folded together",
            ));
        }
        out.push(t);
    }
    if out.is_empty() {
        return Err(e.error("K006", format!("`tl.{}` of nothing", a.row.name), "called here"));
    }
    Ok((out, list.1))
}

/// The fold that a function of the user is: a scalar operation where it is one, else its body on scalars.
fn combine(e: &mut Eval, f: &Value, tensors: &[Tensor]) -> Result<Combine> {
    let tys: Vec<TileTy> = tensors.iter().map(|t| TileTy::scalar(t.dtype)).collect();
    let params: Vec<ValueId> = tys.iter().chain(&tys).map(|t| e.b.fresh(t.clone())).collect();
    e.b.begin(params.clone());
    let args =
        params.iter().zip(tensors.iter().chain(tensors)).map(|(p, t)| Value::Tensor(e.fresh_tensor(*p, t.dtype, &[])));
    let args: Vec<Value> = args.collect();
    let out = e.apply(f, args, Vec::new())?;
    let list = match &out {
        Value::Tuple(list) => list.to_vec(),
        v => vec![v.clone()],
    };
    if list.len() != tensors.len() {
        return Err(e.error(
            "K004",
            format!("the combine function gives {} values for {}", list.len(), tensors.len()),
            "here",
        ));
    }
    let mut results = Vec::new();
    for (v, t) in list.iter().zip(tensors) {
        let r = e.convert(v, t.dtype)?;
        if !r.shape.is_empty() {
            return Err(e.error("K005", "the combine function must give scalars", "here"));
        }
        results.push(r.id);
    }
    let body = Block { params: params.clone(), ..e.b.end(results.clone()) };
    // One commutative operation on the two operands needs no order.
    if let ([left, right], [result]) = (&params[..], &results[..])
        && let Some(s) = body.stmts.iter().find(|s| s.results.first() == Some(result))
        && let Op::Map(op, args) = &s.op
    {
        use ScalarOp::{Add, And, Max, Min, Mul, Or, Xor};
        let both = args[..] == [*left, *right] || args[..] == [*right, *left];
        if both && matches!(op, Add | Mul | Min | Max | And | Or | Xor) {
            return Ok(Combine::Scalar(*op));
        }
    }
    // Casts of operands that the lazy parts of evaluation made and nothing uses.
    let plain =
        |s: &girih_tile::Stmt| matches!(s.op, Op::Map(..) | Op::Cast(_) | Op::Bitcast(_) | Op::Const(_) | Op::Size(_));
    if let Some(bad) = body.stmts.iter().find(|s| !plain(s)) {
        let name = bad.op.name();
        return Err(e
            .error("K002", format!("the combine function uses `{name}`"), "here")
            .help("only arithmetic on its arguments is possible there"));
    }
    Ok(Combine::Body(body))
}

pub(super) fn reduce(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (tensors, tuple) = inputs(e, a)?;
    let rank = tensors[0].shape.len();
    let axis = a.axis(e, "axis", rank)?;
    let keep = a.flag(e, "keep_dims", false)?;
    let mut folded = Vec::new();
    let mut at = 0;
    for t in &tensors {
        let (f, place) = flat(e, t, axis)?;
        at = place;
        folded.push(f);
    }
    let combine = combine(e, &a.get("combine_fn"), &folded)?;
    let mut shape = folded[0].shape.clone();
    shape.remove(at);
    let tys = folded.iter().map(|t| TileTy::new(t.dtype, shape.clone())).collect();
    let ids = e.b.push(Op::Reduce { args: folded.iter().map(|t| t.id).collect(), axis: at, combine }, tys);
    let mut out = Vec::new();
    for (id, t) in ids.into_iter().zip(&folded) {
        let r = e.fresh_tensor(id, t.dtype, &shape);
        out.push(Value::Tensor(kept(e, r, rank, axis, keep)?));
    }
    Ok(if tuple { Value::tuple(out) } else { out.remove(0) })
}

pub(super) fn associative_scan(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (tensors, tuple) = inputs(e, a)?;
    let Some(axis) = a.axis(e, "axis", tensors[0].shape.len())? else {
        return Err(e.error("K006", "along which axis?", "here"));
    };
    let reverse = a.flag(e, "reverse", false)?;
    let combine = combine(e, &a.get("combine_fn"), &tensors)?;
    let out = scan(e, &tensors, axis, combine, reverse);
    let mut out: Vec<Value> = out.into_iter().map(Value::Tensor).collect();
    Ok(if tuple { Value::tuple(out) } else { out.remove(0) })
}

fn scan(e: &mut Eval, tensors: &[Tensor], axis: usize, combine: Combine, reverse: bool) -> Vec<Tensor> {
    let tys = tensors.iter().map(|t| TileTy::new(t.dtype, t.shape.clone())).collect();
    let args = tensors.iter().map(|t| t.id).collect();
    let ids = e.b.push(Op::Scan { args, axis, combine, reverse }, tys);
    ids.into_iter().zip(tensors).map(|(id, t)| e.fresh_tensor(id, t.dtype, &t.shape)).collect()
}

fn running(e: &mut Eval, a: &Args, op: ScalarOp) -> Result<Value> {
    let t = a.tensor(e, "input")?;
    let axis = a.axis(e, "axis", t.shape.len())?.unwrap_or(0);
    let reverse = a.flag(e, "reverse", false)?;
    if t.shape.is_empty() {
        return Err(e.error("K005", format!("`tl.{}` of a scalar", a.row.name), "here"));
    }
    let dtype = a.dtype(e, "dtype")?.unwrap_or_else(|| sum_type(t.dtype));
    let t = e.cast(&t, dtype)?;
    Ok(Value::Tensor(scan(e, &[t], axis, Combine::Scalar(op), reverse).remove(0)))
}

pub(super) fn cumsum(e: &mut Eval, a: &mut Args) -> Result<Value> {
    running(e, a, ScalarOp::Add)
}

pub(super) fn cumprod(e: &mut Eval, a: &mut Args) -> Result<Value> {
    running(e, a, ScalarOp::Mul)
}
