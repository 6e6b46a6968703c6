// The CUDA runtime for the host half of a program. Bodies of device functions are taken out before clang sees them, so that only
// what their declarations need is here.
#ifndef GIRIH_CUDA_RUNTIME_H
#define GIRIH_CUDA_RUNTIME_H
#define __CUDA_RUNTIME_H__

#include "host_defines.h"
#include "vector_types.h"
#include "vector_functions.h"
#include "cuda_runtime_api.h"
#include "texture_types.h"

#ifdef __cplusplus
// Programs count on these, which CUDA's header reads too.
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <math.h>
#include <cmath>
#include <utility>

// Forms with types.

template <class T> static inline cudaError_t cudaMalloc(T** out, size_t bytes) { return cudaMalloc((void**)out, bytes); }
template <class T> static inline cudaError_t cudaMallocAsync(T** out, size_t bytes, cudaStream_t stream) {
    return cudaMallocAsync((void**)out, bytes, stream);
}
template <class T> static inline cudaError_t cudaMallocHost(T** out, size_t bytes, unsigned int flags = 0) {
    return cudaHostAlloc((void**)out, bytes, flags);
}
template <class T> static inline cudaError_t cudaHostAlloc(T** out, size_t bytes, unsigned int flags) {
    return cudaHostAlloc((void**)out, bytes, flags);
}
template <class T> static inline cudaError_t cudaMallocManaged(T** out, size_t bytes, unsigned int flags = cudaMemAttachGlobal) {
    return cudaMallocManaged((void**)out, bytes, flags);
}
template <class T> static inline cudaError_t cudaMallocPitch(T** out, size_t* pitch, size_t width, size_t height) {
    return cudaMallocPitch((void**)out, pitch, width, height);
}
template <class T> static inline cudaError_t cudaHostGetDevicePointer(T** out, void* host, unsigned int flags) {
    return cudaHostGetDevicePointer((void**)out, host, flags);
}
template <class T> static inline cudaError_t cudaStreamAttachMemAsync(cudaStream_t stream, T* address, size_t bytes = 0,
                                                                      unsigned int flags = cudaMemAttachSingle) {
    return cudaStreamAttachMemAsync(stream, (void*)address, bytes, flags);
}
static inline cudaError_t cudaEventCreate(cudaEvent_t* out, unsigned int flags) { return cudaEventCreateWithFlags(out, flags); }

template <class T> static inline cudaError_t cudaGetSymbolAddress(void** out, const T& symbol) {
    return cudaGetSymbolAddress(out, (const void*)&symbol);
}
template <class T> static inline cudaError_t cudaGetSymbolSize(size_t* out, const T& symbol) {
    return cudaGetSymbolSize(out, (const void*)&symbol);
}
template <class T> static inline cudaError_t cudaMemcpyToSymbol(const T& symbol, const void* from, size_t bytes, size_t offset = 0,
                                                                cudaMemcpyKind kind = cudaMemcpyHostToDevice) {
    return girihToSymbol((const void*)&symbol, from, bytes, offset, kind);
}
template <class T> static inline cudaError_t cudaMemcpyToSymbolAsync(const T& symbol, const void* from, size_t bytes,
                                                                     size_t offset = 0,
                                                                     cudaMemcpyKind kind = cudaMemcpyHostToDevice,
                                                                     cudaStream_t = 0) {
    return girihToSymbol((const void*)&symbol, from, bytes, offset, kind);
}
template <class T> static inline cudaError_t cudaMemcpyFromSymbol(void* to, const T& symbol, size_t bytes, size_t offset = 0,
                                                                  cudaMemcpyKind kind = cudaMemcpyDeviceToHost) {
    return girihFromSymbol(to, (const void*)&symbol, bytes, offset, kind);
}
template <class T> static inline cudaError_t cudaMemcpyFromSymbolAsync(void* to, const T& symbol, size_t bytes, size_t offset = 0,
                                                                       cudaMemcpyKind kind = cudaMemcpyDeviceToHost,
                                                                       cudaStream_t = 0) {
    return girihFromSymbol(to, (const void*)&symbol, bytes, offset, kind);
}

template <class K> static inline cudaError_t cudaLaunchKernel(K* kernel, dim3 grid, dim3 block, void** arguments,
                                                              size_t shared = 0, cudaStream_t stream = 0) {
    return cudaLaunchKernel((const void*)kernel, grid, block, arguments, shared, stream);
}
template <class K> static inline cudaError_t cudaLaunchCooperativeKernel(K* kernel, dim3 grid, dim3 block, void** arguments,
                                                                         size_t shared = 0, cudaStream_t stream = 0) {
    return cudaLaunchCooperativeKernel((const void*)kernel, grid, block, arguments, shared, stream);
}
template <class K> static inline cudaError_t cudaFuncSetAttribute(K* kernel, cudaFuncAttribute attribute, int value) {
    return cudaFuncSetAttribute((const void*)kernel, attribute, value);
}
template <class K> static inline cudaError_t cudaFuncSetCacheConfig(K* kernel, cudaFuncCache config) {
    return cudaFuncSetCacheConfig((const void*)kernel, config);
}
template <class K> static inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* out, K* kernel) {
    return cudaFuncGetAttributes(out, (const void*)kernel);
}
template <class K> static inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, K kernel, int threads,
                                                                                           size_t shared) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, (const void*)kernel, threads, shared);
}
template <class K> static inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, K kernel,
                                                                                                    int threads, size_t shared,
                                                                                                    unsigned int) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, (const void*)kernel, threads, shared);
}
template <class F, class K> static inline cudaError_t cudaOccupancyMaxPotentialBlockSizeVariableSMem(int* grid, int* block,
                                                                                                     K kernel, F shared,
                                                                                                     int limit = 0) {
    cudaDeviceProp p;
    cudaError_t done = cudaGetDeviceProperties(&p, 0);
    if (done != cudaSuccess) return done;
    int most = limit > 0 && limit < p.maxThreadsPerBlock ? limit : p.maxThreadsPerBlock;
    for (*block = most; *block > 32 && shared(*block) > p.sharedMemPerBlock; *block -= 32) {}
    int blocks = 0;
    done = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, (const void*)kernel, *block, shared(*block));
    *grid = blocks * p.multiProcessorCount;
    return done;
}
template <class K> static inline cudaError_t cudaOccupancyMaxPotentialBlockSize(int* grid, int* block, K kernel,
                                                                                size_t shared = 0, int limit = 0) {
    return cudaOccupancyMaxPotentialBlockSizeVariableSMem(grid, block, kernel, [=](int) { return shared; }, limit);
}

#ifdef __CUDACC__
extern "C" unsigned int __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared = 0, struct CUstream_st* stream = 0);

#include "device_functions.h"
#endif
#endif

#endif
