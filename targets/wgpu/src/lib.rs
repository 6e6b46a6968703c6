//! The wgpu target: SIMT IR to WGSL, run on any GPU.
