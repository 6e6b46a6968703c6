//! i64, u64 and f64 where an adapter has them: what WGSL's builtins lack at that width.
//!
//! Transcendental functions of f64 are left out: no driver computes them, and f32's would be a silent loss.

use super::expr::Expr;
use super::helpers::{Helper, Lanes};
use super::spell::{Spell, Typed, constant, type_name};
use girih_base::{DType, Scalar, ScalarOp};
use girih_simt::Ty;

const D: [&str; 2] = ["$D", "$D"];
const M: [&str; 2] = ["$M", "$M"];

/// Rows as in [`super::helpers`]; `$D`, `$L`, `$M` stand for f64, i64 and u64 or vectors of them.
pub const HELPERS: &[Helper] = &[
    Helper {
        name: "is_nan_f64",
        arity: 1,
        lanes: Lanes::Any,
        types: ["$D", "$B"],
        needs: &[],
        text: "// By its bits, since drivers may assume that comparisons see no NaN.
fn girih_is_nan_f64$n(x: $D) -> $B {
    return (bitcast<$M>(x) & $M(0x7ffffffffffffffflu)) > $M(0x7ff0000000000000lu);
}",
    },
    Helper {
        name: "is_finite_f64",
        arity: 1,
        lanes: Lanes::Any,
        types: ["$D", "$B"],
        needs: &[],
        text: "fn girih_is_finite_f64$n(x: $D) -> $B {
    return (bitcast<$M>(x) & $M(0x7ffffffffffffffflu)) < $M(0x7ff0000000000000lu);
}",
    },
    Helper {
        name: "max_f64",
        arity: 2,
        lanes: Lanes::Any,
        types: D,
        needs: &["is_nan_f64"],
        text: "// NaN if either is NaN.
fn girih_max_f64$n(x: $D, y: $D) -> $D {
    return select(select(x, y, x < y), x + y, girih_is_nan_f64$n(x) | girih_is_nan_f64$n(y));
}",
    },
    Helper {
        name: "min_f64",
        arity: 2,
        lanes: Lanes::Any,
        types: D,
        needs: &["is_nan_f64"],
        text: "// NaN if either is NaN.
fn girih_min_f64$n(x: $D, y: $D) -> $D {
    return select(select(x, y, y < x), x + y, girih_is_nan_f64$n(x) | girih_is_nan_f64$n(y));
}",
    },
    Helper {
        name: "copysign_f64",
        arity: 2,
        lanes: Lanes::Any,
        types: D,
        needs: &[],
        text: "fn girih_copysign_f64$n(x: $D, y: $D) -> $D {
    return bitcast<$D>((bitcast<$M>(x) & $M(0x7ffffffffffffffflu)) | (bitcast<$M>(y) & $M(0x8000000000000000lu)));
}",
    },
    Helper {
        name: "round_f64",
        arity: 1,
        lanes: Lanes::Any,
        types: D,
        needs: &[],
        text: "// Ties to even.
fn girih_round_f64$n(x: $D) -> $D {
    let f = floor(x);
    let d = x - f;
    let odd = f - 2.0lf * floor(f * 0.5lf) != $D(0.0lf);
    return select(f, f + $D(1.0lf), (d > $D(0.5lf)) | ((d == $D(0.5lf)) & odd));
}",
    },
    Helper {
        name: "clz_u64",
        arity: 1,
        lanes: Lanes::Each,
        types: M,
        needs: &[],
        text: "fn girih_clz_u64(x: u64) -> u64 {
    let high = u32(x >> 32u);
    return u64(select(countLeadingZeros(high), 32u + countLeadingZeros(u32(x)), high == 0u));
}",
    },
    Helper {
        name: "ctz_u64",
        arity: 1,
        lanes: Lanes::Each,
        types: M,
        needs: &[],
        text: "fn girih_ctz_u64(x: u64) -> u64 {
    let low = u32(x);
    return u64(select(countTrailingZeros(low), 32u + countTrailingZeros(u32(x >> 32u)), low == 0u));
}",
    },
    Helper {
        name: "popcount_u64",
        arity: 1,
        lanes: Lanes::Each,
        types: M,
        needs: &[],
        text: "fn girih_popcount_u64(x: u64) -> u64 {
    return u64(countOneBits(u32(x)) + countOneBits(u32(x >> 32u)));
}",
    },
    Helper {
        name: "mul_hi_u64",
        arity: 2,
        lanes: Lanes::Each,
        types: M,
        needs: &[],
        text: "// High word of the product, from 32-bit halves.
fn girih_mul_hi_u64(x: u64, y: u64) -> u64 {
    let x0 = x & 0xfffffffflu;
    let x1 = x >> 32u;
    let y0 = y & 0xfffffffflu;
    let y1 = y >> 32u;
    let a = x1 * y0 + ((x0 * y0) >> 32u);
    let b = x0 * y1 + (a & 0xfffffffflu);
    return x1 * y1 + (a >> 32u) + (b >> 32u);
}",
    },
    Helper {
        name: "mul_hi_i64",
        arity: 2,
        lanes: Lanes::Each,
        types: ["$L", "$L"],
        needs: &["mul_hi_u64"],
        text: "fn girih_mul_hi_i64(x: i64, y: i64) -> i64 {
    let high = bitcast<i64>(girih_mul_hi_u64(bitcast<u64>(x), bitcast<u64>(y)));
    return high - select(0li, y, x < 0li) - select(0li, x, y < 0li);
}",
    },
    Helper {
        name: "floor_div_i64",
        arity: 2,
        lanes: Lanes::Each,
        types: ["$L", "$L"],
        needs: &[],
        text: "fn girih_floor_div_i64(x: i64, y: i64) -> i64 {
    let down = (x % y != 0li) & ((x < 0li) != (y < 0li));
    return x / y - select(0li, 1li, down);
}",
    },
    Helper {
        name: "fma_f64",
        arity: 3,
        lanes: Lanes::Each,
        types: ["$D", "$D"],
        needs: &["is_finite_f64"],
        text:
            "// The product and the sum with their errors (Dekker 1971, Knuth's two-sum), rounded together at the end.
fn girih_fma_f64(x: f64, y: f64, z: f64) -> f64 {
    let p = x * y;
    let sx = 134217729.0lf * x;
    let sy = 134217729.0lf * y;
    let xh = sx - (sx - x);
    let yh = sy - (sy - y);
    let xl = x - xh;
    let yl = y - yh;
    let e = ((xh * yh - p) + xh * yl + xl * yh) + xl * yl;
    let s = p + z;
    let b = s - p;
    let t = (p - (s - b)) + (z - b);
    let r = s + (t + e);
    return select(s, r, girih_is_finite_f64(r));
}",
    },
    Helper {
        name: "f64_to_i64",
        arity: 1,
        lanes: Lanes::Each,
        types: ["$D", "$L"],
        needs: &["is_nan_f64"],
        text: "// Toward zero, limited to the range, 0 of NaN.
fn girih_f64_to_i64(x: f64) -> i64 {
    let low = select(x, -9223372036854775808.0lf, x < -9223372036854775808.0lf);
    let y = i64(select(low, 0.0lf, x >= 9223372036854775808.0lf || girih_is_nan_f64(x)));
    return select(y, 9223372036854775807li, x >= 9223372036854775808.0lf);
}",
    },
    Helper {
        name: "f64_to_u64",
        arity: 1,
        lanes: Lanes::Each,
        types: ["$D", "$M"],
        needs: &["is_nan_f64"],
        text: "// Toward zero, limited to the range, 0 of NaN.
fn girih_f64_to_u64(x: f64) -> u64 {
    let y = u64(select(x, 0.0lf, x < 0.0lf || x >= 18446744073709551616.0lf || girih_is_nan_f64(x)));
    return select(y, 18446744073709551615lu, x >= 18446744073709551616.0lf);
}",
    },
    Helper {
        name: "f64_to_i32",
        arity: 1,
        lanes: Lanes::Each,
        types: ["$D", "$I"],
        needs: &["is_nan_f64"],
        text: "// Toward zero, limited to the range, 0 of NaN.
fn girih_f64_to_i32(x: f64) -> i32 {
    let low = select(x, -2147483648.0lf, x < -2147483648.0lf);
    return i32(select(select(low, 2147483647.0lf, x > 2147483647.0lf), 0.0lf, girih_is_nan_f64(x)));
}",
    },
    Helper {
        name: "f64_to_u32",
        arity: 1,
        lanes: Lanes::Each,
        types: ["$D", "$U"],
        needs: &["is_nan_f64"],
        text: "// Toward zero, limited to the range, 0 of NaN.
fn girih_f64_to_u32(x: f64) -> u32 {
    let low = select(x, 0.0lf, x < 0.0lf);
    return u32(select(select(low, 4294967295.0lf, x > 4294967295.0lf), 0.0lf, girih_is_nan_f64(x)));
}",
    },
    Helper {
        name: "f32_to_i64",
        arity: 1,
        lanes: Lanes::Each,
        types: ["$T", "$L"],
        needs: &["is_nan"],
        text: "// Toward zero, limited to the range, 0 of NaN.
fn girih_f32_to_i64(x: f32) -> i64 {
    let low = max(x, -9223372036854775808.0);
    let y = i64(select(low, 0.0, x >= 9223372036854775808.0 || girih_is_nan(x)));
    return select(y, 9223372036854775807li, x >= 9223372036854775808.0);
}",
    },
    Helper {
        name: "f32_to_u64",
        arity: 1,
        lanes: Lanes::Each,
        types: ["$T", "$M"],
        needs: &["is_nan"],
        text: "// Toward zero, limited to the range, 0 of NaN.
fn girih_f32_to_u64(x: f32) -> u64 {
    let y = u64(select(max(x, 0.0), 0.0, x >= 18446744073709551616.0 || girih_is_nan(x)));
    return select(y, 18446744073709551615lu, x >= 18446744073709551616.0);
}",
    },
];

impl Spell {
    /// The expression for an operation on operands of 64 bits, where the narrow spelling does not fit; nothing where it does.
    ///
    /// # Errors
    /// A sentence when a helper is missing.
    pub fn wide(&mut self, op: ScalarOp, ty: Ty, x: &[Expr], count: &dyn Fn() -> Expr) -> Result<Option<Expr>, String> {
        use ScalarOp as S;
        let as_type = |dtype| Ty { dtype, lanes: ty.lanes };
        let signed = ty.dtype == DType::I64;
        let bits = |e: &Expr| {
            let name = format!("bitcast<{}>", type_name(as_type(DType::U64)));
            if signed { Expr::call(&name, std::slice::from_ref(e)) } else { e.clone() }
        };
        let back = |e: Expr| {
            if signed { Expr::call(&format!("bitcast<{}>", type_name(ty)), &[e]) } else { e }
        };
        let name = match (ty.dtype, op) {
            (DType::F64, S::IsNan | S::IsFinite | S::Min | S::Max | S::CopySign | S::Round) => {
                format!("{}_f64", op.name())
            }
            (DType::F64, S::FloorDiv) => return Ok(Some(Expr::call("floor", &[Expr::infix("/", &x[0], &x[1])]))),
            // The builtin is an f32 one on some drivers.
            (DType::F64, S::Fma) => "fma_f64".to_string(),
            (DType::I64 | DType::U64, S::Clz | S::Ctz | S::Popcount) => {
                let e = self.helper(&format!("{}_u64", op.name()), ty.lanes, &[bits(&x[0])])?;
                return Ok(Some(back(e)));
            }
            (DType::I64, S::LogicalShr) => return Ok(Some(back(Expr::infix(">>", &bits(&x[0]), &count())))),
            (DType::I64 | DType::U64, S::MulHi) => format!("mul_hi_{}", ty.dtype),
            (DType::I64, S::FloorDiv) => "floor_div_i64".to_string(),
            _ => return Ok(None),
        };
        self.helper(&name, ty.lanes, x).map(Some)
    }

    /// A conversion that starts or ends at 64 bits, where a plain constructor does not do it.
    ///
    /// # Errors
    /// A sentence when a helper is missing.
    pub fn wide_cast(&mut self, (x, ty): &Typed, to: DType) -> Result<Option<Expr>, String> {
        let typed = |dtype, e: Expr| Expr::call(&type_name(Ty { dtype, lanes: ty.lanes }), &[e]);
        let name = match (ty.dtype, to) {
            (a, b) if a.bits() != 64 && b.bits() != 64 => return Ok(None),
            (DType::Bool, b) => {
                let number = |v: i128| {
                    let v = if b.is_float() { Scalar::Float(v as f64) } else { Scalar::Int(v) };
                    constant(v, Ty { dtype: b, lanes: ty.lanes })
                };
                return Ok(Some(Expr::call("select", &[number(0), number(1), x.clone()])));
            }
            (DType::F64, DType::I32 | DType::U32 | DType::I64 | DType::U64) | (DType::F32, DType::I64 | DType::U64) => {
                format!("{}_to_{to}", ty.dtype)
            }
            // A change of sign and of width is two steps: the width as the source's sign says, then the bits.
            (DType::I32, DType::U64) => return Ok(Some(bitcast(to, ty.lanes, typed(DType::I64, x.clone())))),
            (DType::U64, DType::I32) => return Ok(Some(bitcast(to, ty.lanes, typed(DType::U32, x.clone())))),
            (DType::I64, DType::U32) => return Ok(Some(bitcast(to, ty.lanes, typed(DType::I32, x.clone())))),
            (DType::U32, DType::I64) => return Ok(Some(bitcast(to, ty.lanes, typed(DType::U64, x.clone())))),
            (DType::I64, DType::U64) | (DType::U64, DType::I64) => return Ok(Some(bitcast(to, ty.lanes, x.clone()))),
            _ => return Ok(None),
        };
        self.helper(&name, ty.lanes, std::slice::from_ref(x)).map(Some)
    }
}

fn bitcast(to: DType, lanes: u8, x: Expr) -> Expr {
    Expr::call(&format!("bitcast<{}>", type_name(Ty { dtype: to, lanes })), &[x])
}
