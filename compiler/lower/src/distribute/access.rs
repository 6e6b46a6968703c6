//! Structured and computed loads and stores: addresses, bounds, vectors.

use super::buffers::aligned;
use super::emit::Leaf;
use super::emit::{Emit, Idx, UNROLL};
use super::layout::Layout;
use girih_base::{DType, Result, ScalarOp};
use girih_simt::{self as simt, Space, ValueId as Sv};
use girih_tile::{Access, Literal, ValueId as Tv, View};

impl Emit<'_> {
    /// `at` plus the thread's part of the coordinate along `axis`, u32 (negative values wrap and fail bounds checks).
    pub fn coordinate_base(&mut self, at: Tv, l: &Layout, axis: usize) -> Result<Sv> {
        let at = self.scalar(at)?;
        let at = self.as_uint(at);
        let lane = self.gather(l, &Idx::default(), 0, true, false, |b| (b.axis as usize == axis).then_some(b.bit));
        Ok(match lane.value {
            Some(v) => self.add(at, v),
            None => at,
        })
    }

    /// The thread's coordinate along an axis for a component of a vector.
    pub fn coordinate(&mut self, at: Tv, l: &Layout, idx: &Idx, comp: u32, axis: usize) -> Result<Sv> {
        let base = self.coordinate_base(at, l, axis)?;
        let reg = self.gather(l, idx, comp, false, true, |b| (b.axis as usize == axis).then_some(b.bit));
        let base = match reg.value {
            Some(v) => self.add(base, v),
            None => base,
        };
        Ok(self.add_fixed(base, reg.fixed))
    }

    /// The element offset of the thread's first register.
    pub fn address(&mut self, view: &View, at: &[Tv], l: &Layout) -> Result<Sv> {
        let mut sum = self.dim(&view.offset);
        for (axis, a) in view.axes.iter().enumerate() {
            if a.stride.is(0) {
                continue;
            }
            let c = self.coordinate_base(at[axis], l, axis)?;
            let stride = self.dim(&a.stride);
            let part = self.mul(c, stride);
            sum = self.add(sum, part);
        }
        Ok(sum)
    }

    fn element(&mut self, view: &View, base: Sv, l: &Layout, idx: &Idx, comp: u32) -> Sv {
        let (mut sum, mut fixed) = (base, 0u32);
        for (axis, a) in view.axes.iter().enumerate() {
            let reg = self.gather(l, idx, comp, false, true, |b| (b.axis as usize == axis).then_some(b.bit));
            if let Some(v) = reg.value {
                let stride = self.dim(&a.stride);
                let part = self.mul(v, stride);
                sum = self.add(sum, part);
            }
            match a.stride.as_const() {
                Some(s) => fixed = fixed.wrapping_add(reg.fixed.wrapping_mul(s as u32)),
                None if reg.fixed != 0 => {
                    let (stride, n) = (self.dim(&a.stride), self.uint(reg.fixed));
                    let part = self.mul(stride, n);
                    sum = self.add(sum, part);
                }
                None => {}
            }
        }
        self.add_fixed(sum, fixed)
    }

    /// Whether the element of a component exists; `None` when that is certain.
    fn exists(&mut self, view: &View, at: &[Tv], l: &Layout, idx: &Idx, comp: u32, bits: &[u8]) -> Result<Option<Sv>> {
        let mut cond = None;
        for (axis, a) in view.axes.iter().enumerate() {
            let start = self.scalar(at[axis])?;
            let start = self.b.known(start).filter(|s| *s >= 0);
            let fits = match (start, a.extent.as_const()) {
                (Some(s), Some(extent)) => s + (1i64 << bits[axis]) <= extent,
                _ => false,
            };
            if a.inside || fits {
                continue;
            }
            let c = self.coordinate(at[axis], l, idx, comp, axis)?;
            let extent = self.dim(&a.extent);
            let inside = self.index(ScalarOp::Lt, &[c, extent]);
            cond = self.both(cond, Some(inside));
        }
        for g in &view.guards {
            let mut sum = self.dim(&g.base);
            for (axis, coeff) in g.coeffs.iter().enumerate().filter(|(_, c)| **c != 0) {
                let c = self.coordinate(at[axis], l, idx, comp, axis)?;
                let coeff = self.uint(*coeff as u32);
                let part = self.mul(c, coeff);
                sum = self.add(sum, part);
            }
            let extent = self.dim(&g.extent);
            let inside = self.index(ScalarOp::Lt, &[sum, extent]);
            cond = self.both(cond, Some(inside));
        }
        Ok(cond)
    }

    /// The conditions of each component of a vector, masks included.
    #[allow(clippy::too_many_arguments, reason = "one access has many parts")]
    fn conditions(
        &mut self,
        view: &View,
        at: &[Tv],
        mask: Option<Tv>,
        l: &Layout,
        idx: &Idx,
        n: u32,
        bits: &[u8],
    ) -> Result<Vec<Option<Sv>>> {
        let mask = mask.map(|m| self.eval(m, l, idx)).transpose()?;
        (0..n)
            .map(|c| {
                let structural = self.exists(view, at, l, idx, c, bits)?;
                let allowed = mask.map(|m| self.b.component(m, c as u8));
                Ok(self.both(structural, allowed))
            })
            .collect()
    }

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

    /// Whether four aligned neighbours can be reached at once.
    fn has_vectors(&self, param: usize) -> bool {
        let info = &self.buffers[param];
        info.vector || (info.packed && info.dtype.bits() >= 8)
    }

    /// The element at an offset, decoded.
    pub fn load_element(&mut self, param: usize, e: Sv) -> Result<Sv> {
        let (info, space) = (self.buffers[param].clone(), Space::Buffer(param as u32));
        if info.vector {
            let (at, c) = (self.shr(e, 2), self.and_fixed(e, 3));
            let x = self.b.load(space, at);
            if let Some(c) = self.b.known(c) {
                return Ok(self.b.component(x, c as u8));
            }
            return Ok(self.b.push(simt::Op::ComponentAt(x, c), simt::Ty::scalar(info.dtype)));
        }
        if info.packed {
            let bits = info.dtype.bits();
            let per = (32 / bits).ilog2();
            let at = self.shr(e, per);
            let word = self.b.load(space, at);
            let slot = self.and_fixed(e, (1 << per) - 1);
            let shift = self.shl(slot, bits.ilog2());
            let raw = self.map(ScalarOp::Shr, &[word, shift]);
            return self.decode(raw, info.dtype);
        }
        let x = self.b.load(space, e);
        Ok(if info.as_bits { self.b.bitcast(x, info.dtype) } else { x })
    }

    /// Four elements from an offset that is a multiple of four.
    fn load_vector(&mut self, param: usize, e: Sv) -> Result<Sv> {
        let (info, space) = (self.buffers[param].clone(), Space::Buffer(param as u32));
        if info.vector {
            let at = self.shr(e, 2);
            return Ok(self.b.load(space, at));
        }
        let bits = info.dtype.bits();
        let first = self.shr(e, (32 / bits).ilog2());
        let mut parts = Vec::new();
        for w in 0..bits / 8 {
            let at = self.add_fixed(first, w);
            let word = self.b.load(space, at);
            for slot in 0..32 / bits {
                let shift = self.uint(slot * bits);
                let raw = self.b.map(ScalarOp::Shr, &[word, shift]);
                parts.push(self.decode(raw, info.dtype)?);
            }
        }
        Ok(self.pack(&parts))
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

    /// Writes one element; neighbours in the same word are left alone by atomic operations.
    fn store_element(&mut self, param: usize, e: Sv, x: Sv) -> Result<()> {
        let (info, space) = (self.buffers[param].clone(), Space::Buffer(param as u32));
        if !info.packed {
            let x = if info.as_bits { self.b.bitcast(x, DType::U32) } else { x };
            self.b.store(space, e, x);
            return Ok(());
        }
        let bits = info.dtype.bits();
        let per = (32 / bits).ilog2();
        let raw = self.encode(x, info.dtype)?;
        let at = self.shr(e, per);
        let slot = self.and_fixed(e, (1 << per) - 1);
        let shift = self.shl(slot, bits.ilog2());
        let ones = self.uint((1u64 << bits) as u32 - 1);
        let field = self.map(ScalarOp::Shl, &[ones, shift]);
        let hole = self.map(ScalarOp::Not, &[field]);
        let placed = self.map(ScalarOp::Shl, &[raw, shift]);
        let u32 = simt::Ty::scalar(DType::U32);
        self.b.push(simt::Op::Atomic(simt::AtomicOp::And, space, at, hole), u32);
        self.b.push(simt::Op::Atomic(simt::AtomicOp::Or, space, at, placed), u32);
        Ok(())
    }

    fn store_vector(&mut self, param: usize, e: Sv, x: Sv) -> Result<()> {
        let (info, space) = (self.buffers[param].clone(), Space::Buffer(param as u32));
        if info.vector {
            let at = self.shr(e, 2);
            self.b.store(space, at, x);
            return Ok(());
        }
        let bits = info.dtype.bits();
        let (first, per) = (self.shr(e, (32 / bits).ilog2()), 32 / bits);
        for w in 0..bits / 8 {
            let mut word = None;
            for slot in 0..per {
                let part = self.b.component(x, (w * per + slot) as u8);
                let raw = self.encode(part, info.dtype)?;
                let shift = self.uint(slot * bits);
                let placed = self.b.map(ScalarOp::Shl, &[raw, shift]);
                word = Some(match word {
                    Some(sum) => self.b.map(ScalarOp::Or, &[sum, placed]),
                    None => placed,
                });
            }
            let at = self.add_fixed(first, w);
            if let Some(word) = word {
                self.b.store(space, at, word);
            }
        }
        Ok(())
    }
}
