//! Random graphs on every target. `GIRIH_FUZZ_GRAPHS` and `GIRIH_FUZZ_FIRST` choose how many and from which seed.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_graph::testing::Config;
use girih_tests::cpu;
use girih_tests::fuzz::{fuzz, setting};

#[test]
fn on_cpu() {
    let (first, count) = (setting("GIRIH_FUZZ_FIRST", 0), setting("GIRIH_FUZZ_GRAPHS", 300));
    let report = fuzz(&cpu(), &Config::default(), first, count, |_| false);
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert_eq!(report.compared as u64, count);
}
