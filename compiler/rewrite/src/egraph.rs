//! The e-graph's language: interned operations over e-classes, with a type, a constant value and "depends on weights
//! only" known for each class.

use crate::fold;
use crate::rules::RuleId;
use egg::{Analysis, DidMerge, Id, Language};
use girih_base::Loc;
use girih_graph::ops::Rule as _;
use girih_graph::{Callee, Literal, Node, Number, Op, ParamKind, TensorTy, Ty};
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The e-graph of one body.
pub type EGraph = egg::EGraph<ENode, Tables>;

/// Index of an interned operation.
pub type OpId = u32;

/// Index of an interned type.
pub type TyId = u32;

/// An operation on e-classes.
#[derive(Clone, Debug)]
pub struct ENode {
    /// The interned operation with its attributes.
    pub op: OpId,
    /// The operands.
    pub kids: SmallVec<[Id; 3]>,
    /// Index into [`Tables::metas`]; what is known of the node besides its meaning, so not compared.
    pub meta: u32,
}

/// Where a node comes from.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// The user's source line.
    pub loc: Loc,
    /// The user's name.
    pub name: Option<Arc<str>>,
    /// The rule that made it; none for the nodes of the input.
    pub rule: Option<RuleId>,
}

/// What is known of an e-class.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Type of every node in the class.
    pub ty: TyId,
    /// The value of every element, if it is one known number.
    pub splat: Option<Number>,
    /// It depends on weights and constants only, so it can be computed once, at load time.
    pub weight: bool,
}

/// Interned operations and types, and the side tables of one e-graph.
#[derive(Default)]
pub struct Tables {
    ops: Vec<(Op, Option<Ty>)>,
    op_ids: HashMap<(Op, Option<Ty>), OpId>,
    tys: Vec<Ty>,
    ty_ids: HashMap<Ty, TyId>,
    inferred: HashMap<(OpId, SmallVec<[TyId; 4]>), Option<TyId>>,
    /// Origins of nodes.
    pub metas: Vec<Meta>,
    /// Composite callees made so far, by name, attributes and operand types: equal composites share one body.
    pub composites: BTreeMap<String, Arc<Callee>>,
}

impl Tables {
    /// Interns an operation. Parameters carry their type, all others infer it.
    pub fn op_id(&mut self, op: Op, ty: Option<Ty>) -> OpId {
        let key = (op, ty);
        if let Some(id) = self.op_ids.get(&key) {
            return *id;
        }
        let id = self.ops.len() as OpId;
        self.ops.push(key.clone());
        self.op_ids.insert(key, id);
        id
    }

    /// The operation behind an index.
    pub fn op(&self, id: OpId) -> &Op {
        &self.ops[id as usize].0
    }

    /// The type behind an index.
    pub fn ty(&self, id: TyId) -> &Ty {
        &self.tys[id as usize]
    }

    fn ty_id(&mut self, ty: &Ty) -> TyId {
        if let Some(id) = self.ty_ids.get(ty) {
            return *id;
        }
        let id = self.tys.len() as TyId;
        self.tys.push(ty.clone());
        self.ty_ids.insert(ty.clone(), id);
        id
    }

    /// The type of an operation on operands of the given types, or none when they do not fit.
    pub fn infer(&mut self, op: OpId, kids: &[TyId]) -> Option<TyId> {
        let key = (op, SmallVec::from_slice(kids));
        if let Some(known) = self.inferred.get(&key) {
            return *known;
        }
        let (kind, own) = &self.ops[op as usize];
        let ty = match own {
            Some(ty) => Some(ty.clone()),
            None => kind.infer(&kids.iter().map(|k| &self.tys[*k as usize]).collect::<Vec<_>>()).ok(),
        };
        let id = ty.map(|t| self.ty_id(&t));
        self.inferred.insert(key, id);
        id
    }

    /// The type of an operation on operands of the given types, if it was asked for before.
    pub fn known(&self, op: OpId, kids: &[TyId]) -> Option<TyId> {
        self.inferred.get(&(op, SmallVec::from_slice(kids))).copied().flatten()
    }

    /// Records an origin.
    pub fn meta(&mut self, meta: Meta) -> u32 {
        self.metas.push(meta);
        (self.metas.len() - 1) as u32
    }

    /// Records the origin of a node of the input.
    pub fn meta_of(&mut self, node: &Node) -> u32 {
        self.meta(Meta { loc: node.loc.clone(), name: node.name.clone(), rule: None })
    }
}

/// The type of a class.
pub fn ty(eg: &EGraph, id: Id) -> &Ty {
    eg.analysis.ty(eg[id].data.ty)
}

/// The tensor type of a class; none for tuples.
pub fn tensor(eg: &EGraph, id: Id) -> Option<&TensorTy> {
    ty(eg, id).tensor()
}

/// The operation of a node.
pub fn op<'a>(eg: &'a EGraph, node: &ENode) -> &'a Op {
    eg.analysis.op(node.op)
}

impl PartialEq for ENode {
    fn eq(&self, other: &ENode) -> bool {
        self.op == other.op && self.kids == other.kids
    }
}

impl Eq for ENode {}

impl PartialOrd for ENode {
    fn partial_cmp(&self, other: &ENode) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ENode {
    fn cmp(&self, other: &ENode) -> Ordering {
        self.op.cmp(&other.op).then_with(|| self.kids.cmp(&other.kids))
    }
}

impl Hash for ENode {
    fn hash<H: Hasher>(&self, h: &mut H) {
        self.op.hash(h);
        self.kids.hash(h);
    }
}

impl Language for ENode {
    type Discriminant = OpId;
    fn discriminant(&self) -> OpId {
        self.op
    }
    fn matches(&self, other: &ENode) -> bool {
        self.op == other.op && self.kids.len() == other.kids.len()
    }
    fn children(&self) -> &[Id] {
        &self.kids
    }
    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.kids
    }
}

impl Analysis<ENode> for Tables {
    type Data = Fact;

    fn make(eg: &mut EGraph, node: &ENode, _: Id) -> Fact {
        let kids: SmallVec<[TyId; 4]> = node.kids.iter().map(|k| eg[*k].data.ty).collect();
        let ty = match eg.analysis.infer(node.op, &kids) {
            Some(ty) => ty,
            // `Build::add` and the conversion type a node before it is added; a class of no type matches nothing.
            None => eg.analysis.ty_id(&Ty::Tuple(Vec::new())),
        };
        let op = eg.analysis.op(node.op);
        let weight = match op {
            Op::Param(p) => p.kind == ParamKind::Weight,
            Op::Kernel(_) | Op::Fence(_) | Op::Collective(_) => false,
            _ => node.kids.iter().all(|k| eg[*k].data.weight),
        };
        let splat = match op {
            Op::Const(c) => match &c.value {
                Literal::Splat(n) => Some(*n),
                Literal::Dim(d) => d.as_const().map(Number::from),
                Literal::Dense(_) => None,
            },
            _ => eg.analysis.ty(ty).tensor().and_then(|t| {
                let args: Option<SmallVec<[Number; 3]>> = node.kids.iter().map(|k| eg[*k].data.splat).collect();
                let from = node.kids.first().and_then(|k| tensor(eg, *k)).map(|t| t.dtype);
                fold::splat(op, &args?, from?, t.dtype)
            }),
        };
        Fact { ty, splat, weight }
    }

    fn merge(&mut self, a: &mut Fact, b: Fact) -> DidMerge {
        let splat = a.splat.or(b.splat);
        let weight = a.weight | b.weight;
        let did = DidMerge(splat != a.splat || weight != a.weight, splat != b.splat || weight != b.weight);
        a.splat = splat;
        a.weight = weight;
        did
    }

    fn modify(eg: &mut EGraph, id: Id) {
        let Some(value) = eg[id].data.splat else { return };
        let Some(ty) = tensor(eg, id).cloned() else { return };
        let is_const = |n: &ENode| n.kids.is_empty() && matches!(op(eg, n), Op::Const(_));
        if eg[id].nodes.iter().any(is_const) {
            return;
        }
        let op = eg.analysis.op_id(girih_graph::ops::Const { ty, value: Literal::Splat(value) }.into(), None);
        let meta = eg[id].nodes.first().map_or(0, |n| n.meta);
        let new = eg.add(ENode { op, kids: SmallVec::new(), meta });
        eg.union(id, new);
    }
}
