//! Compiled SIMT kernels: a flat list of instructions on registers, each register an array over the threads of a
//! workgroup.

use super::fused::Fused;
use super::scalar::Scalar;
use crate::exec::Inner;
use crate::program::Lane;
use girih_base::{AtomicOp, DType, Dim, Loc, ScalarOp};
use girih_simt::{Shuffle, SubgroupOp};
use std::sync::Arc;

/// Threads of a subgroup.
pub(crate) const SUBGROUP: usize = 32;

/// Where a value lies in a worker's scratch: one array over the threads per component, or one element per component
/// when all threads hold the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reg {
    /// Byte offset of the first component.
    pub at: usize,
    /// Bytes from one component to the next.
    pub pitch: usize,
    /// Whether there is an element for each thread.
    pub varies: bool,
    pub dtype: DType,
    pub lane: Lane,
    /// Number of components.
    pub parts: usize,
}

/// Where in scratch two words lie.
pub(super) type Base = [u32; 2];

/// An array that loads and stores reach.
#[derive(Clone, Copy, Debug)]
pub(super) enum Array {
    /// A buffer, by number.
    Buffer(usize),
    /// A workgroup array, by number.
    Shared(usize),
    /// One array per thread: element `i` of component `c` lies `(i * parts + c) * pitch` bytes after the register's start.
    Local { first: Reg, len: usize, name: usize },
}

/// The index of an element for each thread.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// A value.
    Reg(Reg),
    /// The thread's number more than the sum of two words that are the same in all threads, modulo 2^32.
    Row(Base),
}

/// How far a counter goes up.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Fixed(u32),
    Reg(Reg),
}

/// A set of threads kept while others run; an index into the machine's list.
pub(super) type Kept = usize;

/// A place in the program.
pub(super) type Target = usize;

/// A comparison of the thread's number more than `row` (than 0 without it) with `bound`; threads for which it does not hold wait in
/// `other`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Narrow {
    pub row: Option<Reg>,
    pub op: ScalarOp,
    pub bound: Reg,
    pub signed: bool,
    pub other: Kept,
}

/// An instruction. Those that can leave no thread running say where execution goes on then (`empty`): at the innermost
/// place where other threads wait.
// The tag is one byte at a fixed place, since instructions are told apart all the time.
#[derive(Clone, Debug)]
#[repr(u8)]
pub(super) enum Inst {
    /// A scalar operation.
    Map {
        inner: Inner,
        args: [Reg; 3],
        dst: Reg,
    },
    /// A scalar operation on single elements.
    Scalar(Box<Scalar>),
    /// A scalar operation with rows of memory among its operands, or whose result goes to one or to a variable.
    Fused(Box<Fused>),
    /// Value conversion.
    Cast {
        x: Reg,
        dst: Reg,
    },
    /// Bit reinterpretation of lanes that are wider than their dtype.
    Bits {
        x: Reg,
        dst: Reg,
    },
    /// A component to an array of its own.
    Part {
        x: Reg,
        from: usize,
        dst: Reg,
        to: usize,
    },
    /// A component chosen at run time.
    PartAt {
        x: Reg,
        index: Reg,
        dst: Reg,
    },
    /// Halves of words to f32 pairs.
    UnpackHalf {
        x: Reg,
        dst: Reg,
    },
    /// f32 pairs to halves of words.
    PackHalf {
        x: Reg,
        dst: Reg,
    },
    /// Writes a variable of the running threads.
    Set {
        x: Reg,
        dst: Reg,
    },
    /// `nth` numbers the loads.
    Load {
        array: Array,
        index: At,
        dst: Reg,
        nth: usize,
    },
    Store {
        array: Array,
        index: At,
        x: Reg,
    },
    /// Read-modify-write, in the order of threads.
    Atomic {
        op: AtomicOp,
        array: Array,
        index: Reg,
        x: Reg,
        dst: Option<Reg>,
    },
    CompareExchange {
        array: Array,
        index: Reg,
        expected: Reg,
        new: Reg,
        dst: Option<Reg>,
    },
    Subgroup {
        op: SubgroupOp,
        x: Reg,
        dst: Reg,
    },
    /// Takes the value of the lane that `n` chooses.
    Shuffle {
        kind: Shuffle,
        x: Reg,
        n: Reg,
        dst: Reg,
    },
    /// The bool must hold for all running threads.
    Assert {
        cond: Reg,
        text: Arc<str>,
    },
    /// Threads whose condition does not hold wait in `other`; if none is left, execution goes on at `miss`.
    If {
        cond: Reg,
        other: Kept,
        miss: Target,
    },
    /// As `If`.
    Cut {
        narrow: Narrow,
        miss: Target,
    },
    /// The end of the first branch: its threads wait, those of `other` run; if there are none, on to `end`.
    Else {
        other: Kept,
        end: Target,
    },
    /// All threads of both branches run again.
    EndIf {
        other: Kept,
        empty: Target,
    },
    /// A branch that all running threads take together.
    Branch {
        cond: Reg,
        miss: Target,
    },
    Jump(Target),
    /// Before a loop: nobody has left it yet.
    Enter {
        gone: Kept,
        next: Kept,
    },
    /// The first value of a counted loop.
    Start {
        index: Reg,
        lo: Reg,
    },
    /// Threads at the end of a counted loop leave it; when none is left, execution goes on at `end`.
    Test {
        index: Reg,
        hi: Reg,
        gone: Kept,
        end: Target,
    },
    /// The end of a round: those that skipped its rest run again. Without any, on to `end`.
    Again {
        next: Kept,
        step: Option<(Reg, By)>,
        start: Target,
        end: Target,
    },
    /// The first round of a loop that strides. Without one, on to `end`.
    Rounds {
        counter: Reg,
        lo: Reg,
        hi: Reg,
        other: Kept,
        end: Target,
    },
    /// The end of a round of such a loop: all its threads run again, from `start` if there is a next round.
    Round {
        counter: Reg,
        by: By,
        hi: Reg,
        other: Kept,
        start: Target,
        end: Target,
        empty: Target,
    },
    /// After a loop: all that left it run again.
    Leave {
        gone: Kept,
        empty: Target,
    },
    /// Running threads leave the loop.
    Break {
        gone: Kept,
        empty: Target,
    },
    /// Running threads skip the rest of the round.
    Continue {
        next: Kept,
        empty: Target,
    },
    /// Running threads are done.
    Return {
        empty: Target,
    },
    End,
}

/// A buffer of the kernel.
#[derive(Debug)]
pub(super) struct BufferInfo {
    pub name: Arc<str>,
    pub dtype: DType,
    pub parts: usize,
    pub written: bool,
}

/// A workgroup array.
#[derive(Debug)]
pub(super) struct SharedInfo {
    pub name: Arc<str>,
    pub dtype: DType,
    pub lane: Lane,
    pub parts: usize,
    pub len: usize,
    /// Byte offset in workgroup memory.
    pub at: usize,
}

/// A compiled kernel.
pub(crate) struct SimtProgram {
    pub name: String,
    /// Threads of a workgroup.
    pub(super) threads: usize,
    pub(super) groups: Dim,
    pub(super) buffers: Vec<BufferInfo>,
    pub(super) shared: Vec<SharedInfo>,
    pub(super) shared_bytes: usize,
    /// Names of variables, for messages.
    pub(super) locals: Vec<Arc<str>>,
    pub(super) uniforms: Vec<Arc<str>>,
    /// What depends on sizes only, computed before the first workgroup.
    pub(super) prologue: Vec<Scalar>,
    pub(super) insts: Vec<Inst>,
    /// Where the user wrote each instruction.
    pub(super) locs: Vec<Loc>,
    /// The start of scratch: literals, uniforms (from byte 0, four bytes each), and thread numbers.
    pub(super) image: Vec<u8>,
    /// Byte offset of the workgroup's index.
    pub(super) group_at: usize,
    /// Variables: zero when a workgroup starts.
    pub(super) zeroed: std::ops::Range<usize>,
    /// Bytes of scratch a worker needs, and where its room for indices starts.
    pub(super) scratch: usize,
    pub(super) spare: usize,
    pub(super) kept: usize,
    /// Number of loads.
    pub(super) loads: usize,
    /// Workgroups run in order on one thread: they exchange values by atomic operations.
    pub(super) sequential: bool,
    /// Elements one workgroup touches, roughly.
    pub(super) work: u64,
}
