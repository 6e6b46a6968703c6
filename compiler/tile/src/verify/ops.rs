//! Types of single operations.

use super::{Check, Verifier};
use crate::ir::*;
use crate::op::*;
use girih_base::{DType, ScalarOp, print};

impl Verifier<'_> {
    pub(super) fn ty(&self, id: ValueId) -> &TileTy {
        &self.k.values[id.0 as usize].ty
    }

    pub(super) fn same(&self, what: &str, got: &TileTy, want: &TileTy) -> Check {
        if got == want { Ok(()) } else { Err(format!("{what} is {got}, expected {want}")) }
    }

    pub(super) fn i32_scalar(&self, what: &str, id: ValueId) -> Check {
        self.same(what, self.ty(id), &TileTy::scalar(DType::I32))
    }

    pub(super) fn result<'s>(&'s self, stmt: &Stmt) -> Check<&'s TileTy> {
        match stmt.results[..] {
            [r] => Ok(self.ty(r)),
            _ => Err(format!("defines {} values, expected one", stmt.results.len())),
        }
    }

    pub(super) fn results(&self, stmt: &Stmt, want: &[TileTy]) -> Check {
        if stmt.results.len() != want.len() {
            return Err(format!("defines {} values, expected {}", stmt.results.len(), want.len()));
        }
        stmt.results.iter().zip(want).try_for_each(|(r, t)| self.same("the result", self.ty(*r), t))
    }

    pub(super) fn axis(&self, axis: usize, ty: &TileTy) -> Check {
        if axis < ty.shape.len() { Ok(()) } else { Err(format!("axis {axis} of {ty}")) }
    }

    pub(super) fn op(&self, stmt: &Stmt) -> Check {
        match &stmt.op {
            Op::ProgramId(axis) => {
                if *axis >= self.k.grid.len() {
                    return Err(format!("the grid has {} axes", self.k.grid.len()));
                }
                self.results(stmt, &[TileTy::scalar(DType::I32)])
            }
            Op::Size(_) => self.results(stmt, &[TileTy::scalar(DType::I32)]),
            Op::Scalar(index) => {
                let scalar = self.k.scalars.get(*index).ok_or_else(|| format!("no scalar {index}"))?;
                self.results(stmt, &[TileTy::scalar(scalar.dtype)])
            }
            Op::Const(value) => {
                let ty = self.result(stmt)?;
                match (ty.dtype.is_float(), value) {
                    (false, Literal::Float(_)) => Err(format!("a float literal of type {}", ty.dtype)),
                    _ => Ok(()),
                }
            }
            Op::Map(op, args) => self.map(stmt, *op, args),
            Op::Cast(x) => {
                let r = self.result(stmt)?;
                self.same("the result", r, &self.ty(*x).with_dtype(r.dtype))
            }
            Op::Bitcast(x) => {
                let (r, x) = (self.result(stmt)?, self.ty(*x));
                let no_bits = x.dtype == DType::Bool || r.dtype == DType::Bool || r.dtype.bits() != x.dtype.bits();
                if no_bits && r.dtype != x.dtype {
                    return Err(format!("{} and {} do not have the same bits", x.dtype, r.dtype));
                }
                self.same("the result", r, &x.with_dtype(r.dtype))
            }
            Op::Splat(x) => {
                let (r, x) = (self.result(stmt)?, self.ty(*x));
                self.same("the operand", x, &TileTy::scalar(r.dtype))
            }
            Op::Arange(axis) => {
                let r = self.result(stmt)?;
                self.axis(*axis, r)?;
                self.same("the result", r, &r.with_dtype(DType::I32))
            }
            Op::Reshape(x) => {
                let (r, x) = (self.result(stmt)?, self.ty(*x));
                if r.dtype == x.dtype && r.elements() == x.elements() {
                    Ok(())
                } else {
                    Err(format!("from {x} to {r}"))
                }
            }
            Op::Permute(x, perm) => {
                let x = self.ty(*x);
                let mut sorted = perm.clone();
                sorted.sort_unstable();
                if !sorted.into_iter().eq(0..x.shape.len()) {
                    return Err(format!("({perm:?}) is not a permutation of the axes of {x}"));
                }
                let shape: Vec<u32> = perm.iter().map(|a| x.shape[*a]).collect();
                self.results(stmt, &[TileTy::new(x.dtype, shape)])
            }
            Op::Broadcast(x, axes) => {
                let (r, x) = (self.result(stmt)?, self.ty(*x));
                let fits = axes.len() == x.shape.len()
                    && r.dtype == x.dtype
                    && axes.windows(2).all(|w| w[0] < w[1])
                    && axes.iter().zip(&x.shape).all(|(a, e)| r.shape.get(*a) == Some(e));
                if fits { Ok(()) } else { Err(format!("{x} along axes {axes:?} does not fit {r}")) }
            }
            Op::Load { .. }
            | Op::LoadQuant { .. }
            | Op::LoadAt { .. }
            | Op::Store { .. }
            | Op::StoreAt { .. }
            | Op::Atomic { .. }
            | Op::CompareExchange { .. } => self.memory(stmt),
            Op::Dot { a, b, acc } => {
                let (r, a, b) = (self.result(stmt)?, self.ty(*a), self.ty(*b));
                let fits = a.shape.len() == 2 && b.shape.len() == 2 && a.shape[1] == b.shape[0];
                if !fits || r.shape != [a.shape[0], b.shape[1]] {
                    return Err(format!("{a} times {b} does not give {r}"));
                }
                let family = |d: DType| d.is_float();
                if a.dtype == DType::Bool || family(a.dtype) != family(r.dtype) || family(b.dtype) != family(r.dtype) {
                    return Err(format!("{} times {} does not sum in {}", a.dtype, b.dtype, r.dtype));
                }
                acc.map_or(Ok(()), |acc| self.same("the accumulator", self.ty(acc), r))
            }
            Op::Reduce { args, axis, combine } => {
                let tys = self.fold(args, *axis, combine)?;
                let drop = |t: &TileTy| {
                    let mut t = t.clone();
                    t.shape.remove(*axis);
                    t
                };
                self.results(stmt, &tys.iter().map(drop).collect::<Vec<_>>())
            }
            Op::Scan { args, axis, combine, .. } => {
                let tys = self.fold(args, *axis, combine)?;
                self.results(stmt, &tys)
            }
            Op::Sort { args, axis, keys, .. } => {
                let tys = self.alike(args, *axis)?;
                if *keys == 0 || *keys > args.len() {
                    return Err(format!("{keys} keys among {} operands", args.len()));
                }
                self.results(stmt, &tys)
            }
            Op::For { lo, hi, step, init, body } => {
                self.i32_scalar("the first value", *lo)?;
                self.i32_scalar("the end", *hi)?;
                if *step == 0 || i32::try_from(*step).is_err() {
                    return Err("the step must be positive".into());
                }
                let tys: Vec<TileTy> = init.iter().map(|v| self.ty(*v).clone()).collect();
                let entry: Vec<TileTy> =
                    std::iter::once(TileTy::scalar(DType::I32)).chain(tys.iter().cloned()).collect();
                self.region(body, &entry, &tys)?;
                self.results(stmt, &tys)
            }
            Op::While { init, test, body } => {
                let tys: Vec<TileTy> = init.iter().map(|v| self.ty(*v).clone()).collect();
                self.region(test, &tys, &[TileTy::scalar(DType::Bool)])?;
                self.region(body, &tys, &tys)?;
                self.results(stmt, &tys)
            }
            Op::If { cond, then, otherwise } => {
                self.same("the condition", self.ty(*cond), &TileTy::scalar(DType::Bool))?;
                let tys: Vec<TileTy> = stmt.results.iter().map(|v| self.ty(*v).clone()).collect();
                self.region(then, &[], &tys)?;
                self.region(otherwise, &[], &tys)
            }
            Op::Print(text, args) => {
                let pieces = print::parse(text)?;
                if pieces.contains(&print::Piece::Key) {
                    return Err("a line of a program has no keys of its own".into());
                }
                let last = args.last().map_or(0, |v| self.ty(*v).shape.len());
                let places: usize = pieces.iter().map(print::Piece::values).sum();
                if places != args.len() + last {
                    let coordinates = if last == 0 { "".into() } else { format!(" and {last} coordinates") };
                    return Err(format!("{} values{coordinates} for {places} places", args.len()));
                }
                let scalars = &args[..args.len().saturating_sub(1)];
                match scalars.iter().find(|v| !self.ty(**v).shape.is_empty()) {
                    Some(v) => Err(format!("{v} is no scalar")),
                    None => self.results(stmt, &[]),
                }
            }
            Op::Assert(x, _) => {
                let x = self.ty(*x);
                self.same("the condition", x, &x.with_dtype(DType::Bool))?;
                self.results(stmt, &[])
            }
        }
    }

    fn map(&self, stmt: &Stmt, op: ScalarOp, args: &[ValueId]) -> Check {
        let dtypes: Vec<DType> = args.iter().map(|a| self.ty(*a).dtype).collect();
        let dtype = op.infer(&dtypes)?;
        let shape = &self.ty(args[0]).shape;
        if let Some(other) = args.iter().find(|a| self.ty(**a).shape != *shape) {
            return Err(format!("{} and {} have different shapes", self.ty(args[0]), self.ty(*other)));
        }
        self.results(stmt, &[TileTy::new(dtype, shape.clone())])
    }
}
