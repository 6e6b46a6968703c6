//! What the text forms of kernels share: tokens, a [`Cursor`] over them that makes errors with a position, and the
//! spelling of names, literals, sizes and locations.
//!
//! ```text
//! name      = word | "quoted"            literal = [-] digits | [-] float | 0x and 16 hex digits (the bits of an f64)
//! symbol    = "sym" name min ".." max ["multiple" m]
//! location  = "@" "file" ":" line ":" column, the call sites it was inlined at after it
//! comment   = "#" to the end of the line
//! ```

mod cursor;
mod dim;
mod lex;
mod print;

pub use cursor::Cursor;
pub use lex::Token;
pub use print::{escaped, list, literal, loc, quoted, symbols, word};
