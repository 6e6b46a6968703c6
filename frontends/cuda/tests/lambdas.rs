//! Lambdas, and what the grammar once skipped over.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

fn gives(src: &str, want: &[i32]) {
    launch(src, "k", 1, 1, vec![zeros(want.len())]).ints(0, want);
}

#[track_caller]
fn refused(src: &str, part: &str) {
    let d = refusal(src, "k", 32);
    assert!(d.to_string().contains(part), "{d}");
}

#[test]
fn results_captures_and_parameters_have_their_types() {
    gives(
        "__global__ void k(int* out) {
             auto half = [](int x) -> int { return x * 0.5f; };
             auto several = [](int x) -> float { if (x > 2) return 1; return x; };
             out[0] = half(3) * 10;
             out[1] = (int)(several(1) / 2 * 10);
             int x = 4;
             auto twice = [x = x * 2] { return x; };
             out[2] = twice() + x;
             auto third = [](const float& v) { return v / 3; };
             int seven = 7;
             out[3] = (int)(third(seven) * 3);
             auto named = [&y = x](int by) { y += by; };
             named(3);
             out[4] = x;
         }",
        &[10, 5, 12, 7, 7],
    );
}

#[test]
fn a_lambda_keeps_what_it_was_made_with() {
    gives(
        "__global__ void k(int* out) {
             int x = 1;
             auto f = [k = x + 10, x]() { return k * 100 + x; };
             x = 5;
             out[0] = f();
         }",
        &[1101],
    );
}

#[test]
fn alignments_and_designators() {
    gives(
        "struct P { int x, y, z; };
         struct alignas(16) Q { char c; };
         __global__ void k(int* out) {
             P p = {.y = 2, .z = 3};
             P q = {.x = 4, .z = 6};
             out[0] = p.x; out[1] = p.y; out[2] = p.z; out[3] = q.x; out[4] = q.y; out[5] = q.z;
             out[6] = alignof(P); out[7] = alignof(Q); out[8] = alignof(double); out[9] = alignof(float4);
         }",
        &[0, 2, 3, 4, 0, 6, 4, 16, 8, 16],
    );
}

#[test]
fn characters() {
    gives(
        "__global__ void k(int* out) { out[0] = 'a'; out[1] = '\\n'; out[2] = '\\x41'; out[3] = '\\0'; out[4] = '\\xff'; }",
        &[97, 10, 65, 0, -1],
    );
    refused("__global__ void k(int* out) { out[0] = 'ab'; }", "'ab'");
}

#[test]
fn conditions_of_the_preprocessor() {
    refused("#if 1 / 0\n#endif\n__global__ void k(int* out) { out[0] = 1; }", "zero");
    refused("#if 12abc\n#endif\n__global__ void k(int* out) { out[0] = 1; }", "12abc");
    gives(
        "#if 0x10 == 16 && 1'000 > 10u && 'a' == 97 && (0 ? 1 / 0 : 1)
         #define OK 1
         #else
         #define OK 0
         #endif
         __global__ void k(int* out) { out[0] = OK; }",
        &[1],
    );
}
