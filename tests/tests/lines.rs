//! Long lines on whatever adapter there is: sorts, running folds and the largest elements.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Bindings, DType, Dim};
use girih_driver::Options;
use girih_graph::eval::Array;
use girih_graph::eval::compare::allclose;
use girih_graph::ops::{Scan, Sort};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, nn};
use girih_tests::gpu::gpu;
use girih_tests::{Rig, cpu, rounding, run};

/// Results of `build` on a target, as the evaluator has them but for what rounding allows.
fn same(rig: &Rig, dtype: DType, shape: &[usize], build: impl FnOnce(&mut Graph, NodeId) -> Vec<NodeId>) {
    let mut g = Graph::new("lines");
    let ty = TensorTy::new(dtype, shape.iter().copied());
    let x = g.param("x", ty, ParamKind::Input, Default::default());
    let outputs = build(&mut g, x);
    g.set_outputs(outputs);
    let inputs = vec![Array::random(dtype, shape, 11).into()];
    let want = g.eval(&inputs, &Bindings::new()).unwrap();
    let margins = rounding::allowed(&g, &inputs, &Bindings::new(), &want).unwrap();
    let options = Options::for_target(&*rig.target);
    let got = run(rig, &g, &inputs, &Bindings::new(), &options)
        .unwrap_or_else(|d| panic!("{} {dtype} {shape:?}: {d}", rig.name));
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        allclose(g, w, 0.0, margins[i]).unwrap_or_else(|e| panic!("{} {dtype} {shape:?}, output {i}: {e}", rig.name));
    }
}

fn rigs() -> Vec<Rig> {
    std::iter::once(cpu()).chain(gpu()).collect()
}

const LENGTHS: [usize; 5] = [1, 1000, 1025, 4096, 100_003];

#[test]
fn sorts() {
    for rig in rigs() {
        for (n, dtype) in LENGTHS.into_iter().zip([DType::F32, DType::I32, DType::F16, DType::U8, DType::F32]) {
            same(&rig, dtype, &[n], |g, x| {
                let at = g.iota(TensorTy::new(DType::I32, [n]), 0).unwrap();
                let sorted = g.push(Sort { axis: 0, keys: 1, descending: n % 2 == 0 }, &[x, at]).unwrap();
                vec![g.proj(sorted, 0).unwrap(), g.proj(sorted, 1).unwrap()]
            });
        }
    }
}

#[test]
fn scans() {
    for rig in rigs() {
        for n in LENGTHS {
            let scan = |monoid, reverse| Scan { monoid, axis: 0, reverse, exclusive: false, acc: DType::F32 };
            same(&rig, DType::F32, &[n, 2], |g, x| {
                let (sum, low) = (scan(Monoid::Sum, false), scan(Monoid::Min, true));
                vec![g.push(sum, &[x]).unwrap(), g.push(low, &[x]).unwrap()]
            });
            same(&rig, DType::I32, &[n], |g, x| {
                let sum = Scan { acc: DType::I32, exclusive: true, ..scan(Monoid::Sum, true) };
                vec![g.push(sum, &[x]).unwrap()]
            });
        }
    }
}

/// Lines of 64-bit numbers, where the device has them.
#[test]
fn wide_lines() {
    for rig in rigs() {
        for dtype in [DType::I64, DType::U64, DType::F64] {
            if !rig.target.desc().native.contains(&dtype) {
                continue;
            }
            same(&rig, dtype, &[2, 3001], |g, x| {
                let scan = |monoid, reverse| Scan { monoid, axis: 1, reverse, exclusive: false, acc: dtype };
                let sorted = Sort { axis: 1, keys: 1, descending: true };
                let (sum, best) = (scan(Monoid::Sum, true), scan(Monoid::ArgMax, false));
                let best = g.push(best, &[x]).unwrap();
                vec![
                    g.push(sum, &[x]).unwrap(),
                    g.proj(best, 1).unwrap(),
                    g.push(sorted, &[x]).unwrap(),
                    g.reduce(Monoid::Min, x, &[1]).unwrap(),
                ]
            });
        }
    }
}

/// What sampling from a language model asks of a vocabulary.
#[test]
fn vocabulary() {
    for rig in rigs() {
        same(&rig, DType::F32, &[1, 49152], |g, x| {
            let (values, positions) = nn::top_k(g, x, Dim::from(40)).unwrap();
            let best = nn::argmax(g, x, 1).unwrap();
            let p = nn::softmax(g, x, 1).unwrap();
            vec![values, positions, best, nn::cumsum(g, p, 1).unwrap()]
        });
    }
}
