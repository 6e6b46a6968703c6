//! From a scheduled nest to a tile kernel.
//!
//! Values are emitted once per scope: opening a loop opens a scope, and what does not depend on the loop's axis is
//! emitted before it.

use super::affine::{Affine, AxisId};
use super::monoid;
use super::nest::{Bound, Expr, ExprId, Nest, Store};
use super::schedule::Schedule;
use girih_base::{DType, Diag, Dim, Result, ScalarOp};
use girih_graph::{Monoid, NodeId};
use girih_tile::{Access, Builder, Guard, Kernel, Literal, Op, TileTy, ValueId, View, ViewAxis};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the emitter asks about tensors in memory.
pub trait Memory {
    /// Name, element type, number of elements, and whether it never changes while the plan runs.
    fn tensor(&self, node: NodeId) -> (Arc<str>, DType, Dim, bool);
}

/// A tile kernel and the tensors behind its parameters.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// The kernel.
    pub kernel: Kernel,
    /// One tensor per parameter.
    pub args: Vec<NodeId>,
}

/// A value with the axes its tile spans, in schedule order.
#[derive(Clone, Debug)]
pub(super) struct Val {
    pub(super) id: ValueId,
    pub(super) axes: Vec<AxisId>,
}

/// What a loop does in one round: the carried values in, the next ones out.
type Body<'b, E> = &'b mut dyn FnMut(&mut E, Vec<ValueId>) -> Result<Vec<ValueId>>;

pub(super) struct Emitter<'n> {
    pub(super) nest: &'n Nest,
    pub(super) schedule: &'n Schedule,
    memory: &'n dyn Memory,
    pub(super) b: Builder,
    params: BTreeMap<NodeId, usize>,
    args: Vec<NodeId>,
    pub(super) starts: BTreeMap<AxisId, ValueId>,
    /// Where loops over an axis end, if before its end.
    pub(super) ends: BTreeMap<AxisId, ValueId>,
    /// The start of axes that one tile takes whole.
    zero: Option<ValueId>,
    scopes: Vec<BTreeMap<ExprId, Vec<Val>>>,
}

/// Emits the kernel.
pub fn emit(nest: &Nest, schedule: &Schedule, memory: &dyn Memory, name: &str) -> Result<Emitted> {
    let mut e = Emitter {
        nest,
        schedule,
        memory,
        b: Builder::new(),
        params: BTreeMap::new(),
        args: Vec::new(),
        starts: BTreeMap::new(),
        ends: BTreeMap::new(),
        zero: None,
        scopes: vec![BTreeMap::new()],
    };
    let zero = e.b.int(0);
    e.zero = Some(zero);
    let mut grid = Vec::new();
    for axis in &schedule.order {
        let inner = nest.axes[axis.0 as usize].row;
        let start = if inner || schedule.whole(nest, *axis) {
            zero
        } else {
            let pid = e.b.program_id(grid.len());
            grid.push(nest.extent(*axis).ceil_div(&Dim::from(schedule.tile(*axis))));
            let step = e.b.int(schedule.tile(*axis) as i64);
            if schedule.tile(*axis) == 1 { pid } else { e.b.map(ScalarOp::Mul, &[pid, step]) }
        };
        e.starts.insert(*axis, start);
    }
    for i in 0..nest.stores.len() {
        e.store(i)?;
    }
    let mut kernel = e.b.finish(name, grid);
    super::cleanup::drop_unused(&mut kernel);
    Ok(Emitted { kernel, args: e.args })
}

impl<'n> Emitter<'n> {
    pub(super) fn shape(&self, axes: &[AxisId]) -> Vec<u32> {
        axes.iter().map(|a| self.schedule.tile(*a)).collect()
    }

    pub(super) fn ordered(&self, support: &BTreeSet<AxisId>) -> Vec<AxisId> {
        self.schedule.order.iter().copied().filter(|a| support.contains(a)).collect()
    }

    fn param(&mut self, tensor: NodeId, write: bool) -> usize {
        let want = if write { Access::Write } else { Access::Read };
        if let Some(i) = self.params.get(&tensor) {
            let p = &mut self.b.params_mut()[*i];
            if p.access != want {
                p.access = Access::ReadWrite;
            }
            return *i;
        }
        let (name, dtype, len, constant) = self.memory.tensor(tensor);
        let base = name;
        let mut name = base.to_string();
        let mut number = 0;
        while self.b.params_mut().iter().any(|p| *p.name == *name) {
            number += 1;
            name = format!("{base}_{number}");
        }
        let i = self.b.param(&name, dtype, len, want, constant && !write);
        self.params.insert(tensor, i);
        self.args.push(tensor);
        i
    }

    fn find(&self, e: ExprId) -> Option<Vec<Val>> {
        self.scopes.iter().rev().find_map(|s| s.get(&e).cloned())
    }

    fn keep(&mut self, e: ExprId, vals: Vec<Val>) -> Vec<Val> {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(e, vals.clone());
        }
        vals
    }

    /// The value of an expression at the current position.
    pub(super) fn value(&mut self, e: ExprId) -> Result<Val> {
        let mut vals = self.values(e)?;
        Ok(vals.remove(0))
    }

    fn values(&mut self, e: ExprId) -> Result<Vec<Val>> {
        if let Some(v) = self.find(e) {
            return Ok(v);
        }
        let node = self.nest.node(e);
        self.b.set_loc(node.loc.clone());
        let dtype = node.dtypes[0];
        let axes = self.ordered(&node.support);
        let vals = match &node.expr {
            Expr::Load { .. } => vec![self.load(e, &axes)?],
            Expr::Quant { .. } => vec![self.quant(e)?],
            Expr::Coordinate(c) => {
                let v = self.affine(c, &axes);
                vec![Val { id: self.b.cast(v, dtype), axes }]
            }
            Expr::Const(v) => vec![Val { id: self.b.constant(Literal::float(*v), TileTy::scalar(dtype)), axes }],
            Expr::Int(v) => vec![Val { id: self.b.constant(Literal::Int(*v), TileTy::scalar(dtype)), axes }],
            Expr::Size(d) => {
                let v = self.b.size(d);
                vec![Val { id: self.b.cast(v, dtype), axes }]
            }
            Expr::Map(op, args) => {
                let args = args.iter().map(|a| self.value(*a)).collect::<Result<Vec<_>>>()?;
                let ids: Vec<ValueId> = args.iter().map(|a| self.spread(a, &axes)).collect();
                vec![Val { id: self.b.map(*op, &ids), axes }]
            }
            Expr::Cast(x) => {
                let x = self.value(*x)?;
                vec![Val { id: self.b.cast(x.id, dtype), axes: x.axes }]
            }
            Expr::Bitcast(x) => {
                let x = self.value(*x)?;
                vec![Val { id: self.b.bitcast(x.id, dtype), axes: x.axes }]
            }
            Expr::Guard(bounds, inside, outside) => {
                let (bounds, inside, outside) = (bounds.clone(), *inside, *outside);
                let (x, y) = (self.value(inside)?, self.value(outside)?);
                let cond = self.bounds(&bounds, &axes);
                let (x, y) = (self.spread(&x, &axes), self.spread(&y, &axes));
                vec![Val { id: self.b.map(ScalarOp::Select, &[cond, x, y]), axes }]
            }
            Expr::Part(x, i) => {
                let parts = self.values(*x)?;
                vec![
                    parts
                        .get(*i)
                        .cloned()
                        .ok_or_else(|| Diag::error("L004", "a fold has fewer results than are used"))?,
                ]
            }
            Expr::Reduce { .. } => self.reduce(e)?,
            Expr::Dot { .. } => vec![self.dot(e)?],
            Expr::Attention(_) => vec![self.attention(e)?],
            Expr::Scan { .. } => self.scan(e)?,
            Expr::Sort { args, axis, keys, descending } => {
                let (args, axis, keys, descending) = (args.clone(), *axis, *keys, *descending);
                self.sort(&args, axis, keys, descending, &axes)?
            }
        };
        if let Some(name) = &node.name {
            vals.iter().for_each(|v| self.b.name(v.id, Some(name.clone())));
        }
        Ok(self.keep(e, vals))
    }

    /// A value repeated to the tile of `axes`.
    pub(super) fn spread(&mut self, v: &Val, axes: &[AxisId]) -> ValueId {
        if v.axes == axes {
            return v.id;
        }
        let at: Vec<usize> = v.axes.iter().filter_map(|a| axes.iter().position(|x| x == a)).collect();
        let shape = self.shape(axes);
        self.b.broadcast(v.id, &shape, &at)
    }

    /// An affine coordinate as an i32 tile over `axes`.
    pub(super) fn affine(&mut self, c: &Affine, axes: &[AxisId]) -> ValueId {
        let shape = self.shape(axes);
        // The scalar part: base plus every axis' block start.
        let mut scalar = if c.base.is(0) { None } else { Some(self.b.size(&c.base)) };
        for (axis, coeff) in &c.terms {
            let start = self.starts[axis];
            if self.zero == Some(start) {
                continue;
            }
            let k = self.b.size(coeff);
            let term = if coeff.is(1) { start } else { self.b.map(ScalarOp::Mul, &[start, k]) };
            scalar = Some(match scalar {
                None => term,
                Some(s) => self.b.map(ScalarOp::Add, &[s, term]),
            });
        }
        let mut tile = scalar.map(|s| self.b.splat(s, &shape));
        for (i, axis) in axes.iter().enumerate() {
            let coeff = c.coefficient(*axis);
            if coeff.is(0) || shape[i] == 1 {
                continue;
            }
            let mut steps = self.b.arange(&shape, i);
            if !coeff.is(1) {
                let k = self.b.size(&coeff);
                let k = self.b.splat(k, &shape);
                steps = self.b.map(ScalarOp::Mul, &[steps, k]);
            }
            tile = Some(match tile {
                None => steps,
                Some(t) => self.b.map(ScalarOp::Add, &[t, steps]),
            });
        }
        tile.unwrap_or_else(|| self.b.constant(Literal::Int(0), TileTy::new(DType::I32, shape)))
    }

    /// Whether all bounds hold, as a bool tile over `axes`.
    pub(super) fn bounds(&mut self, bounds: &[Bound], axes: &[AxisId]) -> ValueId {
        let shape = self.shape(axes);
        let mut all: Option<ValueId> = None;
        for bound in bounds {
            let v = self.affine(&bound.value, axes);
            let end = self.b.size(&bound.extent);
            let end = self.b.splat(end, &shape);
            let high = self.b.map(ScalarOp::Lt, &[v, end]);
            // A coordinate made of axes going up from a start that is not negative never is.
            let rising = bound.value.terms.values().chain([&bound.value.base]).all(|c| Dim::ZERO.known_le(c).yes());
            let both = if rising {
                high
            } else {
                let zero = self.b.constant(Literal::Int(0), TileTy::new(DType::I32, shape.clone()));
                let low = self.b.map(ScalarOp::Le, &[zero, v]);
                self.b.map(ScalarOp::And, &[low, high])
            };
            all = Some(match all {
                None => both,
                Some(a) => self.b.map(ScalarOp::And, &[a, both]),
            });
        }
        all.unwrap_or_else(|| self.b.constant(Literal::Int(1), TileTy::new(DType::Bool, shape)))
    }

    /// Bounds that keep tiles inside the axes they run over, where they might not be.
    pub(super) fn tails(&self, axes: &[AxisId]) -> Vec<Bound> {
        axes.iter()
            .filter(|a| !self.schedule.exact(self.nest, **a))
            .map(|a| Bound { value: Affine::axis(*a), extent: self.nest.extent(*a) })
            .collect()
    }

    fn view(&self, offset: &Affine, axes: &[AxisId], bounds: &[Bound]) -> Result<View> {
        let guards = bounds
            .iter()
            .map(|b| {
                let coeffs = axes.iter().map(|a| b.value.coefficient(*a).as_const()).collect::<Option<Vec<i64>>>();
                let coeffs = coeffs.ok_or_else(|| Diag::error("L005", "a padded axis has a symbolic step"))?;
                Ok(Guard { base: b.value.base.clone(), coeffs, extent: b.extent.clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        let axes = axes
            .iter()
            .map(|a| ViewAxis {
                extent: self.nest.extent(*a),
                stride: offset.coefficient(*a),
                inside: self.schedule.exact(self.nest, *a),
            })
            .collect();
        Ok(View { offset: offset.base.clone(), axes, guards })
    }

    /// Scalar additions to an offset as leading view axes with one coordinate each.
    fn lead(&mut self, view: &mut View, at: &mut Vec<ValueId>, dynamic: &[(ExprId, Dim)]) -> Result<()> {
        for (e, stride) in dynamic {
            let v = self.value(*e)?;
            at.insert(0, v.id);
            view.axes.insert(0, ViewAxis { extent: Dim::from(i32::MAX), stride: stride.clone(), inside: true });
            view.guards.iter_mut().for_each(|g| g.coeffs.insert(0, 0));
        }
        Ok(())
    }

    /// A load with its tile axes in the given order, which must hold the expression's support.
    fn load(&mut self, e: ExprId, axes: &[AxisId]) -> Result<Val> {
        let Expr::Load { tensor, offset, dynamic, bounds, other } = self.nest.node(e).expr.clone() else {
            return Err(Diag::error("L004", "not a load"));
        };
        let dtype = self.nest.node(e).dtypes[0];
        let other = if dtype.is_float() { Literal::float(other) } else { Literal::Int(other as i64) };
        let param = self.param(tensor, false);
        let shape = self.shape(axes);
        if dynamic.iter().any(|d| !self.nest.node(d.0).support.is_empty()) {
            let mut index = self.affine(&offset, axes);
            for (d, stride) in &dynamic {
                let v = self.value(*d)?;
                let v = self.spread(&v, axes);
                let k = self.b.size(stride);
                let k = self.b.splat(k, &shape);
                let step = if stride.is(1) { v } else { self.b.map(ScalarOp::Mul, &[v, k]) };
                index = self.b.map(ScalarOp::Add, &[index, step]);
            }
            let all: Vec<Bound> = bounds.iter().cloned().chain(self.tails(axes)).collect();
            let mask = if all.is_empty() { None } else { Some(self.bounds(&all, axes)) };
            let op = Op::LoadAt { param, index, mask, other };
            let id = self.b.push(op, vec![TileTy::new(dtype, shape)])[0];
            return Ok(Val { id, axes: axes.to_vec() });
        }
        let mut view = self.view(&offset, axes, &bounds)?;
        let mut at: Vec<ValueId> = axes.iter().map(|a| self.starts[a]).collect();
        self.lead(&mut view, &mut at, &dynamic)?;
        let mut full = vec![1; view.axes.len() - axes.len()];
        full.extend(&shape);
        let loaded = self.b.load(param, view, &at, &full, other);
        Ok(Val { id: self.b.reshape(loaded, &shape), axes: axes.to_vec() })
    }

    /// Decoded rows `[rows, columns]`, put into schedule order.
    fn quant(&mut self, e: ExprId) -> Result<Val> {
        let Expr::Quant { tensor, format, shape, row, column } = self.nest.node(e).expr.clone() else {
            return Err(Diag::error("L004", "not a quantised load"));
        };
        let param = self.param(tensor, false);
        let axis_of = |a: &Affine| a.terms.keys().next().copied();
        let (ra, ca) = (axis_of(&row), axis_of(&column));
        let at = [&row, &column].map(|a| {
            let base = self.b.size(&a.base);
            match axis_of(a) {
                Some(axis) => {
                    let start = self.starts[&axis];
                    self.b.map(ScalarOp::Add, &[base, start])
                }
                None => base,
            }
        });
        let tile = [ra, ca].map(|a| a.map_or(1, |a| self.schedule.tile(a)));
        let op = Op::LoadQuant { param, format, rows: shape[0].clone(), columns: shape[1].clone(), at };
        let id = self.b.push(op, vec![TileTy::new(DType::F32, tile)])[0];
        let given: Vec<AxisId> = [ra, ca].into_iter().flatten().collect();
        let squeezed = self.shape(&given);
        let id = self.b.reshape(id, &squeezed);
        let axes = self.ordered(&given.iter().copied().collect());
        if axes != given {
            return Ok(Val { id: self.b.permute(id, &[1, 0]), axes });
        }
        Ok(Val { id, axes })
    }

    /// Emits now, in the current scope, everything below `roots` that does not depend on `axes`.
    pub(super) fn hoist(&mut self, roots: &[ExprId], axes: &[AxisId]) -> Result<()> {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<ExprId> = roots.iter().rev().copied().collect();
        while let Some(e) = todo.pop() {
            if !seen.insert(e) {
                continue;
            }
            let node = self.nest.node(e);
            if axes.iter().any(|a| node.support.contains(a)) {
                todo.extend(node.expr.operands().into_iter().rev());
            } else if !matches!(node.expr, Expr::Const(_) | Expr::Int(_) | Expr::Size(_) | Expr::Coordinate(_)) {
                self.values(e)?;
            }
        }
        Ok(())
    }

    /// Runs `body` for every tile along `axes`, carrying values.
    pub(super) fn looped(&mut self, axes: &[AxisId], init: Vec<ValueId>, body: Body<'_, Self>) -> Result<Vec<ValueId>> {
        let Some((axis, rest)) = axes.split_first() else { return body(self, init) };
        let lo = self.b.int(0);
        let hi = match self.ends.get(axis) {
            Some(end) => *end,
            None => self.b.size(&self.nest.extent(*axis)),
        };
        let step = self.schedule.tile(*axis);
        let tys: Vec<TileTy> = init.iter().map(|v| self.b.ty(*v).clone()).collect();
        let i = self.b.fresh(TileTy::scalar(DType::I32));
        let carried: Vec<ValueId> = tys.iter().map(|t| self.b.fresh(t.clone())).collect();
        self.b.begin(std::iter::once(i).chain(carried.iter().copied()).collect());
        let outer = self.starts.insert(*axis, i);
        self.scopes.push(BTreeMap::new());
        let out = self.looped(rest, carried, body);
        self.scopes.pop();
        if let Some(start) = outer {
            self.starts.insert(*axis, start);
        }
        let block = self.b.end(out.as_ref().map_or(Vec::new(), Clone::clone));
        out?;
        Ok(self.b.push(Op::For { lo, hi, step, init, body: block }, tys))
    }

    pub(super) fn chunked(&self, axes: &[AxisId]) -> Vec<AxisId> {
        let mut out: Vec<AxisId> = axes.iter().copied().filter(|a| !self.schedule.whole(self.nest, *a)).collect();
        out.sort_by_key(|a| self.schedule.order.iter().position(|x| x == a));
        out
    }

    fn reduce(&mut self, e: ExprId) -> Result<Vec<Val>> {
        let Expr::Reduce { args, axes, monoid } = self.nest.node(e).expr.clone() else {
            return Err(Diag::error("L004", "not a fold"));
        };
        let axes: Vec<AxisId> = axes.into_iter().filter(|a| !self.nest.extent(*a).is(1)).collect();
        let kept = self.ordered(&self.nest.node(e).support);
        let mut span: BTreeSet<AxisId> = kept.iter().copied().collect();
        span.extend(&axes);
        let full = self.ordered(&span);
        self.hoist(&args, &axes)?;
        let lifted: Vec<DType> = self.state_dtypes(&args, &monoid);
        let identity = monoid::identity(&monoid, &lifted);
        let loops = self.chunked(&axes);
        // Running values for every element of the tile, folded once at the end, where folding a tile is dear (threads have to
        // meet); a body of the user's may care about the order and folds tile by tile.
        let wide = self.schedule.wide_folds && !loops.is_empty() && !matches!(monoid, Monoid::Custom(..));
        let shape = if wide { self.shape(&full) } else { self.shape(&kept) };
        let init: Vec<ValueId> = if loops.is_empty() {
            Vec::new()
        } else {
            identity.iter().zip(&lifted).map(|(v, d)| self.b.constant(*v, TileTy::new(*d, shape.clone()))).collect()
        };
        let states = self.looped(&loops, init, &mut |this, carried| {
            let mut vals = Vec::new();
            for a in &args {
                let v = this.value(*a)?;
                vals.push(this.spread(&v, &full));
            }
            let mut states = monoid::lift(&monoid, &mut this.b, &vals);
            let tails = this.tails(&axes);
            if !tails.is_empty() {
                let inside = this.bounds(&tails, &full);
                for (s, id) in states.iter_mut().zip(&identity) {
                    let ty = this.b.ty(*s).clone();
                    let id = this.b.constant(*id, ty);
                    *s = this.b.map(ScalarOp::Select, &[inside, *s, id]);
                }
            }
            if !wide {
                states = this.fold(states, &full, &axes, &monoid, &lifted)?;
            }
            if carried.is_empty() { Ok(states) } else { monoid::merge(&monoid, &mut this.b, &carried, &states) }
        })?;
        let states = if wide { self.fold(states, &full, &axes, &monoid, &lifted)? } else { states };
        let mut results = monoid::results(&monoid, &states);
        let empty = axes.iter().any(|a| self.nest.extent(*a).bounds().0 < 1);
        if let (true, Monoid::ArgMax | Monoid::ArgMin, [_, position]) = (empty, &monoid, &mut results[..]) {
            // The position in nothing is 0.
            let ty = self.b.ty(*position).clone();
            let none = self.b.constant(Literal::Int(i32::MAX as i64), ty.clone());
            let zero = self.b.constant(Literal::Int(0), ty);
            let nothing = self.b.map(ScalarOp::Eq, &[*position, none]);
            *position = self.b.map(ScalarOp::Select, &[nothing, zero, *position]);
        }
        Ok(results.into_iter().map(|id| Val { id, axes: kept.clone() }).collect())
    }

    /// Folds `axes` of tiles over `full` away.
    fn fold(
        &mut self,
        mut states: Vec<ValueId>,
        full: &[AxisId],
        axes: &[AxisId],
        monoid: &Monoid,
        dtypes: &[DType],
    ) -> Result<Vec<ValueId>> {
        let mut left = full.to_vec();
        for axis in axes.iter().rev() {
            let Some(at) = left.iter().position(|a| a == axis) else { continue };
            left.remove(at);
            let combine = monoid::combine(monoid, &mut self.b, dtypes)?;
            let shape = self.shape(&left);
            let tys = dtypes.iter().map(|d| TileTy::new(*d, shape.clone())).collect();
            states = self.b.push(Op::Reduce { args: states, axis: at, combine }, tys);
        }
        Ok(states)
    }

    fn state_dtypes(&self, args: &[ExprId], monoid: &Monoid) -> Vec<DType> {
        let first = self.nest.node(args[0]).dtypes[0];
        match monoid {
            Monoid::Welford => vec![first; 3],
            Monoid::Online => vec![first; 2],
            _ => args.iter().map(|a| self.nest.node(*a).dtypes[0]).collect(),
        }
    }

    fn dot(&mut self, e: ExprId) -> Result<Val> {
        let node = self.nest.node(e);
        let Expr::Dot { a, b, axes } = node.expr.clone() else { return Err(Diag::error("L004", "not a product")) };
        let acc_dtype = node.dtypes[0];
        let roles = self.schedule.dot.clone().ok_or_else(|| Diag::error("L004", "a product without a schedule"))?;
        let axes: Vec<AxisId> = axes.into_iter().filter(|x| !self.nest.extent(*x).is(1)).collect();
        let support = node.support.clone();
        self.hoist(&[a, b], &axes)?;
        let size = |s: &Self, x: &[AxisId]| x.iter().map(|x| s.schedule.tile(*x)).product::<u32>();
        let (m, n, k) = (size(self, &roles.m), size(self, roles.n.as_slice()), size(self, &roles.k));
        let loops = self.chunked(&axes);
        let zero = if acc_dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
        let init =
            if loops.is_empty() { Vec::new() } else { vec![self.b.constant(zero, TileTy::new(acc_dtype, [m, n]))] };
        let out = self.looped(&loops, init, &mut |this, carried| {
            let left = this.matrix(a, roles.m.clone(), roles.k.clone(), [m, k])?;
            let right = this.matrix(b, roles.k.clone(), roles.n, [k, n])?;
            Ok(vec![this.b.dot(left, right, carried.first().copied(), acc_dtype)])
        })?;
        let order = self.ordered(&support);
        let mn: Vec<AxisId> = roles.m.iter().copied().chain(roles.n).filter(|x| support.contains(x)).collect();
        let lead: Vec<AxisId> = order.iter().copied().filter(|x| !mn.contains(x)).collect();
        let given: Vec<AxisId> = lead.into_iter().chain(mn).collect();
        let shape = self.shape(&given);
        let id = self.b.reshape(out[0], &shape);
        let axes = self.ordered(&support);
        let perm: Vec<usize> = axes.iter().filter_map(|x| given.iter().position(|g| g == x)).collect();
        Ok(Val { id: if axes == given { id } else { self.b.permute(id, &perm) }, axes })
    }

    /// An operand of a product as the tile `[rows, columns]`; masked tails are zero.
    pub(super) fn matrix(
        &mut self,
        e: ExprId,
        rows: impl IntoIterator<Item = AxisId>,
        columns: impl IntoIterator<Item = AxisId>,
        shape: [u32; 2],
    ) -> Result<ValueId> {
        let support = self.nest.node(e).support.clone();
        let last: Vec<AxisId> = rows.into_iter().chain(columns).collect();
        let lead: Vec<AxisId> = self.ordered(&support).into_iter().filter(|x| !last.contains(x)).collect();
        let want: Vec<AxisId> = lead.into_iter().chain(last.iter().copied()).collect();
        if self.find(e).is_none() && matches!(self.nest.node(e).expr, Expr::Load { .. }) {
            let v = self.load(e, &want)?;
            return Ok(self.b.reshape(v.id, &shape));
        }
        let v = self.value(e)?;
        let order: Vec<AxisId> = self.ordered(&want.iter().copied().collect());
        let mut id = self.spread(&v, &order);
        // A computed operand may hold anything where the contracted axis has ended.
        let folded: Vec<AxisId> = last.into_iter().filter(|a| self.nest.axes[a.0 as usize].row).collect();
        let tails = self.tails(&folded);
        if !tails.is_empty() && !matches!(self.nest.node(e).expr, Expr::Quant { .. }) {
            let inside = self.bounds(&tails, &order);
            let ty = self.b.ty(id).clone();
            let zero = if ty.dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
            let zero = self.b.constant(zero, ty);
            id = self.b.map(ScalarOp::Select, &[inside, id, zero]);
        }
        let perm: Vec<usize> = want.iter().filter_map(|x| order.iter().position(|o| o == x)).collect();
        let id = if order == want { id } else { self.b.permute(id, &perm) };
        Ok(self.b.reshape(id, &shape))
    }

    fn scan(&mut self, e: ExprId) -> Result<Vec<Val>> {
        let node = self.nest.node(e);
        let Expr::Scan { args, axis, monoid, reverse } = node.expr.clone() else {
            return Err(Diag::error("L004", "not a scan"));
        };
        let axes = self.ordered(&node.support);
        let mut vals = Vec::new();
        for a in &args {
            let v = self.value(*a)?;
            vals.push(self.spread(&v, &axes));
        }
        let mut states = monoid::lift(&monoid, &mut self.b, &vals);
        let dtypes = self.state_dtypes(&args, &monoid);
        let tails = self.tails(&[axis]);
        if !tails.is_empty() {
            let inside = self.bounds(&tails, &axes);
            for (s, id) in states.iter_mut().zip(monoid::identity(&monoid, &dtypes)) {
                let ty = self.b.ty(*s).clone();
                let id = self.b.constant(id, ty);
                *s = self.b.map(ScalarOp::Select, &[inside, *s, id]);
            }
        }
        let Some(at) = axes.iter().position(|a| *a == axis) else {
            // A single point: its own running value.
            return Ok(monoid::results(&monoid, &states)
                .into_iter()
                .map(|id| Val { id, axes: axes.clone() })
                .collect());
        };
        let combine = monoid::combine(&monoid, &mut self.b, &dtypes)?;
        let shape = self.shape(&axes);
        let tys = dtypes.iter().map(|d| TileTy::new(*d, shape.clone())).collect();
        let states = self.b.push(Op::Scan { args: states, axis: at, combine, reverse }, tys);
        Ok(monoid::results(&monoid, &states).into_iter().map(|id| Val { id, axes: axes.clone() }).collect())
    }

    fn sort(
        &mut self,
        args: &[ExprId],
        axis: AxisId,
        keys: usize,
        descending: bool,
        axes: &[AxisId],
    ) -> Result<Vec<Val>> {
        let mut vals = Vec::new();
        for a in args {
            let v = self.value(*a)?;
            vals.push(self.spread(&v, axes));
        }
        // What a tile has beyond the axis must sort behind everything that exists; stability settles ties.
        let tails = self.tails(&[axis]);
        if !tails.is_empty() {
            let inside = self.bounds(&tails, axes);
            for v in vals.iter_mut().take(keys) {
                let ty = self.b.ty(*v).clone();
                let last = self.b.constant(monoid::last_in_order(ty.dtype, descending), ty);
                *v = self.b.map(ScalarOp::Select, &[inside, *v, last]);
            }
        }
        let Some(at) = axes.iter().position(|a| *a == axis) else {
            return Ok(vals.into_iter().map(|id| Val { id, axes: axes.to_vec() }).collect());
        };
        let tys: Vec<TileTy> = vals.iter().map(|v| self.b.ty(*v).clone()).collect();
        let out = self.b.push(Op::Sort { args: vals, axis: at, keys, descending }, tys);
        Ok(out.into_iter().map(|id| Val { id, axes: axes.to_vec() }).collect())
    }

    fn store(&mut self, index: usize) -> Result<()> {
        let store = self.nest.stores[index].clone();
        let mut support = self.nest.node(store.value).support.clone();
        for e in store.dynamic.iter().map(|d| d.0).chain(store.mask) {
            support.extend(self.nest.node(e).support.iter().copied());
        }
        support.extend(store.offset.terms.keys().copied().filter(|a| !self.nest.extent(*a).is(1)));
        let axes = self.ordered(&support);
        let rows: Vec<AxisId> = axes.iter().copied().filter(|a| self.nest.axes[a.0 as usize].row).collect();
        let loops = self.chunked(&rows);
        let reads: Vec<ExprId> = store.dynamic.iter().map(|d| d.0).chain(store.mask).chain([store.value]).collect();
        self.hoist(&reads, &loops)?;
        let param = self.param(store.tensor, true);
        let scattered = store.mask.is_some() || store.combine.is_some();
        self.looped(&loops, Vec::new(), &mut |this, _| {
            let v = this.value(store.value)?;
            let tile = this.spread(&v, &axes);
            if scattered {
                this.scatter(param, tile, &store, &axes)?;
                return Ok(Vec::new());
            }
            let mut view = this.view(&store.offset, &axes, &[])?;
            let mut at: Vec<ValueId> = axes.iter().map(|a| this.starts[a]).collect();
            this.lead(&mut view, &mut at, &store.dynamic)?;
            let mut full = vec![1; view.axes.len() - axes.len()];
            full.extend(this.shape(&axes));
            let tile = this.b.reshape(tile, &full);
            this.b.store(param, view, &at, tile);
            Ok(Vec::new())
        })?;
        Ok(())
    }

    /// Writes a tile at computed offsets, where the mask allows it.
    fn scatter(&mut self, param: usize, mut tile: ValueId, store: &Store, axes: &[AxisId]) -> Result<()> {
        let shape = self.shape(axes);
        let mut index = self.affine(&store.offset, axes);
        for (e, stride) in &store.dynamic {
            let v = self.value(*e)?;
            let v = self.spread(&v, axes);
            let k = self.b.size(stride);
            let k = self.b.splat(k, &shape);
            let step = self.b.map(ScalarOp::Mul, &[v, k]);
            index = self.b.map(ScalarOp::Add, &[index, step]);
        }
        let tails = self.tails(axes);
        let mut mask = if tails.is_empty() { None } else { Some(self.bounds(&tails, axes)) };
        if let Some(e) = store.mask {
            let v = self.value(e)?;
            let v = self.spread(&v, axes);
            mask = Some(match mask {
                Some(m) => self.b.map(ScalarOp::And, &[m, v]),
                None => v,
            });
        }
        if let Some(op) = store.combine {
            let ty = self.b.ty(tile).clone();
            let other = if ty.dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
            let old = self.b.push(Op::LoadAt { param, index, mask, other }, vec![ty])[0];
            self.param(store.tensor, false);
            tile = self.b.map(op, &[old, tile]);
        }
        self.b.push(Op::StoreAt { param, index, value: tile, mask }, Vec::new());
        Ok(())
    }
}
