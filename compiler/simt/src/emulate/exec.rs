//! Statements over the active threads of one workgroup.

use super::memory::{Kind, Memory, Who};
use super::{Options, Stats, scalar};
use crate::ir::*;
use girih_base::{DType, Diag, Loc, Result, ScalarOp};
use std::collections::BTreeSet;

/// One workgroup at a time.
pub struct Machine<'k> {
    kernel: &'k Kernel,
    options: Options,
    uniforms: Vec<u32>,
    threads: u32,
    buffers: Vec<Memory>,
    shared: Vec<Memory>,
    locals: Vec<Vec<u64>>,
    values: Vec<u64>,
    offsets: Vec<usize>,
    /// Spaces that atomic operations touch: all their accesses are atomic.
    atomics: BTreeSet<(bool, u32)>,
    loops: Vec<Frame>,
    group: u32,
    epoch: u32,
    pub stats: Stats,
}

/// Threads that left the innermost loop, or this round of it.
#[derive(Default)]
struct Frame {
    broken: Vec<u32>,
    continued: Vec<u32>,
}

impl<'k> Machine<'k> {
    pub fn new(kernel: &'k Kernel, buffers: &[Vec<u8>], uniforms: Vec<u32>, options: Options) -> Result<Machine<'k>> {
        let threads = kernel.workgroup.iter().product::<u32>();
        let mut offsets = Vec::with_capacity(kernel.values.len());
        let mut total = 0;
        for v in &kernel.values {
            offsets.push(total);
            total += v.ty.lanes as usize * threads as usize;
        }
        let open = |(b, raw): (&Buffer, &Vec<u8>)| {
            let short =
                || Diag::error("S106", format!("buffer `{}` of {} bytes is not whole elements", b.name, raw.len()));
            Memory::buffer(b.elem, raw).ok_or_else(short)
        };
        let mut atomics = BTreeSet::new();
        find_atomics(&kernel.body, &mut atomics);
        Ok(Machine {
            kernel,
            options,
            uniforms,
            threads,
            buffers: kernel.buffers.iter().zip(buffers).map(open).collect::<Result<_>>()?,
            shared: kernel.shared.iter().map(|s| Memory::shared(s.elem, s.len as usize)).collect(),
            locals: Vec::new(),
            values: vec![0; total],
            offsets,
            atomics,
            loops: Vec::new(),
            group: 0,
            epoch: 0,
            stats: Stats::default(),
        })
    }

    pub fn finish(&self, buffers: &mut [Vec<u8>]) {
        for (memory, raw) in self.buffers.iter().zip(buffers) {
            *raw = memory.to_bytes();
        }
    }

    pub fn run_group(&mut self, group: u32) -> Result<()> {
        self.group = group;
        self.epoch += 1;
        self.stats.groups += 1;
        self.shared.iter_mut().for_each(Memory::clear);
        let size = |l: &Local| (l.len.unwrap_or(1) * l.elem.lanes as u32 * self.threads) as usize;
        self.locals = self.kernel.locals.iter().map(|l| vec![0; size(l)]).collect();
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
            active = self.stmt(stmt, active).map_err(|d| self.locate(d, stmt))?;
        }
        Ok(active)
    }

    fn locate(&self, diag: Box<Diag>, stmt: &Stmt) -> Box<Diag> {
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
            _ => "a statement".to_string(),
        };
        let loc: &Loc = &stmt.loc;
        diag.at(loc, "executed for this").note(format!("{what} in workgroup {} of `{}`", self.group, self.kernel.name))
    }

    fn stmt(&mut self, stmt: &Stmt, active: Vec<u32>) -> Result<Vec<u32>> {
        match &stmt.op {
            Op::If(cond, then, otherwise) => {
                let (yes, no): (Vec<u32>, Vec<u32>) = active.into_iter().partition(|t| self.get(*cond, *t) != 0);
                let mut out = self.block(then, yes)?;
                out.extend(self.block(otherwise, no)?);
                out.sort_unstable();
                Ok(out)
            }
            Op::For { index, lo, hi, step, uniform, body } => {
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
            Op::Subgroup(op, x) => {
                self.converged(&active, "subgroup operation")?;
                self.subgroup(*op, *x, stmt.result);
                Ok(active)
            }
            op => {
                for t in &active {
                    self.thread(op, stmt.result, *t)?;
                }
                Ok(active)
            }
        }
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

    fn at(&self, v: ValueId, t: u32) -> usize {
        self.offsets[v.0 as usize] + t as usize * self.ty(v).lanes as usize
    }

    fn ty(&self, v: ValueId) -> Ty {
        self.kernel.values[v.0 as usize].ty
    }

    fn get(&self, v: ValueId, t: u32) -> u64 {
        self.values[self.at(v, t)]
    }

    fn vec(&self, v: ValueId, t: u32) -> [u64; 4] {
        let (at, mut out) = (self.at(v, t), [0; 4]);
        let n = self.ty(v).lanes as usize;
        out[..n].copy_from_slice(&self.values[at..at + n]);
        out
    }

    fn set(&mut self, v: ValueId, t: u32, x: &[u64]) {
        let at = self.at(v, t);
        self.values[at..at + x.len()].copy_from_slice(x);
    }

    fn subgroup(&mut self, op: SubgroupOp, x: ValueId, result: Option<ValueId>) {
        let (Some(result), ty, size) = (result, self.ty(x), self.options.subgroup) else { return };
        let all: Vec<[u64; 4]> = (0..self.threads).map(|t| self.vec(x, t)).collect();
        for t in 0..self.threads {
            let first = t / size * size;
            let members = first..(first + size).min(self.threads);
            let fold = |op: ScalarOp| {
                let mut sum = all[first as usize];
                for m in members.clone().skip(1) {
                    for c in 0..ty.lanes as usize {
                        sum[c] = scalar::map(op, ty.dtype, &[sum[c], all[m as usize][c]]);
                    }
                }
                sum
            };
            let value = match op {
                SubgroupOp::Add => fold(ScalarOp::Add),
                SubgroupOp::Min => fold(ScalarOp::Min),
                SubgroupOp::Max => fold(ScalarOp::Max),
                SubgroupOp::ShuffleXor(n) => all[((first + ((t - first) ^ n)) as usize).min(all.len() - 1)],
                SubgroupOp::BroadcastFirst => all[first as usize],
            };
            self.set(result, t, &value[..ty.lanes as usize]);
        }
    }

    fn memory(&mut self, space: Space, index: u64, kind: Kind, t: u32) -> Result<(&mut Memory, usize)> {
        let who = Who { group: self.group, thread: t, epoch: self.epoch };
        let (memory, key) = match space {
            Space::Shared(i) => (&mut self.shared[i as usize], (true, i)),
            Space::Buffer(i) | Space::Local(i) => (&mut self.buffers[i as usize], (false, i)),
        };
        let kind = match (self.atomics.contains(&key), kind) {
            (false, kind) => kind,
            (true, Kind::Write) => {
                memory.start(index);
                Kind::Atomic
            }
            (true, _) => Kind::Atomic,
        };
        let at = memory.access(index, kind, who)?;
        Ok((memory, at))
    }

    fn local(&self, i: u32, index: u64, t: u32) -> Result<usize> {
        let local = &self.kernel.locals[i as usize];
        let len = local.len.unwrap_or(1) as u64;
        if index >= len {
            return Err(Diag::error("S101", format!("element {index} of an array of {len}")));
        }
        Ok((t as usize * len as usize + index as usize) * local.elem.lanes as usize)
    }

    /// A statement that concerns one thread only.
    fn thread(&mut self, op: &Op, result: Option<ValueId>, t: u32) -> Result<()> {
        let lanes = result.map_or(1, |r| self.ty(r).lanes as usize);
        let dtype = result.map_or(DType::U32, |r| self.ty(r).dtype);
        let mut out = [0u64; 4];
        match op {
            Op::Const(v) => out = [scalar::literal(dtype, *v); 4],
            Op::Uniform(i) => out[0] = self.uniforms[*i as usize] as u64,
            Op::Builtin(b) => {
                out[0] = match b {
                    Builtin::WorkgroupIndex => self.group,
                    Builtin::LocalIndex => t,
                    Builtin::SubgroupSize => self.options.subgroup,
                    Builtin::SubgroupLane => t % self.options.subgroup,
                } as u64
            }
            Op::Map(op, args) => {
                let from = self.ty(args[args.len() - 1]).dtype;
                let mut x = [[0; 4]; 3];
                for (x, a) in x.iter_mut().zip(args) {
                    *x = self.vec(*a, t);
                    if self.ty(*a).lanes == 1 {
                        *x = [x[0]; 4];
                    }
                }
                for (c, out) in out.iter_mut().enumerate().take(lanes) {
                    *out = scalar::map(*op, from, &[x[0][c], x[1][c], x[2][c]][..args.len()]);
                }
            }
            Op::Cast(x) => {
                let (from, v) = (self.ty(*x).dtype, self.vec(*x, t));
                out = v.map(|bits| scalar::cast(from, dtype, bits));
            }
            Op::Bitcast(x) => out = self.vec(*x, t),
            Op::MakeVec(parts) => {
                for (c, out) in out.iter_mut().enumerate() {
                    *out = parts.get(if parts.len() == 1 { 0 } else { c }).map_or(0, |p| self.get(*p, t));
                }
            }
            Op::Component(x, c) => out[0] = self.vec(*x, t)[*c as usize],
            Op::ComponentAt(x, i) => {
                let (i, n) = (self.get(*i, t), self.ty(*x).lanes);
                if i >= n as u64 {
                    return Err(Diag::error("S101", format!("component {i} of a vector of {n}")));
                }
                out[0] = self.vec(*x, t)[i as usize];
            }
            Op::UnpackHalf(x) => out[..2].copy_from_slice(&scalar::unpack_half(self.get(*x, t))),
            Op::PackHalf(x) => {
                let v = self.vec(*x, t);
                out[0] = scalar::pack_half([v[0], v[1]]);
            }
            Op::Get(i) => {
                let at = self.local(*i, 0, t)?;
                out[..lanes].copy_from_slice(&self.locals[*i as usize][at..at + lanes]);
            }
            Op::Set(i, x) => {
                let (at, v, n) = (self.local(*i, 0, t)?, self.vec(*x, t), self.ty(*x).lanes as usize);
                self.locals[*i as usize][at..at + n].copy_from_slice(&v[..n]);
            }
            Op::Load(Space::Local(i), index) => {
                let at = self.local(*i, self.get(*index, t), t)?;
                out[..lanes].copy_from_slice(&self.locals[*i as usize][at..at + lanes]);
            }
            Op::Store(Space::Local(i), index, x) => {
                let at = self.local(*i, self.get(*index, t), t)?;
                let (v, n) = (self.vec(*x, t), self.ty(*x).lanes as usize);
                self.locals[*i as usize][at..at + n].copy_from_slice(&v[..n]);
            }
            Op::Load(space, index) => {
                let (memory, at) = self.memory(*space, self.get(*index, t), Kind::Read, t)?;
                out[..lanes].copy_from_slice(&memory.data[at..at + lanes]);
            }
            Op::Store(space, index, x) => {
                let (v, n) = (self.vec(*x, t), self.ty(*x).lanes as usize);
                let (memory, at) = self.memory(*space, self.get(*index, t), Kind::Write, t)?;
                memory.data[at..at + n].copy_from_slice(&v[..n]);
            }
            Op::Atomic(op, space, index, x) => {
                let x = self.get(*x, t);
                let (memory, at) = self.memory(*space, self.get(*index, t), Kind::Atomic, t)?;
                out[0] = memory.data[at];
                memory.data[at] = match atomic(*op) {
                    Some(op) => scalar::map(op, memory.ty.dtype, &[out[0], x]),
                    None => x,
                };
            }
            Op::CompareExchange(space, index, expected, new) => {
                let (expected, new) = (self.get(*expected, t), self.get(*new, t));
                let (memory, at) = self.memory(*space, self.get(*index, t), Kind::Atomic, t)?;
                out[0] = memory.data[at];
                if out[0] == expected {
                    memory.data[at] = new;
                }
            }
            _ => {}
        }
        if let Some(r) = result {
            self.set(r, t, &out[..lanes]);
        }
        Ok(())
    }
}

fn atomic(op: AtomicOp) -> Option<ScalarOp> {
    Some(match op {
        AtomicOp::Add => ScalarOp::Add,
        AtomicOp::Min => ScalarOp::Min,
        AtomicOp::Max => ScalarOp::Max,
        AtomicOp::And => ScalarOp::And,
        AtomicOp::Or => ScalarOp::Or,
        AtomicOp::Xor => ScalarOp::Xor,
        AtomicOp::Exchange => return None,
    })
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
