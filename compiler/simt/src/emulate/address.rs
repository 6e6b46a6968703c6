//! Whole-number arithmetic that leads to an index, without wrapping: an index that fits its array only because the arithmetic
//! before it wrapped around is an error of the program.

use super::exec::Machine;
use crate::ir::*;
use crate::op::*;
use girih_base::{DType, Diag, Loc, ScalarOp};
use std::collections::BTreeMap;

/// The numbers behind the values that indices are computed from.
pub struct Ideals {
    /// Where a value's numbers start, thread by thread; `None` where no index depends on it.
    values: Vec<Option<usize>>,
    locals: Vec<Option<usize>>,
    numbers: Vec<i64>,
}

impl Ideals {
    pub fn new(kernel: &Kernel, threads: u32) -> Ideals {
        let mut needs = Needs { definitions: BTreeMap::new(), sets: BTreeMap::new(), todo: Vec::new() };
        needs.read(&kernel.body);
        let mut ideals = Ideals {
            values: vec![None; kernel.values.len()],
            locals: vec![None; kernel.locals.len()],
            numbers: vec![],
        };
        let mut next = 0;
        let mut place = || {
            next += threads as usize;
            Some(next - threads as usize)
        };
        while let Some(v) = needs.todo.pop() {
            let ty = kernel.values[v.0 as usize].ty;
            if ideals.values[v.0 as usize].is_some() || ty.lanes != 1 || !ty.dtype.is_int() {
                continue;
            }
            ideals.values[v.0 as usize] = place();
            match needs.definitions.get(&v) {
                Some(Op::Map(op, args)) if follows(*op) => needs.todo.extend(args.iter().copied()),
                Some(Op::Cast(x) | Op::Bitcast(x)) => needs.todo.push(*x),
                Some(Op::Get(i)) if ideals.locals[*i as usize].is_none() => {
                    ideals.locals[*i as usize] = place();
                    needs.todo.extend(needs.sets.get(i).into_iter().flatten().copied());
                }
                _ => {}
            }
        }
        ideals.numbers = vec![0; next];
        ideals
    }

    pub fn restart(&mut self) {
        self.numbers.fill(0);
    }
}

/// Whether the number behind the result follows from those behind the operands; otherwise what the hardware has counts.
fn follows(op: ScalarOp) -> bool {
    use ScalarOp::*;
    matches!(op, Add | Sub | Mul | Neg | Shl | Select | Min | Max)
}

/// What indices are computed from.
struct Needs<'k> {
    definitions: BTreeMap<ValueId, &'k Op>,
    sets: BTreeMap<u32, Vec<ValueId>>,
    todo: Vec<ValueId>,
}

impl<'k> Needs<'k> {
    fn read(&mut self, stmts: &'k [Stmt]) {
        for s in stmts {
            if let Some(r) = s.result {
                self.definitions.insert(r, &s.op);
            }
            match &s.op {
                Op::Load(space, i) | Op::Store(space, i, _) | Op::Atomic(_, space, i, _) => {
                    if !matches!(space, Space::Local(_)) {
                        self.todo.push(*i);
                    }
                }
                Op::CompareExchange(_, i, ..) => self.todo.push(*i),
                Op::Set(i, x) => self.sets.entry(*i).or_default().push(*x),
                op => op.blocks().into_iter().for_each(|b| self.read(b)),
            }
        }
    }
}

impl Machine<'_> {
    /// The number behind a value.
    fn ideal(&self, v: ValueId, t: u32) -> i64 {
        match self.ideals.values[v.0 as usize] {
            Some(at) => self.ideals.numbers[at + t as usize],
            None => self.plain(v, t),
        }
    }

    /// The number that a value has on the hardware.
    fn plain(&self, v: ValueId, t: u32) -> i64 {
        let bits = self.get(v, t);
        match self.ty(v).dtype {
            DType::I32 => bits as u32 as i32 as i64,
            DType::U32 => bits as u32 as i64,
            _ => bits as i64,
        }
    }

    /// Notes the number behind a statement's result.
    pub(super) fn follow(&mut self, op: &Op, result: Option<ValueId>, t: u32) {
        if let Op::Set(i, x) = op
            && let Some(at) = self.ideals.locals[*i as usize]
        {
            self.ideals.numbers[at + t as usize] = self.ideal(*x, t);
        }
        let Some((r, at)) = result.and_then(|r| Some((r, self.ideals.values[r.0 as usize]?))) else { return };
        self.ideals.numbers[at + t as usize] = match op {
            Op::Map(op, args) if follows(*op) => self.arithmetic(*op, args, r, t),
            Op::Cast(x) | Op::Bitcast(x) if self.ty(*x).dtype.is_int() => self.converted(*x, r, t),
            // Large constants stand for negative ones.
            Op::Const(_) if self.ty(r).dtype == DType::U32 => self.get(r, t) as u32 as i32 as i64,
            Op::Get(i) => match self.ideals.locals[*i as usize] {
                Some(local) => self.ideals.numbers[local + t as usize],
                None => self.plain(r, t),
            },
            _ => self.plain(r, t),
        };
    }

    /// Notes that a value is what it is meant to be.
    pub(super) fn exact(&mut self, v: ValueId, t: u32) {
        if let Some(at) = self.ideals.values[v.0 as usize] {
            self.ideals.numbers[at + t as usize] = self.plain(v, t);
        }
    }

    fn arithmetic(&self, op: ScalarOp, args: &[ValueId], r: ValueId, t: u32) -> i64 {
        let x = |i: usize| self.ideal(args[i], t);
        let has = |i: usize| self.get(args[i], t) == self.get(r, t);
        match op {
            ScalarOp::Add => x(0).saturating_add(x(1)),
            ScalarOp::Sub => x(0).saturating_sub(x(1)),
            ScalarOp::Mul => x(0).saturating_mul(x(1)),
            ScalarOp::Neg => x(0).saturating_neg(),
            // Bits that are moved out of a word are meant to go.
            ScalarOp::Shl if self.plain(args[0], t).checked_mul(1 << (self.get(args[1], t) & 31)).is_some() => {
                x(0).saturating_mul(1 << (self.get(args[1], t) & 31))
            }
            ScalarOp::Select => x(if self.get(args[0], t) != 0 { 1 } else { 2 }),
            ScalarOp::Min | ScalarOp::Max if has(0) => x(0),
            ScalarOp::Min | ScalarOp::Max => x(1),
            _ => self.plain(r, t),
        }
    }

    fn converted(&self, x: ValueId, r: ValueId, t: u32) -> i64 {
        let (from, to, ideal, plain) = (self.ty(x).dtype, self.ty(r).dtype, self.ideal(x, t), self.plain(x, t));
        // An unsigned number that wrapped below zero is a large one where it is widened, and a large one is negative as a signed one.
        let widened = from == DType::U32 && to.bits() == 64 && ideal < 0;
        let signed = from == DType::U32 && to == DType::I32 && ideal == plain;
        if widened {
            plain
        } else if signed {
            self.plain(r, t)
        } else {
            ideal
        }
    }

    /// Refuses an index that is inside of its array only because the arithmetic wrapped.
    pub(super) fn wrapped(&self, index: ValueId, t: u32) -> Option<Box<Diag>> {
        let (ideal, is) = (self.ideal(index, t), self.get(index, t) as u32 as i64);
        if ideal == is {
            return None;
        }
        let diag =
            Diag::error("S109", format!("the index {ideal} does not fit 32 bits: element {is} is meant instead"));
        let mut around = None;
        self.overflow(&self.kernel.body, t, &mut around);
        let help = "compute it in 64 bits, or with smaller factors";
        Some(match around {
            Some(loc) => diag.at(loc, "this overflows").help(help),
            None => diag.help(help),
        })
    }

    /// The first statement whose operands fit their types and whose result does not.
    fn overflow<'s>(&self, stmts: &'s [Stmt], t: u32, found: &mut Option<&'s Loc>) {
        for s in stmts {
            if let Some(r) = s.result.filter(|r| self.ideals.values[r.0 as usize].is_some())
                && found.is_none()
                && self.ideal(r, t) != self.plain(r, t)
                && s.op.operands().iter().all(|v| self.ideal(*v, t) == self.plain(*v, t))
            {
                *found = Some(&s.loc);
            }
            s.op.blocks().into_iter().for_each(|b| self.overflow(b, t, found));
        }
    }
}
