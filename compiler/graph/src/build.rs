//! Short ways to write nodes: one method per kind, and NumPy-style broadcasting. New nodes get the location last
//! given to [`Graph::set_loc`].

use crate::graph::{Graph, NodeId};
use crate::literal::{Literal, Number};
use crate::ops::*;
use crate::ty::TensorTy;
use girih_base::scalar::expr::{Expr, ScalarBuilder};
use girih_base::{DType, Diag, Dim, Result, ScalarOp};
use std::sync::Arc;

impl Graph {
    /// Appends an operation at the current location.
    pub fn push(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> Result<NodeId> {
        let loc = self.here.clone();
        self.add(op.into(), operands, loc)
    }

    /// A constant with every element `value`.
    pub fn splat(&mut self, value: impl Into<Number>, ty: TensorTy) -> Result<NodeId> {
        self.push(Const { ty, value: Literal::Splat(value.into()) }, &[])
    }

    /// A scalar constant.
    pub fn scalar(&mut self, value: impl Into<Number>, dtype: DType) -> Result<NodeId> {
        self.splat(value, TensorTy::scalar(dtype))
    }

    /// A scalar whose value is a size.
    pub fn size(&mut self, dim: Dim, dtype: DType) -> Result<NodeId> {
        self.push(Const { ty: TensorTy::scalar(dtype), value: Literal::Dim(dim) }, &[])
    }

    /// A constant from encoded elements (row-major, little-endian, sub-byte types packed).
    pub fn dense(&mut self, ty: TensorTy, bytes: impl Into<Arc<[u8]>>) -> Result<NodeId> {
        self.push(Const { ty, value: Literal::Dense(bytes.into()) }, &[])
    }

    /// Coordinates along `axis`.
    pub fn iota(&mut self, ty: TensorTy, axis: usize) -> Result<NodeId> {
        self.push(Iota { ty, axis }, &[])
    }

    /// A scalar operation on operands of one shape.
    pub fn map(&mut self, op: ScalarOp, operands: &[NodeId]) -> Result<NodeId> {
        self.push(op, operands)
    }

    /// A scalar operation on operands broadcast against each other as NumPy does: shapes are aligned at their last
    /// axes, and extents of 1 repeat.
    pub fn map_broadcast(&mut self, op: ScalarOp, operands: &[NodeId]) -> Result<NodeId> {
        let mut shape: Vec<Dim> = Vec::new();
        for id in operands {
            let t = self.tensor(*id)?.clone();
            let missing = t.rank().saturating_sub(shape.len());
            shape.splice(0..0, t.shape[..missing].iter().cloned());
            let offset = shape.len() - t.rank();
            for (i, extent) in t.shape.iter().enumerate() {
                let have = &mut shape[offset + i];
                if have.is(1) {
                    *have = extent.clone();
                } else if !extent.is(1) && have != extent {
                    let mut diag = Diag::error("G004", format!("{}: shapes do not broadcast", op.name()))
                        .at(&self.here.clone(), "this operation");
                    for id in operands {
                        let node = self.node(*id);
                        diag = diag.at(&node.loc, "an operand was made here").note(format!(
                            "operand {}: {}",
                            node.name.as_deref().map_or("<unnamed>".into(), |n| format!("`{n}`")),
                            node.ty
                        ));
                    }
                    return Err(diag.help("extents must be equal or 1, counted from the last axis"));
                }
            }
        }
        let mut full = Vec::new();
        for id in operands {
            full.push(self.broadcast_to(*id, &shape)?);
        }
        self.map(op, &full)
    }

    /// The value repeated to `shape`, aligned at the last axes; extents of 1 repeat.
    pub fn broadcast_to(&mut self, x: NodeId, shape: &[Dim]) -> Result<NodeId> {
        let t = self.tensor(x)?.clone();
        if t.shape == shape {
            return Ok(x);
        }
        let offset = shape.len().checked_sub(t.rank()).ok_or_else(|| {
            Diag::error("G004", format!("{t} has more axes than {shape:?}")).at(&self.here.clone(), "broadcast here")
        })?;
        let kept: Vec<usize> = (0..t.rank()).filter(|i| t.shape[*i] == shape[offset + i]).collect();
        let squeezed = if kept.len() < t.rank() {
            self.reshape(x, kept.iter().map(|i| t.shape[*i].clone()).collect())?
        } else {
            x
        };
        let axes = kept.iter().map(|i| offset + i).collect();
        self.broadcast(squeezed, shape.to_vec(), axes)
    }

    /// Value conversion; nothing when the dtype is right already.
    pub fn cast(&mut self, x: NodeId, to: DType) -> Result<NodeId> {
        if self.tensor(x)?.dtype == to { Ok(x) } else { self.push(Cast { to }, &[x]) }
    }

    /// Reinterpretation of bits.
    pub fn bitcast(&mut self, x: NodeId, to: DType) -> Result<NodeId> {
        self.push(Bitcast { to }, &[x])
    }

    /// The same elements under another shape; nothing when it is the same.
    pub fn reshape(&mut self, x: NodeId, shape: Vec<Dim>) -> Result<NodeId> {
        if self.tensor(x)?.shape == shape { Ok(x) } else { self.push(Reshape { shape }, &[x]) }
    }

    /// Axes reordered: result axis `i` is operand axis `perm[i]`.
    pub fn permute(&mut self, x: NodeId, perm: &[usize]) -> Result<NodeId> {
        if perm.iter().enumerate().all(|(i, a)| i == *a) && perm.len() == self.tensor(x)?.rank() {
            return Ok(x);
        }
        self.push(Permute { perm: perm.to_vec() }, &[x])
    }

    /// Operand axis `i` becomes result axis `axes[i]`.
    pub fn broadcast(&mut self, x: NodeId, shape: Vec<Dim>, axes: Vec<usize>) -> Result<NodeId> {
        self.push(Broadcast { shape, axes }, &[x])
    }

    /// The part `start..limit` of one axis.
    pub fn slice_axis(&mut self, x: NodeId, axis: usize, start: Dim, limit: Dim) -> Result<NodeId> {
        let t = self.tensor(x)?;
        let mut op = Slice { start: vec![Dim::ZERO; t.rank()], limit: t.shape.clone(), stride: vec![1; t.rank()] };
        if axis < op.start.len() {
            op.start[axis] = start;
            op.limit[axis] = limit;
        }
        self.push(op, &[x])
    }

    /// Operands joined along an axis.
    pub fn concat(&mut self, operands: &[NodeId], axis: usize) -> Result<NodeId> {
        self.push(Concat { axis }, operands)
    }

    /// Batched contraction, summed in the operands' default accumulator.
    pub fn dot(
        &mut self,
        a: NodeId,
        b: NodeId,
        batch: &[(usize, usize)],
        contract: &[(usize, usize)],
    ) -> Result<NodeId> {
        let acc = self.tensor(a)?.dtype.accumulator();
        let op = Dot { batch: batch.to_vec(), contract: contract.to_vec(), acc, precision: Precision::Exact };
        self.push(op, &[a, b])
    }

    /// NumPy's `matmul` for operands of equal rank >= 2 (leading axes are batch axes) or a right operand of rank 2.
    pub fn matmul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        let (ra, rb) = (self.tensor(a)?.rank(), self.tensor(b)?.rank());
        let batch: Vec<_> = if ra == rb && ra > 2 { (0..ra - 2).map(|i| (i, i)).collect() } else { Vec::new() };
        self.dot(a, b, &batch, &[(ra.saturating_sub(1), rb.saturating_sub(2))])
    }

    /// A fold with one result over `axes`; integers and narrow floats accumulate in `acc`.
    pub fn reduce_in(&mut self, monoid: Monoid, x: NodeId, axes: &[usize], acc: DType) -> Result<NodeId> {
        self.push(Reduce { monoid, axes: axes.to_vec(), acc }, &[x])
    }

    /// A fold over `axes` in the operand's own dtype (narrow floats sum in f32).
    pub fn reduce(&mut self, monoid: Monoid, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        let dtype = self.tensor(x)?.dtype;
        let acc = match monoid {
            Monoid::Sum | Monoid::Prod | Monoid::Welford | Monoid::Online => dtype.accumulator(),
            _ => dtype,
        };
        self.reduce_in(monoid, x, axes, acc)
    }

    /// One value of a tuple.
    pub fn proj(&mut self, x: NodeId, index: usize) -> Result<NodeId> {
        self.push(Proj { index }, &[x])
    }

    /// A call of a shared body; its results.
    pub fn call(&mut self, callee: &Arc<Callee>, args: &[NodeId]) -> Result<Vec<NodeId>> {
        let node = self.push(Call { callee: callee.clone() }, args)?;
        match callee.body.outputs().len() {
            1 => Ok(vec![node]),
            n => (0..n).map(|i| self.proj(node, i)).collect(),
        }
    }

    /// A row expression of the scalar table on operands of one shape, `result` standing for `r`.
    pub fn scalar_expr(&mut self, expr: &Expr, operands: &[NodeId], result: Option<NodeId>) -> Result<NodeId> {
        let mut build = ExprBuild { graph: self, error: None };
        let node = expr.build(&mut build, operands, result.as_ref());
        match build.error {
            None => Ok(node),
            Some(e) => Err(e),
        }
    }
}

struct ExprBuild<'g> {
    graph: &'g mut Graph,
    error: Option<Box<Diag>>,
}

impl ExprBuild<'_> {
    fn keep(&mut self, node: Result<NodeId>, instead: NodeId) -> NodeId {
        node.unwrap_or_else(|e| {
            self.error.get_or_insert(e);
            instead
        })
    }
}

impl ScalarBuilder for ExprBuild<'_> {
    type Value = NodeId;
    fn number(&mut self, value: f64, like: &NodeId) -> NodeId {
        let node = match self.graph.tensor(*like).cloned() {
            Ok(ty) if ty.dtype.is_float() => self.graph.splat(value, ty),
            Ok(ty) => self.graph.splat(value as i64, ty),
            Err(e) => Err(e),
        };
        self.keep(node, *like)
    }
    fn apply(&mut self, op: ScalarOp, args: &[NodeId]) -> NodeId {
        let node = self.graph.map(op, args);
        self.keep(node, args[0])
    }
}
