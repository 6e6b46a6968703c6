//! `map`, `cast`, `bitcast`: plans the loops over strided operands and calls the vectorised inner loops.

use super::{Launch, STRIP, Worker};
use crate::program::{Inst, Lane, Slot, Tile};
use crate::simd::float::{self, Operands};
use crate::simd::strided::Nest;
use crate::simd::{cast, fallback, ints, strided, update};
use girih_base::scalar::Output;
use girih_base::{DType, Diag, Result, ScalarOp};
use girih_tile::ValueId;

/// An operation over a run of elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inner {
    op: ScalarOp,
    /// Dtype and lane of the operands that decide (the last one).
    dtype: DType,
    lane: Lane,
    /// Bytes of each operand's elements.
    bytes: [usize; 3],
    count: usize,
    /// The vectorised loop exists.
    fast: bool,
}

impl Worker {
    pub(super) fn map(&mut self, l: &Launch<'_>, inst: &Inst, op: ScalarOp, args: &[ValueId]) -> Result<()> {
        let slot = &l.program.slots[inst.dst[0]];
        let inner = inst.inner.unwrap_or_else(|| Inner::new(&l.program.slots, op, args));
        let out = self.place(l, inst);
        if slot.len == 1 {
            let at = [0, 1, 2].map(|i: usize| self.tiles[args[i.min(args.len() - 1)].0 as usize].ptr.cast_const());
            let strips = self.strips.as_mut_ptr();
            // SAFETY: every value has at least one element, and this one no more.
            unsafe {
                inner.along((out.ptr, slot.lane.bytes()), at, [1; 3], 1, || strips);
                inner.finish(slot.dtype, out.ptr, 1);
            }
            self.tiles[inst.dst[0]] = out;
            return Ok(());
        }
        let mut tiles = [out; 3];
        tiles.iter_mut().zip(args).for_each(|(t, arg)| *t = self.tiles[arg.0 as usize]);
        let [a, b, c] = [0, 1, 2].map(|i: usize| &tiles[i.min(args.len() - 1)]);
        if let ([n], 1, true) = (&slot.shape[..], out.strides[0], slot.len > 1) {
            let (step, from) = ([a, b, c].map(|t| t.strides[0]), [a, b, c].map(|t| t.ptr.cast_const()));
            let strips = self.strips.as_mut_ptr();
            // SAFETY: the operands have `n` elements this far apart; results never overlap operands.
            unsafe {
                if inner.direct(step, *n) {
                    inner.call(out.ptr, from, step.map(|s| s as usize), *n);
                } else {
                    inner.run((out.ptr, slot.lane.bytes()), from, step, *n, strips);
                }
                inner.finish(slot.dtype, out.ptr, *n);
            }
            self.tiles[inst.dst[0]] = out;
            return Ok(());
        }
        let nest = Nest::new(&slot.shape, [&out.strides, &a.strides, &b.strides, &c.strides]);
        let out_bytes = slot.lane.bytes();
        let (strips, n) = (self.strips.as_mut_ptr(), nest.inner);
        let step = if n == 1 { [1; 4] } else { nest.step };
        let step = [step[1], step[2], step[3]];
        let (direct, by) = (inner.direct(step, n), step.map(|s| s as usize));
        let _ = nest.each(|at| {
            let part = |t: &Tile, i: usize| t.ptr.wrapping_offset(at[i + 1] * inner.bytes[i] as isize).cast_const();
            let from = [part(a, 0), part(b, 1), part(c, 2)];
            // SAFETY: the nest visits elements of the tiles only; results never overlap operands (each has its room).
            unsafe {
                let to = out.ptr.wrapping_offset(at[0] * out_bytes as isize);
                if direct {
                    inner.call(to, from, by, n);
                } else {
                    inner.run((to, out_bytes), from, step, n, strips);
                }
            }
            Ok::<(), ()>(())
        });
        // SAFETY: values that need it lie contiguous in their rooms.
        unsafe { inner.finish(slot.dtype, out.ptr, slot.len) };
        self.tiles[inst.dst[0]] = out;
        Ok(())
    }

    pub(super) fn cast(&mut self, l: &Launch<'_>, inst: &Inst, x: usize) -> Result<()> {
        let (from, to) = (&l.program.slots[x], &l.program.slots[inst.dst[0]]);
        let src = self.tiles[x];
        if from.dtype == to.dtype || from.lane == Lane::F32 && to.dtype == DType::F32 && inst.direct.is_none() {
            self.copy_value(l, inst.dst[0], x);
            return Ok(());
        }
        let out = self.place(l, inst);
        let nest = Nest::new(&to.shape, [&out.strides, &src.strides]);
        let strips = self.strips.as_mut_ptr();
        let (a, b) = (from.lane.bytes(), to.lane.bytes());
        let _ = nest.each(|[o, i]| {
            let (to_at, from_at) = (out.ptr.wrapping_offset(o * b as isize), src.ptr.wrapping_offset(i * a as isize));
            // SAFETY: the nest visits elements of the tiles only.
            unsafe {
                if nest.step[1] == 1 || nest.inner == 1 {
                    cast::convert(from.dtype, from_at, to.dtype, to_at, nest.inner);
                } else {
                    for start in (0..nest.inner).step_by(STRIP) {
                        let n = STRIP.min(nest.inner - start);
                        let piece = from_at.wrapping_offset(start as isize * nest.step[1] * a as isize);
                        strided::copy(a, &[n], (piece, &[nest.step[1]]), (strips, &[1]));
                        cast::convert(from.dtype, strips, to.dtype, to_at.wrapping_add(start * b), n);
                    }
                }
            }
            Ok::<(), ()>(())
        });
        self.tiles[inst.dst[0]] = out;
        Ok(())
    }

    /// Makes `dst` a contiguous copy of `src` (same lanes).
    pub(super) fn copy_value(&mut self, l: &Launch<'_>, dst: usize, src: usize) {
        let (from, room) = (self.tiles[src], self.room(l, dst));
        let slot = &l.program.slots[dst];
        if from.ptr != room.ptr {
            // SAFETY: both hold the whole shape; rooms of different values do not overlap.
            unsafe {
                strided::copy(slot.lane.bytes(), &slot.shape, (from.ptr, &from.strides), (room.ptr, &room.strides));
            }
        }
        self.tiles[dst] = room;
    }

    pub(super) fn bitcast(&mut self, l: &Launch<'_>, inst: &Inst, x: usize) -> Result<()> {
        let (from, to) = (&l.program.slots[x], &l.program.slots[inst.dst[0]]);
        if Lane::is_memory(from.dtype) && Lane::is_memory(to.dtype) || from.dtype == to.dtype {
            self.copy_value(l, inst.dst[0], x);
            return Ok(());
        }
        if from.len != to.len {
            return Err(Diag::error("X104", "a bit cast changes the number of elements"));
        }
        let src = self.dense(l, x, 0)?;
        let out = self.room(l, inst.dst[0]);
        // SAFETY: both hold `len` lanes.
        unsafe { cast::reinterpret(from.dtype, src, to.dtype, out.ptr, to.len) };
        self.tiles[inst.dst[0]] = out;
        Ok(())
    }
}

impl Inner {
    pub(super) fn new(slots: &[Slot], op: ScalarOp, args: &[ValueId]) -> Inner {
        let dtype = |i: usize| slots[args[i.min(args.len() - 1)].0 as usize].dtype;
        Inner::of(op, &[dtype(0), dtype(1), dtype(2)][..args.len()])
    }

    /// An operation on operands of these dtypes, at least one and at most three.
    pub(crate) fn of(op: ScalarOp, args: &[DType]) -> Inner {
        let dtype = args[args.len() - 1];
        let lane = Lane::of(dtype);
        let fast = match lane {
            // The range of f8e8m0 is that of f32 without its subnormals, so f32 results would lose their smallest values.
            Lane::F32 => float::has_f32(op) && dtype != DType::F8E8M0,
            Lane::F64 => float::has_f64(op),
            Lane::Bool => ints::has_bool(op),
            _ => ints::has(op, Lane::is_memory(dtype)),
        };
        let mut bytes = [1; 3];
        bytes.iter_mut().zip(args).for_each(|(b, arg)| *b = Lane::of(*arg).bytes());
        Inner { op, dtype, lane, bytes, count: args.len(), fast }
    }

    /// Whether the loop is vectorised and gives results that need no rounding.
    pub(crate) fn plain(&self) -> bool {
        self.fast && (Lane::is_memory(self.dtype) || self.lane == Lane::Bool)
    }

    /// Bytes of an element of operand `i`.
    pub(crate) fn operand_bytes(&self, i: usize) -> usize {
        self.bytes[i.min(2)]
    }

    /// Bytes of an element of the result.
    pub(crate) fn result_bytes(&self) -> usize {
        if self.op.row().output == Output::Bool { Lane::Bool.bytes() } else { self.lane.bytes() }
    }

    /// Rounds or wraps results to their dtype.
    ///
    /// # Safety
    /// `n` lanes lie at `at`.
    pub(crate) unsafe fn finish(&self, dtype: DType, at: *mut u8, n: usize) {
        if self.fast && !Lane::is_memory(self.dtype) && self.op.row().output == Output::Same {
            // SAFETY: the caller's promise.
            unsafe { cast::narrow(dtype, at, n) };
        }
    }

    /// # Safety
    /// `n` elements lie at `to` and, `step` elements apart, at each of `from`; `strips` has room for three strips.
    pub(crate) unsafe fn run(
        &self,
        (to, to_bytes): (*mut u8, usize),
        from: [*const u8; 3],
        step: [isize; 3],
        n: usize,
        strips: *mut u8,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            if !self.fast {
                let lanes: [Lane; 3] = [self.first_lane(), self.lane, self.lane];
                for i in 0..n {
                    let mut args = [girih_base::codec::Scalar::Int(0); 3];
                    for k in 0..self.count {
                        let at = from[k].wrapping_offset(i as isize * step[k] * self.bytes[k] as isize);
                        args[k] = fallback::read(lanes[k], at);
                    }
                    let value = fallback::apply(self.op, self.dtype, &args[..self.count]);
                    let lane = if self.op.row().output == Output::Bool { Lane::Bool } else { self.lane };
                    fallback::write(lane, to.add(i * to_bytes), value);
                }
                return;
            }
            let steps = &step[..self.count];
            if n > 1 && steps.iter().all(|s| *s == 0) {
                self.call(to, from, [1; 3], 1);
                let value = (to.cast_const(), &[0isize][..]);
                if n > 1 {
                    strided::copy(to_bytes, &[n - 1], value, (to.add(to_bytes), &[1]));
                }
                return;
            }
            if self.direct(step, n) {
                return self.call(to, from, step.map(|s| s as usize), n);
            }
            // Operands the loop cannot take as they lie are copied piece by piece.
            for start in (0..n).step_by(STRIP) {
                let len = STRIP.min(n - start);
                let (mut at, mut by) = (from, [1usize; 3]);
                for k in 0..self.count {
                    let bytes = self.bytes[k];
                    let piece = from[k].wrapping_offset(start as isize * step[k] * bytes as isize);
                    at[k] = match step[k] {
                        1 => piece,
                        0 if self.repeats(k) => {
                            by[k] = 0;
                            from[k]
                        }
                        s => {
                            let strip = strips.wrapping_add(k * STRIP * 8);
                            if s != 0 || start == 0 {
                                strided::copy(bytes, &[len], (piece, &[s]), (strip, &[1]));
                            }
                            strip.cast_const()
                        }
                    };
                }
                self.call(to.add(start * to_bytes), at, by, len);
            }
        }
    }

    /// As [`Self::run`], for operands that advance by one element (`by` 1) or repeat one (0). Inlined, for the same reason as
    /// [`Self::call`].
    ///
    /// # Safety
    /// As for [`Self::run`].
    #[inline(always)]
    pub(crate) unsafe fn along(
        &self,
        (to, to_bytes): (*mut u8, usize),
        [x, y, z]: [*const u8; 3],
        [a, b, c]: [usize; 3],
        n: usize,
        strips: impl FnOnce() -> *mut u8,
    ) {
        let ready = |i: usize, by: usize| i >= self.count || by == 1 || self.repeats(i);
        let direct = self.fast && ready(0, a) && ready(1, b) && ready(2, c) && (n == 1 || a | b | c == 1);
        // SAFETY: the caller's promise.
        unsafe {
            if direct {
                self.call(to, [x, y, z], [a, b, c], n);
            } else {
                let step = [a as isize, b as isize, c as isize];
                self.run((to, to_bytes), [x, y, z], step, n, strips());
            }
        }
    }

    /// As [`Self::along`], where operand `which` is the destination itself, which advances.
    ///
    /// # Safety
    /// As for [`Self::run`]; no other operand overlaps the destination; `strips` has room for four strips.
    pub(crate) unsafe fn onto(
        &self,
        (to, to_bytes): (*mut u8, usize),
        which: usize,
        from: [*const u8; 3],
        by: [usize; 3],
        n: usize,
        strips: impl FnOnce() -> *mut u8,
    ) {
        let (other, step) = (from[(which ^ 1) & 1], by[(which ^ 1) & 1]);
        // SAFETY: the caller's promise; what is copied lies in the fourth strip, which is no operand.
        unsafe {
            match self.lane {
                _ if self.count != 2 => {}
                Lane::F32 if update::has_f32(self.op) => {
                    return update::update_f32(self.op, to.cast(), which, other.cast(), step, n);
                }
                Lane::I32 if update::has_int(self.op) => {
                    return update::update_int::<i32>(self.op, to.cast(), which, other.cast(), step, n);
                }
                Lane::U32 if update::has_int(self.op) => {
                    return update::update_int::<u32>(self.op, to.cast(), which, other.cast(), step, n);
                }
                _ => {}
            }
            let strips = strips();
            let out = strips.wrapping_add(3 * STRIP * 8);
            for start in (0..n).step_by(STRIP) {
                let len = STRIP.min(n - start);
                let piece = |k: usize| from[k].wrapping_add(start * by[k] * self.bytes[k]);
                self.along((out, to_bytes), [piece(0), piece(1), piece(2)], by, len, || strips);
                std::ptr::copy_nonoverlapping(out.cast_const(), to.add(start * to_bytes), len * to_bytes);
            }
        }
    }

    /// Whether the vectorised loop takes operands that lie like this.
    fn direct(&self, step: [isize; 3], n: usize) -> bool {
        let steps = &step[..self.count];
        let taken = steps.iter().enumerate().all(|(i, s)| *s == 1 || *s == 0 && self.repeats(i));
        self.fast && taken && !(n > 1 && steps.iter().all(|s| *s == 0))
    }

    fn first_lane(&self) -> Lane {
        if self.op == ScalarOp::Select { Lane::Bool } else { self.lane }
    }

    /// Whether the vectorised loop takes operand `i` as one repeated element (when another operand advances).
    fn repeats(&self, i: usize) -> bool {
        match (self.lane, self.op) {
            (_, ScalarOp::Select) => i > 0,
            (Lane::F32 | Lane::F64, ScalarOp::Clamp | ScalarOp::Fma) => true,
            _ => self.count == 2,
        }
    }

    /// Inlined, so that the pointers stay in registers: passed in memory, they would wait behind the stores of the run
    /// before.
    ///
    /// # Safety
    /// As the inner loops demand.
    #[inline(always)]
    unsafe fn call(&self, to: *mut u8, at: [*const u8; 3], step: [usize; 3], n: usize) {
        macro_rules! go {
            ($f:path, $t:ty) => {
                // SAFETY: the caller's promise.
                unsafe { $f(self.op, to.cast::<$t>(), Operands { at: at.map(|p| p.cast::<$t>()), step }, n) }
            };
        }
        match self.lane {
            Lane::F32 => go!(float::map_f32, f32),
            Lane::F64 => go!(float::map_f64, f64),
            Lane::I32 => go!(ints::map_int, i32),
            Lane::U32 => go!(ints::map_int, u32),
            Lane::I64 => go!(ints::map_int, i64),
            Lane::U64 => go!(ints::map_int, u64),
            Lane::Bool => go!(ints::map_bool, u8),
        }
    }
}
