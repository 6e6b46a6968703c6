//! Operations that read rows of memory as they lie there, and write to a row or a variable at once.
//!
//! Rows are checked in the order in which the kernel reads them, before anything is written. Where results take the place of an
//! operand, each element is read before it is written; where they overlap one otherwise, they are written once all are known.

use super::machine::{EXECUTED, SimtLaunch, SimtWorker};
use super::program::{Array, Base, Narrow, Reg};
use crate::exec::Inner;
use crate::simd::float::Operands;
use crate::simd::gather;
use crate::simd::pick::{Pick, pick, pick_update};
use girih_base::{Loc, Result};

/// Such an operation.
#[derive(Clone, Debug)]
pub(super) struct Fused {
    pub work: Work,
    /// Where each operand lies; the last one is repeated if there are fewer.
    pub args: [Operand; 3],
    /// Whether each advances from thread to thread (1) or is one element (0).
    pub by: [u8; 3],
    /// The operands that are rows, in the order of the kernel.
    pub rows: Vec<usize>,
    pub dst: Dest,
    /// Bytes of an element of the result.
    pub bytes: usize,
    /// Whether there is a result for each thread.
    pub varies: bool,
    /// The operand whose place the results take, element for element.
    pub onto: Option<usize>,
    /// Operands, and the bytes of their elements, that results may overlap otherwise.
    pub meets: Vec<(usize, usize)>,
    /// The threads that do it, if not all that run.
    pub within: Option<Narrow>,
}

/// What is computed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Map(Inner),
    Pick(Pick),
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// In scratch: the place of the element of thread 0, and the bytes from one thread's to the next.
    Reg(u32, u32),
    Row(RowAt),
}

/// Where results go.
#[derive(Clone, Debug)]
pub(super) enum Dest {
    /// To a value, which only running threads look at.
    Value(Reg),
    /// To the running threads' elements of a variable.
    Variable(Reg),
    /// To the running threads' elements of a row.
    Row(RowAt),
}

/// Elements of memory shared by the threads, one component each: that of a thread lies at its number more than `base`, modulo 2^32.
#[derive(Clone, Debug)]
pub(super) struct RowAt {
    /// The array's number among all buffers and workgroup arrays.
    pub place: u32,
    pub base: Base,
    /// Bytes of an element.
    pub bytes: u32,
    /// The number of the load, for rows of buffers that are read.
    pub nth: Option<u32>,
    pub loc: Loc,
}

impl SimtWorker {
    pub(super) fn fused(&mut self, l: &SimtLaunch<'_>, f: &Fused) -> Result<()> {
        let n = if f.varies { self.running.span() } else { 1 };
        let by = if n == 1 { [1; 3] } else { f.by.map(usize::from) };
        let mut from = [&f.args[0], &f.args[1], &f.args[2]].map(|arg| match arg {
            Operand::Reg(at, step) => self.at(*at as usize + *step as usize * self.running.lo).cast_const(),
            Operand::Row(_) => std::ptr::null(),
        });
        for k in &f.rows {
            if let Operand::Row(row) = &f.args[*k] {
                let at = self.row(l, row)?;
                if let Some(nth) = row.nth {
                    self.expect(nth as usize, at as usize, n * row.bytes as usize);
                }
                from[*k] = at.cast_const();
            }
        }
        let to = match &f.dst {
            Dest::Value(r) | Dest::Variable(r) => self.lanes(r, 0),
            Dest::Row(row) => self.row(l, row)?,
        };
        let end = to as usize + n * f.bytes;
        let mut apart = self.running.full || matches!(f.dst, Dest::Value(_));
        for (k, bytes) in &f.meets {
            let start = from[*k] as usize;
            apart &= start >= end || start + n * bytes <= to as usize;
        }
        // SAFETY: rows were checked against their arrays; operands have an element for each thread of the range, or one. What is
        // written directly overlaps no operand but, element for element, `onto`; else it goes to the spare room first, which has eight
        // bytes for each thread and is no operand.
        unsafe {
            if apart {
                self.work(f, to, f.onto, from, by, n);
                return Ok(());
            }
            let all = self.spare(l, 0);
            self.work(f, all, None, from, by, n);
            match &f.dst {
                _ if self.running.full => std::ptr::copy_nonoverlapping(all.cast_const(), to, n * f.bytes),
                // Elements of memory that are not written may belong to another workgroup.
                Dest::Row(_) => {
                    for t in (0..n).filter(|t| self.running.has(self.running.lo + t)) {
                        let at = t * f.bytes;
                        std::ptr::copy_nonoverlapping(all.add(at).cast_const(), to.add(at), f.bytes);
                    }
                }
                _ => gather::blend(all, 1, f.bytes, to, self.chosen(l)),
            }
        }
        Ok(())
    }

    /// The running threads' part of a row, from the first to the last of them.
    #[inline(always)]
    fn row(&self, l: &SimtLaunch<'_>, row: &RowAt) -> Result<*mut u8> {
        let (start, len) = self.places[row.place as usize];
        let base = self.base(&row.base);
        let first = base.wrapping_add(self.running.lo as u32) as usize;
        if first + self.running.span() > len {
            let (place, buffers) = (row.place as usize, l.program.buffers.len());
            let array = if place < buffers { Array::Buffer(place) } else { Array::Shared(place - buffers) };
            return Err(self.row_outside(l, array, len, base).at(&row.loc, EXECUTED));
        }
        Ok(start.wrapping_add(first * row.bytes as usize))
    }

    /// # Safety
    /// Operands lie at `from`, advancing by `by` elements, and results go to `to`, which is apart from them or, element for element,
    /// operand `onto`.
    #[inline(always)]
    unsafe fn work(&self, f: &Fused, to: *mut u8, onto: Option<usize>, from: [*const u8; 3], by: [usize; 3], n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match (&f.work, onto) {
                (Work::Map(inner), None) => inner.along((to, f.bytes), from, by, n, || self.strips()),
                (Work::Map(inner), Some(k)) => inner.onto((to, f.bytes), k, from, by, n, || self.strips()),
                (Work::Pick(p), None) => {
                    let at = from.map(|p| p.cast());
                    if by[0] | by[1] == 0 {
                        pick(*p, to.cast(), Operands { at, step: [1; 3] }, 1);
                        let all = std::slice::from_raw_parts_mut(to.cast::<f32>(), n);
                        return all.fill(all[0]);
                    }
                    pick(*p, to.cast(), Operands { at, step: by }, n);
                }
                (Work::Pick(p), Some(0)) => pick_update(*p, to.cast(), 0, from[1].cast(), by[1], n),
                (Work::Pick(p), Some(_)) => pick_update(*p, to.cast(), 1, from[0].cast(), by[0], n),
            }
        }
    }
}
