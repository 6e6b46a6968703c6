//! `Slice`, `Pad`, `Reverse`, `Window`, `Concat`, `DynSlice`, `DynUpdate`: parts of tensors.

use super::Gather;
use super::gather::{Combine, Scatter};
use super::{Rule, all_tensors, check_axes, check_axis, check_rank, tensors};
use crate::batch::{Batch, Batcher, Lane, behind};
use crate::eval::{Array, Cx, Eval, Value, all_arrays, arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp, no_derivative, zeros};
use crate::graph::NodeId;
use crate::text::attrs::{Field, Item, Symbols, attrs};
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, ScalarOp};
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
        out.data.place(&x.data, view::walk(&x.shape, base, &steps));
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
            out.data.place(&x.data, view::walk(&x.shape, start as isize * own[self.axis], &own));
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
        out.data.place(&part.data, view::walk(&part.shape, offset(&start, &own), &own));
        Ok(out.into())
    }
}

attrs!(Slice "slice" { start, limit, stride });
attrs!(Pad "pad" { low, high, interior });
attrs!(Reverse "reverse" { axes });
attrs!(Window "window" { axes });
attrs!(Concat "concat" { axis });
attrs!(DynSlice "dyn_slice" { sizes });
attrs!(DynUpdate "dyn_update" { donate });

impl Field for WindowAxis {
    fn item(&self) -> Item {
        Item::List([self.axis as i64, self.size, self.stride, self.dilation].iter().map(Field::item).collect())
    }
    fn read(item: Item, symbols: &Symbols) -> Result<WindowAxis, String> {
        let [axis, size, stride, dilation]: [i64; 4] =
            Vec::read(item, symbols)?.try_into().map_err(|_| "expected [axis, size, stride, dilation]")?;
        let axis = usize::try_from(axis).map_err(|_| format!("axis {axis}"))?;
        Ok(WindowAxis { axis, size, stride, dilation })
    }
}

/// The extent that `n` elements with `gap` elements between neighbours cover.
fn span(n: &Dim, gap: i64) -> Dim {
    if gap == 0 { n.clone() } else { n + &((n - 1).max_of(&Dim::ZERO) * gap) }
}

impl Vjp for Slice {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None]) };
        let (whole, part) = (b.g.tensor(at.operands[0])?.clone(), b.g.tensor(ct)?.clone());
        let interior: Vec<i64> = self.stride.iter().map(|s| s - 1).collect();
        let high = (0..whole.rank())
            .map(|a| &(&whole.shape[a] - &self.start[a]) - &span(&part.shape[a], interior[a]))
            .collect();
        let zero = b.g.scalar(0.0, whole.dtype)?;
        Ok(vec![Some(b.g.push(Pad { low: self.start.clone(), high, interior }, &[ct, zero])?)])
    }
}

impl Vjp for Pad {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None, None]) };
        let (part, whole) = (b.g.tensor(at.operands[0])?.clone(), b.g.tensor(ct)?.clone());
        // `n` elements with gaps cover `n * stride` but for the last gap. With a symbolic `n` that gap is added, so that
        // the slice has exactly `n` elements in form too.
        let stride: Vec<i64> = self.interior.iter().map(|i| i + 1).collect();
        let (mut limit, mut whole_gaps) = (Vec::new(), ct);
        for (a, n) in part.shape.iter().enumerate() {
            let gap = self.interior[a];
            if gap > 0 && n.as_const().is_none() {
                let extent = &b.g.tensor(whole_gaps)?.shape[a] + gap;
                whole_gaps = widen(b, whole_gaps, a, Dim::ZERO, 0, &extent)?;
                limit.push(&self.low[a] + &(n * stride[a]));
            } else {
                limit.push(&self.low[a] + &span(n, gap));
            }
        }
        let inside = b.g.push(Slice { start: self.low.clone(), limit, stride }, &[whole_gaps])?;
        let mut out = vec![Some(inside), None];
        if at.needs[1] {
            let (yes, no) = (b.g.splat(1, part.with_dtype(DType::Bool))?, b.g.scalar(0, DType::Bool)?);
            let from_x = b.g.push(self.clone(), &[yes, no])?;
            let zero = zeros(&mut b.g, &whole)?;
            let border = b.g.map(ScalarOp::Select, &[from_x, zero, ct])?;
            let sum = b.g.reduce(super::Monoid::Sum, border, &(0..whole.rank()).collect::<Vec<_>>())?;
            out[1] = Some(b.g.cast(sum, whole.dtype)?);
        }
        Ok(out)
    }
}

impl Vjp for Reverse {
    fn vjp(&self, b: &mut Backward, _: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None]) };
        Ok(vec![Some(b.g.push(self.clone(), &[ct])?)])
    }
}

/// The largest window whose cotangents are added one element of the window at a time.
const WINDOW_LIMIT: i64 = 1024;

impl Vjp for Window {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(mut ct) = cts[0] else { return Ok(vec![None]) };
        let whole = b.g.tensor(at.operands[0])?.clone();
        // One windowed axis at a time, the last one first: its elements are the last axis.
        for w in self.axes.iter().rev() {
            let ty = b.g.tensor(ct)?.clone();
            let last = ty.rank() - 1;
            ct = if w.stride == w.size && w.dilation == 1 {
                // Windows side by side: every element belongs to one of them.
                let mut order: Vec<usize> = (0..last).collect();
                order.insert(w.axis + 1, last);
                let mut shape = ty.shape[..last].to_vec();
                shape[w.axis] = &shape[w.axis] * w.size;
                let y = b.g.permute(ct, &order)?;
                let y = b.g.reshape(y, shape)?;
                widen(b, y, w.axis, Dim::ZERO, 0, &whole.shape[w.axis])?
            } else if w.size <= WINDOW_LIMIT {
                let mut sum = None;
                for i in 0..w.size {
                    let part = b.g.slice_axis(ct, last, Dim::from(i), Dim::from(i + 1))?;
                    let part = b.g.reshape(part, ty.shape[..last].to_vec())?;
                    let part = widen(b, part, w.axis, Dim::from(i * w.dilation), w.stride - 1, &whole.shape[w.axis])?;
                    sum = Some(match sum {
                        None => part,
                        Some(s) => b.g.map(ScalarOp::Add, &[s, part])?,
                    });
                }
                sum.unwrap_or(ct)
            } else {
                let why = format!("overlapping windows of {} elements, more than {WINDOW_LIMIT}", w.size);
                return Err(no_derivative(&b.g, at.node, "this window", &why));
            };
        }
        Ok(vec![Some(ct)])
    }
}

/// `x` with zeros along one axis: `low` before, `gap` between neighbours, and up to `extent` after.
fn widen(b: &mut Backward, x: NodeId, axis: usize, low: Dim, gap: i64, extent: &Dim) -> DiagResult<NodeId> {
    let ty = b.g.tensor(x)?.clone();
    let mut op =
        Pad { low: vec![Dim::ZERO; ty.rank()], high: vec![Dim::ZERO; ty.rank()], interior: vec![0; ty.rank()] };
    op.high[axis] = &(extent - &low) - &span(&ty.shape[axis], gap);
    op.low[axis] = low;
    op.interior[axis] = gap;
    if op.low[axis].is(0) && op.high[axis].is(0) && gap == 0 {
        return Ok(x);
    }
    let zero = b.g.scalar(0.0, ty.dtype)?;
    b.g.push(op, &[x, zero])
}

impl Vjp for Concat {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let mut out = vec![None; at.operands.len()];
        let Some(ct) = cts[0] else { return Ok(out) };
        let mut start = Dim::ZERO;
        for (i, o) in at.operands.iter().enumerate() {
            let limit = &start + &b.g.tensor(*o)?.shape[self.axis];
            if at.needs[i] {
                out[i] = Some(b.g.slice_axis(ct, self.axis, start, limit.clone())?);
            }
            start = limit;
        }
        Ok(out)
    }
}

impl Vjp for DynSlice {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let mut out = vec![None; at.operands.len()];
        let Some(ct) = cts[0] else { return Ok(out) };
        let ty = b.g.tensor(at.operands[0])?.clone();
        let zero = zeros(&mut b.g, &ty)?;
        let operands: Vec<NodeId> = [zero, ct].into_iter().chain(at.operands[1..].iter().copied()).collect();
        out[0] = Some(b.g.push(DynUpdate { donate: true }, &operands)?);
        Ok(out)
    }
}

impl Vjp for DynUpdate {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let mut out = vec![None; at.operands.len()];
        let Some(ct) = cts[0] else { return Ok(out) };
        let part = b.g.tensor(at.operands[1])?.clone();
        let starts = &at.operands[2..];
        if at.needs[0] {
            let zero = zeros(&mut b.g, &part)?;
            let operands: Vec<NodeId> = [ct, zero].into_iter().chain(starts.iter().copied()).collect();
            out[0] = Some(b.g.push(DynUpdate { donate: false }, &operands)?);
        }
        if at.needs[1] {
            let operands: Vec<NodeId> = [ct].into_iter().chain(starts.iter().copied()).collect();
            out[1] = Some(b.g.push(DynSlice { sizes: part.shape }, &operands)?);
        }
        Ok(out)
    }
}

impl Batch for Slice {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let mut op = self.clone();
        op.start.insert(0, Dim::ZERO);
        op.limit.insert(0, b.size.clone());
        op.stride.insert(0, 1);
        b.push(op, &[args[0].id])
    }
}

impl Batch for Pad {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let mut op = self.clone();
        op.low.insert(0, Dim::ZERO);
        op.high.insert(0, Dim::ZERO);
        op.interior.insert(0, 0);
        if !args[1].batched {
            return b.push(op, &[args[0].id, args[1].id]);
        }
        // Each example has its own border: pad with zeros and choose.
        let x = b.lift(args[0])?.id;
        let ty = b.g.tensor(x)?.clone();
        let zero = b.g.scalar(0, DType::Bool)?;
        let inside = b.g.splat(1, ty.with_dtype(DType::Bool))?;
        let inside = b.g.push(op.clone(), &[inside, zero])?;
        let zero = zeros(&mut b.g, &TensorTy::scalar(ty.dtype))?;
        let padded = b.g.push(op, &[x, zero])?;
        let shape = b.g.tensor(padded)?.shape.clone();
        let border = b.g.broadcast(args[1].id, shape, vec![0])?;
        b.push(ScalarOp::Select, &[inside, padded, border])
    }
}

impl Batch for Reverse {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        b.push(Reverse { axes: behind(&self.axes) }, &[args[0].id])
    }
}

impl Batch for Window {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let axes = self.axes.iter().map(|w| WindowAxis { axis: w.axis + 1, ..w.clone() }).collect();
        b.push(Window { axes }, &[args[0].id])
    }
}

impl Batch for Concat {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let args = b.lift_all(args)?;
        b.push(Concat { axis: self.axis + 1 }, &args)
    }
}

/// One integer array [batch, axes] from scalar starts, some of which differ from example to example.
fn start_vectors(b: &mut Batcher, starts: &[Lane]) -> DiagResult<NodeId> {
    let first = b.g.tensor(starts[0].id)?.dtype;
    let mut same = true;
    for s in starts {
        same &= b.g.tensor(s.id)?.dtype == first;
    }
    let dtype = if same { first } else { DType::I64 };
    let mut columns = Vec::new();
    for s in starts {
        let s = b.lift(*s)?.id;
        let s = b.g.cast(s, dtype)?;
        columns.push(b.g.reshape(s, vec![b.size.clone(), Dim::ONE])?);
    }
    b.g.concat(&columns, 1)
}

impl Batch for DynSlice {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let (x, starts) = (args[0], &args[1..]);
        if starts.iter().all(|s| !s.batched) {
            let zero = match starts.first() {
                Some(s) => b.g.tensor(s.id)?.dtype,
                None => DType::I32,
            };
            let zero = b.g.scalar(0, zero)?;
            let operands: Vec<NodeId> = [x.id, zero].into_iter().chain(starts.iter().map(|s| s.id)).collect();
            return b.push(DynSlice { sizes: b.shape(&self.sizes) }, &operands);
        }
        let rank = starts.len();
        let indices = start_vectors(b, starts)?;
        let shift = x.batched as usize;
        let mut op = Gather {
            sizes: self.sizes.clone(),
            offset_axes: (1..=rank).collect(),
            collapsed: Vec::new(),
            start_map: (shift..rank + shift).collect(),
            operand_batch: Vec::new(),
            index_batch: Vec::new(),
        };
        if x.batched {
            op.sizes.insert(0, Dim::ONE);
            op.operand_batch.push(0);
            op.index_batch.push(0);
        }
        b.push(op, &[x.id, indices])
    }
}

impl Batch for DynUpdate {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let (x, part, starts) = (b.lift(args[0])?.id, b.lift(args[1])?.id, &args[2..]);
        let donate = self.donate && args[0].batched;
        if starts.iter().all(|s| !s.batched) {
            let zero = match starts.first() {
                Some(s) => b.g.tensor(s.id)?.dtype,
                None => DType::I32,
            };
            let zero = b.g.scalar(0, zero)?;
            let operands: Vec<NodeId> = [x, part, zero].into_iter().chain(starts.iter().map(|s| s.id)).collect();
            return b.push(DynUpdate { donate }, &operands);
        }
        // Scatter drops what would lie outside, an update clamps: clamp first.
        let rank = starts.len();
        let (tx, tp) = (b.g.tensor(x)?.clone(), b.g.tensor(part)?.clone());
        let indices = start_vectors(b, starts)?;
        let map: Vec<usize> = (1..=rank).collect();
        let (indices, limits) = super::gather::last_starts(&mut b.g, indices, &tx, &map, &tp.shape)?;
        let ty = b.g.tensor(indices)?.clone();
        let zero = zeros(&mut b.g, &ty)?;
        let indices = b.g.map(ScalarOp::Clamp, &[indices, zero, limits])?;
        let op = Scatter {
            combine: Combine::Set,
            window_axes: map.clone(),
            inserted: Vec::new(),
            start_map: map,
            operand_batch: vec![0],
            index_batch: vec![0],
            unique: true,
        };
        b.push(op, &[x, indices, part])
    }
}
