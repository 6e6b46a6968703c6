//! Activations recognised from their plain forms; each becomes one scalar operation of the table.

use super::Class::{Exact, Reassoc};
use super::{Phase, Rule};
use crate::build::Build;
use crate::pattern::Match;
use egg::Id;
use girih_graph::nn;

pub(super) const RULES: &[Rule] = &[
    Rule::text("sigmoid", Reassoc, "(recip (add 1 (exp (neg ?x))))", "(sigmoid ?x)"),
    Rule::text("sigmoid-exp", Reassoc, "(div (exp ?x) (add 1 (exp ?x)))", "(sigmoid ?x)"),
    Rule::text("silu", Reassoc, "(mul ?x (sigmoid ?x))", "(silu ?x)"),
    Rule::text("silu-div", Reassoc, "(div ?x (add 1 (exp (neg ?x))))", "(silu ?x)"),
    Rule::text("softplus", Reassoc, "(log (add 1 (exp ?x)))", "(softplus ?x)"),
    Rule::text("log1p", Reassoc, "(log (add 1 ?x))", "(log1p ?x)"),
    Rule::text("expm1", Reassoc, "(sub (exp ?x) 1)", "(expm1 ?x)"),
    // x / 2 (1 + erf(x / sqrt 2))
    Rule::text("gelu", Reassoc, "(mul 0.5 ?x (add 1 (erf (mul ?x 0.7071067811865476))))", "(gelu ?x)"),
    // x / 2 erfc(-x / sqrt 2), written with 1 - erf
    Rule::text("gelu-erfc", Reassoc, "(mul 0.5 ?x (sub 1 (erf (mul ?x -0.7071067811865476))))", "(gelu ?x)"),
    // x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    Rule::text(
        "gelu-tanh",
        Reassoc,
        "(mul 0.5 ?x (add 1 (tanh (mul 0.7978845608028654 (add ?x (mul 0.044715 (pow ?x 3)))))))",
        "(gelu_tanh ?x)",
    ),
    Rule::text(
        "gelu-tanh-square",
        Reassoc,
        "(mul 0.5 ?x (add 1 (tanh (mul 0.7978845608028654 (add ?x (mul 0.044715 ?x (square ?x)))))))",
        "(gelu_tanh ?x)",
    ),
    Rule::text(
        "gelu-tanh-cube",
        Reassoc,
        "(mul 0.5 ?x (add 1 (tanh (mul 0.7978845608028654 (add ?x (mul 0.044715 ?x ?x ?x))))))",
        "(gelu_tanh ?x)",
    ),
    Rule::text(
        "gelu-tanh-factored",
        Reassoc,
        "(mul 0.5 ?x (add 1 (tanh (mul 0.7978845608028654 ?x (add 1 (mul 0.044715 (square ?x)))))))",
        "(gelu_tanh ?x)",
    ),
    // silu(gate) * up
    Rule::build("swiglu", Exact, Phase::Composite, "(mul (silu ?gate) ?up)", swiglu),
];

fn swiglu(b: &mut Build, m: &Match) -> Option<Id> {
    let args = [m.id("gate")?, m.id("up")?];
    // A rank of two or more: a scalar product is no layer.
    if b.ty(args[0])?.rank() < 2 {
        return None;
    }
    b.library("swiglu", &args, |g, p| nn::swiglu(g, p[0], p[1]))
}
