//! Girih: a portable ML compiler. The Rust tensor API.
//!
//! ```
//! use girih::prelude::*;
//!
//! let x = Tensor::new(&[1f32, 2.0, 3.0], [3]).named("x");
//! let y = (&x * 2.0 + 1.0).tanh();
//! assert_eq!(y.dims::<1>()?, [3]);
//!
//! // Errors are values: what cannot be computed says why, and where it was written, when it is read.
//! let bad = &x + &Tensor::ones(DType::F32, [4]).named("bias");
//! let why = bad.to_vec::<f32>().unwrap_err().to_string();
//! assert!(why.contains("`x`") && why.contains("f32[3]") && why.contains("`bias`") && why.contains("f32[4]"));
//! # Ok::<(), Box<Diag>>(())
//! ```

#![forbid(unsafe_code)]

// The derive macro names this crate by its public name, also in here.
extern crate self as girih;

pub mod control;
pub mod data;
pub mod io;
pub mod nn;
pub mod ops;
pub mod optim;
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
pub use girih_graph as graph;

/// What a program that uses Girih imports.
pub mod prelude {
    pub use crate::optim::{AdamW, Sgd};
    pub use crate::random::Key;
    pub use crate::{DType, Data, Device, Diag, Tensor, Tree};
    pub use crate::{
        concat, einsum, grad, jit, jvp, stack, value_and_grad, value_and_grad_with, vmap, vmap_over, where_,
    };
    pub use crate::{control, io, nn, optim, random, tree};
}
