//! The state of code emission: where values are, index arithmetic without repetition, regions and workgroup scratch.

use super::buffers::{BufferInfo, Loops, find_loops};
use super::layout::{Bit, Layout};
use super::plan::Plan;
use crate::TargetDesc;
use girih_base::{DType, Diag, Dim, Loc, Result, ScalarOp};
use girih_simt::{self as simt, Builder, Builtin, Space, Ty, ValueId as Sv};
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

/// One source of a gathered bit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// Part number and bit in it.
    Part(u8, u8),
    Lane(u8),
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

    // Regions. Index arithmetic found in an enclosing region is reused.

    /// Opens a region.
    pub fn open(&mut self) {
        self.b.begin();
        self.memo.push(BTreeMap::new());
        self.evals.push(BTreeMap::new());
    }

    /// Closes it.
    pub fn close(&mut self) -> Vec<simt::Stmt> {
        self.memo.pop();
        self.evals.pop();
        self.b.end()
    }

    /// A counted loop from 0; the body may use barriers.
    pub fn repeat(&mut self, lo: Sv, hi: Sv, step: u32, body: impl FnOnce(&mut Self, Sv) -> Result<()>) -> Result<()> {
        let index = self.b.fresh(Ty::scalar(DType::U32));
        self.open();
        self.loops += 1;
        let done = body(self, index);
        self.loops -= 1;
        let body = self.close();
        done?;
        self.b.effect(simt::Op::For { index, lo, hi, step, uniform: true, body });
        Ok(())
    }

    /// A counted loop whose bounds differ between threads.
    pub fn repeat_divergent(
        &mut self,
        lo: Sv,
        hi: Sv,
        step: u32,
        body: impl FnOnce(&mut Self, Sv) -> Result<()>,
    ) -> Result<()> {
        let index = self.b.fresh(Ty::scalar(DType::U32));
        self.open();
        let done = body(self, index);
        let body = self.close();
        done?;
        self.b.effect(simt::Op::For { index, lo, hi, step, uniform: false, body });
        Ok(())
    }

    /// A loop that `body` leaves by a `Break` that all threads reach together; the body may use barriers.
    pub fn forever(&mut self, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.open();
        self.loops += 1;
        let done = body(self);
        self.loops -= 1;
        let body = self.close();
        done?;
        self.b.effect(simt::Op::Loop(body));
        Ok(())
    }

    /// Runs `body` under a condition, or plainly when there is none.
    pub fn guarded(&mut self, cond: Option<Sv>, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let Some(cond) = cond else { return body(self) };
        self.open();
        let done = body(self);
        let then = self.close();
        done?;
        self.b.effect(simt::Op::If(cond, then, Vec::new()));
        Ok(())
    }

    /// All threads meet; what they wrote is visible.
    pub fn barrier(&mut self) {
        self.b.effect(simt::Op::Barrier);
        self.touched.fill(Touched::default());
    }

    /// Orders an access to a parameter behind earlier ones of other threads: in a tile program statements run one after
    /// the other.
    pub fn order(&mut self, param: usize, access: Touched) {
        if self.kernel.params[param].access != tile::Access::ReadWrite {
            return;
        }
        let seen = self.touched[param];
        let clash = (access.reads && (seen.writes || seen.atomics))
            || (access.writes && (seen.reads || seen.writes || seen.atomics))
            || (access.atomics && (seen.reads || seen.writes));
        if clash {
            self.barrier();
        }
        self.touched[param].join(access);
    }

    /// Ends a statement: per-statement leaves and memos are dropped, scratch is free again.
    pub fn end_statement(&mut self) {
        self.over.clear();
        self.scratch.iter_mut().for_each(|s| s.busy = false);
        for leaf in self.leaves.values() {
            if let Leaf::Shared(i) = leaf {
                self.scratch[*i as usize].busy = true;
            }
        }
        if let Some(top) = self.evals.last_mut() {
            top.clear();
        }
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

    // Index arithmetic, each expression once per region.

    fn cached(&mut self, key: Key, make: impl FnOnce(&mut Self) -> Sv) -> Sv {
        if let Some(v) = self.memo.iter().rev().find_map(|m| m.get(&key)) {
            return *v;
        }
        let v = make(self);
        if let Some(top) = self.memo.last_mut() {
            top.insert(key, v);
        }
        v
    }

    pub fn uint(&mut self, value: u32) -> Sv {
        self.cached(Key::Uint(value), |e| e.b.uint(value))
    }

    pub fn lane(&mut self) -> Sv {
        self.cached(Key::Lane, |e| {
            let v = e.b.builtin(Builtin::LocalIndex);
            e.b.name(v, Some("lane".into()));
            v
        })
    }

    pub fn group(&mut self) -> Sv {
        self.cached(Key::Group, |e| e.b.builtin(Builtin::WorkgroupIndex))
    }

    pub fn dim(&mut self, dim: &Dim) -> Sv {
        match dim.as_const() {
            Some(v) => self.uint(v as u32),
            None => self.cached(Key::Dim(dim.clone()), |e| e.b.dim(dim)),
        }
    }

    pub fn index(&mut self, op: ScalarOp, args: &[Sv]) -> Sv {
        self.cached(Key::Map(op, args.to_vec()), |e| e.b.map(op, args))
    }

    pub fn as_uint(&mut self, v: Sv) -> Sv {
        if self.b.ty(v).dtype == DType::U32 {
            return v;
        }
        self.cached(Key::Cast(v, DType::U32), |e| e.b.cast(v, DType::U32))
    }

    pub fn add(&mut self, a: Sv, b: Sv) -> Sv {
        self.index(ScalarOp::Add, &[a, b])
    }

    pub fn mul(&mut self, a: Sv, b: Sv) -> Sv {
        self.index(ScalarOp::Mul, &[a, b])
    }

    pub fn add_fixed(&mut self, a: Sv, n: u32) -> Sv {
        if n == 0 {
            return a;
        }
        let n = self.uint(n);
        self.add(a, n)
    }

    pub fn shr(&mut self, a: Sv, n: u32) -> Sv {
        if n == 0 {
            return a;
        }
        if let Some(v) = self.b.known(a) {
            return self.uint(v as u32 >> n);
        }
        let n = self.uint(n);
        self.index(ScalarOp::Shr, &[a, n])
    }

    pub fn shl(&mut self, a: Sv, n: u32) -> Sv {
        if n == 0 {
            return a;
        }
        if let Some(v) = self.b.known(a) {
            return self.uint((v as u32) << n);
        }
        let n = self.uint(n);
        self.index(ScalarOp::Shl, &[a, n])
    }

    pub fn and_fixed(&mut self, a: Sv, mask: u32) -> Sv {
        if let Some(v) = self.b.known(a) {
            return self.uint(v as u32 & mask);
        }
        let mask = self.uint(mask);
        self.index(ScalarOp::And, &[a, mask])
    }

    /// Both conditions, where there are any.
    pub fn both(&mut self, a: Option<Sv>, b: Option<Sv>) -> Option<Sv> {
        match (a, b) {
            (Some(a), Some(b)) if a == b => Some(a),
            (Some(a), Some(b)) => Some(self.index(ScalarOp::And, &[a, b])),
            (a, b) => a.or(b),
        }
    }

    /// A term as one value.
    pub fn term(&mut self, t: Term) -> Sv {
        match t.value {
            Some(v) => self.add_fixed(v, t.fixed),
            None => self.uint(t.fixed),
        }
    }

    /// A number put together from thread, register and component bits: `select` gives the place of each coordinate bit.
    /// `lanes` and `regs` say which parts count.
    pub fn gather(
        &mut self,
        l: &Layout,
        idx: &Idx,
        comp: u32,
        lanes: bool,
        regs: bool,
        select: impl Fn(Bit) -> Option<u8>,
    ) -> Term {
        let (mut wires, mut fixed) = (Vec::new(), 0u32);
        if lanes {
            for (p, b) in l.lane.iter().enumerate() {
                if let Some(d) = b.and_then(&select) {
                    wires.push((d, Wire::Lane(p as u8)));
                }
            }
        }
        let vector = l.vector_bits();
        for (p, b) in l.reg.iter().enumerate().filter(|_| regs) {
            let Some(d) = b.and_then(&select) else { continue };
            let on = match p.checked_sub(vector) {
                None => comp >> p & 1 == 1,
                Some(q) => {
                    let gives = |part: &Part| (part.shift as usize..(part.shift + part.bits) as usize).contains(&q);
                    match idx.parts.iter().position(gives) {
                        Some(n) => {
                            wires.push((d, Wire::Part(n as u8, q as u8 - idx.parts[n].shift)));
                            false
                        }
                        None => idx.fixed >> q & 1 == 1,
                    }
                }
            };
            if on {
                fixed |= 1 << d;
            }
        }
        wires.sort_by_key(|w| w.0);
        Term { value: self.solder(&wires, idx, l.lane.len()), fixed }
    }

    /// The index as a value.
    pub fn vector_index(&mut self, idx: &Idx) -> Sv {
        let mut sum: Option<Sv> = None;
        for part in &idx.parts {
            let moved = self.shl(part.value, part.shift as u32);
            sum = Some(match sum {
                Some(s) => self.add(s, moved),
                None => moved,
            });
        }
        self.term(Term { value: sum, fixed: idx.fixed })
    }

    /// Runs of neighbouring bits become one shift and mask each.
    fn solder(&mut self, wires: &[(u8, Wire)], idx: &Idx, lane_bits: usize) -> Option<Sv> {
        let (mut sum, mut at) = (None, 0);
        while at < wires.len() {
            let (dest, first) = wires[at];
            let next = |n: u8| match first {
                Wire::Part(i, p) => Wire::Part(i, p + n),
                Wire::Lane(p) => Wire::Lane(p + n),
            };
            let mut n = 1;
            while at + (n as usize) < wires.len() && wires[at + n as usize] == (dest + n, next(n)) {
                n += 1;
            }
            at += n as usize;
            let (source, from, top) = match first {
                Wire::Lane(p) => (self.lane(), p, lane_bits as u32),
                Wire::Part(n, p) => (idx.parts[n as usize].value, p, idx.parts[n as usize].bits as u32),
            };
            let moved = self.shr(source, from as u32);
            let kept = if from as u32 + n as u32 >= top { moved } else { self.and_fixed(moved, (1u32 << n) - 1) };
            let placed = self.shl(kept, dest as u32);
            sum = Some(match sum {
                Some(s) => self.add(s, placed),
                None => placed,
            });
        }
        sum
    }

    /// True in one thread of those that hold the same elements; `None` when none repeats.
    pub fn owner(&mut self, l: &Layout) -> Option<Sv> {
        let mask = l.repeated_lanes();
        if mask == 0 {
            return None;
        }
        let lane = self.lane();
        let rest = self.and_fixed(lane, mask);
        let zero = self.uint(0);
        Some(self.index(ScalarOp::Eq, &[rest, zero]))
    }

    // Workgroup memory.

    /// A workgroup array for `len` elements, ready to be written.
    pub fn scratch(&mut self, name: &str, dtype: DType, len: u32) -> u32 {
        let dtype = if dtype == DType::Bool { DType::U32 } else { dtype };
        let fits = |i: &usize| !self.scratch[*i].busy && self.b.shared[*i].elem.dtype == dtype;
        let found = (0..self.scratch.len()).find(fits);
        let index = found.unwrap_or_else(|| {
            let n = self.b.shared.iter().filter(|s| s.name.starts_with(name)).count();
            let name = if n == 0 { name.to_string() } else { format!("{name}{n}") };
            self.b.shared.push(simt::Shared { name: name.into(), elem: Ty::scalar(dtype), len: 0 });
            self.scratch.push(Scratch { busy: false, used: false });
            self.scratch.len() - 1
        });
        let array = &mut self.b.shared[index];
        array.len = array.len.max(len);
        self.scratch[index].busy = true;
        if self.scratch[index].used || self.loops > 0 {
            self.barrier();
        }
        self.scratch[index].used = true;
        index as u32
    }

    /// Gives an array back to be reused in this statement.
    pub fn release(&mut self, index: u32) {
        self.scratch[index as usize].busy = false;
    }

    /// Writes an element of a workgroup array (bool as 0 and 1).
    pub fn put_shared(&mut self, array: u32, index: Sv, value: Sv) {
        let value = if self.b.ty(value).dtype == DType::Bool { self.b.cast(value, DType::U32) } else { value };
        self.b.store(Space::Shared(array), index, value);
    }

    /// Reads an element of a workgroup array as `dtype`.
    pub fn get_shared(&mut self, array: u32, index: Sv, dtype: DType) -> Sv {
        let v = self.b.load(Space::Shared(array), index);
        if dtype == DType::Bool {
            let zero = self.uint(0);
            return self.b.map(ScalarOp::Ne, &[v, zero]);
        }
        v
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
