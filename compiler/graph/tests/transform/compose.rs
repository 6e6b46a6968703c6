//! Transforms of transforms, states, sharing, compaction.

use crate::harness::{check_gradient, close, close_arrays, floats, run, stack};
use girih_base::{DType, Dim, Loc, ScalarOp};
use girih_graph::eval::Array;
use girih_graph::ops::{Call, Callee, Loop, LoopKind};
use girih_graph::{Graph, Monoid, NodeId, Op, ParamKind, TensorTy, batch, grad, nn};
use std::sync::Arc;

fn f64s(shape: &[usize]) -> TensorTy {
    TensorTy::new(DType::F64, shape.iter().copied())
}

fn input(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.param(name, f64s(shape), ParamKind::Input, Loc::unknown())
}

/// x[3] -> sum(sin(x) x^2) + x0 x1 x2.
fn scalar_function() -> Graph {
    let mut g = Graph::new("scalar");
    let x = input(&mut g, "x", &[3]);
    let s = g.map(ScalarOp::Sin, &[x]).unwrap();
    let q = g.map(ScalarOp::Square, &[x]).unwrap();
    let y = g.map(ScalarOp::Mul, &[s, q]).unwrap();
    let y = g.reduce(Monoid::Sum, y, &[0]).unwrap();
    let p = g.reduce(Monoid::Prod, x, &[0]).unwrap();
    let y = g.map(ScalarOp::Add, &[y, p]).unwrap();
    g.set_outputs(vec![y]);
    g
}

/// The second derivatives of [`scalar_function`], row by row.
fn hessian_by_hand(x: &[f64]) -> Vec<f64> {
    let mut h = Vec::new();
    for i in 0..3 {
        for j in 0..3 {
            h.push(if i == j {
                let t = x[i];
                2.0 * t.sin() + 4.0 * t * t.cos() - t * t * t.sin()
            } else {
                x[3 - i - j]
            });
        }
    }
    h
}

fn basis() -> Array {
    Array::from_f64(DType::F64, &[3, 3], [1., 0., 0., 0., 1., 0., 0., 0., 1.])
}

#[test]
fn hessian_forward_over_reverse_and_reverse_over_reverse() {
    let f = scalar_function();
    let x = floats(5, &[3]);
    let want = Array::from_f64(DType::F64, &[3, 3], hessian_by_hand(&x.to_f64()));
    let slope = grad::grad(&f, &[0]).unwrap();

    // jvp of grad along every basis vector, mapped.
    let columns = batch::vmap(&grad::jvp(&slope, &[0]).unwrap(), &[None, Some(0)], 3usize).unwrap();
    close_arrays(&run(&columns, &[x.clone(), basis()])[1], &want, 1e-12, "vmap of jvp of grad");

    // vjp of grad, mapped over cotangents.
    let rows = batch::vmap(&grad::vjp(&slope, &[0]).unwrap(), &[None, Some(0)], 3usize).unwrap();
    close_arrays(&run(&rows, &[x.clone(), basis()])[0], &want, 1e-12, "vmap of vjp of grad");

    // grad of jvp: the tangent of the value is a number, and its gradient is the Hessian times the tangent.
    let jvp = grad::jvp(&f, &[0]).unwrap();
    let mut directional = jvp.clone();
    directional.set_outputs(vec![jvp.outputs()[1]]);
    let product = grad::grad(&directional, &[0]).unwrap();
    let v = floats(6, &[3]);
    let got = run(&product, &[x, v.clone()]);
    for i in 0..3 {
        let want: f64 = (0..3).map(|j| want.f64(3 * i + j) * v.f64(j)).sum();
        close(got[0].f64(i), want, 1e-12, "grad of jvp");
    }
}

#[test]
fn third_derivative() {
    // x^4 - sin x: 24 x + cos x.
    let mut f = Graph::new("quartic");
    let x = input(&mut f, "x", &[]);
    let q = f.map(ScalarOp::Square, &[x]).unwrap();
    let q = f.map(ScalarOp::Square, &[q]).unwrap();
    let s = f.map(ScalarOp::Sin, &[x]).unwrap();
    let y = f.map(ScalarOp::Sub, &[q, s]).unwrap();
    f.set_outputs(vec![y]);
    let mut d = f;
    for _ in 0..3 {
        d = grad::grad(&d, &[0]).unwrap();
    }
    let x = 0.7f64;
    close(run(&d, &[Array::from_f64(DType::F64, &[], [x])])[0].f64(0), 24.0 * x + x.cos(), 1e-13, "third derivative");
}

/// (w, x) -> loss of one example through a loop of layers.
fn model() -> Graph {
    let mut body = Graph::new("layer");
    let _ = body.param("round", TensorTy::scalar(DType::I32), ParamKind::Input, Loc::unknown());
    let (h, w) = (input(&mut body, "h", &[3]), input(&mut body, "w", &[3, 3]));
    let y = body.dot(h, w, &[], &[(0, 0)]).unwrap();
    let y = body.map(ScalarOp::Tanh, &[y]).unwrap();
    body.set_outputs(vec![y]);
    let mut g = Graph::new("model");
    let (w, x) = (input(&mut g, "w", &[3, 3]), input(&mut g, "x", &[3]));
    let kind = LoopKind::For(Dim::from(3));
    let y = g.push(Loop { kind, body: Arc::new(body), carried: 1 }, &[x, w]).unwrap();
    let y = g.proj(y, 0).unwrap();
    let loss = nn::mean_squared_error(&mut g, y, x).unwrap();
    g.set_outputs(vec![loss]);
    g
}

#[test]
fn per_example_gradients_through_a_loop_sum_to_the_gradient_of_the_sum() {
    let f = model();
    let w = floats(1, &[3, 3]);
    let examples: Vec<Array> = (0..4).map(|e| floats(10 + e, &[3])).collect();
    let per_example = batch::vmap(&grad::value_and_grad(&f, &[0]).unwrap(), &[None, Some(0)], 4usize).unwrap();
    let got = run(&per_example, &[w.clone(), stack(&examples)]);
    assert_eq!(got[1].shape, [4, 3, 3]);
    for (e, x) in examples.iter().enumerate() {
        let single = run(&grad::value_and_grad(&f, &[0]).unwrap(), &[w.clone(), x.clone()]);
        close(got[0].f64(e), single[0].f64(0), 1e-13, "value");
        (0..9).for_each(|i| close(got[1].f64(9 * e + i), single[1].f64(i), 1e-12, "gradient"));
    }

    let mapped = batch::vmap(&f, &[None, Some(0)], 4usize).unwrap();
    let mut total = Graph::new("total");
    let (pw, px) = (input(&mut total, "w", &[3, 3]), input(&mut total, "x", &[4, 3]));
    let losses = total.inline(&mapped, &[pw, px], &Loc::unknown()).unwrap();
    let sum = total.reduce(Monoid::Sum, losses[0], &[0]).unwrap();
    total.set_outputs(vec![sum]);
    check_gradient(&total, &[w.clone(), stack(&examples)], &[0, 1], 2e-6);
    let whole = run(&grad::grad(&total, &[0]).unwrap(), &[w, stack(&examples)]);
    for i in 0..9 {
        close(whole[0].f64(i), (0..4).map(|e| got[1].f64(9 * e + i)).sum(), 1e-12, "sum of gradients");
    }
}

#[test]
fn rounds_known_only_at_run_time() {
    let n = Dim::symbol("n", 0, 10);
    let mut body = Graph::new("step");
    let _ = body.param("round", TensorTy::scalar(DType::I32), ParamKind::Input, Loc::unknown());
    let (h, w) = (input(&mut body, "h", &[]), input(&mut body, "w", &[]));
    let y = body.map(ScalarOp::Mul, &[h, w]).unwrap();
    body.set_outputs(vec![y]);
    let mut g = Graph::new("power");
    let (w, x) = (input(&mut g, "w", &[]), input(&mut g, "x", &[]));
    let y = g.push(Loop { kind: LoopKind::For(n), body: Arc::new(body), carried: 1 }, &[x, w]).unwrap();
    let y = g.proj(y, 0).unwrap();
    g.set_outputs(vec![y]);
    let d = grad::grad(&g, &[0, 1]).unwrap();
    for n in [0i64, 1, 5] {
        let bindings = [("n".into(), n)].into_iter().collect();
        let at = |v: f64| girih_graph::eval::Value::from(Array::from_f64(DType::F64, &[], [v]));
        let out = d.eval(&[at(1.1), at(2.0)], &bindings).unwrap();
        // x w^n: by w it is n x w^(n-1), by x it is w^n.
        close(out[0].array().unwrap().f64(0), 2.0 * n as f64 * 1.1f64.powi(n as i32 - 1), 1e-12, "by w");
        close(out[1].array().unwrap().f64(0), 1.1f64.powi(n as i32), 1e-12, "by x");
    }
}

#[test]
fn narrow_floats_keep_their_types_and_casts_pass_gradients_through() {
    let mut g = Graph::new("mixed");
    let ty = TensorTy::new(DType::Bf16, [2, 2]);
    let x = g.param("x", ty.clone(), ParamKind::Input, Loc::unknown());
    let w = g.param("w", ty.clone(), ParamKind::Weight, Loc::unknown());
    let y = nn::linear(&mut g, x, w, None).unwrap();
    let y = nn::softmax(&mut g, y, 1).unwrap();
    let y = g.cast(y, DType::F32).unwrap();
    let first = g.slice_axis(y, 1, Dim::ZERO, Dim::ONE).unwrap();
    let loss = g.reduce(Monoid::Sum, first, &[0, 1]).unwrap();
    g.set_outputs(vec![loss]);
    let d = grad::grad(&g, &[0, 1]).unwrap();
    assert!(d.outputs().iter().all(|o| d.tensor(*o).unwrap() == &ty));
    assert!(matches!(d.op(d.params()[1]), Op::Param(p) if p.kind == ParamKind::Weight));
    // Rows of x are equal and w is the identity: softmax of (1, 0) with slope s (1 - s).
    let a = |v: [f64; 4]| Array::from_f64(DType::Bf16, &[2, 2], v);
    let out = run(&d, &[a([1., 0., 1., 0.]), a([1., 0., 0., 1.])]);
    let s = 1.0 / (1.0 + (-1.0f64).exp());
    close(out[0].f64(0), s * (1.0 - s), 2e-2, "by x");
    close(out[1].f64(0), 2.0 * s * (1.0 - s), 2e-2, "by w");
}

#[test]
fn what_is_not_chosen_leaves_no_nan() {
    // where(x > 0, log x, 0) at 0 and below.
    let mut g = Graph::new("safe log");
    let x = input(&mut g, "x", &[3]);
    let zero = g.splat(0.0, f64s(&[3])).unwrap();
    let positive = g.map(ScalarOp::Gt, &[x, zero]).unwrap();
    let log = g.map(ScalarOp::Log, &[x]).unwrap();
    let y = g.map(ScalarOp::Select, &[positive, zero, log]).unwrap();
    let big = g.splat(f64::INFINITY, f64s(&[3])).unwrap();
    let y = g.map(ScalarOp::Min, &[y, big]).unwrap();
    let y = g.map(ScalarOp::Relu, &[y]).unwrap();
    let y = g.reduce(Monoid::Sum, y, &[0]).unwrap();
    g.set_outputs(vec![y]);
    let d = grad::grad(&g, &[0]).unwrap();
    let out = run(&d, &[Array::from_f64(DType::F64, &[3], [2.0, 0.5, 1.0])]);
    assert_eq!(out[0].to_f64(), [0.0, 0.0, 0.0]);
}

#[test]
fn equal_maxima_share_and_argmax_takes_the_first() {
    let mut g = Graph::new("ties");
    let x = input(&mut g, "x", &[4]);
    let m = g.reduce(Monoid::Max, x, &[0]).unwrap();
    let a = g.reduce(Monoid::ArgMax, x, &[0]).unwrap();
    let a = g.proj(a, 0).unwrap();
    g.set_outputs(vec![m, a]);
    let d = grad::vjp(&g, &[0]).unwrap();
    let at = |v: f64| Array::from_f64(DType::F64, &[], [v]);
    let x = Array::from_f64(DType::F64, &[4], [1.0, 3.0, 3.0, 0.0]);
    assert_eq!(run(&d, &[x.clone(), at(1.0), at(0.0)])[0].to_f64(), [0.0, 0.5, 0.5, 0.0]);
    assert_eq!(run(&d, &[x, at(0.0), at(1.0)])[0].to_f64(), [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn states_stay_the_last_outputs() {
    let mut g = Graph::new("stateful");
    let x = input(&mut g, "x", &[]);
    let s = g.param("s", f64s(&[]), ParamKind::State, Loc::unknown());
    let loss = g.map(ScalarOp::Mul, &[x, s]).unwrap();
    let aux = g.map(ScalarOp::Neg, &[x]).unwrap();
    let next = g.map(ScalarOp::Add, &[x, s]).unwrap();
    g.set_outputs(vec![loss, aux, next]);
    let at = |v: f64| Array::from_f64(DType::F64, &[], [v]);
    let numbers = |g: &Graph| run(g, &[at(2.0), at(5.0)]).iter().map(|a| a.f64(0)).collect::<Vec<_>>();
    assert_eq!(numbers(&grad::value_and_grad(&g, &[0]).unwrap()), [10.0, -2.0, 5.0, 7.0]);
    assert_eq!(numbers(&grad::grad(&g, &[0]).unwrap()), [5.0, 7.0]);
}

#[test]
fn repeated_layers_are_differentiated_and_batched_once() {
    let mut body = Graph::new("layer");
    let (x, w) = (input(&mut body, "x", &[3]), input(&mut body, "w", &[3]));
    let y = body.map(ScalarOp::Mul, &[x, w]).unwrap();
    let y = nn::softmax(&mut body, y, 0).unwrap();
    body.set_outputs(vec![y]);
    let callee = Arc::new(Callee { name: "layer".into(), attrs: Vec::new(), body });
    let mut g = Graph::new("net");
    let (mut x, w) = (input(&mut g, "x", &[3]), input(&mut g, "w", &[3]));
    for _ in 0..5 {
        x = g.call(&callee, &[x, w]).unwrap()[0];
    }
    let loss = g.reduce(Monoid::Prod, x, &[0]).unwrap();
    g.set_outputs(vec![loss]);
    check_gradient(&g, &[floats(1, &[3]), floats(2, &[3])], &[0, 1], 2e-6);
    let callees = |g: &Graph, name: &str| {
        let mut seen: Vec<*const Callee> = g
            .ids()
            .filter_map(|id| match g.op(id) {
                Op::Call(Call { callee }) if *callee.name == *name => Some(Arc::as_ptr(callee)),
                _ => None,
            })
            .collect();
        let calls = seen.len();
        seen.dedup();
        (calls, seen.len())
    };
    let d = grad::grad(&g, &[1]).unwrap();
    // The first layer's derivative is another one: nothing below it asks for a cotangent.
    assert_eq!(callees(&d, "layer"), (5, 1));
    assert_eq!(callees(&d, "layer.vjp"), (5, 2));
    let m = batch::vmap(&g, &[Some(0), None], 2usize).unwrap();
    assert_eq!(callees(&m, "layer.vmap"), (5, 1));
}

#[test]
fn compact_drops_the_dead_and_merges_the_equal() {
    let mut g = Graph::new("double");
    let (x, unused) = (input(&mut g, "x", &[2]), input(&mut g, "unused", &[2]));
    let a = g.map(ScalarOp::Sin, &[x]).unwrap();
    let b = g.map(ScalarOp::Sin, &[x]).unwrap();
    g.set_name(b, "sine");
    let _dead = g.map(ScalarOp::Cos, &[unused]).unwrap();
    let one = g.splat(1.0, f64s(&[2])).unwrap();
    let same = g.splat(1.0, f64s(&[2])).unwrap();
    let y = g.map(ScalarOp::Mul, &[a, one]).unwrap();
    let z = g.map(ScalarOp::Mul, &[b, same]).unwrap();
    let out = g.map(ScalarOp::Add, &[y, z]).unwrap();
    g.set_outputs(vec![out, z]);
    let c = g.compact().unwrap();
    // x, unused, sine, 1, product, sum.
    assert_eq!((c.len(), c.params().len()), (6, 2));
    assert_eq!(c.node(NodeId(2)).name.as_deref(), Some("sine"));
    let inputs = [floats(1, &[2]), floats(2, &[2])];
    assert_eq!(run(&g, &inputs), run(&c, &inputs));
}

/// A small transformer block over `x` [length, 4], with slices, concatenation and padding around it.
fn block(length: Dim) -> Graph {
    let mut g = Graph::new("block");
    let x = g.param("x", TensorTy::new(DType::F64, [length.clone(), Dim::from(4)]), ParamKind::Input, Loc::unknown());
    let (w, m) = (input(&mut g, "w", &[4]), input(&mut g, "m", &[4, 4]));
    let n = nn::rms_norm(&mut g, x, w, 1e-5).unwrap();
    let q = nn::linear(&mut g, n, m, None).unwrap();
    let heads = |g: &mut Graph, t: NodeId| g.reshape(t, vec![length.clone(), Dim::from(2), Dim::from(2)]).unwrap();
    let (q, k) = (heads(&mut g, q), heads(&mut g, n));
    let y = nn::grouped_attention(&mut g, q, k, k, 0.7, Some(Dim::ZERO)).unwrap();
    let y = g.reshape(y, vec![length.clone(), Dim::from(4)]).unwrap();
    let tail = g.slice_axis(y, 0, Dim::ONE, length.clone()).unwrap();
    let y = g.concat(&[x, tail], 0).unwrap();
    let y = nn::softmax(&mut g, y, 0).unwrap();
    let y = nn::cumsum(&mut g, y, 0).unwrap();
    let y = g.map(ScalarOp::Square, &[y]).unwrap();
    let loss = nn::mean(&mut g, y, &[0, 1]).unwrap();
    g.set_outputs(vec![loss]);
    g
}

#[test]
fn symbolic_lengths_and_batches_give_what_constants_give() {
    let symbolic = block(Dim::symbol("s", 2, 64));
    let inputs: Vec<Array> = vec![floats(1, &[5, 4]), floats(2, &[4]), floats(3, &[4, 4])];
    let bindings = [("s".into(), 5), ("b".into(), 2)].into_iter().collect();
    let bound = |g: &Graph, inputs: &[Array]| -> Vec<Array> {
        let inputs: Vec<_> = inputs.iter().cloned().map(Into::into).collect();
        g.eval(&inputs, &bindings).unwrap().iter().map(|v| v.array().unwrap().clone()).collect()
    };
    check_gradient(&block(Dim::from(5)), &inputs, &[0, 1, 2], 2e-6);
    let constant = run(&grad::value_and_grad(&block(Dim::from(5)), &[0, 1, 2]).unwrap(), &inputs);
    let derived = grad::value_and_grad(&symbolic, &[0, 1, 2]).unwrap();
    for (got, want) in bound(&derived, &inputs).iter().zip(&constant) {
        close_arrays(got, want, 1e-12, "symbolic length");
    }
    let mapped = batch::vmap(&derived, &[Some(0), None, None], Dim::symbol("b", 1, 8)).unwrap();
    let other = floats(9, &[5, 4]);
    let batched = [stack(&[inputs[0].clone(), other.clone()]), inputs[1].clone(), inputs[2].clone()];
    let second = run(
        &grad::value_and_grad(&block(Dim::from(5)), &[0, 1, 2]).unwrap(),
        &[other, inputs[1].clone(), inputs[2].clone()],
    );
    for (i, got) in bound(&mapped, &batched).iter().enumerate() {
        close_arrays(got, &stack(&[constant[i].clone(), second[i].clone()]), 1e-12, "symbolic batch");
    }
}
