//! Loads, stores and read-modify-write at computed offsets.
//!
//! Stretches of neighbouring elements are copied as such. Instances of kernels with atomic operations run in order on one thread
//! where the order shows (old values, sums of floats), so results are the same on every run.

use super::access::fill;
use super::window::each_true;
use super::{Launch, Worker, elements, outside};
use crate::compile::write_literal;
use crate::program::{Inst, Lane};
use crate::simd::{atomic, fallback, gather, memory};
use girih_base::codec::cast;
use girih_base::{Result, ScalarOp};
use girih_tile::{AtomicOp, Op};

impl Worker {
    pub(super) fn load_at(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::LoadAt { param, index, mask, other } = &inst.op else { return Ok(()) };
        let slot = &l.program.slots[inst.dst[0]];
        let (dtype, base, bytes) = (l.program.params[*param].dtype, l.args[*param].ptr, slot.lane.bytes());
        let index = self.dense(l, index.0 as usize, 0)?.cast::<u32>().cast_const();
        let mask = mask.map(|m| self.dense(l, m.0 as usize, 1)).transpose()?;
        let room = self.room(l, inst.dst[0]);
        if mask.is_some() {
            // SAFETY: the room of the slot.
            unsafe { fill(slot, room.ptr, *other) };
        }
        // SAFETY: index and mask have the shape of the result; `stretch` checks the indices.
        stretches(mask, slot.len, |from, to| unsafe {
            for (from, to) in pieces(&slot.shape, from, to) {
                let (all, dst) = (std::slice::from_raw_parts(index.add(from), to - from), room.ptr.add(from * bytes));
                if stretch(l, *param, all)? {
                    memory::load(dtype, base, all[0] as isize, 1, dst, all.len());
                    continue;
                }
                match (Lane::is_memory(dtype), bytes) {
                    (true, 4) => gather::gather::<u32>(base.cast(), all, dst.cast()),
                    (true, _) => gather::gather::<u64>(base.cast(), all, dst.cast()),
                    _ => {
                        for (i, at) in all.iter().enumerate() {
                            memory::load(dtype, base, *at as isize, 1, dst.add(i * bytes), 1);
                        }
                    }
                }
            }
            Ok(())
        })?;
        self.tiles[inst.dst[0]] = room;
        Ok(())
    }

    pub(super) fn store_at(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::StoreAt { param, index, value, mask } = &inst.op else { return Ok(()) };
        self.written = true;
        let slot = &l.program.slots[value.0 as usize];
        let (dtype, base, bytes) = (l.program.params[*param].dtype, l.args[*param].ptr, slot.lane.bytes());
        let index = self.dense(l, index.0 as usize, 0)?.cast::<u32>().cast_const();
        let mask = mask.map(|m| self.dense(l, m.0 as usize, 1)).transpose()?;
        let value = self.dense(l, value.0 as usize, 2)?.cast_const();
        // SAFETY: all have the shape of the value; `stretch` checks the indices.
        stretches(mask, slot.len, |from, to| unsafe {
            let (all, src) = (std::slice::from_raw_parts(index.add(from), to - from), value.add(from * bytes));
            if stretch(l, *param, all)? {
                memory::store(dtype, base, all[0] as isize, 1, src, all.len());
                return Ok(());
            }
            match (Lane::is_memory(dtype), bytes) {
                (true, 4) => gather::scatter::<u32>(base.cast(), all, src.cast()),
                (true, _) => gather::scatter::<u64>(base.cast(), all, src.cast()),
                _ => {
                    for (i, at) in all.iter().enumerate() {
                        memory::store(dtype, base, *at as isize, 1, src.add(i * bytes), 1);
                    }
                }
            }
            Ok(())
        })
    }

    pub(super) fn atomic(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::Atomic { op, param, index, value, mask } = &inst.op else { return Ok(()) };
        self.written = true;
        let slot = &l.program.slots[value.0 as usize];
        let (dtype, len, base, bytes) =
            (l.program.params[*param].dtype, elements(l, *param), l.args[*param].ptr, slot.lane.bytes());
        let index = self.dense(l, index.0 as usize, 0)?.cast::<i32>();
        let mask = mask.map(|m| self.dense(l, m.0 as usize, 1)).transpose()?;
        let value = self.dense(l, value.0 as usize, 2)?;
        let room = self.room(l, inst.dst[0]);
        // Other instances may be at work on the same element.
        if !l.program.sequential && Lane::is_memory(dtype) && dtype.is_int() {
            let index = index.cast::<u32>().cast_const();
            // SAFETY: all have the shape of the value; `stretch` checks the indices.
            stretches(mask, slot.len, |from, to| unsafe {
                let all = std::slice::from_raw_parts(index.add(from), to - from);
                stretch(l, *param, all)?;
                for (i, at) in (from..).zip(all) {
                    let element = base.add(*at as usize * bytes);
                    atomic::update(*op, dtype, element, value.add(i * bytes), room.ptr.add(i * bytes));
                }
                Ok(())
            })?;
            self.tiles[inst.dst[0]] = room;
            return Ok(());
        }
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
        self.written = true;
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

/// Calls `run` for each stretch of elements whose mask holds.
fn stretches(mask: Option<*mut u8>, n: usize, run: impl Fn(usize, usize) -> Result<()>) -> Result<()> {
    match mask {
        None => run(0, n),
        Some(mask) => each_true(mask, 0, 0, n as i64, |from, to| run(from as usize, to as usize)),
    }
}

/// Rows at least this long are looked at one by one.
const ROW: usize = 32;

/// The rows of a stretch of elements of a tile, or all of it where rows are short: neighbours in memory are usually those of a
/// row.
fn pieces(shape: &[usize], from: usize, to: usize) -> impl Iterator<Item = (usize, usize)> {
    let row = shape.last().copied().filter(|n| *n >= ROW).unwrap_or(usize::MAX);
    let mut at = from;
    std::iter::from_fn(move || {
        let start = at;
        at = (start - start % row).saturating_add(row).min(to);
        (start < to).then_some((start, at))
    })
}

/// Whether the indices (i32, not negative) are neighbours in order; all of them were found inside the parameter.
fn stretch(l: &Launch<'_>, param: usize, index: &[u32]) -> Result<bool> {
    // As u32, negative indices are larger than every positive i32.
    let len = elements(l, param).min(1 << 31);
    // SAFETY: no conditions.
    let survey = unsafe { gather::survey(index) };
    if survey.max as i64 >= len {
        let first = index.iter().find(|i| **i as i64 >= len).copied().unwrap_or(survey.max);
        return Err(outside(l, param, first as i32 as i64));
    }
    Ok(survey.row)
}
