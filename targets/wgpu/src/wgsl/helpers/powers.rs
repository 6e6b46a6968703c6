//! Exponentials, logarithms, powers, roots, and what is made of them.

use super::{F, Helper, Lanes};

pub const ROWS: &[Helper] = &[
    Helper { name: "exp", arity: 1, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// Infinite above ln(largest), 0 below ln(smallest), NaN of NaN on every driver.
fn girih_exp$n(x: $T) -> $T {
    let y = select(exp(clamp(x, $T(-104.0), $T(88.72283))), $T(bitcast<f32>(0x7f800000u)), x >= $T(88.72284));
    return select(select(y, $T(0.0), x < $T(-103.97208)), x, girih_is_nan$n(x));
}" },
    Helper { name: "exp2", arity: 1, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// Infinite from 128, 0 below -150, NaN of NaN on every driver.
fn girih_exp2$n(x: $T) -> $T {
    let y = select(exp2(clamp(x, $T(-151.0), $T(127.99999))), $T(bitcast<f32>(0x7f800000u)), x >= $T(128.0));
    return select(select(y, $T(0.0), x < $T(-150.0)), x, girih_is_nan$n(x));
}" },
    Helper { name: "log", arity: 1, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// -inf of 0, NaN below, inf of inf on every driver.
fn girih_log$n(x: $T) -> $T {
    let tiny = x < $T(1.1754944e-38);
    let number = log(select(x, x * 16777216.0, tiny)) - select($T(0.0), $T(16.635532), tiny);
    let y = select(number, $T(bitcast<f32>(0xff800000u)), x == $T(0.0));
    let z = select(y, x, x > $T(3.4028235e38));
    return select(z, $T(bitcast<f32>(0x7fc00000u)), (x < $T(0.0)) | girih_is_nan$n(x));
}" },
    Helper { name: "log2", arity: 1, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// -inf of 0, NaN below, inf of inf on every driver.
fn girih_log2$n(x: $T) -> $T {
    let tiny = x < $T(1.1754944e-38);
    let number = log2(select(x, x * 16777216.0, tiny)) - select($T(0.0), $T(24.0), tiny);
    let y = select(number, $T(bitcast<f32>(0xff800000u)), x == $T(0.0));
    let z = select(y, x, x > $T(3.4028235e38));
    return select(z, $T(bitcast<f32>(0x7fc00000u)), (x < $T(0.0)) | girih_is_nan$n(x));
}" },
    Helper { name: "log1p", arity: 1, lanes: Lanes::Any, types: F, needs: &["log"], text: "// ln(1 + x) by 2 artanh(x / (2 + x)) near 0, where 1 + x loses digits.
fn girih_log1p$n(x: $T) -> $T {
    let s = x / (x + $T(2.0));
    let z = s * s;
    let near = 2.0 * s * (z * (z * (z * (z * 0.11111111 + $T(0.14285715)) + $T(0.2)) + $T(0.33333334)) + $T(1.0));
    return select(girih_log$n(x + $T(1.0)), select(near, x, abs(x) < $T(1e-6)), abs(x) < $T(0.25));
}" },
    Helper { name: "exp_scaled", arity: 2, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// 2^k e^x to the last digits, by x = n ln 2 + r and a series of r; the builtin loses digits of large x.
fn girih_exp_scaled$n(x: $T, k: $T) -> $T {
    let y = clamp(x, $T(-110.0), $T(95.0));
    let n = round(y * 1.442695);
    let r = (y - n * 0.69335938) - n * -0.00021219444;
    let p0 = r * (r * (r * 0.0001984127 + $T(0.0013888889)) + $T(0.008333334)) + $T(0.041666668);
    let p = r * (r * (r * (r * p0 + $T(0.16666667)) + $T(0.5)) + $T(1.0)) + $T(1.0);
    let half = trunc((n + k) * 0.5);
    let one = bitcast<$T>($U($I(half) + $I(127i)) << $U(23u));
    let two = bitcast<$T>($U($I(n + k - half) + $I(127i)) << $U(23u));
    return select(p * one * two, x, girih_is_nan$n(x));
}" },
    Helper { name: "expm1", arity: 1, lanes: Lanes::Any, types: F, needs: &["exp_scaled"], text: "// e^x - 1 by its series near 0, where e^x - 1 loses digits.
fn girih_expm1$n(x: $T) -> $T {
    let a = x * (x * (x * (x * 2.4801588e-5 + $T(0.0001984127)) + $T(0.0013888889)) + $T(0.008333334));
    let near = x * (x * (x * (x * (a + $T(0.041666668)) + $T(0.16666667)) + $T(0.5)) + $T(1.0));
    return select(girih_exp_scaled$n(x, $T(0.0)) - $T(1.0), near, abs(x) < $T(0.5));
}" },
    Helper { name: "sinh", arity: 1, lanes: Lanes::Any, types: F, needs: &["exp_scaled"], text: "// (e^x - e^-x) / 2 by its series near 0; halved inside e^x, which overflows first.
fn girih_sinh$n(x: $T) -> $T {
    let z = x * x;
    let near = x * (z * (z * (z * (z * 2.7557319e-6 + $T(0.0001984127)) + $T(0.008333334)) + $T(0.16666667)) + $T(1.0));
    let half = girih_exp_scaled$n(abs(x), $T(-1.0));
    let far = half - 0.25 / half;
    let signed = bitcast<$T>(bitcast<$U>(far) | (bitcast<$U>(x) & $U(0x80000000u)));
    return select(signed, near, abs(x) < $T(1.0));
}" },
    Helper { name: "cosh", arity: 1, lanes: Lanes::Any, types: F, needs: &["exp_scaled"], text: "// (e^x + e^-x) / 2, halved inside e^x, which overflows first.
fn girih_cosh$n(x: $T) -> $T {
    let half = girih_exp_scaled$n(abs(x), $T(-1.0));
    return half + 0.25 / half;
}" },
    Helper { name: "softplus", arity: 1, lanes: Lanes::Any, types: F, needs: &["exp_scaled", "log1p"], text: "// ln(1 + e^x)
fn girih_softplus$n(x: $T) -> $T {
    return max(x, $T(0.0)) + girih_log1p$n(girih_exp_scaled$n(-abs(x), $T(0.0)));
}" },
    Helper { name: "asinh", arity: 1, lanes: Lanes::Any, types: F, needs: &["is_nan", "log", "log1p"], text: "// ln(a + sqrt(a^2 + 1)) with the sign of x; ln 2a where squares could overflow.
fn girih_asinh$n(x: $T) -> $T {
    let a = abs(x);
    let b = min(a, $T(1e4));
    let near = girih_log1p$n(b + b * b / (sqrt(b * b + $T(1.0)) + $T(1.0)));
    let y = select(near, girih_log$n(a) + $T(0.6931472), a > $T(1e4));
    return select(bitcast<$T>(bitcast<$U>(y) | (bitcast<$U>(x) & $U(0x80000000u))), x, girih_is_nan$n(x));
}" },
    Helper { name: "acosh", arity: 1, lanes: Lanes::Any, types: F, needs: &["log", "log1p"], text: "// ln(x + sqrt(x^2 - 1)); ln 2x where squares could overflow, NaN below 1.
fn girih_acosh$n(x: $T) -> $T {
    let b = clamp(x, $T(1.0), $T(1e4)) - $T(1.0);
    let near = girih_log1p$n(b + sqrt(b) * sqrt(b + $T(2.0)));
    let y = select(near, girih_log$n(x) + $T(0.6931472), x > $T(1e4));
    return select($T(bitcast<f32>(0x7fc00000u)), y, x >= $T(1.0));
}" },
    Helper { name: "tanh", arity: 1, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// Odd polynomial (error 5e-9) below 0.625, 1 - 2 / (e^2x + 1) above; the builtin overflows on some drivers.
fn girih_tanh$n(x: $T) -> $T {
    let a = abs(x);
    let z = x * x;
    let p = z * (z * (z * (z * -0.005717037 + $T(0.020650579)) + $T(-0.053743497)) + $T(0.13331491)) + $T(-0.33333284);
    let far = $T(1.0) - 2.0 / (exp(2.0 * min(a, $T(10.0))) + $T(1.0));
    let signed = bitcast<$T>(bitcast<$U>(far) | (bitcast<$U>(x) & $U(0x80000000u)));
    return select(select(signed, x + x * z * p, a < $T(0.625)), x, girih_is_nan$n(x));
}" },
    Helper { name: "erf", arity: 1, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// Odd polynomial (error 2e-9) below 1, 1 - e^q(x) above, where q fits ln erfc (error 2e-11).
fn girih_erf$n(x: $T) -> $T {
    let a = min(abs(x), $T(4.0));
    let z = a * a;
    let p0 = z * (z * (z * 7.889119e-5 + $T(-0.0008020841)) + $T(0.005189535)) + $T(-0.026854444);
    let p = z * (z * (z * p0 + $T(0.112836)) + $T(-0.37612626)) + $T(1.1283791);
    let q0 = a * (a * (a * (a * -2.1686812e-5 + $T(0.00044133590)) + $T(-0.004204559)) + $T(0.025208248)) + $T(-0.10841856);
    let q = a * (a * (a * q0 + $T(-0.6332199)) + $T(-1.1295785)) + $T(0.00018803816);
    let y = select($T(1.0) - exp(q), a * p, a < $T(1.0));
    let signed = bitcast<$T>(bitcast<$U>(y) | (bitcast<$U>(x) & $U(0x80000000u)));
    return select(signed, x, girih_is_nan$n(x));
}" },
    Helper { name: "pow", arity: 2, lanes: Lanes::Each, types: F, needs: &["is_nan"], text: "// x^y by log2 and product in two floats each, so that large powers keep their digits; the builtin loses them, and the sign.
// High parts are masked: drivers simplify (a + b) - a to b, but not through a mask.
fn girih_pow(x: f32, y: f32) -> f32 {
    if (y == 0.0 || x == 1.0) {
        return 1.0;
    }
    if (girih_is_nan(x) || girih_is_nan(y)) {
        return bitcast<f32>(0x7fc00000u);
    }
    let whole = abs(y) >= 8388608.0 || trunc(y) == y;
    let odd = whole && abs(y) < 16777216.0 && (i32(clamp(y, -16777216.0, 16777216.0)) & 1i) == 1i;
    let negative = bitcast<u32>(x) > 0x7fffffffu;
    let sign = select(0u, 0x80000000u, negative && odd);
    let a = abs(x);
    if (a == 0.0 || a > 3.4028235e38) {
        return bitcast<f32>(sign | select(0u, 0x7f800000u, (a == 0.0) == (y < 0.0)));
    }
    if (negative && !whole) {
        return bitcast<f32>(0x7fc00000u);
    }
    if (a == 1.0) {
        return bitcast<f32>(sign | 0x3f800000u);
    }
    let tiny = a < 1.1754944e-38;
    let bits = bitcast<u32>(select(a, a * 16777216.0, tiny));
    let upper = (bits & 0x7fffffu) > 0x3504f3u;
    let m = bitcast<f32>((bits & 0x7fffffu) | select(0x3f800000u, 0x3f000000u, upper));
    let e = f32(i32(bits >> 23u) - 127i + select(0i, 1i, upper) - select(0i, 24i, tiny));
    let f = m - 1.0;
    let t = f + 2.0;
    let s = f / t;
    let s1 = bitcast<f32>(bitcast<u32>(s) & 0xfffff000u);
    let t1 = bitcast<f32>(bitcast<u32>(t) & 0xfffff000u);
    let t2 = f - (t1 - 2.0);
    let s2 = ((f - s1 * t1) - s1 * t2) / t;
    let z = s * s;
    let series = s * z * (z * (z * (z * 0.11111111 + 0.14285715) + 0.2) + 0.33333334);
    let high = 2.8847656 * s1;
    let rest = 0.00062445678 * s1 + 2.88539 * (s2 + series);
    let log1 = bitcast<f32>(bitcast<u32>(e + high) & 0xfffff000u);
    let log2 = ((e - log1) + high) + rest;
    let w = clamp(y, -1e10, 1e10);
    let w1 = bitcast<f32>(bitcast<u32>(w) & 0xfffff000u);
    let p1 = w1 * log1;
    let p2 = (w - w1) * log1 + w * log2;
    let n = round(p1 + p2);
    if (n > 128.0) {
        return bitcast<f32>(sign | 0x7f800000u);
    }
    if (n < -150.0) {
        return bitcast<f32>(sign);
    }
    let half = i32(n) / 2i;
    let g = ((p1 - n) + p2) * 0.6931472;
    let g1 = g * (g * (g * (g * 0.0001984127 + 0.0013888889) + 0.008333334) + 0.041666668) + 0.16666667;
    let power = (g * (g * (g * g1 + 0.5) + 1.0) + 1.0) * bitcast<f32>(u32(half + 127i) << 23u) * bitcast<f32>(u32(i32(n) - half + 127i) << 23u);
    return bitcast<f32>(sign | bitcast<u32>(power));
}" },
    Helper { name: "cbrt", arity: 1, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// 2^(log2 |x| / 3), one Newton step, the sign of x; 0 and inf stay.
fn girih_cbrt$n(x: $T) -> $T {
    let a = abs(x);
    let tiny = a < $T(1.1754944e-38);
    let b = select(a, a * 16777216.0, tiny);
    let y = exp2(log2(b) * 0.33333334);
    let better = (y - (y - b / (y * y)) * 0.33333334) * select($T(1.0), $T(0.00390625), tiny);
    let signed = bitcast<$T>(bitcast<$U>(better) | (bitcast<$U>(x) & $U(0x80000000u)));
    return select(signed, x, (a == $T(0.0)) | (a > $T(3.4028235e38)) | girih_is_nan$n(x));
}" },
];
