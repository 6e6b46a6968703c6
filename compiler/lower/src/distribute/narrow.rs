//! Narrow element types: decoded from and encoded to the low bits of u32 words, and rounding to them in between.
//! Formats: OCP 8-bit and 4-bit floats (OFP8, MX specifications), bfloat16, IEEE binary16.

use super::emit::Emit;
use girih_base::dtype::Class;
use girih_base::{DType, Result, ScalarOp};
use girih_simt::{self as simt, Ty, ValueId as Sv};

const U32: DType = DType::U32;

/// Exponent bits, mantissa bits and bias of the small floats that are computed by integer arithmetic.
fn small(dtype: DType) -> Option<(u32, u32, u32)> {
    match dtype {
        DType::F8E4M3Fn => Some((4, 3, 7)),
        DType::F8E5M2 => Some((5, 2, 15)),
        DType::F4E2M1 => Some((2, 1, 1)),
        _ => None,
    }
}

impl Emit<'_> {
    fn u(&mut self, op: ScalarOp, x: Sv, n: u32) -> Sv {
        let n = self.uint(n);
        self.map(op, &[x, n])
    }

    /// The value in the low bits of `raw` (higher bits are anything), in the dtype's arithmetic.
    pub fn decode(&mut self, raw: Sv, dtype: DType) -> Result<Sv> {
        let bits = dtype.bits();
        Ok(match dtype {
            DType::Bool => {
                let low = self.u(ScalarOp::And, raw, 255);
                self.u(ScalarOp::Ne, low, 0)
            }
            DType::F16 => {
                let pair = self.b.push(simt::Op::UnpackHalf(raw), Ty::vec(DType::F32, 2));
                self.b.component(pair, 0)
            }
            DType::Bf16 => {
                let high = self.u(ScalarOp::Shl, raw, 16);
                self.b.bitcast(high, DType::F32)
            }
            DType::F8E8M0 => {
                // Code 0 is 2^-127, a subnormal of f32; 255 is NaN.
                let code = self.u(ScalarOp::And, raw, 255);
                let shifted = self.u(ScalarOp::Shl, code, 23);
                let (zero, nan) = (self.u(ScalarOp::Eq, code, 0), self.u(ScalarOp::Eq, code, 255));
                let (least, quiet) = (self.uint(0x0040_0000), self.uint(0x7fc0_0000));
                let low = self.map(ScalarOp::Select, &[zero, least, shifted]);
                let all = self.map(ScalarOp::Select, &[nan, quiet, low]);
                self.b.bitcast(all, DType::F32)
            }
            d if small(d).is_some() => self.decode_small(raw, d),
            d if d.class() == Class::Signed => {
                let signed = self.b.bitcast(raw, DType::I32);
                let shift = self.b.int(32 - bits as i32);
                let top = self.map(ScalarOp::Shl, &[signed, shift]);
                self.shift_right_signed(top, 32 - bits)
            }
            _ => self.u(ScalarOp::And, raw, ((1u64 << bits) - 1) as u32),
        })
    }

    fn shift_right_signed(&mut self, x: Sv, n: u32) -> Sv {
        let n = self.b.int(n as i32);
        self.map(ScalarOp::Shr, &[x, n])
    }

    fn decode_small(&mut self, raw: Sv, dtype: DType) -> Sv {
        let (e, m, bias) = small(dtype).unwrap_or((4, 3, 7));
        let magnitude = self.u(ScalarOp::And, raw, (1 << (e + m)) - 1);
        let placed = self.u(ScalarOp::Shl, magnitude, 23 - m);
        let normal = self.u(ScalarOp::Add, placed, (127 - bias) << 23);
        let as_int = self.b.cast(magnitude, DType::F32);
        let unit = self.b.constant(simt::Literal::float(2f64.powi(1 - bias as i32 - m as i32)), Ty::scalar(DType::F32));
        let tiny = self.map(ScalarOp::Mul, &[as_int, unit]);
        let tiny = self.b.bitcast(tiny, U32);
        let is_tiny = self.u(ScalarOp::Lt, magnitude, 1 << m);
        let mut word = self.map(ScalarOp::Select, &[is_tiny, tiny, normal]);
        let special = match dtype {
            DType::F8E4M3Fn => Some((0x7f, 0x7fc0_0000)),
            DType::F8E5M2 => Some((0x7d, 0x7fc0_0000)),
            _ => None,
        };
        if let Some((nan, bits)) = special {
            if dtype == DType::F8E5M2 {
                let inf = self.u(ScalarOp::Eq, magnitude, 0x7c);
                let infinity = self.uint(0x7f80_0000);
                word = self.map(ScalarOp::Select, &[inf, infinity, word]);
            }
            let is_nan = self.u(ScalarOp::Ge, magnitude, nan);
            let quiet = self.uint(bits);
            word = self.map(ScalarOp::Select, &[is_nan, quiet, word]);
        }
        let sign = self.u(ScalarOp::And, raw, 1 << (e + m));
        let sign = self.u(ScalarOp::Shl, sign, 31 - e - m);
        let word = self.map(ScalarOp::Or, &[word, sign]);
        self.b.bitcast(word, DType::F32)
    }

    /// The bits of a value, in the low bits of a u32 with zeros above.
    pub fn encode(&mut self, x: Sv, dtype: DType) -> Result<Sv> {
        let bits = dtype.bits();
        Ok(match dtype {
            DType::Bool => self.b.cast(x, U32),
            DType::F16 => {
                let zero = self.b.constant(simt::Literal::float(0.0), Ty::scalar(DType::F32));
                let pair = self.pack(&[x, zero]);
                self.b.push(simt::Op::PackHalf(pair), Ty::scalar(U32))
            }
            DType::Bf16 => {
                let word = self.b.bitcast(x, U32);
                let rounded = self.round_half_even(word, 16);
                let short = self.u(ScalarOp::Shr, rounded, 16);
                self.nan_or(word, 0x7fc0, short)
            }
            DType::F8E8M0 => self.encode_scale(x),
            d if small(d).is_some() => self.encode_small(x, d),
            d if d.class() == Class::Signed => {
                let word = self.b.bitcast(x, U32);
                self.u(ScalarOp::And, word, ((1u64 << bits) - 1) as u32)
            }
            _ => self.u(ScalarOp::And, x, ((1u64 << bits) - 1) as u32),
        })
    }

    /// Adds half a unit of the bit at `cut`, ties to even.
    fn round_half_even(&mut self, word: Sv, cut: u32) -> Sv {
        let up = self.u(ScalarOp::Shr, word, cut);
        let odd = self.u(ScalarOp::And, up, 1);
        let half = self.u(ScalarOp::Add, odd, (1 << (cut - 1)) - 1);
        self.map(ScalarOp::Add, &[word, half])
    }

    fn nan_or(&mut self, word: Sv, nan: u32, otherwise: Sv) -> Sv {
        let magnitude = self.u(ScalarOp::And, word, 0x7fff_ffff);
        let is_nan = self.u(ScalarOp::Gt, magnitude, 0x7f80_0000);
        let nan = self.uint(nan);
        self.map(ScalarOp::Select, &[is_nan, nan, otherwise])
    }

    fn encode_small(&mut self, x: Sv, dtype: DType) -> Sv {
        let (e, m, bias) = small(dtype).unwrap_or((4, 3, 7));
        let word = self.b.bitcast(x, U32);
        let sign = self.u(ScalarOp::Shr, word, 31);
        let sign = self.u(ScalarOp::Shl, sign, e + m);
        let magnitude = self.u(ScalarOp::And, word, 0x7fff_ffff);
        let rounded = self.round_half_even(magnitude, 23 - m);
        let short = self.u(ScalarOp::Shr, rounded, 23 - m);
        let normal = self.u(ScalarOp::Sub, short, (127 - bias) << m);
        // Below the smallest normal, adding a large power of two rounds to a multiple of the smallest subnormal.
        let magic = 2f32.powi(24 - bias as i32 - m as i32);
        let constant = self.b.constant(simt::Literal::float(magic as f64), Ty::scalar(DType::F32));
        let positive = self.b.bitcast(magnitude, DType::F32);
        let sum = self.map(ScalarOp::Add, &[positive, constant]);
        let sum = self.b.bitcast(sum, U32);
        let tiny = self.u(ScalarOp::Sub, sum, magic.to_bits());
        let is_tiny = self.u(ScalarOp::Lt, magnitude, (128 - bias) << 23);
        let code = self.map(ScalarOp::Select, &[is_tiny, tiny, normal]);
        // First code that is too large, what stands for it, NaN: infinity where the format has one, else NaN where it has one,
        // else the largest number, and -0 for NaN.
        let (limit, over, nan) = match dtype {
            DType::F8E5M2 => (0x7c, 0x7c, 0x7e),
            DType::F4E2M1 => (0x8, 0x7, 0x8),
            _ => (0x7f, 0x7f, 0x7f),
        };
        let is_over = self.u(ScalarOp::Ge, rounded, (limit << (23 - m)) + ((127 - bias) << 23));
        let over = self.uint(over);
        let code = self.map(ScalarOp::Select, &[is_over, over, code]);
        let code = self.nan_or(word, nan, code);
        self.map(ScalarOp::Or, &[code, sign])
    }

    /// f8e8m0: the exponent, one more from 1.5 on; NaN (255) for whatever is not positive and finite.
    fn encode_scale(&mut self, x: Sv) -> Sv {
        let word = self.b.bitcast(x, U32);
        let up = self.u(ScalarOp::Add, word, 0x0040_0000);
        let code = self.u(ScalarOp::Shr, up, 23);
        // Subnormals below 1.5 * 2^-127 are nearest to 2^-127, which has code 0.
        let least = self.u(ScalarOp::Lt, word, 0x0060_0000);
        let none = self.uint(0);
        let code = self.map(ScalarOp::Select, &[least, none, code]);
        let code = self.u(ScalarOp::Min, code, 255);
        let (zero, negative) = (self.u(ScalarOp::Eq, word, 0), self.u(ScalarOp::Ge, word, 0x8000_0000));
        let outside = self.map(ScalarOp::Or, &[zero, negative]);
        let nan = self.uint(255);
        self.map(ScalarOp::Select, &[outside, nan, code])
    }

    /// Rounds or wraps the result of an operation to a dtype narrower than its arithmetic.
    pub fn narrow(&mut self, x: Sv, dtype: DType) -> Result<Sv> {
        if dtype.bits() >= 32 || dtype == DType::Bool {
            return Ok(x);
        }
        let lanes = self.b.ty(x).lanes;
        if dtype.is_float() {
            let mut parts = Vec::new();
            for c in 0..lanes {
                let part = self.b.component(x, c);
                let raw = self.encode(part, dtype)?;
                parts.push(self.decode(raw, dtype)?);
            }
            return Ok(self.pack(&parts));
        }
        let n = 32 - dtype.bits();
        if dtype.class() == Class::Unsigned {
            return Ok(self.u(ScalarOp::And, x, (1 << dtype.bits()) - 1));
        }
        let count = self.b.int(n as i32);
        let top = self.map(ScalarOp::Shl, &[x, count]);
        Ok(self.map(ScalarOp::Shr, &[top, count]))
    }

    /// An operation on values of `operand`, computed wider where that dtype is narrow, with a result of `result`.
    pub fn map_as(&mut self, op: ScalarOp, mut args: Vec<Sv>, operand: DType, result: DType) -> Result<Sv> {
        use ScalarOp::{Abs, And, Clz, Ctz, LogicalShr, Max, Min, MulHi, Or, Popcount, Select, Shl, Shr};
        let bits = operand.bits();
        if !operand.is_int() || bits >= 32 {
            let x = self.map(op, &args);
            let exact = matches!(op, Select | Min | Max | Abs | And | Or);
            return if exact { Ok(x) } else { self.narrow(x, result) };
        }
        // Where the width shows: shift counts are modulo it, and bit counts see no sign extension.
        if matches!(op, Shl | Shr | LogicalShr) {
            let mask = if operand.is_signed() { self.b.int(bits as i32 - 1) } else { self.uint(bits - 1) };
            args[1] = self.map(And, &[args[1], mask]);
        }
        if matches!(op, LogicalShr | Popcount | Clz) && operand.is_signed() {
            let ones = self.b.int((1 << bits) - 1);
            args[0] = self.map(And, &[args[0], ones]);
        }
        let number = |e: &mut Self, n: u32| if operand.is_signed() { e.b.int(n as i32) } else { e.uint(n) };
        let x = match op {
            Ctz => {
                let stop = number(self, 1 << bits);
                let x = self.map(Or, &[args[0], stop]);
                self.map(op, &[x])
            }
            Clz => {
                let (x, extra) = (self.map(op, &args), number(self, 32 - bits));
                self.map(ScalarOp::Sub, &[x, extra])
            }
            MulHi => {
                let (x, down) = (self.map(ScalarOp::Mul, &args), number(self, bits));
                self.map(Shr, &[x, down])
            }
            op => self.map(op, &args),
        };
        self.narrow(x, result)
    }

    /// Value conversion between dtypes.
    pub fn convert(&mut self, x: Sv, from: DType, to: DType) -> Result<Sv> {
        let compute = self.compute(to)?;
        let y = match (self.b.ty(x).dtype, compute) {
            (a, b) if a == b => x,
            _ => self.b.cast(x, compute),
        };
        if from.is_float() && to.is_int() && to.bits() < 32 {
            // Saturate at the narrow type's ends, as conversion to the wide one saturates at its own.
            let signed = to.class() == Class::Signed;
            let (lo, hi) = if signed {
                (-(1i64 << (to.bits() - 1)), (1i64 << (to.bits() - 1)) - 1)
            } else {
                (0, (1i64 << to.bits()) - 1)
            };
            let (lo, hi) = if signed {
                (self.b.int(lo as i32), self.b.int(hi as i32))
            } else {
                (self.uint(0), self.uint(hi as u32))
            };
            let raised = self.map(ScalarOp::Max, &[y, lo]);
            return Ok(self.map(ScalarOp::Min, &[raised, hi]));
        }
        let widening = from.bits() <= to.bits() && from.class() == to.class();
        if widening && from == to { Ok(y) } else { self.narrow(y, to) }
    }

    /// Bit reinterpretation at equal width.
    pub fn reinterpret(&mut self, x: Sv, from: DType, to: DType) -> Result<Sv> {
        if from.bits() >= 32 {
            let to = self.compute(to)?;
            return Ok(if self.b.ty(x).dtype == to { x } else { self.b.bitcast(x, to) });
        }
        let mut parts = Vec::new();
        for c in 0..self.b.ty(x).lanes {
            let part = self.b.component(x, c);
            let raw = self.encode(part, from)?;
            parts.push(self.decode(raw, to)?);
        }
        Ok(self.pack(&parts))
    }
}
