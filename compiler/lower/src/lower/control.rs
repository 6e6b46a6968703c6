//! Operations of several steps: loops and branches, whose bodies become steps over tensors of their own, and long lines.

use super::env::Env;
use super::flatten::{flatten, with_round};
use super::{Lower, names, refuse};
use crate::fuse::stored;
use crate::lines::{self, Slot};
use crate::program::{Step, TensorRef};
use girih_base::{DType, Dim, Result};
use girih_graph::ops::{Cond, Loop, LoopKind};
use girih_graph::{Graph, NodeId, Op};
use std::sync::Arc;

impl Lower<'_> {
    /// Lowers a body that may read, but not overwrite, `borrowed`.
    fn body(&mut self, graph: &Graph, env: Env, borrowed: &[TensorRef]) -> Result<(Vec<Step>, Vec<TensorRef>)> {
        let outer = self.borrowed.clone();
        self.borrowed.extend(borrowed.iter().copied());
        let lowered = self.graph(graph, env);
        self.borrowed = outer;
        lowered
    }

    /// An operation of several steps: loops and branches, long scans and sorts, hand-written kernels.
    pub(super) fn several(&mut self, graph: &Graph, id: NodeId, env: &mut Env, steps: &mut Vec<Step>) -> Result<()> {
        let bound = |n: &NodeId| env.get(stored::core(graph, *n)).ok_or_else(|| refuse(graph, *n));
        let operands = graph.operands(id).iter().map(bound).collect::<Result<Vec<_>>>()?;
        let parts = match graph.op(id).clone() {
            Op::Loop(l) => self.repeat(&l, &operands, steps)?,
            Op::Cond(c) => self.branch(graph.tensor(graph.operands(id)[0])?.dtype, &c, &operands, steps)?,
            Op::Scan(_) | Op::Sort(_) => self.long_lines(graph, id, &operands, steps)?,
            Op::Kernel(k) => self.hand_written(graph, id, &k, &operands, steps)?,
            _ => return Err(refuse(graph, id)),
        };
        env.insert_parts(id, parts);
        Ok(())
    }

    /// A loop over tensors of its own, which hold the carried values.
    fn repeat(&mut self, l: &Loop, operands: &[TensorRef], steps: &mut Vec<Step>) -> Result<Vec<TensorRef>> {
        let body = flatten(&l.body, self.desc)?;
        let mut carried = Vec::new();
        for t in &operands[..l.carried] {
            let tensor = self.program.tensors[t.0 as usize].clone();
            let own = self.temp(&tensor.label, &tensor.ty);
            let step = self.copy_all(*t, own);
            steps.push(step);
            carried.push(own);
        }
        let given: Vec<TensorRef> = carried.iter().chain(&operands[l.carried..]).copied().collect();
        let bind =
            |g: &Graph, given: &[TensorRef]| -> Env { g.params().iter().copied().zip(given.iter().copied()).collect() };
        let constant = &operands[l.carried..];
        match &l.kind {
            LoopKind::For(count) => {
                let symbol: Arc<str> = format!("round{}", self.loops).into();
                self.loops += 1;
                let top = (count.bounds().1 - 1).max(0);
                let body = with_round(&body, &Dim::symbol(&symbol, 0, top))?;
                let (mut inner, results) = self.body(&body, bind(&body, &given), constant)?;
                self.carry(&results, &carried, &mut inner);
                steps.push(Step::Repeat { symbol, count: count.clone(), body: inner });
            }
            LoopKind::While(cond) => {
                let cond = flatten(cond, self.desc)?;
                let (test, flag) = self.body(&cond, bind(&cond, &given), &given)?;
                let (mut inner, results) = self.body(&body, bind(&body, &given), constant)?;
                self.carry(&results, &carried, &mut inner);
                steps.push(Step::While { test, flag: flag[0], body: inner });
            }
        }
        Ok(carried)
    }

    /// A branch whose arms all write the same tensors; `dtype` is that of the choice.
    fn branch(
        &mut self,
        dtype: DType,
        c: &Cond,
        operands: &[TensorRef],
        steps: &mut Vec<Step>,
    ) -> Result<Vec<TensorRef>> {
        let first = flatten(&c.branches[0], self.desc)?;
        let mut outs = Vec::new();
        for o in first.outputs() {
            let ty = first.tensor(*o)?.clone();
            outs.push(self.temp("branch", &ty));
        }
        let mut branches = Vec::new();
        for b in &c.branches {
            let b = flatten(b, self.desc)?;
            let bound = b.params().iter().copied().zip(operands[1..].iter().copied()).collect();
            let (mut inner, results) = self.body(&b, bound, &operands[1..])?;
            for (r, o) in results.iter().zip(&outs) {
                inner.push(self.copy_all(*r, *o));
            }
            branches.push(inner);
        }
        steps.push(Step::Branch { choice: operands[0], is_bool: dtype == DType::Bool, branches });
        Ok(outs)
    }

    /// A scan or sort in several launches.
    fn long_lines(
        &mut self,
        graph: &Graph,
        id: NodeId,
        operands: &[TensorRef],
        steps: &mut Vec<Step>,
    ) -> Result<Vec<TensorRef>> {
        let staged = lines::stage(graph, id, &names::kernel_name(graph, id), self.desc)?;
        let label = names::label(graph, id);
        let results: Vec<TensorRef> = lines::result_types(graph, id).iter().map(|t| self.temp(&label, t)).collect();
        if results.iter().any(|r| self.program.tensors[r.0 as usize].ty.elements().is(0)) {
            return Ok(results);
        }
        let own = self.distinct(operands, steps);
        let scratch: Vec<TensorRef> = staged.scratch.iter().map(|t| self.temp(&label, t)).collect();
        for (kernel, slots) in staged.launches {
            let tensor = |slot: &Slot| match slot {
                Slot::Operand(i) => own[*i],
                Slot::Result(i) => results[*i],
                Slot::Scratch(i) => scratch[*i],
            };
            let args: Vec<TensorRef> = slots.iter().map(tensor).collect();
            steps.push(Step::Launch { kernel: self.share(kernel), args });
        }
        Ok(results)
    }

    /// Copies a round's results to the carried tensors, through temporaries where one of them is still to be read.
    fn carry(&mut self, results: &[TensorRef], carried: &[TensorRef], steps: &mut Vec<Step>) {
        let mut last = Vec::new();
        for (r, c) in results.iter().zip(carried) {
            if r == c {
                continue;
            }
            let from = if carried.contains(r) {
                let t = self.program.tensors[r.0 as usize].clone();
                let temp = self.temp(&t.label, &t.ty);
                steps.push(self.copy_all(*r, temp));
                temp
            } else {
                *r
            };
            last.push(self.copy_all(from, *c));
        }
        steps.extend(last);
    }
}
