//! Axes folded away, and running folds.

use super::axis_of;
use crate::tensor::Tensor;
use girih_base::{DType, Loc, Result};
use girih_graph::ops::Scan;
use girih_graph::{Monoid, NodeId, Op, Ty};

/// Axes of a tensor: one (`-1`), several (`[0, 2]`), or all of them (`..`). Negative ones count from the last.
pub trait Axes {
    /// The axes of a tensor with `rank` of them.
    fn axes(&self, rank: usize, loc: &Loc) -> Result<Vec<usize>>;
}

impl Axes for std::ops::RangeFull {
    fn axes(&self, rank: usize, _: &Loc) -> Result<Vec<usize>> {
        Ok((0..rank).collect())
    }
}

impl Axes for i64 {
    fn axes(&self, rank: usize, loc: &Loc) -> Result<Vec<usize>> {
        Ok(vec![axis_of(*self, rank, loc)?])
    }
}

impl Axes for i32 {
    fn axes(&self, rank: usize, loc: &Loc) -> Result<Vec<usize>> {
        i64::from(*self).axes(rank, loc)
    }
}

impl Axes for &[i64] {
    fn axes(&self, rank: usize, loc: &Loc) -> Result<Vec<usize>> {
        self.iter().map(|a| axis_of(*a, rank, loc)).collect()
    }
}

impl<const N: usize> Axes for [i64; N] {
    fn axes(&self, rank: usize, loc: &Loc) -> Result<Vec<usize>> {
        self[..].iter().map(|a| axis_of(*a, rank, loc)).collect()
    }
}

impl<const N: usize> Axes for [i32; N] {
    fn axes(&self, rank: usize, loc: &Loc) -> Result<Vec<usize>> {
        self.iter().map(|a| axis_of(i64::from(*a), rank, loc)).collect()
    }
}

macro_rules! folds {
    ($($(#[$doc:meta])* $name:ident $keep:ident $monoid:ident;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self, axes: impl Axes) -> Tensor {
                self.fold(Monoid::$monoid, axes, false)
            }

            /// The same with the folded axes kept, as extents of 1.
            #[track_caller]
            pub fn $keep(&self, axes: impl Axes) -> Tensor {
                self.fold(Monoid::$monoid, axes, true)
            }
        )*}
    };
}

folds! {
    /// The sum over axes. f16 and bf16 are summed in f32 and rounded once; small integers give i32 or u32.
    sum sum_keep Sum;
    /// The product over axes.
    prod prod_keep Prod;
    /// The largest element over axes; NaN wins.
    max max_keep Max;
    /// The smallest element over axes; NaN wins.
    min min_keep Min;
    /// Whether all elements (of bool), or the bits all elements have (of integers).
    all all_keep And;
    /// Whether any element (of bool), or the bits any element has (of integers).
    any any_keep Or;
}

impl Tensor {
    #[track_caller]
    fn fold(&self, monoid: Monoid, axes: impl Axes, keep: bool) -> Tensor {
        let loc = Loc::caller();
        let axes = match self.ok().and_then(|()| axes.axes(self.rank(), &loc)) {
            Ok(axes) => axes,
            Err(why) => return Tensor::refused(self.blame(why)),
        };
        Tensor::apply(&[self], loc, |g, x| {
            let ty = g.tensor(x[0])?.clone();
            let mut folded = g.reduce(monoid, x[0], &axes)?;
            if ty.dtype.is_float() {
                folded = g.cast(folded, ty.dtype)?;
            }
            if !keep {
                return Ok(folded);
            }
            let shape = ty.shape.iter().enumerate();
            g.reshape(folded, shape.map(|(i, d)| if axes.contains(&i) { 1.into() } else { d.clone() }).collect())
        })
    }

    /// The mean over axes; floats only.
    #[track_caller]
    pub fn mean(&self, axes: impl Axes) -> Tensor {
        let sum = self.fold(Monoid::Sum, axes, false);
        self.per_element(sum)
    }

    /// The mean with the folded axes kept, as extents of 1.
    #[track_caller]
    pub fn mean_keep(&self, axes: impl Axes) -> Tensor {
        let sum = self.fold(Monoid::Sum, axes, true);
        self.per_element(sum)
    }

    /// `sum` divided by how many of this tensor's elements went into each of its own.
    #[track_caller]
    fn per_element(&self, sum: Tensor) -> Tensor {
        let Some(ty) = self.ty().cloned() else { return sum };
        Tensor::apply(&[&sum], Loc::caller(), |g, x| {
            let folded = g.tensor(x[0])?.clone();
            let (all, left) = (ty.elements(), folded.elements());
            let count = all.exact_div(&left).unwrap_or_else(|| all.floor_div(&left.max_of(&1.into())));
            let count = match count.as_const() {
                Some(n) if folded.dtype.is_float() => g.splat(n as f64, folded.clone())?,
                _ => {
                    let n = g.size(count, DType::I32)?;
                    let n = g.cast(n, folded.dtype)?;
                    g.broadcast_to(n, &folded.shape)?
                }
            };
            g.map(girih_base::ScalarOp::Div, &[x[0], count])
        })
    }

    /// The variance over axes (divided by the count), folded axes kept as extents of 1.
    #[track_caller]
    pub fn var_keep(&self, axes: impl Axes + Clone) -> Tensor {
        let centred = self - self.mean_keep(axes.clone());
        centred.square().mean_keep(axes)
    }

    /// The position of the first largest element along an axis, i32.
    #[track_caller]
    pub fn argmax(&self, axis: i64) -> Tensor {
        self.position(Monoid::ArgMax, axis)
    }

    /// The position of the first smallest element along an axis, i32.
    #[track_caller]
    pub fn argmin(&self, axis: i64) -> Tensor {
        self.position(Monoid::ArgMin, axis)
    }

    #[track_caller]
    fn position(&self, monoid: Monoid, axis: i64) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| {
            Tensor::apply(&[self], loc.clone(), |g, x| {
                let pair = g.reduce(monoid, x[0], &[axis])?;
                g.proj(pair, 1)
            })
        })
    }

    /// Running sums along an axis.
    #[track_caller]
    pub fn cumsum(&self, axis: i64) -> Tensor {
        self.scan(Monoid::Sum, axis)
    }

    /// Running products along an axis.
    #[track_caller]
    pub fn cumprod(&self, axis: i64) -> Tensor {
        self.scan(Monoid::Prod, axis)
    }

    /// Running maxima along an axis.
    #[track_caller]
    pub fn cummax(&self, axis: i64) -> Tensor {
        self.scan(Monoid::Max, axis)
    }

    #[track_caller]
    fn scan(&self, monoid: Monoid, axis: i64) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| {
            Tensor::apply(&[self], loc.clone(), |g, x| {
                let dtype = g.tensor(x[0])?.dtype;
                let acc = if matches!(monoid, Monoid::Max) { dtype } else { dtype.accumulator() };
                let scanned = g.push(Scan { monoid, axis, reverse: false, exclusive: false, acc }, x)?;
                if dtype.is_float() { g.cast(scanned, dtype) } else { Ok(scanned) }
            })
        })
    }

    /// Sorted along an axis, smallest first; NaN last.
    #[track_caller]
    pub fn sort(&self, axis: i64) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| {
            let op = girih_graph::ops::Sort { axis, keys: 1, descending: false };
            Tensor::apply(&[self], loc.clone(), |g, x| g.push(op, x))
        })
    }

    /// The positions (i32) that sort an axis, smallest first; equal elements stay in order.
    #[track_caller]
    pub fn argsort(&self, axis: i64) -> Tensor {
        self.order(axis, false)
    }

    /// The positions (i32) that sort an axis, largest first; equal elements stay in order.
    #[track_caller]
    pub fn argsort_descending(&self, axis: i64) -> Tensor {
        self.order(axis, true)
    }

    #[track_caller]
    fn order(&self, axis: i64, descending: bool) -> Tensor {
        let loc = Loc::caller();
        self.at_axis(axis, &loc, |axis| {
            Tensor::apply(&[self], loc.clone(), |g, x| {
                let ty = g.tensor(x[0])?.with_dtype(DType::I32);
                let positions = g.iota(ty, axis)?;
                let op: Op = girih_graph::ops::Sort { axis, keys: 1, descending }.into();
                let sorted: NodeId = g.push(op, &[x[0], positions])?;
                match g.ty(sorted) {
                    Ty::Tuple(_) => g.proj(sorted, 1),
                    Ty::Tensor(_) => Ok(sorted),
                }
            })
        })
    }
}
