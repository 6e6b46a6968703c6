//! Runs a kernel over host data.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use girih_base::codec::{Scalar, cast, decode_slice, encode_slice};
use girih_base::{Bindings, DType, Dim, Result};
use girih_cpu::{CpuDevice, Isa};
use girih_exec::{Command, Device, MemRef};
use girih_plan::{Format, KernelCode};
use girih_tile::{Access, Builder, Kernel, Literal, ValueId, View, print};
use std::cell::Cell;

thread_local! {
    /// The instruction set that this test's kernels run at.
    static LEVEL: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// The instruction set of this test's devices.
pub fn level() -> Isa {
    LEVEL.get().unwrap_or(Isa::best())
}

/// Runs a test once at every level of vector instructions that this machine has.
pub fn at_every_level(test: impl Fn()) {
    for isa in Isa::available() {
        LEVEL.set(Some(isa));
        eprintln!("at {}", isa.name());
        test();
    }
    LEVEL.set(None);
}

/// Runs `kernel` with the given bytes in its parameters; gives all parameters' bytes afterwards.
pub fn run_bytes(kernel: &Kernel, data: &[Vec<u8>], bindings: &Bindings, threads: usize) -> Result<Vec<Vec<u8>>> {
    let mut device = CpuDevice::with_isa(threads, level())?;
    let code = KernelCode {
        name: kernel.name.clone(),
        format: Format::Tile,
        text: print(kernel).into(),
        args: Vec::new(),
        uniforms: Vec::new(),
        grid: kernel.grid.clone(),
        flops: 0.into(),
        traffic: 0.into(),
        debug: None,
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

pub fn whole(shape: &[u32]) -> View {
    View::contiguous(&shape.iter().map(|n| Dim::from(*n)).collect::<Vec<_>>())
}

/// A kernel of one instance: loads all inputs whole, applies `f`, stores the result whole.
pub fn simple(
    inputs: &[(DType, &[u32])],
    f: impl FnOnce(&mut Builder, &[ValueId]) -> ValueId,
) -> (Kernel, DType, usize) {
    let mut b = Builder::new();
    let zero = b.int(0);
    let mut values = Vec::new();
    for (i, (dtype, shape)) in inputs.iter().enumerate() {
        let p = b.param(&format!("x{i}"), *dtype, Dim::from(shape.iter().product::<u32>()), Access::Read, false);
        values.push(b.load(p, whole(shape), &vec![zero; shape.len()], shape, Literal::Int(0)));
    }
    let out = f(&mut b, &values);
    let ty = b.ty(out).clone();
    let y = b.param("y", ty.dtype, Dim::from(ty.elements()), Access::Write, false);
    b.store(y, whole(&ty.shape), &vec![zero; ty.shape.len()], out);
    (b.finish("simple", vec![]), ty.dtype, ty.elements())
}

pub fn numbers(dtype: DType, n: usize, seed: u64) -> Vec<Scalar> {
    let mut r = Random(seed);
    (0..n)
        .map(|_| match dtype.is_float() {
            true => cast(Scalar::Float(r.unit() as f64), dtype),
            false => cast(Scalar::Int((r.bits() % 11) as i128 - 5), dtype),
        })
        .collect()
}

pub const SHAPES: &[&[u32]] =
    &[&[1], &[7], &[1000], &[3, 5], &[1, 64], &[64, 1], &[17, 129], &[2, 3, 70], &[5, 1, 3, 2]];

/// Splits a flat index around an axis: (outer * inner position, length, inner).
pub fn lines(shape: &[u32], axis: usize) -> (usize, usize, usize) {
    let inner: u32 = shape[axis + 1..].iter().product();
    let outer: u32 = shape[..axis].iter().product();
    (outer as usize, shape[axis] as usize, inner as usize)
}

pub fn close(got: f64, want: f64, bound: f64, what: &str) {
    assert!(
        (got - want).abs() <= bound || got.is_nan() && want.is_nan() || got == want,
        "{what}: {got}, expected {want}, bound {bound:e}"
    );
}
