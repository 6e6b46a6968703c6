//! Scalar operations on f32 and f64.

use super::math;
use super::versions;
use girih_base::ScalarOp;

/// Whether [`map_f32`] has the operation.
pub(crate) fn has_f32(op: ScalarOp) -> bool {
    use ScalarOp::*;
    has_f64(op)
        || matches!(
            op,
            Exp | Exp2 | Log | Log2 | Sin | Cos | Tanh | Erf | Sigmoid | Silu | Gelu | GeluTanh | Softplus | Rsqrt
        )
}

/// Whether [`map_f64`] has the operation.
pub(crate) fn has_f64(op: ScalarOp) -> bool {
    use ScalarOp::*;
    matches!(
        op,
        Add | Sub
            | Mul
            | Div
            | Neg
            | Abs
            | Min
            | Max
            | Floor
            | Ceil
            | Trunc
            | Round
            | Sqrt
            | Recip
            | Square
            | Relu
            | Sign
            | Clamp
            | Fma
            | CopySign
            | Eq
            | Ne
            | Lt
            | Le
            | Gt
            | Ge
            | IsNan
            | IsFinite
            | Select
    )
}

/// Operands of an operation over `n` elements: pointers, and for each whether it advances (1) or repeats (0).
#[derive(Clone, Copy)]
pub(crate) struct Operands<T> {
    pub at: [*const T; 3],
    pub step: [usize; 3],
}

/// # Safety
/// Operands have `n` elements where they advance and one where they repeat; `dst` has room for `n`; nothing overlaps.
#[inline(always)]
pub(super) unsafe fn unary<T: Copy, R>(dst: *mut R, a: Operands<T>, n: usize, f: impl Fn(T) -> R) {
    // SAFETY: the caller's promise.
    let (dst, x) = unsafe { (std::slice::from_raw_parts_mut(dst, n), std::slice::from_raw_parts(a.at[0], n)) };
    for i in 0..n {
        dst[i] = f(x[i]);
    }
}

/// # Safety
/// As for [`unary`]. At least one operand advances.
#[inline(always)]
pub(super) unsafe fn binary<T: Copy, R>(dst: *mut R, a: Operands<T>, n: usize, f: impl Fn(T, T) -> R) {
    // SAFETY: the caller's promise; a repeated operand has one element.
    unsafe {
        let dst = std::slice::from_raw_parts_mut(dst, n);
        let part = |i: usize| std::slice::from_raw_parts(a.at[i], n);
        match (a.step[0], a.step[1]) {
            (1, 1) => {
                let (x, y) = (part(0), part(1));
                for i in 0..n {
                    dst[i] = f(x[i], y[i]);
                }
            }
            (1, _) => {
                let (x, y) = (part(0), *a.at[1]);
                for i in 0..n {
                    dst[i] = f(x[i], y);
                }
            }
            _ => {
                let (x, y) = (*a.at[0], part(1));
                for i in 0..n {
                    dst[i] = f(x, y[i]);
                }
            }
        }
    }
}

/// # Safety
/// As for [`unary`]. At least one operand advances.
#[inline(always)]
unsafe fn ternary<T: Copy>(dst: *mut T, a: Operands<T>, n: usize, f: impl Fn(T, T, T) -> T) {
    // SAFETY: the caller's promise; a repeated operand has one element.
    unsafe {
        let dst = std::slice::from_raw_parts_mut(dst, n);
        let part = |i: usize| std::slice::from_raw_parts(a.at[i], n);
        match a.step {
            [1, 1, 1] => {
                let (x, y, z) = (part(0), part(1), part(2));
                for i in 0..n {
                    dst[i] = f(x[i], y[i], z[i]);
                }
            }
            [0, 1, 1] => {
                let (x, y, z) = (*a.at[0], part(1), part(2));
                for i in 0..n {
                    dst[i] = f(x, y[i], z[i]);
                }
            }
            [1, 0, 1] => {
                let (x, y, z) = (part(0), *a.at[1], part(2));
                for i in 0..n {
                    dst[i] = f(x[i], y, z[i]);
                }
            }
            step => {
                for (i, to) in dst.iter_mut().enumerate() {
                    *to = f(*a.at[0].add(i * step[0]), *a.at[1].add(i * step[1]), *a.at[2].add(i * step[2]));
                }
            }
        }
    }
}

/// # Safety
/// As for [`unary`]; the mask is read from `at[0]` as bytes.
#[inline(always)]
pub(super) unsafe fn select<T: Copy>(dst: *mut T, a: Operands<T>, n: usize) {
    // SAFETY: the caller's promise; a repeated operand has one element.
    unsafe {
        let dst = std::slice::from_raw_parts_mut(dst, n);
        let mask = std::slice::from_raw_parts(a.at[0].cast::<u8>(), n);
        let part = |i: usize| std::slice::from_raw_parts(a.at[i], n);
        match (a.step[1], a.step[2]) {
            (1, 1) => {
                let (x, y) = (part(1), part(2));
                for i in 0..n {
                    dst[i] = if mask[i] != 0 { x[i] } else { y[i] };
                }
            }
            (1, _) => {
                let (x, y) = (part(1), *a.at[2]);
                for i in 0..n {
                    dst[i] = if mask[i] != 0 { x[i] } else { y };
                }
            }
            (_, 1) => {
                let (x, y) = (*a.at[1], part(2));
                for i in 0..n {
                    dst[i] = if mask[i] != 0 { x } else { y[i] };
                }
            }
            _ => {
                let (x, y) = (*a.at[1], *a.at[2]);
                for i in 0..n {
                    dst[i] = if mask[i] != 0 { x } else { y };
                }
            }
        }
    }
}

macro_rules! common {
    ($t:ident, $op:expr, $dst:expr, $a:expr, $n:expr, $other:expr) => {{
        let (op, dst, a, n) = ($op, $dst, $a, $n);
        let flag = dst.cast::<u8>();
        match op {
            ScalarOp::Add => binary(dst, a, n, |x, y| x + y),
            ScalarOp::Sub => binary(dst, a, n, |x, y| x - y),
            ScalarOp::Mul => binary(dst, a, n, |x, y| x * y),
            ScalarOp::Div => binary(dst, a, n, |x, y| x / y),
            // NaN if either is: a comparison with NaN is false, and the sum of NaN and anything is NaN.
            ScalarOp::Min => binary(dst, a, n, |x, y| {
                if x < y {
                    x
                } else if y <= x {
                    y
                } else {
                    x + y
                }
            }),
            ScalarOp::Max => binary(dst, a, n, |x, y| {
                if x > y {
                    x
                } else if y >= x {
                    y
                } else {
                    x + y
                }
            }),
            ScalarOp::Neg => unary(dst, a, n, |x| -x),
            ScalarOp::Abs => unary(dst, a, n, |x| x.abs()),
            ScalarOp::Floor => unary(dst, a, n, |x| x.floor()),
            ScalarOp::Ceil => unary(dst, a, n, |x| x.ceil()),
            ScalarOp::Trunc => unary(dst, a, n, |x| x.trunc()),
            ScalarOp::Round => unary(dst, a, n, |x| x.round_ties_even()),
            ScalarOp::Sqrt => unary(dst, a, n, |x| x.sqrt()),
            ScalarOp::Recip => unary(dst, a, n, |x| 1.0 / x),
            ScalarOp::Square => unary(dst, a, n, |x| x * x),
            ScalarOp::Relu => unary(dst, a, n, |x| if x < 0.0 { 0.0 } else { x }),
            ScalarOp::Sign => unary(dst, a, n, |x| {
                if x > 0.0 {
                    1.0
                } else if x < 0.0 {
                    -1.0
                } else {
                    x
                }
            }),
            ScalarOp::CopySign => binary(dst, a, n, |x, y| x.copysign(y)),
            ScalarOp::Clamp => {
                // SAFETY of all of these: the caller's promise.
                let part = |i: usize, j: usize| *a.at[i].add(j * a.step[i]);
                for j in 0..n {
                    let (x, lo, hi) = (part(0, j), part(1, j), part(2, j));
                    let x = if x < lo || lo.is_nan() { lo } else { x };
                    *dst.add(j) = if x > hi || hi.is_nan() && !x.is_nan() { hi } else { x };
                }
            }
            ScalarOp::Eq => binary(flag, a, n, |x, y| (x == y) as u8),
            ScalarOp::Ne => binary(flag, a, n, |x, y| (x != y) as u8),
            ScalarOp::Lt => binary(flag, a, n, |x, y| (x < y) as u8),
            ScalarOp::Le => binary(flag, a, n, |x, y| (x <= y) as u8),
            ScalarOp::Gt => binary(flag, a, n, |x, y| (x > y) as u8),
            ScalarOp::Ge => binary(flag, a, n, |x, y| (x >= y) as u8),
            ScalarOp::IsNan => unary(flag, a, n, |x: $t| x.is_nan() as u8),
            ScalarOp::IsFinite => unary(flag, a, n, |x: $t| x.is_finite() as u8),
            ScalarOp::Select => select(dst, a, n),
            // Not a closure: it would be compiled for the baseline.
            _ => $other,
        }
    }};
}

#[inline(always)]
unsafe fn generic_f32<const FMA: bool>(op: ScalarOp, dst: *mut f32, a: Operands<f32>, n: usize) {
    // Loops of their own: a closure as large as these functions would be called instead of inlined, and not vectorised.
    macro_rules! each {
        ($x:ident => $value:expr) => {{
            let (to, from) = (std::slice::from_raw_parts_mut(dst, n), std::slice::from_raw_parts(a.at[0], n));
            for i in 0..n {
                let $x = from[i];
                to[i] = $value;
            }
        }};
    }
    // SAFETY: the caller's promise.
    unsafe {
        common!(
            f32,
            op,
            dst,
            a,
            n,
            match op {
                // Where fusing is slow, the product is exact in f64.
                ScalarOp::Fma if FMA => ternary(dst, a, n, |x, y, z| x.mul_add(y, z)),
                ScalarOp::Fma => ternary(dst, a, n, |x, y, z| (x as f64 * y as f64 + z as f64) as f32),
                ScalarOp::Rsqrt => each!(x => 1.0 / x.sqrt()),
                ScalarOp::Exp => each!(x => math::exp::<FMA>(x)),
                ScalarOp::Exp2 => each!(x => math::exp2::<FMA>(x)),
                ScalarOp::Log => each!(x => math::log::<FMA>(x)),
                ScalarOp::Log2 => each!(x => math::log2::<FMA>(x)),
                ScalarOp::Tanh => each!(x => math::tanh::<FMA>(x)),
                ScalarOp::Erf => each!(x => math::erf::<FMA>(x)),
                ScalarOp::Sigmoid => each!(x => math::sigmoid::<FMA>(x)),
                ScalarOp::Silu => each!(x => math::silu::<FMA>(x)),
                ScalarOp::Gelu => each!(x => math::gelu::<FMA>(x)),
                ScalarOp::GeluTanh => each!(x => math::gelu_tanh::<FMA>(x)),
                ScalarOp::Softplus => each!(x => math::softplus::<FMA>(x)),
                ScalarOp::Sin | ScalarOp::Cos => {
                    let x = std::slice::from_raw_parts(a.at[0], n);
                    let shift = (op == ScalarOp::Cos) as i64;
                    if x.iter().fold(true, |all, x| all & (x.abs() <= math::TRIG_LIMIT)) {
                        each!(x => math::sin_cos::<FMA>(x, shift));
                    } else {
                        each!(x => if shift == 0 { (x as f64).sin() as f32 } else { (x as f64).cos() as f32 });
                    }
                }
                _ => {}
            }
        )
    }
}

#[inline(always)]
unsafe fn generic_f64<const FMA: bool>(op: ScalarOp, dst: *mut f64, a: Operands<f64>, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        common!(
            f64,
            op,
            dst,
            a,
            n,
            if op == ScalarOp::Fma {
                ternary(dst, a, n, |x, y, z| x.mul_add(y, z));
            }
        )
    }
}

versions! {
    /// `dst = op(a...)` over `n` elements; comparisons write bytes.
    ///
    /// # Safety
    /// Operands have `n` elements where they advance and one where they repeat (not all may repeat; the mask of
    /// `select` and the operand of a unary operation advance); `dst` has room for `n`; it overlaps no operand.
    pub(crate) unsafe fn map_f32(op: ScalarOp, dst: *mut f32, a: Operands<f32>, n: usize) = generic_f32
}

versions! {
    /// As [`map_f32`].
    ///
    /// # Safety
    /// As for [`map_f32`].
    pub(crate) unsafe fn map_f64(op: ScalarOp, dst: *mut f64, a: Operands<f64>, n: usize) = generic_f64
}
