// Data races: two threads touch one element, one of them writes, and nothing orders them.

// launch: reverse grid=1 block=64 x=arange:i32[64]
__global__ void reverse(int* x) {
    __shared__ int row[64];
    row[threadIdx.x] = x[threadIdx.x];
    x[threadIdx.x] = row[63 - threadIdx.x]; // error: S102
}

// launch: reduce grid=1 block=64 in=arange:f32[64] out=zeros:f32[1]
__global__ void reduce(const float* in, float* out) {
    __shared__ float s[64];
    s[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    for (int stride = 32; stride > 0; stride /= 2) {
        if (threadIdx.x < stride) {
            s[threadIdx.x] += s[threadIdx.x + stride]; // error: S102
        }
    }
    if (threadIdx.x == 0) out[0] = s[0];
}

// launch: sum_of_all grid=2 block=32 in=arange:i32[64] out=zeros:i32[1]
__global__ void sum_of_all(const int* in, int* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[0] += in[i]; // error: S102
}

// The tile is overwritten while slower threads still read it.
// launch: tiled grid=1 block=8,8 a=arange:f32[256] b=arange:f32[256] c=zeros:f32[256] n=16
__global__ void tiled(const float* a, const float* b, float* c, int n) {
    __shared__ float as[8][8], bs[8][8];
    int row = threadIdx.y, col = threadIdx.x;
    float sum = 0.0f;
    for (int t = 0; t < n / 8; t++) {
        as[row][col] = a[row * n + t * 8 + col]; // error: S102
        bs[row][col] = b[(t * 8 + row) * n + col];
        __syncthreads();
        for (int k = 0; k < 8; k++) sum += as[row][k] * bs[k][col];
    }
    c[row * n + col] = sum;
}

// Neighbours in the same array: in-place smoothing.
// launch: smooth grid=1 block=64 x=arange:f32[66]
__global__ void smooth(float* x) {
    int i = threadIdx.x + 1;
    float mean = (x[i - 1] + x[i] + x[i + 1]) / 3.0f;
    x[i] = mean; // error: S102
}

// Blocks that meet at their edges.
// launch: edges grid=4 block=16 out=zeros:i32[65]
__global__ void edges(int* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = i;
    if (threadIdx.x == 15) {
        out[i + 1] = -1; // error: S102
    }
}

// A barrier of the warp does not order other warps.
// launch: warp_barrier grid=1 block=64 x=arange:i32[64]
__global__ void warp_barrier(int* x) {
    __shared__ int s[64];
    s[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    x[threadIdx.x] = s[threadIdx.x ^ 32]; // error: S102
}

// One thread changes what the others read.
// launch: counter grid=1 block=64 out=zeros:i32[64]
__global__ void counter(int* out) {
    __shared__ int flag;
    __shared__ int values[64];
    if (threadIdx.x == 0) flag = 1;
    values[threadIdx.x] = threadIdx.x;
    __syncthreads();
    if (threadIdx.x == 5) values[0] = 7;
    out[threadIdx.x] = values[0] + flag; // error: S102
}

// The histogram forgets that additions are two accesses.
// launch: histogram grid=1 block=64 data=arange:i32[64] bins=zeros:i32[16]
__global__ void histogram(const int* data, int* bins) {
    __shared__ int local[16];
    if (threadIdx.x < 16) local[threadIdx.x] = 0;
    __syncthreads();
    local[data[threadIdx.x] % 16]++; // error: S102
    __syncthreads();
    if (threadIdx.x < 16) bins[threadIdx.x] = local[threadIdx.x];
}

// The last block reads partial sums that nothing orders.
// launch: last_block grid=4 block=32 partial=zeros:f32[4] out=zeros:f32[1]
__global__ void last_block(float* partial, float* out) {
    if (threadIdx.x == 0) partial[blockIdx.x] = blockIdx.x * 2.0f;
    __syncthreads();
    if (blockIdx.x == gridDim.x - 1 && threadIdx.x == 0) {
        float sum = 0.0f;
        for (int i = 0; i < gridDim.x; i++) {
            sum += partial[i]; // error: S102
        }
        out[0] = sum;
    }
}
