//! Scalar operations, casts and bit casts against the scalar table, for every dtype.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use girih_base::codec::{self, Scalar, cast};
use girih_base::{DType, Dim, ScalarOp};
use girih_graph::testing::numbers::{self, values};
use girih_tile::*;

/// `op` over `n` elements; operand `i` is one repeated element where bit `i` of `repeat` is set.
fn kernel(op: ScalarOp, dtypes: &[DType], out: DType, n: u32, repeat: u32) -> Kernel {
    let mut b = Builder::new();
    let params: Vec<usize> =
        (0..dtypes.len()).map(|i| b.param(&format!("x{i}"), dtypes[i], Dim::from(n), Access::Read, false)).collect();
    let y = b.param("y", out, Dim::from(n), Access::Write, false);
    let zero = b.int(0);
    let view = || View::contiguous(&[Dim::from(n)]);
    let args: Vec<ValueId> = params
        .iter()
        .enumerate()
        .map(|(i, p)| {
            if repeat >> i & 1 == 1 {
                let v = b.load(
                    *p,
                    View { offset: Dim::from(n - 1), axes: vec![], guards: vec![] },
                    &[],
                    &[],
                    Literal::Int(0),
                );
                b.splat(v, &[n])
            } else {
                b.load(*p, view(), &[zero], &[n], Literal::Int(0))
            }
        })
        .collect();
    let v = b.map(op, &args);
    b.store(y, view(), &[zero], v);
    b.finish("map", vec![])
}

fn check(op: ScalarOp, dtype: DType, args: &[Scalar], got: Scalar) {
    numbers::acceptable(op, dtype, args, got).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn every_operation_on_every_dtype() {
    at_every_level(|| {
        let mut count = 0;
        for op in ScalarOp::ALL {
            for dtype in DType::ALL {
                let mut dtypes = vec![*dtype; op.arity()];
                if *op == ScalarOp::Select {
                    dtypes[0] = DType::Bool;
                }
                let Ok(out) = op.infer(&dtypes) else { continue };
                count += 1;
                for (n, repeat) in [(1, 0), (7, 0), (3001, 0), (130, 1), (130, 2), (130, 4), (130, 6), (130, 7)] {
                    if repeat >= 1 << op.arity() {
                        continue;
                    }
                    let data: Vec<Vec<Scalar>> =
                        (0..op.arity()).map(|i| values(dtypes[i], n, 17 * i as u64 + n as u64, i * (n % 11))).collect();
                    let bytes: Vec<Vec<u8>> = data.iter().zip(&dtypes).map(|(v, d)| encode(*d, v)).collect();
                    let got = run(&kernel(*op, &dtypes, out, n as u32, repeat), &bytes, out, n);
                    for i in 0..n {
                        let arg = |k: usize| data[k][if repeat >> k & 1 == 1 { n - 1 } else { i }];
                        let args: Vec<Scalar> = (0..op.arity()).map(arg).collect();
                        check(*op, *dtype, &args, got[i]);
                    }
                }
            }
        }
        assert!(count > 500, "{count}");
    });
}

#[test]
fn elementary_functions_over_wide_ranges() {
    at_every_level(|| {
        use ScalarOp::*;
        let n = 1 << 17;
        for op in [Exp, Exp2, Log, Log2, Sin, Cos, Tanh, Erf, Sigmoid, Silu, Gelu, GeluTanh, Softplus, Rsqrt, Sqrt] {
            // Every 2^15th bit pattern, then the middle of the range densely.
            let mut x: Vec<f32> = (0..n as u32).map(|i| f32::from_bits(i.wrapping_mul(1 << 15) | i & 0x7fff)).collect();
            x.extend((0..n).map(|i| (i as f32 / n as f32 - 0.5) * 220.0));
            x.extend((0..n).map(|i| (i as f32 / n as f32 - 0.5) * 8.0));
            let got = run(&kernel(op, &[DType::F32], DType::F32, x.len() as u32, 0), &[f32s(&x)], DType::F32, x.len());
            for (x, got) in x.iter().zip(got) {
                check(op, DType::F32, &[Scalar::Float(*x as f64)], got);
            }
        }
    });
}

#[test]
fn casts() {
    at_every_level(|| {
        for from in DType::ALL {
            for to in DType::ALL {
                for n in [1u32, 37, 1500] {
                    let data = values(*from, n as usize, n as u64, 0);
                    let mut b = Builder::new();
                    let x = b.param("x", *from, Dim::from(n), Access::Read, false);
                    let y = b.param("y", *to, Dim::from(n), Access::Write, false);
                    let zero = b.int(0);
                    let v = b.load(x, View::contiguous(&[Dim::from(n)]), &[zero], &[n], Literal::Int(0));
                    let v = b.cast(v, *to);
                    b.store(y, View::contiguous(&[Dim::from(n)]), &[zero], v);
                    let got = run(&b.finish("cast", vec![]), &[encode(*from, &data)], *to, n as usize);
                    for (x, got) in data.iter().zip(got) {
                        let want = cast(*x, *to);
                        let same = want == got || want.as_f64().is_nan() && got.as_f64().is_nan();
                        assert!(same, "{from} to {to}: {x:?} gave {got:?}, expected {want:?}");
                    }
                }
            }
        }
    });
}

#[test]
fn bit_casts() {
    at_every_level(|| {
        for (from, to) in
            [(DType::F32, DType::I32), (DType::I64, DType::F64), (DType::F16, DType::U16), (DType::I8, DType::F8E5M2)]
        {
            let n = 41u32;
            let data = values(from, n as usize, 3, 0);
            let mut b = Builder::new();
            let x = b.param("x", from, Dim::from(n), Access::Read, false);
            let y = b.param("y", to, Dim::from(n), Access::Write, false);
            let zero = b.int(0);
            let v = b.load(x, View::contiguous(&[Dim::from(n)]), &[zero], &[n], Literal::Int(0));
            let v = b.bitcast(v, to);
            b.store(y, View::contiguous(&[Dim::from(n)]), &[zero], v);
            let got = run(&b.finish("bits", vec![]), &[encode(from, &data)], to, n as usize);
            for (x, got) in data.iter().zip(got) {
                let want = codec::decode(codec::encode(*x, from), to);
                assert!(want == got || want.as_f64().is_nan() && got.as_f64().is_nan(), "{x:?} {got:?}");
            }
        }
    });
}
