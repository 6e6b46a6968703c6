//! Loop nests over strided operands, with neighbouring axes merged.

use girih_tile::verify::MAX_RANK;

/// The loops that visit every element of `N` operands of one shape.
pub(crate) struct Nest<const N: usize> {
    /// Length of the innermost loop.
    pub inner: usize,
    /// Strides of the innermost loop, in elements.
    pub step: [isize; N],
    outer: [(usize, [isize; N]); MAX_RANK],
    depth: usize,
}

impl<const N: usize> Nest<N> {
    /// Plans the loops; axes of length 1 vanish, and axes that continue each other in every operand become one.
    pub fn new(shape: &[usize], strides: [&[isize]; N]) -> Nest<N> {
        let mut nest = Nest { inner: 1, step: [0; N], outer: [(1, [0; N]); MAX_RANK], depth: 0 };
        let mut first = true;
        for axis in (0..shape.len()).rev() {
            let len = shape[axis];
            if len == 1 {
                continue;
            }
            let mut here = [0isize; N];
            here.iter_mut().zip(strides).for_each(|(h, s)| *h = s[axis]);
            if first {
                (nest.inner, nest.step, first) = (len, here, false);
                continue;
            }
            let (last_len, last) = match nest.depth {
                0 => (&mut nest.inner, nest.step),
                d => (&mut nest.outer[d - 1].0, nest.outer[d - 1].1),
            };
            let extent = *last_len as isize;
            if (0..N).all(|i| here[i] == last[i] * extent) {
                *last_len *= len;
            } else {
                nest.outer[nest.depth] = (len, here);
                nest.depth += 1;
            }
        }
        nest
    }

    /// Calls `f` with the element offsets of each innermost loop, in row-major order.
    #[inline(always)]
    pub fn each<E>(&self, mut f: impl FnMut([isize; N]) -> Result<(), E>) -> Result<(), E> {
        let mut at = [0isize; N];
        let mut count = [0usize; MAX_RANK];
        loop {
            f(at)?;
            let mut d = 0;
            loop {
                if d == self.depth {
                    return Ok(());
                }
                let (len, step) = &self.outer[d];
                count[d] += 1;
                if count[d] < *len {
                    (0..N).for_each(|i| at[i] += step[i]);
                    break;
                }
                (0..N).for_each(|i| at[i] -= step[i] * (*len as isize - 1));
                count[d] = 0;
                d += 1;
            }
        }
    }
}

/// Strides of a contiguous row-major tile.
pub(crate) fn contiguous(shape: &[usize]) -> [isize; MAX_RANK] {
    let mut out = [0; MAX_RANK];
    let mut stride = 1;
    for (s, len) in out[..shape.len()].iter_mut().zip(shape).rev() {
        *s = stride;
        stride *= *len as isize;
    }
    out
}

/// Strides that give the same elements in row-major order another shape, if there are any.
pub(crate) fn reshaped(shape: &[usize], strides: &[isize], to: &[usize]) -> Option<[isize; MAX_RANK]> {
    // Runs of equal distance, the innermost first, used up from the end.
    let mut runs: [(usize, isize); MAX_RANK] = [(1, 0); MAX_RANK];
    let mut count = 0;
    for (len, stride) in shape.iter().zip(strides).rev().filter(|(len, _)| **len != 1) {
        match runs[..count].last_mut() {
            Some((l, s)) if *stride == *s * *l as isize => *l *= len,
            _ => {
                runs[count] = (*len, *stride);
                count += 1;
            }
        }
    }
    let (mut out, mut at) = ([0; MAX_RANK], 0);
    for (s, len) in out[..to.len()].iter_mut().zip(to).rev().filter(|(_, len)| **len != 1) {
        while at < count && runs[at].0 == 1 {
            at += 1;
        }
        let (left, stride) = runs[..count].get_mut(at)?;
        if *left % len != 0 {
            return None;
        }
        *s = *stride;
        *left /= len;
        *stride *= *len as isize;
    }
    Some(out)
}

/// Strides of a gapless tile whose axes `split..` lie outside those before `split`: a matrix of these two groups of axes
/// with columns that have no gaps.
pub(crate) fn turned(shape: &[usize], split: usize) -> [isize; MAX_RANK] {
    let (inner, outer) = (contiguous(&shape[..split]), contiguous(&shape[split..]));
    let columns: usize = shape[..split].iter().product();
    let mut out = inner;
    out[split..shape.len()].iter_mut().zip(outer).for_each(|(o, s)| *o = s * columns as isize);
    out
}

/// The axis that memory runs along: neighbours without a gap, the longest of several such axes.
pub(crate) fn running(shape: &[usize], strides: &[isize]) -> Option<usize> {
    (0..shape.len()).filter(|i| strides[*i] == 1 && shape[*i] > 1).max_by_key(|i| shape[*i])
}

/// Whether elements lie in row-major order without gaps.
pub(crate) fn is_contiguous(shape: &[usize], strides: &[isize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(len, s)| {
        let fits = *len == 1 || *s == expected;
        expected *= *len as isize;
        fits
    })
}

/// Copies elements of `bytes` bytes between strided places.
///
/// # Safety
/// Both places hold the whole shape and do not overlap.
pub(crate) unsafe fn copy(
    bytes: usize,
    shape: &[usize],
    (src, src_strides): (*const u8, &[isize]),
    (dst, dst_strides): (*mut u8, &[isize]),
) {
    // SAFETY: the caller's promise.
    unsafe {
        match bytes {
            1 => copy_as::<u8>(shape, src.cast(), src_strides, dst.cast(), dst_strides),
            4 => copy_as::<u32>(shape, src.cast(), src_strides, dst.cast(), dst_strides),
            _ => copy_as::<u64>(shape, src.cast(), src_strides, dst.cast(), dst_strides),
        }
    }
}

unsafe fn copy_as<T: Copy>(shape: &[usize], src: *const T, ss: &[isize], dst: *mut T, ds: &[isize]) {
    let nest = Nest::new(shape, [ss, ds]);
    let _ = nest.each(|[s, d]| {
        // SAFETY: the caller's promise.
        unsafe {
            let (src, dst) = (src.offset(s), dst.offset(d));
            match nest.step {
                [1, 1] => std::ptr::copy_nonoverlapping(src, dst, nest.inner),
                [0, 1] => std::slice::from_raw_parts_mut(dst, nest.inner).fill(*src),
                [s, d] => {
                    for i in 0..nest.inner as isize {
                        *dst.offset(i * d) = *src.offset(i * s);
                    }
                }
            }
        }
        Ok::<(), ()>(())
    });
}
