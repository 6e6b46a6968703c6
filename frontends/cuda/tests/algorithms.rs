//! Typical kernels whole: products, reductions, scans, sorts, transposes, norms, attention.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut s = seed;
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(1664525).wrapping_add(1013904223);
            (s >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

#[test]
fn tiled_product_with_ragged_edges() {
    let src = "template <int T> __global__ void mm(const float* A, const float* B, float* C, int m, int n, int k) {
        __shared__ float a[T][T + 1], b[T][T + 1];
        int r = blockIdx.y * T + threadIdx.y, c = blockIdx.x * T + threadIdx.x;
        float acc = 0.f;
        for (int t = 0; t < (k + T - 1) / T; ++t) {
            int x = t * T + threadIdx.x, y = t * T + threadIdx.y;
            a[threadIdx.y][threadIdx.x] = (r < m && x < k) ? A[r * k + x] : 0.f;
            b[threadIdx.y][threadIdx.x] = (y < k && c < n) ? B[y * n + c] : 0.f;
            __syncthreads();
            #pragma unroll
            for (int i = 0; i < T; i++) acc += a[threadIdx.y][i] * b[i][threadIdx.x];
            __syncthreads();
        }
        if (r < m && c < n) C[r * n + c] = acc;
    }";
    let (m, n, k) = (13usize, 19, 21);
    let (a, b) = (noise(m * k, 1), noise(k * n, 2));
    let want: Vec<f32> = (0..m * n).map(|i| (0..k).map(|j| a[i / n * k + j] * b[j * n + i % n]).sum()).collect();
    let args = vec![f(&a), f(&b), zeros(m * n), common::n(13), common::n(19), common::n(21)];
    Launch { source: src, kernel: "mm<8>", block: [8, 8, 1], grid: [3, 2, 1], shared: 0, args }
        .floats(2, &want, 8.0, 4.0);
}

#[test]
fn register_blocks_and_vector_loads() {
    let src = "__global__ void mm(const float* __restrict__ A, const float* __restrict__ B, float* C, int n) {
        float acc[4][4] = {};
        int r = threadIdx.y * 4, c = threadIdx.x * 4;
        for (int k = 0; k < n; k++) {
            float a[4];
            for (int i = 0; i < 4; i++) a[i] = A[(r + i) * n + k];
            float4 b = *reinterpret_cast<const float4*>(&B[k * n + c]);
            const float bs[4] = {b.x, b.y, b.z, b.w};
            #pragma unroll
            for (int i = 0; i < 4; i++)
                #pragma unroll
                for (int j = 0; j < 4; j++) acc[i][j] = fmaf(a[i], bs[j], acc[i][j]);
        }
        for (int i = 0; i < 4; i++)
            reinterpret_cast<float4*>(C + (r + i) * n + c)[0] = make_float4(acc[i][0], acc[i][1], acc[i][2], acc[i][3]);
    }";
    let n = 16usize;
    let (a, b) = (noise(n * n, 3), noise(n * n, 4));
    let want: Vec<f32> = (0..n * n).map(|i| (0..n).map(|j| a[i / n * n + j] * b[j * n + i % n]).sum()).collect();
    let args = vec![f(&a), f(&b), zeros(n * n), common::n(16)];
    Launch { source: src, kernel: "mm", block: [4, 4, 1], grid: [1, 1, 1], shared: 0, args }.floats(2, &want, 8.0, 4.0);
}

#[test]
fn prefix_sum_in_shared_memory() {
    let src = "__global__ void scan(const int* in, int* out, int n) {
        extern __shared__ int temp[];
        int t = threadIdx.x, pout = 0, pin = 1;
        temp[t] = t > 0 ? in[t - 1] : 0;
        __syncthreads();
        for (int o = 1; o < n; o *= 2) {
            pout = 1 - pout; pin = 1 - pout;
            if (t >= o) temp[pout * n + t] = temp[pin * n + t] + temp[pin * n + t - o];
            else temp[pout * n + t] = temp[pin * n + t];
            __syncthreads();
        }
        out[t] = temp[pout * n + t];
    }";
    let a: Vec<i32> = (0..64).map(|i| (i * 7) % 11).collect();
    let mut sum = 0;
    let want: Vec<i32> = a
        .iter()
        .map(|v| {
            sum += v;
            sum - v
        })
        .collect();
    let args = vec![i(&a), zeros(64), n(64)];
    Launch { source: src, kernel: "scan", block: [64, 1, 1], grid: [1, 1, 1], shared: 512, args }.ints(1, &want);
}

#[test]
fn bitonic_sort() {
    let src = "__device__ inline void comparator(unsigned& a, unsigned& b, unsigned dir) { if ((a > b) == dir) { unsigned t = a; a = b; b = t; } }
    __global__ void sort(unsigned* data) {
        __shared__ unsigned s[128];
        s[threadIdx.x] = data[threadIdx.x]; s[threadIdx.x + 64] = data[threadIdx.x + 64];
        for (unsigned size = 2; size < 128; size <<= 1) {
            unsigned dir = (threadIdx.x & (size / 2)) != 0;
            for (unsigned stride = size / 2; stride > 0; stride >>= 1) {
                __syncthreads();
                unsigned pos = 2 * threadIdx.x - (threadIdx.x & (stride - 1));
                comparator(s[pos], s[pos + stride], dir);
            }
        }
        for (unsigned stride = 64; stride > 0; stride >>= 1) {
            __syncthreads();
            unsigned pos = 2 * threadIdx.x - (threadIdx.x & (stride - 1));
            comparator(s[pos], s[pos + stride], 1);
        }
        __syncthreads();
        data[threadIdx.x] = s[threadIdx.x]; data[threadIdx.x + 64] = s[threadIdx.x + 64];
    }";
    let a: Vec<u32> = (0..128u32).map(|i| i.wrapping_mul(2654435761) >> 7).collect();
    let mut want = a.clone();
    want.sort_unstable();
    launch(src, "sort", 1, 64, vec![u(&a)]).words(0, &want);
}

#[test]
fn transpose_through_shared_memory() {
    let src = "const int TILE = 16; const int ROWS = 4;
    __global__ void transpose(float* odata, const float* idata, int width, int height) {
        __shared__ float tile[TILE][TILE + 1];
        int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
        for (int j = 0; j < TILE; j += ROWS) tile[threadIdx.y + j][threadIdx.x] = idata[(y + j) * width + x];
        __syncthreads();
        x = blockIdx.y * TILE + threadIdx.x; y = blockIdx.x * TILE + threadIdx.y;
        for (int j = 0; j < TILE; j += ROWS) odata[(y + j) * height + x] = tile[threadIdx.x][threadIdx.y + j];
    }";
    let (w, h) = (32usize, 48);
    let a = noise(w * h, 5);
    let want: Vec<f32> = (0..w * h).map(|i| a[i % h * w + i / h]).collect();
    let args = vec![zeros(w * h), f(&a), n(32), n(48)];
    Launch { source: src, kernel: "transpose", block: [16, 4, 1], grid: [2, 3, 1], shared: 0, args }
        .floats(0, &want, 0.0, 0.0);
}

#[test]
fn layer_norm_by_warps() {
    let src = "#include <cooperative_groups.h>
    #include <cooperative_groups/reduce.h>
    namespace cg = cooperative_groups;
    __global__ void layernorm(float* __restrict__ out, float* __restrict__ mean, const float* __restrict__ inp, const float* __restrict__ w, int N, int C) {
        cg::thread_block block = cg::this_thread_block();
        cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
        int idx = blockIdx.x * warp.meta_group_size() + warp.meta_group_rank();
        if (idx >= N) { return; }
        const float* x = inp + idx * C;
        float sum = 0.0f;
        for (int i = warp.thread_rank(); i < C; i += warp.size()) sum += x[i];
        sum = cg::reduce(warp, sum, cg::plus<float>{});
        float m = sum / C;
        if (warp.thread_rank() == 0 && mean != nullptr) __stcs(mean + idx, m);
        sum = 0.0f;
        for (int i = warp.thread_rank(); i < C; i += warp.size()) { float d = x[i] - m; sum += d * d; }
        sum = cg::reduce(warp, sum, cg::plus<float>{});
        float s = rsqrtf(sum / C + 1e-5f);
        float* o = out + idx * C;
        for (int c = warp.thread_rank(); c < C; c += warp.size()) __stcs(o + c, s * (__ldcs(x + c) - m) * w[c]);
    }";
    let (rows, c) = (5usize, 40usize);
    let (x, w) = (noise(rows * c, 6), noise(c, 7));
    let mut want = Vec::new();
    let mut means = Vec::new();
    for r in x.chunks(c) {
        let m = r.iter().map(|v| *v as f64).sum::<f64>() / c as f64;
        let v = r.iter().map(|v| (*v as f64 - m).powi(2)).sum::<f64>() / c as f64;
        means.push(m as f32);
        want.extend(r.iter().zip(&w).map(|(x, w)| ((*x as f64 - m) / (v + 1e-5).sqrt() * *w as f64) as f32));
    }
    let l = launch(src, "layernorm", 3, 64, vec![zeros(rows * c), zeros(rows), f(&x), f(&w), n(5), n(40)]);
    l.floats(0, &want, 32.0, 1.0);
    l.floats(1, &means, 32.0, 1.0);
}

#[test]
fn online_softmax() {
    let src = "struct __align__(8) MD { float m; float d; };
    __device__ __forceinline__ MD join(MD a, MD b) {
        bool bigger = a.m > b.m;
        MD hi = bigger ? a : b, lo = bigger ? b : a, r;
        r.d = hi.d + lo.d * __expf(lo.m - hi.m);
        r.m = hi.m;
        return r;
    }
    __global__ void softmax(float* y, const float* x, int V) {
        x += blockIdx.x * V; y += blockIdx.x * V;
        MD part; part.m = -FLT_MAX; part.d = 0.0f;
        for (int i = threadIdx.x; i < V; i += blockDim.x) { MD one{x[i], 1.0f}; part = join(part, one); }
        __shared__ MD all[64];
        all[threadIdx.x] = part;
        __syncthreads();
        for (int s = 32; s > 0; s /= 2) {
            if (threadIdx.x < s) all[threadIdx.x] = join(all[threadIdx.x], all[threadIdx.x + s]);
            __syncthreads();
        }
        MD total = all[0];
        for (int i = threadIdx.x; i < V; i += blockDim.x) y[i] = __expf(x[i] - total.m) / total.d;
    }";
    let v = 150usize;
    let x: Vec<f32> = noise(3 * v, 8).iter().map(|a| a * 9.0).collect();
    let mut want = Vec::new();
    for r in x.chunks(v) {
        let top = r.iter().copied().fold(f32::MIN, f32::max) as f64;
        let e: Vec<f64> = r.iter().map(|a| (*a as f64 - top).exp()).collect();
        let s: f64 = e.iter().sum();
        want.extend(e.iter().map(|v| (v / s) as f32));
    }
    launch(src, "softmax", 3, 64, vec![zeros(3 * v), f(&x), n(150)]).floats(0, &want, 64.0, 0.01);
}

#[test]
fn adam_with_bias_correction() {
    let src = "__device__ inline float lerp(float start, float end, float weight) { return fma(weight, end, fma(-weight, start, start)); }
    template <typename Tp, typename Tg>
    __global__ void adamw(Tp* params, Tg* grads, float* m_memory, float* v_memory, size_t num_parameters, float lr, float beta1, float beta2, float eps, float decay) {
        size_t idx = blockIdx.x * blockDim.x + threadIdx.x;
        if (idx >= num_parameters) { return; }
        float grad = (float)grads[idx], m = m_memory[idx], v = v_memory[idx];
        m = lerp(grad, m, beta1); m_memory[idx] = m;
        v = lerp(grad * grad, v, beta2); v_memory[idx] = v;
        float old = (float)params[idx];
        params[idx] = (Tp)(old - (lr * (m / (sqrtf(v) + eps) + decay * old)));
    }";
    let (p, g) = (noise(50, 9), noise(50, 10));
    let (mm, vv) = (noise(50, 11), noise(50, 12).iter().map(|v| v.abs()).collect::<Vec<f32>>());
    let want: Vec<f32> = (0..50)
        .map(|i| {
            let [p, g, m, v] = [p[i], g[i], mm[i], vv[i]].map(|v| v as f64);
            let (m, v) = (0.1 * g + 0.9 * m, 0.01 * g * g + 0.99 * v);
            (p - 0.1 * (m / (v.sqrt() + 1e-3) + 0.05 * p)) as f32
        })
        .collect();
    let nums = [x(0.1), x(0.9), x(0.99), x(1e-3), x(0.05)];
    let mut args = vec![f(&p), f(&g), f(&mm), f(&vv), l(50)];
    args.extend(nums);
    launch(src, "adamw<float, float>", 2, 32, args).floats(0, &want, 64.0, 1.0);
}
