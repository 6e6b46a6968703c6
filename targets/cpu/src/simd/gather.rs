//! Elements at computed places: gathers, and what of them lies in a row.

use super::versions;

/// What indices look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Survey {
    /// The largest.
    pub max: u32,
    /// Each is one more than the one before.
    pub row: bool,
}

#[inline(always)]
unsafe fn generic_survey<const FMA: bool>(index: &[u32]) -> Survey {
    let first = index.first().copied().unwrap_or(0);
    let (mut max, mut off) = (0, 0);
    for (t, i) in index.iter().enumerate() {
        max = if *i > max { *i } else { max };
        off |= i ^ first.wrapping_add(t as u32);
    }
    Survey { max, row: off == 0 }
}

versions! {
    /// Looks at indices.
    ///
    /// # Safety
    /// None of its own.
    pub(crate) unsafe fn survey(index: &[u32]) -> Survey = generic_survey
}

/// Elements handled together.
const CHUNK: usize = 16;

#[inline(always)]
unsafe fn generic_gather<const FMA: bool, T: Copy>(base: *const T, index: &[u32], dst: *mut T) {
    let (chunks, rest) = index.as_chunks::<CHUNK>();
    // SAFETY: the caller's promise.
    unsafe {
        let mut to = dst;
        for chunk in chunks {
            let first = chunk[0];
            let (mut row, mut same) = (0, 0);
            for (t, i) in chunk.iter().enumerate() {
                row |= i ^ first.wrapping_add(t as u32);
                same |= i ^ first;
            }
            let from = base.add(first as usize);
            let out = &mut *to.cast::<[T; CHUNK]>();
            if row == 0 {
                *out = *from.cast::<[T; CHUNK]>();
            } else if same == 0 {
                *out = [*from; CHUNK];
            } else {
                for (out, i) in out.iter_mut().zip(chunk) {
                    *out = *base.add(*i as usize);
                }
            }
            to = to.add(CHUNK);
        }
        for (t, i) in rest.iter().enumerate() {
            *to.add(t) = *base.add(*i as usize);
        }
    }
}

versions! {
    /// `dst[t] = base[index[t]]`.
    ///
    /// # Safety
    /// Each of these elements exists; `dst` has room for as many as there are indices and overlaps neither.
    pub(crate) unsafe fn gather<T: Copy>(base: *const T, index: &[u32], dst: *mut T) = generic_gather
}

#[inline(always)]
unsafe fn generic_scatter<const FMA: bool, T: Copy>(base: *mut T, index: &[u32], src: *const T) {
    let (chunks, rest) = index.as_chunks::<CHUNK>();
    // SAFETY: the caller's promise.
    unsafe {
        let mut from = src;
        for chunk in chunks {
            let first = chunk[0];
            let mut row = 0;
            for (t, i) in chunk.iter().enumerate() {
                row |= i ^ first.wrapping_add(t as u32);
            }
            let values = *from.cast::<[T; CHUNK]>();
            if row == 0 {
                *base.add(first as usize).cast::<[T; CHUNK]>() = values;
            } else {
                for (value, i) in values.iter().zip(chunk) {
                    *base.add(*i as usize) = *value;
                }
            }
            from = from.add(CHUNK);
        }
        for (t, i) in rest.iter().enumerate() {
            *base.add(*i as usize) = *from.add(t);
        }
    }
}

versions! {
    /// `base[index[t]] = src[t]`, in order.
    ///
    /// # Safety
    /// Each of these elements exists; `src` has as many as there are indices and does not overlap them.
    pub(crate) unsafe fn scatter<T: Copy>(base: *mut T, index: &[u32], src: *const T) = generic_scatter
}

/// Repeats one element of `bytes` bytes.
///
/// # Safety
/// `dst` has room for `n` elements and does not overlap `src`; both are aligned for elements of this size.
pub(crate) unsafe fn repeat(src: *const u8, bytes: usize, dst: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match bytes {
            1 => std::slice::from_raw_parts_mut(dst, n).fill(*src),
            4 => std::slice::from_raw_parts_mut(dst.cast::<u32>(), n).fill(*src.cast()),
            _ => std::slice::from_raw_parts_mut(dst.cast::<u64>(), n).fill(*src.cast()),
        }
    }
}

#[inline(always)]
unsafe fn generic_blend<const FMA: bool, T: Copy>(src: *const T, step: usize, dst: *mut T, chosen: &[u8]) {
    // SAFETY: the caller's promise.
    unsafe {
        let dst = std::slice::from_raw_parts_mut(dst, chosen.len());
        if step == 1 {
            let src = std::slice::from_raw_parts(src, chosen.len());
            for t in 0..chosen.len() {
                dst[t] = if chosen[t] != 0 { src[t] } else { dst[t] };
            }
        } else {
            let value = *src;
            for t in 0..chosen.len() {
                dst[t] = if chosen[t] != 0 { value } else { dst[t] };
            }
        }
    }
}

versions! {
    unsafe fn blend_version<T: Copy>(src: *const T, step: usize, dst: *mut T, chosen: &[u8]) = generic_blend
}

/// Replaces the elements of `dst` whose byte in `chosen` is not 0, by those of `src` (`step` 1) or by its one element (0).
///
/// # Safety
/// `dst` has an element of `bytes` bytes for each byte, `src` as many or one; they do not overlap.
pub(crate) unsafe fn blend(src: *const u8, step: usize, bytes: usize, dst: *mut u8, chosen: &[u8]) {
    // SAFETY: the caller's promise.
    unsafe {
        match bytes {
            1 => blend_version::<u8>(src, step, dst, chosen),
            4 => blend_version::<u32>(src.cast(), step, dst.cast(), chosen),
            _ => blend_version::<u64>(src.cast(), step, dst.cast(), chosen),
        }
    }
}
