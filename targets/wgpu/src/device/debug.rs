//! Launches of kernels that print or assert: their debug buffer is emptied after each one.

use super::WgpuDevice;
use girih_base::{Bindings, Result};
use girih_exec::debug::DEBUG_BYTES;
use girih_exec::{BufferRef, DebugLog, KernelRef, MemRef};
use girih_plan::{Arg, KernelCode};

/// The buffer that kernels write, and what they reported.
#[derive(Default)]
pub struct Debug {
    buffer: Option<MemRef>,
    pub log: DebugLog,
}

/// What a kernel binds: its arguments, and the debug buffer where it has one.
pub fn bound(code: &KernelCode) -> Vec<Arg> {
    let debug = code.debug.as_ref().map(|_| Arg { written: true, read_only: false });
    code.args.iter().copied().chain(debug).collect()
}

impl WgpuDevice {
    /// Whether a kernel prints or asserts.
    pub(super) fn speaks(&self, kernel: KernelRef) -> bool {
        self.pipelines.get(&kernel).is_some_and(|p| p.code.debug.is_some())
    }

    /// Launches a kernel that does, waits for it, and takes in what it reported.
    pub(super) fn launch_speaking(&mut self, kernel: KernelRef, args: &[MemRef], bindings: &Bindings) -> Result<()> {
        let Some(code) = self.pipelines.get(&kernel).map(|p| p.code.clone()) else { return Ok(()) };
        let Some(info) = &code.debug else { return Ok(()) };
        let memory = self.debug_buffer()?;
        let header: Vec<u8> = DebugLog::header(info, memory.bytes).iter().flat_map(|w| w.to_le_bytes()).collect();
        self.write_buffer(memory.buffer, 0, &header)?;
        let all = [args, &[memory]].concat();
        let Some(launch) = self.prepare(kernel, &all, bindings)? else { return Ok(()) };
        self.flush(vec![launch])?;
        let header = self.debug_words(memory.buffer, info.header() as usize)?;
        let words = match DebugLog::used(info, &header) {
            used if used > header.len() => self.debug_words(memory.buffer, used)?,
            _ => header,
        };
        self.debug.log.collect(&code, &words, bindings);
        Ok(())
    }

    fn debug_words(&mut self, buffer: BufferRef, count: usize) -> Result<Vec<u32>> {
        let mut data = vec![0; count * 4];
        self.read_buffer(buffer, 0, &mut data)?;
        Ok(data.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect())
    }

    /// The buffer; in one binding.
    fn debug_buffer(&mut self) -> Result<MemRef> {
        if let Some(memory) = self.debug.buffer {
            return Ok(memory);
        }
        let bytes = DEBUG_BYTES.min(self.memory.window());
        let memory = MemRef { buffer: self.allocate_buffer(bytes)?, offset: 0, bytes };
        self.debug.buffer = Some(memory);
        Ok(memory)
    }
}
