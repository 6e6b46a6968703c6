//! The data types of SIMT IR: kernels, arrays, values and statements.

use crate::op::Op;
use girih_base::{DType, Dim, Loc};
use std::sync::Arc;

/// A kernel: one body run by every thread of every workgroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Name, a valid identifier.
    pub name: String,
    /// Storage buffers, in binding order.
    pub buffers: Vec<Buffer>,
    /// Run-time symbols that arrive as u32 uniforms, in order.
    pub uniforms: Vec<Arc<str>>,
    /// Arrays in workgroup memory.
    pub shared: Vec<Shared>,
    /// Mutable variables of a thread.
    pub locals: Vec<Local>,
    /// Threads of a workgroup along x, y, z.
    pub workgroup: [u32; 3],
    /// Number of workgroups, all axes multiplied; the body sees its index as [`Builtin::WorkgroupIndex`](crate::Builtin::WorkgroupIndex).
    pub groups: Dim,
    /// Every value's type, indexed by [`ValueId`].
    pub values: Vec<Value>,
    /// What one thread does.
    pub body: Vec<Stmt>,
}

/// A storage buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Name; unique among buffers, shared arrays and locals.
    pub name: Arc<str>,
    /// Type of one array element: a scalar or vector that the target can store (narrow types arrive packed in u32).
    pub elem: Ty,
    /// The kernel writes it.
    pub written: bool,
    /// It may be bound read-only (weights, inputs).
    pub read_only: bool,
}

/// An array in workgroup memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// Name.
    pub name: Arc<str>,
    /// Element type.
    pub elem: Ty,
    /// Number of elements.
    pub len: u32,
}

/// A mutable variable of one thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// Name.
    pub name: Arc<str>,
    /// Type of the variable or of one element.
    pub elem: Ty,
    /// Number of elements when it is an array.
    pub len: Option<u32>,
}

/// A scalar (`lanes` 1) or short vector (2, 3, 4) type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ty {
    /// Component type: bool, i32, u32, f32, and where the target has them f16, i64, u64, f64.
    pub dtype: DType,
    /// Components.
    pub lanes: u8,
}

/// An SSA value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// What is known of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its type.
    pub ty: Ty,
    /// The user's name, if any.
    pub name: Option<Arc<str>>,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// The value it defines, if any.
    pub result: Option<ValueId>,
    /// The operation.
    pub op: Op,
    /// Where the user wrote it.
    pub loc: Loc,
}

impl Ty {
    /// A scalar type.
    pub const fn scalar(dtype: DType) -> Ty {
        Ty { dtype, lanes: 1 }
    }

    /// A vector type.
    pub const fn vec(dtype: DType, lanes: u8) -> Ty {
        Ty { dtype, lanes }
    }
}
