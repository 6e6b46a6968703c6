//! Choosing a device: a target that compiles and a device that runs.

use girih_base::{Diag, Result};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::{Target, cache};
use girih_emulator::{Emulator, EmulatorDevice, SUBGROUPS};
use girih_exec::Device;
use girih_wgpu::{DeviceInfo, WgpuDevice};
use std::fmt;
use std::str::FromStr;

/// What the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceSpec {
    /// The first real GPU, else the CPU.
    Auto,
    /// This machine's processors.
    Cpu,
    /// A graphics adapter by its place in the list, or the best one.
    Wgpu(Option<usize>),
    /// The checker, with subgroups of this many threads: slow, and every wrong access is an error.
    Check(u32),
}

impl FromStr for DeviceSpec {
    type Err = String;
    fn from_str(s: &str) -> std::result::Result<DeviceSpec, String> {
        match s.split_once(':') {
            None if s == "auto" => Ok(DeviceSpec::Auto),
            None if s == "cpu" => Ok(DeviceSpec::Cpu),
            None if s == "wgpu" => Ok(DeviceSpec::Wgpu(None)),
            None if s == "check" => Ok(DeviceSpec::Check(32)),
            Some(("check", n)) => match n.parse() {
                Ok(n) if SUBGROUPS.contains(&n) => Ok(DeviceSpec::Check(n)),
                _ => Err(format!("`{n}` is no width of subgroups: give 4, 8, 16, 32 or 64")),
            },
            Some(("wgpu", n)) => {
                n.parse().map(|n| DeviceSpec::Wgpu(Some(n))).map_err(|_| format!("`{n}` is not a number"))
            }
            _ => Err("give cpu, wgpu, wgpu:N, check or auto".into()),
        }
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceSpec::Auto => f.write_str("auto"),
            DeviceSpec::Cpu => f.write_str("cpu"),
            DeviceSpec::Wgpu(None) => f.write_str("wgpu"),
            DeviceSpec::Wgpu(Some(n)) => write!(f, "wgpu:{n}"),
            DeviceSpec::Check(32) => f.write_str("check"),
            DeviceSpec::Check(n) => write!(f, "check:{n}"),
        }
    }
}

/// A target and its device.
pub struct Rig {
    /// Compiles.
    pub target: Box<dyn Target>,
    /// Runs.
    pub device: Box<dyn Device>,
}

impl Rig {
    /// Opens what was asked for.
    ///
    /// # Errors
    /// `W010` and `W011` for an adapter that is not there or does not open.
    pub fn open(spec: DeviceSpec) -> Result<Rig> {
        match spec {
            DeviceSpec::Cpu => Ok(Rig { target: Box::new(CpuTarget::new()), device: Box::new(CpuDevice::new()) }),
            DeviceSpec::Wgpu(index) => {
                let cache_dir = cache::folder().map(|f| f.join("pipelines"));
                let device = WgpuDevice::open(index, girih_wgpu::Options { cache_dir, ..Default::default() })?;
                Ok(Rig { target: Box::new(device.compiler()), device: Box::new(device) })
            }
            DeviceSpec::Check(subgroup) => {
                let target = Emulator::new(subgroup);
                let device = Box::new(EmulatorDevice::new(&target));
                Ok(Rig { target: Box::new(target), device })
            }
            DeviceSpec::Auto => Rig::open(auto()),
        }
    }
}

/// Everything that can be opened here: the CPU, then every adapter.
pub fn all() -> Vec<(DeviceSpec, Option<DeviceInfo>)> {
    let adapters = girih_wgpu::devices().into_iter().enumerate();
    let adapters = adapters.map(|(i, info)| (DeviceSpec::Wgpu(Some(i)), Some(info)));
    std::iter::once((DeviceSpec::Cpu, None)).chain(adapters).collect()
}

/// What `auto` stands for on this machine. A driver that computes on the processor is slower than our own CPU target.
pub fn auto() -> DeviceSpec {
    let real = |info: &DeviceInfo| matches!(info.kind, "discrete" | "integrated" | "virtual");
    all().into_iter().find(|(_, info)| info.as_ref().is_some_and(real)).map_or(DeviceSpec::Cpu, |(spec, _)| spec)
}

/// An error for a command that was given something it does not know.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> Box<Diag> {
    Diag::error("C004", format!("there is no {what} `{name}`")).help(format!("known: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn devices_are_written_as_they_are_read() {
        for text in ["auto", "cpu", "wgpu", "wgpu:3", "check", "check:8"] {
            assert_eq!(text.parse::<DeviceSpec>().unwrap().to_string(), text);
        }
        for text in ["", "gpu", "wgpu:", "wgpu:-1", "cpu:0", "check:5"] {
            assert!(text.parse::<DeviceSpec>().is_err(), "{text}");
        }
    }
}
