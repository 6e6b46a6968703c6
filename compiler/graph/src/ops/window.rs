//! `Window`: sliding windows as trailing axes.

use super::pad::widen;
use super::{Rule, check_axes, tensors};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Cx, Eval, Value, arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp, no_derivative};
use crate::graph::NodeId;
use crate::text::attrs::{Field, Item, Symbols, attrs};
use crate::ty::Ty;
use girih_base::{Dim, Known, Result as DiagResult, ScalarOp};

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

attrs!(Window "window" { axes });

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

impl Batch for Window {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let axes = self.axes.iter().map(|w| WindowAxis { axis: w.axis + 1, ..w.clone() }).collect();
        b.push(Window { axes }, &[args[0].id])
    }
}
