//! What the compiler concludes of masks, wide integers and windows, on the cases where concluding too much would be wrong.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_triton::{Arg, Argument, Module, Signature};

const HEAD: &str = "import triton\nimport triton.language as tl\n\n\n";

fn expect(body: &str, data: &[Data], rest: &[(&str, Argument)], grid: [u32; 3], out: usize, want: &[f64]) {
    let source = format!("{HEAD}{body}");
    for mut rig in rigs() {
        let got = run(&mut rig, &source, "k", grid, data, rest);
        close(&format!("{}\n{body}", rig.name), &got[out], want, 0.0);
    }
}

/// The error of a kernel on two f32 pointers and a size.
fn refused(body: &str) -> Box<girih_base::Diag> {
    let module = Module::parse(&format!("{HEAD}{body}"), "kernel.py").unwrap_or_else(|e| panic!("{e}"));
    let mut signature = Signature::new().arg("n", Arg::int());
    for name in ["x_ptr", "y_ptr"] {
        signature = signature.arg(name, Arg::pointer(DType::F32));
    }
    module.compile("k", &signature).map(|k| girih_tile::print(&k.tile)).unwrap_err()
}

#[test]
fn an_upper_bound_that_holds_leaves_the_lower_one() {
    // The element before a row belongs to the row before it.
    let body = "@triton.jit
def k(x_ptr, y_ptr, N: tl.constexpr):
    row = tl.program_id(0) + 1
    at = tl.arange(0, N)
    left = at - 1
    inside = (left >= 0) & (left < N)
    v = tl.load(x_ptr + row * N + left, mask=inside, other=9.0)
    tl.store(y_ptr + row * N + at, v)
    tl.store(x_ptr + row * N + left, v * 0 - 1, mask=inside)
";
    let x: Vec<f64> = (0..24).map(f64::from).collect();
    let data = [f32s("x_ptr", x.clone()), f32s("y_ptr", vec![0.0; 24])];
    let shifted: Vec<f64> = (0..24)
        .map(|i| match i {
            0..8 => 0.0,
            8 | 16 => 9.0,
            i => (i - 1) as f64,
        })
        .collect();
    expect(body, &data, &[("N", int(8))], [2, 1, 1], 1, &shifted);
    let marked: Vec<f64> = (0..24).map(|i| if i < 8 || i % 8 == 7 { i as f64 } else { -1.0 }).collect();
    expect(body, &data, &[("N", int(8))], [2, 1, 1], 0, &marked);
}

#[test]
fn constants_beyond_32_bits_are_not_their_low_words() {
    let body = "@triton.jit
def k(y_ptr, n):
    wide = n.to(tl.int64)
    tl.store(y_ptr, tl.minimum(wide, 1 << 40).to(tl.int32))
    tl.store(y_ptr + 1, (wide < (1 << 40)).to(tl.int32))
    tl.store(y_ptr + 2, (tl.full([], 1 << 40, tl.int64) > wide).to(tl.int32))
    tl.store(y_ptr + 3, (wide * 5000000000 // 1000000000).to(tl.int32))
    # A word of 32 bits without sign that is widened.
    large = tl.full([], 3000000000, tl.uint32).to(tl.int64) + 2000000000
    tl.store(y_ptr + 4, (large // 1000000000).to(tl.int32))
    back = ((wide - 12).to(tl.uint32).to(tl.int64) + 100) // 4294967296
    tl.store(y_ptr + 5, back.to(tl.int32))
";
    wide(body, &[buffer("y_ptr", DType::I32, vec![-1.0; 6])], &[("n", int(7))], 0, &[7.0, 1.0, 1.0, 35.0, 5.0, 1.0]);
}

#[test]
fn conditions_on_wide_integers_see_all_bits() {
    let body = "@triton.jit
def k(i_ptr, x_ptr, y_ptr, n):
    for j in range(4):
        y = tl.load(i_ptr + j)
        inside = (y >= 0) & (y < n)
        tl.store(y_ptr + j, tl.load(x_ptr + y, mask=inside, other=9.0))
";
    let wide_index = [2.0, 4294967297.0, -1.0, -4294967295.0];
    let data = [
        buffer("i_ptr", DType::I64, wide_index.to_vec()),
        f32s("x_ptr", vec![10.0, 11.0, 12.0, 13.0]),
        f32s("y_ptr", vec![0.0; 4]),
    ];
    wide(body, &data, &[("n", int(4))], 2, &[12.0, 9.0, 9.0, 9.0]);
}

/// Runs on the targets that have 64-bit integers; others must say that they have none.
fn wide(body: &str, data: &[Data], rest: &[(&str, Argument)], out: usize, want: &[f64]) {
    let source = format!("{HEAD}{body}");
    for mut rig in rigs() {
        if rig.target.desc().native.contains(&DType::I64) {
            let got = run(&mut rig, &source, "k", [1, 1, 1], data, rest);
            close(&format!("{}\n{body}", rig.name), &got[out], want, 0.0);
        }
    }
}

#[test]
fn a_window_stays_in_its_tensor() {
    let window = "tl.make_block_ptr(x_ptr + BASE, (SHAPE,), (STRIDE,), (0,), (8,), (0,))";
    let made = |base: &str, shape: &str, stride: &str| {
        window.replace("BASE", base).replace("SHAPE", shape).replace("STRIDE", stride)
    };
    for other in [made("n", "16", "1"), made("0", "n", "1"), made("0", "16", "2"), made("0", "n + 1", "n")] {
        let first = made("0", "16", "1");
        let branch = format!(
            "@triton.jit
def k(x_ptr, y_ptr, n):
    p = {first}
    if n > 3:
        p = {other}
    tl.store(y_ptr + tl.arange(0, 8), tl.load(p, boundary_check=(0,)))
"
        );
        let e = refused(&branch);
        assert_eq!(e.code, "K011", "{e}");
        let in_loop = format!(
            "@triton.jit
def k(x_ptr, y_ptr, n):
    p = {first}
    for i in range(n):
        tl.store(y_ptr + i * 8 + tl.arange(0, 8), tl.load(p, boundary_check=(0,)))
        p = {other}
"
        );
        let e = refused(&in_loop);
        assert_eq!(e.code, "K011", "{e}");
        assert!(e.to_string().contains("tl.advance"), "{e}");
    }
    // The same window made again, and moved, is no other window.
    let body = format!(
        "@triton.jit
def k(x_ptr, y_ptr, n):
    p = {first}
    for i in range(2):
        p = {first}
        if n > i:
            p = tl.advance(p, (8,))
    tl.store(y_ptr + tl.arange(0, 8), tl.load(p, boundary_check=(0,)))
",
        first = made("n", "24", "1")
    );
    let x: Vec<f64> = (0..32).map(f64::from).collect();
    let want: Vec<f64> = (12..20).map(f64::from).collect();
    expect(&body, &[f32s("x_ptr", x), f32s("y_ptr", vec![0.0; 8])], &[("n", int(4))], [1, 1, 1], 1, &want);
}
