//! Arguments of a launch as bindings.

use super::debug::bound;
use super::memory::Piece;
use super::pipeline::Variant;
use super::{WgpuDevice, describe};
use girih_base::{Diag, Result};
use girih_exec::{BufferRef, KernelRef, MemRef};

/// What a bind group is found by: the kernel and the range of each argument.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BindKey {
    /// The kernel.
    pub kernel: KernelRef,
    /// Buffer, offset and bytes of each argument.
    pub args: Vec<(BufferRef, u64, u64)>,
}

impl BindKey {
    /// Whether the group names the buffer.
    pub fn names(&self, buffer: BufferRef) -> bool {
        self.args.iter().any(|a| a.0 == buffer)
    }
}

impl WgpuDevice {
    /// The first element of each binding but the first.
    pub(super) fn cuts(&self, kernel: KernelRef, pieces: &[Piece], element: u64) -> Result<Vec<u32>> {
        let mut at = 0;
        let ends = pieces[..pieces.len() - 1].iter().map(|p| {
            at += p.bytes;
            at
        });
        let whole = |end: u64| u32::try_from(end / element).ok().filter(|_| end.is_multiple_of(element));
        ends.map(|end| {
            whole(end).ok_or_else(|| {
                let name = &self.pipelines[&kernel].code.name;
                Diag::error("W017", format!("kernel `{name}`: an argument cannot be cut after {end} bytes"))
                    .note(format!("its elements have {element} bytes"))
            })
        })
        .collect()
    }

    /// WebGPU's rules for one dispatch: a buffer is bound read-only or writable, not both; writable ranges do not overlap.
    pub(super) fn check_bindings(&self, kernel: KernelRef, args: &[MemRef]) -> Result<()> {
        let code = &self.pipelines[&kernel].code;
        let bound = bound(code);
        let refuse = |why: String| Diag::error("W017", format!("kernel `{}`: {why}", code.name));
        for (i, (a, x)) in args.iter().zip(&bound).enumerate() {
            for (b, y) in args.iter().zip(&bound).skip(i + 1).filter(|(b, _)| b.buffer == a.buffer) {
                if x.read_only != y.read_only {
                    return Err(refuse(format!("buffer {} is bound read-only and writable at once", a.buffer.0)));
                }
                let overlap =
                    a.offset < b.offset.saturating_add(b.bytes) && b.offset < a.offset.saturating_add(a.bytes);
                if overlap && (x.written || y.written) {
                    return Err(refuse(format!("{} and {} overlap, and one is written", describe(a), describe(b))));
                }
            }
        }
        Ok(())
    }

    /// Binds the first parts of the arguments, then their further parts.
    pub(super) fn bind(&self, kernel: KernelRef, variant: &Variant, pieces: &[Vec<Piece>]) -> Result<wgpu::BindGroup> {
        let name = &self.pipelines[&kernel].code.name;
        let first = pieces.iter().map(|p| &p[0]);
        let mut entries = Vec::new();
        for p in first.chain(pieces.iter().flat_map(|p| &p[1..])) {
            let (buffer, offset, size) = (&p.buffer, p.offset, wgpu::BufferSize::new(p.bytes));
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
            entries.push(wgpu::BindGroupEntry { binding: entries.len() as u32, resource });
        }
        let desc = wgpu::BindGroupDescriptor { label: Some(name), layout: &variant.layout, entries: &entries };
        self.guarded(&format!("binding buffers of kernel `{name}`"), || self.device.create_bind_group(&desc))
    }
}
