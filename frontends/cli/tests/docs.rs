//! The documents, executed: every `console` block of README.md and docs/*.md is run and must print what it says.
//! `UPDATE=1` writes what is printed into the blocks.
// The commands are for a POSIX shell, and what they print has Linux's words for errors of the system.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// What a shell prints for a command, both outputs together, in a folder with `girih` on the path.
fn run(command: &str, folder: &Path) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_girih")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let out = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(folder)
        .env("PATH", path)
        .env("GIRIH_CACHE", folder.join(".cache"))
        // Without it drivers say so.
        .env("XDG_RUNTIME_DIR", folder)
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).trim_end().to_string()
}

/// The document with the output of every command as it is now.
fn refreshed(text: &str, folder: &Path) -> String {
    let mut out = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        out.push(line.to_string());
        if line != "```console" {
            continue;
        }
        while let Some(line) = lines.next() {
            out.push(line.to_string());
            if line == "```" {
                break;
            }
            if let Some(command) = line.strip_prefix("$ ") {
                while lines.peek().is_some_and(|l| !l.starts_with("$ ") && *l != "```") {
                    lines.next();
                }
                let printed = run(command, folder);
                out.extend(printed.lines().map(str::to_string));
            }
        }
    }
    out.join("\n") + "\n"
}

fn check(file: &str) {
    let path = root().join(file);
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let now = refreshed(&text, folder.path());
    if std::env::var("UPDATE").is_ok_and(|v| v == "1") {
        fs::write(&path, now).unwrap();
        return;
    }
    let lines = text.lines().zip(now.lines()).enumerate();
    if let Some((i, (old, new))) = lines.into_iter().find(|(_, (old, new))| old != new) {
        panic!(
            "{file}, line {}:\n  says   {old}\n  prints {new}\nUPDATE=1 refreshes it; then read the difference",
            i + 1
        );
    }
    assert_eq!(text, now, "{file}: UPDATE=1 refreshes it");
}

#[test]
fn the_readme_prints_what_it_says() {
    check("README.md");
}

#[test]
fn the_tour_prints_what_it_says() {
    check("docs/tour.md");
}

#[test]
fn the_errors_happen_as_described() {
    check("docs/errors.md");
}

/// Codes in the sources, tests and comments aside: a letter and three digits in quotes. Each with the crates that give it.
fn codes(folder: &Path, package: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() && !["tests", "benches", "examples", "target"].contains(&&*name) {
            codes(&entry, package, found);
        } else if (name.ends_with(".rs") && name != "tests.rs") || name.ends_with(".py") {
            let text = fs::read_to_string(&entry).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let is_code = |s: &&str| {
                let b = s.as_bytes();
                b.len() == 4 && b[0].is_ascii_uppercase() && b[1..].iter().all(u8::is_ascii_digit)
            };
            for line in code.lines().filter(|l| !l.trim_start().starts_with("//")) {
                for code in line.split('"').filter(is_code) {
                    found.entry(code.to_string()).or_default().insert(package.to_string());
                }
            }
        }
    }
}

fn all_codes() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for part in ["compiler", "runtime", "targets", "frontends"] {
        for package in fs::read_dir(root().join(part)).unwrap().map(|e| e.unwrap().path()) {
            let name = format!("{part}/{}", package.file_name().unwrap().to_string_lossy());
            codes(&package, &name, &mut found);
        }
    }
    found
}

/// A code means one thing, so one crate gives it. But doors to language models say the same where there is no template, so do arrays
/// of several devices in Rust and in Python, and the command line advises on what the emulator finds.
#[test]
fn every_code_has_one_owner() {
    const SHARED: &[&str] = &["M014", "X011", "S101", "S102", "S103"];
    let found = all_codes();
    let shared: Vec<_> = found.iter().filter(|(c, by)| by.len() > 1 && !SHARED.contains(&c.as_str())).collect();
    assert!(shared.is_empty(), "codes of several crates: {shared:?}; give each meaning a code of its own");
}

#[test]
fn every_code_has_its_section() {
    let found: BTreeSet<String> = all_codes().into_keys().collect();
    assert!(found.len() > 50, "the search found only {found:?}");
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let listed: BTreeSet<String> =
        page.lines().filter_map(|l| l.strip_prefix("## ")).map(|l| l[..4].to_string()).collect();
    let missing: Vec<&String> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/errors.md has no section for {missing:?}");
    let stale: Vec<&String> = listed.difference(&found).collect();
    assert!(stale.is_empty(), "docs/errors.md describes {stale:?}, which no source gives");
}

/// An example shows the error of its own section.
#[test]
fn examples_show_their_code() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let mut examples = 0;
    for section in page.split("\n## ").skip(1) {
        let (code, body) = (&section[..4], section.split("\n```").nth(1));
        if let Some(body) = body.filter(|b| b.starts_with("console") || b.starts_with("rust")) {
            let shown = [format!("error[{code}]"), format!("\"{code}\""), format!("\"{code}:")];
            assert!(shown.iter().any(|s| body.contains(s.as_str())), "the example of {code} shows something else");
            examples += 1;
        }
    }
    assert!(examples >= 40, "only {examples} examples");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut files = vec![root().join("README.md")];
    files.extend(fs::read_dir(root().join("docs")).unwrap().map(|e| e.unwrap().path()));
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(file).unwrap();
        // Brackets of code are no links.
        let prose = text.split("\n```").step_by(2).map(|p| p.split('`').step_by(2).collect::<String>());
        let prose: Vec<String> = prose.collect();
        for target in prose.iter().flat_map(|p| p.split("](").skip(1)).filter_map(|rest| rest.split(')').next()) {
            let place = target.split('#').next().unwrap_or_default();
            if place.is_empty() || place.starts_with("http") {
                continue;
            }
            assert!(file.parent().unwrap().join(place).exists(), "{}: `{target}` does not exist", file.display());
        }
    }
}
