//! Element-wise operations: Rust's operators, and one method per row of the scalar-op table.

use crate::tensor::Tensor;
use girih_base::{DType, Diag, Loc, ScalarOp};
use girih_graph::literal::Number;
use girih_graph::{Graph, NodeId};
use std::ops;

/// What an element-wise operation takes beside a tensor: a tensor, or a number that adopts the tensor's dtype.
pub trait Operand {
    /// As a tensor that fits beside `other`.
    #[track_caller]
    fn operand(&self, other: &Tensor) -> Tensor;
}

impl Operand for Tensor {
    fn operand(&self, _: &Tensor) -> Tensor {
        self.clone()
    }
}

impl Operand for &Tensor {
    fn operand(&self, _: &Tensor) -> Tensor {
        (*self).clone()
    }
}

#[track_caller]
fn number(value: Number, dtype: DType) -> Tensor {
    Tensor::apply(&[], Loc::caller(), |g, _| g.scalar(value, dtype))
}

macro_rules! float_operands {
    ($($t:ty),*) => {$(
        impl Operand for $t {
            #[track_caller]
            fn operand(&self, other: &Tensor) -> Tensor {
                let (value, dtype) = (f64::from(*self), other.dtype());
                if dtype.is_float() || value.fract() != 0.0 || !value.is_finite() {
                    if dtype.is_float() {
                        return number(value.into(), dtype);
                    }
                    let loc = Loc::caller();
                    return Tensor::refused(
                        Diag::error("T011", format!("{value:?} is not an element of {dtype}"))
                            .at(&loc, format!("beside {}", other.describe()))
                            .help("cast the tensor to a float dtype first"),
                    );
                }
                number((value as i64).into(), dtype)
            }
        }
    )*};
}
float_operands!(f32, f64);

macro_rules! int_operands {
    ($($t:ty),*) => {$(
        impl Operand for $t {
            #[track_caller]
            fn operand(&self, other: &Tensor) -> Tensor {
                let value = i64::from(*self);
                match other.dtype() {
                    dtype if dtype.is_float() => number((value as f64).into(), dtype),
                    dtype => number(value.into(), dtype),
                }
            }
        }
    )*};
}
int_operands!(i32, i64, u32, bool);

impl Tensor {
    /// Applies a scalar operation to every element; operands broadcast as in NumPy and must have one dtype.
    #[track_caller]
    pub fn map(&self, op: ScalarOp, others: &[&Tensor]) -> Tensor {
        let inputs: Vec<&Tensor> = std::iter::once(self).chain(others.iter().copied()).collect();
        Tensor::apply(&inputs, Loc::caller(), |g, ids| g.map_broadcast(op, ids))
    }

    /// Whether elements are equal.
    #[track_caller]
    pub fn equal(&self, other: impl Operand) -> Tensor {
        self.map(ScalarOp::Eq, &[&other.operand(self)])
    }

    /// Whether elements differ.
    #[track_caller]
    pub fn not_equal(&self, other: impl Operand) -> Tensor {
        self.map(ScalarOp::Ne, &[&other.operand(self)])
    }

    /// The elements converted: rounded to nearest even, float to integer truncates and saturates.
    #[track_caller]
    pub fn cast(&self, dtype: DType) -> Tensor {
        Tensor::apply(&[self], Loc::caller(), |g, x| g.cast(x[0], dtype))
    }

    /// The same bits under another dtype of the same width.
    #[track_caller]
    pub fn bitcast(&self, dtype: DType) -> Tensor {
        Tensor::apply(&[self], Loc::caller(), |g, x| g.bitcast(x[0], dtype))
    }

    /// The identity, of which no derivative is taken: a constant for `grad`.
    #[track_caller]
    pub fn stop_gradient(&self) -> Tensor {
        let stop = |g: &mut Graph, x: &[NodeId]| -> girih_base::Result<NodeId> {
            // A bit pattern has no derivative, and going there and back changes nothing.
            let ty = g.tensor(x[0])?.clone();
            let bits = match (ty.dtype.is_float(), ty.dtype.bits()) {
                (true, 64) => DType::U64,
                (true, 32) => DType::U32,
                (true, 16) => DType::U16,
                (true, 8) => DType::U8,
                _ => return Ok(x[0]),
            };
            let there = g.bitcast(x[0], bits)?;
            g.bitcast(there, ty.dtype)
        };
        Tensor::apply(&[self], Loc::caller(), stop)
    }
}

include!(concat!(env!("OUT_DIR"), "/scalar_methods.rs"));

macro_rules! operator {
    ($($trait:ident $method:ident $op:ident;)*) => {$(
        impl<T: Operand> ops::$trait<T> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: T) -> Tensor {
                self.map(ScalarOp::$op, &[&other.operand(&self)])
            }
        }
        impl<T: Operand> ops::$trait<T> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: T) -> Tensor {
                self.map(ScalarOp::$op, &[&other.operand(self)])
            }
        }
        // One float and one integer type, so that a literal on the left has one type it can be.
        operator!(@number $trait $method $op f64 i32);
    )*};
    (@number $trait:ident $method:ident $op:ident $($t:ty)*) => {$(
        impl ops::$trait<Tensor> for $t {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                self.operand(&other).map(ScalarOp::$op, &[&other])
            }
        }
        impl ops::$trait<&Tensor> for $t {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                self.operand(other).map(ScalarOp::$op, &[other])
            }
        }
    )*};
}

operator! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div Div;
    Rem rem Rem;
    BitAnd bitand And;
    BitOr bitor Or;
    BitXor bitxor Xor;
    Shl shl Shl;
    Shr shr Shr;
}

macro_rules! prefix {
    ($($trait:ident $method:ident $op:ident;)*) => {$(
        impl ops::$trait for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self) -> Tensor {
                self.map(ScalarOp::$op, &[])
            }
        }
        impl ops::$trait for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self) -> Tensor {
                self.map(ScalarOp::$op, &[])
            }
        }
    )*};
}

prefix! {
    Neg neg Neg;
    Not not Not;
}
