//! `Call`: a shared body, and what all operations with bodies check.

use super::Rule;
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Cx, Eval, Value};
use crate::grad::{Backward, Cotangents, Site, Vjp, no_derivative};
use crate::graph::{Graph, NodeId};
use crate::literal::Number;
use crate::text::attrs::attrs;
use crate::ty::Ty;
use girih_base::{DType, Dim, Result as DiagResult};
use std::sync::Arc;

/// An attribute of a composite operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attr {
    /// A number.
    Number(Number),
    /// A size.
    Dim(Dim),
    /// A list of axes or integers.
    Ints(Vec<i64>),
    /// A dtype.
    DType(DType),
    /// A word.
    Str(Arc<str>),
}

/// The target of a [`Call`]. Its body is always a full definition: a target that does not know the name inlines it.
#[derive(Clone, Debug)]
pub struct Callee {
    /// Name: `attention`, `rms_norm`, `dequant.q4_1`, or whatever the user called it.
    pub name: Arc<str>,
    /// Attributes a target that knows the name may rely on, in name order.
    pub attrs: Vec<(&'static str, Attr)>,
    /// The meaning.
    pub body: Graph,
}

/// A call of a named body.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called; shared, so that a repeated layer is compiled once.
    pub callee: Arc<Callee>,
}

impl Callee {
    /// The attribute of that name.
    pub fn attr(&self, name: &str) -> Option<&Attr> {
        self.attrs.iter().find(|(n, _)| *n == name).map(|(_, a)| a)
    }
}

// Bodies are compared by identity: sharing one is what says that two calls are the same.
macro_rules! by_identity {
    ($ty:ident, $a:ident $b:ident $eq:expr, $h:ident $hash:expr) => {
        impl PartialEq for $ty {
            fn eq(&self, other: &$ty) -> bool {
                let ($a, $b) = (self, other);
                $eq
            }
        }
        impl Eq for $ty {}
        impl std::hash::Hash for $ty {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                let $h = self;
                std::hash::Hash::hash(&$hash, state);
            }
        }
    };
}

pub(super) use by_identity;

by_identity!(Call, a b Arc::ptr_eq(&a.callee, &b.callee), a Arc::as_ptr(&a.callee) as usize);

/// Refuses arguments that do not have the body's parameter types.
pub(super) fn check_args(body: &Graph, args: &[&Ty]) -> Result<(), String> {
    if body.params().len() != args.len() {
        return Err(format!("`{}` takes {} arguments, got {}", body.name, body.params().len(), args.len()));
    }
    for (i, (p, a)) in body.params().iter().zip(args).enumerate() {
        if body.ty(*p) != *a {
            return Err(format!("argument {i} of `{}` must be {}, got {a}", body.name, body.ty(*p)));
        }
    }
    Ok(())
}

pub(super) fn results(body: &Graph) -> Vec<Ty> {
    body.outputs().iter().map(|o| body.ty(*o).clone()).collect()
}

impl Rule for Call {
    fn name(&self) -> &'static str {
        "call"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        check_args(&self.callee.body, operands)?;
        let mut tys = results(&self.callee.body);
        Ok(if tys.len() == 1 { tys.remove(0) } else { Ty::Tuple(tys) })
    }
}

impl Eval for Call {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let mut results = self.callee.body.eval_body(args.to_vec(), cx)?;
        Ok(if results.len() == 1 { results.remove(0) } else { Value::Tuple(results) })
    }
}

attrs!(Call "call" { callee });

impl Vjp for Call {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        check_flat(b, at, self.callee.body.outputs().len())?;
        let wrt: Vec<usize> = (0..at.operands.len()).filter(|i| at.needs[*i]).collect();
        let (mask, present) = Backward::present(cts);
        let callee = b.callee(&self.callee, &wrt, &mask)?;
        let mut operands = at.operands.clone();
        operands.extend(present);
        let grads = b.g.call(&callee, &operands)?;
        let mut out = vec![None; at.operands.len()];
        for (w, ct) in wrt.iter().zip(grads) {
            out[*w] = Some(ct);
        }
        Ok(out)
    }
}

/// Bodies are differentiated when all they take and give are tensors.
pub(super) fn check_flat(b: &Backward, at: &Site, results: usize) -> girih_base::Result<()> {
    let flat = |t: &Ty| t.tensor().is_some();
    let given = b.g.ty(at.node).leaves().len();
    if at.operands.iter().all(|o| flat(b.g.ty(*o))) && given == results {
        return Ok(());
    }
    Err(no_derivative(&b.g, at.node, "a body over tuples", "pass and return their parts instead"))
}

impl Batch for Call {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let flags: Vec<bool> = args.iter().map(|a| a.batched).collect();
        let (callee, results) = b.callee(&self.callee, &flags)?;
        let operands: Vec<NodeId> = args.iter().map(|a| a.id).collect();
        let out = b.g.call(&callee, &operands)?;
        Ok(out.into_iter().zip(results).map(|(id, batched)| Lane { id, batched }).collect())
    }
}
