//! Choices of the cost model, quantised weights, and shapes that no rule should touch.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{count, dump};
use girih_base::{Bindings, DType, QuantFormat};
use girih_graph::eval::compare::allclose;
use girih_graph::eval::{Array, Value};
use girih_graph::{Graph, Monoid, NodeId, Op, ParamKind, TensorTy, nn};
use girih_rewrite::{Budget, Classes, optimize};

fn param(g: &mut Graph, name: &str, dtype: DType, shape: &[i64], kind: ParamKind) -> NodeId {
    g.param(name, TensorTy::new(dtype, shape.iter().copied()), kind, Default::default())
}

fn values(g: &Graph) -> Vec<Value> {
    let value = |(i, p): (usize, &NodeId)| {
        let t = g.tensor(*p).unwrap();
        let shape = t.const_shape().unwrap();
        // Random bytes are below 32, so as quantised blocks they are small scales and small numbers.
        Array::random(t.dtype, &shape, 5 + i as u64).into()
    };
    g.params().iter().enumerate().map(value).collect()
}

fn same(g: &Graph, out: &Graph, tolerance: f64) {
    let inputs = values(g);
    let b = Bindings::new();
    let (want, got) = (g.eval(&inputs, &b).unwrap(), out.eval(&inputs, &b).unwrap());
    for (x, y) in got.iter().zip(&want) {
        allclose(x, y, tolerance, tolerance).unwrap();
    }
}

#[test]
fn low_rank_products_take_the_cheap_order() {
    // x [64, 512] a [512, 8] b [8, 512]: (x a) b costs 64 * 8 * 1024 multiplications, x (a b) 36 times as many.
    let mut g = Graph::new("lora");
    let x = param(&mut g, "x", DType::F32, &[64, 512], ParamKind::Input);
    let a = param(&mut g, "a", DType::F32, &[512, 8], ParamKind::Input);
    let b = param(&mut g, "b", DType::F32, &[8, 512], ParamKind::Input);
    let ab = g.matmul(a, b).unwrap();
    let y = g.matmul(x, ab).unwrap();
    g.set_outputs(vec![y]);
    let (out, report) = optimize(&g, &Budget::default()).unwrap();
    assert_eq!(report.firings("dot-assoc-left"), 1, "{}", report.render());
    let inner = out.operands(out.outputs()[0])[0];
    assert_eq!(out.ty(inner).to_string(), "f32[64, 8]", "{}", dump(&out));
    same(&g, &out, 1e-5);
    // Regrouping rounds elsewhere, so it needs the permission to.
    let exact = Budget { classes: Classes { exact: true, reassoc: false, approx: false }, ..Budget::default() };
    let (out, _) = optimize(&g, &exact).unwrap();
    assert_eq!(dump(&g), dump(&out));
}

#[test]
fn quantised_projections_become_one() {
    let mut g = Graph::new("qkv");
    let x = param(&mut g, "x", DType::F32, &[3, 32], ParamKind::Input);
    let mut outputs = Vec::new();
    for (name, rows, format) in [
        ("q", 4, QuantFormat::Q8_0),
        ("k", 2, QuantFormat::Q8_0),
        ("v", 2, QuantFormat::Q4_1),
        ("g", 3, QuantFormat::Q8_0),
    ] {
        let w = param(&mut g, name, DType::U8, &[rows, format.block_bytes() as i64], ParamKind::Weight);
        let w = nn::dequant(&mut g, w, format).unwrap();
        outputs.push(g.dot(x, w, &[], &[(1, 1)]).unwrap());
    }
    g.set_outputs(outputs);
    let (out, report) = optimize(&g, &Budget::default()).unwrap();
    // Three of one format are one product over nine rows of blocks; the other format stays alone.
    assert_eq!(count(&out, |op| matches!(op, Op::Dot(_))), 2, "{}", dump(&out));
    assert_eq!(report.composites("dequant.q8_0"), 1);
    assert_eq!(report.composites("dequant.q4_1"), 1);
    let joined = out.ids().find(|id| matches!(out.op(*id), Op::Concat(_))).unwrap();
    assert_eq!(out.ty(joined).to_string(), "u8[9, 34]");
    same(&g, &out, 0.0);
}

#[test]
fn inputs_are_not_joined() {
    let mut g = Graph::new("not weights");
    let x = param(&mut g, "x", DType::F32, &[3, 4], ParamKind::Input);
    let a = param(&mut g, "a", DType::F32, &[4, 5], ParamKind::Input);
    let b = param(&mut g, "b", DType::F32, &[4, 5], ParamKind::Input);
    let outputs = vec![g.matmul(x, a).unwrap(), g.matmul(x, b).unwrap()];
    g.set_outputs(outputs);
    let (out, _) = optimize(&g, &Budget::default()).unwrap();
    assert_eq!(dump(&g), dump(&out));
}

#[test]
fn equal_and_dead_nodes_go() {
    let mut g = Graph::new("cse");
    let x = param(&mut g, "x", DType::F32, &[4], ParamKind::Input);
    let unused = param(&mut g, "unused", DType::F32, &[4], ParamKind::Input);
    let (a, b) = (nn::silu(&mut g, x).unwrap(), nn::silu(&mut g, x).unwrap());
    let _dead = nn::relu(&mut g, unused).unwrap();
    let sum = g.map(girih_base::ScalarOp::Add, &[a, b]).unwrap();
    g.set_outputs(vec![sum, a]);
    let (out, _) = optimize(&g, &Budget::default()).unwrap();
    assert_eq!(out.params().len(), 2, "parameters stay, used or not");
    assert_eq!(out.len(), 4, "{}", dump(&out));
    same(&g, &out, 0.0);
}

#[test]
fn integer_chains_are_sorted_and_folded() {
    let mut g = Graph::new("ints");
    let x = param(&mut g, "x", DType::I32, &[4], ParamKind::Input);
    let y = param(&mut g, "y", DType::I32, &[4], ParamKind::Input);
    let ty = g.tensor(x).unwrap().clone();
    let (one, two) = (g.splat(1i64, ty.clone()).unwrap(), g.splat(2i64, ty).unwrap());
    use girih_base::ScalarOp::Add;
    let a = g.map(Add, &[one, x]).unwrap();
    let a = g.map(Add, &[a, y]).unwrap();
    let a = g.map(Add, &[two, a]).unwrap();
    let b = g.map(Add, &[y, two]).unwrap();
    let b = g.map(Add, &[b, one]).unwrap();
    let b = g.map(Add, &[x, b]).unwrap();
    g.set_outputs(vec![a, b]);
    let (out, _) = optimize(&g, &Budget::default()).unwrap();
    assert_eq!(out.outputs()[0], out.outputs()[1], "{}", dump(&out));
    same(&g, &out, 0.0);
}

#[test]
fn long_sums_are_split() {
    let mut g = Graph::new("sum");
    let x = param(&mut g, "x", DType::F32, &[1 << 20], ParamKind::Input);
    let y = g.reduce(Monoid::Sum, x, &[0]).unwrap();
    g.set_outputs(vec![y]);
    let (out, report) = optimize(&g, &Budget::default()).unwrap();
    assert_eq!(count(&out, |op| matches!(op, Op::Reduce(_))), 2, "{}", report.render());
    same(&g, &out, 1e-6);
}

#[test]
fn a_fence_is_a_wall() {
    let mut g = Graph::new("fence");
    let x = param(&mut g, "x", DType::F32, &[2, 2], ParamKind::Input);
    let t = g.permute(x, &[1, 0]).unwrap();
    let t = g.push(girih_graph::ops::Fence, &[t]).unwrap();
    let t = g.permute(t, &[1, 0]).unwrap();
    g.set_outputs(vec![t]);
    let (out, _) = optimize(&g, &Budget::default()).unwrap();
    assert_eq!(dump(&g), dump(&out));
}

#[test]
fn loop_bodies_are_optimised() {
    let mut body = Graph::new("body");
    let _round = body.param("i", TensorTy::scalar(DType::I32), ParamKind::Input, Default::default());
    let x = param(&mut body, "x", DType::F32, &[2, 3], ParamKind::Input);
    let t = body.permute(x, &[1, 0]).unwrap();
    let t = nn::relu(&mut body, t).unwrap();
    let t = body.permute(t, &[1, 0]).unwrap();
    body.set_outputs(vec![t]);
    let mut g = Graph::new("loop");
    let x = param(&mut g, "x", DType::F32, &[2, 3], ParamKind::Input);
    let kind = girih_graph::ops::LoopKind::For(girih_base::Dim::from(3));
    let op = girih_graph::ops::Loop { kind, body: std::sync::Arc::new(body), carried: 1 };
    let l = g.push(op, &[x]).unwrap();
    let y = g.proj(l, 0).unwrap();
    g.set_outputs(vec![y]);
    let (out, report) = optimize(&g, &Budget::default()).unwrap();
    assert_eq!(report.bodies[0].name, "body");
    assert_eq!(report.bodies[0].nodes_after, 3, "{}", report.render());
    same(&g, &out, 0.0);
}
