//! The commands as a user or a script meets them: outputs, exit codes, closed pipes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn girih(args: &[&str], cache: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_girih"))
        .args(args)
        .env("GIRIH_CACHE", cache)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn json(args: &[&str]) -> Value {
    let cache = tempfile::tempdir().unwrap();
    let out = girih(args, cache.path());
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn devices_start_with_the_processor() {
    let rows = json(&["devices", "--json"]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows[0]["device"], "cpu");
    assert_eq!(rows.iter().filter(|r| r["auto"] == true).count(), 1);
    let required = std::env::var("GIRIH_REQUIRE_WGPU").is_ok_and(|v| v == "1");
    assert!(!required || rows.len() > 1, "no adapter was found, and GIRIH_REQUIRE_WGPU=1");
}

#[test]
fn the_demo_learns_and_agrees_with_the_evaluator() {
    let report = json(&["demo", "--steps", "60", "--device", "cpu", "--json"]);
    let losses = report["losses"].as_array().unwrap();
    let loss = |i: usize| losses[i].as_f64().unwrap();
    assert!(losses.len() == 60 && loss(59) < 0.4 * loss(0), "{losses:?}");
    for d in report["devices"].as_array().unwrap() {
        assert!(d["nmse"].as_f64().unwrap() < 1e-8, "{d}");
    }
    assert!(report["shaders"].as_u64().unwrap() > 5);
}

#[test]
fn a_measurement_is_checked_and_reported() {
    let report = json(&["bench", "matmul_256", "conv2d", "--device", "cpu", "--reps", "3", "--json"]);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for r in rows {
        assert!(r["error"].as_f64().unwrap() < 1e-5 && r["median_s"].as_f64().unwrap() > 0.0 && r["runs"] == 3, "{r}");
    }
}

#[test]
fn every_stage_of_every_small_example_prints() {
    let cache = tempfile::tempdir().unwrap();
    for example in ["softmax_matmul", "symbolic_softmax", "mlp_grad", "row_norms"] {
        for stage in ["graph", "optimized", "explain", "tile", "simt", "wgsl", "msl", "hlsl", "spirv", "plan"] {
            let out = girih(&["emit", example, "--stage", stage], cache.path());
            let text = String::from_utf8_lossy(&out.stdout);
            assert!(
                out.status.success() && text.len() > 100,
                "{example} {stage}: {}",
                String::from_utf8_lossy(&out.stderr)
            );
            assert_eq!(
                girih(&["emit", example, "--stage", stage], cache.path()).stdout,
                out.stdout,
                "{example} {stage} differs"
            );
        }
    }
}

#[test]
fn what_is_printed_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = girih(&["emit", "mlp_grad", "--stage", "graph"], folder.path()).stdout;
    let file = folder.path().join("again.girih");
    std::fs::write(&file, &text).unwrap();
    assert_eq!(girih(&["emit", file.to_str().unwrap(), "--stage", "graph"], folder.path()).stdout, text);
}

#[test]
fn kernels_go_to_a_folder_one_file_each() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("shaders");
    let done = girih(&["emit", "mlp_grad", "--stage", "spirv", "--out", out.to_str().unwrap()], folder.path());
    assert!(done.status.success());
    let files: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(!files.is_empty());
    for f in files {
        assert_eq!(std::fs::read(&f).unwrap()[..4], [3, 2, 0x23, 7], "{} is not SPIR-V", f.display());
    }
}

#[test]
fn errors_are_one_diagnostic_and_exit_code_1() {
    let cache = tempfile::tempdir().unwrap();
    for (args, code) in [
        (&["emit", "none.girih"][..], "C003"),
        (&["emit", "none"], "C004"),
        (&["emit", "row_norms", "--size", "n=x"], "C001"),
        (&["demo", "--device", "wgpu:99"], "W010"),
        (&["bench", "fft"], "C004"),
        (&["generate", "--model", "none.gguf", "--prompt", "x"], "M001"),
        (&["generate", "--model", "none.gguf"], "C001"),
        (&["nonsense"], "C001"),
    ] {
        let out = girih(args, cache.path());
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert!(text.contains(&format!("error[{code}]")) && text.matches("error[").count() == 1, "{args:?}: {text}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    for args in [&["emit", "bert6_8x128", "--stage", "wgsl"][..], &["emit", "--list"], &["--help"], &["devices"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_girih"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let out = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && !text.contains("panicked"), "{args:?}: {text}");
    }
}

#[test]
fn a_model_answers_in_text_and_json() {
    let folder = std::env::var_os("GIRIH_MODELS")
        .map(std::path::PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/girih/models")));
    let path = folder.unwrap_or_default().join("SmolLM2-135M-Instruct.Q4_1.gguf");
    if !path.is_file() {
        assert!(!std::env::var("GIRIH_REQUIRE_MODELS").is_ok_and(|v| v == "1"), "{} is missing", path.display());
        eprintln!("skipped: {} is missing", path.display());
        return;
    }
    let model = path.to_str().unwrap();
    let ask = |more: &[&str]| {
        let cache = tempfile::tempdir().unwrap();
        let base = [
            "generate",
            "--device",
            "cpu",
            "--model",
            model,
            "--prompt",
            "What is the capital of France?",
            "--max-tokens",
            "12",
        ];
        girih(&[&base[..], more].concat(), cache.path())
    };
    let text = ask(&[]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("Paris"), "{}", String::from_utf8_lossy(&text.stderr));
    let figures = String::from_utf8_lossy(&text.stderr).to_string();
    assert!(figures.contains("tokens/s") && figures.contains("at most"), "{figures}");
    let value: Value = serde_json::from_slice(&ask(&["--json"]).stdout).unwrap();
    assert!(value["text"].as_str().unwrap().contains("Paris") && value["finish"] == "ended by itself", "{value}");
    // More prompt than the context holds is refused before anything is compiled.
    let long = ask(&["--context", "8"]);
    assert_eq!((long.status.code(), String::from_utf8_lossy(&long.stderr).contains("error[M015]")), (Some(1), true));
}
