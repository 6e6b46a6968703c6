//! What clang's code calls: registration before `main`, and launches.

use super::{always, call, put};
use crate::code::{Code, Fault};
use crate::launch::Config;
use girih_base::Diag;
use girih_cuda::Bundle;
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

/// The C++ class `dim3`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Dim3 {
    x: c_uint,
    y: c_uint,
    z: c_uint,
}

impl Dim3 {
    fn list(self) -> [u32; 3] {
        [self.x, self.y, self.z]
    }
}

/// What clang puts around an embedded device program.
#[repr(C)]
pub struct Wrapper {
    magic: c_int,
    version: c_int,
    data: *const u8,
    other: *const c_void,
}

thread_local! {
    /// Configurations between `<<<...>>>` and the stub that it calls.
    static PUSHED: RefCell<Vec<Config>> = const { RefCell::new(Vec::new()) };
}

/// The text of a C string.
///
/// # Safety
/// `name` is null or ends in a zero byte.
unsafe fn text<'a>(name: *const c_char) -> &'a str {
    if name.is_null() {
        return "";
    }
    // SAFETY: it ends in a zero byte, by this function's contract.
    unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default()
}

/// Registers a translation unit. The handle is its number and one.
///
/// # Safety
/// Called by clang's code, with the wrapper it made of what `girih nvcc` embedded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cudaRegisterFatBinary(wrapper: *const Wrapper) -> *mut *mut c_void {
    let mut handle = 0usize;
    always(|r| {
        // SAFETY: clang's wrapper points to what was embedded; its length is in its first bytes, which are there.
        let bytes = unsafe {
            let data = (*wrapper).data;
            let header = std::slice::from_raw_parts(data, Bundle::HEADER);
            let length = Bundle::length(header).map_err(|d| Fault::lasting(Code::INVALID_KERNEL_IMAGE, d))?;
            std::slice::from_raw_parts(data, length).to_vec()
        };
        handle = r.programs.add(bytes) + 1;
        Ok(())
    });
    std::ptr::without_provenance_mut(handle)
}

/// Registration of a translation unit is complete.
///
/// # Safety
/// Any handle will do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cudaRegisterFatBinaryEnd(_handle: *mut *mut c_void) {}

/// The process ends, and the system takes all back.
///
/// # Safety
/// Any handle will do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cudaUnregisterFatBinary(_handle: *mut *mut c_void) {}

/// Registers a kernel by its stub.
///
/// # Safety
/// Called by clang's code: the names end in zero bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cudaRegisterFunction(
    handle: *mut *mut c_void,
    stub: *const c_void,
    _device: *mut c_char,
    name: *const c_char,
    _limit: c_int,
    _thread: *mut c_void,
    _block: *mut c_void,
    _block_dim: *mut c_void,
    _grid_dim: *mut c_void,
    _warp: *mut c_int,
) -> c_int {
    // SAFETY: by this function's contract.
    let name = unsafe { text(name) };
    always(|r| {
        let program = handle.addr().checked_sub(1).ok_or(Code::INVALID_KERNEL_IMAGE)?;
        r.programs.add_function(program, stub.addr() as u64, name);
        Ok(())
    })
}

/// Registers a variable by its shadow on the host.
///
/// # Safety
/// Called by clang's code: the names end in zero bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cudaRegisterVar(
    handle: *mut *mut c_void,
    shadow: *mut c_char,
    _device: *mut c_char,
    name: *const c_char,
    _external: c_int,
    bytes: usize,
    _constant: c_int,
    _global: c_int,
) {
    // SAFETY: by this function's contract.
    let name = unsafe { text(name) };
    always(|r| {
        let program = handle.addr().checked_sub(1).ok_or(Code::INVALID_KERNEL_IMAGE)?;
        r.programs.add_variable(program, shadow.addr() as u64, name, bytes as u64);
        Ok(())
    });
}

/// A `__managed__` variable: refused, since the host would use its shadow.
///
/// # Safety
/// Called by clang's code: the names end in zero bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cudaRegisterManagedVar(
    _handle: *mut *mut c_void,
    _pointer: *mut *mut c_void,
    _initial: *mut c_char,
    name: *const c_char,
    _bytes: usize,
    _alignment: c_uint,
) {
    // SAFETY: by this function's contract.
    let name = unsafe { text(name) };
    always(|_| {
        let diag = Diag::error("N003", format!("the `__managed__` variable `{name}`"));
        Err(Fault::lasting(Code::NOT_SUPPORTED, diag.help("allocate it with cudaMallocManaged")))
    });
}

/// `<<<...>>>`; 0 lets the stub run.
///
/// # Safety
/// Safe for all values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cudaPushCallConfiguration(
    grid: Dim3,
    block: Dim3,
    shared: usize,
    stream: *mut c_void,
) -> c_uint {
    let config = Config { grid: grid.list(), block: block.list(), shared, stream: stream.addr() };
    PUSHED.with_borrow_mut(|all| all.push(config));
    0
}

/// The stub asks for what `<<<...>>>` said.
///
/// # Safety
/// The addresses may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cudaPopCallConfiguration(
    grid: *mut Dim3,
    block: *mut Dim3,
    shared: *mut usize,
    stream: *mut *mut c_void,
) -> c_int {
    always(|_| {
        let config = PUSHED.with_borrow_mut(Vec::pop).ok_or(Code::INVALID_CONFIGURATION)?;
        let dim = |[x, y, z]: [u32; 3]| Dim3 { x, y, z };
        // SAFETY: by this function's contract.
        unsafe {
            put(grid, dim(config.grid))?;
            put(block, dim(config.block))?;
            put(shared, config.shared)?;
            put(stream, std::ptr::without_provenance_mut(config.stream))
        }
    })
}

/// Launches a kernel.
///
/// # Safety
/// `arguments` holds the address of each of the kernel's arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudaLaunchKernel(
    stub: *const c_void,
    grid: Dim3,
    block: Dim3,
    arguments: *mut *mut c_void,
    shared: usize,
    stream: *mut c_void,
) -> c_int {
    let config = Config { grid: grid.list(), block: block.list(), shared, stream: stream.addr() };
    let read = |parameter: usize, offset: u32, size: u32| {
        // SAFETY: the translator knows the kernel's parameters and their layout; their addresses are in the list.
        unsafe {
            let at = arguments.add(parameter).read().cast::<u8>().add(offset as usize);
            std::slice::from_raw_parts(at, size as usize).to_vec()
        }
    };
    call(|r| {
        r.handles.check_stream(config.stream as u64)?;
        r.launch(stub.addr() as u64, config, &read)
    })
}
