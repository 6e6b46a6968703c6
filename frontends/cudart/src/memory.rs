//! The program's view of memory: addresses, and what they stand for.
//!
//! Memory of the device gets addresses from 2^55 upwards, where no system maps anything for a program: an address tells its
//! allocation and the offset in it, distances between pointers are right, and a host that follows one is stopped at once.
//! Page-locked and managed memory is read and written by both sides: it lies in the host's memory, at its true address, and has a
//! copy on the device. The copy is brought up to date before a launch that takes it, and read back when the host waits.

use crate::abi::HostMemory;
use crate::code::{Code, Fault, Outcome};
use girih_base::{Diag, Result};
use girih_exec::{BufferRef, Device, MemRef};
use std::collections::BTreeMap;

/// The first address of device memory.
const BASE: u64 = 1 << 55;
/// Allocations begin and end at multiples of this many bytes, as those of CUDA do.
const GRAIN: u64 = 256;
/// Bytes behind an allocation that kernels may reach, too: CUDA hands out pages, and programs reach past their ends unnoticed, where
/// shaders would read and write the last element instead. (To find such accesses is the work of `girih check`.)
const SLACK: u64 = 4096;
/// Bytes between allocations that belong to none.
const GAP: u64 = 1 << 16;

/// Where the newest bytes of memory with two copies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    Host,
    Device,
}

/// An allocation.
pub struct Allocation {
    /// Bytes asked for.
    pub bytes: u64,
    /// Its memory on the device.
    pub buffer: BufferRef,
    /// Its memory on the host, for page-locked and managed memory.
    host: Option<HostMemory>,
    newest: Newest,
    /// Managed, not page-locked.
    pub managed: bool,
}

impl Allocation {
    /// Bytes on the device.
    fn room(&self) -> u64 {
        self.bytes.max(1).next_multiple_of(GRAIN) + SLACK
    }

    /// All of it.
    pub fn whole(&self) -> MemRef {
        MemRef { buffer: self.buffer, offset: 0, bytes: self.room() }
    }

    /// Whether the host may follow its address.
    pub fn on_host(&self) -> bool {
        self.host.is_some()
    }

    /// Brings the device's copy up to date.
    ///
    /// # Errors
    /// What the device answers.
    pub fn push(&mut self, device: &mut dyn Device) -> Result<()> {
        match (&self.host, self.newest) {
            (Some(host), Newest::Host) => device.write(self.buffer, 0, &host.bytes()),
            _ => Ok(()),
        }
    }

    /// A kernel wrote the device's copy.
    pub fn written(&mut self) {
        if self.host.is_some() {
            self.newest = Newest::Device;
        }
    }

    /// Brings the host's copy up to date.
    ///
    /// # Errors
    /// What the device answers.
    pub fn pull(&mut self, device: &mut dyn Device) -> Result<()> {
        let Some(host) = self.host.as_mut().filter(|_| self.newest == Newest::Device) else { return Ok(()) };
        let mut bytes = vec![0; self.bytes as usize];
        device.read(self.buffer, 0, &mut bytes)?;
        host.fill(&bytes);
        self.newest = Newest::Host;
        Ok(())
    }
}

/// Every allocation by its first address.
#[derive(Default)]
pub struct Memory {
    by_address: BTreeMap<u64, Allocation>,
    next: u64,
    /// Bytes allocated on the device.
    pub taken: u64,
}

impl Memory {
    /// Allocates on the device and gives the address; for no bytes the null pointer.
    ///
    /// # Errors
    /// `cudaErrorMemoryAllocation` where the device has no room.
    pub fn allocate(&mut self, device: &mut dyn Device, bytes: u64) -> Outcome<u64> {
        if bytes == 0 {
            return Ok(0);
        }
        let buffer = self.buffer(device, bytes)?;
        let address = self.next.max(BASE);
        self.next = address + bytes.next_multiple_of(GAP) + GAP;
        self.by_address
            .insert(address, Allocation { bytes, buffer, host: None, newest: Newest::Device, managed: false });
        Ok(address)
    }

    /// Allocates memory that host and device read and write.
    ///
    /// # Errors
    /// `cudaErrorMemoryAllocation` where there is no room.
    pub fn allocate_both(&mut self, device: &mut dyn Device, bytes: u64, managed: bool) -> Outcome<u64> {
        if bytes == 0 {
            return Ok(0);
        }
        let host = HostMemory::zeroed(bytes as usize).ok_or(Code::MEMORY_ALLOCATION)?;
        let buffer = self.buffer(device, bytes)?;
        let address = host.address();
        self.by_address.insert(address, Allocation { bytes, buffer, host: Some(host), newest: Newest::Host, managed });
        Ok(address)
    }

    fn buffer(&mut self, device: &mut dyn Device, bytes: u64) -> Outcome<BufferRef> {
        let room =
            bytes.checked_next_multiple_of(GRAIN).filter(|n| *n < 1 << 48).ok_or(Code::MEMORY_ALLOCATION)? + SLACK;
        let buffer = device.allocate(room).map_err(|d| Fault::said(Code::MEMORY_ALLOCATION, d))?;
        self.taken += room;
        Ok(buffer)
    }

    /// Gives an allocation back.
    ///
    /// # Errors
    /// `cudaErrorInvalidValue` where none begins there.
    pub fn free(&mut self, device: &mut dyn Device, address: u64) -> Outcome<()> {
        if address == 0 {
            return Ok(());
        }
        let gone = self.by_address.remove(&address).ok_or(Code::INVALID_VALUE)?;
        self.taken -= gone.room();
        device.free(gone.buffer);
        Ok(())
    }

    /// The allocation that an address lies in, or is the end of, and the offset in it.
    pub fn find(&self, address: u64) -> Option<(u64, &Allocation, u64)> {
        let (start, found) = self.by_address.range(..=address).next_back()?;
        let offset = address - start;
        (offset <= found.bytes).then_some((*start, found, offset))
    }

    /// The allocation that begins at an address.
    pub fn at(&mut self, start: u64) -> Option<&mut Allocation> {
        self.by_address.get_mut(&start)
    }

    /// The allocation of `bytes` bytes from an address, which lie in it: its start and the offset. `None` for an address of the
    /// host's own memory.
    ///
    /// # Errors
    /// `cudaErrorInvalidValue` where only a part lies in it.
    pub fn range(&self, address: u64, bytes: u64) -> Outcome<Option<(u64, u64)>> {
        match self.find(address) {
            Some((start, found, offset)) if bytes <= found.bytes - offset => Ok(Some((start, offset))),
            // The end of one allocation may be where other memory of the host begins.
            Some((_, found, offset)) if found.on_host() && offset == found.bytes => Ok(None),
            Some((_, found, offset)) => {
                let text = format!("{bytes} bytes from byte {offset} of an allocation of {} bytes", found.bytes);
                Err(Fault::said(Code::INVALID_VALUE, Diag::error("N001", text)))
            }
            None if address >= BASE => {
                let text = format!("{address:#x} is no address of device memory");
                let diag =
                    Diag::error("N001", text).note("it was never allocated, was freed, or lies between allocations");
                Err(Fault::said(Code::INVALID_VALUE, diag))
            }
            None => Ok(None),
        }
    }

    /// Brings all copies of the host up to date.
    ///
    /// # Errors
    /// What the device answers.
    pub fn pull(&mut self, device: &mut dyn Device) -> Result<()> {
        self.by_address.values_mut().try_for_each(|a| a.pull(device))
    }

    /// Gives everything back.
    pub fn clear(&mut self, device: &mut dyn Device) {
        for (_, gone) in std::mem::take(&mut self.by_address) {
            device.free(gone.buffer);
        }
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use girih_cpu::CpuDevice;

    #[test]
    fn an_address_gives_its_allocation_and_offset() {
        let (mut memory, mut device) = (Memory::default(), CpuDevice::with_threads(1));
        let (a, b) = (memory.allocate(&mut device, 1000).unwrap(), memory.allocate(&mut device, 10).unwrap());
        assert!(a >= BASE && b > a + 1000);
        assert_eq!(memory.range(a + 8, 992).unwrap(), Some((a, 8)));
        assert_eq!(memory.range(a + 1000, 0).unwrap(), Some((a, 1000)));
        for (address, bytes) in [(a + 8, 993), (a + 1001, 1), (b - 1, 2), (BASE - 1 + (1 << 40), 1)] {
            let fault = memory.range(address, bytes).unwrap_err();
            assert!(fault.code == Code::INVALID_VALUE && fault.diag.unwrap().code == "N001", "{address:#x}");
        }
        // The host's own memory is nobody's allocation.
        assert_eq!(memory.range(&raw const memory as u64, 8).unwrap(), None);
        memory.free(&mut device, a).unwrap();
        assert!(memory.free(&mut device, a).is_err() && memory.free(&mut device, b + 1).is_err());
        assert!(memory.range(a, 1).is_err() && memory.free(&mut device, 0).is_ok());
    }

    #[test]
    fn memory_of_both_sides_follows_whoever_wrote_last() {
        let (mut memory, mut device) = (Memory::default(), CpuDevice::with_threads(1));
        let at = memory.allocate_both(&mut device, 16, true).unwrap();
        let read = |device: &mut CpuDevice, buffer| {
            let mut bytes = [0; 16];
            device.read(buffer, 0, &mut bytes).unwrap();
            bytes
        };
        let found = memory.at(at).unwrap();
        found.host.as_mut().unwrap().fill(&[1; 16]);
        found.push(&mut device).unwrap();
        assert_eq!(read(&mut device, found.buffer), [1; 16]);
        device.write(found.buffer, 0, &[2; 16]).unwrap();
        // Nothing wrote the device's copy as far as is known: the host's counts.
        found.pull(&mut device).unwrap();
        assert_eq!(found.host.as_ref().unwrap().bytes(), [1; 16]);
        found.written();
        found.push(&mut device).unwrap();
        found.pull(&mut device).unwrap();
        assert_eq!(found.host.as_ref().unwrap().bytes(), [2; 16]);
    }
}
