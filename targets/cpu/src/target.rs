//! The CPU as a target: kernels are Tile IR text.

use crate::device::{TARGET, default_threads};
use girih_base::debug::Instances;
use girih_base::{Dim, Result};
use girih_driver::Target;
use girih_lower::TargetDesc;
use girih_plan::{Arg, Format, KernelCode};
use girih_tile::{Access, Kernel, cost, print_without_locs};

/// Compiles for [`crate::CpuDevice`].
#[derive(Clone, Debug)]
pub struct CpuTarget {
    desc: TargetDesc,
}

impl CpuTarget {
    /// The processor this runs on.
    pub fn new() -> CpuTarget {
        CpuTarget::with_threads(default_threads())
    }

    /// A processor of this many threads; tile sizes depend on it.
    pub fn with_threads(threads: usize) -> CpuTarget {
        CpuTarget { desc: TargetDesc::cpu(threads.clamp(1, 1024) as u32) }
    }
}

impl Default for CpuTarget {
    fn default() -> CpuTarget {
        CpuTarget::new()
    }
}

impl Target for CpuTarget {
    fn desc(&self) -> &TargetDesc {
        &self.desc
    }

    fn identity(&self) -> String {
        TARGET.into()
    }

    fn compile(&self, kernel: &Kernel) -> Result<KernelCode> {
        let cost = cost(kernel);
        Ok(KernelCode {
            name: kernel.name.clone(),
            format: Format::Tile,
            text: print_without_locs(kernel).into(),
            args: kernel
                .params
                .iter()
                .map(|p| Arg { written: p.access != Access::Read, read_only: p.constant })
                .collect(),
            uniforms: Vec::new(),
            grid: kernel.grid.clone(),
            flops: cost.flops,
            traffic: cost.bytes,
            debug: girih_tile::debug::sites(kernel),
        })
    }

    fn compile_simt(&self, kernel: &girih_simt::Kernel) -> Result<KernelCode> {
        girih_simt::verify::verify(kernel)?;
        let instances = Instances::Threads { grid: vec![kernel.groups.clone()], block: kernel.workgroup };
        let (instrumented, debug) = girih_simt::debug::instrument(kernel, instances).unzip();
        Ok(KernelCode {
            name: kernel.name.clone(),
            format: Format::Simt,
            text: instrumented.as_ref().unwrap_or(kernel).to_string().into(),
            args: kernel.buffers.iter().map(|b| Arg { written: b.written, read_only: b.read_only }).collect(),
            uniforms: kernel.uniforms.clone(),
            grid: vec![kernel.groups.clone()],
            flops: Dim::ZERO,
            traffic: Dim::ZERO,
            debug,
        })
    }
}
