//! Hand-written kernels inside graphs: launched where they fit, refused by name where they do not.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{input, run};
use girih_base::{Bindings, DType, ScalarOp};
use girih_graph::eval::compare::allclose;
use girih_graph::eval::{Array, Value};
use girih_graph::ops::{Kernel, KernelLevel};
use girih_graph::testing::Sample;
use girih_graph::{Graph, NodeId, TensorTy, nn};
use girih_lower::{TargetDesc, lower};

/// Softmax of rows of 32, a program for every four.
const SOFTMAX: &str = "kernel softmax_rows
param x f32[256] read
param y f32[256] write
grid 2
{
  %0: i32 = program_id 0
  %1: i32 = const 4
  %2: i32 = mul %0, %1
  %3: i32 = const 0
  %4: f32[4,32] = load x view(0; 8:32, 32:1!) at(%2, %3) other 0.0
  %5: f32[4] = reduce max axis 1 (%4)
  %6: f32[4,32] = broadcast %5 (0)
  %7: f32[4,32] = sub %4, %6
  %8: f32[4,32] = exp %7
  %9: f32[4] = reduce add axis 1 (%8)
  %10: f32[4,32] = broadcast %9 (0)
  %11: f32[4,32] = div %8, %10
  store y view(0; 8:32, 32:1!) at(%2, %3) %11
}
";

/// y[bin] += 1 of every element's bin; the bins start as zeros.
const HISTOGRAM: &str = "kernel @histogram workgroup [64, 1, 1] groups 4 {
  buffer bins: u32 read
  buffer counts: u32 written
  %0.lane = local_index : u32
  %1.group = workgroup_index : u32
  %2 = 64 : u32
  %3 = mul %1.group, %2 : u32
  %4 = add %3, %0.lane : u32
  %5 = load bins[%4] : u32
  %6 = 1 : u32
  %7 = atomic_add counts[%5], %6 : u32
}
";

fn node(g: &mut Graph, level: KernelLevel, text: &str, results: Vec<TensorTy>, operands: &[NodeId]) -> NodeId {
    g.push(Kernel { level, text: text.into(), results }, operands).unwrap()
}

/// `softmax(x * 2) + 1` with the softmax by hand, and in graph operations.
fn pair() -> [Graph; 2] {
    [true, false].map(|by_hand| {
        let mut g = Graph::new("mixed");
        let x = input(&mut g, "x", &[8, 32]);
        let two = g.scalar(2.0, DType::F32).unwrap();
        let double = g.map_broadcast(ScalarOp::Mul, &[x, two]).unwrap();
        let soft = if by_hand {
            node(&mut g, KernelLevel::Tile, SOFTMAX, vec![TensorTy::new(DType::F32, [8usize, 32])], &[double])
        } else {
            nn::softmax(&mut g, double, 1).unwrap()
        };
        let one = g.scalar(1.0, DType::F32).unwrap();
        let y = g.map_broadcast(ScalarOp::Add, &[soft, one]).unwrap();
        g.set_outputs(vec![y]);
        g
    })
}

fn evaluate(graph: Graph, inputs: Vec<Value>) -> Vec<Value> {
    let sample = Sample { exact: vec![false; graph.outputs().len()], graph, bindings: Bindings::new(), inputs };
    run(&sample, &TargetDesc::webgpu()).unwrap_or_else(|d| panic!("{d}"))
}

#[test]
fn between_graph_operations() {
    let [by_hand, plain] = pair();
    let x: Value = Array::random(DType::F32, &[8, 32], 3).into();
    let want = plain.eval(std::slice::from_ref(&x), &Bindings::new()).unwrap();
    let got = evaluate(by_hand, vec![x]);
    allclose(&got[0], &want[0], 1e-5, 1e-6).unwrap();
}

#[test]
fn threads_count_into_zeros() {
    let mut g = Graph::new("count");
    let x = g.param("x", TensorTy::new(DType::U32, [256usize]), girih_graph::ParamKind::Input, Default::default());
    let y = node(&mut g, KernelLevel::Simt, HISTOGRAM, vec![TensorTy::new(DType::U32, [8usize])], &[x]);
    let z = g.map(ScalarOp::Add, &[y, y]).unwrap();
    g.set_outputs(vec![z]);
    let bins = Array::from_ints(DType::U32, &[256], (0..256).map(|i| (i * i) % 8));
    let got = evaluate(g, vec![bins.into()]);
    let mut counts = [0; 8];
    (0..256).for_each(|i| counts[i * i % 8] += 2);
    allclose(&got[0], &Array::from_ints(DType::U32, &[8], counts).into(), 0.0, 0.0).unwrap();
}

/// The message of what refuses a kernel with these operand and result types.
fn refusal(text: &str, level: KernelLevel, operands: &[TensorTy], results: &[TensorTy]) -> String {
    let mut g = Graph::new("misfit");
    let list: Vec<NodeId> = operands
        .iter()
        .enumerate()
        .map(|(i, t)| g.param(&format!("p{i}"), t.clone(), girih_graph::ParamKind::Input, Default::default()))
        .collect();
    let k = node(&mut g, level, text, results.to_vec(), &list);
    let k = if results.len() == 1 { k } else { g.proj(k, 0).unwrap() };
    g.set_outputs(vec![k]);
    let d = lower(&g, &TargetDesc::webgpu()).unwrap_err();
    assert!(d.code == "L006" || d.code.starts_with('T') || d.code.starts_with('S'), "{d}");
    d.to_string()
}

#[test]
fn what_does_not_fit_is_refused() {
    use KernelLevel::{Simt, Tile};
    let f = |n: usize| TensorTy::new(DType::F32, [n]);
    let u = |n: usize| TensorTy::new(DType::U32, [n]);
    let says = |text: String, part: &str| assert!(text.contains(part), "{text}");
    says(refusal(SOFTMAX, Tile, &[f(255)], &[f(256)]), "cannot take operand 0 as `x`");
    says(refusal(SOFTMAX, Tile, &[f(256)], &[TensorTy::new(DType::F16, [256usize])]), "cannot take result 0 as `y`");
    says(refusal(SOFTMAX, Tile, &[f(256), f(256)], &[f(256)]), "has 2 parameters");
    says(refusal(SOFTMAX, Tile, &[], &[f(256), f(256)]), "does not write `x`, which is result 0");
    says(refusal(HISTOGRAM, Simt, &[f(256)], &[u(8)]), "cannot take operand 0 as `bins`");
    says(refusal(HISTOGRAM, Simt, &[u(256), u(8)], &[u(8)]), "has 2 parameters");
    refusal("kernel {", Tile, &[f(256)], &[f(256)]);
    refusal("kernel {", Simt, &[f(256)], &[f(256)]);
}
