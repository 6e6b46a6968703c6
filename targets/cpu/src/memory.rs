//! Host memory that kernels read and write: aligned allocations and adopted bytes.

use girih_base::{Diag, Result};
use girih_exec::SharedBytes;
use std::ops::Range;

/// Alignment of every allocation, in bytes: one cache line, one AVX-512 register.
pub const ALIGNMENT: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

/// Zeroed bytes aligned to [`ALIGNMENT`].
#[derive(Default)]
pub(crate) struct Aligned(Vec<Line>);

impl Aligned {
    /// `bytes` zeroed bytes, rounded up to whole lines.
    pub fn zeroed(bytes: usize) -> Result<Aligned> {
        let lines = bytes.div_ceil(ALIGNMENT);
        let layout = std::alloc::Layout::array::<Line>(lines);
        let Some(layout) = layout.ok().filter(|l| l.size() > 0) else {
            return if lines == 0 { Ok(Aligned(Vec::new())) } else { Err(no_memory(bytes)) };
        };
        // SAFETY: the layout is not empty, and a `Line` of zeros is a valid `Line`.
        let at = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<Line>();
        if at.is_null() {
            return Err(no_memory(bytes));
        }
        // SAFETY: `at` was allocated by the global allocator with the layout of `lines` lines, all initialised.
        Ok(Aligned(unsafe { Vec::from_raw_parts(at, lines, lines) }))
    }

    /// Makes room for `bytes`; contents are lost when it has to grow.
    pub fn reserve(&mut self, bytes: usize) -> Result<()> {
        if self.len() < bytes {
            *self = Aligned::zeroed(bytes)?;
        }
        Ok(())
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.0.len() * ALIGNMENT
    }

    /// First byte.
    pub fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    /// First byte.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }
}

fn no_memory(bytes: usize) -> Box<Diag> {
    Diag::error("X101", format!("out of memory: {bytes} bytes could not be allocated"))
        .help("use a smaller model, a shorter context or a smaller batch")
}

/// A device buffer.
pub(crate) enum Buffer {
    /// Allocated here.
    Owned { memory: Aligned, bytes: usize },
    /// Read-only bytes somebody else owns.
    Shared { data: SharedBytes, range: Range<usize> },
}

/// A range of memory as kernels see it.
#[derive(Clone, Copy)]
pub(crate) struct Mem {
    pub ptr: *mut u8,
    pub bytes: usize,
    pub writable: bool,
}

// SAFETY: an address and a size; instances of a kernel write disjoint elements, and nothing else runs meanwhile.
unsafe impl Send for Mem {}
// SAFETY: as above.
unsafe impl Sync for Mem {}

impl Buffer {
    /// The whole buffer.
    pub fn mem(&mut self) -> Mem {
        match self {
            Buffer::Owned { memory, bytes } => Mem { ptr: memory.as_mut_ptr(), bytes: *bytes, writable: true },
            Buffer::Shared { data, range } => {
                let all = (**data).as_ref();
                // The owner may hand out different bytes at each call: an out-of-range rest reads as empty.
                let part = all.get(range.clone()).unwrap_or(&[]);
                Mem { ptr: part.as_ptr().cast_mut(), bytes: part.len(), writable: false }
            }
        }
    }
}
