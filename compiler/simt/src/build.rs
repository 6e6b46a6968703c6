//! Builds kernels statement by statement, inferring result types and folding index arithmetic on literals.

use crate::ir::*;
use crate::op::*;
use girih_base::dim::DimVisitor;
use girih_base::{DType, Dim, Loc, ScalarOp, Symbol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Builds one kernel. Regions are opened with [`Builder::begin`] and closed with [`Builder::end`].
#[derive(Debug, Default)]
pub struct Builder {
    /// The buffers, in binding order.
    pub buffers: Vec<Buffer>,
    /// Workgroup arrays.
    pub shared: Vec<Shared>,
    /// Thread variables.
    pub locals: Vec<Local>,
    values: Vec<Value>,
    literals: BTreeMap<u32, i64>,
    uniforms: Vec<Arc<str>>,
    open: Vec<Vec<Stmt>>,
    here: Loc,
}

impl Builder {
    /// An empty body.
    pub fn new() -> Builder {
        Builder { open: vec![Vec::new()], ..Builder::default() }
    }

    /// An empty body over the arrays, variables, sizes and values of a kernel, to write it anew.
    pub fn over(kernel: &Kernel) -> Builder {
        Builder {
            buffers: kernel.buffers.clone(),
            shared: kernel.shared.clone(),
            locals: kernel.locals.clone(),
            values: kernel.values.clone(),
            uniforms: kernel.uniforms.clone(),
            ..Builder::new()
        }
    }

    /// Appends a statement as it is.
    pub fn restate(&mut self, stmt: Stmt) {
        if let Some(block) = self.open.last_mut() {
            block.push(stmt);
        }
    }

    /// The location of statements from now on.
    pub fn set_loc(&mut self, loc: Loc) {
        self.here = loc;
    }

    /// Type of a value.
    pub fn ty(&self, v: ValueId) -> Ty {
        self.values[v.0 as usize].ty
    }

    /// Gives a value the user's name.
    pub fn name(&mut self, v: ValueId, name: Option<Arc<str>>) {
        if name.is_some() {
            self.values[v.0 as usize].name = name;
        }
    }

    /// A value that a region will define.
    pub fn fresh(&mut self, ty: Ty) -> ValueId {
        self.values.push(Value { ty, name: None });
        ValueId(self.values.len() as u32 - 1)
    }

    /// Opens a region.
    pub fn begin(&mut self) {
        self.open.push(Vec::new());
    }

    /// Closes the innermost region.
    pub fn end(&mut self) -> Vec<Stmt> {
        self.open.pop().unwrap_or_default()
    }

    /// Appends an operation without a result.
    pub fn effect(&mut self, op: Op) {
        let loc = self.here.clone();
        if let Some(block) = self.open.last_mut() {
            block.push(Stmt { result: None, op, loc });
        }
    }

    /// Appends an operation with a result.
    pub fn push(&mut self, op: Op, ty: Ty) -> ValueId {
        let result = self.fresh(ty);
        let loc = self.here.clone();
        if let Some(block) = self.open.last_mut() {
            block.push(Stmt { result: Some(result), op, loc });
        }
        result
    }

    /// A u32 literal.
    pub fn uint(&mut self, value: u32) -> ValueId {
        let v = self.push(Op::Const(Literal::Int(value as i64)), Ty::scalar(DType::U32));
        self.literals.insert(v.0, value as i64);
        v
    }

    /// An i32 literal.
    pub fn int(&mut self, value: i32) -> ValueId {
        let v = self.push(Op::Const(Literal::Int(value as i64)), Ty::scalar(DType::I32));
        self.literals.insert(v.0, value as i64);
        v
    }

    /// The literal behind a value made by [`Builder::uint`] or [`Builder::int`], or folded from such.
    pub fn known(&self, v: ValueId) -> Option<i64> {
        self.literals.get(&v.0).copied()
    }

    /// A literal of any type.
    pub fn constant(&mut self, value: Literal, ty: Ty) -> ValueId {
        self.push(Op::Const(value), ty)
    }

    /// A hardware value.
    pub fn builtin(&mut self, b: Builtin) -> ValueId {
        self.push(Op::Builtin(b), Ty::scalar(DType::U32))
    }

    /// A scalar operation; integer literals fold, and `x + 0`, `x * 1`, `x * 0` vanish.
    pub fn map(&mut self, op: ScalarOp, args: &[ValueId]) -> ValueId {
        if let Some(v) = self.fold(op, args) {
            return v;
        }
        let last = self.ty(args[args.len() - 1]);
        let dtypes: Vec<DType> = args.iter().map(|a| self.ty(*a).dtype).collect();
        let dtype = op.infer(&dtypes).unwrap_or(last.dtype);
        self.push(Op::Map(op, args.to_vec()), Ty { dtype, lanes: last.lanes })
    }

    fn fold(&mut self, op: ScalarOp, args: &[ValueId]) -> Option<ValueId> {
        let [a, b] = *args else { return None };
        let dtype = self.ty(a).dtype;
        if self.ty(a).lanes != 1 || !matches!(dtype, DType::U32 | DType::I32) {
            return None;
        }
        match (op, self.known(a), self.known(b)) {
            (_, Some(x), Some(y)) => {
                let int = girih_base::scalar::IntType::of(dtype)?;
                let value = int.wrap(op.row().meaning.int?(&[x as i128, y as i128], int));
                if op.row().output != girih_base::scalar::Output::Same {
                    return None;
                }
                Some(if dtype == DType::U32 { self.uint(value as u32) } else { self.int(value as i32) })
            }
            (ScalarOp::Add | ScalarOp::Sub, _, Some(0)) | (ScalarOp::Mul | ScalarOp::Div, _, Some(1)) => Some(a),
            (ScalarOp::Add, Some(0), _) | (ScalarOp::Mul, Some(1), _) => Some(b),
            (ScalarOp::Mul, Some(0), _) => Some(a),
            (ScalarOp::Mul, _, Some(0)) => Some(b),
            _ => None,
        }
    }

    /// Sum.
    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.map(ScalarOp::Add, &[a, b])
    }

    /// Product.
    pub fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.map(ScalarOp::Mul, &[a, b])
    }

    /// Value conversion; nothing when the dtype is right already.
    pub fn cast(&mut self, x: ValueId, to: DType) -> ValueId {
        let ty = self.ty(x);
        if ty.dtype == to {
            return x;
        }
        let known = self.known(x).filter(|v| *v >= 0 && ty.lanes == 1);
        match (known, to) {
            (Some(v), DType::U32) => self.uint(v as u32),
            (Some(v), DType::I32) if v <= i32::MAX as i64 => self.int(v as i32),
            _ => self.push(Op::Cast(x), Ty { dtype: to, lanes: ty.lanes }),
        }
    }

    /// Bit reinterpretation.
    pub fn bitcast(&mut self, x: ValueId, to: DType) -> ValueId {
        let lanes = self.ty(x).lanes;
        self.push(Op::Bitcast(x), Ty { dtype: to, lanes })
    }

    /// A scalar repeated to a vector.
    pub fn splat(&mut self, x: ValueId, lanes: u8) -> ValueId {
        if lanes == 1 {
            return x;
        }
        let dtype = self.ty(x).dtype;
        self.push(Op::MakeVec(vec![x]), Ty { dtype, lanes })
    }

    /// One component of a vector (the value itself when it is a scalar).
    pub fn component(&mut self, x: ValueId, at: u8) -> ValueId {
        let ty = self.ty(x);
        if ty.lanes == 1 { x } else { self.push(Op::Component(x, at), Ty::scalar(ty.dtype)) }
    }

    /// Reads an array element.
    pub fn load(&mut self, space: Space, index: ValueId) -> ValueId {
        let ty = match space {
            Space::Buffer(i) => self.buffers[i as usize].elem,
            Space::Shared(i) => self.shared[i as usize].elem,
            Space::Local(i) => self.locals[i as usize].elem,
        };
        self.push(Op::Load(space, index), ty)
    }

    /// Writes an array element.
    pub fn store(&mut self, space: Space, index: ValueId, value: ValueId) {
        self.effect(Op::Store(space, index, value));
    }

    /// Declares a variable.
    pub fn local(&mut self, name: &str, elem: Ty, len: Option<u32>) -> u32 {
        let unique =
            self.locals.iter().filter(|l| l.name.trim_end_matches(|c: char| c.is_ascii_digit()) == name).count();
        let name = if unique == 0 { name.to_string() } else { format!("{name}{unique}") };
        self.locals.push(Local { name: name.into(), elem, len });
        self.locals.len() as u32 - 1
    }

    /// Reads a variable.
    pub fn get(&mut self, local: u32) -> ValueId {
        let ty = self.locals[local as usize].elem;
        self.push(Op::Get(local), ty)
    }

    /// Writes a variable.
    pub fn set(&mut self, local: u32, value: ValueId) {
        self.effect(Op::Set(local, value));
    }

    /// A counted loop; the body gets the index (u32).
    pub fn for_loop(
        &mut self,
        lo: ValueId,
        hi: ValueId,
        step: u32,
        uniform: bool,
        body: impl FnOnce(&mut Builder, ValueId),
    ) {
        let index = self.fresh(Ty::scalar(DType::U32));
        self.begin();
        body(self, index);
        let body = self.end();
        self.effect(Op::For { index, lo, hi, step, uniform, body });
    }

    /// Runs `then` when the condition holds.
    pub fn if_then(&mut self, cond: ValueId, then: impl FnOnce(&mut Builder)) {
        self.begin();
        then(self);
        let then = self.end();
        self.effect(Op::If(cond, then, Vec::new()));
    }

    /// A symbol's value (u32); declares the uniform on first use.
    pub fn uniform(&mut self, name: &Arc<str>) -> ValueId {
        let index = self.uniforms.iter().position(|u| u == name).unwrap_or_else(|| {
            self.uniforms.push(name.clone());
            self.uniforms.len() - 1
        });
        self.push(Op::Uniform(index as u32), Ty::scalar(DType::U32))
    }

    /// A size as u32; negative intermediate values wrap and come out right modulo 2^32.
    pub fn dim(&mut self, dim: &Dim) -> ValueId {
        dim.fold(&mut DimBuild(self))
    }

    /// The finished kernel.
    pub fn finish(mut self, name: impl Into<String>, workgroup: [u32; 3], groups: Dim) -> Kernel {
        let body = self.end();
        Kernel {
            name: name.into(),
            buffers: self.buffers,
            uniforms: self.uniforms,
            shared: self.shared,
            locals: self.locals,
            workgroup,
            groups,
            values: self.values,
            body,
        }
    }
}

struct DimBuild<'b>(&'b mut Builder);

impl DimVisitor<ValueId> for DimBuild<'_> {
    fn constant(&mut self, value: i64) -> ValueId {
        self.0.uint(value as u32)
    }
    fn symbol(&mut self, symbol: &Symbol) -> ValueId {
        self.0.uniform(&symbol.name)
    }
    fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.0.add(a, b)
    }
    fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.0.mul(a, b)
    }
    fn floor_div(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.0.map(ScalarOp::Div, &[a, b])
    }
    fn modulo(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.0.map(ScalarOp::Rem, &[a, b])
    }
    fn min(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.0.map(ScalarOp::Min, &[a, b])
    }
    fn max(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.0.map(ScalarOp::Max, &[a, b])
    }
}
