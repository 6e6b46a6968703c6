// The part of cuBLASLt that products with a bias need; other epilogues are refused, as the library refuses what a device cannot do.
#ifndef GIRIH_CUBLAS_LT_H
#define GIRIH_CUBLAS_LT_H

#include "cublas_v2.h"

typedef struct girih_cublas_lt* cublasLtHandle_t;
typedef struct girih_cublas_lt_desc* cublasLtMatmulDesc_t;
typedef struct girih_cublas_lt_layout* cublasLtMatrixLayout_t;
typedef struct girih_cublas_lt_preference* cublasLtMatmulPreference_t;
typedef struct {
    unsigned long long data[8];
} cublasLtMatmulAlgo_t;
typedef struct {
    cublasLtMatmulAlgo_t algo;
    size_t workspaceSize;
    cublasStatus_t state;
    float wavesCount;
} cublasLtMatmulHeuristicResult_t;
typedef enum {
    CUBLASLT_EPILOGUE_DEFAULT = 1,
    CUBLASLT_EPILOGUE_RELU = 2,
    CUBLASLT_EPILOGUE_BIAS = 4,
    CUBLASLT_EPILOGUE_RELU_BIAS = 6,
    CUBLASLT_EPILOGUE_GELU = 32,
    CUBLASLT_EPILOGUE_GELU_BIAS = 36,
    CUBLASLT_EPILOGUE_BGRADB = 512
} cublasLtEpilogue_t;
enum {
    CUBLASLT_MATMUL_DESC_TRANSA = 3,
    CUBLASLT_MATMUL_DESC_TRANSB = 4,
    CUBLASLT_MATMUL_DESC_EPILOGUE = 7,
    CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8
};
enum { CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1 };

static inline cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
    *handle = (cublasLtHandle_t)1;
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { return CUBLAS_STATUS_SUCCESS; }

// Descriptions are what they say; a transposition of `c` and what is not listed below is refused.
struct girih_cublas_lt_desc {
    cublasComputeType_t compute;
    cudaDataType_t scale;
    cublasOperation_t ta, tb;
    cublasLtEpilogue_t epilogue;
    const void* bias;
};
struct girih_cublas_lt_layout {
    cudaDataType_t type;
    unsigned long long rows, columns;
    long long ld;
};

static inline cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* out, cublasComputeType_t compute, cudaDataType_t scale) {
    girih_cublas_lt_desc d = {compute, scale, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, 0};
    *out = new girih_cublas_lt_desc(d);
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
    delete d;
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, int attribute, const void* value, size_t bytes) {
    void* to = 0;
    size_t room = 0;
    switch (attribute) {
        case CUBLASLT_MATMUL_DESC_TRANSA: to = &d->ta; room = sizeof d->ta; break;
        case CUBLASLT_MATMUL_DESC_TRANSB: to = &d->tb; room = sizeof d->tb; break;
        case CUBLASLT_MATMUL_DESC_EPILOGUE: to = &d->epilogue; room = sizeof d->epilogue; break;
        case CUBLASLT_MATMUL_DESC_BIAS_POINTER: to = &d->bias; room = sizeof d->bias; break;
        default: return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (bytes != room) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* out, cudaDataType_t type, unsigned long long rows,
                                                        unsigned long long columns, long long ld) {
    girih_cublas_lt_layout l = {type, rows, columns, ld};
    *out = new girih_cublas_lt_layout(l);
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
    delete l;
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* out) {
    *out = (cublasLtMatmulPreference_t)1;
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t) { return CUBLAS_STATUS_SUCCESS; }
static inline cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t, int, const void*, size_t) {
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t,
                                                            cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                                            cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int most,
                                                            cublasLtMatmulHeuristicResult_t* out, int* found) {
    *found = most > 0 && (d->epilogue == CUBLASLT_EPILOGUE_DEFAULT || d->epilogue == CUBLASLT_EPILOGUE_BIAS);
    if (*found) memset(out, 0, sizeof *out);
    return *found ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

#ifdef __CUDACC__
// Adds to each row of a column-major matrix its number.
template <class C> __global__ void girih_add_bias(C* d, const C* bias, int m, int n, int ld) {
    int row = blockIdx.x * 16 + threadIdx.x, column = blockIdx.y * 16 + threadIdx.y;
    if (row < m && column < n) d[row + column * ld] = (C)((float)d[row + column * ld] + (float)bias[row]);
}

static inline cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                                            cublasLtMatrixLayout_t al, const void* b, cublasLtMatrixLayout_t bl,
                                            const void* beta, const void* c, cublasLtMatrixLayout_t cl, void* d,
                                            cublasLtMatrixLayout_t dl, const cublasLtMatmulAlgo_t*, void*, size_t,
                                            cudaStream_t) {
    bool bias = desc->epilogue == CUBLASLT_EPILOGUE_BIAS;
    if ((c != d && *(const float*)beta != 0.0f) || cl->type != dl->type || desc->scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (desc->epilogue != CUBLASLT_EPILOGUE_DEFAULT && !bias) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (bias && dl->type != CUDA_R_32F && dl->type != CUDA_R_16BF) return CUBLAS_STATUS_NOT_SUPPORTED;
    int m = (int)dl->rows, n = (int)dl->columns, k = (int)(desc->ta == CUBLAS_OP_N ? al->columns : al->rows);
    cublasStatus_t done = cublasGemmEx(0, desc->ta, desc->tb, m, n, k, alpha, a, al->type, (int)al->ld, b, bl->type, (int)bl->ld,
                                       beta, d, dl->type, (int)dl->ld, desc->compute, CUBLAS_GEMM_DEFAULT);
    if (done != CUBLAS_STATUS_SUCCESS || !bias) return done;
    dim3 grid((m + 15) / 16, (n + 15) / 16), block(16, 16);
    if (dl->type == CUDA_R_32F)
        girih_add_bias<float><<<grid, block>>>((float*)d, (const float*)desc->bias, m, n, (int)dl->ld);
    else
        girih_add_bias<__nv_bfloat16><<<grid, block>>>((__nv_bfloat16*)d, (const __nv_bfloat16*)desc->bias, m, n, (int)dl->ld);
    return cudaPeekAtLastError() == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
#endif

#endif
