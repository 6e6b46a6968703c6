//! The loops: each operation over contiguous or repeated elements, compiled once per instruction set.
//!
//! Functions here take raw pointers, since operands are views of scratch memory and of parameters. Destinations never
//! overlap sources.

pub(crate) mod cast;
pub(crate) mod fallback;
pub(crate) mod float;
pub(crate) mod fold;
pub(crate) mod ints;
pub(crate) mod math;
pub(crate) mod memory;
pub(crate) mod strided;

/// What the processor offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// What every processor of the architecture has (on AArch64 that includes NEON and FMA).
    Base,
    /// AVX2, FMA, F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, CD, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The best this machine has; looked up once.
    pub fn get() -> Isa {
        static FOUND: std::sync::OnceLock<Isa> = std::sync::OnceLock::new();
        *FOUND.get_or_init(Isa::detect)
    }

    fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma") && has!("f16c") && has!("bmi1") && has!("bmi2") && has!("lzcnt");
            let avx512 =
                has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
            if avx2 && avx512 {
                return Isa::Avx512;
            }
            if avx2 {
                return Isa::Avx2;
            }
        }
        Isa::Base
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "AVX2 + FMA",
            Isa::Base if cfg!(target_arch = "aarch64") => "NEON",
            Isa::Base => "baseline",
        }
    }
}

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
                // SAFETY: `Isa::get` found the features.
                match $crate::simd::Isa::get() {
                    $crate::simd::Isa::Avx512 => return unsafe { avx512 $(::<$g>)? ($($arg),*) },
                    $crate::simd::Isa::Avx2 => return unsafe { avx2 $(::<$g>)? ($($arg),*) },
                    $crate::simd::Isa::Base => {}
                }
            }
            // SAFETY: the caller keeps its promise; no feature beyond the architecture's is used.
            unsafe { $generic::<{ cfg!(target_arch = "aarch64") } $(, $g)?>($($arg),*) }
        }
    };
}
pub(crate) use versions;
