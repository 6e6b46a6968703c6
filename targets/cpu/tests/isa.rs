//! `GIRIH_CPU_ISA` chooses the instruction set, and is refused clearly when it cannot be had.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use girih_cpu::{CpuDevice, ISA_VARIABLE, Isa};
use girih_exec::Device;
use std::process::Command;

/// Runs this test binary's `child` with the variable set; gives its output.
fn child_says(value: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    let out =
        Command::new(exe).args(["--exact", "child", "--ignored", "--nocapture"]).env(ISA_VARIABLE, value).output();
    String::from_utf8(out.unwrap().stdout).unwrap()
}

/// Prints what a device of this process is, or why there is none.
#[test]
#[ignore = "run by the other tests, with the variable set"]
fn child() {
    let mut device = CpuDevice::with_threads(1);
    match device.allocate(64) {
        Ok(_) => println!("made {}", device.name()),
        Err(diag) => println!("refused {diag}"),
    }
}

#[test]
fn the_variable_chooses_a_level() {
    for isa in Isa::available() {
        let said = child_says(isa.key());
        assert!(said.contains(&format!("made CPU ({} by {ISA_VARIABLE}, 1 thread)", isa.name())), "{said}");
    }
}

#[test]
fn unknown_and_missing_levels_are_refused() {
    let said = child_says("mmx");
    assert!(said.contains("X010") && said.contains("`mmx`") && said.contains("baseline"), "{said}");
    for isa in Isa::ALL.into_iter().filter(|i| *i > Isa::best()) {
        assert_eq!(CpuDevice::with_isa(1, isa).err().unwrap().code, "X010");
        assert!(child_says(isa.key()).contains("X010"));
    }
}
