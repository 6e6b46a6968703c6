//! What has no derivative or no batch says so.

use crate::harness::{check_batch, ints, run};
use girih_base::{DType, Dim, Loc, ScalarOp};
use girih_graph::ops::{Kernel, KernelLevel, Loop, LoopKind, Scan};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, batch, grad, nn, random};
use std::sync::Arc;

fn input(g: &mut Graph, name: &str, dtype: DType, shape: &[usize]) -> NodeId {
    g.param(name, TensorTy::new(dtype, shape.iter().copied()), ParamKind::Input, Loc::new("model.rs", 7, 1))
}

/// Doubles `n` while it is below `limit`; carried: n, rounds.
fn while_loop(dtype: DType) -> Graph {
    let part = |name: &str, next: bool| {
        let mut g = Graph::new(name);
        let n = input(&mut g, "n", dtype, &[]);
        let count = input(&mut g, "count", DType::I32, &[]);
        let limit = input(&mut g, "limit", dtype, &[]);
        let outputs = if next {
            let one = g.scalar(1, DType::I32).unwrap();
            vec![g.map(ScalarOp::Add, &[n, n]).unwrap(), g.map(ScalarOp::Add, &[count, one]).unwrap()]
        } else {
            vec![g.map(ScalarOp::Lt, &[n, limit]).unwrap()]
        };
        g.set_outputs(outputs);
        Arc::new(g)
    };
    let mut g = Graph::new("doubling");
    let n = input(&mut g, "n", dtype, &[]);
    let limit = input(&mut g, "limit", dtype, &[]);
    let zero = g.scalar(0, DType::I32).unwrap();
    g.set_loc(Loc::new("model.rs", 8, 1));
    let kind = LoopKind::While(part("below", false));
    let y = g.push(Loop { kind, body: part("double", true), carried: 2 }, &[n, zero, limit]).unwrap();
    let outputs = vec![g.proj(y, 0).unwrap(), g.proj(y, 1).unwrap()];
    g.set_outputs(outputs);
    g
}

#[test]
fn while_loops_batch_but_have_no_derivative() {
    let f = while_loop(DType::I32);
    let examples: Vec<_> =
        [(1, 10), (7, 100), (50, 3)].iter().map(|(n, l)| vec![ints(&[], &[*n]), ints(&[], &[*l])]).collect();
    for batched in [[true, true], [true, false], [false, true]] {
        check_batch(&f, &examples, &batched, 0.0);
    }
    let e = grad::vjp(&while_loop(DType::F64), &[0]).unwrap_err();
    assert!(e.message.contains("`while` loop cannot be differentiated"), "{e}");
    assert!(e.to_string().contains("model.rs:8:1") && e.help.is_some(), "{e}");
}

#[test]
fn while_loops_off_the_path_do_not_matter() {
    let mut g = Graph::new("stopped");
    let x = input(&mut g, "x", DType::F64, &[]);
    let limit = g.scalar(100.0, DType::F64).unwrap();
    let doubled = g.inline(&while_loop(DType::F64), &[x, limit], &Loc::unknown()).unwrap()[0];
    let scale = nn::stop_gradient(&mut g, doubled).unwrap();
    let y = g.map(ScalarOp::Mul, &[x, scale]).unwrap();
    g.set_outputs(vec![y]);
    let at = girih_graph::eval::Array::from_f64(DType::F64, &[], [3.0]);
    // 3 doubles to 192, and 192 x has the slope 192.
    assert_eq!(run(&grad::grad(&g, &[0]).unwrap(), &[at])[0].to_f64(), [192.0]);
}

#[test]
fn scans_without_a_rule_say_so() {
    let mut g = Graph::new("scan");
    let x = input(&mut g, "x", DType::F64, &[3]);
    let op = Scan { monoid: Monoid::Welford, axis: 0, reverse: false, exclusive: false, acc: DType::F64 };
    let y = g.push(op, &[x]).unwrap();
    let y = g.proj(y, 0).unwrap();
    g.set_outputs(vec![y]);
    assert!(grad::vjp(&g, &[0]).unwrap_err().message.contains("a `welford` scan cannot be differentiated"));
}

#[test]
fn kernels_have_neither() {
    let mut g = Graph::new("kernel");
    let x = input(&mut g, "x", DType::F32, &[2]);
    let results = vec![TensorTy::new(DType::F32, [2])];
    let y = g.push(Kernel { level: KernelLevel::Tile, text: "k".into(), results, updates: Vec::new() }, &[x]).unwrap();
    let loss = nn::mean(&mut g, y, &[0]).unwrap();
    g.set_outputs(vec![loss]);
    assert!(grad::grad(&g, &[0]).unwrap_err().message.contains("hand-written kernel cannot be differentiated"));
    assert!(batch::vmap(&g, &[Some(0)], 2usize).unwrap_err().message.contains("hand-written kernel cannot be batched"));
}

#[test]
fn only_float_scalars_have_gradients_and_only_by_floats() {
    let mut g = Graph::new("f");
    let x = input(&mut g, "x", DType::F32, &[2]);
    let i = input(&mut g, "i", DType::I32, &[]);
    g.set_outputs(vec![x]);
    let e = grad::grad(&g, &[0]).unwrap_err();
    assert!(e.message.contains("only a float scalar has a gradient") && e.message.contains("f32[2]"), "{e}");
    assert!(grad::vjp(&g, &[1]).unwrap_err().message.contains("parameter 1, which is i32[]"));
    assert!(grad::vjp(&g, &[2]).unwrap_err().message.contains("parameter 2, which does not exist"));
    assert!(grad::jvp(&g, &[9]).is_err());
    g.set_outputs(Vec::new());
    assert!(grad::grad(&g, &[0]).unwrap_err().message.contains("no output"));
    let _ = i;
}

#[test]
fn batch_axes_must_exist() {
    let mut g = Graph::new("f");
    let x = input(&mut g, "x", DType::F32, &[2]);
    g.set_outputs(vec![x]);
    assert!(batch::vmap(&g, &[], 2usize).unwrap_err().message.contains("1 parameters, and 0 batch axes"));
    assert!(batch::vmap(&g, &[Some(2)], 2usize).unwrap_err().message.contains("cannot have its batch at axis 2"));
}

#[test]
fn library_functions_name_what_does_not_fit() {
    let mut g = Graph::new("f");
    let x = input(&mut g, "x", DType::F32, &[2, 3]);
    let s = input(&mut g, "s", DType::F32, &[]);
    let key = input(&mut g, "key", DType::U32, &[3]);
    let refused = |r: girih_base::Result<NodeId>, words: &str| {
        let e = r.unwrap_err();
        assert!(e.to_string().contains(words), "{e}");
    };
    refused(nn::softmax(&mut g, x, 2), "axis 2 does not exist");
    refused(nn::rms_norm(&mut g, s, x, 1e-5), "at least one axis");
    refused(nn::rope(&mut g, x, s, s), "3 is odd");
    refused(nn::dropout(&mut g, x, key, 1.0), "0..1");
    refused(nn::dropout(&mut g, x, key, 0.5), "a random key is u32[2]");
    refused(nn::cross_entropy(&mut g, x, x), "labels of logits f32[2, 3]");
    refused(nn::attention(&mut g, s, x, x, None, 1.0, None), "attention takes queries");
    refused(nn::conv2d(&mut g, x, x, None, &nn::Conv2d::default()), "conv2d takes [N, C, H, W]");
    refused(nn::group_norm(&mut g, x, s, s, 2, 1e-5), "2 groups do not divide");
    refused(nn::group_norm(&mut g, x, s, s, 0, 1e-5), "0 groups do not divide");
    refused(nn::mean(&mut g, key, &[0]), "cast first");
    refused(nn::linear(&mut g, x, x, None), "`x`");
    let many = [Dim::from(1i64 << 20), Dim::from(1i64 << 20)];
    let good = random::key(&mut g, 1).unwrap();
    refused(random::bits(&mut g, good, &many, DType::U32), "split the key first");
    refused(random::bits(&mut g, good, &[], DType::I8), "not i8");
}
