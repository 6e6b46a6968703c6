// The part of cuBLAS that matrix products need, written in CUDA: it runs wherever the program does. Matrices are column-major.
#ifndef GIRIH_CUBLAS_V2_H
#define GIRIH_CUBLAS_V2_H
#define CUBLAS_V2_H_
#define CUBLAS_API_H_

#include "cuda_runtime.h"

typedef enum {
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_NOT_INITIALIZED = 1,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_ARCH_MISMATCH = 8,
    CUBLAS_STATUS_MAPPING_ERROR = 11,
    CUBLAS_STATUS_EXECUTION_FAILED = 13,
    CUBLAS_STATUS_INTERNAL_ERROR = 14,
    CUBLAS_STATUS_NOT_SUPPORTED = 15,
    CUBLAS_STATUS_LICENSE_ERROR = 16
} cublasStatus_t;

typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1, CUBLAS_OP_C = 2 } cublasOperation_t;
typedef enum { CUBLAS_DEFAULT_MATH = 0, CUBLAS_TENSOR_OP_MATH = 1, CUBLAS_PEDANTIC_MATH = 2, CUBLAS_TF32_TENSOR_OP_MATH = 3 } cublasMath_t;
typedef enum { CUDA_R_32F = 0, CUDA_R_64F = 1, CUDA_R_16F = 2, CUDA_R_8I = 3, CUDA_R_32I = 10, CUDA_R_16BF = 14 } cudaDataType_t;
typedef cudaDataType_t cudaDataType;
typedef enum {
    CUBLAS_COMPUTE_16F = 64,
    CUBLAS_COMPUTE_32F = 68,
    CUBLAS_COMPUTE_32F_FAST_16F = 74,
    CUBLAS_COMPUTE_32F_FAST_16BF = 75,
    CUBLAS_COMPUTE_32F_FAST_TF32 = 77,
    CUBLAS_COMPUTE_64F = 70,
    CUBLAS_COMPUTE_32I = 72
} cublasComputeType_t;
typedef enum { CUBLAS_GEMM_DEFAULT = -1, CUBLAS_GEMM_DEFAULT_TENSOR_OP = 99 } cublasGemmAlgo_t;
typedef struct girih_cublas* cublasHandle_t;

static inline cublasStatus_t cublasCreate(cublasHandle_t* handle) {
    *handle = (cublasHandle_t)1;
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasDestroy(cublasHandle_t) { return CUBLAS_STATUS_SUCCESS; }
static inline cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }
static inline cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t) { return CUBLAS_STATUS_SUCCESS; }
static inline cublasStatus_t cublasSetWorkspace(cublasHandle_t, void*, size_t) { return CUBLAS_STATUS_SUCCESS; }

#ifdef __CUDACC__
#include "cuda_bf16.h"
#include "cuda_fp16.h"

// c = alpha * op(a) * op(b) + beta * c, summed in single precision. A block computes 16 columns of 16 rows; the third axis of the
// grid is the batch.
template <class T, class C> __global__ void girih_gemm(int ta, int tb, int m, int n, int k, float alpha, const T* a, int lda,
                                                       long long sa, const T* b, int ldb, long long sb, float beta, C* c,
                                                       int ldc, long long sc) {
    __shared__ float as[16][17];
    __shared__ float bs[16][17];
    int x = threadIdx.x, y = threadIdx.y, row = blockIdx.x * 16 + x, column = blockIdx.y * 16 + y;
    unsigned int a0 = (unsigned int)(blockIdx.z * sa), b0 = (unsigned int)(blockIdx.z * sb), c0 = (unsigned int)(blockIdx.z * sc);
    float sum = 0.0f;
    for (int p = 0; p < k; p += 16) {
        // Neighbouring threads read neighbouring numbers, whichever way the matrix lies.
        int ai = ta ? blockIdx.x * 16 + y : row, ap = ta ? p + x : p + y;
        float av = 0.0f, bv = 0.0f;
        if (ai < m && ap < k) av = (float)a[a0 + (ta ? ap + ai * lda : ai + ap * lda)];
        if (ta) as[x][y] = av; else as[y][x] = av;
        int bj = tb ? blockIdx.y * 16 + x : column, bp = tb ? p + y : p + x;
        if (bj < n && bp < k) bv = (float)b[b0 + (tb ? bj + bp * ldb : bp + bj * ldb)];
        if (tb) bs[y][x] = bv; else bs[x][y] = bv;
        __syncthreads();
        for (int q = 0; q < 16; q++) sum += as[q][x] * bs[q][y];
        __syncthreads();
    }
    if (row < m && column < n) {
        unsigned int at = c0 + row + column * ldc;
        float old = 0.0f;
        if (beta != 0.0f) old = beta * (float)c[at];
        c[at] = (C)(alpha * sum + old);
    }
}

template <class T, class C> static inline cublasStatus_t girih_product(cublasOperation_t ta, cublasOperation_t tb, int m, int n,
                                                                       int k, const float* alpha, const void* a, int lda,
                                                                       long long sa, const void* b, int ldb, long long sb,
                                                                       const float* beta, void* c, int ldc, long long sc,
                                                                       int batch) {
    if (m < 0 || n < 0 || k < 0 || batch < 0) return CUBLAS_STATUS_INVALID_VALUE;
    if (m == 0 || n == 0 || batch == 0) return CUBLAS_STATUS_SUCCESS;
    // The factors are the host's; elements are counted in 32 bits.
    if (girihPointerKind(alpha) == 2 || girihPointerKind(beta) == 2) return CUBLAS_STATUS_NOT_SUPPORTED;
    dim3 grid((m + 15) / 16, (n + 15) / 16, batch), block(16, 16);
    girih_gemm<T, C><<<grid, block>>>(ta != CUBLAS_OP_N, tb != CUBLAS_OP_N, m, n, k, *alpha, (const T*)a, lda, sa, (const T*)b,
                                      ldb, sb, *beta, (C*)c, ldc, sc);
    return cudaPeekAtLastError() == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

static inline cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m, int n,
                                                        int k, const void* alpha, const void* a, cudaDataType_t at, int lda,
                                                        long long sa, const void* b, cudaDataType_t bt, int ldb, long long sb,
                                                        const void* beta, void* c, cudaDataType_t ct, int ldc, long long sc,
                                                        int batch, cublasComputeType_t compute, cublasGemmAlgo_t) {
    // Of half precision only sums in single precision are here, whose factors have that precision, too.
    if (compute == CUBLAS_COMPUTE_16F || compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_32I || at != bt)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    const float *x = (const float*)alpha, *y = (const float*)beta;
#define GIRIH_PRODUCT(T, t, C, r) \
    if (at == t && ct == r) return girih_product<T, C>(ta, tb, m, n, k, x, a, lda, sa, b, ldb, sb, y, c, ldc, sc, batch);
    GIRIH_PRODUCT(float, CUDA_R_32F, float, CUDA_R_32F)
    GIRIH_PRODUCT(__nv_bfloat16, CUDA_R_16BF, __nv_bfloat16, CUDA_R_16BF)
    GIRIH_PRODUCT(__nv_bfloat16, CUDA_R_16BF, float, CUDA_R_32F)
    GIRIH_PRODUCT(half, CUDA_R_16F, half, CUDA_R_16F)
    GIRIH_PRODUCT(half, CUDA_R_16F, float, CUDA_R_32F)
#undef GIRIH_PRODUCT
    return CUBLAS_STATUS_NOT_SUPPORTED;
}
static inline cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                                          const void* alpha, const void* a, cudaDataType_t at, int lda, const void* b,
                                          cudaDataType_t bt, int ldb, const void* beta, void* c, cudaDataType_t ct, int ldc,
                                          cublasComputeType_t compute, cublasGemmAlgo_t algo) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, at, lda, 0, b, bt, ldb, 0, beta, c, ct, ldc, 0, 1, compute,
                                      algo);
}
static inline cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m, int n,
                                                       int k, const float* alpha, const float* a, int lda, long long sa,
                                                       const float* b, int ldb, long long sb, const float* beta, float* c,
                                                       int ldc, long long sc, int batch) {
    return girih_product<float, float>(ta, tb, m, n, k, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc, batch);
}
static inline cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                                         const float* alpha, const float* a, int lda, const float* b, int ldb,
                                         const float* beta, float* c, int ldc) {
    return cublasSgemmStridedBatched(handle, ta, tb, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);
}
#endif

#endif
