//! Values computed ahead: kept in registers or arrays, or moved to workgroup memory where another layout is needed.

use crate::distribute::emit::{Emit, Idx, Leaf, Part, UNROLL};
use crate::distribute::layout::{Layout, linear_of};
use crate::distribute::plan::{pulled, pure};
use girih_base::{Diag, Result};
use girih_simt::{Space, Ty};
use girih_tile::{Op, ValueId as Tv};
use std::collections::BTreeSet;

impl Emit<'_> {
    /// Makes sure `v` can be evaluated in layout `l` inside loops and without barriers: converts through workgroup
    /// memory or spills to an array what cannot be read as it is, and computes the thread's part of addresses.
    pub fn prepare(&mut self, v: Tv, l: &Layout, dynamic: bool) -> Result<()> {
        self.prepare_new(v, l, dynamic, &mut BTreeSet::new())
    }

    /// The same but for what is in `done`: operands are shared, so that the paths to them can be exponentially many.
    fn prepare_new(&mut self, v: Tv, l: &Layout, dynamic: bool, done: &mut BTreeSet<(Tv, Layout)>) -> Result<()> {
        if !done.insert((v, l.clone())) {
            return Ok(());
        }
        match self.over.get(&v).or(self.leaves.get(&v)).cloned() {
            Some(Leaf::Shared(_)) => return Ok(()),
            Some(Leaf::Regs(held, _)) if held.reg.is_empty() && held.lane.iter().all(Option::is_none) => return Ok(()),
            Some(Leaf::Regs(held, _) | Leaf::Array(held, _)) if !l.readable_from(&held) => {
                if !self.large_load(v) {
                    return self.stage(v);
                }
                self.over.insert(v, Leaf::Again);
            }
            Some(Leaf::Regs(held, values)) if dynamic && held.vectors() > 1 => {
                let ty = self.b.ty(values[0]);
                let array = self.b.local("spilled", ty, Some(values.len() as u32));
                for (i, x) in values.iter().enumerate() {
                    let at = self.uint(i as u32);
                    self.b.store(Space::Local(array), at, *x);
                }
                self.over.insert(v, Leaf::Array(held, array));
                return Ok(());
            }
            Some(Leaf::Again) | None => {}
            Some(_) => return Ok(()),
        }
        let Some(stmt) = self.plan.defs.get(&v).copied() else { return Ok(()) };
        match &stmt.op {
            Op::Load { view, at, mask, .. } => {
                self.address(view, at, l)?;
                mask.iter().try_for_each(|m| self.prepare_new(*m, l, dynamic, done))
            }
            Op::LoadQuant { at, .. } => {
                for (axis, at) in at.iter().enumerate() {
                    self.coordinate_base(*at, l, axis)?;
                }
                Ok(())
            }
            Op::Splat(_) | Op::Const(_) => Ok(()),
            op => {
                // What is computed from several values that must move is moved itself, from the layout it is planned in.
                let own = *l == self.plan.layout[v.0 as usize];
                if !own && matches!(op, Op::Map(..)) && self.moved(v, l, &mut BTreeSet::new()) > 1 {
                    return self.stage(v);
                }
                for x in op.operands() {
                    let pull = pulled(op, l, &self.bits(x), &self.bits(v));
                    self.prepare_new(x, &pull, dynamic, done)?;
                }
                Ok(())
            }
        }
    }

    /// Whether a value is a load, from memory that nobody writes, of so many elements that workgroup memory is scarce for them: it is
    /// loaded once more in another layout.
    fn large_load(&self, v: Tv) -> bool {
        let bytes = 4u64 << self.plan.bits[v.0 as usize].iter().sum::<u8>();
        bytes > self.desc.workgroup_bytes as u64 / 4
            && self.plan.defs.get(&v).is_some_and(|s| matches!(s.op, Op::Load { .. }) && pure(self.kernel, &s.op))
    }

    /// How many values would move through workgroup memory for `v` to be evaluated in layout `l`; those of one axis do not count.
    fn moved(&self, v: Tv, l: &Layout, done: &mut BTreeSet<(Tv, Layout)>) -> usize {
        if !done.insert((v, l.clone())) {
            return 0;
        }
        let full = |v: Tv| self.plan.bits[v.0 as usize].iter().filter(|b| **b > 0).count() > 1;
        match self.over.get(&v).or(self.leaves.get(&v)) {
            Some(Leaf::Regs(held, _) | Leaf::Array(held, _)) => {
                return (full(v) && !l.readable_from(held) && !self.large_load(v)) as usize;
            }
            Some(Leaf::Shared(_)) => return 0,
            Some(Leaf::Again) | None => {}
        }
        let Some(stmt) = self.plan.defs.get(&v).copied() else { return 0 };
        match &stmt.op {
            op
            @ (Op::Map(..) | Op::Cast(_) | Op::Bitcast(_) | Op::Reshape(_) | Op::Permute(..) | Op::Broadcast(..)) => {
                let one = |x: &Tv| {
                    let pull = pulled(op, l, &self.bits(*x), &self.bits(v));
                    self.moved(*x, &pull, done)
                };
                op.operands().iter().map(one).sum()
            }
            _ => 0,
        }
    }

    /// Copies a value to workgroup memory for the rest of the statement.
    pub fn stage(&mut self, v: Tv) -> Result<()> {
        self.conversions += 1;
        let array = self.copy_to_shared(v)?;
        self.over.insert(v, Leaf::Shared(array));
        Ok(())
    }

    /// A row-major copy of a value in workgroup memory, visible to all threads.
    pub fn copy_to_shared(&mut self, v: Tv) -> Result<u32> {
        let held = match self.leaves.get(&v) {
            Some(Leaf::Regs(l, _) | Leaf::Array(l, _)) => l.clone(),
            _ => self.plan.layout[v.0 as usize].clone(),
        };
        let (bits, dtype) = (self.bits(v), self.compute(self.dtype(v))?);
        let len = 1u32 << bits.iter().sum::<u8>();
        let bytes = len as u64 * (dtype.bits() as u64 / 8).max(4);
        if bytes > self.desc.workgroup_bytes as u64 {
            return Err(Diag::error(
                "L203",
                format!(
                    "{} takes {bytes} bytes of workgroup memory, the target has {}",
                    self.describe(v),
                    self.desc.workgroup_bytes
                ),
            )
            .at(&self.here, "moved between threads for this")
            .help("use smaller tiles"));
        }
        // What the value itself needs first: its own conversions must not happen under a condition.
        self.prepare(v, &held, held.vectors() > UNROLL)?;
        let array = self.scratch("exchange", dtype, len);
        let owner = self.owner(&held);
        self.guarded(owner, |e| {
            e.each(held.vectors(), |e, idx| {
                let x = e.eval(v, &held, idx)?;
                let x = e.wide(x, held.width());
                let base = e.gather(&held, idx, 0, true, true, |b| Some(linear_of(&bits, b)));
                let base = e.term(base);
                for c in 0..held.width() {
                    let step =
                        e.gather(&held, &Idx::default(), c as u32, false, true, |b| Some(linear_of(&bits, b))).fixed;
                    let at = e.add_fixed(base, step);
                    let part = e.b.component(x, c);
                    e.put_shared(array, at, part);
                }
                Ok(())
            })
        })?;
        self.barrier();
        Ok(array)
    }

    /// Computes a value now and keeps it in layout `l`.
    pub fn keep(&mut self, v: Tv, l: &Layout) -> Result<Leaf> {
        let vectors = l.vectors();
        self.prepare(v, l, vectors > UNROLL)?;
        let name = self.kernel.values[v.0 as usize].name.clone();
        if vectors <= UNROLL {
            let mut regs = Vec::new();
            for i in 0..vectors {
                let x = self.eval(v, l, &Idx::fixed(i))?;
                let x = self.wide(x, l.width());
                self.b.name(x, name.clone());
                regs.push(x);
            }
            return Ok(Leaf::Regs(l.clone(), regs));
        }
        let ty = Ty::vec(self.compute(self.dtype(v))?, l.width());
        let array = self.b.local(name.as_deref().unwrap_or("tile"), ty, Some(vectors));
        self.fill(v, l, array)?;
        Ok(Leaf::Array(l.clone(), array))
    }

    /// Evaluates every vector of `v` into an array; the value must be prepared.
    pub fn fill(&mut self, v: Tv, l: &Layout, array: u32) -> Result<()> {
        self.each(l.vectors(), |e, idx| {
            let x = e.eval(v, l, idx)?;
            let x = e.wide(x, l.width());
            let at = e.vector_index(idx);
            e.b.store(Space::Local(array), at, x);
            Ok(())
        })
    }

    /// Runs `body` for every vector: unrolled when they are few, else in a loop.
    pub fn each(&mut self, vectors: u32, mut body: impl FnMut(&mut Self, &Idx) -> Result<()>) -> Result<()> {
        if vectors <= UNROLL {
            return (0..vectors).try_for_each(|i| body(self, &Idx::fixed(i)));
        }
        let (lo, hi) = (self.uint(0), self.uint(vectors));
        self.repeat(lo, hi, 1, |e, i| {
            e.b.name(i, Some("r".into()));
            let part = Part { value: i, shift: 0, bits: vectors.ilog2() as u8 };
            body(e, &Idx { fixed: 0, parts: vec![part] })
        })
    }
}
