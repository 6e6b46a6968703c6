//! Constructs that public programs use now and then, one per kernel.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

#[test]
fn explicit_specialisations_of_function_templates_are_called() {
    let src = "template <int i> __device__ int sum(const int* a) { return a[i] + sum<i - 1>(a); }
    template <> __device__ int sum<-1>(const int* a) { return 1000; }
    template <class T> __device__ T id(T v) { return v; }
    template <> __device__ int id<int>(int v) { return -v; }
    __global__ void k(const int* a, int* o) { o[0] = sum<4>(a); o[1] = id(a[1]); o[2] = (int)id((float)a[2]); }";
    launch(src, "k", 1, 1, vec![i(&[1, 2, 3, 4, 5]), zeros(3)]).ints(1, &[1015, -2, 3]);
}

#[test]
fn shared_variables_at_file_scope() {
    let src = "__shared__ float tile[64];
    __shared__ int total;
    __device__ void put(int i, float v) { tile[i] = v; }
    __global__ void k(float* a) {
        int i = threadIdx.x;
        if (i == 0) total = 7;
        put(i, a[i]);
        __syncthreads();
        a[i] = tile[63 - i] + total;
    }";
    let a: Vec<f32> = (0..64).map(|i| i as f32).collect();
    let want: Vec<f32> = (0..64).map(|i| 70.0 - i as f32).collect();
    launch(src, "k", 1, 64, vec![f(&a)]).floats(0, &want, 0.0, 1.0);
}

#[test]
fn arrays_as_parameters_are_pointers() {
    let src = "__device__ void fill(float3 c[16], int n) { c[n] = make_float3(n, 2 * n, 3 * n); }
    __device__ float sum(const float rows[4][2], int n) { return rows[n & 3][0] + rows[n & 3][1]; }
    __global__ void k(float* o) {
        __shared__ float3 colors[32]; float rows[4][2];
        int i = threadIdx.x;
        fill(colors, i); fill(&colors[16], i);
        for (int j = 0; j < 4; j++) { rows[j][0] = j; rows[j][1] = 10 * j; }
        __syncthreads();
        o[i] = colors[16 + i].z + colors[15 - i].y + 100 * sum(rows, i);
    }";
    let want: Vec<f32> = (0..16).map(|i| (3 * i + 2 * (15 - i) + 1100 * (i & 3)) as f32).collect();
    launch(src, "k", 1, 16, vec![zeros(16)]).floats(0, &want, 0.0, 1.0);
}

/// 2^n, exactly.
fn two(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

#[test]
fn numbers_are_taken_apart_and_put_together() {
    let src = "#include <math.h>
    __global__ void k(const float* x, float* o, int* e) {
        int i = threadIdx.x; int n = 77;
        o[i * 2] = frexpf(x[i], &n); e[i] = n;
        o[i * 2 + 1] = ldexpf(x[i], i * 31 - 100);
    }";
    // Without subnormal numbers, which devices may take for zero.
    let x = [1.0f32, -0.75, 3.5e30, 1.5e-30, 0.0, -8.0, 1e-3, f32::MAX];
    let mut want = Vec::new();
    let mut exponents = Vec::new();
    for (i, x) in x.iter().enumerate() {
        let e = if *x == 0.0 { 0 } else { ((x.to_bits() >> 23) & 255) as i32 - 126 };
        exponents.push(e);
        want.push((*x as f64 / two(e)) as f32);
        want.push((*x as f64 * two(i as i32 * 31 - 100)) as f32);
    }
    let l = launch(src, "k", 1, 8, vec![f(&x), zeros(16), zeros(8)]);
    l.floats(1, &want, 0.0, 0.0);
    l.ints(2, &exponents);
}

#[test]
fn doubles_keep_their_precision_in_functions_that_take_them_apart() {
    let src = "__global__ void k(const double* x, double* o, int* e) {
        int i = threadIdx.x; int n;
        o[i * 2] = frexp(x[i], &n); e[i] = n;
        o[i * 2 + 1] = ldexp(x[i], i * 97 - 300) + std::ldexp(0.0, 3);
    }";
    let x = [1.0000000000000002f64, -0.7, 3.5e200, 1.5e-300, 0.0, -8.1];
    let (mut want, mut exponents) = (Vec::new(), Vec::new());
    for (i, x) in x.iter().enumerate() {
        let e = if *x == 0.0 { 0 } else { ((x.to_bits() >> 52) & 2047) as i32 - 1022 };
        exponents.push(e as u32);
        want.extend([x / two(e), x * two(i as i32 * 97 - 300)]);
    }
    let bytes = |v: &[f64]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let l = launch(src, "k", 1, 6, vec![Arg::Mem(bytes(&x)), zeros(24), zeros(6)]);
    l.bytes(1, &bytes(&want));
    l.words(2, &exponents);
}

#[test]
fn ptx_of_the_samples() {
    let src = r#"__global__ void k(const unsigned* a, unsigned* o) {
        int i = threadIdx.x; unsigned r;
        asm("bfind.u32 %0, %1;" : "=r"(r) : "r"(a[i])); o[i * 2] = r;
        asm("vabsdiff4.u32.u32.u32.add %0, %1, %2, %3;" : "=r"(r) : "r"(a[i]), "r"(a[(i + 1) & 7]), "r"(100 + i)); o[i * 2 + 1] = r;
    }"#;
    let a = [0u32, 1, 0x8000_0000, 77, 0xff00_ff00, 0x1234_5678, 3, u32::MAX];
    let want: Vec<u32> = (0..8)
        .flat_map(|i| {
            let (x, y) = (a[i].to_le_bytes(), a[(i + 1) & 7].to_le_bytes());
            let sum: u32 = x.iter().zip(y).map(|(x, y)| x.abs_diff(y) as u32).sum();
            [31u32.wrapping_sub(a[i].leading_zeros()), sum + 100 + i as u32]
        })
        .collect();
    launch(src, "k", 1, 8, vec![u(&a), zeros(16)]).words(1, &want);
}
