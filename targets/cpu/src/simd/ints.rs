//! Scalar operations on integers and bools.

use super::float::{Operands, binary, select, unary};
use super::versions;
use girih_base::ScalarOp;

/// Whether [`map_int`] has the operation for lanes as wide as their dtype (`exact`), or for narrower dtypes, whose
/// results are wrapped afterwards.
pub(crate) fn has(op: ScalarOp, exact: bool) -> bool {
    use ScalarOp::*;
    let any = matches!(
        op,
        Add | Sub | Mul | Neg | Min | Max | Eq | Ne | Lt | Le | Gt | Ge | And | Or | Xor | Square | Relu | Select
    );
    any || exact && matches!(op, Not | Div | Rem | Abs | Shl | Shr | MulHi)
}

/// Whether [`map_bool`] has the operation.
pub(crate) fn has_bool(op: ScalarOp) -> bool {
    use ScalarOp::*;
    matches!(op, And | Or | Xor | Not | Eq | Ne | Select)
}

/// A lane with integer arithmetic.
pub(crate) trait Int: Copy + Ord + Default {
    fn add(self, o: Self) -> Self;
    fn sub(self, o: Self) -> Self;
    fn mul(self, o: Self) -> Self;
    fn mul_hi(self, o: Self) -> Self;
    fn div(self, o: Self) -> Self;
    fn rem(self, o: Self) -> Self;
    fn abs(self) -> Self;
    fn and(self, o: Self) -> Self;
    fn or(self, o: Self) -> Self;
    fn xor(self, o: Self) -> Self;
    fn not(self) -> Self;
    fn shl(self, o: Self) -> Self;
    fn shr(self, o: Self) -> Self;
}

macro_rules! int {
    ($t:ty, $wide:ty, $abs:expr) => {
        impl Int for $t {
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                self.wrapping_add(o)
            }
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                self.wrapping_sub(o)
            }
            #[inline(always)]
            fn mul(self, o: Self) -> Self {
                self.wrapping_mul(o)
            }
            #[inline(always)]
            fn mul_hi(self, o: Self) -> Self {
                ((self as $wide * o as $wide) >> Self::BITS) as $t
            }
            #[inline(always)]
            fn div(self, o: Self) -> Self {
                if o == 0 { self } else { self.wrapping_div(o) }
            }
            #[inline(always)]
            fn rem(self, o: Self) -> Self {
                if o == 0 { 0 } else { self.wrapping_rem(o) }
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $abs(self)
            }
            #[inline(always)]
            fn and(self, o: Self) -> Self {
                self & o
            }
            #[inline(always)]
            fn or(self, o: Self) -> Self {
                self | o
            }
            #[inline(always)]
            fn xor(self, o: Self) -> Self {
                self ^ o
            }
            #[inline(always)]
            fn not(self) -> Self {
                !self
            }
            // Shift counts are taken modulo the width, which is a power of two.
            #[inline(always)]
            fn shl(self, o: Self) -> Self {
                self.wrapping_shl(o as u32)
            }
            #[inline(always)]
            fn shr(self, o: Self) -> Self {
                self.wrapping_shr(o as u32)
            }
        }
    };
}
int!(i32, i64, i32::wrapping_abs);
int!(i64, i128, i64::wrapping_abs);
int!(u32, u64, |v| v);
int!(u64, u128, |v| v);

#[inline(always)]
unsafe fn generic_int<const FMA: bool, T: Int>(op: ScalarOp, dst: *mut T, a: Operands<T>, n: usize) {
    let flag = dst.cast::<u8>();
    // SAFETY: the caller's promise.
    unsafe {
        match op {
            ScalarOp::Add => binary(dst, a, n, T::add),
            ScalarOp::Sub => binary(dst, a, n, T::sub),
            ScalarOp::Mul => binary(dst, a, n, T::mul),
            ScalarOp::MulHi => binary(dst, a, n, T::mul_hi),
            ScalarOp::Div => binary(dst, a, n, T::div),
            ScalarOp::Rem => binary(dst, a, n, T::rem),
            ScalarOp::Min => binary(dst, a, n, |x, y| if x < y { x } else { y }),
            ScalarOp::Max => binary(dst, a, n, |x, y| if x > y { x } else { y }),
            ScalarOp::And => binary(dst, a, n, T::and),
            ScalarOp::Or => binary(dst, a, n, T::or),
            ScalarOp::Xor => binary(dst, a, n, T::xor),
            ScalarOp::Shl => binary(dst, a, n, T::shl),
            ScalarOp::Shr => binary(dst, a, n, T::shr),
            ScalarOp::Neg => unary(dst, a, n, |x| T::default().sub(x)),
            ScalarOp::Abs => unary(dst, a, n, T::abs),
            ScalarOp::Not => unary(dst, a, n, T::not),
            ScalarOp::Square => unary(dst, a, n, |x| x.mul(x)),
            ScalarOp::Relu => unary(dst, a, n, |x| if x > T::default() { x } else { T::default() }),
            ScalarOp::Eq => binary(flag, a, n, |x, y| (x == y) as u8),
            ScalarOp::Ne => binary(flag, a, n, |x, y| (x != y) as u8),
            ScalarOp::Lt => binary(flag, a, n, |x, y| (x < y) as u8),
            ScalarOp::Le => binary(flag, a, n, |x, y| (x <= y) as u8),
            ScalarOp::Gt => binary(flag, a, n, |x, y| (x > y) as u8),
            ScalarOp::Ge => binary(flag, a, n, |x, y| (x >= y) as u8),
            ScalarOp::Select => select(dst, a, n),
            _ => {}
        }
    }
}

#[inline(always)]
unsafe fn generic_bool<const FMA: bool>(op: ScalarOp, dst: *mut u8, a: Operands<u8>, n: usize) {
    let truth = |x: u8| (x != 0) as u8;
    // SAFETY: the caller's promise.
    unsafe {
        match op {
            ScalarOp::And => binary(dst, a, n, |x, y| truth(x) & truth(y)),
            ScalarOp::Or => binary(dst, a, n, |x, y| truth(x) | truth(y)),
            ScalarOp::Xor | ScalarOp::Ne => binary(dst, a, n, |x, y| truth(x) ^ truth(y)),
            ScalarOp::Eq => binary(dst, a, n, |x, y| truth(x) ^ truth(y) ^ 1),
            ScalarOp::Not => unary(dst, a, n, |x| truth(x) ^ 1),
            ScalarOp::Select => select(dst, a, n),
            _ => {}
        }
    }
}

versions! {
    /// `dst = op(a...)` over `n` elements; comparisons write bytes.
    ///
    /// # Safety
    /// As for [`super::float::map_f32`].
    pub(crate) unsafe fn map_int<T: Int>(op: ScalarOp, dst: *mut T, a: Operands<T>, n: usize) = generic_int
}

versions! {
    /// As [`map_int`], on bytes that are true unless 0.
    ///
    /// # Safety
    /// As for [`map_int`].
    pub(crate) unsafe fn map_bool(op: ScalarOp, dst: *mut u8, a: Operands<u8>, n: usize) = generic_bool
}
