//! Batching rules against one evaluation per example, and their composition with derivatives.

use crate::cases::{self, Case};
use crate::harness::{check_batch, check_gradient, floats, run, stack};
use girih_graph::{batch, grad};

const EXAMPLES: usize = 3;

/// All parameters batched, then each one alone.
fn mapped(cases: Vec<Case>) {
    for c in cases {
        let examples: Vec<_> = (1..=EXAMPLES as u64).map(&c.inputs).collect();
        let n = examples[0].len();
        check_batch(&c.graph, &examples, &vec![true; n], 1e-12);
        for p in 0..n {
            let only: Vec<bool> = (0..n).map(|i| i == p).collect();
            check_batch(&c.graph, &examples, &only, 1e-12);
        }
    }
}

/// Per-example gradients, and gradients of a mapped function.
fn with_derivatives(cases: Vec<Case>) {
    for c in cases {
        let mut examples: Vec<_> = (1..=EXAMPLES as u64).map(&c.inputs).collect();
        let inputs: Vec<_> =
            (0..examples[0].len()).map(|p| stack(&examples.iter().map(|e| e[p].clone()).collect::<Vec<_>>())).collect();
        let mapped = batch::vmap(&c.graph, &vec![Some(0); inputs.len()], EXAMPLES).unwrap();
        check_gradient(&mapped, &inputs, &c.wrt, 5e-6);

        let back = grad::vjp(&c.graph, &c.wrt).unwrap();
        for (e, example) in examples.iter_mut().enumerate() {
            for o in run(&c.graph, example).iter().filter(|o| o.dtype.is_float()) {
                let w = floats(40 + e as u64, &o.shape);
                example.push(w);
            }
        }
        check_batch(&back, &examples, &vec![true; examples[0].len()], 1e-11);
    }
}

#[test]
fn structural() {
    mapped(cases::structural());
}

#[test]
fn folds() {
    mapped(cases::folds());
}

#[test]
fn custom_folds() {
    mapped(cases::custom_folds());
    with_derivatives(cases::custom_folds());
}

#[test]
fn indexed() {
    mapped(cases::indexed());
}

#[test]
fn control() {
    mapped(cases::control());
}

#[test]
fn functions() {
    mapped(cases::functions());
}

#[test]
fn scalars() {
    mapped(cases::scalars());
}

#[test]
fn structural_with_derivatives() {
    with_derivatives(cases::structural());
}

#[test]
fn folds_with_derivatives() {
    with_derivatives(cases::folds());
}

#[test]
fn indexed_with_derivatives() {
    with_derivatives(cases::indexed());
}

#[test]
fn control_with_derivatives() {
    with_derivatives(cases::control());
}

#[test]
fn functions_with_derivatives() {
    with_derivatives(cases::functions());
}

#[test]
fn mapped_twice_is_mapped_over_both() {
    for c in cases::all() {
        let n = c.graph.params().len();
        let inner = batch::vmap(&c.graph, &vec![Some(0); n], 2usize).unwrap();
        let examples: Vec<_> = (0..2u64)
            .map(|e| {
                let pair: Vec<_> = (1..=2).map(|s| (c.inputs)(2 * e + s)).collect();
                (0..n).map(|p| stack(&[pair[0][p].clone(), pair[1][p].clone()])).collect()
            })
            .collect();
        check_batch(&inner, &examples, &vec![true; n], 1e-12);
    }
}
