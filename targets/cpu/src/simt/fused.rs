//! Operations that read rows of memory as they lie there, and write to a row or a variable at once.
//!
//! Rows are checked in the order in which the kernel reads them, before anything is written. Where results take the place of an
//! operand, each element is read before it is written; where they overlap one otherwise, they are written once all are known.

use super::machine::{EXECUTED, SimtLaunch, SimtWorker};
use super::program::{Array, Reg};
use crate::exec::Inner;
use crate::simd::float::Operands;
use crate::simd::gather;
use crate::simd::pick::{Pick, pick, pick_update};
use girih_base::{Loc, Result};

/// Such an operation.
#[derive(Clone, Debug)]
pub(super) struct Fused {
    pub work: Work,
    /// One to three.
    pub args: Vec<Operand>,
    /// The operands that are rows, in the order of the kernel.
    pub rows: Vec<usize>,
    pub dst: Dest,
    /// Bytes of an element of the result.
    pub bytes: usize,
}

/// What is computed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Map(Inner),
    Pick(Pick),
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Reg(Reg),
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

/// Elements of memory shared by the threads, one component each: that of a thread lies at its number more than `base` (than 0 without),
/// modulo 2^32.
#[derive(Clone, Debug)]
pub(super) struct RowAt {
    pub array: Array,
    pub base: Option<Reg>,
    /// Bytes of an element.
    pub bytes: usize,
    /// The number of the load.
    pub nth: usize,
    pub loc: Loc,
}

impl SimtWorker {
    pub(super) fn fused(&mut self, l: &SimtLaunch<'_>, f: &Fused) -> Result<()> {
        let mut n = self.running.span();
        if let Dest::Value(r) | Dest::Variable(r) = &f.dst {
            n = self.count(r);
        }
        let (mut from, mut by) = ([std::ptr::null::<u8>(); 3], [1; 3]);
        for (k, arg) in f.args.iter().enumerate().take(3) {
            if let Operand::Reg(r) = arg {
                (from[k], by[k]) = (self.lanes(r, 0).cast_const(), (n == 1 || r.varies) as usize);
            }
        }
        for k in &f.rows {
            if let Operand::Row(row) = &f.args[*k] {
                let at = self.row(l, row)?;
                if matches!(row.array, Array::Buffer(_)) {
                    self.expect(row.nth, at as usize, n * row.bytes);
                }
                from[*k] = at.cast_const();
            }
        }
        let to = match &f.dst {
            Dest::Value(r) | Dest::Variable(r) => self.lanes(r, 0),
            Dest::Row(row) => self.row(l, row)?,
        };
        let mut onto = None;
        let mut apart = self.running.full || matches!(f.dst, Dest::Value(_));
        for k in 0..f.args.len() {
            let bytes = f.work.operand_bytes(k);
            let (start, size) = (from[k] as usize, if by[k] == 1 { n * bytes } else { bytes });
            let meets = start < to as usize + n * f.bytes && (to as usize) < start + size;
            if meets && apart {
                // One operand may be where the result goes, element for element.
                apart = onto.is_none() && start == to as usize && bytes == f.bytes && by[k] == 1;
                onto = Some(k);
            }
        }
        // SAFETY: rows were checked against their arrays; operands have an element for each thread of the range, or one. What is
        // written directly overlaps no operand, or is operand `onto`; else it goes to the spare room first, which has eight bytes for
        // each thread and is no operand.
        unsafe {
            if apart {
                self.work(f, to, onto, from, by, n);
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
        let (start, len) = match row.array {
            Array::Buffer(i) => (l.args[i].ptr, l.lens[i]),
            Array::Shared(i) => {
                let s = &l.program.shared[i];
                (self.shared(s.at), s.len)
            }
            Array::Local { .. } => (std::ptr::null_mut(), 0),
        };
        // SAFETY: an index that is the same in all threads.
        let base = row.base.as_ref().map_or(0, |r| unsafe { *self.word(r) });
        let first = base.wrapping_add(self.running.lo as u32) as usize;
        if first + self.running.span() > len {
            return Err(self.row_outside(l, row.array, len, base).at(&row.loc, EXECUTED));
        }
        Ok(start.wrapping_add(first * row.bytes))
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
                (Work::Pick(p), Some(k)) => pick_update(*p, to.cast(), k, from[1 - k].cast(), by[1 - k], n),
            }
        }
    }
}

impl Work {
    fn operand_bytes(&self, k: usize) -> usize {
        match self {
            Work::Map(inner) => inner.operand_bytes(k),
            Work::Pick(_) => 4,
        }
    }
}
