//! Products, loops, branches, reshapes, against plain loops; the same bits from any number of threads.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use girih_base::codec::Scalar;
use girih_base::{Bindings, DType, Dim, QuantFormat, ScalarOp};
use girih_tile::*;

#[test]
fn products() {
    at_every_level(|| {
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
                        let terms: Vec<f64> =
                            (0..k).map(|p| x[(i * k + p) as usize].as_f64() * at(p).as_f64()).collect();
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
    });
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
    at_every_level(|| {
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
                    let terms =
                        (0..k as usize).map(|p| a[i * k as usize + p] as f64 * decoded[j * k as usize + p] as f64);
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
                let op = Op::LoadQuant {
                    param: w,
                    format: format.name().into(),
                    rows: n.into(),
                    columns: k.into(),
                    at: [r, c],
                };
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
    });
}

#[test]
fn loops_carry_and_swap() {
    at_every_level(|| {
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
    });
}

#[test]
fn branches_choose() {
    at_every_level(|| {
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
    });
}

#[test]
fn reshapes_of_strided_values() {
    at_every_level(|| {
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
    });
}

/// The same bits from any number of threads, sums and products included.
#[test]
fn results_do_not_depend_on_threads() {
    at_every_level(|| {
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
        let data = [
            f32s(&random.floats((m * k) as usize)),
            f32s(&random.floats((k * n) as usize)),
            vec![0; (m * n * 4) as usize],
        ];
        let results: Vec<_> = [1, 2, 3, 8].map(|t| run_bytes(&kernel, &data, &Bindings::new(), t).unwrap()).into();
        assert!(results.iter().all(|r| *r == results[0]));
        // One instance, threads inside the product.
        let (kernel, _, _) =
            simple(&[(DType::F32, &[256, 512]), (DType::F32, &[512, 384])], |b, v| b.dot(v[0], v[1], None, DType::F32));
        let data = [f32s(&random.floats(256 * 512)), f32s(&random.floats(512 * 384)), vec![0; 256 * 384 * 4]];
        let results: Vec<_> = [1, 2, 4].map(|t| run_bytes(&kernel, &data, &Bindings::new(), t).unwrap()).into();
        assert!(results.iter().all(|r| *r == results[0]));
    });
}
