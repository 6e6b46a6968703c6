//! Graph IR: pure values in a directed acyclic graph, before anything is said of memory or threads.
//!
//! A [`Graph`] is append-only: every node's operands exist before it, so node order is a topological order and
//! no cycle can be written. Passes read one graph and build another. About thirty [`Op`] kinds cover what the
//! doors need; everything else is a library function over them. Each kind lives in one file of [`ops`] with its shape rule,
//! its exact meaning, its derivative and its batching rule.
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
