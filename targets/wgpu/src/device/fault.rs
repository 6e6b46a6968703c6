//! What can go wrong on a device, as diagnostics.

use super::WgpuDevice;
use girih_base::{Diag, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Faults that arrive outside of any call: device loss and uncaptured errors.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    lost: Arc<Mutex<Option<String>>>,
    stray: Arc<Mutex<Option<String>>>,
    /// A wait took too long, and the device has not finished since.
    late: Arc<AtomicBool>,
}

impl Faults {
    /// Listens to a device.
    pub fn watch(device: &wgpu::Device) -> Faults {
        let faults = Faults::default();
        let lost = faults.lost.clone();
        device.set_device_lost_callback(move |reason, message| {
            note(&lost, format!("{reason:?}: {message}"));
        });
        let stray = faults.stray.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| note(&stray, e.to_string())));
        faults
    }

    /// From now on the device is lost.
    pub fn lose(&self, why: &str) {
        note(&self.lost, why.to_string());
    }

    /// Whether the device still owes an answer that took too long.
    pub fn late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    /// The fault that arrived, if any.
    fn check(&self, doing: &str) -> Result<()> {
        if let Some(why) = self.lost.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Err(Diag::error("W013", format!("the device was lost while {doing}"))
                .note(why.clone())
                .help("a driver reset or a kernel that ran too long; open the device again"));
        }
        match self.stray.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(why) => Err(Diag::error("W015", format!("the device refused {doing}")).note(why)),
            None => Ok(()),
        }
    }
}

/// Keeps the first message.
fn note(slot: &Mutex<Option<String>>, message: String) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
}

impl WgpuDevice {
    /// Runs `work`; whatever the device reports meanwhile becomes the error.
    ///
    /// # Errors
    /// `W012` out of memory, `W013` device lost, `W014` it is still busy with what took too long, `W015` anything else the device
    /// refuses.
    pub(super) fn guarded<T>(&self, doing: &str, work: impl FnOnce() -> T) -> Result<T> {
        self.faults.check(doing)?;
        if self.faults.late() {
            self.wait(doing)?;
        }
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let out = work();
        let refused = pollster::block_on(validation.pop()).or(pollster::block_on(internal.pop()));
        let starved = pollster::block_on(memory.pop());
        self.faults.check(doing)?;
        if starved.is_some() {
            return Err(self.out_of_memory(doing));
        }
        match refused {
            Some(e) => Err(Diag::error("W015", format!("the device refused {doing}")).note(e.to_string())),
            None => Ok(out),
        }
    }

    pub(super) fn out_of_memory(&self, doing: &str) -> Box<Diag> {
        Diag::error("W012", format!("`{}` ran out of memory while {doing}", self.info.name))
            .help("use a smaller batch, shorter sequences, or quantised weights")
    }

    /// Waits for everything submitted. After a wait that took too long the next ones only ask whether the device is done by now.
    ///
    /// # Errors
    /// `W013` device lost, `W014` it takes too long.
    pub(super) fn wait(&self, doing: &str) -> Result<()> {
        let limit = self.options.timeout;
        let timeout = if self.faults.late() { Duration::ZERO } else { limit };
        let polled = self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(timeout) });
        self.faults.check(doing)?;
        self.faults.late.store(polled.is_err(), Ordering::Relaxed);
        polled.map(|_| ()).map_err(|e| {
            Diag::error("W014", format!("{doing} took more than {} s", limit.as_secs_f64()))
                .note(e.to_string())
                .help("a kernel may loop for ever; raise the time-out if it is only slow")
        })
    }
}
