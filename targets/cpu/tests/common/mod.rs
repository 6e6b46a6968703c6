//! Runs a kernel over host data.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use girih_base::codec::{Scalar, decode_slice, encode_slice};
use girih_base::{Bindings, DType, Result};
use girih_cpu::CpuDevice;
use girih_exec::{Command, Device, MemRef};
use girih_plan::{Format, KernelCode};
use girih_tile::{Kernel, print};

/// Runs `kernel` with the given bytes in its parameters; gives all parameters' bytes afterwards.
pub fn run_bytes(kernel: &Kernel, data: &[Vec<u8>], bindings: &Bindings, threads: usize) -> Result<Vec<Vec<u8>>> {
    let mut device = CpuDevice::with_threads(threads);
    let code = KernelCode {
        name: kernel.name.clone(),
        format: Format::Tile,
        text: print(kernel).into(),
        args: Vec::new(),
        uniforms: Vec::new(),
        grid: kernel.grid.clone(),
        flops: 0.into(),
        traffic: 0.into(),
    };
    let loaded = device.load(&code)?;
    let mut args = Vec::new();
    for bytes in data {
        let buffer = device.allocate(bytes.len() as u64)?;
        device.write(buffer, 0, bytes)?;
        args.push(MemRef { buffer, offset: 0, bytes: bytes.len() as u64 });
    }
    device.submit(&[Command::Launch { kernel: loaded, args: &args, bindings }])?;
    device.synchronize()?;
    let mut out = Vec::new();
    for (arg, bytes) in args.iter().zip(data) {
        let mut back = vec![0; bytes.len()];
        device.read(arg.buffer, 0, &mut back)?;
        out.push(back);
    }
    Ok(out)
}

/// Runs a kernel whose last parameter is its output of `dtype`; gives its elements.
pub fn run(kernel: &Kernel, data: &[Vec<u8>], dtype: DType, count: usize) -> Vec<Scalar> {
    girih_tile::verify(kernel).unwrap();
    let mut data = data.to_vec();
    data.push(vec![0xaa; dtype.bytes_for(count as u64) as usize]);
    let out = run_bytes(kernel, &data, &Bindings::new(), 2).unwrap_or_else(|e| panic!("{e}\n{}", print(kernel)));
    decode_slice(dtype, &out[out.len() - 1], count).unwrap()
}

pub fn encode(dtype: DType, values: &[Scalar]) -> Vec<u8> {
    encode_slice(dtype, values)
}

pub fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub fn to_f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// A reproducible stream of numbers.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Uniform in -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.unit()).collect()
    }
}
