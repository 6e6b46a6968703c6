//! Programs, ranges and new tiles.

use super::Args;
use crate::affine::{Affine, Lin};
use crate::eval::{Eval, MAX_GRID};
use crate::value::{Tensor, Value};
use girih_base::{DType, Dim, Literal, Result, ScalarOp};
use girih_tile::{Op, TileTy};
use std::rc::Rc;

/// Largest number of elements of a tile, as in Triton.
const MAX_TILE: i128 = 1 << 20;

fn grid_axis(e: &Eval, a: &Args) -> Result<usize> {
    match a.int(e, "axis")? {
        Some(n @ 0..=2) => Ok(n as usize),
        other => Err(e.error("K006", format!("axis {} of the grid", other.unwrap_or(-1)), "axes are 0, 1 and 2")),
    }
}

pub(super) fn program_id(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let axis = grid_axis(e, a)?;
    if e.grid[axis].is(1) {
        return Ok(Value::Tensor(e.dim_tensor(&Dim::ZERO)));
    }
    let programs = e.grid[axis].clone();
    let spread = e.again.spread.as_ref().filter(|s| s.axis == axis).map(|s| s.count.clone());
    let Some(rows) = spread else {
        return Ok(Value::Tensor(e.program(axis, &programs)));
    };
    // The grid has a program for every row, and the kernel counts those that it was launched with.
    let (row, programs) = (e.program(axis, &rows), e.dim_tensor(&programs));
    Ok(Value::Tensor(e.map(ScalarOp::Rem, &[&row, &programs])?))
}

impl Eval<'_> {
    /// The number of the program along an axis of the grid that has `count` of them.
    pub fn program(&mut self, axis: usize, count: &Dim) -> Tensor {
        // The tile grid counts its last axis fastest, Triton's grid its first.
        let id = self.b.push(Op::ProgramId(2 - axis), vec![TileTy::scalar(DType::I32)])[0];
        self.programs[axis].push(id);
        self.opaque(id, Some((0, MAX_GRID[axis] as i128 - 1)), Some(count - &Dim::ONE))
    }
}

pub(super) fn num_programs(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let axis = grid_axis(e, a)?;
    let d = e.grid[axis].clone();
    Ok(Value::Tensor(e.dim_tensor(&d)))
}

pub(super) fn arange(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (Some(lo), Some(hi)) = (a.int(e, "start")?, a.int(e, "end")?) else {
        return Err(e.not_constant("the ends of `tl.arange`"));
    };
    let n = hi.saturating_sub(lo);
    if n <= 0 || lo < i32::MIN as i128 || hi > i32::MAX as i128 {
        return Err(e.error("K006", format!("`tl.arange({lo}, {hi})` is empty or beyond int32"), "here"));
    }
    if n & (n - 1) != 0 {
        return Err(e
            .error("K005", format!("`tl.arange` of {n} elements, which is not a power of two"), "here")
            .help(format!("use {} and mask the rest", (n as u64).next_power_of_two())));
    }
    if n > MAX_TILE {
        return Err(e
            .error("K005", format!("a tile of {n} elements"), "here")
            .note(format!("tiles have at most {MAX_TILE} elements"))
            .help("give each program a smaller block, and launch more of them or loop over blocks"));
    }
    let sum = Affine { base: Lin::int(lo as i64), strides: vec![Dim::ONE], ..Affine::default() };
    Ok(Value::Tensor(e.affine_tensor(sum, &[n as u32])))
}

/// Refuses tiles that are too large.
pub(crate) fn sized(e: &Eval, shape: &[u32]) -> Result<()> {
    let n: i128 = shape.iter().map(|n| *n as i128).product();
    if n > MAX_TILE {
        return Err(e
            .error("K005", format!("a tile of shape {shape:?}"), "here")
            .note(format!("tiles have at most {MAX_TILE} elements")));
    }
    if shape.len() > girih_tile::verify::MAX_RANK {
        return Err(e.error("K005", format!("a tile of {} axes", shape.len()), "here"));
    }
    Ok(())
}

pub(super) fn full(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let shape = a.shape(e, "shape")?;
    sized(e, &shape)?;
    let Some(dtype) = a.dtype(e, "dtype")? else { return Err(e.error("K006", "`tl.full` needs a dtype", "here")) };
    let v = a.get("value");
    let t = e.convert(&v, dtype)?;
    if t.shape.iter().any(|n| *n != 1) {
        return Err(e.error("K005", format!("`tl.full` takes a scalar, got {v}"), "here"));
    }
    let t = e.reshape(&t, &[])?;
    Ok(Value::Tensor(e.broadcast_to(&t, &shape)?))
}

pub(super) fn zeros(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let shape = a.shape(e, "shape")?;
    sized(e, &shape)?;
    let Some(dtype) = a.dtype(e, "dtype")? else { return Err(e.error("K006", "`tl.zeros` needs a dtype", "here")) };
    Ok(Value::Tensor(zero_tile(e, dtype, &shape)))
}

pub(super) fn zero_tile(e: &mut Eval, dtype: DType, shape: &[u32]) -> Tensor {
    let literal = if dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
    e.filled(literal, dtype, shape)
}

pub(super) fn zeros_like(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let t = a.tensor(e, "input")?;
    Ok(Value::Tensor(zero_tile(e, t.dtype, &t.shape)))
}

pub(super) fn cast(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let v = a.get("input");
    let bitcast = a.flag(e, "bitcast", false)?;
    let rounding = a.text("fp_downcast_rounding");
    match (&v, a.get("dtype")) {
        (Value::Pointer(p), Value::PointerType(d)) => {
            let stored = e.stored_dtype(p.param);
            if stored.bits() != d.bits() {
                return Err(e
                    .error("K008", format!("{v} read as elements of {} bits", d.bits()), "cast here")
                    .help("pass the buffer with that element type"));
            }
            Ok(Value::Pointer(crate::value::Pointer { dtype: d, ..p.clone() }))
        }
        (Value::Pointer(_), other) => Err(e
            .error("K008", format!("{v} cannot become {other}"), "cast here")
            .help("addresses are not numbers here: keep the parameter and the offset apart")),
        (_, Value::PointerType(_)) => Err(e
            .error("K008", "an address is made from a number", "cast here")
            .note("a pointer that cannot be traced to a parameter has no buffer on most GPUs")
            .help("pass each buffer as a parameter of its own, or one buffer with offsets")),
        (_, Value::Type(d)) => {
            let t = a.tensor(e, "input")?;
            match rounding.as_deref() {
                None | Some("rtne") => {}
                Some("rtz") => return super::math::cast_toward_zero(e, &t, d),
                Some(other) => {
                    return Err(e.error("K006", format!("no rounding mode `{other}`"), "here").help("`rtne` or `rtz`"));
                }
            }
            Ok(Value::Tensor(if bitcast { e.bitcast(&t, d)? } else { e.cast(&t, d)? }))
        }
        (_, other) => Err(e
            .error("K006", format!("{} is not a type", other.quoted()), "here")
            .help("types are names of the language: `tl.float32`, `tl.int8`, or another tensor's `.dtype`")),
    }
}

pub(super) fn to_tensor(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let v = a.get("x");
    Ok(match v {
        Value::Pointer(_) => v,
        v => Value::Tensor(e.tensor(&v)?),
    })
}

pub(super) fn constexpr(_: &mut Eval, a: &mut Args) -> Result<Value> {
    Ok(a.get("value"))
}

pub(super) fn pointer_type(e: &mut Eval, a: &mut Args) -> Result<Value> {
    match a.dtype(e, "element_ty")? {
        Some(d) => Ok(Value::PointerType(d)),
        None => Err(e.error("K006", "a pointer to what?", "here")),
    }
}

pub(super) fn range(e: &mut Eval, a: &mut Args) -> Result<Value> {
    make_range(e, a, false)
}

pub(super) fn static_range(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let v = make_range(e, a, true)?;
    if let Value::Range(r) = &v
        && ![&r.lo, &r.hi, &r.step].iter().all(|v| v.as_int().is_some())
    {
        return Err(e.not_constant("a bound of `tl.static_range`"));
    }
    Ok(v)
}

fn make_range(e: &mut Eval, a: &Args, unroll: bool) -> Result<Value> {
    let step = a.some("step").unwrap_or(Value::Int(1));
    let given = match (a.some("arg1"), a.some("arg2")) {
        (Some(hi), None) => vec![Value::Int(0), hi, step],
        (Some(lo), Some(hi)) => vec![lo, hi, step],
        _ => Vec::new(),
    };
    match e.range(&given, unroll) {
        Some(r) => Ok(Value::Range(Rc::new(r))),
        None => Err(e.error("K006", "a range has one to three bounds", "here")),
    }
}
