// The driver interface is not provided; these are the names that programs of the runtime take from its header.
#ifndef GIRIH_CUDA_H
#define GIRIH_CUDA_H
#define CUDA_VERSION 12040

#include "cuda_runtime.h"

typedef int CUdevice;
typedef struct CUctx_st* CUcontext;
typedef struct CUmod_st* CUmodule;
typedef struct CUfunc_st* CUfunction;
typedef cudaStream_t CUstream;
typedef unsigned long long CUdeviceptr;

#endif
