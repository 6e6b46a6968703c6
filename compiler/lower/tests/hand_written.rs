//! Hand-written kernels that do not fit their place in a graph are refused by name; `tests/tests/hand_written.rs` runs those that do.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::DType;
use girih_graph::ops::{Kernel, KernelLevel};
use girih_graph::{Graph, NodeId, TensorTy};
use girih_lower::{TargetDesc, lower};

const DOUBLE: &str = "kernel double
param x f32[256] read
param y f32[256] write
grid 2
{
  %0: i32 = program_id 0
  %1: i32 = const 128
  %2: i32 = mul %0, %1
  %3: f32[128] = load x view(0; 256:1!) at(%2) other 0.0
  %4: f32[128] = add %3, %3
  store y view(0; 256:1!) at(%2) %4
}
";

/// counts[bin] += 1 of every element's bin.
const COUNT: &str = "kernel @count workgroup [64, 1, 1] groups 4 {
  buffer bins: u32 read
  buffer counts: u32 written
  %0.lane = local_index : u32
  %1 = load bins[%0.lane] : u32
  %2 = 1 : u32
  %3 = atomic_add counts[%1], %2 : u32
}
";

/// The message of what refuses a kernel with these operand and result types.
fn refusal(text: &str, level: KernelLevel, operands: &[TensorTy], results: &[TensorTy]) -> String {
    let mut g = Graph::new("misfit");
    let list: Vec<NodeId> = operands
        .iter()
        .enumerate()
        .map(|(i, t)| g.param(&format!("p{i}"), t.clone(), girih_graph::ParamKind::Input, Default::default()))
        .collect();
    let k = g.push(Kernel { level, text: text.into(), results: results.to_vec(), updates: Vec::new() }, &list).unwrap();
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
    says(refusal(DOUBLE, Tile, &[f(255)], &[f(256)]), "cannot take operand 0 as `x`");
    says(refusal(DOUBLE, Tile, &[f(256)], &[TensorTy::new(DType::F16, [256usize])]), "cannot take result 0 as `y`");
    says(refusal(DOUBLE, Tile, &[f(256), f(256)], &[f(256)]), "has 2 parameters");
    says(refusal(DOUBLE, Tile, &[], &[f(256), f(256)]), "does not write `x`, which is result 0");
    says(refusal(COUNT, Simt, &[f(256)], &[u(8)]), "cannot take operand 0 as `bins`");
    says(refusal(COUNT, Simt, &[u(256), u(8)], &[u(8)]), "has 2 parameters");
    refusal("kernel {", Tile, &[f(256)], &[f(256)]);
    refusal("kernel {", Simt, &[f(256)], &[f(256)]);
}
