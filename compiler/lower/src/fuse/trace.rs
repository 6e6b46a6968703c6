//! From a graph node to a nest: operations are pulled in from the root towards memory, view operations turn into
//! coordinates.
//!
//! Whatever cannot be pulled in is named in `Blocked`: the caller then gives that node memory of its own and traces
//! again. So correctness never depends on how well the nodes with memory were chosen, only speed does.

mod folds;
mod index;
mod product;

use super::affine::{Affine, AxisId, linearize, reshape};
use super::nest::{Bound, Expr, ExprId, Nest, Store};
use crate::target::{TargetDesc, TargetKind};
use girih_base::{DType, Diag, Dim};
use girih_graph::{Graph, Literal, NodeId, Op, ParamKind, Ty};
use std::collections::{BTreeMap, BTreeSet};

/// Why a trace stopped.
#[derive(Debug)]
pub enum Stop {
    /// This node must get memory of its own first.
    Blocked(NodeId),
    /// It can never be lowered.
    Refused(Box<Diag>),
}

impl From<Box<Diag>> for Stop {
    fn from(d: Box<Diag>) -> Stop {
        Stop::Refused(d)
    }
}

/// What a trace may pull in.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Matrix products with one row become folds, with everything before them pulled in.
    pub fold_vectors: bool,
    /// A fold over the columns of a matrix product joins its kernel when there are at most this many.
    pub fold_columns: i64,
}

impl Policy {
    /// What suits a target.
    pub fn of(desc: &TargetDesc) -> Policy {
        match desc.kind {
            TargetKind::Cpu => Policy { fold_vectors: false, fold_columns: 1024 },
            TargetKind::Gpu => Policy { fold_vectors: true, fold_columns: 0 },
        }
    }
}

/// The state of one trace.
pub struct Trace<'g> {
    graph: &'g Graph,
    /// Nodes with memory, and graph-wide knowledge the caller keeps.
    stored: &'g BTreeSet<NodeId>,
    policy: Policy,
    /// The nest so far.
    pub nest: Nest,
    memo: BTreeMap<(NodeId, Place, usize), ExprId>,
    guards: Vec<Bound>,
    guard_sets: Vec<Vec<Bound>>,
    root: NodeId,
    root_axes: Vec<AxisId>,
    anchor: Option<NodeId>,
    /// The anchor has a single row: what stands in front of it may be computed by every program.
    vector: bool,
}

/// Coordinates in a form that can be ordered: base and coefficients of each.
type Place = Vec<(Dim, Vec<(AxisId, Dim)>)>;

fn key(coords: &[Affine]) -> Place {
    coords.iter().map(|c| (c.base.clone(), c.terms.iter().map(|(a, d)| (*a, d.clone())).collect())).collect()
}

impl<'g> Trace<'g> {
    /// A trace of `root` over fresh axes of the given extents.
    pub fn new(
        graph: &'g Graph,
        stored: &'g BTreeSet<NodeId>,
        root: NodeId,
        shape: &[Dim],
        policy: Policy,
    ) -> Trace<'g> {
        let mut nest = Nest::default();
        let root_axes = shape.iter().map(|d| nest.axis(d.clone())).collect();
        Trace {
            graph,
            stored,
            policy,
            nest,
            memo: BTreeMap::new(),
            guards: Vec::new(),
            guard_sets: vec![Vec::new()],
            root,
            root_axes,
            anchor: None,
            vector: false,
        }
    }

    /// The axes of the root's own shape.
    pub fn root_coords(&self) -> Vec<Affine> {
        self.root_axes.iter().map(|a| self.axis_coord(*a)).collect()
    }

    fn axis_coord(&self, a: AxisId) -> Affine {
        if self.nest.extent(a).is(1) { Affine::constant(Dim::ZERO) } else { Affine::axis(a) }
    }

    /// Writes `value` to `tensor`.
    pub fn store(&mut self, tensor: NodeId, value: ExprId, offset: Affine, dynamic: Vec<(ExprId, Dim)>) {
        self.nest.stores.push(Store { tensor, value, offset, dynamic, mask: None, combine: None });
    }

    /// The memory behind a node, looking through reshapes (which share their operand's memory).
    pub fn memory(graph: &Graph, stored: &BTreeSet<NodeId>, mut node: NodeId) -> Option<NodeId> {
        loop {
            if stored.contains(&node) {
                return Some(node);
            }
            match graph.op(node) {
                Op::Reshape(_) => node = graph.operands(node)[0],
                _ => return None,
            }
        }
    }

    /// Appends an expression that stands for `node`.
    pub fn push(&mut self, node: NodeId, expr: Expr, dtype: DType) -> ExprId {
        let n = self.graph.node(node);
        self.nest.push(expr, vec![dtype], n.name.clone(), n.loc.clone())
    }

    /// The expression for one element of a node.
    pub fn pull(&mut self, node: NodeId, coords: &[Affine]) -> Result<ExprId, Stop> {
        let memo_key = (node, key(coords), self.guard_set());
        if let Some(e) = self.memo.get(&memo_key) {
            return Ok(*e);
        }
        let e = if node != self.root && Self::memory(self.graph, self.stored, node).is_some() {
            self.load(node, coords)?
        } else {
            self.pull_op(node, coords)?
        };
        self.memo.insert(memo_key, e);
        Ok(e)
    }

    fn guard_set(&mut self) -> usize {
        if let Some(i) = self.guard_sets.iter().position(|g| *g == self.guards) {
            return i;
        }
        self.guard_sets.push(self.guards.clone());
        self.guard_sets.len() - 1
    }

    fn load(&mut self, node: NodeId, coords: &[Affine]) -> Result<ExprId, Stop> {
        let ty = self.graph.tensor(node)?.clone();
        let tensor = Self::memory(self.graph, self.stored, node).unwrap_or(node);
        let offset = linearize(coords, &ty.shape);
        let bounds = self.guards.clone();
        let expr = Expr::Load { tensor, offset, dynamic: Vec::new(), bounds, other: 0.0 };
        let n = self.graph.node(node);
        // Weights have a name in every layer; their kernels are the same.
        let own = matches!(&n.op, Op::Param(p) if p.kind != ParamKind::Input);
        Ok(self.nest.push(expr, vec![ty.dtype], n.name.clone().filter(|_| !own), n.loc.clone()))
    }

    fn pull_op(&mut self, node: NodeId, coords: &[Affine]) -> Result<ExprId, Stop> {
        let graph = self.graph;
        let operands = graph.operands(node);
        let dtype = match graph.ty(node) {
            Ty::Tensor(t) => t.dtype,
            Ty::Tuple(_) => return Err(Stop::Blocked(node)),
        };
        match graph.op(node) {
            Op::Const(c) => match &c.value {
                Literal::Splat(n) if dtype.is_float() => Ok(self.push(node, Expr::Const(n.as_f64()), dtype)),
                Literal::Splat(n) => Ok(self.push(node, Expr::Int(n.as_int() as i64), dtype)),
                Literal::Dim(d) => Ok(self.push(node, Expr::Size(d.clone()), dtype)),
                Literal::Dense(_) => Err(Stop::Blocked(node)),
            },
            Op::Iota(iota) => Ok(self.push(node, Expr::Coordinate(coords[iota.axis].clone()), dtype)),
            Op::Map(op) => {
                let args = operands.iter().map(|o| self.pull(*o, coords)).collect::<Result<Vec<_>, _>>()?;
                Ok(self.push(node, Expr::Map(*op, args), dtype))
            }
            Op::Cast(_) => {
                let x = self.pull(operands[0], coords)?;
                Ok(self.push(node, Expr::Cast(x), dtype))
            }
            Op::Bitcast(_) => {
                let x = self.pull(operands[0], coords)?;
                Ok(self.push(node, Expr::Bitcast(x), dtype))
            }
            Op::Reshape(r) => {
                let from = graph.tensor(operands[0])?.shape.clone();
                let nest = &self.nest;
                match reshape(coords, &r.shape, &from, &|a| nest.extent(a)) {
                    Some(inner) => self.pull(operands[0], &inner),
                    None => Err(Stop::Blocked(operands[0])),
                }
            }
            Op::Permute(p) => {
                let mut inner = vec![Affine::constant(Dim::ZERO); coords.len()];
                p.perm.iter().enumerate().for_each(|(i, a)| inner[*a] = coords[i].clone());
                self.pull(operands[0], &inner)
            }
            Op::Broadcast(b) => {
                let x = graph.tensor(operands[0])?.shape.clone();
                let inner: Vec<_> = b
                    .axes
                    .iter()
                    .zip(&x)
                    .map(|(a, extent)| if extent.is(1) { Affine::constant(Dim::ZERO) } else { coords[*a].clone() })
                    .collect();
                self.pull(operands[0], &inner)
            }
            Op::Slice(s) => {
                let inner: Vec<_> = coords
                    .iter()
                    .enumerate()
                    .map(|(i, c)| c.scale(&Dim::from(s.stride[i])).shift(&s.start[i]))
                    .collect();
                self.pull(operands[0], &inner)
            }
            Op::Reverse(r) => {
                let shape = graph.tensor(node)?.shape.clone();
                let mut inner = coords.to_vec();
                for a in &r.axes {
                    inner[*a] = inner[*a].scale(&Dim::from(-1i64)).shift(&(&shape[*a] - 1));
                }
                self.pull(operands[0], &inner)
            }
            Op::Window(w) => {
                let rank = coords.len() - w.axes.len();
                let mut inner = coords[..rank].to_vec();
                for (k, axis) in w.axes.iter().enumerate() {
                    inner[axis.axis] = coords[axis.axis]
                        .scale(&Dim::from(axis.stride))
                        .add(&coords[rank + k].scale(&Dim::from(axis.dilation)));
                }
                self.pull(operands[0], &inner)
            }
            Op::Pad(p) if p.interior.iter().all(|i| *i == 0) => self.pull_pad(node, coords, &p.low, dtype),
            Op::Proj(p) => {
                let tuple = operands[0];
                match graph.op(tuple) {
                    Op::Tuple(_) => self.pull(graph.operands(tuple)[p.index], coords),
                    Op::Reduce(_) | Op::Sort(_) | Op::Scan(_) => {
                        // Memory holds single results, never the tuple.
                        let whole = self.pull_multi(tuple, coords).map_err(|stop| match stop {
                            Stop::Blocked(at) if at == tuple => Stop::Blocked(node),
                            other => other,
                        })?;
                        Ok(self.push(node, Expr::Part(whole, p.index), dtype))
                    }
                    _ => Err(Stop::Blocked(tuple)),
                }
            }
            Op::Reduce(_) | Op::Sort(_) | Op::Scan(_) => self.pull_multi(node, coords),
            Op::Dot(_) => self.pull_dot(node, coords),
            Op::Gather(g) => self.pull_gather(node, g, coords, dtype),
            Op::DynSlice(_) => {
                let x = operands[0];
                let Some(tensor) = Self::memory(graph, self.stored, x) else { return Err(Stop::Blocked(x)) };
                let shape = graph.tensor(x)?.shape.clone();
                let sizes = graph.tensor(node)?.shape.clone();
                let dynamic = self.starts(&operands[1..], &shape, &sizes)?;
                let offset = linearize(coords, &shape);
                let bounds = self.guards.clone();
                Ok(self.push(node, Expr::Load { tensor, offset, dynamic, bounds, other: 0.0 }, dtype))
            }
            Op::Call(call) => match call.callee.name.strip_prefix("dequant.") {
                Some(format) => {
                    let x = operands[0];
                    let Some(tensor) = Self::memory(graph, self.stored, x) else { return Err(Stop::Blocked(x)) };
                    // Decoding works on whole tiles of rows and columns: each coordinate is one axis or fixed.
                    let plain =
                        |c: &Affine| c.is_constant() || (c.terms.len() == 1 && c.terms.values().all(|k| k.is(1)));
                    if !(plain(&coords[0]) && plain(&coords[1]) && self.guards.is_empty()) {
                        return Err(Stop::Blocked(node));
                    }
                    let shape = graph.tensor(node)?.shape.clone();
                    let expr = Expr::Quant {
                        tensor,
                        format: format.into(),
                        shape: [shape[0].clone(), shape[1].clone()],
                        row: coords[0].clone(),
                        column: coords[1].clone(),
                    };
                    Ok(self.push(node, expr, dtype))
                }
                None => Err(Stop::Blocked(node)),
            },
            _ => Err(Stop::Blocked(node)),
        }
    }
}
