//! Whole CUDA programs: built by `girih nvcc`, run on the CPU and on a graphics adapter, each with its own checks.
//!
//! Without clang these are skipped, unless `GIRIH_REQUIRE_CLANG` is set.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

// Linked so that cargo builds the library that the programs are linked with.
use girih_cudart as _;

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cudart/tests/programs")
}

fn girih() -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_girih"));
    // The library that was built with this test; one beside the command may be older.
    let folder = Path::new(env!("CARGO_BIN_EXE_girih")).with_file_name("deps");
    c.current_dir(programs()).env("GIRIH_CUDART", folder);
    c
}

fn nvcc(args: &[&str]) -> Output {
    girih().arg("nvcc").args(args).output().unwrap()
}

fn clang() -> bool {
    let there = Command::new("clang++").arg("--version").output().is_ok_and(|o| o.status.success());
    assert!(
        there || std::env::var_os("GIRIH_REQUIRE_CLANG").is_none(),
        "GIRIH_REQUIRE_CLANG is set, and there is no clang++"
    );
    there
}

/// Builds a program; nothing without clang.
fn build(files: &[&str], folder: &tempfile::TempDir) -> Option<PathBuf> {
    if !clang() {
        return None;
    }
    let program = folder.path().join("program");
    let done = nvcc(&[files, &["-O1", "-o", program.to_str().unwrap()]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(program)
}

/// The devices to run on.
fn devices() -> Vec<&'static str> {
    let required = std::env::var_os("GIRIH_REQUIRE_WGPU").is_some();
    if required || !girih_wgpu::devices().is_empty() { vec!["cpu", "wgpu"] } else { vec!["cpu"] }
}

/// Runs a program, which says PASSED at its end; gives what it says beside that.
fn passes(program: &Path, args: &[&str], device: &str) -> (String, String) {
    let done = Command::new(program).args(args).env("GIRIH_DEVICE", device).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(done.stdout), text(done.stderr));
    assert!(done.status.success() && out.ends_with("PASSED\n"), "{device} {args:?}: {}\n{out}\n{err}", done.status);
    (out, err)
}

#[test]
fn memory_reaches_kernels_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build(&["pointers.cu"], &folder) else { return };
    for device in devices() {
        passes(&program, &[], device);
    }
}

#[test]
fn kernels_of_several_files_are_launched_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build(&["launches.cu", "other.cu", "host.cpp"], &folder) else { return };
    for device in devices() {
        let (out, _) = passes(&program, &[], device);
        assert_eq!(out, "block 7 of 8\nPASSED\n", "{device}");
    }
}

#[test]
fn kernels_of_one_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build(&["overloads.cu"], &folder) else { return };
    for device in devices() {
        passes(&program, &[], device);
    }
}

#[test]
fn failures_are_errors_of_cuda_and_last() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build(&["failures.cu"], &folder) else { return };
    for device in devices() {
        passes(&program, &["configuration"], device);
        for (which, code) in [("host", "error[N001]"), ("refused", "error[U005]"), ("assert", "error[X013]")] {
            let (_, err) = passes(&program, &[which], device);
            assert!(err.contains(code), "{which} on {device}: {err}");
        }
    }
    // Graphics drivers keep accesses inside of buffers without a word.
    let (_, err) = passes(&program, &["beyond"], "cpu");
    assert!(err.contains("error[X103]") && err.contains("while launching kernel `beyond`"), "{err}");
    let unknown = Command::new(&program).arg("configuration").env("GIRIH_DEVICE", "tpu").output().unwrap();
    let err = String::from_utf8(unknown.stderr).unwrap();
    assert!(!unknown.status.success() && err.contains("error[N002]"), "{err}");
}

#[test]
fn objects_are_linked_later() {
    let folder = tempfile::tempdir().unwrap();
    if !clang() {
        return;
    }
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    for (file, object) in [("launches.cu", "l.o"), ("other.cu", "o.o"), ("host.cpp", "h.o")] {
        let done = nvcc(&["-c", file, "-o", &at(object), "-arch=sm_80", "-std=c++17"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let done = nvcc(&[&at("l.o"), &at("o.o"), &at("h.o"), "-o", &at("program"), "-lcudart"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    passes(Path::new(&at("program")), &[], "cpu");
}

#[test]
fn what_is_missing_is_said() {
    let refused = |command: &mut Command, code: &str| {
        let done = command.output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success() && err.starts_with(&format!("error[{code}]")), "{err}");
        err
    };
    let err = refused(girih().args(["nvcc", "pointers.cu"]).env("GIRIH_CLANG", "/no/such/clang"), "C030");
    assert!(err.contains("girih run"), "{err}");
    refused(girih().args(["nvcc", "pointers.cu", "--ptx"]), "C033");
    if clang() {
        let folder = tempfile::tempdir().unwrap();
        let bad = folder.path().join("bad.cu");
        std::fs::write(&bad, "int main() { return nothing; }\n").unwrap();
        let done = girih().arg("nvcc").arg(&bad).arg("-o").arg(folder.path().join("p")).output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success() && err.contains("error[C031]") && err.contains("bad.cu:1:"), "{err}");
    }
}
