//! Matrix products.

use super::Args;
use crate::eval::Eval;
use crate::value::{Tensor, Value, describe_type};
use girih_base::{DType, Literal, Result, ScalarOp};

/// The type a product of two types is summed in, and the one Triton gives it unless told otherwise.
fn out_type(a: DType) -> DType {
    match a {
        DType::F64 => DType::F64,
        d if d.is_float() => DType::F32,
        _ => DType::I32,
    }
}

pub(super) fn dot(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = (a.tensor(e, "input")?, a.tensor(e, "other")?);
    let describe = |t: &Tensor| describe_type(t.dtype, &t.shape);
    if let Some(p) = a.text("input_precision")
        && !matches!(&*p, "tf32" | "tf32x3" | "ieee" | "bf16x3" | "bf16x6")
    {
        return Err(e.error("K006", format!("no input precision `{p}`"), "here").help("`tf32`, `tf32x3` or `ieee`"));
    }
    let fits = x.shape.len() == y.shape.len()
        && matches!(x.shape.len(), 2 | 3)
        && x.shape[x.shape.len() - 1] == y.shape[y.shape.len() - 2]
        && (x.shape.len() == 2 || x.shape[0] == y.shape[0]);
    if !fits {
        return Err(e
            .error("K005", format!("`tl.dot` of {} and {}", describe(&x), describe(&y)), "these operands")
            .note("the columns of the first are the rows of the second: [M, K] x [K, N]")
            .help("transpose one of them with `tl.trans`"));
    }
    let family = |t: &Tensor| t.dtype.is_float();
    if x.dtype == DType::Bool || family(&x) != family(&y) {
        return Err(e
            .error("K004", format!("`tl.dot` of {} and {}", describe(&x), describe(&y)), "these operands")
            .help("cast one of them"));
    }
    let acc = match a.some("acc") {
        Some(v) => Some(e.expect_tensor(&v, "the accumulator")?),
        None => None,
    };
    let out = match (a.dtype(e, "out_dtype")?, &acc) {
        (_, Some(t)) => t.dtype,
        (Some(d), None) => d,
        (None, None) => out_type(x.dtype),
    };
    product(e, &x, &y, acc, out).map(Value::Tensor)
}

/// `x . y + acc`, summed in the accumulator's type or wider.
pub(super) fn product(e: &mut Eval, x: &Tensor, y: &Tensor, acc: Option<Tensor>, out: DType) -> Result<Tensor> {
    let sum = if out.is_float() && out.bits() < 32 { DType::F32 } else { out };
    if x.dtype.is_float() != out.is_float() {
        let what = describe_type(out, &[]);
        return Err(e.error(
            "K004",
            format!("a product of {} summed in {what}", describe_type(x.dtype, &x.shape)),
            "here",
        ));
    }
    let (m, n) = (x.shape[x.shape.len() - 2], y.shape[y.shape.len() - 1]);
    let shape: Vec<u32> = x.shape[..x.shape.len() - 2].iter().copied().chain([m, n]).collect();
    super::create::sized(e, &shape)?;
    if let Some(t) = &acc
        && t.shape != shape
    {
        let have = describe_type(t.dtype, &t.shape);
        return Err(e.error("K005", format!("the product is {shape:?}, the accumulator {have}"), "here"));
    }
    let acc = match acc {
        Some(t) => Some(e.cast(&t, sum)?),
        None => None,
    };
    if x.shape.len() == 3 {
        return batched(e, x, y, acc, sum, out);
    }
    let id = e.b.dot(x.id, y.id, acc.map(|t| t.id), sum);
    let t = e.fresh_tensor(id, sum, &shape);
    e.cast(&t, out)
}

/// A batch of products: the sum over k of products of broadcast tiles.
fn batched(e: &mut Eval, x: &Tensor, y: &Tensor, acc: Option<Tensor>, sum: DType, out: DType) -> Result<Tensor> {
    let (x, y) = (e.cast(x, sum)?, e.cast(y, sum)?);
    let (b, m, k, n) = (x.shape[0], x.shape[1], x.shape[2], y.shape[2]);
    let wide = [b, m, n, k];
    super::create::sized(e, &wide)?;
    let x = e.reshape(&x, &[b, m, 1, k])?;
    let x = e.broadcast_to(&x, &wide)?;
    let y = e.permute(&y, &[0, 2, 1]);
    let y = e.reshape(&y, &[b, 1, n, k])?;
    let y = e.broadcast_to(&y, &wide)?;
    let p = e.map(ScalarOp::Mul, &[&x, &y])?;
    let mut s = super::reduce::fold(e, &p, Some(3), ScalarOp::Add, false)?;
    if let Some(acc) = acc {
        s = e.map(ScalarOp::Add, &[&acc, &s])?;
    }
    e.cast(&s, out)
}

pub(super) fn dot_scaled(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = (a.tensor(e, "lhs")?, a.tensor(e, "rhs")?);
    let (fx, fy) = (a.text("lhs_format").unwrap_or_default(), a.text("rhs_format").unwrap_or_default());
    if !a.flag(e, "lhs_k_pack", true)? || !a.flag(e, "rhs_k_pack", true)? {
        return Err(e
            .error("K010", "`tl.dot_scaled` with values packed along another axis than k", "here")
            .help("pack along k"));
    }
    if x.shape.len() != 2 || y.shape.len() != 2 {
        return Err(e.error("K005", "`tl.dot_scaled` takes matrices", "here"));
    }
    let x = element(e, &x, &fx)?;
    let y = e.permute(&y, &[1, 0]);
    let y = element(e, &y, &fy)?;
    if x.shape[1] != y.shape[1] {
        let (p, q) = (describe_type(x.dtype, &x.shape), describe_type(y.dtype, &y.shape));
        return Err(e.error("K005", format!("k of {p} and {q} (its transpose) differ"), "these operands"));
    }
    let x = scaled(e, &x, a.some("lhs_scale"))?;
    let y = scaled(e, &y, a.some("rhs_scale"))?;
    let y = e.permute(&y, &[1, 0]);
    let acc = match a.some("acc") {
        Some(v) => Some(e.expect_tensor(&v, "the accumulator")?),
        None => None,
    };
    let out = a.dtype(e, "out_dtype")?.unwrap_or(DType::F32);
    product(e, &x, &y, acc, out).map(Value::Tensor)
}

/// `[rows, k]` values of a format as fp32; two e2m1 values share a byte, the low half first.
fn element(e: &mut Eval, t: &Tensor, format: &str) -> Result<Tensor> {
    let dtype = match format {
        "e4m3" => DType::F8E4M3Fn,
        "e5m2" => DType::F8E5M2,
        "bf16" => DType::Bf16,
        "fp16" => DType::F16,
        "e2m1" => {
            let four = e.filled(Literal::Int(4), DType::U8, &t.shape);
            let ones = e.filled(Literal::Int(15), DType::U8, &t.shape);
            let bytes = e.bitcast(t, DType::U8)?;
            let low = e.map(ScalarOp::And, &[&bytes, &ones])?;
            let high = e.map(ScalarOp::Shr, &[&bytes, &four])?;
            let (low, high) = (e2m1(e, &low)?, e2m1(e, &high)?);
            let both = super::shape::join_last(e, &low, &high)?;
            return e.reshape(&both, &[t.shape[0], 2 * t.shape[1]]);
        }
        other => {
            return Err(e
                .error("K006", format!("no format `{other}`"), "here")
                .help("`e2m1`, `e4m3`, `e5m2`, `bf16` or `fp16`"));
        }
    };
    let t = if t.dtype == dtype { t.clone() } else { e.bitcast(t, dtype)? };
    e.cast(&t, DType::F32)
}

/// The value of a 4-bit code: 0 .5 1 1.5 2 3 4 6, bit 3 the sign.
fn e2m1(e: &mut Eval, code: &Tensor) -> Result<Tensor> {
    let shape = code.shape.clone();
    let int = |e: &mut Eval, v: i64| e.filled(Literal::Int(v), DType::I32, &shape);
    let c = e.cast(code, DType::I32)?;
    let (seven, one, two, eight) = (int(e, 7), int(e, 1), int(e, 2), int(e, 8));
    let magnitude = e.map(ScalarOp::And, &[&c, &seven])?;
    // Twice the value: codes 0..4 are 0 1 2 3; from there (2 + low bit) << (code / 2 - 1).
    let low = e.map(ScalarOp::And, &[&magnitude, &one])?;
    let half = e.map(ScalarOp::Shr, &[&magnitude, &one])?;
    let shift = e.map(ScalarOp::Sub, &[&half, &one])?;
    let zero = int(e, 0);
    let shift = e.map(ScalarOp::Max, &[&shift, &zero])?;
    let base = e.map(ScalarOp::Add, &[&two, &low])?;
    let large = e.map(ScalarOp::Shl, &[&base, &shift])?;
    let small = e.map(ScalarOp::Lt, &[&magnitude, &two])?;
    let twice = e.map(ScalarOp::Select, &[&small, &magnitude, &large])?;
    let sign = e.map(ScalarOp::And, &[&c, &eight])?;
    let negative = e.map(ScalarOp::Ne, &[&sign, &zero])?;
    let v = e.cast(&twice, DType::F32)?;
    let factor = e.filled(Literal::float(0.5), DType::F32, &shape);
    let v = e.map(ScalarOp::Mul, &[&v, &factor])?;
    let n = e.map(ScalarOp::Neg, &[&v])?;
    e.map(ScalarOp::Select, &[&negative, &n, &v])
}

/// Values `[rows, k]` times their scales `[rows, k / block]`, which are exponents in bytes.
fn scaled(e: &mut Eval, t: &Tensor, scale: Option<Value>) -> Result<Tensor> {
    let Some(scale) = scale else { return Ok(t.clone()) };
    let s = e.expect_tensor(&scale, "a scale")?;
    let (rows, k) = (t.shape[0], t.shape[1]);
    if s.shape.len() != 2 || s.shape[0] != rows || k % s.shape[1] != 0 {
        let (p, q) = (describe_type(t.dtype, &t.shape), describe_type(s.dtype, &s.shape));
        return Err(e
            .error("K005", format!("scales {q} of values {p}"), "here")
            .note("one scale for each row and block of k"));
    }
    let s = match s.dtype {
        DType::U8 => {
            let s = e.bitcast(&s, DType::F8E8M0)?;
            e.cast(&s, DType::F32)?
        }
        _ => e.cast(&s, DType::F32)?,
    };
    let blocks = s.shape[1];
    let s = e.reshape(&s, &[rows, blocks, 1])?;
    let s = e.broadcast_to(&s, &[rows, blocks, k / blocks])?;
    let s = e.reshape(&s, &[rows, k])?;
    e.map(ScalarOp::Mul, &[t, &s])
}
