//! The data types of Tile IR: kernels, parameters, values and views.

use crate::op::Op;
use girih_base::{DType, Dim, Loc};
use std::sync::Arc;

/// A kernel: buffers in, buffers out, one body run for every point of the grid, in no particular order.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Name, a valid identifier.
    pub name: String,
    /// The buffers, in binding order. Different parameters never overlap.
    pub params: Vec<Param>,
    /// Numbers given at launch, bound by name: an integer by its value, a float by its bits.
    pub scalars: Vec<Scalar>,
    /// Number of program instances along each grid axis; any number of axes.
    pub grid: Vec<Dim>,
    /// Every value's type, indexed by [`ValueId`].
    pub values: Vec<Value>,
    /// What one instance does.
    pub body: Block,
}

/// A buffer parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Name shown in generated code; unique within the kernel.
    pub name: Arc<str>,
    /// Element type as stored (sub-byte types packed; block-quantised data is `u8`).
    pub dtype: DType,
    /// Number of elements.
    pub len: Dim,
    /// What the kernel does with it.
    pub access: Access,
    /// It never changes while a plan runs (a weight or an input): a target may bind it read-only.
    pub constant: bool,
}

/// A number given at launch. What sizes depend on are symbols instead; a scalar may have any value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Name of the binding; an identifier, unique among scalars and symbols.
    pub name: Arc<str>,
    /// Element type: i32, u32, i64, u64, f32 or f64.
    pub dtype: DType,
}

/// How a parameter is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only read.
    Read,
    /// Only written.
    Write,
    /// Both.
    ReadWrite,
}

/// An SSA value of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// What is known of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its type.
    pub ty: TileTy,
    /// The user's name, if any.
    pub name: Option<Arc<str>>,
}

/// Element type and shape of a value; a scalar has no axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TileTy {
    /// Element type.
    pub dtype: DType,
    /// Extent of each axis. GPU targets want powers of two, the CPU takes any.
    pub shape: Vec<u32>,
}

/// Statements in order, with the values that enter and leave a region.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Values defined on entry (loop variable, carried values, combine operands).
    pub params: Vec<ValueId>,
    /// The statements.
    pub stmts: Vec<Stmt>,
    /// Values handed out at the end.
    pub results: Vec<ValueId>,
}

/// One operation and the values it defines.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// Defined values; stores define none, loops and folds may define several.
    pub results: Vec<ValueId>,
    /// The operation.
    pub op: Op,
    /// Where the user wrote it.
    pub loc: Loc,
}

/// How coordinates become element offsets in a buffer: `offset + sum coords[i] * axes[i].stride`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// Element offset of coordinate zero (may be negative where guards keep accesses inside).
    pub offset: Dim,
    /// One per tile axis.
    pub axes: Vec<ViewAxis>,
    /// Further conditions for an element to exist (padding, windows).
    pub guards: Vec<Guard>,
}

/// One axis of a view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewAxis {
    /// Coordinates `0..extent` exist.
    pub extent: Dim,
    /// Elements between neighbours; 0 repeats one element.
    pub stride: Dim,
    /// Proof that every access along this axis is inside, so that no check is needed.
    pub inside: bool,
}

/// An element exists only where `0 <= base + sum coeffs[i] * coords[i] < extent`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Guard {
    /// Constant part.
    pub base: Dim,
    /// Factor of each view axis.
    pub coeffs: Vec<i64>,
    /// Exclusive upper end.
    pub extent: Dim,
}

impl TileTy {
    /// A scalar type.
    pub fn scalar(dtype: DType) -> TileTy {
        TileTy { dtype, shape: Vec::new() }
    }

    /// A tile type.
    pub fn new(dtype: DType, shape: impl Into<Vec<u32>>) -> TileTy {
        TileTy { dtype, shape: shape.into() }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().map(|e| *e as usize).product()
    }

    /// The same shape with another element type.
    pub fn with_dtype(&self, dtype: DType) -> TileTy {
        TileTy { dtype, shape: self.shape.clone() }
    }
}

impl View {
    /// Row-major view of a whole tensor; every access is checked.
    pub fn contiguous(shape: &[Dim]) -> View {
        let mut stride = Dim::ONE;
        let mut axes = Vec::new();
        for extent in shape.iter().rev() {
            axes.push(ViewAxis { extent: extent.clone(), stride: stride.clone(), inside: false });
            stride = &stride * extent;
        }
        axes.reverse();
        View { offset: Dim::ZERO, axes, guards: Vec::new() }
    }
}
