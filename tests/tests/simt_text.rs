//! Every kernel that graphs lower to is read back from its text, at both kernel levels.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::DType;
use girih_graph::testing::{Config, random_graph};
use girih_graph::{Graph, ParamKind, TensorTy, nn};
use girih_lower::{Step, TargetDesc, distribute, lower};
use std::collections::BTreeMap;

fn kernels<'s>(steps: &'s [Step], out: &mut Vec<&'s girih_tile::Kernel>) {
    for step in steps {
        match step {
            Step::Launch { kernel, .. } => out.push(kernel),
            Step::LaunchSimt { .. } | Step::Copy { .. } => {}
            Step::Repeat { body, .. } => kernels(body, out),
            Step::While { test, body, .. } => [test, body].into_iter().for_each(|s| kernels(s, out)),
            Step::Branch { branches, .. } => branches.iter().for_each(|s| kernels(s, out)),
        }
    }
}

/// Checks every kernel of the graph; counts the first words of SIMT statements.
fn check(graph: &Graph, desc: &TargetDesc, words: &mut BTreeMap<String, usize>) {
    let Ok(program) = lower(graph, desc) else { return };
    let mut tiles = Vec::new();
    kernels(&program.steps, &mut tiles);
    for tile in tiles {
        let text = girih_tile::print(tile);
        assert_eq!(girih_tile::parse(&text).unwrap_or_else(|d| panic!("{d}\n{text}")), *tile, "{text}");
        let Ok(simt) = distribute(tile, desc) else { continue };
        girih_simt::verify::verify(&simt).unwrap();
        let text = girih_simt::print(&simt);
        let again = girih_simt::parse(&text).unwrap_or_else(|d| panic!("{d}\n{text}"));
        assert_eq!(again, simt, "{text}");
        assert_eq!(girih_simt::print(&again), text);
        for line in text.lines() {
            let op = line.split_once(" = ").filter(|_| line.trim_start().starts_with('%')).map_or(line, |(_, op)| op);
            *words.entry(op.split_whitespace().next().unwrap_or_default().into()).or_default() += 1;
        }
    }
}

#[test]
fn distributed_kernels_round_trip() {
    let base = TargetDesc::webgpu();
    let descs = [
        base.clone(),
        TargetDesc { threads: 128, subgroups: true, subgroup_size: [32, 32], ..base.clone() },
        TargetDesc { threads: 32, dot_block: [4, 4], dot_tile: [32, 32], staging: true, ..base },
    ];
    let mut words = BTreeMap::new();
    let mut g = Graph::new("layers");
    let input = |g: &mut Graph, name: &str, shape: &[usize]| {
        let ty = TensorTy::new(DType::F32, shape.iter().copied());
        g.param(name, ty, ParamKind::Input, girih_base::Loc::caller())
    };
    let (x, w) = (input(&mut g, "x", &[40, 100]), input(&mut g, "w", &[100, 36]));
    let y = g.matmul(x, w).unwrap();
    let outputs = vec![nn::softmax(&mut g, y, 1).unwrap(), nn::cumsum(&mut g, x, 1).unwrap()];
    g.set_outputs(outputs);
    descs.iter().for_each(|d| check(&g, d, &mut words));
    use DType::*;
    let dtypes = vec![Bool, I8, U8, I16, U16, I32, U32, F16, Bf16, F32];
    let config = Config { nodes: 8, max_elements: 512, dtypes, ..Config::default() };
    for seed in 0..90 {
        check(&random_graph(seed, &config).graph, &descs[seed as usize % 3], &mut words);
    }
    for needed in
        ["load", "store", "barrier", "for", "if", "buffer", "shared", "uniform", "subgroup_shuffle_xor", "select"]
    {
        assert!(words.contains_key(needed), "no kernel has `{needed}`: {words:?}");
    }
}
