use super::data::*;
use super::*;
use girih_base::{Dim, ScalarOp};
use girih_tile::{Access, Builder, Combine, Literal, Op, TileTy};

/// Softmax of each row in one tile.
#[test]
fn softmax_in_one_tile() {
    for (rows, columns, tile) in [(3, 50, [1, 64]), (6, 100, [4, 128]), (2, 1000, [1, 1024]), (5, 3000, [1, 4096])] {
        let mut b = Builder::new();
        let x = b.param("x", F32, Dim::from(rows * columns), Access::Read, true);
        let out = b.param("out", F32, Dim::from(rows * columns), Access::Write, false);
        let (p, t, zero) = (b.program_id(0), b.int(tile[0] as i64), b.int(0));
        let row = b.map(ScalarOp::Mul, &[p, t]);
        let v = view(&[(rows, columns), (columns, 1)]);
        let xs = b.load(x, v.clone(), &[row, zero], &tile, Literal::float(f64::NEG_INFINITY));
        let m = b.reduce(xs, 1, ScalarOp::Max);
        let m = b.broadcast(m, &tile, &[0]);
        let d = b.map(ScalarOp::Sub, &[xs, m]);
        let e = b.map(ScalarOp::Exp, &[d]);
        let s = b.reduce(e, 1, ScalarOp::Add);
        let s = b.broadcast(s, &tile, &[0]);
        let y = b.map(ScalarOp::Div, &[e, s]);
        b.store(out, v, &[row, zero], y);
        let kernel = b.finish("softmax", vec![Dim::from(rows.div_ceil(tile[0] as usize))]);
        let xs = random(rows * columns, 7);
        let mut want = Vec::new();
        for row in xs.chunks(columns) {
            let m = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let s: f32 = row.iter().map(|x| (x - m).exp()).sum();
            want.extend(row.iter().map(|x| (x - m).exp() / s));
        }
        expect_f32(&kernel, &[bytes(&xs), bytes(&vec![0.0; rows * columns])], &[], 1, &want, 1e-5);
    }
}

/// Row sums in a loop over chunks, with a carried tile that is folded afterwards; then carried row sums.
#[test]
fn sums_over_chunks() {
    for late in [true, false] {
        let (rows, columns, tile) = (6, 300, [4u32, 64u32]);
        let mut b = Builder::new();
        let x = b.param("x", F32, Dim::from(rows * columns), Access::Read, true);
        let out = b.param("out", F32, Dim::from(rows), Access::Write, false);
        let (p, t, zero) = (b.program_id(0), b.int(4), b.int(0));
        let row = b.map(ScalarOp::Mul, &[p, t]);
        let end = b.int(columns as i64);
        let shape: &[u32] = if late { &tile } else { &tile[..1] };
        let start = b.constant(Literal::float(0.0), TileTy::new(F32, shape));
        let sum = b.for_loop(zero, end, 64, &[start], |b, i, carried| {
            let xs = b.load(x, view(&[(rows, columns), (columns, 1)]), &[row, i], &tile, Literal::float(0.0));
            let part = if late { xs } else { b.reduce(xs, 1, ScalarOp::Add) };
            vec![b.map(ScalarOp::Add, &[carried[0], part])]
        });
        let sum = if late { b.reduce(sum[0], 1, ScalarOp::Add) } else { sum[0] };
        b.store(out, view(&[(rows, 1)]), &[row], sum);
        let kernel = b.finish("sums", vec![Dim::from(2)]);
        let xs = random(rows * columns, 8);
        let want: Vec<f32> = xs.chunks(columns).map(|r| r.iter().sum()).collect();
        expect_f32(&kernel, &[bytes(&xs), bytes(&vec![0.0; rows])], &[], 1, &want, 1e-5);
    }
}

/// Sums of columns, of a middle axis, and of everything.
#[test]
fn other_axes() {
    let shape = [8u32, 16, 32];
    for axis in 0..3 {
        let mut b = Builder::new();
        let x = b.param("x", F32, Dim::from(4096), Access::Read, true);
        let kept: Vec<u32> = (0..3).filter(|a| *a != axis).map(|a| shape[a]).collect();
        let out = b.param("out", F32, Dim::from(4096 / shape[axis] as usize), Access::Write, false);
        let total = b.param("total", F32, Dim::ONE, Access::Write, false);
        let zero = b.int(0);
        let t = b.load(x, view(&[(8, 512), (16, 32), (32, 1)]), &[zero; 3], &shape, Literal::float(0.0));
        let s = b.reduce(t, axis, ScalarOp::Add);
        b.store(out, view(&[(kept[0] as usize, kept[1] as usize), (kept[1] as usize, 1)]), &[zero, zero], s);
        let s = b.reduce(s, 0, ScalarOp::Add);
        let s = b.reduce(s, 0, ScalarOp::Add);
        b.store(total, view(&[]), &[], s);
        let kernel = b.finish("sum", vec![Dim::ONE]);
        let xs = random(4096, 9);
        let mut want = vec![0.0; 4096 / shape[axis] as usize];
        for (i, x) in xs.iter().enumerate() {
            let c = [i / 512, i / 32 % 16, i % 32];
            let k: Vec<usize> = (0..3).filter(|a| *a != axis).map(|a| c[a]).collect();
            want[k[0] * kept[1] as usize + k[1]] += x;
        }
        let buffers = [bytes(&xs), bytes(&vec![0.0; want.len()]), bytes(&[0.0])];
        expect_f32(&kernel, &buffers, &[], 1, &want, 1e-5);
        expect_f32(&kernel, &buffers, &[], 2, &[xs.iter().sum()], 1e-4);
    }
}

fn argmax(b: &mut Builder) -> Combine {
    // (value, index): the larger value; of equals the left one.
    let f = |b: &mut Builder| (b.fresh(TileTy::scalar(F32)), b.fresh(TileTy::scalar(DType::I32)));
    let ((lv, li), (rv, ri)) = (f(b), f(b));
    b.begin(vec![lv, li, rv, ri]);
    let left = b.map(ScalarOp::Ge, &[lv, rv]);
    let v = b.map(ScalarOp::Select, &[left, lv, rv]);
    let i = b.map(ScalarOp::Select, &[left, li, ri]);
    Combine::Body(b.end(vec![v, i]))
}

/// Argmax: a fold of two values that keeps the first of equals, so the order matters.
#[test]
fn fold_with_a_body() {
    for shape in [[4u32, 256u32], [32, 8], [1, 2048]] {
        let n = shape[0] * shape[1];
        let mut b = Builder::new();
        let x = b.param("x", F32, Dim::from(n), Access::Read, true);
        let out = b.param("out", DType::I32, Dim::from(shape[0]), Access::Write, false);
        let zero = b.int(0);
        let (r, c) = (shape[0] as usize, shape[1] as usize);
        let t = b.load(x, view(&[(r, c), (c, 1)]), &[zero, zero], &shape, Literal::float(0.0));
        let i = b.arange(&shape, 1);
        let combine = argmax(&mut b);
        let tys = vec![TileTy::new(F32, [shape[0]]), TileTy::new(DType::I32, [shape[0]])];
        let best = b.push(Op::Reduce { args: vec![t, i], axis: 1, combine }, tys);
        b.store(out, view(&[(r, 1)]), &[zero], best[1]);
        let kernel = b.finish("argmax", vec![Dim::ONE]);
        // Few distinct values, so that ties are common.
        let xs: Vec<f32> = random(n as usize, 10).iter().map(|x| (x * 3.0).round()).collect();
        let first = |row: &[f32]| {
            let m = row.iter().copied().fold(f32::MIN, f32::max);
            row.iter().position(|x| *x == m).unwrap() as i32
        };
        let want: Vec<i32> = xs.chunks(c).map(first).collect();
        for desc in targets() {
            let got = to_ints(&run_on(&desc, &kernel, &[bytes(&xs), ints(&vec![0; r])], &[])[1]);
            assert_eq!(got, want, "{} {shape:?}", desc.name);
        }
    }
}

/// Running sums along each axis, both ways; and a linear recurrence `y = a y + x`, which does not commute.
#[test]
fn scans() {
    for (shape, axis, reverse) in
        [([4u32, 64u32], 1, false), ([64, 4], 0, true), ([2, 1024], 1, true), ([16, 16], 0, false)]
    {
        let (r, c) = (shape[0] as usize, shape[1] as usize);
        let mut b = Builder::new();
        let x = b.param("x", F32, Dim::from(r * c), Access::Read, true);
        let out = b.param("out", F32, Dim::from(r * c), Access::Write, false);
        let zero = b.int(0);
        let v = view(&[(r, c), (c, 1)]);
        let t = b.load(x, v.clone(), &[zero, zero], &shape, Literal::float(0.0));
        let half = b.constant(Literal::float(0.5), TileTy::new(F32, shape));
        let f = |b: &mut Builder| b.fresh(TileTy::scalar(F32));
        let p = [f(&mut b), f(&mut b), f(&mut b), f(&mut b)];
        b.begin(p.to_vec());
        let a = b.map(ScalarOp::Mul, &[p[0], p[2]]);
        let y = b.map(ScalarOp::Fma, &[p[1], p[2], p[3]]);
        let combine = Combine::Body(b.end(vec![a, y]));
        let ty = TileTy::new(F32, shape);
        let y = b.push(Op::Scan { args: vec![half, t], axis, combine, reverse }, vec![ty.clone(), ty]);
        b.store(out, v, &[zero, zero], y[1]);
        let kernel = b.finish("recurrence", vec![Dim::ONE]);
        let xs = random(r * c, 11);
        let mut want = xs.clone();
        let (lines, len) = if axis == 1 { (r, c) } else { (c, r) };
        for line in 0..lines {
            let mut y = 0.0;
            for i in 0..len {
                let i = if reverse { len - 1 - i } else { i };
                let at = if axis == 1 { line * c + i } else { i * c + line };
                y = 0.5 * y + xs[at];
                want[at] = y;
            }
        }
        expect_f32(&kernel, &[bytes(&xs), bytes(&vec![0.0; r * c])], &[], 1, &want, 1e-5);
    }
}

/// A stable sort of keys with their positions.
#[test]
fn sorts() {
    for (shape, axis, descending) in [([2u32, 64u32], 1, false), ([32, 8], 0, true), ([1, 512], 1, true)] {
        let (r, c) = (shape[0] as usize, shape[1] as usize);
        let mut b = Builder::new();
        let x = b.param("x", F32, Dim::from(r * c), Access::Read, true);
        let keys = b.param("keys", F32, Dim::from(r * c), Access::Write, false);
        let order = b.param("order", DType::I32, Dim::from(r * c), Access::Write, false);
        let zero = b.int(0);
        let v = view(&[(r, c), (c, 1)]);
        let t = b.load(x, v.clone(), &[zero, zero], &shape, Literal::float(0.0));
        let i = b.arange(&shape, axis);
        let tys = vec![TileTy::new(F32, shape), TileTy::new(DType::I32, shape)];
        let s = b.push(Op::Sort { args: vec![t, i], axis, keys: 1, descending }, tys);
        b.store(keys, v.clone(), &[zero, zero], s[0]);
        b.store(order, v, &[zero, zero], s[1]);
        let kernel = b.finish("sort", vec![Dim::ONE]);
        let mut xs: Vec<f32> = random(r * c, 12).iter().map(|x| (x * 9.0).round()).collect();
        xs[3] = f32::NAN;
        let (lines, len) = if axis == 1 { (r, c) } else { (c, r) };
        let at = |line: usize, i: usize| if axis == 1 { line * c + i } else { i * c + line };
        let (mut want, mut place) = (xs.clone(), vec![0; r * c]);
        for line in 0..lines {
            let mut list: Vec<usize> = (0..len).collect();
            let total = |a: f32, b: f32| a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
            list.sort_by(|a, b| {
                let o = total(xs[at(line, *a)], xs[at(line, *b)]);
                if descending { o.reverse() } else { o }
            });
            for (i, from) in list.into_iter().enumerate() {
                want[at(line, i)] = xs[at(line, from)];
                place[at(line, i)] = from as i32;
            }
        }
        for desc in targets() {
            let got = run_on(&desc, &kernel, &[bytes(&xs), bytes(&vec![0.0; r * c]), ints(&vec![0; r * c])], &[]);
            compare(&desc.name, &floats(&got[1]), &want, 0.0);
            assert_eq!(to_ints(&got[2]), place, "{} {shape:?}", desc.name);
        }
    }
}
