//! The data types of Tile IR.

pub use girih_base::{AtomicOp, Literal};
use girih_base::{DType, Dim, Loc, ScalarOp};
use std::sync::Arc;

/// A kernel: buffers in, buffers out, one body run for every point of the grid, in no particular order.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Name, a valid identifier.
    pub name: String,
    /// The buffers, in binding order. Different parameters never overlap.
    pub params: Vec<Param>,
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

/// How [`Op::Reduce`] and [`Op::Scan`] combine.
#[derive(Clone, Debug, PartialEq)]
pub enum Combine {
    /// A scalar operation that is associative and commutative: add, mul, min, max, and, or, xor. One operand.
    Scalar(ScalarOp),
    /// Any associative body over (left.., right..), all scalars; not assumed commutative.
    Body(Block),
}

/// The operations.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// This instance's coordinate along a grid axis, an i32 scalar.
    ProgramId(usize),
    /// A literal scalar or tile (every element).
    Const(Literal),
    /// A run-time size, an i32 scalar.
    Size(Dim),
    /// A scalar operation, element by element; operands have one shape.
    Map(ScalarOp, Vec<ValueId>),
    /// Value conversion (Graph IR's `Cast`).
    Cast(ValueId),
    /// Bit reinterpretation at equal width.
    Bitcast(ValueId),
    /// A scalar repeated to a tile.
    Splat(ValueId),
    /// The coordinate along `axis`, i32.
    Arange(usize),
    /// The same elements in row-major order.
    Reshape(ValueId),
    /// Result axis `i` is operand axis `perm[i]`.
    Permute(ValueId, Vec<usize>),
    /// Operand axis `i` becomes result axis `axes[i]`, whose extents agree; repeats along the others.
    Broadcast(ValueId, Vec<usize>),
    /// The tile of `view` whose first element has the coordinates `at` (i32 scalars). Elements that do not exist, or where
    /// `mask` is false, read as `other`.
    Load {
        /// Index of the parameter.
        param: usize,
        /// Coordinates to offsets.
        view: View,
        /// Coordinates of the first element, one per axis.
        at: Vec<ValueId>,
        /// Per-element permission (bool tile of the result's shape).
        mask: Option<ValueId>,
        /// Value of elements that are not read.
        other: Literal,
    },
    /// Decodes block-quantised rows: the f32 tile `[rows, columns]` at `at`. The parameter is `u8`, each row
    /// `columns / block` blocks of the format, and row `r` starts at byte `r * row_bytes`.
    LoadQuant {
        /// Index of the parameter.
        param: usize,
        /// Format name: `q4_0`, `q4_1`, ...
        format: Arc<str>,
        /// Number of rows.
        rows: Dim,
        /// Elements in a row, a multiple of the format's block.
        columns: Dim,
        /// First row and first column.
        at: [ValueId; 2],
    },
    /// Elements at computed offsets (i32 tile of element offsets); `other` where the mask is false.
    LoadAt {
        /// Index of the parameter.
        param: usize,
        /// Element offsets; must lie inside wherever the mask is true.
        index: ValueId,
        /// Per-element permission.
        mask: Option<ValueId>,
        /// Value of elements that are not read.
        other: Literal,
    },
    /// Writes a tile; elements that do not exist or are masked off are skipped.
    Store {
        /// Index of the parameter.
        param: usize,
        /// Coordinates to offsets.
        view: View,
        /// Coordinates of the first element.
        at: Vec<ValueId>,
        /// The tile.
        value: ValueId,
        /// Per-element permission.
        mask: Option<ValueId>,
    },
    /// Writes elements at computed offsets.
    StoreAt {
        /// Index of the parameter.
        param: usize,
        /// Element offsets; must lie inside wherever the mask is true.
        index: ValueId,
        /// The tile.
        value: ValueId,
        /// Per-element permission.
        mask: Option<ValueId>,
    },
    /// Read-modify-write at computed offsets; the result holds the old elements.
    Atomic {
        /// What is done.
        op: AtomicOp,
        /// Index of the parameter.
        param: usize,
        /// Element offsets.
        index: ValueId,
        /// Right operands.
        value: ValueId,
        /// Per-element permission.
        mask: Option<ValueId>,
    },
    /// `a [m, k]` times `b [k, n]`, plus `acc [m, n]` if given; the result has the accumulator's dtype.
    Dot {
        /// Left operand.
        a: ValueId,
        /// Right operand.
        b: ValueId,
        /// Added to the product.
        acc: Option<ValueId>,
    },
    /// Folds one axis away; several operands fold together.
    Reduce {
        /// Operands of one shape.
        args: Vec<ValueId>,
        /// The axis.
        axis: usize,
        /// The fold.
        combine: Combine,
    },
    /// Inclusive running fold along an axis.
    Scan {
        /// Operands of one shape.
        args: Vec<ValueId>,
        /// The axis.
        axis: usize,
        /// The fold.
        combine: Combine,
        /// From the end to the start.
        reverse: bool,
    },
    /// Stable sort of all operands along an axis by the first `keys` of them (Graph IR's order).
    Sort {
        /// Operands of one shape.
        args: Vec<ValueId>,
        /// The axis.
        axis: usize,
        /// Number of key operands.
        keys: usize,
        /// Largest first.
        descending: bool,
    },
    /// `for i in lo..hi step` with carried values. Body parameters: `i` (i32), carried; results: carried.
    For {
        /// First value (i32 scalar).
        lo: ValueId,
        /// Exclusive end (i32 scalar).
        hi: ValueId,
        /// Step, positive.
        step: u32,
        /// Initial carried values.
        init: Vec<ValueId>,
        /// The body.
        body: Block,
    },
    /// Runs one of two regions by a bool scalar; both give the results.
    If {
        /// The condition.
        cond: ValueId,
        /// When true.
        then: Block,
        /// When false.
        otherwise: Block,
    },
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

impl Op {
    /// The values this operation reads, not counting those inside its regions.
    pub fn operands(&self) -> Vec<ValueId> {
        match self {
            Op::ProgramId(_) | Op::Const(_) | Op::Size(_) | Op::Arange(_) => Vec::new(),
            Op::Map(_, args) => args.clone(),
            Op::Cast(x) | Op::Bitcast(x) | Op::Splat(x) | Op::Reshape(x) | Op::Permute(x, _) | Op::Broadcast(x, _) => {
                vec![*x]
            }
            Op::Load { at, mask, .. } => at.iter().copied().chain(*mask).collect(),
            Op::LoadQuant { at, .. } => at.to_vec(),
            Op::LoadAt { index, mask, .. } => std::iter::once(*index).chain(*mask).collect(),
            Op::Store { at, value, mask, .. } => at.iter().copied().chain([*value]).chain(*mask).collect(),
            Op::StoreAt { index, value, mask, .. } | Op::Atomic { index, value, mask, .. } => {
                [*index, *value].into_iter().chain(*mask).collect()
            }
            Op::Dot { a, b, acc } => [*a, *b].into_iter().chain(*acc).collect(),
            Op::Reduce { args, .. } | Op::Scan { args, .. } | Op::Sort { args, .. } => args.clone(),
            Op::For { lo, hi, init, .. } => [*lo, *hi].into_iter().chain(init.iter().copied()).collect(),
            Op::If { cond, .. } => vec![*cond],
        }
    }

    /// Replaces the values this operation reads, not those inside its regions.
    pub fn map_operands(&mut self, f: &mut dyn FnMut(ValueId) -> ValueId) {
        let mut each = |v: &mut ValueId| *v = f(*v);
        match self {
            Op::ProgramId(_) | Op::Const(_) | Op::Size(_) | Op::Arange(_) => {}
            Op::Map(_, args) => args.iter_mut().for_each(each),
            Op::Cast(x) | Op::Bitcast(x) | Op::Splat(x) | Op::Reshape(x) | Op::Permute(x, _) | Op::Broadcast(x, _) => {
                each(x)
            }
            Op::Load { at, mask, .. } => at.iter_mut().chain(mask).for_each(each),
            Op::LoadQuant { at, .. } => at.iter_mut().for_each(each),
            Op::LoadAt { index, mask, .. } => std::iter::once(index).chain(mask).for_each(each),
            Op::Store { at, value, mask, .. } => at.iter_mut().chain([value]).chain(mask).for_each(each),
            Op::StoreAt { index, value, mask, .. } | Op::Atomic { index, value, mask, .. } => {
                [index, value].into_iter().chain(mask).for_each(each);
            }
            Op::Dot { a, b, acc } => [a, b].into_iter().chain(acc).for_each(each),
            Op::Reduce { args, .. } | Op::Scan { args, .. } | Op::Sort { args, .. } => args.iter_mut().for_each(each),
            Op::For { lo, hi, init, .. } => [lo, hi].into_iter().chain(init).for_each(each),
            Op::If { cond, .. } => each(cond),
        }
    }

    /// The regions of this operation, to change them.
    pub fn blocks_mut(&mut self) -> Vec<&mut Block> {
        match self {
            Op::For { body, .. } => vec![body],
            Op::If { then, otherwise, .. } => vec![then, otherwise],
            Op::Reduce { combine: Combine::Body(b), .. } | Op::Scan { combine: Combine::Body(b), .. } => vec![b],
            _ => Vec::new(),
        }
    }

    /// The regions of this operation.
    pub fn blocks(&self) -> Vec<&Block> {
        match self {
            Op::For { body, .. } => vec![body],
            Op::If { then, otherwise, .. } => vec![then, otherwise],
            Op::Reduce { combine: Combine::Body(b), .. } | Op::Scan { combine: Combine::Body(b), .. } => vec![b],
            _ => Vec::new(),
        }
    }
}
