//! Barriers, warps, atomics and cooperative groups: one construct per kernel.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

#[test]
fn shuffles_of_all_kinds() {
    let src = "__global__ void k(const int* in, int* out) {
        int t = threadIdx.x, v = in[t];
        out[t] = __shfl_sync(0xffffffff, v, 5);
        out[64 + t] = __shfl_up_sync(0xffffffff, v, 3);
        out[128 + t] = __shfl_down_sync(0xffffffff, v, 2, 8);
        out[192 + t] = __shfl_xor_sync(0xffffffff, v, 1, 16);
        out[256 + t] = __shfl_sync(0xffffffff, v, t + 1, 4);
    }";
    let a: Vec<i32> = (0..64).map(|i| i * i - 7).collect();
    let mut want = Vec::new();
    want.extend((0..64).map(|t| a[t / 32 * 32 + 5]));
    want.extend((0..64).map(|t| if t % 32 >= 3 { a[t - 3] } else { a[t] }));
    want.extend((0..64).map(|t| if t % 8 + 2 < 8 { a[t + 2] } else { a[t] }));
    want.extend((0..64).map(|t| a[t ^ 1]));
    want.extend((0..64).map(|t| a[t / 4 * 4 + (t + 1) % 4]));
    launch(src, "k", 1, 64, vec![i(&a), zeros(320)]).ints(1, &want);
}

#[test]
fn block_reduction_by_warps() {
    let src = "__device__ float warp_sum(float v) {
        for (int o = 16; o > 0; o /= 2) v += __shfl_down_sync(0xffffffff, v, o);
        return v;
    }
    __global__ void k(const float* in, float* out, int n) {
        __shared__ float part[32];
        int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        float v = 0;
        for (int i = threadIdx.x; i < n; i += blockDim.x) v += in[i];
        v = warp_sum(v);
        if (lane == 0) part[warp] = v;
        __syncthreads();
        if (warp == 0) {
            v = lane < blockDim.x / 32 ? part[lane] : 0.0f;
            v = warp_sum(v);
            if (lane == 0) out[blockIdx.x] = v;
        }
    }";
    let a: Vec<f32> = (0..1000).map(|i| (i % 13) as f32).collect();
    let s: f32 = a.iter().sum();
    launch(src, "k", 2, 128, vec![f(&a), zeros(2), n(1000)]).floats(1, &[s, s], 0.0, 0.0);
}

#[test]
fn return_before_a_warp_reduction() {
    let src = "__global__ void rows(const float* in, float* out, int n, int c) {
        int lane = threadIdx.x & 31, row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
        if (row >= n) return;
        const float* x = in + row * c;
        float m = -INFINITY;
        for (int i = lane; i < c; i += 32) m = fmaxf(m, x[i]);
        for (int o = 16; o > 0; o >>= 1) m = fmaxf(m, __shfl_xor_sync(0xffffffff, m, o));
        if (lane == 0) out[row] = m;
    }";
    let a: Vec<f32> = (0..5 * 70).map(|i| ((i * 37) % 101) as f32).collect();
    let want: Vec<f32> = a.chunks(70).map(|r| r.iter().copied().fold(f32::MIN, f32::max)).collect();
    launch(src, "rows", 2, 128, vec![f(&a), zeros(5), n(5), n(70)]).floats(1, &want, 0.0, 0.0);
}

#[test]
fn loops_that_warps_leave_at_different_times() {
    let src = "__global__ void k(int* out) {
        int warp = threadIdx.x / 32, lane = threadIdx.x % 32, sum = 0;
        for (int i = 0; i <= warp * 2; i++) {
            int v = __shfl_sync(0xffffffff, lane + i, i);
            if (v > 6) break;
            sum += v;
        }
        out[threadIdx.x] = sum;
    }";
    let want: Vec<i32> = (0..128)
        .map(|t| {
            let mut s = 0;
            for i in 0..=(t / 32) * 2 {
                if 2 * i > 6 {
                    break;
                }
                s += 2 * i;
            }
            s
        })
        .collect();
    launch(src, "k", 1, 128, vec![zeros(128)]).ints(0, &want);
}

#[test]
fn votes_and_matches() {
    let src = "__global__ void k(const int* in, unsigned* out) {
        int t = threadIdx.x, v = in[t];
        out[t] = __ballot_sync(0xffffffff, v & 1);
        out[64 + t] = __any_sync(0xffffffff, v == 9) * 2 + __all_sync(0xffffffff, v >= 0);
        out[128 + t] = __match_any_sync(0xffffffff, v % 5);
        out[192 + t] = __activemask();
        if (t % 32 < 7) out[256 + t] = __popc(__activemask());
        out[320 + t] = __reduce_add_sync(0xffffffff, v);
    }";
    let a: Vec<i32> = (0..64).map(|i| (i * 7) % 23 - (i / 63)).collect();
    let mask =
        |t: usize, p: &dyn Fn(usize) -> bool| (0..32).filter(|b| p(t / 32 * 32 + b)).fold(0u32, |m, b| m | 1 << b);
    let mut want = Vec::new();
    want.extend((0..64).map(|t| mask(t, &|o| a[o] & 1 != 0)));
    want.extend((0..64).map(|t| {
        let w = &a[t / 32 * 32..t / 32 * 32 + 32];
        w.contains(&9) as u32 * 2 + w.iter().all(|v| *v >= 0) as u32
    }));
    want.extend((0..64).map(|t| mask(t, &|o| a[o] % 5 == a[t] % 5)));
    want.extend([u32::MAX; 64]);
    want.extend((0..64).map(|t| if t % 32 < 7 { 7 } else { 0 }));
    want.extend((0..64).map(|t| a[t / 32 * 32..t / 32 * 32 + 32].iter().sum::<i32>() as u32));
    launch(src, "k", 1, 64, vec![i(&a), zeros(384)]).words(1, &want);
}

#[test]
fn barriers_that_count() {
    let src = "__global__ void k(const int* in, int* out) {
        int t = threadIdx.x, v = in[t];
        int a = __syncthreads_count(v > 5), b = __syncthreads_and(v > -1), c = __syncthreads_or(v == 77);
        __shared__ int s[48];
        s[t] = v; __syncwarp(); __syncthreads();
        out[t] = a * 100 + (b ? 10 : 0) + (c ? 1 : 0) + s[47 - t] * 10000;
    }";
    let a: Vec<i32> = (0..48).map(|i| i % 11).collect();
    let count = a.iter().filter(|v| **v > 5).count() as i32;
    let want: Vec<i32> = (0..48).map(|t| count * 100 + 10 + a[47 - t] * 10000).collect();
    launch(src, "k", 1, 48, vec![i(&a), zeros(48)]).ints(1, &want);
}

#[test]
fn integer_atomics() {
    let src = "__global__ void k(int* c, unsigned* h) {
        int t = blockIdx.x * blockDim.x + threadIdx.x;
        atomicAdd(&c[0], t); atomicMax(&c[1], t * 3); atomicMin(c + 2, -t); atomicSub(&c[3], 2);
        atomicOr((unsigned*)&h[0], 1u << (t & 31)); atomicXor(&h[1], t); atomicInc(&h[2], 9); atomicAnd(&h[3], ~(1u << (t % 7)));
        __shared__ int local[4];
        if (threadIdx.x < 4) local[threadIdx.x] = 0;
        __syncthreads();
        atomicAdd(&local[t & 3], 1);
        __syncthreads();
        if (threadIdx.x < 4) atomicAdd(&c[4 + threadIdx.x], local[threadIdx.x]);
        if (t == 0) atomicCAS(&c[8], 5, 50);
        if (t == 1) { int old = atomicExch(&c[9], 7); c[10] = old; }
    }";
    let total: i32 = (0..64).sum();
    let l = launch(src, "k", 2, 32, vec![i(&[0, 0, 0, 0, 0, 0, 0, 0, 5, 3, 0]), u(&[0, 0, 0, u32::MAX])]);
    l.ints(0, &[total, 189, -63, -128, 16, 16, 16, 16, 50, 7, 3]);
    l.words(1, &[u32::MAX, (0..64).fold(0, |a, b| a ^ b), 64 % 10, u32::MAX << 7]);
}

#[test]
fn float_atomics_in_buffers_and_shared_memory() {
    let src = "__global__ void k(const float* in, float* out) {
        __shared__ float s;
        if (threadIdx.x == 0) s = 0.f;
        __syncthreads();
        atomicAdd(&s, in[threadIdx.x]);
        __syncthreads();
        if (threadIdx.x == 0) atomicAdd(out, s);
        out[1 + blockIdx.x] = s;
    }";
    let a: Vec<f32> = (0..32).map(|i| i as f32).collect();
    launch(src, "k", 2, 32, vec![f(&a), zeros(3)]).floats(1, &[992.0, 496.0, 496.0], 0.0, 0.0);
}

#[test]
fn cooperative_groups() {
    let src = "#include <cooperative_groups.h>
    namespace cg = cooperative_groups;
    __global__ void k(const int* in, int* out) {
        cg::thread_block block = cg::this_thread_block();
        cg::thread_block_tile<8> tile = cg::tiled_partition<8>(block);
        int v = in[block.thread_rank()];
        int sum = cg::reduce(tile, v, cg::plus<int>());
        int top = cg::reduce(tile, v, cg::greater<int>());
        int x = v;
        for (int o = tile.size() / 2; o > 0; o /= 2) x += tile.shfl_down(x, o);
        cg::sync(block);
        out[threadIdx.x] = sum; out[64 + threadIdx.x] = top;
        out[128 + threadIdx.x] = tile.thread_rank() == 0 ? x : (int)tile.meta_group_rank();
        out[192 + threadIdx.x] = tile.ballot(v & 1) + tile.any(v == 3);
    }";
    let a: Vec<i32> = (0..64).map(|i| (i * 29) % 31 - 3).collect();
    let tile = |t: usize| &a[t / 8 * 8..t / 8 * 8 + 8];
    let mut want = Vec::new();
    want.extend((0..64).map(|t| tile(t).iter().sum::<i32>()));
    want.extend((0..64).map(|t| *tile(t).iter().max().unwrap()));
    want.extend((0..64).map(|t| if t % 8 == 0 { tile(t).iter().sum::<i32>() } else { t as i32 / 8 }));
    want.extend(
        (0..64).map(|t| tile(t).iter().enumerate().fold(0, |m, (b, v)| m | (v & 1) << b) + tile(t).contains(&3) as i32),
    );
    launch(src, "k", 1, 64, vec![i(&a), zeros(256)]).ints(1, &want);
}

#[test]
fn shuffles_of_wide_and_paired_values() {
    let src = "#include <cuda_fp16.h>
    __global__ void k(const long long* in, long long* out, const float* x, float2* y, half2* h) {
        int t = threadIdx.x;
        out[t] = __shfl_xor_sync(0xffffffff, in[t], 31);
        float2 v = make_float2(x[t], -x[t]);
        v.x = __shfl_up_sync(0xffffffff, v.x, 1); v.y = __shfl_down_sync(0xffffffff, v.y, 1);
        y[t] = v;
        half2 w = __float2half2_rn(x[t]);
        h[t] = __shfl_xor_sync(0xffffffff, w, 2);
    }";
    let a: Vec<i64> = (0..32).map(|i| i * 0x1_0000_0001 - 9).collect();
    let x: Vec<f32> = (0..32).map(|i| i as f32).collect();
    let le = |v: &[i64]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let rev: Vec<i64> = (0..32).map(|t| a[t ^ 31]).collect();
    let l = launch(src, "k", 1, 32, vec![bytes(&le(&a)), zeros(64), f(&x), zeros(64), zeros(32)]);
    l.bytes(1, &le(&rev));
    let y: Vec<f32> = (0..32i32).flat_map(|t| [x[(t - 1).max(0) as usize], -x[(t + 1).min(31) as usize]]).collect();
    l.floats(3, &y, 0.0, 0.0);
    let h: Vec<u8> =
        (0..32).flat_map(|t| [half::f16::from_f32((t ^ 2) as f32); 2]).flat_map(|v| v.to_le_bytes()).collect();
    l.bytes(4, &h);
}

#[test]
fn divergent_barriers_are_refused() {
    for (src, line) in [
        ("__global__ void k(int* o) {\n if (threadIdx.x < 3) {\n __syncthreads();\n }\n o[0] = 1; }", 3),
        ("__global__ void k(int* o) {\n for (int i = 0; i < threadIdx.x; i++) {\n __syncthreads();\n } o[0] = 1; }", 3),
        ("__global__ void k(int* o) {\n while (o[threadIdx.x] > 0) {\n __syncthreads(); o[threadIdx.x]--;\n } }", 3),
    ] {
        let d = refusal(src, "k", 32);
        assert_eq!(d.code, "U008", "{d}");
        assert_eq!(d.labels[0].loc.position().map(|p| p.1), Some(line), "{d}");
    }
}

#[test]
fn matrix_fragments() {
    let src = "#include <mma.h>
    using namespace nvcuda;
    __global__ void k(const half* a, const half* b, float* c, int n) {
        int warp = threadIdx.x / 32;
        wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> fa;
        wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> fb;
        wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc, old;
        wmma::fill_fragment(acc, 0.0f);
        for (int k = 0; k < n; k += 16) {
            wmma::load_matrix_sync(fa, a + warp * 16 * n + k, n);
            wmma::load_matrix_sync(fb, b + k, n);
            wmma::mma_sync(acc, fa, fb, acc);
        }
        wmma::load_matrix_sync(old, c + warp * 256, 16, wmma::mem_row_major);
        for (int i = 0; i < acc.num_elements; i++) acc.x[i] = 2.0f * acc.x[i] + old.x[i];
        wmma::store_matrix_sync(c + warp * 256, acc, 16, wmma::mem_row_major);
    }";
    use half::f16;
    let n = 32usize;
    let m = |rows: usize, seed: usize| {
        (0..rows * n).map(|i| f16::from_f32(((i * seed) % 17) as f32 - 8.0)).collect::<Vec<f16>>()
    };
    let (a, b) = (m(32, 7), m(16, 5));
    let c: Vec<f32> = (0..512).map(|i| i as f32).collect();
    let want: Vec<f32> = (0..512)
        .map(|i| {
            let (row, col) = (i / 16, i % 16);
            2.0 * (0..n).map(|j| a[row * n + j].to_f32() * b[col * n + j].to_f32()).sum::<f32>() + i as f32
        })
        .collect();
    let le = |v: &[f16]| bytes(&v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    launch(src, "k", 1, 64, vec![le(&a), le(&b), f(&c), common::n(32)]).floats(2, &want, 0.0, 0.0);
}

#[test]
fn a_host_function_does_not_hide_a_built_in_one() {
    let src = "#include <cooperative_groups.h>
    namespace cg = cooperative_groups;
    void reduce(int n) { n++; }
    template <typename T, typename G> __device__ T fold(T v, G& g) { return cg::reduce(g, v, cg::plus<T>()); }
    __global__ void k(const int* in, int* out) {
        cg::thread_block_tile<32> tile = cg::tiled_partition<32>(cg::this_thread_block());
        int v = in[threadIdx.x];
        if (tile.meta_group_rank() == 1) v = fold(v, tile);
        out[threadIdx.x] = v;
    }";
    let a: Vec<i32> = (0..64).map(|i| i * 3).collect();
    let sum: i32 = a[32..].iter().sum();
    let want: Vec<i32> = (0..64).map(|t| if t < 32 { a[t] } else { sum }).collect();
    launch(src, "k", 1, 64, vec![i(&a), zeros(64)]).ints(1, &want);
}
