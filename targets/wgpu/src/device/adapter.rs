//! Finding and opening adapters.

use super::WgpuDevice;
use super::cache::CacheFile;
use super::fault::Faults;
use super::memory::Memory;
use super::pipeline::Layouts;
use super::submit::Uniforms;
use crate::WgpuTarget;
use girih_base::{Diag, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How to open a device.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest time that one wait may take; a kernel that hangs is reported then.
    pub timeout: Duration,
    /// Folder for compiled pipelines, where the backend has such a cache.
    pub cache_dir: Option<PathBuf>,
    /// Measure every launch.
    pub profile: bool,
    /// Largest binding of a kernel's argument in bytes, where less than the adapter's is wanted (for tests); at least 256.
    pub max_binding: Option<u64>,
    /// Largest buffer of an allocation in bytes, where less than the adapter's is wanted (for tests); at least 512.
    pub max_buffer: Option<u64>,
}

impl Default for Options {
    fn default() -> Options {
        let (timeout, cache_dir, profile) = (Duration::from_secs(600), None, false);
        Options { timeout, cache_dir, profile, max_binding: None, max_buffer: None }
    }
}

/// An adapter, for people and for choosing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name of the adapter.
    pub name: String,
    /// `vulkan`, `metal`, `dx12`, `gl`.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub kind: &'static str,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}, {})", self.name, self.backend, self.kind, self.driver)
    }
}

impl DeviceInfo {
    fn of(info: &wgpu::AdapterInfo) -> DeviceInfo {
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "cpu",
            wgpu::DeviceType::Other => "other",
        };
        DeviceInfo {
            name: info.name.clone(),
            backend: info.backend.to_str().to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            kind,
        }
    }
}

/// Every adapter that can run our kernels, in the order the system lists them; empty where there is no driver.
pub fn devices() -> Vec<DeviceInfo> {
    adapters().iter().map(|a| DeviceInfo::of(&a.get_info())).collect()
}

fn adapters() -> Vec<wgpu::Adapter> {
    // A loader or driver that panics counts as one that is not there.
    let find = |backends: wgpu::Backends| {
        let mut desc = wgpu::InstanceDescriptor::new_without_display_handle();
        desc.flags = wgpu::InstanceFlags::empty();
        // Refuse an allocation that the adapter's memory cannot hold, rather than let the system find out when it is written.
        desc.memory_budget_thresholds.for_resource_creation = Some(95);
        desc.backends = backends;
        let instance = wgpu::Instance::new(desc);
        let all = pollster::block_on(instance.enumerate_adapters(backends));
        let runs_compute = |a: &wgpu::Adapter| {
            a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
                && a.limits().max_storage_buffers_per_shader_stage >= 4
        };
        all.into_iter().filter(runs_compute).collect::<Vec<_>>()
    };
    // Not OpenGL: the GLSL that naga writes leaves integer division by zero to the driver.
    std::panic::catch_unwind(|| find(wgpu::Backends::PRIMARY)).unwrap_or_default()
}

impl WgpuDevice {
    /// Opens the adapter of that place in [`devices()`], or without one the first that is not a CPU, else the first.
    ///
    /// # Errors
    /// `W010` when there is no such adapter, `W011` when it does not open.
    pub fn open(index: Option<usize>, options: Options) -> Result<WgpuDevice> {
        let mut all = adapters();
        let hardware = all.iter().position(|a| a.get_info().device_type != wgpu::DeviceType::Cpu);
        let chosen = index.or(hardware).unwrap_or(0);
        if chosen >= all.len() {
            let list: Vec<String> = all.iter().map(|a| DeviceInfo::of(&a.get_info()).to_string()).collect();
            let found =
                if list.is_empty() { "none was found".to_string() } else { format!("found: {}", list.join("; ")) };
            return Err(Diag::error("W010", format!("there is no graphics adapter number {chosen}"))
                .note(found)
                .help("install a Vulkan driver (on Linux, mesa-vulkan-drivers has one for every machine), or use the cpu target"));
        }
        WgpuDevice::start(all.swap_remove(chosen), options)
    }

    fn start(adapter: wgpu::Adapter, options: Options) -> Result<WgpuDevice> {
        let target = WgpuTarget::of(&adapter);
        let info = adapter.get_info();
        let mut limits = adapter.limits();
        let lower = |own: &mut u64, wish: Option<u64>, least: u64| *own = wish.map_or(*own, |n| n.max(least).min(*own));
        lower(&mut limits.max_storage_buffer_binding_size, options.max_binding, 256);
        let mut most = limits.max_buffer_size;
        lower(&mut most, options.max_buffer, 512);
        let binding = limits.max_storage_buffer_binding_size;
        let request = wgpu::DeviceDescriptor {
            label: Some("girih"),
            required_features: target.features(),
            required_limits: limits,
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let failed = |why: String| Diag::error("W011", format!("adapter `{}` does not open", info.name)).note(why);
        let (device, queue) =
            pollster::block_on(adapter.request_device(&request)).map_err(|e| failed(e.to_string()))?;
        let faults = Faults::watch(&device);
        let mut notes = Vec::new();
        let cache = CacheFile::open(&device, &info, target.features(), options.cache_dir.as_deref(), &mut notes);
        Ok(WgpuDevice {
            id: girih_exec::DeviceId::next(),
            info: DeviceInfo::of(&info),
            memory: Memory::new(target.features().contains(wgpu::Features::MAPPABLE_PRIMARY_BUFFERS), binding, most),
            layouts: Layouts::new(&device),
            uniforms: Uniforms::default(),
            pipelines: BTreeMap::new(),
            built: 0,
            by_text: BTreeMap::new(),
            bind_groups: BTreeMap::new(),
            lengths: Vec::new(),
            debug: super::debug::Debug::default(),
            device,
            queue,
            target,
            options,
            faults,
            cache,
            notes,
        })
    }
}
