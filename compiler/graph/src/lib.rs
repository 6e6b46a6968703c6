//! Graph IR: pure values in a directed acyclic graph, before anything is said of memory or threads.
//!
//! A [`Graph`] is append-only: every node's operands exist before it, so node order is a topological order and
//! no cycle can be written. Passes read one graph and build another. About thirty [`Op`] kinds cover what the
//! doors need; everything else is a library function over them. Each kind lives in one file of [`ops`] with its shape rule,
//! its exact meaning, its derivative and its batching rule.
//!
//! ```
//! use girih_base::{Bindings, DType, Loc, ScalarOp};
//! use girih_graph::eval::Array;
//! use girih_graph::{Graph, Monoid, ParamKind, TensorTy};
//!
//! let mut g = Graph::new("row_norms");
//! let x = g.param("x", TensorTy::new(DType::F32, [2, 2]), ParamKind::Input, Loc::unknown());
//! let squares = g.map(ScalarOp::Square, &[x])?;
//! let sums = g.reduce(Monoid::Sum, squares, &[1])?;
//! let norms = g.map(ScalarOp::Sqrt, &[sums])?;
//! g.set_outputs(vec![norms]);
//! g.verify()?;
//!
//! let out = g.eval(&[Array::f32(&[2, 2], &[3., 4., 6., 8.]).into()], &Bindings::new())?;
//! assert_eq!(out[0].array()?.to_f64(), [5., 10.]);
//!
//! let text = g.to_string();
//! assert!(text.contains("%2 = reduce %1 {monoid = sum, axes = [1], acc = f32} : f32[2]"));
//! assert_eq!(text.parse::<Graph>()?.to_string(), text);
//! # Ok::<(), Box<girih_base::Diag>>(())
//! ```
//!
//! Invariant: nothing here mentions threads, memory or a target; petgraph types do not leave this crate.

#![forbid(unsafe_code)]

pub mod batch;
pub mod build;
mod compact;
pub mod eval;
pub mod grad;
pub mod graph;
pub mod literal;
pub mod nn;
pub mod ops;
pub mod random;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod ty;
pub mod verify;

pub use graph::{Graph, Node, NodeId, ParamKind};
pub use literal::{Literal, Number};
pub use ops::{Callee, Monoid, Op};
pub use ty::{TensorTy, Ty};
