//! Tensors made of numbers alone.

use crate::ops::Shape;
use crate::tensor::Tensor;
use girih_base::{DType, Diag, Loc};
use girih_graph::TensorTy;
use girih_graph::literal::Number;

#[track_caller]
fn splat(value: Number, dtype: DType, shape: impl Shape) -> Tensor {
    let loc = Loc::caller();
    match shape.dims(None) {
        Ok(shape) => Tensor::apply(&[], loc, |g, _| g.splat(value, TensorTy { dtype, shape })),
        Err(why) => Tensor::refused(Diag::error("T012", why).at(&loc, "this shape")),
    }
}

impl Tensor {
    /// Every element 0.
    #[track_caller]
    pub fn zeros(dtype: DType, shape: impl Shape) -> Tensor {
        Tensor::full(0.0, dtype, shape)
    }

    /// Every element 1.
    #[track_caller]
    pub fn ones(dtype: DType, shape: impl Shape) -> Tensor {
        Tensor::full(1.0, dtype, shape)
    }

    /// Every element `value`, which must be a whole number for integer dtypes.
    #[track_caller]
    pub fn full(value: f64, dtype: DType, shape: impl Shape) -> Tensor {
        if dtype.is_float() {
            return splat(value.into(), dtype, shape);
        }
        if value.fract() != 0.0 || !value.is_finite() {
            let why = Diag::error("T011", format!("{value:?} is not an element of {dtype}"));
            return Tensor::refused(why.at(&Loc::caller(), "this value"));
        }
        splat((value as i64).into(), dtype, shape)
    }

    /// A scalar.
    #[track_caller]
    pub fn scalar(value: f64, dtype: DType) -> Tensor {
        Tensor::full(value, dtype, [0i64; 0])
    }

    /// Zeros of the same dtype and shape.
    #[track_caller]
    pub fn zeros_like(&self) -> Tensor {
        self.full_like(0.0)
    }

    /// Ones of the same dtype and shape.
    #[track_caller]
    pub fn ones_like(&self) -> Tensor {
        self.full_like(1.0)
    }

    /// `value` in the same dtype and shape.
    #[track_caller]
    pub fn full_like(&self, value: f64) -> Tensor {
        match self.ty() {
            Some(ty) => Tensor::full(value, ty.dtype, &ty.shape[..]),
            None => self.clone(),
        }
    }

    /// 0, 1, 2, ... along `axis` of a tensor of this shape.
    #[track_caller]
    pub fn iota(dtype: DType, shape: impl Shape, axis: i64) -> Tensor {
        let loc = Loc::caller();
        let shape = match shape.dims(None) {
            Ok(shape) => shape,
            Err(why) => return Tensor::refused(Diag::error("T012", why).at(&loc, "this shape")),
        };
        match super::axis_of(axis, shape.len(), &loc) {
            Ok(axis) => Tensor::apply(&[], loc, |g, _| g.iota(TensorTy { dtype, shape }, axis)),
            Err(why) => Tensor::refused(why),
        }
    }

    /// 0, 1, 2, ... n - 1.
    #[track_caller]
    pub fn arange(dtype: DType, n: usize) -> Tensor {
        Tensor::iota(dtype, [n], 0)
    }
}

impl From<f32> for Tensor {
    #[track_caller]
    fn from(value: f32) -> Tensor {
        Tensor::scalar(f64::from(value), DType::F32)
    }
}
