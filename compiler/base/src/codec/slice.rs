//! Arrays of elements as bytes: little-endian, sub-byte types packed with the first element in the low bits.

use super::{Scalar, decode, encode};
use crate::{DType, Diag, Result};

/// The codes of all whole elements in `bytes`, in order.
pub fn codes(dtype: DType, bytes: &[u8]) -> impl Iterator<Item = u64> {
    let bits = dtype.bits() as usize;
    let (size, per_byte) = ((bits / 8).max(1), (8 / bits).max(1));
    bytes.chunks_exact(size).flat_map(move |chunk| {
        let word = chunk.iter().rev().fold(0u64, |word, b| word << 8 | *b as u64);
        let mask = u64::MAX >> (64 - bits);
        (0..per_byte).map(move |i| word >> (i * bits) & mask)
    })
}

/// Decodes `count` elements.
///
/// # Errors
/// `B002` when `bytes` is not exactly as long as `count` elements are.
pub fn decode_slice(dtype: DType, bytes: &[u8], count: usize) -> Result<Vec<Scalar>> {
    check(dtype, bytes, count)?;
    Ok(codes(dtype, bytes).take(count).map(|c| decode(c, dtype)).collect())
}

/// Decodes `count` elements to f64, which is exact for all dtypes but the 64-bit integers (nearest even).
///
/// # Errors
/// `B002` when `bytes` is not exactly as long as `count` elements are.
pub fn decode_floats(dtype: DType, bytes: &[u8], count: usize) -> Result<Vec<f64>> {
    check(dtype, bytes, count)?;
    Ok(codes(dtype, bytes).take(count).map(|c| decode(c, dtype).as_f64()).collect())
}

/// Encodes values one after the other, each as [`encode`] does; unused bits of the last byte are 0.
pub fn encode_slice(dtype: DType, values: &[Scalar]) -> Vec<u8> {
    pack(dtype, values.iter().map(|v| encode(*v, dtype)), values.len())
}

/// Encodes floats one after the other, each as [`encode`] does; unused bits of the last byte are 0.
pub fn encode_floats(dtype: DType, values: &[f64]) -> Vec<u8> {
    pack(dtype, values.iter().map(|v| encode(Scalar::Float(*v), dtype)), values.len())
}

fn pack(dtype: DType, codes: impl Iterator<Item = u64>, count: usize) -> Vec<u8> {
    let bits = dtype.bits() as usize;
    let mut out = Vec::with_capacity((count * bits).div_ceil(8));
    for (i, code) in codes.enumerate() {
        match bits {
            8.. => out.extend_from_slice(&code.to_le_bytes()[..bits / 8]),
            _ => match (out.last_mut(), i * bits % 8) {
                (Some(last), at @ 1..) => *last |= (code << at) as u8,
                _ => out.push(code as u8),
            },
        }
    }
    out
}

fn check(dtype: DType, bytes: &[u8], count: usize) -> Result<()> {
    let expected = dtype.bytes_for(count as u64);
    if bytes.len() as u64 == expected {
        return Ok(());
    }
    Err(Diag::error("B002", format!("{count} elements of {dtype} take {expected} bytes, got {}", bytes.len())))
}
