//! Indices that wrap around (`rows % M`): where what is loaded through a wrapped index is never stored, it need not be loaded.
//!
//! `(pid * BLOCK + arange) % M` keeps the last block's loads inside the buffer without a mask, and a mask on the store drops what
//! they gave. Such a remainder stands in the way of everything: offsets are no sums any more. This pass finds remainders whose
//! elements beyond the divisor reach no memory; the kernel is then evaluated again with the plain index, and loads bounded by the
//! divisor instead.

use crate::affine::{Affine, Cond};
use girih_base::{Dim, Loc, ScalarOp};
use girih_tile::{Block, Kernel, Op, Stmt, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// A remainder: `x % bound`, where `x` grows by 1 along one axis and is the same along the others.
pub(crate) struct Wrapped {
    pub result: ValueId,
    pub loc: Loc,
    pub x: Affine,
    pub axis: usize,
    pub bound: Dim,
}

/// A store: its value, and where its mask holds.
pub(crate) struct Sink {
    pub value: ValueId,
    pub conds: Vec<Cond>,
}

/// Where the remainders are that need not wrap.
pub(crate) fn needless(kernel: &Kernel, wrapped: &[Wrapped], sinks: &[Sink]) -> Vec<Loc> {
    let mut verdicts: Vec<(&Loc, bool)> = Vec::new();
    for w in wrapped {
        let seen = !unobserved(kernel, w, sinks);
        match verdicts.iter_mut().find(|(loc, _)| *loc == &w.loc) {
            Some((_, needed)) => *needed |= seen,
            None => verdicts.push((&w.loc, seen)),
        }
    }
    verdicts.into_iter().filter(|(loc, needed)| !needed && loc.is_known()).map(|(loc, _)| loc.clone()).collect()
}

/// The axes along which a value depends on a remainder, and whether memory came between.
#[derive(Clone, Debug, Default, PartialEq)]
struct Mark {
    axes: BTreeSet<usize>,
    loaded: bool,
}

/// Whether elements beyond the bound are neither stored nor used to find others.
fn unobserved(kernel: &Kernel, w: &Wrapped, sinks: &[Sink]) -> bool {
    let mut walk = Walk { kernel, w, sinks, marks: BTreeMap::new(), changed: true };
    let start = Mark { axes: BTreeSet::from([w.axis]), loaded: false };
    walk.marks.insert(w.result, start);
    // Marks only grow; loops carry them round.
    while std::mem::take(&mut walk.changed) {
        if walk.block(&kernel.body).is_none() {
            return false;
        }
    }
    true
}

struct Walk<'k> {
    kernel: &'k Kernel,
    w: &'k Wrapped,
    sinks: &'k [Sink],
    marks: BTreeMap<ValueId, Mark>,
    changed: bool,
}

impl Walk<'_> {
    /// `None` where an element beyond the bound may be seen.
    fn block(&mut self, block: &Block) -> Option<()> {
        block.stmts.iter().try_for_each(|s| self.stmt(s))
    }

    fn stmt(&mut self, s: &Stmt) -> Option<()> {
        let result = s.results.first().copied();
        let marked = |w: &Self, v: &ValueId| w.marks.contains_key(v);
        match &s.op {
            Op::Map(_, args) => args.iter().try_for_each(|v| self.pass(*v, result?, Some)),
            Op::Cast(x) | Op::Bitcast(x) => self.pass(*x, result?, Some),
            Op::Permute(x, perm) => self.pass(*x, result?, |a| perm.iter().position(|p| *p == a)),
            Op::Broadcast(x, axes) => self.pass(*x, result?, |a| axes.get(a).copied()),
            Op::Reshape(x) => {
                let shape = |v: ValueId| &self.kernel.values[v.0 as usize].ty.shape;
                let (from, to) = (shape(*x).clone(), shape(result?).clone());
                self.pass(*x, result?, |a| moved(&from, &to, a))
            }
            Op::Dot { a, b, acc } => {
                let r = result?;
                self.pass(*a, r, |axis| (axis == 0).then_some(0))?;
                self.pass(*b, r, |axis| (axis == 1).then_some(1))?;
                acc.map_or(Some(()), |acc| self.pass(acc, r, Some))
            }
            Op::LoadAt { index, mask, .. } => {
                for v in std::iter::once(index).chain(mask) {
                    let Some(mark) = self.marks.get(v).cloned() else { continue };
                    if mark.loaded {
                        return None;
                    }
                    self.mark(result?, Mark { loaded: true, ..mark });
                }
                Some(())
            }
            Op::Store { at, value, mask, .. } => {
                let others = at.iter().chain(mask).any(|v| marked(self, v));
                if others { None } else { self.stored(*value) }
            }
            Op::For { lo, hi, init, body, .. } => {
                if marked(self, lo) || marked(self, hi) {
                    return None;
                }
                let params = &body.params[1..];
                self.region(init, params, body, &body.results, params)?;
                self.copy(params, &s.results);
                Some(())
            }
            Op::If { cond, then, otherwise } => {
                if marked(self, cond) {
                    return None;
                }
                for b in [then, otherwise] {
                    self.block(b)?;
                    self.copy(&b.results, &s.results);
                }
                Some(())
            }
            op => {
                let inside = op.blocks().into_iter().any(|b| self.mentions(b));
                let any = inside || op.operands().iter().any(|v| marked(self, v));
                if any { None } else { Some(()) }
            }
        }
    }

    /// A loop's body, between what comes in and what goes round.
    fn region(
        &mut self,
        init: &[ValueId],
        params: &[ValueId],
        body: &Block,
        next: &[ValueId],
        round: &[ValueId],
    ) -> Option<()> {
        self.copy(init, params);
        self.block(body)?;
        self.copy(next, round);
        Some(())
    }

    /// Whether anything in a region depends on the remainder.
    fn mentions(&self, block: &Block) -> bool {
        let one = |s: &Stmt| {
            s.op.operands().iter().any(|v| self.marks.contains_key(v))
                || s.op.blocks().into_iter().any(|b| self.mentions(b))
        };
        block.results.iter().any(|v| self.marks.contains_key(v)) || block.stmts.iter().any(one)
    }

    fn copy(&mut self, from: &[ValueId], to: &[ValueId]) {
        for (f, t) in from.iter().zip(to) {
            if let Some(mark) = self.marks.get(f).cloned() {
                self.mark(*t, mark);
            }
        }
    }

    /// The mark of an operand on a result; `None` where a marked axis does not survive.
    fn pass(&mut self, from: ValueId, to: ValueId, axis: impl Fn(usize) -> Option<usize>) -> Option<()> {
        let Some(mark) = self.marks.get(&from).cloned() else { return Some(()) };
        let axes = mark.axes.iter().map(|a| axis(*a)).collect::<Option<BTreeSet<usize>>>()?;
        self.mark(to, Mark { axes, ..mark });
        Some(())
    }

    fn mark(&mut self, v: ValueId, mark: Mark) {
        let old = self.marks.entry(v).or_default();
        let before = old.clone();
        old.axes.extend(mark.axes);
        old.loaded |= mark.loaded;
        self.changed |= *old != before;
    }

    /// A store must leave out what lies beyond the bound, along every marked axis.
    fn stored(&self, value: ValueId) -> Option<()> {
        let Some(mark) = self.marks.get(&value) else { return Some(()) };
        let mut stores = self.sinks.iter().filter(|s| s.value == value).peekable();
        stores.peek()?;
        let guarded = |s: &Sink| {
            let rank = self.kernel.values[s.value.0 as usize].ty.shape.len();
            // Axes of run-time offsets come before those of the store's own tile.
            mark.axes.iter().all(|axis| s.conds.iter().any(|c| self.implies(c, rank, *axis)))
        };
        stores.all(guarded).then_some(())
    }

    /// Whether the condition is `x < bound` along that axis.
    fn implies(&self, c: &Cond, rank: usize, axis: usize) -> bool {
        let Cond::Below(left, bound) = c else { return false };
        let Some(axis) = (axis + left.strides.len()).checked_sub(rank) else { return false };
        let along = left.strides.iter().enumerate().all(|(i, s)| if i == axis { s.is(1) } else { s.is(0) });
        let apart = left.base.sub(&self.w.x.base);
        along && apart.dim().is_some_and(|d| d == bound - &self.w.bound)
    }
}

/// Where an axis goes when only axes of extent 1 come and go.
fn moved(from: &[u32], to: &[u32], axis: usize) -> Option<usize> {
    let real = |s: &[u32]| -> Vec<usize> { (0..s.len()).filter(|i| s[*i] != 1).collect() };
    let (f, t) = (real(from), real(to));
    let same = f.iter().map(|i| from[*i]).eq(t.iter().map(|i| to[*i]));
    let at = f.iter().position(|i| *i == axis)?;
    if same { t.get(at).copied() } else { None }
}

/// A remainder's zero in the second evaluation: an atom of every sum that the plain index is part of. Loads take it out and add
/// the bound; if code is left that uses it, the index went elsewhere, and the first evaluation counts.
pub(crate) struct Zero {
    pub x: Affine,
    pub bound: Dim,
}

/// The remainder's index as a sum that grows by 1 along one axis, if it is one.
pub(crate) fn index(op: ScalarOp, x: Option<&Affine>, by: Option<&Affine>) -> Option<(Affine, usize, Dim)> {
    let (x, by) = (x?, by?);
    if op != ScalarOp::Rem || !by.is_uniform() || !x.wrapped.is_empty() {
        return None;
    }
    let bound = by.base.dim().filter(|d| d.bounds().0 >= 0)?;
    let mut moving = (0..x.strides.len()).filter(|i| !x.strides[*i].is(0));
    let axis = moving.next().filter(|i| x.strides[*i].is(1))?;
    moving.next().is_none().then(|| (x.clone(), axis, bound))
}
