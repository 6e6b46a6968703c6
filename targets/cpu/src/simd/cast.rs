//! Conversions of lanes, and rounding or wrapping lanes to a narrower dtype.

use super::{fallback, versions};
use crate::program::Lane;
use girih_base::DType;
use girih_base::codec::{cast, decode, encode};
use half::{bf16, f16};

/// Converts `n` lanes holding `from` to lanes holding `to`, as Graph IR's `Cast` does.
///
/// # Safety
/// `src` has `n` lanes, `dst` room for `n`; they do not overlap.
pub(crate) unsafe fn convert(from: DType, src: *const u8, to: DType, dst: *mut u8, n: usize) {
    let (a, b) = (Lane::of(from), Lane::of(to));
    // SAFETY: the caller's promise, here and below.
    unsafe {
        let narrow_int = to.is_int() && to.bits() < 32;
        if from == to || a == Lane::F32 && to == DType::F32 {
            return std::ptr::copy_nonoverlapping(src, dst, n * a.bytes());
        }
        if a == Lane::F32 && matches!(to, DType::F16 | DType::Bf16) {
            std::ptr::copy_nonoverlapping(src, dst, n * 4);
            return narrow(to, dst, n);
        }
        let slow = b == Lane::F32 && to != DType::F32 || narrow_int && from.is_float() || to == DType::Bool;
        if slow {
            for i in 0..n {
                let value = cast(fallback::read(a, src.add(i * a.bytes())), to);
                fallback::write(b, dst.add(i * b.bytes()), value);
            }
            return;
        }
        lanes(a, src, b, dst, n);
        if narrow_int {
            narrow(to, dst, n);
        }
    }
}

/// Reads the codes of `from` as codes of `to`, lane by lane.
///
/// # Safety
/// As for [`convert`].
pub(crate) unsafe fn reinterpret(from: DType, src: *const u8, to: DType, dst: *mut u8, n: usize) {
    let (a, b) = (Lane::of(from), Lane::of(to));
    // SAFETY: the caller's promise.
    unsafe {
        if Lane::is_memory(from) && Lane::is_memory(to) {
            return std::ptr::copy_nonoverlapping(src, dst, n * a.bytes());
        }
        for i in 0..n {
            let code = encode(fallback::read(a, src.add(i * a.bytes())), from);
            fallback::write(b, dst.add(i * b.bytes()), decode(code, to));
        }
    }
}

macro_rules! pairs {
    ($a:expr, $src:expr, $b:expr, $dst:expr, $n:expr; $($from:ident $f:ty),*; $to:tt) => {
        match $a { $(Lane::$from => pairs!(@to $f, $src, $b, $dst, $n; $to)),* }
    };
    (@to $f:ty, $src:expr, $b:expr, $dst:expr, $n:expr; ($($to:ident $t:ty),*)) => {
        match $b {
            $(Lane::$to => each::<$f, $t>($src, $dst, $n, |v| v as $t),)*
            Lane::Bool => each::<$f, u8>($src, $dst, $n, |v| (v != (0 as $f)) as u8),
        }
    };
}

#[inline(always)]
unsafe fn generic<const FMA: bool>(a: Lane, src: *const u8, b: Lane, dst: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        pairs!(a, src, b, dst, n; Bool u8, I32 i32, U32 u32, I64 i64, U64 u64, F32 f32, F64 f64;
            (I32 i32, U32 u32, I64 i64, U64 u64, F32 f32, F64 f64))
    }
}

#[inline(always)]
unsafe fn each<A: Copy, B>(src: *const u8, dst: *mut u8, n: usize, f: impl Fn(A) -> B) {
    // SAFETY: the caller's promise.
    unsafe {
        let (x, y) =
            (std::slice::from_raw_parts(src.cast::<A>(), n), std::slice::from_raw_parts_mut(dst.cast::<B>(), n));
        for i in 0..n {
            y[i] = f(x[i]);
        }
    }
}

versions! {
    /// Converts lanes at their full width.
    ///
    /// # Safety
    /// As for [`convert`].
    unsafe fn lanes(a: Lane, src: *const u8, b: Lane, dst: *mut u8, n: usize) = generic
}

/// Rounds or wraps lanes in place to values of `dtype`; nothing for dtypes as wide as their lane.
///
/// # Safety
/// `at` has `n` lanes.
pub(crate) unsafe fn narrow(dtype: DType, at: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match dtype {
            DType::F16 => each_in_place(at, n, |v: f32| f16::from_f32(v).to_f32()),
            DType::Bf16 => each_in_place(at, n, |v: f32| bf16::from_f32(v).to_f32()),
            DType::F4E2M1 | DType::F8E4M3Fn | DType::F8E5M2 | DType::F8E8M0 => {
                each_in_place(at, n, |v: f32| cast(girih_base::codec::Scalar::Float(v as f64), dtype).as_f64() as f32)
            }
            DType::I4 | DType::I8 | DType::I16 => {
                let shift = 32 - dtype.bits();
                each_in_place(at, n, |v: i32| v << shift >> shift);
            }
            DType::U4 | DType::U8 | DType::U16 => {
                let mask = (1u32 << dtype.bits()) - 1;
                each_in_place(at, n, |v: u32| v & mask);
            }
            _ => {}
        }
    }
}

unsafe fn each_in_place<T: Copy>(at: *mut u8, n: usize, f: impl Fn(T) -> T) {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(at.cast::<T>(), n) }.iter_mut().for_each(|v| *v = f(*v));
}
