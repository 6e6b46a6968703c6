//! The plan: everything a runtime needs to execute a compiled graph, as plain data.
//!
//! A plan says which buffers exist (with sizes as functions of run-time symbols), which kernels run over them in
//! which order, and what goes in and out. It never holds source or IR objects: kernels are text, so that a plan can be saved,
//! shipped and read by people.

#![forbid(unsafe_code)]

mod check;
pub mod file;
mod text;

use girih_base::{DType, DebugInfo, Dim, Symbol};
use serde::{Deserialize, Deserializer, Serialize};
use std::cell::Cell;
use std::sync::Arc;

/// A compiled graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the graph.
    pub name: String,
    /// Identity of the target the kernels were made for; another target's executor refuses the plan.
    pub target: String,
    /// The symbols that must be bound to run, with the ranges this plan is valid for.
    pub symbols: Vec<Symbol>,
    /// Given at each run.
    pub inputs: Vec<Port>,
    /// Given once.
    pub weights: Vec<Port>,
    /// Kept between runs, zero at first.
    pub states: Vec<Port>,
    /// Results, not counting the new states.
    pub outputs: Vec<Port>,
    /// Every buffer the steps name.
    pub buffers: Vec<Buffer>,
    /// Every kernel the steps launch.
    pub kernels: Vec<KernelCode>,
    /// Run once, when the weights are there.
    pub init: Vec<Step>,
    /// Run each time.
    pub steps: Vec<Step>,
    /// Size of the arena that intermediate buffers share, in bytes.
    pub arena_bytes: u64,
}

/// The most bytes a plan takes when it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Weights; shared by all plans of an engine, and with the host where the device can.
    pub weights: u64,
    /// States; shared by all plans of an engine.
    pub states: u64,
    /// The arena of intermediates.
    pub arena: u64,
    /// Constants and what is derived from weights once.
    pub kept: u64,
    /// Inputs and outputs.
    pub ports: u64,
}

/// A tensor that crosses the boundary of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// The user's name.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Shape; row-major.
    pub shape: Vec<Dim>,
}

/// Index into [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BufferId(pub u32);

/// A range of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Buffer {
    /// Size in bytes.
    pub bytes: Dim,
    /// Where it lives.
    pub place: Place,
    /// What it holds, for people.
    pub label: String,
}

/// Where a buffer lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Place {
    /// The input of that index.
    Input(u32),
    /// The weight of that index.
    Weight(u32),
    /// The state of that index.
    State(u32),
    /// The output of that index.
    Output(u32),
    /// Constant data.
    Constant(Arc<[u8]>),
    /// Written by the init steps, kept afterwards.
    Derived,
    /// At this byte offset of the arena, shared over time with others.
    Arena(u64),
}

/// A kernel as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelCode {
    /// Name.
    pub name: String,
    /// Language of the text.
    pub format: Format,
    /// The kernel.
    pub text: Arc<str>,
    /// How each argument is bound, in order.
    pub args: Vec<Arg>,
    /// The symbols passed as u32 uniforms, in order (WGSL and SIMT).
    pub uniforms: Vec<Arc<str>>,
    /// Number of workgroups (WGSL, SIMT) or program instances (Tile) along each axis.
    pub grid: Vec<Dim>,
    /// Estimated floating point operations and bytes moved, for reports.
    pub flops: Dim,
    /// Bytes read and written.
    pub traffic: Dim,
    /// A kernel that prints or asserts has one more buffer than `args`, the last one, which the device provides.
    pub debug: Option<DebugInfo>,
}

/// Kernel languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Tile IR text.
    Tile,
    /// WGSL.
    Wgsl,
    /// SIMT IR text.
    Simt,
}

/// How a kernel argument is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arg {
    /// The kernel writes it.
    pub written: bool,
    /// Bound as read-only storage: its buffer is never written while the plan's steps run.
    pub read_only: bool,
}

/// What the executor does next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Launches a kernel over buffers.
    Launch {
        /// Index into [`Plan::kernels`].
        kernel: u32,
        /// One buffer per kernel argument.
        args: Vec<BufferId>,
    },
    /// Copies bytes between buffers.
    Copy {
        /// Source.
        from: BufferId,
        /// Byte offset in the source.
        from_offset: Dim,
        /// Destination.
        to: BufferId,
        /// Byte offset in the destination.
        to_offset: Dim,
        /// Number of bytes.
        bytes: Dim,
    },
    /// Repeats steps with a symbol bound to 0, 1, ... `count - 1`.
    Repeat {
        /// The symbol.
        symbol: Arc<str>,
        /// Number of rounds.
        count: Dim,
        /// One round.
        #[serde(deserialize_with = "nested")]
        body: Vec<Step>,
    },
    /// Runs `test`, then `body`, while the bool in `flag` is true after `test`.
    While {
        /// Steps that compute the flag.
        #[serde(deserialize_with = "nested")]
        test: Vec<Step>,
        /// One byte-sized bool.
        flag: BufferId,
        /// One round.
        #[serde(deserialize_with = "nested")]
        body: Vec<Step>,
    },
    /// Runs the branch chosen by the i32 in `choice`, clamped.
    Branch {
        /// The i32 (or byte-sized bool) that chooses.
        choice: BufferId,
        /// Whether `choice` is a bool.
        is_bool: bool,
        /// The branches.
        #[serde(deserialize_with = "nested")]
        branches: Vec<Vec<Step>>,
    },
}

/// Steps nest at most this deep in a file; a hostile one must not exhaust the stack.
const DEEPEST: usize = 64;

fn nested<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    thread_local!(static DEPTH: Cell<usize> = const { Cell::new(0) });
    let depth = DEPTH.get();
    if depth == DEEPEST {
        return Err(serde::de::Error::custom("steps are nested too deep"));
    }
    DEPTH.set(depth + 1);
    let value = T::deserialize(from);
    DEPTH.set(depth);
    value
}
