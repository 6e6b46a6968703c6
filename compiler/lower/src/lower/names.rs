//! Names of kernels and buffers.

use girih_graph::{Graph, NodeId, Op};
use std::sync::Arc;

/// What people call a node's memory: the user's name, or the kernel's.
pub(super) fn label(graph: &Graph, id: NodeId) -> Arc<str> {
    graph.node(id).name.clone().unwrap_or_else(|| kernel_name(graph, id).into())
}

/// A readable name: the user's, or the operation's.
pub(super) fn kernel_name(graph: &Graph, id: NodeId) -> String {
    use girih_graph::ops::Rule;
    let node = graph.node(id);
    let name = match (&node.name, &node.op) {
        (Some(name), _) => name,
        (None, Op::Call(c)) => &*c.callee.name,
        (None, op) => op.name(),
    };
    identifier(name)
}

/// A label as an identifier: `blk.0.attn_q.weight` becomes `blk_attn_q_weight`, since numbers only tell layers apart.
pub(super) fn identifier(label: &str) -> String {
    let words = label.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.chars().all(|c| c.is_ascii_digit()));
    let name = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    let name: String = name.chars().take(40).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("t_{name}") }
}
