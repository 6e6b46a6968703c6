//! Random graphs and library functions through WGSL on whatever adapter there is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use girih_base::DType;
use girih_graph::testing::Config;
use girih_tests::fuzz::{fuzz, setting};
use girih_tests::gpu::{gpu, gpu_with};

#[test]
fn random_graphs() {
    use DType::*;
    random(vec![Bool, I8, U8, I16, U16, I32, U32, F16, Bf16, F32], 10, 0);
}

/// 64-bit dtypes where the adapter has them; where it lacks them, every graph is refused by name.
#[test]
fn random_wide_graphs() {
    use DType::*;
    random(vec![Bool, I32, I64, U64, F32, F64, I64, F64], 10, 100_000);
}

fn random(dtypes: Vec<DType>, share: u64, offset: u64) {
    let Some(rig) = gpu() else { return };
    let native = dtypes.iter().all(|d| d.bits() < 64 || rig.target.desc().native.contains(d));
    let config = Config { nodes: 8, max_elements: 512, dtypes, ..Config::default() };
    let (first, count) = (setting("GIRIH_FUZZ_FIRST", 0) + offset, setting("GIRIH_FUZZ_GRAPHS", 300) / share);
    // Refused by name: dtypes of 64 bits where the adapter has none, operations that WGSL lacks on them where it has, and tiles
    // that need more workgroup memory than there is.
    let report = fuzz(&rig, &config, first, count, |d| matches!(d.code, "L202" | "L203" | "L206" | "W001"));
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert!(!native || report.compared as u64 * 10 > count * 8, "{}", report.text());
}

/// The same with tensors larger than a binding, and than a buffer: every kernel on arguments in several parts.
#[test]
fn random_graphs_in_parts() {
    let options = girih_wgpu::Options { max_binding: Some(512), max_buffer: Some(1500), ..Default::default() };
    let Some(rig) = gpu_with(options) else { return };
    let config = Config {
        nodes: 6,
        max_elements: 512,
        dtypes: vec![DType::Bool, DType::U8, DType::I32, DType::F16, DType::F32],
        ..Config::default()
    };
    let (first, count) = (setting("GIRIH_FUZZ_FIRST", 0), setting("GIRIH_FUZZ_GRAPHS", 300) / 20);
    // An adapter with few bindings refuses by name what needs more parts.
    let report = fuzz(&rig, &config, first, count, |d| matches!(d.code, "L202" | "L203" | "L206" | "W001" | "W016"));
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert!(report.compared as u64 * 2 > count, "{}", report.text());
}
