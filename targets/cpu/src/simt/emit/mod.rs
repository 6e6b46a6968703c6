//! Writes instructions, with jumps to where waiting threads go on.

mod flow;
mod maps;

use super::fused::Dest;
use super::layout::Layout;
use super::plan::Plan;
use super::program::*;
use super::scalar::Scalar;
use super::uniform::Varies;
use girih_base::Loc;
use girih_simt::{Kernel, Op, Space, Stmt, ValueId};

/// Instructions, where the user wrote each, and how many sets of threads and loads there are.
pub(super) struct Emitted {
    /// See [`SimtProgram`].
    pub prologue: Vec<Scalar>,
    pub insts: Vec<Inst>,
    pub locs: Vec<Loc>,
    pub kept: usize,
    pub loads: usize,
}

/// Writes the instructions of a kernel.
pub(super) fn emit(kernel: &Kernel, varies: &Varies, plan: &Plan, layout: &Layout) -> Emitted {
    let mut e = Emitter {
        kernel,
        varies,
        plan,
        layout,
        prologue: Vec::new(),
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
    Emitted { prologue: e.prologue, insts: e.insts, locs: e.locs, kept: e.kept, loads: e.loads }
}

struct Emitter<'a> {
    kernel: &'a Kernel,
    varies: &'a Varies,
    plan: &'a Plan,
    layout: &'a Layout,
    prologue: Vec<Scalar>,
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
                Op::For { .. } => self.count(s, around),
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
                _ => self.simple(s),
            }
        }
    }

    /// The index of an access.
    fn at(&self, space: Space, index: ValueId) -> Option<At> {
        match self.plan.index(space, index) {
            Some(base) => self.base(&base).map(At::Row),
            None => self.reg(index).map(At::Reg),
        }
    }

    /// Where the words lie whose sum these values are.
    fn base(&self, values: &[ValueId]) -> Option<Base> {
        let at = |k: usize| values.get(k).map_or(Some(self.layout.zero_at), |v| Some(self.reg(*v)?.at));
        Some([at(0)? as u32, at(1)? as u32])
    }

    /// The number of the next load.
    fn nth(&mut self) -> usize {
        self.loads += 1;
        self.loads - 1
    }

    /// A statement without regions. What nobody uses and nobody sees is left out.
    fn simple(&mut self, s: &Stmt) {
        let (op, result) = (&s.op, s.result);
        if result.is_some_and(|r| self.plan.folded(r).is_some()) {
            return;
        }
        if let Op::Store(_, _, x) | Op::Set(_, x) = op
            && let Some(map) = self.plan.folded(*x)
        {
            return self.folded(s, map);
        }
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
                Inst::Load { array: self.array(*space), index, dst, nth: self.nth() }
            }
            (Op::Map(..), Some(dst)) => match (self.map(s, Dest::Value(dst)), result) {
                (Some(Inst::Scalar(s)), Some(r)) if self.plan.early(r) => return self.prologue.push(*s),
                (Some(inst), _) => inst,
                (None, _) => return,
            },
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
}
