//! Literals of kernels.

/// A literal, exact: floats as the bits of an f64, so that NaN payloads, infinities and -0.0 keep their identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Literal {
    /// A float; the bits of an f64.
    Float(u64),
    /// An integer, or a bool as 0 and 1.
    Int(i64),
}

impl Literal {
    /// A float literal.
    pub fn float(v: f64) -> Literal {
        Literal::Float(v.to_bits())
    }

    /// The value as f64; integers beyond 2^53 are rounded.
    pub fn as_f64(self) -> f64 {
        match self {
            Literal::Float(bits) => f64::from_bits(bits),
            Literal::Int(i) => i as f64,
        }
    }
}
