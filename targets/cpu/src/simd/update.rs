//! Operations whose result takes the place of an operand: `x[i] = op(x[i], y[i])`, without a copy.

use super::ints::Int;
use super::versions;
use girih_base::ScalarOp;

/// Whether [`update_f32`] has the operation.
pub(crate) fn has_f32(op: ScalarOp) -> bool {
    use ScalarOp::*;
    matches!(op, Add | Sub | Mul | Div)
}

/// Whether [`update_int`] has the operation.
pub(crate) fn has_int(op: ScalarOp) -> bool {
    use ScalarOp::*;
    matches!(op, Add | Sub | Mul | Min | Max | And | Or | Xor)
}

/// `dst[i] = f(dst[i], other[i])` (`which` 0) or `f(other[i], dst[i])` (1); `other` advances by `step` elements, 0 or 1.
///
/// # Safety
/// `dst` has `n` elements, `other` as many or one; they do not overlap.
#[inline(always)]
pub(super) unsafe fn binary<T: Copy>(
    dst: *mut T,
    which: usize,
    other: *const T,
    step: usize,
    n: usize,
    f: impl Fn(T, T) -> T,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let x = std::slice::from_raw_parts_mut(dst, n);
        if step == 1 {
            let y = std::slice::from_raw_parts(other, n);
            if which == 0 {
                for i in 0..n {
                    x[i] = f(x[i], y[i]);
                }
            } else {
                for i in 0..n {
                    x[i] = f(y[i], x[i]);
                }
            }
        } else {
            let y = *other;
            if which == 0 {
                x.iter_mut().for_each(|x| *x = f(*x, y));
            } else {
                x.iter_mut().for_each(|x| *x = f(y, *x));
            }
        }
    }
}

#[inline(always)]
unsafe fn generic_f32<const FMA: bool>(
    op: ScalarOp,
    dst: *mut f32,
    which: usize,
    other: *const f32,
    step: usize,
    n: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match op {
            ScalarOp::Add => binary(dst, which, other, step, n, |x, y| x + y),
            ScalarOp::Sub => binary(dst, which, other, step, n, |x, y| x - y),
            ScalarOp::Mul => binary(dst, which, other, step, n, |x, y| x * y),
            ScalarOp::Div => binary(dst, which, other, step, n, |x, y| x / y),
            _ => {}
        }
    }
}

#[inline(always)]
unsafe fn generic_int<const FMA: bool, T: Int>(
    op: ScalarOp,
    dst: *mut T,
    which: usize,
    other: *const T,
    step: usize,
    n: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match op {
            ScalarOp::Add => binary(dst, which, other, step, n, T::add),
            ScalarOp::Sub => binary(dst, which, other, step, n, T::sub),
            ScalarOp::Mul => binary(dst, which, other, step, n, T::mul),
            ScalarOp::Min => binary(dst, which, other, step, n, |x, y| if x < y { x } else { y }),
            ScalarOp::Max => binary(dst, which, other, step, n, |x, y| if x > y { x } else { y }),
            ScalarOp::And => binary(dst, which, other, step, n, T::and),
            ScalarOp::Or => binary(dst, which, other, step, n, T::or),
            ScalarOp::Xor => binary(dst, which, other, step, n, T::xor),
            _ => {}
        }
    }
}

versions! {
    /// `dst = op(dst, other)` over `n` elements (`which` 0) or `op(other, dst)` (1), for operations of [`has_f32`].
    ///
    /// # Safety
    /// `dst` has `n` elements; `other` has `n` that lie elsewhere (`step` 1) or one (0).
    pub(crate) unsafe fn update_f32(op: ScalarOp, dst: *mut f32, which: usize, other: *const f32, step: usize, n: usize) = generic_f32
}

versions! {
    /// As [`update_f32`], for operations of [`has_int`].
    ///
    /// # Safety
    /// As for [`update_f32`].
    pub(crate) unsafe fn update_int<T: Int>(op: ScalarOp, dst: *mut T, which: usize, other: *const T, step: usize, n: usize) = generic_int
}
