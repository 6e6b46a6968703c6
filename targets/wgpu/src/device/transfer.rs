//! Bytes in and out of buffers: mapped where the adapter shares the host's memory, staged elsewhere.

use super::WgpuDevice;
use super::memory::Piece;
use girih_base::{Diag, Result};
use girih_exec::BufferRef;
use std::ops::Range;
use wgpu::BufferUsages;

/// Bytes moved through staging memory at a time: larger pieces are slower.
const PIECE: usize = 16 << 20;

fn range(offset: u64, bytes: usize) -> Range<u64> {
    offset..offset.saturating_add(bytes as u64)
}

impl WgpuDevice {
    pub(super) fn write_buffer(&mut self, buffer: BufferRef, offset: u64, mut data: &[u8]) -> Result<()> {
        for piece in self.memory.pieces(buffer, range(offset, data.len()))? {
            let (now, later) = data.split_at(piece.bytes as usize);
            self.write_piece(&piece, now)?;
            data = later;
        }
        Ok(())
    }

    fn write_piece(&self, piece: &Piece, data: &[u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        // The device writes whole words: the ends are completed with the bytes that are there.
        let (target, offset) = (&piece.buffer, piece.offset);
        let start = offset / 4 * 4;
        let end = (offset + data.len() as u64).next_multiple_of(4);
        let (before, after) = ((offset - start) as usize, (end - offset) as usize - data.len());
        if before == 0 && (after == 0 || piece.last) {
            let whole = data.len() / 4 * 4;
            self.write_words(target, start, &data[..whole])?;
            if whole < data.len() {
                let mut last = [0; 4];
                last[..data.len() - whole].copy_from_slice(&data[whole..]);
                self.write_words(target, start + whole as u64, &last)?;
            }
            return Ok(());
        }
        let mut words = vec![0; (end - start) as usize];
        self.read_words(target, start, &mut words)?;
        words[before..before + data.len()].copy_from_slice(data);
        self.write_words(target, start, &words)
    }

    pub(super) fn read_buffer(&mut self, buffer: BufferRef, offset: u64, mut data: &mut [u8]) -> Result<()> {
        for piece in self.memory.pieces(buffer, range(offset, data.len()))? {
            let (now, later) = data.split_at_mut(piece.bytes as usize);
            self.read_piece(&piece, now)?;
            data = later;
        }
        Ok(())
    }

    fn read_piece(&self, piece: &Piece, data: &mut [u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let start = piece.offset / 4 * 4;
        let end = (piece.offset + data.len() as u64).next_multiple_of(4);
        if start == piece.offset && (end - start) as usize == data.len() {
            return self.read_words(&piece.buffer, start, data);
        }
        let mut words = vec![0; (end - start) as usize];
        self.read_words(&piece.buffer, start, &mut words)?;
        let skip = (piece.offset - start) as usize;
        data.copy_from_slice(&words[skip..skip + data.len()]);
        Ok(())
    }

    /// Bytes of one staging buffer.
    fn staging(&self) -> usize {
        (self.device.limits().max_buffer_size / 8 * 8).clamp(8, PIECE as u64) as usize
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
        let step = self.staging();
        for (i, piece) in data.chunks(step).enumerate() {
            let at = offset + (i * step) as u64;
            self.guarded("writing to the device", || {
                self.queue.write_buffer(target, at, piece);
                if data.len() > step {
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
        let step = self.staging();
        let staging = self.make_buffer(data.len().min(step) as u64, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?;
        for (i, piece) in data.chunks_mut(step).enumerate() {
            let at = offset + (i * step) as u64;
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
        // A mapping that comes too late is not wanted any more.
        self.wait("waiting for the device").inspect_err(|_| buffer.unmap())?;
        let failed = |why: String| Diag::error("W015", "the device's memory could not be mapped").note(why);
        match receiver.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Err(e) => return Err(failed(e.to_string())),
        }
        let done = work(buffer.slice(start..offset + bytes as u64), (offset - start) as usize);
        buffer.unmap();
        done.map_err(|e| failed(e.to_string()))
    }
}
