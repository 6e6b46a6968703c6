//! A lowered graph: tile kernels and copies over named tensors, in order. No addresses yet.

use girih_base::Dim;
use girih_graph::TensorTy;
use girih_tile::Kernel;
use std::sync::Arc;

/// Index into [`Program::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorRef(pub u32);

/// A lowered graph.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Everything that lives in memory.
    pub tensors: Vec<Tensor>,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// The results, states not counted.
    pub outputs: Vec<TensorRef>,
}

/// A tensor in memory, row-major.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// For people.
    pub label: Arc<str>,
    /// Type.
    pub ty: TensorTy,
    /// Where it comes from.
    pub kind: TensorKind,
}

/// Where a tensor comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorKind {
    /// The input of that index (among inputs).
    Input(u32),
    /// The weight of that index (among weights).
    Weight(u32),
    /// The state of that index (among states).
    State(u32),
    /// Known now.
    Constant(Arc<[u8]>),
    /// Computed.
    Temp,
}

impl TensorKind {
    /// Whether it never changes while a plan runs, so that it may be bound read-only.
    pub fn is_constant(&self) -> bool {
        matches!(self, TensorKind::Input(_) | TensorKind::Weight(_) | TensorKind::Constant(_))
    }
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Launches a kernel.
    Launch {
        /// The kernel; equal kernels share one allocation.
        kernel: Arc<Kernel>,
        /// One tensor per parameter.
        args: Vec<TensorRef>,
    },
    /// Launches a kernel that was written for single threads.
    LaunchSimt {
        /// The kernel.
        kernel: Arc<girih_simt::Kernel>,
        /// One tensor per buffer.
        args: Vec<TensorRef>,
    },
    /// Copies bytes.
    Copy {
        /// Source.
        from: TensorRef,
        /// Byte offset in it.
        from_offset: Dim,
        /// Destination.
        to: TensorRef,
        /// Byte offset in it.
        to_offset: Dim,
        /// Number of bytes.
        bytes: Dim,
    },
    /// Repeats steps with `symbol` bound to the round.
    Repeat {
        /// The symbol.
        symbol: Arc<str>,
        /// Number of rounds.
        count: Dim,
        /// One round.
        body: Vec<Step>,
    },
    /// Repeats `test` and `body` while the bool scalar `flag` holds after `test`.
    While {
        /// Computes the flag.
        test: Vec<Step>,
        /// The flag.
        flag: TensorRef,
        /// One round.
        body: Vec<Step>,
    },
    /// Runs one branch.
    Branch {
        /// The scalar that chooses.
        choice: TensorRef,
        /// Whether it is a bool.
        is_bool: bool,
        /// The branches.
        branches: Vec<Vec<Step>>,
    },
}
