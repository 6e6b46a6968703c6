//! SIMT IR: what one thread of a kernel does, structured and WGSL-shaped.
//!
//! Expressions are SSA values; state that changes lives in named [`Local`]s (WGSL's `var`). Control flow is structured.
//! Memory is reached through kernel buffers and workgroup arrays by element index.
//!
//! Invariant: nothing here names a graphics API; a target spells the same kernel its own way.

#![forbid(unsafe_code)]

mod bind;
pub mod build;
pub mod debug;
pub mod emulate;
pub mod ir;
pub mod op;
pub mod text;
pub mod verify;

pub use bind::{bind, reorder_buffers};
pub use build::Builder;
pub use ir::*;
pub use op::*;
pub use text::{parse, print, print_without_locs};
