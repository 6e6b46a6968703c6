//! `Cond`: one of several bodies.

use super::call::{by_identity, check_args, check_flat, results};
use super::{Rule, tensors};
use crate::batch::{Batch, Batcher, Lane, cannot_batch};
use crate::eval::{Cx, Eval, Value};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::{Graph, NodeId};
use crate::text::attrs::attrs;
use crate::ty::Ty;
use girih_base::{DType, Result as DiagResult, ScalarOp};
use std::sync::Arc;

/// Runs one branch, chosen by the first operand: an i32 scalar, clamped, or a bool (false is branch 0).
/// The other operands are every branch's parameters. The result is a tuple.
#[derive(Clone, Debug)]
pub struct Cond {
    /// The branches, all with the same parameters and result types.
    pub branches: Vec<Arc<Graph>>,
}

by_identity!(Cond, a b a.branches.len() == b.branches.len() && a.branches.iter().zip(&b.branches).all(|(x, y)| Arc::ptr_eq(x, y)), a a.branches.len());

impl Rule for Cond {
    fn name(&self) -> &'static str {
        "cond"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let (choice, args) = operands.split_first().ok_or("takes a choice and arguments")?;
        let [choice] = tensors(&[choice])?;
        if choice.rank() != 0 || !matches!(choice.dtype, DType::Bool | DType::I32) {
            return Err(format!("the choice must be bool[] or i32[], got {choice}"));
        }
        let first = self.branches.first().ok_or("takes at least one branch")?;
        for b in &self.branches {
            check_args(b, args)?;
            if results(b) != results(first) {
                return Err(format!("branches give {:?} and {:?}", results(first), results(b)));
            }
        }
        Ok(Ty::Tuple(results(first)))
    }
}

impl Eval for Cond {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let choice = args[0].array()?.int(0).clamp(0, self.branches.len() as i128 - 1);
        Ok(Value::Tuple(self.branches[choice as usize].eval_body(args[1..].to_vec(), cx)?))
    }
}

attrs!(Cond "cond" { branches });

impl Vjp for Cond {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let wrt: Vec<usize> = (0..at.operands.len() - 1).filter(|i| at.needs.get(i + 1) == Some(&true)).collect();
        let (mask, present) = Backward::present(cts);
        check_flat(b, at, cts.len())?;
        let mut branches = Vec::new();
        for body in &self.branches {
            branches.push(Arc::new(b.body(body, &wrt, &mask)?));
        }
        let mut operands = at.operands.clone();
        operands.extend(present);
        let node = b.g.push(Cond { branches }, &operands)?;
        let mut out = vec![None; at.operands.len()];
        for (i, w) in wrt.iter().enumerate() {
            out[w + 1] = Some(b.g.proj(node, i)?);
        }
        Ok(out)
    }
}

impl Batch for Cond {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let (choice, rest) = (args[0], &args[1..]);
        if choice.batched && b.exchanges(&self.clone().into()) {
            return Err(cannot_batch(&b.g, "a choice", "replicas that choose differently exchange values in it"));
        }
        if choice.batched {
            return self.every_branch(b, choice, rest);
        }
        let flags: Vec<bool> = rest.iter().map(|a| a.batched).collect();
        let mut force: Vec<bool> = Vec::new();
        for body in &self.branches {
            let (_, out) = b.body(body, &flags, &[])?;
            force.resize(out.len(), false);
            force.iter_mut().zip(out).for_each(|(f, o)| *f |= o);
        }
        let mut branches = Vec::new();
        for body in &self.branches {
            branches.push(Arc::new(b.body(body, &flags, &force)?.0));
        }
        let operands: Vec<NodeId> = args.iter().map(|a| a.id).collect();
        let node = b.g.push(Cond { branches }, &operands)?;
        let lanes = b.unpack(node, true)?;
        Ok(lanes.into_iter().zip(force).map(|(l, batched)| Lane { batched, ..l }).collect())
    }
}

impl Cond {
    /// Examples choose differently: all branches run, and each example picks its own result.
    fn every_branch(&self, b: &mut Batcher, choice: Lane, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let dtype = b.g.tensor(choice.id)?.dtype;
        let mut result: Option<Vec<Lane>> = None;
        for (i, body) in self.branches.iter().enumerate().rev() {
            let mut rest = args.iter();
            let mut params = Vec::new();
            for p in body.params() {
                params.push(rest.by_ref().take(body.ty(*p).leaves().len()).copied().collect());
            }
            let out = b.run(body, params)?.concat();
            result = Some(match result {
                None => out,
                Some(later) => {
                    let taken = if dtype == DType::Bool {
                        b.g.map(ScalarOp::Not, &[choice.id])?
                    } else {
                        crate::nn::with(&mut b.g, ScalarOp::Le, choice.id, i as f64)?
                    };
                    // With a bool only branches 0 and 1 exist.
                    if dtype == DType::Bool && i > 0 {
                        out
                    } else {
                        let taken = Lane { id: taken, batched: true };
                        out.iter().zip(later).map(|(o, l)| b.select(taken, *o, l)).collect::<DiagResult<_>>()?
                    }
                }
            });
        }
        result.ok_or_else(|| cannot_batch(&b.g, "a choice", "it has no branches"))
    }
}
