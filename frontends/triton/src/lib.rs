//! Triton's language: kernels in unmodified Python files become Tile IR, which runs on the CPU and on any GPU.
//!
//! [`Module::parse`] reads a file, [`Module::compile`] compiles one kernel for one [`Signature`], and [`Launcher`] does both as
//! needed and runs the kernel over the buffers of a device. Nothing of Python is needed to run: the file is parsed in Rust,
//! and everything that constants decide is evaluated at compile time.
//!
//! ```
//! use girih_triton::{Arg, Module, Signature};
//! use girih_base::DType;
//! let source = "
//! import triton
//! import triton.language as tl
//!
//! @triton.jit
//! def double(x, n, BLOCK: tl.constexpr):
//!     at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
//!     tl.store(x + at, 2 * tl.load(x + at, mask=at < n), mask=at < n)
//! ";
//! let module = Module::parse(source, "double.py").unwrap();
//! let signature = Signature::new().arg("x", Arg::pointer(DType::F32)).arg("n", Arg::size()).constant("BLOCK", 64);
//! let kernel = module.compile("double", &signature).unwrap();
//! assert!(girih_tile::print(&kernel.tile).contains("load x view(0; n:1) at("));
//! ```

#![forbid(unsafe_code)]

mod affine;
mod bind;
mod builtins;
mod embedded;
mod eval;
mod forms;
mod globals;
mod launch;
mod module;
mod rounds;
mod share;
mod signature;
mod steps;
mod value;
mod wrap;

pub use bind::Given;
pub use builtins::markdown;
pub use embedded::Embedded;
pub use forms::Forms;
pub use launch::{Argument, Launcher};
pub use module::{Module, Parameter, Resolver};
pub use signature::{Arg, Assume, Constant, Launch, Place, Signature, debug_wanted};

use girih_base::{Bindings, DType, Dim, Symbol};
use std::sync::Arc;

/// A compiled kernel and how its arguments are bound.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The kernel.
    pub tile: girih_tile::Kernel,
    /// For every argument that is not constant: its name and what it becomes.
    pub bindings: Vec<(String, Binding)>,
    /// The symbols of the grid's extents along x, y, z; none where there is one program.
    pub grid: [Option<Arc<str>>; 3],
    /// What is known of the symbols of the grid and of [`Kernel::bindings`]; [`Kernel::bind`] tests it.
    pub symbols: Vec<Symbol>,
    /// Sizes that must fit i32 at every launch.
    pub checks: Vec<Dim>,
    /// Sizes that are not negative at the launches this was compiled for; empty unless [`Signature::assume`] allowed them.
    pub assumes: Vec<Dim>,
    /// Sizes that were negative at the launch it was compiled for; where one is not, there is a better form.
    pub missed: Vec<Dim>,
    /// What `tl.static_print` said.
    pub notes: Vec<String>,
}

impl Kernel {
    /// Whether what was assumed holds for a launch; if not, compile it without [`Signature::assume`].
    pub fn holds(&self, bindings: &Bindings) -> bool {
        self.assumes.iter().all(|d| d.eval(bindings).is_ok_and(|v| v >= 0))
    }

    /// Whether more could be assumed of a launch.
    pub fn misses(&self, bindings: &Bindings) -> bool {
        self.missed.iter().any(|d| d.eval(bindings).is_ok_and(|v| v >= 0))
    }
}

/// What an argument becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Binding {
    /// The buffer of that parameter; the symbol is its number of elements.
    Buffer {
        /// Index of the kernel's parameter.
        param: usize,
        /// Symbol of the number of elements.
        length: Arc<str>,
        /// Element type.
        dtype: DType,
    },
    /// A symbol.
    Size(Arc<str>),
    /// A symbol: how many elements of the buffer come before the pointer; see [`Place::start`].
    Start(Arc<str>),
    /// A symbol: the extent of that axis of a tensor descriptor.
    Extent(Arc<str>, usize),
    /// A symbol: the stride of that axis of a tensor descriptor.
    Stride(Arc<str>, usize),
    /// A scalar of that type.
    Scalar(Arc<str>, DType),
}
