// bfloat16, stored and converted on the host; arithmetic is done in single precision and rounded to nearest even.
#ifndef GIRIH_CUDA_BF16_H
#define GIRIH_CUDA_BF16_H
#if defined(__cplusplus)
#include "cuda_runtime.h"
#include <string.h>

struct __nv_bfloat16_raw {
    unsigned short x;
};

static inline __host__ __device__ unsigned short girih_bfloat_bits(float f) {
    unsigned int bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
static inline __host__ __device__ float girih_bfloat_value(unsigned short x) {
    unsigned int bits = (unsigned int)x << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

struct __align__(2) __nv_bfloat16 {
    unsigned short girih_bits;
    __nv_bfloat16() = default;
    __host__ __device__ __nv_bfloat16(__nv_bfloat16_raw raw) : girih_bits(raw.x) {}
    __host__ __device__ __nv_bfloat16(float f) : girih_bits(girih_bfloat_bits(f)) {}
    __host__ __device__ __nv_bfloat16(double f) : girih_bits(girih_bfloat_bits((float)f)) {}
    __host__ __device__ __nv_bfloat16(int f) : girih_bits(girih_bfloat_bits((float)f)) {}
    __host__ __device__ operator float() const { return girih_bfloat_value(girih_bits); }
    __host__ __device__ operator __nv_bfloat16_raw() const { return __nv_bfloat16_raw{girih_bits}; }
};
typedef __nv_bfloat16 nv_bfloat16;
struct __align__(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
    __nv_bfloat162() = default;
    __host__ __device__ __nv_bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) : x(a), y(b) {}
};
typedef __nv_bfloat162 nv_bfloat162;

#define GIRIH_BOTH static inline __host__ __device__
GIRIH_BOTH __nv_bfloat16 __float2bfloat16(float f) { return __nv_bfloat16(f); }
GIRIH_BOTH __nv_bfloat16 __float2bfloat16_rn(float f) { return __nv_bfloat16(f); }
GIRIH_BOTH __nv_bfloat16 __double2bfloat16(double f) { return __nv_bfloat16(f); }
GIRIH_BOTH float __bfloat162float(__nv_bfloat16 h) { return (float)h; }
GIRIH_BOTH __nv_bfloat162 __floats2bfloat162_rn(float a, float b) { return __nv_bfloat162(__nv_bfloat16(a), __nv_bfloat16(b)); }
GIRIH_BOTH float2 __bfloat1622float2(__nv_bfloat162 h) { return make_float2((float)h.x, (float)h.y); }
GIRIH_BOTH unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.girih_bits; }
GIRIH_BOTH __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return __nv_bfloat16(__nv_bfloat16_raw{bits}); }
#undef GIRIH_BOTH
#endif
#endif
