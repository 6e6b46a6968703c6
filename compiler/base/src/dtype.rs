//! Element types: one row each.

pub use crate::page::dtypes as markdown;

use serde::{Deserialize, Serialize};
use std::fmt;

/// The arithmetic family an element type belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Truth values.
    Bool,
    /// Two's complement integers.
    Signed,
    /// Unsigned integers.
    Unsigned,
    /// Floating point.
    Float,
}

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $bits:literal $class:ident acc $acc:ident;)*) => {
        /// The type of one tensor element.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum DType { $($(#[$doc])* $variant,)* }

        impl DType {
            /// Every dtype, in table order.
            pub const ALL: &'static [DType] = &[$(DType::$variant),*];

            /// The name used in every text form.
            pub const fn name(self) -> &'static str { match self { $(DType::$variant => $name),* } }

            /// Size of one element in bits. Types below 8 bits are packed little-end first.
            pub const fn bits(self) -> u32 { match self { $(DType::$variant => $bits),* } }

            /// The arithmetic family.
            pub const fn class(self) -> Class { match self { $(DType::$variant => Class::$class),* } }

            /// The type sums and dot products of this type accumulate in unless the operation says otherwise.
            pub const fn accumulator(self) -> DType { match self { $(DType::$variant => DType::$acc),* } }

            /// The dtype of that name.
            pub fn from_name(name: &str) -> Option<DType> { match name { $($name => Some(DType::$variant),)* _ => None } }
        }
    };
}

dtypes! {
    /// Truth value; one byte in memory, 0 or 1.
    Bool "bool" 8 Bool acc I32;
    /// 4-bit two's complement.
    I4 "i4" 4 Signed acc I32;
    /// 4-bit unsigned.
    U4 "u4" 4 Unsigned acc U32;
    /// 8-bit two's complement.
    I8 "i8" 8 Signed acc I32;
    /// 8-bit unsigned.
    U8 "u8" 8 Unsigned acc U32;
    /// 16-bit two's complement.
    I16 "i16" 16 Signed acc I32;
    /// 16-bit unsigned.
    U16 "u16" 16 Unsigned acc U32;
    /// 32-bit two's complement.
    I32 "i32" 32 Signed acc I32;
    /// 32-bit unsigned.
    U32 "u32" 32 Unsigned acc U32;
    /// 64-bit two's complement.
    I64 "i64" 64 Signed acc I64;
    /// 64-bit unsigned.
    U64 "u64" 64 Unsigned acc U64;
    /// OCP MX 4-bit float, 2 exponent bits: 0 .5 1 1.5 2 3 4 6, no Inf, no NaN.
    F4E2M1 "f4e2m1" 4 Float acc F32;
    /// OCP 8-bit float, 4 exponent bits, no Inf, largest 448.
    F8E4M3Fn "f8e4m3fn" 8 Float acc F32;
    /// OCP 8-bit float, 5 exponent bits, IEEE-like, largest 57344.
    F8E5M2 "f8e5m2" 8 Float acc F32;
    /// OCP MX scale: a power of two, 2^(code - 127); 255 is NaN.
    F8E8M0 "f8e8m0" 8 Float acc F32;
    /// IEEE binary16.
    F16 "f16" 16 Float acc F32;
    /// bfloat16.
    Bf16 "bf16" 16 Float acc F32;
    /// IEEE binary32.
    F32 "f32" 32 Float acc F32;
    /// IEEE binary64.
    F64 "f64" 64 Float acc F64;
}

impl DType {
    /// Whether the class is [`Class::Float`].
    pub const fn is_float(self) -> bool {
        matches!(self.class(), Class::Float)
    }

    /// Whether the class is signed or unsigned integer (not bool).
    pub const fn is_int(self) -> bool {
        matches!(self.class(), Class::Signed | Class::Unsigned)
    }

    /// Whether negative values exist.
    pub const fn is_signed(self) -> bool {
        matches!(self.class(), Class::Signed | Class::Float)
    }

    /// Bytes that `count` elements take, sub-byte types packed; `u64::MAX` where that does not fit.
    pub const fn bytes_for(self, count: u64) -> u64 {
        let bytes = (count as u128 * self.bits() as u128).div_ceil(8);
        if bytes > u64::MAX as u128 { u64::MAX } else { bytes as u64 }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
