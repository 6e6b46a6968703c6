//! Tile IR: what one program instance of a kernel computes, on block values ("tiles").
//!
//! A [`Kernel`] runs once for every point of its grid. Its values are scalars and tiles of a fixed shape; memory is
//! reached only through structured loads and stores of kernel parameters. There are no threads, lanes or layouts here: a
//! CPU executes a tile as a loop, a GPU target spreads it over a workgroup.
//!
//! Invariant: nothing here mentions lanes, workgroups or a target.

#![forbid(unsafe_code)]

mod bind;
pub mod build;
mod clean;
mod cost;
pub mod debug;
mod group;
pub mod ir;
pub mod op;
pub mod text;
pub mod verify;

pub use bind::bind;
pub use build::Builder;
pub use clean::clean;
pub use cost::{Cost, cost};
pub use group::{Group, group};
pub use ir::*;
pub use op::*;
pub use text::{parse, print, print_without_locs};
pub use verify::verify;
