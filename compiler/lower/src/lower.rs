//! Graph to program: walks the nodes with memory in order and makes a kernel, a copy or a control step of each.

mod control;
mod copies;
mod env;
mod flatten;
mod hand;
mod names;

use crate::fuse::emit::emit;
use crate::fuse::merge::merge_axes;
use crate::fuse::nest::Nest;
use crate::fuse::schedule::schedule;
use crate::fuse::stored;
use crate::fuse::trace::Stop;
use crate::jobs::{self, Job};
use crate::program::{Program, Step, Tensor, TensorKind, TensorRef};
use crate::target::TargetDesc;
use copies::last_reader;
use env::{Env, EnvMemory};
use flatten::flatten;
use girih_base::{Diag, Dim, Result};
use girih_graph::{Graph, NodeId, Op, ParamKind, TensorTy};
use girih_tile::Kernel;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Lowers a graph for a target.
pub fn lower(graph: &Graph, desc: &TargetDesc) -> Result<Program> {
    let flat = flatten(graph, desc)?;
    let mut lower =
        Lower { desc, program: Program::default(), kernels: BTreeMap::new(), loops: 0, borrowed: BTreeSet::new() };
    let mut env = Env::default();
    let mut counts = [0u32; 3];
    for p in flat.params() {
        let node = flat.node(*p);
        let Op::Param(param) = &node.op else { continue };
        let (slot, kind): (usize, fn(u32) -> TensorKind) = match param.kind {
            ParamKind::Input => (0, TensorKind::Input),
            ParamKind::Weight => (1, TensorKind::Weight),
            ParamKind::State => (2, TensorKind::State),
        };
        let label = node.name.clone().unwrap_or_else(|| "param".into());
        env.insert(*p, lower.tensor(label, flat.tensor(*p)?.clone(), kind(counts[slot])));
        counts[slot] += 1;
    }
    let (steps, outputs) = lower.graph(&flat, env.clone())?;
    lower.program.steps = steps;
    // The last outputs are the new states, in order.
    let states: Vec<TensorRef> = flat
        .params()
        .iter()
        .filter(|p| matches!(flat.op(**p), Op::Param(x) if x.kind == ParamKind::State))
        .filter_map(|p| env.get(*p))
        .collect();
    let split = outputs.len().checked_sub(states.len()).ok_or_else(|| {
        Diag::error("L001", format!("{} states but {} outputs", states.len(), outputs.len()))
            .help("a graph with n State parameters gives their new values as its last n outputs")
    })?;
    let (results, updates) = outputs.split_at(split);
    lower.write_back(updates, &states);
    lower.program.outputs = lower.detach(results);
    Ok(lower.program)
}

struct Lower<'d> {
    desc: &'d TargetDesc,
    program: Program,
    kernels: BTreeMap<String, Vec<Arc<Kernel>>>,
    loops: u32,
    /// Tensors of an enclosing graph that the body being lowered reads but must not overwrite.
    borrowed: BTreeSet<TensorRef>,
}

impl Lower<'_> {
    fn tensor(&mut self, label: Arc<str>, ty: TensorTy, kind: TensorKind) -> TensorRef {
        self.program.tensors.push(Tensor { label, ty, kind });
        TensorRef(self.program.tensors.len() as u32 - 1)
    }

    fn temp(&mut self, label: &str, ty: &TensorTy) -> TensorRef {
        self.tensor(label.into(), ty.clone(), TensorKind::Temp)
    }

    /// Lowers one (flat) graph whose parameters are bound in `env`; gives the steps and the output tensors.
    fn graph(&mut self, graph: &Graph, mut env: Env) -> Result<(Vec<Step>, Vec<TensorRef>)> {
        let live = graph.live();
        let mut stored = stored::choose(graph, &live);
        // Tracing may ask for more nodes with memory; their kernels come before the ones that asked.
        let mut jobs: BTreeMap<NodeId, Vec<Job>> = BTreeMap::new();
        let mut todo: Vec<NodeId> = stored.iter().copied().filter(|id| live[id.0 as usize]).collect();
        while let Some(id) = todo.pop() {
            if env.get(id).is_some() || jobs.contains_key(&id) {
                continue;
            }
            match jobs::jobs(graph, &stored, id, self.desc) {
                Ok(list) => {
                    jobs.insert(id, list);
                }
                Err(Stop::Blocked(other)) => {
                    let other = stored::core(graph, other);
                    if other == id || !stored.insert(other) {
                        return Err(refuse(graph, other));
                    }
                    todo.extend([id, other]);
                }
                Err(Stop::Refused(d)) => return Err(d),
            }
        }
        let mut steps = Vec::new();
        for (id, list) in jobs {
            self.node(graph, id, list, &mut env, &mut steps)?;
        }
        let outputs = graph.outputs().iter().map(|o| env.get(stored::core(graph, *o)));
        let outputs =
            outputs.collect::<Option<Vec<_>>>().ok_or_else(|| Diag::error("L001", "an output was never computed"))?;
        Ok((steps, outputs))
    }

    /// Turns a node's jobs into steps.
    fn node(&mut self, graph: &Graph, id: NodeId, jobs: Vec<Job>, env: &mut Env, steps: &mut Vec<Step>) -> Result<()> {
        let label = names::label(graph, id);
        for job in jobs {
            match job {
                Job::Constant(bytes) => {
                    let t = self.tensor(label.clone(), graph.tensor(id)?.clone(), TensorKind::Constant(bytes));
                    env.insert(id, t);
                }
                Job::Fresh => {
                    let t = self.temp(&label, graph.tensor(id)?);
                    env.insert(id, t);
                }
                Job::From { source, donate } => {
                    let from = env.get(source).ok_or_else(|| refuse(graph, source))?;
                    let kind = &self.program.tensors[from.0 as usize].kind;
                    // In place only if nobody else reads the old value and it is not the caller's.
                    let mine =
                        matches!(kind, TensorKind::Temp | TensorKind::State(_)) && !self.borrowed.contains(&from);
                    let target = if donate && mine && last_reader(graph, id, source) {
                        from
                    } else {
                        let t = self.temp(&label, graph.tensor(id)?);
                        steps.push(self.copy_all(from, t));
                        t
                    };
                    env.insert(id, target);
                }
                Job::Copy { source, to_offset } => {
                    let from = env.get(source).ok_or_else(|| refuse(graph, source))?;
                    let to = env.get(id).ok_or_else(|| refuse(graph, id))?;
                    let bytes = self.bytes(from);
                    steps.push(Step::Copy { from, from_offset: Dim::ZERO, to, to_offset, bytes });
                }
                // Nothing is written along an axis without points.
                Job::Nest(nest) if nest.is_empty() => {}
                Job::Nest(nest) => {
                    let step = self.launch(graph, id, nest, env)?;
                    steps.push(step);
                }
                Job::Part { tuple, index } => {
                    if env.part(tuple, 0).is_none() {
                        self.several(graph, tuple, env, steps)?;
                    }
                    let t = env.part(tuple, index).ok_or_else(|| refuse(graph, tuple))?;
                    env.insert(id, t);
                }
            }
        }
        Ok(())
    }

    fn launch(&mut self, graph: &Graph, id: NodeId, mut nest: Nest, env: &Env) -> Result<Step> {
        merge_axes(&mut nest);
        let plan = schedule(&nest, self.desc);
        let name = names::kernel_name(graph, id);
        let memory = EnvMemory { env, tensors: &self.program.tensors };
        let made = emit(&nest, &plan, &memory, &name)?;
        let args = made.args.iter().filter_map(|n| env.get(*n)).collect();
        Ok(Step::Launch { kernel: self.share(made.kernel), args })
    }

    /// One allocation for equal kernels; different kernels of one name get numbers.
    fn share(&mut self, mut kernel: Kernel) -> Arc<Kernel> {
        let known = self.kernels.entry(kernel.name.clone()).or_default();
        let base = kernel.name.clone();
        for k in known.iter() {
            // Names of one layer's tensors do not make its kernels different from another's.
            let mut renamed = kernel.clone();
            renamed.name = k.name.clone();
            renamed.params.iter_mut().zip(&k.params).for_each(|(p, q)| p.name = q.name.clone());
            renamed.values.iter_mut().zip(&k.values).for_each(|(v, w)| v.name = w.name.clone());
            if **k == renamed {
                return k.clone();
            }
        }
        kernel.name = if known.is_empty() { base } else { format!("{base}_{}", known.len()) };
        let shared = Arc::new(kernel);
        known.push(shared.clone());
        shared
    }
}

fn refuse(graph: &Graph, id: NodeId) -> Box<Diag> {
    use girih_graph::ops::Rule;
    let node = graph.node(id);
    Diag::error("L002", format!("`{}` of type {} cannot be lowered here", node.op.name(), node.ty))
        .at(&node.loc, "this operation")
}
