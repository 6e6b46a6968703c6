//! Block-quantised weights, decoded four elements at a time from u32 words (layouts: `girih_base::quant`).

use super::emit::{Emit, Idx};
use super::layout::Layout;
use girih_base::{DType, Diag, Dim, QuantFormat, Result, ScalarOp};
use girih_simt::{self as simt, Space, Ty, ValueId as Sv};
use girih_tile::ValueId as Tv;
use std::sync::Arc;

const F32: Ty = Ty::scalar(DType::F32);

/// Reads bytes of one parameter.
struct Bytes {
    param: u32,
    /// Blocks start at multiples of four bytes.
    aligned: bool,
}

impl Emit<'_> {
    /// [`Op::LoadQuant`](girih_tile::Op::LoadQuant).
    pub fn load_quant(
        &mut self,
        param: usize,
        format: &Arc<str>,
        columns: &Dim,
        at: [Tv; 2],
        l: &Layout,
        idx: &Idx,
    ) -> Result<Sv> {
        let Some(format) = QuantFormat::from_name(format) else {
            return Err(Diag::error("L204", format!("unknown block format `{format}`")).at(&self.here, "loaded here"));
        };
        let row_bytes = columns.floor_div(&Dim::from(format.block_elements())) * Dim::from(format.block_bytes());
        let whole = l.width() == 4 && l.vector_along(1);
        let n = if whole || l.uniform_vector() { 1 } else { l.width() as u32 };
        let mut parts = Vec::new();
        for c in 0..n {
            let row = self.coordinate(at[0], l, idx, c, 0)?;
            let column = self.coordinate(at[1], l, idx, c, 1)?;
            let stride = self.dim(&row_bytes);
            let start = self.mul(row, stride);
            let quad = self.and_fixed(column, !3);
            let x = self.decode_quad(param, format, start, quad)?;
            if whole {
                return Ok(x);
            }
            let slot = self.and_fixed(column, 3);
            parts.push(self.b.push(simt::Op::ComponentAt(x, slot), F32));
        }
        Ok(self.pack(&parts))
    }

    /// Elements `column..column + 4` of the row that starts at byte `start`.
    fn decode_quad(&mut self, param: usize, format: QuantFormat, start: Sv, column: Sv) -> Result<Sv> {
        let log = (format.block_elements() as u32).ilog2();
        let block = self.shr(column, log);
        let size = self.uint(format.block_bytes() as u32);
        let offset = self.mul(block, size);
        let base = self.add(start, offset);
        let i = self.and_fixed(column, (1 << log) - 1);
        let from = Bytes { param: param as u32, aligned: format.block_bytes().is_multiple_of(4) };
        Ok(match format {
            QuantFormat::Q4_0 => {
                let (d, q) = (self.half(&from, base, 0), self.nibbles(&from, base, 2, i));
                let q = self.quad(q, 15);
                self.scaled(d, q, 8.0)
            }
            QuantFormat::Q4_1 => {
                let (d, m) = (self.half(&from, base, 0), self.half(&from, base, 2));
                let q = self.nibbles(&from, base, 4, i);
                let q = self.quad(q, 15);
                self.affine(d, q, m, ScalarOp::Add)
            }
            QuantFormat::Q5_0 => {
                let (d, q) = (self.half(&from, base, 0), self.nibbles(&from, base, 6, i));
                let q = self.fifth_bits(&from, base, 2, i, q);
                let q = self.quad(q, 31);
                self.scaled(d, q, 16.0)
            }
            QuantFormat::Q5_1 => {
                let (d, m) = (self.half(&from, base, 0), self.half(&from, base, 2));
                let q = self.nibbles(&from, base, 8, i);
                let q = self.fifth_bits(&from, base, 4, i, q);
                let q = self.quad(q, 31);
                self.affine(d, q, m, ScalarOp::Add)
            }
            QuantFormat::Q8_0 => {
                let d = self.half(&from, base, 0);
                let at = self.add(base, i);
                let word = self.word(&from, at, 2);
                let q = self.signed_quad(word);
                self.times(d, q)
            }
            QuantFormat::Q4_K | QuantFormat::Q5_K => {
                let (scale, min) = self.group_scale(&from, base, i);
                let five = format == QuantFormat::Q5_K;
                let group = self.shr(i, 5);
                let inner = self.and_fixed(i, 31);
                let pair = self.shr(group, 1);
                let pair = self.shl(pair, 5);
                let at = self.add(pair, inner);
                let at = self.add(base, at);
                let word = self.word(&from, at, if five { 48 } else { 16 });
                let odd = self.and_fixed(group, 1);
                let shift = self.shl(odd, 2);
                let word = self.b.map(ScalarOp::Shr, &[word, shift]);
                let word = self.and_fixed(word, 0x0f0f_0f0f);
                if !five {
                    let q = self.quad(word, 15);
                    return Ok(self.affine(scale, q, min, ScalarOp::Sub));
                }
                let at = self.add(base, inner);
                let high = self.word(&from, at, 16);
                let high = self.b.map(ScalarOp::Shr, &[high, group]);
                let high = self.and_fixed(high, 0x0101_0101);
                let high = self.shl(high, 4);
                let word = self.b.map(ScalarOp::Or, &[word, high]);
                let q = self.quad(word, 31);
                self.affine(scale, q, min, ScalarOp::Sub)
            }
            QuantFormat::Q6_K => {
                let (half, quarter, lane) = (self.shr(i, 7), self.shr(i, 5), self.and_fixed(i, 31));
                let quarter = self.and_fixed(quarter, 3);
                let d = self.half(&from, base, 208);
                let odd = self.and_fixed(quarter, 1);
                let (a, b) = (self.shl(half, 6), self.shl(odd, 5));
                let at = self.add(a, b);
                let at = self.add(at, lane);
                let at = self.add(base, at);
                let low = self.word(&from, at, 0);
                let upper = self.shr(quarter, 1);
                let shift = self.shl(upper, 2);
                let low = self.b.map(ScalarOp::Shr, &[low, shift]);
                let low = self.and_fixed(low, 0x0f0f_0f0f);
                let at = self.shl(half, 5);
                let at = self.add(at, lane);
                let at = self.add(base, at);
                let high = self.word(&from, at, 128);
                let shift = self.shl(quarter, 1);
                let high = self.b.map(ScalarOp::Shr, &[high, shift]);
                let high = self.and_fixed(high, 0x0303_0303);
                let high = self.shl(high, 4);
                let word = self.b.map(ScalarOp::Or, &[low, high]);
                let group = self.shr(i, 4);
                let at = self.add(base, group);
                let scale = self.byte(&from, at, 192);
                let scale = self.decode(scale, DType::I8)?;
                let scale = self.b.cast(scale, DType::F32);
                let scale = self.b.map(ScalarOp::Mul, &[d, scale]);
                let q = self.quad(word, 63);
                self.scaled(scale, q, 32.0)
            }
        })
    }

    /// Four bytes from `base + offset`, which is even.
    fn word(&mut self, from: &Bytes, base: Sv, offset: u32) -> Sv {
        let (space, at) = (Space::Buffer(from.param), self.add_fixed(base, offset));
        let first = self.shr(at, 2);
        let low = self.b.load(space, first);
        if from.aligned {
            return low;
        }
        let last = self.add_fixed(at, 3);
        let last = self.shr(last, 2);
        let high = self.b.load(space, last);
        // Either the whole first word, or its upper and the next word's lower half.
        let (sixteen, two, zero) = (self.uint(16), self.and_fixed(at, 2), self.uint(0));
        let even = self.index(ScalarOp::Eq, &[two, zero]);
        let upper = self.b.map(ScalarOp::Shr, &[low, sixteen]);
        let lower = self.b.map(ScalarOp::Shl, &[high, sixteen]);
        let both = self.b.map(ScalarOp::Or, &[upper, lower]);
        self.b.map(ScalarOp::Select, &[even, low, both])
    }

    /// One byte in the low bits of a word.
    fn byte(&mut self, from: &Bytes, base: Sv, offset: u32) -> Sv {
        let at = self.add_fixed(base, offset);
        let (index, slot) = (self.shr(at, 2), self.and_fixed(at, 3));
        let word = self.b.load(Space::Buffer(from.param), index);
        let shift = self.shl(slot, 3);
        let raw = self.b.map(ScalarOp::Shr, &[word, shift]);
        self.and_fixed(raw, 255)
    }

    /// An f16 at an even byte.
    fn half(&mut self, from: &Bytes, base: Sv, offset: u32) -> Sv {
        let at = self.add_fixed(base, offset);
        let (index, slot) = (self.shr(at, 2), self.and_fixed(at, 2));
        let word = self.b.load(Space::Buffer(from.param), index);
        let shift = self.shl(slot, 3);
        let raw = self.b.map(ScalarOp::Shr, &[word, shift]);
        let pair = self.b.push(simt::Op::UnpackHalf(raw), Ty::vec(DType::F32, 2));
        self.b.component(pair, 0)
    }

    /// Four nibbles, one per byte, of a group of 32 whose first half is the low nibbles of 16 bytes.
    fn nibbles(&mut self, from: &Bytes, base: Sv, offset: u32, i: Sv) -> Sv {
        let inner = self.and_fixed(i, 15);
        let at = self.add(base, inner);
        let word = self.word(from, at, offset);
        let upper = self.shr(i, 4);
        let shift = self.shl(upper, 2);
        let word = self.b.map(ScalarOp::Shr, &[word, shift]);
        self.and_fixed(word, 0x0f0f_0f0f)
    }

    /// Puts bits `i..i + 4` of a 32-bit field above the nibbles.
    fn fifth_bits(&mut self, from: &Bytes, base: Sv, offset: u32, i: Sv, q: Sv) -> Sv {
        let field = self.word(from, base, offset);
        let bits = self.b.map(ScalarOp::Shr, &[field, i]);
        let mut word = q;
        for c in 0..4 {
            let one = self.shr(bits, c);
            let one = self.and_fixed(one, 1);
            let placed = self.shl(one, 8 * c + 4);
            word = self.b.map(ScalarOp::Or, &[word, placed]);
        }
        word
    }

    /// The four bytes of a word, each below `mask + 1`, as floats.
    fn quad(&mut self, word: Sv, mask: u32) -> Sv {
        let parts: Vec<Sv> = (0..4)
            .map(|c| {
                let raw = self.shr(word, 8 * c);
                self.and_fixed(raw, mask)
            })
            .collect();
        let q = self.pack(&parts);
        self.b.cast(q, DType::F32)
    }

    fn signed_quad(&mut self, word: Sv) -> Sv {
        let signed = self.b.bitcast(word, DType::I32);
        let down = self.b.int(24);
        let parts: Vec<Sv> = (0..4)
            .map(|c| {
                let up = self.b.int(24 - 8 * c);
                let top = if c == 3 { signed } else { self.b.map(ScalarOp::Shl, &[signed, up]) };
                self.b.map(ScalarOp::Shr, &[top, down])
            })
            .collect();
        let q = self.pack(&parts);
        self.b.cast(q, DType::F32)
    }

    fn times(&mut self, d: Sv, q: Sv) -> Sv {
        self.map(ScalarOp::Mul, &[d, q])
    }

    fn scaled(&mut self, d: Sv, q: Sv, middle: f64) -> Sv {
        let middle = self.b.constant(simt::Literal::float(middle), F32);
        let q = self.map(ScalarOp::Sub, &[q, middle]);
        self.times(d, q)
    }

    fn affine(&mut self, d: Sv, q: Sv, m: Sv, op: ScalarOp) -> Sv {
        let x = self.times(d, q);
        self.map(op, &[x, m])
    }

    /// Scale and minimum of the group of 32 that element `i` of a K block is in, both times their f16 factor.
    fn group_scale(&mut self, from: &Bytes, base: Sv, i: Sv) -> (Sv, Sv) {
        let group = self.shr(i, 5);
        let (d, dmin) = (self.half(from, base, 0), self.half(from, base, 2));
        let at = self.add(base, group);
        let four = self.uint(4);
        let early = self.index(ScalarOp::Lt, &[group, four]);
        let (own, next) = (self.byte(from, at, 4), self.byte(from, at, 8));
        // Bytes g, g + 4 and, for the later groups, g - 4 (which is byte 0 for the early ones).
        let zero = self.uint(0);
        let back = self.index(ScalarOp::Sub, &[group, four]);
        let back = self.index(ScalarOp::Select, &[early, zero, back]);
        let at = self.add(base, back);
        let before = self.byte(from, at, 4);
        let (scale_low, scale_high) = (self.and_fixed(next, 15), self.shr(before, 6));
        let scale_high = self.shl(scale_high, 4);
        let late_scale = self.b.map(ScalarOp::Or, &[scale_low, scale_high]);
        let (min_low, min_high) = (self.shr(next, 4), self.shr(own, 6));
        let min_high = self.shl(min_high, 4);
        let late_min = self.b.map(ScalarOp::Or, &[min_low, min_high]);
        let (early_scale, early_min) = (self.and_fixed(own, 63), self.and_fixed(next, 63));
        let scale = self.b.map(ScalarOp::Select, &[early, early_scale, late_scale]);
        let min = self.b.map(ScalarOp::Select, &[early, early_min, late_min]);
        let (scale, min) = (self.b.cast(scale, DType::F32), self.b.cast(min, DType::F32));
        (self.b.map(ScalarOp::Mul, &[d, scale]), self.b.map(ScalarOp::Mul, &[dmin, min]))
    }
}
