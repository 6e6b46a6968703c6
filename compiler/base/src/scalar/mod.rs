//! The scalar-operation table: everything the compiler knows about `add`, `exp` or `select`, one row each.
//!
//! Every IR embeds [`ScalarOp`] as a single node kind. Names, arity, dtype inference, reference meaning,
//! derivatives, expansion into core operations and WGSL spelling are read from the row; **adding an operation is
//! one row in [`table`] and no other edit**.

mod eval;
pub mod expr;
pub mod special;
pub mod table;
#[cfg(test)]
mod tests;

pub use eval::eval;
pub use table::ScalarOp;

use crate::DType;
use crate::dtype::Class;

/// Which element types an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    /// Floats only.
    Float,
    /// Signed and unsigned integers only.
    Int,
    /// Integers and floats.
    Number,
    /// Integers and bool.
    Bits,
    /// Bool only.
    Bool,
    /// Anything; all operands alike.
    Any,
    /// `select`: a bool, then two of any one type.
    Select,
}

impl Operands {
    /// Whether operands (for `select`, the last two) may have this dtype.
    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            Operands::Float => dtype.is_float(),
            Operands::Int => dtype.is_int(),
            Operands::Number => dtype.is_float() || dtype.is_int(),
            Operands::Bits => dtype.is_int() || dtype == DType::Bool,
            Operands::Bool => dtype == DType::Bool,
            Operands::Any | Operands::Select => true,
        }
    }

    /// In words, for messages and documentation.
    pub fn describe(self) -> &'static str {
        match self {
            Operands::Float => "a float",
            Operands::Int => "an integer",
            Operands::Number => "a number",
            Operands::Bits => "an integer or bool",
            Operands::Bool => "bool",
            Operands::Any | Operands::Select => "any dtype",
        }
    }
}

/// The element type of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// As the last operand.
    Same,
    /// Bool.
    Bool,
}

/// The exact meaning of an operation, on mathematical values before rounding or wrapping to the dtype.
#[derive(Clone, Copy, Default)]
pub struct Meaning {
    /// On floats.
    pub float: Option<fn(&[f64]) -> f64>,
    /// On integers (and bool as 0 and 1); the result is wrapped to the dtype afterwards.
    pub int: Option<fn(&[i128], IntType) -> i128>,
    /// Comparisons of floats; integers compare through `int`.
    pub test: Option<fn(&[f64]) -> bool>,
}

/// The integer type a meaning is evaluated at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntType {
    /// Width in bits.
    pub bits: u32,
    /// Two's complement or unsigned.
    pub signed: bool,
}

impl IntType {
    /// The integer type of a dtype; bool counts as one unsigned bit, floats have none.
    pub fn of(dtype: DType) -> Option<IntType> {
        match dtype.class() {
            Class::Bool => Some(IntType { bits: 1, signed: false }),
            Class::Signed => Some(IntType { bits: dtype.bits(), signed: true }),
            Class::Unsigned => Some(IntType { bits: dtype.bits(), signed: false }),
            Class::Float => None,
        }
    }

    /// Keeps the low bits, as the machine does.
    pub fn wrap(self, value: i128) -> i128 {
        let spare = 128 - self.bits;
        if self.signed { value << spare >> spare } else { self.bits_of(value) }
    }

    /// The bits of a value as a non-negative number.
    pub fn bits_of(self, value: i128) -> i128 {
        value & ((1 << self.bits) - 1)
    }

    /// The smallest value.
    pub fn min(self) -> i128 {
        if self.signed { -1 << (self.bits - 1) } else { 0 }
    }

    /// The largest value.
    pub fn max(self) -> i128 {
        (1 << (self.bits - self.signed as u32)) - 1
    }
}

/// How far a target's result may lie from the exact one.
///
/// GPUs may take numbers below the smallest normal one, 2^-126 in f32, for zero: operands, results and what an operation computes
/// on the way (WGSL allows it, and drivers do either). There an error of `2^-126 max(1, |x|)` comes on top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accuracy {
    /// Correctly rounded, or an integer operation.
    Exact,
    /// Within this many units in the last place of f32.
    Ulp(f64),
    /// Within `a + b * |x|` units in the last place of f32, where x is the operand (WGSL's rule for `exp`).
    UlpGrowing(f64, f64),
    /// Within this absolute error, or the given ULPs where that is larger (WGSL's rule for `sin` near its zeros).
    AbsOrUlp(f64, f64),
}

/// How WGSL spells the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wgsl {
    /// An infix operator: `a + b`.
    Infix(&'static str),
    /// A prefix operator: `-a`.
    Prefix(&'static str),
    /// A builtin function: `exp(a)`.
    Call(&'static str),
    /// The emitter has a case of its own, since the builtin is not safe or not there (say why in the emitter).
    Special,
    /// Not a core operation: the expansion is emitted.
    Expand,
}

/// One row of the table.
#[derive(Clone, Copy)]
pub struct Row {
    /// Name in every text form.
    pub name: &'static str,
    /// Number of operands.
    pub arity: usize,
    /// Accepted element types.
    pub operands: Operands,
    /// Result element type.
    pub output: Output,
    /// Exact meaning.
    pub meaning: Meaning,
    /// Partial derivative by each operand, as an expression over `x y z`, the result `r`; `0` where it has none.
    pub partials: &'static [&'static str],
    /// The WGSL spelling.
    pub wgsl: Wgsl,
    /// The error bound of a conforming target, on f32.
    pub accuracy: Accuracy,
    /// The operation as an expression over core operations, for targets without it.
    pub expand: Option<&'static str>,
    /// One line for the documentation page.
    pub doc: &'static str,
}

impl ScalarOp {
    /// The name used in every text form.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<ScalarOp> {
        ScalarOp::ALL.iter().copied().find(|op| op.row().name == name)
    }

    /// Number of operands.
    pub fn arity(self) -> usize {
        self.row().arity
    }

    /// The result dtype, or which operand is wrong and what would be right.
    pub fn infer(self, operands: &[DType]) -> Result<DType, String> {
        let row = self.row();
        if operands.len() != row.arity {
            return Err(format!("`{}` takes {} operands, got {}", row.name, row.arity, operands.len()));
        }
        let (head, same) = match row.operands {
            Operands::Select => (Some(operands[0]), &operands[1..]),
            _ => (None, operands),
        };
        if head.is_some_and(|d| d != DType::Bool) {
            return Err(format!("the condition of `{}` must be bool, got {}", row.name, operands[0]));
        }
        let dtype = same[0];
        if let Some(other) = same.iter().find(|d| **d != dtype) {
            return Err(format!("`{}` takes operands of one dtype, got {dtype} and {other}", row.name));
        }
        if !row.operands.accepts(dtype) {
            return Err(format!("`{}` takes {}, got {dtype}", row.name, row.operands.describe()));
        }
        Ok(match row.output {
            Output::Same => dtype,
            Output::Bool => DType::Bool,
        })
    }
}
