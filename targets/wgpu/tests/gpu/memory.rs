//! Bytes in and out, copies, binding rules, refusals.

use crate::harness::*;
use crate::kernels::mark;
use girih_base::{Bindings, Dim};
use girih_exec::{Command, Device, MemRef};

#[test]
fn bytes_survive_at_any_offset() {
    let Some(mut device) = device() else { return };
    let buffer = device.allocate(1001).unwrap();
    let mut want = vec![0u8; 1001];
    let mut all = vec![1; 1001];
    device.read(buffer, 0, &mut all).unwrap();
    assert_eq!(all, want, "fresh memory is zero");
    for (offset, len) in [(0, 1001), (1, 3), (4, 8), (12, 4), (17, 500), (997, 4), (1000, 1), (5, 0)] {
        let data: Vec<u8> = (0..len).map(|i| (i * 7 + offset) as u8).collect();
        want[offset..offset + len].copy_from_slice(&data);
        device.write(buffer, offset as u64, &data).unwrap();
        let mut back = vec![0; len];
        device.read(buffer, offset as u64, &mut back).unwrap();
        assert_eq!(back, data, "{len} bytes at {offset}");
    }
    device.read(buffer, 0, &mut all).unwrap();
    assert_eq!(all, want);
    assert_eq!(device.read(buffer, 1000, &mut [0; 2]).unwrap_err().code, "W018");
    device.free(buffer);
    assert_eq!(device.write(buffer, 0, &[1]).unwrap_err().code, "W018");
}

#[test]
fn copies_between_launches_and_within_a_buffer() {
    let Some(mut device) = device() else { return };
    let code = device.compiler().code(&mark(Dim::from(4))).unwrap();
    let kernel = device.load(&code).unwrap();
    assert_eq!(device.load(&code).unwrap(), kernel, "equal kernels are loaded once");
    let (a, b) = (device.allocate(64).unwrap(), device.allocate(64).unwrap());
    let at = |buffer, offset, bytes| MemRef { buffer, offset, bytes };
    let (first, sizes) = ([at(a, 0, 16)], Bindings::new());
    let launch = || Command::Launch { kernel, args: &first, bindings: &sizes };
    let copy = |from, to| Command::Copy { from, to };
    device
        .submit(&[
            launch(),
            copy(at(a, 0, 16), at(b, 16, 16)),
            launch(),
            copy(at(a, 0, 16), at(a, 32, 16)),
            copy(at(a, 33, 3), at(b, 1, 3)),
            launch(),
        ])
        .unwrap();
    let mut back = vec![0; 64];
    device.read(a, 0, &mut back).unwrap();
    assert_eq!(to_words(&back)[..4], [3; 4]);
    assert_eq!(to_words(&back)[8..12], [2; 4]);
    device.read(b, 0, &mut back).unwrap();
    assert_eq!(to_words(&back)[4..8], [1; 4]);
    assert_eq!(back[..4], [0, 0, 0, 0]);
}

#[test]
fn arguments_in_one_buffer_share_a_binding() {
    let Some(mut device) = device() else { return };
    let kernel = elementwise(girih_base::ScalarOp::Neg, girih_base::DType::F32, 1, 64);
    let code = device.compiler().code(&kernel).unwrap();
    assert!(code.args[0].read_only && code.args[1].written);
    let loaded = device.load(&code).unwrap();
    let buffer = device.allocate(1024).unwrap();
    let data: Vec<u8> = (0..256).flat_map(|i| (i as f32).to_le_bytes()).collect();
    // Behind each other in both orders, in place, and half over each other: `align` elements apart.
    let align = device.alignment() / 4;
    for (from, to) in [(0, 128), (128, 0), (64, 64), (0, align), (align, 0)] {
        device.write(buffer, 0, &data).unwrap();
        let range = |first: u64| MemRef { buffer, offset: first * 4, bytes: 256 };
        let args = [range(from), range(to)];
        let bindings = Bindings::new();
        device.submit(&[Command::Launch { kernel: loaded, args: &args, bindings: &bindings }]).unwrap();
        let mut back = vec![0; 1024];
        device.read(buffer, 0, &mut back).unwrap();
        let back: Vec<f32> = back.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let inside = |i: u64| (to..to + 64).contains(&i);
        // Where a thread may read what another one wrote there is nothing to compare.
        let apart = from.abs_diff(to) >= 64 || from == to;
        for i in (0..256).filter(|i| apart || !inside(*i)) {
            let want = if inside(i) { -((i - to + from) as f32) } else { i as f32 };
            assert_eq!(back[i as usize], want, "element {i} of {from} to {to}");
        }
    }
}

#[test]
fn refusals_are_diagnostics() {
    let Some(mut device) = device() else { return };
    assert_eq!(device.allocate(u64::MAX).unwrap_err().code, "W012");
    let mut code = device.compiler().code(&mark(Dim::from(4))).unwrap();
    code.text = "fn main() { let x: u32 = 1.5; }".into();
    assert_eq!(device.load(&code).unwrap_err().code, "W002");
    code.format = girih_plan::Format::Tile;
    assert_eq!(device.load(&code).unwrap_err().code, "W019");
    let symbolic = device.compiler().code(&mark(Dim::symbol("n", 1, 9))).unwrap();
    let kernel = device.load(&symbolic).unwrap();
    let buffer = device.allocate(64).unwrap();
    let args = [MemRef { buffer, offset: 0, bytes: 64 }];
    let submit = |d: &mut girih_wgpu::WgpuDevice, sizes: Bindings| {
        d.submit(&[Command::Launch { kernel, args: &args, bindings: &sizes }])
    };
    assert_eq!(submit(&mut device, Bindings::new()).unwrap_err().code, "W006");
    submit(&mut device, Bindings::from([("n".into(), 0)])).unwrap();
    submit(&mut device, Bindings::from([("n".into(), 9)])).unwrap();
    assert_eq!(girih_wgpu::WgpuDevice::open(Some(99), Default::default()).err().map(|e| e.code), Some("W010"));
}

#[test]
fn profiling_measures_every_launch() {
    if device().is_none() {
        return;
    }
    let options = girih_wgpu::Options { profile: true, ..Default::default() };
    let mut device = girih_wgpu::WgpuDevice::open(None, options).unwrap();
    let code = device.compiler().code(&mark(Dim::from(60_000))).unwrap();
    let kernel = device.load(&code).unwrap();
    let buffer = device.allocate(240_000).unwrap();
    let args = [MemRef { buffer, offset: 0, bytes: 240_000 }];
    let bindings = Bindings::new();
    let launch = || Command::Launch { kernel, args: &args, bindings: &bindings };
    device.submit(&[launch(), launch(), launch()]).unwrap();
    if device.compiler().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        assert_eq!(device.profile().len(), 3);
        assert!(device.profile().iter().all(|s| *s > 0.0 && *s < 60.0), "{:?}", device.profile());
    } else {
        assert!(device.profile().is_empty());
    }
}
