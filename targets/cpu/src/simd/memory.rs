//! Elements in memory to lanes and back.

use super::fallback;
use crate::program::Lane;
use girih_base::DType;
use girih_base::codec::{decode, encode};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use std::sync::atomic::{AtomicU8, Ordering};

/// Reads `n` elements of `dtype` at element `first`, `stride` elements apart, into lanes.
///
/// # Safety
/// All those elements lie in the memory at `base`, which is aligned for `dtype`; `dst` has room for `n` lanes.
pub(crate) unsafe fn load(dtype: DType, base: *const u8, first: isize, stride: isize, dst: *mut u8, n: usize) {
    // SAFETY: the caller's promise, in every arm.
    unsafe {
        match dtype {
            DType::F32 | DType::I32 | DType::U32 => spread::<u32, u32>(base, first, stride, dst, n, |v| v),
            DType::F64 | DType::I64 | DType::U64 => spread::<u64, u64>(base, first, stride, dst, n, |v| v),
            DType::Bool => spread::<u8, u8>(base, first, stride, dst, n, |v| (v != 0) as u8),
            DType::I8 => spread::<i8, i32>(base, first, stride, dst, n, |v| v as i32),
            DType::U8 => spread::<u8, u32>(base, first, stride, dst, n, |v| v as u32),
            DType::I16 => spread::<i16, i32>(base, first, stride, dst, n, |v| v as i32),
            DType::U16 => spread::<u16, u32>(base, first, stride, dst, n, |v| v as u32),
            DType::F16 if stride == 1 => {
                let src = std::slice::from_raw_parts(base.cast::<f16>().offset(first), n);
                src.convert_to_f32_slice(std::slice::from_raw_parts_mut(dst.cast(), n));
            }
            DType::F16 => spread::<f16, f32>(base, first, stride, dst, n, f16::to_f32),
            DType::Bf16 => spread::<bf16, f32>(base, first, stride, dst, n, bf16::to_f32),
            _ => {
                let lane = Lane::of(dtype);
                for i in 0..n {
                    let at = first + i as isize * stride;
                    fallback::write(lane, dst.add(i * lane.bytes()), decode(code(dtype, base, at), dtype));
                }
            }
        }
    }
}

/// The code of one element of at most 8 bits.
///
/// # Safety
/// The element lies in the memory at `base`.
unsafe fn code(dtype: DType, base: *const u8, at: isize) -> u64 {
    let bit = at as i64 * dtype.bits() as i64;
    // SAFETY: the caller's promise.
    let byte = unsafe { *base.offset((bit >> 3) as isize) } as u64;
    byte >> (bit & 7) & ((1 << dtype.bits()) - 1)
}

#[inline(always)]
unsafe fn spread<S: Copy, L>(base: *const u8, first: isize, stride: isize, dst: *mut u8, n: usize, f: impl Fn(S) -> L) {
    // SAFETY: the caller's promise.
    unsafe {
        let (src, dst) = (base.cast::<S>().offset(first), dst.cast::<L>());
        if stride == 1 {
            for i in 0..n {
                *dst.add(i) = f(*src.add(i));
            }
        } else {
            for i in 0..n {
                *dst.add(i) = f(*src.offset(i as isize * stride));
            }
        }
    }
}

/// Writes `n` lanes to elements of `dtype` at element `first`, `stride` elements apart.
///
/// # Safety
/// All those elements lie in the writable memory at `base`, which is aligned for `dtype`; `src` has `n` lanes.
pub(crate) unsafe fn store(dtype: DType, base: *mut u8, first: isize, stride: isize, src: *const u8, n: usize) {
    // SAFETY: the caller's promise, in every arm.
    unsafe {
        match dtype {
            DType::F32 | DType::I32 | DType::U32 => gather::<u32, u32>(base, first, stride, src, n, |v| v),
            DType::F64 | DType::I64 | DType::U64 => gather::<u64, u64>(base, first, stride, src, n, |v| v),
            DType::Bool => gather::<u8, u8>(base, first, stride, src, n, |v| (v != 0) as u8),
            DType::I8 | DType::U8 => gather::<u32, u8>(base, first, stride, src, n, |v| v as u8),
            DType::I16 | DType::U16 => gather::<u32, u16>(base, first, stride, src, n, |v| v as u16),
            DType::F16 if stride == 1 => {
                let dst = std::slice::from_raw_parts_mut(base.cast::<f16>().offset(first), n);
                dst.convert_from_f32_slice(std::slice::from_raw_parts(src.cast(), n));
            }
            DType::F16 => gather::<f32, f16>(base, first, stride, src, n, f16::from_f32),
            DType::Bf16 => gather::<f32, bf16>(base, first, stride, src, n, bf16::from_f32),
            _ => {
                let lane = Lane::of(dtype);
                let bits = dtype.bits() as i64;
                for i in 0..n {
                    let code = encode(fallback::read(lane, src.add(i * lane.bytes())), dtype) as u8;
                    let bit = (first + i as isize * stride) as i64 * bits;
                    let byte = base.offset((bit >> 3) as isize);
                    if bits == 8 {
                        *byte = code;
                        continue;
                    }
                    // Another instance may own the other half of the byte.
                    let (shift, mask) = (bit & 7, (1u8 << bits) - 1);
                    let merge = |old: u8| Some(old & !(mask << shift) | (code & mask) << shift);
                    let _ = AtomicU8::from_ptr(byte).fetch_update(Ordering::Relaxed, Ordering::Relaxed, merge);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn gather<L: Copy, S>(base: *mut u8, first: isize, stride: isize, src: *const u8, n: usize, f: impl Fn(L) -> S) {
    // SAFETY: the caller's promise.
    unsafe {
        let (src, dst) = (src.cast::<L>(), base.cast::<S>().offset(first));
        if stride == 1 {
            for i in 0..n {
                *dst.add(i) = f(*src.add(i));
            }
        } else {
            for i in 0..n {
                *dst.offset(i as isize * stride) = f(*src.add(i));
            }
        }
    }
}
