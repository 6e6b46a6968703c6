//! Constants in graphs.

use girih_base::{Dim, Scalar};
use std::fmt;
use std::sync::Arc;

/// One number, exact: a float as f64 (by its bits, so that it can be compared and hashed) or an integer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Number {
    /// A float; the bits of an f64.
    Float(u64),
    /// An integer or a bool (0, 1).
    Int(i128),
}

impl Number {
    /// The value as f64; large integers round.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Float(bits) => f64::from_bits(bits),
            Number::Int(i) => i as f64,
        }
    }

    /// The value as an integer; floats are truncated.
    pub fn as_int(self) -> i128 {
        match self {
            Number::Float(bits) => f64::from_bits(bits) as i128,
            Number::Int(i) => i,
        }
    }
}

impl From<f64> for Number {
    fn from(v: f64) -> Number {
        Number::Float(v.to_bits())
    }
}

impl From<i64> for Number {
    fn from(v: i64) -> Number {
        Number::Int(v as i128)
    }
}

impl From<Number> for Scalar {
    fn from(n: Number) -> Scalar {
        match n {
            Number::Float(bits) => Scalar::Float(f64::from_bits(bits)),
            Number::Int(i) => Scalar::Int(i),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Float(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Number::Int(i) => write!(f, "{i}"),
        }
    }
}

/// The value of a `Const` node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Literal {
    /// Every element is this number.
    Splat(Number),
    /// Every element is this size, known when the program runs.
    Dim(Dim),
    /// Elements in row-major order, encoded as the dtype is stored (little-endian, sub-byte types packed).
    Dense(Arc<[u8]>),
}
