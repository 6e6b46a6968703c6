//! The compiler's half: kernels are kept as text with their source positions.

use girih_base::{DType, Result};
use girih_driver::Target;
use girih_lower::{TargetDesc, distribute};
use girih_plan::{Arg, Format, KernelCode};
use girih_tile::Access;

/// What the target and its device are called.
pub const IDENTITY: &str = "checker";

/// Compiles for the checker.
#[derive(Clone, Debug)]
pub struct Emulator {
    pub(crate) desc: TargetDesc,
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
        Emulator { desc }
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
        IDENTITY.into()
    }

    fn compile(&self, kernel: &girih_tile::Kernel) -> Result<KernelCode> {
        // A refusal belongs to compilation, not to loading.
        distribute(kernel, &self.desc)?;
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
            debug: None,
        })
    }

    fn compile_simt(&self, kernel: &girih_simt::Kernel) -> Result<KernelCode> {
        girih_simt::verify::verify(kernel)?;
        Ok(KernelCode {
            name: kernel.name.clone(),
            format: Format::Simt,
            text: girih_simt::print(kernel).into(),
            args: kernel.buffers.iter().map(|b| Arg { written: b.written, read_only: b.read_only }).collect(),
            uniforms: kernel.uniforms.clone(),
            grid: vec![kernel.groups.clone()],
            flops: 0.into(),
            traffic: 0.into(),
            debug: None,
        })
    }
}
