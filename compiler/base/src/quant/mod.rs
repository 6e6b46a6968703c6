//! Block-quantised weight formats: one row each, with a reference decoder written for reading.
//!
//! A row of weights is stored as whole blocks; a block holds a fixed number of elements in a fixed number of bytes,
//! scales included. The layouts are those of ggml (`ggml-common.h`, `block_q4_0` and its neighbours). All
//! multi-byte fields are little-endian; a *nibble* is half a byte, the low one first.

mod blocks;
#[cfg(test)]
mod tests;

use crate::{Diag, Result};
use std::fmt;

macro_rules! formats {
    ($($(#[$doc:meta])* $variant:ident $name:literal ggml $id:literal: $elements:literal in $bytes:literal, $decode:path;)*) => {
        /// A block-quantised weight format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(non_camel_case_types, reason = "the names of the field: Q4_K is not a Q4K")]
        pub enum QuantFormat { $($(#[$doc])* $variant,)* }

        impl QuantFormat {
            /// Every format, in table order.
            pub const ALL: &'static [QuantFormat] = &[$(QuantFormat::$variant),*];

            /// The name, as in `dequant.<name>`.
            pub const fn name(self) -> &'static str { match self { $(QuantFormat::$variant => $name),* } }

            /// The number of this format in the `ggml_type` field of a GGUF tensor.
            pub const fn ggml_type(self) -> u32 { match self { $(QuantFormat::$variant => $id),* } }

            /// Elements in one block.
            pub const fn block_elements(self) -> usize { match self { $(QuantFormat::$variant => $elements),* } }

            /// Bytes of one block.
            pub const fn block_bytes(self) -> usize { match self { $(QuantFormat::$variant => $bytes),* } }

            fn decoder(self) -> fn(&[u8], &mut [f32]) { match self { $(QuantFormat::$variant => $decode),* } }
        }
    };
}

// name, id in files, elements in bytes, decoder
formats! {
    /// 4 bits and a scale: `d: f16, qs: [u8; 16]`. Elements 0..16 are the low nibbles of `qs`, 16..32 the high ones;
    /// `x = d * (q - 8)`.
    Q4_0 "q4_0" ggml 2: 32 in 18, blocks::q4_0;
    /// 4 bits, a scale and a minimum: `d: f16, m: f16, qs: [u8; 16]`. Nibbles as in Q4_0; `x = d * q + m`.
    Q4_1 "q4_1" ggml 3: 32 in 20, blocks::q4_1;
    /// 5 bits and a scale: `d: f16, qh: u32, qs: [u8; 16]`. Low four bits as in Q4_0, bit `i` of `qh` is the fifth
    /// bit of element `i`; `x = d * (q - 16)`.
    Q5_0 "q5_0" ggml 6: 32 in 22, blocks::q5_0;
    /// 5 bits, a scale and a minimum: `d: f16, m: f16, qh: u32, qs: [u8; 16]`. Bits as in Q5_0; `x = d * q + m`.
    Q5_1 "q5_1" ggml 7: 32 in 24, blocks::q5_1;
    /// 8 bits and a scale: `d: f16, qs: [i8; 32]`; `x = d * q`.
    Q8_0 "q8_0" ggml 8: 32 in 34, blocks::q8_0;
    /// 4 bits in 8 groups of 32, each with a 6-bit scale and minimum: `d: f16, dmin: f16, scales: [u8; 12],
    /// qs: [u8; 128]`. Each 32 bytes of `qs` hold two groups: the low nibbles the even one, the high nibbles the odd
    /// one. `x = d * scale * q - dmin * min`. The scales are packed so that group `g < 4` has its scale in the low six
    /// bits of byte `g` and its minimum in those of byte `g + 4`; group `g >= 4` has the low four bits of its scale
    /// and minimum in the low and high nibble of byte `g + 4`, and their upper two bits in the top two bits of bytes
    /// `g - 4` and `g`.
    Q4_K "q4_k" ggml 12: 256 in 144, blocks::q4_k;
    /// Q4_K with a fifth bit: `d: f16, dmin: f16, scales: [u8; 12], qh: [u8; 32], qs: [u8; 128]`. Bit `g` of `qh[i]`
    /// is the fifth bit of element `i` of group `g`.
    Q5_K "q5_k" ggml 13: 256 in 176, blocks::q5_k;
    /// 6 bits in 16 groups of 16, each with an 8-bit scale: `ql: [u8; 128], qh: [u8; 64], scales: [i8; 16], d: f16`.
    /// Each half of 128 elements takes 64 bytes of `ql` and 32 of `qh`: its quarter `k` of 32 elements has its low
    /// four bits in the low (`k < 2`) or high nibbles of `ql[32 * (k % 2)..]` and its upper two in bits `2k..2k + 2`
    /// of `qh`. `x = d * scale * (q - 32)`.
    Q6_K "q6_k" ggml 14: 256 in 210, blocks::q6_k;
}

impl QuantFormat {
    /// The format of that name (`q4_0`).
    pub fn from_name(name: &str) -> Option<QuantFormat> {
        QuantFormat::ALL.iter().copied().find(|f| f.name() == name)
    }

    /// The format with that `ggml_type` number.
    pub fn from_ggml_type(id: u32) -> Option<QuantFormat> {
        QuantFormat::ALL.iter().copied().find(|f| f.ggml_type() == id)
    }

    /// Bytes of a row of `elements`, which must fill whole blocks; `None` when it does not or the size overflows.
    pub fn row_bytes(self, elements: u64) -> Option<u64> {
        let block = self.block_elements() as u64;
        if elements.is_multiple_of(block) { (elements / block).checked_mul(self.block_bytes() as u64) } else { None }
    }

    /// Elements in a row of `bytes`, which must hold whole blocks; `None` when it does not or the count overflows.
    pub fn row_elements(self, bytes: u64) -> Option<u64> {
        let block = self.block_bytes() as u64;
        if bytes.is_multiple_of(block) { (bytes / block).checked_mul(self.block_elements() as u64) } else { None }
    }

    /// Decodes one block. All arithmetic is in f32, one rounding per operation, in the order of the row's formula.
    ///
    /// # Errors
    /// `B001` when `block` or `out` is not exactly one block.
    pub fn decode_block(self, block: &[u8], out: &mut [f32]) -> Result<()> {
        if block.len() != self.block_bytes() || out.len() != self.block_elements() {
            return Err(self.wrong_size(block.len(), out.len()));
        }
        (self.decoder())(block, out);
        Ok(())
    }

    /// Decodes consecutive blocks.
    ///
    /// # Errors
    /// `B001` when `row` is not a whole number of blocks or `out` has not room for exactly their elements.
    pub fn decode_row(self, row: &[u8], out: &mut [f32]) -> Result<()> {
        if self.row_elements(row.len() as u64) != Some(out.len() as u64) {
            return Err(self.wrong_size(row.len(), out.len()));
        }
        for (block, out) in row.chunks_exact(self.block_bytes()).zip(out.chunks_exact_mut(self.block_elements())) {
            (self.decoder())(block, out);
        }
        Ok(())
    }

    fn wrong_size(self, bytes: usize, elements: usize) -> Box<Diag> {
        Diag::error("B001", format!("{bytes} bytes of {self} do not decode to {elements} elements")).note(format!(
            "a block of {self} has {} elements in {} bytes",
            self.block_elements(),
            self.block_bytes()
        ))
    }
}

impl fmt::Display for QuantFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
