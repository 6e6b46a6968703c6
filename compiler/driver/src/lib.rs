//! The pass pipeline: verify, optimise, lower, plan.
//!
//! [`compile`] turns a graph into a [`girih_plan::Plan`] for a [`Target`]. [`specialize()`] fixes or narrows symbols first, which is
//! how one model gets a plan per range of lengths.

#![forbid(unsafe_code)]

pub mod arena;
pub mod cache;
pub mod plan;
pub mod specialize;

pub use cache::PlanCache;
pub use specialize::specialize;

use girih_base::Result;
use girih_graph::Graph;
use girih_lower::TargetDesc;
use girih_plan::{KernelCode, Plan};
use girih_rewrite::{Budget, Report};
use girih_tile::Kernel;

/// Something that kernels can be compiled for.
pub trait Target {
    /// The numbers the lowering decides by.
    fn desc(&self) -> &TargetDesc;

    /// Identity that plans carry and devices check: target, version, and whatever changes generated kernels.
    fn identity(&self) -> String;

    /// Compiles one tile kernel.
    fn compile(&self, kernel: &Kernel) -> Result<KernelCode>;

    /// Compiles one SIMT kernel, written by hand or for another kind of machine. The plan binds its buffers in order; the
    /// run-time symbols it reads are listed in [`KernelCode::uniforms`].
    ///
    /// # Errors
    /// What the kernel's verifier refuses, and what this target cannot run, by name.
    fn compile_simt(&self, kernel: &girih_simt::Kernel) -> Result<KernelCode>;
}

/// What to do on the way.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Limits and switches of the optimiser.
    pub budget: Budget,
}

impl Options {
    /// The default options, with the cost model of a target.
    pub fn for_target(target: &dyn Target) -> Options {
        let desc = target.desc();
        let device = girih_rewrite::Device { flops: desc.flops, bytes: desc.bandwidth, dispatch: desc.launch };
        Options { budget: Budget { device, ..Budget::default() } }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// What the optimiser did.
    pub report: Report,
}

/// Compiles a graph for a target.
pub fn compile(graph: &Graph, target: &dyn Target, options: &Options) -> Result<Compiled> {
    let (optimized, report) = girih_rewrite::optimize(graph, &options.budget)?;
    let program = girih_lower::lower(&optimized, target.desc())?;
    let plan = plan::plan(&optimized, &program, target)?;
    Ok(Compiled { plan, report })
}
