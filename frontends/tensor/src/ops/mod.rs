//! What can be done to tensors.

mod create;
mod index;
mod linear;
mod reduce;
mod scalar;
mod shape;

pub use index::{concat, stack, where_};
pub use linear::einsum;
pub use reduce::Axes;
pub use scalar::Operand;
pub use shape::Shape;

use girih_base::{Diag, Loc, Result};

/// An axis counted from the last when negative.
pub(crate) fn axis_of(axis: i64, rank: usize, loc: &Loc) -> Result<usize> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at).ok().filter(|a| *a < rank).ok_or_else(|| {
        Diag::error("T010", format!("axis {axis} of a tensor with {rank} axes"))
            .at(loc, "this operation")
            .help(format!("axes are 0..{rank}, or -{rank}..=-1 counted from the last"))
    })
}
