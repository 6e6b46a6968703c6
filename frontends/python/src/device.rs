//! Devices by name, each opened once.

use crate::fault::raise;
use girih_base::{Diag, Result};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::{Target, cache};
use girih_emulator::{Emulator, EmulatorDevice, SUBGROUPS};
use girih_exec::{Device, Session};
use girih_wgpu::{DeviceInfo, WgpuDevice, WgpuTarget};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A device and the target that compiles for it.
pub struct Rig {
    /// `cpu` or `wgpu:N`.
    pub name: String,
    /// Compiles.
    pub target: Box<dyn Target + Send + Sync>,
    /// Runs.
    pub session: Session,
    /// For an adapter, what shaders may use.
    pub shaders: Option<WgpuTarget>,
}

static RIGS: Mutex<BTreeMap<String, Arc<Rig>>> = Mutex::new(BTreeMap::new());

/// The adapters of this machine; looked for once, since drivers take their time.
fn adapters() -> &'static [DeviceInfo] {
    static FOUND: OnceLock<Vec<DeviceInfo>> = OnceLock::new();
    FOUND.get_or_init(girih_wgpu::devices)
}

/// What a device is called, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    Cpu,
    /// An adapter by its place in the list, or the best one.
    Wgpu(Option<usize>),
    /// The checker, with subgroups of this many threads.
    Check(u32),
}

impl Spec {
    fn parse(text: &str) -> Result<Spec> {
        let unknown = || {
            Diag::error("Y001", format!("`{text}` is not a device"))
                .help("give cpu, wgpu, wgpu:N, check or auto; `girih.devices()` lists them")
        };
        match text.split_once(':') {
            None if text == "auto" => Ok(best()),
            None if text == "cpu" => Ok(Spec::Cpu),
            None if text == "wgpu" => Ok(Spec::Wgpu(None)),
            None if text == "check" => Ok(Spec::Check(32)),
            Some(("check", n)) => match n.parse() {
                Ok(n) if SUBGROUPS.contains(&n) => Ok(Spec::Check(n)),
                _ => Err(unknown()),
            },
            Some(("wgpu", n)) => n.parse().map(|n| Spec::Wgpu(Some(n))).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

/// The first real GPU, else the CPU: a driver that computes on the processor is slower than our own CPU target.
fn best() -> Spec {
    let real = |info: &DeviceInfo| matches!(info.kind, "discrete" | "integrated" | "virtual");
    adapters().iter().position(real).map_or(Spec::Cpu, |at| Spec::Wgpu(Some(at)))
}

/// A device that nobody else has, and what compiles for it.
pub struct Fresh {
    /// `cpu` or `wgpu:N`.
    pub name: String,
    /// Compiles.
    pub target: Box<dyn Target + Send + Sync>,
    /// Runs.
    pub device: Box<dyn Device>,
    shaders: Option<WgpuTarget>,
}

/// A target and a device of their own, not shared with anyone.
///
/// # Errors
/// `Y001` for a name that is none, `W010` and `W011` for an adapter that is not there or does not open.
pub fn fresh(name: &str) -> Result<Fresh> {
    match Spec::parse(name)? {
        Spec::Cpu => {
            let (target, device) = (Box::new(CpuTarget::new()), Box::new(CpuDevice::new()));
            Ok(Fresh { name: "cpu".into(), target, device, shaders: None })
        }
        Spec::Check(subgroup) => {
            let target = Emulator::new(subgroup);
            let device = Box::new(EmulatorDevice::new(&target));
            let name = if subgroup == 32 { "check".into() } else { format!("check:{subgroup}") };
            Ok(Fresh { name, target: Box::new(target), device, shaders: None })
        }
        Spec::Wgpu(index) => {
            let cache_dir = cache::folder().map(|f| f.join("pipelines"));
            // The best adapter is the first that is not a processor; see `WgpuDevice::open`.
            let index = index.or_else(|| adapters().iter().position(|info| info.kind != "cpu")).unwrap_or(0);
            let device = WgpuDevice::open(Some(index), girih_wgpu::Options { cache_dir, ..Default::default() })?;
            let target = device.compiler();
            let shaders = Some(target.clone());
            Ok(Fresh { name: format!("wgpu:{index}"), target: Box::new(target), device: Box::new(device), shaders })
        }
    }
}

/// The shared device of that name.
///
/// # Errors
/// As [`fresh`].
pub fn rig(name: &str) -> Result<Arc<Rig>> {
    let mut rigs = RIGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(rig) = rigs.get(name) {
        return Ok(rig.clone());
    }
    let Fresh { name: own, target, device, shaders } = fresh(name)?;
    // `wgpu` and `wgpu:0` are one device.
    let rig = match rigs.get(&own) {
        Some(rig) => rig.clone(),
        None => Arc::new(Rig { name: own.clone(), target, session: Session::new(device), shaders }),
    };
    rigs.insert(own, rig.clone());
    rigs.insert(name.to_string(), rig.clone());
    Ok(rig)
}

/// Everything that can be opened here, as name, description and kind: the CPU, then every adapter.
#[pyfunction]
pub fn devices(py: Python<'_>) -> PyResult<Vec<(String, String, &'static str)>> {
    let found = py.detach(|| {
        let processor = girih_cpu::describe()?;
        let mut all = vec![("cpu".to_string(), format!("this processor ({processor})"), "cpu")];
        let adapters = adapters().iter().enumerate();
        all.extend(adapters.map(|(i, info)| (format!("wgpu:{i}"), info.to_string(), info.kind)));
        Ok(all)
    });
    raise(found)
}

/// The name of the first real GPU, else `cpu`.
#[pyfunction]
pub fn auto(py: Python<'_>) -> String {
    match py.detach(best) {
        Spec::Wgpu(Some(at)) => format!("wgpu:{at}"),
        Spec::Wgpu(None) => "wgpu".into(),
        Spec::Cpu | Spec::Check(_) => "cpu".into(),
    }
}

/// Opens a device unless it is open; gives its full name and its description.
#[pyfunction]
pub fn open(py: Python<'_>, name: &str) -> PyResult<(String, String)> {
    raise(py.detach(|| rig(name).map(|rig| (rig.name.clone(), rig.session.name()))))
}

/// Waits until everything submitted to a device is done.
#[pyfunction]
pub fn synchronize(py: Python<'_>, name: &str) -> PyResult<()> {
    raise(py.detach(|| rig(name)?.session.synchronize()))
}
