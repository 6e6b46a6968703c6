//! Stable sorts of several operands along one axis.

use super::{Launch, Worker};
use crate::program::{Inst, Lane};
use crate::simd::fallback;
use girih_base::Result;
use girih_base::codec::Scalar;
use girih_tile::Op;
use std::cmp::Ordering;

impl Worker {
    pub(super) fn sort(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::Sort { args, axis, keys, descending } = &inst.op else { return Ok(()) };
        let args: Vec<usize> = args.iter().map(|v| v.0 as usize).collect();
        let shape = &l.program.slots[args[0]].shape;
        let (len, inner) = (shape[*axis], shape[axis + 1..].iter().product::<usize>());
        let outer: usize = shape[..*axis].iter().product();
        let rooms: Vec<_> = inst.dst.iter().map(|d| self.room(l, *d)).collect();
        let mut sources = Vec::with_capacity(args.len());
        for arg in &args {
            // Each operand is read in full before its result is written, since both are needed for every line.
            let slot = &l.program.slots[*arg];
            let at = self.dense(l, *arg, 0)?;
            // SAFETY: `at` holds the whole value.
            let bytes = unsafe { std::slice::from_raw_parts(at, slot.len * slot.lane.bytes()) };
            sources.push((slot.lane, bytes.to_vec()));
        }
        let mut order: Vec<u32> = Vec::with_capacity(len);
        let mut values: Vec<Vec<Scalar>> = vec![Vec::with_capacity(len); *keys];
        for line in 0..outer * inner {
            let base = line / inner * len * inner + line % inner;
            for (key, (lane, bytes)) in values.iter_mut().zip(&sources) {
                key.clear();
                // SAFETY: every element of the line lies in the value.
                key.extend(
                    (0..len).map(|i| unsafe {
                        fallback::read(*lane, bytes.as_ptr().add((base + i * inner) * lane.bytes()))
                    }),
                );
            }
            order.clear();
            order.extend(0..len as u32);
            order.sort_by(|a, b| {
                let by_key = values.iter().map(|k| compare(k[*a as usize], k[*b as usize]));
                let ordering = by_key.fold(Ordering::Equal, Ordering::then);
                if *descending { ordering.reverse() } else { ordering }
            });
            for ((lane, bytes), room) in sources.iter().zip(&rooms) {
                let size = Lane::bytes(*lane);
                for (i, from) in order.iter().enumerate() {
                    let (src, dst) = ((base + *from as usize * inner) * size, (base + i * inner) * size);
                    // SAFETY: both elements lie in values of this shape.
                    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().add(src), room.ptr.add(dst), size) };
                }
            }
        }
        inst.dst.iter().zip(rooms).for_each(|(d, room)| self.tiles[*d] = room);
        Ok(())
    }
}

/// Numbers in order, -0 equal to 0, NaN after everything.
fn compare(a: Scalar, b: Scalar) -> Ordering {
    match (a, b) {
        (Scalar::Float(x), Scalar::Float(y)) => x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan())),
        _ => a.as_int().cmp(&b.as_int()),
    }
}
