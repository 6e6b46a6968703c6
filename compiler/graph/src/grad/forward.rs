//! Forward-mode differentiation, by transposing twice.

use super::{is_float, vjp, zeros};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use girih_base::{Loc, Result};

/// The Jacobian-vector product: parameters are those of `f` and one tangent per entry of `wrt`; outputs are those of `f`
/// and one tangent per float output of `f`.
///
/// The pullback `ct -> J^T ct` is linear in `ct`, so its own pullback by `ct` is `t -> J t`, whatever the value of `ct`
/// (Townsend, "A new trick for calculating Jacobian vector products", 2017).
pub fn jvp(f: &Graph, wrt: &[usize]) -> Result<Graph> {
    let transposed = vjp(f, wrt)?;
    let n = f.params().len();
    let cotangents: Vec<usize> = (n..transposed.params().len()).collect();
    let forward = vjp(&transposed, &cotangents)?;

    let mut g = Graph::new(format!("{}.jvp", f.name));
    let mut params = Vec::new();
    for p in f.params() {
        let node = f.node(*p);
        let Op::Param(param) = &node.op else { continue };
        params.push(g.param(node.name.as_deref().unwrap_or_default(), node.ty.clone(), param.kind, node.loc.clone()));
    }
    let mut tangents = Vec::new();
    for w in wrt {
        let node = f.node(f.params()[*w]);
        let name = format!("d_{}", node.name.as_deref().unwrap_or_default());
        tangents.push(g.param(&name, node.ty.clone(), crate::graph::ParamKind::Input, node.loc.clone()));
    }
    let mut outputs = g.inline(f, &params, &Loc::unknown())?;
    let mut args: Vec<NodeId> = params;
    for out in f.outputs().iter().filter(|o| is_float(f, **o)) {
        let ty = f.tensor(*out)?.clone();
        args.push(zeros(&mut g, &ty)?);
    }
    args.extend(tangents);
    outputs.extend(g.inline(&forward, &args, &Loc::unknown())?);
    g.set_outputs(outputs);
    g.compact()
}
