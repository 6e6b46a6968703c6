//! Graphs, lowered for GPUs, distributed and run in the emulator, agree with the graph evaluator.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{input, run, sample};
use girih_base::{DType, Dim};
use girih_graph::eval::compare::allclose;
use girih_graph::testing::{Config, Sample, random_graph};
use girih_graph::{Monoid, nn};
use girih_lower::TargetDesc;

fn descs() -> [TargetDesc; 3] {
    let base = TargetDesc::webgpu();
    [
        base.clone(),
        TargetDesc {
            threads: 256,
            dot_block: [16, 8],
            dot_depth: 16,
            subgroups: true,
            subgroup_size: [32, 32],
            ..base.clone()
        },
        TargetDesc { threads: 32, dot_block: [4, 4], dot_tile: [32, 32], staging: true, ..base },
    ]
}

fn check(name: &str, sample: &Sample, rtol: f64, atol: f64) {
    let want = sample.graph.eval(&sample.inputs, &sample.bindings).unwrap();
    for (i, desc) in descs().iter().enumerate() {
        let got = run(sample, desc).unwrap_or_else(|d| panic!("{name}, target {i}: {d}"));
        for (g, w) in got.iter().zip(&want) {
            allclose(g, w, rtol, atol).unwrap_or_else(|e| panic!("{name}, target {i}: {e}"));
        }
    }
}

#[test]
fn common_layers() {
    let layers = [
        sample("softmax", |g| {
            let x = input(g, "x", &[10, 300]);
            nn::softmax(g, x, 1).unwrap()
        }),
        sample("layer_norm", |g| {
            let (x, w, b) = (input(g, "x", &[2, 6, 96]), input(g, "w", &[96]), input(g, "b", &[96]));
            nn::layer_norm(g, x, w, b, 1e-5).unwrap()
        }),
        sample("matmul", |g| {
            let (a, b) = (input(g, "a", &[70, 50]), input(g, "b", &[50, 66]));
            let y = g.matmul(a, b).unwrap();
            nn::gelu(g, y).unwrap()
        }),
        sample("batched", |g| {
            let (a, b) = (input(g, "a", &[3, 20, 16]), input(g, "b", &[3, 16, 24]));
            g.matmul(a, b).unwrap()
        }),
        sample("matvec", |g| {
            let (a, b) = (input(g, "a", &[1, 200]), input(g, "b", &[200, 48]));
            g.matmul(a, b).unwrap()
        }),
        sample("columns", |g| {
            let x = input(g, "x", &[90, 50]);
            g.reduce(Monoid::Sum, x, &[0]).unwrap()
        }),
        sample("everything", |g| {
            let x = input(g, "x", &[40, 50]);
            g.reduce(Monoid::Max, x, &[0, 1]).unwrap()
        }),
        sample("argmax", |g| {
            let x = input(g, "x", &[5, 300]);
            nn::argmax(g, x, 1).unwrap()
        }),
        sample("cumsum", |g| {
            let x = input(g, "x", &[5, 200]);
            nn::cumsum(g, x, 1).unwrap()
        }),
        sample("attention", |g| {
            let (q, k, v) = (input(g, "q", &[2, 20, 16]), input(g, "k", &[2, 20, 16]), input(g, "v", &[2, 20, 16]));
            nn::attention(g, q, k, v, None, 0.25, Some(Dim::ZERO)).unwrap()
        }),
        sample("conv", |g| {
            let (x, w) = (input(g, "x", &[1, 4, 9, 9]), input(g, "w", &[8, 4, 3, 3]));
            nn::conv2d(g, x, w, None, &nn::Conv2d { padding: [(1, 1), (1, 1)], ..Default::default() }).unwrap()
        }),
    ];
    for s in &layers {
        check(&s.graph.name.clone(), s, 1e-4, 1e-5);
    }
}

/// Random graphs over the dtypes that 32-bit targets can hold.
#[test]
fn random_graphs() {
    use DType::*;
    random(&[Bool, I8, U8, I16, U16, I32, U32, F16, Bf16, F32], &descs());
}

/// The same with 64-bit dtypes, on targets that have them.
#[test]
fn random_wide_graphs() {
    use DType::*;
    let wide = |mut d: TargetDesc| {
        d.native.extend([I64, U64, F64]);
        d
    };
    random(&[Bool, I32, I64, U64, F32, F64, I64, F64], &descs().map(wide));
}

fn random(dtypes: &[DType], descs: &[TargetDesc; 3]) {
    let config = Config { nodes: 8, max_elements: 512, dtypes: dtypes.to_vec(), ..Config::default() };
    let seeds = std::env::var("GIRIH_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(120u64);
    let first = std::env::var("GIRIH_FIRST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0u64);
    let (mut ran, mut refused, mut wrong) = (0, std::collections::BTreeMap::new(), Vec::new());
    for seed in first..first + seeds {
        let sample = random_graph(seed, &config);
        let Ok(want) = sample.graph.eval(&sample.inputs, &sample.bindings) else { continue };
        let desc = &descs[seed as usize % 3];
        let problem = match run(&sample, desc) {
            Ok(got) => {
                ran += 1;
                got.iter()
                    .zip(&want)
                    .enumerate()
                    .find_map(|(i, (g, w))| allclose(g, w, 2e-2, 2e-2).err().map(|e| format!("output {i}: {e}")))
            }
            Err(d) if matches!(d.code, "L202" | "L203" | "L206") || d.code < "L200" && d.code.starts_with('L') => {
                *refused.entry(d.message.clone()).or_insert(0) += 1;
                None
            }
            Err(d) => Some(d.to_string()),
        };
        wrong.extend(problem.map(|p| format!("seed {seed}: {p}\n{}", girih_graph::text::print(&sample.graph))));
    }
    let list: Vec<&str> = wrong.iter().filter_map(|w: &String| w.lines().next()).collect();
    assert!(wrong.is_empty(), "{} of {seeds} failed\n{}\n{}", wrong.len(), list.join("\n"), wrong[0]);
    assert!(ran * 2 > seeds, "only {ran} of {seeds} ran: {refused:#?}");
}
