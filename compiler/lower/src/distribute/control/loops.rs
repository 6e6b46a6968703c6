//! Loops and branches, and the variables that carry tiles through them.

use super::touch;
use crate::distribute::emit::{Emit, Leaf, UNROLL};
use crate::distribute::layout::Layout;
use crate::distribute::plan::pulled;
use girih_base::{DType, Result, ScalarOp};
use girih_simt::{self as simt, Space, Ty, ValueId as Sv};
use girih_tile::{self as tile, Block, Op, ValueId as Tv};

/// Where a value that a region hands out lives.
#[derive(Clone)]
struct Slot {
    layout: Layout,
    local: u32,
    array: bool,
}

/// Where a carried value's next state waits.
enum Late {
    Value(Sv),
    Array(u32, u32),
}

impl Emit<'_> {
    fn slot(&mut self, v: Tv, name: &str) -> Result<Slot> {
        let layout = self.plan.layout[v.0 as usize].clone();
        let ty = Ty::vec(self.compute(self.dtype(v))?, layout.width());
        let array = layout.vectors() > 1;
        let local = self.b.local(name, ty, array.then(|| layout.vectors()));
        Ok(Slot { layout, local, array })
    }

    fn fill_slot(&mut self, slot: &Slot, v: Tv) -> Result<()> {
        self.prepare(v, &slot.layout, slot.layout.vectors() > UNROLL)?;
        if slot.array {
            return self.fill(v, &slot.layout, slot.local);
        }
        let x = self.eval(v, &slot.layout, &Default::default())?;
        let x = self.wide(x, slot.layout.width());
        self.b.set(slot.local, x);
        Ok(())
    }

    fn leaf_of(&mut self, slot: &Slot, name: Option<std::sync::Arc<str>>) -> Leaf {
        if slot.array {
            return Leaf::Array(slot.layout.clone(), slot.local);
        }
        let v = self.b.get(slot.local);
        self.b.name(v, name);
        Leaf::Regs(slot.layout.clone(), vec![v])
    }

    pub(super) fn repeated(&mut self, init: &[Tv], test: &Block, body: &Block, results: &[Tv]) -> Result<()> {
        let mut slots = Vec::new();
        for (i, v) in init.iter().enumerate() {
            let named = [test.params[i], body.params[i], results[i], body.results[i], *v]
                .into_iter()
                .find_map(|v| self.kernel.values[v.0 as usize].name.clone());
            let slot = self.slot(test.params[i], named.as_deref().unwrap_or("carried"))?;
            self.fill_slot(&slot, *v)?;
            self.end_statement();
            slots.push(slot);
        }
        touch(test, &mut self.touched);
        touch(body, &mut self.touched);
        let before = self.touched.clone();
        self.forever(|e| {
            for (slot, p) in slots.iter().zip(&test.params) {
                let leaf = e.leaf_of(slot, None);
                e.leaves.insert(*p, leaf);
            }
            e.block(test)?;
            let more = e.agreed(test.results[0])?;
            e.end_statement();
            let done = e.b.map(ScalarOp::Not, &[more]);
            e.b.if_then(done, |b| b.effect(simt::Op::Break));
            for (p, from) in body.params.iter().zip(&test.params) {
                if let Some(leaf) = e.leaves.get(from).cloned() {
                    e.leaves.insert(*p, leaf);
                }
            }
            e.block(body)?;
            e.hand_on(&slots, &body.results)
        })?;
        self.touched.iter_mut().zip(before).for_each(|(t, b)| t.join(b));
        for (slot, r) in slots.iter().zip(results) {
            let leaf = self.leaf_of(slot, self.kernel.values[r.0 as usize].name.clone());
            self.leaves.insert(*r, leaf);
        }
        Ok(())
    }

    pub(super) fn counted(
        &mut self,
        lo: Tv,
        hi: Tv,
        step: u32,
        init: &[Tv],
        body: &Block,
        results: &[Tv],
    ) -> Result<()> {
        let mut slots = Vec::new();
        for (i, v) in init.iter().enumerate() {
            let param = body.params[i + 1];
            let named = [param, results[i], body.results[i], *v]
                .into_iter()
                .find_map(|v| self.kernel.values[v.0 as usize].name.clone());
            let slot = self.slot(param, named.as_deref().unwrap_or("carried"))?;
            self.fill_slot(&slot, *v)?;
            self.end_statement();
            slots.push(slot);
        }
        let (lo, hi) = (self.agreed(lo)?, self.agreed(hi)?);
        // A first value known to be positive lets the loop count in u32 directly; else it counts rounds from zero.
        let direct = self.b.known(lo).is_some_and(|v| v >= 0);
        let (first, end) = if direct {
            let end = match self.b.known(hi) {
                Some(v) => self.uint(v.max(0) as u32),
                None => {
                    let zero = self.b.int(0);
                    let end = self.map(ScalarOp::Max, &[hi, zero]);
                    self.as_uint(end)
                }
            };
            (self.as_uint(lo), end)
        } else {
            let zero = self.b.int(0);
            let span = self.map(ScalarOp::Sub, &[hi, lo]);
            let span = self.map(ScalarOp::Max, &[span, zero]);
            (self.uint(0), self.as_uint(span))
        };
        let name = self.kernel.values[body.params[0].0 as usize].name.clone();
        // A round follows another round.
        touch(body, &mut self.touched);
        let before = self.touched.clone();
        self.repeat(first, end, step, |e, i| {
            e.b.name(i, name);
            let i = e.b.cast(i, DType::I32);
            let i = if direct { i } else { e.map(ScalarOp::Add, &[lo, i]) };
            e.define(body.params[0], i);
            for (slot, p) in slots.iter().zip(&body.params[1..]) {
                let leaf = e.leaf_of(slot, None);
                e.leaves.insert(*p, leaf);
            }
            e.block(body)?;
            e.hand_on(&slots, &body.results)
        })?;
        self.touched.iter_mut().zip(before).for_each(|(t, b)| t.join(b));
        for (slot, r) in slots.iter().zip(results) {
            let leaf = self.leaf_of(slot, self.kernel.values[r.0 as usize].name.clone());
            self.leaves.insert(*r, leaf);
        }
        Ok(())
    }

    /// Writes the new carried values, none before all old ones have been read.
    fn hand_on(&mut self, slots: &[Slot], yields: &[Tv]) -> Result<()> {
        let mut late = Vec::new();
        let mut direct = Vec::new();
        for (slot, y) in slots.iter().zip(yields) {
            if matches!(self.leaves.get(y), Some(Leaf::Array(_, a)) if *a == slot.local) {
                continue;
            }
            let dynamic = slot.layout.vectors() > UNROLL;
            self.prepare(*y, &slot.layout, dynamic)?;
            if !slot.array {
                let x = self.eval(*y, &slot.layout, &Default::default())?;
                let x = self.wide(x, slot.layout.width());
                late.push((slot.local, Late::Value(x)));
                continue;
            }
            let carried: Vec<u32> = slots.iter().filter(|s| s.array).map(|s| s.local).collect();
            if self.only_reads_itself(*y, &slot.layout, slot.local, &carried) {
                direct.push((slot.clone(), *y));
                continue;
            }
            let ty = self.b.locals[slot.local as usize].elem;
            let next = self.b.local("next", ty, Some(slot.layout.vectors()));
            self.fill(*y, &slot.layout, next)?;
            late.push((slot.local, Late::Array(next, slot.layout.vectors())));
        }
        for (slot, y) in direct {
            self.fill(y, &slot.layout, slot.local)?;
        }
        for (local, from) in late {
            match from {
                Late::Value(x) => self.b.set(local, x),
                Late::Array(next, n) => self.each(n, |e, idx| {
                    let at = e.vector_index(idx);
                    let x = e.b.load(Space::Local(next), at);
                    e.b.store(Space::Local(local), at, x);
                    Ok(())
                })?,
            }
        }
        self.end_statement();
        Ok(())
    }

    /// Whether evaluating `v` reads no carried array but `own`, and that one only at the place being written.
    fn only_reads_itself(&self, v: Tv, l: &Layout, own: u32, carried: &[u32]) -> bool {
        match self.over.get(&v).or(self.leaves.get(&v)) {
            Some(Leaf::Array(held, a)) => !carried.contains(a) || (*a == own && held == l),
            Some(_) => true,
            None => match self.plan.defs.get(&v) {
                Some(s) => s.op.operands().into_iter().all(|x| {
                    let pull = pulled(&s.op, l, &self.plan.bits[x.0 as usize], &self.plan.bits[v.0 as usize]);
                    self.only_reads_itself(x, &pull, own, carried)
                }),
                None => false,
            },
        }
    }

    pub(super) fn branch(&mut self, cond: Tv, then: &Block, otherwise: &Block, results: &[Tv]) -> Result<()> {
        let slots = results.iter().map(|r| {
            let name = self.kernel.values[r.0 as usize].name.clone();
            self.slot(*r, name.as_deref().unwrap_or("chosen"))
        });
        let slots = slots.collect::<Result<Vec<_>>>()?;
        let cond = self.agreed(cond)?;
        let mut arms = Vec::new();
        let (before, mut after) = (self.touched.clone(), self.touched.clone());
        for block in [then, otherwise] {
            self.touched.clone_from(&before);
            self.open();
            let done = self.block(block).and_then(|()| {
                slots.iter().zip(&block.results).try_for_each(|(slot, v)| {
                    self.fill_slot(slot, *v)?;
                    self.end_statement();
                    Ok(())
                })
            });
            arms.push(self.close());
            done?;
            after.iter_mut().zip(&self.touched).for_each(|(t, b)| t.join(*b));
        }
        self.touched = after;
        let (otherwise, then) = (arms.pop().unwrap_or_default(), arms.pop().unwrap_or_default());
        self.b.effect(simt::Op::If(cond, then, otherwise));
        for (slot, r) in slots.iter().zip(results) {
            let leaf = self.leaf_of(slot, self.kernel.values[r.0 as usize].name.clone());
            self.leaves.insert(*r, leaf);
        }
        Ok(())
    }

    /// Whether all threads compute the same value, as every check can see.
    fn steady(&self, v: Tv) -> bool {
        if self.counters.contains_key(&v) {
            return true;
        }
        let Some(s) = self.plan.defs.get(&v) else { return false };
        match &s.op {
            Op::Const(_) | Op::Size(_) | Op::Scalar(_) | Op::ProgramId(_) => true,
            Op::Load { param, at, mask, .. } => {
                let read = self.kernel.params[*param].access == tile::Access::Read;
                read && self.kernel.values[v.0 as usize].ty.elements() == 1
                    && at.iter().chain(mask).all(|x| self.steady(*x))
            }
            Op::LoadAt { param, index, mask, .. } => {
                let read = self.kernel.params[*param].access == tile::Access::Read;
                read && std::iter::once(index).chain(mask).all(|x| self.steady(*x))
            }
            Op::Map(..) | Op::Cast(_) | Op::Bitcast(_) | Op::Reshape(_) => {
                self.kernel.values[v.0 as usize].ty.elements() == 1 && s.op.operands().iter().all(|x| self.steady(*x))
            }
            _ => false,
        }
    }

    /// A scalar that decides where the threads go: all take the first thread's.
    fn agreed(&mut self, v: Tv) -> Result<Sv> {
        let x = self.scalar(v)?;
        if self.plan.lanes == 0 || self.steady(v) {
            return Ok(x);
        }
        let dtype = self.b.ty(x).dtype;
        let array = self.scratch("decision", dtype, 1);
        let (lane, zero) = (self.lane(), self.uint(0));
        let first = self.index(ScalarOp::Eq, &[lane, zero]);
        self.guarded(Some(first), |e| {
            e.put_shared(array, zero, x);
            Ok(())
        })?;
        self.barrier();
        let agreed = self.get_shared(array, zero, dtype);
        self.release(array);
        Ok(agreed)
    }
}
