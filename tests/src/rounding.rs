//! How much rounding may move a graph's results.

use girih_base::{Bindings, DType, Loc, Result};
use girih_graph::eval::{Array, Value};
use girih_graph::ops::{Call, Callee, Cast, Cond, Loop};
use girih_graph::{Graph, NodeId, Op, Ty};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// The absolute error that each result may have on a target that rounds where the graph's dtypes say.
///
/// The evaluator rounds only at casts. Evaluating once more with a cast after every float operation shows how far a chain of
/// roundings carries through this graph; other orders of the same operations stay within a small multiple of that. Rounding
/// can also happen to cancel, so eight units of the coarsest dtype and 256 of its accumulator are always allowed.
pub fn allowed(graph: &Graph, inputs: &[Value], bindings: &Bindings, want: &[Value]) -> Result<Vec<f64>> {
    let rounded = with_casts(graph)?.eval(inputs, bindings)?;
    let coarsest = coarsest(graph);
    want.iter()
        .zip(&rounded)
        .zip(&coarsest)
        .map(|((w, r), u)| {
            let (w, r) = (w.array()?, r.array()?);
            let (size, moved) = spread(w, r);
            Ok(16.0 * moved + u * size.max(1.0))
        })
        .collect()
}

/// The largest magnitude, and the largest difference.
fn spread(want: &Array, rounded: &Array) -> (f64, f64) {
    let (mut size, mut moved) = (0f64, 0f64);
    for i in 0..want.len() {
        let (a, b) = (want.f64(i), rounded.f64(i));
        if a.is_finite() && b.is_finite() {
            (size, moved) = (size.max(a.abs()), moved.max((a - b).abs()));
        }
    }
    (size, moved)
}

/// Half the distance from one to the next number.
fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON / 2.0,
        DType::F16 => 2f64.powi(-11),
        DType::Bf16 => 2f64.powi(-8),
        _ => f32::EPSILON as f64 / 2.0,
    }
}

/// What each output is always allowed per unit of size.
fn coarsest(graph: &Graph) -> Vec<f64> {
    let mut units = vec![0f64; graph.len()];
    for id in graph.ids() {
        let mut u = graph.operands(id).iter().map(|o| units[o.0 as usize]).fold(0.0, f64::max);
        let own = |ty: &Ty| ty.tensor().filter(|t| t.dtype.is_float()).map_or(0.0, |t| always(t.dtype));
        u = u.max(match graph.ty(id) {
            Ty::Tuple(items) => items.iter().map(own).fold(0.0, f64::max),
            one => own(one),
        });
        units[id.0 as usize] = u;
    }
    graph.outputs().iter().map(|o| units[o.0 as usize]).collect()
}

fn always(dtype: DType) -> f64 {
    8.0 * unit(dtype) + 256.0 * unit(dtype.accumulator())
}

/// The graph with every float result rounded to its dtype.
fn with_casts(graph: &Graph) -> Result<Graph> {
    let mut out = Graph::new(graph.name.clone());
    let mut map: Vec<NodeId> = Vec::new();
    let mut callees: BTreeMap<usize, Arc<Callee>> = BTreeMap::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let operands: Vec<NodeId> = graph.operands(id).iter().map(|o| map[o.0 as usize]).collect();
        let body = |b: &Arc<Graph>| Ok::<_, Box<girih_base::Diag>>(Arc::new(with_casts(b)?));
        let op = match &node.op {
            Op::Param(p) => {
                map.push(out.param(node.name.as_deref().unwrap_or("p"), node.ty.clone(), p.kind, Loc::unknown()));
                continue;
            }
            Op::Loop(l) => Loop { body: body(&l.body)?, ..l.clone() }.into(),
            Op::Cond(c) => Cond { branches: c.branches.iter().map(body).collect::<Result<_>>()? }.into(),
            Op::Call(c) => {
                let callee = match callees.entry(Arc::as_ptr(&c.callee) as usize) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(place) => {
                        let rounded = Callee { body: with_casts(&c.callee.body)?, ..(*c.callee).clone() };
                        place.insert(Arc::new(rounded)).clone()
                    }
                };
                Call { callee }.into()
            }
            op => op.clone(),
        };
        let mut new = out.add(op, &operands, Loc::unknown())?;
        if let Some(t) = node.ty.tensor()
            && t.dtype.is_float()
        {
            new = out.add(Cast { to: t.dtype }.into(), &[new], Loc::unknown())?;
        }
        map.push(new);
    }
    out.set_outputs(graph.outputs().iter().map(|o| map[o.0 as usize]).collect());
    Ok(out)
}
