//! Builds the right sides of rules: every step is typed, and what cannot be typed is not built.

use crate::egraph::{self, EGraph, ENode, Fact};
use crate::pattern::commutes;
use egg::Id;
use girih_base::{DType, Dim, Result, ScalarOp};
use girih_graph::ops::{Broadcast, Call, Cast, Concat, Const, Permute, Reduce, Reshape};
use girih_graph::{Graph, Literal, Monoid, NodeId, Number, Op, ParamKind, TensorTy};
use smallvec::SmallVec;

/// A builder of new nodes that come from one match of one rule.
pub struct Build<'a> {
    /// The e-graph.
    pub eg: &'a mut EGraph,
    /// Origin of the new nodes.
    pub meta: u32,
}

impl Build<'_> {
    /// What is known of a class.
    pub fn fact(&self, id: Id) -> &Fact {
        &self.eg[id].data
    }

    /// The tensor type of a class.
    pub fn ty(&self, id: Id) -> Option<TensorTy> {
        egraph::tensor(self.eg, id).cloned()
    }

    /// The number every element of a class is.
    pub fn value(&self, id: Id) -> Option<f64> {
        self.fact(id).splat.map(Number::as_f64)
    }

    /// Adds a node, if its operands fit.
    pub fn add(&mut self, op: impl Into<Op>, kids: &[Id]) -> Option<Id> {
        let op = op.into();
        let mut kids: SmallVec<[Id; 3]> = kids.iter().map(|k| self.eg.find(*k)).collect();
        if matches!(op, Op::Map(op) if commutes(op)) {
            kids.sort();
        }
        let op = self.eg.analysis.op_id(op, None);
        let tys: SmallVec<[u32; 4]> = kids.iter().map(|k| self.eg[*k].data.ty).collect();
        self.eg.analysis.infer(op, &tys)?;
        Some(self.eg.add(ENode { op, kids, meta: self.meta }))
    }

    /// A scalar operation.
    pub fn map(&mut self, op: ScalarOp, kids: &[Id]) -> Option<Id> {
        self.add(op, kids)
    }

    /// A constant of one value with the given type.
    pub fn number(&mut self, value: f64, ty: &TensorTy) -> Option<Id> {
        let number = if ty.dtype.is_float() { Number::from(value) } else { Number::Int(value as i128) };
        self.add(Const { ty: ty.clone(), value: Literal::Splat(number) }, &[])
    }

    /// The operand under another shape; itself when the shape is the same.
    pub fn reshape(&mut self, x: Id, shape: &[Dim]) -> Option<Id> {
        if self.ty(x)?.shape == shape { Some(x) } else { self.add(Reshape { shape: shape.to_vec() }, &[x]) }
    }

    /// Axes reordered; the operand itself when they stay.
    pub fn permute(&mut self, x: Id, perm: &[usize]) -> Option<Id> {
        let same = perm.iter().enumerate().all(|(i, a)| i == *a);
        if same { Some(x) } else { self.add(Permute { perm: perm.to_vec() }, &[x]) }
    }

    /// The value repeated along new axes; the operand itself when there are none.
    pub fn broadcast(&mut self, x: Id, shape: &[Dim], axes: &[usize]) -> Option<Id> {
        if axes.len() == shape.len() {
            return Some(x);
        }
        self.add(Broadcast { shape: shape.to_vec(), axes: axes.to_vec() }, &[x])
    }

    /// Operands joined along an axis.
    pub fn concat(&mut self, xs: &[Id], axis: usize) -> Option<Id> {
        self.add(Concat { axis }, xs)
    }

    /// Conversion; the operand itself when the dtype is right.
    pub fn cast(&mut self, x: Id, to: DType) -> Option<Id> {
        if self.ty(x)?.dtype == to { Some(x) } else { self.add(Cast { to }, &[x]) }
    }

    /// A fold of axes.
    pub fn reduce(&mut self, monoid: Monoid, x: Id, axes: Vec<usize>, acc: DType) -> Option<Id> {
        self.add(Reduce { monoid, axes, acc }, &[x])
    }

    /// A call of a library function, which `call` writes for parameters of the arguments' types (one `Call` node).
    /// `key` names the function and its attributes; equal keys on equal types share one body.
    pub fn library(
        &mut self,
        key: &str,
        args: &[Id],
        call: impl FnOnce(&mut Graph, &[NodeId]) -> Result<NodeId>,
    ) -> Option<Id> {
        let tys: Option<Vec<TensorTy>> = args.iter().map(|a| self.ty(*a)).collect();
        let key = format!("{key} {:?}", tys.as_ref()?);
        if let Some(callee) = self.eg.analysis.composites.get(&key).cloned() {
            return self.add(Call { callee }, args);
        }
        let mut graph = Graph::new(key.clone());
        let loc = self.eg.analysis.metas[self.meta as usize].loc.clone();
        graph.set_loc(loc.clone());
        let mut params = Vec::new();
        for (i, ty) in tys?.into_iter().enumerate() {
            params.push(graph.param(&format!("p{i}"), ty, ParamKind::Input, loc.clone()));
        }
        let out = call(&mut graph, &params).ok()?;
        let Op::Call(Call { callee }) = graph.op(out) else { return None };
        self.eg.analysis.composites.insert(key, callee.clone());
        self.add(Call { callee: callee.clone() }, args)
    }
}
