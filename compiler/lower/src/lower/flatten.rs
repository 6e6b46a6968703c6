//! Graphs without calls: bodies are inlined but those that the lowering knows by name.

use crate::target::{TargetDesc, TargetKind};
use crate::{jobs, prepare};
use girih_base::{DType, Dim, Result};
use girih_graph::ops::{Callee, Reduce};
use girih_graph::{Graph, NodeId, Op, ParamKind};
use std::collections::BTreeMap;

/// Every call inlined but those that the lowering knows by name.
///
/// # Errors
/// `G208` for an exchange between several replicas.
pub(super) fn flatten(graph: &Graph, desc: &TargetDesc) -> Result<Graph> {
    let known = |c: &Callee| c.name.starts_with("dequant.") || jobs::fuses_attention(c, desc);
    let mut current = graph.clone();
    loop {
        let live = current.live();
        // A thread of a GPU would go over much of a long line alone.
        let long = |g: &Graph, r: &Reduce, x: NodeId| match desc.kind {
            TargetKind::Gpu => g.ty(x).tensor().and_then(|t| prepare::two_steps(r, t)),
            TargetKind::Cpu => None,
        };
        // What is spelled in other operations: exclusive scans, exchanges of a replica with itself, and folds of long lines.
        let spelled = |id: NodeId| match current.op(id) {
            Op::Scan(s) => s.exclusive,
            Op::Collective(_) => true,
            Op::Reduce(r) => long(&current, r, current.operands(id)[0]).is_some(),
            _ => false,
        };
        let calls = |id: NodeId| matches!(current.op(id), Op::Call(c) if !known(&c.callee));
        if !current.ids().any(|id| live[id.0 as usize] && (calls(id) || spelled(id))) {
            return Ok(current);
        }
        let mut out = Graph::new(current.name.clone());
        let mut map: Vec<Option<NodeId>> = vec![None; current.len()];
        let mut parts: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for id in current.ids().filter(|id| live[id.0 as usize]) {
            let node = current.node(id);
            let old = current.operands(id);
            let operands: Vec<NodeId> = old.iter().filter_map(|o| map[o.0 as usize]).collect();
            let new = match &node.op {
                Op::Param(p) => {
                    out.param(node.name.as_deref().unwrap_or("param"), node.ty.clone(), p.kind, node.loc.clone())
                }
                Op::Call(c) if !known(&c.callee) => {
                    let results = out.inline(&c.callee.body, &operands, &node.loc)?;
                    if results.len() == 1 {
                        // What the call was named, or what it calls, names the value.
                        if out.node(results[0]).name.is_none() {
                            out.set_name(results[0], node.name.as_ref().unwrap_or(&c.callee.name));
                        }
                        results[0]
                    } else {
                        let tuple = out.add(girih_graph::ops::Tuple.into(), &results, node.loc.clone())?;
                        parts.insert(id, results);
                        tuple
                    }
                }
                Op::Scan(s) if s.exclusive => prepare::exclusive_scan(&mut out, s, &operands, &node.loc)?,
                Op::Collective(c) => c.alone(&mut out, operands[0], &node.loc)?,
                Op::Reduce(r) if long(&out, r, operands[0]).is_some() => {
                    let pieces = long(&out, r, operands[0]).unwrap_or(1);
                    prepare::fold_in_two_steps(&mut out, r, pieces, operands[0], &node.loc)?
                }
                Op::Proj(p) if parts.contains_key(&old[0]) => parts[&old[0]][p.index],
                op => {
                    let new = out.add(op.clone(), &operands, node.loc.clone())?;
                    if let Some(name) = &node.name {
                        out.set_name(new, name);
                    }
                    new
                }
            };
            map[id.0 as usize] = Some(new);
        }
        out.set_outputs(current.outputs().iter().filter_map(|o| map[o.0 as usize]).collect());
        current = out;
    }
}

/// The body with its first parameter, the round, replaced by a symbol.
pub(super) fn with_round(body: &Graph, symbol: &Dim) -> Result<Graph> {
    let mut out = Graph::new(body.name.clone());
    let mut args = Vec::new();
    for (i, p) in body.params().iter().enumerate() {
        let node = body.node(*p);
        args.push(if i == 0 {
            out.size(symbol.clone(), DType::I32)?
        } else {
            out.param(node.name.as_deref().unwrap_or("param"), node.ty.clone(), ParamKind::Input, node.loc.clone())
        });
    }
    let outputs = out.inline(body, &args, &girih_base::Loc::unknown())?;
    out.set_outputs(outputs);
    Ok(out)
}
