//! Buffers, and bytes in and out of them.

use super::WgpuDevice;
use girih_base::{Diag, Result};
use girih_exec::BufferRef;
use std::ops::Range;
use wgpu::BufferUsages;

/// Bytes moved through staging memory at a time: larger pieces are slower.
const PIECE: usize = 16 << 20;

/// The buffers of a device.
pub struct Memory {
    buffers: Vec<Option<Slot>>,
    free: Vec<u32>,
    mappable: bool,
}

struct Slot {
    buffer: wgpu::Buffer,
    bytes: u64,
}

impl Memory {
    /// No buffers; `mappable` when the host can map buffers that kernels use.
    pub fn new(mappable: bool) -> Memory {
        Memory { buffers: Vec::new(), free: Vec::new(), mappable }
    }

    /// Drops a buffer; the device keeps it until commands that use it are done.
    pub fn free(&mut self, buffer: BufferRef) {
        if let Some(slot) = self.buffers.get_mut(buffer.0 as usize)
            && slot.take().is_some()
        {
            self.free.push(buffer.0);
        }
    }

    /// The buffer, when `range` lies in it.
    ///
    /// # Errors
    /// `W018`.
    pub fn get(&self, buffer: BufferRef, range: Range<u64>) -> Result<&wgpu::Buffer> {
        let slot = self.buffers.get(buffer.0 as usize).and_then(Option::as_ref);
        let slot = slot.ok_or_else(|| Diag::error("W018", format!("there is no buffer {}", buffer.0)))?;
        if range.start > range.end || range.end > slot.bytes {
            return Err(Diag::error(
                "W018",
                format!("bytes {range:?} do not lie in buffer {} of {} bytes", buffer.0, slot.bytes),
            ));
        }
        Ok(&slot.buffer)
    }

    fn size(&self, buffer: BufferRef) -> u64 {
        self.buffers.get(buffer.0 as usize).and_then(Option::as_ref).map_or(0, |s| s.bytes)
    }

    fn add(&mut self, slot: Slot) -> BufferRef {
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

fn range(offset: u64, bytes: usize) -> Range<u64> {
    offset..offset.saturating_add(bytes as u64)
}

impl WgpuDevice {
    pub(super) fn allocate_buffer(&mut self, bytes: u64) -> Result<BufferRef> {
        let most = self.device.limits().max_buffer_size;
        // A few bytes more, so that an empty range at the end can be bound too.
        let size = bytes.checked_add(16).and_then(|n| n.checked_next_multiple_of(16)).filter(|s| *s <= most);
        let Some(size) = size else {
            return Err(Diag::error(
                "W016",
                format!("a buffer of {bytes} bytes is larger than `{}` allows", self.info.name),
            )
            .note(format!("its largest buffer has {most} bytes")));
        };
        let buffer = self.make_buffer(size, BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST)?;
        Ok(self.memory.add(Slot { buffer, bytes }))
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

    pub(super) fn write_buffer(&mut self, buffer: BufferRef, offset: u64, data: &[u8]) -> Result<()> {
        let target = self.memory.get(buffer, range(offset, data.len()))?.clone();
        if data.is_empty() {
            return Ok(());
        }
        // The device writes whole words: the ends are completed with the bytes that are there.
        let start = offset / 4 * 4;
        let end = (offset + data.len() as u64).next_multiple_of(4);
        let (before, after) = ((offset - start) as usize, (end - offset) as usize - data.len());
        if before == 0 && (after == 0 || offset + data.len() as u64 == self.memory.size(buffer)) {
            let whole = data.len() / 4 * 4;
            self.write_words(&target, start, &data[..whole])?;
            if whole < data.len() {
                let mut last = [0; 4];
                last[..data.len() - whole].copy_from_slice(&data[whole..]);
                self.write_words(&target, start + whole as u64, &last)?;
            }
            return Ok(());
        }
        let mut words = vec![0; (end - start) as usize];
        self.read_words(&target, start, &mut words)?;
        words[before..before + data.len()].copy_from_slice(data);
        self.write_words(&target, start, &words)
    }

    pub(super) fn read_buffer(&mut self, buffer: BufferRef, offset: u64, data: &mut [u8]) -> Result<()> {
        let source = self.memory.get(buffer, range(offset, data.len()))?.clone();
        if data.is_empty() {
            return Ok(());
        }
        let start = offset / 4 * 4;
        let end = (offset + data.len() as u64).next_multiple_of(4);
        if start == offset && (end - start) as usize == data.len() {
            return self.read_words(&source, start, data);
        }
        let mut words = vec![0; (end - start) as usize];
        self.read_words(&source, start, &mut words)?;
        let skip = (offset - start) as usize;
        data.copy_from_slice(&words[skip..skip + data.len()]);
        Ok(())
    }

    fn write_words(&self, target: &wgpu::Buffer, offset: u64, data: &[u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        if self.memory.mappable {
            return self.mapped(target, offset, data.len(), wgpu::MapMode::Write, |slice, skip| {
                slice.get_mapped_range_mut().map(|mut view| view.slice(skip..).copy_from_slice(data))
            });
        }
        for (i, piece) in data.chunks(PIECE).enumerate() {
            let at = offset + (i * PIECE) as u64;
            self.guarded("writing to the device", || {
                self.queue.write_buffer(target, at, piece);
                if data.len() > PIECE {
                    self.queue.submit([]);
                }
            })?;
        }
        Ok(())
    }

    fn read_words(&self, source: &wgpu::Buffer, offset: u64, data: &mut [u8]) -> Result<()> {
        if self.memory.mappable {
            return self.mapped(source, offset, data.len(), wgpu::MapMode::Read, |slice, skip| {
                slice.get_mapped_range().map(|view| data.copy_from_slice(&view[skip..]))
            });
        }
        self.read_staged_at(source, offset, data)
    }

    /// Reads a buffer that cannot be mapped, from its start.
    pub(super) fn read_staged(&self, source: &wgpu::Buffer, data: &mut [u8]) -> Result<()> {
        self.read_staged_at(source, 0, data)
    }

    fn read_staged_at(&self, source: &wgpu::Buffer, offset: u64, data: &mut [u8]) -> Result<()> {
        let staging =
            self.make_buffer(data.len().min(PIECE) as u64, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?;
        for (i, piece) in data.chunks_mut(PIECE).enumerate() {
            let at = offset + (i * PIECE) as u64;
            self.guarded("copying from the device", || {
                let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                encoder.copy_buffer_to_buffer(source, at, &staging, 0, piece.len() as u64);
                self.queue.submit([encoder.finish()]);
            })?;
            self.mapped(&staging, 0, piece.len(), wgpu::MapMode::Read, |slice, skip| {
                slice.get_mapped_range().map(|view| piece.copy_from_slice(&view[skip..]))
            })?;
        }
        Ok(())
    }

    /// Maps a range from the multiple of 8 before it, as mapping wants; `work` gets it and how many bytes to skip.
    fn mapped(
        &self,
        buffer: &wgpu::Buffer,
        offset: u64,
        bytes: usize,
        mode: wgpu::MapMode,
        work: impl FnOnce(wgpu::BufferSlice<'_>, usize) -> Result<(), wgpu::MapRangeError>,
    ) -> Result<()> {
        let start = offset / 8 * 8;
        let (sender, receiver) = std::sync::mpsc::channel();
        self.guarded("mapping memory", || {
            buffer.slice(start..offset + bytes as u64).map_async(mode, move |done| {
                sender.send(done).unwrap_or_default();
            });
        })?;
        self.wait("waiting for the device")?;
        let failed = |why: String| Diag::error("W015", "the device's memory could not be mapped").note(why);
        match receiver.recv() {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Err(e) => return Err(failed(e.to_string())),
        }
        let done = work(buffer.slice(start..offset + bytes as u64), (offset - start) as usize);
        buffer.unmap();
        done.map_err(|e| failed(e.to_string()))
    }
}
