// What threads do together.

// launch: block_sum grid=4 block=64 in=mixed:i32[200] out=zeros:i32[4] n=200
__global__ void block_sum(const int* in, int* out, int n) {
    __shared__ int s[64];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    s[t] = i < n ? in[i] : 0;
    __syncthreads();
    for (int stride = blockDim.x / 2; stride > 0; stride >>= 1) {
        if (t < stride) s[t] += s[t + stride];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = s[0];
}

// launch: prefix_sum grid=1 block=64 in=mixed:i32[64] out=zeros:i32[64]
__global__ void prefix_sum(const int* in, int* out) {
    __shared__ int s[2][64];
    int t = threadIdx.x, from = 0;
    s[0][t] = in[t];
    __syncthreads();
    for (int o = 1; o < 64; o *= 2) {
        s[1 - from][t] = t >= o ? s[from][t] + s[from][t - o] : s[from][t];
        from = 1 - from;
        __syncthreads();
    }
    out[t] = s[from][t];
}

// launch: sorted grid=1 block=32 data=bits:u32[64]
__global__ void sorted(unsigned* data) {
    __shared__ unsigned s[64];
    s[threadIdx.x] = data[threadIdx.x];
    s[threadIdx.x + 32] = data[threadIdx.x + 32];
    for (unsigned size = 2; size <= 64; size <<= 1) {
        for (unsigned stride = size / 2; stride > 0; stride >>= 1) {
            __syncthreads();
            unsigned pos = 2 * threadIdx.x - (threadIdx.x & (stride - 1));
            bool up = (pos & size) == 0;
            unsigned a = s[pos], b = s[pos + stride];
            if ((a > b) == up) {
                s[pos] = b;
                s[pos + stride] = a;
            }
        }
    }
    __syncthreads();
    data[threadIdx.x] = s[threadIdx.x];
    data[threadIdx.x + 32] = s[threadIdx.x + 32];
}

// launch: counted_barriers grid=1 block=64 x=mixed:i32[64] out=zeros:i32[192]
__global__ void counted_barriers(const int* x, int* out) {
    int t = threadIdx.x;
    out[3 * t] = __syncthreads_count(x[t] > 10);
    out[3 * t + 1] = __syncthreads_and(x[t] > -200);
    out[3 * t + 2] = __syncthreads_or(x[t] > 200);
}

// launch: shuffles grid=1 block=64 x=mixed:i32[64] out=zeros:i32[256]
__global__ void shuffles(const int* x, int* out) {
    int t = threadIdx.x, v = x[t];
    out[4 * t] = __shfl_sync(0xffffffff, v, 5);
    out[4 * t + 1] = __shfl_up_sync(0xffffffff, v, 3);
    out[4 * t + 2] = __shfl_down_sync(0xffffffff, v, 7);
    out[4 * t + 3] = __shfl_xor_sync(0xffffffff, v, 9);
}

// launch: narrow_shuffles grid=1 block=32 x=mixed:i32[32] out=zeros:i32[96]
__global__ void narrow_shuffles(const int* x, int* out) {
    int t = threadIdx.x, v = x[t];
    out[3 * t] = __shfl_sync(0xffffffff, v, t + 1, 8);
    out[3 * t + 1] = __shfl_up_sync(0xffffffff, v, 1, 4);
    out[3 * t + 2] = __shfl_xor_sync(0xffffffff, v, 1, 16);
}

// launch: wide_shuffles grid=1 block=32 x=mixed:i64[32] y=noise:f32[32] out=zeros:i64[32] f=zeros:f32[32]
__global__ void wide_shuffles(const long long* x, const float* y, long long* out, float* f) {
    int t = threadIdx.x;
    out[t] = __shfl_xor_sync(0xffffffff, x[t] * 1234567891234LL, 31);
    f[t] = __shfl_down_sync(0xffffffff, y[t], 2);
}

// launch: votes grid=1 block=64 x=mixed:i32[64] out=zeros:u32[192]
__global__ void votes(const int* x, unsigned* out) {
    int t = threadIdx.x;
    out[3 * t] = __ballot_sync(0xffffffff, x[t] > 0);
    out[3 * t + 1] = __any_sync(0xffffffff, x[t] > 90);
    out[3 * t + 2] = __all_sync(0xffffffff, x[t] > -90);
}

// launch: votes_of_some grid=1 block=32 x=mixed:i32[32] out=zeros:u32[32]
__global__ void votes_of_some(const int* x, unsigned* out) {
    int t = threadIdx.x;
    unsigned v = 0;
    if (t < 16) {
        v = __ballot_sync(0x0000ffff, x[t] > 0);
    } else {
        v = __ballot_sync(0xffff0000, x[t] < 0);
    }
    out[t] = v;
}

// launch: warp_sum grid=2 block=64 x=mixed:i32[128] out=zeros:i32[2]
__global__ void warp_sum(const int* x, int* out) {
    __shared__ int sums[32];
    int v = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int o = 16; o > 0; o /= 2) v += __shfl_down_sync(0xffffffff, v, o);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (lane == 0) sums[warp] = v;
    __syncthreads();
    if (warp == 0) {
        v = lane < blockDim.x / 32 ? sums[lane] : 0;
        for (int o = 16; o > 0; o /= 2) v += __shfl_down_sync(0xffffffff, v, o);
        if (lane == 0) out[blockIdx.x] = v;
    }
}

// launch: matching_lanes grid=1 block=32 x=mixed:i32[32] out=zeros:u32[32]
__global__ void matching_lanes(const int* x, unsigned* out) { out[threadIdx.x] = __match_any_sync(0xffffffff, x[threadIdx.x] & 3); }

// launch: reduced_lanes grid=1 block=32 x=mixed:i32[32] out=zeros:u32[32]
__global__ void reduced_lanes(const int* x, unsigned* out) {
    out[threadIdx.x] = __reduce_add_sync(0xffffffff, (unsigned)x[threadIdx.x]);
}

// launch: shared_in_a_warp grid=1 block=64 x=mixed:i32[64]
__global__ void shared_in_a_warp(int* x) {
    __shared__ int s[64];
    s[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    int v = s[threadIdx.x ^ 1];
    __syncwarp();
    s[threadIdx.x] = v * 2;
    __syncwarp();
    x[threadIdx.x] = s[threadIdx.x ^ 7];
}

// launch: lanes_that_stop grid=1 block=32 x=mixed:i32[32] out=zeros:i32[32]
__global__ void lanes_that_stop(const int* x, int* out) {
    int t = threadIdx.x, v = x[t], rounds = 0;
    while (__any_sync(0xffffffff, v > 0)) {
        if (v > 0) v -= 17;
        rounds++;
    }
    out[t] = v * 100 + rounds;
}

// launch: atomic_sums grid=4 block=32 x=mixed:i32[128] out=zeros:i32[4]
__global__ void atomic_sums(const int* x, int* out) {
    int v = x[blockIdx.x * blockDim.x + threadIdx.x];
    atomicAdd(&out[0], v);
    atomicMax(&out[1], v);
    atomicMin(&out[2], v);
    atomicSub(&out[3], v * 2);
}

// launch: atomic_bits grid=2 block=32 x=bits:u32[64] out=zeros:u32[3]
__global__ void atomic_bits(const unsigned* x, unsigned* out) {
    unsigned v = x[blockIdx.x * blockDim.x + threadIdx.x];
    atomicOr(&out[0], v & 0x0f0f0f0f);
    atomicXor(&out[1], v);
    atomicAnd(&out[2], v);
}

// launch: atomic_counters grid=4 block=32 out=zeros:u32[2]
__global__ void atomic_counters(unsigned* out) {
    atomicInc(&out[0], 1000);
    atomicDec(&out[1], 5000);
}

// launch: atomic_floats grid=4 block=32 x=mixed:f32[128] out=zeros:f32[1]
__global__ void atomic_floats(const float* x, float* out) { atomicAdd(out, x[blockIdx.x * blockDim.x + threadIdx.x]); }

// launch: atomic_longs grid=4 block=32 x=mixed:i32[128] out=zeros:u64[9]
__global__ void atomic_longs(const int* x, unsigned long long* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned long long v = (unsigned long long)(long long)x[i] * 0x123456789ull;
    atomicAdd(&out[0], v);
    atomicMax(&out[1], v);
    atomicMin(&out[2], v);
    atomicXor(&out[3], v);
    atomicOr(&out[4], 1ull << (i % 64));
    atomicAnd(&out[5], v);
    if (i == 77) atomicExch(&out[6], v);
    // The largest signed value, in an array of unsigned ones.
    atomicMax((long long*)&out[7], (long long)v);
    if (x[i] > 0) out[8] = 5;
}

// launch: atomic_longs_shared grid=2 block=64 x=mixed:i32[128] out=zeros:i64[4]
__global__ void atomic_longs_shared(const int* x, long long* out) {
    __shared__ long long top;
    __shared__ unsigned long long sum;
    if (threadIdx.x == 0) {
        top = -(1ll << 60);
        sum = 0;
    }
    __syncthreads();
    long long v = (long long)x[blockIdx.x * blockDim.x + threadIdx.x] << 33;
    atomicMax(&top, v);
    atomicAdd(&sum, (unsigned long long)v);
    __syncthreads();
    if (threadIdx.x == 0) {
        out[blockIdx.x] = top;
        out[2 + blockIdx.x] = (long long)sum;
    }
}

// Whole numbers: their sums are exact in any order.
// launch: atomic_doubles grid=4 block=32 x=mixed:i32[128] out=zeros:f64[2]
__global__ void atomic_doubles(const int* x, double* out) {
    double v = x[blockIdx.x * blockDim.x + threadIdx.x];
    atomicAdd(&out[0], v);
    out[1] = 2.5;
}

__device__ double add_by_words(double* address, double value) {
    unsigned long long* words = (unsigned long long*)address;
    unsigned long long old = *words, assumed;
    do {
        assumed = old;
        old = atomicCAS(words, assumed, __double_as_longlong(value + __longlong_as_double(assumed)));
    } while (assumed != old);
    return __longlong_as_double(old);
}
// launch: exchanged_doubles grid=4 block=32 x=mixed:i32[128] out=zeros:f64[2]
__global__ void exchanged_doubles(const int* x, double* out) {
    add_by_words(&out[0], (double)x[blockIdx.x * blockDim.x + threadIdx.x]);
    if (blockIdx.x + threadIdx.x == 0) out[1] = 1.0;
}

// launch: compare_and_swap grid=4 block=32 x=mixed:f32[128] out=zeros:i32[1]
__global__ void compare_and_swap(const float* x, int* out) {
    float v = x[blockIdx.x * blockDim.x + threadIdx.x];
    int old = *(volatile int*)out, seen;
    do {
        seen = old;
        if (__int_as_float(seen) >= v) break;
        old = atomicCAS(out, seen, __float_as_int(v));
    } while (old != seen);
}

// launch: bins grid=4 block=64 data=bits:u8[500] out=zeros:u32[16] n=500
__global__ void bins(const unsigned char* data, unsigned* out, int n) {
    __shared__ unsigned local[16];
    if (threadIdx.x < 16) local[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) atomicAdd(&local[data[i] >> 4], 1u);
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&out[threadIdx.x], local[threadIdx.x]);
}

// The last block to finish adds the partial sums.
__device__ unsigned int finished = 0;
// launch: last_block grid=4 block=32 x=mixed:i32[128] partial=zeros:i32[4] out=zeros:i32[1]
__global__ void last_block(const int* x, volatile int* partial, int* out) {
    __shared__ bool last;
    __shared__ int s;
    if (threadIdx.x == 0) s = 0;
    __syncthreads();
    atomicAdd(&s, x[blockIdx.x * blockDim.x + threadIdx.x]);
    __syncthreads();
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = s;
        __threadfence();
        last = atomicAdd(&finished, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        int sum = 0;
        for (int i = 0; i < 4; i++) sum += partial[i];
        out[0] = sum;
    }
}
