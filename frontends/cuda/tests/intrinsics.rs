//! Built-in functions, one family per kernel.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

fn words(n: u32) -> Vec<u32> {
    (0..n).map(|i| (i.wrapping_mul(0x9e37_79b9) ^ (i << 13)).wrapping_add(0x7f80_8001)).collect()
}

#[test]
fn counting_and_moving_bits() {
    let src = "__global__ void k(const unsigned* a, unsigned* o) {
        int t = threadIdx.x; unsigned v = a[t], w = a[(t + 1) & 15];
        unsigned* p = o + t * 12;
        p[0] = __popc(v); p[1] = __clz(v); p[2] = __ffs(v); p[3] = __brev(v);
        p[4] = __byte_perm(v, w, 0x5140); p[5] = __umulhi(v, w); p[6] = __mulhi((int)v, (int)w);
        p[7] = __funnelshift_l(v, w, 9); p[8] = __funnelshift_r(v, w, 32);
        unsigned long long q = ((unsigned long long)v << 32) | w;
        p[9] = __popcll(q) + 100 * __clzll(q >> 7) + 10000 * __ffsll(q << 5); p[10] = (unsigned)(__brevll(q) >> 20);
        p[11] = __mul24(v, w) + __usad(v, w, 3u);
    }";
    let mut a = words(16);
    a[3] = 0;
    let sx = |v: u32| ((v << 8) as i32) >> 8;
    let want: Vec<u32> = (0..16)
        .flat_map(|t| {
            let (v, w) = (a[t], a[(t + 1) & 15]);
            let q = (v as u64) << 32 | w as u64;
            let b = |i: usize| [v.to_le_bytes(), w.to_le_bytes()].concat()[i] as u32;
            let ffs = |x: u64| if x == 0 { 0 } else { x.trailing_zeros() + 1 };
            [
                v.count_ones(),
                v.leading_zeros(),
                ffs(v as u64),
                v.reverse_bits(),
                b(0) | b(4) << 8 | b(1) << 16 | b(5) << 24,
                ((v as u64 * w as u64) >> 32) as u32,
                ((v as i32 as i64 * w as i32 as i64) >> 32) as u32,
                w << 9 | v >> 23,
                v,
                q.count_ones() + 100 * (q >> 7).leading_zeros() + 10000 * ffs(q << 5),
                (q.reverse_bits() >> 20) as u32,
                (sx(v).wrapping_mul(sx(w)) as u32).wrapping_add(v.abs_diff(w)).wrapping_add(3),
            ]
        })
        .collect();
    launch(src, "k", 1, 16, vec![u(&a), zeros(192)]).words(1, &want);
}

#[test]
fn bytes_and_halves_of_a_word() {
    let src = "__global__ void k(const unsigned* a, unsigned* o) {
        int t = threadIdx.x; unsigned v = a[t], w = a[(t + 5) & 15];
        unsigned* p = o + t * 14;
        p[0] = __vadd4(v, w); p[1] = __vsubss4(v, w); p[2] = __vaddus4(v, w); p[3] = __vmaxs4(v, w); p[4] = __vminu4(v, w);
        p[5] = __vabsdiffu4(v, w); p[6] = __vcmpgts4(v, w); p[7] = __vseteq2(v, v ^ (w & 0xffff)); p[8] = __vavgu4(v, w);
        p[9] = __vsub2(v, w); p[10] = __vaddss2(v, w); p[11] = __dp4a((int)v, (int)w, -5); p[12] = __dp4a(v, w, 7u); p[13] = __vabs4(v);
    }";
    let a = words(16);
    let lanes = |v: u32, w: u32, f: &dyn Fn(u8, u8) -> u8| {
        u32::from_le_bytes(std::array::from_fn(|i| f(v.to_le_bytes()[i], w.to_le_bytes()[i])))
    };
    let halves = |v: u32, w: u32, f: &dyn Fn(u16, u16) -> u16| {
        f(v as u16, w as u16) as u32 | (f((v >> 16) as u16, (w >> 16) as u16) as u32) << 16
    };
    let want: Vec<u32> = (0..16)
        .flat_map(|t| {
            let (v, w) = (a[t], a[(t + 5) & 15]);
            let x = v ^ (w & 0xffff);
            let dot = |s: bool| -> i64 {
                v.to_le_bytes()
                    .iter()
                    .zip(w.to_le_bytes())
                    .map(|(a, b)| if s { *a as i8 as i64 * b as i8 as i64 } else { *a as i64 * b as i64 })
                    .sum()
            };
            [
                lanes(v, w, &|a, b| a.wrapping_add(b)),
                lanes(v, w, &|a, b| (a as i8).saturating_sub(b as i8) as u8),
                lanes(v, w, &|a, b| a.saturating_add(b)),
                lanes(v, w, &|a, b| (a as i8).max(b as i8) as u8),
                lanes(v, w, &|a, b| a.min(b)),
                lanes(v, w, &|a, b| a.abs_diff(b)),
                lanes(v, w, &|a, b| if a as i8 > b as i8 { 255 } else { 0 }),
                halves(v, x, &|a, b| (a == b) as u16),
                lanes(v, w, &|a, b| (a as u16 + b as u16).div_ceil(2) as u8),
                halves(v, w, &|a, b| a.wrapping_sub(b)),
                halves(v, w, &|a, b| (a as i16).saturating_add(b as i16) as u16),
                (dot(true) - 5) as u32,
                (dot(false) + 7) as u32,
                lanes(v, w, &|a, _| (a as i8).wrapping_abs() as u8),
            ]
        })
        .collect();
    launch(src, "k", 1, 16, vec![u(&a), zeros(224)]).words(1, &want);
}

#[test]
fn inline_ptx() {
    let src = r#"__global__ void k(const unsigned* a, const float* x, unsigned* o) {
        int t = threadIdx.x; unsigned v = a[t], w = a[(t + 3) & 15], r; int s; float f;
        unsigned* p = o + t * 10;
        asm volatile("lop3.b32 %0, %1, %2, %3, %4;\n" : "=r"(r) : "r"(v), "n"(0x03030303), "n"(0x64006400), "n"((0xf0 & 0xcc) | 0xaa)); p[0] = r;
        asm("lop3.b32 %0, %1, %2, %3, 0x1e;" : "=r"(r) : "r"(v), "r"(w), "r"(t)); p[1] = r;
        asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(v), "r"(w), "r"(0x6240)); p[2] = r;
        asm("bfe.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(v), "r"(5), "r"(9)); p[3] = r;
        asm("bfe.s32 %0, %1, %2, %3;" : "=r"(s) : "r"(v), "r"(28), "r"(8)); p[4] = s;
        asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(f) : "f"(x[t]), "f"(2.0f), "f"(1.0f)); p[5] = __float_as_uint(f);
        asm("ld.global.nc.u32 %0, [%1];" : "=r"(r) : "l"(a + t)); p[6] = r;
        asm("cvt.rni.s32.f32 %0, %1;" : "=r"(s) : "f"(x[t])); p[7] = s;
        asm("bfi.b32 %0, %1, %2, 4, 8;" : "=r"(r) : "r"(v), "r"(w)); p[8] = r;
        asm("shl.b32 %0, %1, %2;" : "=r"(r) : "r"(v), "r"(t * 4)); p[9] = r;
    }"#;
    let a = words(16);
    let x: Vec<f32> = (0..16).map(|i| i as f32 * 0.75 - 5.0).collect();
    let want: Vec<u32> = (0..16usize)
        .flat_map(|t| {
            let (v, w) = (a[t], a[(t + 3) & 15]);
            let c = t as u32;
            let bytes = [v.to_le_bytes(), w.to_le_bytes()].concat();
            let field = (v as i32) >> 28;
            [
                (v & 0x0303_0303) | 0x6400_6400,
                // 0x1e = a ^ (b | c)
                v ^ (w | c),
                u32::from_le_bytes([bytes[0], bytes[4], bytes[2], bytes[6]]),
                (v >> 5) & 0x1ff,
                field as u32,
                (x[t] * 2.0 + 1.0).to_bits(),
                v,
                x[t].round_ties_even() as i32 as u32,
                (w & !0xff0) | ((v << 4) & 0xff0),
                v.checked_shl(c * 4).unwrap_or(0),
            ]
        })
        .collect();
    launch(src, "k", 1, 16, vec![u(&a), f(&x), zeros(160)]).words(2, &want);
}

#[test]
fn float_functions() {
    let src = "__global__ void k(const float* a, float* o) {
        int t = threadIdx.x; float x = a[t]; float* p = o + t * 16;
        p[0] = sqrtf(x); p[1] = expf(-x); p[2] = logf(x); p[3] = __sinf(x); p[4] = powf(x, 1.5f); p[5] = rsqrtf(x); p[6] = tanhf(x);
        p[7] = fmaxf(x, NAN); p[8] = fminf(x, 2.0f); p[9] = roundf(-x); p[10] = rintf(x); p[11] = fmodf(x, 0.7f); p[12] = erff(x);
        p[13] = copysignf(x, -1.0f); p[14] = ldexpf(x, 3) + floorf(x); p[15] = erfcf(x);
    }";
    let a: Vec<f32> = (1..17).map(|i| i as f32 * 0.5).collect();
    let erf = |v: f64| girih_base::scalar::special::erf(v);
    let want: Vec<f32> = a
        .iter()
        .flat_map(|x| {
            let d = *x as f64;
            [
                d.sqrt(),
                (-d).exp(),
                d.ln(),
                d.sin(),
                d.powf(1.5),
                1.0 / d.sqrt(),
                d.tanh(),
                d,
                d.min(2.0),
                (-d).round(),
                d.round_ties_even(),
                (*x % 0.7f32) as f64,
                erf(d),
                -d,
                d * 8.0 + d.floor(),
                1.0 - erf(d),
            ]
            .map(|v| v as f32)
        })
        .collect();
    launch(src, "k", 1, 16, vec![f(&a), zeros(256)]).floats(1, &want, 16.0, 1.0);
}

#[test]
fn conversions_with_roundings() {
    let src = "__global__ void k(const float* a, int* o) {
        int t = threadIdx.x; float x = a[t]; int* p = o + t * 6;
        p[0] = __float2int_rn(x); p[1] = __float2int_rz(x); p[2] = __float2int_rd(x); p[3] = __float2int_ru(x);
        p[4] = __float_as_int(__int_as_float(0x3f800000 + t)); p[5] = (int)__float2uint_rz(fabsf(x));
    }";
    let a: Vec<f32> = (0..8).map(|i| i as f32 * 0.75 - 3.5).collect();
    let want: Vec<i32> = a
        .iter()
        .enumerate()
        .flat_map(|(t, x)| {
            [
                x.round_ties_even() as i32,
                *x as i32,
                x.floor() as i32,
                x.ceil() as i32,
                0x3f80_0000 + t as i32,
                x.abs() as i32,
            ]
        })
        .collect();
    launch(src, "k", 1, 8, vec![f(&a), zeros(48)]).ints(1, &want);
}

#[test]
fn caches_hints_limits_and_min_max() {
    let src = "#include <limits>
    __global__ void k(const int* a, int* o) {
        int t = threadIdx.x; int v = __ldg(&a[t]);
        __stcs(o + t * 4, max(v, 3) + min(v, -2));
        o[t * 4 + 1] = std::numeric_limits<int>::max() - INT_MAX + abs(v);
        o[t * 4 + 2] = (FLT_MAX > 1e30f) + sizeof(int4);
        o[t * 4 + 3] = warpSize + max(2u, 7u);
    }";
    let a: Vec<i32> = (0..8).map(|i| i * 3 - 10).collect();
    let want: Vec<i32> = a.iter().flat_map(|v| [(*v).max(3) + (*v).min(-2), v.abs(), 17, 39]).collect();
    launch(src, "k", 1, 8, vec![i(&a), zeros(32)]).ints(1, &want);
}

/// The pattern of BitNet's ladder kernel, written afresh: weights in two bits are spread by lop3, brought to -1..1 by
/// vsubss4, multiplied by dp4a, and summed over eight lanes.
const BITNET: &str = r#"
template <typename T1, typename T2> __device__ void spread(T1* packed, T2* out, const int n = 16) {
    unsigned* dst = reinterpret_cast<unsigned*>(out);
    const unsigned word = *packed;
    constexpr unsigned lut = (0xf0 & 0xcc) | 0xaa;
    constexpr unsigned mask = 0x03030303;
    constexpr unsigned none = 0x00000000;
    #pragma unroll
    for (int i = 0; i < (n / 4); i++) {
        asm volatile("lop3.b32 %0, %1, %2, %3, %4;\n" : "=r"(dst[i]) : "r"(word >> (2 * i)), "n"(mask), "n"(none), "n"(lut));
        dst[i] = __vsubss4(dst[i], 0x02020202);
    }
}
template <int M, int N, int K, int per_block, int k_step, int lanes>
__global__ void __launch_bounds__(128) ladder(signed char* __restrict__ A, signed char* __restrict__ B, int* __restrict__ out) {
    constexpr int per_loop = 16;
    constexpr int shared_k = k_step * per_loop;
    int sum[1];
    signed char a[per_loop];
    int packed[1];
    signed char b[per_loop];
    sum[0] = 0;
    #pragma unroll
    for (int k = 0; k < K / shared_k; ++k) {
        *(int4*)(a + 0) = *(int4*)(A + (k * shared_k) + ((int)threadIdx.x * per_loop));
        packed[0] = *(int*)(B + ((int)blockIdx.x * per_block * K / 4) + (k * k_step * per_block * 4) + ((int)threadIdx.y * k_step * 4) + ((int)threadIdx.x * 4));
        spread(packed, b, 16);
        #pragma unroll
        for (int j = 0; j < 4; ++j) sum[0] = __dp4a(*(int*)&a[j * 4], *(int*)&b[j * 4], sum[0]);
    }
    int part[1];
    unsigned mask[1];
    int t;
    part[0] = sum[0];
    mask[0] = __activemask();
    #pragma unroll
    for (int offset = k_step / 2; offset > 0; offset /= 2) {
        t = __shfl_down_sync(mask[0], part[0], offset, k_step);
        part[0] = part[0] + t;
    }
    if (threadIdx.x == 0) out[(int)blockIdx.x * per_block + (int)threadIdx.y] = part[0];
}"#;

#[test]
fn bitnet_pattern_is_exact() {
    let (n, k, per_block, k_step) = (32usize, 512usize, 16usize, 8usize);
    let mut seed = 12345u32;
    let mut next = move || {
        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
        seed >> 8
    };
    let a: Vec<i8> = (0..k).map(|_| (next() & 0xff) as i8).collect();
    let packed: Vec<u32> = (0..n * k / 16).map(|_| (0..16).fold(0, |w, i| w | (1 + next() % 3) << (2 * i))).collect();
    let mut want = vec![0i32; n];
    for (row, out) in want.iter_mut().enumerate() {
        let (block, y) = (row / per_block, row % per_block);
        for step in 0..k / (k_step * 16) {
            for x in 0..k_step {
                let word = packed[block * per_block * k / 16 + step * k_step * per_block + y * k_step + x];
                for i in 0..4 {
                    let codes = (word >> (2 * i)) & 0x0303_0303;
                    for (lane, c) in codes.to_le_bytes().iter().enumerate() {
                        *out += (*c as i32 - 2) * a[step * k_step * 16 + x * 16 + i * 4 + lane] as i32;
                    }
                }
            }
        }
    }
    let ab: Vec<u8> = a.iter().map(|v| *v as u8).collect();
    let l = Launch {
        source: BITNET,
        kernel: "ladder<1, 32, 512, 16, 8, 8>",
        block: [8, 16, 1],
        grid: [2, 1, 1],
        shared: 0,
        args: vec![bytes(&ab), u(&packed), zeros(n)],
    };
    l.ints(2, &want);
}

#[test]
fn half_intrinsics() {
    let src = "#include <cuda_fp16.h>
    __global__ void k(const half2* a, half2* o, float* s) {
        int t = threadIdx.x; half2 x = a[t], y = a[(t + 1) & 7];
        o[t * 4] = __hfma2(x, y, __float2half2_rn(0.3f)); o[t * 4 + 1] = __hmul2(x, y); o[t * 4 + 2] = __hmax2(x, y);
        o[t * 4 + 3] = __halves2half2(hsqrt(__habs(__low2half(x))), __hneg(__high2half(y)));
        float2 q = __half22float2(x); s[t] = q.x * q.y + __half2float(__hsub(x.x, y.y));
    }";
    use half::f16;
    let h: Vec<f16> = (0..16).map(|i| f16::from_f32(i as f32 * 1.37 - 9.0)).collect();
    let le = |v: &[f16]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let c = f16::from_f32(0.3).to_f64();
    let mut o = Vec::new();
    let mut s = Vec::new();
    for t in 0..8 {
        let (x, y) = ([h[2 * t], h[2 * t + 1]], [h[(2 * t + 2) % 16], h[(2 * t + 3) % 16]]);
        o.extend([0, 1].map(|i| f16::from_f64(x[i].to_f64() * y[i].to_f64() + c)));
        o.extend([0, 1].map(|i| f16::from_f64(x[i].to_f64() * y[i].to_f64())));
        o.extend([0, 1].map(|i| if x[i] > y[i] { x[i] } else { y[i] }));
        o.push(f16::from_f64(x[0].to_f64().abs().sqrt()));
        o.push(-y[1]);
        let sub = f16::from_f64(x[0].to_f64() - y[1].to_f64());
        s.push(x[0].to_f32() * x[1].to_f32() + sub.to_f32());
    }
    let l = launch(src, "k", 1, 8, vec![bytes(&le(&h)), zeros(32), zeros(8)]);
    l.bytes(1, &le(&o));
    l.floats(2, &s, 1.0, 1.0);
}

#[test]
fn memcpy_and_bit_casts() {
    let src = "struct alignas(16) Pack { short v[8]; };
    __global__ void k(const int4* a, int4* o, float* f) {
        int t = threadIdx.x; Pack p; int4 raw = a[t];
        memcpy(&p, &raw, sizeof(raw));
        for (int i = 0; i < 8; i++) p.v[i] = p.v[i] * 2 + i;
        memcpy(&raw, &p.v, sizeof(raw));
        o[t] = raw;
        unsigned bits = 0x40000000u + t; f[t] = *reinterpret_cast<float*>(&bits);
    }";
    let a = words(16);
    let want: Vec<u32> = a
        .chunks(4)
        .flat_map(|c| {
            let s: Vec<i16> = c.iter().flat_map(|w| [*w as i16, (*w >> 16) as i16]).collect();
            let s: Vec<i16> = s.iter().enumerate().map(|(i, v)| v.wrapping_mul(2).wrapping_add(i as i16)).collect();
            s.chunks(2).map(|p| p[0] as u16 as u32 | (p[1] as u16 as u32) << 16).collect::<Vec<_>>()
        })
        .collect();
    let l = launch(src, "k", 1, 4, vec![u(&a), zeros(16), zeros(4)]);
    l.words(1, &want);
    l.words(2, &[0x4000_0000, 0x4000_0001, 0x4000_0002, 0x4000_0003]);
}
