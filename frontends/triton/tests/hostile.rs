//! Damaged and hostile sources are compiled or refused, never a panic.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use girih_base::DType;
use girih_triton::{Arg, Module, Signature};

const SOURCES: &[&str] = &[
    include_str!("kernels/vector_add.py"),
    include_str!("kernels/softmax.py"),
    include_str!("kernels/matmul.py"),
    include_str!("kernels/dropout.py"),
    include_str!("kernels/layer_norm.py"),
    include_str!("kernels/attention.py"),
];

fn compile_all(source: &str) -> usize {
    let Ok(module) = Module::parse(source, "kernel.py") else { return 0 };
    let mut compiled = 0;
    for kernel in module.kernels() {
        let mut s = Signature::new();
        let Ok(parameters) = module.parameters(kernel) else { continue };
        for p in parameters {
            s = match () {
                () if p.constexpr => s.constant(&p.name, if p.name.len() > 2 && p.name != "BLOCK" { 1 } else { 16 }),
                () if p.name.ends_with("ptr") => {
                    let dtype = if p.name.contains("lock") || p.name.contains("int") { DType::I32 } else { DType::F32 };
                    s.arg(&p.name, Arg::pointer(dtype))
                }
                () if ["p", "eps", "scale"].contains(&&*p.name) => s.arg(&p.name, Arg::Float(DType::F32)),
                () => s.arg(&p.name, Arg::size()),
            };
        }
        compiled += module.compile(kernel, &s).is_ok() as usize;
    }
    compiled
}

#[test]
fn damaged_kernels_are_compiled_or_refused() {
    let whole: usize = SOURCES.iter().map(|s| compile_all(s)).sum();
    assert!(whole >= 12, "{whole} kernels compile undamaged");
    let pieces = [
        "",
        "0",
        "-1",
        "(",
        ")",
        ":",
        "x",
        "None",
        "tl.",
        "[:, None]",
        " if n else ",
        "*",
        "//",
        "%",
        "\"\"",
        "1e400",
        "not ",
        "\n",
    ];
    let mut dice = common::random(99, 4000).into_iter().cycle().map(|v| ((v + 1.0) * 1e6) as usize);
    let rounds = std::env::var("GIRIH_FUZZ").ok().and_then(|v| v.parse().ok()).unwrap_or(60);
    for round in 0..rounds {
        let source = SOURCES[round % SOURCES.len()];
        let mut text = source.to_string();
        for _ in 0..1 + dice.next().unwrap() % 3 {
            let at = dice.next().unwrap() % text.len();
            let end = (at + dice.next().unwrap() % 6).min(text.len());
            text.replace_range(at..end, pieces[dice.next().unwrap() % pieces.len()]);
        }
        compile_all(&text);
    }
}

#[test]
fn depth_and_length_have_limits() {
    let kernel = |body: &str| format!("@triton.jit\ndef kernel(n):\n{body}");
    let refused = |body: &str| {
        let module = match Module::parse(&kernel(body), "kernel.py") {
            Ok(m) => m,
            Err(e) => return e.code,
        };
        module.compile("kernel", &Signature::new().arg("n", Arg::size())).map_or_else(|e| e.code, |_| "")
    };
    let sum = format!("    x = n{}\n", " + 1".repeat(5000));
    assert_eq!(refused(&sum), "K013");
    let nested = format!("    x = {}n{}\n", "(".repeat(3000), ")".repeat(3000));
    assert!(["K001", "K013", ""].contains(&refused(&nested)));
    let minus = format!("    x = {}n\n", "-".repeat(5000));
    assert!(["K001", "K013"].contains(&refused(&minus)));
    assert_eq!(refused("    for i in tl_range(n):\n        pass\n"), "K003");
    assert_eq!(refused("    x = 0\n    for i in [j for j in range(100000000)]:\n        x += 1\n"), "K013");
    assert_eq!(refused("    x = 10 ** 100\n"), "K004");
    assert_eq!(refused("    x = 1 << 1000\n"), "K004");
    assert_eq!(refused("    kernel(n)\n"), "K013");
    let deep: String = (0..60).map(|i| format!("{}if n > {i}:\n", "    ".repeat(i + 1))).collect::<String>()
        + &"    ".repeat(61)
        + "x = 1\n";
    refused(&deep);
}
