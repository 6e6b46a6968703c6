// Fragments of matrices, as far as declarations of device functions name them.
#ifndef GIRIH_MMA_H
#define GIRIH_MMA_H
#if defined(__cplusplus) && defined(__CUDACC__)
#include "cuda_fp16.h"
#include "cuda_bf16.h"

namespace nvcuda {
namespace wmma {
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };
namespace precision {
struct tf32 {};
}
template <class Use, int M, int N, int K, class T, class Layout = void> struct fragment {
    static const int num_elements = 1;
    T x[1];
};
}
}
#endif
#endif
