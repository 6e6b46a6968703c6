//! `Dot`: every matrix product.

use super::{Rule, check_axes, tensors};
use crate::ty::{TensorTy, Ty};
use girih_base::DType;

/// How faithfully a target must multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Products of the operands' own values, summed in the accumulator's dtype.
    Exact,
    /// The target may round operands to a narrower type that its matrix units take.
    Fast,
}

/// Batched contraction. The result's axes are: batch axes in order, the left operand's free axes, the right's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dot {
    /// Pairs of axes (left, right) that walk together.
    pub batch: Vec<(usize, usize)>,
    /// Pairs of axes (left, right) summed over.
    pub contract: Vec<(usize, usize)>,
    /// Dtype of the sum and of the result.
    pub acc: DType,
    /// Permission to round operands.
    pub precision: Precision,
}

impl Dot {
    /// The left operand's axes that are neither batch nor contracted.
    pub fn lhs_free(&self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|a| !self.batch.iter().chain(&self.contract).any(|p| p.0 == *a)).collect()
    }

    /// The right operand's axes that are neither batch nor contracted.
    pub fn rhs_free(&self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|a| !self.batch.iter().chain(&self.contract).any(|p| p.1 == *a)).collect()
    }
}

impl Rule for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [a, b] = tensors(operands)?;
        if a.dtype != b.dtype || a.dtype == DType::Bool {
            return Err(format!("operands must have one numeric dtype, got {a} and {b}"));
        }
        if a.dtype.is_float() != self.acc.is_float() || self.acc.bits() < a.dtype.bits() {
            return Err(format!("{} cannot be summed in {}", a.dtype, self.acc));
        }
        let pairs: Vec<_> = self.batch.iter().chain(&self.contract).copied().collect();
        check_axes(&pairs.iter().map(|p| p.0).collect::<Vec<_>>(), a)?;
        check_axes(&pairs.iter().map(|p| p.1).collect::<Vec<_>>(), b)?;
        for (l, r) in pairs {
            if a.shape[l] != b.shape[r] {
                return Err(format!("axis {l} of {a} and axis {r} of {b} differ: {} and {}", a.shape[l], b.shape[r]));
            }
        }
        let mut shape: Vec<_> = self.batch.iter().map(|p| a.shape[p.0].clone()).collect();
        shape.extend(self.lhs_free(a.rank()).into_iter().map(|i| a.shape[i].clone()));
        shape.extend(self.rhs_free(b.rank()).into_iter().map(|i| b.shape[i].clone()));
        Ok(TensorTy { dtype: self.acc, shape }.into())
    }
}
