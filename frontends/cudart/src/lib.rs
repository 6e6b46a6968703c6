//! The library that CUDA programs built by `girih nvcc` are linked with.
//!
//! clang compiles the host half of a `.cu` file to calls of the CUDA runtime: kernels are registered by name before `main`, and
//! launched through their stubs. This library answers those calls. The program carries its own source ([`girih_cuda::Bundle`]);
//! a kernel is translated when it is first launched with blocks of some shape, and runs on the device that `GIRIH_DEVICE` names.
//!
//! Device pointers are addresses that no memory has, so that the host cannot follow them by mistake; page-locked and managed
//! memory is the host's, with a copy on the device. Whatever fails is said on the standard error stream and given as
//! the program's `cudaError_t`. A kernel that could not run fails every call after it: the program never gets a wrong number.
#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod abi;
mod code;
mod events;
mod launch;
mod memory;
mod names;
mod program;
mod rig;
mod runtime;
mod texture;
mod transfer;

pub use code::Code;
