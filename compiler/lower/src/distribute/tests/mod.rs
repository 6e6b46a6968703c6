#![allow(clippy::unwrap_used, clippy::panic)]
//! Tile kernels are distributed for several targets, run in the emulator and compared with plain loops.

mod data;
mod dots;
mod elementwise;
mod folds;
mod memory;
mod snapshots;

use crate::TargetDesc;
use girih_base::{Bindings, DType};
use girih_simt::emulate;
use girih_tile::Kernel;

/// Targets that differ in everything the pass looks at.
pub fn targets() -> Vec<TargetDesc> {
    let base = TargetDesc { workgroup_bytes: 65536, ..TargetDesc::webgpu() };
    vec![
        base.clone(),
        TargetDesc { name: "small".into(), threads: 32, dot_block: [4, 4], staging: true, ..base.clone() },
        TargetDesc {
            name: "wide".into(),
            threads: 256,
            dot_block: [16, 8],
            subgroups: true,
            subgroup_size: [32, 32],
            ..base.clone()
        },
        TargetDesc {
            name: "cpu".into(),
            threads: 8,
            dot_block: [8, 8],
            subgroups: true,
            subgroup_size: [8, 8],
            ..base
        },
    ]
}

/// Distributes and runs; gives the buffers afterwards.
pub fn run_on(desc: &TargetDesc, kernel: &Kernel, buffers: &[Vec<u8>], sizes: &[(&str, i64)]) -> Vec<Vec<u8>> {
    let simt = super::distribute(kernel, desc).unwrap_or_else(|d| panic!("{}: {d}", desc.name));
    girih_simt::verify::verify(&simt).unwrap_or_else(|d| panic!("{}: {d}", desc.name));
    let sizes: Bindings = sizes.iter().map(|(n, v)| ((*n).into(), *v)).collect();
    let mut buffers: Vec<Vec<u8>> = buffers.to_vec();
    for b in &mut buffers {
        b.resize(b.len().next_multiple_of(4), 0);
    }
    let options = emulate::Options { subgroup: desc.subgroup_size[0], ..Default::default() };
    emulate::run(&simt, &mut buffers, &sizes, options).unwrap_or_else(|d| panic!("{}: {d}\n{simt:#?}", desc.name));
    buffers
}

/// Runs on every target and compares buffer `out` as f32.
pub fn expect_f32(
    kernel: &Kernel,
    buffers: &[Vec<u8>],
    sizes: &[(&str, i64)],
    out: usize,
    want: &[f32],
    tolerance: f32,
) {
    for desc in targets() {
        let got = data::floats(&run_on(&desc, kernel, buffers, sizes)[out]);
        compare(&desc.name, &got, want, tolerance);
    }
}

/// Compares floats up to `tolerance`, absolute and relative.
pub fn compare(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let same = g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= tolerance * (1.0 + w.abs());
        assert!(same, "{what}: element {i} is {g}, should be {w}");
    }
}

/// Bits of a dtype that tests name often.
pub const F32: DType = DType::F32;
