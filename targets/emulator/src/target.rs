//! The compiler's half: kernels are kept as text with their source positions.

use girih_base::debug::Instances;
use girih_base::{DType, Result};
use girih_driver::Target;
use girih_lower::{TargetDesc, distribute};
use girih_plan::{Arg, Format, KernelCode};
use girih_tile::Access;

/// What the checker and its device are called.
pub const IDENTITY: &str = "checker";

/// Compiles for the checker, or for a device that is emulated.
#[derive(Clone, Debug)]
pub struct Emulator {
    pub(crate) desc: TargetDesc,
    /// As a device: kernels are those of graphics devices, whose prints and assertions go through the debug buffer.
    pub(crate) device: bool,
}

impl Emulator {
    /// A machine whose subgroups have this many threads, a power of two up to 128.
    pub fn new(subgroup: u32) -> Emulator {
        let mut desc = TargetDesc {
            max_buffers: 64,
            workgroup_bytes: 65536,
            subgroup_size: [subgroup, subgroup],
            wide_atomics: true,
            ..TargetDesc::webgpu()
        };
        desc.native.extend([DType::I64, DType::U64, DType::F64]);
        Emulator { desc, device: false }
    }

    /// A graphics device of these numbers: it gets kernels as such devices do, and what it says of memory that nobody wrote, or of
    /// indices that wrap around, is nothing. Accesses out of bounds, races and barriers that not every thread reaches are errors.
    pub fn device(desc: TargetDesc) -> Emulator {
        Emulator { desc, device: true }
    }

    pub(crate) fn name(&self) -> &'static str {
        if self.device { "emulated" } else { IDENTITY }
    }
}

impl Default for Emulator {
    fn default() -> Emulator {
        Emulator::new(32)
    }
}

impl Target for Emulator {
    fn desc(&self) -> &TargetDesc {
        &self.desc
    }

    fn identity(&self) -> String {
        self.name().into()
    }

    fn compile(&self, kernel: &girih_tile::Kernel) -> Result<KernelCode> {
        // A refusal belongs to compilation, not to loading.
        let simt = distribute(kernel, &self.desc)?;
        let instances = girih_tile::debug::instances(kernel);
        let debug = self.device.then(|| girih_simt::debug::instrument(&simt, instances)).flatten();
        Ok(KernelCode {
            name: kernel.name.clone(),
            format: Format::Tile,
            text: girih_tile::print(kernel).into(),
            args: kernel
                .params
                .iter()
                .map(|p| Arg { written: p.access != Access::Read, read_only: p.constant })
                .collect(),
            uniforms: Vec::new(),
            grid: kernel.grid.clone(),
            flops: 0.into(),
            traffic: 0.into(),
            debug: debug.map(|(_, info)| info),
        })
    }

    fn compile_simt(&self, kernel: &girih_simt::Kernel) -> Result<KernelCode> {
        girih_simt::verify::verify(kernel)?;
        let instances = Instances::Threads { grid: vec![kernel.groups.clone()], block: kernel.workgroup };
        let (instrumented, debug) =
            self.device.then(|| girih_simt::debug::instrument(kernel, instances)).flatten().unzip();
        Ok(KernelCode {
            name: kernel.name.clone(),
            format: Format::Simt,
            text: girih_simt::print(instrumented.as_ref().unwrap_or(kernel)).into(),
            args: kernel.buffers.iter().map(|b| Arg { written: b.written, read_only: b.read_only }).collect(),
            uniforms: kernel.uniforms.clone(),
            grid: vec![kernel.groups.clone()],
            flops: 0.into(),
            traffic: 0.into(),
            debug,
        })
    }
}
