//! The device that `GIRIH_DEVICE` names: `cpu`, `wgpu`, `wgpu:N`, or `auto`: the first real GPU, else the CPU.

use girih_base::{Diag, Result};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::{Target, cache};
use girih_exec::Device;
use girih_wgpu::WgpuDevice;

/// The environment variable.
pub const DEVICE: &str = "GIRIH_DEVICE";

/// A compiler and a device.
pub struct Rig {
    /// Compiles.
    pub target: Box<dyn Target + Send>,
    /// Runs.
    pub device: Box<dyn Device>,
}

impl Rig {
    /// Opens what the environment names.
    ///
    /// # Errors
    /// `N002` for a name of no device, `W010` and `W011` for an adapter that is not there or does not open.
    pub fn open() -> Result<Rig> {
        let name = std::env::var(DEVICE).unwrap_or_else(|_| "auto".into());
        match name.split_once(':') {
            None if name == "cpu" => Ok(cpu()),
            None if name == "wgpu" => wgpu(None),
            None if name == "auto" => {
                let real = |kind: &str| matches!(kind, "discrete" | "integrated" | "virtual");
                match girih_wgpu::devices().iter().position(|info| real(info.kind)) {
                    Some(n) => wgpu(Some(n)),
                    None => Ok(cpu()),
                }
            }
            Some(("wgpu", n)) if n.parse::<usize>().is_ok() => wgpu(n.parse().ok()),
            _ => {
                Err(Diag::error("N002", format!("{DEVICE}={name} names no device"))
                    .help("give cpu, wgpu, wgpu:N or auto"))
            }
        }
    }
}

fn cpu() -> Rig {
    Rig { target: Box::new(CpuTarget::new()), device: Box::new(CpuDevice::new()) }
}

fn wgpu(index: Option<usize>) -> Result<Rig> {
    let cache_dir = cache::folder().map(|f| f.join("pipelines"));
    let device = WgpuDevice::open(index, girih_wgpu::Options { cache_dir, ..Default::default() })?;
    Ok(Rig { target: Box::new(device.compiler()), device: Box::new(device) })
}
