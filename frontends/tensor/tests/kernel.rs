//! Kernels written in Rust's syntax, alone and inside of compiled functions, on every device.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih::prelude::*;

/// Softmax of rows of `n` elements, a row to a program.
#[kernel]
fn softmax<const BLOCK: usize>(x: In<f32>, n: i32, y: Out<f32>) {
    let row = tl::program_id(0) * n;
    let at = tl::arange(0, BLOCK);
    let inside = at < n;
    let v = tl::load(x + row + at, mask = inside, other = f32::NEG_INFINITY);
    let e = exp_of(v - tl::max(v, axis = 0));
    tl::store(y + row + at, e / tl::sum(e, axis = 0), mask = inside);
}

#[kernel]
fn exp_of(v: Tile) -> Tile {
    tl::exp(v)
}

/// C = A B, with a tail in every direction.
#[kernel]
fn matmul<const BM: usize, const BN: usize, const BK: usize>(
    a: In<f32>,
    b: In<f32>,
    m: i32,
    n: i32,
    k: i32,
    c: Out<f32>,
) {
    let rows = tl::program_id(0) * BM + tl::arange(0, BM);
    let columns = tl::program_id(1) * BN + tl::arange(0, BN);
    let (rows, columns) = (rows.expand_dims(1), columns.expand_dims(0));
    let mut acc = tl::zeros([BM, BN], f32);
    for start in (0..k).step_by(BK) {
        let depth = start + tl::arange(0, BK);
        let (down, along) = (depth.expand_dims(1), depth.expand_dims(0));
        let left = tl::load(a + rows * k + along, mask = (rows < m) & (along < k), other = 0.0);
        let right = tl::load(b + down * n + columns, mask = (down < k) & (columns < n), other = 0.0);
        acc = tl::dot(left, right, acc);
    }
    tl::store(c + rows * n + columns, acc, mask = (rows < m) & (columns < n));
}

/// Quotients of integers and of floats, a half of a block each way.
#[kernel]
fn halves(x: In<i32>, y: Out<i32>, z: Out<f32>) {
    let at = tl::arange(0, 8);
    let mut v = tl::load(x + at);
    let exact = v as f32 / 2.0;
    v /= 2;
    tl::store(y + at, v);
    tl::store(z + at, exact);
}

fn devices() -> Vec<Device> {
    match Device::wgpu(0) {
        Ok(gpu) => vec![Device::cpu(), gpu],
        Err(why) if std::env::var("GIRIH_REQUIRE_WGPU").is_ok_and(|v| v == "1") => panic!("{why}"),
        Err(_) => vec![Device::cpu()],
    }
}

fn ramp(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0).collect()
}

fn near(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= 1e-5 * w.abs().max(1.0), "{g} {w}");
    }
}

#[test]
fn kernels_compute_what_graph_operations_do() {
    for device in devices() {
        device.scope(|| {
            let x = Tensor::new(&ramp(5 * 37), [5, 37]);
            let y = softmax::<64>([5], &x, 37, [5, 37]);
            near(&y.to_vec::<f32>().unwrap(), &nn::softmax(&x, -1).to_vec::<f32>().unwrap());
            let (a, b) = (Tensor::new(&ramp(19 * 33), [19, 33]), Tensor::new(&ramp(33 * 21), [33, 21]));
            let c = matmul::<16, 16, 16>([2, 2], &a, &b, 19, 21, 33, [19, 21]);
            near(&c.to_vec::<f32>().unwrap(), &a.matmul(&b).to_vec::<f32>().unwrap());
            let [y, z] = halves([1], &Tensor::new(&[-7i32, -1, 0, 1, 2, 3, 8, 9], [8]), [8], [8]);
            assert_eq!(y.to_vec::<i32>().unwrap(), [-3, 0, 0, 0, 1, 1, 4, 4]);
            assert_eq!(z.to_vec::<f32>().unwrap(), [-3.5, -0.5, 0.0, 0.5, 1.0, 1.5, 4.0, 4.5]);
        });
    }
}

#[test]
fn a_kernel_is_a_node_of_a_compiled_function() {
    for device in devices() {
        device.scope(|| {
            let f = jit(|x: &Tensor| softmax::<64>([5], &(x * 2.0), 37, [5, 37]) + 1.0);
            let x = Tensor::new(&ramp(5 * 37), [5, 37]);
            let want = nn::softmax(&(&x * 2.0), -1) + 1.0;
            near(&f(&x).to_vec::<f32>().unwrap(), &want.to_vec::<f32>().unwrap());
        });
    }
}

#[kernel]
fn wrong_axis(x: In<f32>, y: Out<f32>) {
    let v = tl::load(x + tl::arange(0, 16));
    tl::store(y, tl::max(v, 1e-4));
}

#[test]
fn errors_point_into_this_file() {
    let x = Tensor::new(&ramp(16), [16]);
    let why = wrong_axis([1], &x, [1]).to_vec::<f32>().unwrap_err();
    let text = why.to_string();
    let line = include_str!("kernel.rs").lines().position(|l| l.contains("1e-4")).unwrap() + 1;
    assert!(text.contains(&format!("tests/kernel.rs:{line}:")), "{text}");
    assert!(text.contains("axis"), "{text}");
    let text = softmax::<64>([5], &x.cast(DType::F16), 16, [16]).to_vec::<f32>().unwrap_err().to_string();
    assert!(text.contains("`x` takes f32") && text.contains("f16[16]"), "{text}");
    let g = grad(|x: &Tensor| softmax::<64>([1], x, 16, [16]).sum(..));
    let text = g(&x).to_vec::<f32>().unwrap_err().to_string();
    assert!(text.contains("hand-written kernel"), "{text}");
}
