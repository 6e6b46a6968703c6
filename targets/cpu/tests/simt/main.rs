//! SIMT kernels on the CPU device against the emulator, which is the reference.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod flow;
mod random;
mod rows;

use common::*;
use girih_base::{Bindings, Diag};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::Target;
use girih_exec::{Command, Device, MemRef};
use girih_simt::{Kernel, emulate};

/// Runs a kernel on the device, through its text.
pub fn device(kernel: &Kernel, data: &[Vec<u8>], sizes: &Bindings, threads: usize) -> Result<Vec<Vec<u8>>, Box<Diag>> {
    let code = CpuTarget::new().compile_simt(kernel)?;
    let mut device = CpuDevice::with_isa(threads, level())?;
    let loaded = device.load(&code)?;
    let mut args = Vec::new();
    for bytes in data {
        let buffer = device.allocate(bytes.len() as u64)?;
        device.write(buffer, 0, bytes)?;
        args.push(MemRef { buffer, offset: 0, bytes: bytes.len() as u64 });
    }
    device.submit(&[Command::Launch { kernel: loaded, args: &args, bindings: sizes }])?;
    let read = |(arg, bytes): (&MemRef, &Vec<u8>)| {
        let mut back = vec![0; bytes.len()];
        device.read(arg.buffer, 0, &mut back).map(|_| back)
    };
    args.iter().zip(data).map(read).collect()
}

/// Runs a kernel both ways; both must give the same bytes after `view`.
pub fn same(kernel: &Kernel, data: &[Vec<u8>], sizes: &Bindings, view: impl Fn(Vec<u8>) -> Vec<u8>) {
    girih_simt::verify::verify(kernel).unwrap_or_else(|e| panic!("{e}\n{kernel}"));
    let mut want = data.to_vec();
    emulate::run(kernel, &mut want, sizes, emulate::Options::default()).unwrap_or_else(|e| panic!("{e}\n{kernel}"));
    for threads in [1, 3] {
        let got = device(kernel, data, sizes, threads).unwrap_or_else(|e| panic!("{e}\n{kernel}"));
        for (got, want) in got.into_iter().zip(want.clone()) {
            let (got, want) = (view(got), view(want));
            let first = got.iter().zip(&want).position(|(a, b)| a != b);
            assert!(got == want, "{threads} threads: {got:?}\nexpected {want:?}, byte {first:?}\n{kernel}");
        }
    }
}

/// Every bit counts.
pub fn exact(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// Little-endian words.
pub fn words(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}
