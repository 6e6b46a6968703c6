use super::data::*;
use super::*;
use girih_base::{Dim, QuantFormat, ScalarOp};
use girih_tile::{Access, Builder, Literal, Op, TileTy};

fn product(a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Vec<f32> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            c[i * n + j] = (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
        }
    }
    c
}

/// `relu(a b)` with either operand stored transposed, looped over chunks of k.
fn matmul(m: usize, k: usize, n: usize, tile: [u32; 3], at: bool, bt: bool) -> girih_tile::Kernel {
    let mut b = Builder::new();
    let pa = b.param("a", F32, Dim::from(m * k), Access::Read, true);
    let pb = b.param("b", F32, Dim::from(k * n), Access::Read, true);
    let pc = b.param("c", F32, Dim::from(m * n), Access::Write, false);
    let [tm, tk, tn] = tile;
    let at_of = |b: &mut Builder, axis: usize, t: u32| {
        let (p, t) = (b.program_id(axis), b.int(t as i64));
        b.map(ScalarOp::Mul, &[p, t])
    };
    let (row, column) = (at_of(&mut b, 0, tm), at_of(&mut b, 1, tn));
    let (zero, end) = (b.int(0), b.int(k as i64));
    let start = b.constant(Literal::float(0.0), TileTy::new(F32, [tm, tn]));
    let none = Literal::float(0.0);
    let acc = b.for_loop(zero, end, tk, &[start], |b, i, carried| {
        let va = view(&if at { [(m, 1), (k, m)] } else { [(m, k), (k, 1)] });
        let vb = view(&if bt { [(k, 1), (n, k)] } else { [(k, n), (n, 1)] });
        let x = b.load(pa, va, &[row, i], &[tm, tk], none);
        let y = b.load(pb, vb, &[i, column], &[tk, tn], none);
        vec![b.dot(x, y, Some(carried[0]), F32)]
    });
    let y = b.map(ScalarOp::Relu, &[acc[0]]);
    b.store(pc, view(&[(m, n), (n, 1)]), &[row, column], y);
    b.finish("matmul", vec![Dim::from(m.div_ceil(tm as usize)), Dim::from(n.div_ceil(tn as usize))])
}

fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| x[i % rows * columns + i / rows]).collect()
}

#[test]
fn matmul_every_way() {
    for (m, k, n, tile) in
        [(64, 32, 64, [64, 4, 64]), (33, 17, 29, [32, 16, 32]), (16, 8, 20, [16, 8, 16]), (5, 12, 8, [8, 4, 8])]
    {
        for (at, bt) in [(false, false), (false, true), (true, false), (true, true)] {
            let kernel = matmul(m, k, n, tile, at, bt);
            let (a, b) = (random(m * k, 1), random(k * n, 2));
            let want: Vec<f32> = product(&a, &b, m, k, n).into_iter().map(|x| x.max(0.0)).collect();
            let a = if at { transposed(&a, m, k) } else { a };
            let b = if bt { transposed(&b, k, n) } else { b };
            expect_f32(&kernel, &[bytes(&a), bytes(&b), bytes(&vec![0.0; m * n])], &[], 2, &want, 1e-5);
        }
    }
}

/// One row, one column, and both.
#[test]
fn thin_products() {
    for (m, k, n, tile) in
        [(1, 64, 48, [1, 16, 16]), (40, 64, 1, [16, 64, 1]), (1, 256, 1, [1, 64, 1]), (3, 5, 2, [4, 8, 2])]
    {
        for bt in [false, true] {
            let kernel = matmul(m, k, n, tile, false, bt);
            let (a, b) = (random(m * k, 3), random(k * n, 4));
            let want: Vec<f32> = product(&a, &b, m, k, n).into_iter().map(|x| x.max(0.0)).collect();
            let b = if bt { transposed(&b, k, n) } else { b };
            expect_f32(&kernel, &[bytes(&a), bytes(&b), bytes(&vec![0.0; m * n])], &[], 2, &want, 1e-5);
        }
    }
}

/// Attention over chunks of keys with a running maximum, sum and output.
#[test]
fn attention_over_chunks() {
    let (f, t, d) = (20usize, 40usize, 16usize);
    let (tf, tt, td) = (16u32, 16u32, 16u32);
    let mut b = Builder::new();
    let n = |n: usize| Dim::from(n);
    let q = b.param("q", F32, n(f * d), Access::Read, true);
    let k = b.param("k", F32, n(t * d), Access::Read, true);
    let v = b.param("v", F32, n(t * d), Access::Read, true);
    let out = b.param("out", F32, n(f * d), Access::Write, false);
    let (p, step, zero, end) = (b.program_id(0), b.int(tf as i64), b.int(0), b.int(t as i64));
    let row = b.map(ScalarOp::Mul, &[p, step]);
    let none = Literal::float(0.0);
    let qs = b.load(q, view(&[(f, d), (d, 1)]), &[row, zero], &[tf, td], none);
    let m0 = b.constant(Literal::float(-1e30), TileTy::new(F32, [tf]));
    let l0 = b.constant(none, TileTy::new(F32, [tf]));
    let o0 = b.constant(none, TileTy::new(F32, [tf, td]));
    let r = b.for_loop(zero, end, tt, &[m0, l0, o0], |b, i, c| {
        let ks = b.load(k, view(&[(d, 1), (t, d)]), &[zero, i], &[td, tt], none);
        let s = b.dot(qs, ks, None, F32);
        let column = b.arange(&[tf, tt], 1);
        let i_tile = b.splat(i, &[tf, tt]);
        let column = b.map(ScalarOp::Add, &[column, i_tile]);
        let limit = b.splat(end, &[tf, tt]);
        let there = b.map(ScalarOp::Lt, &[column, limit]);
        let low = b.constant(Literal::float(-1e30), TileTy::new(F32, [tf, tt]));
        let s = b.map(ScalarOp::Select, &[there, s, low]);
        let top = b.reduce(s, 1, ScalarOp::Max);
        let m = b.map(ScalarOp::Max, &[c[0], top]);
        let wide = b.broadcast(m, &[tf, tt], &[0]);
        let e = b.map(ScalarOp::Sub, &[s, wide]);
        let e = b.map(ScalarOp::Exp, &[e]);
        let scale = b.map(ScalarOp::Sub, &[c[0], m]);
        let scale = b.map(ScalarOp::Exp, &[scale]);
        let sum = b.reduce(e, 1, ScalarOp::Add);
        let l = b.map(ScalarOp::Fma, &[c[1], scale, sum]);
        let vs = b.load(v, view(&[(t, d), (d, 1)]), &[i, zero], &[tt, td], none);
        let scale = b.broadcast(scale, &[tf, td], &[0]);
        let o = b.map(ScalarOp::Mul, &[c[2], scale]);
        vec![m, l, b.dot(e, vs, Some(o), F32)]
    });
    let l = b.broadcast(r[1], &[tf, td], &[0]);
    let y = b.map(ScalarOp::Div, &[r[2], l]);
    b.store(out, view(&[(f, d), (d, 1)]), &[row, zero], y);
    let kernel = b.finish("attention", vec![n(f.div_ceil(tf as usize))]);
    let (qs, ks, vs) = (random(f * d, 5), random(t * d, 6), random(t * d, 7));
    let mut want = Vec::new();
    for i in 0..f {
        let s: Vec<f32> = (0..t).map(|j| (0..d).map(|c| qs[i * d + c] * ks[j * d + c]).sum()).collect();
        let m = s.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = s.iter().map(|x| (x - m).exp()).sum();
        want.extend((0..d).map(|c| (0..t).map(|j| (s[j] - m).exp() * vs[j * d + c]).sum::<f32>() / sum));
    }
    expect_f32(&kernel, &[bytes(&qs), bytes(&ks), bytes(&vs), bytes(&vec![0.0; f * d])], &[], 3, &want, 1e-4);
}

/// Decodes every format, and multiplies by it both as a dot and as a sum of products.
#[test]
fn quantised_rows() {
    let (rows, columns) = (8usize, 512usize);
    for format in QuantFormat::ALL {
        let row_bytes = format.row_bytes(columns as u64).unwrap() as usize;
        let mut raw: Vec<u8> = random(rows * row_bytes, 8).iter().map(|x| (x * 127.0) as i8 as u8).collect();
        // Scales are halves: keep their exponents small, so that nothing overflows.
        for block in raw.chunks_mut(format.block_bytes()) {
            let at: &[usize] = match format {
                QuantFormat::Q6_K => &[209],
                QuantFormat::Q4_0 | QuantFormat::Q5_0 | QuantFormat::Q8_0 => &[1],
                _ => &[1, 3],
            };
            at.iter().for_each(|i| block[*i] = block[*i] & 0x83 | 0x28);
        }
        let mut weights = vec![0.0; rows * columns];
        for (row, out) in raw.chunks(row_bytes).zip(weights.chunks_mut(columns)) {
            format.decode_row(row, out).unwrap();
        }
        for (dot, tile) in [(true, 64u32), (false, 256)] {
            let mut b = Builder::new();
            let w = b.param("w", DType::U8, Dim::from(raw.len()), Access::Read, true);
            let x = b.param("x", F32, Dim::from(columns), Access::Read, true);
            let out = b.param("out", F32, Dim::from(rows), Access::Write, false);
            let (zero, end) = (b.int(0), b.int(columns as i64));
            let shape: Vec<u32> = if dot { vec![1, 8] } else { vec![8, tile] };
            let start = b.constant(Literal::float(0.0), TileTy::new(F32, shape));
            let sum = b.for_loop(zero, end, tile, &[start], |b, i, c| {
                let load = Op::LoadQuant {
                    param: w,
                    format: format.name().into(),
                    rows: Dim::from(rows),
                    columns: Dim::from(columns),
                    at: [zero, i],
                };
                let ws = b.push(load, vec![TileTy::new(F32, [8, tile])])[0];
                let xs = b.load(x, view(&[(1, 0), (columns, 1)]), &[zero, i], &[1, tile], Literal::float(0.0));
                if dot {
                    let ws = b.permute(ws, &[1, 0]);
                    return vec![b.dot(xs, ws, Some(c[0]), F32)];
                }
                let xs = b.reshape(xs, &[tile]);
                let xs = b.broadcast(xs, &[8, tile], &[1]);
                vec![b.map(ScalarOp::Fma, &[xs, ws, c[0]])]
            });
            let y = if dot { b.reshape(sum[0], &[8]) } else { b.reduce(sum[0], 1, ScalarOp::Add) };
            b.store(out, view(&[(rows, 1)]), &[zero], y);
            let kernel = b.finish("matvec", vec![Dim::ONE]);
            let xs = random(columns, 9);
            let want: Vec<f32> = weights.chunks(columns).map(|r| r.iter().zip(&xs).map(|(a, b)| a * b).sum()).collect();
            expect_f32(&kernel, &[raw.clone(), bytes(&xs), bytes(&vec![0.0; rows])], &[], 2, &want, 1e-4);
        }
    }
}

/// Integer products accumulate exactly.
#[test]
fn integer_dot() {
    let mut b = Builder::new();
    let x = b.param("x", DType::I8, Dim::from(16 * 16), Access::Read, true);
    let out = b.param("out", DType::I32, Dim::from(16 * 16), Access::Write, false);
    let zero = b.int(0);
    let v = view(&[(16, 16), (16, 1)]);
    let t = b.load(x, v.clone(), &[zero, zero], &[16, 16], Literal::Int(0));
    let y = b.dot(t, t, None, DType::I32);
    b.store(out, v, &[zero, zero], y);
    let kernel = b.finish("square", vec![Dim::ONE]);
    let xs: Vec<i8> = random(256, 10).iter().map(|x| (x * 127.0) as i8).collect();
    let entry = |i: usize| (0..16).map(|k| xs[i / 16 * 16 + k] as i32 * xs[k * 16 + i % 16] as i32).sum::<i32>();
    let want: Vec<i32> = (0..256).map(entry).collect();
    let raw: Vec<u8> = xs.iter().map(|x| *x as u8).collect();
    for desc in targets() {
        assert_eq!(to_ints(&run_on(&desc, &kernel, &[raw.clone(), ints(&[0; 256])], &[])[1]), want, "{}", desc.name);
    }
}
