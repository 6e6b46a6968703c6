//! Kernels in the tile language, as functions of tensors: [`#[kernel]`](macro@crate::kernel).
//!
//! A kernel says what one program instance does with blocks of elements; the grid says how many instances there are. It runs
//! on every device, eagerly and inside of [`jit`](crate::jit), where it is one node of the graph. It has no derivative:
//! [`grad`](crate::grad) through it is refused.
//!
//! ```
//! use girih::prelude::*;
//!
//! /// y = x / (1 + e^-x), in blocks of `BLOCK` elements.
//! #[kernel]
//! fn silu<const BLOCK: usize>(x: In<f32>, n: i32, y: Out<f32>) {
//!     let at = tl::program_id(0) * BLOCK + tl::arange(0, BLOCK);
//!     let inside = at < n;
//!     let v = tl::load(x + at, mask = inside, other = 0.0);
//!     tl::store(y + at, v * sigmoid(v), mask = inside);
//! }
//!
//! #[kernel]
//! fn sigmoid(v: Tile) -> Tile {
//!     1.0 / (1.0 + tl::exp(-v))
//! }
//!
//! let x = Tensor::new(&[-1f32, 0.0, 1.0], [3]);
//! let y = silu::<16>([1], &x, 3, [3]);
//! assert!((y.to_vec::<f32>()?[2] - 0.731_058_6).abs() < 1e-6);
//! # Ok::<(), Box<Diag>>(())
//! ```
//!
//! The body has Rust's syntax and the tile language's meaning: `tl::` functions are those of the table in docs/triton.md,
//! blocks broadcast against each other, and an assignment in the place of an argument names it. Parameters are
//!
//! * `In<T>`: a tensor that is read; the Rust function takes `&Tensor`;
//! * `Out<T>`: a result; the Rust function takes its shape, and gives the tensor. Elements that no instance writes are
//!   not defined;
//! * numbers, which are constants of the compiled kernel;
//! * `const` parameters, such as block sizes;
//! * `Tile` in functions that kernels call.
//!
//! Rust's `/` divides floats, and rounds to zero on integers, as in Rust.

use crate::tensor::Tensor;
use crate::trace;
use girih_base::{DType, Diag, Loc, Result, codec};
use girih_graph::TensorTy;
use girih_graph::ops::{Kernel, KernelLevel};
use girih_triton::{Binding, Embedded, Given, Module, Signature};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub use girih_triton::Constant;

/// The text of a kernel function, as the macro made it.
#[derive(Debug)]
pub struct Source {
    /// Name of the function.
    pub name: &'static str,
    /// The Rust file.
    pub file: &'static str,
    /// The function in the tile language.
    pub text: &'static str,
    /// Byte offsets in the text with the line and column of the Rust file they come from, in order.
    pub places: &'static [(u32, u32, u32)],
    /// The functions it calls.
    pub helpers: &'static [&'static Source],
}

/// An argument of a call, with the parameter's name.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// Element type of the parameter, and the tensor.
    In(&'static str, DType, &'a Tensor),
    /// Element type and shape of a result.
    Out(&'static str, DType, &'a [usize]),
    /// A number.
    Scalar(&'static str, Scalar),
}

/// A number with its type.
#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    dtype: DType,
    value: f64,
    exact: i128,
}

impl Scalar {
    fn constant(self) -> Constant {
        if self.dtype.is_float() { Constant::Float(self.value) } else { Constant::Int(self.exact) }
    }

    /// Its code as another dtype: integers become floats, floats lose digits, nothing else changes a number.
    pub(crate) fn to(self, dtype: DType) -> Option<u64> {
        let float = codec::Scalar::Float(self.value);
        let exact = if self.dtype.is_float() { float } else { codec::Scalar::Int(self.exact) };
        let code = codec::encode(exact, dtype);
        (dtype.is_float() || codec::decode(code, dtype) == exact).then_some(code)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype.is_float() {
            true => write!(f, "{} ({})", self.value, self.dtype),
            false => write!(f, "{} ({})", self.exact, self.dtype),
        }
    }
}

macro_rules! scalars {
    ($($t:ty: $dtype:ident),*) => {$(
        impl From<$t> for Scalar {
            fn from(v: $t) -> Scalar {
                Scalar { dtype: DType::$dtype, value: v as f64, exact: v as i128 }
            }
        }
    )*};
}
scalars!(i32: I32, u32: U32, i64: I64, u64: U64, f32: F32, f64: F64);

/// Applies a kernel; one tensor for each `Out`. What [`#[kernel]`](macro@crate::kernel) functions call.
#[track_caller]
pub fn call(
    source: &'static Source,
    constants: &[(&'static str, Constant)],
    grid: &[usize],
    args: &[Arg<'_>],
) -> Vec<Tensor> {
    let loc = Loc::caller();
    let inputs: Vec<&Tensor> =
        args.iter().filter_map(|a| if let Arg::In(_, _, t) = a { Some(*t) } else { None }).collect();
    let outputs = args.iter().filter(|a| matches!(a, Arg::Out(..))).count();
    let mut tensors = match node(source, constants, grid, args) {
        Ok(kernel) => trace::build(&inputs, loc, |g, ids| {
            let many = kernel.results.len() > 1;
            let node = g.push(kernel, ids)?;
            match many {
                true => (0..outputs).map(|i| g.proj(node, i)).collect(),
                false => Ok(vec![node]),
            }
        }),
        Err(why) => vec![Tensor::refused(why.at(&loc, "called here"))],
    };
    // A refusal is one for all results.
    while tensors.len() < outputs {
        tensors.push(tensors[0].clone());
    }
    tensors
}

/// The graph operation of a call: the kernel compiled for these sizes, numbers and constants.
fn node(source: &'static Source, constants: &[(&str, Constant)], grid: &[usize], args: &[Arg<'_>]) -> Result<Kernel> {
    let mut signature = Signature::new();
    for (name, value) in constants {
        signature = signature.constant(name, value.clone());
    }
    let mut extents = [1i64; 3];
    if grid.len() > 3 {
        return Err(Diag::error("T060", format!("a grid of {} axes", grid.len())).help("a grid has one to three axes"));
    }
    for (extent, n) in extents.iter_mut().zip(grid) {
        *extent = i64::try_from(*n).unwrap_or(i64::MAX);
    }
    signature.single = extents.map(|n| n == 1);
    let mut lengths = BTreeMap::new();
    let mut results = Vec::new();
    for arg in args {
        let (name, dtype, shape) = match arg {
            Arg::Scalar(name, value) => {
                signature = signature.constant(name, value.constant());
                continue;
            }
            Arg::In(name, dtype, tensor) => {
                tensor.ok()?;
                let ty = tensor.ty().and_then(|t| Some((t.dtype, t.const_shape()?)));
                let Some((given, shape)) = ty else {
                    return Err(Diag::error("T060", format!("`{name}` is {}", tensor.describe()))
                        .help("kernels take tensors of known extents"));
                };
                if given != *dtype {
                    return Err(Diag::error("T060", format!("`{name}` takes {dtype}, got {}", tensor.describe()))
                        .help(format!("convert it: `.cast(DType::{dtype:?})`")));
                }
                (name, *dtype, shape)
            }
            Arg::Out(name, dtype, shape) => {
                results.push(TensorTy::new(*dtype, shape.iter().copied()));
                (name, *dtype, shape.to_vec())
            }
        };
        let length = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).unwrap_or(usize::MAX);
        lengths.insert(name.to_string(), i64::try_from(length).unwrap_or(i64::MAX));
        signature = signature.arg(name, girih_triton::Arg::pointer(dtype));
    }
    let launch = Launch { signature, extents, lengths };
    Ok(Kernel { level: KernelLevel::Tile, text: launch.tile_text(source)?, results, updates: Vec::new() })
}

/// All that a kernel is compiled for.
#[derive(Debug)]
struct Launch {
    signature: Signature,
    extents: [i64; 3],
    /// Number of elements of each tensor, by the parameter's name.
    lengths: BTreeMap<String, i64>,
}

/// More compiled kernels than this are not kept.
const MOST_KERNELS: usize = 256;

/// The text in Tile IR by the address of the source and what it was compiled for, so that calls in a loop compile once.
static COMPILED: Mutex<BTreeMap<(usize, String), Arc<str>>> = Mutex::new(BTreeMap::new());

impl Launch {
    fn tile_text(&self, source: &'static Source) -> Result<Arc<str>> {
        let key = (std::ptr::from_ref(source).addr(), format!("{self:?}"));
        let known = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known().get(&key) {
            return Ok(text.clone());
        }
        let text: Arc<str> = self.compile(source)?.into();
        let mut all = known();
        if all.len() >= MOST_KERNELS {
            all.clear();
        }
        all.insert(key, text.clone());
        Ok(text)
    }

    fn compile(&self, source: &'static Source) -> Result<String> {
        let mut helpers = Vec::new();
        collect(source, &mut helpers);
        let helpers: Vec<Embedded<'_>> = helpers.into_iter().map(embedded).collect();
        let compiled = Module::embedded(embedded(source), &helpers)?.compile(source.name, &self.signature)?;
        // Numbers are constants, so that all that is left are the lengths of tensors.
        let length = |name: &str, _: &Binding| self.lengths.get(name).map(|n| Given::Int(*n as i128));
        let bindings = compiled.bind(self.extents, length)?;
        Ok(girih_tile::print(&girih_tile::bind(&compiled.tile, &bindings)))
    }
}

/// The functions that a kernel calls, directly or not, each once.
fn collect(source: &Source, found: &mut Vec<&'static Source>) {
    for h in source.helpers {
        if !found.iter().any(|f| std::ptr::eq(*f, *h)) {
            found.push(h);
            collect(h, found);
        }
    }
}

fn embedded(s: &Source) -> Embedded<'_> {
    Embedded { name: s.name, file: s.file, text: s.text, places: s.places }
}
