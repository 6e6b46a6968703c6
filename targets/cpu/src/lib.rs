//! The CPU target: a vectorised executor of tile programs, and of SIMT kernels written for GPUs.
//!
//! Kernels arrive as Tile IR text and are compiled once, when loaded, into programs whose values all have a place in a
//! small scratch memory. An instance runs one operation at a time over whole tiles; each operation is a loop compiled
//! for the processor's vector units. Loads that need no conversion are views of the parameter, splats and broadcasts
//! are strides of 0, and a result that is only stored is computed in the store's place. Instances are spread over
//! threads; results do not depend on how many there are. SIMT kernels run a workgroup at a time, each instruction over all
//! its threads.

mod chain;
mod compile;
mod debug;
mod device;
mod exec;
mod launch;
mod memory;
mod place;
mod pool;
mod program;
mod quant;
mod simd;
mod simt;
mod target;

pub use device::{CpuDevice, GROUP_VARIABLE, TARGET, describe};
pub use memory::ALIGNMENT;
pub use simd::isa::{ISA_VARIABLE, Isa};
pub use target::CpuTarget;
