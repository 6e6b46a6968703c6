//! The examples learn.
#![allow(clippy::unwrap_used)]

#[path = "../examples/digits.rs"]
mod digits;
#[path = "../examples/mlp.rs"]
mod mlp;
#[path = "../examples/transformer.rs"]
mod transformer;

#[test]
fn a_two_layer_network_learns_exclusive_or() {
    assert!(mlp::run(100).unwrap() > 0.95);
}

#[test]
fn digits_are_read_with_97_percent_accuracy() {
    let outcome = digits::run(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/digits.npy"), 30).unwrap();
    assert!(outcome.accuracy >= 0.97, "{}", outcome.accuracy);
    assert!(outcome.losses.last().unwrap() * 10.0 < outcome.losses[0]);
}

#[test]
fn a_transformer_starts_to_learn() {
    let (first, last) = transformer::run(30, 16).unwrap();
    assert!(last < 0.8 * first, "{first} -> {last}");
}
