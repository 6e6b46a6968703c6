//! `Kernel`: a kernel written by hand in Tile or SIMT IR.

use super::Rule;
use crate::batch::{Batch, Batcher, Lane, cannot_batch};
use crate::eval::{Cx, Eval, Value};
use crate::grad::{Backward, Cotangents, Site, Vjp, no_derivative};
use crate::graph::NodeId;
use crate::text::attrs::{attrs, words};
use crate::ty::{TensorTy, Ty};
use girih_base::{Diag, Result as DiagResult};
use std::sync::Arc;

/// The level a hand-written kernel is given at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelLevel {
    /// Tile IR text.
    Tile,
    /// SIMT IR text.
    Simt,
}

/// A kernel written by hand, in the text form of its level. Its buffers are the operands that it reads, then the results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Level of the text.
    pub level: KernelLevel,
    /// The kernel.
    pub text: Arc<str>,
    /// Result types.
    pub results: Vec<TensorTy>,
    /// Which results hold something when the kernel starts, rising: what the last operands hold, one for each. Others that it
    /// reads start as zeros.
    pub updates: Vec<usize>,
}

impl Rule for Kernel {
    fn name(&self) -> &'static str {
        "kernel"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let rising = self.updates.is_sorted_by(|a, b| a < b);
        if !rising || self.updates.last().is_some_and(|r| *r >= self.results.len()) {
            return Err(format!("updates {:?} of {} results", self.updates, self.results.len()));
        }
        let first = operands.len().checked_sub(self.updates.len()).ok_or("fewer operands than results to update")?;
        for (r, start) in self.updates.iter().zip(&operands[first..]) {
            let ty = &self.results[*r];
            if **start != Ty::from(ty.clone()) {
                return Err(format!("result {r} is {ty} and starts as {start}"));
            }
        }
        let mut tys: Vec<Ty> = self.results.iter().cloned().map(Ty::from).collect();
        Ok(if tys.len() == 1 { tys.remove(0) } else { Ty::Tuple(tys) })
    }
}

impl Eval for Kernel {
    fn eval(&self, _: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        Err(Diag::error("G201", "a hand-written kernel has no meaning at this level")
            .note("the evaluator knows graph operations only")
            .help("run it on a target, or on the emulator of its level"))
    }
}

attrs!(Kernel "kernel" { level, text, results, updates });

words!(KernelLevel { Tile "tile", Simt "simt" });

impl Vjp for Kernel {
    fn vjp(&self, b: &mut Backward, at: &Site, _: &[Option<NodeId>]) -> Cotangents {
        Err(no_derivative(&b.g, at.node, "a hand-written kernel", "its text carries no derivative")
            .help("write the same computation in graph operations where a gradient is needed"))
    }
}

impl Batch for Kernel {
    fn batch(&self, b: &mut Batcher, _: &[Lane]) -> DiagResult<Vec<Lane>> {
        Err(cannot_batch(&b.g, "a hand-written kernel", "its text is for one example")
            .help("give the kernel a batch axis, or write it in graph operations"))
    }
}
