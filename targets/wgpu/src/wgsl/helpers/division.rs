//! Remainders and quotients, exact.

use super::{F, Helper, Lanes};

pub const ROWS: &[Helper] = &[
    Helper {
        name: "rem",
        arity: 2,
        lanes: Lanes::Each,
        types: F,
        needs: &[],
        text: "// Remainder with the sign of x, exact: long division of the mantissas.
fn girih_rem(x: f32, y: f32) -> f32 {
    let sign = bitcast<u32>(x) & 0x80000000u;
    let a = bitcast<u32>(x) & 0x7fffffffu;
    let b = bitcast<u32>(y) & 0x7fffffffu;
    if (b == 0u || a >= 0x7f800000u || b > 0x7f800000u) {
        return bitcast<f32>(0x7fc00000u);
    }
    if (a < b) {
        return x;
    }
    let za = select(0u, countLeadingZeros(a) - 8u, a < 0x800000u);
    let zb = select(0u, countLeadingZeros(b) - 8u, b < 0x800000u);
    var m = select((a & 0x7fffffu) | 0x800000u, a << za, a < 0x800000u);
    let d = select((b & 0x7fffffu) | 0x800000u, b << zb, b < 0x800000u);
    let top = select(i32(a >> 23u), 1i - i32(za), a < 0x800000u);
    let low = select(i32(b >> 23u), 1i - i32(zb), b < 0x800000u);
    for (var e = top; e > low; e -= 1i) {
        m = select(m, m - d, m >= d) << 1u;
    }
    m = select(m, m - d, m >= d);
    if (m == 0u) {
        return bitcast<f32>(sign);
    }
    let zeros = countLeadingZeros(m) - 8u;
    m = m << zeros;
    let e = low - i32(zeros);
    let bits = select(m >> (u32(1i - e) & 31u), (m & 0x7fffffu) | (u32(e) << 23u), e > 0i);
    return bitcast<f32>(sign | bits);
}",
    },
    Helper {
        name: "floor_div",
        arity: 2,
        lanes: Lanes::Each,
        types: F,
        needs: &["rem"],
        text: "// By the exact remainder: a rounded quotient may be whole where the exact one is below.
fn girih_floor_div(x: f32, y: f32) -> f32 {
    let q = x / y;
    if (y == 0.0 || (bitcast<u32>(q) & 0x7f800000u) == 0x7f800000u || (bitcast<u32>(y) & 0x7fffffffu) == 0x7f800000u) {
        return q;
    }
    let r = girih_rem(x, y);
    let whole = round((x - r) / y);
    return whole - select(0.0, 1.0, r != 0.0 && (r < 0.0) != (y < 0.0));
}",
    },
    Helper {
        name: "floor_div_int",
        arity: 2,
        lanes: Lanes::Any,
        types: ["$I", "$I"],
        needs: &[],
        text: "fn girih_floor_div_int$n(x: $I, y: $I) -> $I {
    let down = (x % y != $I(0i)) & ((x < $I(0i)) != (y < $I(0i)));
    return x / y - select($I(0i), $I(1i), down);
}",
    },
    Helper {
        name: "mul_hi",
        arity: 2,
        lanes: Lanes::Any,
        types: ["$U", "$U"],
        needs: &[],
        text: "// High word of the product, from 16-bit halves.
fn girih_mul_hi$n(x: $U, y: $U) -> $U {
    let x0 = x & $U(0xffffu);
    let x1 = x >> $U(16u);
    let y0 = y & $U(0xffffu);
    let y1 = y >> $U(16u);
    let a = x1 * y0 + ((x0 * y0) >> $U(16u));
    let b = x0 * y1 + (a & $U(0xffffu));
    return x1 * y1 + (a >> $U(16u)) + (b >> $U(16u));
}",
    },
    Helper {
        name: "mul_hi_int",
        arity: 2,
        lanes: Lanes::Any,
        types: ["$I", "$I"],
        needs: &["mul_hi"],
        text: "fn girih_mul_hi_int$n(x: $I, y: $I) -> $I {
    let high = bitcast<$I>(girih_mul_hi$n(bitcast<$U>(x), bitcast<$U>(y)));
    return high - select($I(0i), y, x < $I(0i)) - select($I(0i), x, y < $I(0i));
}",
    },
];
