//! The scalar table, conversions, and operations on lines through WGSL on whatever adapter there is: what the emulator and the CPU
//! are asked in `ops.rs`, in few kernels, since a software driver takes a tenth of a second to compile each.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Bindings, DType, ScalarOp};
use girih_driver::Options;
use girih_graph::eval::{Array, Value};
use girih_graph::ops::{Monoid, Reduce, Scan, Sort};
use girih_graph::{Graph, NodeId, ParamKind, TensorTy, Ty, nn};
use girih_tests::gpu::gpu;
use girih_tests::numbers::{Subnormals, array, values};
use girih_tests::table::{self, Outcome};
use girih_tests::{Rig, cpu, run};
use std::collections::BTreeSet;

/// Operations that WGSL lacks on f64 where the adapter has the type: it has arithmetic, comparisons and rounding only.
const NOT_ON_F64: &[ScalarOp] = &[
    ScalarOp::Rem,
    ScalarOp::Exp,
    ScalarOp::Log,
    ScalarOp::Exp2,
    ScalarOp::Log2,
    ScalarOp::Sin,
    ScalarOp::Cos,
    ScalarOp::Tanh,
    ScalarOp::Erf,
    ScalarOp::Atan2,
    ScalarOp::FloorMod,
    ScalarOp::Pow,
    ScalarOp::Cbrt,
    ScalarOp::Sigmoid,
    ScalarOp::Silu,
    ScalarOp::Softplus,
    ScalarOp::Gelu,
    ScalarOp::GeluTanh,
    ScalarOp::Log1p,
    ScalarOp::Expm1,
    ScalarOp::Log10,
    ScalarOp::Tan,
    ScalarOp::Asin,
    ScalarOp::Acos,
    ScalarOp::Atan,
    ScalarOp::Sinh,
    ScalarOp::Cosh,
    ScalarOp::Asinh,
    ScalarOp::Acosh,
    ScalarOp::Atanh,
];

/// Nothing wrong, and refused is what is documented to be, no more and no less.
fn check(rig: &Rig, ops: &[ScalarOp], outcome: &Outcome) {
    assert!(outcome.wrong.is_empty(), "{}", outcome.text());
    let native = |d: DType| rig.target.desc().native.contains(&d);
    let wide = [DType::I64, DType::U64, DType::F64];
    let (by_type, by_op): (BTreeSet<_>, BTreeSet<_>) = outcome.refused.iter().partition(|(code, ..)| *code == "L202");
    assert!(by_type.iter().all(|(_, _, d)| wide.contains(d) && !native(*d)), "{by_type:?}");
    let missing = NOT_ON_F64.iter().filter(|op| native(DType::F64) && ops.contains(op));
    let missing: BTreeSet<_> = missing.map(|op| ("W001", op.name().to_string(), DType::F64)).collect();
    assert_eq!(by_op, missing.iter().collect());
}

fn scalars(ops: &[ScalarOp], dtypes: &[DType], sizes: &[usize], least: usize) {
    let Some(rig) = gpu() else { return };
    let mut device = (rig.device)();
    for n in sizes {
        let outcome = table::scalar_ops(&rig, &mut *device, Subnormals::Flushed, ops, dtypes, *n);
        let outcome = outcome.unwrap_or_else(|d| panic!("{n} elements: {d}"));
        check(&rig, if dtypes.contains(&DType::F64) { ops } else { &[] }, &outcome);
        assert!(outcome.compared >= least, "{} pairs of {n} elements", outcome.compared);
    }
}

/// No multiple of a vector or tile, so that elements go one by one.
#[test]
fn scalar_ops_on_floats_on_gpu() {
    let floats: Vec<DType> = DType::ALL.iter().copied().filter(|d| d.is_float()).collect();
    scalars(ScalarOp::ALL, &floats, &[1031], 300);
}

#[test]
fn scalar_ops_on_integers_on_gpu() {
    let others: Vec<DType> = DType::ALL.iter().copied().filter(|d| !d.is_float()).collect();
    scalars(ScalarOp::ALL, &others, &[1031], 200);
}

#[test]
fn scalar_ops_on_vectors_on_gpu() {
    use DType::*;
    scalars(ScalarOp::ALL, &[Bool, I4, U8, I16, I32, U32, F8E4M3Fn, F16, Bf16, F32], &[1024], 400);
}

#[test]
fn few_elements_on_gpu() {
    use ScalarOp::*;
    scalars(&[Add, Lt, Neg, Select, Min, Not], DType::ALL, &[0, 1, 3, 64, 257], 60);
}

#[test]
fn casts_on_gpu() {
    let Some(rig) = gpu() else { return };
    let outcome = table::casts(&rig, &mut *(rig.device)(), DType::ALL, 1031).unwrap_or_else(|d| panic!("{d}"));
    check(&rig, &[], &outcome);
    assert!(outcome.compared > 200, "{}", outcome.compared);
}

fn param(g: &mut Graph, inputs: &mut Vec<Value>, x: Array) -> NodeId {
    let name = format!("x{}", inputs.len());
    let ty = TensorTy::new(x.dtype, x.shape.iter().copied());
    inputs.push(x.into());
    g.param(&name, ty, ParamKind::Input, Default::default())
}

/// Runs a graph and gives the results of the device and of the evaluator.
fn both(rig: &Rig, mut g: Graph, outputs: Vec<NodeId>, inputs: &[Value]) -> Vec<(Array, Array)> {
    g.set_outputs(outputs);
    let want = g.eval(inputs, &Bindings::new()).unwrap();
    let options = Options::for_target(&*rig.target);
    let got =
        run(rig, &g, inputs, &Bindings::new(), &options).unwrap_or_else(|d| panic!("{} {}: {d}", rig.name, g.name));
    got.iter().zip(&want).map(|(g, w)| (g.array().unwrap().clone(), w.array().unwrap().clone())).collect()
}

fn exact(what: &str, got: &Array, want: &Array) {
    assert_eq!(got.len(), want.len(), "{what}");
    for i in 0..got.len() {
        let (g, w) = (got.elem(i), want.elem(i));
        assert!(g == w || g.as_f64().is_nan() && w.as_f64().is_nan(), "{what}, element {i}: {g:?}, not {w:?}");
    }
}

/// Sorts with their permutation, and elements picked by index (clamped), of lines with special values.
fn orders(rig: &Rig, dtype: DType, shapes: &[&[usize]]) {
    let mut g = Graph::new(format!("orders {dtype}"));
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for (k, shape) in shapes.iter().enumerate() {
        let n = shape.iter().product();
        let x = param(&mut g, &mut inputs, array(dtype, shape, &values(dtype, n, k as u64, k)));
        let axis = k % shape.len();
        let position = g.iota(TensorTy::new(DType::I32, shape.iter().copied()), axis).unwrap();
        let sorted = g.push(Sort { axis, keys: 1, descending: k % 2 == 1 }, &[x, position]).unwrap();
        outputs.extend([g.proj(sorted, 0).unwrap(), g.proj(sorted, 1).unwrap()]);
        if shape[axis] > 0 {
            let at = values(DType::I32, 7, 3, k);
            let at = param(&mut g, &mut inputs, array(DType::I32, &[7], &at));
            outputs.push(nn::take(&mut g, x, at, axis).unwrap());
        }
    }
    let names: Vec<String> = outputs.iter().map(|o| format!("{dtype} {:?}", g.node(*o))).collect();
    for ((got, want), name) in both(rig, g, outputs, &inputs).iter().zip(&names) {
        exact(&format!("{} {name}", rig.name), got, want);
    }
}

/// Matrix products within K u sum |a b|, beyond which is a bug, and the rounding of the result.
fn products(rig: &Rig, dtype: DType, sizes: &[[usize; 3]]) {
    let mut g = Graph::new(format!("products {dtype}"));
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for (k, [rows, depth, columns]) in sizes.iter().enumerate() {
        let a = param(&mut g, &mut inputs, Array::random(dtype, &[*rows, *depth], 2 * k as u64));
        let b = param(&mut g, &mut inputs, Array::random(dtype, &[*depth, *columns], 2 * k as u64 + 1));
        outputs.push(g.matmul(a, b).unwrap());
    }
    let unit = |d: DType| match d {
        DType::F64 => f64::EPSILON / 2.0,
        DType::F16 => 2f64.powi(-11),
        DType::Bf16 => 2f64.powi(-8),
        _ => f32::EPSILON as f64 / 2.0,
    };
    for (k, (got, want)) in both(rig, g, outputs, &inputs).iter().enumerate() {
        let what = format!("{} product {:?} of {dtype}", rig.name, sizes[k]);
        if !dtype.is_float() {
            exact(&what, got, want);
            continue;
        }
        let [rows, depth, columns] = sizes[k];
        let (a, b) = (inputs[2 * k].array().unwrap(), inputs[2 * k + 1].array().unwrap());
        for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
            let size: f64 = (0..depth).map(|d| (a.f64(i * depth + d) * b.f64(d * columns + j)).abs()).sum();
            let (g, w) = (got.f64(i * columns + j), want.f64(i * columns + j));
            let bound = depth as f64 * unit(dtype.accumulator()) * size + 1.01 * unit(dtype) * w.abs();
            assert!((g - w).abs() <= bound, "{what} [{i}, {j}]: {g}, not {w} within {bound:e}");
        }
    }
}

/// One fold and one scan of every kind on every dtype, each over another shape, axis and direction.
fn folds(rig: &Rig, dtypes: &[DType], shapes: &[&[usize]]) -> usize {
    use Monoid::*;
    let mut turn = 0;
    for monoid in [Sum, Prod, Max, Min, And, Or, Xor, ArgMax, ArgMin, Welford, Online] {
        for dtype in dtypes {
            let mut g = Graph::new(format!("{monoid:?} {dtype}"));
            let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
            let sums = matches!(monoid, Sum | Prod | Welford | Online);
            let acc = if sums { dtype.accumulator() } else { *dtype };
            for scan in [false, true] {
                turn += 1;
                let shape = shapes[turn % shapes.len()];
                let axis = turn / shapes.len() % shape.len();
                let x = param(&mut g, &mut inputs, Array::random(*dtype, shape, turn as u64));
                let id = match scan {
                    false => g.push(Reduce { monoid: monoid.clone(), axes: vec![axis], acc }, &[x]),
                    true => {
                        let (reverse, exclusive) = (turn % 3 == 1, turn % 5 < 2);
                        g.push(Scan { monoid: monoid.clone(), axis, reverse, exclusive, acc }, &[x])
                    }
                };
                let Ok(id) = id else { continue };
                match g.ty(id).clone() {
                    Ty::Tensor(_) => outputs.push(id),
                    Ty::Tuple(items) => outputs.extend((0..items.len()).map(|i| g.proj(id, i).unwrap())),
                }
            }
            if outputs.is_empty() {
                turn -= 2;
                continue;
            }
            g.set_outputs(outputs.clone());
            let want = g.eval(&inputs, &Bindings::new()).unwrap();
            let margins = girih_tests::rounding::allowed(&g, &inputs, &Bindings::new(), &want).unwrap();
            let names: Vec<String> = outputs.iter().map(|o| format!("{} {:?}", g.name, g.node(*o))).collect();
            for (i, (got, want)) in both(rig, g, outputs, &inputs).into_iter().enumerate() {
                let margin = if sums && dtype.is_float() { margins[i] } else { 0.0 };
                girih_graph::eval::compare::allclose(&got.into(), &want.into(), 0.0, margin)
                    .unwrap_or_else(|e| panic!("{} {}: {e}", rig.name, names[i]));
            }
        }
    }
    turn
}

const LINES: &[&[usize]] = &[&[0], &[1], &[3], &[64], &[300], &[3, 5], &[17, 33], &[2, 0, 3]];

const SIZES: &[[usize; 3]] =
    &[[1, 1, 1], [3, 5, 7], [1, 300, 1], [1, 129, 40], [17, 33, 9], [64, 64, 64], [2, 0, 3], [0, 3, 2], [65, 31, 130]];

const KINDS: &[DType] =
    &[DType::Bool, DType::I8, DType::U16, DType::I32, DType::U32, DType::F16, DType::Bf16, DType::F32];

#[test]
fn orders_and_products_on_gpu() {
    let Some(rig) = gpu() else { return };
    KINDS.iter().for_each(|d| orders(&rig, *d, LINES));
    KINDS.iter().filter(|d| **d != DType::Bool).for_each(|d| products(&rig, *d, SIZES));
}

#[test]
fn orders_and_products_on_cpu() {
    let rig = cpu();
    DType::ALL.iter().for_each(|d| orders(&rig, *d, LINES));
    KINDS.iter().filter(|d| **d != DType::Bool).for_each(|d| products(&rig, *d, SIZES));
}

#[test]
fn a_fold_of_every_kind_on_gpu() {
    let Some(rig) = gpu() else { return };
    let found = folds(&rig, KINDS, LINES);
    assert!(found > 100, "{found}");
}
