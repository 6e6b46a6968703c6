//! One construct of the language per kernel.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

#[test]
fn vector_add() {
    let src = "__global__ void add(const float* a, const float* b, float* c, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) c[i] = a[i] + b[i];
    }";
    let a: Vec<f32> = (0..100).map(|i| i as f32).collect();
    let want: Vec<f32> = a.iter().map(|v| v * 3.0).collect();
    let b: Vec<f32> = a.iter().map(|v| v * 2.0).collect();
    launch(src, "add", 4, 32, vec![f(&a), f(&b), zeros(100), n(100)]).floats(2, &want, 0.0, 0.0);
}

#[test]
fn early_return_and_grid_stride() {
    let src = "__global__ void k(int* out, int n) {
        for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {
            if (i % 3 == 0) continue;
            if (i > 40) break;
            out[i] = i * i;
        }
        if (threadIdx.x != 5) return;
        if (blockIdx.x == 1) out[n] = -7;
    }";
    let mut want: Vec<i32> = (0..51).map(|i| if i % 3 == 0 || i > 40 { 0 } else { i * i }).collect();
    want[50] = -7;
    launch(src, "k", 2, 8, vec![zeros(51), n(50)]).ints(0, &want);
}

#[test]
fn three_dimensional_indices() {
    let src = "__global__ void k(unsigned* out) {
        unsigned x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y, z = blockIdx.z * blockDim.z + threadIdx.z;
        unsigned w = gridDim.x * blockDim.x, h = gridDim.y * blockDim.y;
        out[(z * h + y) * w + x] = x | y << 8 | z << 16;
    }";
    let mut want = Vec::new();
    for z in 0..4u32 {
        for y in 0..6u32 {
            for x in 0..8u32 {
                want.push(x | y << 8 | z << 16);
            }
        }
    }
    let l = Launch { source: src, kernel: "k", block: [4, 2, 2], grid: [2, 3, 2], shared: 0, args: vec![zeros(192)] };
    l.words(0, &want);
}

#[test]
fn integer_promotions_and_conversions() {
    let src = "__global__ void k(int* out) {
        unsigned char a = 200, b = 100;
        signed char c = (signed char)(a + b);      // 300 -> 44
        short s = (short)70000;
        unsigned u = 5; int m = -3;
        out[0] = a + b; out[1] = c; out[2] = s;
        out[3] = (u > m) ? 1 : 0;                  // m becomes huge
        out[4] = -7 / 2; out[5] = -7 % 2; out[6] = (int)(-2.9f);
        out[7] = (unsigned char)300; out[8] = ~a;
        out[9] = m >> 1; out[10] = (unsigned)m >> 28;
        long long q = 1LL << 40; out[11] = (int)(q >> 38);
        out[12] = sizeof(long) + sizeof(short) + sizeof(float4);
        bool t = 12; out[13] = t + t;
        out[14] = 'A' + 1; out[15] = 0x10u + 010;
    }";
    let want = [300, 44, 4464, 0, -3, -1, -2, 44, -201, -2, 15, 4, 26, 2, 66, 24];
    launch(src, "k", 1, 1, vec![zeros(16)]).ints(0, &want);
}

#[test]
fn run_time_promotions() {
    let src = "__global__ void k(const signed char* c, const unsigned char* u, const short* s, int* out, int n) {
        int i = threadIdx.x;
        if (i >= n) return;
        out[4 * i] = c[i] + u[i];
        out[4 * i + 1] = (signed char)(c[i] * u[i]);
        out[4 * i + 2] = (unsigned short)(s[i] << 3);
        out[4 * i + 3] = s[i] >> 2;
    }";
    let (c, u8s, s): (Vec<i8>, Vec<u8>, Vec<i16>) = (0..16)
        .map(|i| ((i * 37) as i8, (i * 91) as u8, (i * 5011 - 30000) as i16))
        .fold((vec![], vec![], vec![]), |mut a, v| {
            a.0.push(v.0);
            a.1.push(v.1);
            a.2.push(v.2);
            a
        });
    let want: Vec<i32> = (0..16)
        .flat_map(|i| {
            let (c, u, s) = (c[i] as i32, u8s[i] as i32, s[i] as i32);
            [c + u, (c * u) as i8 as i32, (s << 3) as u16 as i32, s >> 2]
        })
        .collect();
    let cb: Vec<u8> = c.iter().map(|v| *v as u8).collect();
    let sb: Vec<u8> = s.iter().flat_map(|v| v.to_le_bytes()).collect();
    launch(src, "k", 1, 16, vec![bytes(&cb), bytes(&u8s), bytes(&sb), zeros(64), n(16)]).ints(3, &want);
}

#[test]
fn byte_and_short_stores() {
    let src = "__global__ void k(unsigned char* b, short* s, bool* t) {
        int i = threadIdx.x;
        b[i] = i * 7; s[i] = -i * 300; t[i] = i & 1;
    }";
    let l = launch(src, "k", 1, 16, vec![bytes(&[255; 16]), bytes(&[255; 32]), bytes(&[255; 16])]);
    l.bytes(0, &(0..16).map(|i| (i * 7) as u8).collect::<Vec<_>>());
    l.bytes(1, &(0..16i16).flat_map(|i| (-i * 300).to_le_bytes()).collect::<Vec<_>>());
    l.bytes(2, &(0..16).map(|i| i & 1).collect::<Vec<u8>>());
}

#[test]
fn sixty_four_bit_integers() {
    let src = "__global__ void k(const long long* a, const unsigned long long* b, long long* out, size_t n) {
        size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        long long x = a[i]; unsigned long long y = b[i];
        long long* o = out + i * 12;
        o[0] = x + (long long)y; o[1] = x * 1000003LL; o[2] = x - 5; o[3] = x >> 3; o[4] = y << 7; o[5] = y >> 33;
        o[6] = x < 0 ? -x : x; o[7] = y / 1000003ULL; o[8] = y % 977; o[9] = x / -7; o[10] = (x ^ y) & ~0xffLL; o[11] = (long long)(int)x + (x > 12345678901LL);
    }";
    let a: Vec<i64> = vec![0, 1, -1, i64::MAX, i64::MIN + 1, 123456789012345, -987654321098765, 42];
    let b: Vec<u64> = vec![3, u64::MAX, 1 << 63, 77, 1234567890123456789, 5, 1 << 32, 0xffffffff];
    let want: Vec<i64> = a
        .iter()
        .zip(&b)
        .flat_map(|(x, y)| {
            let (x, y) = (*x, *y);
            [
                x.wrapping_add(y as i64),
                x.wrapping_mul(1000003),
                x.wrapping_sub(5),
                x >> 3,
                (y << 7) as i64,
                (y >> 33) as i64,
                x.abs(),
                (y / 1000003) as i64,
                (y % 977) as i64,
                x / -7,
                (x ^ y as i64) & !0xff,
                (x as i32 as i64) + (x > 12345678901) as i64,
            ]
        })
        .collect();
    let le = |v: &[i64]| bytes(&v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    let ub: Vec<i64> = b.iter().map(|v| *v as i64).collect();
    let want: Vec<u8> = want.iter().flat_map(|v| v.to_le_bytes()).collect();
    launch(src, "k", 1, 8, vec![le(&a), le(&ub), zeros(192), l(8)]).bytes(2, &want);
}

#[test]
fn shared_memory_reduction() {
    let src = "__global__ void sum(const float* in, float* out, int n) {
        __shared__ float s[64];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        s[t] = i < n ? in[i] : 0.0f;
        __syncthreads();
        for (int stride = blockDim.x / 2; stride > 0; stride >>= 1) {
            if (t < stride) s[t] += s[t + stride];
            __syncthreads();
        }
        if (t == 0) out[blockIdx.x] = s[0];
    }";
    let a: Vec<f32> = (0..200).map(|i| (i % 17) as f32).collect();
    let want: Vec<f32> = (0..4).map(|b| a[b * 64..200.min(b * 64 + 64)].iter().sum()).collect();
    launch(src, "sum", 4, 64, vec![f(&a), zeros(4), n(200)]).floats(1, &want, 0.0, 0.0);
}

#[test]
fn dynamic_shared_memory_in_two_types() {
    let src = "__global__ void k(int* out) {
        extern __shared__ float all[];
        float* a = all; int* b = (int*)(a + blockDim.x);
        int t = threadIdx.x;
        a[t] = t * 0.5f; b[t] = t * 3;
        __syncthreads();
        int o = blockDim.x - 1 - t;
        out[t] = b[o] + (int)(2.0f * a[o]);
    }";
    let want: Vec<i32> = (0..32).map(|t| (31 - t) * 4).collect();
    let l = Launch { source: src, kernel: "k", block: [32, 1, 1], grid: [1, 1, 1], shared: 256, args: vec![zeros(32)] };
    l.ints(0, &want);
}

#[test]
fn templates_and_defaults() {
    let src = "template <typename T, int N = 3> __device__ T scale(T x) { return x * N; }
    template <class T> struct Twice { static constexpr int k = 2; __device__ T operator()(T x) const { return x * k; } };
    template <typename T, int M, class F> __global__ void k(T* out, F f) {
        int i = threadIdx.x;
        out[i] = f(scale<T>(i) + scale<T, M>(i));
    }";
    let want: Vec<f32> = (0..8).map(|i| (i * 3 + i * 4) as f32 * 2.0).collect();
    launch(src, "k<float, 4, Twice<float>>", 1, 8, vec![zeros(8), Arg::Num(vec![0])]).floats(0, &want, 0.0, 0.0);
}

#[test]
fn structs_by_value_and_pointer() {
    let src =
        "struct Pt { float x, y; int tag; __device__ float dot(const Pt& o) const { return x * o.x + y * o.y; } };
    struct Par { float a; int n; short k; };
    __device__ Pt swap_xy(Pt p) { float t = p.x; p.x = p.y; p.y = t; p.tag++; return p; }
    __global__ void k(const Pt* in, Pt* out, Par par) {
        int i = threadIdx.x;
        if (i >= par.n) return;
        Pt p = in[i], q = swap_xy(p);
        out[i] = q;
        out[i].x += par.a * p.dot(q) + par.k;
        (&out[i])->tag *= 2;
    }";
    let rec = |x: f32, y: f32, t: i32| [x.to_bits(), y.to_bits(), t as u32];
    let inp: Vec<u32> = (0..4).flat_map(|i| rec(i as f32, 2.0 * i as f32 + 1.0, i)).collect();
    let want: Vec<u32> = (0..4)
        .flat_map(|i| {
            let (x, y) = (i as f32, 2.0 * i as f32 + 1.0);
            rec(y + 0.5 * (x * y + y * x) + 9.0, x, (i + 1) * 2)
        })
        .collect();
    let mut par = Vec::new();
    par.extend(0.5f32.to_le_bytes());
    par.extend(4i32.to_le_bytes());
    par.extend(9i16.to_le_bytes());
    par.extend([0, 0]);
    launch(src, "k", 1, 8, vec![u(&inp), zeros(12), Arg::Num(par)]).words(1, &want);
}

#[test]
fn vector_loads_and_local_arrays() {
    let src = "__global__ void k(const float* in, float* out) {
        int i = threadIdx.x;
        float4 v = reinterpret_cast<const float4*>(in)[i];
        float r[4];
        *(float4*)r = v;
        float s = 0.f;
        #pragma unroll
        for (int j = 0; j < 4; ++j) { r[j] = r[j] * (j + 1); s += r[j]; }
        float2* o = (float2*)out;
        o[i] = make_float2(s, r[3 - (i & 3)]);
    }";
    let a: Vec<f32> = (0..32).map(|i| i as f32 + 0.5).collect();
    let want: Vec<f32> = (0..8)
        .flat_map(|i| {
            let r: Vec<f32> = (0..4).map(|j| a[i * 4 + j] * (j + 1) as f32).collect();
            [r.iter().sum(), r[3 - (i & 3)]]
        })
        .collect();
    launch(src, "k", 1, 8, vec![f(&a), zeros(16)]).floats(1, &want, 0.0, 0.0);
}

#[test]
fn control_flow_in_device_functions() {
    let src = "__device__ int find(const int* a, int n, int key) {
        for (int i = 0; i < n; i++) { if (a[i] == key) return i; }
        return -1;
    }
    __device__ int classify(int v) {
        switch (v & 7) { case 0: return 10; case 1: case 2: v += 100; break; case 3: v++; case 4: v += 1000; break; default: v = -v; }
        return v;
    }
    __device__ int collatz(int v) { int n = 0; do { v = (v % 2) ? 3 * v + 1 : v / 2; n++; } while (v != 1); return n; }
    __device__ int sign(int v) { if (v > 0) return 1; else if (v < 0) return -1; return 0; }
    __global__ void k(const int* a, int* out, int n) {
        int t = threadIdx.x;
        out[t] = find(a, n, t); out[16 + t] = classify(t); out[32 + t] = collatz(t + 2); out[48 + t] = sign(t - 8);
    }";
    let a: Vec<i32> = (0..10).map(|i| (i * 7) % 16).collect();
    let mut want = Vec::new();
    want.extend((0..16).map(|k| a.iter().position(|v| *v == k).map_or(-1, |p| p as i32)));
    want.extend((0..16).map(|v| match v & 7 {
        0 => 10,
        1 | 2 => v + 100,
        3 => v + 1001,
        4 => v + 1000,
        _ => -v,
    }));
    want.extend((0..16).map(|t| {
        let (mut v, mut n) = (t + 2, 0);
        while n == 0 || v != 1 {
            v = if v % 2 == 1 { 3 * v + 1 } else { v / 2 };
            n += 1;
        }
        n
    }));
    want.extend((0..16).map(|t: i32| (t - 8).signum()));
    launch(src, "k", 1, 16, vec![i(&a), zeros(64), n(10)]).ints(1, &want);
}

#[test]
fn lambdas_references_and_pointers() {
    let src = "__device__ void bump(int& a, int* b) { a += 2; *b = a * 3; }
    template <class F> __device__ int twice(F f, int v) { return f(f(v)); }
    __global__ void k(int* out) {
        int t = threadIdx.x, a = t, b = 0, c = 10;
        bump(a, &b);
        auto add = [=](int v) { return v + c; };
        auto inc = [&](int v) { a += v; return a; };
        int* p = out + t * 4;
        *p++ = a; *p++ = b; *p++ = twice(add, t); *p = inc(5) + a;
    }";
    let want: Vec<i32> = (0..8).flat_map(|t| [t + 2, (t + 2) * 3, t + 20, (t + 7) * 2]).collect();
    launch(src, "k", 1, 8, vec![zeros(32)]).ints(0, &want);
}

#[test]
fn preprocessor() {
    let src = "#define N 4
#define SQ(x) ((x) * (x))
#define CAT(a, b) a##b
#define CALL(f, ...) f(__VA_ARGS__)
#if defined(N) && N > 3 && !defined(M)
#define PICK(a, b) a
#else
#define PICK(a, b) b
#endif
#define SELF SELF
__device__ int mad(int a, int b, int c) { return a * b + c; }
__global__ void CAT(ker, nel)(int* out) {
    int SELF = 5;
    out[threadIdx.x] = SQ(threadIdx.x + 1) + PICK(100, 200) + CALL(mad, 2, N, SELF) + __LINE__;
}";
    let want: Vec<i32> = (0..4).map(|t| (t + 1) * (t + 1) + 100 + 13 + 14).collect();
    launch(src, "kernel", 1, 4, vec![zeros(4)]).ints(0, &want);
}

#[test]
fn constants_enums_aliases_and_namespaces() {
    let src = "namespace util { enum Mode { A, B = 5, C }; constexpr int half_of(int v) { return v / 2; } }
    using real = float; typedef unsigned int word;
    static const int kTable[3] = {7, 8, 9};
    constexpr float kPi = 3.25f;
    __constant__ int weights[4] = {1, 2, 3, 4};
    __global__ void k(int* out) {
        word t = threadIdx.x;
        real r = kPi * 4;
        constexpr int n = util::half_of(9);
        out[t] = kTable[t % 3] + util::C + (int)r + n + weights[t & 3];
    }";
    let want: Vec<i32> = (0..8).map(|t| [7, 8, 9][t % 3] + 6 + 13 + 4 + [1, 2, 3, 4][t & 3]).collect();
    launch(src, "k", 1, 8, vec![zeros(8)]).ints(0, &want);
}

#[test]
fn null_pointers_decide_branches() {
    let src = "__global__ void k(float* out, const float* bias) {
        int i = threadIdx.x;
        out[i] = bias != nullptr ? bias[i] + 1.f : 5.f;
        if (bias == NULL) out[i] += 1.f;
    }";
    launch(src, "k", 1, 4, vec![zeros(4), Arg::Null]).floats(0, &[6.0; 4], 0.0, 0.0);
    launch(src, "k", 1, 4, vec![zeros(4), f(&[1.0, 2.0, 3.0, 4.0])]).floats(0, &[2.0, 3.0, 4.0, 5.0], 0.0, 0.0);
}

#[test]
fn half_and_bfloat16() {
    let src = "#include <cuda_fp16.h>
    __global__ void k(const half* a, const __nv_bfloat16* b, half* o, __nv_bfloat16* p, half2* q) {
        int i = threadIdx.x;
        half x = a[i];
        o[i] = x * x + __float2half(0.1f);
        p[i] = __float2bfloat16(__bfloat162float(b[i]) * 1.01f);
        if (i < 4) q[i] = __hadd2(__halves2half2(x, a[i + 1]), __float2half2_rn(1.5f));
    }";
    use half::{bf16, f16};
    let a: Vec<f16> = (0..8).map(|i| f16::from_f32(i as f32 * 0.37 - 1.0)).collect();
    let b: Vec<bf16> = (0..8).map(|i| bf16::from_f32(i as f32 * 3.3)).collect();
    let (ab, bb): (Vec<u8>, Vec<u8>) =
        (a.iter().flat_map(|v| v.to_le_bytes()).collect(), b.iter().flat_map(|v| v.to_le_bytes()).collect());
    let o: Vec<u8> = a
        .iter()
        .flat_map(|x| {
            let sq = f16::from_f32(x.to_f32() * x.to_f32());
            f16::from_f32(sq.to_f32() + f16::from_f32(0.1).to_f32()).to_le_bytes()
        })
        .collect();
    let p: Vec<u8> = b.iter().flat_map(|x| bf16::from_f32(x.to_f32() * 1.01).to_le_bytes()).collect();
    let q: Vec<u8> =
        (0..4).flat_map(|i| [a[i], a[i + 1]]).flat_map(|x| f16::from_f32(x.to_f32() + 1.5).to_le_bytes()).collect();
    let l = launch(src, "k", 1, 8, vec![bytes(&ab), bytes(&bb), bytes(&[0; 16]), bytes(&[0; 16]), bytes(&[0; 16])]);
    l.bytes(2, &o);
    l.bytes(3, &p);
    l.bytes(4, &q);
}

#[test]
fn doubles() {
    let src = "__global__ void k(const double* a, double* o, double s) { int i = threadIdx.x; o[i] = a[i] * s + 0.1; }";
    let a: Vec<f64> = (0..4).map(|i| i as f64 + 0.25).collect();
    let le = |v: &[f64]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let l = launch(src, "k", 1, 4, vec![bytes(&le(&a)), bytes(&[0; 32]), Arg::Num(1.5f64.to_le_bytes().to_vec())]);
    for r in l.run() {
        for (g, x) in r.memory[1].chunks_exact(8).zip(&a) {
            let g = f64::from_le_bytes(g.try_into().unwrap());
            assert!((g - (x * 1.5 + 0.1)).abs() < 1e-15, "{}: {g}", r.on);
        }
    }
}

#[test]
fn pointers_that_move_to_another_array() {
    let src = "__global__ void k(const int* a, int* b) {
        int t = threadIdx.x;
        const int* x = a + t; int s = x[0] + x[1];
        x = b + t; b[t] = s + *x;
    }";
    launch(src, "k", 1, 4, vec![i(&[1, 2, 3, 4, 5]), i(&[10, 20, 30, 40])]).ints(1, &[13, 25, 37, 49]);
}

#[test]
fn functions_and_operators_as_arguments() {
    let src = "struct V { float a, b; };
    __device__ V operator+(V x, V y) { return V{x.a + y.a, x.b + y.b}; }
    __device__ V operator*(float s, const V& v) { V r; r.a = s * v.a; r.b = s * v.b; return r; }
    __device__ inline float4 operator+(float4 a, float4 b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
    __device__ void operator+=(float4& a, float4 b) { a = a + b; }
    using fn = float (*)(float, float);
    __device__ float add(float a, float b) { return a + b; }
    __device__ float mul(float a, float b) { return a * b; }
    template <fn F> __device__ float fold(const float* x, int n) { float s = x[0]; for (int i = 1; i < n; i++) s = F(s, x[i]); return s; }
    __device__ float pick(V v, float w) { return v.a + w; }
    __global__ void k(const float* x, float* o) {
        V v = {x[0], x[1]}; V w = v + 2.0f * v;
        float4 q = make_float4(1, 2, 3, 4); q += q;
        o[0] = w.a; o[1] = w.b; o[2] = fold<add>(x, 4); o[3] = fold<mul>(x, 4); o[4] = q.w; o[5] = pick({x[2], 1.0f}, 0.5f);
    }";
    launch(src, "k", 1, 1, vec![f(&[1.5, 2.0, 3.0, 4.0]), zeros(6)]).floats(
        1,
        &[4.5, 6.0, 10.5, 36.0, 8.0, 3.5],
        0.0,
        0.0,
    );
}

#[test]
fn classes_with_constructors_and_indexing() {
    let src = "template <class T, int N> struct __align__(16) Packed {
        static constexpr int size = N; T v[N];
        Packed() = default;
        __device__ explicit Packed(int4 bits) { memcpy(&v, &bits, sizeof(bits)); }
        __device__ static Packed constant(T x) { Packed r; for (int k = 0; k < size; ++k) r.v[k] = x; return r; }
        __device__ T& operator[](int i) { return v[i]; }
        __device__ const T& operator[](int i) const { return v[i]; }
        __device__ int4 bits() const { int4 b; static_assert(sizeof(b) == sizeof(v), \"\"); memcpy(&b, &v, sizeof(b)); return b; }
    };
    typedef Packed<float, 4> f4;
    template <class T> __device__ Packed<T, 16 / sizeof(T)> load(const T* p) { return Packed<T, 16 / sizeof(T)>{*reinterpret_cast<const int4*>(p)}; }
    template <class T> __device__ void store(T* p, Packed<T, 16 / sizeof(T)> v) { *reinterpret_cast<int4*>(p) = v.bits(); }
    __global__ void k(const float* a, float* o, const short* s, short* q) {
        int t = threadIdx.x;
        f4 x = load(a + t * f4::size), y = f4::constant(2.0f), z;
        for (int k = 0; k < f4::size; k++) z[k] = x[k] * y[k] + k;
        store(o + t * 4, z);
        auto w = load(s + t * 8);
        for (int k = 0; k < w.size; k++) w[k] = w[k] + t;
        store(q + t * 8, w);
    }";
    let a: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let s: Vec<u8> = (0..32i16).flat_map(|i| (i * 5 - 60).to_le_bytes()).collect();
    let l = launch(src, "k", 1, 4, vec![f(&a), zeros(16), bytes(&s), bytes(&[0; 64])]);
    l.floats(1, &(0..16).map(|i| i as f32 * 2.0 + (i % 4) as f32).collect::<Vec<_>>(), 0.0, 0.0);
    l.bytes(3, &(0..32i16).flat_map(|i| (i * 5 - 60 + i / 8).to_le_bytes()).collect::<Vec<_>>());
}

#[test]
fn nested_loops_with_flags_and_ternaries() {
    let src = "__device__ int search(const int* m, int rows, int cols, int key, int* where) {
        for (int r = 0; r < rows; r++) {
            int c = 0;
            while (c < cols) { if (m[r * cols + c] == key) { *where = c; return r; } c++; }
        }
        *where = -1; return -1;
    }
    __global__ void k(const int* m, int* out) {
        int t = threadIdx.x, at = 7;
        int r = search(m, 3, 4, t, &at);
        unsigned n = t > 5 ? 3u : t, q = 0;
        for (int i = 10; i >= 0; i -= 3) { if (i == 4) continue; q = q * 10 + (i & 7); }
        out[t] = (r >= 0 && at >= 0) ? r * 10 + at : -1;
        out[16 + t] = n + q + (t, 2);
        do { n--; } while (n < 100 && n > 0);
        out[32 + t] = (int)n;
    }";
    let m: Vec<i32> = vec![3, 9, 1, 15, 0, 2, 9, 4, 7, 8, 5, 3];
    let mut want = Vec::new();
    want.extend((0..16).map(|t| m.iter().position(|v| *v == t).map_or(-1, |p| (p / 4 * 10 + p % 4) as i32)));
    let q = [10, 7, 1].iter().fold(0, |q, i| q * 10 + (i & 7));
    want.extend((0..16).map(|t| if t > 5 { 3 } else { t } + q + 2));
    want.extend((0..16).map(|t| if t == 0 { -1 } else { 0 }));
    launch(src, "k", 1, 16, vec![i(&m), zeros(48)]).ints(1, &want);
}

#[test]
fn conditional_types_and_constant_branches() {
    let src = "#include <type_traits>
    template <typename T> struct Acc { using type = T; }; template <> struct Acc<short> { using type = int; };
    template <typename T, bool Twice> __device__ typename Acc<T>::type f(T x) {
        typename Acc<T>::type r = x;
        if constexpr (Twice) r = r * 2; else if constexpr (std::is_same_v<T, float>) r = -r; else r = r + 100000;
        return r;
    }
    template <typename T, int N> __global__ void k(const T* a, int* o) {
        o[threadIdx.x] = f<T, (N > 4)>(a[threadIdx.x]) + (int)sizeof(typename Acc<T>::type);
    }";
    let s: Vec<u8> = (0..4i16).flat_map(|i| (i * 1000).to_le_bytes()).collect();
    launch(src, "k<short, 5>", 1, 4, vec![bytes(&s), zeros(4)]).ints(1, &[4, 2004, 4004, 6004]);
    launch(src, "k<short, 2>", 1, 4, vec![bytes(&s), zeros(4)]).ints(1, &[100004, 101004, 102004, 103004]);
    launch(src, "k<float, 2>", 1, 2, vec![f(&[1.0, 2.0]), zeros(2)]).ints(1, &[3, 2]);
}

#[test]
fn arrays_of_structs_and_unions() {
    let src = "struct P { int a; float b; }; union U { float f; unsigned u; unsigned char c[4]; };
    __global__ void k(const float* x, int* o) {
        int t = threadIdx.x; P ps[3];
        for (int i = 0; i < 3; i++) { ps[i].a = i * t; ps[i].b = x[t] + i; }
        P* p = &ps[t % 3]; p->a += 5;
        U v; v.f = x[t];
        o[t] = ps[t % 3].a + (int)p->b; o[8 + t] = v.u; o[16 + t] = v.c[3];
    }";
    let x: Vec<f32> = (0..8).map(|i| i as f32 * 1.5).collect();
    let mut want: Vec<i32> = (0..8).map(|t| (t % 3) * t + 5 + (x[t as usize] + (t % 3) as f32) as i32).collect();
    want.extend(x.iter().map(|v| v.to_bits() as i32));
    want.extend(x.iter().map(|v| (v.to_bits() >> 24) as i32));
    launch(src, "k", 1, 8, vec![f(&x), zeros(24)]).ints(1, &want);
}

#[test]
fn lambdas_copy_what_they_capture_by_value() {
    let src = "__global__ void k(int* out) {
        int t = threadIdx.x, a = t, b = t;
        auto copy = [=]() { return a + b; };
        auto mixed = [=, &b]() { return a + b; };
        auto named = [a]() { return a; };
        a += 100; b += 1000;
        out[t * 3] = copy(); out[t * 3 + 1] = mixed(); out[t * 3 + 2] = named();
    }";
    let want: Vec<i32> = (0..4).flat_map(|t| [2 * t, 2 * t + 1000, t]).collect();
    launch(src, "k", 1, 4, vec![zeros(12)]).ints(0, &want);
}
