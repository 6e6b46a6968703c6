//! Fixing or narrowing the symbols of a graph.

use girih_base::{Dim, Result, Symbol};
use girih_graph::ops::*;
use girih_graph::{Graph, Literal, NodeId, Op, TensorTy, Ty};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The ranges symbols shall have; a range of one value makes the symbol a number.
pub type Ranges = BTreeMap<Arc<str>, (i64, i64)>;

/// The graph with narrower symbols. Shared callees stay shared.
pub fn specialize(graph: &Graph, ranges: &Ranges) -> Result<Graph> {
    Specialize { ranges, callees: BTreeMap::new() }.graph(graph)
}

struct Specialize<'r> {
    ranges: &'r Ranges,
    callees: BTreeMap<usize, Arc<Callee>>,
}

impl Specialize<'_> {
    fn dim(&self, d: &Dim) -> Dim {
        d.map_symbols(&|s: &Symbol| match self.ranges.get(&s.name) {
            Some((lo, hi)) if lo == hi => Dim::from(*lo),
            Some((lo, hi)) => Dim::from(Symbol { min: (*lo).max(s.min), max: (*hi).min(s.max), ..s.clone() }),
            None => Dim::from(s.clone()),
        })
    }

    fn dims(&self, d: &[Dim]) -> Vec<Dim> {
        d.iter().map(|d| self.dim(d)).collect()
    }

    fn tensor(&self, t: &TensorTy) -> TensorTy {
        TensorTy { dtype: t.dtype, shape: self.dims(&t.shape) }
    }

    fn ty(&self, t: &Ty) -> Ty {
        match t {
            Ty::Tensor(t) => Ty::Tensor(self.tensor(t)),
            Ty::Tuple(items) => Ty::Tuple(items.iter().map(|t| self.ty(t)).collect()),
        }
    }

    fn graph(&mut self, graph: &Graph) -> Result<Graph> {
        let mut out = Graph::new(graph.name.clone());
        let mut map: Vec<NodeId> = Vec::new();
        for id in graph.ids() {
            let node = graph.node(id);
            let operands: Vec<NodeId> = graph.operands(id).iter().map(|o| map[o.0 as usize]).collect();
            let new = match &node.op {
                Op::Param(p) => {
                    out.param(node.name.as_deref().unwrap_or("param"), self.ty(&node.ty), p.kind, node.loc.clone())
                }
                op => {
                    let op = self.op(op)?;
                    let new = out.add(op, &operands, node.loc.clone())?;
                    if let Some(name) = &node.name {
                        out.set_name(new, name);
                    }
                    new
                }
            };
            map.push(new);
        }
        out.set_outputs(graph.outputs().iter().map(|o| map[o.0 as usize]).collect());
        Ok(out)
    }

    fn body(&mut self, graph: &Arc<Graph>) -> Result<Arc<Graph>> {
        Ok(Arc::new(self.graph(graph)?))
    }

    fn op(&mut self, op: &Op) -> Result<Op> {
        Ok(match op {
            Op::Const(c) => {
                let value = match &c.value {
                    Literal::Dim(d) => Literal::Dim(self.dim(d)),
                    other => other.clone(),
                };
                Const { ty: self.tensor(&c.ty), value }.into()
            }
            Op::Iota(i) => Iota { ty: self.tensor(&i.ty), axis: i.axis }.into(),
            Op::Reshape(r) => Reshape { shape: self.dims(&r.shape) }.into(),
            Op::Broadcast(b) => Broadcast { shape: self.dims(&b.shape), axes: b.axes.clone() }.into(),
            Op::Slice(s) => {
                Slice { start: self.dims(&s.start), limit: self.dims(&s.limit), stride: s.stride.clone() }.into()
            }
            Op::Pad(p) => Pad { low: self.dims(&p.low), high: self.dims(&p.high), interior: p.interior.clone() }.into(),
            Op::Gather(g) => Gather { sizes: self.dims(&g.sizes), ..g.clone() }.into(),
            Op::DynSlice(s) => DynSlice { sizes: self.dims(&s.sizes) }.into(),
            Op::Reduce(r) => Reduce { monoid: self.monoid(&r.monoid)?, ..r.clone() }.into(),
            Op::Scan(s) => Scan { monoid: self.monoid(&s.monoid)?, ..s.clone() }.into(),
            Op::Loop(l) => {
                let kind = match &l.kind {
                    LoopKind::For(d) => LoopKind::For(self.dim(d)),
                    LoopKind::While(c) => LoopKind::While(self.body(c)?),
                };
                Loop { kind, body: self.body(&l.body)?, carried: l.carried }.into()
            }
            Op::Cond(c) => {
                Cond { branches: c.branches.iter().map(|b| self.body(b)).collect::<Result<Vec<_>>>()? }.into()
            }
            Op::Call(c) => {
                let key = Arc::as_ptr(&c.callee) as usize;
                if let Some(callee) = self.callees.get(&key) {
                    return Ok(Call { callee: callee.clone() }.into());
                }
                let attrs = c.callee.attrs.iter().map(|(n, a)| {
                    (
                        *n,
                        match a {
                            Attr::Dim(d) => Attr::Dim(self.dim(d)),
                            other => other.clone(),
                        },
                    )
                });
                let attrs = attrs.collect();
                let body = self.graph(&c.callee.body)?;
                let callee = Arc::new(Callee { name: c.callee.name.clone(), attrs, body });
                self.callees.insert(key, callee.clone());
                Call { callee }.into()
            }
            Op::Kernel(k) => Kernel { results: k.results.iter().map(|t| self.tensor(t)).collect(), ..k.clone() }.into(),
            Op::Param(_)
            | Op::Map(_)
            | Op::Cast(_)
            | Op::Bitcast(_)
            | Op::Permute(_)
            | Op::Reverse(_)
            | Op::Window(_)
            | Op::Concat(_)
            | Op::Dot(_)
            | Op::Scatter(_)
            | Op::DynUpdate(_)
            | Op::Sort(_)
            | Op::Tuple(_)
            | Op::Proj(_)
            | Op::Collective(_)
            | Op::Fence(_) => op.clone(),
            #[allow(unreachable_patterns)]
            other => other.clone(),
        })
    }

    fn monoid(&mut self, m: &Monoid) -> Result<Monoid> {
        Ok(match m {
            Monoid::Custom(body, identity) => Monoid::Custom(self.body(body)?, identity.clone()),
            other => other.clone(),
        })
    }
}
