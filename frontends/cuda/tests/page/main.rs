//! The tables of docs/cuda.md: each construct is compiled, and the page says what came of it. `UPDATE=1` writes them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod names;
mod refused;

use girih_base::Diag;
use girih_cuda::{Caps, LaunchShape, Module};

const BEGIN: &str = "<!-- what translates, generated -->\n";
const END: &str = "<!-- end of what translates -->\n";

/// What a row's kernels can use besides what the row declares.
const VARIABLES: &str = "#include <cooperative_groups.h>
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <mma.h>
#include <assert.h>
namespace cg = cooperative_groups;
";
const PARAMETERS: &str = "int i, unsigned u, long long l, float f, double d, int* o, unsigned* p, float* x, double* y, float4* v, \
                          unsigned long long* q, __half2* h, __nv_bfloat16* b, cudaTextureObject_t t, cudaSurfaceObject_t s";

/// A row's code: statements of a kernel, after `;;` declarations before it.
fn source(code: &str) -> String {
    let (body, before) = code.split_once(";;").unwrap_or((code, ""));
    let unused = |name: &str| !code.contains(name);
    // Textures only where they are used: a kernel has few bindings.
    let mut parameters = PARAMETERS.to_string();
    if unused("tex") {
        parameters = parameters.replace(", cudaTextureObject_t t", "");
    }
    if unused("surf") {
        parameters = parameters.replace(", cudaSurfaceObject_t s", "");
    }
    if unused("double") && unused("(d") && unused("y[") {
        parameters = parameters.replace(" double d,", "").replace(" double* y,", "");
    }
    format!("{VARIABLES}{before}\n__global__ void k({parameters}) {{\n{body};\n}}\n")
}

fn compile(code: &str, double: bool) -> Result<(), Box<Diag>> {
    let shape = LaunchShape { dynamic_shared: 1024, ..LaunchShape::new([64, 1, 1], 1) };
    let caps = Caps { int64: double, double, atomic64: double, checked: None, native: false };
    Module::parse(&source(code), "row.cu", &|_, _| None)?.compile("k", &shape, caps).map(|_| ())
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn tables() -> String {
    let (mut out, mut wrong) = (String::new(), String::new());
    for (title, rows) in names::TABLES {
        out.push_str(&format!("### {title}\n\n| construct | | |\n|---|---|---|\n"));
        for (name, code, remark) in *rows {
            let state = match (compile(code, true), compile(code, false)) {
                (Ok(()), Ok(())) => "yes",
                (Ok(()), Err(d)) if d.code == "U010" => "where the device has f64",
                (Err(d), _) | (_, Err(d)) => {
                    wrong.push_str(&format!("{name}: {d}\n"));
                    continue;
                }
            };
            out.push_str(&format!("| {} | {state} | {} |\n", cell(name), cell(remark)));
        }
        out.push('\n');
    }
    out.push_str("### Refused\n\nEach by name, at its line.\n\n| construct | what is said | advice |\n|---|---|---|\n");
    for (name, code) in refused::ROWS {
        let Err(d) = compile(code, true) else {
            wrong.push_str(&format!("{name} is accepted\n"));
            continue;
        };
        let placed = d.labels.first().is_some_and(|l| l.loc.position().is_some());
        let (true, true, Some(help)) = (matches!(d.code, "U005" | "U008" | "U010"), placed, &d.help) else {
            wrong.push_str(&format!("{name} is refused without a name, place or advice: {d}\n"));
            continue;
        };
        out.push_str(&format!("| {} | {} | {} |\n", cell(name), cell(&d.message), cell(help)));
    }
    assert!(wrong.is_empty(), "{wrong}");
    out.push('\n');
    out
}

#[test]
fn the_tables_are_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cuda.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let now = format!("{head}{BEGIN}\n{}{END}{tail}", tables());
    if std::env::var("UPDATE").is_ok_and(|v| v == "1") {
        std::fs::write(&path, now).unwrap();
    } else {
        assert!(text == now, "run `UPDATE=1 cargo test -p girih-cuda --test page`");
    }
}
