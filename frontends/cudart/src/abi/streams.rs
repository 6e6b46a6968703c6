//! Streams, events, and waiting for the device.

use super::{always, call, put};
use std::ffi::{c_int, c_void};

fn handle(number: u64) -> *mut c_void {
    std::ptr::without_provenance_mut(number as usize)
}

/// Waits for the device.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaDeviceSynchronize() -> c_int {
    call(|r| r.synchronize())
}

/// Gives all memory back.
///
/// # Safety
/// No address of device, managed or page-locked memory is used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaDeviceReset() -> c_int {
    let mut failed = None;
    let done = always(|r| {
        failed = r.failed;
        r.synchronize()?;
        r.reset();
        Ok(())
    });
    failed.map_or(done, |code| code.0)
}

/// A stream.
///
/// # Safety
/// `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaStreamCreate(out: *mut *mut c_void) -> c_int {
    // SAFETY: by this function's contract.
    call(|r| unsafe { put(out, handle(r.handles.stream())) })
}

/// Gives a stream back.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaStreamDestroy(stream: *mut c_void) -> c_int {
    always(|r| r.handles.drop_stream(stream.addr() as u64))
}

/// Waits for a stream.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaStreamSynchronize(stream: *mut c_void) -> c_int {
    call(|r| {
        r.handles.check_stream(stream.addr() as u64)?;
        r.synchronize()
    })
}

/// An event.
///
/// # Safety
/// `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaEventCreate(out: *mut *mut c_void) -> c_int {
    // SAFETY: by this function's contract.
    call(|r| unsafe { put(out, handle(r.handles.event())) })
}

/// Gives an event back.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaEventDestroy(event: *mut c_void) -> c_int {
    always(|r| r.handles.drop_event(event.addr() as u64))
}

/// The event happens when what was called before is done.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaEventRecord(event: *mut c_void, stream: *mut c_void) -> c_int {
    call(|r| {
        r.handles.check_stream(stream.addr() as u64)?;
        r.record(event.addr() as u64)
    })
}

/// Waits for an event: all before it is done when it is recorded.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaEventSynchronize(event: *mut c_void) -> c_int {
    call(|r| {
        r.handles.check_event(event.addr() as u64)?;
        r.synchronize()
    })
}

/// Milliseconds between two events.
///
/// # Safety
/// `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaEventElapsedTime(out: *mut f32, from: *mut c_void, to: *mut c_void) -> c_int {
    call(|r| {
        let gone = r.handles.elapsed(from.addr() as u64, to.addr() as u64)?;
        // SAFETY: by this function's contract.
        unsafe { put(out, gone) }
    })
}
