//! The optimiser on a Llama decoder written in plain operations.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::*;
use girih_graph::Op;
use girih_graph::eval::compare::allclose;
use girih_rewrite::{Budget, Limit, optimize};
use std::time::Instant;

fn dots(g: &girih_graph::Graph) -> usize {
    count(g, |op| matches!(op, Op::Dot(_)))
}

#[test]
fn a_smollm2_layer_is_recognised() {
    for (repeat_kv, rotate_half) in [(false, false), (true, false), (false, true), (true, true)] {
        let g = layer_graph(&Config { repeat_kv, rotate_half, ..SMOLLM2 });
        let rope = if rotate_half { "rope" } else { "rope_interleaved" };
        let (out, report) = optimize(&g, &Budget::default()).unwrap();
        let text = format!("{}\n{}", report.render(), dump(&out));
        for (name, n) in [("attention", 1), ("rms_norm", 2), (rope, 2), ("swiglu", 1)] {
            assert_eq!(report.composites(name), n, "{name} (repeat_kv {repeat_kv}):\n{text}");
        }
        // Of seven products, query, key and value are one, gate and up are one.
        assert_eq!(dots(&out), 4, "{text}");
        assert_eq!(report.firings("merge-dots"), 2, "{text}");
        let attention = out.ids().find_map(|id| match out.op(id) {
            Op::Call(c) if &*c.callee.name == "attention" => Some((c.callee.clone(), out.operands(id).len())),
            _ => None,
        });
        let (callee, operands) = attention.unwrap();
        assert_eq!(operands, 3, "the mask is causal, so it is no operand:\n{text}");
        assert_eq!(callee.attr("causal"), Some(&girih_graph::ops::Attr::Dim(pos())), "{text}");
    }
}

#[test]
fn results_do_not_change() {
    for (repeat_kv, rotate_half) in [(false, false), (true, true)] {
        let g = layer_graph(&Config { repeat_kv, rotate_half, ..TINY });
        let (out, _) = optimize(&g, &Budget::default()).unwrap();
        for (s, p) in [(1, 0), (3, 2), (5, 0), (1, 7)] {
            let b = bindings(s, p);
            let inputs = random_inputs(&g, &b);
            let (want, got) = (g.eval(&inputs, &b).unwrap(), out.eval(&inputs, &b).unwrap());
            for (x, y) in got.iter().zip(&want) {
                allclose(x, y, 1e-6, 1e-7).unwrap();
            }
        }
    }
}

#[test]
fn turned_off_the_graph_stays() {
    let g = layer_graph(&TINY);
    let (out, report) = optimize(&g, &Budget::off()).unwrap();
    assert_eq!(dump(&g), dump(&out));
    assert!(report.bodies.is_empty());
}

#[test]
fn shared_layers_are_optimised_once() {
    let g = model(&SMOLLM2, 30, true);
    let start = Instant::now();
    let (out, report) = optimize(&g, &Budget::default()).unwrap();
    println!("30 shared layers: {:?}", start.elapsed());
    assert_eq!(report.bodies.len(), 2, "the layer and the model:\n{}", report.render());
    assert_eq!(report.bodies[0].calls, 30);
    assert_eq!(report.composites("attention"), 30);
    let mut callees: Vec<_> = out
        .ids()
        .filter_map(|id| match out.op(id) {
            Op::Call(c) => Some(std::sync::Arc::as_ptr(&c.callee)),
            _ => None,
        })
        .collect();
    assert_eq!(callees.len(), 30);
    callees.dedup();
    assert_eq!(callees.len(), 1);
}

#[test]
fn flat_layers_are_all_found() {
    let g = model(&SMOLLM2, 24, false);
    let start = Instant::now();
    let (_, report) = optimize(&g, &Budget::default()).unwrap();
    println!("24 flat layers, {} nodes: {:?}", g.len(), start.elapsed());
    assert_eq!(report.composites("attention"), 24, "{}", report.render());
    assert_eq!(report.composites("rms_norm"), 48);
    assert_eq!(report.composites("swiglu"), 24);
    assert_eq!(report.composites("rope_interleaved"), 48);
}

#[test]
fn limits_are_reported_and_the_graph_stays_right() {
    let g = layer_graph(&TINY);
    let b = bindings(3, 1);
    let inputs = random_inputs(&g, &b);
    let want = g.eval(&inputs, &b).unwrap();
    let tight = [
        (Budget { iterations: 1, ..Budget::default() }, Limit::Iterations),
        (Budget { nodes: 120, ..Budget::default() }, Limit::Nodes),
        (Budget { matches: 3, ..Budget::default() }, Limit::Matches),
        (Budget { nodes: 0, matches: 0, iterations: 0, ..Budget::default() }, Limit::Iterations),
    ];
    for (budget, limit) in tight {
        let (out, report) = optimize(&g, &budget).unwrap();
        let hit = report.bodies.iter().flat_map(|b| &b.phases).any(|p| p.limits.contains(&limit));
        assert!(hit, "{limit:?}:\n{}", report.render());
        let got = out.eval(&inputs, &b).unwrap();
        for (x, y) in got.iter().zip(&want) {
            allclose(x, y, 1e-6, 1e-7).unwrap();
        }
    }
}

#[test]
fn two_processes_agree() {
    let text = || {
        let (out, report) = optimize(&model(&SMOLLM2, 3, false), &Budget::default()).unwrap();
        format!("{}{}", report.render(), dump(&out))
    };
    if let Ok(path) = std::env::var("GIRIH_REWRITE_DUMP") {
        return std::fs::write(path, text()).unwrap();
    }
    let path = std::env::temp_dir().join(format!("girih-rewrite-{}.txt", std::process::id()));
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "two_processes_agree"])
        .env("GIRIH_REWRITE_DUMP", &path)
        .status()
        .unwrap();
    assert!(status.success());
    let other = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(text(), other);
    assert_eq!(text(), other);
}

#[test]
fn weights_are_joined_outside_the_layers() {
    let g = model(&TINY, 3, true);
    let (out, _) = optimize(&g, &Budget::default()).unwrap();
    // Two joined matrices a layer, in the top graph; the body takes them instead of the five it was written with.
    assert_eq!(count(&out, |op| matches!(op, Op::Concat(_))), 6, "{}", dump(&out));
    let bodies: Vec<_> =
        out.ids().filter_map(|id| if let Op::Call(c) = out.op(id) { Some(c.callee.clone()) } else { None }).collect();
    assert_eq!(bodies[0].body.params().len(), layer_graph(&TINY).params().len() - 5 + 2);
    // None is left in the layer.
    assert_eq!(count(&bodies[0].body, |op| matches!(op, Op::Concat(_))), 0);

    let split = girih_rewrite::split_weights(&out).unwrap().unwrap();
    assert_eq!(split.load.outputs().len(), 6);
    assert_eq!(count(&split.run, |op| matches!(op, Op::Concat(_))), 0);
    let b = bindings(3, 2);
    let inputs = random_inputs(&g, &b);
    let want = g.eval(&inputs, &b).unwrap();
    let load_inputs: Vec<_> = split.load_params.iter().map(|i| inputs[*i].clone()).collect();
    let mut run_inputs: Vec<_> = split.run_params.iter().map(|i| inputs[*i].clone()).collect();
    run_inputs.extend(split.load.eval(&load_inputs, &b).unwrap());
    let got = split.run.eval(&run_inputs, &b).unwrap();
    for (x, y) in got.iter().zip(&want) {
        allclose(x, y, 1e-6, 1e-6).unwrap();
    }
}

#[test]
fn flat_layers_become_calls_of_one_body() {
    let g = model(&SMOLLM2, 24, false);
    let (out, report) = optimize(&g, &Budget::default()).unwrap();
    assert_eq!(report.bodies.len(), 2, "{}", report.render());
    assert!(report.bodies[0].calls >= 23, "{}", report.render());
    assert!(count(&out, |op| matches!(op, Op::Call(c) if &*c.callee.name == "block")) >= 23);
}

#[test]
fn flat_layers_mean_the_same_as_calls() {
    for n in [1, 2, 3, 5] {
        let g = model(&TINY, n, false);
        let (out, report) = optimize(&g, &Budget::default()).unwrap();
        out.verify().unwrap();
        assert_eq!(report.composites("attention"), n, "{}", report.render());
        let b = bindings(3, 2);
        let inputs = random_inputs(&g, &b);
        let (want, got) = (g.eval(&inputs, &b).unwrap(), out.eval(&inputs, &b).unwrap());
        for (x, y) in got.iter().zip(&want) {
            allclose(x, y, 1e-6, 1e-6).unwrap();
        }
    }
}

#[test]
fn weights_are_known_by_what_calls_give() {
    let body = layer_graph(&TINY).to_string().replace("= weight", "= input").replace("= state", "= input");
    let g = model_with(&TINY, 3, true, body.parse().unwrap());
    let (out, report) = optimize(&g, &Budget::default()).unwrap();
    assert_eq!(report.firings("merge-dots"), 2, "{}", report.render());
    let b = bindings(3, 2);
    let inputs = random_inputs(&g, &b);
    let (want, got) = (g.eval(&inputs, &b).unwrap(), out.eval(&inputs, &b).unwrap());
    for (x, y) in got.iter().zip(&want) {
        allclose(x, y, 1e-6, 1e-6).unwrap();
    }
}
