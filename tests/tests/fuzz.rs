//! Random graphs on every target. `GIRIH_FUZZ_GRAPHS` and `GIRIH_FUZZ_FIRST` choose how many and from which seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use girih_base::DType;
use girih_graph::testing::Config;
use girih_tests::emulated::{emulated, emulated_wide};
use girih_tests::fuzz::{fuzz, setting};
use girih_tests::{cpu, cpu_in_small_tiles};

#[test]
fn on_cpu() {
    let (first, count) = (setting("GIRIH_FUZZ_FIRST", 0), setting("GIRIH_FUZZ_GRAPHS", 300));
    let report = fuzz(&cpu(), &Config::default(), first, count, |_| false);
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert_eq!(report.compared as u64, count);
}

/// Tiles of a few elements: every array has loops, grids and tails.
#[test]
fn on_cpu_in_small_tiles() {
    let (first, count) = (setting("GIRIH_FUZZ_FIRST", 0), setting("GIRIH_FUZZ_GRAPHS", 300));
    let report = fuzz(&cpu_in_small_tiles(), &Config::default(), first, count, |_| false);
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert_eq!(report.compared as u64, count);
}

/// Graphs over the dtypes that 32-bit GPUs can hold.
fn small() -> Config {
    use DType::*;
    let dtypes = vec![Bool, I8, U8, I16, U16, I32, U32, F16, Bf16, F32];
    Config { nodes: 8, max_elements: 512, dtypes, ..Config::default() }
}

#[test]
fn emulated_gpu() {
    let (first, count) = (setting("GIRIH_FUZZ_FIRST", 0), setting("GIRIH_FUZZ_GRAPHS", 300) / 3);
    // Refused by name: dtypes of 64 bits, and tiles that need more workgroup memory than there is.
    let report = fuzz(&emulated(), &small(), first, count, |d| matches!(d.code, "L202" | "L203" | "L206"));
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert!(report.compared as u64 * 10 > count * 9, "{}", report.text());
}

/// 64-bit dtypes on a GPU that has them.
#[test]
fn emulated_wide_gpu() {
    use DType::*;
    let dtypes = vec![Bool, I32, I64, U64, F32, F64, I64, F64];
    let config = Config { dtypes, ..small() };
    let (first, count) = (setting("GIRIH_FUZZ_FIRST", 0), setting("GIRIH_FUZZ_GRAPHS", 300) / 3);
    let report = fuzz(&emulated_wide(), &config, first, count, |d| matches!(d.code, "L203" | "L206"));
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert!(report.compared as u64 * 10 > count * 9, "{}", report.text());
}
