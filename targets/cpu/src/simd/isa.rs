//! Levels of vector instructions: what the processor has, and what its owner lets us use.

use girih_base::{Diag, Result};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Names a level that devices of this process use instead of the best: `baseline`, `avx2` or `avx512`.
pub const ISA_VARIABLE: &str = "GIRIH_CPU_ISA";

/// A level of vector instructions that every loop of this crate is compiled for. Results of one level are the same on
/// every run; between levels they differ in rounding, since only some have fused multiply-add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What every processor of the architecture has: SSE2 on x86-64, NEON with fused multiply-add on AArch64.
    Baseline,
    /// AVX2, FMA, F16C, BMI1, BMI2 and LZCNT (x86-64-v3).
    Avx2,
    /// AVX-512 F, BW, CD, DQ and VL (x86-64-v4).
    Avx512,
}

thread_local! {
    /// The level of the launch this thread works for.
    static CURRENT: Cell<Option<Isa>> = const { Cell::new(None) };
}

impl Isa {
    /// Every level, the lowest first.
    pub const ALL: [Isa; 3] = [Isa::Baseline, Isa::Avx2, Isa::Avx512];

    /// The levels this machine has, the lowest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|i| *i <= Isa::best())
    }

    /// The best level this machine has; looked up once.
    pub fn best() -> Isa {
        static FOUND: OnceLock<Isa> = OnceLock::new();
        *FOUND.get_or_init(|| {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::is_x86_feature_detected as has;
                let avx2 = has!("avx2") && has!("fma") && has!("f16c") && has!("bmi1") && has!("bmi2") && has!("lzcnt");
                let avx512 =
                    has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
                if avx2 {
                    return if avx512 { Isa::Avx512 } else { Isa::Avx2 };
                }
            }
            Isa::Baseline
        })
    }

    /// The level that `GIRIH_CPU_ISA` names, else the best.
    ///
    /// # Errors
    /// `X010` when the variable names no level, or one this machine lacks.
    pub fn chosen() -> Result<Isa> {
        match std::env::var_os(ISA_VARIABLE) {
            None => Ok(Isa::best()),
            Some(key) => Isa::named(&key.to_string_lossy()).map_err(|d| d.note(format!("{ISA_VARIABLE} is set"))),
        }
    }

    /// The level of that key, if this machine has it.
    ///
    /// # Errors
    /// `X010` as for [`Isa::chosen`].
    pub fn named(key: &str) -> Result<Isa> {
        let isa = Isa::ALL.into_iter().find(|i| i.key() == key);
        let isa = isa.ok_or_else(|| refuse(format!("there is no instruction set `{key}`")))?;
        isa.check()
    }

    /// The level itself, if this machine has it.
    pub(crate) fn check(self) -> Result<Isa> {
        match self <= Isa::best() {
            true => Ok(self),
            false => Err(refuse(format!("this machine has no {}", self.name()))),
        }
    }

    /// The word that chooses it: `baseline`, `avx2`, `avx512`.
    pub fn key(self) -> &'static str {
        match self {
            Isa::Baseline => "baseline",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "AVX-512",
            Isa::Avx2 => "AVX2 + FMA",
            Isa::Baseline if cfg!(target_arch = "aarch64") => "NEON",
            Isa::Baseline if cfg!(target_arch = "x86_64") => "SSE2",
            Isa::Baseline => "baseline",
        }
    }

    /// The level this thread uses now.
    #[inline(always)]
    pub(crate) fn get() -> Isa {
        match CURRENT.get() {
            Some(isa) => isa,
            None => Isa::best(),
        }
    }

    /// Makes this thread use the level while the guard lives; only for levels that [`Isa::check`] let through.
    pub(crate) fn enter(self) -> Entered {
        debug_assert!(self <= Isa::best());
        Entered { before: CURRENT.replace(Some(self.min(Isa::best()))), _here: PhantomData }
    }
}

/// Restores the level of the thread that made it.
pub(crate) struct Entered {
    before: Option<Isa>,
    _here: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

fn refuse(why: String) -> Box<Diag> {
    let keys: Vec<&str> = Isa::available().map(Isa::key).collect();
    Diag::error("X010", why).help(format!("this machine has: {}", keys.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn levels_are_named_and_unknown_or_missing_ones_refused() {
        assert_eq!(Isa::named("baseline").unwrap(), Isa::Baseline);
        assert_eq!(Isa::available().last(), Some(Isa::best()));
        let unknown = Isa::named("sse9").unwrap_err();
        assert_eq!(unknown.code, "X010");
        assert!(unknown.to_string().contains("`sse9`") && unknown.to_string().contains("baseline"), "{unknown}");
        for isa in Isa::ALL {
            assert_eq!(Isa::named(isa.key()).is_ok(), isa <= Isa::best(), "{}", isa.key());
        }
    }

    #[test]
    fn a_thread_uses_a_level_while_the_guard_lives() {
        {
            let _outer = Isa::Baseline.enter();
            assert_eq!(Isa::get(), Isa::Baseline);
            drop(Isa::best().enter());
            assert_eq!(Isa::get(), Isa::Baseline);
        }
        assert_eq!(Isa::get(), Isa::best());
    }
}
