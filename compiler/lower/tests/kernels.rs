//! Every kernel that the lowering makes is a valid tile kernel.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{DType, Dim};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, nn};
use girih_lower::{Step, TargetDesc, lower};

fn input(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.param(name, TensorTy::new(DType::F32, shape.iter().copied()), ParamKind::Input, Default::default())
}

fn graphs() -> Vec<Graph> {
    let mut out = Vec::new();
    let mut add = |name: &str, f: &dyn Fn(&mut Graph) -> NodeId| {
        let mut g = Graph::new(name);
        let o = f(&mut g);
        g.set_outputs(vec![o]);
        out.push(g);
    };
    add("softmax", &|g| {
        let x = input(g, "x", &[64, 1000]);
        nn::softmax(g, x, 1).unwrap()
    });
    add("layer_norm", &|g| {
        let (x, w, b) = (input(g, "x", &[4, 16, 96]), input(g, "w", &[96]), input(g, "b", &[96]));
        nn::layer_norm(g, x, w, b, 1e-5).unwrap()
    });
    add("matmul", &|g| {
        let (a, b) = (input(g, "a", &[100, 70]), input(g, "b", &[70, 130]));
        let y = g.matmul(a, b).unwrap();
        nn::gelu(g, y).unwrap()
    });
    add("columns", &|g| {
        let x = input(g, "x", &[300, 200]);
        g.reduce(Monoid::Sum, x, &[0]).unwrap()
    });
    add("attention", &|g| {
        let (q, k, v) = (input(g, "q", &[3, 50, 16]), input(g, "k", &[3, 50, 16]), input(g, "v", &[3, 50, 16]));
        nn::attention(g, q, k, v, None, 0.25, Some(Dim::ZERO)).unwrap()
    });
    add("conv", &|g| {
        let (x, w) = (input(g, "x", &[1, 8, 14, 14]), input(g, "w", &[16, 8, 3, 3]));
        nn::conv2d(g, x, w, None, &nn::Conv2d { padding: [(1, 1), (1, 1)], ..Default::default() }).unwrap()
    });
    out
}

#[test]
fn kernels_verify() {
    for g in graphs() {
        for desc in [TargetDesc::cpu(2), TargetDesc::webgpu()] {
            let p = lower(&g, &desc).unwrap_or_else(|d| panic!("{}: {d}", g.name));
            for s in &p.steps {
                if let Step::Launch { kernel, .. } = s {
                    girih_tile::verify::verify(kernel).unwrap_or_else(|d| {
                        panic!("{} {}: {d}\n{}", g.name, desc.name, girih_tile::text::print(kernel))
                    });
                }
            }
        }
    }
}
