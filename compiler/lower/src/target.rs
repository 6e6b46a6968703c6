//! What the lowering knows of a target: numbers, no code.

use girih_base::DType;

/// How programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// Tiles are executed as loops by one thread each.
    Cpu,
    /// Tiles are spread over the threads of a workgroup.
    Gpu,
}

/// A target as data. Every lowering decision is a function of the program and this table.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetDesc {
    /// Name, part of cache keys and snapshot names.
    pub name: String,
    /// How programs run.
    pub kind: TargetKind,
    /// Threads of a workgroup that elementwise and reduction kernels use.
    pub threads: u32,
    /// Most threads of a workgroup.
    pub max_threads: u32,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Elements of a vector load (4 for vec4).
    pub vector: u32,
    /// Elements of a row tile that stay in the fastest memory (CPU: L1; GPU: registers of a workgroup).
    pub tile_elements: u32,
    /// Rows and columns of the register block that one thread computes in a dot.
    pub dot_block: [u32; 2],
    /// Rows and columns of the output tile of one dot program.
    pub dot_tile: [u32; 2],
    /// Elements of the contracted axis taken per round.
    pub dot_depth: u32,
    /// Stage dot operands through workgroup memory.
    pub staging: bool,
    /// Use subgroup reductions.
    pub subgroups: bool,
    /// Subgroup sizes that occur (equal when known).
    pub subgroup_size: [u32; 2],
    /// dtypes with native arithmetic.
    pub native: Vec<DType>,
    /// Atomic operations on 64-bit integers.
    pub wide_atomics: bool,
    /// Most storage buffers of one kernel.
    pub max_buffers: u32,
    /// Largest range of one binding, in bytes.
    pub max_binding: u64,
    /// Floating point operations per second, for cost estimates.
    pub flops: f64,
    /// Bytes per second, for cost estimates.
    pub bandwidth: f64,
    /// Seconds one launch costs.
    pub launch: f64,
}

impl TargetDesc {
    /// A CPU with `threads` cores.
    pub fn cpu(threads: u32) -> TargetDesc {
        TargetDesc {
            name: "cpu".into(),
            kind: TargetKind::Cpu,
            threads,
            max_threads: threads,
            workgroup_bytes: 0,
            vector: 16,
            tile_elements: 8192,
            dot_block: [1, 1],
            dot_tile: [256, 512],
            dot_depth: 0,
            staging: false,
            subgroups: false,
            subgroup_size: [1, 1],
            wide_atomics: true,
            native: vec![DType::Bool, DType::I32, DType::U32, DType::I64, DType::U64, DType::F32, DType::F64],
            max_buffers: 64,
            max_binding: 1 << 40,
            flops: 1e11,
            bandwidth: 1e10,
            launch: 2e-6,
        }
    }

    /// A GPU with WebGPU's default limits.
    pub fn webgpu() -> TargetDesc {
        TargetDesc {
            name: "webgpu".into(),
            kind: TargetKind::Gpu,
            threads: 64,
            max_threads: 256,
            workgroup_bytes: 16384,
            vector: 4,
            tile_elements: 256,
            dot_block: [8, 8],
            dot_tile: [64, 64],
            dot_depth: 4,
            staging: false,
            subgroups: false,
            subgroup_size: [4, 128],
            wide_atomics: false,
            native: vec![DType::Bool, DType::I32, DType::U32, DType::F32],
            max_buffers: 8,
            max_binding: 128 << 20,
            flops: 1e13,
            bandwidth: 3e11,
            launch: 1e-5,
        }
    }
}
