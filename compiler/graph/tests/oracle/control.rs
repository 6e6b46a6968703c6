//! Loop, Cond, Call, Tuple, Proj, Fence, Kernel.

use super::*;
use girih_base::{Dim, ScalarOp};
use girih_graph::eval::Cx;
use girih_graph::ops::*;
use girih_graph::{Callee, TensorTy};
use std::sync::Arc;

fn body(name: &str, tys: &[DType], f: impl Fn(&mut Graph, &[NodeId]) -> Vec<NodeId>) -> Graph {
    let mut g = Graph::new(name);
    let params: Vec<_> =
        tys.iter().map(|d| g.param("p", TensorTy::scalar(*d), ParamKind::Input, Loc::unknown())).collect();
    let outputs = f(&mut g, &params);
    g.set_outputs(outputs);
    g
}

fn scalar(v: f64) -> Array {
    Array::from_f64(DType::F32, &[], [v])
}

#[test]
fn counted_loops_see_the_round() {
    // x <- x * c + i
    let round = body("round", &[DType::I32, DType::F32, DType::F32], |g, p| {
        let i = g.cast(p[0], DType::F32).unwrap();
        let y = g.map(ScalarOp::Mul, &[p[1], p[2]]).unwrap();
        vec![g.map(ScalarOp::Add, &[y, i]).unwrap()]
    });
    let round = Arc::new(round);
    let rounds = |n: i64| Loop { kind: LoopKind::For(Dim::from(n)), body: round.clone(), carried: 1 };
    assert_eq!(tuple(rounds(3), &[scalar(1.), scalar(2.)]), [[12.]]);
    assert_eq!(tuple(rounds(0), &[scalar(1.), scalar(2.)]), [[1.]]);
}

#[test]
fn loops_while_a_condition_holds() {
    let small = Arc::new(body("small", &[DType::F32], |g, p| {
        let limit = g.scalar(100.0, DType::F32).unwrap();
        vec![g.map(ScalarOp::Lt, &[p[0], limit]).unwrap()]
    }));
    let double = Arc::new(body("double", &[DType::F32], |g, p| vec![g.map(ScalarOp::Add, &[p[0], p[0]]).unwrap()]));
    let op = Loop { kind: LoopKind::While(small), body: double, carried: 1 };
    assert_eq!(tuple(op.clone(), &[scalar(3.)]), [[192.]]);
    assert_eq!(tuple(op.clone(), &[scalar(f64::NAN)])[0][0].to_bits(), f64::NAN.to_bits());

    let mut g = Graph::new("forever");
    let x = params(&mut g, &[scalar(0.)])[0];
    let y = g.push(op, &[x]).unwrap();
    g.set_outputs(vec![y]);
    let bindings = Bindings::new();
    let cx = Cx { max_rounds: 50, ..Cx::new(&bindings) };
    assert_eq!(g.eval_in(&[scalar(0.).into()], &cx).unwrap_err().code, "G207");
}

#[test]
fn branches_are_chosen_and_clamped() {
    let add = |k: f64| {
        Arc::new(body("add", &[DType::F32], move |g, p| {
            let k = g.scalar(k, DType::F32).unwrap();
            vec![g.map(ScalarOp::Add, &[p[0], k]).unwrap()]
        }))
    };
    let op = Cond { branches: vec![add(10.), add(20.), add(30.)] };
    let with = |i: i128| tuple(op.clone(), &[ints(DType::I32, &[], &[i]), scalar(1.)]);
    assert_eq!(with(1), [[21.]]);
    assert_eq!(with(-3), [[11.]]);
    assert_eq!(with(3), [[31.]]);
    let two = Cond { branches: vec![add(0.), add(1.)] };
    assert_eq!(tuple(two, &[ints(DType::Bool, &[], &[1]), scalar(1.)]), [[2.]]);
}

#[test]
fn calls_give_one_value_or_several() {
    let both = body("sum_and_product", &[DType::F32, DType::F32], |g, p| {
        vec![g.map(ScalarOp::Add, p).unwrap(), g.map(ScalarOp::Mul, p).unwrap()]
    });
    let callee = Arc::new(Callee { name: "both".into(), attrs: vec![], body: both });
    let mut g = Graph::new("caller");
    let p = params(&mut g, &[scalar(0.), scalar(0.)]);
    let first = g.call(&callee, &p).unwrap();
    let second = g.call(&callee, &first).unwrap();
    g.set_outputs(second);
    let out = g.eval(&[scalar(3.).into(), scalar(4.).into()], &Bindings::new()).unwrap();
    assert_eq!([out[0].array().unwrap().f64(0), out[1].array().unwrap().f64(0)], [19., 84.]);
}

#[test]
fn tuples_fences_and_kernels() {
    assert_eq!(tuple(Tuple, &[scalar(1.), scalar(2.)]), [[1.], [2.]]);
    assert_eq!(floats(Fence, &[scalar(4.)]), [4.]);
    let kernel = Kernel {
        level: KernelLevel::Tile,
        text: "kernel".into(),
        results: vec![TensorTy::scalar(DType::F32)],
        updates: Vec::new(),
    };
    assert_eq!(try_run(kernel, &[scalar(1.)]).unwrap_err().code, "G201");
}
