//! Folds by a body: the scalar operations of the body run over whole arrays of operand pairs at once.
//!
//! Neighbours are paired (0 with 1, 2 with 3, ...) again and again: associativity is used, commutativity is not.

use super::map::Inner;
use super::{Launch, STRIP, Worker};
use crate::program::{Code, Inst, Tile};
use crate::simd::{cast, strided};
use girih_base::Result;
use girih_tile::Op;

/// Where an operand of a run lies: its first element and the elements between neighbours.
type Run = (*const u8, isize);

/// Arrays of lanes, one for each folded operand.
type Arrays = Vec<Vec<u64>>;

impl Worker {
    pub(super) fn reduce_body(&mut self, l: &Launch<'_>, inst: &Inst, args: &[usize], axis: usize) -> Result<()> {
        let (code, slots) = (&inst.blocks[0], &l.program.slots);
        let shape = &slots[args[0]].shape;
        let (mut len, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let outer: usize = shape[..axis].iter().product();
        let bytes: Vec<usize> = args.iter().map(|a| slots[*a].lane.bytes()).collect();
        let room =
            |len: usize| -> Arrays { bytes.iter().map(|b| vec![0; (outer * len * inner * b).div_ceil(8)]).collect() };
        let mut from = room(len);
        for (array, arg) in from.iter_mut().zip(args) {
            let (tile, slot) = (self.tiles[*arg], &slots[*arg]);
            // SAFETY: the array has room for the whole value.
            unsafe {
                let into = (array.as_mut_ptr().cast(), &strided::contiguous(&slot.shape)[..]);
                strided::copy(slot.lane.bytes(), &slot.shape, (tile.ptr, &tile.strides), into);
            }
        }
        let mut lifted = Lifted::new(l, code);
        while len > 1 {
            let half = len.div_ceil(2);
            let mut to = room(half);
            for o in 0..outer {
                // One run of all pairs where neighbours are adjacent, otherwise one for each pair of rows.
                let (runs, count, step) = if inner == 1 { (1, len / 2, 2) } else { (len / 2, inner, 1) };
                for p in 0..runs {
                    let at = |i: usize, k: usize| {
                        let start = (o * len + 2 * p + k) * inner * bytes[i];
                        (from[i].as_ptr().cast::<u8>().wrapping_add(start), step)
                    };
                    let operands: Vec<Run> =
                        [0, 1].iter().flat_map(|k| (0..args.len()).map(move |i| at(i, *k))).collect();
                    let out = |i: usize, array: &mut Vec<u64>| {
                        array.as_mut_ptr().cast::<u8>().wrapping_add((o * half + p) * inner * bytes[i])
                    };
                    let results: Vec<*mut u8> = to.iter_mut().enumerate().map(|(i, a)| out(i, a)).collect();
                    self.lift(l, code, &mut lifted, &operands, count, &results);
                }
                if len % 2 == 1 {
                    for i in 0..args.len() {
                        let (a, b) = ((o * len + len - 1) * inner * bytes[i], (o * half + half - 1) * inner * bytes[i]);
                        // SAFETY: the last row of each array.
                        unsafe {
                            let src = from[i].as_ptr().cast::<u8>().add(a);
                            std::ptr::copy_nonoverlapping(
                                src,
                                to[i].as_mut_ptr().cast::<u8>().add(b),
                                inner * bytes[i],
                            );
                        }
                    }
                }
            }
            (from, len) = (to, half);
        }
        for ((array, dst), bytes) in from.iter().zip(&inst.dst).zip(&bytes) {
            let room = self.room(l, *dst);
            // SAFETY: one element for each line is left.
            unsafe { std::ptr::copy_nonoverlapping(array.as_ptr().cast(), room.ptr, outer * inner * bytes) };
            self.tiles[*dst] = room;
        }
        Ok(())
    }

    /// Runs the body over `count` pairs of operands (all left ones, then all right ones).
    fn lift(
        &mut self,
        l: &Launch<'_>,
        code: &Code,
        lifted: &mut Lifted,
        operands: &[Run],
        count: usize,
        results: &[*mut u8],
    ) {
        let slots = &l.program.slots;
        for start in (0..count).step_by(STRIP) {
            let n = STRIP.min(count - start);
            for (id, (at, step)) in code.params.iter().zip(operands) {
                let bytes = slots[*id].lane.bytes();
                let piece = at.wrapping_offset(start as isize * step * bytes as isize);
                // SAFETY: operands hold `count` elements; the buffer holds a strip.
                unsafe { strided::copy(bytes, &[n], (piece, &[*step]), (lifted.buffer(*id), &[1])) };
            }
            for inst in &code.insts {
                self.lift_one(l, lifted, inst, n);
            }
            for (id, to) in code.results.iter().zip(results) {
                let bytes = slots[*id].lane.bytes();
                let (at, step) = self.lifted(lifted, *id);
                // SAFETY: results hold `count` elements.
                unsafe { strided::copy(bytes, &[n], (at, &[step]), (to.wrapping_add(start * bytes), &[1])) };
            }
        }
    }

    fn lift_one(&mut self, l: &Launch<'_>, lifted: &mut Lifted, inst: &Inst, n: usize) {
        let slots = &l.program.slots;
        let to = inst.dst.first().map_or(std::ptr::null_mut(), |id| lifted.buffer(*id));
        match &inst.op {
            Op::Map(op, args) => {
                let inner = Inner::new(slots, *op, args);
                let (mut from, mut step) = ([std::ptr::null(); 3], [1; 3]);
                for (i, arg) in args.iter().enumerate() {
                    (from[i], step[i]) = self.lifted(lifted, arg.0 as usize);
                }
                let slot = &slots[inst.dst[0]];
                // SAFETY: buffers hold a strip, other values are repeated.
                unsafe {
                    inner.run((to, slot.lane.bytes()), from, step, n, self.strips.as_mut_ptr());
                    inner.finish(slot.dtype, to, n);
                }
            }
            Op::Cast(x) | Op::Bitcast(x) => {
                let (src, dst) = (&slots[x.0 as usize], &slots[inst.dst[0]]);
                let (at, step) = self.lifted(lifted, x.0 as usize);
                // SAFETY: buffers and the strip hold STRIP lanes.
                unsafe {
                    let strip = self.strips.as_mut_ptr();
                    strided::copy(src.lane.bytes(), &[n], (at, &[step]), (strip, &[1]));
                    match inst.op {
                        Op::Cast(_) => cast::convert(src.dtype, strip, dst.dtype, to, n),
                        _ => cast::reinterpret(src.dtype, strip, dst.dtype, to, n),
                    }
                }
            }
            // Literals lie where the program keeps them; sizes are written to their rooms.
            Op::Size(_) => self.set_i32(l, inst.dst[0], l.dims[inst.table] as i32),
            _ => {}
        }
    }

    /// Where a value of the body lies: in its buffer, or once for all elements.
    fn lifted(&self, lifted: &mut Lifted, id: usize) -> Run {
        match lifted.ids.binary_search(&id) {
            Ok(_) => (lifted.buffer(id).cast_const(), 1),
            Err(_) => {
                let Tile { ptr, .. } = self.tiles[id];
                (ptr.cast_const(), 0)
            }
        }
    }
}

/// A strip for each value of a body.
struct Lifted {
    ids: Vec<usize>,
    memory: Vec<u64>,
}

impl Lifted {
    fn new(l: &Launch<'_>, code: &Code) -> Lifted {
        let plain = |i: &&Inst| matches!(i.op, Op::Map(..) | Op::Cast(_) | Op::Bitcast(_));
        let results = code.insts.iter().filter(plain).flat_map(|i| &i.dst);
        let mut ids: Vec<usize> = code.params.iter().chain(results).copied().collect();
        ids.retain(|id| *id < l.program.slots.len());
        ids.sort_unstable();
        let memory = vec![0; ids.len() * STRIP];
        Lifted { ids, memory }
    }

    fn buffer(&mut self, id: usize) -> *mut u8 {
        let at = self.ids.binary_search(&id).unwrap_or(0) * STRIP;
        self.memory[at..].as_mut_ptr().cast()
    }
}
