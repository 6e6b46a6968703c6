//! The debug buffer of kernels that print or assert.

use crate::exec::report::Reported;
use crate::memory::{Aligned, Mem};
use girih_base::debug::{CAPACITY, CURSOR, LOST, NONE};
use girih_base::{Bindings, DebugInfo, Result};
use girih_exec::DebugLog;
use girih_exec::debug::DEBUG_BYTES;
use girih_plan::KernelCode;

/// The buffer that SIMT kernels write, and what all kernels reported.
#[derive(Default)]
pub(crate) struct Debug {
    buffer: Aligned,
    pub log: DebugLog,
}

impl Debug {
    /// The buffer, ready for a launch.
    ///
    /// # Errors
    /// `X101` out of memory.
    pub fn prepare(&mut self, info: &DebugInfo) -> Result<Mem> {
        self.buffer.reserve(DEBUG_BYTES as usize)?;
        let mem = Mem { ptr: self.buffer.as_mut_ptr(), bytes: DEBUG_BYTES as usize, writable: true };
        let header = DebugLog::header(info, DEBUG_BYTES);
        // SAFETY: the header is shorter than the buffer, which is aligned and nobody else's.
        unsafe { std::ptr::copy_nonoverlapping(header.as_ptr(), mem.ptr.cast::<u32>(), header.len()) };
        Ok(mem)
    }

    /// Takes in what a SIMT kernel wrote.
    pub fn collect(&mut self, code: &KernelCode, info: &DebugInfo, bindings: &Bindings) {
        // SAFETY: the buffer has so many bytes, all initialised.
        let all = unsafe { std::slice::from_raw_parts(self.buffer.as_ptr().cast::<u32>(), self.buffer.len() / 4) };
        let used = DebugLog::used(info, all).min(all.len());
        self.log.collect(code, &all[..used], bindings);
    }

    /// Takes in what a tile kernel reported.
    pub fn reported(&mut self, code: &KernelCode, info: &DebugInfo, reported: &Reported, bindings: &Bindings) {
        let mut words = DebugLog::header(info, 0);
        words[CURSOR as usize] = reported.records.len() as u32;
        words[CAPACITY as usize] = reported.records.len() as u32;
        words[LOST as usize] = reported.lost;
        for (site, instance) in info.sites.iter().zip(&reported.failed) {
            if let (Some(at), true) = (site.assertion, *instance != NONE) {
                words[at as usize] = *instance;
            }
        }
        words.extend(&reported.records);
        self.log.collect(code, &words, bindings);
    }
}
