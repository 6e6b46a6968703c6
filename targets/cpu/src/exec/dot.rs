//! Products of matrices.

use super::{Launch, Worker};
use crate::program::{Inst, Lane, Tile};
use crate::simd::product::{self, Matrix, Product};
use crate::simd::{cast, strided};
use girih_base::{DType, Result};

impl Worker {
    pub(super) fn dot(&mut self, l: &Launch<'_>, inst: &Inst, a: usize, b: usize, acc: Option<usize>) -> Result<()> {
        let slots = &l.program.slots;
        let id = inst.dst[0];
        let (lane, n) = (slots[id].lane, slots[id].shape[1]);
        let (m, k) = (slots[a].shape[0], slots[a].shape[1]);
        let out = self.place(l, inst);
        let add = self.start(l, id, out, acc);
        let (x, y) = (self.operand(l, a, lane, 0)?, self.operand(l, b, lane, 1)?);
        match lane {
            // SAFETY: the tiles hold m x k, k x n and m x n lanes of this type; the result overlaps neither operand.
            Lane::F32 => unsafe { multiply::<f32>([m, n, k], out, add, x, y, l.inner_threads) },
            // SAFETY: as above.
            Lane::F64 => unsafe { multiply::<f64>([m, n, k], out, add, x, y, l.inner_threads) },
            // SAFETY: as above.
            Lane::I32 | Lane::U32 | Lane::Bool => unsafe {
                integer::<u32>([m, n, k], out, add, x, y, u32::wrapping_mul, u32::wrapping_add);
            },
            // SAFETY: as above.
            Lane::I64 | Lane::U64 => unsafe {
                integer::<u64>([m, n, k], out, add, x, y, u64::wrapping_mul, u64::wrapping_add);
            },
        }
        if !Lane::is_memory(slots[id].dtype) {
            // SAFETY: such values lie contiguous in their rooms.
            unsafe { cast::narrow(slots[id].dtype, out.ptr, slots[id].len) };
        }
        self.tiles[id] = out;
        Ok(())
    }

    /// Puts the accumulator into the result's place; whether there is anything to add to.
    pub(super) fn start(&mut self, l: &Launch<'_>, id: usize, out: Tile, acc: Option<usize>) -> bool {
        let Some(acc) = acc else { return false };
        let (from, slot) = (self.tiles[acc], &l.program.slots[id]);
        let bytes = slot.lane.bytes();
        if from.strides.iter().all(|s| *s == 0) {
            // SAFETY: a value has at least one element, `bytes` wide.
            let zero = unsafe { std::slice::from_raw_parts(from.ptr, bytes) }.iter().all(|b| *b == 0);
            if zero {
                return false;
            }
        }
        if from.ptr != out.ptr {
            // SAFETY: both hold the whole shape, in different rooms or in a parameter.
            unsafe { strided::copy(bytes, &slot.shape, (from.ptr, &from.strides), (out.ptr, &out.strides)) };
        }
        true
    }

    /// An operand in lanes of the accumulator.
    fn operand(&mut self, l: &Launch<'_>, id: usize, lane: Lane, which: usize) -> Result<Tile> {
        let slot = &l.program.slots[id];
        if slot.lane.bytes() == lane.bytes() && (slot.lane == lane || slot.dtype.is_int()) {
            return Ok(self.tiles[id]);
        }
        let src = self.dense(l, id, which)?;
        let to = match lane {
            Lane::F32 => DType::F32,
            Lane::F64 => DType::F64,
            Lane::I64 | Lane::U64 => DType::I64,
            _ => DType::I32,
        };
        self.dense[which + 2].reserve(slot.len * lane.bytes())?;
        let dst = self.dense[which + 2].as_mut_ptr();
        // SAFETY: the buffer was made large enough; it is not the one `dense` used.
        unsafe { cast::convert(slot.dtype, src, to, dst, slot.len) };
        Ok(Tile { ptr: dst, strides: strided::contiguous(&slot.shape) })
    }
}

/// `out = x y`, plus what is there when `add`.
///
/// # Safety
/// The tiles hold matrices of these sizes of `T`; `out` overlaps neither operand.
pub(super) unsafe fn multiply<T: Product>(size: [usize; 3], out: Tile, add: bool, x: Tile, y: Tile, threads: usize) {
    let matrix = |t: Tile| Matrix { at: t.ptr.cast::<T>(), row: t.strides[0], column: t.strides[1] };
    // SAFETY: the caller's promise.
    unsafe { product::multiply(size, matrix(out), add, matrix(x), matrix(y), threads) };
}

/// # Safety
/// As for [`multiply`].
unsafe fn integer<T: Copy + Default>(
    [m, n, k]: [usize; 3],
    out: Tile,
    add: bool,
    x: Tile,
    y: Tile,
    mul: impl Fn(T, T) -> T,
    plus: impl Fn(T, T) -> T,
) {
    let at = |t: &Tile, i: usize, j: usize| {
        t.ptr.cast::<T>().wrapping_offset(i as isize * t.strides[0] + j as isize * t.strides[1])
    };
    // SAFETY: the caller's promise.
    unsafe {
        for i in 0..m {
            if !add {
                (0..n).for_each(|j| *at(&out, i, j) = T::default());
            }
            for p in 0..k {
                let left = *at(&x, i, p);
                for j in 0..n {
                    let to = at(&out, i, j);
                    *to = plus(*to, mul(left, *at(&y, p, j)));
                }
            }
        }
    }
}
