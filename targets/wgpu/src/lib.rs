//! The wgpu target: SIMT IR to WGSL, run on any GPU.
//!
//! [`WgpuTarget`] turns kernels into readable, validated WGSL and needs no adapter; [`WgpuDevice`] runs them through Vulkan, Metal or
//! Direct3D 12, whatever [`devices()`] finds.

#![deny(unsafe_code)]

pub mod check;
pub mod device;
mod guard;
mod products;
mod rounds;
pub mod target;
pub mod wgsl;

pub use check::{Language, Translated, translate};
pub use device::{DeviceInfo, Options, WgpuDevice, devices};
pub use target::WgpuTarget;
