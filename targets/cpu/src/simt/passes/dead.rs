//! Leaves out what nobody needs.
//!
//! What a statement needs is what its instruction reads ([`Plan::operands`]): an index that counts up with the threads is not computed
//! for a load that copies a row. Accesses whose results are used somewhere stay, whatever becomes of the use, for they may fail.

use super::super::plan::Plan;
use super::super::uniform::Varies;
use girih_simt::{Kernel, Op, Stmt};

/// The kernel without it.
pub(in super::super) fn pruned(kernel: &Kernel, varies: &Varies, plan: &Plan) -> Kernel {
    let mut live = Live {
        varies,
        plan,
        values: vec![false; kernel.values.len()],
        locals: vec![false; kernel.locals.len()],
        named: vec![false; kernel.values.len()],
        changed: true,
    };
    live.name(&kernel.body);
    // What is needed only grows, so this ends; variables carry needs from uses to statements before, or around a loop.
    while live.changed {
        live.changed = false;
        live.block(&kernel.body);
    }
    Kernel { body: live.kept(&kernel.body), ..kernel.clone() }
}

struct Live<'a> {
    varies: &'a Varies,
    plan: &'a Plan,
    /// Needed values and variables.
    values: Vec<bool>,
    locals: Vec<bool>,
    /// Values that a statement uses, needed or not.
    named: Vec<bool>,
    changed: bool,
}

impl Live<'_> {
    fn name(&mut self, stmts: &[Stmt]) {
        for s in stmts {
            if !matches!(&s.op, Op::Set(i, _) if !self.varies.read[*i as usize]) {
                self.plan.operands(s).into_iter().for_each(|v| self.named[v.0 as usize] = true);
            }
            s.op.blocks().into_iter().for_each(|b| self.name(b));
        }
    }

    fn wanted(&self, s: &Stmt) -> bool {
        let result = |of: &[bool]| s.result.is_some_and(|r| of[r.0 as usize]);
        match &s.op {
            Op::Store(..) | Op::Atomic(..) | Op::CompareExchange(..) | Op::Assert(..) => true,
            Op::For { .. } | Op::Loop(_) | Op::Break | Op::Continue | Op::Return => true,
            Op::If(_, a, b) => a.iter().chain(b).any(|s| self.wanted(s)),
            Op::Set(i, _) => self.locals[*i as usize],
            Op::Load(..) | Op::ComponentAt(..) => result(&self.named) || result(&self.values),
            // Instructions follow one another for all threads, so a barrier is none.
            Op::Barrier | Op::SubgroupBarrier | Op::Print(..) | Op::Comment(_) => false,
            _ => result(&self.values),
        }
    }

    fn block(&mut self, stmts: &[Stmt]) {
        for s in stmts.iter().rev() {
            s.op.blocks().into_iter().for_each(|b| self.block(b));
            if !self.wanted(s) {
                continue;
            }
            for v in self.plan.operands(s) {
                self.changed |= !std::mem::replace(&mut self.values[v.0 as usize], true);
            }
            if let (Op::Get(i), Some(r)) = (&s.op, s.result) {
                match self.varies.once[r.0 as usize] {
                    Some(x) => self.changed |= !std::mem::replace(&mut self.values[x.0 as usize], true),
                    None => self.changed |= !std::mem::replace(&mut self.locals[*i as usize], true),
                }
            }
        }
    }

    fn kept(&self, stmts: &[Stmt]) -> Vec<Stmt> {
        let mut out: Vec<Stmt> = stmts.iter().filter(|s| self.wanted(s)).cloned().collect();
        for s in &mut out {
            for b in s.op.blocks_mut() {
                *b = self.kept(b);
            }
        }
        out
    }
}
