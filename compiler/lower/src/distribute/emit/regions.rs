//! Loops and conditions of the emitted program, and the barriers between accesses. Index arithmetic found in an enclosing region is
//! reused.

use super::{Emit, Leaf, Touched};
use girih_base::{DType, Result};
use girih_simt::{self as simt, Ty, ValueId as Sv};
use girih_tile as tile;
use std::collections::BTreeMap;

impl Emit<'_> {
    /// Opens a region.
    pub fn open(&mut self) {
        self.b.begin();
        self.memo.push(BTreeMap::new());
        self.evals.push(BTreeMap::new());
    }

    /// Closes it.
    pub fn close(&mut self) -> Vec<simt::Stmt> {
        self.memo.pop();
        self.evals.pop();
        self.b.end()
    }

    /// A counted loop from 0; the body may use barriers.
    pub fn repeat(&mut self, lo: Sv, hi: Sv, step: u32, body: impl FnOnce(&mut Self, Sv) -> Result<()>) -> Result<()> {
        let index = self.b.fresh(Ty::scalar(DType::U32));
        self.open();
        self.loops += 1;
        let done = body(self, index);
        self.loops -= 1;
        let body = self.close();
        done?;
        self.b.effect(simt::Op::For { index, lo, hi, step, uniform: true, body });
        Ok(())
    }

    /// A counted loop whose bounds differ between threads.
    pub fn repeat_divergent(
        &mut self,
        lo: Sv,
        hi: Sv,
        step: u32,
        body: impl FnOnce(&mut Self, Sv) -> Result<()>,
    ) -> Result<()> {
        let index = self.b.fresh(Ty::scalar(DType::U32));
        self.open();
        let done = body(self, index);
        let body = self.close();
        done?;
        self.b.effect(simt::Op::For { index, lo, hi, step, uniform: false, body });
        Ok(())
    }

    /// A loop that `body` leaves by a `Break` that all threads reach together; the body may use barriers.
    pub fn forever(&mut self, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.open();
        self.loops += 1;
        let done = body(self);
        self.loops -= 1;
        let body = self.close();
        done?;
        self.b.effect(simt::Op::Loop(body));
        Ok(())
    }

    /// Runs `body` under a condition, or plainly when there is none.
    pub fn guarded(&mut self, cond: Option<Sv>, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let Some(cond) = cond else { return body(self) };
        self.open();
        let done = body(self);
        let then = self.close();
        done?;
        self.b.effect(simt::Op::If(cond, then, Vec::new()));
        Ok(())
    }

    /// All threads meet; what they wrote is visible.
    pub fn barrier(&mut self) {
        self.b.effect(simt::Op::Barrier);
        self.touched.fill(Touched::default());
    }

    /// Orders an access to a parameter behind earlier ones of other threads: in a tile program statements run one after
    /// the other.
    pub fn order(&mut self, param: usize, access: Touched) {
        if self.kernel.params[param].access != tile::Access::ReadWrite {
            self.touched[param].writes |= access.writes;
            return;
        }
        let seen = self.touched[param];
        let clash = (access.reads && (seen.writes || seen.atomics))
            || (access.writes && (seen.reads || seen.writes || seen.atomics))
            || (access.atomics && (seen.reads || seen.writes));
        if clash {
            self.barrier();
        }
        self.touched[param].join(access);
    }

    /// Whoever sees what an atomic operation does also sees what the program did before: its other threads are done. Elements that
    /// the program may read and write are also read before: a lock that is given back protects them. (Whole tiles of atomic updates
    /// are no locks.)
    pub fn publish(&mut self, op: &tile::Op) {
        let (tile::Op::Atomic { value, .. } | tile::Op::CompareExchange { value, .. }) = op else { return };
        let lock = self.kernel.values[value.0 as usize].ty.elements() == 1;
        if self.touched.iter().any(|t| t.writes || lock && t.reads) {
            self.barrier();
        }
    }

    /// Ends a statement: per-statement leaves and memos are dropped, scratch is free again.
    pub fn end_statement(&mut self) {
        self.over.clear();
        self.scratch.iter_mut().for_each(|s| s.busy = false);
        for leaf in self.leaves.values() {
            if let Leaf::Shared(i) = leaf {
                self.scratch[*i as usize].busy = true;
            }
        }
        if let Some(top) = self.evals.last_mut() {
            top.clear();
        }
    }
}
