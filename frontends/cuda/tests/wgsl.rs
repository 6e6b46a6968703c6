//! The WGSL of typical kernels, for review: names and remarks are the author's.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_cuda::{Caps, LaunchShape, Module};
use girih_wgpu::WgpuTarget;

fn wgsl(source: &str, kernel: &str, shape: LaunchShape) -> String {
    let module = Module::parse(source, "kernel.cu", &|_, _| None).unwrap();
    let compiled = module.compile(kernel, &shape, Caps { int64: false, double: false, checked: None }).unwrap();
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
