//! Types of folds and of the regions that operations hold.

use super::{Check, Verifier};
use crate::ir::*;
use crate::op::*;
use girih_base::ScalarOp;

impl Verifier<'_> {
    /// Operand types of a fold, all of one shape.
    pub(super) fn alike(&self, args: &[ValueId], axis: usize) -> Check<Vec<TileTy>> {
        let first = args.first().ok_or("takes at least one operand")?;
        let tys: Vec<TileTy> = args.iter().map(|a| self.ty(*a).clone()).collect();
        self.axis(axis, self.ty(*first))?;
        match tys.iter().find(|t| t.shape != tys[0].shape) {
            Some(other) => Err(format!("{} and {other} have different shapes", tys[0])),
            None => Ok(tys),
        }
    }

    pub(super) fn fold(&self, args: &[ValueId], axis: usize, combine: &Combine) -> Check<Vec<TileTy>> {
        use ScalarOp::{Add, And, Max, Min, Mul, Or, Xor};
        let tys = self.alike(args, axis)?;
        match combine {
            Combine::Scalar(op) => {
                if tys.len() != 1 || !matches!(op, Add | Mul | Min | Max | And | Or | Xor) {
                    return Err(format!("cannot fold {} operands by `{}`", tys.len(), op.name()));
                }
                op.infer(&[tys[0].dtype, tys[0].dtype])?;
            }
            Combine::Body(body) => {
                let scalars: Vec<TileTy> = tys.iter().map(|t| TileTy::scalar(t.dtype)).collect();
                let entry: Vec<TileTy> = scalars.iter().chain(&scalars).cloned().collect();
                self.region(body, &entry, &scalars)?;
                let plain =
                    |s: &Stmt| matches!(s.op, Op::Map(..) | Op::Cast(_) | Op::Bitcast(_) | Op::Const(_) | Op::Size(_));
                let scalar = |s: &Stmt| s.results.iter().all(|r| self.ty(*r).shape.is_empty());
                if !body.stmts.iter().all(|s| plain(s) && scalar(s)) {
                    return Err("the body holds something other than scalar operations".into());
                }
                let local = |v: &ValueId| {
                    body.params.contains(v)
                        || body.stmts.iter().any(|s| s.results.contains(v))
                        || self.ty(*v).shape.is_empty()
                };
                let used = body.stmts.iter().flat_map(|s| s.op.operands()).chain(body.results.iter().copied());
                if !used.into_iter().all(|v| local(&v)) {
                    return Err("the body uses a tile from outside".into());
                }
            }
        }
        Ok(tys)
    }

    pub(super) fn region(&self, block: &Block, entry: &[TileTy], exit: &[TileTy]) -> Check {
        for (what, ids, tys) in [("takes", &block.params, entry), ("hands out", &block.results, exit)] {
            if ids.len() != tys.len() {
                return Err(format!("the region {what} {} values, expected {}", ids.len(), tys.len()));
            }
            ids.iter().zip(tys).try_for_each(|(v, t)| self.same("a value of the region", self.ty(*v), t))?;
        }
        Ok(())
    }
}
