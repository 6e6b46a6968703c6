//! What a kernel is compiled for: the types of its arguments and the values of its constants.

use crate::globals::Function;
use crate::value::Value;
use girih_base::DType;
use std::collections::BTreeMap;

/// A constant given to a `tl.constexpr` parameter, or to any parameter that is the same at every launch.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A float.
    Float(f64),
    /// Text.
    Str(String),
    /// An element type, `tl.float32`.
    Type(DType),
    /// A tuple or list.
    Tuple(Vec<Constant>),
    /// A function that the kernel calls: of that module, as the module's resolver knows it, or of the kernel's own file.
    Function {
        /// The module's dotted name; empty for the kernel's own file.
        module: String,
        /// The function's name.
        name: String,
    },
}

/// Where a pointer points to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// To where an earlier argument points, by its name; without it the pointer has a buffer of its own.
    pub alias: Option<String>,
    /// Into the buffer, not to its first element or to where `alias` points: each launch says how many elements come before, and
    /// they are always a multiple of this.
    pub start: Option<u32>,
}

/// What is known of one argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// A pointer to the elements of a buffer.
    Pointer {
        /// Element type.
        dtype: DType,
        /// The number of elements is a multiple of this.
        multiple_of: u32,
        /// Where it points to.
        place: Place,
    },
    /// A tensor descriptor made by the host: rows along the last axis, whose stride is 1.
    Descriptor {
        /// Element type.
        dtype: DType,
        /// Extents of what one load gives.
        block: Vec<u32>,
        /// Elements outside the tensor read as NaN, else as 0.
        nan: bool,
        /// Where the tensor begins.
        place: Place,
    },
    /// A tuple; the arguments in it are known by the tuple's name, a dot and their number: `xs.0`.
    Tuple(Vec<Arg>),
    /// An integer.
    Int {
        /// `i32`, `i64`, `u32` or `u64`.
        dtype: DType,
        /// It is a multiple of this.
        multiple_of: u32,
        /// It is not negative, and at most 2^30: sizes and strides can be expressed by it.
        size: bool,
    },
    /// A float, `f32` or `f64`.
    Float(DType),
    /// The same at every launch.
    Constant(Constant),
}

/// Types and constants of a kernel's arguments, by name, and facts of the launch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// By parameter name; parameters with defaults may be missing.
    pub args: BTreeMap<String, Arg>,
    /// Which axes of the grid have one program only.
    pub single: [bool; 3],
    /// Assertions are tested, as with `@triton.jit(debug=True)`; see [`debug_wanted`].
    pub debug: bool,
    /// What the compiler may assume of launches.
    pub assume: Assume,
}

/// What the compiler may assume of launches. Whoever launches the kernel tests [`Kernel::holds`](crate::Kernel::holds), or lets
/// [`Forms`](crate::Forms) do it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Assume {
    /// Nothing: the kernel is right at every launch.
    #[default]
    Nothing,
    /// Divisors of indices are positive, as they are where the grid fits the sizes.
    Grid,
    /// Whatever holds at this launch: that blocks are whole, for example.
    Launch(Launch),
}

/// The numbers of a launch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Launch {
    /// Extents of the grid along x, y, z.
    pub grid: [u32; 3],
    /// Integers by the parameter's name.
    pub sizes: BTreeMap<String, i64>,
}

/// A parameter of a kernel, as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Annotated `tl.constexpr`.
    pub constexpr: bool,
    /// It has a default value.
    pub default: bool,
    /// The annotation's text, if it names a type: `*fp32`, `i32`.
    pub annotation: Option<String>,
}

/// Whether `TRITON_DEBUG` asks for assertions in every kernel.
pub fn debug_wanted() -> bool {
    std::env::var("TRITON_DEBUG").is_ok_and(|v| matches!(v.to_lowercase().as_str(), "1" | "true" | "on" | "yes"))
}

impl Arg {
    /// A pointer of which nothing more is known.
    pub fn pointer(dtype: DType) -> Arg {
        Arg::Pointer { dtype, multiple_of: 1, place: Place::default() }
    }

    /// A size: an i32 that is not negative.
    pub fn size() -> Arg {
        Arg::Int { dtype: DType::I32, multiple_of: 1, size: true }
    }

    /// An i32 of any value.
    pub fn int() -> Arg {
        Arg::Int { dtype: DType::I32, multiple_of: 1, size: false }
    }
}

impl Signature {
    /// An empty signature.
    pub fn new() -> Signature {
        Signature::default()
    }

    /// With one more argument.
    pub fn arg(mut self, name: &str, arg: Arg) -> Signature {
        self.args.insert(name.into(), arg);
        self
    }

    /// With one more constant.
    pub fn constant(self, name: &str, value: impl Into<Constant>) -> Signature {
        self.arg(name, Arg::Constant(value.into()))
    }
}

macro_rules! from {
    ($($t:ty, $v:ident => $e:expr;)*) => {$(
        impl From<$t> for Constant {
            fn from($v: $t) -> Constant { $e }
        }
    )*};
}
from! {
    bool, v => Constant::Bool(v);
    i32, v => Constant::Int(v as i128);
    i64, v => Constant::Int(v as i128);
    u32, v => Constant::Int(v as i128);
    usize, v => Constant::Int(v as i128);
    f64, v => Constant::Float(v);
    &str, v => Constant::Str(v.into());
    DType, v => Constant::Type(v);
}

impl Constant {
    /// The value; none for a function, which the evaluator finds.
    pub(crate) fn value(&self) -> Option<Value> {
        Some(match self {
            Constant::Function { .. } => return None,
            Constant::None => Value::None,
            Constant::Bool(v) => Value::Bool(*v),
            Constant::Int(v) => Value::Int(*v),
            Constant::Float(v) => Value::Float(*v),
            Constant::Str(v) => Value::str(v),
            Constant::Type(v) => Value::Type(*v),
            Constant::Tuple(v) => Value::tuple(v.iter().map(Constant::value).collect::<Option<_>>()?),
        })
    }

    pub(crate) fn of(value: &Value) -> Option<Constant> {
        Some(match value {
            Value::None => Constant::None,
            Value::Bool(v) => Constant::Bool(*v),
            Value::Int(v) => Constant::Int(*v),
            Value::Float(v) => Constant::Float(*v),
            Value::Str(v) => Constant::Str(v.to_string()),
            Value::Type(v) => Constant::Type(*v),
            Value::Tuple(v) => Constant::Tuple(v.iter().map(Constant::of).collect::<Option<_>>()?),
            _ => return None,
        })
    }
}

/// The parameters of a function, as declared.
pub(crate) fn parameters(function: &Function) -> Vec<Parameter> {
    use ruff_python_ast::Expr;
    fn is_constexpr(e: &Expr) -> bool {
        match e {
            Expr::Name(n) => n.id.as_str() == "constexpr",
            Expr::Attribute(a) => a.attr.id.as_str() == "constexpr",
            Expr::StringLiteral(s) => s.value.to_str().ends_with("constexpr"),
            _ => false,
        }
    }
    let one = |p: &ruff_python_ast::ParameterWithDefault| {
        let annotation = p.parameter.annotation.as_deref();
        Parameter {
            name: p.parameter.name.id.to_string(),
            constexpr: annotation.is_some_and(is_constexpr),
            default: p.default.is_some(),
            annotation: annotation.and_then(|e| match e {
                Expr::StringLiteral(s) => Some(s.value.to_str().to_string()),
                _ => None,
            }),
        }
    };
    function.def.parameters.iter_non_variadic_params().map(one).collect()
}
