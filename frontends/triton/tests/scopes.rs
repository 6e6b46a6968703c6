//! What names mean: the top level of a file, loops, comprehensions.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_triton::{Arg, Argument, Module, Signature};

const HEAD: &str = "import os\nimport triton\nimport triton.language as tl\n\n";

/// One i32 that a kernel stores.
fn stored(source: &str, rest: &[(&str, Argument)]) -> Vec<f64> {
    let source = format!("{HEAD}{source}");
    let mut results = rigs().into_iter().map(|mut rig| {
        let data = [buffer("y_ptr", DType::I32, vec![0.0; 4])];
        run(&mut rig, &source, "k", [1, 1, 1], &data, rest).remove(0)
    });
    let first = results.next().unwrap();
    assert!(results.all(|r| r == first), "targets differ: {source}");
    first
}

fn code(source: &str) -> String {
    let module = Module::parse(&format!("{HEAD}{source}"), "kernel.py").unwrap_or_else(|e| panic!("{e}"));
    let signature = Signature::new().arg("y_ptr", Arg::pointer(DType::I32)).arg("n", Arg::int());
    match module.compile("k", &signature) {
        Ok(_) => "compiles".into(),
        Err(e) => e.to_string(),
    }
}

const STORE: &str = "\n@triton.jit\ndef k(y_ptr, n):\n    tl.store(y_ptr, BLOCK)\n";

#[test]
fn what_only_running_the_file_decides_is_not_guessed() {
    for top in [
        "BLOCK = 64\nif os.getenv('BIG'):\n    BLOCK = 128\n",
        "if os.getenv('BIG'):\n    BLOCK = 128\nelse:\n    BLOCK = 64\n",
        "try:\n    import fast\n    BLOCK = 128\nexcept ImportError:\n    BLOCK = 64\n",
        "BLOCK = 1\nfor i in range(3):\n    BLOCK = BLOCK * 2\n",
        "BLOCK = 64\nBLOCK += 64\n",
        "BLOCK = 64\ndel BLOCK\n",
        "BASE = 64\nBLOCK = BASE * 2\nBASE = 32\n",
        "BLOCK, *REST = os.sizes()\n",
    ] {
        let e = code(&format!("{top}{STORE}"));
        assert!(e.contains("error[K003]") && e.contains("kernel.py:"), "{top}: {e}");
    }
    let listed = "BLOCKS = [64]\nBLOCKS.append(128)\nBLOCK = BLOCKS[-1]\n";
    assert!(code(&format!("{listed}{STORE}")).contains("error[K003]"));
    for decided in [
        "BLOCK = 64\nif __name__ == '__main__':\n    BLOCK = 128\n",
        "A, BLOCK = 1, 64\n",
        "BLOCK = 32\nBLOCK = 64\n",
        "try:\n    from os import path\nexcept ImportError:\n    path = None\nfinally:\n    BLOCK = 64\n",
    ] {
        assert_eq!(stored(&format!("{decided}{STORE}"), &[("n", int(5))])[0], 64.0, "{decided}");
    }
    // Ways to get one function are alternatives.
    let ways = "if os.getenv('NEW'):\n    from triton.language.extra.libdevice import rsqrt\nelse:\n    from triton.language.math import rsqrt\n";
    let body =
        "\n@triton.jit\ndef k(y_ptr, n):\n    tl.store(y_ptr, rsqrt(tl.full([], 0.0625, tl.float32)).to(tl.int32))\n";
    assert_eq!(stored(&format!("{ways}{body}"), &[("n", int(5))])[0], 4.0);
}

#[test]
fn what_the_host_computes_is_neither_true_nor_false() {
    for test in
        ["FLAG", "not FLAG", "FLAG == 1", "FLAG is None", "FLAG and n > 3", "n > 3 and FLAG", "n if FLAG else 3"]
    {
        let source = format!(
            "FLAG = os.cpu_count() > 4\n\n@triton.jit\ndef k(y_ptr, n):\n    if {test}:\n        tl.store(y_ptr, 1)\n"
        );
        let e = code(&source);
        assert!(e.contains("error[K003]"), "{test}: {e}");
    }
}

#[test]
fn decorators_that_only_the_host_understands_are_needed_for_what_the_call_leaves_out() {
    let source = "@triton.autotune(configs=os.configs(), key=['n'])\n@triton.jit\ndef k(y_ptr, n, BLOCK: tl.constexpr):\n    tl.store(y_ptr, BLOCK)\n";
    assert!(code(source).contains("error[K003]"));
    assert_eq!(stored(source, &[("n", int(5)), ("BLOCK", int(16))])[0], 16.0);
}

#[test]
fn names_bound_by_expressions_in_loops() {
    // What a loop would have to carry is said; what it need not carry works.
    let lost = [
        "    x = 0\n    for i in range(n):\n        y = (x := x + 1) * 2\n    tl.store(y_ptr, x)\n",
        "    x = 0\n    while (x := x + 1) < n:\n        pass\n    tl.store(y_ptr, x)\n",
        "    x = 0\n    y = (x := 5) if n > 3 else 2\n    tl.store(y_ptr, x + y)\n",
    ];
    for body in lost {
        let e = code(&format!("@triton.jit\ndef k(y_ptr, n):\n{body}"));
        assert!(e.contains("error[K002]") && e.contains(":="), "{body}: {e}");
    }
    let kept = "@triton.jit
def k(y_ptr, n):
    total = 0
    for i in range(n):
        total += (x := i * 2) + x
    y = (z := n + 1) * 2
    for j in tl.static_range(3):
        y += (z := z + 1)
    tl.store(y_ptr, total)
    tl.store(y_ptr + 1, y + z)
";
    assert_eq!(stored(kept, &[("n", int(5))])[..2], [40.0, 12.0 + 7.0 + 8.0 + 9.0 + 9.0]);
}

#[test]
fn comprehensions_have_targets_of_their_own() {
    let source = "@triton.jit
def k(y_ptr, n):
    i = n * 100
    squares = [i * i for i in range(4)]
    pairs = [a + b for a, b in zip(squares, [j for j in range(4)])]
    tl.store(y_ptr, i + squares[3] + pairs[2])
";
    assert_eq!(stored(source, &[("n", int(5))])[0], 515.0);
    let after = "@triton.jit\ndef k(y_ptr, n):\n    x = [i for i in range(4)]\n    tl.store(y_ptr, i)\n";
    assert!(code(after).contains("error[K003]"));
}

#[test]
fn the_target_of_a_loop_has_its_last_value() {
    let source = "@triton.jit
def k(y_ptr, n, m):
    i = 77
    for i in range(3, n, 4):
        pass
    j = n
    for j in range(m):
        pass
    for l in tl.static_range(3):
        pass
    k = 5
    for a in range(2):
        for k in range(a, n):
            pass
    tl.store(y_ptr, i)
    tl.store(y_ptr + 1, j)
    tl.store(y_ptr + 2, l)
    tl.store(y_ptr + 3, k)
";
    assert_eq!(stored(source, &[("n", int(10)), ("m", int(0))]), [7.0, 10.0, 2.0, 9.0]);
    assert_eq!(stored(source, &[("n", int(2)), ("m", int(5))]), [77.0, 4.0, 2.0, 1.0]);
    // What the body makes of it is not carried.
    for body in ["        i = i + 1\n", "        pass\n"] {
        let source = format!(
            "@triton.jit\ndef k(y_ptr, n):\n    i = 0.5\n    for i in range(n):\n{body}    tl.store(y_ptr, i)\n"
        );
        assert!(code(&source).contains("error[K003]"), "{body}");
    }
}
