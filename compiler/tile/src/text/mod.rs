//! The text form of Tile IR: `print` and [`parse`] are exact inverses on verified kernels.
//!
//! ```text
//! kernel scale
//! sym n 1..4096
//! param x f32[n*64] read const
//! param y f32[n*64] write
//! grid n
//! {
//!   %0: i32 = program_id 0
//!   %1: i32 = const 0
//!   %2: f32[1,64] = load x view(0; n:64!, 64:1!) at(%0, %1) other 0.0
//!   %3: f32[1,64] = square %2
//!   store y view(0; n:64!, 64:1!) at(%0, %1) %3
//! }
//! ```
//!
//! A view is `view(offset; extent:stride, ...; guard(base; coefficients; extent) ...)`, `!` marks an axis whose
//! accesses are proved inside. A location follows its statement: `@ "file":line:column`, call sites after it.

mod ops;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use parse::parse;
pub use print::{print, print_without_locs};
