//! `Slice`, `Pad`, `Reverse`, `Window`, `Concat`, `DynSlice`, `DynUpdate`: parts of tensors.

use super::{Rule, all_tensors, check_axes, check_axis, check_rank, tensors};
use crate::ty::{TensorTy, Ty};
use girih_base::{Dim, Known};

/// Elements `start, start + stride, ..` below `limit` of each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// First element of each axis.
    pub start: Vec<Dim>,
    /// One past the last element of each axis.
    pub limit: Vec<Dim>,
    /// Step along each axis, at least 1.
    pub stride: Vec<i64>,
}

/// A border around the operand; the second operand is the (scalar) value written there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pad {
    /// Elements before each axis.
    pub low: Vec<Dim>,
    /// Elements after each axis.
    pub high: Vec<Dim>,
    /// Elements between neighbours of each axis.
    pub interior: Vec<i64>,
}

/// Axes walked from their end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reverse {
    /// The axes.
    pub axes: Vec<usize>,
}

/// One windowed axis of [`Window`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowAxis {
    /// The axis that slides.
    pub axis: usize,
    /// Elements in a window.
    pub size: i64,
    /// Step between windows.
    pub stride: i64,
    /// Step between elements of a window.
    pub dilation: i64,
}

/// Sliding windows: each windowed axis counts windows, and for each a trailing axis walks inside the window.
///
/// `y[.., o, .., w] = x[.., o * stride + w * dilation, ..]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The windowed axes; trailing result axes come in this order.
    pub axes: Vec<WindowAxis>,
}

/// Operands joined along one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

/// A slice whose start is computed: operands are the tensor and one integer scalar per axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DynSlice {
    /// Result extent of each axis.
    pub sizes: Vec<Dim>,
}

/// A tensor with one part replaced: operands are the tensor, the part, and one integer scalar per axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DynUpdate {
    /// Whether the first operand may be overwritten, since nobody reads it afterwards.
    pub donate: bool,
}

impl Rule for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        check_rank("starts", self.start.len(), x)?;
        check_rank("limits", self.limit.len(), x)?;
        check_rank("strides", self.stride.len(), x)?;
        let mut shape = Vec::new();
        for (a, extent) in x.shape.iter().enumerate() {
            let (start, limit, stride) = (&self.start[a], &self.limit[a], self.stride[a]);
            let outside = Dim::ZERO.known_le(start) == Known::No
                || start.known_le(limit) == Known::No
                || limit.known_le(extent) == Known::No;
            if outside || stride < 1 {
                return Err(format!("{start}..{limit} step {stride} is outside axis {a} of {x}"));
            }
            shape.push((limit.clone() - start.clone()).ceil_div(&Dim::from(stride)));
        }
        Ok(x.with_shape(shape).into())
    }
}

impl Rule for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x, value] = tensors(operands)?;
        check_rank("low paddings", self.low.len(), x)?;
        check_rank("high paddings", self.high.len(), x)?;
        check_rank("interior paddings", self.interior.len(), x)?;
        if value != &TensorTy::scalar(x.dtype) {
            return Err(format!("the padding value of {x} must be {}[], got {value}", x.dtype));
        }
        let mut shape = Vec::new();
        for (a, extent) in x.shape.iter().enumerate() {
            let negative = [&self.low[a], &self.high[a]].iter().any(|d| Dim::ZERO.known_le(d) == Known::No);
            if negative || self.interior[a] < 0 {
                return Err(format!("negative padding of axis {a}; slice instead"));
            }
            let gaps = if self.interior[a] == 0 {
                Dim::ZERO
            } else {
                (extent - 1).max_of(&Dim::ZERO) * self.interior[a]
            };
            shape.push(extent + &(&self.low[a] + &(&self.high[a] + &gaps)));
        }
        Ok(x.with_shape(shape).into())
    }
}

impl Rule for Reverse {
    fn name(&self) -> &'static str {
        "reverse"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        check_axes(&self.axes, x)?;
        Ok(x.clone().into())
    }
}

impl Rule for Window {
    fn name(&self) -> &'static str {
        "window"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        check_axes(&self.axes.iter().map(|w| w.axis).collect::<Vec<_>>(), x)?;
        let mut shape = x.shape.clone();
        for w in &self.axes {
            let span = (w.size - 1) * w.dilation + 1;
            if w.size < 1 || w.stride < 1 || w.dilation < 1 || Dim::from(span).known_le(&x.shape[w.axis]) == Known::No {
                return Err(format!("a window of {span} (step {}) does not fit axis {} of {x}", w.stride, w.axis));
            }
            shape[w.axis] = (&x.shape[w.axis] - span).floor_div(&Dim::from(w.stride)) + 1;
        }
        shape.extend(self.axes.iter().map(|w| Dim::from(w.size)));
        Ok(x.with_shape(shape).into())
    }
}

impl Rule for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        check_axis(self.axis, first)?;
        let mut shape = first.shape.clone();
        for t in &list[1..] {
            let fits = t.dtype == first.dtype
                && t.rank() == first.rank()
                && (0..t.rank()).all(|a| a == self.axis || t.shape[a] == first.shape[a]);
            if !fits {
                return Err(format!("{first} and {t} differ outside axis {}", self.axis));
            }
            shape[self.axis] = &shape[self.axis] + &t.shape[self.axis];
        }
        Ok(first.with_shape(shape).into())
    }
}

/// Refuses starts that are not one integer scalar per axis.
fn check_starts(starts: &[&TensorTy], x: &TensorTy) -> Result<(), String> {
    check_rank("start indices", starts.len(), x)?;
    match starts.iter().find(|s| s.rank() != 0 || !s.dtype.is_int()) {
        Some(s) => Err(format!("start indices are integer scalars, got {s}")),
        None => Ok(()),
    }
}

impl Rule for DynSlice {
    fn name(&self) -> &'static str {
        "dyn_slice"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let (x, starts) = list.split_first().ok_or("takes a tensor and start indices")?;
        check_starts(starts, x)?;
        check_rank("sizes", self.sizes.len(), x)?;
        if let Some(a) = (0..x.rank()).find(|a| self.sizes[*a].known_le(&x.shape[*a]) == Known::No) {
            return Err(format!("{} elements do not fit axis {a} of {x}", self.sizes[a]));
        }
        Ok(x.with_shape(self.sizes.clone()).into())
    }
}

impl Rule for DynUpdate {
    fn name(&self) -> &'static str {
        "dyn_update"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let [x, part, starts @ ..] = &list[..] else { return Err("takes a tensor, a part and start indices".into()) };
        check_starts(starts, x)?;
        let fits = part.dtype == x.dtype
            && part.rank() == x.rank()
            && (0..x.rank()).all(|a| part.shape[a].known_le(&x.shape[a]) != Known::No);
        if fits { Ok((*x).clone().into()) } else { Err(format!("the part {part} does not fit into {x}")) }
    }
}
