// Accesses outside of an array, at an odd address, or at an index that wrapped around.

// launch: add grid=4 block=32 a=arange:f32[100] b=arange:f32[100] c=zeros:f32[100]
__global__ void add(const float* a, const float* b, float* c) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    c[i] = a[i] + b[i]; // error: S101
}

// launch: off_by_one grid=1 block=32 x=arange:i32[32] n=32
__global__ void off_by_one(int* x, int n) {
    int i = threadIdx.x;
    if (i <= n) {
        x[i] = x[i + 1] + 1; // error: S101
    }
}

// launch: before_the_start grid=1 block=32 x=arange:i32[32] y=zeros:i32[32]
__global__ void before_the_start(const int* x, int* y) {
    int i = threadIdx.x;
    y[i] = x[i] - x[i - 1]; // error: S101
}

// launch: shared_tile grid=1 block=16,16 x=arange:f32[256] y=zeros:f32[256]
__global__ void shared_tile(const float* x, float* y) {
    __shared__ float tile[15][17];
    tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 16 + threadIdx.x]; // error: S101
    __syncthreads();
    y[threadIdx.y * 16 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}

// A local array indexed by what a buffer holds.
// launch: local_array grid=1 block=8 x=arange:i32[8] y=zeros:i32[8]
__global__ void local_array(const int* x, int* y) {
    int table[4] = {3, 1, 4, 1};
    y[threadIdx.x] = table[x[threadIdx.x]]; // error: S101
}

// Four floats at an address that is a multiple of 4 bytes only.
// launch: misaligned grid=1 block=8 x=arange:f32[64] y=zeros:f32[32]
__global__ void misaligned(const float* x, float* y) {
    const float4* p = reinterpret_cast<const float4*>(x + threadIdx.x * 4 + 1);
    float4 v = *p; // error: S108
    y[threadIdx.x] = v.x + v.y + v.z + v.w;
}

// The rows are not a multiple of four long.
// launch: odd_rows grid=1 block=4 x=arange:f32[64] n=6
__global__ void odd_rows(float* x, int n) {
    float* row = x + threadIdx.x * n;
    *reinterpret_cast<float4*>(row) = make_float4(0.0f, 1.0f, 2.0f, 3.0f); // error: S108
}

// The product of row and stride does not fit 32 bits, and comes back into the array.
// launch: overflow grid=1 block=8 x=arange:f32[8] y=zeros:f32[8] stride=1073741824
__global__ void overflow(const float* x, float* y, int stride) {
    int row = threadIdx.x;
    int i = row * stride;
    y[row] = x[i * 4]; // error: S109
}
