//! Fused attention: when a target computes it in one kernel, and that kernel.

use super::Job;
use crate::fuse::affine::{Affine, AxisId, linearize};
use crate::fuse::nest::{Attention, Expr};
use crate::fuse::trace::{Policy, Stop, Trace};
use crate::target::{TargetDesc, TargetKind};
use girih_base::{DType, Dim};
use girih_graph::ops::{Attr, Callee};
use girih_graph::{Graph, NodeId, TensorTy};
use std::collections::BTreeSet;

/// One kernel for `softmax(q k^T * scale) v`.
pub(super) fn attention(
    graph: &Graph,
    stored: &BTreeSet<NodeId>,
    id: NodeId,
    callee: &Callee,
    policy: Policy,
) -> Result<Vec<Job>, Stop> {
    let operands = graph.operands(id);
    let full = graph.tensor(id)?.shape.clone();
    let keys = graph.tensor(operands[1])?.shape.clone();
    let mut t = Trace::new(graph, stored, id, &full, policy);
    let coords = t.root_coords();
    let (batch, rank) = (keys.len() - 2, full.len());
    let mut fold = |extent: &Dim| {
        let a = t.nest.axis(extent.clone());
        let axis = &mut t.nest.axes[a.0 as usize];
        (axis.row, axis.folded) = (true, true);
        a
    };
    let inner = [fold(&keys[batch + 1]), fold(&keys[batch])];
    let at =
        |t: &Trace<'_>, a: AxisId| if t.nest.extent(a).is(1) { Affine::constant(Dim::ZERO) } else { Affine::axis(a) };
    let (d, k) = (at(&t, inner[0]), at(&t, inner[1]));
    let mut query: Vec<Affine> = coords[..rank - 1].to_vec();
    query.push(d.clone());
    let key: Vec<Affine> = coords[..batch].iter().cloned().chain([k.clone(), d]).collect();
    let value: Vec<Affine> = coords[..batch].iter().cloned().chain([k, coords[rank - 1].clone()]).collect();
    let qkv = [
        t.pull_operand(operands[0], &query, true)?,
        t.pull_operand(operands[1], &key, false)?,
        t.pull_operand(operands[2], &value, false)?,
    ];
    let scale = match callee.attr("scale") {
        Some(Attr::Number(n)) => n.as_f64(),
        _ => 1.0,
    };
    let causal = match callee.attr("causal") {
        Some(Attr::Dim(before)) => Some((coords[rank - 2].clone(), before.clone())),
        _ => None,
    };
    // The longest axis of query rows goes into tiles.
    let rows = coords[batch..rank - 1].iter().filter_map(Affine::as_axis).max_by_key(|a| t.nest.extent(*a).bounds().1);
    let columns = coords[rank - 1].as_axis();
    let value = t.push(id, Expr::Attention(Attention { qkv, scale, causal, inner, rows, columns }), DType::F32);
    t.store(id, value, linearize(&coords, &full), Vec::new());
    Ok(vec![Job::Fresh, Job::Nest(t.nest)])
}

/// Whether this target computes a call of `attention` in one kernel: a CPU always (the scores stay in its cache), a GPU when there
/// are few query rows for the keys, as in decoding; otherwise three kernels are faster.
pub fn fuses_attention(callee: &Callee, desc: &TargetDesc) -> bool {
    if &*callee.name != "attention" || callee.body.params().len() != 3 {
        return false;
    }
    let shapes: Vec<Option<&TensorTy>> = callee.body.params().iter().map(|p| callee.body.ty(*p).tensor()).collect();
    let [Some(q), Some(k), Some(v)] = shapes[..] else { return false };
    let f32s = [q, k, v].iter().all(|t| t.dtype == DType::F32);
    let rows = girih_graph::ty::product(&q.shape[k.rank() - 2..q.rank() - 1]);
    let small = |d: &Dim, most: i64| d.as_const().is_some_and(|d| d <= most);
    let features = small(&q.shape[q.rank() - 1], 512) && small(&v.shape[v.rank() - 1], 512);
    f32s && features && (desc.kind == TargetKind::Cpu || small(&rows, 8))
}
