//! Kernels of Triton and CUDA files: run, checked, printed; and what is said of ten mistakes.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HEAD: &str = "import triton\nimport triton.language as tl\n\n\n@triton.jit\n";

const SOFTMAX: &str = "def softmax_kernel(x, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    v = tl.load(x + row * n + at, mask=at < n, other=-float('inf'))
    e = tl.exp(v - tl.max(v, axis=0))
    tl.store(y + row * n + at, e / tl.sum(e, axis=0), mask=at < n)
";

const SCALE: &str = "template <typename T, int N>
__global__ void scale(T* x, float by, int n) {
    int i = (blockIdx.x * blockDim.x + threadIdx.x) * N;
    for (int j = 0; j < N; j++) {
        if (i + j < n) x[i + j] *= by;
    }
}

__global__ void reverse(int* x) {
    __shared__ int row[64];
    row[threadIdx.x] = x[threadIdx.x];
    x[threadIdx.x] = row[63 - threadIdx.x];
}
";

fn girih(args: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_girih"))
        .args(args)
        .current_dir(folder)
        .env("GIRIH_CACHE", folder.join("cache"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("softmax.py"), format!("{HEAD}{SOFTMAX}")).unwrap();
    std::fs::write(folder.path().join("scale.cu"), SCALE).unwrap();
    folder
}

fn text(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

const RUN: [&str; 10] = [
    "softmax.py::softmax_kernel",
    "--grid",
    "4",
    "--arg",
    "x=random:f32[4,100]",
    "--arg",
    "y=empty:f32[4,100]",
    "--arg",
    "n=100",
    "--const",
];

#[test]
fn a_triton_kernel_runs_and_saves() {
    let folder = files();
    let more = ["BLOCK=128", "--device", "cpu", "--check", "--reps", "3", "--out", "y=y.npy", "--json"];
    let out = girih(&[&["run"], &RUN[..], &more].concat(), folder.path());
    let report: Value = serde_json::from_str(&text(&out)).unwrap();
    let y = &report["arrays"][0];
    assert_eq!(
        (&y["name"], &y["shape"], report["arrays"].as_array().unwrap().len()),
        (&"y".into(), &[4, 100].into(), 1)
    );
    assert!((y["mean"].as_f64().unwrap() - 0.01).abs() < 1e-6, "{report}");
    assert!(report["seconds"].as_f64().unwrap() > 0.0);
    // What was saved is read again: its rows sum to 1, so that softmax of it is nearly even.
    let again = ["run", RUN[0], "--grid", "4", "--arg", "x=npy:y.npy", "--arg", "y=zeros:f32[4,100]", "--arg", "n=100"];
    let out = girih(&[&again[..], &["--const", "BLOCK=128", "--device", "cpu"]].concat(), folder.path());
    assert!(text(&out).starts_with("y f32[4, 100]: 0.0"), "{}", text(&out));
}

#[test]
fn a_cuda_kernel_runs() {
    let folder = files();
    let args = ["--grid", "2", "--block", "32", "--arg", "x=arange:f32[200]", "--arg", "by=2.0", "--arg", "n=100"];
    for more in [&["--device", "cpu"][..], &["--device", "cpu", "--check"]] {
        let out = girih(&[&["run", "scale.cu::scale<float, 4>"], &args[..], more].concat(), folder.path());
        assert_eq!(text(&out), "x f32[200]: 0 to 199, mean 124.25; 0, 2, 4, 6, ...\n");
    }
    let out = girih(&["check", "scale.cu::reverse", "--block", "64", "--arg", "x=arange:i32[64]"], folder.path());
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1));
    assert!(error.contains("error[S10") && error.contains("scale.cu:12:"), "{error}");
}

#[test]
fn findings_and_errors_are_json_where_that_is_asked_for() {
    let folder = files();
    let ask = |args: &[&str]| {
        let out = girih(args, folder.path());
        (
            serde_json::from_slice::<Value>(&out.stdout).unwrap(),
            out.status.code(),
            String::from_utf8(out.stderr).unwrap(),
        )
    };
    let reverse = ["check", "scale.cu::reverse", "--arg", "x=arange:i32[64]", "--json", "--block"];
    let (report, code, error) = ask(&[&reverse[..], &["64"]].concat());
    let finding = &report["findings"][0];
    assert_eq!((code, report["grid"].as_array().unwrap().len()), (Some(1), 3));
    assert!(finding["code"].as_str().unwrap().starts_with("S10"), "{report}");
    let place = &finding["labels"][0];
    assert_eq!((place["file"].as_str(), place["line"].as_u64()), (Some("scale.cu"), Some(12)), "{report}");
    assert_eq!(finding["text"].as_str().unwrap().trim_end(), error.trim_end());
    let args = ["--grid", "2", "--block", "32", "--arg", "x=arange:f32[200]", "--arg", "by=2.0", "--arg", "n=100"];
    let (report, code, _) = ask(&[&["check", "scale.cu::scale<float, 4>", "--json"], &args[..]].concat());
    assert_eq!((code, report["findings"].as_array().map(Vec::len)), (Some(0), Some(0)), "{report}");
    // A launch that lacks something has no findings, but an error.
    let (report, code, _) = ask(&["check", "scale.cu::reverse", "--block", "64", "--json"]);
    assert_eq!((code, report["error"]["code"].as_str()), (Some(1), Some("C006")), "{report}");
    let (report, code, _) = ask(&["emit", "softmax.py::nothing", "--json"]);
    assert_eq!(code, Some(1));
    assert!(report["error"]["message"].as_str().is_some_and(|m| m.contains("nothing")), "{report}");
}

#[test]
fn kernels_are_listed_and_printed() {
    let folder = files();
    let out = girih(&["emit", "softmax.py"], folder.path());
    assert_eq!(text(&out), "softmax.py::softmax_kernel(x, y, n, BLOCK: constexpr)\n");
    let out = girih(&["emit", "scale.cu"], folder.path());
    assert_eq!(text(&out), "scale.cu::scale<T, N>(x, by, n)\nscale.cu::reverse(x)\n");
    let types = ["--arg", "x=f32*", "--arg", "y=*fp32", "--arg", "n=i32", "--const", "BLOCK=128"];
    for (stage, sign) in [
        ("tile", "reduce"),
        ("simt", "workgroup"),
        ("wgsl", "@compute"),
        ("msl", "kernel void"),
        ("hlsl", "numthreads"),
        ("spirv", "07230203"),
    ] {
        let args = [&["emit", RUN[0], "--stage", stage], &types[..]].concat();
        let printed = text(&girih(&args, folder.path()));
        assert!(printed.contains(sign), "{stage}: {printed}");
        if stage != "tile" {
            let printed = text(&girih(&["emit", "scale.cu::scale<float, 4>", "--stage", stage], folder.path()));
            assert!(printed.contains(sign), "{stage}: {printed}");
        }
    }
}

#[test]
fn wrong_launches_are_one_diagnostic() {
    let folder = files();
    let all = [&["run"], &RUN[..], &["BLOCK=128"]].concat();
    for (args, code) in [
        (&["run", "none.py::k"][..], "C003"),
        (&["run", "softmax.rs::k"], "C004"),
        (&["run", "scale.cu", "--block", "32"], "C006"),
        (&["run", RUN[0]], "C006"),
        (&["run", "softmax.py::other"], "K003"),
        (&[&all[..], &["--arg", "z=1"]].concat(), "K012"),
        (&[&all[..], &["--arg", "n=2"]].concat(), "C006"),
        (&[&all[..], &["--out", "z=z.npy"]].concat(), "C006"),
        (&[&all[..], &["--grid", "0"]].concat(), "C001"),
        (&["run", "scale.cu::reverse", "--arg", "x=arange:i32[64]"], "C006"),
        (&["run", "scale.cu::reverse", "--block", "2048", "--arg", "x=arange:i32[64]"], "U007"),
        (&["run", "scale.cu::reverse", "--block", "64", "--arg", "x=3"], "C005"),
        (&["emit", RUN[0], "--stage", "plan"], "C006"),
        (&["emit", RUN[0]], "C006"),
        (&["emit", RUN[0], "--arg", "x=f33*"], "C005"),
    ] {
        let out = girih(args, folder.path());
        let error = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert!(error.contains(&format!("error[{code}]")) && error.matches("error[").count() == 1, "{args:?}: {error}");
    }
}

/// Title, kernel, arguments.
const MISTAKES: [(&str, &str, &[&str]); 10] = [
    (
        "a wrong axis",
        "def k(x, y, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n, other=0.0)
    tl.store(y, tl.sum(v, axis=1))
",
        &["x=zeros:f32[100]", "y=empty:f32[1]", "n=100"],
    ),
    (
        "a missing mask",
        "def k(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at)
    tl.store(y + at, v * 2, mask=at < n)
",
        &["x=zeros:f32[100]", "y=empty:f32[100]", "n=100"],
    ),
    (
        "a bad stride",
        "def k(x, y, rows, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    v = tl.load(x + row * (cols + 1) + at, mask=at < cols)
    tl.store(y + row * cols + at, v, mask=at < cols)
",
        &["x=zeros:f32[2,50]", "y=empty:f32[2,50]", "rows=2", "cols=50"],
    ),
    (
        "a race between programs",
        "def k(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.sum(tl.load(x + at, mask=at < n, other=0.0), axis=0)
    tl.store(y, tl.load(y) + total)
",
        &["x=ones:f32[100]", "y=zeros:f32[1]", "n=100"],
    ),
    (
        "scratch that nobody initialised",
        "def k(x, scratch, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n)
    tl.store(y + at, v + tl.load(scratch + at, mask=at < n), mask=at < n)
",
        &["x=zeros:f32[100]", "scratch=empty:f32[100]", "y=empty:f32[100]", "n=100"],
    ),
    (
        "a store past the end",
        "def k(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n, other=0.0)
    tl.store(y + at + 1, v, mask=at < n)
",
        &["x=zeros:f32[100]", "y=empty:f32[100]", "n=100"],
    ),
    (
        "shapes that do not multiply",
        "def k(x, y, n, BLOCK: tl.constexpr):
    rows = tl.arange(0, BLOCK)[:, None]
    a = tl.load(x + rows * 32 + tl.arange(0, 32)[None, :])
    tl.store(y + rows * 32 + tl.arange(0, 32)[None, :], tl.dot(a, a))
",
        &["x=zeros:f32[64,32]", "y=empty:f32[64,32]", "n=64"],
    ),
    (
        "a range that is no power of two",
        "def k(x, y, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK + 36)
    tl.store(y + at, tl.load(x + at))
",
        &["x=zeros:f32[100]", "y=empty:f32[100]", "n=100"],
    ),
    (
        "a pointer from nowhere",
        "def k(x, y, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.load(x).to(tl.int64).to(tl.pointer_type(tl.float32))
    tl.store(y + at, tl.load(row + at, mask=at < n), mask=at < n)
",
        &["x=zeros:i32[100]", "y=empty:f32[100]", "n=100"],
    ),
    (
        "a block that is too large",
        "def k(x, y, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK * 32768)
    tl.store(y + at, tl.load(x + at, mask=at < n), mask=at < n)
",
        &["x=zeros:f32[100]", "y=empty:f32[100]", "n=100"],
    ),
];

#[test]
fn ten_mistakes_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let mut report = String::new();
    for (title, body, args) in MISTAKES {
        std::fs::write(folder.path().join("k.py"), format!("{HEAD}{body}")).unwrap();
        let mut all = vec!["check", "k.py::k", "--grid", "2", "--const", "BLOCK=64"];
        args.iter().for_each(|a| all.extend(["--arg", a]));
        let out = girih(&all, folder.path());
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{title}: {error}");
        report.push_str(&format!("# {title}\n{}\n\n", error.trim_end()));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn arrays_that_pass_between_blocks_are_told() {
    let folder = files();
    let source = "__device__ unsigned done = 0;
__global__ void total(const float* x, float* part, float* out, int n) {
    part[blockIdx.x] = x[blockIdx.x];
    __threadfence();
    if (atomicAdd(&done, 1u) != n - 1) return;
    float sum = 0;
    for (int i = 0; i < n; i++) sum += part[i];
    out[0] = sum;
}
";
    std::fs::write(folder.path().join("total.cu"), source).unwrap();
    let out = girih(&["emit", "total.cu::total", "--block", "1"], folder.path());
    assert!(text(&out).contains("atomicExchange(&part["));
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(told.contains("note: total.cu:4:18: `part` passes between blocks by way of a fence"), "{told}");
    let run = ["run", "total.cu::total", "--device", "cpu", "--grid", "4", "--block", "1"];
    let arrays = ["--arg", "x=ones:f32[4]", "--arg", "part=zeros:f32[4]", "--arg", "out=zeros:f32[1]", "--arg", "n=4"];
    let out = girih(&[&run[..], &arrays].concat(), folder.path());
    assert!(text(&out).contains('4') && !String::from_utf8_lossy(&out.stderr).contains("note:"));
}
