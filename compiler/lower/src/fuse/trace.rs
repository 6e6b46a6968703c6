//! From a graph node to a nest: operations are pulled in from the root towards memory, view operations turn into
//! coordinates.
//!
//! Whatever cannot be pulled in is named in `Blocked`: the caller then gives that node memory of its own and traces
//! again. So correctness never depends on how well the nodes with memory were chosen, only speed does.

use super::affine::{Affine, AxisId, linearize, reshape};
use super::nest::{Bound, Expr, ExprId, Nest, Store};
use crate::target::{TargetDesc, TargetKind};
use girih_base::{DType, Diag, Dim, ScalarOp};
use girih_graph::ops::Gather;
use girih_graph::{Graph, Literal, Monoid, NodeId, Op, ParamKind, Ty};
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

    fn pull_pad(&mut self, node: NodeId, coords: &[Affine], low: &[Dim], dtype: DType) -> Result<ExprId, Stop> {
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

    /// Clamped start indices as additions to an offset into a tensor of `shape`.
    pub fn starts(&mut self, starts: &[NodeId], shape: &[Dim], sizes: &[Dim]) -> Result<Vec<(ExprId, Dim)>, Stop> {
        let strides = super::affine::strides(shape);
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

    fn pull_gather(&mut self, node: NodeId, g: &Gather, coords: &[Affine], dtype: DType) -> Result<ExprId, Stop> {
        let operands = self.graph.operands(node);
        let (x, indices) = (operands[0], operands[1]);
        let Some(tensor) = Self::memory(self.graph, self.stored, x) else { return Err(Stop::Blocked(x)) };
        let shape = self.graph.tensor(x)?.shape.clone();
        let strides = super::affine::strides(&shape);
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

    /// An axis for a fold of extent `extent` whose result has `coords`: one that is already there when it can serve.
    fn fold_axis(&mut self, extent: &Dim, used: &BTreeSet<AxisId>) -> AxisId {
        if extent.is(1) {
            return self.nest.axis(Dim::ONE);
        }
        let found = (0..self.nest.axes.len() as u32).map(AxisId).find(|a| {
            !used.contains(a)
                && self.nest.extent(*a) == *extent
                && (self.nest.axes[a.0 as usize].row || self.root_axes.contains(a))
        });
        let axis = found.unwrap_or_else(|| {
            let a = self.nest.axis(extent.clone());
            self.nest.axes[a.0 as usize].folded = true;
            a
        });
        self.nest.axes[axis.0 as usize].row = true;
        axis
    }

    /// A fold over the columns of a product needs whole rows of it in one tile.
    fn columns_ok(&self, extent: &Dim) -> Result<(), Stop> {
        let product = self.nest.exprs.iter().any(|n| matches!(n.expr, Expr::Dot { .. }));
        match self.anchor {
            Some(anchor) if product && extent.as_const().is_none_or(|e| e > self.policy.fold_columns) => {
                Err(Stop::Blocked(anchor))
            }
            _ => Ok(()),
        }
    }

    fn pull_multi(&mut self, node: NodeId, coords: &[Affine]) -> Result<ExprId, Stop> {
        let graph = self.graph;
        let operands = graph.operands(node);
        let dtypes: Vec<DType> = match graph.ty(node) {
            Ty::Tensor(t) => vec![t.dtype],
            Ty::Tuple(tys) => tys.iter().filter_map(|t| t.tensor().map(|t| t.dtype)).collect(),
        };
        // Folds may not run where lanes of a guard are missing, nor twice over different guards.
        if !self.guards.is_empty() && node != self.root {
            return Err(Stop::Blocked(node));
        }
        let memo_key = (node, key(coords), self.guard_set());
        if let Some(e) = self.memo.get(&memo_key) {
            return Ok(*e);
        }
        let used: BTreeSet<AxisId> = coords.iter().flat_map(|c| c.terms.keys().copied()).collect();
        let (expr, name) = match graph.op(node) {
            Op::Reduce(r) => {
                let shape = graph.tensor(operands[0])?.shape.clone();
                let mut taken = used.clone();
                let mut axes = Vec::new();
                let mut inner: Vec<Affine> = Vec::new();
                let mut rest = coords.iter();
                for (a, extent) in shape.iter().enumerate() {
                    if r.axes.contains(&a) {
                        self.columns_ok(extent)?;
                        let axis = self.fold_axis(extent, &taken);
                        taken.insert(axis);
                        axes.push(axis);
                        inner.push(self.axis_coord(axis));
                    } else {
                        inner.push(rest.next().cloned().unwrap_or(Affine::constant(Dim::ZERO)));
                    }
                }
                self.recompute_ok(node, &taken)?;
                let mut args = Vec::new();
                for o in &operands {
                    let e = self.pull(*o, &inner)?;
                    let acc = dtypes[args.len().min(dtypes.len() - 1)];
                    args.push(if matches!(r.monoid, Monoid::Custom(..)) { e } else { self.cast(*o, e, acc) });
                }
                if matches!(r.monoid, Monoid::ArgMax | Monoid::ArgMin) {
                    args.push(self.push(node, Expr::Coordinate(inner[r.axes[0]].clone()), DType::I32));
                }
                (Expr::Reduce { args, axes, monoid: r.monoid.clone() }, graph.node(node).name.clone())
            }
            Op::Scan(s) => {
                let Some(axis) = self.walked(node, &coords[s.axis]) else { return Err(Stop::Blocked(node)) };
                if s.exclusive || coords.iter().enumerate().any(|(i, c)| i != s.axis && c.terms.contains_key(&axis)) {
                    return Err(Stop::Blocked(node));
                }
                self.nest.axes[axis.0 as usize].row = true;
                let mut args = Vec::new();
                for o in &operands {
                    let e = self.pull(*o, coords)?;
                    let acc = dtypes[args.len().min(dtypes.len() - 1)];
                    args.push(if matches!(s.monoid, Monoid::Custom(..)) { e } else { self.cast(*o, e, acc) });
                }
                if matches!(s.monoid, Monoid::ArgMax | Monoid::ArgMin) {
                    args.push(self.push(node, Expr::Coordinate(coords[s.axis].clone()), DType::I32));
                }
                (Expr::Scan { args, axis, monoid: s.monoid.clone(), reverse: s.reverse }, graph.node(node).name.clone())
            }
            Op::Sort(s) => {
                let Some(axis) = self.walked(node, &coords[s.axis]) else { return Err(Stop::Blocked(node)) };
                self.nest.axes[axis.0 as usize].row = true;
                let args = operands.iter().map(|o| self.pull(*o, coords)).collect::<Result<Vec<_>, _>>()?;
                let (keys, descending) = (s.keys, s.descending);
                (Expr::Sort { args, axis, keys, descending }, graph.node(node).name.clone())
            }
            _ => return Err(Stop::Blocked(node)),
        };
        let e = self.nest.push(expr, dtypes, name, graph.node(node).loc.clone());
        self.memo.insert(memo_key, e);
        Ok(e)
    }

    /// The axis a scan or sort walks: one of the root's own, or a new one where there is a single point.
    fn walked(&mut self, node: NodeId, coord: &Affine) -> Option<AxisId> {
        if node != self.root_core() {
            return None;
        }
        match coord.as_axis() {
            None if coord.is_constant() => Some(self.nest.axis(Dim::ONE)),
            axis => axis,
        }
    }

    /// The root, or the tuple it is a part of.
    fn root_core(&self) -> NodeId {
        match self.graph.op(self.root) {
            Op::Proj(_) => self.graph.operands(self.root)[0],
            _ => self.root,
        }
    }

    fn cast(&mut self, node: NodeId, e: ExprId, to: DType) -> ExprId {
        if self.nest.node(e).dtypes[0] == to { e } else { self.push(node, Expr::Cast(e), to) }
    }

    /// A fold inside a kernel whose root has axes the fold knows nothing of would run once for every point of them.
    fn recompute_ok(&self, node: NodeId, used: &BTreeSet<AxisId>) -> Result<(), Stop> {
        if node == self.root || node == self.root_core() {
            return Ok(());
        }
        let repeats = self.root_axes.iter().any(|a| !used.contains(a) && !self.nest.extent(*a).is(1));
        let allowed = self.anchor.is_some() && self.vector;
        if repeats && !allowed { Err(Stop::Blocked(node)) } else { Ok(()) }
    }

    fn pull_dot(&mut self, node: NodeId, coords: &[Affine]) -> Result<ExprId, Stop> {
        let graph = self.graph;
        let Op::Dot(dot) = graph.op(node) else { return Err(Stop::Blocked(node)) };
        let operands = graph.operands(node);
        let (ta, tb) = (graph.tensor(operands[0])?.clone(), graph.tensor(operands[1])?.clone());
        // Every root axis must be exactly one axis of the product, else it would be computed more than once.
        let mut seen = BTreeSet::new();
        let direct = coords.iter().all(|c| match c.as_axis() {
            Some(a) => self.root_axes.contains(&a) && seen.insert(a),
            None => c.is_constant(),
        });
        let covers = self.root_axes.iter().all(|a| self.nest.extent(*a).is(1) || seen.contains(a));
        let no_rows = self.nest.axes.iter().all(|a| !a.row);
        if self.anchor.is_some() || !direct || !covers || !no_rows || !self.guards.is_empty() {
            return Err(Stop::Blocked(node));
        }
        self.anchor = Some(node);
        let (fa, fb) = (dot.lhs_free(ta.rank()), dot.rhs_free(tb.rank()));
        let mut ca = vec![Affine::constant(Dim::ZERO); ta.rank()];
        let mut cb = vec![Affine::constant(Dim::ZERO); tb.rank()];
        let mut at = coords.iter();
        let mut next = || at.next().cloned().unwrap_or(Affine::constant(Dim::ZERO));
        for (l, r) in &dot.batch {
            let c = next();
            (ca[*l], cb[*r]) = (c.clone(), c);
        }
        fa.iter().for_each(|a| ca[*a] = next());
        fb.iter().for_each(|b| cb[*b] = next());
        let vector = fa.iter().all(|a| ta.shape[*a].is(1));
        self.vector = vector;
        let mut axes = Vec::new();
        let mut taken: BTreeSet<AxisId> = self.root_axes.iter().copied().collect();
        for (l, r) in &dot.contract {
            let axis = if vector {
                self.fold_axis(&ta.shape[*l], &taken)
            } else {
                let a = self.nest.axis(ta.shape[*l].clone());
                self.nest.axes[a.0 as usize].folded = true;
                a
            };
            taken.insert(axis);
            axes.push(axis);
            (ca[*l], cb[*r]) = (self.axis_coord(axis), self.axis_coord(axis));
        }
        let a = self.pull_operand(operands[0], &ca, vector)?;
        let b = self.pull_operand(operands[1], &cb, false)?;
        let (a, b) = if ta.dtype == dot.acc || vector && self.policy.fold_vectors {
            (self.cast(node, a, dot.acc), self.cast(node, b, dot.acc))
        } else {
            (a, b)
        };
        if vector && self.policy.fold_vectors {
            let product = self.push(node, Expr::Map(ScalarOp::Mul, vec![a, b]), dot.acc);
            return Ok(self.push(node, Expr::Reduce { args: vec![product], axes, monoid: Monoid::Sum }, dot.acc));
        }
        for axis in &axes {
            self.nest.axes[axis.0 as usize].row = true;
        }
        Ok(self.push(node, Expr::Dot { a, b, axes }, dot.acc))
    }

    /// An operand of a product: views, loads, casts and decoding are pulled in; arithmetic only in front of a vector, where it
    /// costs little.
    pub fn pull_operand(&mut self, node: NodeId, coords: &[Affine], free: bool) -> Result<ExprId, Stop> {
        if !free {
            let mut at = node;
            while Self::memory(self.graph, self.stored, at).is_none() {
                match self.graph.op(at) {
                    Op::Call(c) if c.callee.name.starts_with("dequant.") => break,
                    Op::Cast(_)
                    | Op::Permute(_)
                    | Op::Broadcast(_)
                    | Op::Slice(_)
                    | Op::Window(_)
                    | Op::Pad(_)
                    | Op::Reverse(_)
                    | Op::Reshape(_) => at = self.graph.operands(at)[0],
                    Op::Const(_) | Op::Iota(_) => break,
                    _ => return Err(Stop::Blocked(at)),
                }
            }
        }
        self.pull(node, coords)
    }
}
