//! `Reduce` and `Scan`: folds by a monoid.

use super::{Rule, all_tensors, check_axes};
use crate::graph::Graph;
use crate::literal::Number;
use crate::ty::{TensorTy, Ty};
use girih_base::DType;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An associative operation with an identity. Several state values make a tuple result.
#[derive(Clone, Debug)]
pub enum Monoid {
    /// Sum.
    Sum,
    /// Product.
    Prod,
    /// Maximum; NaN wins.
    Max,
    /// Minimum; NaN wins.
    Min,
    /// Bitwise or logical and.
    And,
    /// Bitwise or logical or.
    Or,
    /// Bitwise or logical exclusive or.
    Xor,
    /// Maximum and its first position (i32): two results.
    ArgMax,
    /// Minimum and its first position (i32): two results.
    ArgMin,
    /// Mean and sum of squared deviations: two results (Welford; Chan et al. for merging).
    Welford,
    /// Maximum m and sum of exp(x - m): two results (Milakov and Gimelshein's online softmax).
    Online,
    /// Any other: a body over (state.., state..) giving state, and the identity of each state value.
    Custom(Arc<Graph>, Vec<Number>),
}

impl Monoid {
    /// Number of results for `operands` operands.
    pub fn results(&self, operands: usize) -> usize {
        match self {
            Monoid::ArgMax | Monoid::ArgMin | Monoid::Welford | Monoid::Online => 2,
            Monoid::Custom(..) => operands,
            _ => 1,
        }
    }

    /// Name in the text form.
    pub fn name(&self) -> &'static str {
        match self {
            Monoid::Sum => "sum",
            Monoid::Prod => "prod",
            Monoid::Max => "max",
            Monoid::Min => "min",
            Monoid::And => "and",
            Monoid::Or => "or",
            Monoid::Xor => "xor",
            Monoid::ArgMax => "argmax",
            Monoid::ArgMin => "argmin",
            Monoid::Welford => "welford",
            Monoid::Online => "online",
            Monoid::Custom(..) => "custom",
        }
    }

    /// The dtypes of the results of folding `operands` in `acc`, or why they do not fit.
    fn infer(&self, operands: &[&TensorTy], acc: DType) -> Result<Vec<DType>, String> {
        if let Monoid::Custom(body, identity) = self {
            let n = operands.len();
            if body.params().len() != 2 * n || body.outputs().len() != n || identity.len() != n {
                return Err(format!("a custom fold of {n} values needs a body of {} parameters and {n} results", 2 * n));
            }
            return Ok(operands.iter().map(|t| t.dtype).collect());
        }
        let [x] = operands else { return Err(format!("`{}` folds one tensor, got {}", self.name(), operands.len())) };
        let fits = match self {
            Monoid::And | Monoid::Or | Monoid::Xor => (x.dtype.is_int() || x.dtype == DType::Bool) && acc == x.dtype,
            Monoid::Welford | Monoid::Online => x.dtype.is_float() && acc.is_float() && acc.bits() >= x.dtype.bits(),
            Monoid::Sum | Monoid::Prod => {
                x.dtype != DType::Bool && acc.is_float() == x.dtype.is_float() && acc.bits() >= x.dtype.bits()
            }
            _ => x.dtype != DType::Bool && acc == x.dtype,
        };
        if !fits {
            return Err(format!("`{}` cannot fold {} in {acc}", self.name(), x.dtype));
        }
        Ok(match self {
            Monoid::ArgMax | Monoid::ArgMin => vec![acc, DType::I32],
            Monoid::Welford | Monoid::Online => vec![acc, acc],
            _ => vec![acc],
        })
    }
}

// A custom body is compared by identity: two bodies built apart are different monoids.
impl PartialEq for Monoid {
    fn eq(&self, other: &Monoid) -> bool {
        match (self, other) {
            (Monoid::Custom(a, x), Monoid::Custom(b, y)) => Arc::ptr_eq(a, b) && x == y,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Monoid {}

impl Hash for Monoid {
    fn hash<H: Hasher>(&self, h: &mut H) {
        std::mem::discriminant(self).hash(h);
        if let Monoid::Custom(body, identity) = self {
            (Arc::as_ptr(body) as usize).hash(h);
            identity.hash(h);
        }
    }
}

/// Axes folded away. The result has the accumulator's dtype.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// The fold.
    pub monoid: Monoid,
    /// The axes that vanish, in any order. `ArgMax` and `ArgMin` take exactly one.
    pub axes: Vec<usize>,
    /// Dtype of the running value and of the result.
    pub acc: DType,
}

/// Running folds along one axis; the shape is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    /// The fold.
    pub monoid: Monoid,
    /// The axis.
    pub axis: usize,
    /// From the end of the axis to its start.
    pub reverse: bool,
    /// Element `i` folds the elements before it, not itself.
    pub exclusive: bool,
    /// Dtype of the running value and of the result.
    pub acc: DType,
}

fn result(dtypes: Vec<DType>, shape: &[girih_base::Dim]) -> Ty {
    let mut tys: Vec<Ty> = dtypes.into_iter().map(|dtype| TensorTy { dtype, shape: shape.to_vec() }.into()).collect();
    if tys.len() == 1 { tys.remove(0) } else { Ty::Tuple(tys) }
}

fn same_shapes(list: &[&TensorTy]) -> Result<(), String> {
    match list.iter().find(|t| t.shape != list[0].shape) {
        Some(t) => Err(format!("shapes differ: {} and {t}", list[0])),
        None => Ok(()),
    }
}

impl Rule for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        same_shapes(&list)?;
        check_axes(&self.axes, first)?;
        if matches!(self.monoid, Monoid::ArgMax | Monoid::ArgMin) && self.axes.len() != 1 {
            return Err(format!("`{}` takes one axis, got {:?}", self.monoid.name(), self.axes));
        }
        let dtypes = self.monoid.infer(&list, self.acc)?;
        let shape: Vec<_> =
            (0..first.rank()).filter(|a| !self.axes.contains(a)).map(|a| first.shape[a].clone()).collect();
        Ok(result(dtypes, &shape))
    }
}

impl Rule for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        same_shapes(&list)?;
        check_axes(&[self.axis], first)?;
        Ok(result(self.monoid.infer(&list, self.acc)?, &first.shape))
    }
}
