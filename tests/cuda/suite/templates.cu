// Templates and the preprocessor.

template <typename T> __device__ T plus_one(T v) { return v + 1; }
// launch: type_parameter<float> grid=1 block=8 x=arange:f32[8]
// launch: type_parameter<int> grid=1 block=8 x=arange:i32[8]
template <typename T> __global__ void type_parameter(T* x) { x[threadIdx.x] = plus_one(x[threadIdx.x]) * 2; }

// launch: number_parameter<4> grid=1 block=8 x=arange:i32[32] out=zeros:i32[8]
template <int N> __global__ void number_parameter(const int* x, int* out) {
    int sum = 0;
#pragma unroll
    for (int i = 0; i < N; i++) sum += x[threadIdx.x * N + i];
    out[threadIdx.x] = sum;
}

template <typename T, int N = 3> __device__ T scale(T x) { return x * N; }
// launch: defaults<float, 4> grid=1 block=8 out=zeros:f32[8]
template <typename T, int M> __global__ void defaults(T* out) { out[threadIdx.x] = scale<T>(threadIdx.x) + scale<T, M>(threadIdx.x); }

template <typename T> struct Zero { static __device__ T value() { return 7; } };
template <> struct Zero<float> { static __device__ float value() { return 0.25f; } };
// launch: specialised<float> grid=1 block=4 out=zeros:f32[4]
// launch: specialised<int> grid=1 block=4 out=zeros:i32[4]
template <typename T> __global__ void specialised(T* out) { out[threadIdx.x] = Zero<T>::value() + threadIdx.x; }

struct Add { __device__ int operator()(int a, int b) const { return a + b; } };
struct Most { __device__ int operator()(int a, int b) const { return a > b ? a : b; } };
template <class Op> __device__ int fold(const int* x, int n, Op op) {
    int v = x[0];
    for (int i = 1; i < n; i++) v = op(v, x[i]);
    return v;
}
// launch: functors<Add> grid=1 block=4 x=mixed:i32[32] out=zeros:i32[4]
// launch: functors<Most> grid=1 block=4 x=mixed:i32[32] out=zeros:i32[4]
template <class Op> __global__ void functors(const int* x, int* out) { out[threadIdx.x] = fold(x + threadIdx.x * 8, 8, Op()); }

// launch: decided_now<true> grid=1 block=4 x=arange:f32[4]
// launch: decided_now<false> grid=1 block=4 x=arange:f32[4]
template <bool Double> __global__ void decided_now(float* x) {
    if constexpr (Double) {
        x[threadIdx.x] *= 2.0f;
    } else {
        x[threadIdx.x] += 100.0f;
    }
}

template <typename T, int R, int C> struct Matrix {
    T v[R][C];
    __device__ T trace() const {
        T sum = 0;
        for (int i = 0; i < (R < C ? R : C); i++) sum += v[i][i];
        return sum;
    }
};
// launch: struct_templates grid=1 block=4 out=zeros:i32[4]
__global__ void struct_templates(int* out) {
    Matrix<int, 2, 3> m;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) m.v[i][j] = threadIdx.x * 10 + i * 3 + j;
    out[threadIdx.x] = m.trace();
}

template <int N> __device__ int sum_to() { return N + sum_to<N - 1>(); }
template <> __device__ int sum_to<0>() { return 0; }
// launch: recursive_templates grid=1 block=4 out=zeros:i32[4]
__global__ void recursive_templates(int* out) { out[threadIdx.x] = sum_to<10>() + threadIdx.x; }

#define TILE 4
#define SQUARE(x) ((x) * (x))
#define JOIN(a, b) a##b
#define CALL(f, ...) f(__VA_ARGS__)
#if defined(TILE) && TILE > 3
#define PICK(a, b) a
#else
#define PICK(a, b) b
#endif
__device__ int multiply_add(int a, int b, int c) { return a * b + c; }
// launch: macros grid=1 block=4 out=zeros:i32[4]
__global__ void JOIN(mac, ros)(int* out) {
    out[threadIdx.x] = SQUARE(threadIdx.x + 1) + PICK(100, 200) + CALL(multiply_add, 2, TILE, 5);
}

#define CHECKED(i, n) \
    do { \
        if ((i) >= (n)) return; \
    } while (0)
// launch: macro_statements grid=1 block=8 out=zeros:i32[8] n=5
__global__ void macro_statements(int* out, int n) {
    CHECKED(threadIdx.x, n);
    out[threadIdx.x] = n;
}

template <int K> __device__ int neighbour(int v) {
    __shared__ int s[32];
    s[threadIdx.x] = v + K;
    __syncthreads();
    return s[(threadIdx.x + 1) % 32];
}
// Each instance of the template has shared memory of its own.
// launch: shared_of_each_instance grid=1 block=32 x=arange:i32[32] out=zeros:i32[32]
__global__ void shared_of_each_instance(const int* x, int* out) {
    int a = neighbour<1>(x[threadIdx.x]);
    out[threadIdx.x] = neighbour<100>(a) - a;
}
