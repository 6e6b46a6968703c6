//! Statements over the active threads of one workgroup: control flow.

use super::address::Ideals;
use super::memory::Memory;
use super::order::Order;
use super::undefined::Undefined;
use super::{Line, Options, Stats};
use crate::ir::*;
use crate::op::*;
use girih_base::{Diag, Loc, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Most components that the values and arrays of one workgroup have together.
const MOST_WORDS: u64 = 1 << 27;

/// One workgroup at a time.
pub struct Machine<'k> {
    pub(super) kernel: &'k Kernel,
    pub(super) options: Options,
    pub(super) uniforms: Vec<u32>,
    pub(super) threads: u32,
    pub(super) buffers: Vec<Memory>,
    pub(super) shared: Vec<Memory>,
    pub(super) locals: Vec<Vec<u64>>,
    values: Vec<u64>,
    offsets: Vec<usize>,
    /// Spaces that atomic operations touch: all their accesses are atomic.
    pub(super) atomics: BTreeSet<(bool, u32)>,
    loops: Vec<Frame>,
    pub(super) group: u32,
    pub(super) epoch: u32,
    /// Barriers of each subgroup.
    pub(super) phases: Vec<u32>,
    pub(super) order: Order,
    pub(super) ideals: Ideals,
    pub(super) undefined: Undefined,
    /// Statements that reached memory, and the number of the one that runs.
    pub(super) sites: Vec<Loc>,
    numbers: BTreeMap<usize, u32>,
    pub(super) site: u32,
    /// Where printed lines go.
    pub(super) print: &'k mut dyn FnMut(Line<'_>),
    pub stats: Stats,
    /// Operations across subgroups: where they are, and a hash of all their results.
    pub exchanges: Vec<(Loc, u64)>,
}

/// Threads that left the innermost loop, or this round of it.
#[derive(Default)]
struct Frame {
    broken: Vec<u32>,
    continued: Vec<u32>,
}

impl<'k> Machine<'k> {
    pub fn new(
        kernel: &'k Kernel,
        buffers: &[Vec<u8>],
        uniforms: Vec<u32>,
        options: Options,
        print: &'k mut dyn FnMut(Line<'_>),
    ) -> Result<Machine<'k>> {
        let threads = room(kernel, options)?;
        let mut offsets = Vec::with_capacity(kernel.values.len());
        let mut total = 0;
        for v in &kernel.values {
            offsets.push(total);
            total += v.ty.lanes as usize * threads as usize;
        }
        let open = |(i, (b, raw)): (usize, (&Buffer, &Vec<u8>))| {
            let short =
                || Diag::error("S106", format!("buffer `{}` of {} bytes is not whole elements", b.name, raw.len()));
            Memory::buffer(b.elem, raw, i < 64 && options.unwritten >> i & 1 == 1).ok_or_else(short)
        };
        let mut atomics = BTreeSet::new();
        find_atomics(&kernel.body, &mut atomics);
        Ok(Machine {
            kernel,
            options,
            uniforms,
            threads,
            buffers: kernel.buffers.iter().zip(buffers).enumerate().map(open).collect::<Result<_>>()?,
            shared: kernel.shared.iter().map(|s| Memory::shared(s.elem, s.len as usize)).collect(),
            locals: Vec::new(),
            values: vec![0; total],
            offsets,
            atomics,
            loops: Vec::new(),
            group: 0,
            epoch: 0,
            phases: vec![0; threads.div_ceil(options.subgroup) as usize],
            order: Order::default(),
            ideals: Ideals::new(kernel, threads),
            undefined: Undefined::new(kernel, if options.strict { Some(total) } else { None }),
            sites: Vec::new(),
            numbers: BTreeMap::new(),
            site: 0,
            print,
            stats: Stats::default(),
            exchanges: Vec::new(),
        })
    }

    pub fn finish(&self, buffers: &mut [Vec<u8>]) {
        for (memory, raw) in self.buffers.iter().zip(buffers) {
            *raw = memory.to_bytes();
        }
    }

    pub fn run_group(&mut self, group: u32) -> Result<()> {
        self.group = group;
        self.order.known.clear();
        self.epoch += 1;
        self.stats.groups += 1;
        self.shared.iter_mut().for_each(Memory::clear);
        let size = |l: &Local| (l.len.unwrap_or(1) * l.elem.lanes as u32 * self.threads) as usize;
        self.locals = self.kernel.locals.iter().map(|l| vec![0; size(l)]).collect();
        self.undefined.restart(self.kernel.locals.iter().map(size));
        self.ideals.restart();
        let kernel = self.kernel;
        self.block(&kernel.body, (0..self.threads).collect()).map(|_| ())
    }

    /// Runs statements; gives the threads that come out at the end.
    fn block(&mut self, stmts: &[Stmt], mut active: Vec<u32>) -> Result<Vec<u32>> {
        for stmt in stmts {
            if active.is_empty() {
                break;
            }
            self.stats.statements += 1;
            active = self.stmt(stmt, active).map_err(|d| self.locate(d, stmt, None))?;
        }
        Ok(active)
    }

    /// Says where a statement is that fails, once.
    fn locate(&self, mut diag: Box<Diag>, stmt: &Stmt, thread: Option<u32>) -> Box<Diag> {
        if !diag.notes.is_empty() {
            return diag;
        }
        let name = |s: &Space| match s {
            Space::Buffer(i) => self.kernel.buffers[*i as usize].name.clone(),
            Space::Shared(i) => self.kernel.shared[*i as usize].name.clone(),
            Space::Local(i) => self.kernel.locals[*i as usize].name.clone(),
        };
        let what = match &stmt.op {
            Op::Load(s, _) => format!("a load of `{}`", name(s)),
            Op::Store(s, ..) => format!("a store to `{}`", name(s)),
            Op::Atomic(_, s, ..) | Op::CompareExchange(s, ..) => format!("an atomic operation on `{}`", name(s)),
            Op::Assert(..) => "an assertion".to_string(),
            _ => "a statement".to_string(),
        };
        let loc: &Loc = &stmt.loc;
        let others = std::mem::take(&mut diag.labels);
        diag = diag.at(loc, "executed for this");
        diag.labels.extend(others);
        let by = thread.map_or(String::new(), |t| format!(" by thread {t}"));
        diag.note(format!("{what}{by} in workgroup {} of `{}`", self.group, self.kernel.name))
    }

    fn stmt(&mut self, stmt: &Stmt, active: Vec<u32>) -> Result<Vec<u32>> {
        match &stmt.op {
            Op::If(cond, then, otherwise) => {
                active.iter().try_for_each(|t| self.defined(*cond, *t, stmt))?;
                let (yes, no): (Vec<u32>, Vec<u32>) = active.into_iter().partition(|t| self.get(*cond, *t) != 0);
                let mut out = self.block(then, yes)?;
                out.extend(self.block(otherwise, no)?);
                out.sort_unstable();
                Ok(out)
            }
            Op::For { index, lo, hi, step, uniform, body } => {
                for t in &active {
                    self.defined(*lo, *t, stmt)?;
                    self.defined(*hi, *t, stmt)?;
                }
                self.counted(*index, *lo, *hi, *step, *uniform, body, active)
            }
            Op::Loop(body) => self.repeat(body, active),
            Op::Break | Op::Continue => {
                let Some(frame) = self.loops.last_mut() else {
                    return Err(Diag::error("S106", "a break or continue outside of a loop"));
                };
                (if stmt.op == Op::Break { &mut frame.broken } else { &mut frame.continued }).extend(active);
                Ok(Vec::new())
            }
            Op::Return => Ok(Vec::new()),
            Op::Comment(_) => Ok(active),
            Op::Barrier => {
                self.converged(&active, "barrier")?;
                self.epoch += 1;
                self.stats.barriers += 1;
                Ok(active)
            }
            Op::SubgroupBarrier => {
                self.converged(&active, "barrier of a subgroup")?;
                self.phases.iter_mut().for_each(|n| *n += 1);
                Ok(active)
            }
            Op::Subgroup(op, x) => {
                self.converged(&active, "subgroup operation")?;
                self.subgroup(*op, *x, stmt.result);
                self.exchanged(*x, stmt.result, |_| None);
                self.note_exchange(stmt);
                Ok(active)
            }
            Op::Shuffle(kind, x, n) => {
                self.converged(&active, "shuffle")?;
                active.iter().try_for_each(|t| self.defined(*n, *t, stmt))?;
                let from = self.shuffle(*kind, *x, *n, stmt.result);
                self.exchanged(*x, stmt.result, |t| from.get(t as usize).copied());
                self.note_exchange(stmt);
                Ok(active)
            }
            Op::Print(text, args) => {
                for t in &active {
                    self.print(text, args, *t, &stmt.loc).map_err(|d| self.locate(d, stmt, Some(*t)))?;
                }
                Ok(active)
            }
            op => {
                if matches!(op, Op::Load(..) | Op::Store(..) | Op::Atomic(..) | Op::CompareExchange(..)) {
                    self.number(stmt);
                }
                for t in &active {
                    self.trace(stmt, *t)?;
                    self.thread(op, stmt.result, *t).map_err(|d| self.locate(d, stmt, Some(*t)))?;
                    self.follow(op, stmt.result, *t);
                }
                Ok(active)
            }
        }
    }

    /// Mixes the results of an operation across the subgroup into its hash (FNV-1a).
    fn note_exchange(&mut self, stmt: &Stmt) {
        let Some(r) = stmt.result else { return };
        let known = self.exchanges.iter().position(|(loc, _)| *loc == stmt.loc);
        let at = known.unwrap_or_else(|| {
            self.exchanges.push((stmt.loc.clone(), 0xcbf2_9ce4_8422_2325));
            self.exchanges.len() - 1
        });
        let words = (0..self.threads).flat_map(|t| self.vec(r, t));
        self.exchanges[at].1 = words.fold(self.exchanges[at].1, |h, w| (h ^ w).wrapping_mul(0x100_0000_01b3));
    }

    /// Makes a statement the one that runs. Statements stay where they are, so their address tells them apart.
    fn number(&mut self, stmt: &Stmt) {
        let sites = &mut self.sites;
        self.site = *self.numbers.entry(std::ptr::from_ref(stmt) as usize).or_insert_with(|| {
            sites.push(stmt.loc.clone());
            sites.len() as u32 - 1
        });
    }

    fn converged(&self, active: &[u32], what: &str) -> Result<()> {
        if active.len() == self.threads as usize {
            return Ok(());
        }
        Err(Diag::error("S104", format!("only {} of {} threads reach this {what}", active.len(), self.threads)))
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of the statement")]
    fn counted(
        &mut self,
        index: ValueId,
        lo: ValueId,
        hi: ValueId,
        step: u32,
        uniform: bool,
        body: &[Stmt],
        active: Vec<u32>,
    ) -> Result<Vec<u32>> {
        let mut at: Vec<u64> = vec![0; self.threads as usize];
        let mut end = at.clone();
        for t in &active {
            at[*t as usize] = self.get(lo, *t);
            end[*t as usize] = self.get(hi, *t);
        }
        let first = active[0] as usize;
        if uniform && active.iter().any(|t| at[*t as usize] != at[first] || end[*t as usize] != end[first]) {
            return Err(Diag::error("S104", "threads make different numbers of rounds of a loop marked uniform"));
        }
        let (mut running, mut done, mut rounds) = (active, Vec::new(), 0);
        loop {
            let (go, stop): (Vec<u32>, Vec<u32>) =
                running.into_iter().partition(|t| at[*t as usize] < end[*t as usize]);
            done.extend(stop);
            if go.is_empty() {
                break;
            }
            rounds = self.round(rounds)?;
            for t in &go {
                self.set(index, *t, &[at[*t as usize]]);
                self.counted_up(index, *t);
                self.exact(index, *t);
                at[*t as usize] += step as u64;
            }
            running = self.turn(body, go, &mut done)?;
        }
        done.sort_unstable();
        Ok(done)
    }

    fn repeat(&mut self, body: &[Stmt], mut running: Vec<u32>) -> Result<Vec<u32>> {
        let (mut done, mut rounds) = (Vec::new(), 0);
        while !running.is_empty() {
            rounds = self.round(rounds)?;
            running = self.turn(body, running, &mut done)?;
        }
        done.sort_unstable();
        Ok(done)
    }

    fn round(&self, rounds: u64) -> Result<u64> {
        if rounds >= self.options.rounds {
            return Err(Diag::error("S105", format!("a loop still runs after {rounds} rounds")));
        }
        Ok(rounds + 1)
    }

    /// One round of a loop: the threads that go on; those that leave join `done`.
    fn turn(&mut self, body: &[Stmt], active: Vec<u32>, done: &mut Vec<u32>) -> Result<Vec<u32>> {
        self.loops.push(Frame::default());
        let out = self.block(body, active);
        let frame = self.loops.pop().unwrap_or_default();
        let mut out = out?;
        out.extend(frame.continued);
        out.sort_unstable();
        done.extend(frame.broken);
        Ok(out)
    }

    pub(super) fn at(&self, v: ValueId, t: u32) -> usize {
        self.offsets[v.0 as usize] + t as usize * self.ty(v).lanes as usize
    }

    pub(super) fn ty(&self, v: ValueId) -> Ty {
        self.kernel.values[v.0 as usize].ty
    }

    pub(super) fn get(&self, v: ValueId, t: u32) -> u64 {
        self.values[self.at(v, t)]
    }

    pub(super) fn vec(&self, v: ValueId, t: u32) -> [u64; 4] {
        let (at, mut out) = (self.at(v, t), [0; 4]);
        let n = self.ty(v).lanes as usize;
        out[..n].copy_from_slice(&self.values[at..at + n]);
        out
    }

    pub(super) fn set(&mut self, v: ValueId, t: u32, x: &[u64]) {
        let at = self.at(v, t);
        self.values[at..at + x.len()].copy_from_slice(x);
    }
}

/// Threads of a workgroup, if its values and arrays fit.
fn room(kernel: &Kernel, options: Options) -> Result<u32> {
    let refuse = |why: String| Err(Diag::error("S106", why).note(format!("in kernel `{}`", kernel.name)));
    if !options.subgroup.is_power_of_two() || options.subgroup > 128 {
        return refuse(format!("subgroups of {} threads; they have 1, 2, 4 up to 128", options.subgroup));
    }
    let threads = kernel.workgroup.iter().fold(1u64, |n, w| n.saturating_mul(*w as u64));
    let lanes = |ty: Ty| ty.lanes as u64;
    let values: u64 = kernel.values.iter().map(|v| lanes(v.ty)).sum();
    let locals = kernel.locals.iter().map(|l| lanes(l.elem) * l.len.unwrap_or(1) as u64);
    let shared = kernel.shared.iter().map(|s| lanes(s.elem) * s.len as u64);
    let own = locals.fold(values, u64::saturating_add).saturating_mul(threads);
    match shared.fold(own, u64::saturating_add) {
        words if words > MOST_WORDS || threads > MOST_WORDS => {
            refuse(format!("a workgroup of {threads} threads needs {words} words"))
        }
        _ => Ok(threads as u32),
    }
}

fn find_atomics(stmts: &[Stmt], out: &mut BTreeSet<(bool, u32)>) {
    for stmt in stmts {
        match &stmt.op {
            Op::Atomic(_, s, ..) | Op::CompareExchange(s, ..) => {
                out.insert(match s {
                    Space::Shared(i) => (true, *i),
                    Space::Buffer(i) | Space::Local(i) => (false, *i),
                });
            }
            Op::If(_, a, b) => {
                find_atomics(a, out);
                find_atomics(b, out);
            }
            Op::For { body, .. } | Op::Loop(body) => find_atomics(body, out),
            _ => {}
        }
    }
}
