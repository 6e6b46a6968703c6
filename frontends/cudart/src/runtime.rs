//! The state of the process: its device, memory and programs.

use crate::code::{Code, Fault, Outcome};
use crate::events::Handles;
use crate::memory::Memory;
use crate::program::Programs;
use crate::rig::Rig;
use crate::texture::Objects;
use girih_base::Diag;
use girih_exec::ASSERTION_FAILED;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Everything the calls share.
#[derive(Default)]
pub struct Runtime {
    /// The device, opened by the first call that needs it.
    pub rig: Option<Rig>,
    /// Allocations.
    pub memory: Memory,
    /// What was registered.
    pub programs: Programs,
    /// Texture and surface objects.
    pub textures: Objects,
    /// Streams and events.
    pub handles: Handles,
    /// A kernel did not run, or not to its end: every call gives this.
    pub failed: Option<Code>,
    /// Bytes of the host's memory, once asked for.
    host_bytes: Option<u64>,
}

static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// What the device reports after the fact: an assertion that failed, or a kernel that ended early.
pub fn failed(d: Box<Diag>) -> Fault {
    Fault::lasting(if d.code == ASSERTION_FAILED { Code::ASSERT } else { Code::LAUNCH_FAILURE }, d)
}

/// The one runtime of the process.
pub struct Locked(MutexGuard<'static, Option<Runtime>>);

impl Locked {
    /// Waits for other threads' calls.
    pub fn now() -> Locked {
        Locked(RUNTIME.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The runtime.
    pub fn get(&mut self) -> &mut Runtime {
        self.0.get_or_insert_default()
    }
}

impl Runtime {
    /// The device.
    ///
    /// # Errors
    /// `cudaErrorNoDevice` where what the environment names does not open.
    pub fn open(&mut self) -> Outcome<&mut Rig> {
        if self.rig.is_none() {
            self.rig = Some(Rig::open().map_err(|d| Fault::lasting(Code::NO_DEVICE, d))?);
        }
        self.rig.as_mut().ok_or(Code::NO_DEVICE.into())
    }

    /// Device and memory together.
    ///
    /// # Errors
    /// As [`Runtime::open`].
    pub fn parts(&mut self) -> Outcome<(&mut Rig, &mut Memory, &mut Programs)> {
        self.open()?;
        let rig = self.rig.as_mut().ok_or(Code::NO_DEVICE)?;
        Ok((rig, &mut self.memory, &mut self.programs))
    }

    /// Waits for the device, and brings the host's copies up to date.
    ///
    /// # Errors
    /// What the device reports.
    pub fn synchronize(&mut self) -> Outcome<()> {
        let Some(rig) = &mut self.rig else { return Ok(()) };
        let device = &mut *rig.device;
        device.synchronize().and_then(|()| self.memory.pull(device)).map_err(failed)
    }

    /// Says what kernels printed.
    pub fn say_prints(&mut self) {
        let Some(rig) = &mut self.rig else { return };
        let prints = rig.device.take_prints();
        let text: String = prints.lines.iter().map(|line| &*line.text).collect();
        crate::abi::say(&text);
        if prints.lost > 0 {
            crate::abi::say(&format!("({} lines that kernels printed found no room)\n", prints.lost));
        }
    }

    /// An event happens when all before it is done.
    ///
    /// # Errors
    /// `cudaErrorInvalidResourceHandle`, and what the device reports.
    pub fn record(&mut self, event: u64) -> Outcome<()> {
        if let Some(rig) = &mut self.rig {
            rig.device.synchronize().map_err(failed)?;
        }
        self.handles.record(event)
    }

    /// Memory is given back, and a failure forgotten.
    pub fn reset(&mut self) {
        if let Some(rig) = &mut self.rig {
            self.memory.clear(&mut *rig.device);
        }
        self.programs.forget_memory();
        self.failed = None;
    }

    /// Bytes that device memory may take: the host's, since every device here may share it.
    pub fn total(&mut self) -> u64 {
        *self.host_bytes.get_or_insert_with(|| {
            let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
            let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"));
            let kilobytes = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            kilobytes.map_or(4 << 30, |k| k * 1024)
        })
    }
}
