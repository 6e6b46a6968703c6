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
    let body = "\n@triton.jit\ndef k(y_ptr, n):\n    tl.store(y_ptr, rsqrt(tl.full([], 0.0625, tl.float32)).to(tl.int32))\n";
    assert_eq!(stored(&format!("{ways}{body}"), &[("n", int(5))])[0], 4.0);
}

#[test]
fn what_the_host_computes_is_neither_true_nor_false() {
    for test in ["FLAG", "not FLAG", "FLAG == 1", "FLAG is None", "FLAG and n > 3", "n > 3 and FLAG", "n if FLAG else 3"] {
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
