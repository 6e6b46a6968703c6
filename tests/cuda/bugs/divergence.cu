// Barriers that only some threads of the block reach.

// launch: under_a_condition grid=1 block=64 x=arange:f32[64]
__global__ void under_a_condition(float* x) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x < 32) {
        __syncthreads(); // error: U008
        x[threadIdx.x] = s[threadIdx.x + 32];
    }
}

// launch: in_a_loop grid=1 block=64 x=arange:i32[64]
__global__ void in_a_loop(int* x) {
    __shared__ int s;
    for (int i = threadIdx.x; i < 100; i += 60) {
        if (threadIdx.x == 0) s = i;
        __syncthreads(); // error: U008
        x[threadIdx.x] = s;
    }
}

// The condition is far away from the barrier.
// launch: in_a_function grid=1 block=64 x=arange:f32[64] y=zeros:f32[64]
__device__ float block_sum(float* s) {
    for (int stride = blockDim.x / 2; stride > 0; stride /= 2) {
        if (threadIdx.x < stride) s[threadIdx.x] += s[threadIdx.x + stride];
        __syncthreads();
    }
    return s[0];
}

__global__ void in_a_function(const float* x, float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = x[threadIdx.x] > 10.0f ? block_sum(s) : 0.0f; // error: U008
}

// Threads wait for data of their own.
// launch: while_there_is_work grid=1 block=32 work=arange:i32[32]
__global__ void while_there_is_work(int* work) {
    while (work[threadIdx.x] > 0) {
        work[threadIdx.x] -= 1;
        __syncthreads(); // error: U008
    }
}
