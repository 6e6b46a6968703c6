use super::data::*;
use super::*;
use girih_base::{Dim, ScalarOp};
use girih_tile::{Access, Builder, Guard, Literal, TileTy, View, ViewAxis};

/// `out[i, j] = gelu(x[i, j] * scale[i] + shift[j])` over an odd shape, tile by tile.
#[test]
fn broadcasts_and_tails() {
    for (rows, columns, tile) in [(5, 9, [4, 8]), (7, 64, [1, 64]), (33, 20, [16, 32]), (64, 64, [64, 64])] {
        let mut b = Builder::new();
        let n = |n: usize| Dim::from(n);
        let x = b.param("x", F32, n(rows * columns), Access::Read, true);
        let scale = b.param("scale", F32, n(rows), Access::Read, true);
        let shift = b.param("shift", F32, n(columns), Access::Read, true);
        let out = b.param("out", F32, n(rows * columns), Access::Write, false);
        let at: Vec<_> = (0..2)
            .map(|a| {
                let (p, t) = (b.program_id(a), b.int(tile[a] as i64));
                b.map(ScalarOp::Mul, &[p, t])
            })
            .collect();
        let zero = Literal::float(0.0);
        let v = view(&[(rows, columns), (columns, 1)]);
        let xs = b.load(x, v.clone(), &at, &tile, zero);
        let s = b.load(scale, view(&[(rows, 1)]), &at[..1], &tile[..1], zero);
        let t = b.load(shift, view(&[(columns, 1)]), &at[1..], &tile[1..], zero);
        let (s, t) = (b.broadcast(s, &tile, &[0]), b.broadcast(t, &tile, &[1]));
        let y = b.map(ScalarOp::Fma, &[xs, s, t]);
        let y = b.map(ScalarOp::Relu, &[y]);
        b.store(out, v, &at, y);
        let grid = vec![n(rows.div_ceil(tile[0] as usize)), n(columns.div_ceil(tile[1] as usize))];
        let kernel = b.finish("affine", grid);
        let (xs, ss, ts) = (random(rows * columns, 1), random(rows, 2), random(columns, 3));
        let want: Vec<f32> =
            (0..rows * columns).map(|i| (xs[i] * ss[i / columns] + ts[i % columns]).max(0.0)).collect();
        expect_f32(
            &kernel,
            &[bytes(&xs), bytes(&ss), bytes(&ts), bytes(&vec![9.0; rows * columns])],
            &[],
            3,
            &want,
            1e-6,
        );
    }
}

/// A transposing copy of a run-time shape: `out[j, i] = x[i, j]`.
#[test]
fn transpose_with_symbols() {
    let (m, n) = (Dim::symbol("m", 1, 512), Dim::symbol("n", 1, 512));
    let mut b = Builder::new();
    let x = b.param("x", F32, &m * &n, Access::Read, true);
    let out = b.param("out", F32, &m * &n, Access::Write, false);
    let at: Vec<_> = (0..2)
        .map(|a| {
            let (p, t) = (b.program_id(a), b.int(16));
            b.map(ScalarOp::Mul, &[p, t])
        })
        .collect();
    let v = View::contiguous(&[m.clone(), n.clone()]);
    let t = b.load(x, v, &at, &[16, 16], Literal::float(0.0));
    let t = b.permute(t, &[1, 0]);
    b.store(out, View::contiguous(&[n.clone(), m.clone()]), &[at[1], at[0]], t);
    let kernel = b.finish("transpose", vec![m.ceil_div(&Dim::from(16)), n.ceil_div(&Dim::from(16))]);
    for (m, n) in [(1, 1), (16, 16), (37, 21)] {
        let xs = random(m * n, 4);
        let want: Vec<f32> = (0..m * n).map(|i| xs[i % m * n + i / m]).collect();
        expect_f32(
            &kernel,
            &[bytes(&xs), bytes(&vec![0.0; m * n])],
            &[("m", m as i64), ("n", n as i64)],
            1,
            &want,
            0.0,
        );
    }
}

/// Padding by guards: `out[i] = x[i - 2]` where that exists, else 7.
#[test]
fn guards_and_masks() {
    let mut b = Builder::new();
    let x = b.param("x", F32, Dim::from(30), Access::Read, true);
    let out = b.param("out", F32, Dim::from(34), Access::ReadWrite, false);
    let zero = b.int(0);
    let axis = ViewAxis { extent: Dim::from(64), stride: Dim::ONE, inside: true };
    let guard = Guard { base: Dim::from(-2), coeffs: vec![1], extent: Dim::from(30) };
    let v = View { offset: Dim::from(-2), axes: vec![axis], guards: vec![guard] };
    let t = b.load(x, v, &[zero], &[64], Literal::float(7.0));
    let i = b.arange(&[64], 0);
    let two = b.constant(Literal::Int(2), TileTy::new(DType::I32, [64]));
    let rest = b.map(ScalarOp::Rem, &[i, two]);
    let none = b.constant(Literal::Int(0), TileTy::new(DType::I32, [64]));
    let even = b.map(ScalarOp::Eq, &[rest, none]);
    let store =
        girih_tile::Op::Store { param: out, view: view(&[(34, 1)]), at: vec![zero], value: t, mask: Some(even) };
    b.push(store, vec![]);
    let kernel = b.finish("pad", vec![Dim::ONE]);
    let xs = random(30, 5);
    let want: Vec<f32> = (0..34)
        .map(|i| {
            if i % 2 == 1 {
                -1.0
            } else if (2..32).contains(&i) {
                xs[i - 2]
            } else {
                7.0
            }
        })
        .collect();
    expect_f32(&kernel, &[bytes(&xs), bytes(&[-1.0; 34])], &[], 1, &want, 0.0);
}

/// Reshapes and permutations only relabel; the value is the same element.
#[test]
fn reshape_and_permute() {
    let mut b = Builder::new();
    let x = b.param("x", F32, Dim::from(512), Access::Read, true);
    let out = b.param("out", F32, Dim::from(512), Access::Write, false);
    let zero = b.int(0);
    let t = b.load(x, view(&[(8, 64), (64, 1)]), &[zero, zero], &[8, 64], Literal::float(0.0));
    let t = b.reshape(t, &[8, 16, 4]);
    let t = b.permute(t, &[2, 0, 1]);
    let t = b.reshape(t, &[32, 16]);
    b.store(out, view(&[(32, 16), (16, 1)]), &[zero, zero], t);
    let kernel = b.finish("shuffle", vec![Dim::ONE]);
    let xs = random(512, 6);
    // Result [c, a, b] of source [a, b, c].
    let want: Vec<f32> = (0..512).map(|i| xs[i / 16 % 8 * 64 + i % 16 * 4 + i / 128]).collect();
    expect_f32(&kernel, &[bytes(&xs), bytes(&[0.0; 512])], &[], 1, &want, 0.0);
}

#[test]
fn refuses_what_it_cannot_do() {
    let mut b = Builder::new();
    let x = b.param("x", F32, Dim::from(3), Access::Read, true);
    let zero = b.int(0);
    let t = b.load(x, view(&[(3, 1)]), &[zero], &[3], Literal::float(0.0));
    b.name(t, Some("odd".into()));
    b.store(x, view(&[(3, 1)]), &[zero], t);
    let kernel = b.finish("odd", vec![Dim::ONE]);
    let diag = crate::distribute(&kernel, &TargetDesc::webgpu()).unwrap_err();
    assert_eq!(diag.code, "L201");
    assert!(diag.message.contains("`odd`"), "{diag}");

    let mut b = Builder::new();
    b.param("x", DType::F64, Dim::from(4), Access::Read, true);
    let kernel = b.finish("wide", vec![Dim::ONE]);
    assert_eq!(crate::distribute(&kernel, &TargetDesc::webgpu()).unwrap_err().code, "L202");
}
