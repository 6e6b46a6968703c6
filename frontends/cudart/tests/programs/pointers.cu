// Every way in which memory reaches a kernel: pointers into the middle of an allocation, several into one, null pointers, pointers
// in structs, variables of the device, page-locked and managed memory, textures.
#include <cuda_runtime.h>
#include "check.h"

const int N = 1000;

__constant__ float factors[4] = {1.0f, 2.0f, 3.0f, 4.0f};
__device__ int counter = 40;

struct View {
    float scale;
    float* out;
    const float* in;
    int n;
};

__global__ void scale(View v) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < v.n) v.out[i] = v.in[i] * v.scale * factors[i % 4];
}

__global__ void add(float* out, const float* a, const float* b, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = a[i] + (b ? b[i] : 100.0f);
}

__global__ void shift_bytes(unsigned char* to, const unsigned char* from, int n) {
    for (int i = 0; i < n; i++) to[i] = from[i] + 1;
}

__global__ void count() {
    atomicAdd(&counter, 1);
}

__global__ void twice(int* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= 2;
}

__global__ void read_texture(cudaTextureObject_t t, float* out, int w, int h) {
    int x = threadIdx.x, y = threadIdx.y;
    if (x < w && y < h) out[y * w + x] = tex2D<float>(t, x + 1.5f, y + 0.5f);
}

static void structs_and_offsets() {
    float host[N], back[N], *d;
    for (int i = 0; i < N; i++) host[i] = i * 0.5f;
    CUDA(cudaMalloc(&d, 3 * N * sizeof(float)));
    CUDA(cudaMemset(d, 0, 3 * N * sizeof(float)));
    CUDA(cudaMemcpy(d + N, host, sizeof host, cudaMemcpyHostToDevice));
    View v = {2.0f, d + 2 * N, d + N, N};
    scale<<<(N + 127) / 128, 128>>>(v);
    CUDA(cudaMemcpy(back, d + 2 * N, sizeof back, cudaMemcpyDeviceToHost));
    for (int i = 0; i < N; i++) CHECK(back[i] == i * (i % 4 + 1.0f));
    // One allocation three times, each time elsewhere; then in place, with a null pointer.
    add<<<(N + 127) / 128, 128>>>(d, d + N, d + 2 * N, N);
    add<<<(N + 127) / 128, 128>>>(d, d, nullptr, N);
    CUDA(cudaGetLastError());
    CUDA(cudaMemcpy(back, d, sizeof back, cudaMemcpyDeviceToHost));
    for (int i = 0; i < N; i++) CHECK(back[i] == host[i] + i * (i % 4 + 1.0f) + 100.0f);
    // Addresses that are no multiple of a word, and a copy onto itself.
    unsigned char* bytes = (unsigned char*)d;
    CUDA(cudaMemset(bytes, 7, 64));
    shift_bytes<<<1, 1>>>(bytes + 33, bytes + 1, 9);
    CUDA(cudaMemcpy(bytes + 34, bytes + 33, 9, cudaMemcpyDeviceToDevice));
    unsigned char seen[64];
    CUDA(cudaMemcpy(seen, bytes, 64, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 64; i++) CHECK(seen[i] == (i >= 33 && i < 43 ? 8 : 7));
    CHECK(cudaMemcpy(back, d + 3 * N - 1, 8, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(host, back, 8, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess);
    CUDA(cudaFree(d));
    CHECK(cudaFree(d) == cudaErrorInvalidValue);
    cudaGetLastError();
}

static void variables() {
    int seen = 0;
    count<<<2, 16>>>();
    CUDA(cudaMemcpyFromSymbol(&seen, counter, sizeof seen));
    CHECK(seen == 72);
    float two[2] = {20.0f, 30.0f}, all[4];
    CUDA(cudaMemcpyToSymbol(factors, two, sizeof two, sizeof(float)));
    CUDA(cudaMemcpyFromSymbol(all, factors, sizeof all));
    CHECK(all[0] == 1.0f && all[1] == 20.0f && all[2] == 30.0f && all[3] == 4.0f);
    float *where, one[4] = {1, 1, 1, 1}, *d;
    CUDA(cudaGetSymbolAddress((void**)&where, factors));
    CUDA(cudaMemcpy(where + 3, one, sizeof(float), cudaMemcpyHostToDevice));
    CUDA(cudaMalloc(&d, sizeof one));
    CUDA(cudaMemcpy(d, one, sizeof one, cudaMemcpyHostToDevice));
    scale<<<1, 32>>>(View{1.0f, d, d, 4});
    CUDA(cudaMemcpy(all, d, sizeof all, cudaMemcpyDeviceToHost));
    CHECK(all[0] == 1.0f && all[1] == 20.0f && all[2] == 30.0f && all[3] == 1.0f);
    CUDA(cudaFree(d));
}

static void both_sides() {
    int *managed, *locked, *seen;
    CUDA(cudaMallocManaged(&managed, N * sizeof(int)));
    CUDA(cudaHostAlloc(&locked, N * sizeof(int), cudaHostAllocMapped));
    CUDA(cudaHostGetDevicePointer(&seen, locked, 0));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) managed[i] = i + round, locked[i] = -i - round;
        twice<<<8, 128>>>(managed, N);
        twice<<<8, 128>>>(seen, N);
        twice<<<8, 128>>>(managed + 1, N - 1);
        CUDA(cudaDeviceSynchronize());
        for (int i = 1; i < N; i++) CHECK(managed[i] == 4 * (i + round) && locked[i] == -2 * (i + round));
    }
    cudaPointerAttributes a;
    CUDA(cudaPointerGetAttributes(&a, managed + 5));
    CHECK(a.type == cudaMemoryTypeManaged);
    CUDA(cudaFree(managed));
    CUDA(cudaFreeHost(locked));
}

static void rows() {
    const int w = 5, h = 4;
    float host[w * h], back[w * h], *d, *out;
    for (int i = 0; i < w * h; i++) host[i] = (float)i;
    size_t pitch;
    CUDA(cudaMallocPitch(&d, &pitch, w * sizeof(float), h));
    CHECK(pitch >= w * sizeof(float));
    CUDA(cudaMemcpy2D(d, pitch, host, w * sizeof(float), w * sizeof(float), h, cudaMemcpyHostToDevice));
    CUDA(cudaMemcpy2D(back, w * sizeof(float), d, pitch, w * sizeof(float), h, cudaMemcpyDeviceToHost));
    for (int i = 0; i < w * h; i++) CHECK(back[i] == host[i]);

    cudaChannelFormatDesc channel = cudaCreateChannelDesc<float>();
    cudaArray_t array;
    CUDA(cudaMallocArray(&array, &channel, w, h));
    CUDA(cudaMemcpy2DToArray(array, 0, 0, host, w * sizeof(float), w * sizeof(float), h, cudaMemcpyHostToDevice));
    cudaResourceDesc resource = {};
    resource.resType = cudaResourceTypeArray;
    resource.res.array.array = array;
    cudaTextureDesc how = {};
    how.addressMode[0] = how.addressMode[1] = cudaAddressModeClamp;
    cudaTextureObject_t texture;
    CUDA(cudaCreateTextureObject(&texture, &resource, &how, nullptr));
    CUDA(cudaMalloc(&out, sizeof host));
    read_texture<<<1, dim3(8, 8)>>>(texture, out, w, h);
    CUDA(cudaMemcpy(back, out, sizeof back, cudaMemcpyDeviceToHost));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) CHECK(back[y * w + x] == host[y * w + (x + 1 < w ? x + 1 : w - 1)]);
    CUDA(cudaDestroyTextureObject(texture));
    CUDA(cudaFreeArray(array));
    CUDA(cudaFree(d));
    CUDA(cudaFree(out));
}

int main() {
    structs_and_offsets();
    variables();
    both_sides();
    rows();
    CUDA(cudaDeviceReset());
    printf("PASSED\n");
    return 0;
}
