// Functions and variables of device code that functions for both sides name. Those for both have bodies here.
#ifndef GIRIH_DEVICE_FUNCTIONS_H
#define GIRIH_DEVICE_FUNCTIONS_H

#if defined(__cplusplus) && defined(__CUDACC__)
#include "vector_types.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

extern const __device__ uint3 threadIdx;
extern const __device__ uint3 blockIdx;
extern const __device__ dim3 blockDim;
extern const __device__ dim3 gridDim;
static constexpr int warpSize = 32;

__device__ void __syncthreads();
__device__ int __syncthreads_count(int);
__device__ int __syncthreads_and(int);
__device__ int __syncthreads_or(int);
__device__ void __syncwarp(unsigned int mask = 0xffffffffu);
__device__ void __threadfence();
__device__ void __threadfence_block();
__device__ void __threadfence_system();
__device__ unsigned int __activemask();
__device__ unsigned int __ballot_sync(unsigned int, int);
__device__ int __all_sync(unsigned int, int);
__device__ int __any_sync(unsigned int, int);
template <class T> __device__ T __shfl_sync(unsigned int, T, int, int = 32);
template <class T> __device__ T __shfl_up_sync(unsigned int, T, unsigned int, int = 32);
template <class T> __device__ T __shfl_down_sync(unsigned int, T, unsigned int, int = 32);
template <class T> __device__ T __shfl_xor_sync(unsigned int, T, int, int = 32);
template <class T> __device__ T __ldg(const T*);
template <class T> __device__ T __ldcs(const T*);
template <class T> __device__ T __ldcg(const T*);
template <class T> __device__ void __stcs(T*, T);
template <class T> __device__ void __stcg(T*, T);
template <class T> __device__ T atomicAdd(T*, T);
template <class T> __device__ T atomicSub(T*, T);
template <class T> __device__ T atomicMin(T*, T);
template <class T> __device__ T atomicMax(T*, T);
template <class T> __device__ T atomicAnd(T*, T);
template <class T> __device__ T atomicOr(T*, T);
template <class T> __device__ T atomicXor(T*, T);
template <class T> __device__ T atomicExch(T*, T);
template <class T> __device__ T atomicCAS(T*, T, T);
__device__ unsigned int atomicInc(unsigned int*, unsigned int);
__device__ unsigned int atomicDec(unsigned int*, unsigned int);
__device__ long long clock64();
__device__ float __expf(float);
__device__ float __logf(float);
__device__ float __log2f(float);
__device__ float __log10f(float);
__device__ float __powf(float, float);
__device__ float __sinf(float);
__device__ float __cosf(float);
__device__ float __tanf(float);
__device__ void __sincosf(float, float*, float*);
__device__ float __saturatef(float);
__device__ void __trap();

#define GIRIH_BOTH static inline __host__ __device__

GIRIH_BOTH int min(int a, int b) { return a < b ? a : b; }
GIRIH_BOTH unsigned int min(unsigned int a, unsigned int b) { return a < b ? a : b; }
GIRIH_BOTH unsigned int min(int a, unsigned int b) { return min((unsigned int)a, b); }
GIRIH_BOTH unsigned int min(unsigned int a, int b) { return min(a, (unsigned int)b); }
GIRIH_BOTH long min(long a, long b) { return a < b ? a : b; }
GIRIH_BOTH unsigned long min(unsigned long a, unsigned long b) { return a < b ? a : b; }
GIRIH_BOTH unsigned long min(long a, unsigned long b) { return min((unsigned long)a, b); }
GIRIH_BOTH unsigned long min(unsigned long a, long b) { return min(a, (unsigned long)b); }
GIRIH_BOTH long long min(long long a, long long b) { return a < b ? a : b; }
GIRIH_BOTH unsigned long long min(unsigned long long a, unsigned long long b) { return a < b ? a : b; }
GIRIH_BOTH float min(float a, float b) { return fminf(a, b); }
GIRIH_BOTH double min(double a, double b) { return fmin(a, b); }
GIRIH_BOTH double min(float a, double b) { return fmin(a, b); }
GIRIH_BOTH double min(double a, float b) { return fmin(a, b); }
GIRIH_BOTH int max(int a, int b) { return a > b ? a : b; }
GIRIH_BOTH unsigned int max(unsigned int a, unsigned int b) { return a > b ? a : b; }
GIRIH_BOTH unsigned int max(int a, unsigned int b) { return max((unsigned int)a, b); }
GIRIH_BOTH unsigned int max(unsigned int a, int b) { return max(a, (unsigned int)b); }
GIRIH_BOTH long max(long a, long b) { return a > b ? a : b; }
GIRIH_BOTH unsigned long max(unsigned long a, unsigned long b) { return a > b ? a : b; }
GIRIH_BOTH unsigned long max(long a, unsigned long b) { return max((unsigned long)a, b); }
GIRIH_BOTH unsigned long max(unsigned long a, long b) { return max(a, (unsigned long)b); }
GIRIH_BOTH long long max(long long a, long long b) { return a > b ? a : b; }
GIRIH_BOTH unsigned long long max(unsigned long long a, unsigned long long b) { return a > b ? a : b; }
GIRIH_BOTH float max(float a, float b) { return fmaxf(a, b); }
GIRIH_BOTH double max(double a, double b) { return fmax(a, b); }
GIRIH_BOTH double max(float a, double b) { return fmax(a, b); }
GIRIH_BOTH double max(double a, float b) { return fmax(a, b); }

GIRIH_BOTH float rsqrtf(float x) { return 1.0f / sqrtf(x); }
GIRIH_BOTH double rsqrt(double x) { return 1.0 / sqrt(x); }
GIRIH_BOTH float rcbrtf(float x) { return 1.0f / cbrtf(x); }
GIRIH_BOTH float exp10f(float x, int = 0) { return powf(10.0f, x); }
GIRIH_BOTH float sinpif(float x) { return sinf(3.14159265358979323846f * x); }
GIRIH_BOTH float cospif(float x) { return cosf(3.14159265358979323846f * x); }
GIRIH_BOTH double sinpi(double x) { return sin(3.14159265358979323846 * x); }
GIRIH_BOTH double cospi(double x) { return cos(3.14159265358979323846 * x); }
GIRIH_BOTH float normcdff(float x) { return 0.5f * erfcf(-x * 0.70710678118654752440f); }
GIRIH_BOTH double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
GIRIH_BOTH float __fdividef(float a, float b) { return a / b; }
GIRIH_BOTH float __frcp_rn(float x) { return 1.0f / x; }
GIRIH_BOTH float __fsqrt_rn(float x) { return sqrtf(x); }
GIRIH_BOTH float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
GIRIH_BOTH float __fmul_rn(float a, float b) { return a * b; }
GIRIH_BOTH float __fadd_rn(float a, float b) { return a + b; }
GIRIH_BOTH double __dmul_rn(double a, double b) { return a * b; }
GIRIH_BOTH double __dadd_rn(double a, double b) { return a + b; }
GIRIH_BOTH int __mul24(int a, int b) {
    return (int)((unsigned int)((int)((unsigned int)a << 8) >> 8) * (unsigned int)((int)((unsigned int)b << 8) >> 8));
}
GIRIH_BOTH unsigned int __umul24(unsigned int a, unsigned int b) { return (a & 0xffffffu) * (b & 0xffffffu); }
GIRIH_BOTH int __mulhi(int a, int b) { return (int)(((long long)a * b) >> 32); }
GIRIH_BOTH unsigned int __umulhi(unsigned int a, unsigned int b) { return (unsigned int)(((unsigned long long)a * b) >> 32); }
GIRIH_BOTH int __popc(unsigned int x) { return __builtin_popcount(x); }
GIRIH_BOTH int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
GIRIH_BOTH int __clz(int x) { return x == 0 ? 32 : __builtin_clz((unsigned int)x); }
GIRIH_BOTH int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll((unsigned long long)x); }
GIRIH_BOTH int __ffs(int x) { return __builtin_ffs(x); }
GIRIH_BOTH int __ffsll(long long x) { return __builtin_ffsll(x); }
GIRIH_BOTH unsigned int __brev(unsigned int x) { return __builtin_bitreverse32(x); }
GIRIH_BOTH unsigned long long __brevll(unsigned long long x) { return __builtin_bitreverse64(x); }

template <class To, class From> GIRIH_BOTH To girih_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "bits of the same width");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
GIRIH_BOTH int __float_as_int(float x) { return girih_bits<int>(x); }
GIRIH_BOTH unsigned int __float_as_uint(float x) { return girih_bits<unsigned int>(x); }
GIRIH_BOTH float __int_as_float(int x) { return girih_bits<float>(x); }
GIRIH_BOTH float __uint_as_float(unsigned int x) { return girih_bits<float>(x); }
GIRIH_BOTH long long __double_as_longlong(double x) { return girih_bits<long long>(x); }
GIRIH_BOTH double __longlong_as_double(long long x) { return girih_bits<double>(x); }

#undef GIRIH_BOTH
#endif
#endif
