//! Block-quantised matrices: fast decoders, and products that decode in registers.
//!
//! Decoded values equal those of `girih_base::quant` bit for bit. Activations are never quantised: products are sums of
//! f32 products.

mod blocks;
mod rows;

pub(crate) use rows::{DotRows, dot_rows};

use girih_base::QuantFormat;

/// Decodes whole blocks of a row.
pub(crate) fn decode(format: QuantFormat, row: &[u8], out: &mut [f32]) {
    rows::decode(format, row, out);
}
