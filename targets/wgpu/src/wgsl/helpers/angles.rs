//! Angles: sine, cosine and the inverse tangent.

use super::{F, Helper, Lanes};

pub const ROWS: &[Helper] = &[
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
];
