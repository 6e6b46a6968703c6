//! The same input gives the same plan, byte for byte, in every process; the same plan gives the same results, bit for bit.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use girih_driver::{Options, compile};
use girih_graph::testing::{Config, random_graph};
use girih_plan::file;
use girih_tests::emulated::emulated;
use girih_tests::{Rig, cpu, run};
use std::process::Command;

const GRAPHS: u64 = 60;

/// The plans of many graphs for a target, as their files; one hash.
fn plans(rig: &Rig) -> u128 {
    let mut all = Vec::new();
    for seed in 0..GRAPHS {
        let graph = random_graph(seed, &Config { max_elements: 512, ..Config::default() }).graph;
        match compile(&graph, &*rig.target, &Options::for_target(&*rig.target)) {
            Ok(done) => all.extend(file::write(&done.plan, 0).unwrap()),
            Err(refusal) => all.extend(refusal.to_string().into_bytes()),
        }
    }
    file::hash(&[&all])
}

/// What a child process prints; not a test of its own.
#[test]
fn child() {
    if std::env::var("GIRIH_DETERMINISM_CHILD").is_ok() {
        println!("plans {:032x} {:032x}", plans(&cpu()), plans(&emulated()));
    }
}

/// Every process has other seeds for its hash tables, and another memory layout.
#[test]
fn plans_are_equal_across_processes() {
    let child = || {
        let program = std::env::current_exe().unwrap();
        let out = Command::new(program)
            .args(["child", "--exact", "--nocapture"])
            .env("GIRIH_DETERMINISM_CHILD", "1")
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let at = text.find("plans ").unwrap_or_else(|| panic!("{text}"));
        text[at..].lines().next().unwrap().to_string()
    };
    let own = format!("plans {:032x} {:032x}", plans(&cpu()), plans(&emulated()));
    for _ in 0..2 {
        assert_eq!(child(), own);
    }
}

#[test]
fn results_are_equal_across_runs() {
    for seed in 0..GRAPHS {
        let sample = random_graph(seed, &Config::default());
        let rig = cpu();
        let options = Options::for_target(&*rig.target);
        let once = || -> Vec<Vec<u8>> {
            let values = run(&rig, &sample.graph, &sample.inputs, &sample.bindings, &options).unwrap();
            values.iter().map(|v| v.array().unwrap().encode()).collect()
        };
        let first = once();
        for _ in 0..3 {
            assert!(once() == first, "seed {seed}");
        }
    }
}
