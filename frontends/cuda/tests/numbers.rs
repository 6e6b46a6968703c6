//! Arithmetic of intrinsics, of half precision and of inline PTX where its rules are easily missed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

#[track_caller]
fn refused(body: &str, part: &str) {
    let src =
        format!("#include <cuda_fp16.h>\n__global__ void k(int* out, float* f, unsigned long long* l) {{ {body} }}");
    let d = refusal(&src, "k", 32);
    assert!(d.code == "U005" || d.code == "U003", "{d}");
    assert!(d.to_string().contains(part), "{d}");
}

#[test]
fn comparisons_of_pairs_are_pairs() {
    let src = "#include <cuda_fp16.h>
        __global__ void k(float* out) {
            __half2 a = __floats2half2_rn(1.0f, 4.0f), b = __floats2half2_rn(2.0f, 4.0f);
            float2 lt = __half22float2(__hlt2(a, b)), eq = __half22float2(__heq2(a, b));
            out[0] = lt.x; out[1] = lt.y; out[2] = eq.x; out[3] = eq.y;
            out[4] = __hlt(__low2half(a), __low2half(b)) ? 5.0f : 6.0f;
        }";
    launch(src, "k", 1, 1, vec![zeros(5)]).floats(0, &[1.0, 0.0, 0.0, 1.0, 5.0], 0.0, 0.0);
    refused(
        "__half h = __hfma_relu(__float2half(1.0f), __float2half(1.0f), __float2half(1.0f)); f[0] = __half2float(h);",
        "__hfma_relu",
    );
    refused("__half h = __float2half_rz(f[0]); f[1] = __half2float(h);", "__float2half_rz");
    refused("f[0] = __int2float_rd(out[0]);", "__int2float_rd");
}

#[test]
fn intrinsics_at_their_edges() {
    let src = "__global__ void k(const int* in, const float* x, float* f, unsigned* u, unsigned long long* l) {
            int i = in[0], j = in[1];
            f[0] = fminf(i, j) / 2; f[1] = fmaxf(i, j) / 2;
            f[2] = hypotf(x[0], x[0]) / x[0]; f[3] = hypotf(x[1], x[1]) / x[1]; f[4] = hypotf(3.0f * x[2], 4.0f * x[2]);
            f[5] = norm3df(x[0], 0.0f, 0.0f) / x[0]; f[6] = hypotf(0.0f, x[2] - 1.0f);
            u[0] = __funnelshift_lc(1, 2, 32 + i - 3); u[1] = __funnelshift_lc(1, 2, 40); u[2] = __funnelshift_rc(1, 2, 33);
            u[3] = __funnelshift_l(1, 2, 33); u[4] = __funnelshift_rc(0x80000000u, 1, 31);
            l[0] = (unsigned long long)(x[2] * -1.0f); l[1] = (unsigned long long)(x[2] * 3e10f);
        }";
    let l = launch(src, "k", 1, 1, vec![i(&[3, 5]), f(&[1e20, 1e-25, 1.0]), zeros(7), zeros(5), zeros(4)]);
    let r2 = 2f32.sqrt();
    l.floats(2, &[1.5, 2.5, r2, r2, 5.0, 1.0, 0.0], 4.0, 0.0);
    l.words(3, &[1, 1, 2, 4, 3]);
    let big = 3e10f32 as u64;
    l.words(4, &[0, 0, big as u32, (big >> 32) as u32]);
}

#[test]
fn numbers_of_64_bits_and_floats() {
    let src = "__global__ void k(const float* x, const long long* n, float* f, long long* l, unsigned long long* u) {
            int t = threadIdx.x;
            l[t] = (long long)x[t]; u[t] = (unsigned long long)x[t];
            f[2 * t] = n[t]; f[2 * t + 1] = (unsigned long long)n[t];
        }";
    // Halfway between two floats, just above and below; the ends.
    let n = [
        1 << 40 | 1 << 16,
        1 << 40 | 1 << 16 | 1,
        1 << 40 | 3 << 16,
        i64::MIN,
        i64::MAX,
        -1,
        -(1 << 40 | 1 << 16 | 1),
        0,
    ];
    let x = [1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY, 9.223372e18, -9.223372e18, 1.8446744e19, 1.5e10];
    let words = |v: &[u64]| v.iter().flat_map(|v| [*v as u32, (*v >> 32) as u32]).collect::<Vec<u32>>();
    let l = launch(src, "k", 1, 8, vec![f(&x), u(&words(&n.map(|v| v as u64))), zeros(16), zeros(16), zeros(16)]);
    let want: Vec<u32> = n.iter().flat_map(|v| [(*v as f32).to_bits(), (*v as u64 as f32).to_bits()]).collect();
    l.words(2, &want);
    l.words(3, &words(&x.map(|v| v as i64 as u64)));
    l.words(4, &words(&x.map(|v| v as u64)));
}

#[test]
fn doubles_become_halves_in_one_step() {
    let src = "#include <cuda_fp16.h>
        #include <cuda_bf16.h>
        __global__ void k(const int* in, unsigned short* out) {
            // A little above and below what lies between two halves, by less than an f32 tells.
            double e = in[0] * 9.5367431640625e-07 * 9.5367431640625e-07;
            out[0] = __half_as_ushort(__double2half(1.00048828125 + e)); out[1] = __half_as_ushort(__double2half(1.00146484375 - e));
            out[2] = __half_as_ushort(__double2half(-1.00048828125 - e)); out[3] = __half_as_ushort((__half)(1e9 * in[0]));
            out[4] = __bfloat16_as_ushort(__double2bfloat16(1.00390625 + e));
            out[5] = __half_as_ushort(__double2half(1.00048828125 + 9.094947017729282e-13));
        }";
    for r in launch(src, "k", 1, 1, vec![i(&[1]), zeros(3)]).run() {
        let got: Vec<u16> = r.memory[1].chunks(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
        assert_eq!(got, [0x3c01, 0x3c01, 0xbc01, 0x7c00, 0x3f81, 0x3c01], "{}", r.on);
    }
}

#[test]
fn constants_become_halves_in_one_step() {
    let src = "#include <cuda_fp16.h>
        #include <cuda_bf16.h>
        __constant__ __half h = 1.0004882812509095;
        __constant__ __nv_bfloat16 b[2] = { 1.0039062500009095, -1.0039062500009095 };
        __global__ void k(unsigned short* out) {
            out[0] = __half_as_ushort(h); out[1] = __bfloat16_as_ushort(b[0]); out[2] = __bfloat16_as_ushort(b[1]);
        }";
    for r in launch(src, "k", 1, 1, vec![zeros(2)]).run() {
        let got: Vec<u16> = r.memory[0].chunks(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
        assert_eq!(got, [0x3c01, 0x3f81, 0xbf81, 0], "{}", r.on);
    }
}

#[test]
fn products_of_doubles_and_their_errors() {
    let src = "__global__ void k(const int* in, int* out) {
            double a = 1.0 + in[0] * 9.313225746154785e-10, b = 1.0 - in[0] * 9.313225746154785e-10;
            double p = a * a, e = fma(a, a, -p);
            out[0] = e == 8.673617379884035e-19; out[1] = fma(a, b, -1.0) == -8.673617379884035e-19;
            out[2] = fma(2.0 * in[0], 3.0, 0.5) == 6.5; out[3] = fma(1e300 * in[0], 1e10, 0.0) > 1e308;
        }";
    launch(src, "k", 1, 1, vec![i(&[1]), zeros(4)]).ints(1, &[1, 1, 1, 1]);
}

#[test]
fn differences_of_pointers_of_other_types() {
    let src = "__global__ void k(float4* v, int* out) {
            int i = out[0], j = out[1];
            out[2] = (float*)(v + i) - (float*)(v + j);
            out[3] = (v + i) - (v + j);
            out[4] = (char*)(v + i) - (char*)(v + j);
            out[5] = (double*)(v + i) - (double*)v;
        }";
    launch(src, "k", 1, 1, vec![zeros(64), i(&[7, 2, 0, 0, 0, 0])]).ints(1, &[7, 2, 20, 5, 80, 14]);
}

#[test]
fn instructions_read_their_operands_once() {
    let src = r#"__global__ void k(unsigned* out, const unsigned char* bytes) {
            unsigned x = 3;
            asm("shl.b32 %0, %1, 4; xor.b32 %0, %0, %1;" : "=r"(x) : "r"(x));
            out[0] = x;
            int n = 0;
            unsigned y, z = 5;
            asm("add.u32 %0, %1, %2; add.u32 %0, %0, %1;" : "=r"(y) : "r"((unsigned)n++ + 10u), "r"(z));
            out[1] = y; out[2] = n;
            unsigned w;
            asm("ld.global.u32 %0, [%1];" : "=r"(w) : "l"(bytes));
            out[3] = w;
            unsigned long long wide = 0xff00000000ull + out[8];
            int c, b; unsigned long long r;
            asm("popc.b64 %0, %1;" : "=r"(c) : "l"(wide));
            asm("clz.b64 %0, %1;" : "=r"(b) : "l"(wide));
            asm("brev.b64 %0, %1;" : "=l"(r) : "l"(wide));
            out[4] = c; out[5] = b; out[6] = (unsigned)r; out[7] = (unsigned)(r >> 32);
        }"#;
    let l = launch(src, "k", 1, 1, vec![zeros(9), bytes(&[0x78, 0x56, 0x34, 0x12])]);
    l.words(0, &[51, 25, 1, 0x12345678, 8, 24, 0xff00_0000, 0, 0]);
}

#[test]
fn instructions_that_do_more_are_refused() {
    for (body, part) in [
        (r#"asm("add.sat.s32 %0, %1, %1;" : "=r"(out[0]) : "r"(out[1]));"#, "add.sat.s32"),
        (r#"asm("add.rz.f32 %0, %1, %1;" : "=f"(f[0]) : "f"(f[1]));"#, "add.rz.f32"),
        (r#"asm("fma.rn.sat.f32 %0, %1, %1, %1;" : "=f"(f[0]) : "f"(f[1]));"#, "sat"),
        (r#"asm("mul.hi.u64 %0, %1, %1;" : "=l"(l[0]) : "l"(l[1]));"#, "mul.hi.u64"),
        (r#"asm("bfe.u64 %0, %1, 3, 4;" : "=l"(l[0]) : "l"(l[1]));"#, "bfe.u64"),
        (r#"asm("cvt.rz.f32.s32 %0, %1;" : "=f"(f[0]) : "r"(out[1]));"#, "cvt.rz.f32.s32"),
        (r#"asm("cvt.f32 %0, %1;" : "=f"(f[0]) : "r"(out[1]));"#, "cvt.f32"),
        (r#"asm("cvt %0, %1;" : "=f"(f[0]) : "r"(out[1]));"#, "cvt"),
        (r#"asm("add.u32 %0, %1, 1;" : "=r"(out[0]) : "0"(out[1]));"#, "shares the place"),
    ] {
        refused(body, part);
    }
}
