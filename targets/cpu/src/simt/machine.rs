//! Runs workgroups: one instruction after the other, each over all running threads.

use super::mask::Mask;
use super::program::*;
use crate::memory::{Aligned, Mem};
use girih_base::{Diag, Result, ScalarOp};

/// Most rounds of the uncounted loops of one workgroup: a loop that never ends is reported.
const ROUNDS: u64 = 1 << 32;

/// One launch: a program with its memory and sizes.
pub(crate) struct SimtLaunch<'a> {
    pub program: &'a SimtProgram,
    pub args: Vec<Mem>,
    /// Elements of each buffer.
    pub lens: Vec<usize>,
    /// The program's image with the uniforms filled in.
    pub image: Vec<u8>,
}

/// What one thread of the processor owns; apart from what others own, since sets of threads change all the time.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct SimtWorker {
    scratch: Aligned,
    shared: Aligned,
    strips: Aligned,
    /// The threads that run.
    pub(super) running: Mask,
    /// Threads that wait.
    kept: Vec<Mask>,
    scrap: Mask,
    /// Where each load of a row last read.
    pub(super) last: Vec<usize>,
    pub(super) group: u32,
}

impl SimtWorker {
    /// Gets ready for a launch.
    pub fn prepare(&mut self, l: &SimtLaunch<'_>) -> Result<()> {
        let p = l.program;
        self.scratch.reserve(p.scratch)?;
        self.shared.reserve(p.shared_bytes)?;
        self.strips.reserve(4 * crate::exec::STRIP * 8)?;
        self.running.resize(p.threads);
        self.scrap.resize(p.threads);
        self.last.clear();
        self.last.resize(p.loads, 0);
        self.kept.resize_with(p.kept, Mask::default);
        self.kept.iter_mut().for_each(|m| m.resize(p.threads));
        // SAFETY: the image is the start of scratch.
        unsafe { std::ptr::copy_nonoverlapping(l.image.as_ptr(), self.scratch.as_mut_ptr(), l.image.len()) };
        Ok(())
    }

    /// Runs the workgroup of that index.
    ///
    /// # Errors
    /// `X103` an access outside an array, `X012` a loop without end.
    pub fn group(&mut self, l: &SimtLaunch<'_>, group: u32) -> Result<()> {
        let p = l.program;
        self.group = group;
        // SAFETY: these places lie in scratch and in workgroup memory, by the layout.
        unsafe {
            let base = self.scratch.as_mut_ptr();
            *base.add(p.group_at).cast::<u32>() = group;
            std::ptr::write_bytes(base.add(p.zeroed.start), 0, p.zeroed.len());
            std::ptr::write_bytes(self.shared.as_mut_ptr(), 0, p.shared_bytes);
        }
        self.running.fill();
        self.run(l).map_err(|(at, diag)| diag.at(&p.locs[at], "executed for this"))
    }

    fn run(&mut self, l: &SimtLaunch<'_>) -> Result<(), (usize, Box<Diag>)> {
        let insts = &l.program.insts[..];
        let (mut at, mut rounds) = (0, 0u64);
        loop {
            let inst = &insts[at];
            at = match inst {
                Inst::Branch { cond, miss } => {
                    // SAFETY: a bool that is the same in all threads.
                    if unsafe { *self.part(cond, 0) } != 0 { at + 1 } else { *miss }
                }
                Inst::Jump(to) => *to,
                Inst::If { cond, other, miss } => {
                    let flags = self.part(cond, 0);
                    // SAFETY: a bool for each thread, in a room of whole lines.
                    unsafe { self.running.split(flags, &mut self.kept[*other]) };
                    if self.running.is_empty() { *miss } else { at + 1 }
                }
                Inst::Cut { row, op, bound, signed, other, miss } => {
                    self.cut(l, row.as_ref(), *op, bound, *signed, *other);
                    if self.running.is_empty() { *miss } else { at + 1 }
                }
                Inst::Else { other, end } => {
                    std::mem::swap(&mut self.running, &mut self.kept[*other]);
                    if self.running.is_empty() { *end } else { at + 1 }
                }
                Inst::EndIf { other: from, empty } | Inst::Leave { gone: from, empty } => {
                    self.running.join(&mut self.kept[*from]);
                    if self.running.is_empty() { *empty } else { at + 1 }
                }
                Inst::Enter { gone, next } => {
                    self.kept[*gone].clear();
                    self.kept[*next].clear();
                    at + 1
                }
                Inst::Start { index, lo } => {
                    self.copy(lo, 0, index, 0);
                    at + 1
                }
                Inst::Test { index, hi, gone, end } => {
                    self.test(l, index, hi, *gone);
                    if self.running.is_empty() { *end } else { at + 1 }
                }
                Inst::Again { next, step, start, end } => {
                    self.running.join(&mut self.kept[*next]);
                    if let Some((index, step)) = step {
                        self.advance(index, *step);
                    } else {
                        rounds += 1;
                        if rounds > ROUNDS {
                            return Err((at, endless(l)));
                        }
                    }
                    if self.running.is_empty() { *end } else { *start }
                }
                Inst::Break { gone: to, empty } | Inst::Continue { next: to, empty } => {
                    self.kept[*to].join(&mut self.running);
                    *empty
                }
                Inst::Return { empty } => {
                    self.running.clear();
                    *empty
                }
                Inst::End => return Ok(()),
                inst => {
                    self.step(l, inst).map_err(|d| (at, d))?;
                    at + 1
                }
            };
        }
    }

    fn step(&mut self, l: &SimtLaunch<'_>, inst: &Inst) -> Result<()> {
        match inst {
            Inst::Map { inner, args, dst } => self.map(inner, args, dst),
            Inst::Cast { x, dst } => self.cast(x, dst),
            Inst::Bits { x, dst } => self.bits(x, dst),
            Inst::Part { x, from, dst, to } => self.copy(x, *from, dst, *to),
            Inst::PartAt { x, index, dst } => self.part_at(l, x, index, dst)?,
            Inst::UnpackHalf { x, dst } => self.unpack_half(x, dst),
            Inst::PackHalf { x, dst } => self.pack_half(x, dst),
            Inst::Set { x, dst } => (0..dst.parts).for_each(|c| self.set(l, x, c, dst, c)),
            Inst::Load { array, index, dst, nth } => self.load(l, *array, index, dst, *nth)?,
            Inst::Store { array, index, x } => self.store(l, *array, index, x)?,
            Inst::Atomic { op, array, index, x, dst } => self.atomic(l, *op, *array, index, x, dst.as_ref())?,
            Inst::CompareExchange { array, index, expected, new, dst } => {
                self.exchange(l, *array, index, [expected, new], dst.as_ref())?;
            }
            Inst::Subgroup { op, x, dst } => self.subgroup(l, *op, x, dst),
            Inst::Shuffle { kind, x, n, dst } => self.shuffle(l, *kind, x, n, dst),
            Inst::Assert { cond, text } => self.assert(cond, text)?,
            // Steered by `run`.
            _ => {}
        }
        Ok(())
    }

    /// Stops the kernel where a running thread's condition does not hold.
    fn assert(&mut self, cond: &Reg, text: &str) -> Result<()> {
        // SAFETY: a bool for each thread of the range, or one.
        let flags = unsafe { std::slice::from_raw_parts(self.lanes(cond, 0), self.count(cond)) };
        let running = &self.running;
        let broken = |i: usize| flags[if cond.varies { i } else { 0 }] == 0;
        match (0..running.span()).find(|i| running.has(running.lo + i) && broken(*i)) {
            Some(i) => {
                let thread = self.running.lo + i;
                Err(Diag::error("X105", format!("thread {thread} of workgroup {}: {text}", self.group)))
            }
            None => Ok(()),
        }
    }

    /// The first element of a component: of thread 0, or of all threads.
    #[inline(always)]
    pub(super) fn part(&self, r: &Reg, part: usize) -> *mut u8 {
        self.scratch.as_ptr().cast_mut().wrapping_add(r.at + part * r.pitch)
    }

    /// The element of the first running thread.
    #[inline(always)]
    pub(super) fn lanes(&self, r: &Reg, part: usize) -> *mut u8 {
        let first = if r.varies { self.running.lo * r.lane.bytes() } else { 0 };
        self.part(r, part).wrapping_add(first)
    }

    /// Elements that a value has for the running threads.
    #[inline(always)]
    pub(super) fn count(&self, r: &Reg) -> usize {
        if r.varies { self.running.span() } else { 1 }
    }

    /// Room for one eight-byte element per thread: the first or the second.
    pub(super) fn spare(&self, l: &SimtLaunch<'_>, which: usize) -> *mut u8 {
        let room = (l.program.threads * 8).next_multiple_of(crate::memory::ALIGNMENT);
        self.scratch.as_ptr().cast_mut().wrapping_add(l.program.spare + which * room)
    }

    pub(super) fn strips(&self) -> *mut u8 {
        self.strips.as_ptr().cast_mut()
    }

    pub(super) fn shared(&self, at: usize) -> *mut u8 {
        self.shared.as_ptr().cast_mut().wrapping_add(at)
    }

    /// Threads whose index is not below their end wait in `gone`.
    fn test(&mut self, l: &SimtLaunch<'_>, index: &Reg, hi: &Reg, gone: Kept) {
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

    /// Threads for which the comparison does not hold wait in `other`.
    fn cut(&mut self, l: &SimtLaunch<'_>, row: Option<&Reg>, op: ScalarOp, bound: &Reg, signed: bool, other: Kept) {
        // SAFETY: words that are the same in all threads.
        let word = |r: &Reg| unsafe { *self.part(r, 0).cast::<u32>() };
        let (base, bound) = (row.map_or(0, word), word(bound));
        let number = |w: u32| if signed { w as i32 as i64 } else { w as i64 };
        let (lo, hi, n) = (self.running.lo, self.running.hi, self.running.span() as i64);
        let first = number(base.wrapping_add(lo as u32));
        let top = if signed { i32::MAX as i64 } else { u32::MAX as i64 };
        // Threads below the bound, and up to it: the first so many, unless the numbers wrap around.
        let below = (number(bound) - first).clamp(0, n) as usize;
        let until = (number(bound) - first + 1).clamp(0, n) as usize;
        let kept = &mut self.kept[other];
        if self.running.full && first + n - 1 <= top {
            match op {
                ScalarOp::Lt => return self.running.cut(lo..lo + below, kept),
                ScalarOp::Le => return self.running.cut(lo..lo + until, kept),
                ScalarOp::Ge => return self.running.cut(lo + below..hi, kept),
                ScalarOp::Gt => return self.running.cut(lo + until..hi, kept),
                // One thread, at an end.
                ScalarOp::Eq if below == 0 || until as i64 == n || below == until => {
                    return self.running.cut(lo + below..lo + until, kept);
                }
                _ => {}
            }
        }
        let all = self.spare(l, 0);
        for t in lo..hi {
            let i = number(base.wrapping_add(t as u32));
            let b = number(bound);
            let holds = match op {
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
        unsafe { self.running.split(all, &mut self.kept[other]) };
    }

    /// The next value of a loop variable; past the largest there is none, which no thread's end exceeds.
    fn advance(&mut self, index: &Reg, step: u32) {
        let at = self.lanes(index, 0).cast::<u32>();
        // SAFETY: a u32 for each running thread, or one.
        let all = unsafe { std::slice::from_raw_parts_mut(at, self.count(index)) };
        all.iter_mut().for_each(|i| *i = i.saturating_add(step));
    }
}

fn endless(l: &SimtLaunch<'_>) -> Box<Diag> {
    Diag::error("X012", format!("a loop of kernel `{}` still runs after {ROUNDS} rounds", l.program.name))
        .note("threads of one workgroup run in step, and workgroups may run one after the other")
        .help("a thread must not wait in a loop for what another one does later")
}
