//! The loops: each operation over contiguous or repeated elements, compiled once per instruction set.
//!
//! Functions here take raw pointers, since operands are views of scratch memory and of parameters. Destinations never
//! overlap sources.

pub(crate) mod atomic;
pub(crate) mod cast;
pub(crate) mod fallback;
pub(crate) mod float;
pub(crate) mod fold;
pub(crate) mod gather;
pub(crate) mod ints;
pub(crate) mod isa;
pub(crate) mod math;
pub(crate) mod memory;
pub(crate) mod pick;
pub(crate) mod product;
pub(crate) mod strided;
pub(crate) mod update;

pub use isa::Isa;

/// Defines a function that runs the version of an `#[inline(always)]` generic function compiled for the machine. The
/// generic function's const parameter says whether fused multiply-add is one instruction.
macro_rules! versions {
    ($(#[$doc:meta])* $vis:vis unsafe fn $name:ident $(<$g:ident: $bound:path>)? ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $generic:ident) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name $(<$g: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx512 $(<$g: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
                    // SAFETY: the caller of the outer function keeps its promise.
                    unsafe { $generic::<true $(, $g)?>($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx2 $(<$g: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
                    // SAFETY: the caller of the outer function keeps its promise.
                    unsafe { $generic::<true $(, $g)?>($($arg),*) }
                }
                // SAFETY: `Isa::get` gives no level whose features the machine lacks.
                match $crate::simd::Isa::get() {
                    $crate::simd::Isa::Avx512 => return unsafe { avx512 $(::<$g>)? ($($arg),*) },
                    $crate::simd::Isa::Avx2 => return unsafe { avx2 $(::<$g>)? ($($arg),*) },
                    $crate::simd::Isa::Baseline => {}
                }
            }
            // SAFETY: the caller keeps its promise; no feature beyond the architecture's is used.
            unsafe { $generic::<{ cfg!(target_arch = "aarch64") } $(, $g)?>($($arg),*) }
        }
    };
}
pub(crate) use versions;
