//! Functions that kernels call where WGSL's builtins are missing, inexact, or differ between drivers. One row each.
//!
//! `$T`, `$U`, `$I`, `$B` stand for f32, u32, i32, bool or vectors of them, `$n` for the number of lanes. A row marked
//! [`Lanes::Each`] is written for one lane; its vector form calls it lane by lane.
//!
//! Polynomials are least-squares fits made for this table; the error of each is given.

/// Whether the text works for vectors as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Written with `$T`.
    Any,
    /// Written for scalars.
    Each,
}

/// A helper function.
#[derive(Debug)]
pub struct Helper {
    /// Name without the prefix `girih_`.
    pub name: &'static str,
    /// Number of arguments.
    pub arity: usize,
    /// How vectors are done.
    pub lanes: Lanes,
    /// Types of the arguments and the result, in the letters of the template.
    pub types: [&'static str; 2],
    /// Helpers it calls.
    pub needs: &'static [&'static str],
    /// Why it is there, and its text.
    pub text: &'static str,
}

const F: [&str; 2] = ["$T", "$T"];

/// The table.
pub const HELPERS: &[Helper] = &[
    Helper { name: "is_nan", arity: 1, lanes: Lanes::Any, types: ["$T", "$B"], needs: &[], text: "// By its bits, since drivers may assume that comparisons see no NaN.
fn girih_is_nan$n(x: $T) -> $B {
    return (bitcast<$U>(x) & $U(0x7fffffffu)) > $U(0x7f800000u);
}" },
    Helper { name: "max", arity: 2, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// NaN if either is NaN.
fn girih_max$n(x: $T, y: $T) -> $T {
    return select(max(x, y), $T(bitcast<f32>(0x7fc00000u)), girih_is_nan$n(x) | girih_is_nan$n(y));
}" },
    Helper { name: "min", arity: 2, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// NaN if either is NaN.
fn girih_min$n(x: $T, y: $T) -> $T {
    return select(min(x, y), $T(bitcast<f32>(0x7fc00000u)), girih_is_nan$n(x) | girih_is_nan$n(y));
}" },
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
    Helper { name: "atan2", arity: 2, lanes: Lanes::Any, types: F, needs: &["is_nan"], text: "// Angle of (x, y): smaller over larger, folded to [0, tan pi/8], odd polynomial (error 2e-8), then the octant.
fn girih_atan2$n(y: $T, x: $T) -> $T {
    let ax = abs(x);
    let ay = abs(y);
    let large = max(ax, ay);
    let scale = select(select($T(1.0), $T(0.0625), large > $T(1e37)), $T(16777216.0), large < $T(1e-30));
    let divisor = select(large * scale, $T(1.0), large == $T(0.0));
    let both = min(ax, ay) > $T(3.4028235e38);
    let ratio = select(min(ax, ay) * scale / divisor, $T(0.0), large > $T(3.4028235e38));
    let q = select(ratio, $T(1.0), both);
    let fold = q > $T(0.41421357);
    let t = select(q, (q - $T(1.0)) / (q + $T(1.0)), fold);
    let z = t * t;
    let p = z * (z * (z * 0.08059283 + $T(-0.13879555)) + $T(0.199779)) + $T(-0.33332956);
    let octant = t + t * z * p + select($T(0.0), $T(0.7853982), fold);
    let quadrant = select(octant, $T(1.5707964) - octant, ay > ax);
    let angle = select(quadrant, $T(3.1415927) - quadrant, bitcast<$U>(x) > $U(0x7fffffffu));
    let signed = bitcast<$T>(bitcast<$U>(angle) | (bitcast<$U>(y) & $U(0x80000000u)));
    return select(signed, $T(bitcast<f32>(0x7fc00000u)), girih_is_nan$n(x) | girih_is_nan$n(y));
}" },
    Helper { name: "quadrant", arity: 1, lanes: Lanes::Each, types: F, needs: &["mul_hi"], text: "// x - n pi/2 in [-pi/4, pi/4], and n mod 4. Below 4096 by a split pi/2 (Cody and Waite), whose products are exact;
// above by the bits of 2/pi that matter (Payne and Hanek). The builtins lose all digits of large angles.
fn girih_quadrant(x: f32) -> vec2<f32> {
    if (abs(x) < 4096.0) {
        let n = round(x * 0.63661975);
        let r = (((x - n * 1.5703125) - n * 0.0004837513) - n * 7.5495336e-8) - n * 2.563344e-12;
        return vec2<f32>(r, f32(i32(n) & 3i));
    }
    var digits = array<u32, 8>(0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu);
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let mantissa = (bits << 8u) | 0x80000000u;
    let shift = (bits >> 23u) - 128u;
    let at = shift >> 5u;
    let s = shift & 31u;
    let low = mantissa * digits[at + 2u];
    let c = low + girih_mul_hi(mantissa, digits[at + 3u]);
    let carry = select(0u, 1u, c < low);
    let middle = mantissa * digits[at + 1u];
    let b0 = middle + girih_mul_hi(mantissa, digits[at + 2u]);
    let b = b0 + carry;
    let a = mantissa * digits[at] + girih_mul_hi(mantissa, digits[at + 1u]) + select(0u, 1u, b0 < middle) + select(0u, 1u, b < b0);
    let up = select(32u - s, 31u, s == 0u);
    let keep = select(0xffffffffu, 0u, s == 0u);
    var hi = (a << s) | ((b >> up) & keep);
    var lo = (b << s) | ((c >> up) & keep);
    var n = hi >> 30u;
    hi = (hi << 2u) | (lo >> 30u);
    lo = lo << 2u;
    let over = hi >= 0x80000000u;
    if (over) {
        n = n + 1u;
        lo = ~lo + 1u;
        hi = ~hi + select(0u, 1u, lo == 0u);
    }
    let zeros = countLeadingZeros(hi);
    if (zeros == 32u) {
        hi = lo;
    } else if (zeros > 0u) {
        hi = (hi << zeros) | (lo >> (32u - zeros));
    }
    let r = f32(hi) * bitcast<f32>((95u - zeros) << 23u) * 1.5707964;
    let negative = over != (bitcast<u32>(x) > 0x7fffffffu);
    let turn = select(n, 4u - (n & 3u), bitcast<u32>(x) > 0x7fffffffu);
    return vec2<f32>(select(r, -r, negative), f32(turn & 3u));
}" },
    Helper { name: "sin", arity: 1, lanes: Lanes::Each, types: F, needs: &["quadrant", "wave"], text: "fn girih_sin(x: f32) -> f32 {
    if ((bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u) {
        return bitcast<f32>(0x7fc00000u);
    }
    let reduced = girih_quadrant(x);
    return girih_wave(reduced.x, u32(reduced.y));
}" },
    Helper { name: "cos", arity: 1, lanes: Lanes::Each, types: F, needs: &["quadrant", "wave"], text: "fn girih_cos(x: f32) -> f32 {
    if ((bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u) {
        return bitcast<f32>(0x7fc00000u);
    }
    let reduced = girih_quadrant(x);
    return girih_wave(reduced.x, u32(reduced.y) + 1u);
}" },
    Helper { name: "wave", arity: 2, lanes: Lanes::Each, types: F, needs: &[], text: "// sin(r + n pi/2) for r in [-pi/4, pi/4]; polynomials' errors 4e-9 and 1e-10.
fn girih_wave(r: f32, n: u32) -> f32 {
    let z = r * r;
    let sine = r + r * z * (z * (z * -0.0001951087 + 0.0083321314) + -0.16666654);
    let cosine = 1.0 - 0.5 * z + z * z * (z * (z * 2.443124e-5 + -0.0013887306) + 0.041666646);
    let y = select(sine, cosine, (n & 1u) == 1u);
    return select(y, -y, (n & 2u) == 2u);
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
    Helper { name: "rem", arity: 2, lanes: Lanes::Each, types: F, needs: &[], text: "// Remainder with the sign of x, exact: long division of the mantissas.
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
}" },
    Helper { name: "floor_div", arity: 2, lanes: Lanes::Each, types: F, needs: &["rem"], text: "// By the exact remainder: a rounded quotient may be whole where the exact one is below.
fn girih_floor_div(x: f32, y: f32) -> f32 {
    let q = x / y;
    if (y == 0.0 || (bitcast<u32>(q) & 0x7f800000u) == 0x7f800000u || (bitcast<u32>(y) & 0x7fffffffu) == 0x7f800000u) {
        return q;
    }
    let r = girih_rem(x, y);
    let whole = round((x - r) / y);
    return whole - select(0.0, 1.0, r != 0.0 && (r < 0.0) != (y < 0.0));
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
    Helper { name: "floor_div_int", arity: 2, lanes: Lanes::Any, types: ["$I", "$I"], needs: &[], text: "fn girih_floor_div_int$n(x: $I, y: $I) -> $I {
    let down = (x % y != $I(0i)) & ((x < $I(0i)) != (y < $I(0i)));
    return x / y - select($I(0i), $I(1i), down);
}" },
    Helper { name: "mul_hi", arity: 2, lanes: Lanes::Any, types: ["$U", "$U"], needs: &[], text: "// High word of the product, from 16-bit halves.
fn girih_mul_hi$n(x: $U, y: $U) -> $U {
    let x0 = x & $U(0xffffu);
    let x1 = x >> $U(16u);
    let y0 = y & $U(0xffffu);
    let y1 = y >> $U(16u);
    let a = x1 * y0 + ((x0 * y0) >> $U(16u));
    let b = x0 * y1 + (a & $U(0xffffu));
    return x1 * y1 + (a >> $U(16u)) + (b >> $U(16u));
}" },
    Helper { name: "mul_hi_int", arity: 2, lanes: Lanes::Any, types: ["$I", "$I"], needs: &["mul_hi"], text: "fn girih_mul_hi_int$n(x: $I, y: $I) -> $I {
    let high = bitcast<$I>(girih_mul_hi$n(bitcast<$U>(x), bitcast<$U>(y)));
    return high - select($I(0i), y, x < $I(0i)) - select($I(0i), x, y < $I(0i));
}" },
    Helper { name: "to_int", arity: 1, lanes: Lanes::Any, types: ["$T", "$I"], needs: &["is_nan"], text: "// Toward zero, limited to the range, 0 of NaN.
fn girih_to_int$n(x: $T) -> $I {
    let y = select($I(clamp(x, $T(-2147483648.0), $T(2147483520.0))), $I(2147483647i), x >= $T(2147483648.0));
    return select(y, $I(0i), girih_is_nan$n(x));
}" },
    Helper { name: "to_uint", arity: 1, lanes: Lanes::Any, types: ["$T", "$U"], needs: &["is_nan"], text: "// Toward zero, limited to the range, 0 of NaN.
fn girih_to_uint$n(x: $T) -> $U {
    let y = select($U(clamp(x, $T(0.0), $T(4294967040.0))), $U(4294967295u), x >= $T(4294967296.0));
    return select(y, $U(0u), girih_is_nan$n(x));
}" },
    Helper { name: "pack_half", arity: 1, lanes: Lanes::Each, types: ["vec2<f32>", "u32"], needs: &[], text: "// Two f16 in a word, rounded to nearest even; drivers differ in how pack2x16float rounds and overflows.
fn girih_pack_half(x: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(x);
    let a = bits & vec2<u32>(0x7fffffffu);
    let large = a - vec2<u32>(0x38000000u);
    let usual = (large + vec2<u32>(0xfffu) + ((large >> vec2<u32>(13u)) & vec2<u32>(1u))) >> vec2<u32>(13u);
    let shift = min(vec2<u32>(126u) - min(a >> vec2<u32>(23u), vec2<u32>(112u)), vec2<u32>(25u));
    let m = (a & vec2<u32>(0x7fffffu)) | vec2<u32>(0x800000u);
    let half = (vec2<u32>(1u) << (shift - vec2<u32>(1u))) - vec2<u32>(1u);
    let small = (m + half + ((m >> shift) & vec2<u32>(1u))) >> shift;
    let number = select(small, usual, a >= vec2<u32>(0x38800000u));
    let limited = select(number, vec2<u32>(0x7c00u), a >= vec2<u32>(0x477ff000u));
    let h = select(limited, vec2<u32>(0x7e00u), a > vec2<u32>(0x7f800000u)) | ((bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u));
    return h.x | (h.y << 16u);
}" },
];
