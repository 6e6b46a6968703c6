//! Arguments of a launch as bindings.

use super::debug::bound;
use super::memory::Piece;
use super::pipeline::Variant;
use super::{WgpuDevice, describe};
use girih_base::{Diag, Result};
use girih_exec::{BufferRef, KernelRef, MemRef};
use girih_plan::Arg;

/// How the arguments of a launch are bound: those that lie in one buffer in a way that WebGPU does not bind apart share a slot.
#[derive(Clone, Debug)]
pub struct Slots {
    /// The slot of each argument, numbered in the order of their first arguments.
    pub of: Vec<u32>,
    /// What each slot covers.
    pub ranges: Vec<MemRef>,
    /// How it is bound.
    pub args: Vec<Arg>,
}

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

    /// Gives arguments slots by WebGPU's rules for one dispatch: a buffer is bound read-only or writable, not both; writable ranges
    /// do not overlap.
    pub(super) fn slots(&self, kernel: KernelRef, args: &[MemRef]) -> Slots {
        let bound = bound(&self.pipelines[&kernel].code);
        let clash = |(a, x): (&MemRef, &Arg), (b, y): (&MemRef, &Arg)| {
            let end = |m: &MemRef| m.offset.saturating_add(m.bytes);
            let overlap = a.offset < end(b) && b.offset < end(a);
            a.buffer == b.buffer && (x.read_only != y.read_only || overlap && (x.written || y.written))
        };
        // The first argument of each one's slot; slots that a later argument joins become one.
        let mut first: Vec<usize> = (0..args.len()).collect();
        let mut grown = args.to_vec();
        let mut used: Vec<Arg> = bound.clone();
        let mut again = true;
        while again {
            again = false;
            for i in 0..args.len() {
                for j in 0..i {
                    let (a, b) = (first[j], first[i]);
                    if a == b || !clash((&grown[a], &used[a]), (&grown[b], &used[b])) {
                        continue;
                    }
                    let (into, from) = (a.min(b), a.max(b));
                    let end = |m: &MemRef| m.offset.saturating_add(m.bytes);
                    let offset = grown[into].offset.min(grown[from].offset);
                    let bytes = end(&grown[into]).max(end(&grown[from])) - offset;
                    grown[into] = MemRef { offset, bytes, ..grown[into] };
                    let read_only = used[into].read_only && used[from].read_only;
                    used[into] = Arg { written: used[into].written || used[from].written, read_only };
                    first.iter_mut().filter(|f| **f == from).for_each(|f| *f = into);
                    again = true;
                }
            }
        }
        let heads: Vec<usize> = (0..args.len()).filter(|i| first[*i] == *i).collect();
        let place = |f: &usize| heads.iter().position(|h| h == f).unwrap_or(0) as u32;
        Slots {
            of: first.iter().map(place).collect(),
            ranges: heads.iter().map(|h| grown[*h]).collect(),
            args: heads.iter().map(|h| used[*h]).collect(),
        }
    }

    /// Where each argument that shares its slot begins there, in its units.
    pub(super) fn starts(&self, kernel: KernelRef, args: &[MemRef], slots: &Slots, units: &[u64]) -> Result<Vec<u32>> {
        let start = |(i, unit): (usize, &u64)| {
            let bytes = args[i].offset - slots.ranges[slots.of[i] as usize].offset;
            u32::try_from(bytes / unit).ok().filter(|_| bytes.is_multiple_of(*unit)).ok_or_else(|| {
                let name = &self.pipelines[&kernel].code.name;
                Diag::error(
                    "W017",
                    format!("kernel `{name}`: {} begin inside an element of another argument", describe(&args[i])),
                )
                .note(format!("both lie in buffer {}, whose elements have {unit} bytes there", args[i].buffer.0))
            })
        };
        units.iter().enumerate().filter(|(_, unit)| **unit > 0).map(start).collect()
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
