//! Test data and its bytes.

use girih_base::Dim;
use girih_tile::{View, ViewAxis};

/// Repeatable numbers in -1..1.
pub fn random(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

pub fn bytes(x: &[f32]) -> Vec<u8> {
    x.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub fn ints(x: &[i32]) -> Vec<u8> {
    x.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub fn floats(raw: &[u8]) -> Vec<f32> {
    raw.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
}

pub fn to_ints(raw: &[u8]) -> Vec<i32> {
    raw.chunks_exact(4).map(|c| i32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
}

/// A view with these extents and strides, every access checked.
pub fn view(axes: &[(usize, usize)]) -> View {
    let axis = |(extent, stride): &(usize, usize)| ViewAxis {
        extent: Dim::from(*extent),
        stride: Dim::from(*stride),
        inside: false,
    };
    View { offset: Dim::ZERO, axes: axes.iter().map(axis).collect(), guards: Vec::new() }
}
