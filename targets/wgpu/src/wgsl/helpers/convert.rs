//! Conversions between number types.

use super::{Helper, Lanes};

pub const ROWS: &[Helper] = &[
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
