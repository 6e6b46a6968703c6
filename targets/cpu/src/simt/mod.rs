//! SIMT kernels, a workgroup at a time.
//!
//! A kernel is compiled once into a flat list of instructions on registers. A register is an array over the threads of a
//! workgroup (one array per component of a vector), or a single element where all threads hold the same. An instruction runs over
//! all running threads before the next one starts, so that barriers have nothing to do and operations across threads are exact;
//! threads that take another branch, or have left a loop, wait in a set. Indices that count up with the threads are recognised
//! when they occur and become copies of whole rows; every access is checked.

mod access;
mod atomic;
mod compile;
mod compute;
mod emit;
mod fused;
mod launch;
mod layout;
mod machine;
mod mask;
mod passes;
mod plan;
mod program;
mod rounds;
mod rows;
mod scalar;
mod subgroup;
mod uniform;

pub(crate) use compile::compile;
pub(crate) use launch::launch;
pub(crate) use machine::SimtWorker;
pub(crate) use program::SimtProgram;
