//! Structured loads and stores.

use super::window::{Window, each_existing, each_point, each_true, inside};
use super::{Launch, Worker, elements, outside};
use crate::compile::write_literal;
use crate::memory::Mem;
use crate::program::{Inst, Lane, Slot, Tile};
use crate::simd::memory;
use crate::simd::strided::{self, Nest};
use girih_base::{DType, Result};
use girih_tile::verify::MAX_RANK;
use girih_tile::{Literal, Op, ValueId};

impl Worker {
    fn coordinates(&self, at: &[ValueId]) -> [i64; MAX_RANK] {
        let mut out = [0; MAX_RANK];
        out.iter_mut().zip(at).for_each(|(o, v)| *o = self.i32(v.0 as usize));
        out
    }

    /// Whether a mask forbids nothing, as it does everywhere but at the end of what is masked. What repeats is looked at once.
    fn all_true(&self, l: &Launch<'_>, mask: usize) -> bool {
        let (tile, shape) = (&self.tiles[mask], &l.program.slots[mask].shape);
        let mut once = [1; MAX_RANK];
        (0..shape.len()).filter(|i| tile.strides[*i] != 0).for_each(|i| once[i] = shape[i]);
        let nest = Nest::new(&once[..shape.len()], [&tile.strides]);
        let look = nest.each(|[at]| {
            // SAFETY: the nest visits elements of the mask only.
            let on = |j: usize| unsafe { *tile.ptr.offset(at + j as isize * nest.step[0]) != 0 };
            if (0..nest.inner).all(on) { Ok(()) } else { Err(()) }
        });
        look.is_ok()
    }

    pub(super) fn load(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::Load { param, at, mask, other, .. } = &inst.op else { return Ok(()) };
        let (id, view, mem) = (inst.dst[0], &l.views[inst.table], l.args[*param]);
        let (slot, info) = (&l.program.slots[id], &l.program.params[*param]);
        let rank = slot.shape.len();
        let at = self.coordinates(at);
        let w = view.window(&at, &slot.shape);
        let (dtype, len, bytes) = (info.dtype, elements(l, *param), slot.lane.bytes());
        let mask = mask.filter(|m| !self.all_true(l, m.0 as usize));
        if mask.is_some() || !view.guards.is_empty() {
            let axis = strided::running(&slot.shape, &w.strides).filter(|_| mask.is_none());
            let split = inst.split.filter(|split| axis.is_some_and(|a| a < *split)).unwrap_or(0);
            let strides = strided::turned(&slot.shape, split);
            return match axis.filter(|a| strides[*a] == 1) {
                Some(axis) => self.load_runs(l, inst, &at, w, axis, strides),
                None => self.load_rows(l, inst, &at, w, *other),
            };
        }
        if !w.empty(rank) {
            w.check(rank, len).map_err(|at| outside(l, *param, at))?;
        }
        if w.whole && Lane::is_memory(dtype) && !info.stored {
            let ptr = mem.ptr.wrapping_offset(w.origin as isize * bytes as isize);
            self.tiles[id] = Tile { ptr, strides: w.strides };
            return Ok(());
        }
        let room = self.room(l, id);
        self.tiles[id] = room;
        if !w.whole {
            // SAFETY: the room of the slot.
            unsafe { fill(slot, room.ptr, *other) };
            if w.empty(rank) {
                return Ok(());
            }
        }
        let (start, to) = (w.start(rank) as isize, room_start(&room, &w, rank, bytes));
        let nest = Nest::new(&w.shape[..rank], [&w.strides, &room.strides]);
        nest.each(|[from, into]| {
            // SAFETY: the window was checked against the parameter and lies inside the tile.
            unsafe {
                load_run(dtype, mem, start + from, nest.step, to.wrapping_offset(into * bytes as isize), nest.inner)
            };
            Ok(())
        })
    }

    /// Along the axis that both memory and the tile run along.
    fn load_runs(
        &mut self,
        l: &Launch<'_>,
        inst: &Inst,
        at: &[i64],
        w: Window,
        axis: usize,
        strides: [isize; MAX_RANK],
    ) -> Result<()> {
        let Op::Load { param, other, .. } = &inst.op else { return Ok(()) };
        let (id, view, mem, len) = (inst.dst[0], &l.views[inst.table], l.args[*param], elements(l, *param));
        let (slot, dtype) = (&l.program.slots[id], l.program.params[*param].dtype);
        let (rank, bytes) = (slot.shape.len(), slot.lane.bytes());
        let room = Tile { ptr: self.room(l, id).ptr, strides };
        let mut literal = [0u64; 1];
        let outside_value = literal.as_mut_ptr().cast::<u8>();
        // SAFETY: eight aligned bytes hold any lane.
        unsafe { write_literal(outside_value, slot, *other) };
        let n = slot.shape[axis];
        // What exists of a run is the same all along an axis that no guard names: channels, as a rule.
        let whole = |i: usize| w.shape[i] == slot.shape[i] && view.guards.iter().all(|g| g.1.get(i) == Some(&0));
        let free = (0..rank).filter(|i| *i != axis && whole(*i)).max_by_key(|i| slot.shape[*i]);
        let runs = free.map_or(1, |f| slot.shape[f] as i64);
        let [step, turn] = free.map_or([0; 2], |f| [w.strides[f], strides[f]]);
        let mut shape = [1; MAX_RANK];
        shape[..rank].copy_from_slice(&slot.shape);
        shape[axis] = 1;
        free.iter().for_each(|f| shape[*f] = 1);
        let all = (w.lo[axis] as i64, (w.lo[axis] + w.shape[axis]) as i64);
        each_point(&shape[..rank], |point| {
            let fixed = |i: usize| i == axis || Some(i) == free;
            let exists = (0..rank).all(|i| fixed(i) || (w.lo[i]..w.lo[i] + w.shape[i]).contains(&point[i]));
            let (lo, hi) = if exists { view.guarded(at, point, axis, all) } else { (0, 0) };
            let mut first = w.origin;
            let mut into = 0;
            for i in 0..rank {
                first += w.strides[i] as i64 * point[i] as i64;
                into += strides[i] * point[i] as isize;
            }
            if lo < hi {
                for first in [first, first.saturating_add((step as i64).saturating_mul(runs - 1))] {
                    inside(first, 1, lo, hi, len).map_err(|at| outside(l, *param, at))?;
                }
            }
            let (lo, hi) = if lo < hi { (lo as usize, hi as usize) } else { (0, 0) };
            for run in 0..runs as isize {
                let (first, into) = (first as isize + run * step, into + run * turn);
                // SAFETY: the run lies in the tile, and what exists of it in the parameter, as its ends do.
                unsafe {
                    let to = room.ptr.wrapping_offset(into * bytes as isize);
                    if lo < hi {
                        memory::load(dtype, mem.ptr, first + lo as isize, 1, to.wrapping_add(lo * bytes), hi - lo);
                    }
                    for (from, end) in [(0, lo), (hi, n)] {
                        for i in from..end {
                            std::ptr::copy_nonoverlapping(outside_value, to.wrapping_add(i * bytes), bytes);
                        }
                    }
                }
            }
            Ok(())
        })?;
        self.tiles[id] = room;
        Ok(())
    }

    /// Row by row, element by element where there is a mask.
    fn load_rows(&mut self, l: &Launch<'_>, inst: &Inst, at: &[i64], w: Window, other: Literal) -> Result<()> {
        let Op::Load { param, mask, .. } = &inst.op else { return Ok(()) };
        let (id, view, mem, len) = (inst.dst[0], &l.views[inst.table], l.args[*param], elements(l, *param));
        let (slot, dtype) = (&l.program.slots[id], l.program.params[*param].dtype);
        let mask = mask.map(|m| self.dense(l, m.0 as usize, 0)).transpose()?;
        let room = self.room(l, id);
        self.tiles[id] = room;
        // SAFETY: the room of the slot.
        unsafe { fill(slot, room.ptr, other) };
        let bytes = slot.lane.bytes();
        each_existing(view, at, &slot.shape, &w, |first, stride, tile, lo, hi| {
            let run = |lo: i64, hi: i64| -> Result<()> {
                inside(first, stride, lo, hi, len).map_err(|at| outside(l, *param, at))?;
                // SAFETY: just checked; the row lies in the tile.
                unsafe {
                    let to = room.ptr.add((tile + lo as usize) * bytes);
                    memory::load(
                        dtype,
                        mem.ptr,
                        (first + lo * stride) as isize,
                        stride as isize,
                        to,
                        (hi - lo) as usize,
                    );
                }
                Ok(())
            };
            match mask {
                None => run(lo, hi),
                // SAFETY: the mask has the tile's shape.
                Some(mask) => each_true(mask, tile, lo, hi, run),
            }
        })
    }

    pub(super) fn store(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::Store { param, at, value, mask, .. } = &inst.op else { return Ok(()) };
        let (id, view, mem) = (value.0 as usize, &l.views[inst.table], l.args[*param]);
        let (slot, dtype, len) = (&l.program.slots[id], l.program.params[*param].dtype, elements(l, *param));
        let rank = slot.shape.len();
        self.written = true;
        let at = self.coordinates(at);
        let w = view.window(&at, &slot.shape);
        let (tile, bytes) = (self.tiles[id], slot.lane.bytes());
        if w.empty(rank) {
            return Ok(());
        }
        let mask = mask.filter(|m| !self.all_true(l, m.0 as usize));
        if mask.is_some() || !view.guards.is_empty() {
            let mask = mask.map(|m| self.dense(l, m.0 as usize, 0)).transpose()?;
            let src = self.dense(l, id, 1)?;
            return each_existing(view, &at, &slot.shape, &w, |first, stride, tile, lo, hi| {
                let run = |lo: i64, hi: i64| -> Result<()> {
                    inside(first, stride, lo, hi, len).map_err(|at| outside(l, *param, at))?;
                    // SAFETY: just checked; the row lies in the tile.
                    unsafe {
                        let from = src.add((tile + lo as usize) * bytes);
                        let n = (hi - lo) as usize;
                        memory::store(dtype, mem.ptr, (first + lo * stride) as isize, stride as isize, from, n);
                    }
                    Ok(())
                };
                match mask {
                    None => run(lo, hi),
                    Some(mask) => each_true(mask, tile, lo, hi, run),
                }
            });
        }
        w.check(rank, len).map_err(|at| outside(l, *param, at))?;
        let start = w.start(rank) as isize;
        let from = room_start(&tile, &w, rank, bytes);
        if Lane::is_memory(dtype) {
            let to = mem.ptr.wrapping_offset(start * bytes as isize);
            if to.cast_const() != from.cast_const() {
                // SAFETY: the window was checked; values never lie in a parameter that is stored to, except in the
                // place of this very store, which the comparison found.
                unsafe { strided::copy(bytes, &w.shape[..rank], (from, &tile.strides), (to, &w.strides)) };
            }
            return Ok(());
        }
        let nest = Nest::new(&w.shape[..rank], [&w.strides, &tile.strides]);
        let strip = self.strips.as_mut_ptr();
        nest.each(|[into, at]| {
            for done in (0..nest.inner).step_by(super::STRIP) {
                let n = super::STRIP.min(nest.inner - done);
                // SAFETY: the window was checked and lies inside the tile.
                unsafe {
                    let piece = from.wrapping_offset((at + done as isize * nest.step[1]) * bytes as isize);
                    strided::copy(bytes, &[n], (piece, &[nest.step[1]]), (strip, &[1]));
                    memory::store(dtype, mem.ptr, start + into + done as isize * nest.step[0], nest.step[0], strip, n);
                }
            }
            Ok(())
        })
    }

    /// Where an operation computes its result: in the place of the store that alone uses it when every element of that
    /// place exists and rows are contiguous, otherwise in the value's room.
    pub(super) fn place(&mut self, l: &Launch<'_>, inst: &Inst) -> Tile {
        let id = inst.dst[0];
        let Some(d) = &inst.direct else { return self.room(l, id) };
        let slot = &l.program.slots[id];
        let (view, rank) = (&l.views[d.table], d.shape.len());
        let mut at = [0; MAX_RANK];
        at.iter_mut().zip(&d.at).for_each(|(o, v)| *o = self.i32(*v));
        let w = view.window(&at, &d.shape);
        if !w.whole || !view.guards.is_empty() {
            return self.room(l, id);
        }
        // The value may see the place in another shape than the store does.
        let strides = match d.shape == slot.shape {
            true => Some(w.strides),
            false => strided::reshaped(&d.shape, &w.strides[..rank], &slot.shape),
        };
        let last = (0..slot.shape.len()).rev().find(|i| slot.shape[*i] > 1);
        let strides = strides.filter(|s| last.is_none_or(|i| s[i] == 1));
        match strides {
            Some(strides) if w.check(rank, elements(l, d.param)).is_ok() => {
                let ptr = l.args[d.param].ptr.wrapping_offset(w.origin as isize * slot.lane.bytes() as isize);
                Tile { ptr, strides }
            }
            _ => self.room(l, id),
        }
    }
}

/// # Safety
/// The run lies inside the parameter and the destination.
unsafe fn load_run(dtype: DType, mem: Mem, first: isize, step: [isize; 2], to: *mut u8, n: usize) {
    let bytes = Lane::of(dtype).bytes() as isize;
    // SAFETY: the caller's promise.
    unsafe {
        if step[1] == 1 || n == 1 {
            memory::load(dtype, mem.ptr, first, step[0], to, n);
        } else {
            for i in 0..n as isize {
                memory::load(dtype, mem.ptr, first + i * step[0], 1, to.offset(i * step[1] * bytes), 1);
            }
        }
    }
}

/// # Safety
/// `at` is the contiguous room of the slot.
pub(super) unsafe fn fill(slot: &Slot, at: *mut u8, value: Literal) {
    // SAFETY: the caller's promise; a slot has at least one element.
    unsafe {
        write_literal(at, slot, value);
        let bytes = slot.lane.bytes();
        strided::copy(bytes, &[slot.len - 1], (at, &[0]), (at.add(bytes), &[1]));
    }
}

fn room_start(tile: &Tile, w: &Window, rank: usize, bytes: usize) -> *mut u8 {
    let offset: isize = (0..rank).map(|i| tile.strides[i] * w.lo[i] as isize).sum();
    tile.ptr.wrapping_offset(offset * bytes as isize)
}
