//! Executes plans on devices.
//!
//! A [`Device`] is memory and kernels; an [`Engine`] owns one and runs any number of plans over shared weights and states; a
//! [`Session`] is an engine that several owners share, with [`Array`]s that live on its device.

#![forbid(unsafe_code)]

pub mod debug;
pub mod device;
mod engine;
mod group;
mod loaded;
mod record;
mod run;
mod session;

pub use debug::{ASSERTION_FAILED, DebugLog, Printed, Prints};
pub use device::{BufferRef, Command, Device, DeviceId, KernelRef, MemRef, SharedBytes};
pub use engine::{Engine, GroupId, ProgramId};
pub use girih_plan::KernelCode;
pub use group::Weight;
pub use session::{Array, Kernel, Program, Session};
