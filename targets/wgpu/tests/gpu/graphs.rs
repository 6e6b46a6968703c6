//! Whole graphs: optimised, lowered, planned and run on the device, against the graph evaluator.

use crate::harness::{device, device_with};
use girih_base::{Bindings, DType, Dim};
use girih_exec::Engine;
use girih_graph::eval::compare::allclose;
use girih_graph::eval::{Array, Value};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, nn};
use girih_wgpu::{Options, WgpuDevice};

fn input(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.param(name, TensorTy::new(DType::F32, shape.iter().copied()), ParamKind::Input, Default::default())
}

fn check(name: &str, build: impl Fn(&mut Graph) -> NodeId) {
    let Some(device) = device() else { return };
    check_on(device, name, &build);
    // The same with every tensor in pieces.
    let small = Options { max_binding: Some(2048), max_buffer: Some(5000), ..Options::default() };
    if let Some(device) = device_with(small) {
        check_on(device, &format!("{name} in pieces"), &build);
    }
}

fn check_on(device: WgpuDevice, name: &str, build: &dyn Fn(&mut Graph) -> NodeId) {
    let mut graph = Graph::new(name);
    let out = build(&mut graph);
    graph.set_outputs(vec![out]);
    let shape = |id: NodeId| -> Vec<usize> {
        graph.tensor(id).unwrap().shape.iter().map(|d| d.as_const().unwrap() as usize).collect()
    };
    let arrays: Vec<Array> =
        graph.params().iter().enumerate().map(|(i, p)| Array::random(DType::F32, &shape(*p), i as u64 + 1)).collect();
    let inputs: Vec<Value> = arrays.iter().map(|a| a.clone().into()).collect();
    let want = graph.eval(&inputs, &Bindings::new()).unwrap();
    let compiled = girih_driver::compile(&graph, &device.compiler(), &Default::default())
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut engine = Engine::new(Box::new(device), Vec::new());
    let program = engine.load(compiled.plan).unwrap_or_else(|e| panic!("{name}: {e}"));
    let bytes: Vec<Vec<u8>> = arrays.iter().map(Array::encode).collect();
    let views: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    let got = engine.run(program, &views, &Bindings::new()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let dtype = graph.tensor(out).unwrap().dtype;
    let got: Value = Array::decode(dtype, &shape(out), &got[0]).unwrap().into();
    allclose(&got, &want[0], 1e-4, 1e-5).unwrap_or_else(|e| panic!("{name}: {e}"));
}

#[test]
fn rows() {
    check("softmax", |g| {
        let x = input(g, "x", &[10, 300]);
        nn::softmax(g, x, 1).unwrap()
    });
    check("layer_norm", |g| {
        let (x, w, b) = (input(g, "x", &[2, 6, 96]), input(g, "w", &[96]), input(g, "b", &[96]));
        nn::layer_norm(g, x, w, b, 1e-5).unwrap()
    });
    check("columns", |g| {
        let x = input(g, "x", &[90, 50]);
        g.reduce(Monoid::Sum, x, &[0]).unwrap()
    });
    check("argmax", |g| {
        let x = input(g, "x", &[5, 300]);
        nn::argmax(g, x, 1).unwrap()
    });
    check("cumsum", |g| {
        let x = input(g, "x", &[5, 200]);
        nn::cumsum(g, x, 1).unwrap()
    });
}

#[test]
fn products() {
    check("matmul", |g| {
        let (a, b) = (input(g, "a", &[70, 50]), input(g, "b", &[50, 66]));
        let y = g.matmul(a, b).unwrap();
        nn::gelu(g, y).unwrap()
    });
    check("matvec", |g| {
        let (a, b) = (input(g, "a", &[1, 200]), input(g, "b", &[200, 48]));
        g.matmul(a, b).unwrap()
    });
    check("attention", |g| {
        let (q, k, v) = (input(g, "q", &[2, 20, 16]), input(g, "k", &[2, 20, 16]), input(g, "v", &[2, 20, 16]));
        nn::attention(g, q, k, v, None, 0.25, Some(Dim::ZERO)).unwrap()
    });
    check("conv", |g| {
        let (x, w) = (input(g, "x", &[1, 4, 9, 9]), input(g, "w", &[8, 4, 3, 3]));
        nn::conv2d(g, x, w, None, &nn::Conv2d { padding: [(1, 1), (1, 1)], ..Default::default() }).unwrap()
    });
}
