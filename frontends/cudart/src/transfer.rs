//! Copies and fills, between the host's memory and the device's.

use crate::code::{Code, Outcome};
use crate::runtime::{Runtime, failed};
use girih_exec::{Command, MemRef};

/// Bytes that are copied through the host at a time.
const PIECE: u64 = 16 << 20;

/// What an address is, for a copy of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The host may follow it: its own memory, or page-locked or managed memory whose copy there is up to date.
    Host,
    /// The device's: the start of the allocation, and the offset in it.
    Device(u64, u64),
}

impl Runtime {
    /// What an address is. `device` says that the program takes it for the device's: then it must not be memory that the host
    /// allocated without us.
    ///
    /// # Errors
    /// `cudaErrorInvalidValue` for bytes outside of an allocation, and for the host's memory where the device's must be.
    pub fn side(&mut self, address: u64, bytes: u64, device: bool) -> Outcome<Side> {
        let Some((start, offset)) = self.memory.range(address, bytes)? else {
            return if device && bytes > 0 { Err(Code::INVALID_VALUE.into()) } else { Ok(Side::Host) };
        };
        let (rig, memory, _) = self.parts()?;
        match memory.at(start) {
            Some(found) if found.on_host() => {
                found.pull(&mut *rig.device).map_err(failed)?;
                Ok(Side::Host)
            }
            _ => Ok(Side::Device(start, offset)),
        }
    }

    fn place(&self, start: u64, offset: u64, bytes: u64) -> Outcome<MemRef> {
        let (_, found, _) = self.memory.find(start).ok_or(Code::INVALID_VALUE)?;
        Ok(MemRef { buffer: found.buffer, offset, bytes })
    }

    /// Bytes to the device.
    ///
    /// # Errors
    /// What the device answers.
    pub fn write(&mut self, (start, offset): (u64, u64), bytes: &[u8]) -> Outcome<()> {
        let to = self.place(start, offset, bytes.len() as u64)?;
        self.open()?.device.write(to.buffer, to.offset, bytes).map_err(failed)
    }

    /// Bytes from the device.
    ///
    /// # Errors
    /// What the device answers.
    pub fn read(&mut self, (start, offset): (u64, u64), bytes: &mut [u8]) -> Outcome<()> {
        let from = self.place(start, offset, bytes.len() as u64)?;
        self.open()?.device.read(from.buffer, from.offset, bytes).map_err(failed)
    }

    /// Bytes from one place of the device to another; where they overlap as through a third.
    ///
    /// # Errors
    /// What the device answers.
    pub fn copy(&mut self, to: (u64, u64), from: (u64, u64), bytes: u64) -> Outcome<()> {
        let (a, b) = (self.place(to.0, to.1, bytes)?, self.place(from.0, from.1, bytes)?);
        let device = &mut *self.open()?.device;
        let step = device.alignment().max(4);
        let aligned = [a.offset, b.offset, bytes].iter().all(|n| n.is_multiple_of(step));
        if aligned && a.buffer != b.buffer {
            return device.submit(&[Command::Copy { from: b, to: a }]).map_err(failed);
        }
        let mut all = vec![0; bytes as usize];
        device.read(b.buffer, b.offset, &mut all).and_then(|()| device.write(a.buffer, a.offset, &all)).map_err(failed)
    }

    /// The same byte throughout.
    ///
    /// # Errors
    /// What the device answers.
    pub fn fill(&mut self, (start, offset): (u64, u64), byte: u8, bytes: u64) -> Outcome<()> {
        let piece = vec![byte; bytes.min(PIECE) as usize];
        let mut done = 0;
        while done < bytes {
            let now = (bytes - done).min(PIECE);
            self.write((start, offset + done), &piece[..now as usize])?;
            done += now;
        }
        Ok(())
    }
}
