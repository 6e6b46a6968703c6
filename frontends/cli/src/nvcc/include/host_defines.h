// What marks functions, variables and types of CUDA programs.
#ifndef GIRIH_HOST_DEFINES_H
#define GIRIH_HOST_DEFINES_H

#if defined(__CUDACC__)
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __host__ __attribute__((host))
#define __constant__ __attribute__((constant))
#define __shared__ __attribute__((shared))
#define __managed__ __attribute__((managed))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __grid_constant__
#define __maxnreg__(...)
#define __cluster_dims__(...)
#else
#define __device__
#define __host__
#define __constant__
#endif

#define __forceinline__ __inline__ __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __align__(n)
#define __device_builtin__
#define __cudart_builtin__
#define CUDARTAPI
#define CUDART_CB
#ifndef __restrict__
#define __restrict__ __restrict
#endif

#endif
