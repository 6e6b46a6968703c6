//! Evaluation on demand: one vector of a value, in the layout its consumer asks for.

use super::emit::{Emit, Idx, Leaf, Part, UNROLL};
use super::layout::{Layout, linear_of};
use super::plan::pulled;
use girih_base::{DType, Diag, Result, ScalarOp};
use girih_simt::{self as simt, Space, Ty, ValueId as Sv};
use girih_tile::{Literal, Op, ValueId as Tv};
use std::collections::BTreeSet;

impl Emit<'_> {
    /// The vector `idx` of `v` in layout `l`; a scalar when all its components are one element.
    pub fn eval(&mut self, v: Tv, l: &Layout, idx: &Idx) -> Result<Sv> {
        if let Some(leaf) = self.over.get(&v).or(self.leaves.get(&v)) {
            return self.read(&leaf.clone(), v, l, idx);
        }
        let key = (v, l.clone(), idx.clone());
        if let Some(known) = self.recall(&key) {
            return Ok(known);
        }
        let Some(stmt) = self.plan.defs.get(&v).copied() else {
            return Err(Diag::error("L200", format!("{} is used before it is defined", self.describe(v))));
        };
        let dtype = self.dtype(v);
        let result = match &stmt.op {
            Op::Const(value) => self.literal(*value, dtype)?,
            Op::Map(op, args) => {
                self.compute(dtype)?;
                let operand = self.dtype(args[args.len() - 1]);
                let args = args.iter().map(|a| self.eval(*a, l, idx)).collect::<Result<Vec<_>>>()?;
                self.map_as(*op, args, operand, dtype)?
            }
            Op::Cast(x) => {
                let from = self.dtype(*x);
                let x = self.eval(*x, l, idx)?;
                self.convert(x, from, dtype)?
            }
            Op::Bitcast(x) => {
                let from = self.dtype(*x);
                let x = self.eval(*x, l, idx)?;
                self.reinterpret(x, from, dtype)?
            }
            Op::Splat(x) => self.scalar(*x)?,
            Op::Arange(axis) => self.coordinates(l, idx, *axis),
            Op::Reshape(x) | Op::Permute(x, _) | Op::Broadcast(x, _) => {
                let pull = pulled(&stmt.op, l, &self.bits(*x), &self.bits(v));
                self.eval(*x, &pull, idx)?
            }
            Op::Load { param, view, at, mask, other } => self.load(v, *param, view, at, *mask, *other, l, idx)?,
            Op::LoadAt { param, index, mask, other } => self.load_at(v, *param, *index, *mask, *other, l, idx)?,
            Op::LoadQuant { param, format, columns, at, .. } => {
                self.load_quant(*param, format, columns, *at, l, idx)?
            }
            _ => {
                return Err(
                    Diag::error("L200", format!("{} has not been computed", self.describe(v))).at(&stmt.loc, "here")
                );
            }
        };
        self.remember(key, result);
        Ok(result)
    }

    /// A scalar value.
    pub fn scalar(&mut self, v: Tv) -> Result<Sv> {
        let l = Layout::scalar(self.plan.lanes);
        self.eval(v, &l, &Idx::default())
    }

    /// A scalar operation on values of which some may be single elements.
    pub fn map(&mut self, op: ScalarOp, args: &[Sv]) -> Sv {
        let width = args.iter().map(|a| self.b.ty(*a).lanes).max().unwrap_or(1);
        let args: Vec<Sv> = args.iter().map(|a| self.wide(*a, width)).collect();
        if width == 1 && matches!(self.b.ty(args[0]).dtype, DType::I32 | DType::U32) {
            return self.index(op, &args);
        }
        self.b.map(op, &args)
    }

    /// A literal in the arithmetic of `dtype`.
    pub fn literal(&mut self, value: Literal, dtype: DType) -> Result<Sv> {
        let compute = self.compute(dtype)?;
        let value = match (value, compute) {
            (Literal::Int(i), DType::U32) => return Ok(self.uint(i as u32)),
            (Literal::Int(i), DType::I32) => return Ok(self.b.int(i as i32)),
            (Literal::Float(f), d) if !d.is_float() => simt::Literal::Int(f64::from_bits(f) as i64),
            (Literal::Int(i), d) if d.is_float() => simt::Literal::float(i as f64),
            (Literal::Int(i), _) => simt::Literal::Int(i),
            (Literal::Float(f), _) => simt::Literal::Float(f),
        };
        let v = self.b.constant(value, Ty::scalar(compute));
        self.narrow(v, dtype)
    }

    /// The coordinates along `axis`, i32.
    fn coordinates(&mut self, l: &Layout, idx: &Idx, axis: usize) -> Sv {
        let select = |b: super::layout::Bit| (b.axis as usize == axis).then_some(b.bit);
        let base = self.gather(l, idx, 0, true, true, select);
        let base = self.term(base);
        let first = self.b.cast(base, DType::I32);
        let steps: Vec<u32> =
            (0..l.width() as u32).map(|c| self.gather(l, &Idx::default(), c, false, true, select).fixed).collect();
        if steps.iter().all(|s| *s == 0) {
            return first;
        }
        let parts: Vec<Sv> = steps
            .into_iter()
            .map(|s| {
                let s = self.b.int(s as i32);
                self.b.add(first, s)
            })
            .collect();
        self.pack(&parts)
    }

    /// Reads a kept value in the layout asked for.
    fn read(&mut self, leaf: &Leaf, v: Tv, l: &Layout, idx: &Idx) -> Result<Sv> {
        let (held, array) = match leaf {
            Leaf::Shared(array) => return self.read_shared(*array, v, l, idx),
            Leaf::Regs(held, values) if held.reg.is_empty() => return Ok(values[0]),
            Leaf::Regs(held, _) => (held, None),
            Leaf::Array(held, array) => (held, Some(*array)),
        };
        if !l.readable_from(held) {
            return Err(Diag::error("L200", format!("{} is not at hand in the layout needed", self.describe(v))));
        }
        let place = |b: super::layout::Bit| held.reg.iter().position(|h| *h == Some(b)).map(|p| p as u8);
        let vector = held.vector_bits();
        let same = l.vector_bits() == vector && l.reg[..vector] == held.reg[..vector];
        if same {
            let t = self.gather(l, idx, 0, false, true, |b| place(b)?.checked_sub(vector as u8));
            return self.vector_at(leaf, array, t);
        }
        let components = if l.uniform_vector() { 1 } else { l.width() as u32 };
        let mut parts = Vec::new();
        for c in 0..components {
            let which = self.gather(l, idx, c, false, true, |b| place(b)?.checked_sub(vector as u8));
            let comp = self.gather(l, idx, c, false, true, |b| place(b).filter(|p| (*p as usize) < vector));
            let whole = self.vector_at(leaf, array, which)?;
            parts.push(match comp.value {
                None => self.b.component(whole, comp.fixed as u8),
                Some(_) => {
                    let at = self.term(comp);
                    let dtype = self.b.ty(whole).dtype;
                    self.b.push(simt::Op::ComponentAt(whole, at), Ty::scalar(dtype))
                }
            });
        }
        Ok(self.pack(&parts))
    }

    fn vector_at(&mut self, leaf: &Leaf, array: Option<u32>, t: super::emit::Term) -> Result<Sv> {
        match (leaf, array) {
            (_, Some(array)) => {
                let at = self.term(t);
                Ok(self.b.load(Space::Local(array), at))
            }
            (Leaf::Regs(_, values), _) if t.value.is_none() && (t.fixed as usize) < values.len() => {
                Ok(values[t.fixed as usize])
            }
            _ => Err(Diag::error("L200", "a register is chosen at run time")),
        }
    }

    fn read_shared(&mut self, array: u32, v: Tv, l: &Layout, idx: &Idx) -> Result<Sv> {
        let (bits, dtype) = (self.bits(v), self.compute(self.dtype(v))?);
        let components = if l.uniform_vector() { 1 } else { l.width() as u32 };
        let base = self.gather(l, idx, 0, true, true, |b| Some(linear_of(&bits, b)));
        let base = self.term(base);
        let mut parts = Vec::new();
        for c in 0..components {
            let step = self.gather(l, &Idx::default(), c, false, true, |b| Some(linear_of(&bits, b))).fixed;
            let at = self.add_fixed(base, step);
            parts.push(self.get_shared(array, at, dtype));
        }
        Ok(self.pack(&parts))
    }

    /// Makes sure `v` can be evaluated in layout `l` inside loops and without barriers: converts through workgroup
    /// memory or spills to an array what cannot be read as it is, and computes the thread's part of addresses.
    pub fn prepare(&mut self, v: Tv, l: &Layout, dynamic: bool) -> Result<()> {
        self.prepare_new(v, l, dynamic, &mut BTreeSet::new())
    }

    /// The same but for what is in `done`: operands are shared, so that the paths to them can be exponentially many.
    fn prepare_new(&mut self, v: Tv, l: &Layout, dynamic: bool, done: &mut BTreeSet<(Tv, Layout)>) -> Result<()> {
        if !done.insert((v, l.clone())) {
            return Ok(());
        }
        match self.over.get(&v).or(self.leaves.get(&v)).cloned() {
            Some(Leaf::Shared(_)) => return Ok(()),
            Some(Leaf::Regs(held, _)) if held.reg.is_empty() && held.lane.iter().all(Option::is_none) => return Ok(()),
            Some(Leaf::Regs(held, _) | Leaf::Array(held, _)) if !l.readable_from(&held) => return self.stage(v),
            Some(Leaf::Regs(held, values)) if dynamic && held.vectors() > 1 => {
                let ty = self.b.ty(values[0]);
                let array = self.b.local("spilled", ty, Some(values.len() as u32));
                for (i, x) in values.iter().enumerate() {
                    let at = self.uint(i as u32);
                    self.b.store(Space::Local(array), at, *x);
                }
                self.over.insert(v, Leaf::Array(held, array));
                return Ok(());
            }
            Some(_) => return Ok(()),
            None => {}
        }
        let Some(stmt) = self.plan.defs.get(&v).copied() else { return Ok(()) };
        match &stmt.op {
            Op::Load { view, at, mask, .. } => {
                self.address(view, at, l)?;
                mask.iter().try_for_each(|m| self.prepare_new(*m, l, dynamic, done))
            }
            Op::LoadQuant { at, .. } => {
                for (axis, at) in at.iter().enumerate() {
                    self.coordinate_base(*at, l, axis)?;
                }
                Ok(())
            }
            Op::Splat(_) | Op::Const(_) => Ok(()),
            op => {
                for x in op.operands() {
                    let pull = pulled(op, l, &self.bits(x), &self.bits(v));
                    self.prepare_new(x, &pull, dynamic, done)?;
                }
                Ok(())
            }
        }
    }

    /// Copies a value to workgroup memory for the rest of the statement.
    pub fn stage(&mut self, v: Tv) -> Result<()> {
        self.conversions += 1;
        let array = self.copy_to_shared(v)?;
        self.over.insert(v, Leaf::Shared(array));
        Ok(())
    }

    /// A row-major copy of a value in workgroup memory, visible to all threads.
    pub fn copy_to_shared(&mut self, v: Tv) -> Result<u32> {
        let held = match self.leaves.get(&v) {
            Some(Leaf::Regs(l, _) | Leaf::Array(l, _)) => l.clone(),
            _ => self.plan.layout[v.0 as usize].clone(),
        };
        let (bits, dtype) = (self.bits(v), self.compute(self.dtype(v))?);
        let len = 1u32 << bits.iter().sum::<u8>();
        let bytes = len as u64 * (dtype.bits() as u64 / 8).max(4);
        if bytes > self.desc.workgroup_bytes as u64 {
            return Err(Diag::error(
                "L203",
                format!(
                    "{} takes {bytes} bytes of workgroup memory, the target has {}",
                    self.describe(v),
                    self.desc.workgroup_bytes
                ),
            )
            .at(&self.here, "moved between threads for this")
            .help("use smaller tiles"));
        }
        // What the value itself needs first: its own conversions must not happen under a condition.
        self.prepare(v, &held, held.vectors() > UNROLL)?;
        let array = self.scratch("exchange", dtype, len);
        let owner = self.owner(&held);
        self.guarded(owner, |e| {
            e.each(held.vectors(), |e, idx| {
                let x = e.eval(v, &held, idx)?;
                let x = e.wide(x, held.width());
                let base = e.gather(&held, idx, 0, true, true, |b| Some(linear_of(&bits, b)));
                let base = e.term(base);
                for c in 0..held.width() {
                    let step =
                        e.gather(&held, &Idx::default(), c as u32, false, true, |b| Some(linear_of(&bits, b))).fixed;
                    let at = e.add_fixed(base, step);
                    let part = e.b.component(x, c);
                    e.put_shared(array, at, part);
                }
                Ok(())
            })
        })?;
        self.barrier();
        Ok(array)
    }

    /// Runs `body` for every vector: unrolled when they are few, else in a loop.
    pub fn each(&mut self, vectors: u32, mut body: impl FnMut(&mut Self, &Idx) -> Result<()>) -> Result<()> {
        if vectors <= UNROLL {
            return (0..vectors).try_for_each(|i| body(self, &Idx::fixed(i)));
        }
        let (lo, hi) = (self.uint(0), self.uint(vectors));
        self.repeat(lo, hi, 1, |e, i| {
            e.b.name(i, Some("r".into()));
            let part = Part { value: i, shift: 0, bits: vectors.ilog2() as u8 };
            body(e, &Idx { fixed: 0, parts: vec![part] })
        })
    }

    /// Computes a value now and keeps it in layout `l`.
    pub fn keep(&mut self, v: Tv, l: &Layout) -> Result<Leaf> {
        let vectors = l.vectors();
        self.prepare(v, l, vectors > UNROLL)?;
        let name = self.kernel.values[v.0 as usize].name.clone();
        if vectors <= UNROLL {
            let mut regs = Vec::new();
            for i in 0..vectors {
                let x = self.eval(v, l, &Idx::fixed(i))?;
                let x = self.wide(x, l.width());
                self.b.name(x, name.clone());
                regs.push(x);
            }
            return Ok(Leaf::Regs(l.clone(), regs));
        }
        let ty = Ty::vec(self.compute(self.dtype(v))?, l.width());
        let array = self.b.local(name.as_deref().unwrap_or("tile"), ty, Some(vectors));
        self.fill(v, l, array)?;
        Ok(Leaf::Array(l.clone(), array))
    }

    /// Evaluates every vector of `v` into an array; the value must be prepared.
    pub fn fill(&mut self, v: Tv, l: &Layout, array: u32) -> Result<()> {
        self.each(l.vectors(), |e, idx| {
            let x = e.eval(v, l, idx)?;
            let x = e.wide(x, l.width());
            let at = e.vector_index(idx);
            e.b.store(Space::Local(array), at, x);
            Ok(())
        })
    }
}
