//! Runs a kernel on the emulator with several subgroup sizes, on the CPU and, where there is an adapter, through wgpu.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use girih_base::Bindings;
use girih_cuda::{Argument, Caps, LaunchShape, Loaded, Module, Texture, TextureMode, Value};
use girih_driver::Target;
use girih_exec::{Device, MemRef};
use std::sync::{LazyLock, Mutex};

/// An argument: memory, or a number's bytes.
#[derive(Clone, Debug)]
pub enum Arg {
    Mem(Vec<u8>),
    Num(Vec<u8>),
    Null,
    Tex(Tex),
}

/// A texture or surface: texels row by row without gaps.
#[derive(Clone, Debug)]
pub struct Tex {
    pub texels: Vec<u8>,
    pub extent: [u32; 3],
    pub mode: TextureMode,
}

impl Tex {
    fn at(&self, memory: MemRef) -> Texture {
        Texture { memory, extent: self.extent, pitch: self.extent[0], mode: self.mode }
    }
}

pub fn f(x: &[f32]) -> Arg {
    Arg::Mem(x.iter().flat_map(|v| v.to_le_bytes()).collect())
}
pub fn i(x: &[i32]) -> Arg {
    Arg::Mem(x.iter().flat_map(|v| v.to_le_bytes()).collect())
}
pub fn u(x: &[u32]) -> Arg {
    Arg::Mem(x.iter().flat_map(|v| v.to_le_bytes()).collect())
}
pub fn bytes(x: &[u8]) -> Arg {
    Arg::Mem(x.to_vec())
}
pub fn zeros(words: usize) -> Arg {
    Arg::Mem(vec![0; words * 4])
}
pub fn n(x: i32) -> Arg {
    Arg::Num(x.to_le_bytes().to_vec())
}
pub fn x(v: f32) -> Arg {
    Arg::Num(v.to_le_bytes().to_vec())
}
pub fn l(v: i64) -> Arg {
    Arg::Num(v.to_le_bytes().to_vec())
}

/// A launch.
pub struct Launch<'s> {
    pub source: &'s str,
    pub kernel: &'s str,
    pub block: [u32; 3],
    pub grid: [u32; 3],
    pub shared: u32,
    pub args: Vec<Arg>,
}

/// A one-dimensional launch of the only kernel in the source.
pub fn launch<'s>(source: &'s str, kernel: &'s str, grid: u32, block: u32, args: Vec<Arg>) -> Launch<'s> {
    Launch { source, kernel, block: [block, 1, 1], grid: [grid, 1, 1], shared: 0, args }
}

/// What one way to run gave: its name, and the memory arguments after the launch.
pub struct Ran {
    pub on: String,
    pub memory: Vec<Vec<u8>>,
}

impl Launch<'_> {
    fn shape(&self) -> LaunchShape {
        let axes = (1..=3).rev().find(|a| self.grid[*a as usize - 1] > 1).unwrap_or(1);
        let mut nulls = 0;
        for (k, a) in self.args.iter().enumerate() {
            if matches!(a, Arg::Null) {
                nulls |= 1 << k;
            }
        }
        let mut shape = LaunchShape { dynamic_shared: self.shared, nulls, ..LaunchShape::new(self.block, axes) };
        let modes = self.args.iter().filter_map(|a| if let Arg::Tex(t) = a { Some(t.mode) } else { None });
        shape.textures.iter_mut().zip(modes).for_each(|(slot, mode)| *slot = Some(mode));
        shape
    }

    pub fn module(&self) -> Module {
        Module::parse(self.source, "test.cu", &|_, _| None).unwrap()
    }

    pub fn emulate(&self, subgroup: u32, caps: Caps) -> Result<Ran, String> {
        let compiled = self.module().compile(self.kernel, &self.shape(), caps).map_err(|d| d.to_string())?;
        let values: Vec<Value<'_>> = self
            .args
            .iter()
            .map(|a| match a {
                Arg::Num(b) => Value::Bytes(b),
                Arg::Tex(t) => {
                    let bytes = t.texels.len() as u64;
                    Value::Texture(t.at(MemRef { buffer: girih_exec::BufferRef(0), offset: 0, bytes }))
                }
                _ => Value::Null,
            })
            .collect();
        let bindings: Bindings = compiled.bindings(self.grid, &values).map_err(|d| d.to_string())?;
        let mut given = self.args.iter().filter_map(|a| match a {
            Arg::Mem(m) => Some(m.clone()),
            Arg::Tex(t) => Some(t.texels.clone()),
            _ => None,
        });
        let mut place = Vec::new();
        let mut buffers = Vec::new();
        for a in &compiled.arguments {
            match a {
                Argument::Buffer { .. } | Argument::Texture { .. } => {
                    place.push(buffers.len());
                    buffers.push(given.next().unwrap());
                }
                Argument::Symbol { initial, .. } => {
                    let mut b = initial.clone();
                    b.resize(b.len().next_multiple_of(8), 0);
                    buffers.push(b);
                }
                Argument::Scalar { .. } | Argument::Start { .. } => {}
            }
        }
        let options = girih_simt::emulate::Options { subgroup, ..Default::default() };
        girih_simt::emulate::run(&compiled.kernel, &mut buffers, &bindings, options)
            .map_err(|d| format!("{d}\n{}", compiled.kernel))?;
        Ok(Ran {
            on: format!("emulator {subgroup} {caps:?}"),
            memory: place.into_iter().map(|i| buffers[i].clone()).collect(),
        })
    }

    fn device(&self, target: &dyn Target, device: &mut dyn Device) -> Result<Ran, String> {
        let caps = girih_cuda::caps(target);
        let go = |device: &mut dyn Device| -> girih_base::Result<Vec<Vec<u8>>> {
            let compiled = self.module().compile(self.kernel, &self.shape(), caps)?;
            let loaded = Loaded::new(compiled, target, device)?;
            let mut buffers = Vec::new();
            for a in &self.args {
                if let Arg::Mem(m) | Arg::Tex(Tex { texels: m, .. }) = a {
                    let size = m.len().next_multiple_of(16) as u64;
                    let b = device.allocate(size)?;
                    device.write(b, 0, m)?;
                    buffers.push((MemRef { buffer: b, offset: 0, bytes: m.len().next_multiple_of(4) as u64 }, m.len()));
                }
            }
            let mut next = buffers.iter();
            let values: Vec<Value<'_>> = self
                .args
                .iter()
                .map(|a| match a {
                    Arg::Mem(_) => Value::Memory(next.next().unwrap().0),
                    Arg::Num(b) => Value::Bytes(b),
                    Arg::Tex(t) => Value::Texture(t.at(next.next().unwrap().0)),
                    Arg::Null => Value::Null,
                })
                .collect();
            loaded.launch(device, self.grid, &values)?;
            device.synchronize()?;
            let mut out = Vec::new();
            for (m, len) in &buffers {
                let mut data = vec![0; *len];
                device.read(m.buffer, 0, &mut data)?;
                out.push(data);
                device.free(m.buffer);
            }
            Ok(out)
        };
        let name = device.name();
        go(device).map(|memory| Ran { on: name, memory }).map_err(|d| d.to_string())
    }

    /// Runs everywhere; every way must succeed.
    pub fn run(&self) -> Vec<Ran> {
        let all = Caps { int64: true, double: true, atomic64: true, checked: None, native: false };
        let pairs = Caps { int64: false, double: false, atomic64: false, checked: None, native: false };
        let mut ran = Vec::new();
        let graphics = Caps { int64: false, double: true, atomic64: true, checked: None, native: false };
        for (subgroup, caps) in [(8, all), (32, pairs), (64, graphics)] {
            match self.emulate(subgroup, caps) {
                Ok(r) => ran.push(r),
                // Doubles are refused by name where there are none.
                Err(e) if !caps.double && e.contains("U010") => {}
                Err(e) => panic!("{}: {e}\n{}", self.kernel, self.source),
            }
        }
        if std::env::var_os("GIRIH_CUDA_EMULATOR_ONLY").is_some() {
            return ran;
        }
        let mut cpu = girih_cpu::CpuDevice::new();
        ran.push(
            self.device(&girih_cpu::CpuTarget::new(), &mut cpu).unwrap_or_else(|e| panic!("{}: CPU: {e}", self.kernel)),
        );
        if let Some(gpu) = GPU.lock().unwrap().as_mut() {
            let target = gpu.compiler();
            ran.push(self.device(&target, gpu).unwrap_or_else(|e| panic!("{}: wgpu: {e}", self.kernel)));
        }
        ran
    }

    /// The 32-bit words of memory argument `k` must be these, everywhere.
    pub fn words(&self, k: usize, want: &[u32]) {
        for r in self.run() {
            let got: Vec<u32> =
                r.memory[k].chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect();
            assert_eq!(got, want, "{} on {}", self.kernel, r.on);
        }
    }

    pub fn ints(&self, k: usize, want: &[i32]) {
        self.words(k, &want.iter().map(|v| *v as u32).collect::<Vec<_>>());
    }

    pub fn bytes(&self, k: usize, want: &[u8]) {
        for r in self.run() {
            assert_eq!(r.memory[k], want, "{} on {}", self.kernel, r.on);
        }
    }

    /// Floats within `ulps` units in the last place of the larger of the value and `scale`.
    pub fn floats(&self, k: usize, want: &[f32], ulps: f32, scale: f32) {
        for r in self.run() {
            let got: Vec<f32> =
                r.memory[k].chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
            assert_eq!(got.len(), want.len());
            for (i, (g, w)) in got.iter().zip(want).enumerate() {
                let close =
                    (g - w).abs() <= ulps * f32::EPSILON * w.abs().max(scale) || g == w || (g.is_nan() && w.is_nan());
                assert!(close, "{} on {}: element {i} is {g}, want {w}", self.kernel, r.on);
            }
        }
    }
}

static GPU: LazyLock<Mutex<Option<girih_wgpu::WgpuDevice>>> = LazyLock::new(|| {
    let device = girih_wgpu::WgpuDevice::open_default();
    if std::env::var_os("GIRIH_REQUIRE_WGPU").is_some() {
        return Mutex::new(Some(device.unwrap()));
    }
    Mutex::new(device.ok())
});

/// The refusal of a kernel.
pub fn refusal(source: &str, kernel: &str, block: u32) -> Box<girih_base::Diag> {
    let caps = Caps { int64: true, double: true, atomic64: true, checked: None, native: false };
    let shape = LaunchShape::new([block, 1, 1], 1);
    match Module::parse(source, "test.cu", &|_, _| None) {
        Ok(m) => match m.compile(kernel, &shape, caps) {
            Ok(c) => panic!("{kernel} was accepted:\n{}", c.kernel),
            Err(d) => d,
        },
        Err(d) => d,
    }
}
