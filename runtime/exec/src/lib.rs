//! Executes plans on devices.
//!
//! A [`Device`] is memory and kernels; the plan executor is the same for all of them.

pub mod device;

pub use device::{BufferRef, Command, Device, KernelRef, MemRef, SharedBytes};
