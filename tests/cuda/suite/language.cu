// Statements, expressions and functions: one construct for each kernel.

// launch: vector_add grid=4 block=32 a=noise:f32[100] b=arange:f32[100] c=zeros:f32[100] n=100
__global__ void vector_add(const float* a, const float* b, float* c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}

// launch: grid_stride grid=2 block=8 out=zeros:i32[50] n=50
__global__ void grid_stride(int* out, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {
        if (i % 3 == 0) continue;
        if (i > 40) break;
        out[i] = i * i;
    }
}

// launch: three_axes grid=2,3,2 block=4,2,2 out=zeros:u32[192]
__global__ void three_axes(unsigned* out) {
    unsigned x = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned y = blockIdx.y * blockDim.y + threadIdx.y;
    unsigned z = blockIdx.z * blockDim.z + threadIdx.z;
    unsigned w = gridDim.x * blockDim.x, h = gridDim.y * blockDim.y;
    out[(z * h + y) * w + x] = x | y << 8 | z << 16;
}

// launch: early_return grid=2 block=16 out=zeros:i32[32] n=20
__global__ void early_return(int* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    out[i] = n - i;
}

// launch: if_chain grid=1 block=16 x=mixed:i32[16] y=zeros:i32[16]
__global__ void if_chain(const int* x, int* y) {
    int v = x[threadIdx.x];
    if (v < -50) {
        y[threadIdx.x] = -2;
    } else if (v < 0) {
        y[threadIdx.x] = -1;
    } else if (v == 0) {
        y[threadIdx.x] = 0;
    } else {
        y[threadIdx.x] = 1;
    }
}

// launch: switches grid=1 block=16 x=mixed:i32[16] y=zeros:i32[16]
__global__ void switches(const int* x, int* y) {
    int v = x[threadIdx.x];
    switch (v & 7) {
        case 0: v = 10; break;
        case 1:
        case 2: v += 100; break;
        case 3: v++;
        case 4: v += 1000; break;
        default: v = -v;
    }
    y[threadIdx.x] = v;
}

// launch: while_loop grid=1 block=16 out=zeros:i32[16]
__global__ void while_loop(int* out) {
    int v = threadIdx.x + 2, n = 0;
    while (v != 1) {
        v = (v % 2) ? 3 * v + 1 : v / 2;
        n++;
    }
    out[threadIdx.x] = n;
}

// launch: do_loop grid=1 block=16 x=mixed:u32[16] out=zeros:i32[16]
__global__ void do_loop(const unsigned* x, int* out) {
    unsigned v = x[threadIdx.x];
    int digits = 0;
    do {
        v /= 10;
        digits++;
    } while (v > 0);
    out[threadIdx.x] = digits;
}

// launch: nested_loops grid=1 block=8 out=zeros:i32[8]
__global__ void nested_loops(int* out) {
    int found = 0;
    for (int i = 1; i < 20; i++) {
        for (int j = i; j < 20; j++) {
            if (i * j > 40) break;
            if ((i + j) % (threadIdx.x + 2) != 0) continue;
            found += i * j;
        }
        if (found > 200) break;
    }
    out[threadIdx.x] = found;
}

// launch: short_circuits grid=1 block=8 x=mixed:i32[8] out=zeros:i32[16]
__global__ void short_circuits(const int* x, int* out) {
    int calls = 0;
    auto seen = [&](int v) { calls++; return v > 0; };
    int a = x[threadIdx.x];
    bool both = seen(a) && seen(a - 20), any = seen(a) || seen(-a);
    out[threadIdx.x] = both * 2 + any;
    out[8 + threadIdx.x] = calls;
}

// launch: conditional grid=1 block=16 x=mixed:i32[16] y=zeros:f32[16]
__global__ void conditional(const int* x, float* y) {
    int i = threadIdx.x;
    y[i] = x[i] > 0 ? x[i] : x[i] < -20 ? 0.5f : x[(i + 1) % 16] * 0.25f;
}

// launch: increments grid=1 block=4 out=zeros:i32[16]
__global__ void increments(int* out) {
    int i = threadIdx.x * 4, v = 7;
    out[i++] = v++;
    out[i++] = ++v;
    out[i++] = v--;
    out[i] = --v;
}

// launch: compound_assignment grid=1 block=8 x=mixed:i32[8] out=zeros:i32[8]
__global__ void compound_assignment(const int* x, int* out) {
    int v = x[threadIdx.x];
    v += 3; v *= 5; v -= 7; v /= 2; v %= 1000; v <<= 2; v >>= 1; v |= 64; v &= 0xffff; v ^= 5;
    out[threadIdx.x] = v;
}

__device__ int area(int side) { return side * side; }
__device__ float area(float r) { return r * r * 3.0f; }
__device__ int area(int w, int h) { return w * h; }
// launch: overloads grid=1 block=8 out=zeros:f32[8]
__global__ void overloads(float* out) {
    int t = threadIdx.x;
    out[t] = area(t) + area(t * 0.5f) + area(t, 3);
}

__device__ void swap_values(int& a, int& b) { int t = a; a = b; b = t; }
__device__ void add_to(int* p, int v) { *p += v; }
// launch: references grid=1 block=8 out=zeros:i32[16]
__global__ void references(int* out) {
    int a = threadIdx.x, b = 100;
    swap_values(a, b);
    add_to(&b, 5);
    out[2 * threadIdx.x] = a;
    out[2 * threadIdx.x + 1] = b;
}

__device__ int scaled(int v, int by = 3, int plus = 1) { return v * by + plus; }
// launch: default_arguments grid=1 block=8 out=zeros:i32[8]
__global__ void default_arguments(int* out) {
    int t = threadIdx.x;
    out[t] = scaled(t) + scaled(t, 10) + scaled(t, 100, 0);
}

__device__ int position(const int* a, int n, int key) {
    for (int i = 0; i < n; i++) {
        if (a[i] == key) return i;
    }
    return -1;
}
// launch: return_from_a_loop grid=1 block=16 a=arange:i32[10] out=zeros:i32[16] n=10
__global__ void return_from_a_loop(const int* a, int* out, int n) { out[threadIdx.x] = position(a, n, threadIdx.x * 2); }

template <class F> __device__ int twice(F f, int v) { return f(f(v)); }
// launch: lambdas grid=1 block=8 out=zeros:i32[8]
__global__ void lambdas(int* out) {
    int t = threadIdx.x, c = 10;
    auto add = [=](int v) { return v + c; };
    auto triple = [](int v) { return 3 * v; };
    out[t] = twice(add, t) + twice(triple, t);
}

namespace units {
enum Kind { METRE, FOOT = 5, YARD };
constexpr int half_of(int v) { return v / 2; }
namespace inner { static const int table[3] = {7, 8, 9}; }
}
using real = float;
typedef unsigned int word;
// launch: names_and_constants grid=1 block=8 out=zeros:i32[8]
__global__ void names_and_constants(int* out) {
    word t = threadIdx.x;
    real r = 3.25f * 4;
    constexpr int n = units::half_of(9);
    out[t] = units::inner::table[t % 3] + units::YARD + (int)r + n;
}
