//! Which tensor holds each node's value.

use super::names::identifier;
use crate::fuse::emit::Memory;
use crate::program::{Tensor, TensorRef};
use girih_base::{DType, Dim};
use girih_graph::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tensors of nodes, and of the values of nodes with several.
#[derive(Clone, Debug, Default)]
pub(super) struct Env(BTreeMap<(NodeId, usize), TensorRef>);

impl Env {
    /// The tensor of a node.
    pub fn get(&self, node: NodeId) -> Option<TensorRef> {
        self.part(node, 0)
    }

    /// The tensor of value `index` of a node.
    pub fn part(&self, node: NodeId, index: usize) -> Option<TensorRef> {
        self.0.get(&(node, index)).copied()
    }

    /// Binds a node.
    pub fn insert(&mut self, node: NodeId, t: TensorRef) {
        self.0.insert((node, 0), t);
    }

    /// Binds the values of a node, in order.
    pub fn insert_parts(&mut self, node: NodeId, parts: impl IntoIterator<Item = TensorRef>) {
        self.0.extend(parts.into_iter().enumerate().map(|(i, t)| ((node, i), t)));
    }
}

impl FromIterator<(NodeId, TensorRef)> for Env {
    fn from_iter<I: IntoIterator<Item = (NodeId, TensorRef)>>(list: I) -> Env {
        Env(list.into_iter().map(|(node, t)| ((node, 0), t)).collect())
    }
}

/// Bound tensors, as the emitter of kernels asks about them.
pub(super) struct EnvMemory<'a> {
    pub env: &'a Env,
    pub tensors: &'a [Tensor],
}

impl Memory for EnvMemory<'_> {
    fn tensor(&self, node: NodeId) -> (Arc<str>, DType, Dim, bool) {
        let Some(t) = self.env.get(node).map(|r| &self.tensors[r.0 as usize]) else {
            return ("missing".into(), DType::F32, Dim::ZERO, false);
        };
        let constant = t.kind.is_constant();
        let name = identifier(&t.label);
        (name.into(), t.ty.dtype, t.ty.elements(), constant)
    }
}
