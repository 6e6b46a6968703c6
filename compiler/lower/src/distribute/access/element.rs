//! Single elements and aligned groups of four, as a buffer stores them.

use crate::distribute::emit::Emit;
use girih_base::{DType, Result, ScalarOp};
use girih_simt::{self as simt, Space, ValueId as Sv};

impl Emit<'_> {
    /// Whether four aligned neighbours can be reached at once.
    pub(super) fn has_vectors(&self, param: usize) -> bool {
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
    pub(super) fn load_vector(&mut self, param: usize, e: Sv) -> Result<Sv> {
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

    /// Writes one element; neighbours in the same word are left alone by atomic operations.
    pub(super) fn store_element(&mut self, param: usize, e: Sv, x: Sv) -> Result<()> {
        let (info, space) = (self.buffers[param].clone(), Space::Buffer(param as u32));
        if !info.packed {
            let x = if info.as_bits { self.b.bitcast(x, info.word()) } else { x };
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

    pub(super) fn store_vector(&mut self, param: usize, e: Sv, x: Sv) -> Result<()> {
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
