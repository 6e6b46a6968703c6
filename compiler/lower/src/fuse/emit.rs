//! From a scheduled nest to a tile kernel.
//!
//! Values are emitted once per scope: opening a loop opens a scope, and what does not depend on the loop's axis is
//! emitted before it.

mod access;
mod coords;
mod folds;
mod loops;
mod product;

use super::affine::AxisId;
use super::nest::{Expr, ExprId, Nest};
use super::schedule::Schedule;
use girih_base::{DType, Diag, Dim, Result, ScalarOp};
use girih_graph::NodeId;
use girih_tile::{Access, Builder, Kernel, Literal, TileTy, ValueId};
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
    /// The axes whose loops are open here.
    open: BTreeSet<AxisId>,
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
        open: BTreeSet::new(),
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
        if axes.iter().any(|a| self.is_ahead(*a)) {
            return Err(Diag::error("L004", "a value was asked for outside the loop that computes it"));
        }
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
}
