//! Graph to program: walks the nodes with memory in order and makes a kernel, a copy or a control step of each.

use crate::fuse::emit::{Memory, emit};
use crate::fuse::merge::merge_axes;
use crate::fuse::nest::Nest;
use crate::fuse::schedule::schedule;
use crate::fuse::stored;
use crate::fuse::trace::{Policy, Stop};
use crate::jobs::{self, Job};
use crate::program::{Program, Step, Tensor, TensorKind, TensorRef};
use crate::target::{TargetDesc, TargetKind};
use girih_base::{DType, Diag, Dim, Result};
use girih_graph::ops::{Callee, LoopKind};
use girih_graph::{Graph, NodeId, Op, ParamKind, TensorTy};
use girih_tile::Kernel;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Lowers a graph for a target.
pub fn lower(graph: &Graph, desc: &TargetDesc) -> Result<Program> {
    let flat = flatten(graph, desc)?;
    let mut lower =
        Lower { desc, program: Program::default(), kernels: BTreeMap::new(), loops: 0, borrowed: BTreeSet::new() };
    let mut env = BTreeMap::new();
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
        .map(|p| env[p])
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

/// Every call inlined but those that the lowering knows by name.
fn flatten(graph: &Graph, desc: &TargetDesc) -> Result<Graph> {
    let known = |c: &Callee| c.name.starts_with("dequant.") || jobs::fuses_attention(c, desc);
    let mut current = graph.clone();
    loop {
        let live = current.live();
        let exclusive = |id: NodeId| matches!(current.op(id), Op::Scan(s) if s.exclusive);
        let calls = |id: NodeId| matches!(current.op(id), Op::Call(c) if !known(&c.callee));
        if !current.ids().any(|id| live[id.0 as usize] && (calls(id) || exclusive(id))) {
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
                Op::Scan(s) if s.exclusive => crate::prepare::exclusive_scan(&mut out, s, &operands, &node.loc)?,
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

struct Lower<'d> {
    desc: &'d TargetDesc,
    program: Program,
    kernels: BTreeMap<String, Vec<Arc<Kernel>>>,
    loops: u32,
    /// Tensors of an enclosing graph that the body being lowered reads but must not overwrite.
    borrowed: BTreeSet<TensorRef>,
}

type Env = BTreeMap<NodeId, TensorRef>;

struct EnvMemory<'a> {
    env: &'a Env,
    tensors: &'a [Tensor],
}

impl Memory for EnvMemory<'_> {
    fn tensor(&self, node: NodeId) -> (Arc<str>, DType, Dim, bool) {
        let Some(t) = self.env.get(&node).map(|r| &self.tensors[r.0 as usize]) else {
            return ("missing".into(), DType::F32, Dim::ZERO, false);
        };
        let constant = matches!(t.kind, TensorKind::Input(_) | TensorKind::Weight(_) | TensorKind::Constant(_));
        let name = identifier(&t.label);
        (name.into(), t.ty.dtype, t.ty.elements(), constant)
    }
}

impl Lower<'_> {
    fn tensor(&mut self, label: Arc<str>, ty: TensorTy, kind: TensorKind) -> TensorRef {
        self.program.tensors.push(Tensor { label, ty, kind });
        TensorRef(self.program.tensors.len() as u32 - 1)
    }

    fn temp(&mut self, label: &str, ty: &TensorTy) -> TensorRef {
        self.tensor(label.into(), ty.clone(), TensorKind::Temp)
    }

    fn bytes(&self, t: TensorRef) -> Dim {
        let ty = &self.program.tensors[t.0 as usize].ty;
        (&ty.elements() * ty.dtype.bits() as i64).ceil_div(&Dim::from(8))
    }

    fn copy_all(&self, from: TensorRef, to: TensorRef) -> Step {
        Step::Copy { from, from_offset: Dim::ZERO, to, to_offset: Dim::ZERO, bytes: self.bytes(to) }
    }

    /// Results that are parameters (or given twice) get memory of their own.
    fn detach(&mut self, results: &[TensorRef]) -> Vec<TensorRef> {
        let mut out: Vec<TensorRef> = Vec::new();
        for r in results {
            let t = self.program.tensors[r.0 as usize].clone();
            if t.kind == TensorKind::Temp && !out.contains(r) {
                out.push(*r);
            } else {
                let copy = self.temp(&t.label, &t.ty);
                let step = self.copy_all(*r, copy);
                self.program.steps.push(step);
                out.push(copy);
            }
        }
        out
    }

    /// Copies new states that were not written in place; through temporaries where a state's old value is still to be read.
    fn write_back(&mut self, updates: &[TensorRef], states: &[TensorRef]) {
        let mut copies = Vec::new();
        for (new, state) in updates.iter().zip(states) {
            if new == state {
                continue;
            }
            let from = if states.contains(new) {
                let t = self.program.tensors[new.0 as usize].clone();
                let temp = self.temp(&t.label, &t.ty);
                let step = self.copy_all(*new, temp);
                self.program.steps.push(step);
                temp
            } else {
                *new
            };
            copies.push(self.copy_all(from, *state));
        }
        self.program.steps.extend(copies);
    }

    /// Lowers one (flat) graph whose parameters are bound in `env`; gives the steps and the output tensors.
    fn graph(&mut self, graph: &Graph, mut env: Env) -> Result<(Vec<Step>, Vec<TensorRef>)> {
        let live = graph.live();
        let mut stored = stored::choose(graph, &live);
        // Tracing may ask for more nodes with memory; their kernels come before the ones that asked.
        let mut jobs: BTreeMap<NodeId, Vec<Job>> = BTreeMap::new();
        let mut todo: Vec<NodeId> = stored.iter().copied().filter(|id| live[id.0 as usize]).collect();
        while let Some(id) = todo.pop() {
            if env.contains_key(&id) || jobs.contains_key(&id) {
                continue;
            }
            match jobs::jobs(graph, &stored, id, self.policy()) {
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
        let outputs = graph.outputs().iter().map(|o| env.get(&stored::core(graph, *o)).copied());
        let outputs =
            outputs.collect::<Option<Vec<_>>>().ok_or_else(|| Diag::error("L001", "an output was never computed"))?;
        Ok((steps, outputs))
    }

    fn policy(&self) -> Policy {
        match self.desc.kind {
            TargetKind::Cpu => Policy { fold_vectors: false, fold_columns: 1024 },
            TargetKind::Gpu => Policy { fold_vectors: true, fold_columns: 0 },
        }
    }

    /// Turns a node's jobs into steps.
    fn node(&mut self, graph: &Graph, id: NodeId, jobs: Vec<Job>, env: &mut Env, steps: &mut Vec<Step>) -> Result<()> {
        let label: Arc<str> = graph.node(id).name.clone().unwrap_or_else(|| kernel_name(graph, id).into());
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
                    let from = env.get(&source).copied().ok_or_else(|| refuse(graph, source))?;
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
                    let from = env.get(&source).copied().ok_or_else(|| refuse(graph, source))?;
                    let to = env.get(&id).copied().ok_or_else(|| refuse(graph, id))?;
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
                    if !env.contains_key(&part_key(tuple, 0)) {
                        self.control(graph, tuple, env, steps)?;
                    }
                    let t = env.get(&part_key(tuple, index)).copied().ok_or_else(|| refuse(graph, tuple))?;
                    env.insert(id, t);
                }
            }
        }
        Ok(())
    }

    fn launch(&mut self, graph: &Graph, id: NodeId, mut nest: Nest, env: &Env) -> Result<Step> {
        merge_axes(&mut nest);
        let plan = schedule(&nest, self.desc);
        let name = kernel_name(graph, id);
        let memory = EnvMemory { env, tensors: &self.program.tensors };
        let made = emit(&nest, &plan, &memory, &name)?;
        let args = made.args.iter().filter_map(|n| env.get(n).copied()).collect();
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

    /// Lowers a body that may read, but not overwrite, `borrowed`.
    fn body(&mut self, graph: &Graph, env: Env, borrowed: &[TensorRef]) -> Result<(Vec<Step>, Vec<TensorRef>)> {
        let outer = self.borrowed.clone();
        self.borrowed.extend(borrowed.iter().copied());
        let lowered = self.graph(graph, env);
        self.borrowed = outer;
        lowered
    }

    /// Loops and branches: bodies become steps over tensors of their own.
    fn control(&mut self, graph: &Graph, id: NodeId, env: &mut Env, steps: &mut Vec<Step>) -> Result<()> {
        let bound = |env: &Env, n: NodeId| env.get(&stored::core(graph, n)).copied().ok_or_else(|| refuse(graph, n));
        let operands = graph.operands(id).iter().map(|o| bound(env, *o)).collect::<Result<Vec<_>>>()?;
        match graph.op(id).clone() {
            Op::Loop(l) => {
                let body = flatten(&l.body, self.desc)?;
                let mut carried = Vec::new();
                for t in &operands[..l.carried] {
                    let tensor = self.program.tensors[t.0 as usize].clone();
                    let own = self.temp(&tensor.label, &tensor.ty);
                    let step = self.copy_all(*t, own);
                    steps.push(step);
                    carried.push(own);
                }
                let given: Vec<TensorRef> = carried.iter().chain(&operands[l.carried..]).copied().collect();
                let bind = |g: &Graph, given: &[TensorRef]| -> Env {
                    g.params().iter().copied().zip(given.iter().copied()).collect()
                };
                let constant = &operands[l.carried..];
                match l.kind {
                    LoopKind::For(count) => {
                        let symbol: Arc<str> = format!("round{}", self.loops).into();
                        self.loops += 1;
                        let top = (count.bounds().1 - 1).max(0);
                        let body = with_round(&body, &Dim::symbol(&symbol, 0, top))?;
                        let (mut inner, results) = self.body(&body, bind(&body, &given), constant)?;
                        self.carry(&results, &carried, &mut inner);
                        steps.push(Step::Repeat { symbol, count, body: inner });
                    }
                    LoopKind::While(cond) => {
                        let cond = flatten(&cond, self.desc)?;
                        let (test, flag) = self.body(&cond, bind(&cond, &given), &given)?;
                        let (mut inner, results) = self.body(&body, bind(&body, &given), constant)?;
                        self.carry(&results, &carried, &mut inner);
                        steps.push(Step::While { test, flag: flag[0], body: inner });
                    }
                }
                carried.iter().enumerate().for_each(|(i, t)| {
                    env.insert(part_key(id, i), *t);
                });
            }
            Op::Cond(c) => {
                let is_bool = graph.tensor(graph.operands(id)[0])?.dtype == DType::Bool;
                let first = flatten(&c.branches[0], self.desc)?;
                let mut outs = Vec::new();
                for o in first.outputs() {
                    let ty = first.tensor(*o)?.clone();
                    outs.push(self.temp("branch", &ty));
                }
                let mut branches = Vec::new();
                for b in &c.branches {
                    let b = flatten(b, self.desc)?;
                    let bound = b.params().iter().copied().zip(operands[1..].iter().copied()).collect();
                    let (mut inner, results) = self.body(&b, bound, &operands[1..])?;
                    for (r, o) in results.iter().zip(&outs) {
                        inner.push(self.copy_all(*r, *o));
                    }
                    branches.push(inner);
                }
                steps.push(Step::Branch { choice: operands[0], is_bool, branches });
                outs.iter().enumerate().for_each(|(i, t)| {
                    env.insert(part_key(id, i), *t);
                });
            }
            _ => return Err(refuse(graph, id)),
        }
        Ok(())
    }

    /// Copies a round's results to the carried tensors, through temporaries where one of them is still to be read.
    fn carry(&mut self, results: &[TensorRef], carried: &[TensorRef], steps: &mut Vec<Step>) {
        let mut last = Vec::new();
        for (r, c) in results.iter().zip(carried) {
            if r == c {
                continue;
            }
            let from = if carried.contains(r) {
                let t = self.program.tensors[r.0 as usize].clone();
                let temp = self.temp(&t.label, &t.ty);
                steps.push(self.copy_all(*r, temp));
                temp
            } else {
                *r
            };
            last.push(self.copy_all(from, *c));
        }
        steps.extend(last);
    }
}

/// Whether `update` alone reads the memory of `source`, its first operand seen through reshapes.
fn last_reader(graph: &Graph, update: NodeId, source: NodeId) -> bool {
    let mut at = graph.operands(update)[0];
    loop {
        if graph.users(at).len() != 1 || graph.outputs().contains(&at) {
            return false;
        }
        match graph.operands(at).first() {
            _ if at == source => return true,
            Some(below) => at = *below,
            None => return false,
        }
    }
}

/// The key under which part `i` of a tuple is bound: no node has such an id.
fn part_key(tuple: NodeId, i: usize) -> NodeId {
    NodeId((1 << 31) | (tuple.0 << 6) | i as u32)
}

/// The body with its first parameter, the round, replaced by a symbol.
fn with_round(body: &Graph, symbol: &Dim) -> Result<Graph> {
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

fn refuse(graph: &Graph, id: NodeId) -> Box<Diag> {
    use girih_graph::ops::Rule;
    let node = graph.node(id);
    Diag::error("L002", format!("`{}` of type {} cannot be lowered here", node.op.name(), node.ty))
        .at(&node.loc, "this operation")
}

/// A readable name: the user's, or the operation's.
fn kernel_name(graph: &Graph, id: NodeId) -> String {
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
fn identifier(label: &str) -> String {
    let words = label.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.chars().all(|c| c.is_ascii_digit()));
    let name = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    let name: String = name.chars().take(40).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("t_{name}") }
}
