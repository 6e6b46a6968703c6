//! Identities of scalar operations.

use super::Class::{Exact, Reassoc};
use super::Rule;
use crate::build::Build;
use crate::pattern::Match;
use girih_base::ScalarOp;

fn ints(b: &Build, m: &Match) -> bool {
    b.ty(m.root).is_some_and(|t| t.dtype.is_int())
}

/// `?c` is a known finite number, not zero.
fn known(b: &Build, m: &Match) -> bool {
    m.id("c").and_then(|c| b.value(c)).is_some_and(|v| v.is_finite() && v != 0.0) && !ints(b, m)
}

fn signed(b: &Build, m: &Match) -> bool {
    b.ty(m.root).is_some_and(|t| t.dtype.is_signed())
}

/// A constant whose reciprocal rounds no worse than f32.
fn known_wide(b: &Build, m: &Match) -> bool {
    known(b, m) && b.ty(m.root).is_some_and(|t| t.dtype.bits() >= 32)
}

fn power_of_two(b: &Build, m: &Match) -> bool {
    // A normal power of two has no fraction bits, and its reciprocal is exact.
    known(b, m)
        && m.id("c")
            .and_then(|c| b.value(c))
            .is_some_and(|v| v.to_bits() << 12 == 0 && v.abs() < 1e30 && v.abs() > 1e-30)
}

fn both_known(b: &Build, m: &Match) -> bool {
    known(b, m) && m.id("d").and_then(|d| b.value(d)).is_some_and(|v| v.is_finite() && v != 0.0)
}

pub(super) const RULES: &[Rule] = &[
    Rule::text("add-zero", Exact, "(add ?x 0)", "?x"),
    Rule::text("sub-zero", Exact, "(sub ?x 0)", "?x"),
    Rule::text("sub-from-zero", Exact, "(sub 0 ?x)", "(neg ?x)"),
    Rule::text("mul-one", Exact, "(mul ?x 1)", "?x"),
    Rule::text("mul-minus-one", Exact, "(mul ?x -1)", "(neg ?x)"),
    Rule::text("div-one", Exact, "(div ?x 1)", "?x"),
    Rule::text("mul-zero", Exact, "(mul ?x 0)", "0").when(ints),
    Rule::text("sub-self", Exact, "(sub ?x ?x)", "0").when(ints),
    Rule::text("neg-neg", Exact, "(neg (neg ?x))", "?x"),
    Rule::text("add-neg", Exact, "(add ?x (neg ?y))", "(sub ?x ?y)"),
    Rule::text("sub-neg", Exact, "(sub ?x (neg ?y))", "(add ?x ?y)"),
    Rule::text("mul-neg-neg", Exact, "(mul (neg ?x) (neg ?y))", "(mul ?x ?y)"),
    Rule::text("abs-neg", Exact, "(abs (neg ?x))", "(abs ?x)").when(signed),
    Rule::text("abs-abs", Exact, "(abs (abs ?x))", "(abs ?x)"),
    Rule::text("square-of-neg", Exact, "(square (neg ?x))", "(square ?x)"),
    Rule::text("square", Exact, "(mul ?x ?x)", "(square ?x)"),
    Rule::text("pow-two", Reassoc, "(pow ?x 2)", "(square ?x)"),
    Rule::text("pow-one", Exact, "(pow ?x 1)", "?x"),
    Rule::text("max-self", Exact, "(max ?x ?x)", "?x"),
    Rule::text("min-self", Exact, "(min ?x ?x)", "?x"),
    Rule::text("max-lowest", Exact, "(max ?x -inf)", "?x"),
    Rule::text("min-highest", Exact, "(min ?x inf)", "?x"),
    Rule::text("relu", Exact, "(max ?x 0)", "(relu ?x)"),
    Rule::text("and-self", Exact, "(and ?x ?x)", "?x"),
    Rule::text("or-self", Exact, "(or ?x ?x)", "?x"),
    Rule::text("not-not", Exact, "(not (not ?x))", "?x"),
    Rule::text("gt", Exact, "(gt ?x ?y)", "(lt ?y ?x)"),
    Rule::text("ge", Exact, "(ge ?x ?y)", "(le ?y ?x)"),
    Rule::text("select-same", Exact, "(select ?c ?x ?x)", "?x"),
    Rule::text("select-true", Exact, "(select 1 ?x ?y)", "?x"),
    Rule::text("select-false", Exact, "(select 0 ?x ?y)", "?y"),
    Rule::text("select-not", Exact, "(select (not ?c) ?x ?y)", "(select ?c ?y ?x)"),
    Rule::text("recip", Exact, "(div 1 ?x)", "(recip ?x)").when(|b, m| !ints(b, m)),
    Rule::text("mul-recip", Reassoc, "(mul ?x (recip ?y))", "(div ?x ?y)"),
    Rule::text("rsqrt", Reassoc, "(recip (sqrt ?x))", "(rsqrt ?x)"),
    Rule::text("pow-minus-half", Reassoc, "(pow ?x -0.5)", "(rsqrt ?x)"),
    Rule::text("pow-half", Reassoc, "(pow ?x 0.5)", "(sqrt ?x)"),
    // x / 2^k = x * 2^-k, without rounding
    Rule::build("div-power-of-two", Exact, super::Phase::Simplify, "(div ?x ?c)", reciprocal).when(power_of_two),
    Rule::build("div-constant", Reassoc, super::Phase::Simplify, "(div ?x ?c)", reciprocal).when(known_wide),
    // (x * c) * d = x * (c d)
    Rule::text("mul-constants", Reassoc, "(mul (mul ?x ?c) ?d)", "(mul ?x (mul ?c ?d))").when(both_known),
    // (x + c) + d = x + (c + d)
    Rule::text("add-constants", Reassoc, "(add (add ?x ?c) ?d)", "(add ?x (add ?c ?d))").when(both_known),
];

fn reciprocal(b: &mut Build, m: &Match) -> Option<egg::Id> {
    let (x, c) = (m.id("x")?, m.id("c")?);
    if b.value(x).is_some() {
        return None;
    }
    let ty = b.ty(c)?;
    let inverse = b.number(1.0 / b.value(c)?, &ty)?;
    b.map(ScalarOp::Mul, &[x, inverse])
}
