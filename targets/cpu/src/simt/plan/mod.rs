//! What instructions do at once: statements that need less than they say, and statements that run as part of another.
//!
//! An instruction passes over an array for all threads, so two statements in one pass save a pass. A load of a row that one
//! operation uses becomes that operation's operand, and an operation whose result is only stored in a row, or only put into a
//! variable, writes there (*folded* statements, which leave no instruction of their own). A folded load runs later than it was
//! written, with the instruction that it is part of; so nothing in between may write what it reads or fail before it. Buffers may
//! share memory, so a store to one is a store to all. Whether the elements read and written by one instruction overlap is seen
//! when it runs.

mod fold;

use super::passes::strides::{Step, Steps};
use super::rows::{Cut, Rows};
use super::scalar::{self, Kind};
use super::uniform::Varies;
use crate::simd::pick::Pick;
use girih_base::{DType, ScalarOp};
use girih_simt::{Kernel, Op, Space, Stmt, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// What the instructions of a kernel are made of.
pub(super) struct Plan {
    rows: Rows,
    steps: Steps,
    picks: BTreeMap<ValueId, (Pick, [ValueId; 2])>,
    /// Sums of two words that are the same in all threads.
    sums: BTreeMap<ValueId, [ValueId; 2]>,
    early: BTreeSet<ValueId>,
    /// With their places in their blocks.
    folded: BTreeMap<ValueId, (usize, Stmt)>,
}

impl Plan {
    /// Finds everything but folded statements.
    pub fn new(kernel: &Kernel, varies: &Varies, steps: Steps) -> Plan {
        let mut definitions = BTreeMap::new();
        super::passes::strides::define(&kernel.body, &mut definitions);
        let found = definitions.iter().filter_map(|(r, op)| Some((*r, pick(kernel, &definitions, op)?)));
        let mut plan = Plan {
            rows: Rows::new(kernel, varies),
            steps,
            picks: found.collect(),
            sums: BTreeMap::new(),
            early: BTreeSet::new(),
            folded: BTreeMap::new(),
        };
        plan.words(kernel, varies, &kernel.body, &mut BTreeSet::new());
        plan
    }

    /// The row that an index of memory shared by the threads is: the values, up to two, whose sum it is in thread 0.
    pub fn index(&self, space: Space, index: ValueId) -> Option<Vec<ValueId>> {
        let base = self.rows.index(space, index)?;
        Some(base.map_or_else(Vec::new, |v| self.sums.get(&v).map_or_else(|| vec![v], |sum| sum.to_vec())))
    }

    /// Whether the value depends on sizes only, and is computed before the first workgroup.
    pub fn early(&self, v: ValueId) -> bool {
        self.early.contains(&v)
    }

    /// Finds sums of words, and what depends on sizes only: `known` values do.
    fn words(&mut self, kernel: &Kernel, varies: &Varies, stmts: &[Stmt], known: &mut BTreeSet<ValueId>) {
        for s in stmts {
            if let Some(r) = s.result {
                match &s.op {
                    Op::Const(_) | Op::Uniform(_) => _ = known.insert(r),
                    // A view.
                    Op::Bitcast(x) if known.contains(x) => _ = known.insert(r),
                    Op::Map(op, args) => {
                        let kind = scalar::of(kernel, varies, s);
                        if kind.is_some() && args.iter().all(|v| known.contains(v)) {
                            known.insert(r);
                            self.early.insert(r);
                        } else if kind.is_some_and(|k| k != Kind::Bool) && *op == ScalarOp::Add {
                            self.sums.insert(r, [args[0], args[1]]);
                        }
                    }
                    _ => {}
                }
            }
            s.op.blocks().into_iter().for_each(|b| self.words(kernel, varies, b, known));
        }
    }

    /// The cut that a condition is.
    pub fn cut(&self, cond: ValueId) -> Option<Cut> {
        self.rows.cut(cond)
    }

    /// How the counter of a loop goes up; `fixed` unless it is one of those that stride.
    pub fn step(&self, index: ValueId, fixed: u32) -> Step {
        self.steps.get(&index).copied().unwrap_or(Step::Fixed(fixed))
    }

    /// Whether the counter is the one of a loop that strides.
    pub fn strides(&self, index: ValueId) -> bool {
        self.steps.contains_key(&index)
    }

    /// The choice between two numbers that a value is.
    pub fn pick(&self, v: ValueId) -> Option<(Pick, [ValueId; 2])> {
        self.picks.get(&v).copied()
    }

    /// The statement with that result, if it is folded.
    pub fn folded(&self, v: ValueId) -> Option<&Stmt> {
        self.folded.get(&v).map(|(_, s)| s)
    }

    /// Where in its block a folded statement stands.
    pub fn place(&self, v: ValueId) -> Option<usize> {
        self.folded.get(&v).map(|(at, _)| *at)
    }

    /// The values that the instruction of a statement reads, those of statements folded into it included; none for a folded one.
    pub fn operands(&self, s: &Stmt) -> Vec<ValueId> {
        if s.result.is_some_and(|r| self.folded.contains_key(&r)) { Vec::new() } else { self.reads(s) }
    }

    fn reads(&self, s: &Stmt) -> Vec<ValueId> {
        let own = self.own(s);
        if self.folded.is_empty() {
            return own;
        }
        own.into_iter().flat_map(|v| self.folded(v).map_or_else(|| vec![v], |s| self.reads(s))).collect()
    }

    /// Without regard to folded statements.
    fn own(&self, s: &Stmt) -> Vec<ValueId> {
        let of = |row: Vec<ValueId>, more: Option<ValueId>| row.into_iter().chain(more).collect();
        let found = match &s.op {
            Op::Load(space, i) => self.index(*space, *i).map(|row| of(row, None)),
            Op::Store(space, i, x) => self.index(*space, *i).map(|row| of(row, Some(*x))),
            Op::If(cond, ..) => self.cut(*cond).map(|cut| cut.row.into_iter().chain([cut.bound]).collect()),
            Op::Map(..) => s.result.and_then(|r| self.pick(r)).map(|(_, args)| args.to_vec()),
            Op::For { index, lo, hi, .. } => match self.steps.get(index) {
                Some(Step::Value(step)) => Some(vec![*lo, *hi, *step]),
                _ => None,
            },
            _ => None,
        };
        found.unwrap_or_else(|| s.op.operands())
    }
}

/// Recognises `a < b ? b : a`, `a < b || isnan(a) ? b : a`, and the same with `>`.
fn pick(kernel: &Kernel, definitions: &BTreeMap<ValueId, &Op>, op: &Op) -> Option<(Pick, [ValueId; 2])> {
    let Op::Map(ScalarOp::Select, args) = op else { return None };
    let [cond, b, a] = args[..] else { return None };
    let ty = |v: ValueId| kernel.values[v.0 as usize].ty;
    if ty(a).dtype != DType::F32 || ty(a).lanes != 1 {
        return None;
    }
    let map = |v: ValueId| match definitions.get(&v) {
        Some(Op::Map(op, args)) => Some((*op, &args[..])),
        _ => None,
    };
    let compared = |v: ValueId| {
        Some(match map(v)? {
            (ScalarOp::Lt, [x, y]) if (*x, *y) == (a, b) => true,
            (ScalarOp::Gt, [x, y]) if (*x, *y) == (b, a) => true,
            (ScalarOp::Gt, [x, y]) if (*x, *y) == (a, b) => false,
            (ScalarOp::Lt, [x, y]) if (*x, *y) == (b, a) => false,
            _ => return None,
        })
    };
    let nan = |v: ValueId| matches!(map(v), Some((ScalarOp::IsNan, [x])) if *x == a);
    let (larger, number) = match map(cond)? {
        (ScalarOp::Or, [x, y]) if nan(*y) => (compared(*x)?, true),
        (ScalarOp::Or, [x, y]) if nan(*x) => (compared(*y)?, true),
        _ => (compared(cond)?, false),
    };
    Some((Pick { larger, number }, [a, b]))
}
