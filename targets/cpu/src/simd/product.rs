//! Products of matrices of floats, at the level of the current launch.
//!
//! The library picks its kernel by what the processor has; a lower level takes the library's kernel for that level by name.

use super::Isa;
use gemm_common::Parallelism;
use gemm_common::gemm::gemm_basic_generic;
use gemm_common::simd::{self, Scalar};

/// A matrix in memory: its first element and the distances between rows and between columns, in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<T> {
    pub at: *mut T,
    pub row: isize,
    pub column: isize,
}

impl<T> Matrix<T> {
    fn turned(self) -> Matrix<T> {
        Matrix { at: self.at, row: self.column, column: self.row }
    }
}

/// An element type of products.
pub(crate) trait Product: Copy + Default + 'static {
    /// As [`multiply`], at the level given, for a result that does not lie row by row and has no negative distances.
    ///
    /// # Safety
    /// As for [`multiply`].
    unsafe fn lower(
        isa: Isa,
        size: [usize; 3],
        out: Matrix<Self>,
        add: bool,
        x: Matrix<Self>,
        y: Matrix<Self>,
        how: Parallelism,
    );
    /// One.
    const ONE: Self;
}

/// Calls the library's kernel of one level.
macro_rules! kernel {
    ($t:ty, $kernels:path, $lanes:expr, $simd:expr, ($size:expr, $out:expr, $add:expr, $x:expr, $y:expr, $how:expr)) => {{
        use $kernels::*;
        let ([m, n, k], out, x, y) = ($size, $out, $x, $y);
        gemm_basic_generic::<_, $t, { $lanes }, { MR_DIV_N * $lanes }, NR, MR_DIV_N, H_M, H_N>(
            $simd,
            m,
            n,
            k,
            out.at,
            out.column,
            out.row,
            $add,
            x.at.cast_const(),
            x.column,
            x.row,
            y.at.cast_const(),
            y.column,
            y.row,
            1.0,
            1.0,
            false,
            false,
            false,
            |a, b, c| a * b + c,
            &UKR,
            &H_UKR,
            false,
            $how,
        )
    }};
}

macro_rules! product {
    ($t:ident, $library:ident, $lanes:expr) => {
        impl Product for $t {
            const ONE: $t = 1.0;

            unsafe fn lower(
                isa: Isa,
                size: [usize; 3],
                out: Matrix<$t>,
                add: bool,
                x: Matrix<$t>,
                y: Matrix<$t>,
                how: Parallelism,
            ) {
                // SAFETY: the caller's promise; `try_new` looks for the features.
                unsafe {
                    #[cfg(target_arch = "x86_64")]
                    if isa == Isa::Avx2
                        && let Some(simd) = <simd::V3 as simd::MixedSimd<$t, $t, $t, $t>>::try_new()
                    {
                        return kernel!($t, $library::microkernel::fma::$t, $lanes, simd, (size, out, add, x, y, how));
                    }
                    debug_assert!(isa == Isa::Baseline);
                    kernel!($t, $library::microkernel::scalar::$t, 1, Scalar, (size, out, add, x, y, how));
                }
            }
        }
    };
}
product!(f32, gemm_f32, 8);
product!(f64, gemm_f64, 4);

/// `out = x y` for `m x k` times `k x n`, plus what is there when `add`; `size` is `[m, n, k]`.
///
/// # Safety
/// The matrices have these sizes; `out` overlaps neither operand.
pub(crate) unsafe fn multiply<T: Product>(
    size: [usize; 3],
    out: Matrix<T>,
    add: bool,
    x: Matrix<T>,
    y: Matrix<T>,
    threads: usize,
) {
    let how = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    let isa = Isa::get();
    let steps = [out.row, out.column, x.row, x.column, y.row, y.column];
    if cfg!(target_arch = "x86_64") && isa != Isa::Avx512 && steps.iter().all(|s| *s >= 0) {
        let [m, n, k] = size;
        // The kernels prefer results that lie column by column.
        // SAFETY: the caller's promise.
        return unsafe {
            match out.column < out.row {
                true => T::lower(isa, [n, m, k], out.turned(), add, y.turned(), x.turned(), how),
                false => T::lower(isa, size, out, add, x, y, how),
            }
        };
    }
    let [m, n, k] = size;
    let one = T::ONE;
    // SAFETY: the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.at,
            out.column,
            out.row,
            add,
            x.at.cast_const(),
            x.column,
            x.row,
            y.at.cast_const(),
            y.column,
            y.row,
            one,
            one,
            false,
            false,
            false,
            how,
        );
    }
}
