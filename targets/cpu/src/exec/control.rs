//! Loops and branches.

use super::{Launch, Worker};
use crate::program::{Code, Inst, Tile};
use crate::simd::strided;
use girih_base::Result;
use girih_tile::ValueId;

impl Worker {
    pub(super) fn for_loop(
        &mut self,
        l: &Launch<'_>,
        inst: &Inst,
        (lo, hi, step): (&ValueId, &ValueId, u32),
        init: &[ValueId],
    ) -> Result<()> {
        let code = &inst.blocks[0];
        let (mut i, end) = (self.i32(lo.0 as usize), self.i32(hi.0 as usize));
        let init: Vec<usize> = init.iter().map(|v| v.0 as usize).collect();
        let carried = &code.params[1..];
        self.assign(l, carried, &init)?;
        while i < end {
            self.set_i32(l, code.params[0], i as i32);
            self.code(l, code)?;
            self.assign(l, carried, &code.results)?;
            i += step as i64;
        }
        for (dst, param) in inst.dst.iter().zip(carried) {
            self.tiles[*dst] = self.tiles[*param];
        }
        Ok(())
    }

    pub(super) fn while_loop(&mut self, l: &Launch<'_>, inst: &Inst, init: &[ValueId]) -> Result<()> {
        let (test, body) = (&inst.blocks[0], &inst.blocks[1]);
        let init: Vec<usize> = init.iter().map(|v| v.0 as usize).collect();
        let carried = &test.params;
        self.assign(l, carried, &init)?;
        loop {
            self.code(l, test)?;
            // SAFETY: verified to be a bool scalar.
            if unsafe { *self.tiles[test.results[0]].ptr } == 0 {
                break;
            }
            for (param, from) in body.params.iter().zip(carried) {
                self.tiles[*param] = self.tiles[*from];
            }
            self.code(l, body)?;
            self.assign(l, carried, &body.results)?;
        }
        for (dst, param) in inst.dst.iter().zip(carried) {
            self.tiles[*dst] = self.tiles[*param];
        }
        Ok(())
    }

    pub(super) fn branch(&mut self, l: &Launch<'_>, inst: &Inst, cond: usize) -> Result<()> {
        // SAFETY: verified to be a bool scalar.
        let yes = unsafe { *self.tiles[cond].ptr } != 0;
        let code: &Code = &inst.blocks[!yes as usize];
        self.code(l, code)?;
        self.assign(l, &inst.dst, &code.results)
    }

    /// Copies values into the rooms of others, all at once: values that lie in a room that another value of the list
    /// is about to fill are set aside first.
    ///
    /// Values outside of scratch never change (literals, parameters that are only read), and are used where they lie.
    fn assign(&mut self, l: &Launch<'_>, to: &[usize], from: &[usize]) -> Result<()> {
        if to.is_empty() {
            return Ok(());
        }
        let scratch = self.scratch.as_ptr() as usize;
        let scratch = scratch..scratch + l.program.scratch;
        let room_of = |w: &Worker, id: usize| {
            let slot = &l.program.slots[id];
            let start = w.scratch.as_ptr() as usize + slot.offset;
            start..start + (slot.len * slot.lane.bytes()).max(1)
        };
        let mut aside: Vec<(usize, Vec<u64>)> = Vec::new();
        for (n, (dst, src)) in to.iter().zip(from).enumerate() {
            let at = self.tiles[*src].ptr as usize;
            let slot = &l.program.slots[*src];
            let home =
                room_of(self, *dst).start == at && strided::is_contiguous(&slot.shape, &self.tiles[*src].strides);
            let clash = to.iter().any(|other| room_of(self, *other).contains(&at));
            if clash && !home {
                let mut copy = vec![0u64; (slot.len * slot.lane.bytes()).div_ceil(8)];
                // SAFETY: the copy has room for the whole value.
                unsafe {
                    let (tile, into) =
                        (&self.tiles[*src], (copy.as_mut_ptr().cast(), &strided::contiguous(&slot.shape)[..]));
                    strided::copy(slot.lane.bytes(), &slot.shape, (tile.ptr, &tile.strides), into);
                }
                aside.push((n, copy));
            }
        }
        let mut rooms = Vec::with_capacity(to.len());
        for (n, (dst, src)) in to.iter().zip(from).enumerate() {
            if !scratch.contains(&(self.tiles[*src].ptr as usize)) {
                rooms.push(self.tiles[*src]);
                continue;
            }
            let room = self.room(l, *dst);
            let slot = &l.program.slots[*dst];
            let tile = match aside.iter().find(|(k, _)| *k == n) {
                Some((_, copy)) => {
                    Tile { ptr: copy.as_ptr().cast_mut().cast(), strides: strided::contiguous(&slot.shape) }
                }
                None => self.tiles[*src],
            };
            if tile.ptr != room.ptr {
                // SAFETY: both hold the whole shape; a value inside any of the rooms was set aside.
                unsafe {
                    strided::copy(slot.lane.bytes(), &slot.shape, (tile.ptr, &tile.strides), (room.ptr, &room.strides));
                }
            }
            rooms.push(room);
        }
        to.iter().zip(rooms).for_each(|(dst, room)| self.tiles[*dst] = room);
        Ok(())
    }
}
