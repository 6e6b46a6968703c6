// Kernels of one name: the compiler chooses by the arguments.
#include <cstdio>
#include <cuda_runtime.h>

struct Pair {
    int a, b;
};
__global__ void put(float *x) { x[0] = 1.5f; }
__global__ void put(int *x) { x[0] = 7; }
__global__ void put(const unsigned *x, unsigned *y, size_t n) { y[0] = x[n]; }
__global__ void put(unsigned *x, unsigned *y, size_t n) { y[0] = x[n] + 1; }
__global__ void put(Pair p, int *x) { x[0] = p.a * p.b; }
__global__ void put(int *x, long long n) { x[0] = (int)n; }
template <class T> __global__ void put(T *x, T by) { x[0] = by * 2; }
namespace inner {
__global__ void put(int *x, unsigned char c) { x[0] = c + 100; }
}

static int bad = 0;
template <class T> void expect(T *x, T want, const char *what) {
    T got;
    cudaMemcpy(&got, x, sizeof got, cudaMemcpyDeviceToHost);
    if (got != want) bad++, printf("%s: %g, want %g\n", what, (double)got, (double)want);
}

int main() {
    void *memory;
    cudaMalloc(&memory, 64);
    float *f = (float *)memory;
    int *i = (int *)memory;
    unsigned *u = (unsigned *)memory;
    put<<<1, 1>>>(f);
    expect(f, 1.5f, "float*");
    put<<<1, 1>>>(i);
    expect(i, 7, "int*");
    unsigned five = 5;
    cudaMemcpy(u + 4, &five, 4, cudaMemcpyHostToDevice);
    put<<<1, 1>>>((const unsigned *)u + 3, u, (size_t)1);
    expect(u, 5u, "const unsigned*");
    put<<<1, 1>>>(u + 3, u, (size_t)1);
    expect(u, 6u, "unsigned*");
    put<<<1, 1>>>(Pair{6, 7}, i);
    expect(i, 42, "Pair");
    put<<<1, 1>>>(i, 12LL);
    expect(i, 12, "long long");
    put<<<1, 1>>>(f, 2.25f);
    expect(f, 4.5f, "a template");
    inner::put<<<1, 1>>>(i, (unsigned char)3);
    expect(i, 103, "in a namespace");
    if (cudaGetLastError() != cudaSuccess) bad++;
    puts(bad ? "FAILED" : "PASSED");
    return bad;
}
