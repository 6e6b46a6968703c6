//! Executes plans on devices.
//!
//! A [`Device`] is memory and kernels; an [`Engine`] owns one and runs any number of plans over shared weights and states.

#![forbid(unsafe_code)]

pub mod device;
mod engine;
mod loaded;

pub use device::{BufferRef, Command, Device, KernelRef, MemRef, SharedBytes};
pub use engine::{Engine, ProgramId, Weight};
