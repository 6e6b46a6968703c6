//! `Slice`, `Pad`, `Reverse`, `Window`, `Concat`, `DynSlice`, `DynUpdate`: parts of tensors.

use super::{Rule, all_tensors, check_axes, check_axis, check_rank, tensors};
use crate::eval::{Array, Cx, Eval, Value, all_arrays, arrays, view};
use crate::ty::{TensorTy, Ty};
use girih_base::{Diag, Dim, Known, Result as DiagResult};

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
            let gaps =
                if self.interior[a] == 0 { Dim::ZERO } else { (extent - 1).max_of(&Dim::ZERO) * self.interior[a] };
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

impl Eval for Slice {
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let own = view::strides(&x.shape);
        let (mut base, mut steps) = (0, Vec::new());
        for (a, extent) in x.shape.iter().enumerate() {
            let (start, limit) = (cx.extent(&self.start[a])?, cx.extent(&self.limit[a])?);
            if start > limit || limit > *extent {
                return Err(Diag::error("G206", format!("{start}..{limit} is outside axis {a} of {:?}", x.shape)));
            }
            base += start as isize * own[a];
            steps.push(self.stride[a] as isize * own[a]);
        }
        Ok(x.view(&cx.shape_of(ty)?, base, &steps)?.into())
    }
}

impl Eval for Pad {
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let [x, value] = arrays(args)?;
        let shape = cx.shape_of(ty)?;
        let mut out = value.view(&shape, 0, &vec![0; shape.len()])?;
        let own = view::strides(&shape);
        let mut base = 0;
        for (low, step) in self.low.iter().zip(&own) {
            base += cx.extent(low)? as isize * step;
        }
        let steps: Vec<isize> = own.iter().zip(&self.interior).map(|(s, gap)| s * (*gap as isize + 1)).collect();
        for (i, at) in view::walk(&x.shape, base, &steps).enumerate() {
            out.data.put(at, &x.data, i);
        }
        Ok(out.into())
    }
}

impl Eval for Reverse {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let (mut base, mut steps) = (0, view::strides(&x.shape));
        for a in &self.axes {
            base += steps[*a] * (x.shape[*a] as isize - 1);
            steps[*a] = -steps[*a];
        }
        Ok(x.view(&x.shape, base, &steps)?.into())
    }
}

impl Eval for Window {
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let mut steps = view::strides(&x.shape);
        for w in &self.axes {
            steps.push(steps[w.axis] * w.dilation as isize);
        }
        for w in &self.axes {
            steps[w.axis] *= w.stride as isize;
        }
        Ok(x.view(&cx.shape_of(ty)?, 0, &steps)?.into())
    }
}

impl Eval for Concat {
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let shape = cx.shape_of(ty)?;
        let own = view::strides(&shape);
        let mut out = Array::splat(list[0].dtype, &shape, crate::literal::Number::Int(0));
        let mut start = 0;
        for x in list {
            for (i, at) in view::walk(&x.shape, start as isize * own[self.axis], &own).enumerate() {
                out.data.put(at, &x.data, i);
            }
            start += x.shape[self.axis];
        }
        Ok(out.into())
    }
}

/// The start of a part of shape `part` inside `whole`, each coordinate clamped so that the part fits.
fn clamped_start(starts: &[&Array], part: &[usize], whole: &[usize]) -> DiagResult<Vec<usize>> {
    let mut out = Vec::new();
    for ((start, part), whole) in starts.iter().zip(part).zip(whole) {
        let last = whole
            .checked_sub(*part)
            .ok_or_else(|| Diag::error("G206", format!("a part of {part} elements does not fit an axis of {whole}")))?;
        out.push(start.int(0).clamp(0, last as i128) as usize);
    }
    Ok(out)
}

fn offset(start: &[usize], steps: &[isize]) -> isize {
    start.iter().zip(steps).map(|(i, s)| *i as isize * s).sum()
}

impl Eval for DynSlice {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let (x, sizes, own) = (list[0], cx.shape(&self.sizes)?, view::strides(&list[0].shape));
        let start = clamped_start(&list[1..], &sizes, &x.shape)?;
        Ok(x.view(&sizes, offset(&start, &own), &own)?.into())
    }
}

impl Eval for DynUpdate {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let (x, part, own) = (list[0], list[1], view::strides(&list[0].shape));
        let start = clamped_start(&list[2..], &part.shape, &x.shape)?;
        let mut out = x.clone();
        for (i, at) in view::walk(&part.shape, offset(&start, &own), &own).enumerate() {
            out.data.put(at, &part.data, i);
        }
        Ok(out.into())
    }
}
