//! Arguments that are not understood are refused; those that are mean what they do in Python.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_triton::{Arg, Module, Signature};

const HEAD: &str = "import triton\nimport triton.language as tl\n\n\n@triton.jit\ndef k(x_ptr, y_ptr, n):\n";

fn code(body: &str) -> String {
    let module = Module::parse(&format!("{HEAD}{body}"), "kernel.py").unwrap_or_else(|e| panic!("{e}"));
    let signature = Signature::new()
        .arg("x_ptr", Arg::pointer(DType::U8))
        .arg("y_ptr", Arg::pointer(DType::I32))
        .arg("n", Arg::size());
    module.compile("k", &signature).map_or_else(|e| e.code.to_string(), |_| "compiles".into())
}

#[test]
fn arguments_without_a_meaning_are_refused() {
    let window = "    w = tl.make_block_ptr(y_ptr, (n, n), (n, 1), (0, 0), (8, 8), (1, 0))\n    at = tl.arange(0, 8)\n";
    for (want, line) in [
        ("compiles", "tl.load(w, boundary_check=(0, 1), padding_option='zero')"),
        ("compiles", "tl.load(y_ptr + at, boundary_check=(), padding_option='')"),
        ("K006", "tl.load(w, boundary_check=(2,))"),
        ("K006", "tl.store(w, 0, boundary_check=(0, 5))"),
        ("K006", "tl.load(w, mask=at < n)"),
        ("K006", "tl.load(w, other=1)"),
        ("K006", "tl.store(w, 0, mask=at < n)"),
        ("K006", "tl.load(y_ptr + at, boundary_check=(0,))"),
        ("K006", "tl.store(y_ptr + at, 0, boundary_check=(0,))"),
        ("K006", "tl.load(w, boundary_check=(0,), padding_option='NaN')"),
        ("K006", "tl.load(w, boundary_check=(0,), padding_option='nan')"),
        ("K006", "tl.load(y_ptr + at, padding_option='nan')"),
        ("K006", "tl.permute(at[:, None], 1, 'x')"),
        ("K007", "tl.permute(at[:, None], (1, n))"),
        ("K006", "tl.expand_dims(at, (0, None))"),
        ("K004", "tl.load(x_ptr + at, mask=at < n, other=300)"),
        ("K004", "tl.load(x_ptr + at, mask=at < n, other=-1)"),
        ("compiles", "tl.load(x_ptr + at, mask=at < n, other=255.0)"),
        ("K006", "(lambda a, b: a)(1)"),
        ("K006", "(lambda a: a)(1, 2)"),
        ("K006", "(lambda a: a)(1, a=2)"),
        ("K006", "isinstance(n, str(1))"),
        ("K006", "isinstance(n)"),
        ("K006", "(1, 2)[::0]"),
        ("K006", "len((1, 2), 3)"),
        ("K006", "sorted_by = max(1, 2, key=3) if False else len((1,), start=2)"),
        ("K006", "int(5, base=2)"),
    ] {
        assert_eq!(code(&format!("{window}    {line}\n")), want, "{line}");
    }
}

#[test]
fn constants_mean_what_they_do_in_python() {
    let body = "    t = (1, 2, 3, 4, 5)
    tl.static_assert(t[::-1] == (5, 4, 3, 2, 1))
    tl.static_assert(t[3:0:-2] == (4, 2))
    tl.static_assert(t[::2] == (1, 3, 5))
    tl.static_assert(t[-2:] == (4, 5))
    tl.static_assert(t[4:1] == ())
    tl.static_assert(t[-100:100:3] == (1, 4))
    tl.static_assert(isinstance(3, int))
    tl.static_assert(not isinstance(3.0, int))
    tl.static_assert(isinstance(3.0, (int, float)))
    tl.static_assert(isinstance('a', str) and isinstance(t, tuple) and isinstance(True, bool))
    tl.static_assert(isinstance(n, tl.tensor) and not isinstance(n, int))
    tl.static_assert(isinstance(3, tl.constexpr) and isinstance(tl.float32, tl.dtype))
    tl.static_assert(list(enumerate((7, 8), 3)) == ((3, 7), (4, 8)))
    tl.static_assert(list(enumerate((7, 8), start=1)) == ((1, 7), (2, 8)))
    total = 0
    for i in tl.static_range(10, step=3):
        total += i
    for i in tl.range(10, step=3):
        total += i
    tl.store(y_ptr, total)
";
    for mut rig in rigs() {
        let data = [buffer("x_ptr", DType::U8, vec![0.0; 4]), buffer("y_ptr", DType::I32, vec![0.0; 4])];
        let got = run(&mut rig, &format!("{HEAD}{body}"), "k", [1, 1, 1], &data, &[("n", int(5))]);
        assert_eq!(got[1][0], 36.0);
    }
}
