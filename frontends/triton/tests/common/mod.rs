//! Running kernels on the CPU and, where there is one, on a graphics adapter.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use girih_base::DType;
use girih_base::codec::{Scalar, cast, decode_slice, encode_slice};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::Target;
use girih_exec::{Device, MemRef};
use girih_triton::{Argument, Launcher, Module};
use girih_wgpu::{Options, WgpuDevice};

/// A target with its device.
pub struct Rig {
    pub name: &'static str,
    pub target: Box<dyn Target>,
    pub device: Box<dyn Device>,
}

/// The CPU, and a graphics adapter where there is one.
pub fn rigs() -> Vec<Rig> {
    let mut out = vec![Rig { name: "cpu", target: Box::new(CpuTarget::new()), device: Box::new(CpuDevice::new()) }];
    match WgpuDevice::open(None, Options::default()) {
        Ok(device) => {
            let target = device.compiler().clone();
            out.push(Rig { name: "wgpu", target: Box::new(target), device: Box::new(device) });
        }
        Err(why) if std::env::var("GIRIH_REQUIRE_WGPU").is_ok_and(|v| v == "1") => panic!("{why}"),
        Err(why) => eprintln!("only on the CPU, since there is no adapter: {why}"),
    }
    out
}

/// A buffer with its name and elements.
#[derive(Clone)]
pub struct Data {
    pub name: &'static str,
    pub dtype: DType,
    pub values: Vec<f64>,
}

pub fn buffer(name: &'static str, dtype: DType, values: Vec<f64>) -> Data {
    Data { name, dtype, values }
}

pub fn f32s(name: &'static str, values: Vec<f64>) -> Data {
    buffer(name, DType::F32, values)
}

/// Elements rounded to the dtype, as bytes; padded to whole words.
fn bytes(d: &Data) -> Vec<u8> {
    let exact = |v: &f64| if d.dtype.is_float() { Scalar::Float(*v) } else { Scalar::Int(*v as i128) };
    let list: Vec<Scalar> = d.values.iter().map(|v| cast(exact(v), d.dtype)).collect();
    encode_slice(d.dtype, &list)
}

/// Runs a kernel and gives all buffers afterwards.
pub fn run(
    rig: &mut Rig,
    source: &str,
    kernel: &str,
    grid: [u32; 3],
    data: &[Data],
    rest: &[(&str, Argument)],
) -> Vec<Vec<f64>> {
    let module = Module::parse(source, "kernel.py").unwrap_or_else(|e| panic!("{e}"));
    let mut launcher = Launcher::new(&module, kernel).unwrap();
    run_with(&mut launcher, rig, grid, data, rest)
}

pub fn run_with(
    launcher: &mut Launcher,
    rig: &mut Rig,
    grid: [u32; 3],
    data: &[Data],
    rest: &[(&str, Argument)],
) -> Vec<Vec<f64>> {
    let mut args: Vec<(&str, Argument)> = Vec::new();
    let mut mems = Vec::new();
    for d in data {
        let bytes = bytes(d);
        let buffer = rig.device.allocate((bytes.len() as u64).next_multiple_of(4)).unwrap();
        rig.device.write(buffer, 0, &padded(&bytes)).unwrap();
        let mem = MemRef { buffer, offset: 0, bytes: bytes.len() as u64 };
        mems.push(mem);
        args.push((d.name, Argument::Buffer(mem, d.dtype)));
    }
    args.extend(rest.iter().cloned());
    if let Err(e) = launcher.launch(&*rig.target, &mut *rig.device, grid, &args) {
        panic!("{}: {e}", rig.name);
    }
    let mut out = Vec::new();
    for (d, mem) in data.iter().zip(mems) {
        let mut back = vec![0; (mem.bytes as usize).next_multiple_of(4)];
        rig.device.read(mem.buffer, 0, &mut back).unwrap();
        back.truncate(mem.bytes as usize);
        let list = decode_slice(d.dtype, &back, d.values.len()).unwrap();
        out.push(list.into_iter().map(|s| if d.dtype.is_float() { s.as_f64() } else { s.as_int() as f64 }).collect());
        rig.device.free(mem.buffer);
    }
    out
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(4), 0);
    out
}

/// A reproducible stream of numbers in -1..1.
pub fn random(seed: u64, n: usize) -> Vec<f64> {
    let mut s = seed;
    let mut next = || {
        s = s.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (s ^ s >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    };
    (0..n).map(|_| ((next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0) as f64).collect()
}

/// Compares with an absolute bound.
pub fn close(what: &str, got: &[f64], want: &[f64], bound: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let same = g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= bound * (1.0 + w.abs());
        assert!(same, "{what}: element {i} is {g}, should be {w}");
    }
}

pub fn int(v: i64) -> Argument {
    Argument::Int(v)
}
