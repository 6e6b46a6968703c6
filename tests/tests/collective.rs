//! Exchanges between replicas, compiled: one replica alone runs, data-parallel training becomes local by `vmap_named`, and
//! several devices are refused by name.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Bindings, DType, Loc, ScalarOp};
use girih_driver::{Options, compile};
use girih_graph::batch::vmap_named;
use girih_graph::eval::compare::allclose;
use girih_graph::ops::{Collective, CollectiveKind, Loop, LoopKind};
use girih_graph::{Graph, Monoid, ParamKind, TensorTy};
use girih_tests::{Rig, cpu, emulated, random_inputs, run};
use std::sync::Arc;

const KINDS: fn() -> Vec<CollectiveKind> = || {
    vec![
        CollectiveKind::AllReduce(Monoid::Sum),
        CollectiveKind::AllReduce(Monoid::Max),
        CollectiveKind::AllGather(0),
        CollectiveKind::ReduceScatter(1),
        CollectiveKind::AllToAll { split: 0, concat: 1 },
        CollectiveKind::Permute(vec![(0, 0)]),
        CollectiveKind::Permute(vec![]),
    ]
};

/// `exp` before and after every exchange over `size` replicas, one of them in the body of a loop.
fn program(size: usize) -> Graph {
    let mut g = Graph::new("exchanges");
    let ty = TensorTy::new(DType::F32, [8, 6]);
    let x = g.param("x", ty.clone(), ParamKind::Input, Loc::unknown());
    let mut outputs = Vec::new();
    for kind in KINDS() {
        let y = g.map(ScalarOp::Exp, &[x]).unwrap();
        let y = g.push(Collective::new(kind, "i", size), &[y]).unwrap();
        outputs.push(g.map(ScalarOp::Sqrt, &[y]).unwrap());
    }
    let mut body = Graph::new("body");
    body.param("round", TensorTy::scalar(DType::I32), ParamKind::Input, Loc::unknown());
    let v = body.param("v", ty, ParamKind::Input, Loc::unknown());
    let w = body.push(Collective::new(CollectiveKind::AllReduce(Monoid::Max), "i", size), &[v]).unwrap();
    let w = body.map(ScalarOp::Tanh, &[w]).unwrap();
    body.set_outputs(vec![w]);
    let looped = g.push(Loop { kind: LoopKind::For(3.into()), body: Arc::new(body), carried: 1 }, &[x]).unwrap();
    outputs.push(g.proj(looped, 0).unwrap());
    g.set_outputs(outputs);
    g.verify().unwrap();
    g
}

fn check(rig: &Rig, g: &Graph, seed: u64) {
    let inputs = random_inputs(g, &Bindings::new(), seed);
    let want = g.eval(&inputs, &Bindings::new()).unwrap();
    let got =
        run(rig, g, &inputs, &Bindings::new(), &Options::default()).unwrap_or_else(|d| panic!("{}: {d}", rig.name));
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        allclose(g, w, 1e-4, 1e-5).unwrap_or_else(|e| panic!("{}, output {i}: {e}", rig.name));
    }
}

#[test]
fn one_replica_and_named_batches_run() {
    for rig in [cpu(), emulated::emulated()] {
        check(&rig, &program(1), 1);
        check(&rig, &vmap_named(&program(2), &[Some(0)], 2, "i").unwrap(), 2);
    }
}

/// The optimiser neither drops an exchange nor moves it to load time, and lowering refuses it where it was written.
#[test]
fn several_replicas_are_refused() {
    let mut g = Graph::new("shared");
    let w = g.param("w", TensorTy::new(DType::F32, [4]), ParamKind::Weight, Loc::unknown());
    let here = Loc::new("step.rs", 7, 9);
    let psum = Collective::new(CollectiveKind::AllReduce(Monoid::Sum), "data", 2);
    let y = g.add(psum.into(), &[w], here).unwrap();
    let y = g.map(ScalarOp::Neg, &[y]).unwrap();
    g.set_outputs(vec![y]);
    let (optimised, _) = girih_rewrite::optimize(&g, &girih_rewrite::Budget::default()).unwrap();
    assert!(optimised.to_string().contains("collective"), "{optimised}");
    let refused = compile(&g, &*cpu().target, &Options::default()).map(|_| ()).unwrap_err();
    assert_eq!(refused.code, "G208");
    assert!(refused.to_string().contains("step.rs:7:9") && refused.message.contains("one device"), "{refused}");
}
