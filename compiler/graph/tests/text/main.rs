//! The text form and the verifier.

#![allow(clippy::unwrap_used, clippy::panic)]

mod errors;
mod random;
mod verify;

use girih_base::{DType, Dim, Loc, ScalarOp, Symbol};
use girih_graph::ops::*;
use girih_graph::{Callee, Graph, Monoid, ParamKind, TensorTy, text};
use std::sync::Arc;

/// Prints, parses, and compares every node, bodies included.
fn round_trip(g: &Graph) -> String {
    let printed = text::print(g);
    let again = text::parse(&printed, "printed").unwrap_or_else(|e| panic!("{e}\n{printed}"));
    assert_eq!(text::print(&again), printed);
    assert_eq!(format!("{again:?}"), format!("{g:?}"));
    printed
}

const EXAMPLE: &str = r#"symbol n 1..=2048 step 8

graph @triple_0 "triple" {
  %0 = input : i32[] as "i"
  %1 = input : f32[n] as "x"
  %2 = const {value = 3.0} : f32[n]
  %3 = mul %1, %2 : f32[n] at "model.rs":4:9
  return %3
}

callee @scale_1 "scale" {causal = size(n-1), scale = number(0.125)}
graph "scale" {
  %0 = input : f32[n] as "x"
  %1 = loop %0 {kind = for(3), body = @triple_0, carried = 1} : (f32[n])
  %2 = proj %1 {index = 0} : f32[n]
  return %2
}

graph "main" {
  %0 = input : f32[2, n] as "x" at "model.rs":3:9
  %1 = reduce %0 {monoid = argmax, axes = [0], acc = f32} : (f32[n], i32[n])
  %2 = proj %1 {index = 0} : f32[n]
  %3 = call %2 {callee = @scale_1} : f32[n] at "layer.rs":7:1 from "model.rs":5:5
  %4 = call %3 {callee = @scale_1} : f32[n]
  %5 = window %4 {axes = [[0, 3, 2, 1]]} : f32[floordiv(n-3,2)+1, 3]
  %6 = const {value = 0x0000803f} : f32[1]
  %7 = const {value = size(2*n+1)} : i64[]
  return %4, %5, %6, %7
}
"#;

#[test]
fn the_form_is_stable() {
    let g = text::parse(EXAMPLE, "example").unwrap();
    g.verify().unwrap();
    assert_eq!(text::print(&g), EXAMPLE);
    round_trip(&g);
    assert_eq!(g.symbols().unwrap().len(), 1);
}

#[test]
fn sharing_survives() {
    let g = text::parse(EXAMPLE, "example").unwrap();
    let callees: Vec<&Arc<Callee>> = g
        .ids()
        .filter_map(|id| match g.op(id) {
            Op::Call(c) => Some(&c.callee),
            _ => None,
        })
        .collect();
    assert_eq!(callees.len(), 2);
    assert!(Arc::ptr_eq(callees[0], callees[1]));
}

#[test]
fn comments_and_missing_types_are_read() {
    let g: Graph = "graph \"g\" { // nothing\n %0 = input : f32[2]\n %1 = neg %0\n return %1 }".parse().unwrap();
    assert_eq!(g.ty(g.outputs()[0]).to_string(), "f32[2]");
}

#[test]
fn numbers_keep_their_bits() {
    let mut g = Graph::new("numbers");
    let odd_nan = f64::from_bits(0x7ff8_0000_0000_1234);
    let floats = [0.1, -0.0, 1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN, odd_nan];
    let floats = floats.into_iter().map(Into::into);
    let ints = [i128::MIN, i128::MAX, -1].into_iter().map(girih_graph::Number::Int);
    for n in floats.chain(ints) {
        g.scalar(n, DType::F64).unwrap();
    }
    let printed = round_trip(&g);
    assert!(printed.contains("{value = -inf}") && printed.contains("nan(9221120237041095220)"));
}

#[test]
fn strange_names_survive() {
    let mut g = Graph::new("a \"quoted\"\nname\u{1f600}");
    let mut shape = Vec::new();
    for name in ["n", "min", "inf", "two words", "`tick`\\", "f32", "1st", "line\nfeed", "true"] {
        let symbol = Symbol { name: name.into(), min: -3, max: i64::MAX, multiple_of: 4 };
        shape.push(Dim::from(symbol));
    }
    let sum = shape.iter().fold(Dim::ZERO, |a, b| a + b.clone());
    shape.push(sum.floor_div(&Dim::from(7i64)));
    let loc = Loc::new("C:\\src\\\"x\".rs", 1, 2).inlined_at(&Loc::new("é", 3, 4).inlined_at(&Loc::new("z", 5, 6)));
    let x = g.param("tab\t", TensorTy::new(DType::F32, shape.clone()), ParamKind::State, loc);
    for d in &shape {
        g.size(d.clone(), DType::I64).unwrap();
    }
    g.set_outputs(vec![x]);
    round_trip(&g);
}

#[test]
fn every_kind_has_a_form() {
    let mut g = Graph::new("kinds");
    let f32s = |shape: &[i64]| TensorTy::new(DType::F32, shape.iter().copied());
    let x = g.param("x", f32s(&[4, 6]), ParamKind::Input, Loc::unknown());
    let w = g.param("w", f32s(&[6, 2]), ParamKind::Weight, Loc::unknown());
    let zero = g.scalar(0.0, DType::F32).unwrap();
    let i = g.scalar(1i64, DType::I32).unwrap();
    let rows = g.iota(TensorTy::new(DType::I32, [3, 1]), 0).unwrap();
    let dims = |list: &[i64]| list.iter().map(|d| Dim::from(*d)).collect::<Vec<_>>();
    g.map(ScalarOp::Fma, &[x, x, x]).unwrap();
    g.cast(x, DType::Bf16).unwrap();
    g.bitcast(x, DType::U32).unwrap();
    g.reshape(x, dims(&[2, 12])).unwrap();
    g.permute(x, &[1, 0]).unwrap();
    g.broadcast(x, dims(&[4, 5, 6]), vec![0, 2]).unwrap();
    g.push(Slice { start: dims(&[0, 1]), limit: dims(&[4, 5]), stride: vec![1, 2] }, &[x]).unwrap();
    g.push(Pad { low: dims(&[0, 1]), high: dims(&[2, 0]), interior: vec![0, 1] }, &[x, zero]).unwrap();
    g.push(Reverse { axes: vec![1] }, &[x]).unwrap();
    g.push(Window { axes: vec![WindowAxis { axis: 1, size: 3, stride: 2, dilation: 1 }] }, &[x]).unwrap();
    g.concat(&[x, x], 1).unwrap();
    g.push(Dot { batch: vec![], contract: vec![(1, 0)], acc: DType::F32, precision: Precision::Fast }, &[x, w])
        .unwrap();
    let mut keep = Graph::new("first");
    let a = keep.param("a", TensorTy::scalar(DType::F32), ParamKind::Input, Loc::unknown());
    keep.param("b", TensorTy::scalar(DType::F32), ParamKind::Input, Loc::unknown());
    keep.set_outputs(vec![a]);
    let first = Monoid::Custom(Arc::new(keep), vec![0.0.into()]);
    for monoid in Monoid::PLAIN.iter().chain([&first]).filter(|m| !matches!(m, Monoid::And | Monoid::Or | Monoid::Xor))
    {
        g.reduce(monoid.clone(), x, &[1]).unwrap();
        let scan = Scan { monoid: monoid.clone(), axis: 0, reverse: true, exclusive: false, acc: DType::F32 };
        g.push(scan, &[x]).unwrap();
    }
    let gather = Gather {
        sizes: dims(&[1, 6]),
        offset_axes: vec![1],
        collapsed: vec![0],
        start_map: vec![0],
        operand_batch: vec![],
        index_batch: vec![],
    };
    let taken = g.push(gather, &[x, rows]).unwrap();
    for combine in [Combine::Set, Combine::Add, Combine::Mul, Combine::Min, Combine::Max] {
        let scatter = Scatter {
            combine,
            window_axes: vec![1],
            inserted: vec![0],
            start_map: vec![0],
            operand_batch: vec![],
            index_batch: vec![],
            unique: true,
        };
        g.push(scatter, &[x, rows, taken]).unwrap();
    }
    let part = g.push(DynSlice { sizes: dims(&[2, 2]) }, &[x, i, i]).unwrap();
    g.push(DynUpdate { donate: true }, &[x, part, i, i]).unwrap();
    g.push(Sort { axis: 1, keys: 1, descending: true }, &[x, x]).unwrap();
    let mut step = Graph::new("step");
    let p = step.param("p", f32s(&[4, 6]), ParamKind::Input, Loc::unknown());
    step.set_outputs(vec![p]);
    let mut stop = Graph::new("stop");
    stop.param("p", f32s(&[4, 6]), ParamKind::Input, Loc::unknown());
    let never = stop.scalar(0i64, DType::Bool).unwrap();
    stop.set_outputs(vec![never]);
    let step = Arc::new(step);
    g.push(Loop { kind: LoopKind::While(Arc::new(stop)), body: step.clone(), carried: 1 }, &[x]).unwrap();
    let chosen = g.push(Cond { branches: vec![step.clone(), step.clone()] }, &[i, x]).unwrap();
    g.proj(chosen, 0).unwrap();
    let callee = Callee { name: "c".into(), attrs: attrs(), body: step.as_ref().clone() };
    g.call(&Arc::new(callee), &[x]).unwrap();
    let both = g.push(Tuple, &[x, w]).unwrap();
    g.push(Fence, &[both]).unwrap();
    for level in [KernelLevel::Tile, KernelLevel::Simt] {
        let results = vec![f32s(&[1]), f32s(&[4, 6])];
        g.push(Kernel { level, text: "kernel {\n}\n".into(), results, updates: vec![1] }, &[x]).unwrap();
    }
    g.set_outputs(vec![both, chosen]);
    g.verify().unwrap();
    round_trip(&g);
}

fn attrs() -> Vec<(&'static str, Attr)> {
    vec![
        ("dim", Attr::Dim(Dim::symbol("pos", 0, 9) + Dim::ONE)),
        ("dtype", Attr::DType(DType::F8E4M3Fn)),
        ("ints", Attr::Ints(vec![1, -2])),
        ("number", Attr::Number(0.1.into())),
        ("text", Attr::Str("a\\b".into())),
        ("whole", Attr::Number(3.into())),
    ]
}
