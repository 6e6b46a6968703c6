// The generators XORWOW (Marsaglia, "Xorshift RNGs", 2003) and Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", 2011), with the seeding, subsequences and distributions of cuRAND's device interface. States have cuRAND's sizes; their
// doubles are kept as words, so that devices without doubles can hold them.

struct __align__(8) curandStateXORWOW {
    unsigned int d, v[5];
    int boxmuller_flag, boxmuller_flag_double;
    float boxmuller_extra;
    unsigned int unused;
    unsigned int boxmuller_extra_double[2];
};
typedef curandStateXORWOW curandStateXORWOW_t;
typedef curandStateXORWOW curandState;
typedef curandStateXORWOW curandState_t;

struct __align__(16) curandStatePhilox4_32_10 {
    uint4 ctr, output;
    uint2 key;
    unsigned int STATE;
    int boxmuller_flag, boxmuller_flag_double;
    float boxmuller_extra;
    unsigned int boxmuller_extra_double[2];
};
typedef curandStatePhilox4_32_10 curandStatePhilox4_32_10_t;

// The state as a vector over GF(2), moved on by 4^k steps (k from 0), and by 4^k subsequences of 2^67 steps (k from 32):
// 800 words each, for every bit of the state what it becomes.
__constant__ unsigned int __girih_xorwow_jumps[51200];

__device__ inline void __girih_xorwow_jump(unsigned int* v, unsigned long long n, int first) {
    for (int k = first; n != 0; k++) {
        for (int times = (int)(n & 3); times > 0; times--) {
            unsigned int a = 0, b = 0, c = 0, d = 0, e = 0;
            const unsigned int* column = __girih_xorwow_jumps + k * 800;
            for (int bit = 0; bit < 160; bit++) {
                if (v[bit >> 5] >> (bit & 31) & 1) {
                    a ^= column[0];
                    b ^= column[1];
                    c ^= column[2];
                    d ^= column[3];
                    e ^= column[4];
                }
                column += 5;
            }
            v[0] = a;
            v[1] = b;
            v[2] = c;
            v[3] = d;
            v[4] = e;
        }
        n >>= 2;
    }
}

__device__ inline void skipahead(unsigned long long n, curandStateXORWOW* state) {
    unsigned int v[5];
    for (int i = 0; i < 5; i++) v[i] = state->v[i];
    __girih_xorwow_jump(v, n, 0);
    for (int i = 0; i < 5; i++) state->v[i] = v[i];
    state->d += 362437u * (unsigned int)n;
}
__device__ inline void skipahead_sequence(unsigned long long n, curandStateXORWOW* state) {
    unsigned int v[5];
    for (int i = 0; i < 5; i++) v[i] = state->v[i];
    __girih_xorwow_jump(v, n, 32);
    for (int i = 0; i < 5; i++) state->v[i] = v[i];
}

__device__ inline void curand_init(unsigned long long seed, unsigned long long subsequence, unsigned long long offset, curandStateXORWOW* state) {
    unsigned int low = 1099087573u * ((unsigned int)seed ^ 0xaad26b49u);
    unsigned int high = 2591861531u * ((unsigned int)(seed >> 32) ^ 0xf7dcefddu);
    state->d = 6615241u + high + low;
    state->v[0] = 123456789u + low;
    state->v[1] = 362436069u ^ low;
    state->v[2] = 521288629u + high;
    state->v[3] = 88675123u ^ high;
    state->v[4] = 5783321u + low;
    skipahead_sequence(subsequence, state);
    skipahead(offset, state);
    state->boxmuller_flag = 0;
    state->boxmuller_flag_double = 0;
    state->boxmuller_extra = 0.0f;
    state->boxmuller_extra_double[0] = 0;
    state->boxmuller_extra_double[1] = 0;
}

__device__ inline unsigned int curand(curandStateXORWOW* state) {
    unsigned int t = state->v[0] ^ (state->v[0] >> 2);
    state->v[0] = state->v[1];
    state->v[1] = state->v[2];
    state->v[2] = state->v[3];
    state->v[3] = state->v[4];
    state->v[4] = (state->v[4] ^ (state->v[4] << 4)) ^ (t ^ (t << 1));
    state->d += 362437u;
    return state->v[4] + state->d;
}

__device__ inline uint4 __girih_philox(uint4 c, uint2 k) {
    for (int round = 0; round < 10; round++) {
        unsigned int low0 = 0xd2511f53u * c.x, high0 = __umulhi(0xd2511f53u, c.x);
        unsigned int low1 = 0xcd9e8d57u * c.z, high1 = __umulhi(0xcd9e8d57u, c.z);
        c.x = high1 ^ c.y ^ k.x;
        c.y = low1;
        c.z = high0 ^ c.w ^ k.y;
        c.w = low0;
        k.x += 0x9e3779b9u;
        k.y += 0xbb67ae85u;
    }
    return c;
}
// The counter has 128 bits.
__device__ inline void __girih_philox_count(curandStatePhilox4_32_10* state, unsigned long long n) {
    unsigned int low = (unsigned int)n, high = (unsigned int)(n >> 32);
    state->ctr.x += low;
    if (state->ctr.x < low) high++;
    state->ctr.y += high;
    if (high <= state->ctr.y) return;
    state->ctr.z++;
    if (state->ctr.z == 0) state->ctr.w++;
}
__device__ inline void skipahead(unsigned long long n, curandStatePhilox4_32_10* state) {
    state->STATE += (unsigned int)n & 3;
    unsigned long long blocks = n / 4;
    if (state->STATE > 3) {
        blocks++;
        state->STATE -= 4;
    }
    __girih_philox_count(state, blocks);
    state->output = __girih_philox(state->ctr, state->key);
}
__device__ inline void skipahead_sequence(unsigned long long n, curandStatePhilox4_32_10* state) {
    unsigned int low = (unsigned int)n;
    state->ctr.z += low;
    state->ctr.w += (unsigned int)(n >> 32) + (state->ctr.z < low ? 1u : 0u);
    state->output = __girih_philox(state->ctr, state->key);
}
__device__ inline void curand_init(unsigned long long seed, unsigned long long subsequence, unsigned long long offset, curandStatePhilox4_32_10* state) {
    state->ctr = make_uint4(0, 0, 0, 0);
    state->key = make_uint2((unsigned int)seed, (unsigned int)(seed >> 32));
    state->STATE = 0;
    state->boxmuller_flag = 0;
    state->boxmuller_flag_double = 0;
    state->boxmuller_extra = 0.0f;
    state->boxmuller_extra_double[0] = 0;
    state->boxmuller_extra_double[1] = 0;
    skipahead_sequence(subsequence, state);
    skipahead(offset, state);
}
__device__ inline unsigned int curand(curandStatePhilox4_32_10* state) {
    unsigned int s = state->STATE;
    uint4 out = state->output;
    unsigned int r = s == 0 ? out.x : (s == 1 ? out.y : (s == 2 ? out.z : out.w));
    state->STATE = s + 1;
    if (s == 3) {
        __girih_philox_count(state, 1);
        state->output = __girih_philox(state->ctr, state->key);
        state->STATE = 0;
    }
    return r;
}
__device__ inline uint4 curand4(curandStatePhilox4_32_10* state) {
    uint4 old = state->output;
    __girih_philox_count(state, 1);
    uint4 next = __girih_philox(state->ctr, state->key);
    state->output = next;
    unsigned int s = state->STATE;
    uint4 r;
    r.x = s == 0 ? old.x : (s == 1 ? old.y : (s == 2 ? old.z : old.w));
    r.y = s == 0 ? old.y : (s == 1 ? old.z : (s == 2 ? old.w : next.x));
    r.z = s == 0 ? old.z : (s == 1 ? old.w : (s == 2 ? next.x : next.y));
    r.w = s == 0 ? old.w : (s == 1 ? next.x : (s == 2 ? next.y : next.z));
    return r;
}

// From 0, which is excluded, to 1.
__device__ inline float __girih_uniform(unsigned int x) { return (float)x * 2.3283064e-10f + 2.3283064e-10f / 2.0f; }
__device__ inline double __girih_uniform_double(unsigned int x, unsigned int y) {
    unsigned long long z = (unsigned long long)x ^ ((unsigned long long)y << 21);
    return (double)z * 1.1102230246251565e-16 + 5.551115123125783e-17;
}
// Box and Muller's pair of normal numbers.
__device__ inline float2 __girih_normal(unsigned int x, unsigned int y) {
    float u = __girih_uniform(x), v = (float)y * (2.3283064e-10f * 6.2831855f) + (2.3283064e-10f * 6.2831855f) / 2.0f;
    float s = sqrtf(-2.0f * logf(u));
    return make_float2(sinf(v) * s, cosf(v) * s);
}

template <class State> __device__ inline float curand_uniform(State* state) { return __girih_uniform(curand(state)); }
template <class State> __device__ inline double curand_uniform_double(State* state) {
    unsigned int x = curand(state), y = curand(state);
    return __girih_uniform_double(x, y);
}
template <class State> __device__ inline float2 curand_normal2(State* state) {
    unsigned int x = curand(state), y = curand(state);
    return __girih_normal(x, y);
}
template <class State> __device__ inline float curand_normal(State* state) {
    float r = state->boxmuller_extra;
    if (state->boxmuller_flag != 1) {
        float2 v = curand_normal2(state);
        state->boxmuller_extra = v.y;
        state->boxmuller_flag = 1;
        r = v.x;
    } else {
        state->boxmuller_flag = 0;
    }
    return r;
}
template <class State> __device__ inline float curand_log_normal(State* state, float mean, float deviation) {
    return expf(mean + deviation * curand_normal(state));
}
template <class State> __device__ inline double2 curand_normal2_double(State* state) {
    unsigned int x0 = curand(state), x1 = curand(state), y0 = curand(state), y1 = curand(state);
    double u = __girih_uniform_double(x0, x1);
    unsigned long long z = (unsigned long long)y0 ^ ((unsigned long long)y1 << 21);
    double v = (double)z * 2.2204460492503131e-16 + 1.1102230246251565e-16;
    double s = sqrt(-2.0 * log(u));
    return make_double2(sin(v * 3.1415926535897932) * s, cos(v * 3.1415926535897932) * s);
}
template <class State> __device__ inline double curand_normal_double(State* state) {
    double r = __hiloint2double(state->boxmuller_extra_double[1], state->boxmuller_extra_double[0]);
    if (state->boxmuller_flag_double != 1) {
        double2 v = curand_normal2_double(state);
        long long bits = __double_as_longlong(v.y);
        state->boxmuller_extra_double[0] = (unsigned int)bits;
        state->boxmuller_extra_double[1] = (unsigned int)(bits >> 32);
        state->boxmuller_flag_double = 1;
        r = v.x;
    } else {
        state->boxmuller_flag_double = 0;
    }
    return r;
}
__device__ inline float4 curand_uniform4(curandStatePhilox4_32_10* state) {
    uint4 x = curand4(state);
    return make_float4(__girih_uniform(x.x), __girih_uniform(x.y), __girih_uniform(x.z), __girih_uniform(x.w));
}
__device__ inline float4 curand_normal4(curandStatePhilox4_32_10* state) {
    uint4 x = curand4(state);
    float2 a = __girih_normal(x.x, x.y), b = __girih_normal(x.z, x.w);
    return make_float4(a.x, a.y, b.x, b.y);
}
