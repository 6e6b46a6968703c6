// Arithmetic of every type.

// launch: promotions grid=1 block=1 out=zeros:i32[16]
__global__ void promotions(int* out) {
    unsigned char a = 200, b = 100;
    signed char c = (signed char)(a + b);
    short s = (short)70000;
    unsigned u = 5;
    int m = -3;
    out[0] = a + b; out[1] = c; out[2] = s;
    out[3] = (u > m) ? 1 : 0;
    out[4] = -7 / 2; out[5] = -7 % 2; out[6] = (int)(-2.9f);
    out[7] = (unsigned char)300; out[8] = ~a;
    out[9] = m >> 1; out[10] = (unsigned)m >> 28;
    long long q = 1LL << 40; out[11] = (int)(q >> 38);
    out[12] = sizeof(long long) + sizeof(short) + sizeof(float);
    bool t = 12; out[13] = t + t;
    out[14] = 'A' + 1; out[15] = 0x10u + 010;
}

// launch: narrow_loads grid=1 block=16 c=bits:i8[16] u=bits:u8[16] s=bits:i16[16] out=zeros:i32[64]
__global__ void narrow_loads(const signed char* c, const unsigned char* u, const short* s, int* out) {
    int i = threadIdx.x;
    out[4 * i] = c[i] + u[i];
    out[4 * i + 1] = (signed char)(c[i] * u[i]);
    out[4 * i + 2] = (unsigned short)(s[i] << 3);
    out[4 * i + 3] = s[i] >> 2;
}

// launch: narrow_stores grid=1 block=16 b=zeros:u8[16] s=zeros:i16[16] t=zeros:u8[16]
__global__ void narrow_stores(unsigned char* b, short* s, bool* t) {
    int i = threadIdx.x;
    b[i] = i * 37;
    s[i] = -i * 3000;
    t[i] = i & 1;
}

// launch: division grid=1 block=32 x=mixed:i32[32] y=mixed:i32[32] out=zeros:i32[64]
__global__ void division(const int* x, const int* y, int* out) {
    int a = x[threadIdx.x] * 1000003, b = y[31 - threadIdx.x] | 1;
    out[2 * threadIdx.x] = a / b;
    out[2 * threadIdx.x + 1] = a % b;
}

// launch: unsigned_numbers grid=1 block=32 x=bits:u32[32] out=zeros:u32[96]
__global__ void unsigned_numbers(const unsigned* x, unsigned* out) {
    unsigned a = x[threadIdx.x], b = x[31 - threadIdx.x] | 1;
    out[3 * threadIdx.x] = a / b + a % b;
    out[3 * threadIdx.x + 1] = a * b - (a >> 5);
    out[3 * threadIdx.x + 2] = a > b ? a - b : b - a;
}

// launch: wide_numbers grid=1 block=8 a=mixed:i64[8] b=bits:u64[8] out=zeros:i64[96] n=8
__global__ void wide_numbers(const long long* a, const unsigned long long* b, long long* out, size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    long long x = a[i] * 987654321987LL;
    unsigned long long y = b[i] * 0x9e3779b97f4a7c15ULL;
    long long* o = out + i * 12;
    o[0] = (long long)((unsigned long long)x + y);
    o[1] = (long long)((unsigned long long)x * 1000003ULL);
    o[2] = x - 5;
    o[3] = x >> 3;
    o[4] = (long long)(y << 7);
    o[5] = (long long)(y >> 33);
    o[6] = x < 0 ? -x : x;
    o[7] = (long long)(y / 1000003ULL);
    o[8] = (long long)(y % 977);
    o[9] = x / -7;
    o[10] = (long long)(((unsigned long long)x ^ y) & ~0xffULL);
    o[11] = (long long)(int)x + (x > 12345678901LL);
}

// launch: shifts grid=1 block=32 x=bits:u32[32] out=zeros:u32[96]
__global__ void shifts(const unsigned* x, unsigned* out) {
    unsigned t = threadIdx.x, v = x[t];
    out[3 * t] = v << t;
    out[3 * t + 1] = v >> t;
    out[3 * t + 2] = (unsigned)((int)v >> t);
}

// launch: high_products grid=1 block=16 x=bits:u32[16] out=zeros:u32[32]
__global__ void high_products(const unsigned* x, unsigned* out) {
    unsigned t = threadIdx.x, a = x[t], b = x[15 - t];
    out[2 * t] = __umulhi(a, b);
    out[2 * t + 1] = (unsigned)__mulhi((int)a, (int)b);
}

// launch: float_basics grid=1 block=32 x=noise:f32[32] y=arange:f32[32] out=zeros:f32[160] close=1
__global__ void float_basics(const float* x, const float* y, float* out) {
    int t = threadIdx.x;
    float a = x[t], b = y[t] + 1.0f;
    out[5 * t] = a + b;
    out[5 * t + 1] = a * b;
    out[5 * t + 2] = a / b;
    out[5 * t + 3] = fmaf(a, b, 1.5f);
    out[5 * t + 4] = sqrtf(b);
}

// launch: rounding grid=1 block=32 x=noise:f32[32] out=zeros:f32[160]
__global__ void rounding(const float* x, float* out) {
    int t = threadIdx.x;
    float v = x[t] * 20.0f;
    out[5 * t] = floorf(v);
    out[5 * t + 1] = ceilf(v);
    out[5 * t + 2] = truncf(v);
    out[5 * t + 3] = rintf(v);
    out[5 * t + 4] = roundf(v);
}

// launch: float_conversions grid=1 block=32 x=noise:f32[32] out=zeros:i32[160]
__global__ void float_conversions(const float* x, int* out) {
    int t = threadIdx.x;
    float v = x[t] * 300.0f;
    out[5 * t] = (int)v;
    out[5 * t + 1] = __float2int_rn(v);
    out[5 * t + 2] = __float2int_rd(v);
    out[5 * t + 3] = (unsigned char)(v < 0.0f ? -v * 0.5f : v * 0.5f);
    out[5 * t + 4] = __float_as_int(v);
}

// launch: functions_of_floats grid=1 block=32 x=noise:f32[32] out=zeros:f32[256] close=64
__global__ void functions_of_floats(const float* x, float* out) {
    int t = threadIdx.x;
    float v = x[t];
    float* o = out + 8 * t;
    o[0] = expf(v); o[1] = logf(v * v + 0.5f); o[2] = sinf(v); o[3] = cosf(v);
    o[4] = tanhf(v); o[5] = powf(v * v + 0.1f, 1.5f); o[6] = rsqrtf(v * v + 1.0f); o[7] = erff(v);
}

// launch: least_and_greatest grid=1 block=32 x=noise:f32[32] y=mixed:i32[32] out=zeros:f32[128]
__global__ void least_and_greatest(const float* x, const int* y, float* out) {
    int t = threadIdx.x;
    out[4 * t] = fminf(x[t], 0.1f);
    out[4 * t + 1] = fmaxf(x[t], x[31 - t]);
    out[4 * t + 2] = max(y[t], -5) + min(y[t], 5);
    out[4 * t + 3] = fabsf(x[t]) + abs(y[t]);
}

#include <cuda_fp16.h>
// launch: halves grid=1 block=16 a=noise:f16[16] b=mixed:f16[16] out=zeros:f16[64]
__global__ void halves(const half* a, const half* b, half* out) {
    int t = threadIdx.x;
    half x = a[t], y = b[t];
    out[4 * t] = __hadd(x, y);
    out[4 * t + 1] = x * y;
    out[4 * t + 2] = __float2half(__half2float(x) * 3.7f);
    out[4 * t + 3] = x < y ? x - y : y - x;
}

// launch: pairs_of_halves grid=1 block=8 a=noise:f16[16] out=zeros:f16[16]
__global__ void pairs_of_halves(const half2* a, half2* out) {
    int t = threadIdx.x;
    out[t] = __hadd2(__hmul2(a[t], a[7 - t]), __float2half2_rn(0.5f));
}

// launch: brain_floats grid=1 block=16 a=noise:bf16[16] out=zeros:bf16[16] sums=zeros:f32[16]
__global__ void brain_floats(const __nv_bfloat16* a, __nv_bfloat16* out, float* sums) {
    int t = threadIdx.x;
    float v = __bfloat162float(a[t]);
    out[t] = __float2bfloat16(v * 1.01f);
    sums[t] = v + __bfloat162float(a[15 - t]);
}

// launch: counted_bits grid=1 block=32 x=bits:u32[32] out=zeros:u32[128]
__global__ void counted_bits(const unsigned* x, unsigned* out) {
    unsigned t = threadIdx.x, v = x[t] >> t;
    out[4 * t] = __popc(v);
    out[4 * t + 1] = __clz((int)v);
    out[4 * t + 2] = __ffs((int)v);
    out[4 * t + 3] = __brev(v);
}

// launch: moved_bytes grid=1 block=16 x=bits:u32[16] out=zeros:u32[48]
__global__ void moved_bytes(const unsigned* x, unsigned* out) {
    unsigned t = threadIdx.x, a = x[t], b = x[15 - t];
    out[3 * t] = __byte_perm(a, b, 0x5410);
    out[3 * t + 1] = __byte_perm(a, b, a & 0x7777);
    out[3 * t + 2] = __funnelshift_l(a, b, t * 3) ^ __funnelshift_r(a, b, t);
}

// launch: dot_of_bytes grid=1 block=16 x=bits:u32[16] out=zeros:i32[16]
__global__ void dot_of_bytes(const int* x, int* out) { out[threadIdx.x] = __dp4a(x[threadIdx.x], x[15 - threadIdx.x], 1000); }

// launch: bytes_in_a_word grid=1 block=16 x=bits:u32[16] out=zeros:u32[32]
__global__ void bytes_in_a_word(const unsigned* x, unsigned* out) {
    unsigned t = threadIdx.x, a = x[t], b = x[15 - t];
    out[2 * t] = __vadd4(a, b);
    out[2 * t + 1] = __vabsdiffu4(a, b);
}
