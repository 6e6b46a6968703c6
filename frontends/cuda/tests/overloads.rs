//! Kernels of one name, told apart by the types of their parameters.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_cuda::{Caps, LaunchShape, Module};

const SOURCE: &str = "#include <cuda_fp16.h>
typedef unsigned int word;
namespace n { struct S { int a; }; }
__global__ void k(float* x) { x[0] = 1.5f; }
__global__ void k(int* x) { x[0] = 7; }
__global__ void k(const word* x, word* y, size_t n) { y[0] = x[n]; }
__global__ void k(unsigned int* x, unsigned int* y, unsigned long n) { y[0] = x[n] + 1; }
__global__ void k(n::S s, int* x) { x[0] = s.a; }
__global__ void k(__half* x) { x[0] = __float2half(2.0f); }
template<class T> __global__ void k(T* x, T by) { x[0] = by * 2; }
template<class T, int N> __global__ void k(T (*x)) { x[0] = N; }
__global__ void alone(float* x, int n) { x[n] = 3.0f; }
template<class T> __global__ void alone_too(T* x) { x[0] = 4; }
";

fn word(kernel: &str, args: Vec<Arg>) -> u32 {
    let at = args.iter().rposition(|a| matches!(a, Arg::Mem(_))).unwrap();
    let memory = args[..=at].iter().filter(|a| matches!(a, Arg::Mem(_))).count() - 1;
    let ran = launch(SOURCE, kernel, 1, 1, args).run();
    let words: Vec<u32> = ran.iter().map(|r| u32::from_le_bytes(r.memory[memory][..4].try_into().unwrap())).collect();
    assert!(words.iter().all(|w| *w == words[0]), "{kernel}: {words:x?}");
    words[0]
}

#[test]
fn types_of_parameters_choose() {
    let one = || vec![zeros(1)];
    assert_eq!(word("k(float*)", one()), 1.5f32.to_bits());
    assert_eq!(word("k(float *)", one()), 1.5f32.to_bits());
    assert_eq!(word("k(int*)", one()), 7);
    assert_eq!(word("k(signed*)", one()), 7);
    assert_eq!(word("k(__half*)", one()), 0x4000);
    assert_eq!(word("k(half*)", one()), 0x4000);
    // By what is const alone.
    let three = || vec![u(&[0, 5]), zeros(1), l(1)];
    assert_eq!(word("k(const unsigned*, unsigned*, unsigned long)", three()), 5);
    assert_eq!(word("k(unsigned int const*, unsigned int*, unsigned long)", three()), 5);
    assert_eq!(word("k(unsigned int*, unsigned int*, unsigned long)", three()), 6);
    assert_eq!(word("k(n::S, int*)", vec![n(9), zeros(1)]), 9);
    // Templates, with all of their arguments.
    assert_eq!(word("k<int>(int*, int)", vec![zeros(1), n(4)]), 8);
    assert_eq!(word("k<int, 3>(int*)", one()), 3);
    assert_eq!(word("k<int, 3>", one()), 3);
    // One of its name may be named so, too.
    assert_eq!(word("alone(float*, int)", vec![zeros(1), n(0)]), 3f32.to_bits());
    assert_eq!(word("alone_too<float>(float*)", one()), 4f32.to_bits());
}

#[test]
fn what_is_not_said_is_asked_for() {
    let module = Module::parse(SOURCE, "k.cu", &|_, _| None).unwrap();
    let wrong = |kernel: &str| {
        let d = module.compile(kernel, &LaunchShape::new([1, 1, 1], 1), Caps::default()).unwrap_err();
        assert_eq!(d.code, "U007", "{kernel}: {d}");
        d.to_string()
    };
    insta::assert_snapshot!(
        [
            "k",
            "k(double*)",
            "k<int>(float*, int)",
            "k()",
            "k(float*",
            "k(float*) x",
            "k<int",
            "k(unknown*)",
            "nobody(int)",
            "alone(int)"
        ]
        .map(|k| format!("{k}\n{}", wrong(k)))
        .join("\n\n")
    );
    let handles: Vec<String> = module.kernels().into_iter().map(|k| k.handle).collect();
    assert_eq!(handles[..2], ["k(float*)", "k(int*)"]);
    assert_eq!(handles[8..], ["alone", "alone_too"]);
    assert_eq!(module.kernel("k(const word*, word*, size_t)").unwrap().params, ["x", "y", "n"]);
    assert!(module.overloaded("k") && !module.overloaded("alone"));
}
