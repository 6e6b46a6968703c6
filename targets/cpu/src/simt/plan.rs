//! What instructions do at once: statements that need less than they say, and statements that run as part of another.
//!
//! An instruction passes over an array for all threads, so two statements in one pass save a pass. A load of a row that one
//! operation uses becomes that operation's operand, and an operation whose result is only stored in a row, or only put into a
//! variable, writes there (*folded* statements, which leave no instruction of their own). A folded load runs later than it was
//! written, with the instruction that it is part of; so nothing in between may write what it reads or fail before it. Buffers may
//! share memory, so a store to one is a store to all. Whether the elements read and written by one instruction overlap is seen
//! when it runs.

use super::passes::strides::{Step, Steps};
use super::rows::{Cut, Rows};
use super::scalar::{self, Kind};
use super::uniform::Varies;
use crate::exec::Inner;
use crate::program::Lane;
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

    /// Finds statements of the kernel that can be folded; call it once nothing is changed any more.
    pub fn fold(&mut self, kernel: &Kernel, varies: &Varies) {
        let mut fold = Fold { kernel, varies, uses: vec![0; kernel.values.len()], plan: self };
        fold.count(&kernel.body);
        fold.block(&kernel.body);
    }
}

struct Fold<'a> {
    kernel: &'a Kernel,
    varies: &'a Varies,
    /// Operands that a value is.
    uses: Vec<u32>,
    plan: &'a mut Plan,
}

impl Fold<'_> {
    fn count(&mut self, stmts: &[Stmt]) {
        for s in stmts {
            for v in self.plan.own(s) {
                self.uses[v.0 as usize] += 1;
            }
            if let (Op::Get(_), Some(r)) = (&s.op, s.result)
                && let Some(x) = self.varies.once[r.0 as usize]
            {
                self.uses[x.0 as usize] += 1;
            }
            s.op.blocks().into_iter().for_each(|b| self.count(b));
        }
    }

    fn block(&mut self, stmts: &[Stmt]) {
        let defined: BTreeMap<ValueId, usize> =
            stmts.iter().enumerate().filter_map(|(at, s)| Some((s.result?, at))).collect();
        for (at, s) in stmts.iter().enumerate() {
            s.op.blocks().into_iter().for_each(|b| self.block(b));
            let map = match &s.op {
                Op::Map(..) if !self.last(s, &defined, stmts) => Some(s),
                Op::Store(_, _, x) | Op::Set(_, x) => {
                    let map = defined.get(x).map(|at| (*at, &stmts[*at]));
                    let map = map.filter(|(_, map)| matches!(map.op, Op::Map(..)) && self.goes_to(map, s));
                    if let Some((at, map)) = map {
                        self.plan.folded.insert(*x, (at, map.clone()));
                    }
                    map.map(|(_, map)| map)
                }
                _ => None,
            };
            if let Some(map) = map {
                self.loads(map, at, stmts, &defined);
            }
        }
    }

    /// Whether a later statement of the block takes the operation in.
    fn last(&self, map: &Stmt, defined: &BTreeMap<ValueId, usize>, stmts: &[Stmt]) -> bool {
        let Some(r) = map.result else { return false };
        let after = defined.get(&r).map_or(0, |at| at + 1);
        self.uses[r.0 as usize] == 1 && stmts[after..].iter().any(|s| self.goes_to(map, s))
    }

    /// Folds loads of rows that only this operation uses, which runs with the statement at `end`.
    fn loads(&mut self, map: &Stmt, end: usize, stmts: &[Stmt], defined: &BTreeMap<ValueId, usize>) {
        if !self.varied(map) {
            return;
        }
        let mut loads: Vec<(ValueId, usize)> =
            self.plan.own(map).into_iter().filter_map(|v| Some((v, *defined.get(&v)?))).collect();
        // From the last to the first, so that those after one are known to be folded, too.
        loads.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
        let mut taken = Vec::new();
        for (v, at) in loads {
            let quiet = stmts[at + 1..end].iter().all(|s| s.result.is_some_and(|r| taken.contains(&r)) || quiet(s));
            if self.uses[v.0 as usize] == 1 && self.row(&stmts[at]) && quiet {
                self.plan.folded.insert(v, (at, stmts[at].clone()));
                taken.push(v);
            }
        }
    }

    /// Whether a statement is a load of a row of plain elements.
    fn row(&self, s: &Stmt) -> bool {
        match s.op {
            Op::Load(space, i) => self.plain(space) && self.plan.index(space, i).is_some(),
            _ => false,
        }
    }

    /// Whether memory holds elements as registers do, one component each.
    fn plain(&self, space: Space) -> bool {
        let elem = match space {
            Space::Buffer(i) => self.kernel.buffers[i as usize].elem,
            Space::Shared(i) => self.kernel.shared[i as usize].elem,
            Space::Local(_) => return false,
        };
        elem.lanes == 1 && Lane::is_memory(elem.dtype)
    }

    /// Whether the operation is a vectorised loop over an element for each thread.
    fn varied(&self, map: &Stmt) -> bool {
        let (Op::Map(op, args), Some(r)) = (&map.op, map.result) else { return false };
        let ty = |v: &ValueId| self.kernel.values[v.0 as usize].ty;
        let dtypes: Vec<DType> = args.iter().map(|v| ty(v).dtype).collect();
        let loop_exists = self.plan.pick(r).is_some() || Inner::of(*op, &dtypes).plain();
        (1..=3).contains(&args.len())
            && self.varies.values[r.0 as usize]
            && ty(&r).lanes == 1
            && args.iter().all(|v| ty(v).lanes == 1)
            && loop_exists
    }

    /// Whether the operation's result only goes to that statement, which can take it as it comes.
    fn goes_to(&self, map: &Stmt, s: &Stmt) -> bool {
        let Some(r) = map.result else { return false };
        let only = self.uses[r.0 as usize] == 1;
        match &s.op {
            Op::Store(space, i, x) if *x == r => {
                only && self.varied(map) && self.plain(*space) && self.plan.index(*space, *i).is_some()
            }
            Op::Set(i, x) if *x == r => {
                let each = self.varies.locals[*i as usize];
                only && if each { self.varied(map) } else { scalar::of(self.kernel, self.varies, map).is_some() }
            }
            _ => false,
        }
    }
}

/// Whether a statement neither writes memory nor fails nor leads elsewhere.
fn quiet(s: &Stmt) -> bool {
    !matches!(
        s.op,
        Op::Load(..)
            | Op::Store(..)
            | Op::Atomic(..)
            | Op::CompareExchange(..)
            | Op::ComponentAt(..)
            | Op::Assert(..)
            | Op::If(..)
            | Op::For { .. }
            | Op::Loop(_)
            | Op::Break
            | Op::Continue
            | Op::Return
    )
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
