//! The C interface: every function that the headers of `girih nvcc` declare and the code that clang makes calls.
//!
//! All `unsafe` of this crate is here: addresses that the program gave are read and written as the CUDA runtime's documentation
//! lets it give them. A fault of ours never unwinds into the program: it is `cudaErrorUnknown`.

mod device;
mod host;
mod memory;
mod register;
mod streams;
mod texture;

pub use host::HostMemory;

use crate::code::{Code, Fault, Outcome};
use crate::runtime::{Locked, Runtime};
use std::cell::Cell;
use std::ffi::{CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static LAST: Cell<Code> = const { Cell::new(Code::SUCCESS) };
}

unsafe extern "C" {
    fn printf(format: *const c_char, ...) -> c_int;
}

/// Writes to the program's standard output, in order with what the program writes itself.
pub fn say(text: &str) {
    let Ok(text) = CString::new(text) else { return };
    if !text.is_empty() {
        // SAFETY: the format takes one text, which ends in a zero byte.
        unsafe { printf(c"%s".as_ptr(), text.as_ptr()) };
    }
}

/// Runs a call that has no effect once a kernel has failed.
fn call(f: impl FnOnce(&mut Runtime) -> Outcome<()>) -> i32 {
    always(|r| match r.failed {
        Some(code) => Err(code.into()),
        None => f(r),
    })
}

/// Runs a call: what fails is said, kept for `cudaGetLastError`, and given back.
fn always(f: impl FnOnce(&mut Runtime) -> Outcome<()>) -> i32 {
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut locked = Locked::now();
        let runtime = locked.get();
        let done = f(runtime);
        if let Err(Fault { code, lasting: true, .. }) = &done {
            runtime.failed = Some(*code);
        }
        done
    }));
    let code = match done {
        Ok(Ok(())) => return Code::SUCCESS.0,
        Ok(Err(fault)) => {
            if let Some(diag) = fault.diag {
                eprintln!("{diag}");
            }
            fault.code
        }
        Err(_) => {
            Locked::now().get().failed = Some(Code::UNKNOWN);
            Code::UNKNOWN
        }
    };
    LAST.set(code);
    code.0
}

/// Writes a result where the program wants it.
///
/// # Safety
/// `to` is null or may be written.
unsafe fn put<T>(to: *mut T, value: T) -> Outcome<()> {
    if to.is_null() {
        return Err(Code::INVALID_VALUE.into());
    }
    // SAFETY: it may be written, by this function's contract.
    unsafe { to.write_unaligned(value) };
    Ok(())
}
