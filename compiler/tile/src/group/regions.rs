//! Loops, branches and folds of a group: all instances must go the same way.

use super::Grouper;
use crate::ir::{Block, Stmt, TileTy, ValueId};
use crate::op::{Combine, Op};
use girih_base::ScalarOp;
use std::collections::BTreeMap;

impl Grouper<'_> {
    pub(super) fn control(&mut self, s: &Stmt) -> Option<()> {
        match &s.op {
            Op::For { lo, hi, step, init, body } => {
                let (lo, hi) = (self.agreed(*lo)?, self.agreed(*hi)?);
                let first = self.carry(init, &body.params[1..])?;
                let new = self.region(body, &body.params, &body.params[1..])?;
                let op = Op::For { lo, hi, step: *step, init: first, body: new };
                self.results(s, op, &body.params[1..])
            }
            Op::While { init, test, body } => {
                if test.results.iter().any(|v| self.varies(*v)) {
                    return None;
                }
                let first = self.carry(init, &test.params)?;
                let new_test = self.region(test, &test.params, &test.results)?;
                let new_body = self.region(body, &body.params, &test.params)?;
                self.results(s, Op::While { init: first, test: new_test, body: new_body }, &test.params)
            }
            Op::If { cond, then, otherwise } => {
                let cond = self.agreed(*cond)?;
                let then = self.region(then, &[], &s.results)?;
                let otherwise = self.region(otherwise, &[], &s.results)?;
                self.results(s, Op::If { cond, then, otherwise }, &s.results)
            }
            _ => None,
        }
    }

    /// A scalar on which all instances must agree.
    fn agreed(&mut self, v: ValueId) -> Option<ValueId> {
        if !self.varies(v) {
            return self.one(v);
        }
        if !self.in_time() {
            return None;
        }
        let all = self.lanes(v)?;
        self.agree.push(all);
        let ty = self.ty(v).clone();
        let op = if ty.dtype == girih_base::DType::Bool { ScalarOp::Or } else { ScalarOp::Max };
        Some(self.push(Op::Reduce { args: vec![all], axis: 0, combine: Combine::Scalar(op) }, ty))
    }

    /// What `values` are in the form that values with the facts of `like` have: the first instance's (or everybody's) where it
    /// is worth having, and all instances' where they differ.
    fn carry(&mut self, values: &[ValueId], like: &[ValueId]) -> Option<Vec<ValueId>> {
        let mut out = Vec::new();
        for (v, like) in values.iter().zip(like) {
            if self.facts.has_one(*like) {
                out.push(self.one(*v)?);
            }
            if self.varies(*like) {
                out.push(self.lanes(*v)?);
            }
        }
        Some(out)
    }

    /// Types of what [`Self::carry`] gives.
    fn carried(&self, like: &[ValueId]) -> Vec<TileTy> {
        let mut out = Vec::new();
        for v in like {
            let ty = self.ty(*v);
            out.extend(self.facts.has_one(*v).then(|| ty.clone()));
            out.extend(self.varies(*v).then(|| self.wide(ty)));
        }
        out
    }

    /// Says which new values `old` ones are, in the order of [`Self::carry`].
    fn define(&mut self, old: &[ValueId], new: &[ValueId]) {
        let mut new = new.iter();
        for v in old {
            if self.facts.has_one(*v)
                && let Some(n) = new.next()
            {
                self.define_one(*v, *n);
            }
            if self.varies(*v)
                && let Some(n) = new.next()
            {
                self.define_lanes(*v, *n);
            }
        }
    }

    /// A region that takes `params` and hands out its results in the form of `like`.
    fn region(&mut self, block: &Block, params: &[ValueId], like: &[ValueId]) -> Option<Block> {
        let new: Vec<ValueId> = self.carried(params).into_iter().map(|t| self.b.fresh(t)).collect();
        self.b.begin(new.clone());
        self.spread.push(BTreeMap::new());
        self.define(params, &new);
        self.stmts(block)?;
        let out = self.carry(&block.results, like)?;
        self.spread.pop();
        Some(self.b.end(out))
    }

    fn results(&mut self, s: &Stmt, op: Op, like: &[ValueId]) -> Option<()> {
        if self.carried(like).iter().any(|t| t.shape.len() > crate::verify::MAX_RANK) {
            return None;
        }
        let tys = self.carried(like);
        let new = self.b.push(op, tys);
        self.define(&s.results, &new);
        Some(())
    }

    pub(super) fn fold(&mut self, s: &Stmt) -> Option<()> {
        let varies = s.results.iter().any(|r| self.varies(*r));
        let combine = |g: &mut Self, c: &Combine| {
            Some(match c {
                Combine::Scalar(op) => Combine::Scalar(*op),
                Combine::Body(body) => Combine::Body(g.body(body)?),
            })
        };
        let args = s.op.operands();
        let args = args.iter().map(|v| if varies { self.lanes(*v) } else { self.one(*v) }).collect::<Option<_>>()?;
        let op = match &s.op {
            Op::Reduce { axis, combine: c, .. } => {
                Op::Reduce { args, axis: axis + varies as usize, combine: combine(self, c)? }
            }
            Op::Scan { axis, combine: c, reverse, .. } => {
                Op::Scan { args, axis: axis + varies as usize, combine: combine(self, c)?, reverse: *reverse }
            }
            _ => return None,
        };
        if varies {
            return self.wide_results(s, op);
        }
        let tys = s.results.iter().map(|r| self.ty(*r).clone()).collect();
        let new = self.b.push(op, tys);
        s.results.iter().zip(new).for_each(|(old, new)| self.define_one(*old, new));
        Some(())
    }

    /// The body of a fold: scalars that are the same in all instances.
    fn body(&mut self, body: &Block) -> Option<Block> {
        if body.stmts.iter().any(|s| s.op.operands().iter().any(|v| self.varies(*v)) || !s.op.blocks().is_empty()) {
            return None;
        }
        self.region(body, &body.params, &body.results)
    }
}
