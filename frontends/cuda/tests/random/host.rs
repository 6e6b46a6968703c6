//! The same programs compiled by clang as C++, with a thread for each of theirs.

use crate::Run;
use crate::program::{Program, VARIABLES};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

fn clang() -> Option<&'static str> {
    ["clang++", "clang++-14", "clang++-15", "clang++-16", "clang++-17", "clang++-18"]
        .into_iter()
        .find(|c| Command::new(c).arg("--version").output().is_ok_and(|o| o.status.success()))
}

fn array(out: &mut Vec<u8>, bytes: impl Iterator<Item = [u8; 4]>) {
    let bytes: Vec<u8> = bytes.flatten().collect();
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// What the host gives of each program; `None` where there is no clang, which `GIRIH_REQUIRE_CLANG=1` makes a failure.
pub fn run(runs: &[&Run]) -> Option<Vec<Vec<u8>>> {
    let Some(clang) = clang() else {
        let required = std::env::var("GIRIH_REQUIRE_CLANG").is_ok_and(|v| v == "1");
        assert!(!required, "there is no clang++");
        return None;
    };
    let folder = std::env::temp_dir().join(format!("girih_random_{}_{}", std::process::id(), runs[0].threads[0]));
    std::fs::create_dir_all(&folder).unwrap();
    let mut source = Program::prelude(true);
    let mut main = String::from("int main() {\n");
    for (i, r) in runs.iter().enumerate() {
        let [threads, _] = r.threads;
        let _ = writeln!(source, "namespace program{i} {{\n{}}}", r.program.text("k", threads));
        let mut given = Vec::new();
        array(&mut given, r.input.iter().map(|v| v.to_le_bytes()));
        array(&mut given, r.real.iter().map(|v| v.to_le_bytes()));
        array(&mut given, (0..threads * VARIABLES * 2).map(|_| [0; 4]));
        std::fs::write(folder.join(format!("{i}.in")), given).unwrap();
        let _ = writeln!(
            main,
            "{{ auto a = girih_arrays(\"{i}.in\"); girih_launch(dim3{{1, 1, 1}}, dim3{{{threads}, 1, 1}}, [&] {{ \
             program{i}::k(Pointer{{a[0].data()}}, Pointer{{a[1].data()}}, Pointer{{a[2].data()}}); }}); \
             girih_save(\"{i}.out\", a); }}"
        );
    }
    std::fs::write(folder.join("main.cpp"), format!("{source}{main}}}\n")).unwrap();
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cuda/host");
    // Products and sums round separately, as in our kernels.
    let built = Command::new(clang)
        .args(["-std=c++17", "-O0", "-pthread", "-ffp-contract=off", "-fwrapv", "-w", "-I"])
        .arg(headers)
        .args(["main.cpp", "-o", "main"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let ran = Command::new(folder.join("main")).current_dir(&folder).output().unwrap();
    assert!(ran.status.success(), "{:?}", ran.status);
    let gave = (0..runs.len()).map(|i| {
        let raw = std::fs::read(folder.join(format!("{i}.out"))).unwrap();
        raw[raw.len() - runs[i].threads[0] * VARIABLES * 8..].to_vec()
    });
    let gave = gave.collect();
    std::fs::remove_dir_all(&folder).unwrap();
    Some(gave)
}
