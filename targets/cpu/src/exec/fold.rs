//! `reduce` and `scan`.
//!
//! Folds of a contiguous axis follow `simd::fold`; folds of another axis go row by row, four rows at a time.

use super::{Launch, Worker};
use crate::program::{Code, Inst, Lane, Tile};
use crate::simd::fold::{Fold, fold_rows, fold_run};
use crate::simd::strided::Nest;
use crate::simd::{cast, fallback, strided};
use girih_base::codec::Scalar;
use girih_base::{Result, ScalarOp};
use girih_tile::verify::MAX_RANK;
use girih_tile::{Combine, Op};

/// Runs `$body` with `$t` the type of a lane.
macro_rules! with_lane {
    ($lane:expr, $t:ident => $body:expr) => {
        match $lane {
            Lane::Bool => {
                type $t = u8;
                $body
            }
            Lane::I32 => {
                type $t = i32;
                $body
            }
            Lane::U32 => {
                type $t = u32;
                $body
            }
            Lane::I64 => {
                type $t = i64;
                $body
            }
            Lane::U64 => {
                type $t = u64;
                $body
            }
            Lane::F32 => {
                type $t = f32;
                $body
            }
            Lane::F64 => {
                type $t = f64;
                $body
            }
        }
    };
}

impl Worker {
    pub(super) fn reduce(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::Reduce { args, axis, combine } = &inst.op else { return Ok(()) };
        let args: Vec<usize> = args.iter().map(|v| v.0 as usize).collect();
        match combine {
            Combine::Scalar(op) => self.reduce_scalar(l, inst, *op, args[0], *axis),
            Combine::Body(_) => self.reduce_body(l, inst, &args, *axis),
        }
    }

    fn reduce_scalar(&mut self, l: &Launch<'_>, inst: &Inst, op: ScalarOp, x: usize, axis: usize) -> Result<()> {
        let (slot, id) = (&l.program.slots[x], inst.dst[0]);
        let (len, lane) = (slot.shape[axis], slot.lane);
        let mut tile = self.tiles[x];
        let out = self.room(l, id);
        let rest = &l.program.slots[id].shape;
        let without_axis = |strides: &[isize; MAX_RANK]| {
            let mut s = [0isize; MAX_RANK];
            (0..rest.len()).for_each(|i| s[i] = strides[i + (i >= axis) as usize]);
            s
        };
        let mut nest = Nest::new(rest, [&out.strides, &without_axis(&tile.strides)]);
        let rows = |nest: &Nest<2>| nest.inner > 1 && nest.step[1] == 1;
        if !(tile.strides[axis] == 1 || len == 1 || rows(&nest)) {
            tile = Tile { ptr: self.dense(l, x, 0)?, strides: strided::contiguous(&slot.shape) };
            nest = Nest::new(rest, [&out.strides, &without_axis(&tile.strides)]);
        }
        let step = tile.strides[axis];
        let mut lines: Vec<*const u8> = Vec::new();
        let bytes = lane.bytes() as isize;
        let _ = nest.each(|[to, from]| {
            // SAFETY: the nest and the axis together visit elements of the tile only.
            with_lane!(lane, T => unsafe {
                let (to, from) = (out.ptr.cast::<T>().offset(to), tile.ptr.cast::<T>().offset(from).cast_const());
                if step == 1 || len == 1 {
                    for i in 0..nest.inner as isize {
                        let line = std::slice::from_raw_parts(from.offset(i * nest.step[1]), len);
                        *to.offset(i * nest.step[0]) = fold_run(op, line);
                    }
                } else if rows(&nest) {
                    std::ptr::copy_nonoverlapping(from, to, nest.inner);
                    lines.clear();
                    lines.extend((1..len as isize).map(|k| from.cast::<u8>().wrapping_offset(k * step * bytes)));
                    let lines = std::slice::from_raw_parts(lines.as_ptr().cast::<*const T>(), lines.len());
                    fold_rows(op, std::slice::from_raw_parts_mut(to, nest.inner), lines);
                } else {
                    for i in 0..nest.inner as isize {
                        let line = |k: usize| *from.offset(i * nest.step[1] + k as isize * step);
                        *to.offset(i * nest.step[0]) = (1..len).fold(line(0), |a, k| T::fold(op, a, line(k)));
                    }
                }
            });
            Ok::<(), ()>(())
        });
        // SAFETY: the room of the result.
        unsafe { cast::narrow(slot.dtype, out.ptr, l.program.slots[id].len) };
        self.tiles[id] = out;
        Ok(())
    }

    /// All operands in order `[outer, axis, inner]`, as values.
    fn lines(&mut self, l: &Launch<'_>, args: &[usize]) -> Result<Vec<Vec<Scalar>>> {
        let mut out = Vec::with_capacity(args.len());
        for arg in args {
            let (slot, at) = (&l.program.slots[*arg], self.dense(l, *arg, 0)?);
            // SAFETY: `at` holds the whole value.
            let read = |i: usize| unsafe { fallback::read(slot.lane, at.add(i * slot.lane.bytes())) };
            out.push((0..slot.len).map(read).collect());
        }
        Ok(out)
    }

    pub(super) fn scan(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::Scan { args, axis, combine, reverse } = &inst.op else { return Ok(()) };
        let args: Vec<usize> = args.iter().map(|v| v.0 as usize).collect();
        let slot = &l.program.slots[args[0]];
        let (len, inner) = (slot.shape[*axis], slot.shape[axis + 1..].iter().product::<usize>());
        let outer: usize = slot.shape[..*axis].iter().product();
        let index = |at: usize, k: usize| {
            let k = if *reverse { len - 1 - k } else { k };
            (at / inner * len + k) * inner + at % inner
        };
        let rooms: Vec<Tile> = inst.dst.iter().map(|d| self.room(l, *d)).collect();
        if let (Combine::Scalar(op), true) = (combine, Lane::is_memory(slot.dtype) || slot.lane == Lane::Bool) {
            let (src, dst) = (self.dense(l, args[0], 0)?, rooms[0].ptr);
            for at in 0..outer * inner {
                // SAFETY: `index` stays inside the value.
                with_lane!(slot.lane, T => unsafe {
                    let (src, dst) = (src.cast::<T>(), dst.cast::<T>());
                    let mut sum = *src.add(index(at, 0));
                    *dst.add(index(at, 0)) = sum;
                    for k in 1..len {
                        sum = T::fold(*op, sum, *src.add(index(at, k)));
                        *dst.add(index(at, k)) = sum;
                    }
                });
            }
        } else {
            let values = self.lines(l, &args)?;
            for at in 0..outer * inner {
                let mut sum: Vec<Scalar> = Vec::new();
                for k in 0..len {
                    let here: Vec<Scalar> = values.iter().map(|v| v[index(at, k)]).collect();
                    sum = match (k, combine) {
                        (0, _) => here,
                        (_, Combine::Scalar(op)) => vec![fallback::apply(*op, slot.dtype, &[sum[0], here[0]])],
                        // From the end to the start, what was seen is on the right.
                        (_, Combine::Body(_)) if *reverse => self.combine(l, &inst.blocks[0], &here, &sum)?,
                        (_, Combine::Body(_)) => self.combine(l, &inst.blocks[0], &sum, &here)?,
                    };
                    for ((value, dst), room) in sum.iter().zip(&inst.dst).zip(&rooms) {
                        let lane = l.program.slots[*dst].lane;
                        // SAFETY: `index` stays inside the value.
                        unsafe { fallback::write(lane, room.ptr.add(index(at, k) * lane.bytes()), *value) };
                    }
                }
            }
        }
        inst.dst.iter().zip(rooms).for_each(|(d, room)| self.tiles[*d] = room);
        Ok(())
    }

    /// Runs a body on two tuples of values.
    fn combine(&mut self, l: &Launch<'_>, code: &Code, left: &[Scalar], right: &[Scalar]) -> Result<Vec<Scalar>> {
        for (id, value) in code.params.iter().zip(left.iter().chain(right)) {
            let tile = self.room(l, *id);
            // SAFETY: the room of a scalar.
            unsafe { fallback::write(l.program.slots[*id].lane, tile.ptr, *value) };
            self.tiles[*id] = tile;
        }
        self.code(l, code)?;
        // SAFETY: results are scalars, defined by the body.
        let read = |id: &usize| unsafe { fallback::read(l.program.slots[*id].lane, self.tiles[*id].ptr) };
        Ok(code.results.iter().map(read).collect())
    }
}
