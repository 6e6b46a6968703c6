//! Scans and sorts along lines that no workgroup holds, run in the emulator and compared with the graph evaluator.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::run;
use girih_base::{Bindings, DType, Dim, ScalarOp, Symbol};
use girih_graph::eval::compare::{Random, allclose};
use girih_graph::eval::{Array, Value};
use girih_graph::ops::{Scan, Sort};
use girih_graph::testing::Sample;
use girih_graph::{Graph, Monoid, NodeId, Number, ParamKind, TensorTy, nn};
use girih_lower::{Step, TargetDesc, lower};
use std::sync::Arc;

/// A GPU whose workgroups hold lines of a few dozen elements.
fn small() -> TargetDesc {
    let mut desc = TargetDesc { workgroup_bytes: 1536, threads: 16, ..TargetDesc::webgpu() };
    desc.native.extend([DType::I64, DType::U64, DType::F64]);
    desc
}

/// All that the operation needs is in several launches, and gives what the evaluator gives.
fn check(what: &str, graph: Graph, inputs: Vec<Value>, bindings: Bindings, rtol: f64) {
    let sample = Sample { exact: vec![false; graph.outputs().len()], graph, bindings, inputs };
    let want = sample.graph.eval(&sample.inputs, &sample.bindings).unwrap_or_else(|d| panic!("{what}: {d}"));
    let got = run(&sample, &small()).unwrap_or_else(|d| panic!("{what}: {d}\n{}", sample.graph));
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        allclose(g, w, rtol, rtol).unwrap_or_else(|e| panic!("{what}, output {i}: {e}\n{}", sample.graph));
    }
}

fn param(g: &mut Graph, dtype: DType, shape: &[usize]) -> NodeId {
    let name = format!("x{}", g.params().len());
    g.param(&name, TensorTy::new(dtype, shape.iter().copied()), ParamKind::Input, Default::default())
}

/// Few distinct values, so that many keys are equal, with both zeros and NaN among floats.
fn tied(dtype: DType, shape: &[usize], seed: u64) -> Value {
    let mut r = Random(seed);
    let n: usize = shape.iter().product();
    let special = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, 1.5, -2.0, 0.25];
    if dtype.is_float() {
        return Array::from_f64(dtype, shape, (0..n).map(|_| *r.pick(&special))).into();
    }
    let low = if dtype.is_signed() { -3 } else { 0 };
    let span = if dtype == DType::Bool { 2 } else { 7 };
    Array::from_ints(dtype, shape, (0..n).map(|_| r.below(span) as i128 + low)).into()
}

fn outputs(g: &mut Graph, node: NodeId) {
    let count = match g.ty(node) {
        girih_graph::Ty::Tuple(tys) => tys.len(),
        girih_graph::Ty::Tensor(_) => 0,
    };
    let parts = (0..count).map(|i| g.proj(node, i).unwrap()).collect();
    g.set_outputs(if count == 0 { vec![node] } else { parts });
}

const LENGTHS: [usize; 7] = [0, 1, 2, 31, 100, 257, 1000];

/// Sorts with positions, of every dtype a GPU may hold, both ways.
#[test]
fn sorts() {
    use DType::*;
    for (d, dtype) in [F32, I32, U32, Bool, I8, U8, I16, U16, F16, Bf16, I64, U64, F64].into_iter().enumerate() {
        let length = if d == 0 { &LENGTHS[..] } else { &LENGTHS[4..6] };
        for (i, n) in length.iter().enumerate() {
            let mut g = Graph::new("sort");
            let x = param(&mut g, dtype, &[2, *n]);
            let at = g.iota(TensorTy::new(I32, [2, *n]), 1).unwrap();
            let sorted = g.push(Sort { axis: 1, keys: 1, descending: (i + d) % 2 == 0 }, &[x, at]).unwrap();
            outputs(&mut g, sorted);
            check(&format!("{dtype} {n}"), g, vec![tied(dtype, &[2, *n], 7 + *n as u64)], Bindings::new(), 0.0);
        }
    }
}

/// Several keys, along an inner axis, with more operands than a kernel has buffers for.
#[test]
fn sorts_of_many_operands() {
    let shape = [2, 130, 3];
    for (keys, count) in [(2, 2), (2, 4), (1, 5), (3, 6)] {
        let mut g = Graph::new("sort");
        let dtypes = [DType::I8, DType::F16, DType::Bool, DType::F32, DType::U8, DType::I32];
        let operands: Vec<NodeId> = dtypes[..count].iter().map(|d| param(&mut g, *d, &shape)).collect();
        let sorted = g.push(Sort { axis: 1, keys, descending: keys == 1 }, &operands).unwrap();
        outputs(&mut g, sorted);
        let inputs = dtypes[..count].iter().enumerate().map(|(i, d)| tied(*d, &shape, i as u64)).collect();
        check(&format!("{keys} keys of {count}"), g, inputs, Bindings::new(), 0.0);
    }
}

/// One tensor given twice is still one sort.
#[test]
fn sorts_one_operand_twice() {
    let mut g = Graph::new("sort");
    let x = param(&mut g, DType::I32, &[300]);
    let sorted = g.push(Sort { axis: 0, keys: 1, descending: false }, &[x, x]).unwrap();
    outputs(&mut g, sorted);
    check("twice", g, vec![tied(DType::I32, &[300], 3)], Bindings::new(), 0.0);
}

fn scan(monoid: Monoid, axis: usize, reverse: bool, acc: DType) -> Scan {
    Scan { monoid, axis, reverse, exclusive: false, acc }
}

/// Every fold that has a name, both ways, along the last axis and across memory.
#[test]
fn scans() {
    use Monoid::*;
    for (i, monoid) in Monoid::PLAIN.iter().enumerate() {
        let whole = matches!(monoid, And | Or | Xor);
        let dtype = match (whole, i % 2) {
            (true, 0) => DType::U8,
            (true, _) => DType::U64,
            (false, 0) => DType::F32,
            (false, _) => DType::F64,
        };
        for (shape, axis) in [(vec![3, 1000], 1), (vec![700], 0), (vec![1], 0), (vec![2, 300, 5], 1), (vec![0], 0)] {
            for reverse in [false, true] {
                let mut g = Graph::new("scan");
                let x = param(&mut g, dtype, &shape);
                let x0 = if *monoid == Prod { g.scalar(1.0, dtype).unwrap() } else { x };
                let dims: Vec<Dim> = shape.iter().map(|d| Dim::from(*d)).collect();
                let x0 = g.broadcast_to(x0, &dims).unwrap();
                // Products of factors near one stay in range.
                let small = g.scalar(if whole { 0.0 } else { 1e-3 }, dtype).unwrap();
                let small = g.broadcast_to(small, &dims).unwrap();
                let factor = g.map(ScalarOp::Mul, &[x, small]).unwrap();
                let y = if *monoid == Prod { g.map(ScalarOp::Add, &[x0, factor]).unwrap() } else { x };
                let y = g.push(scan(monoid.clone(), axis, reverse, dtype), &[y]).unwrap();
                outputs(&mut g, y);
                let input = Array::random(dtype, &shape, i as u64).into();
                check(&format!("{} {shape:?} {reverse}", monoid.name()), g, vec![input], Bindings::new(), 2e-4);
            }
        }
    }
}

/// The order of a fold that does not commute is kept, both ways: composed affine maps (a, b) then (c, d) = (a c, b c + d).
#[test]
fn scans_in_order() {
    let mut body = Graph::new("compose");
    let scalar = TensorTy::scalar(DType::I32);
    let p: Vec<NodeId> = ["a", "b", "c", "d"]
        .iter()
        .map(|n| body.param(n, scalar.clone(), ParamKind::Input, Default::default()))
        .collect();
    let factor = body.map(ScalarOp::Mul, &[p[0], p[2]]).unwrap();
    let moved = body.map(ScalarOp::Mul, &[p[1], p[2]]).unwrap();
    let moved = body.map(ScalarOp::Add, &[moved, p[3]]).unwrap();
    body.set_outputs(vec![factor, moved]);
    let monoid = Monoid::Custom(Arc::new(body), vec![Number::from(1i64), Number::from(0i64)]);
    for (shape, axis) in [(vec![400], 0), (vec![150, 4], 0), (vec![40, 500], 1), (vec![130, 500], 1)] {
        for reverse in [false, true] {
            let mut g = Graph::new("scan");
            let (a, b) = (param(&mut g, DType::I32, &shape), param(&mut g, DType::I32, &shape));
            let y = g.push(scan(monoid.clone(), axis, reverse, DType::I32), &[a, b]).unwrap();
            outputs(&mut g, y);
            let inputs = vec![tied(DType::I32, &shape, 1), tied(DType::I32, &shape, 2)];
            check(&format!("{shape:?} {reverse}"), g, inputs, Bindings::new(), 0.0);
        }
    }
}

/// Lengths that are known when the program runs: one program for all of them.
#[test]
fn run_time_lengths() {
    let n: Dim = Symbol { name: "n".into(), min: 0, max: 900, multiple_of: 1 }.into();
    for length in [0usize, 1, 64, 129, 900] {
        let mut g = Graph::new("lines");
        let ty = TensorTy::new(DType::F32, vec![Dim::from(2), n.clone()]);
        let x = g.param("x", ty, ParamKind::Input, Default::default());
        let (sum, reversed) = (scan(Monoid::Sum, 1, false, DType::F32), scan(Monoid::Max, 1, true, DType::F32));
        let (sum, reversed) = (g.push(sum, &[x]).unwrap(), g.push(reversed, &[x]).unwrap());
        let sorted = g.push(Sort { axis: 1, keys: 1, descending: true }, &[x]).unwrap();
        g.set_outputs(vec![sum, reversed, sorted]);
        let input = Array::random(DType::F32, &[2, length], 5).into();
        check(&format!("{length}"), g, vec![input], [("n".into(), length as i64)].into(), 1e-4);
    }
}

/// The largest of a vocabulary's scores, with their positions, and running sums, on a GPU as WebGPU promises it.
#[test]
fn vocabulary() {
    let n = 49152usize;
    let mut g = Graph::new("sample");
    let x = param(&mut g, DType::F32, &[1, n]);
    let (values, positions) = nn::top_k(&mut g, x, Dim::from(40)).unwrap();
    let best = nn::argmax(&mut g, x, 1).unwrap();
    let running = nn::cumsum(&mut g, x, 1).unwrap();
    g.set_outputs(vec![values, positions, best, running]);
    let inputs: Vec<Value> = vec![Array::random(DType::F32, &[1, n], 9).into()];
    let want = g.eval(&inputs, &Bindings::new()).unwrap();
    let sample = Sample { exact: vec![false; 4], graph: g, bindings: Bindings::new(), inputs };
    let got = run(&sample, &TargetDesc::webgpu()).unwrap();
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        let within = if i == 3 { 1e-3 } else { 0.0 };
        allclose(g, w, 0.0, within).unwrap_or_else(|e| panic!("output {i}: {e}"));
    }
}

/// One launch sorts what a workgroup holds; what it does not hold takes one more for every doubling.
#[test]
fn launches() {
    for (n, launches) in [(64, 1), (128, 1), (129, 2), (256, 2), (1000, 4)] {
        let mut g = Graph::new("sort");
        let x = param(&mut g, DType::F32, &[n]);
        let y = g.push(Sort { axis: 0, keys: 1, descending: false }, &[x]).unwrap();
        g.set_outputs(vec![y]);
        let program = lower(&g, &small()).unwrap();
        assert_eq!(program.steps.iter().filter(|s| matches!(s, Step::Launch { .. })).count(), launches, "{n}");
    }
}
