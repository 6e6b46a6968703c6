//! `Map`, `Cast`, `Bitcast`: element by element.

use super::{Rule, all_tensors, tensors};
use crate::ty::Ty;
use girih_base::{DType, ScalarOp};

/// Conversion of values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cast {
    /// Result element type.
    pub to: DType,
}

/// Reinterpretation of bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bitcast {
    /// Result element type, as wide as the operand's.
    pub to: DType,
}

impl Rule for ScalarOp {
    fn name(&self) -> &'static str {
        ScalarOp::name(*self)
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let operands = all_tensors(operands)?;
        let dtypes: Vec<_> = operands.iter().map(|t| t.dtype).collect();
        let dtype = ScalarOp::infer(*self, &dtypes)?;
        match operands.iter().find(|t| t.shape != operands[0].shape) {
            Some(other) => Err(format!("shapes differ: {} and {other}", operands[0])),
            None => Ok(operands[0].with_dtype(dtype).into()),
        }
    }
}

impl Rule for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        Ok(x.with_dtype(self.to).into())
    }
}

impl Rule for Bitcast {
    fn name(&self) -> &'static str {
        "bitcast"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        if x.dtype == DType::Bool || self.to == DType::Bool || x.dtype.bits() != self.to.bits() {
            return Err(format!("{} and {} do not have the same bits", x.dtype, self.to));
        }
        Ok(x.with_dtype(self.to).into())
    }
}
