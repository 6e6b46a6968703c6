// Types and memory.

struct Point {
    float x, y;
    int tag;
    __device__ float dot(const Point& o) const { return x * o.x + y * o.y; }
};
__device__ Point turned(Point p) {
    float t = p.x;
    p.x = -p.y;
    p.y = t;
    p.tag++;
    return p;
}
// launch: structs grid=1 block=8 in=arange:f32[24] out=zeros:u32[24]
__global__ void structs(const Point* in, Point* out) {
    Point p = in[threadIdx.x], q = turned(p);
    q.x += p.dot(q) + 1.0f;
    out[threadIdx.x] = q;
    (&out[threadIdx.x])->tag = threadIdx.x;
}

struct Parameters {
    float scale;
    int n;
    short shift;
};
// launch: struct_by_value grid=1 block=8 out=zeros:f32[8] p=bytes:0000003f06000000f9ff0000
__global__ void struct_by_value(float* out, Parameters p) {
    if (threadIdx.x < p.n) out[threadIdx.x] = threadIdx.x * p.scale + p.shift;
}

struct Inner {
    int v[3];
};
struct Outer {
    Inner a, b;
    float f;
};
// launch: nested_structs grid=1 block=4 out=zeros:i32[28]
__global__ void nested_structs(Outer* out) {
    Outer o;
    for (int i = 0; i < 3; i++) {
        o.a.v[i] = threadIdx.x + i;
        o.b.v[i] = o.a.v[i] * 10;
    }
    o.f = 1.0f;
    out[threadIdx.x] = o;
}

struct Vec {
    float x, y;
    __device__ Vec operator+(const Vec& o) const { return Vec{x + o.x, y + o.y}; }
    __device__ Vec& operator*=(float s) { x *= s; y *= s; return *this; }
};
__device__ Vec operator-(Vec a, Vec b) { return Vec{a.x - b.x, a.y - b.y}; }
// launch: operators grid=1 block=8 in=noise:f32[16] out=zeros:f32[16] close=1
__global__ void operators(const Vec* in, Vec* out) {
    Vec a = in[threadIdx.x], b = in[7 - threadIdx.x];
    Vec c = a + b - Vec{1.0f, 2.0f};
    c *= 0.5f;
    out[threadIdx.x] = c;
}

class Counter {
    int n;
public:
    __device__ Counter(int start) : n(start) {}
    __device__ void bump(int by) { n += by; }
    __device__ int get() const { return n; }
};
// launch: classes grid=1 block=8 out=zeros:i32[8]
__global__ void classes(int* out) {
    Counter c(threadIdx.x);
    for (int i = 0; i < 3; i++) c.bump(i);
    out[threadIdx.x] = c.get();
}

// launch: vectors_of_four grid=1 block=8 in=noise:f32[32] out=zeros:f32[32]
__global__ void vectors_of_four(const float4* in, float4* out) {
    float4 v = in[threadIdx.x];
    out[threadIdx.x] = make_float4(v.w + v.x, v.y * 2.0f, v.z - v.x, v.x);
}

// launch: cast_to_vectors grid=1 block=8 in=noise:f32[32] out=zeros:f32[16]
__global__ void cast_to_vectors(const float* in, float* out) {
    float4 v = reinterpret_cast<const float4*>(in)[threadIdx.x];
    float r[4];
    *(float4*)r = v;
    float s = 0.0f;
    for (int j = 0; j < 4; ++j) s += r[j] * (j + 1);
    reinterpret_cast<float2*>(out)[threadIdx.x] = make_float2(s, r[3 - (threadIdx.x & 3)]);
}

// launch: whole_vectors grid=1 block=8 in=bits:i32[32] out=zeros:i32[32]
__global__ void whole_vectors(const int4* in, int4* out) {
    int4 v = in[7 - threadIdx.x];
    v.y ^= v.x;
    out[threadIdx.x] = v;
}

// launch: local_arrays grid=1 block=8 x=mixed:i32[32] out=zeros:i32[8]
__global__ void local_arrays(const int* x, int* out) {
    int a[4] = {};
    for (int i = 0; i < 4; i++) a[(x[threadIdx.x * 4 + i] & 3)] += i + 1;
    out[threadIdx.x] = a[0] + 10 * a[1] + 100 * a[2] + 1000 * a[3];
}

// launch: two_dimensional_locals grid=1 block=4 out=zeros:i32[36]
__global__ void two_dimensional_locals(int* out) {
    int m[3][3];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) m[i][j] = i * 10 + j + threadIdx.x;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) out[threadIdx.x * 9 + i * 3 + j] = m[j][i];
}

// launch: pointer_arithmetic grid=1 block=8 x=arange:i32[64] out=zeros:i32[24]
__global__ void pointer_arithmetic(const int* x, int* out) {
    const int* row = x + threadIdx.x * 8;
    const int* end = row + 8;
    int sum = 0;
    for (const int* p = row; p != end; ++p) sum += *p;
    int* o = &out[threadIdx.x * 3];
    *o++ = sum;
    *o++ = row[1] + *(row + 2);
    *o = (int)(end - row);
}

// launch: null_or_not grid=1 block=4 out=zeros:f32[4] bias=null
// launch: null_or_not grid=1 block=4 out=zeros:f32[4] bias=arange:f32[4]
__global__ void null_or_not(float* out, const float* bias) {
    int i = threadIdx.x;
    out[i] = bias != nullptr ? bias[i] + 1.0f : 5.0f;
    if (bias == NULL) out[i] += 1.0f;
}

// launch: static_shared grid=2 block=32 x=arange:i32[64]
__global__ void static_shared(int* x) {
    __shared__ int s[32];
    int i = blockIdx.x * 32 + threadIdx.x;
    s[threadIdx.x] = x[i];
    __syncthreads();
    x[i] = s[31 - threadIdx.x];
}

// launch: shared_tiles grid=2,2 block=8,8 in=arange:f32[256] out=zeros:f32[256] n=16
__global__ void shared_tiles(const float* in, float* out, int n) {
    __shared__ float tile[8][9];
    int x = blockIdx.x * 8 + threadIdx.x, y = blockIdx.y * 8 + threadIdx.y;
    tile[threadIdx.y][threadIdx.x] = in[y * n + x];
    __syncthreads();
    x = blockIdx.y * 8 + threadIdx.x;
    y = blockIdx.x * 8 + threadIdx.y;
    out[y * n + x] = tile[threadIdx.x][threadIdx.y];
}

// launch: dynamic_shared grid=1 block=32 shared=256 out=zeros:i32[32]
__global__ void dynamic_shared(int* out) {
    extern __shared__ float all[];
    float* a = all;
    int* b = (int*)(a + blockDim.x);
    int t = threadIdx.x;
    a[t] = t * 0.5f;
    b[t] = t * 3;
    __syncthreads();
    int o = blockDim.x - 1 - t;
    out[t] = b[o] + (int)(2.0f * a[o]);
}

__constant__ int weights[4] = {1, -2, 3, -4};
__device__ float offset = 0.5f;
// launch: constant_memory grid=1 block=8 x=arange:f32[8]
__global__ void constant_memory(float* x) { x[threadIdx.x] = x[threadIdx.x] * weights[threadIdx.x & 3] + offset; }

// launch: bits_of_floats grid=1 block=16 x=noise:f32[16] out=zeros:u32[16]
__global__ void bits_of_floats(const float* x, unsigned* out) {
    float v = x[threadIdx.x];
    unsigned bits;
    memcpy(&bits, &v, sizeof(bits));
    out[threadIdx.x] = bits ^ __float_as_uint(-v);
}
