//! Every scalar operation, cast, fold and scan on every dtype, over shapes with edges, on every target.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::codec::{Scalar, cast};
use girih_base::{Bindings, DType, ScalarOp};
use girih_driver::Options;
use girih_graph::eval::Value;
use girih_graph::eval::compare::allclose;
use girih_graph::ops::{Reduce, Scan};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, Ty};
use girih_tests::emulated::{emulated, emulated_subgroups};
use girih_tests::gpu::gpu;
use girih_tests::numbers::{acceptable, array, values};
use girih_tests::{Rig, cpu, rounding, run};

const SHAPES: &[&[usize]] = &[&[0], &[1], &[3], &[7], &[64], &[1025], &[3, 5], &[33, 65], &[2, 0, 3]];

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn input(g: &mut Graph, dtype: DType, shape: &[usize]) -> NodeId {
    let name = format!("x{}", g.params().len());
    g.param(&name, TensorTy::new(dtype, shape.iter().copied()), ParamKind::Input, Default::default())
}

fn both(rig: &Rig, g: &Graph, inputs: &[Value], f: &dyn Fn(Vec<Value>)) {
    for enabled in [false, true] {
        let mut options = Options::for_target(&*rig.target);
        options.budget.enabled = enabled;
        let got = run(rig, g, inputs, &Bindings::new(), &options);
        f(got.unwrap_or_else(|d| panic!("{} {}: {d}", rig.name, g.name)));
    }
}

fn scalar_ops(rig: &Rig, dtypes: &[DType]) -> usize {
    let mut pairs = 0;
    for (turn, op) in ScalarOp::ALL.iter().enumerate() {
        for dtype in dtypes {
            let mut takes = vec![*dtype; op.arity()];
            if *op == ScalarOp::Select {
                takes[0] = DType::Bool;
            }
            if op.infer(&takes).is_err() {
                continue;
            }
            pairs += 1;
            let mut g = Graph::new(format!("{} {dtype}", op.name()));
            let (mut outputs, mut data): (Vec<NodeId>, Vec<Vec<Scalar>>) = Default::default();
            let mut inputs: Vec<Value> = Vec::new();
            for (k, shape) in SHAPES.iter().enumerate() {
                let args: Vec<NodeId> = takes.iter().map(|d| input(&mut g, *d, shape)).collect();
                for (i, d) in takes.iter().enumerate() {
                    let v = values(*d, count(shape), (17 * i + k) as u64, turn + i * 3 + k);
                    inputs.push(array(*d, shape, &v).into());
                    data.push(v);
                }
                outputs.push(g.map(*op, &args).unwrap());
            }
            g.set_outputs(outputs);
            both(rig, &g, &inputs, &|got| {
                for (k, value) in got.iter().enumerate() {
                    let value = value.array().unwrap();
                    let given = &data[k * op.arity()..(k + 1) * op.arity()];
                    for i in 0..value.len() {
                        let args: Vec<Scalar> = given.iter().map(|d| d[i]).collect();
                        acceptable(*op, *dtype, &args, value.elem(i)).unwrap_or_else(|e| panic!("{}: {e}", rig.name));
                    }
                }
            });
        }
    }
    pairs
}

fn casts(rig: &Rig, dtypes: &[DType]) {
    for from in dtypes {
        let mut g = Graph::new(format!("cast {from}"));
        let mut outputs = Vec::new();
        let (mut data, mut inputs): (Vec<Vec<Scalar>>, Vec<Value>) = Default::default();
        for (k, shape) in SHAPES.iter().enumerate() {
            let v = values(*from, count(shape), k as u64, k);
            let x = input(&mut g, *from, shape);
            inputs.push(array(*from, shape, &v).into());
            data.push(v);
            outputs.extend(dtypes.iter().map(|to| g.cast(x, *to).unwrap()));
        }
        g.set_outputs(outputs);
        both(rig, &g, &inputs, &|got| {
            for (k, value) in got.iter().enumerate() {
                let (value, to) = (value.array().unwrap(), dtypes[k % dtypes.len()]);
                for (i, x) in data[k / dtypes.len()].iter().enumerate() {
                    let (want, got) = (cast(*x, to), value.elem(i));
                    let same = want == got || want.as_f64().is_nan() && got.as_f64().is_nan();
                    assert!(same, "{}: {from} to {to}: {x:?} gives {got:?}, not {want:?}", rig.name);
                }
            }
        });
    }
}

const MONOIDS: &[Monoid] = &[
    Monoid::Sum,
    Monoid::Prod,
    Monoid::Max,
    Monoid::Min,
    Monoid::And,
    Monoid::Or,
    Monoid::Xor,
    Monoid::ArgMax,
    Monoid::ArgMin,
    Monoid::Welford,
    Monoid::Online,
];

/// Folds and scans along each axis; the count of those that exist.
fn folds(rig: &Rig, dtypes: &[DType], shapes: &[&[usize]]) -> usize {
    let mut found = 0;
    for monoid in MONOIDS {
        for dtype in dtypes {
            let mut g = Graph::new(format!("{monoid:?} {dtype}"));
            let (mut outputs, mut inputs): (Vec<NodeId>, Vec<Value>) = Default::default();
            for (k, shape) in shapes.iter().enumerate() {
                let x = input(&mut g, *dtype, shape);
                inputs.push(girih_graph::eval::Array::random(*dtype, shape, 7 * k as u64).into());
                let sums = matches!(monoid, Monoid::Sum | Monoid::Prod | Monoid::Welford | Monoid::Online);
                let acc = if sums { dtype.accumulator() } else { *dtype };
                for axis in 0..shape.len() {
                    let mut made = vec![g.push(Reduce { monoid: monoid.clone(), axes: vec![axis], acc }, &[x])];
                    for (reverse, exclusive) in [(false, false), (true, false), (false, true), (true, true)] {
                        made.push(g.push(Scan { monoid: monoid.clone(), axis, reverse, exclusive, acc }, &[x]));
                    }
                    for id in made.into_iter().flatten() {
                        found += 1;
                        match g.ty(id) {
                            Ty::Tensor(_) => outputs.push(id),
                            Ty::Tuple(items) => {
                                for i in 0..items.len() {
                                    outputs.push(g.proj(id, i).unwrap());
                                }
                            }
                        }
                    }
                }
            }
            if outputs.is_empty() {
                continue;
            }
            g.set_outputs(outputs.clone());
            let want = g.eval(&inputs, &Bindings::new()).unwrap();
            let margins = rounding::allowed(&g, &inputs, &Bindings::new(), &want).unwrap();
            both(rig, &g, &inputs, &|got| {
                for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                    let exact = !matches!(monoid, Monoid::Sum | Monoid::Prod | Monoid::Welford | Monoid::Online);
                    let margin = if exact || !dtype.is_float() { 0.0 } else { margins[i] };
                    allclose(got, want, 0.0, margin)
                        .unwrap_or_else(|e| panic!("{} {} {:?}: {e}", rig.name, g.name, g.node(outputs[i])));
                }
            });
        }
    }
    found
}

#[test]
fn scalar_ops_on_cpu() {
    let pairs = scalar_ops(&cpu(), DType::ALL);
    assert!(pairs > 500, "{pairs}");
}

#[test]
fn casts_on_cpu() {
    casts(&cpu(), DType::ALL);
}

/// What 32-bit GPUs can hold.
const SMALL: &[DType] = &[
    DType::Bool,
    DType::I4,
    DType::U4,
    DType::F4E2M1,
    DType::F8E4M3Fn,
    DType::F8E5M2,
    DType::F8E8M0,
    DType::I8,
    DType::U8,
    DType::I16,
    DType::U16,
    DType::I32,
    DType::U32,
    DType::F16,
    DType::Bf16,
    DType::F32,
];

/// Lines that one workgroup folds or scans at once, and around.
const LINES: &[&[usize]] = &[&[0], &[1], &[3], &[64], &[300], &[3, 5], &[17, 33], &[2, 0, 3]];

/// Lines longer than a workgroup holds.
fn long_scans(rig: &Rig) {
    let mut g = Graph::new("long");
    let x = input(&mut g, DType::F32, &[100_003]);
    let y = input(&mut g, DType::I32, &[2, 5000]);
    let sums = girih_graph::nn::cumsum(&mut g, x, 0).unwrap();
    let most = g.push(Scan { monoid: Monoid::Max, axis: 1, reverse: true, exclusive: false, acc: DType::I32 }, &[y]);
    g.set_outputs(vec![sums, most.unwrap()]);
    let random = |d, shape: &[usize]| girih_graph::eval::Array::random(d, shape, 1).into();
    let inputs = [random(DType::F32, &[100_003]), random(DType::I32, &[2, 5000])];
    let want = g.eval(&inputs, &Bindings::new()).unwrap();
    let margins = rounding::allowed(&g, &inputs, &Bindings::new(), &want).unwrap();
    let got = run(rig, &g, &inputs, &Bindings::new(), &Options::for_target(&*rig.target));
    let got = got.unwrap_or_else(|d| panic!("{}: {d}", rig.name));
    allclose(&got[0], &want[0], 0.0, margins[0]).unwrap_or_else(|e| panic!("{}: {e}", rig.name));
    allclose(&got[1], &want[1], 0.0, 0.0).unwrap_or_else(|e| panic!("{}: {e}", rig.name));
}

#[test]
fn long_scans_emulated() {
    long_scans(&emulated());
}

#[test]
fn long_scans_on_gpu() {
    if let Some(rig) = gpu() {
        long_scans(&rig);
    }
}

/// More of the device is asked in `device_ops.rs`.
#[test]
fn folds_on_gpu() {
    if let Some(rig) = gpu() {
        let found = folds(&rig, &[DType::Bool, DType::F32], LINES);
        assert!(found > 100, "{found}");
    }
}

#[test]
fn scalar_ops_emulated() {
    let pairs = scalar_ops(&emulated(), SMALL);
    assert!(pairs > 300, "{pairs}");
}

#[test]
fn casts_emulated() {
    casts(&emulated(), SMALL);
}

#[test]
fn folds_emulated() {
    let found = folds(&emulated(), SMALL, LINES);
    assert!(found > 500, "{found}");
    let found = folds(&emulated_subgroups(), &[DType::Bool, DType::I32, DType::F32], LINES);
    assert!(found > 200, "{found}");
}

#[test]
fn folds_on_cpu() {
    let found = folds(&cpu(), DType::ALL, SHAPES);
    assert!(found > 1000, "{found}");
}

/// Lines that are folded in two steps on GPUs: whole vectors or not.
fn long_folds(rig: &Rig) {
    let mut g = Graph::new("long folds");
    let (mut outputs, mut inputs): (Vec<NodeId>, Vec<Value>) = Default::default();
    let shapes: [(&[usize], usize); 3] = [(&[9_000_000], 0), (&[300_001 * 3], 0), (&[2, 1 << 18], 1)];
    for (k, (shape, axis)) in shapes.into_iter().enumerate() {
        for (monoid, dtype) in [(Monoid::Sum, DType::F32), (Monoid::Max, DType::I32), (Monoid::Xor, DType::U8)] {
            let x = input(&mut g, dtype, shape);
            inputs.push(girih_graph::eval::Array::random(dtype, shape, k as u64).into());
            let acc = if monoid == Monoid::Sum { dtype.accumulator() } else { dtype };
            outputs.push(g.push(Reduce { monoid, axes: vec![axis], acc }, &[x]).unwrap());
        }
    }
    g.set_outputs(outputs);
    let want = g.eval(&inputs, &Bindings::new()).unwrap();
    let margins = rounding::allowed(&g, &inputs, &Bindings::new(), &want).unwrap();
    let got = run(rig, &g, &inputs, &Bindings::new(), &Options::for_target(&*rig.target));
    let got = got.unwrap_or_else(|d| panic!("{}: {d}", rig.name));
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let margin = if i % 3 == 0 { margins[i] } else { 0.0 };
        allclose(got, want, 0.0, margin).unwrap_or_else(|e| panic!("{} output {i}: {e}", rig.name));
    }
}

#[test]
fn long_folds_on_gpu() {
    if let Some(rig) = gpu() {
        long_folds(&rig);
    }
}
