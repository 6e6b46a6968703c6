//! Texture and surface objects.

use super::{always, call, put};
use crate::texture::Described;
use std::ffi::c_int;

/// An object for memory that the headers describe.
///
/// # Safety
/// `out` is null or may be written; `described` may be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn girihCreateTexture(out: *mut u64, described: *const Described) -> c_int {
    call(|r| {
        // SAFETY: by this function's contract.
        let handle = r.textures.add(unsafe { described.read_unaligned() })?;
        // SAFETY: the same.
        unsafe { put(out, handle) }
    })
}

/// Gives an object back.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn girihDestroyTexture(handle: u64) -> c_int {
    always(|r| r.textures.remove(handle))
}
