//! The text of kernels: reviewed by eye, the same bytes in every process, and valid in every language naga writes.

use crate::harness::elementwise;
use crate::kernels::*;
use girih_base::{DType, Dim, ScalarOp};
use girih_simt::Kernel;
use girih_wgpu::{Language, WgpuTarget, translate};

fn kernels() -> Vec<(&'static str, Kernel)> {
    vec![
        ("sum256", sum256()),
        ("atomics", atomics()),
        ("halves", halves()),
        ("mark", mark(Dim::symbol("groups", 1, 1 << 20))),
        ("assorted", assorted(&[0x3f80_0000, 0x7f80_0000, 0x8000_0000])),
        ("gelu", elementwise(ScalarOp::Gelu, DType::F32, 4, 1024)),
        ("floor_mod", elementwise(ScalarOp::FloorMod, DType::I32, 1, 64)),
    ]
}

#[test]
fn text() {
    for (name, kernel) in kernels() {
        let shader = WgpuTarget::webgpu().emit(&kernel).unwrap();
        insta::assert_snapshot!(name, shader.text);
    }
}

#[test]
fn every_language() {
    for (name, kernel) in kernels() {
        let target = WgpuTarget::webgpu();
        let text = target.emit(&kernel).unwrap().text;
        for language in [Language::Spirv, Language::Msl, Language::Hlsl, Language::Glsl] {
            translate(name, &text, language, target.capabilities()).unwrap();
        }
    }
}

/// Run by the test below in a process of its own.
#[test]
fn print_all() {
    if std::env::var("GIRIH_PRINT_WGSL").is_ok() {
        for (_, kernel) in kernels() {
            eprintln!("{}", WgpuTarget::webgpu().emit(&kernel).unwrap().text);
        }
    }
}

#[test]
fn two_processes_print_the_same_bytes() {
    let print = || {
        let exe = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new(exe);
        let out = command
            .args(["--exact", "snapshots::print_all", "--nocapture"])
            .env("GIRIH_PRINT_WGSL", "1")
            .output()
            .unwrap();
        String::from_utf8(out.stderr).unwrap()
    };
    let first = print();
    assert!(first.contains("fn girih_gelu4"), "{first}");
    assert_eq!(first, print());
}
