//! The text form of SIMT IR: declarations, then statements in order, one to a line. [`print()`] and [`parse`] are exact
//! inverses on verified kernels.
//!
//! ```text
//! sym n 1..64
//! kernel @scale workgroup [64, 1, 1] groups n {
//!   buffer x: vec4<f32> read-only
//!   buffer y: vec4<f32> written
//!   uniform n
//!   shared s: f32[64]
//!   local acc: f32
//!   %0.lane = local_index : u32
//!   %1 = load x[%0.lane] : vec4<f32>
//!   // the remark goes into generated source
//!   if %2 {
//!     store y[%0.lane] = %1
//!   }
//! }
//! ```
//!
//! A value may be followed by the user's name, `%0.lane`; the number alone identifies it. A location follows its statement
//! (before a body): `@ "file":line:column`, call sites after it. A remark that has one is written `remark "text"`.

mod ops;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use parse::parse;
pub use print::{print, print_without_locs};
