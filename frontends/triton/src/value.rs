//! What names stand for while a kernel is compiled: Python constants, tiles, pointers, functions.

use crate::affine::{Affine, Cond, Range};
use crate::globals::Function;
use girih_base::DType;
use girih_tile::ValueId;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// A value.
#[derive(Clone)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Rc<str>),
    /// An element type: `tl.float32`.
    Type(DType),
    /// `tl.pointer_type(dtype)`.
    PointerType(DType),
    Tensor(Tensor),
    Pointer(Pointer),
    /// A tuple, or a list: nothing in the language changes one.
    Tuple(Rc<Vec<Value>>),
    Dict(Rc<Vec<(Value, Value)>>),
    BlockPointer(Rc<BlockPointer>),
    Function(Arc<Function>),
    Lambda(Rc<Lambda>),
    /// A module, by its dotted name: `triton.language`.
    Module(Rc<str>),
    /// A function of the language, by its row in the table.
    Builtin(&'static crate::builtins::Row),
    /// A method of a value: `x.to`.
    Method(Rc<Value>, &'static crate::builtins::Row),
    /// A Python builtin: `range`, `len`, ...
    Python(&'static str),
    Range(Rc<RangeOf>),
    Slice,
    /// A name that the file imports or computes by means that only Python has.
    Foreign(Rc<str>),
}

/// `range`, `tl.range`, `tl.static_range`.
pub(crate) struct RangeOf {
    pub lo: Value,
    pub hi: Value,
    pub step: Value,
    pub unroll: bool,
}

/// A lambda of a decorator or of a kernel.
pub(crate) struct Lambda {
    pub module: Arc<crate::module::Source>,
    pub params: Vec<String>,
    pub body: ruff_python_ast::Expr,
}

/// A scalar or tile.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub id: ValueId,
    pub dtype: DType,
    pub shape: Vec<u32>,
    /// Integers: the value modulo 2^32 as a sum.
    pub affine: Option<Rc<Affine>>,
    /// 64-bit integers: the value modulo 2^32, i32.
    pub low: Option<ValueId>,
    /// Integers: the values that occur.
    pub range: Option<Range>,
    /// Bools: where it holds.
    pub cond: Option<Rc<Vec<Cond>>>,
}

impl Tensor {
    pub fn new(id: ValueId, dtype: DType, shape: Vec<u32>) -> Tensor {
        Tensor { id, dtype, shape, affine: None, low: None, range: None, cond: None }
    }

    /// Whether every value is known to fit.
    pub fn fits(&self, outer: Range) -> bool {
        self.range.is_some_and(|r| crate::affine::within(r, outer))
    }
}

/// Addresses of elements of one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Pointer {
    /// Index of the kernel's parameter.
    pub param: usize,
    /// What is loaded; of the width of the parameter's elements.
    pub dtype: DType,
    /// Element offsets: a 32-bit integer tensor, exact for elements that exist.
    pub offset: Tensor,
}

/// `tl.make_block_ptr` or a tensor descriptor: a window that is moved by its offsets.
#[derive(Clone, Debug)]
pub(crate) struct BlockPointer {
    pub base: Pointer,
    /// Extents of the tensor.
    pub shape: Vec<Tensor>,
    pub strides: Vec<Tensor>,
    /// Where the window starts.
    pub offsets: Vec<Tensor>,
    pub block: Vec<u32>,
    /// A tensor descriptor: every axis is checked.
    pub descriptor: bool,
    /// Elements outside read as NaN.
    pub nan: bool,
}

impl BlockPointer {
    /// Whether the two differ in their offsets only.
    pub fn same_tensor(&self, other: &BlockPointer) -> bool {
        let same =
            |a: &Tensor, b: &Tensor| a.id == b.id || (a.dtype == b.dtype && a.affine.is_some() && a.affine == b.affine);
        let all = |a: &[Tensor], b: &[Tensor]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
        self.base.param == other.base.param
            && self.base.dtype == other.base.dtype
            && same(&self.base.offset, &other.base.offset)
            && all(&self.shape, &other.shape)
            && all(&self.strides, &other.strides)
            && self.offsets.len() == other.offsets.len()
            && (&self.block, self.descriptor, self.nan) == (&other.block, other.descriptor, other.nan)
    }
}

impl Value {
    pub fn tuple(values: Vec<Value>) -> Value {
        Value::Tuple(Rc::new(values))
    }

    pub fn str(text: impl AsRef<str>) -> Value {
        Value::Str(Rc::from(text.as_ref()))
    }

    /// As the program writes it: texts in quotes.
    pub fn quoted(&self) -> String {
        match self {
            Value::Str(s) => format!("'{s}'"),
            other => other.to_string(),
        }
    }

    /// Known now, without code.
    pub fn is_const(&self) -> bool {
        match self {
            Value::Tensor(_) | Value::Pointer(_) | Value::BlockPointer(_) => false,
            Value::Tuple(v) => v.iter().all(Value::is_const),
            _ => true,
        }
    }

    /// A Python number.
    pub fn is_number(&self) -> bool {
        matches!(self, Value::Bool(_) | Value::Int(_) | Value::Float(_))
    }

    /// The number as Python's `int`.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Value::Int(v) => Some(*v),
            Value::Bool(b) => Some(*b as i128),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(v) => Some(*v),
            other => other.as_int().map(|v| v as f64),
        }
    }

    /// Python's truth of constants; none of what only the run or the host program knows.
    pub fn truth(&self) -> Option<bool> {
        Some(match self {
            Value::None => false,
            Value::Bool(b) => *b,
            Value::Int(v) => *v != 0,
            Value::Float(v) => *v != 0.0,
            Value::Str(s) => !s.is_empty(),
            Value::Tuple(v) => !v.is_empty(),
            Value::Tensor(_) | Value::Pointer(_) | Value::BlockPointer(_) | Value::Foreign(_) => return None,
            _ => true,
        })
    }

    /// Whether two constants are the same; tensors are when they are one value.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::None, Value::None) | (Value::Slice, Value::Slice) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Type(a), Value::Type(b)) | (Value::PointerType(a), Value::PointerType(b)) => a == b,
            (Value::Tensor(a), Value::Tensor(b)) => a.id == b.id,
            (Value::Pointer(a), Value::Pointer(b)) => {
                a.param == b.param && a.dtype == b.dtype && a.offset.id == b.offset.id
            }
            (Value::Tuple(a), Value::Tuple(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same(b)),
            (Value::BlockPointer(a), Value::BlockPointer(b)) => Rc::ptr_eq(a, b),
            (Value::Function(a), Value::Function(b)) => Arc::ptr_eq(a, b),
            (Value::Lambda(a), Value::Lambda(b)) => Rc::ptr_eq(a, b),
            (Value::Module(a), Value::Module(b)) | (Value::Foreign(a), Value::Foreign(b)) => a == b,
            (Value::Builtin(a), Value::Builtin(b)) => std::ptr::eq(*a, *b),
            (Value::Python(a), Value::Python(b)) => a == b,
            (Value::Method(a, x), Value::Method(b, y)) => a.same(b) && std::ptr::eq(*x, *y),
            (Value::Range(a), Value::Range(b)) => Rc::ptr_eq(a, b),
            (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// Triton's name of an element type.
pub(crate) fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "int1",
        DType::I8 => "int8",
        DType::I16 => "int16",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::U8 => "uint8",
        DType::U16 => "uint16",
        DType::U32 => "uint32",
        DType::U64 => "uint64",
        DType::F16 => "fp16",
        DType::Bf16 => "bf16",
        DType::F32 => "fp32",
        DType::F64 => "fp64",
        DType::F8E4M3Fn => "fp8e4nv",
        DType::F8E5M2 => "fp8e5",
        other => other.name(),
    }
}

/// `fp32[64, 32]`.
pub(crate) fn describe_type(dtype: DType, shape: &[u32]) -> String {
    if shape.is_empty() {
        return type_name(dtype).into();
    }
    let extents: Vec<String> = shape.iter().map(u32::to_string).collect();
    format!("{}[{}]", type_name(dtype), extents.join(", "))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => f.write_str("None"),
            Value::Bool(b) => f.write_str(if *b { "True" } else { "False" }),
            Value::Int(v) => write!(f, "{v}"),
            Value::Float(v) => write!(f, "{v:?}"),
            Value::Str(s) => f.write_str(s),
            Value::Type(d) => f.write_str(type_name(*d)),
            Value::PointerType(d) => write!(f, "pointer<{}>", type_name(*d)),
            Value::Tensor(t) => f.write_str(&describe_type(t.dtype, &t.shape)),
            Value::Pointer(p) => {
                write!(f, "pointer<{}>", type_name(p.dtype))?;
                match p.offset.shape.as_slice() {
                    [] => Ok(()),
                    shape => write!(f, "{shape:?}"),
                }
            }
            Value::Tuple(v) => {
                let parts: Vec<String> = v.iter().map(Value::to_string).collect();
                write!(f, "({})", parts.join(", "))
            }
            Value::Dict(_) => f.write_str("a dictionary"),
            Value::BlockPointer(p) => write!(
                f,
                "{}<{}{:?}>",
                if p.descriptor { "tensor_descriptor" } else { "block_pointer" },
                type_name(p.base.dtype),
                p.block
            ),
            Value::Function(x) => write!(f, "function `{}`", x.def.name.id),
            Value::Lambda(_) => f.write_str("a lambda"),
            Value::Module(m) => write!(f, "module `{m}`"),
            Value::Builtin(r) => write!(f, "`tl.{}`", r.name),
            Value::Method(_, r) => write!(f, "method `{}`", r.name),
            Value::Python(n) => write!(f, "`{n}`"),
            Value::Range(_) => f.write_str("a range"),
            Value::Slice => f.write_str("`:`"),
            Value::Foreign(n) => write!(f, "`{n}`, which is not known here"),
        }
    }
}
