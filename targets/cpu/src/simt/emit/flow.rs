//! Branches and loops, and where execution goes on when no thread is left.

use super::super::passes::strides::Step;
use super::super::program::*;
use super::super::rows::Cut;
use super::super::uniform::leaves;
use super::{Around, Emitter};
use girih_base::ScalarOp;
use girih_simt::{Op, Stmt, ValueId};

impl Emitter<'_> {
    pub(super) fn branch(&mut self, cond: ValueId, then: &[Stmt], otherwise: &[Stmt], around: Around) {
        let (miss, end) = (self.label(), self.label());
        let cut = self.plan.cut(cond).and_then(|cut| {
            let row = match cut.row {
                Some(base) => Some(self.reg(base)?),
                None => None,
            };
            let bound = self.reg(cut.bound)?;
            Some(Narrow { row, op: cut.op, bound, signed: cut.signed, other: self.depth })
        });
        let first = |other| match cut {
            Some(narrow) => Some(Inst::Cut { narrow, miss }),
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
        let start = self.insts.len();
        self.put(inst);
        self.block(then, Around { empty: miss, ..around });
        // A few operations can do it alone.
        if let (true, Some(narrow), [_, body @ ..]) = (otherwise.is_empty(), cut, &mut self.insts[start..])
            && (1..=3).contains(&body.len())
            && body.iter().all(|inst| matches!(inst, Inst::Fused(f) if f.within.is_none()))
        {
            for inst in body {
                if let Inst::Fused(f) = inst {
                    f.within = Some(narrow);
                }
            }
            self.insts.remove(start);
            self.locs.remove(start);
            self.depth -= 1;
            return;
        }
        self.mark(miss);
        if !otherwise.is_empty() {
            self.put(Inst::Else { other, end });
            self.block(otherwise, Around { empty: end, ..around });
        }
        self.mark(end);
        self.put(Inst::EndIf { other, empty: around.empty });
        self.depth -= 1;
    }

    /// A counted loop.
    pub(super) fn count(&mut self, s: &Stmt, around: Around) {
        let Op::For { index, lo, hi, step, body, .. } = &s.op else { return };
        let (Some(counter), Some(lo), Some(end)) = (self.reg(*index), self.reg(*lo), self.reg(*hi)) else { return };
        let by = match self.plan.step(*index, *step) {
            Step::Fixed(by) => By::Fixed(by),
            Step::Value(by) => match self.reg(by) {
                Some(by) => By::Reg(by),
                None => return,
            },
        };
        match &body[..] {
            [Stmt { op: Op::If(inside, then, otherwise), .. }] if otherwise.is_empty() && !leaves(then) => {
                let own =
                    |cut: Cut| cut.row == Some(*index) && cut.op == ScalarOp::Lt && cut.bound == *hi && !cut.signed;
                if self.plan.strides(*index) && self.plan.cut(*inside).is_some_and(own) {
                    return self.rounds(counter, lo, end, by, then, around);
                }
            }
            _ => {}
        }
        self.turn(Some((counter, lo, end, by)), body, around);
    }

    fn rounds(&mut self, counter: Reg, lo: Reg, hi: Reg, by: By, body: &[Stmt], around: Around) {
        let (start, tail, end) = (self.label(), self.label(), self.label());
        let other = self.keep();
        self.put(Inst::Rounds { counter, lo, hi, other, end });
        self.mark(start);
        self.block(body, Around { empty: tail, round: None });
        self.mark(tail);
        self.put(Inst::Round { counter, by, hi, other, start, end, empty: around.empty });
        self.mark(end);
        self.depth -= 1;
    }

    /// A loop, counted from one value to another by a third or not.
    pub(super) fn turn(&mut self, count: Option<(Reg, Reg, Reg, By)>, body: &[Stmt], around: Around) {
        let (gone, next) = (self.keep(), self.keep());
        let (start, again, leave) = (self.label(), self.label(), self.label());
        self.put(Inst::Enter { gone, next });
        let mut step = None;
        match count {
            None => self.mark(start),
            Some((index, lo, hi, by)) => {
                self.put(Inst::Start { index, lo });
                self.mark(start);
                self.put(Inst::Test { index, hi, gone, end: leave });
                step = Some((index, by));
            }
        }
        self.block(body, Around { empty: again, round: Some((gone, next)) });
        self.mark(again);
        self.put(Inst::Again { next, step, start, end: leave });
        self.mark(leave);
        self.put(Inst::Leave { gone, empty: around.empty });
        self.depth -= 2;
    }

    /// Labels become places.
    pub(super) fn resolve(&mut self) {
        // A jump to a jump goes to its end at once; jumps lead forwards, so this ends.
        for i in 0..self.labels.len() {
            while let Some(Inst::Jump(to)) = self.insts.get(self.labels[i]) {
                self.labels[i] = self.labels[*to];
            }
        }
        let labels = &self.labels;
        for inst in &mut self.insts {
            let targets: [Option<&mut Target>; 3] = match inst {
                Inst::If { miss, .. } | Inst::Cut { miss, .. } | Inst::Branch { miss, .. } => [Some(miss), None, None],
                Inst::Else { end, .. } | Inst::Test { end, .. } | Inst::Rounds { end, .. } => [Some(end), None, None],
                Inst::EndIf { empty, .. }
                | Inst::Leave { empty, .. }
                | Inst::Break { empty, .. }
                | Inst::Continue { empty, .. }
                | Inst::Return { empty } => [Some(empty), None, None],
                Inst::Jump(to) => [Some(to), None, None],
                Inst::Again { start, end, .. } => [Some(start), Some(end), None],
                Inst::Round { start, end, empty, .. } => [Some(start), Some(end), Some(empty)],
                _ => [None, None, None],
            };
            targets.into_iter().flatten().for_each(|t| *t = labels[*t]);
        }
    }
}
