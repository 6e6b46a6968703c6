//! The WGSL of typical kernels, for review: names and remarks are the author's.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_cuda::{Caps, LaunchShape, Module};
use girih_wgpu::WgpuTarget;

fn wgsl(source: &str, kernel: &str, shape: LaunchShape) -> String {
    let module = Module::parse(source, "kernel.cu", &|_, _| None).unwrap();
    let compiled = module
        .compile(kernel, &shape, Caps { int64: false, double: false, atomic64: false, checked: None, native: false })
        .unwrap();
    WgpuTarget::webgpu().emit(&compiled.kernel).unwrap().text
}

fn shape(x: u32) -> LaunchShape {
    LaunchShape::new([x, 1, 1], 1)
}

#[test]
fn vector_add() {
    let src = "__global__ void add(const float* __restrict__ a, const float* __restrict__ b, float* c, int n) {
    // one thread per element
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        c[i] = a[i] + b[i];
    }
}";
    insta::assert_snapshot!(wgsl(src, "add", shape(256)));
}

#[test]
fn tiled_matmul() {
    let src = "#define TILE 16
__global__ void matmul(const float* __restrict__ A, const float* __restrict__ B, float* C, int n) {
    __shared__ float As[TILE][TILE], Bs[TILE][TILE];
    int row = blockIdx.y * TILE + threadIdx.y;
    int col = blockIdx.x * TILE + threadIdx.x;
    float sum = 0.0f;
    // walk over the tiles of a row of A and a column of B
    for (int t = 0; t < n / TILE; t++) {
        As[threadIdx.y][threadIdx.x] = A[row * n + t * TILE + threadIdx.x];
        Bs[threadIdx.y][threadIdx.x] = B[(t * TILE + threadIdx.y) * n + col];
        __syncthreads();
        for (int k = 0; k < TILE; k++) sum += As[threadIdx.y][k] * Bs[k][threadIdx.x];
        __syncthreads();
    }
    C[row * n + col] = sum;
}";
    insta::assert_snapshot!(wgsl(src, "matmul", LaunchShape::new([16, 16, 1], 2)));
}

#[test]
fn softmax_rows() {
    let src = "__device__ float warp_max(float v) {
    for (int o = 16; o > 0; o /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffff, v, o));
    return v;
}
__global__ void softmax(float* out, const float* __restrict__ inp, int rows, int cols) {
    int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    if (row >= rows) return;
    const float* x = inp + row * cols;
    // the largest element, so that no exponential overflows
    float top = -INFINITY;
    for (int i = lane; i < cols; i += 32) top = fmaxf(top, x[i]);
    top = warp_max(top);
    for (int i = lane; i < cols; i += 32) out[row * cols + i] = expf(x[i] - top);
}";
    insta::assert_snapshot!(wgsl(src, "softmax", shape(64)));
}

#[test]
fn histogram_of_bytes() {
    let src = "__global__ void histogram(const unsigned char* __restrict__ data, unsigned int* bins, int n) {
    __shared__ unsigned int local[256];
    local[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {
        atomicAdd(&local[data[i]], 1);
    }
    __syncthreads();
    // merge this block's counts
    atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
}";
    insta::assert_snapshot!(wgsl(src, "histogram", shape(256)));
}

#[test]
fn vectors_of_four() {
    let src = "__global__ void saxpy4(int n, float a, const float4* __restrict__ x, float4* y) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float4 v = x[i], w = y[i];
        y[i] = make_float4(a * v.x + w.x, a * v.y + w.y, a * v.z + w.z, a * v.w + w.w);
    }
}";
    insta::assert_snapshot!(wgsl(src, "saxpy4", shape(128)));
}

#[test]
fn structs_and_device_functions() {
    let src = "struct Body { float x, y, vx, vy; };
__device__ float2 pull(const Body& a, const Body& b) {
    float dx = b.x - a.x, dy = b.y - a.y;
    float inv = rsqrtf(dx * dx + dy * dy + 1e-3f);
    float s = inv * inv * inv;
    return make_float2(dx * s, dy * s);
}
__global__ void step(Body* bodies, int n, float dt) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Body me = bodies[i];
    for (int j = 0; j < n; j++) {
        float2 f = pull(me, bodies[j]);
        me.vx += f.x * dt;
        me.vy += f.y * dt;
    }
    bodies[i].vx = me.vx;
    bodies[i].vy = me.vy;
}";
    insta::assert_snapshot!(wgsl(src, "step", shape(64)));
}

#[test]
fn block_reduction() {
    let src = "__global__ void block_sum(const float* __restrict__ in, float* out, int n) {
    extern __shared__ float partial[];
    int t = threadIdx.x;
    // each thread adds up a strided part of the input
    float sum = 0.0f;
    for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x) sum += in[i];
    partial[t] = sum;
    __syncthreads();
    // halve the number of partial sums until one is left
    for (int stride = blockDim.x / 2; stride > 0; stride >>= 1) {
        if (t < stride) partial[t] += partial[t + stride];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = partial[0];
}";
    insta::assert_snapshot!(wgsl(src, "block_sum", LaunchShape { dynamic_shared: 512, ..shape(128) }));
}

#[test]
fn stencil_with_constants() {
    let src = "#define RADIUS 3
__constant__ float taps[2 * RADIUS + 1];
__global__ void stencil(const float* __restrict__ in, float* out, int n) {
    __shared__ float row[64 + 2 * RADIUS];
    int g = blockIdx.x * blockDim.x + threadIdx.x;
    int l = threadIdx.x + RADIUS;
    row[l] = g < n ? in[g] : 0.0f;
    // the first threads also load the halo on both sides
    if (threadIdx.x < RADIUS) {
        row[l - RADIUS] = g >= RADIUS ? in[g - RADIUS] : 0.0f;
        row[l + 64] = g + 64 < n ? in[g + 64] : 0.0f;
    }
    __syncthreads();
    float result = 0.0f;
    for (int offset = -RADIUS; offset <= RADIUS; offset++) result += taps[offset + RADIUS] * row[l + offset];
    if (g < n) out[g] = result;
}";
    insta::assert_snapshot!(wgsl(src, "stencil", shape(64)));
}

#[test]
fn mandelbrot() {
    let src = "__device__ int escape(float cx, float cy, int limit) {
    float x = 0.0f, y = 0.0f;
    for (int i = 0; i < limit; i++) {
        float xx = x * x, yy = y * y;
        if (xx + yy > 4.0f) return i;
        y = 2.0f * x * y + cy;
        x = xx - yy + cx;
    }
    return limit;
}
__global__ void mandelbrot(unsigned char* image, int width, int height, float scale) {
    int px = blockIdx.x * blockDim.x + threadIdx.x;
    int py = blockIdx.y * blockDim.y + threadIdx.y;
    if (px >= width || py >= height) return;
    float cx = (px - width / 2) * scale, cy = (py - height / 2) * scale;
    int n = escape(cx, cy, 100);
    // darker the sooner it escapes
    image[py * width + px] = n == 100 ? 0 : 255 - 2 * n;
}";
    insta::assert_snapshot!(wgsl(src, "mandelbrot", LaunchShape::new([16, 8, 1], 2)));
}

#[test]
fn templates_and_halves() {
    let src = "#include <cuda_fp16.h>
template <typename T> struct Scale { T factor; __device__ T operator()(T v) const { return v * factor; } };
template <typename T, int N> __global__ void scale(const half* __restrict__ in, half* out, T factor, int n) {
    Scale<T> by{factor};
    int first = (blockIdx.x * blockDim.x + threadIdx.x) * N;
    #pragma unroll
    for (int k = 0; k < N; k++) {
        int i = first + k;
        if (i < n) out[i] = __float2half(by(__half2float(in[i])));
    }
}";
    insta::assert_snapshot!(wgsl(src, "scale<float, 2>", shape(64)));
}

#[test]
fn states_in_a_switch() {
    let src = "enum State { IDLE, RISING, FALLING };
__global__ void step(int* states, int* levels, const int* __restrict__ inputs, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int level = levels[i];
    switch (states[i]) {
        case IDLE:
            // nothing happens until there is an input
            if (inputs[i] > 0) states[i] = RISING;
            break;
        case RISING:
            level++;
            if (level >= inputs[i]) states[i] = FALLING;
            break;
        case FALLING:
            level--;
            if (level <= 0) states[i] = IDLE;
            break;
    }
    levels[i] = level;
}";
    insta::assert_snapshot!(wgsl(src, "step", shape(64)));
}
