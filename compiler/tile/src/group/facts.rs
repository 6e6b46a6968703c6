//! Which values differ between the instances of a group, and by how much.

use crate::ir::{Block, Kernel, Stmt, ValueId};
use crate::op::{Literal, Op};
use girih_base::{DType, Dim, ScalarOp};

/// What is known of every value.
pub(super) struct Facts {
    /// It may differ.
    varies: Vec<bool>,
    /// i32 scalars: how much larger it is in the next instance (modulo 2^32), where that is the same for all.
    factor: Vec<Option<Dim>>,
    /// Scalars that are a size.
    size: Vec<Option<Dim>>,
    /// Coordinates of loads and stores.
    coordinate: Vec<bool>,
}

impl Facts {
    pub fn new(kernel: &Kernel) -> Facts {
        let n = kernel.values.len();
        let mut f =
            Facts { varies: vec![false; n], factor: vec![None; n], size: vec![None; n], coordinate: vec![false; n] };
        f.block(kernel, &kernel.body);
        f
    }

    /// Whether instances may have different values.
    pub fn varies(&self, v: ValueId) -> bool {
        self.varies[v.0 as usize]
    }

    /// The distance to the next instance's value; 0 where all are the same.
    pub fn factor(&self, v: ValueId) -> Option<Dim> {
        if self.varies(v) { self.factor[v.0 as usize].clone() } else { Some(Dim::ZERO) }
    }

    /// Whether the first instance's value is worth having: it is everybody's, or tells everybody's.
    pub fn has_one(&self, v: ValueId) -> bool {
        self.factor(v).is_some()
    }

    /// Whether it is a coordinate that differs.
    pub fn moves(&self, v: ValueId) -> bool {
        self.coordinate[v.0 as usize] && self.factor(v).is_some_and(|d| !d.is(0))
    }

    fn set(&mut self, v: ValueId, varies: bool, factor: Option<Dim>) {
        self.varies[v.0 as usize] = varies;
        self.factor[v.0 as usize] = factor.filter(|d| varies && !d.is_too_large());
    }

    fn copy(&mut self, to: ValueId, from: ValueId) {
        self.set(to, self.varies(from), self.factor[from.0 as usize].clone());
    }

    /// Makes `to` at least as unknown as `from`; whether it changed.
    fn join(&mut self, to: ValueId, from: ValueId) -> bool {
        let (varies, factor) = (self.varies(to) || self.varies(from), self.factor(to));
        let same = factor == self.factor(from);
        let changed = varies != self.varies(to) || !same && factor.is_some();
        if changed {
            self.set(to, varies, factor.filter(|_| same));
        }
        changed
    }

    fn block(&mut self, k: &Kernel, block: &Block) {
        block.stmts.iter().for_each(|s| self.stmt(k, s));
    }

    fn stmt(&mut self, k: &Kernel, s: &Stmt) {
        if let Op::Load { at, .. } | Op::Store { at, .. } = &s.op {
            at.iter().for_each(|v| self.coordinate[v.0 as usize] = true);
        }
        match &s.op {
            Op::ProgramId(axis) => self.set(s.results[0], axis + 1 == k.grid.len(), Some(Dim::ONE)),
            Op::Const(Literal::Int(v)) => self.size[s.results[0].0 as usize] = Some(Dim::from(*v)),
            Op::Size(d) => self.size[s.results[0].0 as usize] = Some(d.clone()),
            Op::Map(op, args) => {
                let (r, varies) = (s.results[0], args.iter().any(|v| self.varies(*v)));
                let ty = &k.values[r.0 as usize].ty;
                let scalar = ty.dtype == DType::I32 && ty.shape.is_empty();
                let factor = if scalar && varies { self.sum(*op, args) } else { None };
                self.set(r, varies, factor);
            }
            Op::For { init, body, .. } => {
                let params = &body.params[1..];
                params.iter().zip(init).for_each(|(p, i)| self.copy(*p, *i));
                loop {
                    self.block(k, body);
                    if !self.carried(params, &body.results) {
                        break;
                    }
                }
                s.results.iter().zip(params).for_each(|(r, p)| self.copy(*r, *p));
            }
            Op::While { init, test, body } => {
                test.params.iter().zip(init).for_each(|(p, i)| self.copy(*p, *i));
                loop {
                    self.block(k, test);
                    body.params.iter().zip(&test.params).for_each(|(p, t)| self.copy(*p, *t));
                    self.block(k, body);
                    if !self.carried(&test.params, &body.results) {
                        break;
                    }
                }
                s.results.iter().zip(&test.params).for_each(|(r, p)| self.copy(*r, *p));
            }
            Op::If { then, otherwise, .. } => {
                self.block(k, then);
                self.block(k, otherwise);
                for (i, r) in s.results.iter().enumerate() {
                    self.copy(*r, then.results[i]);
                    self.join(*r, otherwise.results[i]);
                }
            }
            // Everybody gets the element as it was before.
            Op::Atomic { .. } | Op::CompareExchange { .. } => s.results.iter().for_each(|r| self.set(*r, true, None)),
            op => {
                let varies = op.operands().iter().any(|v| self.varies(*v));
                s.results.iter().for_each(|r| self.set(*r, varies, None));
            }
        }
    }

    /// Joins what a round hands out into what the next one takes; whether that changed anything.
    fn carried(&mut self, params: &[ValueId], results: &[ValueId]) -> bool {
        params.iter().zip(results).fold(false, |changed, (p, r)| self.join(*p, *r) | changed)
    }

    /// The distance of a result, from its operands'.
    fn sum(&self, op: ScalarOp, args: &[ValueId]) -> Option<Dim> {
        let factor = |i: usize| self.factor(*args.get(i)?);
        let size = |i: usize| self.size[args.get(i)?.0 as usize].clone();
        match op {
            ScalarOp::Add => Some(&factor(0)? + &factor(1)?),
            ScalarOp::Sub => Some(&factor(0)? - &factor(1)?),
            ScalarOp::Neg => Some(&Dim::ZERO - &factor(0)?),
            ScalarOp::Mul if !self.varies(args[0]) => Some(&size(0)? * &factor(1)?),
            ScalarOp::Mul if !self.varies(args[1]) => Some(&factor(0)? * &size(1)?),
            _ => None,
        }
    }
}
