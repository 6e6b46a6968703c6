//! Fusion: which nodes get memory, and one tile kernel for each.
//!
//! [`affine`] and [`nest`] are the language, [`trace`] pulls operations into a nest, [`merge`] and [`schedule`] shape it,
//! [`emit`] writes the tile kernel, [`stored`] chooses what gets memory.

pub mod affine;
mod attention;
pub(crate) mod cleanup;
pub mod emit;
pub mod merge;
pub mod monoid;
pub mod nest;
pub mod schedule;
pub mod stored;
pub mod trace;
