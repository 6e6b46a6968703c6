//! Structured and computed loads and stores: addresses, bounds, vectors.

mod address;
mod element;

use super::buffers::aligned;
use super::emit::Leaf;
use super::emit::{Emit, Idx, UNROLL};
use super::layout::Layout;
use girih_base::{Result, ScalarOp};
use girih_simt::{self as simt, ValueId as Sv};
use girih_tile::{Access, Literal, ValueId as Tv, View};

impl Emit<'_> {
    /// [`Op::Load`](girih_tile::Op::Load).
    #[allow(clippy::too_many_arguments, reason = "the fields of the statement")]
    pub fn load(
        &mut self,
        v: Tv,
        param: usize,
        view: &View,
        at: &[Tv],
        mask: Option<Tv>,
        other: Literal,
        l: &Layout,
        idx: &Idx,
    ) -> Result<Sv> {
        let (bits, dtype) = (self.bits(v), self.dtype(v));
        let base = self.address(view, at, l)?;
        let fast = self.fast(view, at, &bits);
        let other = self.literal(other, dtype)?;
        if mask.is_none() && l.width() == 4 && fast.is_some_and(|f| l.vector_along(f)) && self.has_vectors(param) {
            let cond = self.exists(view, at, l, idx, 0, &bits)?;
            let e = self.element(view, base, l, idx, 0);
            return self.load_if(param, e, cond, other, Emit::load_vector);
        }
        let n = if l.uniform_vector() { 1 } else { l.width() as u32 };
        let conds = self.conditions(view, at, mask, l, idx, n, &bits)?;
        let mut parts = Vec::new();
        for (c, cond) in conds.into_iter().enumerate() {
            let e = self.element(view, base, l, idx, c as u32);
            parts.push(self.load_if(param, e, cond, other, Emit::load_element)?);
        }
        Ok(self.pack(&parts))
    }

    /// [`Op::LoadAt`](girih_tile::Op::LoadAt).
    #[allow(clippy::too_many_arguments, reason = "the fields of the statement")]
    pub fn load_at(
        &mut self,
        v: Tv,
        param: usize,
        index: Tv,
        mask: Option<Tv>,
        other: Literal,
        l: &Layout,
        idx: &Idx,
    ) -> Result<Sv> {
        let other = self.literal(other, self.dtype(v))?;
        let index = self.eval(index, l, idx)?;
        let mask = mask.map(|m| self.eval(m, l, idx)).transpose()?;
        let mut parts = Vec::new();
        for c in 0..self.b.ty(index).lanes.max(mask.map_or(1, |m| self.b.ty(m).lanes)) {
            let e = self.b.component(index, c);
            let e = self.as_uint(e);
            let cond = mask.map(|m| self.b.component(m, c));
            parts.push(self.load_if(param, e, cond, other, Emit::load_element)?);
        }
        Ok(self.pack(&parts))
    }

    fn fast(&self, view: &View, at: &[Tv], bits: &[u8]) -> Option<usize> {
        aligned(&self.plan, &self.counters, view, at, bits)
    }

    /// Loads where the condition holds, else gives `other`. Buffers that nobody writes are read without a branch, at
    /// element 0 when the condition fails; others are left alone then, since another thread may be writing there.
    fn load_if(
        &mut self,
        param: usize,
        e: Sv,
        cond: Option<Sv>,
        other: Sv,
        load: impl FnOnce(&mut Self, usize, Sv) -> Result<Sv>,
    ) -> Result<Sv> {
        let Some(cond) = cond else { return load(self, param, e) };
        if self.kernel.params[param].access == Access::Read {
            let zero = self.uint(0);
            let safe = self.index(ScalarOp::Select, &[cond, e, zero]);
            let x = load(self, param, safe)?;
            return Ok(self.map(ScalarOp::Select, &[cond, x, other]));
        }
        self.open();
        let x = load(self, param, e);
        let mut then = self.close();
        let x = x?;
        let ty = self.b.ty(x);
        let local = self.b.local("loaded", ty, None);
        let other = self.wide(other, ty.lanes);
        self.b.set(local, other);
        then.push(simt::Stmt { result: None, op: simt::Op::Set(local, x), loc: self.here.clone() });
        self.b.effect(simt::Op::If(cond, then, Vec::new()));
        Ok(self.b.get(local))
    }

    /// The layout in which a value is at hand, or will be.
    pub fn layout_of(&self, v: Tv) -> Layout {
        match self.leaves.get(&v) {
            Some(Leaf::Regs(l, _) | Leaf::Array(l, _)) => l.clone(),
            _ => self.plan.layout[v.0 as usize].clone(),
        }
    }

    /// [`Op::Store`](girih_tile::Op::Store).
    pub fn store(&mut self, param: usize, view: &View, at: &[Tv], value: Tv, mask: Option<Tv>) -> Result<()> {
        let planned = self.plan.layout[value.0 as usize].clone();
        let needs_vectors =
            self.buffers[param].vector || (self.buffers[param].packed && !self.buffers[param].shared_words);
        // Whole vectors were promised for the planned layout; a value that sits elsewhere is converted.
        let l = if needs_vectors { planned } else { self.layout_of(value) };
        let (bits, dynamic) = (self.bits(value), l.vectors() > UNROLL);
        self.prepare(value, &l, dynamic)?;
        mask.iter().try_for_each(|m| self.prepare(*m, &l, dynamic))?;
        let base = self.address(view, at, &l)?;
        let owner = self.owner(&l);
        self.guarded(owner, |e| {
            e.each(l.vectors(), |e, idx| {
                let whole = needs_vectors && l.width() == 4;
                let n = if whole { 1 } else { l.width() as u32 };
                let conds = e.conditions(view, at, mask, &l, idx, n, &bits)?;
                let x = e.eval(value, &l, idx)?;
                let x = e.wide(x, l.width());
                if whole {
                    let offset = e.element(view, base, &l, idx, 0);
                    return e.guarded(conds[0], |e| e.store_vector(param, offset, x));
                }
                let same = conds.iter().all(|c| *c == conds[0]);
                let outer = if same { conds[0] } else { None };
                e.guarded(outer, |e| {
                    for (c, cond) in conds.iter().enumerate() {
                        let offset = e.element(view, base, &l, idx, c as u32);
                        let part = e.b.component(x, c as u8);
                        e.guarded(cond.filter(|_| !same), |e| e.store_element(param, offset, part))?;
                    }
                    Ok(())
                })
            })
        })
    }

    /// [`Op::StoreAt`](girih_tile::Op::StoreAt).
    pub fn store_at(&mut self, param: usize, index: Tv, value: Tv, mask: Option<Tv>) -> Result<()> {
        let l = self.layout_of(value);
        for v in [index, value].into_iter().chain(mask) {
            self.prepare(v, &l, l.vectors() > UNROLL)?;
        }
        let owner = self.owner(&l);
        self.guarded(owner, |e| {
            e.each(l.vectors(), |e, idx| {
                let (offsets, x) = (e.eval(index, &l, idx)?, e.eval(value, &l, idx)?);
                let mask = mask.map(|m| e.eval(m, &l, idx)).transpose()?;
                let (offsets, x) = (e.wide(offsets, l.width()), e.wide(x, l.width()));
                for c in 0..l.width() {
                    let offset = e.b.component(offsets, c);
                    let offset = e.as_uint(offset);
                    let part = e.b.component(x, c);
                    let cond = mask.map(|m| e.b.component(m, c));
                    e.guarded(cond, |e| e.store_element(param, offset, part))?;
                }
                Ok(())
            })
        })
    }
}
