//! Buffers. An allocation larger than the adapter's largest buffer consists of several, cut where bindings are cut too.

use super::WgpuDevice;
use girih_base::{Diag, Result};
use girih_exec::BufferRef;
use std::ops::Range;
use wgpu::BufferUsages;

/// Bindings of one argument are cut at multiples of this many bytes: whole elements of every type, aligned for every adapter.
const GRAIN: u64 = 256;

/// Bytes behind the data, so that an empty range at the end can be bound, as a whole vector.
const SLACK: u64 = 16;

/// The buffers of a device.
pub struct Memory {
    buffers: Vec<Option<Slot>>,
    free: Vec<u32>,
    /// The host can map buffers that kernels use.
    pub mappable: bool,
    /// Largest buffer of the adapter, in bytes.
    most: u64,
    /// Largest binding; a multiple of [`GRAIN`].
    window: u64,
    /// Bytes of each buffer of an allocation that needs several; a multiple of `window`.
    part: u64,
    /// Bytes allocated, and how many there may be where that is known.
    taken: u64,
    room: u64,
}

struct Slot {
    /// All but the last have `part` bytes.
    parts: Vec<wgpu::Buffer>,
    /// Bytes asked for.
    bytes: u64,
}

/// A range of one buffer of the adapter.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The buffer.
    pub buffer: wgpu::Buffer,
    /// First byte in it.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
    /// Ends where the allocation does, so that the bytes behind are nobody's.
    pub last: bool,
}

impl Memory {
    /// No buffers, on a device with these limits; `mappable` when the host can map buffers that kernels use: then they take the
    /// host's memory. Its size is asked for, since systems promise more than they have and end the process when it is used.
    pub fn new(mappable: bool, binding: u64, most: u64) -> Memory {
        let room = if mappable { host_memory() } else { None }.unwrap_or(u64::MAX);
        let binding = binding.min(most.saturating_sub(SLACK));
        let window = (binding / GRAIN * GRAIN).max(GRAIN);
        let part = (most.saturating_sub(SLACK) / window * window).max(window);
        Memory { buffers: Vec::new(), free: Vec::new(), mappable, most, window, part, taken: 0, room }
    }

    /// Bytes that one binding always holds.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// Drops an allocation; the device keeps it until commands that use it are done.
    pub fn free(&mut self, buffer: BufferRef) {
        if let Some(slot) = self.buffers.get_mut(buffer.0 as usize)
            && let Some(slot) = slot.take()
        {
            self.taken -= slot.bytes;
            self.free.push(buffer.0);
        }
    }

    fn slot(&self, buffer: BufferRef, range: &Range<u64>) -> Result<&Slot> {
        let slot = self.buffers.get(buffer.0 as usize).and_then(Option::as_ref);
        let slot = slot.ok_or_else(|| Diag::error("W018", format!("there is no buffer {}", buffer.0)))?;
        if range.start > range.end || range.end > slot.bytes {
            return Err(Diag::error(
                "W018",
                format!("bytes {range:?} do not lie in buffer {} of {} bytes", buffer.0, slot.bytes),
            ));
        }
        Ok(slot)
    }

    /// The range in the adapter's buffers, in order; one piece for an empty range.
    ///
    /// # Errors
    /// `W018` when the range does not lie in the buffer.
    pub fn pieces(&self, buffer: BufferRef, range: Range<u64>) -> Result<Vec<Piece>> {
        let slot = self.slot(buffer, &range)?;
        Ok(slot.cut(&range, self.part, None))
    }

    /// The range as bindings. A range that one binding can hold is one piece; any other is cut at multiples of the largest binding
    /// from the start of the allocation. The last one is padded to whole vectors.
    ///
    /// # Errors
    /// `W018` when the range does not lie in the buffer.
    pub fn bindings(&self, buffer: BufferRef, range: Range<u64>) -> Result<Vec<Piece>> {
        let slot = self.slot(buffer, &range)?;
        let mut pieces = slot.cut(&range, self.part, None);
        if pieces.len() > 1 || padded(range.end - range.start) > self.window {
            pieces = slot.cut(&range, self.part, Some(self.window));
        }
        if let Some(p) = pieces.last_mut() {
            p.bytes = padded(p.bytes).min(p.buffer.size() - p.offset);
        }
        Ok(pieces)
    }

    fn add(&mut self, slot: Slot) -> BufferRef {
        self.taken += slot.bytes;
        match self.free.pop() {
            Some(i) => {
                self.buffers[i as usize] = Some(slot);
                BufferRef(i)
            }
            None => {
                self.buffers.push(Some(slot));
                BufferRef(self.buffers.len() as u32 - 1)
            }
        }
    }
}

/// Bytes of the host's memory, where the system tells.
fn host_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Whole vectors, as kernels declare them.
fn padded(bytes: u64) -> u64 {
    bytes.max(4).next_multiple_of(SLACK)
}

impl Slot {
    /// Cuts a range at the ends of the parts, and at multiples of `step`, which divides `part`.
    fn cut(&self, range: &Range<u64>, part: u64, step: Option<u64>) -> Vec<Piece> {
        let final_part = self.parts.len() as u64 - 1;
        let mut pieces = Vec::new();
        let mut at = range.start;
        loop {
            let which = (at / part).min(final_part);
            let base = which * part;
            let mut end = range.end;
            if which < final_part {
                end = end.min(base + part);
            }
            if let Some(step) = step {
                end = end.min((at / step + 1) * step);
            }
            let buffer = self.parts[which as usize].clone();
            pieces.push(Piece { buffer, offset: at - base, bytes: end - at, last: end == self.bytes });
            at = end;
            if at >= range.end {
                return pieces;
            }
        }
    }
}

impl WgpuDevice {
    pub(super) fn allocate_buffer(&mut self, bytes: u64) -> Result<BufferRef> {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let (most, part) = (self.memory.most, self.memory.part);
        let size = bytes.checked_add(SLACK).and_then(|n| n.checked_next_multiple_of(SLACK));
        let room = self.memory.room.saturating_sub(self.memory.taken);
        let Some(size) = size.filter(|n| *n <= room) else {
            return Err(self.out_of_memory(&format!("allocating {bytes} bytes")));
        };
        let mut parts = Vec::new();
        let mut rest = size;
        while rest > most {
            parts.push(self.make_buffer(part, usage)?);
            rest -= part;
        }
        parts.push(self.make_buffer(rest, usage)?);
        Ok(self.memory.add(Slot { parts, bytes }))
    }

    pub(super) fn make_buffer(&self, size: u64, mut usage: BufferUsages) -> Result<wgpu::Buffer> {
        if self.memory.mappable && usage.contains(BufferUsages::STORAGE) {
            usage |= BufferUsages::MAP_READ | BufferUsages::MAP_WRITE;
        }
        let desc = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        self.guarded(&format!("allocating {size} bytes"), || self.device.create_buffer(&desc))
    }

    pub(super) fn adopt_bytes(&mut self, data: &[u8], range: Range<usize>) -> Result<BufferRef> {
        let bytes = data.get(range.clone()).ok_or_else(|| {
            Diag::error("W018", format!("bytes {range:?} do not lie in host memory of {} bytes", data.len()))
        })?;
        let buffer = self.allocate_buffer(bytes.len() as u64)?;
        self.write_buffer(buffer, 0, bytes).inspect_err(|_| self.memory.free(buffer))?;
        Ok(buffer)
    }
}
