//! `Pad`: a border, and gaps between elements.

use super::slice::Slice;
use super::{Rule, check_rank, tensors};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Cx, Eval, Value, arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp, zeros};
use crate::graph::NodeId;
use crate::text::attrs::attrs;
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Dim, Known, Result as DiagResult, ScalarOp};

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

attrs!(Pad "pad" { low, high, interior });

/// The extent that `n` elements with `gap` elements between neighbours cover.
pub(super) fn span(n: &Dim, gap: i64) -> Dim {
    if gap == 0 { n.clone() } else { n + &((n - 1).max_of(&Dim::ZERO) * gap) }
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

/// `x` with zeros along one axis: `low` before, `gap` between neighbours, and up to `extent` after.
pub(super) fn widen(b: &mut Backward, x: NodeId, axis: usize, low: Dim, gap: i64, extent: &Dim) -> DiagResult<NodeId> {
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
