//! Runs workgroups: one instruction after the other, each over all running threads.

use super::mask::Mask;
use super::program::*;
use crate::memory::{Aligned, Mem};
use girih_base::{Diag, Result};

/// Most rounds of the uncounted loops of one workgroup: a loop that never ends is reported.
const ROUNDS: u64 = 1 << 32;

/// What is said of the line that an error comes from.
pub(super) const EXECUTED: &str = "executed for this";

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
    pub(super) kept: Vec<Mask>,
    pub(super) scrap: Mask,
    /// Where each buffer and workgroup array begins, and how many elements it has.
    pub(super) places: Places,
    /// Where each load of a row last read.
    pub(super) last: Vec<usize>,
    pub(super) group: u32,
}

/// Beginnings and lengths.
#[derive(Default)]
pub(super) struct Places(Vec<(*mut u8, usize)>);

// SAFETY: places of the launch's buffers and the worker's own arrays, which any thread may reach; see `Mem`.
unsafe impl Send for Places {}

impl std::ops::Index<usize> for Places {
    type Output = (*mut u8, usize);

    fn index(&self, i: usize) -> &(*mut u8, usize) {
        &self.0[i]
    }
}

impl SimtWorker {
    /// Gets ready for a launch.
    pub fn prepare(&mut self, l: &SimtLaunch<'_>) -> Result<()> {
        let p = l.program;
        self.scratch.reserve(p.scratch)?;
        self.shared.reserve(p.shared_bytes)?;
        self.strips.reserve(4 * crate::exec::STRIP * 8)?;
        let buffers = l.args.iter().zip(&l.lens).map(|(mem, len)| (mem.ptr, *len));
        let shared = p.shared.iter().map(|s| (self.shared(s.at), s.len));
        self.places = Places(buffers.chain(shared).collect());
        self.running.resize(p.threads);
        self.scrap.resize(p.threads);
        self.last.clear();
        self.last.resize(p.loads, 0);
        self.kept.resize_with(p.kept, Mask::default);
        self.kept.iter_mut().for_each(|m| m.resize(p.threads));
        // SAFETY: the image is the start of scratch.
        unsafe { std::ptr::copy_nonoverlapping(l.image.as_ptr(), self.scratch.as_mut_ptr(), l.image.len()) };
        p.prologue.iter().for_each(|s| self.scalar(s));
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
        self.run(l)
    }

    fn run(&mut self, l: &SimtLaunch<'_>) -> Result<()> {
        let locs = &l.program.locs;
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
                Inst::Cut { narrow, miss } => {
                    self.cut(l, narrow);
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
                        self.advance(index, step);
                    } else {
                        rounds += 1;
                        if rounds > ROUNDS {
                            return Err(endless(l).at(&locs[at], EXECUTED));
                        }
                    }
                    if self.running.is_empty() { *end } else { *start }
                }
                Inst::Rounds { counter, lo, hi, other, end } => {
                    self.copy(lo, 0, counter, 0);
                    if self.round(l, counter, hi, *other) { at + 1 } else { *end }
                }
                Inst::Round { counter, by, hi, other, start, end, empty } => {
                    self.running.join(&mut self.kept[*other]);
                    self.advance(counter, by);
                    if self.running.is_empty() {
                        *empty
                    } else if self.round(l, counter, hi, *other) {
                        *start
                    } else {
                        *end
                    }
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
                Inst::Scalar(s) => {
                    self.scalar(s);
                    at + 1
                }
                Inst::Fused(f) => {
                    match &f.within {
                        None => self.fused(l, f)?,
                        Some(narrow) => self.within(l, narrow, |w| w.fused(l, f))?,
                    }
                    at + 1
                }
                inst => {
                    self.step(l, inst).map_err(|d| d.at(&locs[at], EXECUTED))?;
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
        self.at(r.at + part * r.pitch)
    }

    /// A place in scratch.
    #[inline(always)]
    pub(super) fn at(&self, at: usize) -> *mut u8 {
        self.scratch.as_ptr().cast_mut().wrapping_add(at)
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
}

fn endless(l: &SimtLaunch<'_>) -> Box<Diag> {
    Diag::error("X012", format!("a loop of kernel `{}` still runs after {ROUNDS} rounds", l.program.name))
        .note("threads of one workgroup run in step, and workgroups may run one after the other")
        .help("a thread must not wait in a loop for what another one does later")
}
