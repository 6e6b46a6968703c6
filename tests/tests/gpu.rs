//! Random graphs and library functions through WGSL on whatever adapter there is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use girih_base::DType;
use girih_graph::testing::Config;
use girih_tests::fuzz::{fuzz, setting};
use girih_tests::gpu::gpu;

#[test]
fn random_graphs() {
    let Some(rig) = gpu() else { return };
    use DType::*;
    let dtypes = vec![Bool, I8, U8, I16, U16, I32, U32, F16, Bf16, F32];
    let config = Config { nodes: 8, max_elements: 512, dtypes, ..Config::default() };
    let (first, count) = (setting("GIRIH_FUZZ_FIRST", 0), setting("GIRIH_FUZZ_GRAPHS", 300) / 10);
    // Refused by name: dtypes of 64 bits where the adapter has none, operations that WGSL lacks on them where it has, and tiles
    // that need more workgroup memory than there is.
    let report = fuzz(&rig, &config, first, count, |d| matches!(d.code, "L202" | "L203" | "L206" | "W001"));
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert!(report.compared as u64 * 10 > count * 9, "{}", report.text());
}
