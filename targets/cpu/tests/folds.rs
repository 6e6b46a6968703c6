//! Folds, scans and sorts against plain loops.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use girih_base::codec::{Scalar, cast};
use girih_base::{DType, ScalarOp};
use girih_tile::*;

#[test]
fn folds_by_operations() {
    at_every_level(|| {
        use ScalarOp::*;
        for dtype in [DType::F32, DType::F64, DType::I32, DType::U8, DType::I64, DType::Bool, DType::F16] {
            for shape in SHAPES {
                for (axis, permuted) in (0..shape.len()).flat_map(|a| [(a, false), (a, true)]) {
                    for op in [Add, Mul, Min, Max, And, Or, Xor] {
                        if op.infer(&[dtype, dtype]).is_err() {
                            continue;
                        }
                        let n: u32 = shape.iter().product();
                        let x = numbers(dtype, n as usize, 3);
                        // Through a permutation of the axes, so that strides are not those of a contiguous tile.
                        let turned: Vec<u32> = shape.iter().rev().copied().collect();
                        let perm: Vec<usize> = (0..shape.len()).rev().collect();
                        let source = if permuted { &turned[..] } else { shape };
                        let (kernel, out, count) = simple(&[(dtype, source)], |b, v| {
                            let x = if permuted { b.permute(v[0], &perm) } else { v[0] };
                            b.reduce(x, axis, op)
                        });
                        let at = |index: usize| {
                            if !permuted {
                                return x[index];
                            }
                            let (mut rest, mut coords) = (index, vec![0; shape.len()]);
                            for a in (0..shape.len()).rev() {
                                coords[a] = rest % shape[a] as usize;
                                rest /= shape[a] as usize;
                            }
                            x[turned.iter().zip(coords.iter().rev()).fold(0, |o, (n, c)| o * *n as usize + c)]
                        };
                        let got = run(&kernel, &[encode(dtype, &x)], out, count);
                        let (outer, len, inner) = lines(shape, axis);
                        for (line, got) in got.iter().enumerate().take(outer * inner) {
                            let element = |k: usize| at((line / inner * len + k) * inner + line % inner);
                            if dtype.is_float() {
                                let f = op.row().meaning.float.unwrap();
                                let want = (1..len).fold(element(0).as_f64(), |a, k| f(&[a, element(k).as_f64()]));
                                let size: f64 = (0..len).map(|k| element(k).as_f64().abs()).sum();
                                let unit = match dtype {
                                    DType::F64 => 2f64.powi(-53),
                                    DType::F32 => 2f64.powi(-24),
                                    _ => 2f64.powi(-10),
                                };
                                let bound = match op {
                                    Add => len as f64 * unit * size,
                                    Mul => {
                                        len as f64 * 4.0 * unit * want.abs()
                                            + if dtype == DType::F16 { 6e-8 } else { 1e-44 }
                                    }
                                    _ => 0.0,
                                };
                                close(
                                    got.as_f64(),
                                    want,
                                    bound,
                                    &format!("{} {dtype} {shape:?} axis {axis}", op.name()),
                                );
                            } else {
                                let int = girih_base::scalar::IntType::of(dtype).unwrap();
                                let f = op.row().meaning.int.unwrap();
                                let want = (1..len)
                                    .fold(element(0).as_int(), |a, k| int.wrap(f(&[a, element(k).as_int()], int)));
                                assert_eq!(got.as_int(), want, "{} {dtype} {shape:?} axis {axis}", op.name());
                            }
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn folds_see_nan() {
    at_every_level(|| {
        for op in [ScalarOp::Max, ScalarOp::Min, ScalarOp::Add] {
            for at in [0, 63, 64, 199] {
                let (kernel, out, n) = simple(&[(DType::F32, &[200])], |b, v| b.reduce(v[0], 0, op));
                let mut x = vec![1.0f32; 200];
                x[at] = f32::NAN;
                assert!(run(&kernel, &[f32s(&x)], out, n)[0].as_f64().is_nan());
            }
        }
    });
}

/// (value, index) of the largest element: not commutative where values are equal.
fn arg_max(b: &mut Builder) -> Combine {
    let (f, i) = (TileTy::scalar(DType::F32), TileTy::scalar(DType::I32));
    let p: Vec<ValueId> = [&f, &i, &f, &i].into_iter().map(|t| b.fresh(t.clone())).collect();
    b.begin(p.clone());
    let left = b.map(ScalarOp::Ge, &[p[0], p[2]]);
    let value = b.map(ScalarOp::Select, &[left, p[0], p[2]]);
    let index = b.map(ScalarOp::Select, &[left, p[1], p[3]]);
    Combine::Body(b.end(vec![value, index]))
}

#[test]
fn folds_and_scans_by_bodies() {
    at_every_level(|| {
        for shape in SHAPES {
            for axis in 0..shape.len() {
                let n: usize = shape.iter().product::<u32>() as usize;
                let x: Vec<f32> = (0..n).map(|i| ((i * 7) % 5) as f32).collect();
                let (outer, len, inner) = lines(shape, axis);
                let (kernel, out, count) = simple(&[(DType::F32, shape)], |b, v| {
                    let i = b.arange(shape, axis);
                    let combine = arg_max(b);
                    let mut rest = shape.to_vec();
                    rest.remove(axis);
                    let tys = vec![TileTy::new(DType::F32, rest.clone()), TileTy::new(DType::I32, rest)];
                    b.push(Op::Reduce { args: vec![v[0], i], axis, combine }, tys)[1]
                });
                let got = run(&kernel, &[f32s(&x)], out, count);
                let line = |at: usize| -> Vec<f32> {
                    (0..len).map(|k| x[(at / inner * len + k) * inner + at % inner]).collect()
                };
                let first_max = |l: &[f32]| (0..l.len()).fold(0, |best, k| if l[k] > l[best] { k } else { best });
                for (at, got) in got.iter().enumerate().take(outer * inner) {
                    assert_eq!(got.as_int() as usize, first_max(&line(at)), "{shape:?} axis {axis}");
                }
                for reverse in [false, true] {
                    let (kernel, out, count) = simple(&[(DType::F32, shape)], |b, v| {
                        let i = b.arange(shape, axis);
                        let combine = arg_max(b);
                        let tys = vec![TileTy::new(DType::F32, *shape), TileTy::new(DType::I32, *shape)];
                        b.push(Op::Scan { args: vec![v[0], i], axis, combine, reverse }, tys)[1]
                    });
                    let got = run(&kernel, &[f32s(&x)], out, count);
                    for (at, k) in (0..outer * inner).flat_map(|at| (0..len).map(move |k| (at, k))) {
                        let l = line(at);
                        let want = if reverse { k + first_max(&l[k..]) } else { first_max(&l[..=k]) };
                        assert_eq!(
                            got[(at / inner * len + k) * inner + at % inner].as_int() as usize,
                            want,
                            "{shape:?} {axis} {reverse}"
                        );
                    }
                }
            }
        }
    });
}

#[test]
fn scans_by_operations() {
    at_every_level(|| {
        for dtype in [DType::F32, DType::I32, DType::U8, DType::Bf16] {
            for (shape, reverse) in SHAPES.iter().flat_map(|s| [(s, false), (s, true)]) {
                let axis = shape.len() / 2;
                let n: usize = shape.iter().product::<u32>() as usize;
                let x = numbers(dtype, n, 9);
                let (kernel, out, count) = simple(&[(dtype, shape)], |b, v| {
                    let op = Op::Scan { args: vec![v[0]], axis, combine: Combine::Scalar(ScalarOp::Add), reverse };
                    b.push(op, vec![TileTy::new(dtype, *shape)])[0]
                });
                let got = run(&kernel, &[encode(dtype, &x)], out, count);
                let (outer, len, inner) = lines(shape, axis);
                for at in 0..outer * inner {
                    let mut sum = None;
                    for step in 0..len {
                        let k = if reverse { len - 1 - step } else { step };
                        let i = (at / inner * len + k) * inner + at % inner;
                        let total = match (sum, x[i]) {
                            (None, v) => v,
                            (Some(Scalar::Float(a)), Scalar::Float(v)) => cast(Scalar::Float(a + v), dtype),
                            (Some(Scalar::Int(a)), Scalar::Int(v)) => cast(Scalar::Int(a + v), dtype),
                            _ => panic!(),
                        };
                        assert_eq!(got[i], total, "{dtype} {shape:?}");
                        sum = Some(total);
                    }
                }
            }
        }
    });
}

#[test]
fn sorts_are_stable() {
    at_every_level(|| {
        for (shape, descending) in SHAPES.iter().flat_map(|s| [(s, false), (s, true)]) {
            let axis = shape.len() - 1;
            let n: usize = shape.iter().product::<u32>() as usize;
            let mut x: Vec<f32> = (0..n).map(|i| ((i * 7) % 5) as f32).collect();
            x[n / 2] = f32::NAN;
            let (kernel, out, count) = simple(&[(DType::F32, shape)], |b, v| {
                let i = b.arange(shape, axis);
                let tys = vec![TileTy::new(DType::F32, *shape), TileTy::new(DType::I32, *shape)];
                b.push(Op::Sort { args: vec![v[0], i], axis, keys: 1, descending }, tys)[1]
            });
            let got = run(&kernel, &[f32s(&x)], out, count);
            let len = shape[axis] as usize;
            for line in 0..n / len {
                let keys = &x[line * len..][..len];
                let mut order: Vec<usize> = (0..len).collect();
                let rank = |v: f32| if v.is_nan() { f32::INFINITY } else { v };
                order.sort_by(|a, b| {
                    let o = rank(keys[*a]).total_cmp(&rank(keys[*b]));
                    if descending { o.reverse() } else { o }
                });
                let got: Vec<usize> = (0..len).map(|k| got[line * len + k].as_int() as usize).collect();
                assert_eq!(got, order, "{shape:?} {descending}");
            }
        }
    });
}
