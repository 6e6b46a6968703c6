//! Special values that comparisons and builtins do not agree on.

use super::{F, Helper, Lanes};

pub const ROWS: &[Helper] = &[
    Helper {
        name: "is_nan",
        arity: 1,
        lanes: Lanes::Any,
        types: ["$T", "$B"],
        needs: &[],
        text: "// By its bits, since drivers may assume that comparisons see no NaN.
fn girih_is_nan$n(x: $T) -> $B {
    return (bitcast<$U>(x) & $U(0x7fffffffu)) > $U(0x7f800000u);
}",
    },
    Helper {
        name: "max",
        arity: 2,
        lanes: Lanes::Any,
        types: F,
        needs: &["is_nan"],
        text: "// NaN if either is NaN.
fn girih_max$n(x: $T, y: $T) -> $T {
    return select(max(x, y), $T(bitcast<f32>(0x7fc00000u)), girih_is_nan$n(x) | girih_is_nan$n(y));
}",
    },
    Helper {
        name: "min",
        arity: 2,
        lanes: Lanes::Any,
        types: F,
        needs: &["is_nan"],
        text: "// NaN if either is NaN.
fn girih_min$n(x: $T, y: $T) -> $T {
    return select(min(x, y), $T(bitcast<f32>(0x7fc00000u)), girih_is_nan$n(x) | girih_is_nan$n(y));
}",
    },
];
