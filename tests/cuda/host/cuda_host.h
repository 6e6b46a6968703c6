// CUDA C++ on the host, for comparison: a thread for each CUDA thread, one block after the other. Written for reading and for being
// right, not for being fast.
#pragma once
#include <algorithm>
#include <cfloat>
#include <climits>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__ static
#define __forceinline__ inline
#define __noinline__
#define __restrict__
#define __launch_bounds__(...)

template <class T, int N> struct Lanes;
#define GIRIH_VECTOR(T, NAME, ALIGN2, ALIGN4)                                                                                      \
    struct NAME##1 { T x; };                                                                                                       \
    struct alignas(ALIGN2) NAME##2 { T x, y; };                                                                                    \
    struct NAME##3 { T x, y, z; };                                                                                                 \
    struct alignas(ALIGN4) NAME##4 { T x, y, z, w; };                                                                              \
    inline NAME##2 make_##NAME##2(T x, T y) { return {x, y}; }                                                                     \
    inline NAME##3 make_##NAME##3(T x, T y, T z) { return {x, y, z}; }                                                             \
    inline NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
GIRIH_VECTOR(float, float, 8, 16)
GIRIH_VECTOR(int, int, 8, 16)
GIRIH_VECTOR(unsigned, uint, 8, 16)
GIRIH_VECTOR(unsigned char, uchar, 2, 4)
GIRIH_VECTOR(signed char, char, 2, 4)
GIRIH_VECTOR(short, short, 4, 8)
GIRIH_VECTOR(double, double, 16, 16)

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct Index {
    unsigned x, y, z;
};
static thread_local Index threadIdx;
static Index blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;
alignas(16) static unsigned char girih_dynamic[1 << 16];

// Threads of a block that wait for each other: those of a mask, in rounds.
struct Meeting {
    uint64_t words[32];
    unsigned arrived = 0, leaving = 0;
};
static std::mutex girih_lock;
static std::condition_variable girih_news;
static unsigned girih_threads, girih_alive, girih_waiting, girih_round, girih_votes[3], girih_result[3];
static std::map<std::pair<unsigned, unsigned>, Meeting> girih_meetings;
static std::vector<unsigned> girih_lanes;
static thread_local unsigned girih_thread;

static void girih_end_round() {
    std::copy(girih_votes, girih_votes + 3, girih_result);
    girih_votes[0] = 0, girih_votes[1] = 1, girih_votes[2] = 0;
    girih_waiting = 0;
    girih_round++;
    girih_news.notify_all();
}
// Votes: how many, all, any.
static unsigned girih_sync(int vote, int which) {
    std::unique_lock<std::mutex> lock(girih_lock);
    girih_votes[0] += vote != 0, girih_votes[1] &= vote != 0, girih_votes[2] |= vote != 0;
    unsigned round = girih_round;
    if (++girih_waiting == girih_alive) girih_end_round();
    else girih_news.wait(lock, [&] { return girih_round != round; });
    return girih_result[which];
}
inline void __syncthreads() { girih_sync(1, 0); }
inline int __syncthreads_count(int p) { return girih_sync(p, 0); }
inline int __syncthreads_and(int p) { return girih_sync(p, 1); }
inline int __syncthreads_or(int p) { return girih_sync(p, 2); }

// The words of all lanes of a mask.
static Meeting girih_meet(unsigned mask, uint64_t word) {
    std::unique_lock<std::mutex> lock(girih_lock);
    unsigned warp = girih_thread / 32, lane = girih_thread % 32;
    Meeting &m = girih_meetings[{warp, mask}];
    girih_news.wait(lock, [&] { return m.leaving == 0; });
    m.words[lane] = word;
    m.arrived |= 1u << lane;
    auto full = [&] { return m.leaving != 0 || (m.arrived & mask & girih_lanes[warp]) == (mask & girih_lanes[warp]); };
    if (full() && m.leaving == 0) m.leaving = m.arrived, girih_news.notify_all();
    girih_news.wait(lock, [&] { return m.leaving >> lane & 1; });
    Meeting copy = m;
    m.leaving &= ~(1u << lane);
    if (m.leaving == 0) m.arrived = 0, girih_news.notify_all();
    return copy;
}
static void girih_exit() {
    std::unique_lock<std::mutex> lock(girih_lock);
    girih_alive--;
    girih_lanes[girih_thread / 32] &= ~(1u << girih_thread % 32);
    if (girih_alive && girih_waiting == girih_alive) girih_end_round();
    for (auto &m : girih_meetings) {
        unsigned want = m.first.second & girih_lanes[m.first.first];
        if (m.second.arrived && m.second.leaving == 0 && (m.second.arrived & want) == want) m.second.leaving = m.second.arrived;
    }
    girih_news.notify_all();
}
template <class T> T girih_exchange(unsigned mask, T v, unsigned from, bool inside) {
    uint64_t word = 0;
    memcpy(&word, &v, sizeof v);
    Meeting m = girih_meet(mask, word);
    if (inside) memcpy(&v, &m.words[from], sizeof v);
    return v;
}
static unsigned girih_lane() { return girih_thread % 32; }
template <class T> T __shfl_sync(unsigned mask, T v, int lane, int width = 32) {
    return girih_exchange(mask, v, (girih_lane() & ~(width - 1)) | (lane & (width - 1)), true);
}
template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned n, int width = 32) {
    return girih_exchange(mask, v, girih_lane() - n, (girih_lane() & (width - 1)) >= n);
}
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned n, int width = 32) {
    return girih_exchange(mask, v, girih_lane() + n, (girih_lane() & (width - 1)) + n < (unsigned)width);
}
template <class T> T __shfl_xor_sync(unsigned mask, T v, int n, int width = 32) {
    unsigned from = girih_lane() ^ n;
    return girih_exchange(mask, v, from, from < (girih_lane() & ~(width - 1)) + width);
}
inline unsigned __ballot_sync(unsigned mask, int p) {
    Meeting m = girih_meet(mask, p != 0);
    unsigned all = 0;
    for (int i = 0; i < 32; i++) all |= (m.arrived >> i & 1 && m.words[i]) ? 1u << i : 0;
    return all;
}
inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffff) { girih_meet(mask, 0); }
template <class T> unsigned __match_any_sync(unsigned mask, T v) {
    uint64_t word = 0;
    memcpy(&word, &v, sizeof v);
    Meeting m = girih_meet(mask, word);
    unsigned all = 0;
    for (int i = 0; i < 32; i++) all |= (m.arrived >> i & 1 && m.words[i] == word) ? 1u << i : 0;
    return all;
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned v) {
    Meeting m = girih_meet(mask, v);
    unsigned sum = 0;
    for (int i = 0; i < 32; i++) sum += m.arrived >> i & 1 ? (unsigned)m.words[i] : 0;
    return sum;
}

// Atomic operations: under one lock.
template <class T, class F> T girih_atomic(T *p, F f) {
    std::unique_lock<std::mutex> lock(girih_lock);
    T old = *p;
    *p = f(old);
    return old;
}
template <class T> struct Same { typedef T type; };
template <class T> using same = typename Same<T>::type;
template <class T> T atomicAdd(T *p, same<T> v) { return girih_atomic(p, [=](T o) { return (T)(o + v); }); }
template <class T> T atomicSub(T *p, same<T> v) { return girih_atomic(p, [=](T o) { return (T)(o - v); }); }
template <class T> T atomicMin(T *p, same<T> v) { return girih_atomic(p, [=](T o) { return std::min(o, v); }); }
template <class T> T atomicMax(T *p, same<T> v) { return girih_atomic(p, [=](T o) { return std::max(o, v); }); }
template <class T> T atomicAnd(T *p, same<T> v) { return girih_atomic(p, [=](T o) { return (T)(o & v); }); }
template <class T> T atomicOr(T *p, same<T> v) { return girih_atomic(p, [=](T o) { return (T)(o | v); }); }
template <class T> T atomicXor(T *p, same<T> v) { return girih_atomic(p, [=](T o) { return (T)(o ^ v); }); }
template <class T> T atomicExch(T *p, same<T> v) { return girih_atomic(p, [=](T) { return v; }); }
template <class T> T atomicCAS(T *p, same<T> c, same<T> v) { return girih_atomic(p, [=](T o) { return o == c ? v : o; }); }
inline unsigned atomicInc(unsigned *p, unsigned v) { return girih_atomic(p, [=](unsigned o) { return o >= v ? 0 : o + 1; }); }
inline unsigned atomicDec(unsigned *p, unsigned v) { return girih_atomic(p, [=](unsigned o) { return o == 0 || o > v ? v : o - 1; }); }
inline void __threadfence() {}
inline void __threadfence_block() {}

// Integers and bits.
using std::max;
using std::min;
template <class T> T __ldg(const T *p) { return *p; }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll(v) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline unsigned __brev(unsigned v) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (v >> i & 1) << (31 - i);
    return r;
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned s) {
    uint64_t both = (uint64_t)b << 32 | a;
    unsigned r = 0;
    for (int i = 0; i < 4; i++) r |= (unsigned)(both >> (8 * (s >> (4 * i) & 7)) & 0xff) << (8 * i);
    return r;
}
inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned n) { return (unsigned)(((uint64_t)hi << 32 | lo) << (n & 31) >> 32); }
inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned n) { return (unsigned)(((uint64_t)hi << 32 | lo) >> (n & 31)); }
inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; i++) c += (int)(signed char)(a >> (8 * i)) * (int)(signed char)(b >> (8 * i));
    return c;
}
inline unsigned __vadd4(unsigned a, unsigned b) {
    unsigned r = 0;
    for (int i = 0; i < 32; i += 8) r |= (((a >> i) + (b >> i)) & 0xff) << i;
    return r;
}
inline unsigned __vabsdiffu4(unsigned a, unsigned b) {
    unsigned r = 0;
    for (int i = 0; i < 32; i += 8) r |= (unsigned)std::abs((int)(a >> i & 0xff) - (int)(b >> i & 0xff)) << i;
    return r;
}
inline int __float_as_int(float v) { int r; memcpy(&r, &v, 4); return r; }
inline float __int_as_float(int v) { float r; memcpy(&r, &v, 4); return r; }
inline unsigned __float_as_uint(float v) { unsigned r; memcpy(&r, &v, 4); return r; }
inline float __uint_as_float(unsigned v) { float r; memcpy(&r, &v, 4); return r; }
inline int __float2int_rn(float v) { return (int)nearbyintf(v); }
inline int __float2int_rd(float v) { return (int)floorf(v); }
inline int __float2int_rz(float v) { return (int)v; }
inline float __int2float_rn(int v) { return (float)v; }
inline float __saturatef(float v) { return v != v ? 0 : std::min(std::max(v, 0.0f), 1.0f); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __expf(float v) { return expf(v); }
inline float __logf(float v) { return logf(v); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float v) { return 1.0f / sqrtf(v); }

inline int __float2int_ru(float v) { return (int)ceilf(v); }
inline unsigned __float2uint_rn(float v) { return (unsigned)nearbyintf(v); }
inline unsigned __float2uint_rz(float v) { return (unsigned)v; }
inline int __double2int_rn(double v) { return (int)nearbyint(v); }
inline int __double2int_rz(double v) { return (int)v; }
inline float __double2float_rn(double v) { return (float)v; }
inline float __uint2float_rn(unsigned v) { return (float)v; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline long long __double_as_longlong(double v) { long long r; memcpy(&r, &v, 8); return r; }
inline double __longlong_as_double(long long v) { double r; memcpy(&r, &v, 8); return r; }
using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;

// Half precision, by its bits.
inline unsigned short girih_half_bits(double v) {
    unsigned short sign = std::signbit(v) ? 0x8000 : 0;
    if (v != v) return 0x7fff;
    if (v == 0) return sign;
    double a = fabs(v);
    if (a >= 65520.0) return sign | 0x7c00;
    int e;
    frexp(a, &e);
    int shift = e - 1 < -14 ? 24 : 10 - (e - 1);
    unsigned n = (unsigned)nearbyint(ldexp(a, shift));
    unsigned exponent = e - 1 < -14 ? 0 : (unsigned)(e - 1 + 15);
    return sign | (exponent ? (exponent << 10) + n - 1024 : n);
}
inline float girih_half_value(unsigned short bits) {
    unsigned exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    float v = exponent == 31 ? (fraction ? NAN : INFINITY) : exponent ? ldexpf(1024 + fraction, (int)exponent - 25) : ldexpf(fraction, -24);
    return bits & 0x8000 ? -v : v;
}
struct __half {
    unsigned short bits;
    __half() = default;
    template <class T, class = typename std::enable_if<std::is_arithmetic<T>::value>::type> __half(T v) : bits(girih_half_bits(v)) {}
    operator float() const { return girih_half_value(bits); }
};
typedef __half half;
inline float __half2float(half h) { return h; }
inline half __float2half(float f) { return f; }
inline half __int2half_rn(int v) { return v; }
inline int __half2int_rn(half v) { return (int)nearbyintf(v); }
inline unsigned short __half_as_ushort(half v) { return v.bits; }
#define GIRIH_HALF(op, name)                                                                                                       \
    inline half operator op(half a, half b) { return (float)a op (float)b; }                                                       \
    inline half &operator op##=(half &a, half b) { return a = a op b; }                                                            \
    inline half name(half a, half b) { return a op b; }
GIRIH_HALF(+, __hadd) GIRIH_HALF(-, __hsub) GIRIH_HALF(*, __hmul) GIRIH_HALF(/, __hdiv)
#define GIRIH_HALF_TEST(op, name)                                                                                                  \
    inline bool operator op(half a, half b) { return (float)a op (float)b; }                                                       \
    inline bool name(half a, half b) { return a op b; }
GIRIH_HALF_TEST(<, __hlt) GIRIH_HALF_TEST(<=, __hle) GIRIH_HALF_TEST(>, __hgt) GIRIH_HALF_TEST(>=, __hge)
GIRIH_HALF_TEST(==, __heq) GIRIH_HALF_TEST(!=, __hne)
inline half operator-(half a) { return -(float)a; }
inline half __hneg(half a) { return -a; }
inline half __habs(half a) { return fabsf(a); }
inline half __hmin(half a, half b) { return fminf(a, b); }
inline half __hmax(half a, half b) { return fmaxf(a, b); }
inline half hfloor(half a) { return floorf(a); }
inline half hceil(half a) { return ceilf(a); }
inline half htrunc(half a) { return truncf(a); }
inline half hrint(half a) { return nearbyintf(a); }
// A double holds the product and what matters of the sum.
inline half __hfma(half a, half b, half c) { return (double)(float)a * (float)b + (float)c; }
struct alignas(4) __half2 {
    half x, y;
};
typedef __half2 half2;
inline half2 __halves2half2(half a, half b) { return {a, b}; }
inline half __low2half(half2 v) { return v.x; }
inline half __high2half(half2 v) { return v.y; }
inline half2 __hadd2(half2 a, half2 b) { return {a.x + b.x, a.y + b.y}; }
inline half2 __hmul2(half2 a, half2 b) { return {a.x * b.x, a.y * b.y}; }
inline half2 __hfma2(half2 a, half2 b, half2 c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }
inline half2 __float2half2_rn(float v) { return {v, v}; }
struct __nv_bfloat16 {
    unsigned short bits;
};
inline float __bfloat162float(__nv_bfloat16 v) { return __uint_as_float((unsigned)v.bits << 16); }
inline __nv_bfloat16 __float2bfloat16(float f) {
    unsigned b = __float_as_uint(f);
    return {(unsigned short)(f != f ? 0x7fff : (b + 0x7fff + (b >> 16 & 1)) >> 16)};
}

// A launch: arguments come from and go back to a file.
template <class F> void girih_launch(dim3 grid, dim3 block, F kernel) {
    gridDim = grid, blockDim = block;
    girih_threads = block.x * block.y * block.z;
    for (unsigned b = 0; b < grid.x * grid.y * grid.z; b++) {
        blockIdx = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
        girih_alive = girih_threads, girih_waiting = 0, girih_votes[0] = 0, girih_votes[1] = 1, girih_votes[2] = 0;
        girih_meetings.clear();
        girih_lanes.assign((girih_threads + 31) / 32, 0);
        for (unsigned t = 0; t < girih_threads; t++) girih_lanes[t / 32] |= 1u << t % 32;
        std::vector<std::thread> all;
        for (unsigned t = 0; t < girih_threads; t++) {
            all.emplace_back([=] {
                girih_thread = t;
                threadIdx = {t % block.x, t / block.x % block.y, t / block.x / block.y};
                kernel();
                girih_exit();
            });
        }
        for (auto &t : all) t.join();
    }
}
struct Pointer {
    void *p;
    template <class T> operator T *() const { return (T *)p; }
};
struct Bytes {
    const void *p;
    template <class T> operator T() const {
        T v;
        memcpy(&v, p, sizeof v);
        return v;
    }
};
static std::vector<std::vector<unsigned char>> girih_arrays(const char *path) {
    std::vector<std::vector<unsigned char>> all;
    FILE *f = fopen(path, "rb");
    uint64_t n;
    while (f && fread(&n, 8, 1, f) == 1) {
        // Room and alignment as device memory has.
        all.emplace_back(n);
        if (n && fread(all.back().data(), 1, n, f) != n) abort();
    }
    if (f) fclose(f);
    return all;
}
static void girih_save(const char *path, const std::vector<std::vector<unsigned char>> &all) {
    FILE *f = fopen(path, "wb");
    if (!f) abort();
    for (auto &a : all) {
        uint64_t n = a.size();
        fwrite(&n, 8, 1, f);
        fwrite(a.data(), 1, n, f);
    }
    fclose(f);
}
