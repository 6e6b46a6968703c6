//! Floats as IEEE 754 has them, and the functions whose results it or CUDA fixes.

use crate::types::*;

pub fn number(bits: i128) -> f64 {
    f64::from_bits(bits as u64)
}

pub fn bits(x: f64) -> i128 {
    // Nobody says which NaN it is.
    if x.is_nan() { f64::NAN.to_bits() as i128 } else { x.to_bits() as i128 }
}

/// The nearest number of a type, of two as near the even one.
pub fn rounded(x: f64, t: Ty) -> f64 {
    match t {
        FLOAT => x as f32 as f64,
        HALF if x == 0.0 || !x.is_finite() => x,
        HALF => {
            let exponent = ((x.to_bits() >> 52 & 2047) as i32 - 1023).max(-14);
            let unit = 2f64.powi(exponent - 10);
            let near = (x / unit).round_ties_even() * unit;
            if near.abs() > 65504.0 { f64::INFINITY.copysign(x) } else { near }
        }
        _ => x,
    }
}

/// Notes a number that drivers are free with: NaN, an infinity, below the normal numbers, -0.
pub fn check(v: Number) -> Number {
    let x = number(v.0);
    let least = if v.1 == DOUBLE { f64::MIN_POSITIVE } else { f32::MIN_POSITIVE as f64 };
    if v.1.float() && (!x.is_finite() || x == 0.0 && x.is_sign_negative() || x != 0.0 && x.abs() < least) {
        LOOSE.set(true);
    }
    if v.1.float() && x == 0.0 && x.is_sign_negative() {
        MESA.set(true);
    }
    v
}

fn inexact(is: bool) {
    if is {
        LOOSE.set(true);
    }
}

/// Drivers take 0 - x for -x, x - x for 0 and 0 * x for 0, and divide by 0 as they like.
fn folded(may: bool) {
    if may {
        LOOSE.set(true);
        MESA.set(true);
    }
}

pub fn binary(op: &str, p: i128, q: i128, t: Ty) -> Number {
    let (x, y) = (number(p), number(q));
    check((p, t));
    check((q, t));
    let says = |b: bool| (b as i128, BOOL);
    folded(match op {
        "+" | "-" => x == 0.0 && y == 0.0 || x.is_infinite() && y.is_infinite(),
        "*" => (x * y).is_nan() && !x.is_nan() && !y.is_nan(),
        "/" => y == 0.0,
        _ => false,
    });
    // A double holds what an operation on narrower floats gives, or enough of it to be rounded twice without harm.
    let v = match op {
        "+" => x + y,
        "-" => x - y,
        "*" => x * y,
        "/" => {
            inexact(t == FLOAT && (x as f32 / y as f32) as f64 * y != x);
            inexact(t == DOUBLE);
            x / y
        }
        "<" => return says(x < y),
        ">" => return says(x > y),
        "<=" => return says(x <= y),
        ">=" => return says(x >= y),
        "==" => return says(x == y),
        _ => return says(x != y),
    };
    check(real(v, t))
}

/// A function by its name, the types of its arguments and result, and what it gives.
pub struct Known {
    pub name: &'static str,
    pub args: &'static [Ty],
    pub ret: Ty,
    pub gives: fn(&[f64]) -> f64,
}

const fn known(name: &'static str, args: &'static [Ty], ret: Ty, gives: fn(&[f64]) -> f64) -> Known {
    Known { name, args, ret, gives }
}

/// Nobody says which NaN an operation gives.
fn no_nan(x: f64) -> f64 {
    if x.is_nan() {
        UNDEFINED.set(true);
    }
    x
}

fn least(a: f64, b: f64) -> f64 {
    // Nor which of two zeros is the smaller one.
    if a == 0.0 && b == 0.0 && a.is_sign_negative() != b.is_sign_negative() {
        UNDEFINED.set(true);
    }
    if a.is_nan() || b < a { b } else { a }
}

/// Nearest, saturated: as conversions with a rounding of their own give it. No number is 0.
fn whole(x: f64, t: Ty) -> f64 {
    let v = convert((bits(x), DOUBLE), t).0;
    v as f64
}

/// A double holds the product and what matters of the sum.
fn narrow_fused(x: f64, y: f64, z: f64) -> f64 {
    folded(x * y == 0.0 && z == 0.0 || !(x * y + z).is_finite());
    x * y + z
}

fn fused(a: &[f64]) -> f64 {
    let once = (a[0] as f32).mul_add(a[1] as f32, a[2] as f32);
    folded(once != a[0] as f32 * a[1] as f32 + a[2] as f32 || a[2] == 0.0 || !once.is_finite());
    once as f64
}

const F1: &[Ty] = &[FLOAT];
const F2: &[Ty] = &[FLOAT, FLOAT];
const F3: &[Ty] = &[FLOAT, FLOAT, FLOAT];
const D1: &[Ty] = &[DOUBLE];
const D2: &[Ty] = &[DOUBLE, DOUBLE];
const H1: &[Ty] = &[HALF];
const H2: &[Ty] = &[HALF, HALF];
const H3: &[Ty] = &[HALF, HALF, HALF];

/// Results are rounded to their type; those of integers lie within it.
pub const KNOWN: &[Known] = &[
    known("fminf", F2, FLOAT, |a| least(a[0], a[1])),
    known("fmaxf", F2, FLOAT, |a| -least(-a[0], -a[1])),
    known("fabsf", F1, FLOAT, |a| a[0].abs()),
    known("floorf", F1, FLOAT, |a| a[0].floor()),
    known("ceilf", F1, FLOAT, |a| a[0].ceil()),
    known("truncf", F1, FLOAT, |a| a[0].trunc()),
    known("rintf", F1, FLOAT, |a| a[0].round_ties_even()),
    known("roundf", F1, FLOAT, |a| a[0].round()),
    known("copysignf", F2, FLOAT, |a| a[0].copysign(no_nan(a[1]))),
    known("fmodf", F2, FLOAT, |a| a[0] % a[1]),
    known("fmaf", F3, FLOAT, fused),
    known("__fmaf_rn", F3, FLOAT, fused),
    known("__fadd_rn", F2, FLOAT, |a| number(binary("+", bits(a[0]), bits(a[1]), FLOAT).0)),
    known("__fmul_rn", F2, FLOAT, |a| number(binary("*", bits(a[0]), bits(a[1]), FLOAT).0)),
    known("sqrtf", F1, FLOAT, |a| {
        let r = a[0].sqrt() as f32 as f64;
        inexact(r * r != a[0]);
        r
    }),
    known("fdimf", F2, FLOAT, |a| if a[0] <= a[1] { 0.0 } else { a[0] - a[1] }),
    known("__saturatef", F1, FLOAT, |a| if a[0] > 0.0 { a[0].min(1.0) } else { 0.0 }),
    known("fabs", D1, DOUBLE, |a| a[0].abs()),
    known("floor", D1, DOUBLE, |a| a[0].floor()),
    known("ceil", D1, DOUBLE, |a| a[0].ceil()),
    known("trunc", D1, DOUBLE, |a| a[0].trunc()),
    known("rint", D1, DOUBLE, |a| a[0].round_ties_even()),
    known("round", D1, DOUBLE, |a| a[0].round()),
    known("fmin", D2, DOUBLE, |a| least(a[0], a[1])),
    known("fmax", D2, DOUBLE, |a| -least(-a[0], -a[1])),
    known("copysign", D2, DOUBLE, |a| a[0].copysign(no_nan(a[1]))),
    known("fma", &[DOUBLE, DOUBLE, DOUBLE], DOUBLE, |a| a[0].mul_add(a[1], a[2])),
    known("__hadd", H2, HALF, |a| number(binary("+", bits(a[0]), bits(a[1]), HALF).0)),
    known("__hsub", H2, HALF, |a| number(binary("-", bits(a[0]), bits(a[1]), HALF).0)),
    known("__hmul", H2, HALF, |a| number(binary("*", bits(a[0]), bits(a[1]), HALF).0)),
    known("__hfma", H3, HALF, |a| narrow_fused(a[0], a[1], a[2])),
    known("__hneg", H1, HALF, |a| -a[0]),
    known("__habs", H1, HALF, |a| a[0].abs()),
    known("__hmin", H2, HALF, |a| least(a[0], a[1])),
    known("__hmax", H2, HALF, |a| -least(-a[0], -a[1])),
    known("hfloor", H1, HALF, |a| a[0].floor()),
    known("hceil", H1, HALF, |a| a[0].ceil()),
    known("htrunc", H1, HALF, |a| a[0].trunc()),
    known("hrint", H1, HALF, |a| a[0].round_ties_even()),
    // The second of two lanes.
    known("second_sum", H3, HALF, |a| number(binary("+", bits(a[1]), bits(a[2]), HALF).0)),
    known("second_product", H3, HALF, |a| number(binary("*", bits(a[1]), bits(a[2]), HALF).0)),
    known("second_fused", &[HALF, HALF, HALF, HALF], HALF, |a| narrow_fused(a[1], a[2], a[3])),
    known("__hlt", H2, BOOL, |a| (a[0] < a[1]) as u8 as f64),
    known("__hge", H2, BOOL, |a| (a[0] >= a[1]) as u8 as f64),
    known("__heq", H2, BOOL, |a| (a[0] == a[1]) as u8 as f64),
    known("isnan", F1, BOOL, |a| a[0].is_nan() as u8 as f64),
    known("isinf", F1, BOOL, |a| a[0].is_infinite() as u8 as f64),
    known("isfinite", D1, BOOL, |a| a[0].is_finite() as u8 as f64),
    known("signbit", F1, BOOL, |a| no_nan(a[0]).is_sign_negative() as u8 as f64),
    known("__float2int_rn", F1, INT, |a| whole(a[0].round_ties_even(), INT)),
    known("__float2int_rz", F1, INT, |a| whole(a[0], INT)),
    known("__float2int_rd", F1, INT, |a| whole(a[0].floor(), INT)),
    known("__float2int_ru", F1, INT, |a| whole(a[0].ceil(), INT)),
    known("__float2uint_rn", F1, UINT, |a| whole(a[0].round_ties_even(), UINT)),
    known("__float2uint_rz", F1, UINT, |a| whole(a[0], UINT)),
    known("__double2int_rn", D1, INT, |a| whole(a[0].round_ties_even(), INT)),
    known("__double2int_rz", D1, INT, |a| whole(a[0], INT)),
    known("__half2int_rn", H1, INT, |a| whole(a[0].round_ties_even(), INT)),
    known("__float2half", F1, HALF, |a| a[0]),
    known("__half2float", H1, FLOAT, |a| a[0]),
    known("__int2float_rn", &[INT], FLOAT, |a| a[0]),
    known("__uint2float_rn", &[UINT], FLOAT, |a| a[0]),
    known("__int2half_rn", &[INT], HALF, |a| a[0]),
    known("__double2float_rn", D1, FLOAT, |a| a[0]),
    known("__float_as_int", F1, INT, |a| (no_nan(a[0]) as f32).to_bits() as i32 as f64),
    known("__int_as_float", &[INT], FLOAT, |a| f32::from_bits(a[0] as i32 as u32) as f64),
    known("__half_as_ushort", H1, USHORT, |a| half::f16::from_f64(no_nan(a[0])).to_bits() as f64),
];

/// The result of a function for numbers of the types it takes.
pub fn call(f: &Known, args: &[Number]) -> Number {
    let values: Vec<f64> = args
        .iter()
        .map(|a| {
            check(*a);
            if a.1.float() { number(a.0) } else { a.0 as f64 }
        })
        .collect();
    let v = (f.gives)(&values);
    if f.ret.float() { check(real(v, f.ret)) } else { (v as i128, f.ret) }
}
