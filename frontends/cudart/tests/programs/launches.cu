// Ways to launch: templates, namespaces, static kernels, kernels of another file, streams, events, and what kernels print.
#include <cuda_runtime.h>
#include <cooperative_groups.h>
#include "check.h"

namespace cg = cooperative_groups;

double host_sum(const double* x, int n);
void other_file(int* x, int n);

namespace kernels {
enum Kind { Sum, Largest };

template <typename T, unsigned int Threads, Kind kind> __global__ void fold(const T* in, T* out, int n) {
    __shared__ T part[Threads];
    cg::thread_block block = cg::this_thread_block();
    T mine = 0;
    for (int i = threadIdx.x; i < n; i += Threads) mine = kind == Sum ? mine + in[i] : max(mine, in[i]);
    part[threadIdx.x] = mine;
    block.sync();
    for (unsigned int step = Threads / 2; step > 0; step /= 2) {
        if (threadIdx.x < step) {
            T other = part[threadIdx.x + step];
            part[threadIdx.x] = kind == Sum ? part[threadIdx.x] + other : max(part[threadIdx.x], other);
        }
        block.sync();
    }
    if (threadIdx.x == 0) *out = part[0];
}
}

static __global__ void fill(int* x, int first, int n) {
    extern __shared__ int staged[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    staged[threadIdx.x] = first + i;
    __syncthreads();
    if (i < n) x[i] = staged[threadIdx.x];
}

__global__ void where(dim3 expected, int* wrong) {
    if (gridDim.x != expected.x || gridDim.y != expected.y || gridDim.z != expected.z) atomicAdd(wrong, 1);
    if (blockIdx.x == 1 && blockIdx.y == 1 && blockIdx.z == 1 && threadIdx.x == 0) printf("block %d of %d\n", 7, 8);
}

template <typename T, unsigned int Threads> void check_folds() {
    const int n = 777;
    T host[n], sum = 0, largest = 0, seen, *in, *out;
    for (int i = 0; i < n; i++) {
        host[i] = (T)(i * 37 % 101);
        sum += host[i];
        largest = host[i] > largest ? host[i] : largest;
    }
    CUDA(cudaMalloc(&in, sizeof host));
    CUDA(cudaMalloc(&out, sizeof(T)));
    CUDA(cudaMemcpy(in, host, sizeof host, cudaMemcpyHostToDevice));
    kernels::fold<T, Threads, kernels::Sum><<<1, Threads>>>(in, out, n);
    CUDA(cudaMemcpy(&seen, out, sizeof seen, cudaMemcpyDeviceToHost));
    CHECK(seen == sum);
    kernels::fold<T, Threads, kernels::Largest><<<1, Threads>>>(in, out, n);
    CUDA(cudaMemcpy(&seen, out, sizeof seen, cudaMemcpyDeviceToHost));
    CHECK(seen == largest);
    CUDA(cudaFree(in));
    CUDA(cudaFree(out));
}

static void CUDART_CB called(void* data) { *(int*)data += 1; }

int main() {
    check_folds<int, 64>();
    check_folds<unsigned int, 256>();
    check_folds<float, 128>();

    const int n = 500;
    int host[2 * n], *d, calls = 0;
    CUDA(cudaMalloc(&d, sizeof host));
    cudaStream_t streams[2];
    cudaEvent_t start, stop;
    CUDA(cudaEventCreate(&start));
    CUDA(cudaEventCreateWithFlags(&stop, cudaEventDefault));
    CUDA(cudaEventRecord(start));
    for (int s = 0; s < 2; s++) {
        CUDA(cudaStreamCreate(&streams[s]));
        fill<<<4, 128, 128 * sizeof(int), streams[s]>>>(d + s * n, s * 1000, n);
        CUDA(cudaMemcpyAsync(host + s * n, d + s * n, n * sizeof(int), cudaMemcpyDeviceToHost, streams[s]));
        CUDA(cudaLaunchHostFunc(streams[s], called, &calls));
    }
    CUDA(cudaEventRecord(stop));
    CUDA(cudaEventSynchronize(stop));
    float milliseconds = -1.0f;
    CUDA(cudaEventElapsedTime(&milliseconds, start, stop));
    CHECK(milliseconds >= 0.0f && calls == 2);
    for (int i = 0; i < 2 * n; i++) CHECK(host[i] == (i < n ? i : 1000 + i - n));

    int grid = 0, block = 0, blocks = 0;
    CUDA(cudaOccupancyMaxPotentialBlockSize(&grid, &block, fill));
    CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fill, 128, 512));
    CHECK(grid > 0 && block >= 64 && blocks > 0);
    int first = 5, count = n;
    void* arguments[] = {&d, &first, &count};
    CUDA(cudaLaunchKernel((const void*)fill, dim3(4), dim3(128), arguments, 512, streams[0]));
    other_file(d, n);
    CUDA(cudaMemcpy(host, d, n * sizeof(int), cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++) CHECK(host[i] == -(5 + i));

    CUDA(cudaMemset(d, 0, sizeof(int)));
    where<<<dim3(2, 2, 2), 4>>>(dim3(2, 2, 2), d);
    CUDA(cudaMemcpy(host, d, sizeof(int), cudaMemcpyDeviceToHost));
    CHECK(host[0] == 0);
    double numbers[] = {0.5, 1.5, 2.0};
    CHECK(host_sum(numbers, 3) == 4.0);
    for (int s = 0; s < 2; s++) CUDA(cudaStreamDestroy(streams[s]));
    CHECK(cudaStreamSynchronize(streams[0]) == cudaErrorInvalidResourceHandle);
    printf("PASSED\n");
    return 0;
}
