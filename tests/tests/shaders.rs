//! WGSL that people review: one small program each, compiled for WebGPU's default limits.
//!
//! A change here is a change of generated kernels: look at it, then accept it with `INSTA_UPDATE=always cargo test -p girih-tests
//! --test shaders`.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{DType, Dim, QuantFormat, ScalarOp};
use girih_driver::{Options, compile};
use girih_graph::ops::{Combine, Scatter, Sort};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, nn};
use girih_wgpu::WgpuTarget;

fn param(g: &mut Graph, name: &str, dtype: DType, shape: &[usize], kind: ParamKind) -> NodeId {
    g.param(name, TensorTy::new(dtype, shape.iter().copied()), kind, Default::default())
}

fn input(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    param(g, name, DType::F32, shape, ParamKind::Input)
}

/// Every shader of a program, in the order they are first launched.
fn shaders(name: &str, build: impl FnOnce(&mut Graph) -> NodeId) -> String {
    let mut g = Graph::new(name);
    let out = build(&mut g);
    g.set_outputs(vec![out]);
    let plan = compile(&g, &WgpuTarget::webgpu(), &Options::default()).unwrap_or_else(|d| panic!("{name}: {d}")).plan;
    plan.kernels.iter().map(|k| k.text.to_string()).collect::<Vec<_>>().join("\n// ----\n\n")
}

macro_rules! snapshots {
    ($($name:ident |$g:ident| $body:expr;)*) => {$(
        #[test]
        fn $name() {
            let text = shaders(stringify!($name), |$g| $body);
            assert_eq!(text, shaders(stringify!($name), |$g| $body), "two compiles of one program differ");
            insta::assert_snapshot!(text);
        }
    )*};
}

snapshots! {
    gelu_of_affine |g| {
        let (x, w, b) = (input(g, "x", &[64, 1024]), input(g, "w", &[1024]), input(g, "b", &[1024]));
        let y = g.map_broadcast(ScalarOp::Mul, &[x, w]).unwrap();
        let y = g.map_broadcast(ScalarOp::Add, &[y, b]).unwrap();
        nn::gelu_tanh(g, y).unwrap()
    };
    softmax |g| {
        let x = input(g, "x", &[32, 1024]);
        nn::softmax(g, x, 1).unwrap()
    };
    layer_norm |g| {
        let (x, w, b) = (input(g, "x", &[32, 768]), input(g, "w", &[768]), input(g, "b", &[768]));
        nn::layer_norm(g, x, w, b, 1e-5).unwrap()
    };
    rms_norm |g| {
        let (x, w) = (input(g, "x", &[32, 576]), input(g, "w", &[576]));
        nn::rms_norm(g, x, w, 1e-5).unwrap()
    };
    matmul |g| {
        let (a, b) = (input(g, "a", &[256, 256]), input(g, "b", &[256, 256]));
        g.matmul(a, b).unwrap()
    };
    matmul_of_odd_sizes_with_relu |g| {
        let (a, b) = (input(g, "a", &[100, 70]), input(g, "b", &[70, 130]));
        let y = g.matmul(a, b).unwrap();
        nn::relu(g, y).unwrap()
    };
    matrix_times_vector |g| {
        let (x, w) = (input(g, "x", &[1, 512]), param(g, "w", DType::F32, &[512, 512], ParamKind::Weight));
        g.dot(x, w, &[], &[(1, 1)]).unwrap()
    };
    quantised_matrix_times_vector |g| {
        let x = input(g, "x", &[1, 576]);
        let w = param(g, "w", DType::U8, &[1536, 576 / 32 * 20], ParamKind::Weight);
        let w = nn::dequant(g, w, QuantFormat::Q4_1).unwrap();
        g.dot(x, w, &[], &[(1, 1)]).unwrap()
    };
    attention_of_one_token |g| {
        let (q, k, v) = (input(g, "q", &[3, 3, 1, 64]), input(g, "k", &[3, 128, 64]), input(g, "v", &[3, 128, 64]));
        nn::attention(g, q, k, v, None, 0.125, Some(Dim::from(100))).unwrap()
    };
    causal_attention |g| {
        let (q, k, v) = (input(g, "q", &[4, 64, 32]), input(g, "k", &[4, 64, 32]), input(g, "v", &[4, 64, 32]));
        nn::attention(g, q, k, v, None, 0.25, Some(Dim::ZERO)).unwrap()
    };
    convolution |g| {
        let (x, w) = (input(g, "x", &[1, 16, 28, 28]), input(g, "w", &[32, 16, 3, 3]));
        nn::conv2d(g, x, w, None, &nn::Conv2d { padding: [(1, 1), (1, 1)], ..Default::default() }).unwrap()
    };
    column_sums |g| {
        let x = input(g, "x", &[1000, 256]);
        g.reduce(Monoid::Sum, x, &[0]).unwrap()
    };
    position_of_the_largest |g| {
        let x = input(g, "x", &[8, 1000]);
        nn::argmax(g, x, 1).unwrap()
    };
    running_sums |g| {
        let x = input(g, "x", &[8, 256]);
        nn::cumsum(g, x, 1).unwrap()
    };
    sorted_rows |g| {
        let x = input(g, "x", &[8, 64]);
        g.push(Sort { axis: 1, keys: 1, descending: false }, &[x]).unwrap()
    };
    embedding |g| {
        let table = param(g, "table", DType::F32, &[1000, 64], ParamKind::Weight);
        let ids = param(g, "ids", DType::I32, &[16], ParamKind::Input);
        nn::embedding(g, table, ids).unwrap()
    };
    scattered_sums |g| {
        let x = input(g, "x", &[100, 64]);
        let rows = param(g, "rows", DType::I32, &[16, 1], ParamKind::Input);
        let updates = input(g, "updates", &[16, 64]);
        let how = Scatter {
            combine: Combine::Add,
            window_axes: vec![1],
            inserted: vec![0],
            start_map: vec![0],
            operand_batch: vec![],
            index_batch: vec![],
            unique: false,
        };
        g.push(how, &[x, rows, updates]).unwrap()
    };
    swiglu_of_halves |g| {
        let x = param(g, "x", DType::F16, &[4, 512], ParamKind::Input);
        let gate = g.slice_axis(x, 1, Dim::ZERO, Dim::from(256)).unwrap();
        let up = g.slice_axis(x, 1, Dim::from(256), Dim::from(512)).unwrap();
        nn::swiglu(g, gate, up).unwrap()
    };
}
