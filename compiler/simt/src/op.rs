//! The operations of SIMT IR.

use crate::ir::{Stmt, ValueId};
use girih_base::ScalarOp;
pub use girih_base::{AtomicOp, Literal};
use std::sync::Arc;

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

/// Operations across the threads of a subgroup, which all of them reach together. Vectors go component by component. The
/// last subgroup of a workgroup may have fewer threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubgroupOp {
    /// Sum over all threads, as the folds below in the order of lanes.
    Add,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Bitwise and of integers.
    And,
    /// Bitwise or of integers.
    Or,
    /// Bitwise exclusive or of integers.
    Xor,
    /// Sum over the lanes up to the thread's own.
    InclusiveAdd,
    /// Sum over the lanes before the thread's own; 0 in lane 0.
    ExclusiveAdd,
    /// The value of lane `lane xor n`, which the subgroups it runs in must have.
    ShuffleXor(u32),
    /// The value of lane 0.
    BroadcastFirst,
    /// The value of lane `n`; the own value if there is no such lane.
    Broadcast(u32),
    /// Whether the bool of any thread holds.
    Any,
    /// Whether the bools of all threads hold.
    All,
    /// The bools of all threads as a vec4 of u32: lane `i` is bit `i % 32` of component `i / 32`.
    Ballot,
}

/// From which lane a thread takes a value, by a u32 `n` of its own. Where there is no such lane it keeps its own value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shuffle {
    /// Lane `n`.
    Index,
    /// Lane `lane - n`.
    Up,
    /// Lane `lane + n`.
    Down,
    /// Lane `lane xor n`.
    Xor,
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
    /// All threads of the subgroup arrive before any of them goes on; what they wrote is visible to each other then.
    SubgroupBarrier,
    /// An operation across the subgroup.
    Subgroup(SubgroupOp, ValueId),
    /// The first value as the lane that the second one chooses has it.
    Shuffle(Shuffle, ValueId, ValueId),
    /// Runs a region when the bool holds, else the other.
    If(ValueId, Vec<Stmt>, Vec<Stmt>),
    /// `for (var i = lo; i < hi; i += step)`, all u32; the loop variable is defined by the statement's own `Index` value.
    /// It does not wrap: the step is 1, or the end is at most 2^31.
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
    /// The bool must hold; the text says what is wrong where it does not.
    Assert(ValueId, Arc<str>),
    /// A line for people: the text with its places for values, see [`print`](mod@girih_base::print).
    Print(Arc<str>, Vec<ValueId>),
    /// A remark kept in generated source.
    Comment(Arc<str>),
}

impl SubgroupOp {
    /// The name in the text form; a lane follows the value where the operation has one.
    pub fn name(self) -> &'static str {
        match self {
            SubgroupOp::Add => "subgroup_add",
            SubgroupOp::Min => "subgroup_min",
            SubgroupOp::Max => "subgroup_max",
            SubgroupOp::And => "subgroup_and",
            SubgroupOp::Or => "subgroup_or",
            SubgroupOp::Xor => "subgroup_xor",
            SubgroupOp::InclusiveAdd => "subgroup_inclusive_add",
            SubgroupOp::ExclusiveAdd => "subgroup_exclusive_add",
            SubgroupOp::ShuffleXor(_) => "subgroup_shuffle_xor",
            SubgroupOp::BroadcastFirst => "subgroup_broadcast_first",
            SubgroupOp::Broadcast(_) => "subgroup_broadcast",
            SubgroupOp::Any => "subgroup_any",
            SubgroupOp::All => "subgroup_all",
            SubgroupOp::Ballot => "subgroup_ballot",
        }
    }

    /// The lane or mask that is part of the operation.
    pub fn lane(self) -> Option<u32> {
        match self {
            SubgroupOp::ShuffleXor(n) | SubgroupOp::Broadcast(n) => Some(n),
            _ => None,
        }
    }

    /// Every operation, with `lane` where it has one.
    pub fn all(lane: u32) -> [SubgroupOp; 14] {
        use SubgroupOp::*;
        [
            Add,
            Min,
            Max,
            And,
            Or,
            Xor,
            InclusiveAdd,
            ExclusiveAdd,
            ShuffleXor(lane),
            BroadcastFirst,
            Broadcast(lane),
            Any,
            All,
            Ballot,
        ]
    }
}

impl Shuffle {
    /// Every kind.
    pub const ALL: [Shuffle; 4] = [Shuffle::Index, Shuffle::Up, Shuffle::Down, Shuffle::Xor];

    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Shuffle::Index => "shuffle",
            Shuffle::Up => "shuffle_up",
            Shuffle::Down => "shuffle_down",
            Shuffle::Xor => "shuffle_xor",
        }
    }

    /// The lane that lane `lane` of `size` takes from.
    pub fn source(self, lane: u32, n: u32, size: u32) -> u32 {
        let from = match self {
            Shuffle::Index => Some(n),
            Shuffle::Up => lane.checked_sub(n),
            Shuffle::Down => lane.checked_add(n),
            Shuffle::Xor => Some(lane ^ n),
        };
        from.filter(|from| *from < size).unwrap_or(lane)
    }
}

impl Op {
    /// The values this operation reads, not counting those inside its regions.
    pub fn operands(&self) -> Vec<ValueId> {
        match self {
            Op::Const(_) | Op::Uniform(_) | Op::Builtin(_) | Op::Get(_) | Op::Barrier | Op::Loop(_) => Vec::new(),
            Op::SubgroupBarrier | Op::Break | Op::Continue | Op::Return | Op::Comment(_) => Vec::new(),
            Op::Map(_, args) | Op::MakeVec(args) | Op::Print(_, args) => args.clone(),
            Op::Cast(x) | Op::Bitcast(x) | Op::Component(x, _) | Op::UnpackHalf(x) | Op::PackHalf(x) => vec![*x],
            Op::Load(_, x) | Op::Set(_, x) | Op::Subgroup(_, x) | Op::If(x, ..) | Op::Assert(x, _) => vec![*x],
            Op::ComponentAt(x, y) | Op::Store(_, x, y) | Op::Atomic(_, _, x, y) | Op::Shuffle(_, x, y) => vec![*x, *y],
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

    /// The array this operation reaches, to change.
    pub fn space_mut(&mut self) -> Option<&mut Space> {
        match self {
            Op::Load(s, _) | Op::Store(s, ..) | Op::Atomic(_, s, ..) | Op::CompareExchange(s, ..) => Some(s),
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

    /// The regions of this operation, to change.
    pub fn blocks_mut(&mut self) -> Vec<&mut Vec<Stmt>> {
        match self {
            Op::If(_, then, otherwise) => vec![then, otherwise],
            Op::For { body, .. } | Op::Loop(body) => vec![body],
            _ => Vec::new(),
        }
    }
}
