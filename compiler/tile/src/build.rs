//! Builds kernels statement by statement, inferring result types.

use crate::ir::*;
use crate::op::*;
use girih_base::{DType, Dim, Loc, ScalarOp};
use std::sync::Arc;

/// Builds one kernel. Regions are opened with [`Builder::begin`] and closed with [`Builder::end`].
///
/// Types are computed, not checked: run the verifier on the finished kernel.
#[derive(Debug, Default)]
pub struct Builder {
    values: Vec<Value>,
    params: Vec<Param>,
    scalars: Vec<Scalar>,
    open: Vec<Block>,
    here: Loc,
}

impl Builder {
    /// An empty kernel body.
    pub fn new() -> Builder {
        Builder { open: vec![Block::default()], ..Builder::default() }
    }

    /// The location of statements from now on.
    pub fn set_loc(&mut self, loc: Loc) {
        self.here = loc;
    }

    /// Appends a parameter; gives its index.
    pub fn param(&mut self, name: &str, dtype: DType, len: Dim, access: Access, constant: bool) -> usize {
        self.params.push(Param { name: name.into(), dtype, len, access, constant });
        self.params.len() - 1
    }

    /// A number given at launch; declared on first use.
    pub fn scalar(&mut self, name: &str, dtype: DType) -> ValueId {
        let index = self.scalars.iter().position(|s| &*s.name == name).unwrap_or_else(|| {
            self.scalars.push(Scalar { name: name.into(), dtype });
            self.scalars.len() - 1
        });
        self.push1(Op::Scalar(index), TileTy::scalar(dtype))
    }

    /// The parameters so far.
    pub fn params_mut(&mut self) -> &mut Vec<Param> {
        &mut self.params
    }

    /// Type of a value.
    pub fn ty(&self, v: ValueId) -> &TileTy {
        &self.values[v.0 as usize].ty
    }

    /// Gives a value the user's name.
    pub fn name(&mut self, v: ValueId, name: Option<Arc<str>>) {
        self.values[v.0 as usize].name = name;
    }

    /// A value of this type that a region will define.
    pub fn fresh(&mut self, ty: TileTy) -> ValueId {
        self.values.push(Value { ty, name: None });
        ValueId(self.values.len() as u32 - 1)
    }

    /// Opens a region with these parameters.
    pub fn begin(&mut self, params: Vec<ValueId>) {
        self.open.push(Block { params, ..Block::default() });
    }

    /// Opens a region again that was closed, to append to it.
    pub fn resume(&mut self, block: Block) {
        self.open.push(block);
    }

    /// Closes the innermost region, handing out `results`.
    pub fn end(&mut self, results: Vec<ValueId>) -> Block {
        let mut block = self.open.pop().unwrap_or_default();
        block.results = results;
        block
    }

    /// Appends an operation with results of the given types.
    pub fn push(&mut self, op: Op, tys: Vec<TileTy>) -> Vec<ValueId> {
        let results: Vec<ValueId> = tys.into_iter().map(|t| self.fresh(t)).collect();
        let loc = self.here.clone();
        if let Some(block) = self.open.last_mut() {
            block.stmts.push(Stmt { results: results.clone(), op, loc });
        }
        results
    }

    fn push1(&mut self, op: Op, ty: TileTy) -> ValueId {
        self.push(op, vec![ty])[0]
    }

    /// This instance's coordinate along a grid axis.
    pub fn program_id(&mut self, axis: usize) -> ValueId {
        self.push1(Op::ProgramId(axis), TileTy::scalar(DType::I32))
    }

    /// A literal of any type.
    pub fn constant(&mut self, value: Literal, ty: TileTy) -> ValueId {
        self.push1(Op::Const(value), ty)
    }

    /// An i32 scalar.
    pub fn int(&mut self, value: i64) -> ValueId {
        self.constant(Literal::Int(value), TileTy::scalar(DType::I32))
    }

    /// A size as an i32 scalar.
    pub fn size(&mut self, dim: &Dim) -> ValueId {
        match dim.as_const() {
            Some(v) => self.int(v),
            None => self.push1(Op::Size(dim.clone()), TileTy::scalar(DType::I32)),
        }
    }

    /// A scalar operation, element by element.
    pub fn map(&mut self, op: ScalarOp, args: &[ValueId]) -> ValueId {
        let dtypes: Vec<DType> = args.iter().map(|a| self.ty(*a).dtype).collect();
        let last = self.ty(args[args.len() - 1]).clone();
        let dtype = op.infer(&dtypes).unwrap_or(last.dtype);
        self.push1(Op::Map(op, args.to_vec()), last.with_dtype(dtype))
    }

    /// Value conversion; nothing when the dtype is right already.
    pub fn cast(&mut self, x: ValueId, to: DType) -> ValueId {
        let ty = self.ty(x).clone();
        if ty.dtype == to { x } else { self.push1(Op::Cast(x), ty.with_dtype(to)) }
    }

    /// Bit reinterpretation.
    pub fn bitcast(&mut self, x: ValueId, to: DType) -> ValueId {
        let ty = self.ty(x).with_dtype(to);
        self.push1(Op::Bitcast(x), ty)
    }

    /// A scalar repeated.
    pub fn splat(&mut self, x: ValueId, shape: &[u32]) -> ValueId {
        if shape.is_empty() {
            return x;
        }
        let ty = TileTy::new(self.ty(x).dtype, shape);
        self.push1(Op::Splat(x), ty)
    }

    /// Coordinates along `axis` of a tile.
    pub fn arange(&mut self, shape: &[u32], axis: usize) -> ValueId {
        self.push1(Op::Arange(axis), TileTy::new(DType::I32, shape))
    }

    /// Another shape.
    pub fn reshape(&mut self, x: ValueId, shape: &[u32]) -> ValueId {
        let ty = TileTy::new(self.ty(x).dtype, shape);
        if *self.ty(x) == ty { x } else { self.push1(Op::Reshape(x), ty) }
    }

    /// Axes reordered.
    pub fn permute(&mut self, x: ValueId, perm: &[usize]) -> ValueId {
        let t = self.ty(x).clone();
        let shape: Vec<u32> = perm.iter().map(|a| t.shape[*a]).collect();
        self.push1(Op::Permute(x, perm.to_vec()), TileTy::new(t.dtype, shape))
    }

    /// Repeats along new axes; nothing when the shape is right already.
    pub fn broadcast(&mut self, x: ValueId, shape: &[u32], axes: &[usize]) -> ValueId {
        let t = self.ty(x).clone();
        if t.shape.is_empty() {
            return self.splat(x, shape);
        }
        if t.shape == shape {
            return x;
        }
        self.push1(Op::Broadcast(x, axes.to_vec()), TileTy::new(t.dtype, shape))
    }

    /// A structured load.
    pub fn load(&mut self, param: usize, view: View, at: &[ValueId], shape: &[u32], other: Literal) -> ValueId {
        let ty = TileTy::new(self.params[param].dtype, shape);
        self.push1(Op::Load { param, view, at: at.to_vec(), mask: None, other }, ty)
    }

    /// A structured store.
    pub fn store(&mut self, param: usize, view: View, at: &[ValueId], value: ValueId) {
        self.push(Op::Store { param, view, at: at.to_vec(), value, mask: None }, Vec::new());
    }

    /// A matrix product, summed in `acc_dtype`.
    pub fn dot(&mut self, a: ValueId, b: ValueId, acc: Option<ValueId>, acc_dtype: DType) -> ValueId {
        let shape = [self.ty(a).shape[0], self.ty(b).shape[1]];
        self.push1(Op::Dot { a, b, acc }, TileTy::new(acc_dtype, shape))
    }

    /// A fold of one operand by a scalar operation.
    pub fn reduce(&mut self, x: ValueId, axis: usize, op: ScalarOp) -> ValueId {
        let mut ty = self.ty(x).clone();
        ty.shape.remove(axis);
        self.push1(Op::Reduce { args: vec![x], axis, combine: Combine::Scalar(op) }, ty)
    }

    /// A loop; `body` gets the loop variable and the carried values and gives the new ones.
    pub fn for_loop(
        &mut self,
        lo: ValueId,
        hi: ValueId,
        step: u32,
        init: &[ValueId],
        body: impl FnOnce(&mut Builder, ValueId, &[ValueId]) -> Vec<ValueId>,
    ) -> Vec<ValueId> {
        let tys: Vec<TileTy> = init.iter().map(|v| self.ty(*v).clone()).collect();
        let i = self.fresh(TileTy::scalar(DType::I32));
        let carried: Vec<ValueId> = tys.iter().map(|t| self.fresh(t.clone())).collect();
        self.begin(std::iter::once(i).chain(carried.iter().copied()).collect());
        let out = body(self, i, &carried);
        let body = self.end(out);
        self.push(Op::For { lo, hi, step, init: init.to_vec(), body }, tys)
    }

    /// The finished kernel.
    pub fn finish(mut self, name: impl Into<String>, grid: Vec<Dim>) -> Kernel {
        let body = self.end(Vec::new());
        Kernel { name: name.into(), params: self.params, scalars: self.scalars, grid, values: self.values, body }
    }
}
