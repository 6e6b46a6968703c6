//! Damaged and hostile sources are compiled or refused, never a panic.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use girih_base::DType;
use girih_triton::{Arg, Module, Signature};

const HEAD: &str = "import triton\nimport triton.language as tl\n\n\n";

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
    assert!(["K013", ""].contains(&refused(&deep)));
}

#[test]
fn constants_and_tiles_have_limits() {
    let refused = |body: &str| {
        let module = Module::parse(&format!("{HEAD}@triton.jit\ndef kernel(x_ptr, n):\n{body}"), "kernel.py").unwrap();
        let signature = Signature::new().arg("n", Arg::size()).arg("x_ptr", Arg::pointer(DType::F32));
        module.compile("kernel", &signature).map_or_else(|e| e.code, |_| "")
    };
    for (code, body) in [
        ("K006", "    tl.reduce((), 0, lambda a, b: a)\n"),
        ("K006", "    tl.associative_scan((), 0, lambda a, b: a)\n"),
        ("K004", "    s = 'ab'\n    for i in tl.static_range(60):\n        s = s + s\n"),
        ("K013", "    s = 'ab'\n    for i in tl.static_range(60):\n        s = f'{s}{s}'\n"),
        ("K013", "    s = (1, 2)\n    for i in tl.static_range(60):\n        s = s + s\n"),
        ("K013", "    s = (1, 2)\n    for i in tl.static_range(60):\n        s = (s, s)\n    t = s == s\n"),
        (
            "K013",
            "    s = (1, 2)\n    for i in tl.static_range(60):\n        s = tuple(zip(s, s))\n        s = (s, s)\n",
        ),
        ("K004", "    s = -(-(1 << 126) * 2)\n"),
        ("K006", "    s = abs(-(1 << 126) - (1 << 126))\n"),
        ("K006", "    s = tl.arange(-(1 << 126), 1 << 126)\n"),
        ("K006", "    s = (1, 2)[-(1 << 126) - (1 << 126)]\n"),
        ("", "    s = (1, 2)[-(1 << 126) - (1 << 126):]\n"),
        ("", "    s = [i for i in range((1 << 126) + ((1 << 126) - 3), (1 << 126) + ((1 << 126) - 1), 1 << 100)]\n"),
        (
            "K005",
            "    a = tl.zeros([1 << 20, 1, 1, 1], tl.float32)\n    b = tl.zeros([1, 1 << 20, 1, 1], tl.float32)\n    c = a + b\n",
        ),
        (
            "K005",
            "    a = tl.load(x_ptr + tl.arange(0, 1 << 20)[:, None] + tl.arange(0, 1 << 20)[None, :])\n    tl.store(x_ptr, tl.sum(a))\n",
        ),
        ("K005", "    a = tl.zeros([1 << 19, 1], tl.float32)\n    b = tl.dot(a, tl.zeros([1, 1 << 19], tl.float32))\n"),
        ("K005", "    a = tl.arange(0, 2)\n    for i in tl.static_range(20):\n        a = a[:, None]\n"),
    ] {
        assert_eq!(refused(body), code, "{body}");
    }
}

/// Every function of the language with arguments of all kinds.
#[test]
fn every_name_takes_or_refuses_anything() {
    let page = girih_triton::markdown();
    let rows = page.lines().filter_map(|l| l.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<(&str, usize)> =
        rows.map(|(name, rest)| (name, rest.split(" | ").next().unwrap_or_default().split(", ").count())).collect();
    assert!(rows.len() > 100);
    let pool = [
        "x_ptr",
        "p",
        "n",
        "at",
        "wide",
        "rows",
        "1",
        "0",
        "-1",
        "1 << 126",
        "-(1 << 126) * 2 + 1",
        "0.5",
        "float('nan')",
        "None",
        "True",
        "()",
        "(1, 2)",
        "(8, 8)",
        "[1 << 20, 1 << 20]",
        "'nan'",
        "'x'",
        "tl.float32",
        "tl.int64",
        "tl.int1",
        "lambda a, b: a + b",
        "lambda a: a",
        "fold",
        "window",
        "tl.pointer_type(tl.float32)",
        "at < n",
        "{}",
        "(at, at)",
        "1e300",
        "4294967296",
        "tl",
        "range(3)",
        "-7",
        "16",
    ];
    let mut dice = common::random(7, 9000).into_iter().cycle().map(|v| ((v + 1.0) * 1e6) as usize);
    let rounds: usize = std::env::var("GIRIH_FUZZ").ok().and_then(|v| v.parse().ok()).unwrap_or(12);
    let mut compiled = 0;
    for (name, most) in rows {
        for _ in 0..rounds {
            let count = dice.next().unwrap() % (most + 1);
            let args: Vec<&str> = (0..count).map(|_| pool[dice.next().unwrap() % pool.len()]).collect();
            let source = format!(
                "{HEAD}@triton.jit
def fold(a, b):
    return tl.maximum(a, b)

@triton.jit
def kernel(x_ptr, n):
    at = tl.arange(0, 8)
    wide = at.to(tl.int64) * n
    p = x_ptr + at
    rows = tl.load(x_ptr + at[:, None] * 8 + at[None, :])
    window = tl.make_block_ptr(x_ptr, (n, n), (n, 1), (0, 0), (8, 8), (1, 0))
    v = tl.{name}({})
    if isinstance(v, tl.tensor):
        tl.store(x_ptr, v)
",
                args.join(", ")
            );
            let Ok(module) = Module::parse(&source, "kernel.py") else { continue };
            let signature = Signature::new().arg("n", Arg::size()).arg("x_ptr", Arg::pointer(DType::F32));
            compiled += module.compile("kernel", &signature).is_ok() as usize;
        }
    }
    assert!(compiled > 20, "{compiled} compiled");
}
