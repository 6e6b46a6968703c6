//! `Tuple`, `Proj`, `Fence`: structure without arithmetic.

use super::Rule;
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Cx, Eval, Value};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::text::attrs::attrs;
use crate::ty::Ty;
use girih_base::{Diag, Result as DiagResult};

/// Several values as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tuple;

/// One value of a tuple.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proj {
    /// Its position.
    pub index: usize,
}

/// The identity; a wall for fusion and rewriting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fence;

impl Rule for Tuple {
    fn name(&self) -> &'static str {
        "tuple"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        Ok(Ty::Tuple(operands.iter().map(|t| (*t).clone()).collect()))
    }
}

impl Rule for Proj {
    fn name(&self) -> &'static str {
        "proj"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        match operands {
            [Ty::Tuple(items)] if self.index < items.len() => Ok(items[self.index].clone()),
            _ => Err(format!("no value {} in {operands:?}", self.index)),
        }
    }
}

impl Rule for Fence {
    fn name(&self) -> &'static str {
        "fence"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        match operands {
            [one] => Ok((*one).clone()),
            _ => Err(format!("takes 1 operand, got {}", operands.len())),
        }
    }
}

impl Eval for Tuple {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        Ok(Value::Tuple(args.to_vec()))
    }
}

impl Eval for Proj {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        match args {
            [Value::Tuple(items)] if self.index < items.len() => Ok(items[self.index].clone()),
            _ => Err(Diag::error("G205", format!("no value {}", self.index))),
        }
    }
}

impl Eval for Fence {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        Ok(args[0].clone())
    }
}

attrs!(Tuple "tuple" {});

attrs!(Proj "proj" { index });

attrs!(Fence "fence" {});

impl Vjp for Tuple {
    fn vjp(&self, _: &mut Backward, _: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        Ok(cts.to_vec())
    }
}

impl Vjp for Proj {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Ty::Tuple(items) = b.g.ty(at.operands[0]) else { return Ok(vec![None]) };
        let before: usize = items[..self.index].iter().map(|t| t.leaves().len()).sum();
        let mut out = vec![None; b.g.ty(at.operands[0]).leaves().len()];
        out[before..before + cts.len()].copy_from_slice(cts);
        Ok(out)
    }
}

impl Vjp for Fence {
    fn vjp(&self, _: &mut Backward, _: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        Ok(cts.to_vec())
    }
}

impl Batch for Fence {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        args.iter().map(|a| Ok(Lane { id: b.g.push(Fence, &[a.id])?, ..*a })).collect()
    }
}

// The walk takes tuples apart itself.
macro_rules! taken_apart {
    ($($kind:ty),*) => {$(
        impl Batch for $kind {
            fn batch(&self, _: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
                Ok(args.to_vec())
            }
        }
    )*};
}

taken_apart!(Tuple, Proj);
