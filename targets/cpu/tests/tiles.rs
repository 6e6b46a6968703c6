//! Folds, scans, sorts, products, loops, branches, reshapes, against plain loops.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use girih_base::codec::{Scalar, cast};
use girih_base::{Bindings, DType, Dim, QuantFormat, ScalarOp};
use girih_tile::*;

fn whole(shape: &[u32]) -> View {
    View::contiguous(&shape.iter().map(|n| Dim::from(*n)).collect::<Vec<_>>())
}

/// A kernel of one instance: loads all inputs whole, applies `f`, stores the result whole.
fn simple(inputs: &[(DType, &[u32])], f: impl FnOnce(&mut Builder, &[ValueId]) -> ValueId) -> (Kernel, DType, usize) {
    let mut b = Builder::new();
    let zero = b.int(0);
    let mut values = Vec::new();
    for (i, (dtype, shape)) in inputs.iter().enumerate() {
        let p = b.param(&format!("x{i}"), *dtype, Dim::from(shape.iter().product::<u32>()), Access::Read, false);
        values.push(b.load(p, whole(shape), &vec![zero; shape.len()], shape, Literal::Int(0)));
    }
    let out = f(&mut b, &values);
    let ty = b.ty(out).clone();
    let y = b.param("y", ty.dtype, Dim::from(ty.elements()), Access::Write, false);
    b.store(y, whole(&ty.shape), &vec![zero; ty.shape.len()], out);
    (b.finish("simple", vec![]), ty.dtype, ty.elements())
}

fn numbers(dtype: DType, n: usize, seed: u64) -> Vec<Scalar> {
    let mut r = Random(seed);
    (0..n)
        .map(|_| match dtype.is_float() {
            true => cast(Scalar::Float(r.unit() as f64), dtype),
            false => cast(Scalar::Int((r.bits() % 11) as i128 - 5), dtype),
        })
        .collect()
}

const SHAPES: &[&[u32]] = &[&[1], &[7], &[1000], &[3, 5], &[1, 64], &[64, 1], &[17, 129], &[2, 3, 70], &[5, 1, 3, 2]];

/// Splits a flat index around an axis: (outer * inner position, length, inner).
fn lines(shape: &[u32], axis: usize) -> (usize, usize, usize) {
    let inner: u32 = shape[axis + 1..].iter().product();
    let outer: u32 = shape[..axis].iter().product();
    (outer as usize, shape[axis] as usize, inner as usize)
}

fn close(got: f64, want: f64, bound: f64, what: &str) {
    assert!(
        (got - want).abs() <= bound || got.is_nan() && want.is_nan() || got == want,
        "{what}: {got}, expected {want}, bound {bound:e}"
    );
}

#[test]
fn folds_by_operations() {
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
                    for line in 0..outer * inner {
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
                                got[line].as_f64(),
                                want,
                                bound,
                                &format!("{} {dtype} {shape:?} axis {axis}", op.name()),
                            );
                        } else {
                            let int = girih_base::scalar::IntType::of(dtype).unwrap();
                            let f = op.row().meaning.int.unwrap();
                            let want =
                                (1..len).fold(element(0).as_int(), |a, k| int.wrap(f(&[a, element(k).as_int()], int)));
                            assert_eq!(got[line].as_int(), want, "{} {dtype} {shape:?} axis {axis}", op.name());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn folds_see_nan() {
    for op in [ScalarOp::Max, ScalarOp::Min, ScalarOp::Add] {
        for at in [0, 63, 64, 199] {
            let (kernel, out, n) = simple(&[(DType::F32, &[200])], |b, v| b.reduce(v[0], 0, op));
            let mut x = vec![1.0f32; 200];
            x[at] = f32::NAN;
            assert!(run(&kernel, &[f32s(&x)], out, n)[0].as_f64().is_nan());
        }
    }
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
            let line =
                |at: usize| -> Vec<f32> { (0..len).map(|k| x[(at / inner * len + k) * inner + at % inner]).collect() };
            let first_max = |l: &[f32]| (0..l.len()).fold(0, |best, k| if l[k] > l[best] { k } else { best });
            for at in 0..outer * inner {
                assert_eq!(got[at].as_int() as usize, first_max(&line(at)), "{shape:?} axis {axis}");
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
}

#[test]
fn scans_by_operations() {
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
}

#[test]
fn sorts_are_stable() {
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
}

#[test]
fn products() {
    let sizes = [(1, 1, 1), (1, 5, 300), (7, 3, 2), (33, 65, 17), (128, 64, 100), (2, 1, 129)];
    for (m, k, n) in sizes {
        for (a, b_dtype, acc) in [
            (DType::F32, DType::F32, DType::F32),
            (DType::F64, DType::F64, DType::F64),
            (DType::F16, DType::F16, DType::F32),
            (DType::Bf16, DType::F32, DType::F32),
            (DType::F32, DType::F32, DType::F64),
            (DType::I8, DType::I8, DType::I32),
            (DType::U8, DType::I8, DType::I32),
            (DType::I32, DType::I32, DType::I64),
        ] {
            for (turned, added) in [(false, false), (true, false), (false, true), (true, true)] {
                let (x, y) = (numbers(a, (m * k) as usize, 1), numbers(b_dtype, (k * n) as usize, 2));
                let z = numbers(acc, (m * n) as usize, 4);
                let right: &[u32] = if turned { &[n, k] } else { &[k, n] };
                let (kernel, out, count) = simple(&[(a, &[m, k]), (b_dtype, right), (acc, &[m, n])], |b, v| {
                    let y = if turned { b.permute(v[1], &[1, 0]) } else { v[1] };
                    b.dot(v[0], y, added.then_some(v[2]), acc)
                });
                let got = run(&kernel, &[encode(a, &x), encode(b_dtype, &y), encode(acc, &z)], out, count);
                for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    let at = |p: u32| if turned { y[(j * k + p) as usize] } else { y[(p * n + j) as usize] };
                    let start = if added { z[(i * n + j) as usize].as_f64() } else { 0.0 };
                    let terms: Vec<f64> = (0..k).map(|p| x[(i * k + p) as usize].as_f64() * at(p).as_f64()).collect();
                    let want = start + terms.iter().sum::<f64>();
                    let size = start.abs() + terms.iter().map(|t| t.abs()).sum::<f64>();
                    let unit = if acc == DType::F32 { 2f64.powi(-24) } else { 2f64.powi(-52) };
                    let bound = if acc.is_float() { (k + 1) as f64 * unit * size } else { 0.0 };
                    close(
                        got[(i * n + j) as usize].as_f64(),
                        want,
                        bound,
                        &format!("{a} {b_dtype} {acc} {m}x{k}x{n} turned {turned}"),
                    );
                }
            }
        }
    }
}

/// Random blocks with finite scales.
fn blocks(format: QuantFormat, count: usize, seed: u64) -> Vec<u8> {
    let mut r = Random(seed);
    let scales: &[usize] = match format {
        QuantFormat::Q4_1 | QuantFormat::Q5_1 | QuantFormat::Q4_K | QuantFormat::Q5_K => &[0, 2],
        QuantFormat::Q6_K => &[208],
        _ => &[0],
    };
    let mut out = Vec::new();
    for _ in 0..count {
        let mut block: Vec<u8> = (0..format.block_bytes()).map(|_| r.bits() as u8).collect();
        for at in scales {
            let half = half::f16::from_f32(r.unit() * 0.1).to_le_bytes();
            block[*at..*at + 2].copy_from_slice(&half);
        }
        out.extend(block);
    }
    out
}

#[test]
fn quantised_products_and_loads() {
    for format in QuantFormat::ALL {
        let k = 2 * format.block_elements().max(64) as u32;
        for (m, n, tile, add) in
            [(1u32, 10u32, 4u32, false), (3, 7, 8, true), (5, 16, 16, false), (8, 5, 5, true), (40, 33, 16, false)]
        {
            let data = blocks(*format, (n * k) as usize / format.block_elements(), 11);
            let mut decoded = vec![0f32; (n * k) as usize];
            format.decode_row(&data, &mut decoded).unwrap();
            let mut b = Builder::new();
            let x = b.param("x", DType::F32, Dim::from(m * k), Access::Read, false);
            let w = b.param("w", DType::U8, Dim::from(data.len()), Access::Read, true);
            let y = b.param("y", DType::F32, Dim::from(m * n), Access::Write, false);
            let (pid, by, zero) = (b.program_id(0), b.int(tile as i64), b.int(0));
            let r = b.map(ScalarOp::Mul, &[pid, by]);
            let v = b.load(x, whole(&[m, k]), &[zero, zero], &[m, k], Literal::Int(0));
            let op = Op::LoadQuant {
                param: w,
                format: format.name().into(),
                rows: n.into(),
                columns: k.into(),
                at: [r, zero],
            };
            let q = b.push(op, vec![TileTy::new(DType::F32, [tile, k])])[0];
            let q = b.permute(q, &[1, 0]);
            let one = b.constant(Literal::float(1.0), TileTy::new(DType::F32, [m, tile]));
            let d = b.dot(v, q, add.then_some(one), DType::F32);
            b.store(y, whole(&[m, n]), &[zero, r], d);
            let kernel = b.finish("quant", vec![Dim::from(n.div_ceil(tile))]);
            let a = Random(2).floats((m * k) as usize);
            let got = run(&kernel, &[f32s(&a), data.clone()], DType::F32, (m * n) as usize);
            for (i, j) in (0..m as usize).flat_map(|i| (0..n as usize).map(move |j| (i, j))) {
                let terms = (0..k as usize).map(|p| a[i * k as usize + p] as f64 * decoded[j * k as usize + p] as f64);
                let (want, size) = terms.fold((0.0, 0.0), |(s, z), t| (s + t, z + f64::abs(t)));
                let start = add as u8 as f64;
                close(
                    got[i * n as usize + j].as_f64(),
                    want + start,
                    k as f64 * 6e-8 * (size + start),
                    &format!("{format} m {m}"),
                );
            }
            // The decoder alone, starting inside a block and reaching past the matrix.
            let mut b = Builder::new();
            let w = b.param("w", DType::U8, Dim::from(data.len()), Access::Read, true);
            let y = b.param("y", DType::F32, Dim::from(2 * k), Access::Write, false);
            let (r, c, zero) = (b.int(n as i64 - 1), b.int(5), b.int(0));
            let op =
                Op::LoadQuant { param: w, format: format.name().into(), rows: n.into(), columns: k.into(), at: [r, c] };
            let q = b.push(op, vec![TileTy::new(DType::F32, [2, k])])[0];
            b.store(y, whole(&[2, k]), &[zero, zero], q);
            let got = run(&b.finish("decode", vec![]), &[data], DType::F32, 2 * k as usize);
            let last = &decoded[((n - 1) * k) as usize..];
            for p in 0..2 * k as usize {
                let want = if p + 5 < k as usize { last[p + 5] } else { 0.0 };
                assert_eq!(got[p].as_f64() as f32, want, "{format} element {p}");
            }
        }
    }
}

#[test]
fn loops_carry_and_swap() {
    let (kernel, out, n) = simple(&[(DType::F32, &[6]), (DType::F32, &[6])], |b, v| {
        let (lo, hi) = (b.int(0), b.int(5));
        let one = b.constant(Literal::float(1.0), TileTy::new(DType::F32, [6]));
        let r = b.for_loop(lo, hi, 2, &[v[0], v[1], one], |b, i, c| {
            let f = b.cast(i, DType::F32);
            let f = b.splat(f, &[6]);
            let next = b.map(ScalarOp::Add, &[c[0], f]);
            // Two carried values change places, the third is an older one.
            vec![c[1], next, c[0]]
        });
        let s = b.map(ScalarOp::Mul, &[r[0], r[1]]);
        b.map(ScalarOp::Add, &[s, r[2]])
    });
    let (mut x, mut y, mut z) =
        (vec![1.0f32, 2., 3., 4., 5., 6.], vec![10.0f32, 20., 30., 40., 50., 60.], vec![1.0f32; 6]);
    let got = run(&kernel, &[f32s(&x), f32s(&y)], out, n);
    for i in [0.0, 2.0, 4.0] {
        let next = x.iter().map(|v| v + i).collect();
        (x, y, z) = (y, next, x);
    }
    let want: Vec<f64> = (0..6).map(|i| (x[i] * y[i] + z[i]) as f64).collect();
    assert_eq!(got.iter().map(|v| v.as_f64()).collect::<Vec<_>>(), want);
}

#[test]
fn branches_choose() {
    for flag in [0, 1] {
        let (kernel, out, n) = simple(&[(DType::F32, &[9])], |b, v| {
            let cond = b.constant(Literal::Int(flag), TileTy::scalar(DType::Bool));
            b.begin(vec![]);
            let t = b.map(ScalarOp::Neg, &[v[0]]);
            let then = b.end(vec![t]);
            b.begin(vec![]);
            let otherwise = b.end(vec![v[0]]);
            b.push(Op::If { cond, then, otherwise }, vec![TileTy::new(DType::F32, [9])])[0]
        });
        let got = run(&kernel, &[f32s(&[2.0; 9])], out, n);
        assert!(got.iter().all(|v| v.as_f64() == if flag == 1 { -2.0 } else { 2.0 }));
    }
}

#[test]
fn reshapes_of_strided_values() {
    let (kernel, out, n) = simple(&[(DType::I32, &[4, 6])], |b, v| {
        let t = b.permute(v[0], &[1, 0]);
        let r = b.reshape(t, &[3, 8]);
        let row = b.reduce(r, 1, ScalarOp::Max);
        let wide = b.broadcast(row, &[3, 8], &[0]);
        let flat = b.reshape(wide, &[24]);
        let r = b.reshape(r, &[24]);
        b.map(ScalarOp::Sub, &[flat, r])
    });
    let x: Vec<Scalar> = (0..24).map(|i| Scalar::Int((i * 5 % 24) as i128)).collect();
    let got = run(&kernel, &[encode(DType::I32, &x)], out, n);
    let turned: Vec<i128> = (0..24).map(|i| x[i % 4 * 6 + i / 4].as_int()).collect();
    for i in 0..24 {
        let max = turned[i / 8 * 8..][..8].iter().max().unwrap();
        assert_eq!(got[i].as_int(), max - turned[i]);
    }
}

/// The same bits from any number of threads, sums and products included.
#[test]
fn results_do_not_depend_on_threads() {
    let (m, k, n) = (96u32, 500u32, 64u32);
    let mut b = Builder::new();
    let x = b.param("x", DType::F32, Dim::from(m * k), Access::Read, false);
    let w = b.param("w", DType::F32, Dim::from(k * n), Access::Read, true);
    let y = b.param("y", DType::F32, Dim::from(m * n), Access::Write, false);
    let (pid, zero, by) = (b.program_id(0), b.int(0), b.int(8));
    let r = b.map(ScalarOp::Mul, &[pid, by]);
    let v = b.load(x, whole(&[m, k]), &[r, zero], &[8, k], Literal::Int(0));
    let sum = b.reduce(v, 1, ScalarOp::Add);
    let sum = b.broadcast(sum, &[8, n], &[0]);
    let w = b.load(w, whole(&[k, n]), &[zero, zero], &[k, n], Literal::Int(0));
    let d = b.dot(v, w, None, DType::F32);
    let d = b.map(ScalarOp::Add, &[d, sum]);
    let d = b.map(ScalarOp::Tanh, &[d]);
    b.store(y, whole(&[m, n]), &[r, zero], d);
    let kernel = b.finish("threads", vec![Dim::from(m / 8)]);
    let mut random = Random(8);
    let data =
        [f32s(&random.floats((m * k) as usize)), f32s(&random.floats((k * n) as usize)), vec![0; (m * n * 4) as usize]];
    let results: Vec<_> = [1, 2, 3, 8].map(|t| run_bytes(&kernel, &data, &Bindings::new(), t).unwrap()).into();
    assert!(results.iter().all(|r| *r == results[0]));
    // One instance, threads inside the product.
    let (kernel, _, _) =
        simple(&[(DType::F32, &[256, 512]), (DType::F32, &[512, 384])], |b, v| b.dot(v[0], v[1], None, DType::F32));
    let data = [f32s(&random.floats(256 * 512)), f32s(&random.floats(512 * 384)), vec![0; 256 * 384 * 4]];
    let results: Vec<_> = [1, 2, 4].map(|t| run_bytes(&kernel, &data, &Bindings::new(), t).unwrap()).into();
    assert!(results.iter().all(|r| *r == results[0]));
}
