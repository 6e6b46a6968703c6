//! Loops that need not be loops: those that make one round at the launch, and those whose rounds might as well be programs.
//!
//! The first evaluation of a kernel notes its loops; where this module finds something, the kernel is evaluated again and uses it.
//!
//! `for row in range(program_id, rows, num_programs)` hands every row to one program. Where its rounds have nothing to do with each
//! other, a grid with a program for every row does the same: neighbouring rows then run side by side, and nothing is masked or
//! carried. (Kernels are written with such loops to load ahead, which neither a GPU's scheduler nor a CPU needs from us.)

use girih_base::{Dim, Loc};
use girih_tile::{Kernel, Op, Stmt, ValueId};
use std::collections::BTreeSet;

/// A loop of the first evaluation.
pub(crate) struct Looped {
    pub loc: Loc,
    /// It makes one round at this launch.
    pub once: bool,
    /// The number of the round; the loop's first parameter.
    pub round: ValueId,
    /// The axis of the grid over which the loop is spread, and what the loop ends before.
    pub over: Option<(usize, Dim)>,
}

/// A loop whose rounds become programs.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    pub loc: Loc,
    /// The axis of the grid, and its new extent.
    pub axis: usize,
    pub count: Dim,
}

/// The loops that make one round.
pub(crate) fn once(loops: &[Looped]) -> Vec<Loc> {
    let always = |l: &Looped| loops.iter().filter(|m| m.loc == l.loc).all(|m| m.once);
    loops.iter().filter(|l| l.loc.is_known() && always(l)).map(|l| l.loc.clone()).collect()
}

/// The loop of a kernel that may be spread over the grid: nothing but the loop has an effect, its rounds load nothing that they
/// store, and rounds of one program that store to the same place do so only where rounds of two programs do too, whose order nobody
/// can rely on.
pub(crate) fn spread(kernel: &Kernel, loops: &[Looped]) -> Option<Spread> {
    let mut effects = kernel.body.stmts.iter().filter(|s| effect(s));
    let (Some(only), None) = (effects.next(), effects.next()) else { return None };
    let Op::For { init, body, .. } = &only.op else { return None };
    let round = *body.params.first().filter(|_| init.is_empty())?;
    let found = loops.iter().find(|l| l.round == round && l.loc.is_known())?;
    let (axis, count) = found.over.clone()?;
    if loops.iter().filter(|l| l.loc == found.loc).count() > 1 {
        return None;
    }
    let grid = kernel.grid.len().checked_sub(1 + axis)?;
    if kernel.grid.iter().enumerate().any(|(i, d)| i != grid && !d.is(1)) {
        return None;
    }
    // What is loaded once for many rows would be loaded for every row.
    let shared = |s: &&Stmt| loads(&s.op) || !s.op.blocks().is_empty();
    if kernel.body.stmts.iter().filter(shared).count() > 1 {
        return None;
    }
    let mut rows = Rows { kernel, round, grid, moving: BTreeSet::from([round]), programs: BTreeSet::new() };
    kernel.body.stmts.iter().for_each(|s| rows.mark(s));
    let mut stored = BTreeSet::new();
    let sound =
        body.stmts.iter().filter(|s| effect(s)).all(|s| rows.apart(s).is_some_and(|param| stored.insert(param)));
    let read = body.stmts.iter().any(|s| reads(s, &stored));
    (sound && !read).then(|| Spread { loc: found.loc.clone(), axis, count })
}

/// Whether a statement does something that is seen outside.
fn effect(s: &Stmt) -> bool {
    let own = matches!(
        s.op,
        Op::Store { .. }
            | Op::StoreAt { .. }
            | Op::Atomic { .. }
            | Op::CompareExchange { .. }
            | Op::Print(..)
            | Op::Assert(..)
            | Op::While { .. }
    );
    own || s.op.blocks().into_iter().any(|b| b.stmts.iter().any(effect))
}

fn loads(op: &Op) -> bool {
    matches!(op, Op::Load { .. } | Op::LoadAt { .. } | Op::LoadQuant { .. })
}

/// Whether a statement loads from one of these parameters.
fn reads(s: &Stmt, of: &BTreeSet<usize>) -> bool {
    let own = match &s.op {
        Op::Load { param, .. } | Op::LoadAt { param, .. } => of.contains(param),
        Op::LoadQuant { .. } => true,
        _ => false,
    };
    own || s.op.blocks().into_iter().any(|b| b.stmts.iter().any(|s| reads(s, of)))
}

struct Rows<'k> {
    kernel: &'k Kernel,
    round: ValueId,
    /// The axis of the tile grid.
    grid: usize,
    /// Values that may differ between the rounds or the programs.
    moving: BTreeSet<ValueId>,
    /// The number of the program.
    programs: BTreeSet<ValueId>,
}

impl Rows<'_> {
    fn mark(&mut self, s: &Stmt) {
        let program = matches!(s.op, Op::ProgramId(axis) if axis == self.grid);
        if program {
            self.programs.extend(&s.results);
        }
        let blocks = s.op.blocks();
        if program || loads(&s.op) || !blocks.is_empty() || s.op.operands().iter().any(|v| self.moving.contains(v)) {
            self.moving.extend(&s.results);
        }
        for block in blocks {
            self.moving.extend(&block.params);
            block.stmts.iter().for_each(|s| self.mark(s));
        }
    }

    /// The parameter, if a store writes one run of elements a round, which starts at `row * stride` and a part that is the same
    /// for all rows: if the runs of two rows overlap, so do those of neighbours, which are rows of two programs.
    fn apart(&self, s: &Stmt) -> Option<usize> {
        let Op::Store { param, view, at, value, mask: None } = &s.op else { return None };
        let shape = &self.kernel.values.get(value.0 as usize)?.ty.shape;
        let mut runs = shape.iter().zip(&view.axes).filter(|(n, _)| **n > 1);
        let run = runs.next().is_none_or(|(_, axis)| axis.stride.is(1)) && runs.next().is_none();
        let moving: Vec<_> = view.axes.iter().zip(at).filter(|(_, v)| self.moving.contains(v)).collect();
        let [(a, p), (b, r)] = moving[..] else { return None };
        let (by_program, by_round) = if *p == self.round { ((b, r), (a, p)) } else { ((a, p), (b, r)) };
        let rows = self.programs.contains(by_program.1) && *by_round.1 == self.round && a.inside && b.inside;
        let step = &by_program.0.stride * self.kernel.grid.get(self.grid)?;
        (run && rows && view.guards.is_empty() && by_round.0.stride.known_eq(&step).yes()).then_some(*param)
    }
}
