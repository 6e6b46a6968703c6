//! Kernels on a real device. Without an adapter the tests say so and pass; `GIRIH_REQUIRE_WGPU=1` makes that a failure.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod faults;
mod graphs;
mod harness;
mod kernels;
mod large;
mod loops;
mod matmul;
mod memory;
mod scalars;
mod snapshots;
mod tiles;
