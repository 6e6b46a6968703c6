//! The graph optimiser: an e-graph of operations under directed rules, and a greedy extraction by roofline cost.
//!
//! [`optimize`] rewrites each distinct body once. A body is copied into an e-graph, grown under three groups of rules
//! (simplify, algebra, composites; see `src/rules/README.md`), and the cheapest form for the device is read back. The
//! [`Report`] says what fired and which rule made each node of the result.
//!
//! Invariant: no egg type leaves this crate, no hash map's order reaches the result, and every limit is a count.

#![forbid(unsafe_code)]

pub mod budget;
mod build;
mod canon;
mod convert;
mod cost;
mod egraph;
mod extract;
mod fold;
mod hoist;
mod merge;
mod module;
mod outline;
mod pattern;
pub mod report;
pub mod rules;
mod saturate;

pub use budget::{Budget, Classes, Device};
pub use hoist::{Split, split_weights};
pub use module::optimize;
pub use report::{BodyReport, Limit, Origin, PhaseReport, Report};
pub use rules::check::{Rewritten, apply_one};
pub use rules::{Class, Phase, Rule};
