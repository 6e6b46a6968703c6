//! The invariants of docs/architecture.md that can be read off manifests and sources.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each crate may depend on among ours. A new dependency is a decision: write the reason into docs/architecture.md.
const MAY_USE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("graph", &["base"]),
    ("tile", &["base"]),
    ("simt", &["base"]),
    ("rewrite", &["base", "graph"]),
    ("lower", &["base", "graph", "tile", "simt"]),
    ("plan", &["base"]),
    ("exec", &["base", "plan"]),
    ("driver", &["base", "graph", "tile", "simt", "rewrite", "lower", "plan"]),
    ("cpu", &["base", "tile", "simt", "lower", "driver", "plan", "exec"]),
    ("wgpu", &["base", "tile", "simt", "lower", "driver", "plan", "exec"]),
    ("emulator", &["base", "tile", "simt", "lower", "driver", "plan", "exec"]),
    ("macros", &[]),
    ("gguf", &["base", "graph", "driver", "plan", "exec"]),
    ("cuda", &["base", "simt", "driver", "exec"]),
    ("cudart", &["base", "driver", "exec", "cpu", "wgpu", "cuda"]),
    ("triton", &["base", "tile", "driver", "exec"]),
    (
        "girih",
        &[
            "base", "graph", "tile", "simt", "triton", "cuda", "macros", "driver", "plan", "exec", "cpu", "wgpu",
            "emulator", "gguf",
        ],
    ),
    (
        "python",
        &[
            "base", "graph", "tile", "lower", "driver", "plan", "exec", "cpu", "wgpu", "emulator", "gguf", "triton",
            "cuda",
        ],
    ),
    (
        "cli",
        &[
            "base", "graph", "tile", "simt", "rewrite", "lower", "driver", "plan", "exec", "cpu", "wgpu", "emulator",
            "gguf", "girih", "triton", "cuda",
        ],
    ),
    (
        "tests",
        &[
            "base", "graph", "tile", "simt", "rewrite", "lower", "driver", "plan", "exec", "cpu", "wgpu", "emulator",
            "gguf", "girih", "macros", "triton", "cuda",
        ],
    ),
];

/// Libraries that one part of the workspace keeps to itself.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("petgraph", &["graph"]),
    ("egg", &["rewrite"]),
    ("wgpu", &["wgpu"]),
    ("naga", &["wgpu"]),
    ("gemm", &["cpu"]),
    ("gemm-common", &["cpu"]),
    ("gemm-f32", &["cpu"]),
    ("gemm-f64", &["cpu"]),
    ("memmap2", &["gguf"]),
    ("tokenizers", &["gguf"]),
    ("pyo3", &["python"]),
    ("ruff_python_parser", &["triton"]),
    ("clap", &["cli"]),
    ("cpp_demangle", &["cudart"]),
    ("indicatif", &["cli"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Crate name without the prefix: its folder, normal and build dependencies, development dependencies.
struct Package {
    folder: PathBuf,
    uses: BTreeSet<String>,
}

fn packages() -> BTreeMap<String, Package> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let short = |name: &str| name.strip_prefix("girih-").unwrap_or(name).to_string();
    let package = |p: &serde_json::Value| {
        let folder = Path::new(p["manifest_path"].as_str().unwrap()).parent().unwrap().to_path_buf();
        let normal = |d: &&serde_json::Value| d["kind"].as_str() != Some("dev");
        let uses = p["dependencies"].as_array().unwrap().iter().filter(normal);
        let uses = uses.map(|d| d["name"].as_str().unwrap().to_string()).collect();
        (short(p["name"].as_str().unwrap()), Package { folder, uses })
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

#[test]
fn crates_depend_only_as_decided() {
    let packages = packages();
    let rules: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    for (name, package) in &packages {
        let allowed = rules.get(&**name).unwrap_or_else(|| panic!("`{name}` has no row in MAY_USE"));
        for used in &package.uses {
            let ours = used.strip_prefix("girih-").or((used == "girih").then_some("girih"));
            if let Some(ours) = ours {
                assert!(allowed.contains(&ours), "`{name}` must not depend on `{ours}`");
            }
        }
    }
    for name in rules.keys() {
        assert!(packages.contains_key(*name), "`{name}` is in MAY_USE and not in the workspace");
    }
}

#[test]
fn there_are_no_cycles() {
    // Every row names only crates of rows above it, the two halves of the runtime aside, which come before the driver.
    let position: BTreeMap<&str, usize> = MAY_USE.iter().enumerate().map(|(i, (name, _))| (*name, i)).collect();
    for (name, uses) in MAY_USE.iter().filter(|(name, _)| *name != "tests") {
        for used in *uses {
            assert!(position[used] < position[name], "`{name}` uses `{used}`, which comes later");
        }
    }
}

#[test]
fn libraries_stay_where_they_belong() {
    for (name, package) in packages() {
        for (library, homes) in KEPT_TO {
            let free = homes.contains(&&*name) || !package.uses.contains(*library);
            assert!(free, "`{name}` must not depend on `{library}`; {homes:?} may");
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_but_where_it_is_needed() {
    for (name, package) in packages() {
        let source = ["src/lib.rs", "src/main.rs"]
            .iter()
            .find_map(|f| std::fs::read_to_string(package.folder.join(f)).ok())
            .unwrap();
        let strict = source.contains("#![forbid(unsafe_code)]");
        let careful = source.contains("#![deny(unsafe_code)]") && ["gguf", "wgpu", "cudart"].contains(&&*name);
        let free = ["cpu", "macros", "tests"].contains(&&*name);
        assert!(strict || careful || free, "`{name}` must forbid unsafe code");
    }
}

#[test]
fn the_page_names_every_crate_and_every_rule_is_stated() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for package in packages().values() {
        let folder = package.folder.strip_prefix(root()).unwrap().display().to_string();
        assert!(page.contains(&format!("`{folder}`")), "docs/architecture.md does not name `{folder}`");
    }
    assert!(page.matches("\nInvariant: ").count() >= 10);
}
