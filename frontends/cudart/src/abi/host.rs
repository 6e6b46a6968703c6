//! Memory of the host that the program reads and writes by its address, and we between its calls.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Page-locked and managed memory begins at multiples of this many bytes.
const ALIGNMENT: usize = 4096;

/// Zeroed memory whose address the program has.
pub struct HostMemory {
    at: NonNull<u8>,
    layout: Layout,
    bytes: usize,
}

// SAFETY: it owns its memory, as a `Box` does.
unsafe impl Send for HostMemory {}

impl HostMemory {
    /// `bytes` zeroed bytes, at least one; `None` where there is no room.
    pub fn zeroed(bytes: usize) -> Option<HostMemory> {
        let layout = Layout::from_size_align(bytes.max(1).checked_next_multiple_of(ALIGNMENT)?, ALIGNMENT).ok()?;
        // SAFETY: the layout is not empty.
        let at = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(HostMemory { at, layout, bytes })
    }

    /// Its address, which the program may follow.
    pub fn address(&self) -> u64 {
        self.at.as_ptr().expose_provenance() as u64
    }

    /// A copy of its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0; self.bytes];
        // SAFETY: both have `bytes` bytes; the program does not write them during a call, as CUDA forbids while a kernel may run.
        unsafe { self.at.as_ptr().copy_to_nonoverlapping(out.as_mut_ptr(), self.bytes) };
        out
    }

    /// New bytes, from its start.
    pub fn fill(&mut self, bytes: &[u8]) {
        let n = bytes.len().min(self.bytes);
        // SAFETY: `n` bytes lie in both; the program does not use them during a call, as above.
        unsafe { self.at.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), n) };
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.at.as_ptr(), self.layout) };
    }
}
