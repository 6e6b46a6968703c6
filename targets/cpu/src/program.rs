//! Compiled kernels: Tile IR with every value placed.

use crate::exec::Inner;
use crate::memory::Aligned;
use girih_base::{DType, Dim};
use girih_tile::{Op, View};
use std::sync::Arc;

/// How a value is held in a register while it is computed with.
///
/// Types without arithmetic of their own ride in a wider lane and are rounded or wrapped after each operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Bool,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl Lane {
    pub fn of(dtype: DType) -> Lane {
        use DType::*;
        match dtype {
            Bool => Lane::Bool,
            I4 | I8 | I16 | I32 => Lane::I32,
            U4 | U8 | U16 | U32 => Lane::U32,
            I64 => Lane::I64,
            U64 => Lane::U64,
            F4E2M1 | F8E4M3Fn | F8E5M2 | F8E8M0 | F16 | Bf16 | F32 => Lane::F32,
            F64 => Lane::F64,
        }
    }

    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Lane::Bool => 1,
            Lane::I32 | Lane::U32 | Lane::F32 => 4,
            Lane::I64 | Lane::U64 | Lane::F64 => 8,
        }
    }

    /// Whether memory of this dtype holds lanes as they are.
    pub fn is_memory(dtype: DType) -> bool {
        matches!(dtype, DType::I32 | DType::U32 | DType::I64 | DType::U64 | DType::F32 | DType::F64)
    }
}

/// Where a value lives and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub dtype: DType,
    pub lane: Lane,
    pub shape: Vec<usize>,
    /// Strides of its room, which has no gaps.
    pub strides: [isize; girih_tile::verify::MAX_RANK],
    /// Number of elements.
    pub len: usize,
    /// Byte offset of its room in a worker's scratch.
    pub offset: usize,
    /// Which room that is.
    pub storage: usize,
}

/// A value at run time: elements at `ptr + strides * coordinates`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    pub ptr: *mut u8,
    /// In elements, one per axis.
    pub strides: [isize; girih_tile::verify::MAX_RANK],
}

/// One operation. The operation keeps its Tile IR form; the rest is what compiling found out about it.
#[derive(Debug)]
pub(crate) struct Inst {
    pub op: Op,
    pub dst: Vec<usize>,
    /// Index of the view or size in the program's table.
    pub table: usize,
    /// The store that alone uses the result: the result is computed in its place where the place allows.
    pub direct: Option<Direct>,
    /// `load`: the first so many axes become the rows of a matrix, the others its columns, and nothing else uses it.
    pub split: Option<usize>,
    /// Compiled regions.
    pub blocks: Vec<Code>,
    /// `dot`: the right operand is this quantised matrix, transposed.
    pub quant: Option<usize>,
    /// `map`: the loop over a run.
    pub inner: Option<Inner>,
    /// What must hold of the result, in a group of instances.
    pub check: Option<Check>,
    /// `map`: operations that only this one needs, computed with it.
    pub chain: Option<Box<Chain>>,
    /// `map`: the value carried by the loop around it that the result takes the place of.
    pub over: Option<usize>,
}

impl Inst {
    /// The values that it reads.
    pub fn operands(&self) -> Vec<usize> {
        match &self.chain {
            Some(chain) => chain.externals.clone(),
            None => self.op.operands().iter().map(|v| v.0 as usize).collect(),
        }
    }
}

/// Operations over elements of one shape, computed a strip at a time: what lies between them stays in the first cache.
#[derive(Debug)]
pub(crate) struct Chain {
    pub links: Vec<Link>,
    /// Values from outside, at most [`Chain::EXTERNALS`].
    pub externals: Vec<usize>,
    /// Number of strips for what lies between operations.
    pub strips: usize,
}

impl Chain {
    /// Most values that come from outside.
    pub const EXTERNALS: usize = 8;
}

/// An operation of a chain.
#[derive(Debug)]
pub(crate) struct Link {
    pub inner: Inner,
    pub args: Vec<Source>,
    /// Strip of the result; the last operation's is that of the whole chain.
    pub to: usize,
    /// Bytes of an element of the result.
    pub bytes: usize,
}

/// An operand of a chain's operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// Value from outside, by its number.
    External(usize),
    /// Strip.
    Strip(usize),
}

/// A store whose operand may be computed in place.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    pub param: usize,
    pub table: usize,
    pub at: Vec<usize>,
    /// The shape in which the store sees the value.
    pub shape: Vec<usize>,
}

/// What must hold of a value for instances to run together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Check {
    /// All elements are the same.
    Agree,
    /// The scalar plus the size of that index in the program's table is an i32.
    Span(usize),
}

/// Neighbouring instances as one.
pub(crate) struct Group {
    /// Runs `count` instances.
    pub program: Program,
    pub count: u64,
    /// An instance may be stopped anywhere and run again.
    pub restartable: bool,
    /// Fewer groups than this are not worth forming.
    pub least: u64,
}

/// A region.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub params: Vec<usize>,
    pub insts: Vec<Inst>,
    pub results: Vec<usize>,
}

/// A kernel parameter.
#[derive(Debug)]
pub(crate) struct ParamInfo {
    pub name: Arc<str>,
    pub dtype: DType,
    pub len: Dim,
    /// The kernel writes it, so loads must copy.
    pub stored: bool,
}

/// A compiled kernel.
pub(crate) struct Program {
    pub name: String,
    pub params: Vec<ParamInfo>,
    pub scalars: Vec<girih_tile::Scalar>,
    pub grid: Vec<Dim>,
    pub slots: Vec<Slot>,
    pub body: Code,
    /// Bytes of scratch one worker needs.
    pub scratch: usize,
    pub views: Vec<View>,
    pub dims: Vec<Dim>,
    /// Values that never change, in `pool`.
    pub fixed: Vec<(usize, Tile)>,
    /// Keeps the memory of `fixed` alive.
    pub _pool: Aligned,
    /// Whether a product of matrices occurs (worth threads inside one instance).
    pub dots: bool,
    /// Instances must run in order on one thread (atomic operations).
    pub sequential: bool,
    /// Elements one instance touches, roughly.
    pub work: u64,
    /// The same for several instances at a time.
    pub group: Option<Box<Group>>,
}

// SAFETY: a tile is an address; who reads and writes through it is decided where it is used.
unsafe impl Send for Tile {}

// SAFETY: the pointers in `fixed` lead into `_pool`, which is never written after compiling.
unsafe impl Send for Program {}
// SAFETY: as above.
unsafe impl Sync for Program {}
