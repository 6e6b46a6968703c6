//! Functions that kernels call where WGSL's builtins are missing, inexact, or differ between drivers. One row each.
//!
//! `$T`, `$U`, `$I`, `$B` stand for f32, u32, i32, bool or vectors of them, `$n` for the number of lanes. A row marked
//! [`Lanes::Each`] is written for one lane; its vector form calls it lane by lane.
//!
//! Polynomials are least-squares fits made for this table; the error of each is given.

mod angles;
mod convert;
mod division;
mod powers;
mod special;

/// Whether the text works for vectors as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Written with `$T`.
    Any,
    /// Written for scalars.
    Each,
}

/// A helper function.
#[derive(Debug)]
pub struct Helper {
    /// Name without the prefix `girih_`.
    pub name: &'static str,
    /// Number of arguments.
    pub arity: usize,
    /// How vectors are done.
    pub lanes: Lanes,
    /// Types of the arguments and the result, in the letters of the template.
    pub types: [&'static str; 2],
    /// Helpers it calls.
    pub needs: &'static [&'static str],
    /// Why it is there, and its text.
    pub text: &'static str,
}

/// Types of a function of floats.
const F: [&str; 2] = ["$T", "$T"];

/// The row of a name.
pub fn find(name: &str) -> Option<&'static Helper> {
    let tables = [special::ROWS, powers::ROWS, angles::ROWS, division::ROWS, convert::ROWS, super::wide::HELPERS];
    tables.into_iter().flatten().find(|h| h.name == name)
}
