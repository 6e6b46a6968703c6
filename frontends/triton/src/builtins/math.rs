//! Elementwise functions.

use super::Args;
use crate::eval::Eval;
use crate::value::{Tensor, Value};
use girih_base::{DType, Literal, Result, ScalarOp};

/// A row of the scalar-operation table: floats stay as they are, integers become fp32.
pub(crate) fn map(e: &mut Eval, op: ScalarOp, a: &Args) -> Result<Value> {
    let names: Vec<&str> = a.row.params.split(", ").map(|p| p.trim_end_matches('=')).take(op.arity()).collect();
    let values: Vec<Value> = names.iter().map(|n| a.get(n)).collect();
    elementwise(e, op, &values)
}

/// A scalar operation on values of any shapes and types.
pub(super) fn elementwise(e: &mut Eval, op: ScalarOp, values: &[Value]) -> Result<Value> {
    use girih_base::scalar::Operands;
    let mut dtype: Option<(DType, bool)> = None;
    for v in values {
        let t = match v {
            Value::Tensor(t) => (t.dtype, false),
            v => (e.tensor(v)?.dtype, v.is_number()),
        };
        dtype = Some(match dtype {
            None => t,
            Some(d) => {
                let joined = crate::eval::promote::computation_type(d.0, d.1, t.0, t.1, false);
                (joined.map_err(|m| e.error("K004", m, "here"))?, d.1 && t.1)
            }
        });
    }
    let mut dtype = dtype.map_or(DType::F32, |d| d.0);
    if op.row().operands == Operands::Float && !dtype.is_float() {
        dtype = DType::F32;
    }
    let mut parts: Vec<Tensor> = Vec::new();
    let mut shape = Vec::new();
    for v in values {
        let t = e.convert(v, dtype)?;
        shape = e.common_shape(&shape, &t.shape)?;
        parts.push(t);
    }
    let mut same = Vec::new();
    for t in &parts {
        same.push(e.broadcast_to(t, &shape)?);
    }
    let refs: Vec<&Tensor> = same.iter().collect();
    Ok(Value::Tensor(e.map(op, &refs)?))
}

pub(super) fn abs(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let t = a.tensor(e, "x")?;
    if t.dtype.is_signed() { elementwise(e, ScalarOp::Abs, &[Value::Tensor(t)]) } else { Ok(Value::Tensor(t)) }
}

/// What to do with NaN: `tl.PropagateNan.ALL` or none.
fn propagate(a: &Args) -> bool {
    matches!(a.get("propagate_nan"), Value::Str(s) if &*s == "ALL")
}

/// The smaller or larger one; of a number and NaN the number, unless NaN is to be propagated.
pub(super) fn extremum(e: &mut Eval, op: ScalarOp, x: &Value, y: &Value, propagate: bool) -> Result<Tensor> {
    let (x, y) = e.operands(x, y, false)?;
    if x.dtype == DType::Bool {
        let op = if op == ScalarOp::Min { ScalarOp::And } else { ScalarOp::Or };
        return e.map(op, &[&x, &y]);
    }
    let r = e.map(op, &[&x, &y])?;
    if propagate || !x.dtype.is_float() {
        return Ok(r);
    }
    let (nx, ny) = (e.map(ScalarOp::IsNan, &[&x])?, e.map(ScalarOp::IsNan, &[&y])?);
    let r = e.map(ScalarOp::Select, &[&ny, &x, &r])?;
    e.map(ScalarOp::Select, &[&nx, &y, &r])
}

pub(super) fn maximum(e: &mut Eval, a: &mut Args) -> Result<Value> {
    Ok(Value::Tensor(extremum(e, ScalarOp::Max, &a.get("x"), &a.get("y"), propagate(a))?))
}

pub(super) fn minimum(e: &mut Eval, a: &mut Args) -> Result<Value> {
    Ok(Value::Tensor(extremum(e, ScalarOp::Min, &a.get("x"), &a.get("y"), propagate(a))?))
}

pub(super) fn clamp(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let low = extremum(e, ScalarOp::Max, &a.get("x"), &a.get("min"), propagate(a))?;
    Ok(Value::Tensor(extremum(e, ScalarOp::Min, &Value::Tensor(low), &a.get("max"), propagate(a))?))
}

pub(super) fn where_(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let cond = a.tensor(e, "condition")?;
    let cond = e.cast(&cond, DType::Bool)?;
    let (x, y) = (a.get("x"), a.get("y"));
    if let (Value::Pointer(p), Value::Pointer(q)) = (&x, &y) {
        if p.param != q.param || p.dtype != q.dtype {
            return Err(e
                .error("K008", "`tl.where` of pointers into different parameters", "here")
                .help("load from both under complementary masks, then choose"));
        }
        let offset = select(e, &cond, p.offset.clone(), q.offset.clone())?;
        return Ok(Value::Pointer(crate::value::Pointer { offset, ..p.clone() }));
    }
    let (x, y) = e.operands(&x, &y, false)?;
    Ok(Value::Tensor(select(e, &cond, x, y)?))
}

fn select(e: &mut Eval, cond: &Tensor, x: Tensor, y: Tensor) -> Result<Tensor> {
    let (x, y) = e.broadcast_pair(x, y)?;
    let shape = e.common_shape(&cond.shape, &x.shape)?;
    let (c, x, y) = (e.broadcast_to(cond, &shape)?, e.broadcast_to(&x, &shape)?, e.broadcast_to(&y, &shape)?);
    e.map(ScalarOp::Select, &[&c, &x, &y])
}

pub(super) fn cdiv(e: &mut Eval, a: &mut Args) -> Result<Value> {
    use ruff_python_ast::Operator::{Add, FloorDiv, Sub};
    let (x, d) = (a.get("x"), a.get("div"));
    let less = e.binary(Sub, &d, &Value::Int(1))?;
    let up = e.binary(Add, &x, &less)?;
    e.binary(FloorDiv, &up, &d)
}

pub(super) fn fdiv(e: &mut Eval, a: &mut Args) -> Result<Value> {
    e.binary(ruff_python_ast::Operator::Div, &a.get("x"), &a.get("y"))
}

pub(super) fn add(e: &mut Eval, a: &mut Args) -> Result<Value> {
    e.binary(ruff_python_ast::Operator::Add, &a.get("x"), &a.get("y"))
}

pub(super) fn sub(e: &mut Eval, a: &mut Args) -> Result<Value> {
    e.binary(ruff_python_ast::Operator::Sub, &a.get("x"), &a.get("y"))
}

pub(super) fn mul(e: &mut Eval, a: &mut Args) -> Result<Value> {
    e.binary(ruff_python_ast::Operator::Mult, &a.get("x"), &a.get("y"))
}

pub(super) fn fma(e: &mut Eval, a: &mut Args) -> Result<Value> {
    elementwise(e, ScalarOp::Fma, &[a.get("x"), a.get("y"), a.get("z")])
}

pub(super) fn umulhi(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = e.operands(&a.get("x"), &a.get("y"), false)?;
    let wide = if x.dtype.bits() == 64 { DType::U64 } else { DType::U32 };
    let (p, q) = (e.cast(&x, wide)?, e.cast(&y, wide)?);
    let r = e.map(ScalarOp::MulHi, &[&p, &q])?;
    Ok(Value::Tensor(e.cast(&r, x.dtype)?))
}

/// `libdevice` names that take integers or give them.
pub(super) fn bits_of(e: &mut Eval, op: ScalarOp, x: &Value) -> Result<Value> {
    let t = e.tensor(x)?;
    Ok(Value::Tensor(e.map(op, &[&t])?))
}

pub(super) fn popc(e: &mut Eval, a: &mut Args) -> Result<Value> {
    bits_of(e, ScalarOp::Popcount, &a.get("x"))
}

pub(super) fn clz(e: &mut Eval, a: &mut Args) -> Result<Value> {
    bits_of(e, ScalarOp::Clz, &a.get("x"))
}

pub(super) fn isnan(e: &mut Eval, a: &mut Args) -> Result<Value> {
    elementwise(e, ScalarOp::IsNan, &[a.get("x")])
}

pub(super) fn exp10(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let t = a.tensor(e, "x")?;
    let scaled =
        e.binary(ruff_python_ast::Operator::Mult, &Value::Tensor(t), &Value::Float(std::f64::consts::LOG2_10))?;
    elementwise(e, ScalarOp::Exp2, &[scaled])
}

pub(super) fn pow(e: &mut Eval, a: &mut Args) -> Result<Value> {
    elementwise(e, ScalarOp::Pow, &[a.get("x"), a.get("y")])
}

pub(super) fn hypot(e: &mut Eval, a: &mut Args) -> Result<Value> {
    use ruff_python_ast::Operator::{Add, Mult};
    let (x, y) = (a.get("x"), a.get("y"));
    let (xx, yy) = (e.binary(Mult, &x, &x)?, e.binary(Mult, &y, &y)?);
    let s = e.binary(Add, &xx, &yy)?;
    elementwise(e, ScalarOp::Sqrt, &[s])
}

pub(super) fn softmax(e: &mut Eval, a: &mut Args) -> Result<Value> {
    use ruff_python_ast::Operator::{Div, Sub};
    let t = a.tensor(e, "x")?;
    let axis = a.axis(e, "dim", t.shape.len())?.unwrap_or(0);
    let m = super::reduce::fold(e, &t, Some(axis), ScalarOp::Max, true)?;
    let z = e.binary(Sub, &Value::Tensor(t), &Value::Tensor(m))?;
    let n = elementwise(e, ScalarOp::Exp, &[z])?;
    let n = e.tensor(&n)?;
    let d = super::reduce::fold(e, &n, Some(axis), ScalarOp::Add, true)?;
    e.binary(Div, &Value::Tensor(n), &Value::Tensor(d))
}

/// A conversion to a narrower float that drops bits instead of rounding: the low bits are cleared before.
pub(super) fn cast_toward_zero(e: &mut Eval, t: &Tensor, to: DType) -> Result<Value> {
    let from = t.dtype;
    if !(from.is_float() && to.is_float() && to.bits() < from.bits()) {
        return Err(e.error("K006", "a rounding mode applies to conversions to narrower floats", "here"));
    }
    let wide = e.cast(t, DType::F32)?;
    // Nearest first; where that went away from zero, one step back in the bits of the narrow type.
    let near = e.cast(&wide, to)?;
    let back = e.cast(&near, DType::F32)?;
    let (x, y) = (e.map(ScalarOp::Abs, &[&wide])?, e.map(ScalarOp::Abs, &[&back])?);
    let over = e.map(ScalarOp::Lt, &[&x, &y])?;
    let bits = match to.bits() {
        8 => DType::U8,
        _ => DType::U16,
    };
    let raw = e.bitcast(&near, bits)?;
    let one = e.filled(Literal::Int(1), bits, &raw.shape.clone());
    let less = e.map(ScalarOp::Sub, &[&raw, &one])?;
    let chosen = e.map(ScalarOp::Select, &[&over, &less, &raw])?;
    Ok(Value::Tensor(e.bitcast(&chosen, to)?))
}
