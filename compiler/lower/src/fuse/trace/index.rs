//! Elements that may not exist, and elements at computed places.

use super::{Stop, Trace};
use crate::fuse::affine::{Affine, strides};
use crate::fuse::nest::{Bound, Expr, ExprId};
use girih_base::{DType, Dim, ScalarOp};
use girih_graph::NodeId;
use girih_graph::ops::Gather;

impl Trace<'_> {
    pub(super) fn pull_pad(
        &mut self,
        node: NodeId,
        coords: &[Affine],
        low: &[Dim],
        dtype: DType,
    ) -> Result<ExprId, Stop> {
        let operands = self.graph.operands(node);
        let shape = self.graph.tensor(operands[0])?.shape.clone();
        let full = self.graph.tensor(node)?.shape.clone();
        let mut inner = Vec::new();
        let mut bounds = Vec::new();
        for (a, c) in coords.iter().enumerate() {
            let value = c.shift(&-low[a].clone());
            if shape[a] != full[a] {
                bounds.push(Bound { value: value.clone(), extent: shape[a].clone() });
            }
            inner.push(value);
        }
        let other = self.pull(operands[1], &[])?;
        if bounds.is_empty() {
            return self.pull(operands[0], &inner);
        }
        let before = self.guards.len();
        self.guards.extend(bounds.iter().cloned());
        let inside = self.pull(operands[0], &inner);
        self.guards.truncate(before);
        let inside = inside?;
        // A guarded load already reads zero outside: that is the whole answer when zero is what is wanted.
        let zero = matches!(self.nest.node(other).expr, Expr::Const(v) if v == 0.0 && v.is_sign_positive())
            || matches!(self.nest.node(other).expr, Expr::Int(0));
        if zero
            && before == 0
            && matches!(&self.nest.node(inside).expr, Expr::Load { dynamic, .. } if dynamic.is_empty())
        {
            return Ok(inside);
        }
        Ok(self.push(node, Expr::Guard(bounds, inside, other), dtype))
    }

    pub(super) fn pull_gather(
        &mut self,
        node: NodeId,
        g: &Gather,
        coords: &[Affine],
        dtype: DType,
    ) -> Result<ExprId, Stop> {
        let operands = self.graph.operands(node);
        let (x, indices) = (operands[0], operands[1]);
        let Some(tensor) = Self::memory(self.graph, self.stored, x) else { return Err(Stop::Blocked(x)) };
        let shape = self.graph.tensor(x)?.shape.clone();
        let strides = strides(&shape);
        let batch: Vec<Affine> =
            (0..coords.len()).filter(|a| !g.offset_axes.contains(a)).map(|a| coords[a].clone()).collect();
        let mut offset = Affine::constant(Dim::ZERO);
        for (k, a) in g.kept_axes(shape.len()).into_iter().enumerate() {
            offset = offset.add(&coords[g.offset_axes[k]].scale(&strides[a]));
        }
        for (o, i) in g.operand_batch.iter().zip(&g.index_batch) {
            offset = offset.add(&batch[*i].scale(&strides[*o]));
        }
        let mut dynamic = Vec::new();
        for (component, a) in g.start_map.iter().enumerate() {
            let mut at = batch.clone();
            at.push(Affine::constant(Dim::from(component)));
            let e = self.pull(indices, &at)?;
            let room = &shape[*a] - &g.sizes[*a];
            let e = self.clamp(indices, e, &room);
            dynamic.push((e, strides[*a].clone()));
        }
        let bounds = self.guards.clone();
        Ok(self.push(node, Expr::Load { tensor, offset, dynamic, bounds, other: 0.0 }, dtype))
    }

    /// Clamped start indices as additions to an offset into a tensor of `shape`.
    pub fn starts(&mut self, starts: &[NodeId], shape: &[Dim], sizes: &[Dim]) -> Result<Vec<(ExprId, Dim)>, Stop> {
        let strides = strides(shape);
        let mut dynamic = Vec::new();
        for (a, start) in starts.iter().enumerate() {
            if shape[a] == sizes[a] {
                continue;
            }
            let room = &shape[a] - &sizes[a];
            let e = self.pull(*start, &[])?;
            let e = self.clamp(*start, e, &room);
            if !matches!(self.nest.node(e).expr, Expr::Int(0)) {
                dynamic.push((e, strides[a].clone()));
            }
        }
        Ok(dynamic)
    }

    /// An index as i32, limited to `0..=room`.
    pub fn clamp(&mut self, node: NodeId, e: ExprId, room: &Dim) -> ExprId {
        match self.nest.node(e).expr.clone() {
            Expr::Int(v) => {
                if let Some(room) = room.as_const() {
                    return self.push(node, Expr::Int(v.clamp(0, room.max(0))), DType::I32);
                }
            }
            Expr::Size(d) => {
                let clamped = d.max_of(&Dim::ZERO).min_of(room);
                return self.push(node, Expr::Size(clamped), DType::I32);
            }
            _ => {}
        }
        // Wide indices saturate into i32 before the clamp, so that none of them wraps into range.
        let dtype = self.nest.node(e).dtypes[0];
        let e = match dtype {
            DType::I32 => e,
            DType::U32 | DType::I64 | DType::U64 => {
                let top = self.push(node, Expr::Int(i32::MAX as i64), dtype);
                let mut low = self.push(node, Expr::Map(ScalarOp::Min, vec![e, top]), dtype);
                if dtype == DType::I64 {
                    let bottom = self.push(node, Expr::Int(-1), dtype);
                    low = self.push(node, Expr::Map(ScalarOp::Max, vec![low, bottom]), dtype);
                }
                self.push(node, Expr::Cast(low), DType::I32)
            }
            _ => self.push(node, Expr::Cast(e), DType::I32),
        };
        let zero = self.push(node, Expr::Int(0), DType::I32);
        let top = self.push(node, Expr::Size(room.clone()), DType::I32);
        let low = self.push(node, Expr::Map(ScalarOp::Max, vec![e, zero]), DType::I32);
        self.push(node, Expr::Map(ScalarOp::Min, vec![low, top]), DType::I32)
    }
}
