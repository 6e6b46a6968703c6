//! The verifier: types, dominance, views and regions. What it accepts, every target compiles or refuses with a reason.

use crate::ir::*;
use girih_base::{DType, Diag, Dim, Loc, QuantFormat, Result, ScalarOp};
use std::collections::BTreeMap;

/// Largest number of elements in one tile.
pub const MAX_ELEMENTS: usize = 1 << 26;
/// Largest number of axes of a tile.
pub const MAX_RANK: usize = 8;

/// Checks a kernel.
///
/// # Errors
/// `T002` with the statement's location and the rule it breaks.
pub fn verify(kernel: &Kernel) -> Result<()> {
    let mut v = Verifier { k: kernel, state: vec![State::Undefined; kernel.values.len()] };
    v.header().map_err(|m| Diag::error("T002", format!("kernel `{}`: {m}", kernel.name)))?;
    v.block(&kernel.body)
}

/// Calls `f` for every size expression of the kernel.
pub fn each_dim(kernel: &Kernel, f: &mut dyn FnMut(&Dim)) {
    fn in_view(view: &View, f: &mut dyn FnMut(&Dim)) {
        f(&view.offset);
        view.axes.iter().for_each(|a| [&a.extent, &a.stride].into_iter().for_each(&mut *f));
        view.guards.iter().for_each(|g| [&g.base, &g.extent].into_iter().for_each(&mut *f));
    }
    fn in_block(block: &Block, f: &mut dyn FnMut(&Dim)) {
        for stmt in &block.stmts {
            match &stmt.op {
                Op::Size(d) => f(d),
                Op::Load { view, .. } | Op::Store { view, .. } => in_view(view, f),
                Op::LoadQuant { rows, columns, .. } => [rows, columns].into_iter().for_each(&mut *f),
                _ => {}
            }
            stmt.op.blocks().into_iter().for_each(|b| in_block(b, f));
        }
    }
    kernel.params.iter().for_each(|p| f(&p.len));
    kernel.grid.iter().for_each(&mut *f);
    in_block(&kernel.body, f);
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Undefined,
    Visible,
    /// Defined in a region that has ended.
    Closed,
}

struct Verifier<'a> {
    k: &'a Kernel,
    state: Vec<State>,
}

type Check<T = ()> = Result<T, String>;

impl Verifier<'_> {
    fn header(&self) -> Check {
        let mut symbols = BTreeMap::new();
        let mut clash = None;
        each_dim(self.k, &mut |d| {
            for s in d.symbols() {
                let identifier = s.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                    && s.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                if !identifier || symbols.get(&s.name).is_some_and(|other| *other != s) {
                    clash = Some(s.name.clone());
                }
                symbols.insert(s.name.clone(), s);
            }
        });
        if let Some(name) = clash {
            return Err(format!("symbol `{name}` has two sets of bounds, or is not an identifier"));
        }
        for (i, p) in self.k.params.iter().enumerate() {
            if self.k.params[..i].iter().any(|q| q.name == p.name) {
                return Err(format!("two parameters are named `{}`", p.name));
            }
            if p.constant && p.access != Access::Read {
                return Err(format!("parameter `{}` is constant but written", p.name));
            }
        }
        for (i, v) in self.k.values.iter().enumerate() {
            let elements = v.ty.shape.iter().try_fold(1usize, |n, e| n.checked_mul(*e as usize));
            if v.ty.shape.contains(&0) || elements.is_none_or(|n| n > MAX_ELEMENTS) || v.ty.shape.len() > MAX_RANK {
                return Err(format!("%{i} has a shape outside the limits: {}", v.ty));
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &Block) -> Result<()> {
        let mut opened = Vec::new();
        let in_region = |m: String| Diag::error("T002", m);
        self.define(&block.params, &mut opened).map_err(in_region)?;
        for stmt in &block.stmts {
            self.stmt(stmt, &mut opened)?;
        }
        block.results.iter().try_for_each(|v| self.visible(*v)).map_err(in_region)?;
        opened.iter().for_each(|v| self.state[v.0 as usize] = State::Closed);
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt, opened: &mut Vec<ValueId>) -> Result<()> {
        let name = crate::verify::mnemonic(&stmt.op);
        let wrap = |m: String, loc: &Loc| Diag::error("T002", format!("`{name}`: {m}")).at(loc, "this operation");
        stmt.op.operands().into_iter().try_for_each(|v| self.visible(v)).map_err(|m| wrap(m, &stmt.loc))?;
        // Results become visible after the regions, but their types are needed to check the operation.
        if let Some(bad) = stmt.results.iter().find(|v| self.k.values.get(v.0 as usize).is_none()) {
            return Err(wrap(format!("{bad} is not in the value table"), &stmt.loc));
        }
        for block in stmt.op.blocks() {
            self.block(block)?;
        }
        self.op(stmt).map_err(|m| wrap(m, &stmt.loc))?;
        self.define(&stmt.results, opened).map_err(|m| wrap(m, &stmt.loc))
    }

    fn define(&mut self, ids: &[ValueId], opened: &mut Vec<ValueId>) -> Check {
        for id in ids {
            match self.state.get_mut(id.0 as usize) {
                None => return Err(format!("{id} is not in the value table")),
                Some(s) if *s != State::Undefined => return Err(format!("{id} is defined twice")),
                Some(s) => *s = State::Visible,
            }
            opened.push(*id);
        }
        Ok(())
    }

    fn visible(&self, id: ValueId) -> Check {
        match self.state.get(id.0 as usize) {
            Some(State::Visible) => Ok(()),
            Some(State::Closed) => Err(format!("{id} is defined in a region that has ended")),
            _ => Err(format!("{id} is used before it is defined")),
        }
    }

    fn ty(&self, id: ValueId) -> &TileTy {
        &self.k.values[id.0 as usize].ty
    }

    fn same(&self, what: &str, got: &TileTy, want: &TileTy) -> Check {
        if got == want { Ok(()) } else { Err(format!("{what} is {got}, expected {want}")) }
    }

    fn i32_scalar(&self, what: &str, id: ValueId) -> Check {
        self.same(what, self.ty(id), &TileTy::scalar(DType::I32))
    }

    fn result<'s>(&'s self, stmt: &Stmt) -> Check<&'s TileTy> {
        match stmt.results[..] {
            [r] => Ok(self.ty(r)),
            _ => Err(format!("defines {} values, expected one", stmt.results.len())),
        }
    }

    fn results(&self, stmt: &Stmt, want: &[TileTy]) -> Check {
        if stmt.results.len() != want.len() {
            return Err(format!("defines {} values, expected {}", stmt.results.len(), want.len()));
        }
        stmt.results.iter().zip(want).try_for_each(|(r, t)| self.same("the result", self.ty(*r), t))
    }

    fn param(&self, index: usize, reads: bool, writes: bool) -> Check<&Param> {
        let p = self.k.params.get(index).ok_or_else(|| format!("no parameter {index}"))?;
        if reads && p.access == Access::Write || writes && p.access == Access::Read {
            return Err(format!("parameter `{}` is not declared for this access", p.name));
        }
        Ok(p)
    }

    fn view(&self, view: &View, at: &[ValueId], shape: &[u32]) -> Check {
        if view.axes.len() != shape.len() || at.len() != shape.len() {
            let (axes, at, rank) = (view.axes.len(), at.len(), shape.len());
            return Err(format!("a tile with {rank} axes, a view with {axes} and {at} coordinates"));
        }
        if view.guards.iter().any(|g| g.coeffs.len() != view.axes.len()) {
            return Err("a guard needs one coefficient per axis".into());
        }
        at.iter().try_for_each(|v| self.i32_scalar("a coordinate", *v))
    }

    fn mask(&self, mask: Option<ValueId>, shape: &[u32]) -> Check {
        match mask {
            Some(m) => self.same("the mask", self.ty(m), &TileTy::new(DType::Bool, shape)),
            None => Ok(()),
        }
    }

    fn axis(&self, axis: usize, ty: &TileTy) -> Check {
        if axis < ty.shape.len() { Ok(()) } else { Err(format!("axis {axis} of {ty}")) }
    }

    fn op(&self, stmt: &Stmt) -> Check {
        match &stmt.op {
            Op::ProgramId(axis) => {
                if *axis >= self.k.grid.len() {
                    return Err(format!("the grid has {} axes", self.k.grid.len()));
                }
                self.results(stmt, &[TileTy::scalar(DType::I32)])
            }
            Op::Size(_) => self.results(stmt, &[TileTy::scalar(DType::I32)]),
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
            Op::Load { param, view, at, mask, other: _ } => {
                let r = self.result(stmt)?;
                let p = self.param(*param, true, false)?;
                self.same("the result", r, &r.with_dtype(p.dtype))?;
                self.view(view, at, &r.shape)?;
                self.mask(*mask, &r.shape)
            }
            Op::LoadQuant { param, format, at, .. } => {
                let (r, p) = (self.result(stmt)?, self.param(*param, true, false)?);
                if p.dtype != DType::U8 || r.dtype != DType::F32 || r.shape.len() != 2 {
                    return Err("takes a u8 parameter and gives an f32 tile of two axes".into());
                }
                if QuantFormat::from_name(format).is_none() {
                    return Err(format!("no format `{format}`"));
                }
                at.iter().try_for_each(|v| self.i32_scalar("a coordinate", *v))
            }
            Op::LoadAt { param, index, mask, .. } => {
                let (r, p) = (self.result(stmt)?, self.param(*param, true, false)?);
                self.same("the result", r, &r.with_dtype(p.dtype))?;
                self.same("the index", self.ty(*index), &r.with_dtype(DType::I32))?;
                self.mask(*mask, &r.shape)
            }
            Op::Store { param, view, at, value, mask } => {
                let (v, p) = (self.ty(*value), self.param(*param, false, true)?);
                self.same("the value", v, &v.with_dtype(p.dtype))?;
                self.view(view, at, &v.shape)?;
                self.mask(*mask, &v.shape)?;
                self.results(stmt, &[])
            }
            Op::StoreAt { param, index, value, mask } => {
                let (v, p) = (self.ty(*value), self.param(*param, false, true)?);
                self.same("the value", v, &v.with_dtype(p.dtype))?;
                self.same("the index", self.ty(*index), &v.with_dtype(DType::I32))?;
                self.mask(*mask, &v.shape)?;
                self.results(stmt, &[])
            }
            Op::Atomic { op, param, index, value, mask } => {
                let (v, p) = (self.ty(*value), self.param(*param, true, true)?);
                self.same("the value", v, &v.with_dtype(p.dtype))?;
                self.same("the index", self.ty(*index), &v.with_dtype(DType::I32))?;
                self.mask(*mask, &v.shape)?;
                if matches!(op, AtomicOp::And | AtomicOp::Or | AtomicOp::Xor) && p.dtype.is_float() {
                    return Err("bitwise operations take integers".into());
                }
                self.results(stmt, std::slice::from_ref(v))
            }
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
            Op::If { cond, then, otherwise } => {
                self.same("the condition", self.ty(*cond), &TileTy::scalar(DType::Bool))?;
                let tys: Vec<TileTy> = stmt.results.iter().map(|v| self.ty(*v).clone()).collect();
                self.region(then, &[], &tys)?;
                self.region(otherwise, &[], &tys)
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

    /// Operand types of a fold, all of one shape.
    fn alike(&self, args: &[ValueId], axis: usize) -> Check<Vec<TileTy>> {
        let first = args.first().ok_or("takes at least one operand")?;
        let tys: Vec<TileTy> = args.iter().map(|a| self.ty(*a).clone()).collect();
        self.axis(axis, self.ty(*first))?;
        match tys.iter().find(|t| t.shape != tys[0].shape) {
            Some(other) => Err(format!("{} and {other} have different shapes", tys[0])),
            None => Ok(tys),
        }
    }

    fn fold(&self, args: &[ValueId], axis: usize, combine: &Combine) -> Check<Vec<TileTy>> {
        use ScalarOp::{Add, And, Max, Min, Mul, Or, Xor};
        let tys = self.alike(args, axis)?;
        match combine {
            Combine::Scalar(op) => {
                if tys.len() != 1 || !matches!(op, Add | Mul | Min | Max | And | Or | Xor) {
                    return Err(format!("cannot fold {} operands by `{}`", tys.len(), op.name()));
                }
                op.infer(&[tys[0].dtype, tys[0].dtype])?;
            }
            Combine::Body(body) => {
                let scalars: Vec<TileTy> = tys.iter().map(|t| TileTy::scalar(t.dtype)).collect();
                let entry: Vec<TileTy> = scalars.iter().chain(&scalars).cloned().collect();
                self.region(body, &entry, &scalars)?;
                let plain =
                    |s: &Stmt| matches!(s.op, Op::Map(..) | Op::Cast(_) | Op::Bitcast(_) | Op::Const(_) | Op::Size(_));
                let scalar = |s: &Stmt| s.results.iter().all(|r| self.ty(*r).shape.is_empty());
                if !body.stmts.iter().all(|s| plain(s) && scalar(s)) {
                    return Err("the body holds something other than scalar operations".into());
                }
                let local = |v: &ValueId| {
                    body.params.contains(v)
                        || body.stmts.iter().any(|s| s.results.contains(v))
                        || self.ty(*v).shape.is_empty()
                };
                let used = body.stmts.iter().flat_map(|s| s.op.operands()).chain(body.results.iter().copied());
                if !used.into_iter().all(|v| local(&v)) {
                    return Err("the body uses a tile from outside".into());
                }
            }
        }
        Ok(tys)
    }

    fn region(&self, block: &Block, entry: &[TileTy], exit: &[TileTy]) -> Check {
        for (what, ids, tys) in [("takes", &block.params, entry), ("hands out", &block.results, exit)] {
            if ids.len() != tys.len() {
                return Err(format!("the region {what} {} values, expected {}", ids.len(), tys.len()));
            }
            ids.iter().zip(tys).try_for_each(|(v, t)| self.same("a value of the region", self.ty(*v), t))?;
        }
        Ok(())
    }
}

/// The first word of an operation in the text form.
pub fn mnemonic(op: &Op) -> &'static str {
    match op {
        Op::ProgramId(_) => "program_id",
        Op::Const(_) => "const",
        Op::Size(_) => "size",
        Op::Map(op, _) => op.name(),
        Op::Cast(_) => "cast",
        Op::Bitcast(_) => "bitcast",
        Op::Splat(_) => "splat",
        Op::Arange(_) => "arange",
        Op::Reshape(_) => "reshape",
        Op::Permute(..) => "permute",
        Op::Broadcast(..) => "broadcast",
        Op::Load { .. } => "load",
        Op::LoadQuant { .. } => "load_quant",
        Op::LoadAt { .. } => "load_at",
        Op::Store { .. } => "store",
        Op::StoreAt { .. } => "store_at",
        Op::Atomic { .. } => "atomic",
        Op::Dot { .. } => "dot",
        Op::Reduce { .. } => "reduce",
        Op::Scan { .. } => "scan",
        Op::Sort { .. } => "sort",
        Op::For { .. } => "for",
        Op::If { .. } => "if",
    }
}
