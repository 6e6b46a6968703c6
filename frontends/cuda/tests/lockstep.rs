//! Masks of warp operations, warps that count on lockstep, and fences.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

#[test]
fn masks_say_which_lanes_take_part() {
    let src = "__global__ void k(const int* key, unsigned* out) {
            int t = threadIdx.x;
            unsigned same = __match_any_sync(0xffffffffu, key[t]);
            out[t] = __reduce_add_sync(same, (unsigned)t);
            unsigned half = t < 16 ? 0xffffu : 0xffff0000u;
            out[32 + t] = __ballot_sync(half, t % 3 == 0);
            out[64 + t] = __any_sync(half, t == 3) + 10 * __all_sync(half, t < 16);
            out[96 + t] = __match_any_sync(half, t % 2);
            out[128 + t] = __reduce_max_sync(half, (unsigned)(t % 16 + t / 16));
        }";
    let key: Vec<i32> = (0..32).map(|t| t % 5).collect();
    let mut want = vec![0u32; 160];
    let third: u32 = (0..32).filter(|t| t % 3 == 0).map(|t| 1 << t).sum();
    for t in 0..32u32 {
        let half = if t < 16 { 0xffff } else { 0xffff_0000u32 };
        want[t as usize] = (0..32).filter(|o| o % 5 == t % 5).sum();
        want[32 + t as usize] = third & half;
        want[64 + t as usize] = if t < 16 { 11 } else { 0 };
        want[96 + t as usize] = half & if t % 2 == 0 { 0x5555_5555 } else { 0xaaaa_aaaa };
        want[128 + t as usize] = 15 + t / 16;
    }
    launch(src, "k", 1, 32, vec![i(&key), zeros(160)]).words(1, &want);
}

#[test]
fn a_warp_in_lockstep_through_volatile() {
    let body = "v[t] += v[t + 16]; v[t] += v[t + 8]; v[t] += v[t + 4]; v[t] += v[t + 2]; v[t] += v[t + 1];";
    let pointer = format!(
        "__global__ void k(const int* in, int* out) {{
            __shared__ int s[128];
            int t = threadIdx.x;
            s[t] = in[t]; s[t + 64] = 0;
            __syncthreads();
            if (t < 32) {{ volatile int* v = s; v[t] += v[t + 32]; {body} }}
            if (t == 0) out[0] = s[0];
        }}"
    );
    let function = format!(
        "__device__ void sum(volatile int* v, int t) {{ v[t] = v[t] + v[t + 32]; {body} }}
        __global__ void k(const int* in, int* out) {{
            __shared__ int s[128];
            int t = threadIdx.x;
            s[t] = in[t]; s[t + 64] = 0;
            __syncthreads();
            if (t < 32) sum(s, t);
            if (t == 0) out[0] = s[0];
        }}"
    );
    let data: Vec<i32> = (0..64).map(|t| t * t - 7).collect();
    for src in [pointer, function] {
        launch(&src, "k", 1, 64, vec![i(&data), zeros(1)]).ints(1, &[data.iter().sum()]);
    }
}

#[test]
fn the_last_block_sees_what_the_others_wrote() {
    let src = "__device__ unsigned done = 0;
        __global__ void k(const int* in, int* part, int* out) {
            __shared__ int s[64];
            __shared__ bool last;
            int t = threadIdx.x;
            s[t] = in[blockIdx.x * 64 + t];
            __syncthreads();
            for (int o = 32; o > 0; o >>= 1) { if (t < o) s[t] += s[t + o]; __syncthreads(); }
            if (t == 0) {
                part[blockIdx.x] = s[0];
                __threadfence();
                last = atomicInc(&done, gridDim.x) == gridDim.x - 1;
            }
            __syncthreads();
            if (last && t == 0) {
                int sum = 0;
                for (int i = 0; i < 16; ++i) sum += part[i];
                out[0] = sum;
            }
        }";
    let data: Vec<i32> = (0..1024).map(|t| t % 37 - 11).collect();
    launch(src, "k", 16, 64, vec![i(&data), zeros(16), zeros(1)]).ints(2, &[data.iter().sum()]);
}

/// Sums of blocks, of which the last one makes the whole; what is in `part` is of many types.
const LAST_BLOCK: &str = "__device__ unsigned done = 0;
    struct Part { float sum; short n; double unused; };
    template<class T> __global__ void k(const int* in, T* part, float* out, float4* lanes, unsigned char* small) {
        __shared__ bool last;
        int t = threadIdx.x, b = blockIdx.x;
        if (t == 0) {
            part[b] = in[b]; lanes[b] = make_float4(b, in[b], 0.5f, 1); small[b] = 2 * b;
            __threadfence();
            last = atomicInc(&done, gridDim.x) == gridDim.x - 1;
        }
        __syncthreads();
        if (last && t < gridDim.x) out[t] = (float)part[t] + lanes[t].y + lanes[t].z + small[t];
    }";

#[test]
fn what_passes_between_blocks_is_accessed_by_atomic_operations() {
    use girih_cuda::{Caps, LaunchShape, Module};
    let data: Vec<i32> = (0..16).map(|t| t * 5 - 11).collect();
    let want: Vec<f32> = (0..16).map(|t| data[t] as f32 * 2.0 + 0.5 + 2.0 * t as f32).collect();
    for (kernel, words) in [("k<float>", 16), ("k<int>", 16), ("k<long long>", 32), ("k<short>", 8)] {
        let args = vec![i(&data), zeros(words), zeros(16), zeros(64), zeros(4)];
        launch(LAST_BLOCK, kernel, 16, 32, args).floats(2, &want, 0.0, 0.0);
    }
    let module = Module::parse(LAST_BLOCK, "k.cu", &|_, _| None).unwrap();
    let shape = LaunchShape::new([32, 1, 1], 1);
    let compiled = module.compile("k<float>", &shape, Caps::default()).unwrap();
    let text = compiled.kernel.to_string();
    assert!(
        text.contains("atomic_exchange part") && text.contains("atomic_or part") && !text.contains("load part"),
        "{text}"
    );
    assert!(text.contains("store out["), "{text}");
    let [note] = &compiled.notes[..] else { panic!("{:?}", compiled.notes) };
    assert!(note.starts_with("k.cu:8:26: `lanes`, `part`, `small` pass between blocks by way of a fence"), "{note}");
    // The checker sees the program as it is.
    let checked = Caps { checked: Some(32), ..Caps::default() };
    let compiled = module.compile("k<float>", &shape, checked).unwrap();
    assert!(compiled.kernel.to_string().contains("store part") && compiled.notes.is_empty());
    // A fence within the block, or without a count, passes nothing on.
    for (from, to) in [("__threadfence()", "__threadfence_block()"), ("atomicInc(&done, gridDim.x)", "0u")] {
        let other = Module::parse(&LAST_BLOCK.replace(from, to), "k.cu", &|_, _| None).unwrap();
        let compiled = other.compile("k<float>", &shape, Caps::default()).unwrap();
        assert!(compiled.notes.is_empty() && compiled.kernel.to_string().contains("store part"));
    }
}

#[test]
fn a_continue_tests_the_condition_of_its_loop() {
    let src = "__global__ void k(const int* in, int* out) {
            int t = threadIdx.x, n = 0, i = 0;
            do {
                n += __popc(__ballot_sync(0xffffffff, in[t] > i));
                continue;
            } while (++i < in[t]);
            out[t] = n;
        }";
    let data: Vec<i32> = (0..32).map(|t| t % 4).collect();
    // 24 lanes hold more than 0, 16 more than 1, 8 more than 2; those that hold less have left.
    let want: Vec<i32> = data.iter().map(|n| [24, 24, 40, 48][*n as usize]).collect();
    launch(src, "k", 1, 32, vec![i(&data), zeros(32)]).ints(1, &want);
}

#[test]
fn tiles_of_tiles() {
    let src = "#include <cooperative_groups.h>
        namespace cg = cooperative_groups;
        __global__ void k(int* out) {
            cg::thread_block b = cg::this_thread_block();
            auto t32 = cg::tiled_partition<32>(b);
            auto t4 = cg::tiled_partition<4>(t32);
            int t = threadIdx.x;
            out[t] = t4.meta_group_rank() * 100 + t4.meta_group_size();
            out[64 + t] = t32.meta_group_rank() * 100 + t32.meta_group_size();
        }";
    let mut want = vec![0; 128];
    for t in 0..64 {
        want[t] = (t as i32 % 32) / 4 * 100 + 8;
        want[64 + t] = t as i32 / 32 * 100 + 2;
    }
    launch(src, "k", 1, 64, vec![zeros(128)]).ints(0, &want);
}
