// Reads of what nobody wrote.

// Only half of the threads fill the tile.
// launch: half_a_tile grid=1 block=64 x=arange:f32[32] y=zeros:f32[64]
__global__ void half_a_tile(const float* x, float* y) {
    __shared__ float s[64];
    if (threadIdx.x < 32) s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x]; // error: S103
}

// launch: variable grid=1 block=32 x=arange:i32[32] y=zeros:i32[32]
__global__ void variable(const int* x, int* y) {
    int found;
    if (x[threadIdx.x] % 2 == 0) found = x[threadIdx.x];
    y[threadIdx.x] = found; // error: S103
}

// launch: sums grid=1 block=16 x=arange:f32[64] y=zeros:f32[16]
__global__ void sums(const float* x, float* y) {
    float acc[4];
    for (int i = 0; i < 4; i++) {
        acc[i] += x[threadIdx.x * 4 + i]; // error: S103
    }
    y[threadIdx.x] = acc[0] + acc[1] + acc[2] + acc[3];
}

// The output is accumulated into without having been cleared.
// launch: accumulate grid=1 block=32 x=arange:f32[32] sum=empty:f32[32]
__global__ void accumulate(const float* x, float* sum) {
    sum[threadIdx.x] += x[threadIdx.x]; // error: S103
}
