//! Girih: a portable ML compiler. The Rust tensor API.
//!
//! Programs are functions of [`Tensor`]s, and of structs of them ([`Tree`]). They run as they are written, or are compiled
//! ([`jit`]), differentiated ([`grad`], [`jvp`]) and batched ([`vmap`]), in any order:
//!
//! ```
//! use girih::prelude::*;
//!
//! #[derive(Clone, Tree)]
//! struct Line {
//!     slope: Tensor,
//!     offset: Tensor,
//! }
//!
//! fn loss(line: &Line, x: &Tensor, y: &Tensor) -> Tensor {
//!     (x * &line.slope + &line.offset - y).square().mean(..)
//! }
//!
//! let x = Tensor::new(&[-1f32, 0.0, 1.0, 2.0], [4]);
//! let y = &x * 3.0 - 1.0;
//! let descent = Sgd { momentum: 0.5, ..Sgd::new(0.1) };
//! let gradient = grad(loss);
//! let step = jit(move |line: &Line, state: &optim::SgdState<Line>, x: &Tensor, y: &Tensor| {
//!     descent.step(line, &gradient(line, x, y), state)
//! });
//!
//! let mut line = Line { slope: Tensor::from(0.0), offset: Tensor::from(0.0) };
//! let mut state = descent.init(&line);
//! for _ in 0..100 {
//!     (line, state) = step(&line, &state, &x, &y);
//! }
//! assert!((line.slope.item::<f32>()? - 3.0).abs() < 1e-3);
//! assert!((line.offset.item::<f32>()? + 1.0).abs() < 1e-3);
//! # Ok::<(), Box<Diag>>(())
//! ```
//!
//! # Errors
//!
//! Nothing that builds a tensor returns a `Result`, and nothing panics: an operation that does not accept its operands gives
//! a *refused* tensor, and what is made of it is refused for the same reason. Whatever reads elements ([`Tensor::to_vec`],
//! [`Tensor::item`], [`tree::eval`]) returns a `Result`, whose error tells both shapes, both names and the line:
//!
//! ```
//! # use girih::prelude::*;
//! let x = Tensor::ones(DType::F32, [32, 100]).named("batch");
//! let w = Tensor::ones(DType::F32, [128, 10]).named("w1");
//! let logits = nn::linear(&x, &w, None);
//! let why = logits.to_vec::<f32>().unwrap_err().to_string();
//! for part in ["`batch`", "f32[32, 100]", "`w1`", "f32[128, 10]", ".rs:"] {
//!     assert!(why.contains(part));
//! }
//! ```
//!
//! # When things are computed
//!
//! Outside of `jit`, tensors are lazy: operations add up until elements are read, then run as one program on the
//! [current device](Device::current), the CPU unless [`Device::scope`] says otherwise, and stay known. Inside of a transformation a tensor stands for a value to come: its
//! shape is there to be asked for, its elements are not; loops and branches that depend on them are in [`control`].
//!
//! # Numbers
//!
//! Dtypes never mix by themselves: [`Tensor::cast`] converts. A Rust number beside a tensor takes the tensor's dtype. Shapes
//! broadcast as in NumPy. Negative axes count from the last, and `..` stands for all of them.

#![forbid(unsafe_code)]

// The derive macro names this crate by its public name, also in here.
extern crate self as girih;

mod compiled;
pub mod control;
pub mod cuda;
pub mod data;
pub mod io;
pub mod kernel;
pub mod nn;
pub mod ops;
pub mod optim;
mod oracle;
pub mod random;
pub mod run;
mod tensor;
mod trace;
pub mod transform;
pub mod tree;

pub use data::{Data, Element};
pub use ops::{concat, einsum, stack, where_};
pub use run::Device;
pub use tensor::Tensor;
pub use transform::{grad, jit, jvp, trace_graph, value_and_grad, value_and_grad_with, vmap, vmap_over};
pub use tree::Tree;

pub use girih_base::{DType, Diag, Dim, Loc, Result, ScalarOp};
pub use girih_exec::{Printed, Prints};
pub use girih_graph as graph;
pub use girih_macros::kernel;

/// What a program that uses Girih imports.
pub mod prelude {
    pub use crate::kernel;
    pub use crate::optim::{AdamW, Sgd};
    pub use crate::random::Key;
    pub use crate::{DType, Data, Device, Diag, Tensor, Tree};
    pub use crate::{
        concat, einsum, grad, jit, jvp, stack, value_and_grad, value_and_grad_with, vmap, vmap_over, where_,
    };
    pub use crate::{control, io, nn, optim, random, tree};
}
