//! Loads, stores and read-modify-write at computed offsets.
//!
//! A kernel with atomic operations runs its instances in order on one thread, so old values and float sums are the same
//! on every run.

use super::{Launch, Worker, elements, outside};
use crate::compile::write_literal;
use crate::program::{Inst, Lane};
use crate::simd::{fallback, memory};
use girih_base::codec::cast;
use girih_base::{Result, ScalarOp};
use girih_tile::{AtomicOp, Op};

impl Worker {
    pub(super) fn load_at(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::LoadAt { param, index, mask, other } = &inst.op else { return Ok(()) };
        let slot = &l.program.slots[inst.dst[0]];
        let (dtype, len, base, bytes) =
            (l.program.params[*param].dtype, elements(l, *param), l.args[*param].ptr, slot.lane.bytes());
        let index = self.dense(l, index.0 as usize, 0)?.cast::<i32>();
        let mask = mask.map(|m| self.dense(l, m.0 as usize, 1)).transpose()?;
        let room = self.room(l, inst.dst[0]);
        for i in 0..slot.len {
            // SAFETY: index and mask have the shape of the result; the offset is checked before it is used.
            unsafe {
                let to = room.ptr.add(i * bytes);
                if mask.is_some_and(|m| *m.add(i) == 0) {
                    write_literal(to, slot, *other);
                    continue;
                }
                let at = *index.add(i) as i64;
                if !(0..len).contains(&at) {
                    return Err(outside(l, *param, at));
                }
                match (Lane::is_memory(dtype), bytes) {
                    (true, 4) => *to.cast::<u32>() = *base.cast::<u32>().add(at as usize),
                    (true, _) => *to.cast::<u64>() = *base.cast::<u64>().add(at as usize),
                    _ => memory::load(dtype, base, at as isize, 1, to, 1),
                }
            }
        }
        self.tiles[inst.dst[0]] = room;
        Ok(())
    }

    pub(super) fn store_at(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::StoreAt { param, index, value, mask } = &inst.op else { return Ok(()) };
        let slot = &l.program.slots[value.0 as usize];
        let (dtype, len, base) = (l.program.params[*param].dtype, elements(l, *param), l.args[*param].ptr);
        let index = self.dense(l, index.0 as usize, 0)?.cast::<i32>();
        let mask = mask.map(|m| self.dense(l, m.0 as usize, 1)).transpose()?;
        let value = self.dense(l, value.0 as usize, 2)?;
        for i in 0..slot.len {
            // SAFETY: all have the shape of the value; the offset is checked before it is used.
            unsafe {
                if mask.is_some_and(|m| *m.add(i) == 0) {
                    continue;
                }
                let at = *index.add(i) as i64;
                if !(0..len).contains(&at) {
                    return Err(outside(l, *param, at));
                }
                memory::store(dtype, base, at as isize, 1, value.add(i * slot.lane.bytes()), 1);
            }
        }
        Ok(())
    }

    pub(super) fn atomic(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::Atomic { op, param, index, value, mask } = &inst.op else { return Ok(()) };
        let slot = &l.program.slots[value.0 as usize];
        let (dtype, len, base, bytes) =
            (l.program.params[*param].dtype, elements(l, *param), l.args[*param].ptr, slot.lane.bytes());
        let index = self.dense(l, index.0 as usize, 0)?.cast::<i32>();
        let mask = mask.map(|m| self.dense(l, m.0 as usize, 1)).transpose()?;
        let value = self.dense(l, value.0 as usize, 2)?;
        let room = self.room(l, inst.dst[0]);
        let scalar = match op {
            AtomicOp::Add => Some(ScalarOp::Add),
            AtomicOp::Min => Some(ScalarOp::Min),
            AtomicOp::Max => Some(ScalarOp::Max),
            AtomicOp::And => Some(ScalarOp::And),
            AtomicOp::Or => Some(ScalarOp::Or),
            AtomicOp::Xor => Some(ScalarOp::Xor),
            AtomicOp::Exchange => None,
        };
        for i in 0..slot.len {
            // SAFETY: all have the shape of the value; the offset is checked before it is used.
            unsafe {
                let old = room.ptr.add(i * bytes);
                if mask.is_some_and(|m| *m.add(i) == 0) {
                    write_literal(old, slot, girih_tile::Literal::Int(0));
                    continue;
                }
                let at = *index.add(i) as i64;
                if !(0..len).contains(&at) {
                    return Err(outside(l, *param, at));
                }
                memory::load(dtype, base, at as isize, 1, old, 1);
                let right = fallback::read(slot.lane, value.add(i * bytes));
                let new = match scalar {
                    Some(op) => fallback::apply(op, dtype, &[fallback::read(slot.lane, old), right]),
                    None => right,
                };
                let mut lane = [0u64; 1];
                let at_lane = lane.as_mut_ptr().cast::<u8>();
                fallback::write(slot.lane, at_lane, cast(new, dtype));
                memory::store(dtype, base, at as isize, 1, at_lane, 1);
            }
        }
        self.tiles[inst.dst[0]] = room;
        Ok(())
    }

    pub(super) fn compare_exchange(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::CompareExchange { param, index, expected, value } = &inst.op else { return Ok(()) };
        let slot = &l.program.slots[value.0 as usize];
        let (dtype, len, base, bytes) =
            (l.program.params[*param].dtype, elements(l, *param), l.args[*param].ptr, slot.lane.bytes());
        let index = self.dense(l, index.0 as usize, 0)?.cast::<i32>();
        let expected = self.dense(l, expected.0 as usize, 1)?;
        let value = self.dense(l, value.0 as usize, 2)?;
        let room = self.room(l, inst.dst[0]);
        for i in 0..slot.len {
            // SAFETY: all have the shape of the value; the offset is checked before it is used.
            unsafe {
                let old = room.ptr.add(i * bytes);
                let at = *index.add(i) as i64;
                if !(0..len).contains(&at) {
                    return Err(outside(l, *param, at));
                }
                memory::load(dtype, base, at as isize, 1, old, 1);
                if fallback::read(slot.lane, old) == fallback::read(slot.lane, expected.add(i * bytes)) {
                    memory::store(dtype, base, at as isize, 1, value.add(i * bytes), 1);
                }
            }
        }
        self.tiles[inst.dst[0]] = room;
        Ok(())
    }
}
