//! Thirty mistakes planted in CUDA kernels: the checker finds each at its line.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Diag, Result};
use girih_emulator::{Emulator, EmulatorDevice, differs, first_difference};
use girih_tests::cuda::{Case, cases, launches};
use std::collections::BTreeMap;
use std::path::Path;

/// What the checker says of a launch: runs with every width of subgroups, whose results are then compared.
fn check(case: &Case) -> Result<()> {
    let mut first = None;
    for width in &case.subgroups {
        let target = Emulator::new(*width);
        let mut device = EmulatorDevice::new(&target);
        let noted = device.exchanges();
        let arrays = case.run(&target, &mut device)?;
        let now = noted.lock().unwrap().clone();
        let Some((other, before, then)) = &first else {
            first = Some((*width, arrays, now));
            continue;
        };
        let before: &Vec<girih_tests::cuda::Written> = before;
        for (a, b) in before.iter().zip(&arrays) {
            if let Some(i) = first_difference(a.dtype, &a.bytes, &b.bytes) {
                return Err(differs(&a.name, i, [*other, *width], [then, &now]));
            }
        }
    }
    Ok(())
}

/// Whether it points there: first of all, or as one side of a race.
fn points_at(d: &Diag, line: u32) -> bool {
    let sides = if d.code == "S102" { 2 } else { 1 };
    d.labels.iter().take(sides).any(|l| l.loc.position().is_some_and(|p| p.1 == line))
}

#[test]
fn every_planted_bug_is_found_at_its_line() {
    let all = cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda/bugs")).unwrap();
    let (mut count, mut wrong) = (BTreeMap::<String, usize>::new(), Vec::new());
    for case in &all {
        *count.entry(case.file.clone()).or_default() += 1;
        let (code, at) = case.error.clone().unwrap();
        match check(case) {
            Err(d) if d.code == code && points_at(&d, at) => {}
            Err(d) => wrong.push(format!("{} line {at} {code}: {d}", case.name())),
            Ok(()) => wrong.push(format!("{} line {at} {code}: nothing found", case.name())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let want = [("bounds.cu", 8), ("divergence.cu", 4), ("lanes.cu", 4), ("races.cu", 10), ("uninitialised.cu", 4)];
    assert_eq!(count, want.map(|(f, n)| (f.to_string(), n)).into());
}

/// Our own kernels have no mistakes.
#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let all = cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda/suite")).unwrap();
    let wrong: Vec<String> = all.iter().filter_map(|c| Some(format!("{}: {}", c.name(), check(c).err()?))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nor have those of llm.c, but for three in which threads read what others overwrite: `GIRIH_LLMC` names its folder `dev/cuda`.
#[test]
#[ignore = "needs a folder of kernels"]
fn only_what_is_wrong_is_found_in_llm_c() {
    let folder = std::env::var("GIRIH_LLMC").unwrap();
    let all = launches(include_str!("../cuda/llmc.launches"), Path::new(&folder)).unwrap();
    assert!(all.len() > 90, "{}", all.len());
    let wrong: Vec<String> = all
        .iter()
        .filter_map(|c| match (check(c), &c.error) {
            (Ok(()), None) => None,
            (Err(d), Some((code, _))) if d.code == code => None,
            (Err(d), _) => Some(format!("{}: {d}", c.name())),
            (Ok(()), Some(_)) => Some(format!("{}: nothing found", c.name())),
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), all.len(), wrong.join("\n"));
}
