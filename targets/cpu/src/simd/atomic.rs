//! Read-modify-write of memory that several threads of the processor update at once.

use girih_base::{AtomicOp, DType};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// One update of an element; the element as it was goes to `old`.
///
/// # Safety
/// An element at `at`, an operand at `x`, room for the old element at `old`, all aligned. The dtype is u32, i32, u64 or i64, and
/// nobody accesses the element otherwise meanwhile.
pub(crate) unsafe fn update(op: AtomicOp, dtype: DType, at: *mut u8, x: *const u8, old: *mut u8) {
    macro_rules! update {
        ($atomic:ty, $t:ty) => {{
            // SAFETY: the caller's promise.
            unsafe {
                let (at, x) = (<$atomic>::from_ptr(at.cast()), *x.cast::<$t>());
                *old.cast::<$t>() = match op {
                    AtomicOp::Add => at.fetch_add(x, Relaxed),
                    AtomicOp::Min => at.fetch_min(x, Relaxed),
                    AtomicOp::Max => at.fetch_max(x, Relaxed),
                    AtomicOp::And => at.fetch_and(x, Relaxed),
                    AtomicOp::Or => at.fetch_or(x, Relaxed),
                    AtomicOp::Xor => at.fetch_xor(x, Relaxed),
                    AtomicOp::Exchange => at.swap(x, Relaxed),
                };
            }
        }};
    }
    match dtype {
        DType::I32 => update!(AtomicI32, i32),
        DType::I64 => update!(AtomicI64, i64),
        DType::U64 => update!(AtomicU64, u64),
        _ => update!(AtomicU32, u32),
    }
}
