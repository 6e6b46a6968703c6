//! The device's name and numbers, kernels' numbers, and errors.

use super::{LAST, always, call, put};
use crate::code::Code;
use std::ffi::{c_char, c_int, c_void};

/// The last error of the thread, which is then forgotten; not that of a kernel that failed.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaGetLastError() -> c_int {
    // SAFETY: it is safe for all values.
    let code = unsafe { cudaPeekAtLastError() };
    LAST.set(Code::SUCCESS);
    code
}

/// The last error of the thread.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaPeekAtLastError() -> c_int {
    let mut failed = None;
    always(|r| {
        failed = r.failed;
        Ok(())
    });
    failed.unwrap_or(LAST.get()).0
}

/// Keeps an error that a header found.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn girihError(code: c_int) -> c_int {
    always(|_| if code == 0 { Ok(()) } else { Err(Code(code).into()) })
}

/// The name of an error.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaGetErrorName(code: c_int) -> *const c_char {
    Code(code).row().1.as_ptr().cast()
}

/// The description of an error.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaGetErrorString(code: c_int) -> *const c_char {
    Code(code).row().2.as_ptr().cast()
}

/// The device's name, cut to `bytes` bytes with a zero at the end.
///
/// # Safety
/// `out` is null or has room for `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn girihDeviceName(out: *mut c_char, bytes: usize) -> c_int {
    call(|r| {
        let name = r.open()?.device.name();
        for i in 0..bytes {
            let byte = if i + 1 < bytes { name.as_bytes().get(i).copied().unwrap_or(0) } else { 0 };
            // SAFETY: byte `i` of `bytes` that there is room for.
            unsafe { put(out.wrapping_add(i), byte as c_char)? };
        }
        Ok(())
    })
}

/// A number of the device: 0 bytes of memory, 1 most threads of a block, 2 bytes of shared memory of a block, 3 processors.
///
/// # Safety
/// `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn girihDeviceNumber(out: *mut u64, which: c_int) -> c_int {
    call(|r| {
        let total = r.total();
        let desc = r.open()?.target.desc().clone();
        let cpu = desc.workgroup_bytes == 0;
        let number = match which {
            0 => total,
            1 if cpu => 1024,
            1 => desc.max_threads.min(1024) as u64,
            2 if cpu => 48 << 10,
            2 => desc.workgroup_bytes.min(48 << 10) as u64,
            3 if cpu => desc.threads as u64,
            3 => 16,
            _ => return Err(Code::INVALID_VALUE.into()),
        };
        // SAFETY: by this function's contract.
        unsafe { put(out, number) }
    })
}

/// Whether a stub is that of a kernel.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn girihCheckFunction(stub: *const c_void) -> c_int {
    call(|r| r.programs.function(stub.addr() as u64).map(|_| ()))
}
