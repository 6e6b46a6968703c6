//! Graphs that were once lowered, planned or run wrongly, each named by what was wrong.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Bindings, DType, Dim, ScalarOp, Symbol};
use girih_driver::Options;
use girih_graph::eval::compare::allclose;
use girih_graph::eval::{Array, Value};
use girih_graph::ops::{Broadcast, Combine, DynSlice, DynUpdate, Pad, Reduce, Scan, Scatter, Sort};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy};
use girih_tests::emulated::emulated;
use girih_tests::{Rig, cpu, cpu_in_small_tiles, random_inputs, run};

fn param(g: &mut Graph, dtype: DType, shape: &[Dim], kind: ParamKind) -> NodeId {
    let name = format!("x{}", g.params().len());
    g.param(&name, TensorTy::new(dtype, shape.to_vec()), kind, Default::default())
}

fn dims(shape: &[i64]) -> Vec<Dim> {
    shape.iter().map(|d| Dim::from(*d)).collect()
}

fn input(g: &mut Graph, dtype: DType, shape: &[i64]) -> NodeId {
    param(g, dtype, &dims(shape), ParamKind::Input)
}

fn symbol(name: &str) -> Dim {
    Symbol { name: name.into(), min: 0, max: 64, multiple_of: 1 }.into()
}

/// Results equal to the evaluator's, which only rounds: `within` is the absolute error of a sum's few roundings.
fn same(build: impl FnOnce(&mut Graph) -> Vec<NodeId>, bindings: &[(&str, i64)], within: f64) {
    let mut g = Graph::new("regression");
    let outputs = build(&mut g);
    g.set_outputs(outputs);
    let bindings: Bindings = bindings.iter().map(|(n, v)| ((*n).into(), *v)).collect();
    let inputs = random_inputs(&g, &bindings, 1);
    equal(&g, &inputs, &bindings, within);
}

fn equal(g: &Graph, inputs: &[Value], bindings: &Bindings, within: f64) {
    equal_on(&cpu(), g, inputs, bindings, within);
}

fn equal_on(rig: &Rig, g: &Graph, inputs: &[Value], bindings: &Bindings, within: f64) {
    let want = g.eval(inputs, bindings).unwrap();
    for enabled in [false, true] {
        let mut options = Options::default();
        options.budget.enabled = enabled;
        let got = run(rig, g, inputs, bindings, &options).unwrap();
        for (got, want) in got.iter().zip(&want) {
            let name = rig.name;
            allclose(got, want, 0.0, within).unwrap_or_else(|e| panic!("{name}, optimiser {enabled}: {e}\n{g}"));
        }
    }
}

/// Exclusive scans were only rewritten where the graph also had a call.
#[test]
fn exclusive_scan_without_a_call() {
    let build = |g: &mut Graph| {
        let x = input(g, DType::I32, &[31, 5]);
        let scan = |axis, reverse| Scan { monoid: Monoid::Sum, axis, reverse, exclusive: true, acc: DType::I32 };
        vec![g.push(scan(0, false), &[x]).unwrap(), g.push(scan(1, true), &[x]).unwrap()]
    };
    same(build, &[], 0.0);
}

/// The first position of an exclusive arg-max was the largest i32.
#[test]
fn exclusive_position_of_nothing() {
    let build = |g: &mut Graph| {
        let x = input(g, DType::I32, &[3, 9]);
        let scan = Scan { monoid: Monoid::ArgMax, axis: 1, reverse: false, exclusive: true, acc: DType::I32 };
        let both = g.push(scan, &[x]).unwrap();
        vec![g.proj(both, 0).unwrap(), g.proj(both, 1).unwrap()]
    };
    same(build, &[], 0.0);
}

/// The position of the best of nothing was the largest i32.
#[test]
fn position_in_an_empty_axis() {
    for n in [0, 3] {
        let build = |g: &mut Graph| {
            let x = param(g, DType::I32, &[Dim::from(4), symbol("n")], ParamKind::Input);
            let both = g.push(Reduce { monoid: Monoid::ArgMin, axes: vec![1], acc: DType::I32 }, &[x]).unwrap();
            vec![g.proj(both, 1).unwrap()]
        };
        same(build, &[("n", n)], 0.0);
    }
}

/// The tuple of a fold that could not be pulled into its user was asked for memory, which only its parts can have.
#[test]
fn parts_of_a_fold_behind_padding() {
    let build = |g: &mut Graph| {
        let x = input(g, DType::F32, &[5, 7]);
        let both = g.push(Reduce { monoid: Monoid::Welford, axes: vec![1], acc: DType::F32 }, &[x]).unwrap();
        let mean = g.proj(both, 0).unwrap();
        let one = g.scalar(1.5, DType::F32).unwrap();
        let pad = Pad { low: dims(&[1]), high: dims(&[2]), interior: vec![0] };
        vec![g.push(pad, &[mean, one]).unwrap()]
    };
    same(build, &[], 1e-6);
}

/// Folds over floats without infinities began with NaN.
#[test]
fn best_of_floats_without_infinities() {
    for dtype in [DType::F8E4M3Fn, DType::F4E2M1, DType::F8E8M0] {
        let build = |g: &mut Graph| {
            let x = param(g, dtype, &[symbol("n"), Dim::from(6)], ParamKind::Input);
            let max = g.reduce(Monoid::Max, x, &[0]).unwrap();
            let best = g.push(Reduce { monoid: Monoid::ArgMax, axes: vec![0], acc: dtype }, &[x]).unwrap();
            vec![max, g.proj(best, 1).unwrap()]
        };
        same(build, &[("n", 5)], 0.0);
    }
}

/// Work on weights that also depends on a run-time size was done once, before that size is known.
#[test]
fn weights_broadcast_to_a_run_time_size() {
    let build = |g: &mut Graph| {
        let w = param(g, DType::F32, &dims(&[8, 0]), ParamKind::Weight);
        let v = param(g, DType::F32, &dims(&[8]), ParamKind::Weight);
        let wide = Broadcast { shape: vec![8.into(), 0.into(), symbol("m")], axes: vec![0, 1] };
        let tall = Broadcast { shape: vec![symbol("m"), 8.into()], axes: vec![1] };
        let (wide, tall) = (g.push(wide, &[w]).unwrap(), g.push(tall, &[v]).unwrap());
        let more = Broadcast { shape: vec![3.into(), 8.into(), 0.into(), symbol("m")], axes: vec![1, 2, 3] };
        let more = g.push(more, &[wide]).unwrap();
        vec![more, wide, tall]
    };
    same(build, &[("m", 33)], 0.0);
}

/// A product as the updates of a scatter was fused into its serial walk.
#[test]
fn products_scattered() {
    let mut g = Graph::new("products_scattered");
    let (x, at) = (input(&mut g, DType::I32, &[4]), input(&mut g, DType::I32, &[3, 1]));
    let (a, b) = (input(&mut g, DType::I32, &[4]), input(&mut g, DType::I32, &[3, 4]));
    let updates = g.dot(a, b, &[], &[(0, 1)]).unwrap();
    let scatter = Scatter {
        combine: Combine::Add,
        window_axes: vec![],
        inserted: vec![0],
        start_map: vec![0],
        operand_batch: vec![],
        index_batch: vec![],
        unique: false,
    };
    let out = g.push(scatter, &[x, at, updates]).unwrap();
    g.set_outputs(vec![out]);
    let ints = |shape: &[usize], v: &[i128]| Value::from(Array::from_ints(DType::I32, shape, v.iter().copied()));
    let inputs = [
        ints(&[4], &[1, 2, 3, 4]),
        ints(&[3, 1], &[2, 9, 2]),
        ints(&[4], &[1, -1, 2, 3]),
        ints(&[3, 4], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ];
    equal(&g, &inputs, &Bindings::new(), 0.0);
}

/// A state that is updated in place while a later operation reads its old value.
#[test]
fn old_value_of_a_donated_state() {
    let build = |g: &mut Graph| {
        let part = input(g, DType::F32, &[2, 3]);
        let cache = param(g, DType::F32, &dims(&[6, 3]), ParamKind::State);
        let (row, zero) = (g.size(symbol("pos"), DType::I32).unwrap(), g.scalar(0i64, DType::I32).unwrap());
        let new = g.push(DynUpdate { donate: true }, &[cache, part, row, zero]).unwrap();
        let old = g.reduce(Monoid::Max, cache, &[1]).unwrap();
        vec![old, new]
    };
    same(build, &[("pos", 3)], 0.0);
}

/// The room of a value that two reshapes see was given away after the first.
#[test]
fn product_of_a_dynamic_slice() {
    for dtype in [DType::I8, DType::F16, DType::F32] {
        let build = |g: &mut Graph| {
            let (x, w) = (input(g, dtype, &[7]), input(g, dtype, &[9, 6]));
            let at = g.scalar(1i64, DType::I32).unwrap();
            let part = g.push(DynSlice { sizes: dims(&[6]) }, &[x, at]).unwrap();
            vec![g.dot(part, w, &[], &[(0, 1)]).unwrap()]
        };
        same(build, &[], if dtype.is_float() { 1e-5 } else { 0.0 });
    }
}

/// Weights prepared with a constant that is itself computed.
#[test]
fn weights_prepared_with_computed_constants() {
    let build = |g: &mut Graph| {
        let w = param(g, DType::F32, &dims(&[8]), ParamKind::Weight);
        let x = input(g, DType::F32, &[8]);
        let half = g.splat(0.5, TensorTy::new(DType::F32, [8])).unwrap();
        let half = g.map(ScalarOp::Tanh, &[half]).unwrap();
        let w = g.map(ScalarOp::Mul, &[w, half]).unwrap();
        vec![g.map(ScalarOp::Add, &[x, w]).unwrap()]
    };
    same(build, &[], 1e-6);
}

/// A view of nothing loses its axes, and its first element was read.
#[test]
fn padding_around_nothing() {
    let build = |g: &mut Graph| {
        let x = input(g, DType::F32, &[8, 0]);
        let x = g.permute(x, &[1, 0]).unwrap();
        let x = g.reshape(x, dims(&[0])).unwrap();
        let one = g.scalar(1.0, DType::F32).unwrap();
        vec![g.push(Pad { low: dims(&[1]), high: dims(&[0]), interior: vec![1] }, &[x, one]).unwrap()]
    };
    same(build, &[], 0.0);
}

/// What a tile has beyond a sorted axis came before the largest numbers of a dtype without NaN.
#[test]
fn sorting_floats_without_nan() {
    let build = |g: &mut Graph| {
        let x = param(g, DType::F4E2M1, &[Dim::from(3), symbol("n")], ParamKind::Input);
        let i = g.iota(TensorTy::new(DType::I32, vec![Dim::from(3), symbol("n")]), 1).unwrap();
        let both = g.push(Sort { axis: 1, keys: 1, descending: false }, &[x, i]).unwrap();
        vec![g.proj(both, 0).unwrap(), g.proj(both, 1).unwrap()]
    };
    same(build, &[("n", 31)], 0.0);
}

#[test]
fn an_update_of_a_loop_constant_leaves_it_alone() {
    // Each round updates a value that the loop only reads; done in place, the second round would see the first one's update.
    use girih_graph::ops::{Loop, LoopKind};
    let mut body = Graph::new("round");
    let round = param(&mut body, DType::I32, &[], ParamKind::Input);
    let carried = param(&mut body, DType::F32, &dims(&[4]), ParamKind::Input);
    let constant = param(&mut body, DType::F32, &dims(&[4]), ParamKind::Input);
    let first = body.slice_axis(carried, 0, Dim::ZERO, Dim::ONE).unwrap();
    let updated = body.push(DynUpdate { donate: true }, &[constant, first, round]).unwrap();
    let next = body.map(ScalarOp::Add, &[carried, updated]).unwrap();
    body.set_outputs(vec![next]);
    let body = std::sync::Arc::new(body);
    same(
        |g| {
            let (x, y) = (input(g, DType::F32, &[4]), input(g, DType::F32, &[4]));
            let computed = g.map(ScalarOp::Add, &[x, y]).unwrap();
            let looped = Loop { kind: LoopKind::For(Dim::from(3)), body, carried: 1 };
            let tuple = g.push(looped, &[x, computed]).unwrap();
            let out = g.proj(tuple, 0).unwrap();
            vec![out, computed]
        },
        &[],
        1e-5,
    );
}

#[test]
fn an_update_behind_a_reshape_that_others_read_is_not_in_place() {
    same(
        |g| {
            let x = input(g, DType::F32, &[6]);
            let computed = g.map(ScalarOp::Add, &[x, x]).unwrap();
            let matrix = g.reshape(computed, dims(&[2, 3])).unwrap();
            let part = g.slice_axis(matrix, 0, Dim::ZERO, Dim::ONE).unwrap();
            let one = g.scalar(1i64, DType::I32).unwrap();
            let zero = g.scalar(0i64, DType::I32).unwrap();
            let updated = g.push(DynUpdate { donate: true }, &[matrix, part, one, zero]).unwrap();
            let after = g.map(ScalarOp::Mul, &[matrix, updated]).unwrap();
            vec![updated, after]
        },
        &[],
        1e-5,
    );
}

/// What the inner of two nested folds folds was computed once in front of the outer loop, from the first tile alone.
#[test]
fn nested_folds_over_tiles() {
    for product in [false, true] {
        let mut g = Graph::new("regression");
        let x = input(&mut g, DType::F32, &[1, 96]);
        let w = input(&mut g, DType::F32, &[64, 96]);
        let gated = g.map(ScalarOp::GeluTanh, &[x]).unwrap();
        let y = if product {
            g.dot(gated, w, &[], &[(1, 1)]).unwrap()
        } else {
            let row = g.reshape(gated, dims(&[96])).unwrap();
            let row = g.broadcast(row, dims(&[64, 96]), vec![1]).unwrap();
            let products = g.map(ScalarOp::Mul, &[row, w]).unwrap();
            let sum = g.reduce(Monoid::Sum, products, &[1]).unwrap();
            g.reshape(sum, dims(&[1, 64])).unwrap()
        };
        let square = g.map(ScalarOp::Mul, &[y, y]).unwrap();
        let norm = g.reduce(Monoid::Sum, square, &[1]).unwrap();
        let norm = g.broadcast(norm, dims(&[1, 64]), vec![0]).unwrap();
        let out = g.map(ScalarOp::Div, &[y, norm]).unwrap();
        g.set_outputs(vec![out]);
        let inputs = random_inputs(&g, &Bindings::new(), 1);
        for rig in [cpu(), cpu_in_small_tiles(), emulated()] {
            equal_on(&rig, &g, &inputs, &Bindings::new(), 1e-5);
        }
    }
}
