//! What a target must offer to run plans.

use crate::debug::Prints;
use girih_base::{Bindings, Result};
use girih_plan::KernelCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which device of this process one is: an opened device has a number that none before it had, nor any after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(u64);

impl DeviceId {
    /// The identity of a device that is being opened.
    pub fn next() -> DeviceId {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        DeviceId(OPENED.fetch_add(1, Ordering::Relaxed))
    }
}

/// A device allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferRef(pub u32);

/// A loaded kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelRef(pub u32);

/// A byte range of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemRef {
    /// The allocation.
    pub buffer: BufferRef,
    /// First byte; a multiple of [`Device::alignment`].
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// Host bytes that a device may keep using without a copy, such as a memory-mapped file.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// One thing for the device to do.
#[derive(Clone, Debug)]
pub enum Command<'a> {
    /// Launches a kernel.
    Launch {
        /// The kernel.
        kernel: KernelRef,
        /// One range per argument.
        args: &'a [MemRef],
        /// Values of the symbols that the kernel's sizes mention.
        bindings: &'a Bindings,
    },
    /// Copies bytes; the ranges do not overlap.
    Copy {
        /// Source.
        from: MemRef,
        /// Destination, of the same size.
        to: MemRef,
    },
}

/// Memory and kernels. Commands take effect in order; reads wait for what was submitted before.
pub trait Device: Send {
    /// Which device it is: what was loaded into or allocated on one device means nothing to another.
    fn id(&self) -> DeviceId;

    /// Name for people: adapter, driver, CPU features.
    fn name(&self) -> String;

    /// Identity of the target whose plans it runs.
    fn target(&self) -> String;

    /// Offsets of memory ranges are multiples of this many bytes.
    fn alignment(&self) -> u64;

    /// Allocates zeroed memory.
    fn allocate(&mut self, bytes: u64) -> Result<BufferRef>;

    /// Makes host bytes readable by kernels; devices that share the host's memory need not copy.
    fn adopt(&mut self, data: SharedBytes, range: std::ops::Range<usize>) -> Result<BufferRef>;

    /// Gives an allocation back.
    fn free(&mut self, buffer: BufferRef);

    /// Writes host bytes.
    fn write(&mut self, buffer: BufferRef, offset: u64, data: &[u8]) -> Result<()>;

    /// Reads into host bytes.
    fn read(&mut self, buffer: BufferRef, offset: u64, data: &mut [u8]) -> Result<()>;

    /// Compiles a kernel.
    fn load(&mut self, code: &KernelCode) -> Result<KernelRef>;

    /// Gives a kernel back. One that was loaded several times goes when each load was given back.
    fn unload(&mut self, kernel: KernelRef);

    /// Submits commands as one batch.
    fn submit(&mut self, commands: &[Command<'_>]) -> Result<()>;

    /// Waits until everything submitted is done.
    ///
    /// # Errors
    /// `X013`, once, when an assertion of a kernel failed since the last call; [`Device::read`] tells it, too.
    fn synchronize(&mut self) -> Result<()>;

    /// The lines that kernels printed since the last call. (A launch of a kernel that prints or asserts is waited for, so that all
    /// lines of what was submitted are there.)
    fn take_prints(&mut self) -> Prints {
        Prints::default()
    }
}
