//! What goes wrong on a device comes back as a diagnostic, and the device answers afterwards.

use crate::harness::*;
use crate::kernels::{U32, mark};
use girih_base::{Bindings, Dim};
use girih_exec::{Command, Device, MemRef};
use girih_simt::{Builder, Builtin, Kernel, Space};
use girih_wgpu::Options;
use std::time::{Duration, Instant};

#[test]
fn out_of_memory() {
    let Some(mut device) = device() else { return };
    for bytes in [u64::MAX, 1 << 62, 1 << 45] {
        let refused = device.allocate(bytes).unwrap_err();
        assert_eq!(refused.code, "W012", "{bytes}: {refused}");
        assert!(refused.help.is_some(), "{refused}");
    }
    // What was allocated on the way is given back, and the device goes on.
    let buffer = device.allocate(16).unwrap();
    device.write(buffer, 0, &[7; 16]).unwrap();
    let mut back = [0; 16];
    device.read(buffer, 0, &mut back).unwrap();
    assert_eq!(back, [7; 16]);
}

#[test]
fn a_lost_device_says_so_ever_after() {
    let Some(mut device) = device() else { return };
    let code = device.compiler().code(&mark(Dim::from(4))).unwrap();
    let kernel = device.load(&code).unwrap();
    let buffer = device.allocate(16).unwrap();
    let args = [MemRef { buffer, offset: 0, bytes: 16 }];
    let sizes = Bindings::new();
    let launch = || Command::Launch { kernel, args: &args, bindings: &sizes };
    device.submit(&[launch()]).unwrap();
    device.close();
    for _ in 0..2 {
        let codes = [
            device.submit(&[launch()]).map_err(|d| d.code),
            device.read(buffer, 0, &mut [0; 16]).map_err(|d| d.code),
            device.write(buffer, 0, &[1; 16]).map_err(|d| d.code),
            device.synchronize().map_err(|d| d.code),
            device.allocate(16).map(|_| ()).map_err(|d| d.code),
            device.adopt(std::sync::Arc::new(vec![1u8; 16]), 0..16).map(|_| ()).map_err(|d| d.code),
        ];
        assert_eq!(codes, [Err("W013"); 6]);
    }
    let other = device.compiler().code(&mark(Dim::from(5))).unwrap();
    assert_eq!(device.load(&other).unwrap_err().code, "W013");
    device.free(buffer);
}

/// Rounds of each thread: fewer than llvmpipe cuts loops off at.
const ROUNDS: u32 = 60_000;

/// Every thread makes random numbers and stores the last: no compiler knows a shorter way.
fn slow() -> Kernel {
    let mut b = Builder::new();
    b.buffers.push(output("last", U32));
    let x = b.local("x", U32, None);
    let (zero, rounds, group) = (b.uint(0), b.uint(ROUNDS), b.builtin(Builtin::WorkgroupIndex));
    let (factor, one) = (b.uint(1_664_525), b.uint(1_013_904_223));
    b.set(x, group);
    b.for_loop(zero, rounds, 1, true, |b, _| {
        let old = b.get(x);
        let product = b.mul(old, factor);
        let next = b.add(product, one);
        b.set(x, next);
    });
    let last = b.get(x);
    b.store(Space::Buffer(0), group, last);
    b.finish("slow", [1, 1, 1], Dim::symbol("groups", 1, MOST))
}

const MOST: i64 = 1 << 18;

fn last(group: u32) -> u32 {
    (0..ROUNDS).fold(group, |x, _| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
}

#[test]
fn synchronizing_waits_for_all_of_it() {
    let Some(mut device) = device() else { return };
    let code = device.compiler().code(&slow()).unwrap();
    let kernel = device.load(&code).unwrap();
    let buffer = device.allocate(4 * MOST as u64).unwrap();
    let args = [MemRef { buffer, offset: 0, bytes: 4 * MOST as u64 }];
    let mut groups = 16;
    loop {
        let sizes = Bindings::from([("groups".into(), groups)]);
        let start = Instant::now();
        device.submit(&[Command::Launch { kernel, args: &args, bindings: &sizes }]).unwrap();
        device.synchronize().unwrap();
        let waited = start.elapsed();
        let mut back = [0; 4];
        device.read(buffer, 4 * (groups as u64 - 1), &mut back).unwrap();
        let read = start.elapsed() - waited;
        assert_eq!(u32::from_le_bytes(back), last(groups as u32 - 1));
        if waited > Duration::from_millis(200) || groups == MOST {
            assert!(read < waited / 2, "{groups} groups: waited {waited:?}, and then reading four bytes took {read:?}");
            break;
        }
        groups *= 2;
    }
}

#[test]
fn a_kernel_that_takes_too_long() {
    let options = Options { timeout: Duration::from_millis(60), ..Options::default() };
    let Some(mut device) = device_with(options) else { return };
    let code = device.compiler().code(&slow()).unwrap();
    let kernel = device.load(&code).unwrap();
    let buffer = device.allocate(4 * MOST as u64).unwrap();
    let other = device.allocate(16).unwrap();
    let args = [MemRef { buffer, offset: 0, bytes: 4 * MOST as u64 }];
    // Groups that take longer, found by trying: the speed of the machine is not known.
    let mut groups = 256;
    let refused = loop {
        let sizes = Bindings::from([("groups".into(), groups)]);
        device.submit(&[Command::Launch { kernel, args: &args, bindings: &sizes }]).unwrap();
        match device.synchronize() {
            Ok(()) => groups *= 4,
            Err(d) => break d,
        }
        assert!(groups <= MOST, "{groups} groups of {ROUNDS} rounds take no time");
    };
    assert_eq!(refused.code, "W014", "{refused}");
    assert!(refused.message.contains("0.06 s"), "{refused}");
    // Until it is done, every call answers the same without waiting; then all is well again.
    let start = Instant::now();
    loop {
        let call = Instant::now();
        match device.read(other, 0, &mut [0; 16]) {
            Ok(()) => break,
            Err(d) => assert_eq!(d.code, "W014", "{d}"),
        }
        assert!(call.elapsed() < Duration::from_secs(5), "waited {:?}", call.elapsed());
        assert!(start.elapsed() < Duration::from_secs(60), "the kernel does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut back = vec![0; 4 * groups as usize];
    device.read(buffer, 0, &mut back).unwrap();
    let back = to_words(&back);
    for group in [0, 1, groups as u32 / 2, groups as u32 - 1] {
        assert_eq!(back[group as usize], last(group), "group {group}");
    }
}

#[test]
fn a_device_that_does_not_answer_can_be_dropped() {
    let options = Options { timeout: Duration::from_millis(1), ..Options::default() };
    let Some(mut device) = device_with(options) else { return };
    let code = device.compiler().code(&slow()).unwrap();
    let kernel = device.load(&code).unwrap();
    let Ok(buffer) = device.allocate(4 * MOST as u64) else { return };
    let args = [MemRef { buffer, offset: 0, bytes: 4 * MOST as u64 }];
    let sizes = Bindings::from([("groups".into(), 1 << 15)]);
    device.submit(&[Command::Launch { kernel, args: &args, bindings: &sizes }]).unwrap();
    let late = device.synchronize().map_err(|d| d.code);
    let start = Instant::now();
    drop(device);
    assert!(late.is_ok() || start.elapsed() < Duration::from_millis(500), "dropped after {:?}", start.elapsed());
}

#[test]
fn a_shader_that_is_not_valid() {
    let Some(mut device) = device() else { return };
    let good = device.compiler().code(&mark(Dim::from(4))).unwrap();
    for (text, code) in [
        ("fn main() { let x: u32 = 1.5; }", "W002"),
        ("not WGSL at all {{{", "W002"),
        // Valid, but no entry point of that name; and more threads than the device has.
        ("@compute @workgroup_size(1)\nfn other() {\n}\n", "W015"),
        ("@compute @workgroup_size(4096)\nfn main() {\n}\n", "W015"),
    ] {
        let bad = girih_plan::KernelCode { text: text.into(), ..good.clone() };
        let refused = device.load(&bad).unwrap_err();
        assert_eq!(refused.code, code, "{text}: {refused}");
    }
    device.load(&good).unwrap();
}
