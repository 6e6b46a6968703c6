//! SIMT IR to flat programs: places values, then writes instructions with jumps to where waiting threads go on.

use super::layout::{self, Layout};
use super::program::*;
use super::rows::Rows;
use super::strides;
use super::uniform::{self, Varies};
use crate::exec::Inner;
use crate::program::Lane;
use girih_base::{AtomicOp, DType, Diag, Loc, Result};
use girih_simt::{Kernel, Op, Space, Stmt, ValueId};

/// Most threads of a workgroup.
const THREADS: usize = 1 << 14;

/// Compiles a kernel.
///
/// # Errors
/// What the verifier refuses; `X102` for a workgroup that is too large, in threads or in bytes.
pub(crate) fn compile(kernel: &Kernel) -> Result<SimtProgram> {
    girih_simt::verify::verify(kernel)?;
    let mut prints = None;
    each(&kernel.body, &mut |s| prints = prints.or(matches!(s.op, Op::Print(..)).then_some(s)));
    if let Some(s) = prints {
        return Err(Diag::error("X102", format!("kernel `{}` prints, which a device cannot", kernel.name))
            .at(&s.loc, "this line")
            .help("compile it for this target, which makes prints writes to a debug buffer"));
    }
    let threads = kernel.workgroup.iter().try_fold(1usize, |n, w| n.checked_mul(*w as usize));
    let Some(threads) = threads.filter(|t| *t <= THREADS) else {
        let diag =
            Diag::error("X102", format!("kernel `{}` has workgroups of {:?} threads", kernel.name, kernel.workgroup));
        return Err(diag.help(format!("the CPU takes up to {THREADS} threads in a workgroup")));
    };
    let kernel = &strides::rewritten(kernel);
    let varies = uniform::varies(kernel);
    let rows = Rows::new(kernel, &varies);
    let layout = layout::layout(kernel, &varies, &rows, threads)?;
    let (shared, shared_bytes) = shared(kernel)?;
    let mut e = Emitter {
        kernel,
        varies: &varies,
        rows: &rows,
        layout: &layout,
        insts: Vec::new(),
        locs: Vec::new(),
        labels: Vec::new(),
        depth: 0,
        kept: 0,
        loads: 0,
        here: Loc::default(),
    };
    let end = e.label();
    e.block(&kernel.body, Around { empty: end, round: None });
    e.mark(end);
    e.put(Inst::End);
    e.resolve();
    let (insts, locs, kept, loads) = (e.insts, e.locs, e.kept, e.loads);
    let work = (insts.len() * threads) as u64;
    Ok(SimtProgram {
        name: kernel.name.clone(),
        threads,
        groups: kernel.groups.clone(),
        buffers: kernel
            .buffers
            .iter()
            .map(|b| BufferInfo {
                name: b.name.clone(),
                dtype: b.elem.dtype,
                parts: b.elem.lanes as usize,
                written: b.written,
            })
            .collect(),
        shared,
        shared_bytes,
        locals: kernel.locals.iter().map(|l| l.name.clone()).collect(),
        uniforms: kernel.uniforms.clone(),
        insts,
        locs,
        group_at: layout.group_at,
        zeroed: layout.zeroed.clone(),
        scratch: layout.scratch,
        spare: layout.spare,
        image: layout.image,
        kept,
        loads,
        sequential: sequential(kernel),
        work,
    })
}

/// Workgroup arrays one after the other, each aligned to a line.
fn shared(kernel: &Kernel) -> Result<(Vec<SharedInfo>, usize)> {
    let (mut out, mut at) = (Vec::new(), 0usize);
    for s in &kernel.shared {
        let (lane, parts, len) = (Lane::of(s.elem.dtype), s.elem.lanes as usize, s.len as usize);
        out.push(SharedInfo { name: s.name.clone(), dtype: s.elem.dtype, lane, parts, len, at });
        let bytes = lane.bytes() * parts * len;
        at = at.saturating_add(bytes.next_multiple_of(crate::memory::ALIGNMENT));
        layout::check(kernel, "workgroup memory", at)?;
    }
    Ok((out, at))
}

/// Whether the order of workgroups shows: a buffer is updated atomically, and the kernel also sees what the updates before
/// left there, or combines floats, whose sums depend on the order. (Other updates of integers come out the same in any order.)
fn sequential(kernel: &Kernel) -> bool {
    let mut used = vec![false; kernel.values.len()];
    let (mut updated, mut read) = (vec![false; kernel.buffers.len()], vec![false; kernel.buffers.len()]);
    let mut sees = false;
    each(&kernel.body, &mut |s| s.op.operands().iter().for_each(|v| used[v.0 as usize] = true));
    each(&kernel.body, &mut |s| match &s.op {
        Op::Atomic(op, Space::Buffer(i), ..) => {
            updated[*i as usize] = true;
            sees |= s.result.is_some_and(|r| used[r.0 as usize])
                || *op == AtomicOp::Exchange
                || kernel.buffers[*i as usize].elem.dtype.is_float();
        }
        Op::CompareExchange(Space::Buffer(_), ..) => sees = true,
        Op::Load(Space::Buffer(i), _) | Op::Store(Space::Buffer(i), ..) => read[*i as usize] = true,
        _ => {}
    });
    sees || updated.iter().zip(&read).any(|(u, r)| *u && *r)
}

fn each<'k>(stmts: &'k [Stmt], f: &mut impl FnMut(&'k Stmt)) {
    for s in stmts {
        f(s);
        s.op.blocks().into_iter().for_each(|b| each(b, f));
    }
}

struct Emitter<'a> {
    kernel: &'a Kernel,
    varies: &'a Varies,
    rows: &'a Rows,
    layout: &'a Layout,
    insts: Vec<Inst>,
    locs: Vec<Loc>,
    /// Where each label is.
    labels: Vec<Target>,
    /// Sets of waiting threads in use here, and the most of them.
    depth: Kept,
    kept: usize,
    /// Loads so far.
    loads: usize,
    here: Loc,
}

/// What surrounds a statement.
#[derive(Clone, Copy)]
struct Around {
    /// Where execution goes on when no thread is left here.
    empty: Target,
    /// The threads that left the innermost loop, and those that skipped the rest of this round.
    round: Option<(Kept, Kept)>,
}

impl Emitter<'_> {
    fn label(&mut self) -> Target {
        self.labels.push(0);
        self.labels.len() - 1
    }

    fn mark(&mut self, label: Target) {
        self.labels[label] = self.insts.len();
    }

    fn put(&mut self, inst: Inst) {
        self.insts.push(inst);
        self.locs.push(self.here.clone());
    }

    fn keep(&mut self) -> Kept {
        self.depth += 1;
        self.kept = self.kept.max(self.depth);
        self.depth - 1
    }

    fn reg(&self, v: ValueId) -> Option<Reg> {
        self.layout.regs[v.0 as usize]
    }

    fn array(&self, space: Space) -> Array {
        match space {
            Space::Buffer(i) => Array::Buffer(i as usize),
            Space::Shared(i) => Array::Shared(i as usize),
            Space::Local(i) => {
                let len = self.kernel.locals[i as usize].len.unwrap_or(1) as usize;
                Array::Local { first: self.layout.locals[i as usize], len, name: i as usize }
            }
        }
    }

    fn block(&mut self, stmts: &[Stmt], around: Around) {
        for s in stmts {
            self.here = s.loc.clone();
            match &s.op {
                Op::If(cond, then, otherwise) => self.branch(*cond, then, otherwise, around),
                Op::For { index, lo, hi, step, body, .. } => {
                    self.turn(Some((*index, *lo, *hi, *step)), body, around);
                }
                Op::Loop(body) => self.turn(None, body, around),
                Op::Break | Op::Continue => {
                    let Some((gone, next)) = around.round else { continue };
                    let empty = around.empty;
                    self.put(match s.op {
                        Op::Break => Inst::Break { gone, empty },
                        _ => Inst::Continue { next, empty },
                    });
                }
                Op::Return => self.put(Inst::Return { empty: around.empty }),
                op => self.simple(op, s.result),
            }
        }
    }

    /// The index of an access.
    fn at(&self, space: Space, index: ValueId) -> Option<At> {
        match self.rows.index(space, index) {
            Some(None) => Some(At::Row(None)),
            Some(Some(base)) => self.reg(base).map(|r| At::Row(Some(r))),
            None => self.reg(index).map(At::Reg),
        }
    }

    fn branch(&mut self, cond: ValueId, then: &[Stmt], otherwise: &[Stmt], around: Around) {
        let (miss, end) = (self.label(), self.label());
        let cut = self.rows.cut(cond).and_then(|cut| {
            let row = match cut.row {
                Some(base) => Some(self.reg(base)?),
                None => None,
            };
            Some((row, cut.op, self.reg(cut.bound)?, cut.signed))
        });
        let first = |other| match cut {
            Some((row, op, bound, signed)) => Some(Inst::Cut { row, op, bound, signed, other, miss }),
            None => self.reg(cond).map(|cond| Inst::If { cond, other, miss }),
        };
        if let (None, Some(c)) = (&cut, self.reg(cond).filter(|c| !c.varies)) {
            self.put(Inst::Branch { cond: c, miss });
            self.block(then, around);
            if !otherwise.is_empty() {
                self.put(Inst::Jump(end));
            }
            self.mark(miss);
            self.block(otherwise, around);
            self.mark(end);
            return;
        }
        let Some(inst) = first(self.depth) else { return };
        let other = self.keep();
        self.put(inst);
        self.block(then, Around { empty: miss, ..around });
        self.mark(miss);
        if !otherwise.is_empty() {
            self.put(Inst::Else { other, end });
            self.block(otherwise, Around { empty: end, ..around });
        }
        self.mark(end);
        self.put(Inst::EndIf { other, empty: around.empty });
        self.depth -= 1;
    }

    fn turn(&mut self, count: Option<(ValueId, ValueId, ValueId, u32)>, body: &[Stmt], around: Around) {
        let (gone, next) = (self.keep(), self.keep());
        let (start, again, leave) = (self.label(), self.label(), self.label());
        self.put(Inst::Enter { gone, next });
        let mut step = None;
        match count {
            None => self.mark(start),
            Some((index, lo, hi, by)) => {
                if let (Some(index), Some(lo), Some(hi)) = (self.reg(index), self.reg(lo), self.reg(hi)) {
                    self.put(Inst::Start { index, lo });
                    self.mark(start);
                    self.put(Inst::Test { index, hi, gone, end: leave });
                    step = Some((index, by));
                }
            }
        }
        self.block(body, Around { empty: again, round: Some((gone, next)) });
        self.mark(again);
        self.put(Inst::Again { next, step, start, end: leave });
        self.mark(leave);
        self.put(Inst::Leave { gone, empty: around.empty });
        self.depth -= 2;
    }

    /// A statement without regions. What nobody uses and nobody sees is left out.
    fn simple(&mut self, op: &Op, result: Option<ValueId>) {
        let dst = result.and_then(|r| self.reg(r));
        let reg = |v: &ValueId| self.reg(*v);
        let inst = match (op, dst) {
            (Op::Store(space, index, x), _) => {
                let (Some(index), Some(x)) = (self.at(*space, *index), reg(x)) else { return };
                Inst::Store { array: self.array(*space), index, x }
            }
            (Op::Set(i, _), _) if !self.varies.read[*i as usize] => return,
            (Op::Set(i, x), _) => {
                let Some(x) = reg(x) else { return };
                let dst = self.layout.locals[*i as usize];
                if dst.at == x.at && dst.parts == x.parts {
                    return;
                }
                Inst::Set { x, dst }
            }
            (Op::Atomic(op, space, index, x), dst) => {
                let (Some(index), Some(x)) = (reg(index), reg(x)) else { return };
                Inst::Atomic { op: *op, array: self.array(*space), index, x, dst }
            }
            (Op::CompareExchange(space, index, expected, new), dst) => {
                let (Some(index), Some(expected), Some(new)) = (reg(index), reg(expected), reg(new)) else { return };
                Inst::CompareExchange { array: self.array(*space), index, expected, new, dst }
            }
            (Op::Assert(cond, text), _) => {
                let Some(cond) = reg(cond) else { return };
                Inst::Assert { cond, text: text.clone() }
            }
            (_, None) => return,
            (Op::Load(space, index), Some(dst)) => {
                let Some(index) = self.at(*space, *index) else { return };
                {
                    self.loads += 1;
                    Inst::Load { array: self.array(*space), index, dst, nth: self.loads - 1 }
                }
            }
            (Op::Map(op, args), Some(dst)) => {
                let regs: Vec<Reg> = args.iter().filter_map(reg).collect();
                let dtypes: Vec<DType> = regs.iter().map(|r| r.dtype).collect();
                let (Some(last), true) = (regs.last(), regs.len() == args.len() && regs.len() <= 3) else { return };
                let args = [0, 1, 2].map(|i: usize| *regs.get(i).unwrap_or(last));
                Inst::Map { inner: Inner::of(*op, &dtypes), args, dst }
            }
            (Op::MakeVec(parts), Some(dst)) if parts.len() > 1 => {
                for (to, part) in parts.iter().enumerate() {
                    if let Some(x) = self.reg(*part) {
                        self.put(Inst::Part { x, from: 0, dst, to });
                    }
                }
                return;
            }
            // A copy, for the variable changes while the value is needed.
            (Op::Get(_), Some(_)) if result.is_some_and(|r| self.varies.once[r.0 as usize].is_some()) => return,
            (Op::Get(i), Some(dst)) => {
                let x = self.layout.locals[*i as usize];
                if x.at == dst.at {
                    return;
                }
                for part in 0..x.parts {
                    self.put(Inst::Part { x, from: part, dst, to: part });
                }
                return;
            }
            (Op::ComponentAt(x, i), Some(dst)) => {
                let (Some(x), Some(index)) = (reg(x), reg(i)) else { return };
                Inst::PartAt { x, index, dst }
            }
            (Op::Subgroup(op, x), Some(dst)) => {
                let Some(x) = reg(x) else { return };
                Inst::Subgroup { op: *op, x, dst }
            }
            (Op::Shuffle(kind, x, n), Some(dst)) => {
                let (Some(x), Some(n)) = (reg(x), reg(n)) else { return };
                Inst::Shuffle { kind: *kind, x, n, dst }
            }
            (Op::Cast(x) | Op::Bitcast(x) | Op::UnpackHalf(x) | Op::PackHalf(x), Some(dst)) => {
                let Some(x) = reg(x) else { return };
                match op {
                    Op::Cast(_) => Inst::Cast { x, dst },
                    // Otherwise the result is a view.
                    Op::Bitcast(_) if x.at != dst.at => Inst::Bits { x, dst },
                    Op::Bitcast(_) => return,
                    Op::UnpackHalf(_) => Inst::UnpackHalf { x, dst },
                    _ => Inst::PackHalf { x, dst },
                }
            }
            // Fixed values, views, and what leaves no instruction: barriers stand between instructions anyway.
            (
                Op::Const(_)
                | Op::Uniform(_)
                | Op::Builtin(_)
                | Op::Component(..)
                | Op::MakeVec(_)
                | Op::Barrier
                | Op::SubgroupBarrier
                | Op::Print(..)
                | Op::Comment(_)
                | Op::If(..)
                | Op::For { .. }
                | Op::Loop(_)
                | Op::Break
                | Op::Continue
                | Op::Return,
                Some(_),
            ) => return,
        };
        self.put(inst);
    }

    /// Labels become places.
    fn resolve(&mut self) {
        let labels = &self.labels;
        for inst in &mut self.insts {
            let targets: [Option<&mut Target>; 2] = match inst {
                Inst::If { miss, .. } | Inst::Cut { miss, .. } | Inst::Branch { miss, .. } => [Some(miss), None],
                Inst::Else { end, .. } | Inst::Test { end, .. } => [Some(end), None],
                Inst::EndIf { empty, .. }
                | Inst::Leave { empty, .. }
                | Inst::Break { empty, .. }
                | Inst::Continue { empty, .. }
                | Inst::Return { empty } => [Some(empty), None],
                Inst::Jump(to) => [Some(to), None],
                Inst::Again { start, end, .. } => [Some(start), Some(end)],
                _ => [None, None],
            };
            targets.into_iter().flatten().for_each(|t| *t = labels[*t]);
        }
    }
}
