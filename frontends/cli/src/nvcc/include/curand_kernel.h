// States of random number generators, for the host, which keeps them in memory of the device. Their functions are the translator's.
#ifndef GIRIH_CURAND_KERNEL_H
#define GIRIH_CURAND_KERNEL_H
#if defined(__cplusplus) && defined(__CUDACC__)
#include "cuda_runtime.h"

struct __align__(8) curandStateXORWOW {
    unsigned int words[12];
};
typedef curandStateXORWOW curandStateXORWOW_t;
typedef curandStateXORWOW curandState;
typedef curandStateXORWOW curandState_t;

struct __align__(16) curandStatePhilox4_32_10 {
    unsigned int words[16];
};
typedef curandStatePhilox4_32_10 curandStatePhilox4_32_10_t;

template <class State> __device__ void curand_init(unsigned long long, unsigned long long, unsigned long long, State*);
template <class State> __device__ unsigned int curand(State*);
template <class State> __device__ float curand_uniform(State*);
template <class State> __device__ double curand_uniform_double(State*);
template <class State> __device__ float curand_normal(State*);
template <class State> __device__ double curand_normal_double(State*);
template <class State> __device__ float2 curand_normal2(State*);
template <class State> __device__ float4 curand_uniform4(State*);
template <class State> __device__ float4 curand_normal4(State*);
#endif
#endif
