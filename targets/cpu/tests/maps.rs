//! Scalar operations, casts and bit casts against the scalar table, for every dtype.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use girih_base::codec::{self, Scalar, cast};
use girih_base::dtype::Class;
use girih_base::scalar::{Accuracy, IntType, Output};
use girih_base::{DType, Dim, ScalarOp};
use girih_tile::*;

/// Values that break things, then random ones.
fn values(dtype: DType, n: usize, seed: u64) -> Vec<Scalar> {
    let mut random = Random(seed);
    let special: Vec<f64> = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e-40,
        -1e-40,
        1e-45,
        3.4e38,
        -3.4e38,
        1e-30,
        -1e30,
        88.8,
        -88.8,
        -103.5,
        0.1,
        2.0,
        3.0,
        100.0,
        -100.0,
        7.0,
        1e5,
        1.17549435e-38,
    ];
    let ints: Vec<i128> = vec![0, 1, -1, 2, 7, 31, 32, 33, i32::MIN as i128, i32::MAX as i128, 255, 128, -128];
    (0..n)
        .map(|i| {
            let exact = match dtype.class() {
                Class::Float => Scalar::Float(match random.bits() % 4 {
                    _ if i < special.len() => special[i],
                    0 => random.unit() as f64,
                    1 => random.unit() as f64 * 20.0,
                    2 => f32::from_bits(random.bits() as u32) as f64,
                    _ => random.unit() as f64 * 1000.0,
                }),
                _ if i < ints.len() => Scalar::Int(ints[i]),
                _ => Scalar::Int((random.bits() as i64 >> (random.bits() % 64)) as i128),
            };
            cast(exact, dtype)
        })
        .collect()
}

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

fn expected(op: ScalarOp, dtype: DType, args: &[Scalar]) -> Scalar {
    let row = op.row();
    if op == ScalarOp::Select {
        return if args[0].as_int() != 0 { args[1] } else { args[2] };
    }
    if let (Some(int), Some(f)) = (IntType::of(dtype), row.meaning.int) {
        let v: Vec<i128> = args.iter().map(|a| a.as_int()).collect();
        let r = f(&v, int);
        return Scalar::Int(if row.output == Output::Bool { r } else { int.wrap(r) });
    }
    let v: Vec<f64> = args.iter().map(|a| a.as_f64()).collect();
    match row.meaning.test {
        Some(f) if row.output == Output::Bool => Scalar::Int(f(&v) as i128),
        _ => Scalar::Float(row.meaning.float.unwrap()(&v)),
    }
}

/// Distance in units in the last place of `dtype` (f32 for narrower ones, whose results are the nearest value).
fn ulp(dtype: DType, exact: f64) -> f64 {
    let (bits, min) = if dtype == DType::F64 { (52, -1022) } else { (23, -126) };
    let e = if exact == 0.0 { min } else { (exact.abs().log2().floor() as i32).max(min) };
    2f64.powi(e - bits)
}

fn check(op: ScalarOp, dtype: DType, args: &[Scalar], got: Scalar) {
    let want = expected(op, dtype, args);
    let (w, g) = match (want, got) {
        (Scalar::Int(w), Scalar::Int(g)) => return assert_eq!(w, g, "{} {dtype} {args:?}", op.name()),
        _ => (want.as_f64(), got.as_f64()),
    };
    let rounded = cast(Scalar::Float(w), dtype).as_f64();
    if rounded.is_nan() || g.is_nan() {
        return assert_eq!(rounded.is_nan(), g.is_nan(), "{} {dtype} {args:?}: {g}, expected {rounded}", op.name());
    }
    // The sign of NaN means nothing.
    let any_sign = op == ScalarOp::CopySign && args[1].as_f64().is_nan();
    if rounded == g || any_sign && rounded == -g {
        return;
    }
    if dtype != DType::F32 && dtype != DType::F64 {
        // Computed in f32 and rounded: one neighbour off where the f32 result lies near a tie.
        let slack = w.abs() * 1e-5 + 1e-7;
        let [lo, hi] = [w - slack, w + slack].map(|v| cast(Scalar::Float(v), dtype).as_f64());
        let fits = (lo..=hi).contains(&g) || lo.is_nan() || hi.is_nan();
        return assert!(fits, "{} {dtype} {args:?}: {g}, expected {rounded}", op.name());
    }
    let error = (w - g).abs();
    let bound = match op.row().accuracy {
        Accuracy::Exact => 0.0,
        Accuracy::Ulp(u) => u * ulp(dtype, w),
        Accuracy::UlpGrowing(a, b) => (a + b * args[0].as_f64().abs()) * ulp(dtype, w),
        Accuracy::AbsOrUlp(abs, u) => abs.max(u * ulp(dtype, w)),
    };
    // A result that should be infinite may be the largest number only within the bound.
    let overflow = rounded.is_infinite() && g.abs() >= 3.4028e38 && bound > 0.0;
    assert!(error <= bound || overflow, "{} {dtype} {args:?}: {g:e}, expected {w:e}, bound {bound:e}", op.name());
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
                        (0..op.arity()).map(|i| values(dtypes[i], n, 17 * i as u64 + n as u64)).map(rotate).collect();
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

/// So that special values of different operands meet.
fn rotate(mut v: Vec<Scalar>) -> Vec<Scalar> {
    static TURN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let n = v.len();
    v.rotate_left(TURN.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % n.min(26));
    v
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
                    let data = values(*from, n as usize, n as u64);
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
            let data = values(from, n as usize, 3);
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
