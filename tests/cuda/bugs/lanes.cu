// Programs that take more of a warp for granted than CUDA promises.

// Threads of a warp have not run in lockstep since 2017.
// launch: lockstep grid=1 block=64 in=arange:f32[64] out=zeros:f32[1]
__global__ void lockstep(const float* in, float* out) {
    __shared__ volatile float s[64];
    s[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 32) {
        s[threadIdx.x] += s[threadIdx.x + 32];
        s[threadIdx.x] += s[threadIdx.x + 16]; // error: S102
        s[threadIdx.x] += s[threadIdx.x + 8];
        s[threadIdx.x] += s[threadIdx.x + 4];
    }
    if (threadIdx.x == 0) out[0] = s[0] + s[1] + s[2] + s[3];
}

// The mask says 32 lanes; 16 of them come.
// launch: half_a_warp grid=1 block=32 x=arange:i32[32]
__global__ void half_a_warp(int* x) {
    int v = x[threadIdx.x];
    if (threadIdx.x < 16) {
        v += __shfl_down_sync(0xffffffff, v, 8); // error: S110
    }
    x[threadIdx.x] = v;
}

// A block of 48 threads: the second warp has 16 lanes.
// launch: short_warp grid=1 block=48 x=arange:f32[48] out=zeros:f32[2]
__global__ void short_warp(const float* x, float* out) {
    float v = x[threadIdx.x];
    for (int offset = 16; offset > 0; offset /= 2) {
        v += __shfl_down_sync(0xffffffff, v, offset); // error: S110
    }
    if (threadIdx.x % 32 == 0) out[threadIdx.x / 32] = v;
}

// 32 is written where warpSize is meant.
// launch: thirty_two grid=1 block=64 x=arange:f32[64] out=zeros:f32[2] subgroups=32,8,16,64
__global__ void thirty_two(const float* x, float* out) {
    float v = x[threadIdx.x];
    for (int offset = 16; offset > 0; offset /= 2) {
        v += __shfl_xor_sync(0xffffffff, v, offset); // error: S112
    }
    if (threadIdx.x % 32 == 0) out[threadIdx.x / 32] = v;
}
