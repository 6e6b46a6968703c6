//! cuRAND's device interface against the published generators, written out here a second time.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

/// XORWOW with cuRAND's seeding, step by step.
struct Xorwow {
    d: u32,
    v: [u32; 5],
}

impl Xorwow {
    fn new(seed: u64) -> Xorwow {
        let low = (seed as u32 ^ 0xaad2_6b49).wrapping_mul(1_099_087_573);
        let high = ((seed >> 32) as u32 ^ 0xf7dc_efdd).wrapping_mul(2_591_861_531);
        let v = [
            123_456_789u32.wrapping_add(low),
            362_436_069 ^ low,
            521_288_629u32.wrapping_add(high),
            88_675_123 ^ high,
            5_783_321u32.wrapping_add(low),
        ];
        Xorwow { d: 6_615_241u32.wrapping_add(low).wrapping_add(high), v }
    }

    fn step(v: [u32; 5]) -> [u32; 5] {
        let t = v[0] ^ (v[0] >> 2);
        [v[1], v[2], v[3], v[4], v[4] ^ (v[4] << 4) ^ t ^ (t << 1)]
    }

    fn next(&mut self) -> u32 {
        self.v = Xorwow::step(self.v);
        self.d = self.d.wrapping_add(362_437);
        self.v[4].wrapping_add(self.d)
    }

    /// 2^67 steps: the characteristic polynomial's powers, one doubling at a time.
    fn subsequence(&mut self, n: u32) {
        // x^(2^67) modulo the minimal polynomial of the step, found by applying the step to a basis; here: 67 squarings of its matrix.
        let mut m: Vec<[u32; 5]> = (0..160)
            .map(|bit| {
                let mut v = [0; 5];
                v[bit / 32] = 1 << (bit % 32);
                Xorwow::step(v)
            })
            .collect();
        let times = |m: &[[u32; 5]], v: [u32; 5]| {
            (0..160).fold([0u32; 5], |out, bit| {
                let on = v[bit / 32] >> (bit % 32) & 1;
                std::array::from_fn(|w| out[w] ^ (on * m[bit][w]))
            })
        };
        for _ in 0..67 {
            m = m.iter().map(|c| times(&m, *c)).collect();
        }
        for _ in 0..n {
            self.v = times(&m, self.v);
        }
    }
}

#[test]
fn xorwow_with_subsequences_and_offsets() {
    let src = "#include <curand_kernel.h>
    __global__ void k(unsigned long long seed, int offset, unsigned* o, curandState* states) {
        int i = threadIdx.x;
        curandState s;
        curand_init(seed, i, offset, &s);
        o[i * 4] = curand(&s); o[i * 4 + 1] = curand(&s);
        states[i] = s;
        curandState t = states[i];
        o[i * 4 + 2] = curand(&t);
        skipahead(5ULL, &t);
        o[i * 4 + 3] = curand(&t);
    }";
    for (seed, offset) in [(0u64, 0), (1234, 3), (0x1234_5678_9abc_def0, 1000)] {
        let mut want = Vec::new();
        for i in 0..6 {
            let mut x = Xorwow::new(seed);
            x.subsequence(i);
            for _ in 0..offset {
                x.next();
            }
            want.extend([x.next(), x.next(), x.next()]);
            for _ in 0..5 {
                x.next();
            }
            want.push(x.next());
        }
        launch(src, "k", 1, 6, vec![l(seed as i64), n(offset), zeros(24), zeros(12 * 6)]).words(0, &want);
    }
}

#[test]
fn philox_has_the_published_answers() {
    // The first answer of Random123's kat_vectors for philox4x32-10: counter and key 0.
    let src = "#include <curand_kernel.h>
    __global__ void k(unsigned* o) {
        curandStatePhilox4_32_10_t s;
        curand_init(0ULL, 0ULL, 0ULL, &s);
        for (int i = 0; i < 4; i++) o[i] = curand(&s);
        uint4 next = curand4(&s);
        curand_init(0ULL, 0ULL, 5ULL, &s);
        o[4] = next.y; o[5] = curand(&s);
        uint4 a = curand4(&s);
        o[6] = next.z; o[7] = a.x; o[8] = next.w; o[9] = a.y;
    }";
    for r in launch(src, "k", 1, 1, vec![zeros(10)]).run() {
        let o: Vec<u32> = r.memory[0].chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect();
        assert_eq!(o[..4], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8], "{}", r.on);
        for pair in o[4..].chunks(2) {
            assert_eq!(pair[0], pair[1], "{}", r.on);
        }
    }
}

#[test]
fn distributions() {
    let src = "#include <curand_kernel.h>
    __global__ void k(float* o) {
        int i = threadIdx.x;
        curandState s; curand_init(7, 0, 40 * i, &s);
        float sum = 0, square = 0;
        for (int j = 0; j < 40; j++) { float v = curand_normal(&s); sum += v; square += v * v; }
        o[i * 3] = sum; o[i * 3 + 1] = square;
        o[i * 3 + 2] = curand_uniform(&s);
    }";
    for r in launch(src, "k", 1, 64, vec![zeros(192)]).run() {
        let o: Vec<f32> = r.memory[0].chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        let (mut sum, mut square) = (0.0, 0.0);
        for t in 0..64u32 {
            let mut x = Xorwow::new(7);
            (0..40 * t).for_each(|_| {
                x.next();
            });
            let (mut a, mut b) = (0.0f64, 0.0f64);
            for _ in 0..20 {
                let u = |w: u32| w as f32 as f64 * 2f64.powi(-32) + 2f64.powi(-33);
                let (p, q) = (u(x.next()), u(x.next()));
                let s = (-2.0 * p.ln()).sqrt();
                for v in [s * (q * std::f64::consts::TAU).sin(), s * (q * std::f64::consts::TAU).cos()] {
                    a += v;
                    b += v * v;
                }
            }
            let uniform = x.next() as f32 * 2f32.powi(-32) + 2f32.powi(-33);
            let got = &o[t as usize * 3..][..3];
            assert!(
                (got[0] as f64 - a).abs() < 1e-3 && (got[1] as f64 - b).abs() < 1e-3,
                "{}: {got:?}, want {a} {b}",
                r.on
            );
            assert_eq!(got[2], uniform, "{}", r.on);
            sum += a;
            square += b;
        }
        // 2560 numbers of mean 0 and variance 1.
        assert!((sum / 2560.0).abs() < 0.08 && (square / 2560.0 - 1.0).abs() < 0.12, "{sum} {square}");
    }
}

#[test]
fn doubles_of_generators() {
    let src = "#include <curand_kernel.h>
    __global__ void k(double* o) {
        curandState s; curand_init(99, 2, 0, &s);
        o[0] = curand_uniform_double(&s); o[1] = curand_uniform_double(&s);
    }
    __global__ void normal(double* o) {
        curandState s; curand_init(99, 2, 4, &s);
        o[0] = curand_normal_double(&s); o[1] = curand_normal_double(&s);
    }";
    let mut x = Xorwow::new(99);
    x.subsequence(2);
    let mut wide = || {
        let (a, b) = (x.next() as u64, x.next() as u64);
        a ^ (b << 21)
    };
    let uniform = |z: u64| z as f64 * 2f64.powi(-53) + 2f64.powi(-54);
    let (a, b) = (uniform(wide()), uniform(wide()));
    let (p, q) = (uniform(wide()), wide() as f64 * 2f64.powi(-52) + 2f64.powi(-53));
    let s = (-2.0 * p.ln()).sqrt();
    let want = [a, b, s * (q * std::f64::consts::PI).sin(), s * (q * std::f64::consts::PI).cos()];
    let doubles = |r: &Ran| -> Vec<f64> {
        r.memory[0].chunks_exact(8).map(|c| f64::from_le_bytes(c.try_into().unwrap())).collect()
    };
    for r in launch(src, "k", 1, 1, vec![zeros(4)]).run() {
        assert_eq!(doubles(&r), want[..2], "{}", r.on);
    }
    // WGSL has no logarithm of doubles: the emulator has.
    let caps = girih_cuda::Caps { int64: true, double: true, atomic64: true, checked: None, native: false };
    let o = doubles(&launch(src, "normal", 1, 1, vec![zeros(4)]).emulate(32, caps).unwrap());
    assert!((o[0] - want[2]).abs() < 1e-12 && (o[1] - want[3]).abs() < 1e-12, "{o:?}, want {want:?}");
}
