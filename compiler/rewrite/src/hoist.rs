//! What depends on weights only is computed once, when the weights are loaded.
//!
//! [`split_weights`] parts a graph into one that prepares weights and one that runs. Inside the optimiser it is applied
//! to every called body, so that a layer takes its prepared weights as parameters and its caller prepares them; in the
//! end all such work stands in the top graph, where the driver splits it off.

use girih_base::{Diag, Result};
use girih_graph::{Graph, NodeId, Op, ParamKind};
use smallvec::SmallVec;

/// A graph in two parts.
#[derive(Clone, Debug)]
pub struct Split {
    /// Prepares weights. Its parameters are all parameters of the original that are weights and that it needs; its
    /// outputs become the last parameters of `run`.
    pub load: Graph,
    /// For each parameter of `load`, its position among the original's parameters.
    pub load_params: Vec<usize>,
    /// The rest: the original's parameters that it still needs (inputs and states always), in order, then the prepared
    /// weights. Outputs as in the original.
    pub run: Graph,
    /// For each parameter of `run` that the original had, its position there.
    pub run_params: Vec<usize>,
}

/// Splits off everything that depends on weights alone; `None` when there is nothing to prepare.
///
/// Views, conversions and `dequant.*` of weights stay with their users, which read through them: preparing those would
/// only make the weights larger.
pub fn split_weights(graph: &Graph) -> Result<Option<Split>> {
    let live = graph.live();
    let weights = weight_only(graph);
    // Arithmetic on whole decoded matrices would undo the quantisation.
    let decoded = decoded(graph);
    let prepare = |id: NodeId| {
        let at = id.0 as usize;
        live[at] && weights[at] && !decoded[at] && worth(graph, id)
    };
    let prepared: Vec<bool> = graph.ids().map(prepare).collect();
    // What the running part reads: walk from the outputs and stop at prepared values.
    let mut needed = vec![false; graph.len()];
    let mut frontier = vec![false; graph.len()];
    for o in graph.outputs() {
        needed[o.0 as usize] = true;
    }
    for id in graph.ids().rev() {
        let at = id.0 as usize;
        if needed[at] && prepared[at] && !graph.outputs().contains(&id) {
            (needed[at], frontier[at]) = (false, true);
        } else if needed[at] {
            graph.operands(id).iter().for_each(|o| needed[o.0 as usize] = true);
        }
    }
    let hoisted: Vec<NodeId> = graph.ids().filter(|id| frontier[id.0 as usize]).collect();
    if hoisted.is_empty() {
        return Ok(None);
    }
    let mut load = Part::new(graph, "load");
    let mut wanted = vec![false; graph.len()];
    hoisted.iter().for_each(|h| wanted[h.0 as usize] = true);
    for id in graph.ids().rev() {
        if wanted[id.0 as usize] {
            graph.operands(id).iter().for_each(|o| wanted[o.0 as usize] = true);
        }
    }
    load.copy(|id| wanted[id.0 as usize])?;
    let outputs = load.get(&hoisted)?;
    load.new.set_outputs(outputs);

    let mut run = Part::new(graph, "");
    let keeps = |id: NodeId| match graph.op(id) {
        Op::Param(p) => needed[id.0 as usize] || p.kind != ParamKind::Weight,
        _ => needed[id.0 as usize],
    };
    run.params(keeps);
    for h in &hoisted {
        let node = graph.node(*h);
        let name = node.name.as_deref().map_or_else(|| format!("prepared{}", h.0), str::to_string);
        run.map[h.0 as usize] = Some(run.new.param(&name, node.ty.clone(), ParamKind::Weight, node.loc.clone()));
    }
    run.copy(keeps)?;
    let outputs = run.get(graph.outputs())?;
    run.new.set_outputs(outputs);
    Ok(Some(Split { load: load.new, load_params: load.kept, run: run.new, run_params: run.kept }))
}

/// Values that depend on weights and constants only, and on at least one weight.
pub(crate) fn weight_only(graph: &Graph) -> Vec<bool> {
    let mut constant = vec![false; graph.len()];
    let mut weight = vec![false; graph.len()];
    for id in graph.ids() {
        let operands = graph.operands(id);
        let fixed = |o: &NodeId| constant[o.0 as usize] || weight[o.0 as usize];
        let (c, w) = match graph.op(id) {
            Op::Param(p) => (false, p.kind == ParamKind::Weight),
            Op::Kernel(_) | Op::Fence(_) | Op::Collective(_) => (false, false),
            op if operands.is_empty() => (!depends_on_sizes(op, graph, id), false),
            op if operands.iter().all(fixed) && !depends_on_sizes(op, graph, id) => {
                let w = operands.iter().any(|o| weight[o.0 as usize]);
                (!w, w)
            }
            _ => (false, false),
        };
        (constant[id.0 as usize], weight[id.0 as usize]) = (c, w);
    }
    weight
}

/// Whether a value changes with sizes that are known at run time only.
fn depends_on_sizes(op: &Op, graph: &Graph, id: NodeId) -> bool {
    let symbolic = match graph.ty(id).tensor() {
        Some(t) => t.shape.iter().any(|d| d.as_const().is_none()),
        None => true,
    };
    let attrs = match op {
        Op::Slice(s) => s.start.iter().chain(&s.limit).any(|d| d.as_const().is_none()),
        Op::Pad(p) => p.low.iter().chain(&p.high).any(|d| d.as_const().is_none()),
        Op::Const(c) => matches!(&c.value, girih_graph::Literal::Dim(d) if d.as_const().is_none()),
        // A body may ask for any size.
        Op::Loop(_) | Op::Cond(_) => true,
        Op::Call(c) => !c.callee.name.starts_with("dequant."),
        _ => false,
    };
    symbolic || attrs
}

/// Whether keeping the computed value beats computing it where it is used.
fn worth(graph: &Graph, id: NodeId) -> bool {
    match graph.op(id) {
        Op::Param(_) | Op::Const(_) | Op::Iota(_) | Op::Reshape(_) | Op::Permute(_) => false,
        Op::Broadcast(_) | Op::Slice(_) | Op::Cast(_) | Op::Bitcast(_) | Op::Tuple(_) | Op::Proj(_) => false,
        Op::Call(c) => !c.callee.name.starts_with("dequant."),
        _ => true,
    }
}

/// Values that need a decoded weight.
fn decoded(graph: &Graph) -> Vec<bool> {
    let mut out = vec![false; graph.len()];
    for id in graph.ids() {
        let call = matches!(graph.op(id), Op::Call(c) if c.callee.name.starts_with("dequant."));
        out[id.0 as usize] = call || graph.operands(id).iter().any(|o| out[o.0 as usize]);
    }
    out
}

struct Part<'g> {
    old: &'g Graph,
    new: Graph,
    map: Vec<Option<NodeId>>,
    kept: Vec<usize>,
}

impl<'g> Part<'g> {
    fn new(old: &'g Graph, suffix: &str) -> Part<'g> {
        let name = if suffix.is_empty() { old.name.clone() } else { format!("{}.{suffix}", old.name) };
        Part { old, new: Graph::new(name), map: vec![None; old.len()], kept: Vec::new() }
    }

    fn params(&mut self, keep: impl Fn(NodeId) -> bool) {
        for (i, id) in self.old.params().iter().enumerate() {
            let node = self.old.node(*id);
            if let (Op::Param(p), true) = (&node.op, keep(*id)) {
                let name = node.name.as_deref().unwrap_or("");
                self.map[id.0 as usize] = Some(self.new.param(name, node.ty.clone(), p.kind, node.loc.clone()));
                self.kept.push(i);
            }
        }
    }

    fn copy(&mut self, keep: impl Fn(NodeId) -> bool) -> Result<()> {
        if self.kept.is_empty() {
            self.params(&keep);
        }
        for id in self.old.ids().filter(|id| keep(*id)) {
            if self.map[id.0 as usize].is_some() {
                continue;
            }
            let kids: SmallVec<[NodeId; 4]> = self.get(&self.old.operands(id))?.into();
            let node = self.old.node(id);
            let new = self.new.add(node.op.clone(), &kids, node.loc.clone())?;
            if let Some(name) = &node.name {
                self.new.set_name(new, name);
            }
            self.map[id.0 as usize] = Some(new);
        }
        Ok(())
    }

    fn get(&self, ids: &[NodeId]) -> Result<Vec<NodeId>> {
        let missing = || Diag::error("R001", "the optimiser lost a value while splitting off weights");
        ids.iter().map(|o| self.map[o.0 as usize].ok_or_else(missing)).collect()
    }
}
