//! Indices that wrap around: not computed where nobody sees it, computed where somebody does.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_triton::{Arg, Assume, Launch, Module, Signature};

const HEAD: &str = "import triton\nimport triton.language as tl\n\n\n@triton.jit\n";

/// The kernel's text when launches may be assumed to be sensible.
fn tile(body: &str, arguments: &[(&str, Arg)]) -> String {
    let module = Module::parse(&format!("{HEAD}{body}"), "kernel.py").unwrap();
    let mut signature = Signature { assume: Assume::Grid, ..Signature::default() };
    for (name, arg) in arguments {
        signature = signature.arg(name, arg.clone());
    }
    girih_tile::print(&module.compile("k", &signature).unwrap().tile)
}

fn pointers(names: &[&'static str]) -> Vec<(&'static str, Arg)> {
    names.iter().map(|n| (*n, Arg::pointer(girih_base::DType::F32))).collect()
}

#[test]
fn the_grouped_matrix_product_loads_whole_blocks() {
    let module = Module::parse(include_str!("kernels/matmul.py"), "matmul.py").unwrap();
    let mut signature = Signature { assume: Assume::Grid, ..Signature::default() };
    for (name, arg) in pointers(&["a_ptr", "b_ptr", "c_ptr"]) {
        signature = signature.arg(name, arg);
    }
    for name in ["M", "N", "K", "stride_am", "stride_bk", "stride_cm"] {
        signature = signature.arg(name, Arg::Int { dtype: girih_base::DType::I32, multiple_of: 16, size: true });
    }
    let constants = [("stride_ak", 1), ("stride_bn", 1), ("stride_cn", 1), ("BM", 64), ("BN", 64), ("BK", 32)];
    for (name, value) in constants.into_iter().chain([("GROUP", 4)]) {
        signature = signature.constant(name, value);
    }
    signature = signature.constant("ACTIVATION", "");
    let text = girih_tile::print(&module.compile("matmul", &signature).unwrap().tile);
    assert!(!text.contains("load_at") && !text.contains(" mask "), "{text}");
    // Without the assumption that the grid fits the matrices, nothing is known of the order of programs.
    signature.assume = Assume::Nothing;
    let kernel = module.compile("matmul", &signature).unwrap();
    assert!(kernel.assumes.is_empty());
    assert!(girih_tile::print(&kernel.tile).contains("load_at"));
}

/// Loads through a wrapped index, and a store.
const SEEN: &[(&str, &str)] = &[
    ("the store has no mask", "x = tl.load(x_ptr + at % n)\n    tl.store(y_ptr + at, x)"),
    ("the store's mask is another", "x = tl.load(x_ptr + at % n)\n    tl.store(y_ptr + at, x, mask=at < n + 1)"),
    ("a sum mixes elements", "x = tl.sum(tl.load(x_ptr + at % n), 0)\n    tl.store(y_ptr, x)"),
    ("the store wraps itself", "tl.store(y_ptr + at % n, tl.load(x_ptr + at), mask=at < n)"),
    (
        "what is loaded is an index",
        "i = tl.load(x_ptr + at % n).to(tl.int32)\n    tl.store(y_ptr + at, tl.load(x_ptr + i), mask=at < n)",
    ),
];

#[test]
fn what_is_seen_wraps() {
    for (why, body) in SEEN {
        let body = format!("def k(x_ptr, y_ptr, n, B: tl.constexpr):\n    at = tl.arange(0, B)\n    {body}\n");
        let mut arguments = pointers(&["x_ptr", "y_ptr"]);
        arguments.extend([("n", Arg::size()), ("B", Arg::Constant(16.into()))]);
        let text = tile(&body, &arguments);
        assert!(text.contains(": i32[16] = rem"), "{why}\n{text}");
    }
}

#[test]
fn what_is_not_seen_does_not_wrap() {
    let body = "def k(x_ptr, y_ptr, n, B: tl.constexpr):
    at = tl.program_id(0) * B + tl.arange(0, B)
    x = tl.load(x_ptr + at % n)
    for i in range(3):
        x = x * 2
    tl.store(y_ptr + at, x, mask=at < n)
";
    let mut arguments = pointers(&["x_ptr", "y_ptr"]);
    arguments.extend([("n", Arg::size()), ("B", Arg::Constant(16.into()))]);
    let text = tile(body, &arguments);
    assert!(!text.contains("rem") && !text.contains("load_at"), "{text}");
    let x = random(1, 37);
    let want: Vec<f64> = x.iter().map(|v| v * 8.0).chain([7.0; 11]).collect();
    for mut rig in rigs() {
        let data = [f32s("x_ptr", x.clone()), f32s("y_ptr", vec![7.0; 48])];
        let rest = [("n", int(37)), ("B", int(16))];
        let out = run(&mut rig, &format!("{HEAD}{body}"), "k", [3, 1, 1], &data, &rest);
        close(rig.name, &out[1], &want, 0.0);
    }
}

#[test]
fn what_cannot_be_assumed_of_a_launch_is_not() {
    // The divisor is 2; 1 where the program is `m`, and negative beyond.
    let body = "def k(x_ptr, y_ptr, m, n, B: tl.constexpr):
    pid = tl.program_id(0)
    at = (pid // min(2 * (m - pid) + 1, 2)) * B + tl.arange(0, B)
    x = tl.load(x_ptr + at % n, mask=at >= 0)
    tl.store(y_ptr + at, x, mask=(at >= 0) & (at < n))
";
    let x = random(1, 20);
    for mut rig in rigs() {
        let module = Module::parse(&format!("{HEAD}{body}"), "kernel.py").unwrap();
        let mut launcher = girih_triton::Launcher::new(&module, "k").unwrap();
        for (programs, m, forms) in [(4, 5, 1), (4, 4, 1), (6, 4, 2), (4, 5, 2)] {
            let data = [f32s("x_ptr", x.clone()), f32s("y_ptr", vec![0.0; 20])];
            let rest = [("m", int(m)), ("n", int(20)), ("B", int(4))];
            let out = run_with(&mut launcher, &mut rig, [programs, 1, 1], &data, &rest);
            let want: Vec<f64> = (0..20).map(|i| if i < 8 || programs == 6 && i >= 16 { x[i] } else { 0.0 }).collect();
            close(&format!("{} {programs} {m}", rig.name), &out[1], &want, 0.0);
            assert_eq!(launcher.compiled(), forms, "{} {programs} {m}", rig.name);
        }
    }
}

#[test]
fn blocks_that_are_whole_need_no_mask() {
    let body = "def k(x_ptr, y_ptr, n, B: tl.constexpr):
    at = tl.program_id(0) * B + tl.arange(0, B)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside, other=5.0)
    tl.store(y_ptr + at, tl.where(inside, x, 7.0), mask=inside)
";
    let source = format!("{HEAD}{body}");
    let module = Module::parse(&source, "kernel.py").unwrap();
    let known = |n: i64, programs: u32| {
        let sizes = [("n".to_string(), n)].into();
        let launch = Launch { grid: [programs, 1, 1], sizes };
        let mut signature = Signature { assume: Assume::Launch(launch), ..Signature::default() };
        for (name, arg) in pointers(&["x_ptr", "y_ptr"]) {
            signature = signature.arg(name, arg);
        }
        module.compile("k", &signature.arg("n", Arg::size()).constant("B", 16)).unwrap()
    };
    let whole = known(64, 4);
    let text = girih_tile::print(&whole.tile);
    assert!(!text.contains("n:1") && !text.contains("select") && whole.assumes.len() == 1, "{text}");
    let part = known(63, 4);
    let text = girih_tile::print(&part.tile);
    assert!(text.contains("n:1") && part.assumes.is_empty() && part.missed == whole.assumes, "{text}");
    // Launches take the form that they allow, whatever came before.
    let x = random(4, 80);
    for mut rig in rigs() {
        let mut launcher = girih_triton::Launcher::new(&module, "k").unwrap();
        for (n, programs, forms) in [(48usize, 3, 1), (80, 6, 2), (64, 4, 2), (16, 5, 2), (80, 5, 2)] {
            let data = [f32s("x_ptr", x[..n].to_vec()), f32s("y_ptr", vec![0.0; n])];
            let out =
                run_with(&mut launcher, &mut rig, [programs, 1, 1], &data, &[("n", int(n as i64)), ("B", int(16))]);
            close(&format!("{} {n}", rig.name), &out[1], &x[..n], 0.0);
            assert_eq!(launcher.compiled(), forms, "{} {n} in {programs}", rig.name);
        }
    }
}
