//! Translates every kernel of the `.cu` files below a folder and says which were refused, and why.
//!
//! `cargo run -p girih-cuda --example corpus -- FOLDER [KERNEL]`; with a kernel's name its SIMT form is printed.
#![allow(clippy::print_stdout)]

use girih_cuda::{Caps, LaunchShape, Module};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    if folder.is_file() {
        out.push(folder.to_path_buf());
        return;
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for p in paths {
        if p.is_dir() {
            files(&p, out);
        } else if p.extension().is_some_and(|e| e == "cu") {
            out.push(p);
        }
    }
}

/// Template arguments to try, from the names of the parameters.
fn guesses(template: &[String]) -> Vec<String> {
    if template.is_empty() {
        return vec![String::new()];
    }
    let mut out = Vec::new();
    for (ty, n) in [
        ("float", "32"),
        ("float", "256"),
        ("int", "16"),
        ("float", "1"),
        ("float", "true"),
        ("float", "4"),
        ("float4", "8"),
    ] {
        for types_first in [true, false] {
            let pick = |name: &String| {
                let upper = name.chars().next().is_some_and(|c| c.is_uppercase());
                let short = name.len() <= 2 || name.contains("Type") || name.starts_with("T_") || name.ends_with("_t");
                let is_type = if types_first { upper && short } else { false };
                if is_type { ty.to_string() } else { n.to_string() }
            };
            out.push(format!("<{}>", template.iter().map(pick).collect::<Vec<_>>().join(", ")));
        }
        out.push(format!("<{}>", vec![ty; template.len()].join(", ")));
    }
    // Every choice of types and numbers, where the names told nothing.
    for n in ["32", "4", "true"] {
        for types in 0..1u32 << template.len().min(4) {
            let pick = |i: usize| if types >> i & 1 == 1 { "float" } else { n };
            out.push(format!("<{}>", (0..template.len()).map(pick).collect::<Vec<_>>().join(", ")));
        }
    }
    out.push("<>".into());
    out
}

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or_else(|| ".".into());
    let only = args.next();
    let mut list = Vec::new();
    files(Path::new(&folder), &mut list);
    let (mut good, mut bad) = (0, 0);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut times = Vec::new();
    for path in list {
        let source = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        let roots: Vec<PathBuf> = path
            .ancestors()
            .skip(1)
            .take(5)
            .flat_map(|a| [a.to_path_buf(), a.join("Common"), a.join("common"), a.join("inc"), a.join("include")])
            .collect();
        let resolve = |name: &str, _: bool| roots.iter().find_map(|r| std::fs::read_to_string(r.join(name)).ok());
        let file = path.strip_prefix(&folder).unwrap_or(&path).display().to_string();
        let module = match Module::parse(&source, &file, &resolve) {
            Ok(m) => m,
            Err(d) => {
                println!("FILE {file}: {d}");
                continue;
            }
        };
        let caps = Caps { int64: true, double: true, atomic64: true, checked: None, native: false };
        for k in module.kernels() {
            if only.as_ref().is_some_and(|o| *o != k.name) {
                continue;
            }
            let mut last: Option<Box<girih_base::Diag>> = None;
            let mut done = false;
            'search: for g in guesses(&k.template) {
                for shape in [
                    LaunchShape { dynamic_shared: 8192, ..LaunchShape::new([256, 1, 1], 3) },
                    LaunchShape { dynamic_shared: 8192, ..LaunchShape::new([16, 16, 1], 3) },
                    LaunchShape { dynamic_shared: 8192, ..LaunchShape::new([128, 1, 1], 3) },
                    LaunchShape { dynamic_shared: 8192, ..LaunchShape::new([32, 8, 1], 3) },
                ] {
                    let start = std::time::Instant::now();
                    match module.compile(&format!("{}{g}", k.name), &shape, caps) {
                        Ok(c) => {
                            times.push(start.elapsed().as_secs_f64() * 1e3);
                            if only.is_some() {
                                println!("{}", c.kernel);
                            }
                            done = true;
                            break 'search;
                        }
                        Err(d) => {
                            // The first guess that fails late is the most telling.
                            if last.as_ref().is_none_or(|l| l.code == "U004" || l.code == "U007") {
                                last = Some(d);
                            }
                        }
                    }
                }
            }
            if done {
                good += 1;
            } else if let Some(d) = last {
                bad += 1;
                *reasons.entry(format!("{} {}", d.code, d.message)).or_default() += 1;
                println!("REFUSED {file}: {}: {d}", k.name);
            }
        }
        if only.is_some() {
            module.skipped().for_each(|d| println!("skipped: {d}"));
        }
    }
    times.sort_by(f64::total_cmp);
    println!("\n{good} translated, {bad} refused; median {:.2} ms", times.get(times.len() / 2).unwrap_or(&0.0));
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    reasons.iter().for_each(|(why, n)| println!("{n:4}  {why}"));
}
