//! The graph itself: storage, construction, traversal.

use crate::ops::{Op, Rule};
use crate::ty::{TensorTy, Ty};
use girih_base::{Diag, Loc, Result};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use smallvec::SmallVec;
use std::sync::Arc;

/// A node of one graph. Ids grow in topological order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub u32);

impl NodeId {
    fn index(self) -> NodeIndex {
        NodeIndex::new(self.0 as usize)
    }
}

/// What a parameter is to the runtime.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ParamKind {
    /// Given anew at each run.
    Input,
    /// Uploaded once and kept; the runtime may hold it in another layout.
    Weight,
    /// Kept between runs and updated in place (a KV cache, optimiser state).
    State,
}

/// One operation and what is known of its result.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// Type of the result.
    pub ty: Ty,
    /// Where the user wrote it.
    pub loc: Loc,
    /// The user's name for the value, if there is one.
    pub name: Option<Arc<str>>,
}

/// A function from parameters to outputs.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name, used in text forms and for generated kernels.
    pub name: String,
    // Edge weight = operand slot. Operands are connected in order when a node is added and never change.
    dag: DiGraph<Node, u32>,
    params: Vec<NodeId>,
    outputs: Vec<NodeId>,
    // Library bodies already made for this graph, so that equal layers share one.
    pub(crate) composites: Vec<Arc<crate::ops::Callee>>,
    pub(crate) here: Loc,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Graph {
        Graph { name: name.into(), ..Graph::default() }
    }

    /// The source location that the short builder methods give to new nodes from now on.
    pub fn set_loc(&mut self, loc: Loc) {
        self.here = loc;
    }

    /// Appends a parameter; parameters are numbered in the order they are added.
    pub fn param(&mut self, name: &str, ty: impl Into<Ty>, kind: ParamKind, loc: Loc) -> NodeId {
        let op = Op::Param(crate::ops::Param { index: self.params.len(), kind });
        let node = Node { op, ty: ty.into(), loc, name: Some(name.into()) };
        let id = NodeId(self.dag.add_node(node).index() as u32);
        self.params.push(id);
        id
    }

    /// Appends an operation after checking its operands; the error names their types, names and source lines.
    pub fn add(&mut self, op: Op, operands: &[NodeId], loc: Loc) -> Result<NodeId> {
        let tys: Vec<&Ty> = operands.iter().map(|o| self.ty(*o)).collect();
        let ty = match op.infer(&tys) {
            Ok(ty) => ty,
            Err(why) => return Err(self.operand_error(&op, operands, &why, &loc)),
        };
        let id = self.dag.add_node(Node { op, ty, loc, name: None });
        for (slot, operand) in operands.iter().enumerate() {
            self.dag.add_edge(operand.index(), id, slot as u32);
        }
        Ok(NodeId(id.index() as u32))
    }

    fn operand_error(&self, op: &Op, operands: &[NodeId], why: &str, loc: &Loc) -> Box<Diag> {
        let mut diag = Diag::error("G001", format!("{}: {why}", op.name())).at(loc, "this operation");
        for (slot, id) in operands.iter().enumerate() {
            let node = self.node(*id);
            let what = match &node.name {
                Some(name) => format!("operand {slot} is `{name}`: {}", node.ty),
                None => format!("operand {slot} is {}", node.ty),
            };
            diag = diag.at(&node.loc, format!("operand {slot} was made here")).note(what);
        }
        diag
    }

    /// Gives a value the user's name, which every text form and generated kernel then shows.
    pub fn set_name(&mut self, id: NodeId, name: &str) {
        self.dag[id.index()].name = Some(name.into());
    }

    /// Declares the results, in order.
    pub fn set_outputs(&mut self, outputs: Vec<NodeId>) {
        self.outputs = outputs;
    }

    /// The results, in order.
    pub fn outputs(&self) -> &[NodeId] {
        &self.outputs
    }

    /// The parameters, in order.
    pub fn params(&self) -> &[NodeId] {
        &self.params
    }

    /// The node behind an id of this graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.dag[id.index()]
    }

    /// The operation of a node.
    pub fn op(&self, id: NodeId) -> &Op {
        &self.node(id).op
    }

    /// The type of a node's result.
    pub fn ty(&self, id: NodeId) -> &Ty {
        &self.node(id).ty
    }

    /// The tensor type of a node; an error for tuples.
    pub fn tensor(&self, id: NodeId) -> Result<&TensorTy> {
        let node = self.node(id);
        node.ty.tensor().ok_or_else(|| {
            Diag::error("G002", format!("expected one tensor, got {}", node.ty)).at(&node.loc, "this value is a tuple")
        })
    }

    /// The operands of a node, in order.
    pub fn operands(&self, id: NodeId) -> SmallVec<[NodeId; 4]> {
        // petgraph walks incoming edges newest first, and operands were connected in order.
        let mut out: SmallVec<[NodeId; 4]> =
            self.dag.neighbors_directed(id.index(), Direction::Incoming).map(|n| NodeId(n.index() as u32)).collect();
        out.reverse();
        out
    }

    /// The nodes that use a value, each once per use, in ascending order.
    pub fn users(&self, id: NodeId) -> Vec<NodeId> {
        let mut out: Vec<_> =
            self.dag.neighbors_directed(id.index(), Direction::Outgoing).map(|n| NodeId(n.index() as u32)).collect();
        out.sort();
        out
    }

    /// Every node, operands before users.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.dag.node_count() as u32).map(NodeId)
    }

    /// Number of nodes, dead ones counted.
    pub fn len(&self) -> usize {
        self.dag.node_count()
    }

    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The nodes that the outputs need (parameters always included), as a mask over ids.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.len()];
        let mut dfs = petgraph::visit::Dfs::empty(&self.dag);
        let reversed = petgraph::visit::Reversed(&self.dag);
        for root in self.outputs.iter().chain(&self.params) {
            dfs.move_to(root.index());
            while let Some(n) = dfs.next(reversed) {
                live[n.index()] = true;
            }
        }
        live
    }

    /// Copies the body of `callee` into this graph with `args` for its parameters; gives its outputs.
    /// Locations are chained to `site`.
    pub fn inline(&mut self, callee: &Graph, args: &[NodeId], site: &Loc) -> Result<Vec<NodeId>> {
        let live = callee.live();
        let mut map: Vec<Option<NodeId>> = vec![None; callee.len()];
        for (param, arg) in callee.params.iter().zip(args) {
            map[param.0 as usize] = Some(*arg);
        }
        for id in callee.ids() {
            if map[id.0 as usize].is_some() || !live[id.0 as usize] {
                continue;
            }
            let node = callee.node(id);
            let mut operands: SmallVec<[NodeId; 4]> = SmallVec::new();
            for o in callee.operands(id) {
                operands.push(map[o.0 as usize].ok_or_else(|| {
                    Diag::error("G003", format!("`{}` was called with {} arguments", callee.name, args.len()))
                        .at(site, "this call")
                        .note(format!("it takes {}", callee.params.len()))
                })?);
            }
            let new = self.add(node.op.clone(), &operands, node.loc.inlined_at(site))?;
            self.dag[new.index()].name = node.name.clone();
            map[id.0 as usize] = Some(new);
        }
        callee
            .outputs
            .iter()
            .map(|o| {
                map[o.0 as usize]
                    .ok_or_else(|| Diag::error("G003", "a parameter has no argument").at(site, "this call"))
            })
            .collect()
    }
}
