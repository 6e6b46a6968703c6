#![allow(clippy::unwrap_used, clippy::panic)]

mod expansions;
mod integers;
mod partials;

use super::expr::{Expr, ScalarBuilder};
use super::*;
use crate::codec::{Scalar, cast, decode, encode};
use std::collections::BTreeSet;

/// Evaluates row expressions; every value knows its dtype.
struct Evaluator;

impl ScalarBuilder for Evaluator {
    type Value = (Scalar, DType);

    fn number(&mut self, value: f64, like: &Self::Value) -> Self::Value {
        (cast(Scalar::Float(value), like.1), like.1)
    }

    fn apply(&mut self, op: ScalarOp, args: &[Self::Value]) -> Self::Value {
        let (values, dtypes): (Vec<_>, Vec<_>) = args.iter().copied().unzip();
        let out = op.infer(&dtypes).unwrap();
        (eval(op, &values, dtypes[dtypes.len() - 1]).unwrap(), out)
    }
}

/// The value of a row expression on f64 operands.
fn evaluate(text: &str, operands: &[f64], result: Option<f64>) -> f64 {
    let operands: Vec<_> = operands.iter().map(|v| (Scalar::Float(*v), DType::F64)).collect();
    let result = result.map(|r| (Scalar::Float(r), DType::F64));
    Expr::parse(text).unwrap().build(&mut Evaluator, &operands, result.as_ref()).0.as_f64()
}

/// A fixed sequence of numbers in 0..1.
fn uniform() -> impl FnMut() -> f64 {
    let mut state = 0x853c_49e6_748f_ea9bu64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
fn rows_are_complete() {
    assert!(ScalarOp::ALL.len() >= 60, "{}", ScalarOp::ALL.len());
    let names: BTreeSet<_> = ScalarOp::ALL.iter().map(|op| op.name()).collect();
    assert_eq!(names.len(), ScalarOp::ALL.len(), "two rows have one name");
    for op in ScalarOp::ALL.iter().copied() {
        let row = op.row();
        assert_eq!(ScalarOp::from_name(row.name), Some(op));
        assert_eq!(row.partials.len(), row.arity, "{}", row.name);
        assert!(!row.doc.is_empty() && (1..=3).contains(&row.arity), "{}", row.name);
        for text in row.partials.iter().copied().chain(row.expand) {
            let expr = Expr::parse(text).unwrap_or_else(|e| panic!("{}: {e}", row.name));
            assert!(operands_used(&expr) <= row.arity, "{}: `{text}` names an operand too many", row.name);
        }
        assert!(row.expand.is_none_or(|text| !text.split([' ', '(', ')']).any(|t| t == "r")), "{}", row.name);
        assert_eq!(row.wgsl == Wgsl::Expand, row.expand.is_some(), "{}", row.name);
        if row.output == Output::Bool || !row.operands.accepts(DType::F32) {
            assert!(row.partials.iter().all(|p| *p == "0"), "{} has no derivative", row.name);
        }
    }
}

fn operands_used(expr: &Expr) -> usize {
    match expr {
        Expr::Operand(i) => i + 1,
        Expr::Result | Expr::Number(_) => 0,
        Expr::Apply(_, args) => args.iter().map(operands_used).max().unwrap_or(0),
    }
}

/// Each row has a meaning on every dtype it accepts, and `eval` gives a value of the dtype that `infer` says.
#[test]
fn every_accepted_dtype_has_a_meaning() {
    for op in ScalarOp::ALL.iter().copied() {
        for dtype in DType::ALL.iter().copied() {
            let mut dtypes = vec![dtype; op.arity()];
            if op == ScalarOp::Select {
                dtypes[0] = DType::Bool;
            }
            let args: Vec<_> = dtypes.iter().map(|d| cast(Scalar::Int(1), *d)).collect();
            match op.infer(&dtypes) {
                Ok(out) => {
                    let value = eval(op, &args, dtype).unwrap();
                    assert_eq!(out.is_float(), matches!(value, Scalar::Float(_)), "{op:?} {dtype}");
                    let again = decode(encode(value, out), out);
                    assert!(again == value || again.as_f64().is_nan() && value.as_f64().is_nan(), "{op:?} {dtype}");
                }
                Err(_) => assert!(eval(op, &args, dtype).is_err(), "{op:?} {dtype}"),
            }
        }
    }
}

#[test]
fn wrong_operands_are_refused() {
    use DType::*;
    for (op, dtypes, word) in [
        (ScalarOp::Add, &[F32][..], "takes 2 operands"),
        (ScalarOp::Add, &[F32, F16], "one dtype"),
        (ScalarOp::Add, &[Bool, Bool], "a number"),
        (ScalarOp::Exp, &[I32], "a float"),
        (ScalarOp::Shl, &[F32, F32], "an integer"),
        (ScalarOp::Select, &[I32, F32, F32], "must be bool"),
        (ScalarOp::Select, &[Bool, F32, I32], "one dtype"),
    ] {
        let error = op.infer(dtypes).unwrap_err();
        assert!(error.contains(word) && error.contains(op.name()), "{error}");
    }
    assert!(eval(ScalarOp::Add, &[Scalar::Int(1)], I32).is_err());
    assert!(eval(ScalarOp::Add, &[Scalar::Int(1), Scalar::Float(1.0)], I32).is_err());
    assert!(eval(ScalarOp::Add, &[Scalar::Int(1), Scalar::Int(1)], F32).is_err());
}

#[test]
fn hostile_expressions_are_refused() {
    let deep = format!("{}x{}", "(neg ".repeat(100_000), ")".repeat(100_000));
    for text in ["", "(", "(add x)", "(add x y", "(sub x y) z", "(nope x)", "w", ")", &deep] {
        assert!(Expr::parse(text).is_err(), "{text:.20}");
    }
}

/// Arithmetic of f32 in f64, rounded once, is what the machine does in f32.
#[test]
fn f32_arithmetic_is_that_of_the_machine() {
    let mut next = uniform();
    for _ in 0..20_000 {
        let mut number = || ((next() - 0.5) * 2f64.powi((next() * 60.0) as i32 - 30)) as f32;
        let (x, y) = (number(), number());
        let ops: [(ScalarOp, f32); 5] = [
            (ScalarOp::Add, x + y),
            (ScalarOp::Sub, x - y),
            (ScalarOp::Mul, x * y),
            (ScalarOp::Div, x / y),
            (ScalarOp::Rem, x % y),
        ];
        for (op, expected) in ops {
            let args = [x, y].map(|v| Scalar::Float(v as f64));
            assert_eq!(eval(op, &args, DType::F32), Ok(Scalar::Float(expected as f64)), "{op:?} {x} {y}");
        }
        let root = eval(ScalarOp::Sqrt, &[Scalar::Float(x.abs() as f64)], DType::F32);
        assert_eq!(root, Ok(Scalar::Float(x.abs().sqrt() as f64)));
    }
}

/// Values from an arbitrary-precision library (mpmath, 40 digits).
#[test]
fn erf_and_erfc_are_exact() {
    #[rustfmt::skip]
    let golden = [
        (1e-10, 1.1283791670955126e-10, 0.999999999887162),
        (0.1, 0.1124629160182849, 0.887537083981715),
        (0.5, 0.5204998778130465, 0.4795001221869535),
        (1.0, 0.8427007929497149, 0.15729920705028513),
        (1.5, 0.9661051464753108, 0.033894853524689274),
        (1.999, 0.9953015566513705, 0.004698443348629487),
        (2.0, 0.9953222650189527, 0.004677734981047266),
        (2.5, 0.999593047982555, 0.0004069520174449589),
        (3.0, 0.9999779095030014, 2.209049699858544e-05),
        (4.0, 0.9999999845827421, 1.541725790028002e-08),
        (5.5, 0.9999999999999927, 7.357847917974398e-15),
        (-0.7, -0.6778011938374184, 1.6778011938374184),
        (-2.25, -0.9985372834133188, 1.9985372834133188),
    ];
    for (x, erf, erfc) in golden {
        let (ours, complement) = (special::erf(x), special::erfc(x));
        assert!((ours - erf).abs() <= 1e-15 * erf.abs(), "erf({x}) = {ours:e}");
        assert!((complement - erfc).abs() <= 1e-15 * erfc.max(1.0), "erfc({x}) = {complement:e}");
        assert_eq!(special::erf(-x), -special::erf(x));
        if x >= 2.0 {
            assert!((complement / erfc - 1.0).abs() < 1e-13, "erfc({x}) = {complement:e}");
        }
    }
    assert_eq!((special::erf(f64::INFINITY), special::erfc(f64::INFINITY)), (1.0, 0.0));
    assert_eq!((special::erf(f64::NEG_INFINITY), special::erfc(f64::NEG_INFINITY)), (-1.0, 2.0));
    assert!(special::erf(f64::NAN).is_nan() && special::erfc(f64::NAN).is_nan());
    assert!(special::erf(-0.0).is_sign_negative());
}
