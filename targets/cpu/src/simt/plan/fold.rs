//! Finds statements that run as part of another.

use super::super::scalar;
use super::super::uniform::Varies;
use super::Plan;
use crate::exec::Inner;
use crate::program::Lane;
use girih_base::DType;
use girih_simt::{Kernel, Op, Space, Stmt, ValueId};
use std::collections::BTreeMap;

impl Plan {
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
