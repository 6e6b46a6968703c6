//! Numbers that break things, and how far a result may lie from the exact one.

use crate::eval::Array;
use crate::eval::compare::Random;
use girih_base::codec::{Scalar, cast};
use girih_base::scalar::{Accuracy, IntType, Output};
use girih_base::{Class, DType, ScalarOp};

const FLOATS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e-40,
    -1e-40,
    1e-45,
    3.4e38,
    -3.4e38,
    1e-30,
    -1e30,
    88.8,
    -88.8,
    -103.5,
    0.1,
    2.0,
    3.0,
    100.0,
    -100.0,
    65504.0,
    1e5,
    f32::MIN_POSITIVE as f64,
];

const INTS: &[i128] =
    &[0, 1, -1, 2, 7, 31, 32, 33, i32::MIN as i128, i32::MAX as i128, 255, 128, -128, i64::MIN as i128];

/// `n` values of a dtype: special ones first (from the `turn`th on), then random ones of many sizes.
pub fn values(dtype: DType, n: usize, seed: u64, turn: usize) -> Vec<Scalar> {
    let mut r = Random(seed);
    let exact = |i: usize, r: &mut Random| match dtype.class() {
        Class::Float => Scalar::Float(match r.below(4) {
            _ if i < FLOATS.len() => FLOATS[(i + turn) % FLOATS.len()],
            0 => r.unit(),
            1 => r.unit() * 20.0,
            2 => f32::from_bits(r.bits() as u32) as f64,
            _ => r.unit() * 1000.0,
        }),
        _ if i < INTS.len() => Scalar::Int(INTS[(i + turn) % INTS.len()]),
        _ => Scalar::Int((r.bits() as i64 >> r.below(64)) as i128),
    };
    (0..n).map(|i| cast(exact(i, &mut r), dtype)).collect()
}

/// The special values of a dtype.
pub fn special(dtype: DType) -> Vec<Scalar> {
    match dtype.class() {
        Class::Float => FLOATS.iter().map(|v| cast(Scalar::Float(*v), dtype)).collect(),
        _ => INTS.iter().map(|v| cast(Scalar::Int(*v), dtype)).collect(),
    }
}

/// The values as an array.
pub fn array(dtype: DType, shape: &[usize], values: &[Scalar]) -> Array {
    match dtype.is_float() {
        true => Array::from_f64(dtype, shape, values.iter().map(|v| v.as_f64())),
        false => Array::from_ints(dtype, shape, values.iter().map(|v| v.as_int())),
    }
}

/// What an operation means on these operands, before rounding.
pub fn expected(op: ScalarOp, dtype: DType, args: &[Scalar]) -> Option<Scalar> {
    let row = op.row();
    if op == ScalarOp::Select {
        return Some(if args[0].as_int() != 0 { args[1] } else { args[2] });
    }
    if let (Some(int), Some(f)) = (IntType::of(dtype), row.meaning.int) {
        let v: Vec<i128> = args.iter().map(|a| a.as_int()).collect();
        let r = f(&v, int);
        return Some(Scalar::Int(if row.output == Output::Bool { r } else { int.wrap(r) }));
    }
    let v: Vec<f64> = args.iter().map(|a| a.as_f64()).collect();
    match row.output {
        Output::Bool => row.meaning.test.map(|f| Scalar::Int(f(&v) as i128)),
        Output::Same => row.meaning.float.map(|f| Scalar::Float(f(&v))),
    }
}

/// Distance in units in the last place of `dtype` (f32 for narrower ones, whose results are the nearest value).
fn ulp(dtype: DType, exact: f64) -> f64 {
    let (bits, min) = if dtype == DType::F64 { (52, -1022) } else { (23, -126) };
    let e = if exact == 0.0 { min } else { (exact.abs().log2().floor() as i32).max(min) };
    2f64.powi(e - bits)
}

/// What a device does with numbers below the smallest normal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subnormals {
    /// Keeps them.
    Kept,
    /// May take them for zero, as WGSL allows.
    Flushed,
}

/// Whether `got` may be the result: within the row's accuracy for f32 and f64, the nearest value or its neighbour at a tie for
/// narrower floats, equal for integers.
pub fn acceptable(op: ScalarOp, dtype: DType, args: &[Scalar], got: Scalar) -> Result<(), String> {
    acceptable_on(Subnormals::Kept, op, dtype, args, got)
}

/// [`acceptable`] on a device that treats subnormals in some way.
pub fn acceptable_on(
    subnormals: Subnormals,
    op: ScalarOp,
    dtype: DType,
    args: &[Scalar],
    got: Scalar,
) -> Result<(), String> {
    let first = within(subnormals, op, dtype, args, got);
    if first.is_ok() || subnormals == Subnormals::Kept || !dtype.is_float() {
        return first;
    }
    let tiny = |a: &Scalar| matches!(a, Scalar::Float(v) if *v != 0.0 && v.abs() < smallest(dtype));
    if !args.iter().any(tiny) {
        return first;
    }
    let flushed: Vec<Scalar> =
        args.iter().map(|a| if tiny(a) { Scalar::Float(0f64.copysign(a.as_f64())) } else { *a }).collect();
    within(subnormals, op, dtype, &flushed, got).or(first)
}

/// The smallest normal number of the arithmetic that computes a dtype.
fn smallest(dtype: DType) -> f64 {
    if dtype == DType::F64 { f64::MIN_POSITIVE } else { f32::MIN_POSITIVE as f64 }
}

fn within(subnormals: Subnormals, op: ScalarOp, dtype: DType, args: &[Scalar], got: Scalar) -> Result<(), String> {
    let Some(want) = expected(op, dtype, args) else { return Err(format!("{} means nothing", op.name())) };
    let fail = |why: String| Err(format!("{} {dtype} {args:?}: {why}", op.name()));
    let (w, g) = match (want, got) {
        (Scalar::Int(w), Scalar::Int(g)) if w == g => return Ok(()),
        (Scalar::Int(w), _) => return fail(format!("{got:?}, expected {w}")),
        _ => (want.as_f64(), got.as_f64()),
    };
    let rounded = cast(Scalar::Float(w), dtype).as_f64();
    let any_sign = op == ScalarOp::CopySign && args[1].as_f64().is_nan();
    if rounded == g || any_sign && rounded == -g || rounded.is_nan() && g.is_nan() {
        return Ok(());
    }
    if op == ScalarOp::Fma {
        // Rounded once or twice.
        let [x, y, z] = [0, 1, 2].map(|i| args[i].as_f64());
        let round = |v: f64| if dtype == DType::F64 { v } else { v as f32 as f64 };
        let twice = cast(Scalar::Float(round(round(x * y) + z)), dtype).as_f64();
        if twice == g || twice.is_nan() && g.is_nan() {
            return Ok(());
        }
    }
    if dtype == DType::F8E8M0 && g.is_nan() && w.abs() < smallest(dtype) {
        // Computed in f32, where it may be 0, which this format has no number for.
        return Ok(());
    }
    if rounded.is_nan() || g.is_nan() {
        return fail(format!("{g}, expected {rounded}"));
    }
    if !matches!(dtype, DType::F32 | DType::F64) {
        // Computed in f32 and rounded: one neighbour off where the f32 result lies near a tie.
        let slack = w.abs() * 1e-5 + 1e-7;
        let [lo, hi] = [w - slack, w + slack].map(|v| cast(Scalar::Float(v), dtype).as_f64());
        let fits = (lo..=hi).contains(&g) || lo.is_nan() || hi.is_nan();
        return if fits { Ok(()) } else { fail(format!("{g}, expected {rounded}")) };
    }
    let bound = match op.row().accuracy {
        Accuracy::Exact => 0.0,
        Accuracy::Ulp(u) => u * ulp(dtype, w),
        Accuracy::UlpGrowing(a, b) => (a + b * args[0].as_f64().abs()) * ulp(dtype, w),
        Accuracy::AbsOrUlp(abs, u) => abs.max(u * ulp(dtype, w)),
    };
    let bound = match subnormals {
        Subnormals::Kept => bound,
        Subnormals::Flushed => bound + smallest(dtype) * args[0].as_f64().abs().max(1.0),
    };
    // A result that should be infinite may be the largest number only within the bound.
    let overflow = rounded.is_infinite() && g.abs() >= 3.4028e38 && bound > 0.0;
    if (w - g).abs() <= bound || overflow { Ok(()) } else { fail(format!("{g:e}, expected {w:e}, bound {bound:e}")) }
}
