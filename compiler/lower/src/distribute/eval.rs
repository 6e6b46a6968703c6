//! Evaluation on demand: one vector of a value, in the layout its consumer asks for.

mod keep;

use super::emit::{Emit, Idx, Leaf};
use super::layout::{Layout, linear_of};
use super::plan::pulled;
use girih_base::{DType, Diag, Loc, Result, ScalarOp};
use girih_simt::{self as simt, Space, Ty, ValueId as Sv};
use girih_tile::{Literal, Op, ValueId as Tv};

impl Emit<'_> {
    /// The vector `idx` of `v` in layout `l`; a scalar when all its components are one element.
    pub fn eval(&mut self, v: Tv, l: &Layout, idx: &Idx) -> Result<Sv> {
        if let Some(leaf) = self.over.get(&v).or(self.leaves.get(&v)).filter(|leaf| **leaf != Leaf::Again) {
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
            Op::Load { param, view, at, mask, other } => {
                self.located(&stmt.loc, |e| e.load(v, *param, view, at, *mask, *other, l, idx))?
            }
            Op::LoadAt { param, index, mask, other } => {
                self.located(&stmt.loc, |e| e.load_at(v, *param, *index, *mask, *other, l, idx))?
            }
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

    /// Code of a load, which belongs to where the load was written and not to where its value is used.
    fn located(&mut self, loc: &Loc, code: impl FnOnce(&mut Self) -> Result<Sv>) -> Result<Sv> {
        if !loc.is_known() {
            return code(self);
        }
        let user = std::mem::replace(&mut self.here, loc.clone());
        self.b.set_loc(loc.clone());
        let result = code(self);
        self.b.set_loc(user.clone());
        self.here = user;
        result
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
            Leaf::Again => return Err(Diag::error("L200", format!("{} is not kept", self.describe(v)))),
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
}
