// A second translation unit, whose kernel has the name of one in the first.
#include <cuda_runtime.h>

static __global__ void fill(int* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = -x[i];
}

void other_file(int* x, int n) { fill<<<(n + 31) / 32, 32>>>(x, n); }
