//! Pointers that go over several arrays.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

fn range(from: i32, n: usize) -> Vec<i32> {
    (from..from + n as i32).collect()
}

#[test]
fn buffers_change_places_in_a_loop() {
    let src = "__global__ void k(int* a, int* b, int rounds) {
        __shared__ int near_[64]; __shared__ int far_[64];
        int i = threadIdx.x;
        near_[i] = a[i];
        __syncthreads();
        int *from = near_, *to = far_;
        for (int r = 0; r < rounds; r++) {
            to[i] = from[i] + from[(i + 1) & 63];
            __syncthreads();
            int* t = from; from = to; to = t;
        }
        b[i] = *(from + i);
        int* end = from + 64;
        if (i == 0) b[64] = (int)(end - from) + 1000 * (from == near_) + 10000 * (from < end) + 100000 * (to != from);
    }";
    for rounds in [1, 2, 5] {
        let mut x = range(1, 64);
        for _ in 0..rounds {
            x = (0..64).map(|i| x[i].wrapping_add(x[(i + 1) & 63])).collect();
        }
        x.push(64 + 1000 * (rounds % 2 == 0) as i32 + 110_000);
        launch(src, "k", 1, 64, vec![i(&range(1, 64)), zeros(65), n(rounds)]).ints(1, &x);
    }
}

#[test]
fn a_pointer_is_chosen_by_a_condition() {
    let src = "struct Pair { const int* p; int n; };
    __device__ int first(const int* p) { return p[0] + 2 * p[1]; }
    __global__ void k(const int* a, const float* b, int* o, int* q, int w) {
        int i = threadIdx.x;
        const int* p = i % 3 == 0 ? a + i : q;
        int* to = (i & 1) ? o : q + 40;
        to[i] = first(p);
        Pair pair; pair.p = a;
        if (i > 20) pair.p = o + 64;
        const char* bytes = i % 2 ? (const char*)(a + 1) : (const char*)b;
        o[32 + i] = pair.p[i] + *(const int*)(bytes + 4 * w) % 1000;
        const int* none = i < 16 ? a : nullptr;
        o[160 + i] = none ? none[i] : -1;
    }";
    let (a, b) = (range(100, 40), (0..8).map(|v| v as f32 * 1.5).collect::<Vec<_>>());
    let o: Vec<i32> = (0..192).map(|v| if v >= 64 { v * 3 } else { 0 }).collect();
    let q = range(-500, 80);
    let (mut want_o, mut want_q) = (o.clone(), q.clone());
    for t in 0..32usize {
        let p = |k: usize| if t % 3 == 0 { a[t + k] } else { q[k] };
        let v = p(0) + 2 * p(1);
        if t & 1 == 1 {
            want_o[t] = v
        } else {
            want_q[40 + t] = v
        }
        let other = if t % 2 == 1 { a[4] } else { b[3].to_bits() as i32 };
        want_o[32 + t] = if t > 20 { o[64 + t] } else { a[t] } + other % 1000;
        want_o[160 + t] = if t < 16 { a[t] } else { -1 };
    }
    let l = launch(src, "k", 1, 32, vec![i(&a), f(&b), i(&o), i(&q), n(3)]);
    l.ints(2, &want_o);
    l.ints(3, &want_q);
}

#[test]
fn atomics_vectors_and_narrow_values_go_through_them() {
    let src = "__global__ void k(int* counts, unsigned char* bytes, float4* rows, unsigned char* small, int n) {
        __shared__ int mine[8]; __shared__ float4 tile[4];
        int i = threadIdx.x;
        if (i < 8) mine[i] = 10 * i;
        if (i < 4) tile[i] = make_float4(i, i, i, i);
        __syncthreads();
        int* c = i < n ? counts : mine;
        int old = atomicAdd(&c[i & 7], 1);
        float4* r = (i & 4) ? rows : tile;
        if (i < 8) { float4 v = r[i & 3]; v.x += 1; v.w = old >= 0; r[i & 3] = v; }
        unsigned char* s = n > 40 ? bytes : small;
        __syncthreads();
        bytes[64 + i] = s[63 - i] + 1;
        if (i < 8) counts[8 + i] = mine[i];
        if (i < 4) { rows[4 + i] = tile[i]; }
    }";
    for cut in [24, 48] {
        let bytes: Vec<u8> = (0..128).map(|v| (v * 7 % 251) as u8).collect();
        let l = launch(
            src,
            "k",
            1,
            64,
            vec![zeros(16), Arg::Mem(bytes.clone()), zeros(32), Arg::Mem((0..64).collect()), n(cut)],
        );
        let counts: Vec<i32> = (0..8).map(|_| cut / 8).chain((0..8).map(|v| 10 * v + (64 - cut) / 8)).collect();
        l.ints(0, &counts);
        let small: Vec<u8> = if cut > 40 { bytes[..64].to_vec() } else { (0..64).collect() };
        let want: Vec<u8> = bytes[..64].iter().copied().chain((0..64).map(|v| small[63 - v].wrapping_add(1))).collect();
        l.bytes(1, &want);
        let rows: Vec<f32> = (0..4)
            .flat_map(|_| [1.0, 0.0, 0.0, 1.0])
            .chain((0..4).flat_map(|v| [v as f32 + 1.0, v as f32, v as f32, 1.0]))
            .collect();
        l.floats(2, &rows, 0.0, 1.0);
    }
}

#[test]
fn local_arrays_and_lists_of_pointers() {
    let src = "__global__ void k(int* a, int* b, int* o, int n) {
        int i = threadIdx.x;
        int x[4] = {1, 2, 3, 4}, y[4] = {10, 20, 30, 40};
        int* p = x;
        for (int r = 0; r < n; r++) if (r == i) p = y;
        p[1] += 5;
        int* list[3] = {a, b, o + 100};
        int sum = 0;
        for (int j = 0; j < 3; j++) sum += list[(i + j) % 3][i];
        o[i] = sum + 1000 * x[1] + 100000 * y[1];
    }";
    let (a, b, o) = (range(1, 32), range(50, 32), range(0, 132));
    let mut want = o.clone();
    for t in 0..32 {
        let (x, y) = if (t as i32) < 6 { (2, 25) } else { (7, 20) };
        want[t] = a[t] + b[t] + o[100 + t] + 1000 * x + 100_000 * y;
    }
    launch(src, "k", 1, 32, vec![i(&a), i(&b), i(&o), n(6)]).ints(2, &want);
}

#[test]
fn masks_hold_around_them() {
    // The shuffle is reached by all threads, but some have left the loop before.
    let src = "__global__ void k(int* a, int* b, int* o, int n) {
        int i = threadIdx.x; int* p = a; int s = 0;
        for (int r = 0; r < i % 5; r++) {
            p = (r & 1) ? b : a;
            p[i] += 1;
            s += __shfl_xor_sync(0xffffffff, p[i], 1);
        }
        o[i] = s;
    }";
    let module = girih_cuda::Module::parse(src, "t.cu", &|_, _| None).unwrap();
    let caps = girih_cuda::Caps { int64: true, double: true, atomic64: true, checked: None, native: false };
    // Whether lanes that are off take part is not defined: only that it translates, and that all agree, is asked.
    assert!(module.compile("k", &girih_cuda::LaunchShape::new([32, 1, 1], 1), caps).is_ok());
    let src = "__global__ void k(int* a, int* b, int* o) {
        int i = threadIdx.x; int s = 0;
        for (int r = 0; r < 4; r++) {
            int* p = r < i % 5 ? b : a;
            if (i % 2) p[i] += r;
            s += __shfl_xor_sync(0xffffffff, p[i], 1);
        }
        o[i] = s;
    }";
    let (mut a, mut b) = (range(1, 32), range(100, 32));
    let mut want = vec![0; 32];
    for r in 0..4 {
        for t in 0..32 {
            if t % 2 == 1 {
                if r < t as i32 % 5 { b[t] += r } else { a[t] += r }
            }
        }
        for (t, w) in want.iter_mut().enumerate() {
            let o = t ^ 1;
            *w += if r < o as i32 % 5 { b[o] } else { a[o] };
        }
    }
    launch(src, "k", 1, 32, vec![i(&range(1, 32)), i(&range(100, 32)), zeros(32)]).ints(2, &want);
}

#[test]
fn many_arrays_stay_within_bounds() {
    let names: Vec<String> = (0..40).map(|i| format!("p{i}")).collect();
    let parameters: Vec<String> = names.iter().map(|n| format!("int* {n}")).collect();
    let src = format!(
        "__global__ void k({}, int n) {{ int* list[40] = {{{}}};
        #pragma unroll
        for (int a = 0; a < 64; a++)
        #pragma unroll
        for (int b = 0; b < 64; b++)
        #pragma unroll
        for (int c = 0; c < 64; c++) list[(n + a) % 40][b] += list[(n * b) % 40][c]; }}",
        parameters.join(", "),
        names.join(", ")
    );
    let module = girih_cuda::Module::parse(&src, "t.cu", &|_, _| None).unwrap();
    let shape = girih_cuda::LaunchShape::new([32, 1, 1], 1);
    match module.compile("k", &shape, girih_cuda::Caps::default()) {
        Ok(c) => assert!(c.kernel.values.len() < 1 << 21, "{} values", c.kernel.values.len()),
        Err(e) => assert_eq!(e.code, "U006", "{e}"),
    }
}
