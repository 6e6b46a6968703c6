//! Block-quantised weights back to floats, in plain operations on bytes.
//!
//! The layouts are described at [`QuantFormat`]; each body does the same arithmetic in the same order as the reference
//! decoder there, so that results agree bit for bit.

use super::refuse;
use crate::graph::{Graph, NodeId};
use girih_base::{DType, Dim, QuantFormat, Result, ScalarOp};

/// The elements of quantised rows: `x` u8 [rows, row_bytes] -> f32 [rows, columns], `row_bytes` a constant number of
/// whole blocks. Composite `dequant.<format>`.
pub fn dequant(g: &mut Graph, x: NodeId, format: QuantFormat) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    let bytes = ty.shape.get(1).and_then(Dim::as_const).and_then(|n| u64::try_from(n).ok());
    let columns = bytes.and_then(|n| format.row_elements(n)).and_then(|n| i64::try_from(n).ok());
    let (Some(columns), 2, DType::U8) = (columns, ty.rank(), ty.dtype) else {
        return Err(refuse(
            g,
            x,
            format!("dequant.{format} takes u8[rows, whole blocks of {}], got {ty}", format.block_bytes()),
        ));
    };
    let blocks = Dim::from(columns / format.block_elements() as i64);
    let rows = ty.shape[0].clone();
    g.composite(&format!("dequant.{format}"), Vec::new(), &[("x", x)], |g, p| {
        let x = g.reshape(p[0], vec![rows.clone(), blocks.clone(), Dim::from(format.block_bytes())])?;
        let mut b = Blocks { g, x, rows: rows.clone(), blocks };
        let y = match format {
            QuantFormat::Q4_0 => b.q4_0(),
            QuantFormat::Q4_1 => b.q4_1(),
            QuantFormat::Q5_0 => b.q5_0(),
            QuantFormat::Q5_1 => b.q5_1(),
            QuantFormat::Q8_0 => b.q8_0(),
            QuantFormat::Q4_K => b.q4_k(),
            QuantFormat::Q5_K => b.q5_k(),
            QuantFormat::Q6_K => b.q6_k(),
        }?;
        g.reshape(y, vec![rows, Dim::from(columns)])
    })
}

/// Blocks u8 [rows, blocks, bytes]; everything below keeps the first two axes.
struct Blocks<'g> {
    g: &'g mut Graph,
    x: NodeId,
    rows: Dim,
    blocks: Dim,
}

impl Blocks<'_> {
    fn q4_0(&mut self) -> Result<NodeId> {
        let (q, d) = (self.nibbles(2)?, self.half_at(0)?);
        let q = self.centred(q, 8.0)?;
        self.map(ScalarOp::Mul, d, q)
    }

    fn q4_1(&mut self) -> Result<NodeId> {
        let (q, d, m) = (self.nibbles(4)?, self.half_at(0)?, self.half_at(2)?);
        let q = self.g.cast(q, DType::F32)?;
        let y = self.map(ScalarOp::Mul, d, q)?;
        self.map(ScalarOp::Add, y, m)
    }

    fn q5_0(&mut self) -> Result<NodeId> {
        let (q, d) = (self.five_bits(2)?, self.half_at(0)?);
        let q = self.centred(q, 16.0)?;
        self.map(ScalarOp::Mul, d, q)
    }

    fn q5_1(&mut self) -> Result<NodeId> {
        let (q, d, m) = (self.five_bits(4)?, self.half_at(0)?, self.half_at(2)?);
        let q = self.g.cast(q, DType::F32)?;
        let y = self.map(ScalarOp::Mul, d, q)?;
        self.map(ScalarOp::Add, y, m)
    }

    fn q8_0(&mut self) -> Result<NodeId> {
        let (q, d) = (self.part(2, 34)?, self.half_at(0)?);
        let q = self.signed(q)?;
        self.map(ScalarOp::Mul, d, q)
    }

    fn q4_k(&mut self) -> Result<NodeId> {
        let q = self.paired_nibbles(16)?;
        self.scale_groups(q)
    }

    fn q5_k(&mut self) -> Result<NodeId> {
        let low = self.paired_nibbles(48)?;
        let qh = self.part(16, 48)?;
        let qh = self.g.broadcast(qh, self.shape(&[8, 32]), vec![0, 1, 3])?;
        let q = self.with_high_bits(low, qh, 2, 1, 1)?;
        self.scale_groups(q)
    }

    fn q6_k(&mut self) -> Result<NodeId> {
        // Axes: half of the block, quarter of the half (k / 2, k % 2), lane.
        let ql = self.part(0, 128)?;
        let ql = self.g.reshape(ql, self.shape(&[2, 1, 2, 32]))?;
        let low = self.low_then_high(ql, 3)?;
        let low = self.g.reshape(low, self.shape(&[2, 4, 32]))?;
        let qh = self.part(128, 192)?;
        let qh = self.g.reshape(qh, self.shape(&[2, 32]))?;
        let qh = self.g.broadcast(qh, self.shape(&[2, 4, 32]), vec![0, 1, 2, 4])?;
        let q = self.with_high_bits(low, qh, 3, 2, 3)?;
        let q = self.centred(q, 32.0)?;
        let q = self.g.reshape(q, self.shape(&[16, 16]))?;
        let (scales, d) = (self.part(192, 208)?, self.half_at(208)?);
        let scales = self.signed(scales)?;
        let scale = self.map(ScalarOp::Mul, d, scales)?;
        let scale = self.g.reshape(scale, self.shape(&[16, 1]))?;
        self.map(ScalarOp::Mul, scale, q)
    }

    /// `d * scale * q - dmin * min` for `q` u8 [.., 8, 32] with the packed scales at bytes 4..16.
    fn scale_groups(&mut self, q: NodeId) -> Result<NodeId> {
        let (a, b, c) = (self.part(4, 8)?, self.part(8, 12)?, self.part(12, 16)?);
        let low_nibble = self.with(ScalarOp::And, c, 15)?;
        let high_nibble = self.with(ScalarOp::Shr, c, 4)?;
        let scale = self.six_bits(a, low_nibble, 0)?;
        let min = self.six_bits(b, high_nibble, 2)?;
        let q = self.g.cast(q, DType::F32)?;
        let y = self.map(ScalarOp::Mul, scale, q)?;
        self.map(ScalarOp::Sub, y, min)
    }

    /// The 6-bit numbers of eight groups times the f16 at byte `factor`: f32 [.., 8, 1]. The first four are the low
    /// six bits of `first`, the others have `low` below the top two bits of `first`.
    fn six_bits(&mut self, first: NodeId, low: NodeId, factor: i64) -> Result<NodeId> {
        let head = self.with(ScalarOp::And, first, 63)?;
        let top = self.with(ScalarOp::Shr, first, 6)?;
        let top = self.with(ScalarOp::Shl, top, 4)?;
        let tail = self.map(ScalarOp::Or, low, top)?;
        let all = self.g.concat(&[head, tail], 2)?;
        let all = self.g.cast(all, DType::F32)?;
        let factor = self.half_at(factor)?;
        let all = self.map(ScalarOp::Mul, factor, all)?;
        self.g.reshape(all, self.shape(&[8, 1]))
    }

    /// `low | (bits >> (step * coordinate along axis) & mask) << 4`.
    fn with_high_bits(&mut self, low: NodeId, bits: NodeId, axis: usize, step: i64, mask: i64) -> Result<NodeId> {
        let ty = self.g.tensor(bits)?.clone();
        let at = self.g.iota(ty, axis)?;
        let at = if step == 1 { at } else { self.with(ScalarOp::Mul, at, step)? };
        let bits = self.map(ScalarOp::Shr, bits, at)?;
        let bits = self.with(ScalarOp::And, bits, mask)?;
        let bits = self.with(ScalarOp::Shl, bits, 4)?;
        self.map(ScalarOp::Or, low, bits)
    }

    /// The 32 nibbles from byte `at`, the low ones first: u8 [.., 32].
    fn nibbles(&mut self, at: i64) -> Result<NodeId> {
        let qs = self.part(at, at + 16)?;
        self.low_then_high(qs, 2)
    }

    /// 32 nibbles with a fifth bit each, from four bytes of bits at `at`: u8 [.., 32].
    fn five_bits(&mut self, at: i64) -> Result<NodeId> {
        let low = self.nibbles(at + 4)?;
        let low = self.g.reshape(low, self.shape(&[4, 8]))?;
        let bits = self.part(at, at + 4)?;
        let bits = self.g.broadcast(bits, self.shape(&[4, 8]), vec![0, 1, 2])?;
        let q = self.with_high_bits(low, bits, 3, 1, 1)?;
        self.g.reshape(q, self.shape(&[32]))
    }

    /// 128 bytes from `at`, of which each 32 hold the nibbles of two groups: u8 [.., 8, 32].
    fn paired_nibbles(&mut self, at: i64) -> Result<NodeId> {
        let qs = self.part(at, at + 128)?;
        let qs = self.g.reshape(qs, self.shape(&[4, 1, 32]))?;
        let q = self.low_then_high(qs, 3)?;
        self.g.reshape(q, self.shape(&[8, 32]))
    }

    fn low_then_high(&mut self, x: NodeId, axis: usize) -> Result<NodeId> {
        let low = self.with(ScalarOp::And, x, 15)?;
        let high = self.with(ScalarOp::Shr, x, 4)?;
        self.g.concat(&[low, high], axis)
    }

    fn centred(&mut self, q: NodeId, zero: f64) -> Result<NodeId> {
        let q = self.g.cast(q, DType::F32)?;
        super::with(self.g, ScalarOp::Sub, q, zero)
    }

    fn signed(&mut self, q: NodeId) -> Result<NodeId> {
        let q = self.g.bitcast(q, DType::I8)?;
        self.g.cast(q, DType::F32)
    }

    /// The little-endian f16 at byte `at`, as f32 [.., 1].
    fn half_at(&mut self, at: i64) -> Result<NodeId> {
        let (low, high) = (self.part(at, at + 1)?, self.part(at + 1, at + 2)?);
        let (low, high) = (self.g.cast(low, DType::U16)?, self.g.cast(high, DType::U16)?);
        let high = self.with(ScalarOp::Shl, high, 8)?;
        let bits = self.map(ScalarOp::Or, low, high)?;
        let half = self.g.bitcast(bits, DType::F16)?;
        self.g.cast(half, DType::F32)
    }

    /// Bytes `from..to` of each block.
    fn part(&mut self, from: i64, to: i64) -> Result<NodeId> {
        self.g.slice_axis(self.x, 2, Dim::from(from), Dim::from(to))
    }

    fn with(&mut self, op: ScalarOp, x: NodeId, value: i64) -> Result<NodeId> {
        super::with(self.g, op, x, value as f64)
    }

    fn map(&mut self, op: ScalarOp, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.g.map_broadcast(op, &[a, b])
    }

    fn shape(&self, inner: &[i64]) -> Vec<Dim> {
        let outer = [self.rows.clone(), self.blocks.clone()];
        outer.into_iter().chain(inner.iter().map(|d| Dim::from(*d))).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::eval::Array;
    use crate::graph::ParamKind;
    use crate::ty::TensorTy;

    #[test]
    fn every_format_has_a_body_of_the_right_shape() {
        for format in QuantFormat::ALL {
            let mut g = Graph::new("t");
            let rows = Dim::symbol("rows", 1, 100);
            let bytes = Dim::from(format.block_bytes() * 3);
            let x = g.param(
                "x",
                TensorTy { dtype: DType::U8, shape: vec![rows.clone(), bytes] },
                ParamKind::Weight,
                Default::default(),
            );
            let y = dequant(&mut g, x, *format).unwrap();
            let want = TensorTy { dtype: DType::F32, shape: vec![rows, Dim::from(format.block_elements() * 3)] };
            assert_eq!(g.tensor(y).unwrap(), &want, "{format}");
        }
    }

    #[test]
    fn every_body_equals_the_reference_decoder_bit_for_bit() {
        for format in QuantFormat::ALL {
            let (rows, blocks) = (3, 2);
            let shape = [rows, format.block_bytes() * blocks];
            // Any bits are a block: scales run over all of f16, infinities and NaN too.
            let mut state = 1u64 + format.ggml_type() as u64;
            let mut byte = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            };
            let bytes: Vec<u8> = (0..shape[0] * shape[1]).map(|_| byte()).collect();
            let mut want = vec![0f32; rows * blocks * format.block_elements()];
            format.decode_row(&bytes, &mut want).unwrap();

            let mut g = Graph::new("t");
            let x = g.param("x", TensorTy::new(DType::U8, shape), ParamKind::Weight, Default::default());
            let y = dequant(&mut g, x, *format).unwrap();
            g.set_outputs(vec![y]);
            let input = Array::decode(DType::U8, &shape, &bytes).unwrap();
            let got = g.eval(&[input.into()], &Default::default()).unwrap()[0].array().unwrap().to_f64();
            assert_eq!(got.len(), want.len());
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                // The evaluator is exact, and every formula rounds once in f32: rounding its result must give the same.
                let same = (*got as f32).to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
                assert!(same, "{format} element {i}: {got} and {want}");
            }
            assert!(want.iter().filter(|v| v.is_finite() && **v != 0.0).count() > want.len() / 2);
        }
    }

    #[test]
    fn rows_that_are_not_whole_blocks_are_refused() {
        let mut g = Graph::new("t");
        for ty in [TensorTy::new(DType::U8, [2, 19]), TensorTy::new(DType::U8, [20]), TensorTy::new(DType::I8, [2, 20])]
        {
            let x = g.param("w", ty, ParamKind::Weight, Default::default());
            let diag = dequant(&mut g, x, QuantFormat::Q4_1).unwrap_err();
            assert!(diag.message.contains("dequant.q4_1") && diag.notes[0].contains("`w`"), "{diag}");
        }
    }
}
