//! Allocations, copies and fills.

use super::{always, call, put};
use crate::code::Code;
use crate::runtime::Runtime;
use crate::transfer::Side;
use std::ffi::{c_int, c_void};

/// `cudaMemcpyKind`.
const TO_DEVICE: c_int = 1;
const TO_HOST: c_int = 2;
const ON_DEVICE: c_int = 3;

/// Device memory.
///
/// # Safety
/// `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaMalloc(out: *mut *mut c_void, bytes: usize) -> c_int {
    call(|r| {
        let (rig, memory, _) = r.parts()?;
        let address = memory.allocate(&mut *rig.device, bytes as u64)?;
        // SAFETY: by this function's contract.
        unsafe { put(out, std::ptr::without_provenance_mut(address as usize)) }
    })
}

/// Gives device or managed memory back.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaFree(address: *mut c_void) -> c_int {
    always(|r| {
        let (rig, memory, _) = r.parts()?;
        memory.free(&mut *rig.device, address.addr() as u64)
    })
}

/// Memory that host and device use: managed, or page-locked.
///
/// # Safety
/// `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn girihMallocBoth(out: *mut *mut c_void, bytes: usize, managed: c_int) -> c_int {
    call(|r| {
        let (rig, memory, _) = r.parts()?;
        let address = memory.allocate_both(&mut *rig.device, bytes as u64, managed != 0)?;
        // SAFETY: by this function's contract.
        unsafe { put(out, std::ptr::with_exposed_provenance_mut(address as usize)) }
    })
}

/// `cudaFreeHost`.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaFreeHost(address: *mut c_void) -> c_int {
    // SAFETY: it is safe for all values.
    unsafe { cudaFree(address) }
}

/// What an address is: 0 of the host's own memory, 1 page-locked, 2 of the device, 3 managed.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn girihPointerKind(address: *const c_void) -> c_int {
    let mut kind = 0;
    always(|r| {
        kind = match r.memory.find(address.addr() as u64) {
            None => 0,
            Some((_, found, _)) if found.managed => 3,
            Some((_, found, _)) if found.on_host() => 1,
            Some(_) => 2,
        };
        Ok(())
    });
    kind
}

/// Bytes free and in all.
///
/// # Safety
/// The addresses are null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaMemGetInfo(free: *mut usize, total: *mut usize) -> c_int {
    call(|r| {
        let all = r.total();
        // SAFETY: by this function's contract.
        unsafe {
            put(free, all.saturating_sub(r.memory.taken) as usize)?;
            put(total, all as usize)
        }
    })
}

/// Where a copy of `kind` takes device memory for granted: at its destination, at its source.
fn sides(kind: c_int) -> Option<(bool, bool)> {
    match kind {
        0 => Some((false, false)),
        TO_DEVICE => Some((true, false)),
        TO_HOST => Some((false, true)),
        ON_DEVICE => Some((true, true)),
        4 => Some((false, false)),
        _ => None,
    }
}

/// Copies bytes; done before it returns.
///
/// # Safety
/// Addresses of the host's memory have that many bytes to read or write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaMemcpy(to: *mut u8, from: *const u8, bytes: usize, kind: c_int) -> c_int {
    // SAFETY: by this function's contract.
    call(|r| unsafe { copy(r, to, from, bytes, kind) })
}

/// One copy.
///
/// # Safety
/// As [`cudaMemcpy`].
unsafe fn copy(r: &mut Runtime, to: *mut u8, from: *const u8, bytes: usize, kind: c_int) -> crate::code::Outcome<()> {
    let (there, here) = sides(kind).ok_or(Code::INVALID_MEMCPY_DIRECTION)?;
    if bytes == 0 {
        return Ok(());
    }
    if to.is_null() || from.is_null() {
        return Err(Code::INVALID_VALUE.into());
    }
    let n = bytes as u64;
    let (target, source) = (r.side(to.addr() as u64, n, there)?, r.side(from.addr() as u64, n, here)?);
    match (target, source) {
        (Side::Device(a, x), Side::Device(b, y)) => r.copy((a, x), (b, y), n),
        // SAFETY: an address of the host's memory, with that many bytes by this function's contract.
        (Side::Device(a, x), Side::Host) => r.write((a, x), unsafe { std::slice::from_raw_parts(from, bytes) }),
        // SAFETY: the same.
        (Side::Host, Side::Device(b, y)) => r.read((b, y), unsafe { std::slice::from_raw_parts_mut(to, bytes) }),
        (Side::Host, Side::Host) => {
            // SAFETY: the same, twice; they may overlap.
            unsafe { std::ptr::copy(from, to, bytes) };
            Ok(())
        }
    }
}

/// Copies `height` rows of `width` bytes that lie a pitch apart.
///
/// # Safety
/// As [`cudaMemcpy`], for every row.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaMemcpy2D(
    to: *mut u8,
    to_pitch: usize,
    from: *const u8,
    from_pitch: usize,
    width: usize,
    height: usize,
    kind: c_int,
) -> c_int {
    call(|r| {
        if width > to_pitch || width > from_pitch {
            return Err(Code::INVALID_VALUE.into());
        }
        if to_pitch == width && from_pitch == width {
            // SAFETY: the rows lie side by side.
            return unsafe { copy(r, to, from, width * height, kind) };
        }
        for row in 0..height {
            let (a, b) = (to.wrapping_add(row * to_pitch), from.wrapping_add(row * from_pitch));
            // SAFETY: by this function's contract.
            unsafe { copy(r, a, b, width, kind)? };
        }
        Ok(())
    })
}

/// Fills bytes of device, managed or page-locked memory.
///
/// # Safety
/// Safe for all values: memory that is not ours is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaMemset(to: *mut u8, byte: c_int, bytes: usize) -> c_int {
    call(|r| match r.side(to.addr() as u64, bytes as u64, true)? {
        _ if bytes == 0 => Ok(()),
        Side::Device(start, offset) => r.fill((start, offset), byte as u8, bytes as u64),
        Side::Host => {
            // SAFETY: it is memory that host and device use, and has that many bytes: `side` checked both.
            unsafe { to.write_bytes(byte as u8, bytes) };
            Ok(())
        }
    })
}

/// The memory of a variable.
///
/// # Safety
/// `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaGetSymbolAddress(out: *mut *mut c_void, symbol: *const c_void) -> c_int {
    call(|r| {
        let variable = r.programs.variable(symbol.addr() as u64)?;
        let (rig, memory, programs) = r.parts()?;
        let address = programs.memory_of(variable.program, &variable.name, None, memory, rig)?;
        // SAFETY: by this function's contract.
        unsafe { put(out, std::ptr::without_provenance_mut(address as usize)) }
    })
}

/// Bytes of a variable.
///
/// # Safety
/// `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaGetSymbolSize(out: *mut usize, symbol: *const c_void) -> c_int {
    call(|r| {
        let variable = r.programs.variable(symbol.addr() as u64)?;
        // SAFETY: by this function's contract.
        unsafe { put(out, variable.bytes as usize) }
    })
}
