//! Derivatives, batches and derivatives of derivatives compiled for every target equal the evaluator's.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Bindings, DType, Dim, ScalarOp};
use girih_driver::Options;
use girih_graph::eval::Value;
use girih_graph::eval::compare::allclose;
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, batch, grad, nn};
use girih_tests::emulated::emulated;
use girih_tests::gpu::gpu;
use girih_tests::{Rig, cpu, random_inputs, rounding, run};

fn input(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.param(name, TensorTy::new(DType::F32, shape.iter().copied()), ParamKind::Input, Default::default())
}

fn check(rig: &Rig, g: &Graph) {
    check_on(rig, g, &random_inputs(g, &Bindings::new(), 3));
}

fn check_on(rig: &Rig, g: &Graph, inputs: &[Value]) {
    let bindings = Bindings::new();
    let want = g.eval(inputs, &bindings).unwrap();
    let margins = rounding::allowed(g, inputs, &bindings, &want).unwrap();
    for enabled in [false, true] {
        let mut options = Options::for_target(&*rig.target);
        options.budget.enabled = enabled;
        let got = run(rig, g, inputs, &bindings, &options).unwrap_or_else(|d| panic!("{} {}: {d}", rig.name, g.name));
        assert_eq!(got.len(), want.len());
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            allclose(got, want, 0.0, margins[i])
                .unwrap_or_else(|e| panic!("{} {} output {i} (optimiser {enabled}): {e}", rig.name, g.name));
        }
    }
}

/// Squared error of a perceptron with two layers on a batch of `n`; parameters w1, b1, w2, b2, x, y.
fn perceptron(n: usize) -> Graph {
    let mut g = Graph::new("perceptron");
    let (w1, b1) = (input(&mut g, "w1", &[7, 16]), input(&mut g, "b1", &[16]));
    let (w2, b2) = (input(&mut g, "w2", &[16, 3]), input(&mut g, "b2", &[3]));
    let (x, y) = (input(&mut g, "x", &[n, 7]), input(&mut g, "y", &[n, 3]));
    let h = nn::linear(&mut g, x, w1, Some(b1)).unwrap();
    let h = nn::gelu(&mut g, h).unwrap();
    let out = nn::linear(&mut g, h, w2, Some(b2)).unwrap();
    let loss = nn::mean_squared_error(&mut g, out, y).unwrap();
    g.set_outputs(vec![loss]);
    g
}

/// A transformer block on [tokens, 16] with two heads, and the mean of its squared result.
fn block(tokens: usize) -> Graph {
    let mut g = Graph::new("block");
    let x = input(&mut g, "x", &[tokens, 16]);
    let norms: Vec<NodeId> = (0..4).map(|i| input(&mut g, &format!("norm{i}"), &[16])).collect();
    let qkv: Vec<NodeId> = ["q", "k", "v", "o"].iter().map(|n| input(&mut g, n, &[16, 16])).collect();
    let (up, down) = (input(&mut g, "up", &[16, 40]), input(&mut g, "down", &[40, 16]));
    let h = nn::layer_norm(&mut g, x, norms[0], norms[1], 1e-5).unwrap();
    let heads: Vec<NodeId> = qkv[..3]
        .iter()
        .map(|w| {
            let y = g.matmul(h, *w).unwrap();
            let y = g.reshape(y, [tokens, 2, 8].map(Dim::from).to_vec()).unwrap();
            g.permute(y, &[1, 0, 2]).unwrap()
        })
        .collect();
    let a = nn::attention(&mut g, heads[0], heads[1], heads[2], None, 0.35, Some(Dim::ZERO)).unwrap();
    let a = g.permute(a, &[1, 0, 2]).unwrap();
    let a = g.reshape(a, [tokens, 16].map(Dim::from).to_vec()).unwrap();
    let a = g.matmul(a, qkv[3]).unwrap();
    let x = g.map(ScalarOp::Add, &[x, a]).unwrap();
    let h = nn::layer_norm(&mut g, x, norms[2], norms[3], 1e-5).unwrap();
    let h = g.matmul(h, up).unwrap();
    let h = nn::silu(&mut g, h).unwrap();
    let h = g.matmul(h, down).unwrap();
    let x = g.map(ScalarOp::Add, &[x, h]).unwrap();
    let x = g.map(ScalarOp::Square, &[x]).unwrap();
    let loss = nn::mean(&mut g, x, &[0, 1]).unwrap();
    g.set_outputs(vec![loss]);
    g
}

fn gradients(rig: &Rig) {
    for n in [1, 9] {
        let f = perceptron(n);
        check(rig, &grad::value_and_grad(&f, &[0, 1, 2, 3, 4]).unwrap());
    }
    for tokens in [1, 12] {
        let f = block(tokens);
        let all: Vec<usize> = (0..f.params().len()).collect();
        check(rig, &grad::value_and_grad(&f, &all).unwrap());
    }
}

/// One gradient per example, the weights shared.
fn mapped(rig: &Rig) {
    let slope = grad::value_and_grad(&perceptron(2), &[0, 3]).unwrap();
    let axes = [None, None, None, None, Some(0), Some(0)];
    check(rig, &batch::vmap(&slope, &axes, 5usize).unwrap());
    let pushed = grad::jvp(&block(4), &[0]).unwrap();
    check(rig, &pushed);
}

/// Second derivatives, forward over reverse and reverse over reverse, along every direction at once.
fn hessians(rig: &Rig) {
    let mut f = Graph::new("scalar");
    let x = input(&mut f, "x", &[6]);
    let s = f.map(ScalarOp::Sin, &[x]).unwrap();
    let q = f.map(ScalarOp::Square, &[x]).unwrap();
    let y = f.map(ScalarOp::Mul, &[s, q]).unwrap();
    let y = f.reduce(Monoid::Sum, y, &[0]).unwrap();
    let m = f.reduce(Monoid::Max, x, &[0]).unwrap();
    let y = f.map(ScalarOp::Mul, &[y, m]).unwrap();
    f.set_outputs(vec![y]);
    let slope = grad::grad(&f, &[0]).unwrap();
    let unit = (0..36).map(|i| if i % 7 == 0 { 1.0 } else { 0.0 });
    let basis = girih_graph::eval::Array::from_f64(DType::F32, &[6, 6], unit);
    let x = girih_graph::eval::Array::random(DType::F32, &[6], 5);
    let inputs: [Value; 2] = [x.into(), basis.into()];
    let forward = grad::jvp(&slope, &[0]).unwrap();
    check_on(rig, &batch::vmap(&forward, &[None, Some(0)], 6usize).unwrap(), &inputs);
    let backward = grad::vjp(&slope, &[0]).unwrap();
    check_on(rig, &batch::vmap(&backward, &[None, Some(0)], 6usize).unwrap(), &inputs);
}

#[test]
fn gradients_on_cpu() {
    gradients(&cpu());
}

#[test]
fn mapped_on_cpu() {
    mapped(&cpu());
}

#[test]
fn hessians_on_cpu() {
    hessians(&cpu());
}

#[test]
fn on_gpu() {
    if let Some(rig) = gpu() {
        gradients(&rig);
        mapped(&rig);
        hessians(&rig);
    }
}

#[test]
fn gradients_emulated() {
    gradients(&emulated());
}

#[test]
fn mapped_and_hessians_emulated() {
    mapped(&emulated());
    hessians(&emulated());
}
