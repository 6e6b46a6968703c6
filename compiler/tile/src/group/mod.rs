//! Several neighbouring instances of a kernel as one: values that differ between them get a leading axis.
//!
//! An instance of a kernel that works on one row of a thousand elements costs an executor more in bookkeeping than in
//! arithmetic. Instances run in no particular order, so `n` of them may take every step together. What is the same for all is
//! computed once. The pass gives up where instances may go different ways, multiply matrices, or reach memory at places whose
//! distance from one instance to the next is not known.

mod facts;
mod memory;
mod regions;

use crate::build::Builder;
use crate::clean::clean;
use crate::ir::{Block, Kernel, Stmt, TileTy, ValueId};
use crate::op::{Literal, Op};
use crate::verify::MAX_RANK;
use facts::Facts;
use girih_base::{DType, Dim, ScalarOp};
use std::collections::BTreeMap;

/// A kernel whose instance `g` does what instances `g * count .. (g + 1) * count` of another do, counted along the last grid
/// axis, provided that the conditions hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The kernel. Instances that do not fill a group are left out: its grid is rounded down.
    pub kernel: Kernel,
    /// Number of instances in a group.
    pub count: u32,
    /// Condition: all elements of this value `[count]` are the same (numbers of rounds of loops, conditions of branches).
    pub agree: Vec<ValueId>,
    /// Condition: this i32 scalar, a coordinate of the first instance, plus that distance to the last one's is an i32.
    pub spans: Vec<(ValueId, Dim)>,
    /// An instance may be stopped anywhere and run again: it loads nothing that it stores, and updates nothing. Otherwise all
    /// conditions are found out before anything is written.
    pub restartable: bool,
}

/// Puts `count` instances (two or more) together, if that can be done.
pub fn group(kernel: &Kernel, count: u32) -> Option<Group> {
    if count < 2 || kernel.grid.is_empty() {
        return None;
    }
    let mut g = Grouper {
        old: kernel,
        facts: Facts::new(kernel),
        count,
        b: Builder::new(),
        one: vec![None; kernel.values.len()],
        lanes: vec![None; kernel.values.len()],
        spread: vec![BTreeMap::new()],
        agree: Vec::new(),
        spans: Vec::new(),
        restartable: memory::restartable(kernel),
        written: false,
        late: false,
    };
    g.stmts(&kernel.body)?;
    if g.late || g.spans.iter().any(|(_, d)| d.is_too_large()) {
        return None;
    }
    let (mut agree, mut spans, restartable) = (g.agree, g.spans, g.restartable);
    let mut grid = kernel.grid.clone();
    let last = grid.last_mut()?;
    *last = last.floor_div(&Dim::from(count));
    let mut kernel = Kernel {
        params: kernel.params.clone(),
        scalars: kernel.scalars.clone(),
        ..g.b.finish(kernel.name.clone(), grid)
    };
    let conditions: Vec<ValueId> = agree.iter().copied().chain(spans.iter().map(|(v, _)| *v)).collect();
    let names = clean(&mut kernel, &conditions);
    let new = |v: &mut ValueId| *v = names[v.0 as usize].unwrap_or(*v);
    agree.iter_mut().for_each(new);
    spans.iter_mut().for_each(|(v, _)| new(v));
    Some(Group { kernel, count, agree, spans, restartable })
}

/// The new kernel while it grows.
struct Grouper<'a> {
    old: &'a Kernel,
    facts: Facts,
    count: u32,
    b: Builder,
    /// For each old value the new one that it is: in all instances, or (where it differs by a known distance) in the first.
    one: Vec<Option<ValueId>>,
    /// For each old value that differs, the tile of all instances'.
    lanes: Vec<Option<ValueId>>,
    /// New values repeated for every instance, for each open region.
    spread: Vec<BTreeMap<ValueId, ValueId>>,
    agree: Vec<ValueId>,
    spans: Vec<(ValueId, Dim)>,
    restartable: bool,
    /// Something may have been written before this point.
    written: bool,
    /// A condition is found out too late.
    late: bool,
}

impl Grouper<'_> {
    fn ty(&self, v: ValueId) -> &TileTy {
        &self.old.values[v.0 as usize].ty
    }

    fn varies(&self, v: ValueId) -> bool {
        self.facts.varies(v)
    }

    /// Whether a condition may be found out here: where it does not hold, the instances start again, one by one.
    fn in_time(&self) -> bool {
        self.restartable || !self.written && self.spread.len() == 1
    }

    /// Appends an operation with one result.
    fn push(&mut self, op: Op, ty: TileTy) -> ValueId {
        self.b.push(op, vec![ty])[0]
    }

    /// The type of a value with the axis of instances.
    fn wide(&self, ty: &TileTy) -> TileTy {
        TileTy { dtype: ty.dtype, shape: std::iter::once(self.count).chain(ty.shape.iter().copied()).collect() }
    }

    /// The value that is the same in all instances, or the first one's.
    fn one(&self, v: ValueId) -> Option<ValueId> {
        self.one[v.0 as usize]
    }

    /// The tile of all instances' values.
    fn lanes(&mut self, v: ValueId) -> Option<ValueId> {
        if self.varies(v) {
            return self.lanes[v.0 as usize];
        }
        let one = self.one(v)?;
        if let Some(known) = self.spread.iter().find_map(|m| m.get(&one)) {
            return Some(*known);
        }
        let ty = self.ty(v).clone();
        let op = match ty.shape.len() {
            0 => Op::Splat(one),
            rank if rank < MAX_RANK => Op::Broadcast(one, (1..=rank).collect()),
            _ => return None,
        };
        let wide = self.wide(&ty);
        let all = self.push(op, wide);
        if let Some(open) = self.spread.last_mut() {
            open.insert(one, all);
        }
        Some(all)
    }

    fn define_one(&mut self, old: ValueId, new: ValueId) {
        self.b.name(new, self.old.values[old.0 as usize].name.clone());
        let moves = self.facts.moves(old);
        self.one[old.0 as usize] = Some(if moves { self.checked(old, new) } else { new });
    }

    fn define_lanes(&mut self, old: ValueId, new: ValueId) {
        self.b.name(new, self.old.values[old.0 as usize].name.clone());
        self.lanes[old.0 as usize] = Some(new);
    }

    fn stmts(&mut self, block: &Block) -> Option<()> {
        block.stmts.iter().try_for_each(|s| self.stmt(s))
    }

    fn stmt(&mut self, s: &Stmt) -> Option<()> {
        self.b.set_loc(s.loc.clone());
        match &s.op {
            Op::For { .. } | Op::While { .. } | Op::If { .. } => self.control(s),
            Op::Load { .. }
            | Op::LoadQuant { .. }
            | Op::LoadAt { .. }
            | Op::Store { .. }
            | Op::StoreAt { .. }
            | Op::Atomic { .. } => self.memory(s),
            Op::ProgramId(axis) => {
                self.program_id(s, *axis);
                Some(())
            }
            Op::Reduce { .. } | Op::Scan { .. } => self.fold(s),
            Op::Const(_)
            | Op::Size(_)
            | Op::Scalar(_)
            | Op::Map(..)
            | Op::Cast(_)
            | Op::Bitcast(_)
            | Op::Splat(_)
            | Op::Arange(_)
            | Op::Reshape(_)
            | Op::Permute(..)
            | Op::Broadcast(..)
            | Op::Sort { .. }
            | Op::Dot { .. } => self.pure(s),
            _ => None,
        }
    }

    fn program_id(&mut self, s: &Stmt, axis: usize) {
        let (scalar, lanes) = (TileTy::scalar(DType::I32), TileTy::new(DType::I32, [self.count]));
        let id = self.push(Op::ProgramId(axis), scalar.clone());
        if axis + 1 != self.old.grid.len() {
            return self.define_one(s.results[0], id);
        }
        let count = self.push(Op::Const(Literal::Int(self.count as i64)), scalar.clone());
        let first = self.push(Op::Map(ScalarOp::Mul, vec![id, count]), scalar);
        self.define_one(s.results[0], first);
        let (all, each) = (self.push(Op::Splat(first), lanes.clone()), self.push(Op::Arange(0), lanes.clone()));
        let all = self.push(Op::Map(ScalarOp::Add, vec![all, each]), lanes);
        self.define_lanes(s.results[0], all);
    }

    /// An operation without regions that reads and writes no memory.
    fn pure(&mut self, s: &Stmt) -> Option<()> {
        let operands = s.op.operands();
        if operands.iter().all(|v| self.one(*v).is_some()) && s.results.iter().all(|r| self.facts.has_one(*r)) {
            let mut op = s.op.clone();
            op.map_operands(&mut |v| self.one[v.0 as usize].unwrap_or(v));
            let tys = s.results.iter().map(|r| self.ty(*r).clone()).collect();
            let new = self.b.push(op, tys);
            s.results.iter().zip(new).for_each(|(old, new)| self.define_one(*old, new));
        }
        if !s.results.iter().any(|r| self.varies(*r)) {
            return s.results.iter().all(|r| self.one(*r).is_some()).then_some(());
        }
        let args = operands.iter().map(|v| self.lanes(*v)).collect::<Option<Vec<_>>>()?;
        let moved = |axes: &[usize]| std::iter::once(0).chain(axes.iter().map(|a| a + 1)).collect::<Vec<_>>();
        let op = match &s.op {
            Op::Map(op, _) => Op::Map(*op, args),
            Op::Cast(_) => Op::Cast(args[0]),
            Op::Bitcast(_) => Op::Bitcast(args[0]),
            Op::Reshape(_) => Op::Reshape(args[0]),
            Op::Splat(_) => Op::Broadcast(args[0], vec![0]),
            Op::Permute(_, perm) => Op::Permute(args[0], moved(perm)),
            Op::Broadcast(_, axes) => Op::Broadcast(args[0], moved(axes)),
            Op::Sort { axis, keys, descending, .. } => {
                Op::Sort { args, axis: axis + 1, keys: *keys, descending: *descending }
            }
            _ => return None,
        };
        self.wide_results(s, op)
    }

    /// Appends the operation on all instances' values.
    fn wide_results(&mut self, s: &Stmt, op: Op) -> Option<()> {
        if s.results.iter().any(|r| self.ty(*r).shape.len() >= MAX_RANK) {
            return None;
        }
        let tys = s.results.iter().map(|r| self.wide(self.ty(*r))).collect();
        let new = self.b.push(op, tys);
        s.results.iter().zip(new).for_each(|(old, new)| self.define_lanes(*old, new));
        Some(())
    }
}
