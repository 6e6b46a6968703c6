//! Girih's SIMT IR: one thread, structured, WGSL-shaped, with an emulator.
