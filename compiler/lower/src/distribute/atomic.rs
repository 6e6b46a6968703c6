//! Atomic read-modify-write; floats go through compare-and-exchange on their bits.

use super::emit::{Emit, Leaf, UNROLL};
use super::layout::Layout;
use girih_base::{DType, Diag, Result, ScalarOp};
use girih_simt::{self as simt, Space, Ty, ValueId as Sv};
use girih_tile::{AtomicOp, ValueId as Tv};

impl Emit<'_> {
    /// [`Op::Atomic`](girih_tile::Op::Atomic).
    #[allow(clippy::too_many_arguments, reason = "the fields of the statement")]
    pub fn atomic(
        &mut self,
        op: AtomicOp,
        param: usize,
        index: Tv,
        value: Tv,
        mask: Option<Tv>,
        result: Tv,
        unused: bool,
    ) -> Result<()> {
        let info = self.buffers[param].clone();
        self.has_atomics(info.dtype)?;
        let bitwise = matches!(op, AtomicOp::And | AtomicOp::Or | AtomicOp::Xor);
        if info.dtype.is_float() && bitwise {
            return Err(Diag::error("L206", format!("bitwise atomics do not apply to {}", info.dtype))
                .at(&self.here, "used here"));
        }
        let l = self.layout_of(value);
        for v in [index, value].into_iter().chain(mask) {
            self.prepare(v, &l, l.vectors() > UNROLL)?;
        }
        let ty = Ty::vec(self.compute(info.dtype)?, 1);
        let old = (!unused).then(|| self.b.local("old", ty, Some(l.vectors() * l.width() as u32)));
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
                    e.guarded(cond, |e| {
                        let before = e.update(op, param, offset, part)?;
                        if let Some(old) = old {
                            let vector = e.vector_index(idx);
                            let first = e.shl(vector, l.vector_bits() as u32);
                            let at = e.add_fixed(first, c as u32);
                            e.b.store(Space::Local(old), at, before);
                        }
                        Ok(())
                    })?;
                }
                Ok(())
            })
        })?;
        old.map_or(Ok(()), |old| self.keep_old(old, result, ty, &l))
    }

    /// [`Op::CompareExchange`](girih_tile::Op::CompareExchange).
    pub fn compare_exchange(
        &mut self,
        param: usize,
        index: Tv,
        expected: Tv,
        value: Tv,
        result: Tv,
        unused: bool,
    ) -> Result<()> {
        let dtype = self.buffers[param].dtype;
        self.has_atomics(dtype)?;
        let l = self.layout_of(value);
        for v in [index, expected, value] {
            self.prepare(v, &l, l.vectors() > UNROLL)?;
        }
        let (ty, space) = (Ty::vec(dtype, 1), Space::Buffer(param as u32));
        let old = (!unused).then(|| self.b.local("old", ty, Some(l.vectors() * l.width() as u32)));
        let owner = self.owner(&l);
        self.guarded(owner, |e| {
            e.each(l.vectors(), |e, idx| {
                let parts = [index, expected, value].map(|v| e.eval(v, &l, idx));
                let [offsets, expected, value] = parts;
                let all = [offsets?, expected?, value?].map(|v| e.wide(v, l.width()));
                for c in 0..l.width() {
                    let [offset, expected, value] = all.map(|v| e.b.component(v, c));
                    let offset = e.as_uint(offset);
                    let before = e.b.push(simt::Op::CompareExchange(space, offset, expected, value), ty);
                    if let Some(old) = old {
                        let vector = e.vector_index(idx);
                        let first = e.shl(vector, l.vector_bits() as u32);
                        let at = e.add_fixed(first, c as u32);
                        e.b.store(Space::Local(old), at, before);
                    }
                }
                Ok(())
            })
        })?;
        old.map_or(Ok(()), |old| self.keep_old(old, result, ty, &l))
    }

    fn has_atomics(&self, dtype: DType) -> Result<()> {
        match dtype.bits() {
            32 => Ok(()),
            64 if self.desc.wide_atomics => Ok(()),
            _ => Err(Diag::error(
                "L206",
                format!("no atomic operations on {dtype} elements on target `{}`", self.desc.name),
            )
            .at(&self.here, "used here")
            .help("keep the target of atomics in i32, u32 or f32")),
        }
    }

    /// The old elements, one by one in the array `old`, become the value `result`.
    fn keep_old(&mut self, old: u32, result: Tv, ty: Ty, l: &Layout) -> Result<()> {
        // The element-by-element array becomes vectors; threads that only repeat get the values from their owner.
        let name = self.b.local("before", Ty::vec(ty.dtype, l.width()), Some(l.vectors()));
        self.each(l.vectors(), |e, idx| {
            let vector = e.vector_index(idx);
            let first = e.shl(vector, l.vector_bits() as u32);
            let mut parts = Vec::new();
            for c in 0..l.width() as u32 {
                let at = e.add_fixed(first, c);
                parts.push(e.b.load(Space::Local(old), at));
            }
            let x = e.pack(&parts);
            e.b.store(Space::Local(name), vector, x);
            Ok(())
        })?;
        self.leaves.insert(result, Leaf::Array(l.clone(), name));
        if l.repeated_lanes() != 0 {
            let shared = self.copy_to_shared(result)?;
            self.over.insert(result, Leaf::Shared(shared));
            let leaf = self.keep(result, l)?;
            self.leaves.insert(result, leaf);
        }
        Ok(())
    }

    /// One element; gives the old one.
    fn update(&mut self, op: AtomicOp, param: usize, at: Sv, x: Sv) -> Result<Sv> {
        let (info, space) = (self.buffers[param].clone(), Space::Buffer(param as u32));
        let word = Ty::scalar(if info.as_bits { info.word() } else { info.dtype });
        let direct = match op {
            AtomicOp::Add => simt::AtomicOp::Add,
            AtomicOp::Min => simt::AtomicOp::Min,
            AtomicOp::Max => simt::AtomicOp::Max,
            AtomicOp::And => simt::AtomicOp::And,
            AtomicOp::Or => simt::AtomicOp::Or,
            AtomicOp::Xor => simt::AtomicOp::Xor,
            AtomicOp::Exchange => simt::AtomicOp::Exchange,
        };
        if !info.as_bits {
            return Ok(self.b.push(simt::Op::Atomic(direct, space, at, x), word));
        }
        if op == AtomicOp::Exchange {
            let bits = self.b.bitcast(x, word.dtype);
            let old = self.b.push(simt::Op::Atomic(direct, space, at, bits), word);
            return Ok(self.b.bitcast(old, info.dtype));
        }
        let combine = match op {
            AtomicOp::Min => ScalarOp::Min,
            AtomicOp::Max => ScalarOp::Max,
            _ => ScalarOp::Add,
        };
        let seen = self.b.local("seen", word, None);
        let first = self.b.load(space, at);
        self.b.set(seen, first);
        self.open();
        let expected = self.b.get(seen);
        let current = self.b.bitcast(expected, info.dtype);
        let new = self.b.map(combine, &[current, x]);
        let new = self.b.bitcast(new, word.dtype);
        let found = self.b.push(simt::Op::CompareExchange(space, at, expected, new), word);
        let done = self.b.map(ScalarOp::Eq, &[found, expected]);
        self.b.if_then(done, |b| b.effect(simt::Op::Break));
        self.b.set(seen, found);
        let body = self.close();
        self.b.effect(simt::Op::Loop(body));
        let old = self.b.get(seen);
        Ok(self.b.bitcast(old, info.dtype))
    }
}
