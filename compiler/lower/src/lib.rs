//! Lowering: graphs to tile kernels, tile kernels to SIMT kernels.
//!
//! Invariant: this is the only crate that sees two IRs.

#![forbid(unsafe_code)]

pub mod target;

pub use target::{TargetDesc, TargetKind};
