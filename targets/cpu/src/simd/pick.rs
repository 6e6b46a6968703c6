//! The larger or smaller of two numbers, as programs choose it themselves: one pass for a comparison, a test and a choice.

use super::float::{Operands, binary};
use super::update;
use super::versions;

/// `b` where `a` is below it (`larger`) or above it, else `a`; with `number`, `b` where `a` is NaN, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub larger: bool,
    pub number: bool,
}

macro_rules! each_kind {
    ($pick:expr, $with:ident) => {
        match $pick {
            Pick { larger: true, number: false } => $with!(|a: f32, b: f32| if a < b { b } else { a }),
            Pick { larger: false, number: false } => $with!(|a: f32, b: f32| if a > b { b } else { a }),
            Pick { larger: true, number: true } => $with!(|a: f32, b: f32| if (a < b) | a.is_nan() { b } else { a }),
            Pick { larger: false, number: true } => $with!(|a: f32, b: f32| if (a > b) | a.is_nan() { b } else { a }),
        }
    };
}

#[inline(always)]
unsafe fn generic_pick<const FMA: bool>(pick: Pick, dst: *mut f32, a: Operands<f32>, n: usize) {
    macro_rules! go {
        ($f:expr) => {
            // SAFETY: the caller's promise.
            unsafe { binary(dst, a, n, $f) }
        };
    }
    each_kind!(pick, go)
}

#[inline(always)]
unsafe fn generic_update<const FMA: bool>(
    pick: Pick,
    dst: *mut f32,
    which: usize,
    other: *const f32,
    step: usize,
    n: usize,
) {
    macro_rules! go {
        ($f:expr) => {
            // SAFETY: the caller's promise.
            unsafe { update::binary(dst, which, other, step, n, $f) }
        };
    }
    each_kind!(pick, go)
}

versions! {
    /// `dst = pick(a, b)` over `n` elements.
    ///
    /// # Safety
    /// As for [`super::float::map_f32`]; at least one operand advances.
    pub(crate) unsafe fn pick(pick: Pick, dst: *mut f32, a: Operands<f32>, n: usize) = generic_pick
}

versions! {
    /// The same, with `dst` as operand `which`.
    ///
    /// # Safety
    /// As for [`update::update_f32`].
    pub(crate) unsafe fn pick_update(pick: Pick, dst: *mut f32, which: usize, other: *const f32, step: usize, n: usize) = generic_update
}
