//! The text form of graphs, which round-trips exactly.
//!
//! ```text
//! symbol n 1..=2048 step 8
//!
//! callee @twice_0 "twice" {}
//! graph "twice" {
//!   %0 = input : f32[n] as "x"
//!   %1 = add %0, %0 : f32[n]
//!   return %1
//! }
//!
//! graph "main" {
//!   %0 = input : f32[2, n] as "x" at "model.rs":3:9
//!   %1 = reduce %0 {monoid = sum, axes = [0], acc = f32} : f32[n]
//!   %2 = call %1 {callee = @twice_0} : f32[n]
//!   return %2
//! }
//! ```
//!
//! Bodies come before their use, each once however often it is used, so that sharing survives. Values are numbered
//! in node order. `at` is where the user wrote it, `from` the call through which it was inlined. A symbol name that is
//! not a plain word stands in backticks. Numbers are written so that they read back to the same bits.

pub mod attrs;
mod lex;
mod parse;
mod print;

pub use parse::parse;
pub use print::print;
