//! Every derivative in the middle of a graph against central differences, once and twice.

use crate::cases::{self, Case};
use crate::harness::{check_gradient, floats, run};
use girih_graph::grad;

fn once(cases: Vec<Case>) {
    for c in cases {
        check_gradient(&c.graph, &(c.inputs)(1), &c.wrt, 2e-6);
    }
}

/// The derivative is a graph with derivatives of its own.
fn twice(cases: Vec<Case>) {
    for c in cases {
        let mut inputs = (c.inputs)(1);
        let outputs = run(&c.graph, &inputs);
        let back = grad::vjp(&c.graph, &c.wrt).unwrap();
        let mut wrt = c.wrt.clone();
        for (i, o) in outputs.iter().filter(|o| o.dtype.is_float()).enumerate() {
            wrt.push(inputs.len());
            inputs.push(floats(55 + i as u64, &o.shape));
        }
        check_gradient(&back, &inputs, &wrt, 5e-6);
    }
}

#[test]
fn structural_once() {
    once(cases::structural());
}

#[test]
fn structural_twice() {
    twice(cases::structural());
}

#[test]
fn folds_once() {
    once(cases::folds());
}

#[test]
fn folds_twice() {
    twice(cases::folds());
}

#[test]
fn custom_folds_once_and_twice() {
    once(cases::custom_folds());
    twice(cases::custom_folds());
}

#[test]
fn indexed_once() {
    once(cases::indexed());
}

#[test]
fn indexed_twice() {
    twice(cases::indexed());
}

#[test]
fn control_once() {
    once(cases::control());
}

#[test]
fn control_twice() {
    twice(cases::control());
}

#[test]
fn functions_once() {
    once(cases::functions());
}

#[test]
fn functions_twice() {
    twice(cases::functions());
}

#[test]
fn scalars_once() {
    once(cases::scalars());
}

#[test]
fn scalars_twice() {
    twice(cases::scalars());
}
