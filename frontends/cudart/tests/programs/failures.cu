// What goes wrong: which error a program gets, and that nothing goes on after a kernel that did not run.
#include <cuda_runtime.h>
#include <assert.h>
#include <string.h>
#include "check.h"

__global__ void one(int* x) { *x = 1; }

__global__ void ticks(long long* x) { *x = clock64(); }

__global__ void beyond(int* x, int at) { x[at + threadIdx.x] = 1; }

__global__ void asserted(int* x) { assert(x[0] == 3); }

// Every call gives the error, whatever it is asked.
static int lasting(cudaError_t expected) {
    int seen = 5, *d;
    cudaDeviceSynchronize();
    CHECK(cudaGetLastError() == expected && cudaGetLastError() == expected);
    CHECK(cudaMalloc(&d, 4) == expected);
    CHECK(cudaMemcpy(&seen, &seen, 4, cudaMemcpyHostToHost) == expected && seen == 5);
    printf("PASSED\n");
    return 0;
}

int main(int, char** argv) {
    const char* which = argv[1];
    int* d;
    CUDA(cudaMalloc(&d, 4));
    CUDA(cudaMemset(d, 0, 4));
    if (!strcmp(which, "configuration")) {
        one<<<1, 2000>>>(d);
        CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
        one<<<0, 32>>>(d);
        CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
        CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice && cudaGetLastError() == cudaErrorInvalidDevice);
        int* at;
        CHECK(cudaGetSymbolAddress((void**)&at, which) == cudaErrorInvalidSymbol);
        CHECK(cudaGetLastError() == cudaErrorInvalidSymbol);
        CHECK(!strcmp(cudaGetErrorName(cudaErrorInvalidSymbol), "cudaErrorInvalidSymbol"));
        // None of these lasts.
        int seen = 0;
        one<<<1, 1>>>(d);
        CUDA(cudaMemcpy(&seen, d, 4, cudaMemcpyDeviceToHost));
        CHECK(seen == 1);
        printf("PASSED\n");
        return 0;
    }
    if (!strcmp(which, "host")) {
        int mine = 0;
        one<<<1, 1>>>(&mine);
        return lasting(cudaErrorIllegalAddress);
    }
    if (!strcmp(which, "refused")) {
        ticks<<<1, 1>>>((long long*)d);
        return lasting(cudaErrorNotSupported);
    }
    if (!strcmp(which, "assert")) {
        asserted<<<1, 4>>>(d);
        return lasting(cudaErrorAssert);
    }
    beyond<<<1, 32>>>(d, 1 << 20);
    return lasting(cudaErrorLaunchFailure);
}
