//! Recognises loops over a variable that counts up.

use super::{Rewrite, define};
use girih_base::{DType, ScalarOp};
use girih_simt::{Op, Space, Stmt, ValueId};
use std::collections::BTreeMap;

/// Most statements of a body that is written twice.
pub(super) const SIZE: usize = 400;

/// A loop over a variable: what the parts of it are.
pub(super) struct Counted<'k> {
    pub local: u32,
    /// In thread 0, before the loop.
    pub base: Option<ValueId>,
    pub end: ValueId,
    pub step: ValueId,
    /// Between the test and the step.
    pub body: &'k [Stmt],
    /// What the loop computes.
    pub inside: BTreeMap<ValueId, &'k Op>,
}

impl<'k> Rewrite<'k> {
    /// The value behind conversions between words.
    fn behind(&self, v: ValueId) -> ValueId {
        match self.definitions.get(&v) {
            Some(Op::Bitcast(x) | Op::Cast(x)) if self.is_word(*x) && self.is_word(v) => self.behind(*x),
            _ => v,
        }
    }

    fn is_word(&self, v: ValueId) -> bool {
        let ty = self.old.values[v.0 as usize].ty;
        ty.lanes == 1 && matches!(ty.dtype, DType::U32 | DType::I32)
    }

    /// The variable that a value was read from.
    fn read(&self, v: ValueId) -> Option<u32> {
        match self.definitions.get(&self.behind(v)) {
            Some(Op::Get(i)) => Some(*i),
            _ => None,
        }
    }

    /// Recognises `loop { if (!(i < end)) break; body; i += step; }` after `i = row`.
    pub(super) fn strided(&self, before: &[Stmt], stmts: &'k [Stmt]) -> Option<Counted<'k>> {
        let test = stmts.iter().position(|s| matches!(s.op, Op::If(..)))?;
        let head_is_pure = stmts[..test].iter().all(|s| {
            matches!(s.op, Op::Get(_) | Op::Map(..) | Op::Bitcast(_) | Op::Cast(_) | Op::Const(_) | Op::Uniform(_))
        });
        let Op::If(cond, yes, no) = &stmts[test].op else { return None };
        let breaks = |b: &[Stmt]| matches!(b, [Stmt { op: Op::Break, .. }]);
        let (goes_on, cond) = match (yes.is_empty() && breaks(no), breaks(yes) && no.is_empty()) {
            (true, _) => (true, *cond),
            (_, true) => (false, *cond),
            _ => return None,
        };
        let (goes_on, cond) = match self.definitions.get(&cond)? {
            Op::Map(ScalarOp::Not, x) => (!goes_on, x[0]),
            _ => (goes_on, cond),
        };
        let Op::Map(op, args) = self.definitions.get(&cond)? else { return None };
        let (i, end) = match (op, goes_on) {
            (ScalarOp::Lt, true) | (ScalarOp::Ge, false) => (args[0], args[1]),
            (ScalarOp::Gt, true) | (ScalarOp::Le, false) => (args[1], args[0]),
            _ => return None,
        };
        let local = self.read(i).filter(|_| self.is_word(i) && self.uniform(end))?;
        let (last, body) = stmts[test + 1..].split_last()?;
        let Op::Set(to, next) = &last.op else { return None };
        let Op::Map(ScalarOp::Add, sum) = self.definitions.get(&self.behind(*next))? else { return None };
        let step = match (self.read(sum[0]), self.read(sum[1])) {
            (Some(x), _) if x == local => sum[1],
            (_, Some(x)) if x == local => sum[0],
            _ => return None,
        };
        let mut inside = BTreeMap::new();
        define(stmts, &mut inside);
        let known = |v: ValueId| self.uniform(v) && self.early(v, &inside);
        let start = before.iter().rev().find_map(|s| match &s.op {
            Op::Set(i, x) if *i == local => Some(*x),
            _ => None,
        })?;
        let base = self.rows.index(Space::Buffer(0), start)?;
        let (mut uses, mut sets) = (vec![0; self.old.locals.len()], vec![0; self.old.locals.len()]);
        count(stmts, &mut uses, &mut sets);
        let l = local as usize;
        // One statement sets it before the loop, one inside; nobody reads it after.
        let own = sets[l] == 1 && self.sets[l] == 2 && uses[l] + 1 == self.uses[l];
        let fits = *to == local && own && known(step) && known(end) && self.is_word(step) && head_is_pure;
        let plain =
            simple(body, &mut SIZE.clone()) && !leaves(body) && stmts[..test].iter().all(|s| !self.used_in(s, body));
        (fits && plain).then_some(Counted { local, base, end, step, body, inside })
    }

    /// Whether a value can be computed before the loop that computes `inside`.
    fn early(&self, v: ValueId, inside: &BTreeMap<ValueId, &Op>) -> bool {
        match inside.get(&v) {
            None => true,
            Some(op @ (Op::Map(..) | Op::Bitcast(_) | Op::Cast(_) | Op::Const(_) | Op::Uniform(_))) => {
                op.operands().iter().all(|x| self.early(*x, inside))
            }
            Some(_) => false,
        }
    }

    /// Whether the body uses what a statement of the loop's head computes.
    fn used_in(&self, s: &Stmt, body: &[Stmt]) -> bool {
        let Some(r) = s.result else { return false };
        body.iter()
            .any(|b| b.op.operands().contains(&r) || b.op.blocks().into_iter().any(|inner| self.used_in(s, inner)))
    }
}

/// Statements that use and that set each variable.
pub(super) fn count(stmts: &[Stmt], uses: &mut [usize], sets: &mut [usize]) {
    for s in stmts {
        match &s.op {
            Op::Set(i, _) => {
                uses[*i as usize] += 1;
                sets[*i as usize] += 1;
            }
            Op::Get(i) => uses[*i as usize] += 1,
            op => {
                if let Some(Space::Local(i)) = op.space() {
                    uses[i as usize] += 1;
                }
            }
        }
        s.op.blocks().into_iter().for_each(|b| count(b, uses, sets));
    }
}

/// Whether a body may be written twice and run for fewer threads: no loops, and nothing that all threads do together.
pub(super) fn simple(stmts: &[Stmt], left: &mut usize) -> bool {
    stmts.iter().all(|s| {
        *left = left.saturating_sub(1);
        let alone = !matches!(
            s.op,
            Op::Barrier | Op::SubgroupBarrier | Op::Subgroup(..) | Op::Shuffle(..) | Op::For { .. } | Op::Loop(_)
        );
        alone && *left > 0 && s.op.blocks().into_iter().all(|b| simple(b, left))
    })
}

/// Whether threads leave a round early.
pub(super) fn leaves(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|s| matches!(s.op, Op::Break | Op::Continue | Op::Return) || s.op.blocks().into_iter().any(leaves))
}
