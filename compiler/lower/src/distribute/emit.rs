//! The state of code emission: where values are, index arithmetic without repetition, regions and workgroup scratch.

mod index;
mod regions;
mod shared;

use super::buffers::{BufferInfo, Loops, find_loops};
use super::layout::Layout;
use super::plan::Plan;
use crate::TargetDesc;
use girih_base::{DType, Diag, Dim, Loc, Result, ScalarOp};
use girih_simt::{self as simt, Builder, Ty, ValueId as Sv};
use girih_tile::{self as tile, ValueId as Tv};
use std::collections::BTreeMap;

/// More vectors than this are kept in an array and visited by a loop; fewer are unrolled.
pub const UNROLL: u32 = 16;

/// Where the elements of a kept value are.
#[derive(Clone, Debug, PartialEq)]
pub enum Leaf {
    /// Vectors in SSA values.
    Regs(Layout, Vec<Sv>),
    /// Vectors in an array of the thread.
    Array(Layout, u32),
    /// All elements in workgroup memory, row-major.
    Shared(u32),
    /// Held in a layout that does not fit, and computed once more for this statement.
    Again,
}

/// Which vector of a layout: constant bits, and bits taken from a run-time index.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Idx {
    /// Constant bits of the vector index.
    pub fixed: u32,
    /// Run-time bits.
    pub parts: Vec<Part>,
}

/// Bits `shift..shift + bits` of an index, given by a value below `2^bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub value: Sv,
    pub shift: u8,
    pub bits: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Map(ScalarOp, Vec<Sv>),
    Uint(u32),
    Lane,
    Group,
    Dim(Dim),
    Cast(Sv, DType),
}

/// A workgroup array that may serve several values in turn.
struct Scratch {
    busy: bool,
    used: bool,
}

/// The state.
pub struct Emit<'k> {
    pub kernel: &'k tile::Kernel,
    pub desc: &'k TargetDesc,
    pub plan: Plan<'k>,
    pub b: Builder,
    pub buffers: Vec<BufferInfo>,
    /// Loop variables with first value and step.
    pub counters: Loops,
    pub leaves: BTreeMap<Tv, Leaf>,
    /// Leaves that hold for the current statement only (converted or spilled).
    pub over: BTreeMap<Tv, Leaf>,
    pub grid: Vec<Sv>,
    pub here: Loc,
    /// Explicit layout conversions so far.
    pub conversions: u32,
    scratch: Vec<Scratch>,
    memo: Vec<BTreeMap<Key, Sv>>,
    evals: Vec<BTreeMap<(Tv, Layout, Idx), Sv>>,
    loops: u32,
    /// What happened to each parameter since the last barrier.
    pub touched: Vec<Touched>,
    /// The variable that counts prints.
    pub prints: Option<u32>,
}

/// Accesses to a parameter by any thread of the workgroup since the last barrier.
#[derive(Clone, Copy, Debug, Default)]
pub struct Touched {
    pub reads: bool,
    pub writes: bool,
    pub atomics: bool,
}

impl Touched {
    /// Both.
    pub fn join(&mut self, other: Touched) {
        self.reads |= other.reads;
        self.writes |= other.writes;
        self.atomics |= other.atomics;
    }
}

impl Idx {
    /// A constant vector index.
    pub fn fixed(index: u32) -> Idx {
        Idx { fixed: index, parts: Vec::new() }
    }
}

/// A sum of a run-time part and a constant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Term {
    pub value: Option<Sv>,
    pub fixed: u32,
}

impl<'k> Emit<'k> {
    pub fn new(kernel: &'k tile::Kernel, desc: &'k TargetDesc, plan: Plan<'k>, buffers: Vec<BufferInfo>) -> Emit<'k> {
        let mut counters = Loops::new();
        find_loops(&kernel.body, &mut counters);
        Emit {
            kernel,
            desc,
            plan,
            b: Builder::new(),
            buffers,
            counters,
            leaves: BTreeMap::new(),
            over: BTreeMap::new(),
            grid: Vec::new(),
            here: Loc::unknown(),
            conversions: 0,
            scratch: Vec::new(),
            memo: vec![BTreeMap::new()],
            evals: vec![BTreeMap::new()],
            loops: 0,
            touched: vec![Touched::default(); kernel.params.len()],
            prints: None,
        }
    }

    /// Element type of a tile value.
    pub fn dtype(&self, v: Tv) -> DType {
        self.kernel.values[v.0 as usize].ty.dtype
    }

    /// log2 of a value's extents.
    pub fn bits(&self, v: Tv) -> Vec<u8> {
        self.plan.bits[v.0 as usize].clone()
    }

    /// How messages name a value.
    pub fn describe(&self, v: Tv) -> String {
        match &self.kernel.values[v.0 as usize].name {
            Some(name) => format!("`{name}`"),
            None => format!("value {} {:?}", v.0, self.kernel.values[v.0 as usize].ty.shape),
        }
    }

    /// The dtype in which values of `dtype` are computed.
    ///
    /// # Errors
    /// `L202` when the target has no such arithmetic.
    pub fn compute(&self, dtype: DType) -> Result<DType> {
        Ok(match dtype {
            DType::Bool => DType::Bool,
            d if d.is_float() && d.bits() <= 32 => DType::F32,
            d if d.bits() <= 32 && d.is_signed() => DType::I32,
            d if d.bits() <= 32 => DType::U32,
            d if self.desc.native.contains(&d) => d,
            d => {
                return Err(Diag::error("L202", format!("target `{}` has no {d} arithmetic", self.desc.name))
                    .at(&self.here, format!("{d} is computed here"))
                    .help("cast to a 32-bit type, or choose a target that has the type"));
            }
        })
    }

    /// A value computed earlier for this statement.
    pub fn recall(&self, key: &(Tv, Layout, Idx)) -> Option<Sv> {
        self.evals.iter().rev().find_map(|m| m.get(key)).copied()
    }

    /// Forgets what was computed for a value (its region is emitted once more).
    pub fn forget(&mut self, v: Tv) {
        self.evals.iter_mut().for_each(|m| m.retain(|k, _| k.0 != v));
    }

    /// Remembers it.
    pub fn remember(&mut self, key: (Tv, Layout, Idx), value: Sv) {
        if let Some(top) = self.evals.last_mut() {
            top.insert(key, value);
        }
    }

    /// The value with `width` components: scalars are repeated.
    pub fn wide(&mut self, v: Sv, width: u8) -> Sv {
        if self.b.ty(v).lanes == width { v } else { self.b.splat(v, width) }
    }

    /// A vector from its components (or the single one).
    pub fn pack(&mut self, parts: &[Sv]) -> Sv {
        if let [one] = parts {
            return *one;
        }
        let ty = Ty::vec(self.b.ty(parts[0]).dtype, parts.len() as u8);
        self.b.push(simt::Op::MakeVec(parts.to_vec()), ty)
    }
}
