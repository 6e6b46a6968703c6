//! Loads and stores: rows of neighbouring elements as copies, others element by element, all of them checked.

use super::machine::{SimtLaunch, SimtWorker};
use super::program::{Array, At, Base, Reg};
use crate::program::Lane;
use crate::simd::{gather, memory};
use girih_base::{DType, Diag, Result};

/// Where the elements of an array lie.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub base: *mut u8,
    /// Number of elements.
    pub len: usize,
    /// Components of an element, side by side.
    pub parts: usize,
    pub dtype: DType,
    pub lane: Lane,
    /// Memory holds lanes as they are.
    pub raw: bool,
}

/// The indices of the running threads.
#[derive(Clone, Copy)]
pub(super) enum Index<'a> {
    /// One for all.
    Same(usize),
    /// One for each thread from the first to the last, those that do not run included; all inside the array.
    Each(&'a [u32]),
    /// The same, and each is one more than the one before.
    Row(usize),
}

impl SimtWorker {
    pub(super) fn place(&self, l: &SimtLaunch<'_>, array: Array) -> Option<Place> {
        match array {
            Array::Buffer(i) => {
                let b = &l.program.buffers[i];
                let (lane, raw) = (Lane::of(b.dtype), Lane::is_memory(b.dtype));
                Some(Place { base: l.args[i].ptr, len: l.lens[i], parts: b.parts, dtype: b.dtype, lane, raw })
            }
            Array::Shared(i) => {
                let s = &l.program.shared[i];
                let base = self.shared(s.at);
                Some(Place { base, len: s.len, parts: s.parts, dtype: s.dtype, lane: s.lane, raw: true })
            }
            Array::Local { .. } => None,
        }
    }

    /// The indices of the running threads, checked against the length of the array. Threads that do not run get the index of
    /// one that does.
    pub(super) fn indices<'a>(&self, l: &'a SimtLaunch<'_>, array: Array, len: usize, index: &At) -> Result<Index<'a>> {
        let index = match index {
            At::Reg(index) => index,
            At::Row(base) => {
                let base = self.base(base);
                let (first, n) = (base.wrapping_add(self.running.lo as u32) as usize, self.running.span());
                if first + n <= len {
                    return Ok(Index::Row(first));
                }
                return Err(self.row_outside(l, array, len, base));
            }
        };
        let at = self.lanes(index, 0).cast::<u32>();
        if !index.varies {
            // SAFETY: an index.
            let i = unsafe { *at } as usize;
            return if i < len { Ok(Index::Same(i)) } else { Err(self.outside(l, array, len, i, self.running.lo)) };
        }
        let n = self.running.span();
        // SAFETY: an index for each thread of the range; the spare room has eight bytes for each and is used for nothing else
        // until the access is done.
        let all: &'a [u32] = unsafe {
            if self.running.full {
                std::slice::from_raw_parts(at, n)
            } else {
                let clean = self.spare(l, 0).cast::<u32>();
                gather::repeat(at.cast(), 4, clean.cast(), n);
                gather::blend(at.cast(), 1, 4, clean.cast(), self.chosen(l));
                std::slice::from_raw_parts(clean, n)
            }
        };
        // SAFETY: no conditions.
        let survey = unsafe { gather::survey(all) };
        if survey.max as usize >= len {
            let first = all.iter().position(|i| *i as usize >= len).unwrap_or(0);
            return Err(self.outside(l, array, len, all[first] as usize, self.running.lo + first));
        }
        Ok(if survey.row { Index::Row(all[0] as usize) } else { Index::Each(all) })
    }

    /// Where a row starts in thread 0.
    #[inline(always)]
    pub(super) fn base(&self, [a, b]: &Base) -> u32 {
        // SAFETY: words that are the same in all threads.
        unsafe { (*self.at(*a as usize).cast::<u32>()).wrapping_add(*self.at(*b as usize).cast()) }
    }

    /// A row that ends outside its array: the last running thread is beyond the end, and perhaps others are.
    #[cold]
    pub(super) fn row_outside(&self, l: &SimtLaunch<'_>, array: Array, len: usize, base: u32) -> Box<Diag> {
        let over = |t: &usize| self.running.has(*t) && base.wrapping_add(*t as u32) as usize >= len;
        let thread = (self.running.lo..self.running.hi).find(over).unwrap_or(self.running.lo);
        self.outside(l, array, len, base.wrapping_add(thread as u32) as usize, thread)
    }

    pub(super) fn load(&mut self, l: &SimtLaunch<'_>, array: Array, index: &At, dst: &Reg, nth: usize) -> Result<()> {
        let Some(p) = self.place(l, array) else { return self.load_local(l, array, index, dst) };
        let (n, bytes) = (self.count(dst), p.lane.bytes());
        let index = self.indices(l, array, p.len, index)?;
        if let (Index::Row(i), true, Array::Buffer(_)) = (index, p.raw, array) {
            self.expect(nth, p.base as usize + i * p.parts * bytes, n * p.parts * bytes);
        }
        for c in 0..p.parts {
            let to = self.lanes(dst, c);
            // SAFETY: the indices were checked against the length; each is an element of `parts` components.
            unsafe {
                match index {
                    Index::Same(i) if p.raw => {
                        std::ptr::copy_nonoverlapping(p.base.add((i * p.parts + c) * bytes), to, bytes);
                    }
                    Index::Same(i) => memory::load(p.dtype, p.base, (i * p.parts + c) as isize, 1, to, 1),
                    Index::Row(i) if p.raw && p.parts == 1 => {
                        std::ptr::copy_nonoverlapping(p.base.add(i * bytes), to, n * bytes);
                    }
                    Index::Row(i) if p.raw => pick(p.base.add((i * p.parts + c) * bytes), p.parts, bytes, to, n),
                    Index::Row(i) => {
                        memory::load(p.dtype, p.base, (i * p.parts + c) as isize, p.parts as isize, to, n);
                    }
                    Index::Each(all) if p.raw && p.parts == 1 => match bytes {
                        1 => gather::gather::<u8>(p.base, all, to),
                        4 => gather::gather::<u32>(p.base.cast(), all, to.cast()),
                        _ => gather::gather::<u64>(p.base.cast(), all, to.cast()),
                    },
                    Index::Each(all) => {
                        for (t, i) in all.iter().enumerate() {
                            let from = *i as usize * p.parts + c;
                            match (p.raw, bytes) {
                                (true, 1) => *to.add(t) = *p.base.add(from),
                                (true, 4) => *to.cast::<u32>().add(t) = *p.base.cast::<u32>().add(from),
                                (true, _) => *to.cast::<u64>().add(t) = *p.base.cast::<u64>().add(from),
                                _ => memory::load(p.dtype, p.base, from as isize, 1, to.add(t * bytes), 1),
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Fetches what a load will read next if it goes on as it did from the last time to now. A workgroup that strides over an array
    /// together with others goes further than the processor's own guesses reach.
    #[inline]
    pub(super) fn expect(&mut self, nth: usize, at: usize, bytes: usize) {
        let step = at.wrapping_sub(std::mem::replace(&mut self.last[nth], at));
        #[cfg(target_arch = "x86_64")]
        if (4096..1 << 30).contains(&step) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let next = at.wrapping_add(step);
            for line in (0..bytes.min(4096)).step_by(64) {
                // SAFETY: a hint; nothing is read, whatever lies there.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(line) as *const i8) };
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (step, bytes);
    }

    pub(super) fn store(&mut self, l: &SimtLaunch<'_>, array: Array, index: &At, x: &Reg) -> Result<()> {
        let Some(p) = self.place(l, array) else { return self.store_local(l, array, index, x) };
        let (n, bytes, full) = (self.running.span(), p.lane.bytes(), self.running.full);
        let index = self.indices(l, array, p.len, index)?;
        let step = x.varies as usize;
        for c in 0..p.parts {
            let from = self.lanes(x, c);
            // SAFETY: the indices were checked against the length; each is an element of `parts` components.
            unsafe {
                match index {
                    // The last running thread's value stays.
                    Index::Same(i) => {
                        put(&p, i * p.parts + c, from.add((n - 1) * step * bytes));
                    }
                    Index::Row(i) if p.raw && p.parts == 1 && full && step == 1 => {
                        std::ptr::copy_nonoverlapping(from, p.base.add(i * bytes), n * bytes);
                    }
                    Index::Row(i) if full && step == 1 && !p.raw => {
                        memory::store(p.dtype, p.base, (i * p.parts + c) as isize, p.parts as isize, from, n);
                    }
                    Index::Each(all) if p.raw && p.parts == 1 && full && step == 1 => match bytes {
                        1 => gather::scatter::<u8>(p.base, all, from),
                        4 => gather::scatter::<u32>(p.base.cast(), all, from.cast()),
                        _ => gather::scatter::<u64>(p.base.cast(), all, from.cast()),
                    },
                    Index::Row(_) | Index::Each(_) => {
                        for t in 0..n {
                            if !full && !self.running.has(self.running.lo + t) {
                                continue;
                            }
                            let i = match index {
                                Index::Each(all) => all[t] as usize,
                                Index::Row(i) => i + t,
                                Index::Same(i) => i,
                            };
                            put(&p, i * p.parts + c, from.add(t * step * bytes));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn load_local(&mut self, l: &SimtLaunch<'_>, array: Array, index: &At, dst: &Reg) -> Result<()> {
        let Array::Local { first, len, .. } = array else { return Ok(()) };
        let (n, bytes) = (self.count(dst), first.lane.bytes());
        match self.indices(l, array, len, index)? {
            Index::Same(i) => {
                let x = element(first, i);
                (0..first.parts).for_each(|c| self.copy(&x, c, dst, c));
            }
            other => {
                for c in 0..first.parts {
                    for t in 0..n {
                        let x = element(first, nth(other, t));
                        let from = self.lanes(&x, c).wrapping_add(t * first.varies as usize * bytes);
                        let to = self.lanes(dst, c).wrapping_add(t * bytes);
                        // SAFETY: an element of the array and one of the result, of thread `lo + t`.
                        unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) };
                    }
                }
            }
        }
        Ok(())
    }

    fn store_local(&mut self, l: &SimtLaunch<'_>, array: Array, index: &At, x: &Reg) -> Result<()> {
        let Array::Local { first, len, .. } = array else { return Ok(()) };
        let (n, bytes) = (self.running.span(), first.lane.bytes());
        match self.indices(l, array, len, index)? {
            Index::Same(i) => {
                let to = element(first, i);
                (0..first.parts).for_each(|c| self.set(l, x, c, &to, c));
            }
            other => {
                for c in 0..first.parts {
                    for t in (0..n).filter(|t| self.running.has(self.running.lo + t)) {
                        let to = element(first, nth(other, t));
                        let from = self.lanes(x, c).wrapping_add(t * x.varies as usize * bytes);
                        let to = self.lanes(&to, c).wrapping_add(t * bytes);
                        // SAFETY: an element of the value and one of the array, of thread `lo + t`.
                        unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) };
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn outside(
        &self,
        l: &SimtLaunch<'_>,
        array: Array,
        len: usize,
        index: usize,
        thread: usize,
    ) -> Box<Diag> {
        let p = l.program;
        let name = match array {
            Array::Buffer(i) => &p.buffers[i].name,
            Array::Shared(i) => &p.shared[i].name,
            Array::Local { name, .. } => &p.locals[name],
        };
        Diag::error("X103", format!("kernel `{}` reaches element {index} of `{name}`, which has {len}", p.name))
            .note(format!("thread {thread} of workgroup {}", self.group))
            .note("the access was stopped; nothing outside the array was read or written")
            .help("this is a mistake in the kernel or in the sizes it was launched with")
    }
}

/// Element `i` of a variable that is an array, as a value.
fn element(first: Reg, i: usize) -> Reg {
    Reg { at: first.at + i * first.parts * first.pitch, ..first }
}

fn nth(index: Index<'_>, t: usize) -> usize {
    match index {
        Index::Same(i) => i,
        Index::Row(i) => i + t,
        Index::Each(all) => all[t] as usize,
    }
}

/// Every `step`th element.
///
/// # Safety
/// `n` of them lie at `from`; `to` has room for them and does not overlap.
unsafe fn pick(from: *const u8, step: usize, bytes: usize, to: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { crate::simd::strided::copy(bytes, &[n], (from, &[step as isize]), (to, &[1])) };
}

/// Writes one component.
///
/// # Safety
/// Component `at` lies in the array, which may be written; a lane lies at `from`.
#[inline(always)]
unsafe fn put(p: &Place, at: usize, from: *const u8) {
    // SAFETY: the caller's promise.
    unsafe {
        match (p.raw, p.lane.bytes()) {
            (true, 1) => *p.base.add(at) = *from,
            (true, 4) => *p.base.cast::<u32>().add(at) = *from.cast(),
            (true, _) => *p.base.cast::<u64>().add(at) = *from.cast(),
            _ => memory::store(p.dtype, p.base, at as isize, 1, from, 1),
        }
    }
}
