//! The target as data: one table from adapter features to what kernels may use, and tuned rows for kinds of adapters.

use crate::wgsl;
use crate::{check, guard, products, rounds};
use girih_base::debug::Instances;
use girih_base::{DType, DebugInfo, Diag, Dim, Result};
use girih_driver::Target;
use girih_lower::TargetDesc;
use girih_plan::{Arg, Format, KernelCode};
use girih_simt::{Op, Stmt};
use naga::valid::Capabilities;
use std::sync::Arc;
use wgpu::Features;

/// A feature of an adapter and what we make of it.
struct FeatureRow {
    feature: Features,
    capability: Capabilities,
    apply: fn(&mut TargetDesc),
}

/// Every feature we ask adapters for.
const FEATURES: &[FeatureRow] = &[
    FeatureRow { feature: Features::SHADER_F16, capability: Capabilities::SHADER_FLOAT16, apply: |_| {} },
    FeatureRow {
        feature: Features::SHADER_INT64,
        capability: Capabilities::SHADER_INT64,
        apply: |d| d.native.extend([DType::I64, DType::U64]),
    },
    FeatureRow {
        feature: Features::SHADER_F64,
        capability: Capabilities::FLOAT64,
        apply: |d| d.native.push(DType::F64),
    },
    FeatureRow {
        feature: Features::SHADER_INT64_ATOMIC_ALL_OPS,
        capability: Capabilities::SHADER_INT64_ATOMIC_ALL_OPS,
        apply: |d| d.wide_atomics = true,
    },
    FeatureRow { feature: Features::SUBGROUP, capability: Capabilities::SUBGROUP, apply: |d| d.subgroups = true },
    FeatureRow { feature: Features::TIMESTAMP_QUERY, capability: Capabilities::empty(), apply: |_| {} },
    FeatureRow { feature: Features::PIPELINE_CACHE, capability: Capabilities::empty(), apply: |_| {} },
];

/// Asked for on adapters that share the host's memory.
const SHARED_MEMORY: Features = Features::MAPPABLE_PRIMARY_BUFFERS;

/// Compiles tile kernels to WGSL.
#[derive(Clone, Debug)]
pub struct WgpuTarget {
    desc: TargetDesc,
    features: Features,
    /// Rounds after which the driver leaves loops, if it does.
    rounds: Option<u64>,
}

impl WgpuTarget {
    /// WebGPU with default limits and no optional features: what every browser runs.
    pub fn webgpu() -> WgpuTarget {
        WgpuTarget { desc: TargetDesc::webgpu(), features: Features::empty(), rounds: None }
    }

    /// The same with subgroups of exactly this many threads, as an adapter with `subgroups` has them.
    pub fn with_subgroups(mut self, size: u32) -> WgpuTarget {
        self.features |= Features::SUBGROUP;
        self.desc.subgroups = true;
        self.desc.subgroup_size = [size, size];
        self
    }

    /// What an adapter offers.
    pub fn of(adapter: &wgpu::Adapter) -> WgpuTarget {
        let (info, limits, offered) = (adapter.get_info(), adapter.limits(), adapter.features());
        let mut desc = TargetDesc::webgpu();
        if info.device_type == wgpu::DeviceType::Cpu {
            tune_for_cpu(&mut desc);
        }
        desc.max_threads =
            limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x).min(1024);
        desc.workgroup_bytes = limits.max_compute_workgroup_storage_size;
        desc.max_buffers = limits.max_storage_buffers_per_shader_stage;
        desc.max_binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        desc.subgroup_size = [info.subgroup_min_size, info.subgroup_max_size];
        let mut features = Features::empty();
        for row in FEATURES.iter().filter(|r| offered.contains(r.feature)) {
            features |= row.feature;
            (row.apply)(&mut desc);
        }
        if info.device_type == wgpu::DeviceType::Cpu {
            features |= offered & SHARED_MEMORY;
        }
        desc.name = format!("wgpu-{}", if info.device_type == wgpu::DeviceType::Cpu { "cpu" } else { "gpu" });
        let rounds = (info.driver == "llvmpipe").then_some(rounds::LLVMPIPE);
        WgpuTarget { desc, features, rounds }
    }

    /// The same target with other numbers, for tuning.
    pub fn with_desc(mut self, desc: TargetDesc) -> WgpuTarget {
        self.desc = desc;
        self
    }

    /// Device features that kernels may need.
    pub fn features(&self) -> Features {
        self.features
    }

    /// What naga lets kernels use.
    pub fn capabilities(&self) -> Capabilities {
        let used = FEATURES.iter().filter(|r| self.features.contains(r.feature));
        // Every adapter has 16-bit floats packed in words, by WebGPU's rules.
        used.fold(Capabilities::SHADER_FLOAT16_IN_FLOAT32, |all, r| all | r.capability)
    }

    /// The WGSL of a SIMT kernel, validated.
    ///
    /// # Errors
    /// `W001` what WGSL cannot express, `W002` text that naga refuses, `S001` to `S004` a kernel that does not verify, `W005` too
    /// many buffers or too much workgroup memory for the adapter, `W007` more rounds of loops than the driver makes.
    pub fn emit(&self, kernel: &girih_simt::Kernel) -> Result<wgsl::Shader> {
        Ok(self.emit_with(kernel, &rounds::symbols([&kernel.groups]), threads(kernel))?.0)
    }

    /// The shader, and what its debug buffer means where it prints or asserts.
    fn emit_with(
        &self,
        kernel: &girih_simt::Kernel,
        symbols: &Symbols,
        instances: Instances,
    ) -> Result<(wgsl::Shader, Option<DebugInfo>)> {
        let unsure = |limit: &u64| {
            let (most, all) = rounds::most(kernel, symbols);
            !all || most > *limit
        };
        let wide = self.features.contains(Features::SHADER_INT64).then(|| products::widened(kernel)).flatten();
        let kernel = wide.as_ref().unwrap_or(kernel);
        let guarded = self.rounds.filter(unsure).map(|limit| guard::guard(kernel, limit));
        let kernel = guarded.as_ref().unwrap_or(kernel);
        let (instrumented, debug) = girih_simt::debug::instrument(kernel, instances).unzip();
        let kernel = instrumented.as_ref().unwrap_or(kernel);
        if !self.desc.wide_atomics
            && let Some(s) = wide_atomic(kernel, &kernel.body)
        {
            return Err(Diag::error("W001", format!("kernel `{}` updates 64 bits atomically", kernel.name))
                .at(&s.loc, "here")
                .note(format!("target `{}` has atomic operations on 32 bits only", self.desc.name))
                .help("use 32-bit values, or one value for each workgroup and a second kernel"));
        }
        let over = |what: &str, has: u64, most: u64| {
            Diag::error(
                "W005",
                format!("kernel `{}` has {has} {what}, target `{}` allows {most}", kernel.name, self.desc.name),
            )
        };
        if kernel.buffers.len() as u64 > self.desc.max_buffers as u64 {
            return Err(over("buffers", kernel.buffers.len() as u64, self.desc.max_buffers as u64)
                .help("split it into kernels of fewer operands"));
        }
        let threads = kernel.workgroup.iter().map(|n| *n as u64).product::<u64>();
        if threads > self.desc.max_threads as u64 {
            return Err(over("threads per workgroup", threads, self.desc.max_threads as u64).help("use smaller tiles"));
        }
        let component = |d: DType| if d == DType::Bool { 4 } else { d.bits() as u64 / 8 };
        let lanes = |n: u8| if n == 3 { 4 } else { n as u64 };
        let bytes = kernel.shared.iter().map(|s| s.len as u64 * lanes(s.elem.lanes) * component(s.elem.dtype)).sum();
        if bytes > self.desc.workgroup_bytes as u64 {
            return Err(
                over("bytes of workgroup memory", bytes, self.desc.workgroup_bytes as u64).help("use smaller tiles")
            );
        }
        // Sizes may turn out to be small.
        if let Some(limit) = self.rounds
            && let (most, _) = rounds::most(kernel, &Symbols::new())
            && most > limit
        {
            return Err(Diag::error(
                "W007",
                format!("a thread of kernel `{}` may go round its loops {most} times", kernel.name),
            )
            .note(format!("the driver of target `{}` leaves every loop after {limit} rounds", self.desc.name))
            .help("fold in two steps, give sizes tighter bounds, or use the cpu target"));
        }
        let shader = wgsl::print(kernel)?;
        check::validate(&kernel.name, &shader, self.capabilities())?;
        Ok((shader, debug))
    }

    /// A SIMT kernel as the plan holds it.
    ///
    /// # Errors
    /// As [`WgpuTarget::emit`].
    pub fn code(&self, kernel: &girih_simt::Kernel) -> Result<KernelCode> {
        let (shader, debug) = self.emit_with(kernel, &rounds::symbols([&kernel.groups]), threads(kernel))?;
        Ok(packed(kernel, shader, debug))
    }
}

/// An atomic operation on 64 bits.
fn wide_atomic<'k>(kernel: &girih_simt::Kernel, stmts: &'k [Stmt]) -> Option<&'k Stmt> {
    stmts.iter().find_map(|s| match &s.op {
        Op::Atomic(_, _, _, x) | Op::CompareExchange(_, _, x, _) => {
            (kernel.values[x.0 as usize].ty.dtype.bits() == 64).then_some(s)
        }
        op => op.blocks().into_iter().find_map(|b| wide_atomic(kernel, b)),
    })
}

/// What the bounds of sizes are looked up in.
type Symbols = std::collections::BTreeMap<Arc<str>, (i128, i128)>;

/// Workgroups and threads by number; who knows the grid's axes puts them in.
fn threads(kernel: &girih_simt::Kernel) -> Instances {
    Instances::Threads { grid: vec![kernel.groups.clone()], block: kernel.workgroup }
}

fn packed(kernel: &girih_simt::Kernel, shader: wgsl::Shader, debug: Option<DebugInfo>) -> KernelCode {
    KernelCode {
        name: kernel.name.clone(),
        format: Format::Wgsl,
        text: shader.text.into(),
        args: kernel.buffers.iter().map(|b| Arg { written: b.written, read_only: b.read_only }).collect(),
        uniforms: shader.uniforms,
        grid: vec![kernel.groups.clone()],
        flops: Dim::ZERO,
        traffic: Dim::ZERO,
        debug,
    }
}

impl Target for WgpuTarget {
    fn desc(&self) -> &TargetDesc {
        &self.desc
    }

    fn identity(&self) -> String {
        let key = format!("{:?} {:?} {:?}", self.desc, self.features, self.rounds);
        format!("wgpu {} {:016x}", env!("CARGO_PKG_VERSION"), fnv1a(key.as_bytes()))
    }

    fn compile(&self, kernel: &girih_tile::Kernel) -> Result<KernelCode> {
        let simt = girih_lower::distribute(kernel, &self.desc)?;
        let sizes = kernel.grid.iter().chain(kernel.params.iter().map(|p| &p.len));
        let (shader, debug) = self.emit_with(&simt, &rounds::symbols(sizes), girih_tile::debug::instances(kernel))?;
        let mut code = packed(&simt, shader, debug);
        let cost = girih_tile::cost(kernel);
        (code.flops, code.traffic) = (cost.flops, cost.bytes);
        Ok(code)
    }

    fn compile_simt(&self, kernel: &girih_simt::Kernel) -> Result<KernelCode> {
        girih_simt::verify::verify(kernel)?;
        self.code(kernel)
    }
}

/// CPU drivers run a workgroup as one thread with vector units, and compile slowly. Measured with `examples/matmul.rs` on llvmpipe
/// 22.3 (2 busy cores): 8x8 blocks in 128x128 tiles take 1.3, 24 and 243 ms for 256, 512 and 1024 and compile in 0.3 s; blocks of 16x8
/// to 32x16 are up to twice as slow, since their accumulators no longer stay in registers, and compile in 1 to 8 s.
fn tune_for_cpu(desc: &mut TargetDesc) {
    desc.dot_block = [8, 8];
    desc.dot_tile = [128, 128];
    desc.dot_depth = 4;
    desc.flops = 2e10;
    desc.bandwidth = 4e9;
    desc.launch = 1e-5;
}

/// The FNV-1a hash: the same on every host.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ *b as u64).wrapping_mul(0x100_0000_01b3))
}

/// The uniforms of a kernel as words.
///
/// # Errors
/// `W006` a symbol without a value, or one that does not fit.
pub(crate) fn uniform_words(
    name: &str,
    uniforms: &[Arc<str>],
    groups: u32,
    bindings: &girih_base::Bindings,
) -> Result<Vec<u32>> {
    let (own, sizes) = match uniforms.split_last() {
        Some((last, rest)) if &**last == wgsl::GROUPS => (Some(groups), rest),
        _ => (None, uniforms),
    };
    let refuse = |(symbol, value): (Arc<str>, Option<i64>)| match value {
        None => Diag::error("W006", format!("kernel `{name}` needs a value for `{symbol}`")),
        Some(v) => Diag::error("W006", format!("`{symbol}` is {v}, which kernel `{name}` cannot take")),
    };
    let mut words = girih_base::launch::words(sizes, bindings).map_err(refuse)?;
    words.extend(own);
    Ok(words)
}
