//! The same elements, arranged otherwise.

use super::axis_of;
use crate::tensor::Tensor;
use girih_base::{Diag, Dim, Loc, Result};
use girih_graph::TensorTy;
use girih_graph::ops::{Pad, Reverse, Slice};

/// A shape: `[2, 3]`, a slice of extents, or of [`Dim`]s. One extent may be -1 in a reshape: whatever is left.
pub trait Shape {
    /// As dimensions; `like` is the tensor that is reshaped, from which -1 is worked out.
    fn dims(&self, like: Option<&TensorTy>) -> Result<Vec<Dim>, String>;
}

fn infer(dims: &[i64], like: Option<&TensorTy>) -> Result<Vec<Dim>, String> {
    let mut out: Vec<Dim> = dims.iter().map(|d| Dim::from(*d)).collect();
    if let Some(bad) = dims.iter().find(|d| **d < -1) {
        return Err(format!("extent {bad} in the shape {dims:?}"));
    }
    let mut open = dims.iter().enumerate().filter(|(_, d)| **d == -1).map(|(i, _)| i);
    if let Some(at) = open.next() {
        let like = like.ok_or_else(|| format!("-1 in the shape {dims:?} of a new tensor"))?;
        if open.next().is_some() {
            return Err(format!("more than one -1 in the shape {dims:?}"));
        }
        let rest = dims.iter().enumerate().filter(|(i, _)| *i != at).fold(Dim::ONE, |n, (_, d)| n * Dim::from(*d));
        out[at] = like.elements().exact_div(&rest).ok_or_else(|| format!("{like} does not divide into {dims:?}"))?;
    }
    Ok(out)
}

macro_rules! shapes {
    ($($t:ty),*) => {$(
        impl<const N: usize> Shape for [$t; N] {
            fn dims(&self, like: Option<&TensorTy>) -> Result<Vec<Dim>, String> {
                self[..].dims(like)
            }
        }
        impl Shape for &[$t] {
            fn dims(&self, like: Option<&TensorTy>) -> Result<Vec<Dim>, String> {
                (**self).dims(like)
            }
        }
        impl Shape for [$t] {
            fn dims(&self, like: Option<&TensorTy>) -> Result<Vec<Dim>, String> {
                let dims: Option<Vec<i64>> = self.iter().map(|d| i64::try_from(*d).ok()).collect();
                infer(&dims.ok_or("an extent is too large")?, like)
            }
        }
        impl Shape for Vec<$t> {
            fn dims(&self, like: Option<&TensorTy>) -> Result<Vec<Dim>, String> {
                self[..].dims(like)
            }
        }
    )*};
}
shapes!(i32, i64, usize);

impl Shape for &[Dim] {
    fn dims(&self, _: Option<&TensorTy>) -> Result<Vec<Dim>, String> {
        Ok(self.to_vec())
    }
}

impl Shape for Vec<Dim> {
    fn dims(&self, _: Option<&TensorTy>) -> Result<Vec<Dim>, String> {
        Ok(self.clone())
    }
}

impl Tensor {
    /// Refuses with the reason and the place, or applies `f` to the resolved axis.
    pub(crate) fn at_axis(&self, axis: i64, loc: &Loc, f: impl FnOnce(usize) -> Tensor) -> Tensor {
        match self.ok().and_then(|()| axis_of(axis, self.rank(), loc)) {
            Ok(axis) => f(axis),
            Err(why) => Tensor::refused(self.blame(why)),
        }
    }

    /// Adds what is known of this tensor to an error.
    pub(crate) fn blame(&self, why: Box<Diag>) -> Box<Diag> {
        match self.refusal() {
            Some(first) => Box::new((*first).clone()),
            None => why.at(&self.0.loc, "the tensor was made here").note(self.describe()),
        }
    }

    /// The same elements in row-major order under another shape; one extent may be -1.
    #[track_caller]
    pub fn reshape(&self, shape: impl Shape) -> Tensor {
        let loc = Loc::caller();
        match shape.dims(self.ty()) {
            Ok(shape) => Tensor::apply(&[self], loc, |g, x| g.reshape(x[0], shape)),
            Err(why) => Tensor::refused(self.blame(Diag::error("T012", why).at(&loc, "this operation"))),
        }
    }

    /// Axes reordered: result axis `i` is axis `axes[i]`.
    #[track_caller]
    pub fn permute(&self, axes: impl AsRef<[usize]>) -> Tensor {
        Tensor::apply(&[self], Loc::caller(), |g, x| g.permute(x[0], axes.as_ref()))
    }

    /// Two axes exchanged.
    #[track_caller]
    pub fn transpose(&self, a: i64, b: i64) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(a, &loc, |a| {
            self.at_axis(b, &loc, |b| {
                let mut perm: Vec<usize> = (0..self.rank()).collect();
                perm.swap(a, b);
                Tensor::apply(&[self], loc.clone(), |g, x| g.permute(x[0], &perm))
            })
        })
    }

    /// The transpose of a matrix: the last two axes exchanged.
    #[track_caller]
    pub fn t(&self) -> Tensor {
        self.transpose(-2, -1)
    }

    /// Repeated to `shape` as NumPy does: aligned at the last axis, extents of 1 repeat.
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Shape) -> Tensor {
        let loc = Loc::caller();
        match shape.dims(None) {
            Ok(shape) => Tensor::apply(&[self], loc, |g, x| g.broadcast_to(x[0], &shape)),
            Err(why) => Tensor::refused(self.blame(Diag::error("T012", why).at(&loc, "this operation"))),
        }
    }

    /// A new axis of extent 1, which becomes axis `axis` of the result.
    #[track_caller]
    pub fn unsqueeze(&self, axis: i64) -> Tensor {
        let loc = Loc::caller();
        match self.ok().and_then(|()| axis_of(axis, self.rank() + 1, &loc)) {
            Ok(axis) => {
                let mut shape = self.shape().to_vec();
                shape.insert(axis, Dim::ONE);
                Tensor::apply(&[self], loc, |g, x| g.reshape(x[0], shape))
            }
            Err(why) => Tensor::refused(self.blame(why)),
        }
    }

    /// Drops an axis of extent 1.
    #[track_caller]
    pub fn squeeze(&self, axis: i64) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| {
            let mut shape = self.shape().to_vec();
            shape.remove(axis);
            Tensor::apply(&[self], loc.clone(), |g, x| g.reshape(x[0], shape))
        })
    }

    /// Elements `start..end` of one axis.
    #[track_caller]
    pub fn slice(&self, axis: i64, start: usize, end: usize) -> Tensor {
        self.slice_step(axis, start, end, 1)
    }

    /// Elements `start, start + step, ..` below `end` of one axis.
    #[track_caller]
    pub fn slice_step(&self, axis: i64, start: usize, end: usize, step: usize) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| {
            let mut op = Slice {
                start: vec![Dim::ZERO; self.rank()],
                limit: self.shape().to_vec(),
                stride: vec![1; self.rank()],
            };
            (op.start[axis], op.limit[axis]) = (start.into(), end.into());
            op.stride[axis] = i64::try_from(step).unwrap_or(i64::MAX);
            Tensor::apply(&[self], loc.clone(), |g, x| g.push(op, x))
        })
    }

    /// A border of `value`: `(before, after)` elements for each axis.
    #[track_caller]
    pub fn pad(&self, border: &[(usize, usize)], value: impl super::Operand) -> Tensor {
        let op = Pad {
            low: border.iter().map(|b| b.0.into()).collect(),
            high: border.iter().map(|b| b.1.into()).collect(),
            interior: vec![0; border.len()],
        };
        Tensor::apply(&[self, &value.operand(self)], Loc::caller(), |g, x| g.push(op, x))
    }

    /// An axis walked from its end.
    #[track_caller]
    pub fn reverse(&self, axis: i64) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |a| Tensor::apply(&[self], loc.clone(), |g, x| g.push(Reverse { axes: vec![a] }, x)))
    }
}
