//! The library functions on every target, against the reference evaluator.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Bindings, DType, Dim};
use girih_driver::Options;
use girih_graph::eval::compare::allclose;
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, nn};
use girih_tests::{Rig, cpu, random_inputs, run};

fn input(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.param(name, TensorTy::new(DType::F32, shape.iter().copied()), ParamKind::Input, Default::default())
}

fn check(rig: &Rig, name: &str, f: &dyn Fn(&mut Graph) -> NodeId) {
    check_sums(rig, name, 1, f);
}

/// [`check`] for results that sum up to `terms` numbers of unit size: their error grows with the root of the count times
/// the size of the sum (reliability of f32 sums), whatever is left after cancellation.
fn check_sums(rig: &Rig, name: &str, terms: usize, f: &dyn Fn(&mut Graph) -> NodeId) {
    let atol = 1e-5 + (terms as f64).sqrt() * terms as f64 * f32::EPSILON as f64;
    let mut g = Graph::new(name);
    let out = f(&mut g);
    g.set_outputs(vec![out]);
    let bindings = Bindings::new();
    let inputs = random_inputs(&g, &bindings, 7);
    let want = g.eval(&inputs, &bindings).unwrap();
    for enabled in [false, true] {
        let mut options = Options::default();
        options.budget.enabled = enabled;
        let got = run(rig, &g, &inputs, &bindings, &options).unwrap_or_else(|d| panic!("{} {name}: {d}", rig.name));
        for (g, w) in got.iter().zip(&want) {
            allclose(g, w, 1e-4, atol).unwrap_or_else(|e| panic!("{} {name} (optimiser {enabled}): {e}", rig.name));
        }
    }
}

fn all(rig: &Rig) {
    for n in [1, 7, 64, 1000, 5000] {
        check(rig, "softmax", &|g| {
            let x = input(g, "x", &[9, n]);
            nn::softmax(g, x, 1).unwrap()
        });
        check_sums(rig, "columns", n, &|g| {
            let x = input(g, "x", &[n, 33]);
            g.reduce(Monoid::Sum, x, &[0]).unwrap()
        });
        check(rig, "everything", &|g| {
            let x = input(g, "x", &[3, n, 5]);
            g.reduce(Monoid::Max, x, &[0, 1, 2]).unwrap()
        });
        check_sums(rig, "cumsum", n, &|g| {
            let x = input(g, "x", &[3, n]);
            nn::cumsum(g, x, 1).unwrap()
        });
        check(rig, "argmax", &|g| {
            let x = input(g, "x", &[3, n]);
            nn::argmax(g, x, 1).unwrap()
        });
    }
    check(rig, "layer_norm", &|g| {
        let (x, w, b) = (input(g, "x", &[4, 16, 96]), input(g, "w", &[96]), input(g, "b", &[96]));
        nn::layer_norm(g, x, w, b, 1e-5).unwrap()
    });
    for (m, k, n) in [(1, 1, 1), (1, 576, 300), (17, 33, 65), (100, 70, 130), (64, 64, 64)] {
        check(rig, "matmul", &|g| {
            let (a, b) = (input(g, "a", &[m, k]), input(g, "b", &[k, n]));
            let y = g.matmul(a, b).unwrap();
            nn::gelu(g, y).unwrap()
        });
        check(rig, "matmul_t", &|g| {
            let (a, b, c) = (input(g, "a", &[k, m]), input(g, "b", &[n, k]), input(g, "c", &[m, n]));
            let y = g.dot(a, b, &[], &[(0, 1)]).unwrap();
            g.map(girih_base::ScalarOp::Add, &[y, c]).unwrap()
        });
    }
    check(rig, "attention", &|g| {
        let (q, k, v) = (input(g, "q", &[3, 50, 16]), input(g, "k", &[3, 50, 16]), input(g, "v", &[3, 50, 16]));
        nn::attention(g, q, k, v, None, 0.25, Some(Dim::ZERO)).unwrap()
    });
    check(rig, "attention_grouped", &|g| {
        let (q, k, v) = (input(g, "q", &[2, 3, 70, 16]), input(g, "k", &[2, 600, 16]), input(g, "v", &[2, 600, 24]));
        nn::attention(g, q, k, v, None, 0.25, Some(Dim::from(530))).unwrap()
    });
    check(rig, "attention_decode", &|g| {
        let (q, k, v) = (input(g, "q", &[3, 3, 1, 64]), input(g, "k", &[3, 77, 64]), input(g, "v", &[3, 77, 64]));
        nn::attention(g, q, k, v, None, 0.125, Some(Dim::from(76))).unwrap()
    });
    check(rig, "conv", &|g| {
        let (x, w) = (input(g, "x", &[2, 8, 14, 13]), input(g, "w", &[16, 8, 3, 3]));
        nn::conv2d(g, x, w, None, &nn::Conv2d { padding: [(1, 1), (1, 1)], ..Default::default() }).unwrap()
    });
    check(rig, "conv_strided", &|g| {
        let (x, w) = (input(g, "x", &[2, 8, 14, 13]), input(g, "w", &[16, 4, 3, 2]));
        let how = nn::Conv2d { stride: [2, 3], padding: [(1, 2), (0, 1)], dilation: [2, 1], groups: 2 };
        nn::conv2d(g, x, w, None, &how).unwrap()
    });
    check(rig, "max_pool", &|g| {
        let x = input(g, "x", &[2, 3, 14, 13]);
        nn::max_pool2d(g, x, [3, 3], [2, 2], [(1, 1), (1, 1)]).unwrap()
    });
    check(rig, "reverse_concat_pad", &|g| {
        let (x, y) = (input(g, "x", &[5, 7]), input(g, "y", &[5, 9]));
        let x = g.push(girih_graph::ops::Reverse { axes: vec![0, 1] }, &[x]).unwrap();
        let z = g.concat(&[x, y], 1).unwrap();
        let one = g.scalar(1.5, DType::F32).unwrap();
        let pad = girih_graph::ops::Pad {
            low: vec![1.into(), 2.into()],
            high: vec![0.into(), 3.into()],
            interior: vec![0, 2],
        };
        let p = g.push(pad, &[z, one]).unwrap();
        let pad = girih_graph::ops::Pad {
            low: vec![1.into(), 2.into()],
            high: vec![4.into(), 3.into()],
            interior: vec![0, 0],
        };
        g.push(pad, &[p, one]).unwrap()
    });
    check(rig, "sort", &|g| {
        let x = input(g, "x", &[5, 37]);
        g.push(girih_graph::ops::Sort { axis: 1, keys: 1, descending: false }, &[x]).unwrap()
    });
}

#[test]
fn on_cpu() {
    all(&cpu());
}
