//! The types of graph values.

use girih_base::{DType, Dim};
use std::fmt;

/// Shape and element type of a tensor; the last axis varies fastest.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorTy {
    /// Element type.
    pub dtype: DType,
    /// Extent of each axis; empty for a scalar.
    pub shape: Vec<Dim>,
}

/// The type of a node: one tensor, or several.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ty {
    /// One tensor.
    Tensor(TensorTy),
    /// What multi-valued operations give; taken apart by `Proj`.
    Tuple(Vec<Ty>),
}

impl TensorTy {
    /// A tensor type from anything that makes dimensions.
    pub fn new<D: Into<Dim>>(dtype: DType, shape: impl IntoIterator<Item = D>) -> TensorTy {
        TensorTy { dtype, shape: shape.into_iter().map(Into::into).collect() }
    }

    /// A rank-0 tensor.
    pub fn scalar(dtype: DType) -> TensorTy {
        TensorTy { dtype, shape: Vec::new() }
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn elements(&self) -> Dim {
        product(&self.shape)
    }

    /// The same shape with another element type.
    pub fn with_dtype(&self, dtype: DType) -> TensorTy {
        TensorTy { dtype, shape: self.shape.clone() }
    }

    /// The same element type with another shape.
    pub fn with_shape(&self, shape: Vec<Dim>) -> TensorTy {
        TensorTy { dtype: self.dtype, shape }
    }

    /// The shape as numbers, when no symbol occurs.
    pub fn const_shape(&self) -> Option<Vec<usize>> {
        self.shape.iter().map(|d| d.as_const().and_then(|v| usize::try_from(v).ok())).collect()
    }
}

/// The product of dimensions.
pub fn product(dims: &[Dim]) -> Dim {
    dims.iter().fold(Dim::ONE, |a, b| &a * b)
}

impl Ty {
    /// The tensor type, if this is one tensor.
    pub fn tensor(&self) -> Option<&TensorTy> {
        match self {
            Ty::Tensor(t) => Some(t),
            Ty::Tuple(_) => None,
        }
    }
}

impl Ty {
    /// The tensors of this type in order, tuples flattened.
    pub fn leaves(&self) -> Vec<&TensorTy> {
        match self {
            Ty::Tensor(t) => vec![t],
            Ty::Tuple(items) => items.iter().flat_map(Ty::leaves).collect(),
        }
    }
}

impl From<TensorTy> for Ty {
    fn from(t: TensorTy) -> Ty {
        Ty::Tensor(t)
    }
}

impl fmt::Display for TensorTy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, d) in self.shape.iter().enumerate() {
            write!(f, "{}{d}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str("]")
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::Tensor(t) => t.fmt(f),
            Ty::Tuple(items) => {
                f.write_str("(")?;
                for (i, t) in items.iter().enumerate() {
                    write!(f, "{}{t}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Debug for TensorTy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
