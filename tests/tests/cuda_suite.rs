//! CUDA kernels, one for each construct, everywhere: in the emulator with subgroups of 8, 32 and 64 threads, on the CPU, through wgpu,
//! and compiled by clang as C++ with a thread for each of theirs. `GIRIH_REQUIRE_CLANG=1` makes a missing clang a failure.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::Target;
use girih_emulator::{Emulator, EmulatorDevice};
use girih_exec::Device;
use girih_tests::cuda::{Case, Given, Written, cases};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda")
}

fn suite() -> Vec<Case> {
    let all = cases(&folder().join("suite")).unwrap();
    assert!(all.len() >= 60, "{}", all.len());
    all
}

/// Adds what differs from `want`.
fn compare(case: &Case, on: &str, want: &[Written], got: &[Written], wrong: &mut Vec<String>) {
    let differ = want.iter().zip(got).find_map(|(w, g)| w.differs(g, case.close));
    wrong.extend(differ.map(|d| format!("{} on {on}: {d}", case.name())));
}

/// What a kernel gives on the CPU.
fn on_the_cpu(case: &Case) -> girih_base::Result<Vec<Written>> {
    case.run(&CpuTarget::new(), &mut CpuDevice::new())
}

#[test]
fn emulator_cpu_and_gpu_agree() {
    let gpu = girih_tests::gpu::gpu();
    let mut gpu = gpu.map(|rig| ((rig.device)(), rig.target));
    let mut wrong = Vec::new();
    for case in suite() {
        let mut all: Vec<(String, Vec<Written>)> = Vec::new();
        let mut add = |on: String, target: &dyn Target, device: &mut dyn Device| match case.run(target, device) {
            Ok(arrays) => all.push((on, arrays)),
            Err(d) => wrong.push(format!("{} on {on}: {d}", case.name())),
        };
        add("the CPU".into(), &CpuTarget::new(), &mut CpuDevice::new());
        // The kernel as devices get it, with the hardware's subgroups of several widths; and as the checker sees it.
        for width in [8, 32, 64] {
            let target = Emulator::device(Emulator::new(width).desc().clone());
            add(format!("the emulator with subgroups of {width}"), &target, &mut EmulatorDevice::new(&target));
        }
        let target = Emulator::new(32);
        add("the checker".into(), &target, &mut EmulatorDevice::new(&target));
        if let Some((device, target)) = &mut gpu {
            add("wgpu".into(), &**target, &mut **device);
        }
        for (on, arrays) in all.iter().skip(1) {
            compare(&case, on, &all[0].1, arrays, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A C++ program that runs every launch of a file and saves the arrays.
fn program(cases: &[&Case], folder: &Path) -> String {
    let mut out = format!("#include \"cuda_host.h\"\n{}\n", host_source(&cases[0].source));
    out.push_str("int main() {\n");
    for (i, case) in cases.iter().enumerate() {
        let path = |ext: &str| folder.join(format!("{i}.{ext}")).display().to_string();
        let mut arrays = 0;
        let args = case.args.iter().map(|(_, g)| match g {
            Given::Array(..) => {
                arrays += 1;
                format!("Pointer{{a[{}].data()}}", arrays - 1)
            }
            Given::Null => "nullptr".into(),
            Given::Number(n) => n.clone(),
            Given::Bytes(b) => {
                let list: Vec<String> = b.iter().map(u8::to_string).collect();
                format!("Bytes{{(const unsigned char[]){{{}}}}}", list.join(", "))
            }
        });
        let args: Vec<String> = args.collect();
        let extents = |n: [u32; 3]| format!("dim3{{{}, {}, {}}}", n[0], n[1], n[2]);
        let _ = writeln!(
            out,
            "  {{\n    auto a = girih_arrays(\"{}\");\n    girih_launch({}, {}, [&] {{ {}({}); }});\n    girih_save(\"{}\", a);\n  }}",
            path("in"),
            extents(case.grid),
            extents(case.block),
            case.kernel,
            args.join(", "),
            path("out")
        );
    }
    out + "}\n"
}

/// Dynamic shared memory is a pointer on the host.
fn host_source(source: &str) -> String {
    let line = |l: &str| match l.trim().strip_prefix("extern __shared__ ").and_then(|d| d.strip_suffix("[];")) {
        Some(d) => {
            let (ty, name) = d.rsplit_once(' ').unwrap();
            format!("{ty}* {name} = ({ty}*)girih_dynamic;")
        }
        None => l.to_string(),
    };
    source.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn bytes_of(arrays: &[&[u8]]) -> Vec<u8> {
    arrays.iter().flat_map(|a| (a.len() as u64).to_le_bytes().into_iter().chain(a.iter().copied())).collect()
}

#[test]
fn clang_agrees() {
    let clang = ["clang++", "clang++-14", "clang++-15", "clang++-16", "clang++-17", "clang++-18"]
        .into_iter()
        .find(|c| Command::new(c).arg("--version").output().is_ok_and(|o| o.status.success()));
    let Some(clang) = clang else {
        let required = std::env::var("GIRIH_REQUIRE_CLANG").is_ok_and(|v| v == "1");
        assert!(!required, "there is no clang++");
        return;
    };
    let all = suite();
    let mut files: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    all.iter().for_each(|c| files.entry(&c.file).or_default().push(c));
    let mut wrong = Vec::new();
    for (file, cases) in files {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("main.cpp"), program(&cases, temp.path())).unwrap();
        for (i, case) in cases.iter().enumerate() {
            let arrays = case.args.iter().filter_map(|(_, g)| match g {
                Given::Array(_, bytes, _) => Some(&bytes[..]),
                _ => None,
            });
            std::fs::write(temp.path().join(format!("{i}.in")), bytes_of(&arrays.collect::<Vec<_>>())).unwrap();
        }
        // Products and sums round separately, as in our kernels.
        let flags = ["-std=c++17", "-O1", "-pthread", "-ffp-contract=off", "-fno-strict-aliasing", "-fwrapv", "-w"];
        let built = Command::new(clang)
            .args(flags)
            .args(["-I", folder().join("host").to_str().unwrap(), "main.cpp", "-o", "main"])
            .current_dir(temp.path())
            .output()
            .unwrap();
        assert!(built.status.success(), "{file}: {}", String::from_utf8_lossy(&built.stderr));
        let ran = Command::new(temp.path().join("main")).output().unwrap();
        assert!(ran.status.success(), "{file}: {:?}", ran.status);
        for (i, case) in cases.iter().enumerate() {
            let raw = std::fs::read(temp.path().join(format!("{i}.out"))).unwrap();
            let mut rest = &raw[..];
            let mut host = Vec::new();
            for (name, g) in &case.args {
                let Given::Array(dtype, ..) = g else { continue };
                let n = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                host.push(Written { name: name.clone(), dtype: *dtype, bytes: rest[8..8 + n].to_vec() });
                rest = &rest[8 + n..];
            }
            compare(case, "the CPU, against clang", &host, &on_the_cpu(case).unwrap(), &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
