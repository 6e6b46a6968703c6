//! Hints, assertions and printing.

use super::Args;
use crate::eval::Eval;
use crate::value::{Tensor, Value};
use girih_base::print::escape;
use girih_base::{DType, Result, ScalarOp};
use girih_tile::{Op, TileTy, ValueId};

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

/// A line for each element of each value, as Triton has them: `pid (0, 0, 0) idx (7) prefix: value`. A scalar gives one line.
pub(crate) fn device_print(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let Some(text) = a.text("prefix") else {
        return Err(e.error("K006", "`tl.device_print` takes a text first, known when it is compiled", "here"));
    };
    let hex = a.flag(e, "hex", false)?;
    let values = match a.get("args") {
        Value::Tuple(list) => list.to_vec(),
        _ => Vec::new(),
    };
    // Triton's rules for a prefix: a space before it, and a colon and a space behind it.
    let mut prefix = text;
    if !values.is_empty() {
        prefix = format!("{}: ", prefix.strip_suffix(' ').unwrap_or(&prefix).trim_end_matches(':'));
    }
    if prefix.len() > 2 && !prefix.starts_with(' ') {
        prefix.insert(0, ' ');
    }
    let prefix = escape(&prefix);
    let ids: Vec<ValueId> = (0..3).map(|axis| program(e, axis)).collect();
    const PROGRAM: &str = "pid ({%d}, {%d}, {%d})";
    if values.is_empty() {
        e.b.push(Op::Print(format!("{PROGRAM}{prefix}\n").into(), ids), Vec::new());
        return Ok(Value::None);
    }
    for (i, v) in values.iter().enumerate() {
        let t = e.expect_tensor(v, "a printed value")?;
        let t =
            if t.fits((i32::MIN as i128, i32::MAX as i128)) && t.dtype.bits() == 64 { e.low_tensor(&t)? } else { t };
        let places: Vec<String> = t.shape.iter().map(|n| format!("{{%{}d}}", digits(*n))).collect();
        let operand = if values.len() > 1 { format!("(operand {i}) ") } else { String::new() };
        let (t, element) = element(e, t, hex)?;
        let line = format!("{PROGRAM} idx ({}){prefix}{operand}{element}\n", places.join(", "));
        e.b.push(Op::Print(line.into(), ids.iter().copied().chain([t.id]).collect()), Vec::new());
    }
    Ok(Value::None)
}

/// The place of an element in a line, and the tensor it is of.
fn element(e: &mut Eval, t: Tensor, hex: bool) -> Result<(Tensor, String)> {
    let bits = t.dtype.bits();
    let long = if bits == 64 { "ll" } else { "" };
    if hex {
        let word = [DType::U8, DType::U16, DType::U32, DType::U64].into_iter().find(|d| d.bits() == bits);
        let t = match word.filter(|d| t.dtype != DType::Bool && *d != t.dtype) {
            Some(word) => e.bitcast(&t, word)?,
            None => t,
        };
        return Ok((t, format!("0x{{%0{}{long}x}}", (bits / 4).max(1))));
    }
    let place = match t.dtype {
        d if d.is_float() => "{%f}".into(),
        d if d.is_signed() || d == DType::Bool => format!("{{%{long}d}}"),
        _ => format!("{{%{long}u}}"),
    };
    Ok((t, place))
}

/// Digits of the largest index along an axis, as Triton counts them: none for one element.
fn digits(extent: u32) -> String {
    match (extent as f64).log10().ceil() as u32 {
        0 => String::new(),
        n => n.to_string(),
    }
}

/// The program's coordinate along an axis of Triton's grid.
fn program(e: &mut Eval, axis: usize) -> ValueId {
    match e.grid[axis].is(1) {
        true => e.b.int(0),
        // The tile grid counts its last axis fastest, Triton's grid its first.
        false => e.b.push(Op::ProgramId(2 - axis), vec![TileTy::scalar(DType::I32)])[0],
    }
}

/// Tested where assertions are asked for (`@triton.jit(debug=True)`, or `TRITON_DEBUG=1`), as in Triton.
pub(super) fn device_assert(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (cond, mask) = (a.get("cond"), a.some("mask"));
    let text = a.text("msg").unwrap_or_default();
    assertion(e, &cond, mask, &text)?;
    Ok(Value::None)
}

/// An assertion of a kernel, which holds where the mask does not.
pub(crate) fn assertion(e: &mut Eval, cond: &Value, mask: Option<Value>, text: &str) -> Result<()> {
    if !e.debug || cond.truth() == Some(true) {
        return Ok(());
    }
    let cond = e.expect_tensor(cond, "a condition")?;
    let mut holds = e.cast(&cond, DType::Bool)?;
    if let Some(mask) = mask {
        let mask = e.expect_tensor(&mask, "the mask")?;
        let mask = e.cast(&mask, DType::Bool)?;
        let (x, mask) = e.broadcast_pair(holds, mask)?;
        let out = e.map(ScalarOp::Not, &[&mask])?;
        holds = e.map(ScalarOp::Or, &[&x, &out])?;
    }
    e.b.push(Op::Assert(holds.id, text.into()), Vec::new());
    Ok(())
}

pub(super) fn static_print(e: &mut Eval, a: &mut Args) -> Result<Value> {
    if let Value::Tuple(list) = a.get("values") {
        e.notes.push(list.iter().map(Value::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(Value::None)
}
