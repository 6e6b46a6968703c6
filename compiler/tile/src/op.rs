//! The operations of Tile IR.

use crate::ir::{Block, ValueId, View};
pub use girih_base::{AtomicOp, Literal};
use girih_base::{Dim, ScalarOp};
use std::sync::Arc;

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
    /// The scalar of that index.
    Scalar(usize),
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
    /// Compares elements and replaces those that are equal to `expected`; the result holds the old elements.
    CompareExchange {
        /// Index of the parameter, of 32-bit or 64-bit integers.
        param: usize,
        /// Element offsets.
        index: ValueId,
        /// What must be there.
        expected: ValueId,
        /// What comes in its place.
        value: ValueId,
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
    /// Runs `body` as long as `test` says so. Both take the carried values; `test` gives a bool scalar, `body` the next
    /// carried values; results: carried.
    While {
        /// Initial carried values.
        init: Vec<ValueId>,
        /// Whether there is another round.
        test: Block,
        /// One round.
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
    /// A line for people: a text with places for values (see [`print`](mod@girih_base::print)), of which all but the last are scalars.
    /// Where the last one is a tile, every element gives a line, with its coordinates before it: they have places, too.
    Print(Arc<str>, Vec<ValueId>),
    /// A bool, or every element of a bool tile, must hold; the text says what is wrong where it does not. The work goes on.
    Assert(ValueId, Arc<str>),
}

impl Op {
    /// The values this operation reads, not counting those inside its regions.
    pub fn operands(&self) -> Vec<ValueId> {
        match self {
            Op::ProgramId(_) | Op::Const(_) | Op::Size(_) | Op::Scalar(_) | Op::Arange(_) => Vec::new(),
            Op::Map(_, args) | Op::Print(_, args) => args.clone(),
            Op::Assert(x, _) => vec![*x],
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
            Op::CompareExchange { index, expected, value, .. } => vec![*index, *expected, *value],
            Op::Dot { a, b, acc } => [*a, *b].into_iter().chain(*acc).collect(),
            Op::Reduce { args, .. } | Op::Scan { args, .. } | Op::Sort { args, .. } => args.clone(),
            Op::For { lo, hi, init, .. } => [*lo, *hi].into_iter().chain(init.iter().copied()).collect(),
            Op::While { init, .. } => init.clone(),
            Op::If { cond, .. } => vec![*cond],
        }
    }

    /// Replaces the values this operation reads, not those inside its regions.
    pub fn map_operands(&mut self, f: &mut dyn FnMut(ValueId) -> ValueId) {
        let mut each = |v: &mut ValueId| *v = f(*v);
        match self {
            Op::ProgramId(_) | Op::Const(_) | Op::Size(_) | Op::Scalar(_) | Op::Arange(_) => {}
            Op::Map(_, args) | Op::Print(_, args) => args.iter_mut().for_each(each),
            Op::Assert(x, _) => each(x),
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
            Op::CompareExchange { index, expected, value, .. } => [index, expected, value].into_iter().for_each(each),
            Op::Dot { a, b, acc } => [a, b].into_iter().chain(acc).for_each(each),
            Op::Reduce { args, .. } | Op::Scan { args, .. } | Op::Sort { args, .. } => args.iter_mut().for_each(each),
            Op::For { lo, hi, init, .. } => [lo, hi].into_iter().chain(init).for_each(each),
            Op::While { init, .. } => init.iter_mut().for_each(each),
            Op::If { cond, .. } => each(cond),
        }
    }

    /// The regions of this operation, to change them.
    pub fn blocks_mut(&mut self) -> Vec<&mut Block> {
        match self {
            Op::For { body, .. } => vec![body],
            Op::While { test, body, .. } => vec![test, body],
            Op::If { then, otherwise, .. } => vec![then, otherwise],
            Op::Reduce { combine: Combine::Body(b), .. } | Op::Scan { combine: Combine::Body(b), .. } => vec![b],
            _ => Vec::new(),
        }
    }

    /// The regions of this operation.
    pub fn blocks(&self) -> Vec<&Block> {
        match self {
            Op::For { body, .. } => vec![body],
            Op::While { test, body, .. } => vec![test, body],
            Op::If { then, otherwise, .. } => vec![then, otherwise],
            Op::Reduce { combine: Combine::Body(b), .. } | Op::Scan { combine: Combine::Body(b), .. } => vec![b],
            _ => Vec::new(),
        }
    }

    /// The first word of the operation in the text form.
    pub fn name(&self) -> &'static str {
        match self {
            Op::ProgramId(_) => "program_id",
            Op::Const(_) => "const",
            Op::Size(_) => "size",
            Op::Scalar(_) => "scalar",
            Op::Map(op, _) => op.name(),
            Op::Cast(_) => "cast",
            Op::Bitcast(_) => "bitcast",
            Op::Splat(_) => "splat",
            Op::Arange(_) => "arange",
            Op::Reshape(_) => "reshape",
            Op::Permute(..) => "permute",
            Op::Broadcast(..) => "broadcast",
            Op::Load { .. } => "load",
            Op::LoadQuant { .. } => "load_quant",
            Op::LoadAt { .. } => "load_at",
            Op::Store { .. } => "store",
            Op::StoreAt { .. } => "store_at",
            Op::Atomic { .. } => "atomic",
            Op::CompareExchange { .. } => "compare_exchange",
            Op::Dot { .. } => "dot",
            Op::Reduce { .. } => "reduce",
            Op::Scan { .. } => "scan",
            Op::Sort { .. } => "sort",
            Op::For { .. } => "for",
            Op::While { .. } => "while",
            Op::If { .. } => "if",
            Op::Print(..) => "print",
            Op::Assert(..) => "assert",
        }
    }
}
