//! Lowering: graphs to tile kernels, tile kernels to SIMT kernels.
//!
//! [`lower()`] turns an optimised graph into a [`Program`]: tile kernels and copies over tensors in memory.
//!
//! Invariant: this is the only crate that sees two IRs.

#![forbid(unsafe_code)]

pub mod distribute;
pub mod fuse;
mod jobs;
mod lines;
mod lower;
mod prepare;
pub mod program;
pub mod target;

pub use distribute::distribute;
pub use girih_tile::verify::each_dim as kernel_dims;
pub use lower::lower;
pub use program::{Program, Step, Tensor, TensorKind, TensorRef};
pub use target::{TargetDesc, TargetKind};
