//! Adapters as devices: memory, pipelines and batches of commands.

mod adapter;
mod bind;
mod cache;
mod counted;
mod debug;
mod fault;
mod memory;
mod pipeline;
mod submit;
mod transfer;

pub use adapter::{DeviceInfo, Options, devices};

use crate::WgpuTarget;
use bind::BindKey;
use cache::CacheFile;
use debug::Debug;
use fault::Faults;
use girih_base::Result;
use girih_driver::Target;
use girih_exec::{BufferRef, Command, Device, DeviceId, KernelRef, MemRef, Prints, SharedBytes};
use girih_plan::KernelCode;
use memory::Memory;
use pipeline::{Layouts, Pipeline};
use std::collections::BTreeMap;
use submit::Uniforms;

/// A device behind wgpu.
pub struct WgpuDevice {
    id: DeviceId,
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: DeviceInfo,
    target: WgpuTarget,
    options: Options,
    faults: Faults,
    memory: Memory,
    layouts: Layouts,
    pipelines: BTreeMap<KernelRef, Pipeline>,
    /// Number of pipelines built so far: one that was given back is never taken for a later one.
    built: u32,
    by_text: BTreeMap<u64, Vec<KernelRef>>,
    bind_groups: BTreeMap<BindKey, wgpu::BindGroup>,
    uniforms: Uniforms,
    cache: Option<CacheFile>,
    notes: Vec<String>,
    lengths: Vec<f64>,
    debug: Debug,
}

impl WgpuDevice {
    /// Opens the first adapter that is not a CPU, else the first one.
    ///
    /// # Errors
    /// `W010` when there is no adapter, `W011` when it does not open.
    pub fn open_default() -> Result<WgpuDevice> {
        WgpuDevice::open(None, Options::default())
    }

    /// The compiler's side of this device.
    pub fn compiler(&self) -> WgpuTarget {
        self.target.clone()
    }

    /// The adapter.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// What the user should know: ignored cache files and the like. Each once.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Gives the adapter back at once: memory and kernels are gone, and every later call answers `W013`.
    pub fn close(&mut self) {
        self.device.destroy();
        // wgpu tells the loss only when the last command is done.
        self.faults.lose("it was closed");
    }

    /// Seconds of each launch of the last batch, where [`Options::profile`] is on and the adapter has clocks.
    pub fn profile(&self) -> &[f64] {
        &self.lengths
    }
}

impl Device for WgpuDevice {
    fn id(&self) -> DeviceId {
        self.id
    }

    fn name(&self) -> String {
        self.info.to_string()
    }

    fn target(&self) -> String {
        self.target.identity()
    }

    fn alignment(&self) -> u64 {
        // Whole elements of every type, so that a range that needs several bindings is cut between elements.
        self.device.limits().min_storage_buffer_offset_alignment.max(32) as u64
    }

    fn allocate(&mut self, bytes: u64) -> Result<BufferRef> {
        self.allocate_buffer(bytes)
    }

    fn adopt(&mut self, data: SharedBytes, range: std::ops::Range<usize>) -> Result<BufferRef> {
        self.adopt_bytes((*data).as_ref(), range)
    }

    fn free(&mut self, buffer: BufferRef) {
        self.bind_groups.retain(|key, _| !key.names(buffer));
        self.memory.free(buffer);
    }

    fn write(&mut self, buffer: BufferRef, offset: u64, data: &[u8]) -> Result<()> {
        self.write_buffer(buffer, offset, data)
    }

    fn read(&mut self, buffer: BufferRef, offset: u64, data: &mut [u8]) -> Result<()> {
        self.debug.log.check()?;
        self.read_buffer(buffer, offset, data)
    }

    fn load(&mut self, code: &KernelCode) -> Result<KernelRef> {
        self.load_kernel(code)
    }

    fn unload(&mut self, kernel: KernelRef) {
        self.unload_kernel(kernel);
    }

    fn submit(&mut self, commands: &[Command<'_>]) -> Result<()> {
        self.submit_commands(commands)
    }

    fn synchronize(&mut self) -> Result<()> {
        self.wait("waiting for the device")?;
        self.debug.log.check()
    }

    fn take_prints(&mut self) -> Prints {
        self.debug.log.take()
    }
}

impl Drop for WgpuDevice {
    fn drop(&mut self) {
        if self.faults.late() && self.wait("closing the device").is_err() {
            // Closing waits until the device is idle, which may be never: it is left to the end of the process.
            std::mem::forget((self.device.clone(), self.queue.clone()));
            return;
        }
        if let Some(cache) = &self.cache {
            cache.save();
        }
    }
}

/// A range of memory, for messages.
fn describe(m: &MemRef) -> String {
    format!("bytes {}..{} of buffer {}", m.offset, m.offset.saturating_add(m.bytes), m.buffer.0)
}
