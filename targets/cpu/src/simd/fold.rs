//! Folds of contiguous elements by one scalar operation.
//!
//! The order is fixed: 64 running results, element `i` going to number `i mod 64`, folded pairwise at the end; runs
//! longer than [`RUN`] are split in halves. So sums have the error of about `n / 64 + log2(n)` additions in a row, and
//! never depend on the machine or the number of threads.

use super::versions;
use girih_base::ScalarOp;

/// Number of running results.
const WIDTH: usize = 64;
/// Longest run folded at once.
const RUN: usize = 16384;

/// A lane that folds.
pub(crate) trait Fold: Copy {
    fn fold(op: ScalarOp, a: Self, b: Self) -> Self;
}

macro_rules! fold_float {
    ($t:ty) => {
        impl Fold for $t {
            #[inline(always)]
            fn fold(op: ScalarOp, x: $t, y: $t) -> $t {
                match op {
                    ScalarOp::Add => x + y,
                    ScalarOp::Mul => x * y,
                    ScalarOp::Min => {
                        let low = if x < y { x } else { y };
                        if x.is_nan() { x } else { low }
                    }
                    _ => {
                        let high = if x > y { x } else { y };
                        if x.is_nan() { x } else { high }
                    }
                }
            }
        }
    };
}
fold_float!(f32);
fold_float!(f64);

macro_rules! fold_int {
    ($t:ty) => {
        impl Fold for $t {
            #[inline(always)]
            fn fold(op: ScalarOp, x: $t, y: $t) -> $t {
                match op {
                    ScalarOp::Add => x.wrapping_add(y),
                    ScalarOp::Mul => x.wrapping_mul(y),
                    ScalarOp::Min => x.min(y),
                    ScalarOp::Max => x.max(y),
                    ScalarOp::And => x & y,
                    ScalarOp::Or => x | y,
                    _ => x ^ y,
                }
            }
        }
    };
}
fold_int!(u8);
fold_int!(i32);
fold_int!(u32);
fold_int!(i64);
fold_int!(u64);

/// Runs `$body` with `$op` known at compile time, so that its loops vectorise.
macro_rules! each_op {
    ($op:expr, $known:ident => $body:expr) => {
        match $op {
            ScalarOp::Add => {
                const $known: ScalarOp = ScalarOp::Add;
                $body
            }
            ScalarOp::Mul => {
                const $known: ScalarOp = ScalarOp::Mul;
                $body
            }
            ScalarOp::Min => {
                const $known: ScalarOp = ScalarOp::Min;
                $body
            }
            ScalarOp::Max => {
                const $known: ScalarOp = ScalarOp::Max;
                $body
            }
            ScalarOp::And => {
                const $known: ScalarOp = ScalarOp::And;
                $body
            }
            ScalarOp::Or => {
                const $known: ScalarOp = ScalarOp::Or;
                $body
            }
            _ => {
                const $known: ScalarOp = ScalarOp::Xor;
                $body
            }
        }
    };
}

#[inline(always)]
fn run<T: Fold>(op: ScalarOp, x: &[T]) -> T {
    let (chunks, rest) = x.as_chunks::<WIDTH>();
    let Some((first, more)) = chunks.split_first() else {
        return x[1..].iter().fold(x[0], |a, b| T::fold(op, a, *b));
    };
    let mut lanes = *first;
    for chunk in more {
        for i in 0..WIDTH {
            lanes[i] = T::fold(op, lanes[i], chunk[i]);
        }
    }
    // A copy: an array whose elements are reached by a run-time index would lie in memory during the loop above.
    let mut tree = lanes;
    for (lane, v) in tree.iter_mut().zip(rest) {
        *lane = T::fold(op, *lane, *v);
    }
    let mut half = WIDTH / 2;
    while half > 0 {
        let (low, high) = tree.split_at_mut(half);
        for (a, b) in low.iter_mut().zip(high) {
            *a = T::fold(op, *a, *b);
        }
        half /= 2;
    }
    tree[0]
}

fn halves<T: Fold>(op: ScalarOp, x: &[T], base: &dyn Fn(&[T]) -> T) -> T {
    if x.len() <= RUN {
        return base(x);
    }
    let (a, b) = x.split_at((x.len() / 2).next_multiple_of(WIDTH));
    T::fold(op, halves(op, a, base), halves(op, b, base))
}

#[inline(always)]
unsafe fn generic_run<const FMA: bool, T: Fold>(op: ScalarOp, x: &[T]) -> T {
    each_op!(op, OP => run::<T>(OP, x))
}

versions! {
    unsafe fn run_version<T: Fold>(op: ScalarOp, x: &[T]) -> T = generic_run
}

/// Folds at least one element.
pub(crate) fn fold_run<T: Fold>(op: ScalarOp, x: &[T]) -> T {
    // SAFETY: `run_version` has no conditions of its own.
    halves(op, x, &|x| unsafe { run_version(op, x) })
}

#[inline(always)]
unsafe fn generic_rows<const FMA: bool, T: Fold>(op: ScalarOp, acc: &mut [T], rows: &[*const T]) {
    let n = acc.len();
    // SAFETY: the caller's promise.
    let row = |r: usize| unsafe { std::slice::from_raw_parts(rows[r], n) };
    each_op!(op, OP => {
        let mut r = 0;
        while r + 4 <= rows.len() {
            let (a, b, c, d) = (row(r), row(r + 1), row(r + 2), row(r + 3));
            for i in 0..n {
                let ab = T::fold(OP, a[i], b[i]);
                let cd = T::fold(OP, c[i], d[i]);
                acc[i] = T::fold(OP, acc[i], T::fold(OP, ab, cd));
            }
            r += 4;
        }
        while r < rows.len() {
            let a = row(r);
            for i in 0..n {
                acc[i] = T::fold(OP, acc[i], a[i]);
            }
            r += 1;
        }
    })
}

versions! {
    /// Folds rows as long as `acc` into it, element by element: four rows pairwise, then into `acc`.
    ///
    /// # Safety
    /// Each row has as many elements as `acc` and does not overlap it.
    pub(crate) unsafe fn fold_rows<T: Fold>(op: ScalarOp, acc: &mut [T], rows: &[*const T]) = generic_rows
}
