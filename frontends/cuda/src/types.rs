//! C++ types of device code, their sizes, and the usual arithmetic conversions.

use girih_base::DType;
use std::rc::Rc;

/// Fundamental types; sizes are those of 64-bit Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "named as in C++")]
pub enum Scalar {
    Bool,
    Char,
    SChar,
    UChar,
    Short,
    UShort,
    Int,
    UInt,
    Long,
    ULong,
    LongLong,
    ULongLong,
    Half,
    Bf16,
    Float,
    Double,
}

use Scalar::*;

impl Scalar {
    /// Bytes.
    pub fn size(self) -> u32 {
        match self {
            Bool | Char | SChar | UChar => 1,
            Short | UShort | Half | Bf16 => 2,
            Int | UInt | Float => 4,
            Long | ULong | LongLong | ULongLong | Double => 8,
        }
    }

    /// The dtype of a number that is passed to a kernel.
    pub fn dtype(self) -> DType {
        match self {
            Bool => DType::Bool,
            Char | SChar => DType::I8,
            UChar => DType::U8,
            Short => DType::I16,
            UShort => DType::U16,
            Half => DType::F16,
            Bf16 => DType::Bf16,
            Int => DType::I32,
            UInt => DType::U32,
            Float => DType::F32,
            Long | LongLong => DType::I64,
            ULong | ULongLong => DType::U64,
            Double => DType::F64,
        }
    }

    /// Whether it is a float of any width.
    pub fn is_float(self) -> bool {
        matches!(self, Half | Bf16 | Float | Double)
    }

    /// Whether it is an integer or bool.
    pub fn is_int(self) -> bool {
        !self.is_float()
    }

    /// Whether negative values exist.
    pub fn signed(self) -> bool {
        matches!(self, Char | SChar | Short | Int | Long | LongLong) || self.is_float()
    }

    /// A 64-bit integer.
    pub fn wide(self) -> bool {
        matches!(self, Long | ULong | LongLong | ULongLong)
    }

    /// Half or bfloat16.
    pub fn narrow_float(self) -> bool {
        matches!(self, Half | Bf16)
    }

    /// The integer promotions (C++17 [conv.prom]).
    pub fn promote(self) -> Scalar {
        match self {
            Bool | Char | SChar | UChar | Short | UShort => Int,
            other => other,
        }
    }

    fn rank(self) -> u32 {
        match self {
            LongLong | ULongLong => 3,
            Long | ULong => 2,
            _ => 1,
        }
    }

    /// The usual arithmetic conversions (C++17 [expr.arith.conv]); half and bfloat16 win over integers, as their operators do.
    pub fn common(self, other: Scalar) -> Scalar {
        let (a, b) = (self.promote(), other.promote());
        if a == b {
            return a;
        }
        for f in [Double, Float, Half, Bf16] {
            if a == f || b == f {
                return f;
            }
        }
        if a.signed() == b.signed() {
            return if a.rank() >= b.rank() { a } else { b };
        }
        let (s, u) = if a.signed() { (a, b) } else { (b, a) };
        if u.rank() >= s.rank() {
            u
        } else if s.size() > u.size() {
            s
        } else {
            // Long long against unsigned long.
            ULongLong
        }
    }

    /// Keeps the bits that an integer of this type has.
    pub fn wrap(self, v: i128) -> i128 {
        if self == Bool {
            return (v != 0) as i128;
        }
        let spare = 128 - self.size() * 8;
        if self.signed() { v << spare >> spare } else { ((v as u128) << spare >> spare) as i128 }
    }

    /// The C++ name.
    pub fn name(self) -> &'static str {
        match self {
            Bool => "bool",
            Char => "char",
            SChar => "signed char",
            UChar => "unsigned char",
            Short => "short",
            UShort => "unsigned short",
            Int => "int",
            UInt => "unsigned int",
            Long => "long",
            ULong => "unsigned long",
            LongLong => "long long",
            ULongLong => "unsigned long long",
            Half => "__half",
            Bf16 => "__nv_bfloat16",
            Float => "float",
            Double => "double",
        }
    }
}

/// What a cooperative group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// `thread_block`.
    Block,
    /// `thread_block_tile<n>` and the results of `tiled_partition`.
    Tile(u32),
    /// `coalesced_group`.
    Coalesced,
    /// `grid_group`.
    Grid,
}

/// A resolved type. Constness is not kept: nothing here depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `void`.
    Void,
    /// A fundamental type.
    Scalar(Scalar),
    /// `float4` and its like.
    Vector(Scalar, u8),
    /// An instantiated struct.
    Struct(u32),
    /// A pointer.
    Pointer(Rc<Type>),
    /// An array.
    Array(Rc<Type>, u32),
    /// A lambda, by its number.
    Lambda(u32),
    /// A cooperative group.
    Group(Group),
    /// A built-in function object, such as `cg::plus`.
    Functor(&'static str),
    /// A function used as a value, by its name; empty for any.
    Callable(std::sync::Arc<str>),
    /// `nullptr_t`.
    Null,
    /// A texture or surface object.
    Texture,
    /// A WMMA fragment: use, element, and the shape m, n, k; whether a matrix operand is stored by rows.
    Fragment(Use, Scalar, [u32; 3], bool),
}

/// What a fragment is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// `matrix_a`.
    A,
    /// `matrix_b`.
    B,
    /// `accumulator`.
    Accumulator,
}

impl Type {
    /// A pointer to this.
    pub fn pointer(self) -> Type {
        Type::Pointer(Rc::new(self))
    }

    /// The fundamental type, if it is one.
    pub fn scalar(&self) -> Option<Scalar> {
        match self {
            Type::Scalar(s) => Some(*s),
            _ => None,
        }
    }
}

/// Vector types by name.
pub fn vector(name: &str) -> Option<Type> {
    let fixed = match name {
        "half2" | "__half2" | "__half2_raw" => Some((Half, 2)),
        "nv_bfloat162" | "__nv_bfloat162" | "bfloat162" => Some((Bf16, 2)),
        "dim3" => Some((UInt, 3)),
        "cuComplex" | "cuFloatComplex" | "cufftComplex" => Some((Float, 2)),
        "cuDoubleComplex" | "cufftDoubleComplex" => Some((Double, 2)),
        _ => None,
    };
    if let Some((s, n)) = fixed {
        return Some(Type::Vector(s, n));
    }
    let (stem, lanes) = name.split_at_checked(name.len().checked_sub(1)?)?;
    let lanes = lanes.parse::<u8>().ok().filter(|n| (1..=4).contains(n))?;
    let scalar = match stem {
        "char" => SChar,
        "uchar" => UChar,
        "short" => Short,
        "ushort" => UShort,
        "int" => Int,
        "uint" => UInt,
        "long" => Long,
        "ulong" => ULong,
        "longlong" => LongLong,
        "ulonglong" => ULongLong,
        "float" => Float,
        "double" => Double,
        _ => return None,
    };
    Some(Type::Vector(scalar, lanes))
}

/// Fundamental types that have names instead of keywords.
pub fn named_scalar(name: &str) -> Option<Scalar> {
    Some(match name {
        "size_t" | "uintptr_t" | "uint64_t" | "ulong" | "uint_fast64_t" => ULong,
        "int64_t" | "ptrdiff_t" | "ssize_t" | "intptr_t" => Long,
        "int32_t" | "int_fast32_t" => Int,
        "uint32_t" | "uint" | "cudaTextureObject_t_" => UInt,
        "int16_t" => Short,
        "uint16_t" | "ushort" => UShort,
        "int8_t" => SChar,
        "uint8_t" | "uchar" => UChar,
        "half" | "__half" | "half_t" => Half,
        "__nv_bfloat16" | "nv_bfloat16" | "__bfloat16" | "bfloat16" => Bf16,
        "wchar_t" => Int,
        _ => return None,
    })
}
