//! Launching compiled kernels on a device.

use crate::lower::{Argument, Caps, Compiled};
use crate::texture::Texture;
use girih_base::debug::Instances;
use girih_base::{Bindings, DType, Diag, Dim, Result};
use girih_driver::Target;
use girih_exec::{BufferRef, Command, Device, KernelCode, KernelRef, MemRef};

/// An argument of a launch, in the order of the kernel's parameters.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Device memory for a pointer.
    Memory(MemRef),
    /// A number or struct passed by value: its bytes as C lays them out.
    Bytes(&'a [u8]),
    /// A texture or surface object; [`crate::LaunchShape::textures`] says its mode.
    Texture(Texture),
    /// A null pointer; [`crate::LaunchShape::nulls`] must say so.
    Null,
}

impl Compiled {
    /// The kernel as a target's devices load it.
    ///
    /// # Errors
    /// What the target cannot run.
    pub fn code(&self, target: &dyn Target) -> Result<KernelCode> {
        let mut code = target.compile_simt(&self.kernel)?;
        if let Some(debug) = &mut code.debug {
            debug.instances = self.instances();
        }
        Ok(code)
    }

    /// The `__constant__` and `__device__` variables by name, each with the bytes of its memory before the first launch.
    pub fn symbols(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        self.arguments.iter().filter_map(|a| match a {
            Argument::Symbol { name, initial } => {
                let mut bytes = initial.clone();
                bytes.resize(bytes.len().next_multiple_of(8).max(8), 0);
                Some((name.as_str(), bytes))
            }
            _ => None,
        })
    }

    /// How blocks and threads are numbered in what the kernel prints and asserts; the code of a kernel that does gets it as
    /// `code.debug.instances`.
    pub fn instances(&self) -> Instances {
        let grid = self.grid.iter().map(|axis| Dim::symbol(axis, 1, u32::MAX as i64)).collect();
        Instances::Threads { grid, block: self.kernel.workgroup }
    }

    /// The values of the kernel's uniforms.
    ///
    /// # Errors
    /// `U007` a number that is missing or of the wrong size, a grid that does not fit.
    pub fn bindings(&self, grid: [u32; 3], values: &[Value<'_>]) -> Result<Bindings> {
        let name = &self.kernel.name;
        let wrong = |what: String| Diag::error("U007", format!("kernel `{name}`: {what}"));
        let mut out = Bindings::new();
        for (axis, n) in self.grid.iter().zip(grid) {
            out.insert(axis.as_str().into(), n as i64);
        }
        if grid.contains(&0) || grid[self.grid.len()..].iter().any(|n| *n != 1) {
            return Err(wrong(format!("a grid of {grid:?} for a kernel compiled for {} axes", self.grid.len())));
        }
        if grid.iter().map(|n| *n as u64).product::<u64>() > u32::MAX as u64 {
            return Err(wrong(format!("a grid of {grid:?} blocks")));
        }
        for a in &self.arguments {
            if let Argument::Texture { name, extents, mode, parameter, .. } = a {
                let Some(Value::Texture(t)) = values.get(*parameter) else {
                    return Err(wrong(format!("argument {parameter} (`{name}`) must be a texture")));
                };
                t.check()?;
                if t.mode != *mode {
                    let text = format!("texture `{name}` is {:?}, and the kernel was compiled for {mode:?}", t.mode);
                    return Err(wrong(text).help("say it in the shape of the launch"));
                }
                for (name, n) in extents.iter().zip(t.sizes()) {
                    out.insert(name.as_str().into(), n as i64);
                }
            }
            let Argument::Scalar { name, size, offset, parameter, .. } = a else { continue };
            let bytes = match values.get(*parameter) {
                Some(Value::Bytes(b)) => *b,
                _ => return Err(wrong(format!("argument {parameter} (`{name}`) must be a number"))),
            };
            let (at, n) = (*offset as usize, *size as usize);
            let Some(part) = bytes.get(at..at + n) else {
                return Err(wrong(format!("argument {parameter} (`{name}`) has {} bytes", bytes.len())));
            };
            let mut word = [0; 8];
            word[..n].copy_from_slice(part);
            out.insert(name.as_str().into(), i64::from_le_bytes(word));
        }
        Ok(out)
    }
}

/// The identity of the target that checks kernels instead of running them fast.
const CHECKER: &str = "checker";

/// What kernels for a target may use.
///
/// Graphics drivers get 64-bit integers as pairs of words even where they offer them: Mesa 22.3 takes `255 > i64(x)` for false where
/// `x` is a sign-extended byte, and of most 64-bit values in kernels, which are indices, the high word is never used.
pub fn caps(target: &dyn Target) -> Caps {
    let wide = &target.desc().native;
    let graphics = target.identity().starts_with("wgpu");
    let desc = target.desc();
    let checked = (target.identity() == CHECKER).then(|| desc.subgroup_size[0]);
    let native = checked.is_none() && desc.subgroups && desc.subgroup_size == [32, 32];
    let (int64, double) = (wide.contains(&DType::I64) && !graphics, wide.contains(&DType::F64));
    Caps { int64, double, atomic64: desc.wide_atomics, checked, native }
}

/// A kernel on a device.
pub struct Loaded {
    compiled: Compiled,
    kernel: KernelRef,
    symbols: Vec<(String, BufferRef)>,
}

impl Loaded {
    /// Compiles for a target and loads.
    ///
    /// # Errors
    /// What the target cannot run, and what the device refuses.
    pub fn new(compiled: Compiled, target: &dyn Target, device: &mut dyn Device) -> Result<Loaded> {
        let kernel = device.load(&compiled.code(target)?)?;
        let mut symbols = Vec::new();
        for (name, bytes) in compiled.symbols() {
            let buffer = device.allocate(bytes.len() as u64)?;
            device.write(buffer, 0, &bytes)?;
            symbols.push((name.to_string(), buffer));
        }
        Ok(Loaded { compiled, kernel, symbols })
    }

    /// The memory of a `__constant__` or `__device__` variable.
    pub fn symbol(&self, name: &str) -> Option<BufferRef> {
        self.symbols.iter().find(|(n, _)| n == name).map(|(_, b)| *b)
    }

    /// Launches over a grid.
    ///
    /// # Errors
    /// `U007` arguments or a grid that do not fit, and what the device reports.
    pub fn launch(&self, device: &mut dyn Device, grid: [u32; 3], values: &[Value<'_>]) -> Result<()> {
        let bindings = self.compiled.bindings(grid, values)?;
        let mut pointers = values.iter().filter_map(|v| match v {
            Value::Memory(m) => Some(*m),
            Value::Texture(t) => Some(t.memory),
            _ => None,
        });
        let mut args = Vec::new();
        for a in &self.compiled.arguments {
            match a {
                Argument::Buffer { name, .. } | Argument::Texture { name, shared: false, .. } => {
                    args.push(pointers.next().ok_or_else(|| {
                        Diag::error("U007", format!("kernel `{}`: no memory for `{name}`", self.compiled.kernel.name))
                    })?)
                }
                Argument::Symbol { name, initial } => {
                    let Some(buffer) = self.symbol(name) else { continue };
                    args.push(MemRef { buffer, offset: 0, bytes: initial.len().next_multiple_of(8).max(8) as u64 });
                }
                Argument::Scalar { .. } | Argument::Start { .. } | Argument::Texture { .. } => {}
            }
        }
        if pointers.next().is_some() {
            return Err(Diag::error(
                "U007",
                format!("kernel `{}`: more pointers than parameters", self.compiled.kernel.name),
            ));
        }
        device.submit(&[Command::Launch { kernel: self.kernel, args: &args, bindings: &bindings }])
    }
}
