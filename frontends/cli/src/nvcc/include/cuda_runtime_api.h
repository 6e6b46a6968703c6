// The CUDA runtime's functions, for C and C++: those of the library, and forms of them.
#ifndef GIRIH_CUDA_RUNTIME_API_H
#define GIRIH_CUDA_RUNTIME_API_H

#include <string.h>
#include "driver_types.h"

#ifdef __cplusplus
#define GIRIH_OR(value) = value
extern "C" {
#else
#define GIRIH_OR(value)
#endif

cudaError_t cudaMalloc(void** out, size_t bytes);
cudaError_t cudaFree(void* address);
cudaError_t cudaFreeHost(void* address);
cudaError_t girihMallocBoth(void** out, size_t bytes, int managed);
int girihPointerKind(const void* address);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, enum cudaMemcpyKind kind);
cudaError_t cudaMemcpy2D(void* to, size_t toPitch, const void* from, size_t fromPitch, size_t width, size_t height,
                         enum cudaMemcpyKind kind);
cudaError_t cudaMemset(void* to, int byte, size_t bytes);
cudaError_t cudaGetSymbolAddress(void** out, const void* symbol);
cudaError_t cudaGetSymbolSize(size_t* out, const void* symbol);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaDeviceReset(void);
cudaError_t cudaStreamCreate(cudaStream_t* out);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreate(cudaEvent_t* out);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream GIRIH_OR(0));
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
cudaError_t girihError(cudaError_t code);
const char* cudaGetErrorName(cudaError_t code);
const char* cudaGetErrorString(cudaError_t code);
cudaError_t girihDeviceName(char* out, size_t bytes);
cudaError_t girihDeviceNumber(unsigned long long* out, int which);
cudaError_t girihCheckFunction(const void* kernel);
cudaError_t cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t stream);

// Memory. Streams are one queue, and a copy is done when it returns.

static inline cudaError_t cudaMallocAsync(void** out, size_t bytes, cudaStream_t stream) {
    (void)stream;
    return cudaMalloc(out, bytes);
}
static inline cudaError_t cudaFreeAsync(void* address, cudaStream_t stream) {
    (void)stream;
    return cudaFree(address);
}
static inline cudaError_t cudaHostAlloc(void** out, size_t bytes, unsigned int flags) {
    (void)flags;
    return girihMallocBoth(out, bytes, 0);
}
static inline cudaError_t cudaMallocHost(void** out, size_t bytes) { return girihMallocBoth(out, bytes, 0); }
static inline cudaError_t cudaMallocManaged(void** out, size_t bytes, unsigned int flags GIRIH_OR(cudaMemAttachGlobal)) {
    (void)flags;
    return girihMallocBoth(out, bytes, 1);
}
// Page-locking changes no result. An address for the device is refused later.
static inline cudaError_t cudaHostRegister(void* address, size_t bytes, unsigned int flags) {
    (void)address, (void)bytes, (void)flags;
    return cudaSuccess;
}
static inline cudaError_t cudaHostUnregister(void* address) {
    (void)address;
    return cudaSuccess;
}
static inline cudaError_t cudaHostGetDevicePointer(void** out, void* host, unsigned int flags) {
    int kind = girihPointerKind(host);
    (void)flags;
    if (kind != 1 && kind != 3) return girihError(cudaErrorInvalidValue);
    *out = host;
    return cudaSuccess;
}
static inline cudaError_t cudaMallocPitch(void** out, size_t* pitch, size_t width, size_t height) {
    *pitch = (width + 511) / 512 * 512;
    return cudaMalloc(out, *pitch * height);
}
static inline cudaError_t cudaMalloc3D(struct cudaPitchedPtr* out, struct cudaExtent extent) {
    out->xsize = extent.width;
    out->ysize = extent.height;
    return cudaMallocPitch(&out->ptr, &out->pitch, extent.width, extent.height * extent.depth);
}
static inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, enum cudaMemcpyKind kind,
                                          cudaStream_t stream GIRIH_OR(0)) {
    (void)stream;
    return cudaMemcpy(to, from, bytes, kind);
}
static inline cudaError_t cudaMemcpy2DAsync(void* to, size_t toPitch, const void* from, size_t fromPitch, size_t width,
                                            size_t height, enum cudaMemcpyKind kind, cudaStream_t stream GIRIH_OR(0)) {
    (void)stream;
    return cudaMemcpy2D(to, toPitch, from, fromPitch, width, height, kind);
}
static inline cudaError_t cudaMemcpyPeer(void* to, int toDevice, const void* from, int fromDevice, size_t bytes) {
    if (toDevice != 0 || fromDevice != 0) return girihError(cudaErrorInvalidDevice);
    return cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToDevice);
}
static inline cudaError_t cudaMemcpyPeerAsync(void* to, int toDevice, const void* from, int fromDevice, size_t bytes,
                                              cudaStream_t stream GIRIH_OR(0)) {
    (void)stream;
    return cudaMemcpyPeer(to, toDevice, from, fromDevice, bytes);
}
static inline cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t stream GIRIH_OR(0)) {
    (void)stream;
    return cudaMemset(to, byte, bytes);
}
static inline cudaError_t cudaMemset2D(void* to, size_t pitch, int byte, size_t width, size_t height) {
    size_t row;
    for (row = 0; row < height; row++) {
        cudaError_t done = cudaMemset((char*)to + row * pitch, byte, width);
        if (done != cudaSuccess) return done;
    }
    return cudaSuccess;
}
static inline cudaError_t girihSymbol(char** at, const void* symbol, size_t bytes, size_t offset) {
    size_t size;
    cudaError_t done = cudaGetSymbolSize(&size, symbol);
    if (done != cudaSuccess) return done;
    if (offset > size || bytes > size - offset) return girihError(cudaErrorInvalidValue);
    done = cudaGetSymbolAddress((void**)at, symbol);
    *at += offset;
    return done;
}
static inline cudaError_t girihToSymbol(const void* symbol, const void* from, size_t bytes, size_t offset,
                                        enum cudaMemcpyKind kind) {
    char* to = 0;
    cudaError_t done = girihSymbol(&to, symbol, bytes, offset);
    return done == cudaSuccess ? cudaMemcpy(to, from, bytes, kind) : done;
}
static inline cudaError_t girihFromSymbol(void* to, const void* symbol, size_t bytes, size_t offset,
                                          enum cudaMemcpyKind kind) {
    char* from = 0;
    cudaError_t done = girihSymbol(&from, symbol, bytes, offset);
    return done == cudaSuccess ? cudaMemcpy(to, from, bytes, kind) : done;
}
static inline cudaError_t cudaMemPrefetchAsync(const void* address, size_t bytes, int device, cudaStream_t stream GIRIH_OR(0)) {
    (void)address, (void)bytes, (void)device, (void)stream;
    return cudaSuccess;
}
static inline cudaError_t cudaMemAdvise(const void* address, size_t bytes, enum cudaMemoryAdvise advice, int device) {
    (void)address, (void)bytes, (void)advice, (void)device;
    return cudaSuccess;
}
static inline cudaError_t cudaStreamAttachMemAsync(cudaStream_t stream, void* address, size_t bytes GIRIH_OR(0),
                                                   unsigned int flags GIRIH_OR(cudaMemAttachSingle)) {
    (void)stream, (void)address, (void)bytes, (void)flags;
    return cudaSuccess;
}
static inline cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes* out, const void* address) {
    int kind = girihPointerKind(address);
    out->type = (enum cudaMemoryType)kind;
    out->device = kind == 0 ? -1 : 0;
    out->devicePointer = kind == 0 ? 0 : (void*)address;
    out->hostPointer = kind == 2 ? 0 : (void*)address;
    return cudaSuccess;
}

// Streams and events.

static inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned int flags) {
    (void)flags;
    return cudaStreamCreate(out);
}
static inline cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out, unsigned int flags, int priority) {
    (void)flags, (void)priority;
    return cudaStreamCreate(out);
}
static inline cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
    (void)stream;
    *priority = 0;
    return cudaSuccess;
}
static inline cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
    *least = *greatest = 0;
    return cudaSuccess;
}
static inline cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }
static inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags GIRIH_OR(0)) {
    (void)stream, (void)event, (void)flags;
    return cudaSuccess;
}
static inline cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
    cudaError_t done = cudaStreamSynchronize(stream);
    if (done == cudaSuccess) function(data);
    return done;
}
static inline cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t function, void* data,
                                                unsigned int flags) {
    cudaError_t done = cudaStreamSynchronize(stream);
    (void)flags;
    function(stream, done, data);
    return done;
}
static inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned int flags) {
    (void)flags;
    return cudaEventCreate(out);
}
static inline cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream GIRIH_OR(0),
                                                   unsigned int flags GIRIH_OR(0)) {
    (void)flags;
    return cudaEventRecord(event, stream);
}
static inline cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }

#ifdef __cplusplus
static inline cudaError_t cudaStreamSetAttribute(cudaStream_t stream, cudaStreamAttrID, const cudaStreamAttrValue*) {
    (void)stream;
    return cudaSuccess;
}
#endif

static inline cudaError_t cudaCtxResetPersistingL2Cache(void) { return cudaSuccess; }

// The device: there is one.

static inline cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}
static inline cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
static inline cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : girihError(cudaErrorInvalidDevice); }
static inline cudaError_t cudaSetDeviceFlags(unsigned int flags) {
    (void)flags;
    return cudaSuccess;
}
static inline cudaError_t cudaInitDevice(int device, unsigned int flags, unsigned int more) {
    (void)flags, (void)more;
    return cudaSetDevice(device);
}
static inline cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
    (void)device, (void)peer;
    *can = 0;
    return cudaSuccess;
}
static inline cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned int flags) {
    (void)peer, (void)flags;
    return girihError(cudaErrorPeerAccessUnsupported);
}
static inline cudaError_t cudaDeviceDisablePeerAccess(int peer) {
    (void)peer;
    return girihError(cudaErrorPeerAccessUnsupported);
}
static inline cudaError_t cudaDeviceSetCacheConfig(enum cudaFuncCache config) {
    (void)config;
    return cudaSuccess;
}
static inline cudaError_t cudaDeviceSetSharedMemConfig(enum cudaSharedMemConfig config) {
    (void)config;
    return cudaSuccess;
}
static inline cudaError_t cudaDeviceSetLimit(enum cudaLimit limit, size_t value) {
    (void)limit, (void)value;
    return cudaSuccess;
}
static inline cudaError_t cudaDriverGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
static inline cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

static inline cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp* p, int device) {
    unsigned long long n[4];
    int i;
    cudaError_t done = cudaSetDevice(device);
    memset(p, 0, sizeof *p);
    for (i = 0; i < 4 && done == cudaSuccess; i++) done = girihDeviceNumber(&n[i], i);
    if (done == cudaSuccess) done = girihDeviceName(p->name, sizeof p->name);
    if (done != cudaSuccess) return done;
    p->totalGlobalMem = (size_t)n[0];
    p->maxThreadsPerBlock = p->maxThreadsPerMultiProcessor = (int)n[1];
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = (int)n[1];
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->sharedMemPerBlock = p->sharedMemPerBlockOptin = p->sharedMemPerMultiprocessor = (size_t)n[2];
    p->multiProcessorCount = (int)n[3];
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxBlocksPerMultiProcessor = 16;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->warpSize = 32;
    p->memPitch = 2147483647;
    p->totalConstMem = 65536;
    p->clockRate = p->memoryClockRate = 1000000;
    p->memoryBusWidth = 64;
    p->l2CacheSize = 4 << 20;
    p->major = 8;
    p->minor = 0;
    p->textureAlignment = p->surfaceAlignment = 512;
    p->texturePitchAlignment = 32;
    p->deviceOverlap = p->asyncEngineCount = p->concurrentKernels = 1;
    p->canMapHostMemory = p->unifiedAddressing = p->managedMemory = 1;
    p->streamPrioritiesSupported = 1;
    return cudaSuccess;
}

static inline cudaError_t cudaDeviceGetAttribute(int* out, enum cudaDeviceAttr attribute, int device) {
    struct cudaDeviceProp p;
    cudaError_t done = cudaGetDeviceProperties(&p, device);
    if (done != cudaSuccess) return done;
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock: *out = p.maxThreadsPerBlock; break;
        case cudaDevAttrMaxBlockDimX: *out = p.maxThreadsDim[0]; break;
        case cudaDevAttrMaxBlockDimY: *out = p.maxThreadsDim[1]; break;
        case cudaDevAttrMaxBlockDimZ: *out = p.maxThreadsDim[2]; break;
        case cudaDevAttrMaxGridDimX: *out = p.maxGridSize[0]; break;
        case cudaDevAttrMaxGridDimY: *out = p.maxGridSize[1]; break;
        case cudaDevAttrMaxGridDimZ: *out = p.maxGridSize[2]; break;
        case cudaDevAttrMaxSharedMemoryPerBlock:
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *out = (int)p.sharedMemPerBlock; break;
        case cudaDevAttrTotalConstantMemory: *out = (int)p.totalConstMem; break;
        case cudaDevAttrWarpSize: *out = p.warpSize; break;
        case cudaDevAttrMaxPitch: *out = (int)p.memPitch; break;
        case cudaDevAttrMaxRegistersPerBlock:
        case cudaDevAttrMaxRegistersPerMultiprocessor: *out = p.regsPerBlock; break;
        case cudaDevAttrClockRate: *out = p.clockRate; break;
        case cudaDevAttrMemoryClockRate: *out = p.memoryClockRate; break;
        case cudaDevAttrGlobalMemoryBusWidth: *out = p.memoryBusWidth; break;
        case cudaDevAttrTextureAlignment: *out = (int)p.textureAlignment; break;
        case cudaDevAttrMultiProcessorCount: *out = p.multiProcessorCount; break;
        case cudaDevAttrL2CacheSize: *out = p.l2CacheSize; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *out = p.maxThreadsPerMultiProcessor; break;
        case cudaDevAttrMaxBlocksPerMultiprocessor: *out = p.maxBlocksPerMultiProcessor; break;
        case cudaDevAttrComputeCapabilityMajor: *out = p.major; break;
        case cudaDevAttrComputeCapabilityMinor: *out = p.minor; break;
        case cudaDevAttrGpuOverlap:
        case cudaDevAttrAsyncEngineCount:
        case cudaDevAttrCanMapHostMemory:
        case cudaDevAttrConcurrentKernels:
        case cudaDevAttrUnifiedAddressing:
        case cudaDevAttrStreamPrioritiesSupported:
        case cudaDevAttrManagedMemory: *out = 1; break;
        // What there is not: grid-wide barriers, the host in managed memory while a kernel runs, memory pools, and the rest.
        default: *out = 0; break;
    }
    return cudaSuccess;
}

// Kernels.

static inline cudaError_t cudaFuncSetAttribute(const void* kernel, enum cudaFuncAttribute attribute, int value) {
    unsigned long long most;
    cudaError_t done = girihCheckFunction(kernel);
    if (done != cudaSuccess || attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return done;
    done = girihDeviceNumber(&most, 2);
    if (done != cudaSuccess) return done;
    return value < 0 || (unsigned long long)value > most ? girihError(cudaErrorInvalidValue) : cudaSuccess;
}
static inline cudaError_t cudaFuncSetCacheConfig(const void* kernel, enum cudaFuncCache config) {
    (void)config;
    return girihCheckFunction(kernel);
}
static inline cudaError_t cudaFuncSetSharedMemConfig(const void* kernel, enum cudaSharedMemConfig config) {
    (void)config;
    return girihCheckFunction(kernel);
}
static inline cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes* out, const void* kernel) {
    struct cudaDeviceProp p;
    cudaError_t done = girihCheckFunction(kernel);
    memset(out, 0, sizeof *out);
    if (done == cudaSuccess) done = cudaGetDeviceProperties(&p, 0);
    if (done != cudaSuccess) return done;
    out->maxThreadsPerBlock = p.maxThreadsPerBlock;
    out->maxDynamicSharedSizeBytes = (int)p.sharedMemPerBlock;
    out->numRegs = 32;
    out->ptxVersion = out->binaryVersion = 80;
    return cudaSuccess;
}
static inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int threads,
                                                                        size_t shared) {
    struct cudaDeviceProp p;
    cudaError_t done = girihCheckFunction(kernel);
    if (done == cudaSuccess) done = cudaGetDeviceProperties(&p, 0);
    if (done != cudaSuccess) return done;
    if (threads < 1) return girihError(cudaErrorInvalidValue);
    *blocks = p.maxThreadsPerMultiProcessor / threads;
    if (*blocks > p.maxBlocksPerMultiProcessor) *blocks = p.maxBlocksPerMultiProcessor;
    if (threads > p.maxThreadsPerBlock || shared > p.sharedMemPerBlock) *blocks = 0;
    return cudaSuccess;
}
static inline cudaError_t cudaLaunchCooperativeKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                                                      cudaStream_t stream) {
    // A kernel that waits for the whole grid is refused when it is translated.
    return cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}

static inline struct cudaExtent make_cudaExtent(size_t width, size_t height, size_t depth) {
    struct cudaExtent e = {width, height, depth};
    return e;
}
static inline struct cudaPitchedPtr make_cudaPitchedPtr(void* ptr, size_t pitch, size_t xsize, size_t ysize) {
    struct cudaPitchedPtr p = {ptr, pitch, xsize, ysize};
    return p;
}
static inline struct cudaPos make_cudaPos(size_t x, size_t y, size_t z) {
    struct cudaPos p = {x, y, z};
    return p;
}

static inline cudaError_t cudaProfilerStart(void) { return cudaSuccess; }
static inline cudaError_t cudaProfilerStop(void) { return cudaSuccess; }

#ifdef __cplusplus
}
#endif

#endif
