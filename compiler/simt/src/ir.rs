//! The data types of SIMT IR.

pub use girih_base::{AtomicOp, Literal};
use girih_base::{DType, Dim, Loc, ScalarOp};
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
    /// Number of workgroups, all axes multiplied; the body sees its index as [`Builtin::WorkgroupIndex`].
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

/// Values the hardware provides, all u32 scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// Index of the workgroup, `0..groups`.
    WorkgroupIndex,
    /// Index of the thread in its workgroup.
    LocalIndex,
    /// Threads of a subgroup.
    SubgroupSize,
    /// Index of the thread in its subgroup.
    SubgroupLane,
}

/// An array that loads and stores reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// A storage buffer.
    Buffer(u32),
    /// A workgroup array.
    Shared(u32),
    /// A local array.
    Local(u32),
}

/// Operations across the threads of a subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubgroupOp {
    /// Sum over all threads.
    Add,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// The value of lane `lane xor n`.
    ShuffleXor(u32),
    /// The value of lane 0.
    BroadcastFirst,
}

/// The operations.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A literal; every component of a vector.
    Const(Literal),
    /// A run-time symbol as u32.
    Uniform(u32),
    /// A hardware value.
    Builtin(Builtin),
    /// A scalar operation, component by component.
    Map(ScalarOp, Vec<ValueId>),
    /// Value conversion between 32-bit (and wider) types.
    Cast(ValueId),
    /// Bit reinterpretation at equal width.
    Bitcast(ValueId),
    /// A vector from scalars, or from one scalar repeated.
    MakeVec(Vec<ValueId>),
    /// A component chosen now.
    Component(ValueId, u8),
    /// A component chosen at run time (u32 scalar).
    ComponentAt(ValueId, ValueId),
    /// Two f32 from the f16 halves of a u32 (low half first).
    UnpackHalf(ValueId),
    /// A u32 from two f32, rounded to f16 (low half first).
    PackHalf(ValueId),
    /// Reads an array element by u32 index.
    Load(Space, ValueId),
    /// Writes an array element.
    Store(Space, ValueId, ValueId),
    /// Reads a scalar local variable.
    Get(u32),
    /// Writes a scalar local variable.
    Set(u32, ValueId),
    /// Read-modify-write; the result is the old element.
    Atomic(AtomicOp, Space, ValueId, ValueId),
    /// Atomic compare and exchange of a u32: space, index, expected, new; the result is the old element.
    CompareExchange(Space, ValueId, ValueId, ValueId),
    /// All threads of the workgroup arrive before any goes on; workgroup and storage writes are visible then.
    Barrier,
    /// An operation across the subgroup.
    Subgroup(SubgroupOp, ValueId),
    /// Runs a region when the bool holds, else the other.
    If(ValueId, Vec<Stmt>, Vec<Stmt>),
    /// `for (var i = lo; i < hi; i += step)`, all u32; the loop variable is defined by the statement's own `Index` value.
    For {
        /// The loop variable, a u32 value defined inside the body.
        index: ValueId,
        /// First value.
        lo: ValueId,
        /// Exclusive end.
        hi: ValueId,
        /// Step, positive.
        step: u32,
        /// Whether every thread of the workgroup makes the same rounds (so that barriers may occur inside).
        uniform: bool,
        /// The body.
        body: Vec<Stmt>,
    },
    /// Repeats until a `Break`.
    Loop(Vec<Stmt>),
    /// Leaves the innermost loop.
    Break,
    /// Goes on with the next round of the innermost loop.
    Continue,
    /// Ends the thread.
    Return,
    /// A remark kept in generated source.
    Comment(Arc<str>),
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

impl Op {
    /// The values this operation reads, not counting those inside its regions.
    pub fn operands(&self) -> Vec<ValueId> {
        match self {
            Op::Const(_) | Op::Uniform(_) | Op::Builtin(_) | Op::Get(_) | Op::Barrier | Op::Loop(_) => Vec::new(),
            Op::Break | Op::Continue | Op::Return | Op::Comment(_) => Vec::new(),
            Op::Map(_, args) | Op::MakeVec(args) => args.clone(),
            Op::Cast(x) | Op::Bitcast(x) | Op::Component(x, _) | Op::UnpackHalf(x) | Op::PackHalf(x) => vec![*x],
            Op::Load(_, x) | Op::Set(_, x) | Op::Subgroup(_, x) | Op::If(x, ..) => vec![*x],
            Op::ComponentAt(x, y) | Op::Store(_, x, y) | Op::Atomic(_, _, x, y) => vec![*x, *y],
            Op::CompareExchange(_, x, y, z) => vec![*x, *y, *z],
            Op::For { lo, hi, .. } => vec![*lo, *hi],
        }
    }

    /// The array this operation reaches.
    pub fn space(&self) -> Option<Space> {
        match self {
            Op::Load(s, _) | Op::Store(s, ..) | Op::Atomic(_, s, ..) | Op::CompareExchange(s, ..) => Some(*s),
            _ => None,
        }
    }

    /// The regions of this operation.
    pub fn blocks(&self) -> Vec<&[Stmt]> {
        match self {
            Op::If(_, then, otherwise) => vec![then, otherwise],
            Op::For { body, .. } | Op::Loop(body) => vec![body],
            _ => Vec::new(),
        }
    }
}
