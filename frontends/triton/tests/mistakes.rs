//! Kernels with a planted mistake each, and what the user is told.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::DType;
use girih_triton::{Arg, Module, Signature};

const HEAD: &str = "import triton\nimport triton.language as tl\n\n\n";

const MISTAKES: &[(&str, &str)] = &[
    (
        "an element where an axis belongs",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    top = tl.max(x, 1e-4)
    tl.store(y_ptr, top)
",
    ),
    (
        "an axis that is not there",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(y_ptr, tl.sum(tl.load(x_ptr + at, mask=at < n), axis=1))
",
    ),
    (
        "a range that is not a power of two",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, 3 * BLOCK)
    tl.store(y_ptr + at, tl.load(x_ptr + at, mask=at < n), mask=at < n)
",
    ),
    (
        "operands of a product in the wrong order",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    row = tl.arange(0, BLOCK)[:, None]
    column = tl.arange(0, 32)[None, :]
    a = tl.load(x_ptr + row * 32 + column)
    tl.store(y_ptr + row * 32 + column, tl.dot(a, a))
",
    ),
    (
        "shapes that do not broadcast, two calls deep",
        "@triton.jit
def scale(x, s):
    return x * s


@triton.jit
def normalised(x):
    return scale(x, tl.sum(x, axis=1))


@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)[:, None] * 32 + tl.arange(0, 32)[None, :]
    tl.store(y_ptr + at, normalised(tl.load(x_ptr + at)))
",
    ),
    (
        "an address that is a number",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    address = tl.load(y_ptr).to(tl.int64)
    rows = address.to(tl.pointer_type(tl.float32))
    tl.store(y_ptr + at, tl.load(rows + at))
",
    ),
    (
        "a variable that changes its type in a loop",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    total = 0
    for start in range(0, n, BLOCK):
        total += tl.sum(tl.load(x_ptr + start + at, mask=start + at < n, other=0.0), axis=0)
    tl.store(y_ptr, total)
",
    ),
    (
        "a tile whose extent is an argument",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, n)
    tl.store(y_ptr + at, tl.load(x_ptr + at))
",
    ),
    (
        "a mistyped name",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(y_ptr + at, tl.maximun(tl.load(x_ptr + at), 0.0))
",
    ),
    (
        "assembly",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    y = tl.inline_asm_elementwise('ex2.approx.f32 $0, $1;', '=r,r', [x], dtype=tl.float32, is_pure=True, pack=1)
    tl.store(y_ptr + at, y)
",
    ),
    (
        "a row stored through a scalar pointer",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(y_ptr + tl.program_id(0), tl.load(x_ptr + at, mask=at < n))
",
    ),
    (
        "an assertion with its values",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    tl.static_assert(BLOCK % 128 == 0, f'BLOCK is {BLOCK}')
",
    ),
    (
        "a branch on a tile",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    if x > 0:
        tl.store(y_ptr + at, x, mask=at < n)
",
    ),
    (
        "a pointer that points here or there",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    if n > 10:
        p = x_ptr
    else:
        p = y_ptr
    tl.store(y_ptr, tl.load(p))
",
    ),
    (
        "not Python",
        "@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK
    x = tl.load(x_ptr + at)
",
    ),
];

#[test]
fn planted_mistakes_are_explained() {
    let mut out = String::new();
    for (title, body) in MISTAKES {
        let source = format!("{HEAD}{body}");
        let signature = Signature::new()
            .arg("x_ptr", Arg::pointer(DType::F32))
            .arg("y_ptr", Arg::pointer(DType::F32))
            .arg("n", Arg::size())
            .constant("BLOCK", 64);
        let error = Module::parse(&source, "kernel.py").and_then(|m| m.compile("kernel", &signature).map(|_| ()));
        let error = error.err().unwrap_or_else(|| panic!("{title}: compiles"));
        out.push_str(&format!("# {title}\n{error}\n\n"));
    }
    insta::assert_snapshot!(out);
}

/// The examples of docs/errors.md.
#[test]
fn every_code_of_the_page_is_given() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut codes = 0;
    for section in text.split("\n## ").filter(|s| s.starts_with('K')) {
        let Some((_, source)) = section.split_once("let source = \"") else { continue };
        let (source, _) = source.split_once("\";").unwrap();
        let signature = if source.contains("kernel(x, n)") {
            Signature::new().arg("x", Arg::pointer(DType::F32)).arg("n", Arg::size())
        } else {
            Signature::new()
        };
        let error = Module::parse(source, "kernel.py").unwrap().compile("kernel", &signature).unwrap_err();
        assert_eq!(error.code, &section[..4], "{error}");
        codes += 1;
    }
    assert!(codes >= 10);
}
