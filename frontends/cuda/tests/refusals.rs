//! Every refusal by name, with its line and advice; and hostile input.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::refusal;
use girih_cuda::{Caps, LaunchShape, Module};

#[test]
fn what_has_no_portable_form_is_refused_by_name() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "dynamic parallelism",
            "__global__ void c() {}\n__global__ void k(int* o) {\nc<<<1, 1>>>();\n}",
            "dynamic parallelism",
        ),
        ("malloc", "__global__ void k(int* o) {\n\nint* p = (int*)malloc(4); *p = 1; }", "memory allocation"),
        ("new", "__global__ void k(int* o) {\n\nint* p = new int[4]; *p = 1; }", "memory allocation"),
        (
            "texture references",
            "texture<float, 1> t;\n__global__ void k(float* o) {\no[0] = tex1D(t, 1.0f); }",
            "surface reference",
        ),
        (
            "texture handles",
            "__global__ void k(float* o, unsigned t) {\n\no[0] = tex1Dfetch<float>((cudaTextureObject_t)t, 1); }",
            "texture object",
        ),
        ("texture reads", "__global__ void k(float* o) {\n\no[0] = tex1Dfetch<float>(3, 1); }", "texture read"),
        ("texture lists", "\n\n__global__ void k(cudaTextureObject_t* t) { }", "texture objects in device memory"),
        ("rounding", "__global__ void k(float* o) {\n\no[0] = __fadd_ru(o[1], o[2]); }", "rounding mode"),
        ("double erfc", "__global__ void k(double* o) {\n\no[0] = erfc(o[1]); }", "erfc"),
        (
            "grid sync",
            "#include <cooperative_groups.h>\n__global__ void k(int* o) {\nauto g = cooperative_groups::this_grid(); g.sync(); }",
            "grid-wide",
        ),
        ("clock", "__global__ void k(long long* o) {\n\no[0] = clock64(); }", "clock"),
        (
            "function pointers",
            "__device__ int f(int x) { return x; }\n\n__global__ void k(int* o, int (*g)(int)) { o[0] = g(1); }",
            "function",
        ),
        (
            "recursion",
            "__device__ int f(int n) {\n\nreturn n < 2 ? 1 : n * f(n - 1); }\n__global__ void k(int* o) { o[0] = f(o[1]); }",
            "calls itself",
        ),
        ("goto", "__global__ void k(int* o) {\n\ngoto end; end: o[0] = 1; }", "goto"),
        ("pointers in memory", "\n\n__global__ void k(float** rows) { rows[0][1] = 1; }", "array of pointers"),
        (
            "a variable's address or none",
            "__global__ void k(int* a, int* b, int n) { int v = n;\n\nint* p = a[0] > 1 ? &v : nullptr; if (p) *p = 1; b[0] = v; }",
            "the address of a variable, or null",
        ),
        (
            "unknown PTX",
            "__global__ void k(int* o) { int r;\n\nasm(\"vote.sync.all.pred %0, %1, 1;\" : \"=r\"(r) : \"r\"(1)); o[0] = r; }",
            "vote.sync",
        ),
        ("exceptions", "__global__ void k(int* o) {\n\ntry { o[0] = 1; } catch (...) {} }", "exceptions"),
        ("static state", "__global__ void k(int* o) {\n\nstatic int n = 0; n++; o[0] = n; }", "static variable"),
        ("cuRAND", "__global__ void k(float* o) {\n\no[0] = curand_uniform(o); }", "cuRAND"),
    ];
    for (what, source, message) in cases {
        let d = refusal(source, "k", 32);
        assert_eq!(d.code, "U005", "{what}: {d}");
        assert!(d.message.contains(message), "{what}: {d}");
        assert!(d.help.is_some(), "{what}: {d}");
        assert_eq!(d.labels.first().and_then(|l| l.loc.position()).map(|p| p.1), Some(3), "{what}: {d}");
    }
}

#[test]
fn doubles_and_wide_atomics_need_a_target_that_has_them() {
    let m = Module::parse("__global__ void k(double* o) { o[0] = 1.0; }", "k.cu", &|_, _| None).unwrap();
    let e = m
        .compile(
            "k",
            &LaunchShape::new([32, 1, 1], 1),
            Caps { int64: false, double: false, atomic64: false, checked: None, native: false },
        )
        .unwrap_err();
    assert_eq!(e.code, "U010", "{e}");
    let m = Module::parse(
        "__global__ void k(unsigned long long* o) { atomicAdd(o, 1ull); }
struct Mixed { int narrow; unsigned long long wide; };
__global__ void mixed(Mixed* o) { o->narrow = 1; atomicAdd(&o->wide, 1ull); }",
        "k.cu",
        &|_, _| None,
    )
    .unwrap();
    let all = Caps { int64: true, double: true, atomic64: true, checked: None, native: false };
    for (kernel, caps) in [("k", Caps { atomic64: false, ..all }), ("mixed", all)] {
        let d = m.compile(kernel, &LaunchShape::new([32, 1, 1], 1), caps).unwrap_err();
        assert_eq!(d.code, "U010", "{d}");
        assert!(d.message.contains("64-bit atomic") && d.help.is_some(), "{d}");
    }
    m.compile("k", &LaunchShape::new([32, 1, 1], 1), all).unwrap();
}

#[test]
fn wrong_programs_say_what_and_where() {
    for (source, code, line) in [
        ("__global__ void k(int* o) {\n  o[0] = x;\n}", "U003", 2),
        ("__global__ void k(int* o) {\n  o[0] = f(1);\n}", "U003", 2),
        ("struct S { int a; };\n__global__ void k(S* o) {\n  o->b = 1;\n}", "U003", 3),
        ("__global__ void k(int* o) {\n  o[0] = 1\n}", "U002", 3),
        ("__global__ void k(int* o) {\n  float4 v; o[0] = v;\n}", "U004", 2),
        ("__device__ int f(int a, int b) { return a; }\n__global__ void k(int* o) {\n  o[0] = f(1);\n}", "U004", 3),
        ("__global__ void k(int* o) {\n  int a[3]; o[0] = a[5];\n}", "U004", 2),
        ("__global__ void k(int* o) {\n  static_assert(sizeof(int) == 8, \"no\"); o[0] = 1;\n}", "U004", 2),
        ("__global__ void k(int* o) {\n  extern __shared__ int s[]; o[0] = s[0];\n}", "U007", 2),
        ("__global__ void k(int* o) {\n  Unknown x; o[0] = 1;\n}", "U003", 2),
        ("#define F(x) x\n__global__ void k(int* o) {\n  o[0] = F(1;\n}", "U001", 3),
    ] {
        let d = refusal(source, "k", 32);
        assert_eq!(d.code, code, "{source}\n{d}");
        assert_eq!(d.labels.first().and_then(|l| l.loc.position()).map(|p| p.1), Some(line), "{source}\n{d}");
    }
}

#[test]
fn launches_that_do_not_fit() {
    let m = Module::parse("template <int N> __global__ void k(int* o) { o[0] = N; }", "k.cu", &|_, _| None).unwrap();
    let caps = Caps { int64: true, double: true, atomic64: true, checked: None, native: false };
    let shape = LaunchShape::new([32, 1, 1], 1);
    for kernel in ["q", "k", "k<1, 2>", "k<", "k<int>"] {
        let e = m.compile(kernel, &shape, caps).unwrap_err();
        assert!(matches!(e.code, "U007" | "U004"), "{kernel}: {e}");
    }
    assert_eq!(m.compile("k<1>", &LaunchShape::new([2048, 1, 1], 1), caps).unwrap_err().code, "U007");
    assert_eq!(m.compile("k<1>", &LaunchShape::new([32, 1, 1], 7), caps).unwrap_err().code, "U007");
    let c = m.compile("k<3>", &shape, caps).unwrap();
    assert_eq!(c.bindings([0, 1, 1], &[]).unwrap_err().code, "U007");
    assert_eq!(c.bindings([1, 2, 1], &[]).unwrap_err().code, "U007");
}

#[test]
fn hostile_files_stay_within_bounds() {
    let nest = |open: &str, close: &str, n: usize| {
        format!("__global__ void k(int* o) {{ o[0] = {}1{}; }}", open.repeat(n), close.repeat(n))
    };
    let mut list = vec![
        "#define A A B\n#define B B A\nA B".to_string(),
        "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(A(x))))\nB(B(B(B(1))))".to_string(),
        "#define F(x) F(x) F(x)\nF(F(F(1)))".to_string(),
        "#include \"self.h\"\n".to_string(),
        nest("(", ")", 100_000),
        nest("-", "", 100_000),
        nest("f(", ")", 10_000),
        "{".repeat(100_000),
        "template<".repeat(10_000),
        "template <int N> __device__ int f() { return f<N + 1>(); } __global__ void k(int* o) { o[0] = f<0>(); }"
            .to_string(),
        "template <int N> struct S { S<N + 1> s; }; __global__ void k(int* o) { S<0> s; o[0] = 1; }".to_string(),
        "__global__ void k(int* o) { int a[2000000000]; o[0] = a[0]; }".to_string(),
        "__global__ void k(int* o) { __shared__ int a[99999999][9999999]; o[0] = a[0][0]; }".to_string(),
        "#if ((((((((1\n#endif".to_string(),
        "#if 1/0\n#endif\n#if 9223372036854775807 + 1 << 999\n#endif".to_string(),
        "__global__ void k(int* o) { o[0] = 1 << 999; o[1] = 5 / 0; o[2] = 0x; o[3] = 1e999f; o[4] = '; }".to_string(),
        "enum E { A = B, B = A }; __global__ void k(int* o) { o[0] = A; }".to_string(),
        "constexpr int a = a + 1; __global__ void k(int* o) { o[0] = a; }".to_string(),
        "using T = T; __global__ void k(T* o) { o[0] = 1; }".to_string(),
        "struct S : S { int x; }; __global__ void k(S* o) { o->x = 1; }".to_string(),
    ];
    list.push(format!("__global__ void k(int* o) {{ {} o[0] = 1; }}", "if (o[1]) ".repeat(5000)));
    list.push(format!("__global__ void k(int* o) {{ o[0] = 1 {}; }}", "+ o[1]".repeat(50_000)));
    for text in list {
        let include = |_: &str, _: bool| Some("#include \"self.h\"\n#include \"self.h\"\n".to_string());
        if let Ok(m) = Module::parse(&text, "k.cu", &include)
            && let Err(e) = m.compile(
                "k",
                &LaunchShape::new([32, 1, 1], 1),
                Caps { int64: true, double: true, atomic64: true, checked: None, native: false },
            )
        {
            assert_ne!(e.code, "U011", "{}", &text[..text.len().min(300)]);
        }
    }
}

/// Files broken at random places are answered, never with a panic.
#[test]
fn broken_files_are_answered() {
    let sources = [include_str!("language.rs"), include_str!("warp.rs"), include_str!("intrinsics.rs")];
    let mut seed = 7u64;
    let mut next = move |n: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % n.max(1)
    };
    let kernels: Vec<&str> = sources
        .iter()
        .flat_map(|s| s.split("let src = ").skip(1))
        .filter_map(|s| s.split_once('"').and_then(|(_, s)| s.split_once("\";").or(s.split_once("\"#;"))).map(|p| p.0))
        .collect();
    assert!(kernels.len() > 30);
    let rounds = std::env::var("GIRIH_FUZZ_CUDA").ok().and_then(|v| v.parse().ok()).unwrap_or(600);
    let scraps = [
        "(",
        ")",
        "{",
        "}",
        "<",
        ">",
        ";",
        "*",
        "&",
        "template",
        "0",
        "int",
        "::",
        "[",
        "]",
        ",",
        "#define X",
        "struct S",
        "return",
        "?",
        ":",
        "->",
    ];
    for _ in 0..rounds {
        let mut text: Vec<u8> = kernels[next(kernels.len())].bytes().collect();
        for _ in 0..1 + next(3) {
            let at = next(text.len());
            match next(4) {
                0 => text.truncate(at),
                1 => drop(text.splice(at..at, scraps[next(scraps.len())].bytes())),
                2 => {
                    let end = (at + next(8)).min(text.len());
                    drop(text.drain(at..end));
                }
                _ => {
                    let from = next(text.len());
                    let piece: Vec<u8> = text[from..(from + next(20)).min(text.len())].to_vec();
                    drop(text.splice(at..at, piece));
                }
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let m = match Module::parse(&text, "fuzz.cu", &|_, _| None) {
            Ok(m) => m,
            Err(e) => {
                assert_ne!(e.code, "U011", "{text}");
                continue;
            }
        };
        for k in m.kernels() {
            for shape in
                [LaunchShape::new([64, 1, 1], 1), LaunchShape { dynamic_shared: 256, ..LaunchShape::new([8, 4, 1], 2) }]
            {
                for (name, wide) in [(k.name.clone(), true), (format!("{}<float, 4>", k.name), false)] {
                    if let Err(e) = m.compile(
                        &name,
                        &shape,
                        Caps { int64: wide, double: wide, atomic64: wide, checked: None, native: false },
                    ) {
                        assert_ne!(e.code, "U011", "{text}");
                    }
                }
            }
        }
    }
}

/// `GIRIH_CUDA_CORPUS` names a folder of `.cu` files; each is broken at random and translated.
#[test]
#[ignore = "needs a folder of programs"]
fn broken_programs_of_a_corpus_are_answered() {
    fn walk(folder: &std::path::Path, out: &mut Vec<String>) {
        for e in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let p = e.path();
            if p.is_dir() {
                walk(&p, out);
            } else if p.extension().is_some_and(|e| e == "cu") {
                out.extend(std::fs::read_to_string(&p));
            }
        }
    }
    let mut list = Vec::new();
    walk(std::path::Path::new(&std::env::var("GIRIH_CUDA_CORPUS").unwrap()), &mut list);
    let rounds = std::env::var("GIRIH_FUZZ_CUDA").ok().and_then(|v| v.parse().ok()).unwrap_or(300);
    let mut seed = 99u64;
    let mut next = move |n: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % n.max(1)
    };
    for _ in 0..rounds {
        let mut text: Vec<u8> = list[next(list.len())].bytes().collect();
        for _ in 0..8 {
            let (at, from) = (next(text.len()), next(text.len()));
            let piece: Vec<u8> = text[from..(from + next(30)).min(text.len())].to_vec();
            let end = (at + next(20)).min(text.len());
            drop(text.splice(at..end, piece));
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let m = match Module::parse(&text, "fuzz.cu", &|_, _| None) {
            Ok(m) => m,
            Err(e) => {
                assert_ne!(e.code, "U011", "{text}");
                continue;
            }
        };
        for k in m.kernels() {
            let shape = LaunchShape { dynamic_shared: 4096, ..LaunchShape::new([64, 2, 1], 2) };
            for name in [k.name.clone(), format!("{}<float>", k.name), format!("{}<float, 16>", k.name)] {
                if let Err(e) = m.compile(
                    &name,
                    &shape,
                    Caps { int64: false, double: true, atomic64: true, checked: None, native: false },
                ) {
                    assert_ne!(e.code, "U011", "{name}: {text}");
                }
            }
        }
    }
}
