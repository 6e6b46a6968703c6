//! Statements in order, loops with carried tiles, branches.

mod loops;

use super::emit::{Emit, Leaf, Touched};
use super::layout::Layout;
use super::plan::pure;
use girih_base::{DType, Result, ScalarOp};
use girih_simt::{self as simt, Ty, ValueId as Sv};
use girih_tile::{self as tile, Block, Op, Stmt, ValueId as Tv};

impl Emit<'_> {
    /// The coordinates of the program instance from the workgroup's index; the last grid axis is fastest.
    pub fn delinearise(&mut self) {
        let mut rest = self.group();
        let mut out = Vec::new();
        let grid = self.kernel.grid.clone();
        for (axis, extent) in grid.iter().enumerate().rev() {
            if axis == 0 {
                out.push(rest);
                break;
            }
            if extent.is(1) {
                out.push(self.uint(0));
                continue;
            }
            let n = self.dim(extent);
            out.push(self.index(ScalarOp::Rem, &[rest, n]));
            rest = self.index(ScalarOp::Div, &[rest, n]);
        }
        out.reverse();
        self.grid = out;
    }

    /// A remark in the generated source.
    pub fn comment(&mut self, text: &str) {
        self.b.effect(simt::Op::Comment(text.into()));
    }

    fn announce(&mut self, what: &str, v: Tv) {
        let ty = &self.kernel.values[v.0 as usize].ty;
        if ty.shape.is_empty() {
            return;
        }
        let shape: Vec<String> = ty.shape.iter().map(u32::to_string).collect();
        let name = self.kernel.values[v.0 as usize].name.as_deref().map(|n| format!("{n}: ")).unwrap_or_default();
        self.comment(&format!("{name}{what} [{}] {}", shape.join(", "), ty.dtype));
    }

    /// Emits a region's statements.
    pub fn block(&mut self, block: &Block) -> Result<()> {
        for s in &block.stmts {
            self.here = s.loc.clone();
            self.b.set_loc(s.loc.clone());
            self.stmt(s)?;
            self.end_statement();
        }
        Ok(())
    }

    fn define(&mut self, v: Tv, value: Sv) {
        let name = self.kernel.values[v.0 as usize].name.clone();
        self.b.name(value, name);
        self.leaves.insert(v, Leaf::Regs(Layout::scalar(self.plan.lanes), vec![value]));
    }

    fn stmt(&mut self, s: &Stmt) -> Result<()> {
        let unused = s.results.iter().all(|r| self.plan.uses[r.0 as usize] == 0);
        self.publish(&s.op);
        if let Some((param, access)) = access(&s.op) {
            self.order(param, access);
        }
        match &s.op {
            Op::ProgramId(axis) => {
                let id = self.grid.get(*axis).copied();
                let id = id.unwrap_or_else(|| self.uint(0));
                let id = self.b.cast(id, DType::I32);
                self.define(s.results[0], id);
            }
            Op::Size(d) => {
                let d = self.dim(d);
                let d = self.b.cast(d, DType::I32);
                self.define(s.results[0], d);
            }
            Op::Scalar(index) => {
                let v = self.launch_scalar(*index)?;
                self.define(s.results[0], v);
            }
            Op::Store { param, view, at, value, mask } => {
                self.announce(&format!("store to {}", self.kernel.params[*param].name), *value);
                self.store(*param, view, at, *value, *mask)?;
            }
            Op::StoreAt { param, index, value, mask } => {
                self.announce(&format!("scatter to {}", self.kernel.params[*param].name), *value);
                self.store_at(*param, *index, *value, *mask)?;
            }
            Op::Atomic { op, param, index, value, mask } => {
                self.announce(&format!("atomic update of {}", self.kernel.params[*param].name), *value);
                self.atomic(*op, *param, *index, *value, *mask, s.results[0], unused)?;
            }
            Op::CompareExchange { param, index, expected, value } => {
                self.announce(&format!("atomic update of {}", self.kernel.params[*param].name), *value);
                self.compare_exchange(*param, *index, *expected, *value, s.results[0], unused)?;
            }
            Op::Dot { a, b, acc } if !unused => {
                self.announce("dot", s.results[0]);
                self.dot(*a, *b, *acc, s.results[0])?;
            }
            Op::Reduce { args, axis, combine } if !unused => {
                self.announce(&format!("fold along axis {axis}"), args[0]);
                self.reduce(args, *axis, combine, &s.results)?;
            }
            Op::Scan { args, axis, combine, reverse } if !unused => {
                self.announce(&format!("running fold along axis {axis}"), args[0]);
                self.scan(args, *axis, combine, *reverse, &s.results)?;
            }
            Op::Sort { args, axis, keys, descending } if !unused => {
                self.announce(&format!("sort along axis {axis}"), args[0]);
                self.sort(args, *axis, *keys, *descending, &s.results)?;
            }
            Op::For { lo, hi, step, init, body } => self.counted(*lo, *hi, *step, init, body, &s.results)?,
            Op::While { init, test, body } => self.repeated(init, test, body, &s.results)?,
            Op::If { cond, then, otherwise } => self.branch(*cond, then, otherwise, &s.results)?,
            Op::Print(text, args) => self.print(text, args)?,
            Op::Assert(x, text) => self.assert(*x, text)?,
            _ if unused => {}
            op => {
                let v = s.results[0];
                if pure(self.kernel, op) && self.plan.deferred[v.0 as usize] {
                    return Ok(());
                }
                if matches!(op, Op::Load { .. } | Op::LoadAt { .. } | Op::LoadQuant { .. }) {
                    self.announce("load", v);
                }
                let layout = self.plan.layout[v.0 as usize].clone();
                let leaf = self.keep(v, &layout)?;
                self.leaves.insert(v, leaf);
            }
        }
        Ok(())
    }

    /// A number given at launch, from one or two uniform words.
    fn launch_scalar(&mut self, index: usize) -> Result<Sv> {
        let tile::Scalar { name, dtype } = self.kernel.scalars[index].clone();
        let dtype = self.compute(dtype)?;
        let low = self.b.uniform(&name);
        if dtype.bits() == 32 {
            return Ok(if dtype.is_float() { self.b.bitcast(low, dtype) } else { self.b.cast(low, dtype) });
        }
        let high = self.b.uniform(&format!("{name}.hi").into());
        let (low, high) = (self.b.cast(low, DType::U64), self.b.cast(high, DType::U64));
        let by = self.b.constant(simt::Literal::Int(32), Ty::scalar(DType::U64));
        let high = self.b.map(ScalarOp::Shl, &[high, by]);
        let bits = self.b.map(ScalarOp::Or, &[high, low]);
        Ok(if dtype == DType::U64 { bits } else { self.b.bitcast(bits, dtype) })
    }
}

/// The parameter that an operation reaches, and how.
fn access(op: &Op) -> Option<(usize, Touched)> {
    match op {
        Op::Load { param, .. } | Op::LoadAt { param, .. } | Op::LoadQuant { param, .. } => {
            Some((*param, Touched { reads: true, ..Touched::default() }))
        }
        Op::Store { param, .. } | Op::StoreAt { param, .. } => {
            Some((*param, Touched { writes: true, ..Touched::default() }))
        }
        Op::Atomic { param, .. } | Op::CompareExchange { param, .. } => {
            Some((*param, Touched { atomics: true, ..Touched::default() }))
        }
        _ => None,
    }
}

/// Everything that a region does to parameters.
fn touch(block: &Block, out: &mut [Touched]) {
    for s in &block.stmts {
        if let Some((param, how)) = access(&s.op) {
            out[param].join(how);
        }
        s.op.blocks().into_iter().for_each(|b| touch(b, out));
    }
}
