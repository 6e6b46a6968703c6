//! The vocabulary every level of Girih shares: dtypes, scalar operations, symbolic dimensions, source
//! locations and diagnostics. Nothing here knows about graphs, tiles, threads or targets.
//!
//! The two tables are the point of this crate: [`ScalarOp`] (one row per scalar operation, see
//! [`scalar::table`]) and [`DType`] (one row per element type). Whatever can be derived from a row is derived.

#![forbid(unsafe_code)]

pub mod atomic;
pub mod codec;
pub mod debug;
pub mod diag;
pub mod dim;
pub mod dtype;
pub mod launch;
pub mod literal;
pub mod loc;
pub mod page;
pub mod print;
pub mod quant;
pub mod scalar;
pub mod text;

pub use atomic::AtomicOp;
pub use codec::Scalar;
pub use debug::DebugInfo;
pub use diag::{Diag, Label, Result, Severity};
pub use dim::{Bindings, Dim, Known, Symbol};
pub use dtype::{Class, DType};
pub use literal::Literal;
pub use loc::Loc;
pub use quant::QuantFormat;
pub use scalar::ScalarOp;
