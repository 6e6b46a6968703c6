// Half precision, stored and converted on the host; arithmetic is done in single precision and rounded to nearest even.
#ifndef GIRIH_CUDA_FP16_H
#define GIRIH_CUDA_FP16_H
#if defined(__cplusplus)
#include "cuda_runtime.h"
#include <string.h>

struct __half_raw {
    unsigned short x;
};

static inline __host__ __device__ unsigned short girih_half_bits(float f) {
    unsigned int bits;
    memcpy(&bits, &f, sizeof bits);
    unsigned int sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return (unsigned short)(sign | 0x7fffu);
    if (rest >= 0x477ff000u) return (unsigned short)(sign | 0x7c00u);
    if (rest < 0x33000001u) return (unsigned short)sign;
    // Below 2^-14 the steps have one size: the shift grows with the distance.
    int exponent = (int)(rest >> 23), shift = exponent < 113 ? 126 - exponent : 13;
    unsigned int whole = exponent < 113 ? (rest & 0x7fffffu) | 0x800000u : rest - 0x38000000u;
    unsigned int kept = whole >> shift, lost = whole & ((1u << shift) - 1), half = 1u << (shift - 1);
    kept += lost > half || (lost == half && (kept & 1));
    return (unsigned short)(sign | kept);
}
static inline __host__ __device__ float girih_half_value(unsigned short x) {
    unsigned int sign = (x & 0x8000u) << 16, exponent = x >> 10 & 31, rest = x & 0x3ffu;
    float scaled = (float)rest * (1.0f / 16777216.0f);
    unsigned int bits;
    if (exponent == 0) {
        memcpy(&bits, &scaled, sizeof bits);
        bits |= sign;
    } else {
        bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | rest << 13;
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

struct __align__(2) __half {
    unsigned short girih_bits;
    __half() = default;
    __host__ __device__ __half(__half_raw raw) : girih_bits(raw.x) {}
    __host__ __device__ __half(float f) : girih_bits(girih_half_bits(f)) {}
    __host__ __device__ __half(double f) : girih_bits(girih_half_bits((float)f)) {}
    __host__ __device__ __half(int f) : girih_bits(girih_half_bits((float)f)) {}
    __host__ __device__ operator float() const { return girih_half_value(girih_bits); }
    __host__ __device__ operator __half_raw() const { return __half_raw{girih_bits}; }
};
typedef __half half;
struct __align__(4) __half2 {
    __half x, y;
    __half2() = default;
    __host__ __device__ __half2(__half a, __half b) : x(a), y(b) {}
};
typedef __half2 half2;

#define GIRIH_BOTH static inline __host__ __device__
GIRIH_BOTH __half __float2half(float f) { return __half(f); }
GIRIH_BOTH __half __float2half_rn(float f) { return __half(f); }
GIRIH_BOTH __half __double2half(double f) { return __half(f); }
GIRIH_BOTH float __half2float(__half h) { return (float)h; }
GIRIH_BOTH __half2 __floats2half2_rn(float a, float b) { return __half2(__half(a), __half(b)); }
GIRIH_BOTH __half2 __float2half2_rn(float a) { return __half2(__half(a), __half(a)); }
GIRIH_BOTH float2 __half22float2(__half2 h) { return make_float2((float)h.x, (float)h.y); }
GIRIH_BOTH __half2 __halves2half2(__half a, __half b) { return __half2(a, b); }
GIRIH_BOTH __half2 make_half2(__half a, __half b) { return __half2(a, b); }
GIRIH_BOTH __half __low2half(__half2 h) { return h.x; }
GIRIH_BOTH __half __high2half(__half2 h) { return h.y; }
GIRIH_BOTH float __low2float(__half2 h) { return (float)h.x; }
GIRIH_BOTH float __high2float(__half2 h) { return (float)h.y; }
GIRIH_BOTH unsigned short __half_as_ushort(__half h) { return h.girih_bits; }
GIRIH_BOTH __half __ushort_as_half(unsigned short bits) { return __half(__half_raw{bits}); }
#undef GIRIH_BOTH
#endif
#endif
