//! Which threads run: cuts of rows, counted loops, and the rounds of loops that stride.

use super::machine::{SimtLaunch, SimtWorker};
use super::program::{By, Kept, Narrow, Reg};
use girih_base::{Result, ScalarOp};
use std::ops::Range;

impl SimtWorker {
    /// A word that is the same in all threads.
    #[inline(always)]
    pub(super) fn word(&self, r: &Reg) -> *mut u32 {
        self.part(r, 0).cast()
    }

    /// Begins a round of a loop whose counter (below 2^31) is the same in all threads: those whose number more than it is not below the
    /// end wait in `other`. Whether there is such a round; there is none after one without, either.
    #[inline]
    pub(super) fn round(&mut self, l: &SimtLaunch<'_>, counter: &Reg, end: &Reg, other: Kept) -> bool {
        // SAFETY: words that are the same in all threads.
        let (first, end_at) = unsafe { (*self.word(counter) as usize, *self.word(end) as usize) };
        if first + self.running.hi <= end_at {
            self.kept[other].clear();
        } else if first + self.running.lo >= end_at {
            return false;
        } else if self.running.full {
            let until = end_at - first;
            self.running.cut(self.running.lo..until, &mut self.kept[other]);
        } else {
            let row = Some(*counter);
            self.cut(l, &Narrow { row, op: ScalarOp::Lt, bound: *end, signed: false, other });
        }
        true
    }

    /// Threads whose index is not below their end wait in `gone`.
    pub(super) fn test(&mut self, l: &SimtLaunch<'_>, index: &Reg, hi: &Reg, gone: Kept) {
        let (i, end, n) = (self.lanes(index, 0).cast::<u32>(), self.lanes(hi, 0).cast::<u32>(), self.running.span());
        // SAFETY: u32 values with an element per running thread, or one.
        unsafe {
            if !index.varies && !hi.varies {
                if *i >= *end {
                    self.kept[gone].join(&mut self.running);
                }
                return;
            }
            let all = self.spare(l, 0);
            let flags = std::slice::from_raw_parts_mut(all.add(self.running.lo), n);
            let (a, b) = (index.varies as usize, hi.varies as usize);
            for (t, flag) in flags.iter_mut().enumerate() {
                *flag = (*i.add(t * a) < *end.add(t * b)) as u8;
            }
            self.running.split(all, &mut self.scrap);
            self.kept[gone].join(&mut self.scrap);
        }
    }

    /// Runs one instruction for the threads for which the comparison holds, if there are any.
    #[inline(always)]
    pub(super) fn within(
        &mut self,
        l: &SimtLaunch<'_>,
        narrow: &Narrow,
        run: impl FnOnce(&mut SimtWorker) -> Result<()>,
    ) -> Result<()> {
        if let Some(part) = self.part_that_holds(narrow) {
            if part.is_empty() {
                return Ok(());
            }
            let all = (self.running.lo, self.running.hi);
            (self.running.lo, self.running.hi) = (part.start, part.end);
            let done = run(self);
            (self.running.lo, self.running.hi) = all;
            return done;
        }
        self.cut(l, narrow);
        let done = if self.running.is_empty() { Ok(()) } else { run(self) };
        self.running.join(&mut self.kept[narrow.other]);
        done
    }

    /// Threads for which the comparison does not hold wait in its set.
    pub(super) fn cut(&mut self, l: &SimtLaunch<'_>, narrow: &Narrow) {
        if let Some(part) = self.part_that_holds(narrow) {
            return self.running.cut(part, &mut self.kept[narrow.other]);
        }
        self.cut_each(l, narrow);
    }

    /// The part of the running threads for which the comparison holds, where they are a whole range and it is at one of its ends, or
    /// empty.
    #[inline]
    fn part_that_holds(&self, narrow: &Narrow) -> Option<Range<usize>> {
        // SAFETY: words that are the same in all threads.
        let word = |r: &Reg| unsafe { *self.word(r) };
        let (base, bound) = (narrow.row.as_ref().map_or(0, word), word(&narrow.bound));
        let number = |w: u32| if narrow.signed { w as i32 as i64 } else { w as i64 };
        let (lo, hi, n) = (self.running.lo, self.running.hi, self.running.span() as i64);
        let first = number(base.wrapping_add(lo as u32));
        let top = if narrow.signed { i32::MAX as i64 } else { u32::MAX as i64 };
        if !self.running.full || first + n - 1 > top {
            return None;
        }
        // Threads below the bound, and up to it: the first so many, since the numbers do not wrap around.
        let below = lo + (number(bound) - first).clamp(0, n) as usize;
        let until = lo + (number(bound) - first + 1).clamp(0, n) as usize;
        match narrow.op {
            ScalarOp::Lt => Some(lo..below),
            ScalarOp::Le => Some(lo..until),
            ScalarOp::Ge => Some(below..hi),
            ScalarOp::Gt => Some(until..hi),
            // One thread, at an end.
            ScalarOp::Eq if below == lo || until == hi || below == until => Some(below..until),
            _ => None,
        }
    }

    #[cold]
    fn cut_each(&mut self, l: &SimtLaunch<'_>, narrow: &Narrow) {
        // SAFETY: words that are the same in all threads.
        let word = |r: &Reg| unsafe { *self.word(r) };
        let (base, bound) = (narrow.row.as_ref().map_or(0, word), word(&narrow.bound));
        let number = |w: u32| if narrow.signed { w as i32 as i64 } else { w as i64 };
        let all = self.spare(l, 0);
        for t in self.running.lo..self.running.hi {
            let i = number(base.wrapping_add(t as u32));
            let b = number(bound);
            let holds = match narrow.op {
                ScalarOp::Lt => i < b,
                ScalarOp::Le => i <= b,
                ScalarOp::Gt => i > b,
                ScalarOp::Ge => i >= b,
                ScalarOp::Eq => i == b,
                _ => i != b,
            };
            // SAFETY: the spare room has eight bytes for each thread.
            unsafe { *all.add(t) = holds as u8 };
        }
        // SAFETY: a byte for each thread, in a room of whole lines.
        unsafe { self.running.split(all, &mut self.kept[narrow.other]) };
    }

    /// The next value of a loop variable; past the largest there is none, which no thread's end exceeds.
    pub(super) fn advance(&mut self, index: &Reg, by: &By) {
        let step = match by {
            By::Fixed(by) => *by,
            // SAFETY: a word that is the same in all threads.
            By::Reg(r) => unsafe { *self.word(r) },
        };
        let at = self.lanes(index, 0).cast::<u32>();
        // SAFETY: a u32 for each running thread, or one.
        let all = unsafe { std::slice::from_raw_parts_mut(at, self.count(index)) };
        all.iter_mut().for_each(|i| *i = i.saturating_add(step));
    }
}
