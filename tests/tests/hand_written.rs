//! Hand-written kernels between graph operations, compiled with the optimiser on and run on every target.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Bindings, DType, ScalarOp};
use girih_driver::Options;
use girih_graph::eval::compare::allclose;
use girih_graph::eval::{Array, Value};
use girih_graph::ops::{Kernel, KernelLevel};
use girih_graph::{Graph, NodeId, ParamKind, TensorTy, nn};
use girih_tests::emulated::emulated;
use girih_tests::gpu::gpu;
use girih_tests::{Rig, cpu, run};

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

/// Counts the elements of every bin; the counts start as zeros.
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

fn rigs() -> Vec<Rig> {
    [cpu(), emulated()].into_iter().chain(gpu()).collect()
}

fn node(g: &mut Graph, level: KernelLevel, text: &str, results: Vec<TensorTy>, operand: NodeId) -> NodeId {
    g.push(Kernel { level, text: text.into(), results, updates: Vec::new() }, &[operand]).unwrap()
}

/// `softmax(2 x) + 1`, the softmax by hand or in graph operations.
fn mixed(by_hand: bool) -> Graph {
    let mut g = Graph::new("mixed");
    let ty = TensorTy::new(DType::F32, [8usize, 32]);
    let x = g.param("x", ty.clone(), ParamKind::Input, Default::default());
    let (two, one) = (g.scalar(2.0, DType::F32).unwrap(), g.scalar(1.0, DType::F32).unwrap());
    let double = g.map_broadcast(ScalarOp::Mul, &[x, two]).unwrap();
    let soft = match by_hand {
        true => node(&mut g, KernelLevel::Tile, SOFTMAX, vec![ty], double),
        false => nn::softmax(&mut g, double, 1).unwrap(),
    };
    let y = g.map_broadcast(ScalarOp::Add, &[soft, one]).unwrap();
    g.set_outputs(vec![y]);
    g
}

#[test]
fn tile_kernels() {
    let x: Value = Array::random(DType::F32, &[8, 32], 3).into();
    let want = mixed(false).eval(std::slice::from_ref(&x), &Bindings::new()).unwrap();
    for rig in rigs() {
        let options = Options::for_target(&*rig.target);
        let got = run(&rig, &mixed(true), std::slice::from_ref(&x), &Bindings::new(), &options);
        let got = got.unwrap_or_else(|d| panic!("{}: {d}", rig.name));
        allclose(&got[0], &want[0], 1e-5, 1e-6).unwrap_or_else(|e| panic!("{}: {e}", rig.name));
    }
}

#[test]
fn simt_kernels() {
    let mut g = Graph::new("count");
    let x = g.param("x", TensorTy::new(DType::U32, [256usize]), ParamKind::Input, Default::default());
    let y = node(&mut g, KernelLevel::Simt, HISTOGRAM, vec![TensorTy::new(DType::U32, [8usize])], x);
    let z = g.map(ScalarOp::Add, &[y, y]).unwrap();
    g.set_outputs(vec![z]);
    let bins: Value = Array::from_ints(DType::U32, &[256], (0..256).map(|i| (i * i) % 8)).into();
    let mut counts = [0; 8];
    (0..256).for_each(|i| counts[i * i % 8] += 2);
    let want: Value = Array::from_ints(DType::U32, &[8], counts).into();
    for rig in rigs() {
        let options = Options::for_target(&*rig.target);
        let got = run(&rig, &g, std::slice::from_ref(&bins), &Bindings::new(), &options);
        let got = got.unwrap_or_else(|d| panic!("{}: {d}", rig.name));
        allclose(&got[0], &want, 0.0, 0.0).unwrap_or_else(|e| panic!("{}: {e}", rig.name));
    }
}

#[test]
fn results_start_as_operands() {
    let start: Value = Array::from_ints(DType::U32, &[8], 10..18).into();
    let bins: Value = Array::from_ints(DType::U32, &[256], (0..256).map(|i| (i * i) % 8)).into();
    let mut counts: Vec<i128> = (10..18).collect();
    (0..256).for_each(|i| counts[i * i % 8] += 1);
    let mut g = Graph::new("count on");
    let (long, short) = (TensorTy::new(DType::U32, [256usize]), TensorTy::new(DType::U32, [8usize]));
    let x = g.param("x", long, ParamKind::Input, Default::default());
    let y = g.param("y", short.clone(), ParamKind::Input, Default::default());
    let kernel = Kernel { level: KernelLevel::Simt, text: HISTOGRAM.into(), results: vec![short], updates: vec![0] };
    let z = g.push(kernel, &[x, y]).unwrap();
    // What it starts as stays as it was.
    let difference = g.map(ScalarOp::Sub, &[z, y]).unwrap();
    g.set_outputs(vec![z, difference]);
    let want: Value = Array::from_ints(DType::U32, &[8], counts.iter().copied()).into();
    let rest: Value = Array::from_ints(DType::U32, &[8], counts.iter().zip(10..).map(|(n, s)| n - s)).into();
    for rig in rigs() {
        let options = Options::for_target(&*rig.target);
        let got = run(&rig, &g, &[bins.clone(), start.clone()], &Bindings::new(), &options);
        let got = got.unwrap_or_else(|d| panic!("{}: {d}", rig.name));
        allclose(&got[0], &want, 0.0, 0.0).unwrap_or_else(|e| panic!("{}: {e}", rig.name));
        allclose(&got[1], &rest, 0.0, 0.0).unwrap_or_else(|e| panic!("{}: {e}", rig.name));
    }
}
