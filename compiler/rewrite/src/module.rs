//! The whole of a graph: its callees, loop bodies and branches first, each distinct body once.

use crate::budget::Budget;
use crate::canon;
use crate::convert::{self, Loaded};
use crate::cost::{Cost, Model};
use crate::egraph::EGraph;
use crate::extract::extract;
use crate::hoist::{self, Split};
use crate::merge;
use crate::outline;
use crate::report::{BodyReport, PhaseReport, Report};
use crate::rules::Phase;
use crate::saturate::{rules_of, saturate};
use girih_base::{Diag, Loc, Result};
use girih_graph::ops::{Call, Callee, Cond, Loop, LoopKind};
use girih_graph::{Graph, NodeId, Op, ParamKind};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// Composites whose bodies are left as they are: targets know them by name.
pub const KNOWN: &[&str] = &["attention", "rms_norm", "layer_norm", "rope", "rope_interleaved", "swiglu", "softmax"];

/// Whether a callee is a composite that targets may know by name.
pub fn is_composite(name: &str) -> bool {
    KNOWN.contains(&name) || name.starts_with("dequant.")
}

/// Rewrites a graph into an equal one that costs less on `budget.device`, within `budget`.
///
/// Parameters and outputs keep their order, types and kinds. Each distinct body is optimised once and shared bodies
/// stay shared. Hitting a limit is reported, never an error. The result may compute values from weights alone (joined
/// weight matrices), always in the top graph: [`crate::split_weights`] splits them off, to be run once at load time.
pub fn optimize(graph: &Graph, budget: &Budget) -> Result<(Graph, Report)> {
    let start = Instant::now();
    let mut module = Module::new(budget);
    let out = if budget.enabled {
        let outlined = outline::outline(graph)?;
        module.body(&outlined, &[])?.0
    } else {
        graph.clone()
    };
    module.count_calls();
    module.report.elapsed = start.elapsed();
    Ok((out, module.report))
}

struct Module<'a> {
    budget: &'a Budget,
    report: Report,
    /// Bodies called by each reported body, by index into the report, once per call.
    sites: Vec<Vec<usize>>,
    /// Optimised callees and bodies by address; the originals are kept alive so that no address is reused.
    callees: HashMap<usize, Optimised>,
    bodies: HashMap<usize, (Arc<Graph>, Arc<Graph>, usize)>,
    costs: HashMap<usize, Cost>,
}

struct Optimised {
    _old: Arc<Callee>,
    new: Arc<Callee>,
    /// How to make the new body's arguments, when it takes prepared weights.
    split: Option<Arc<Split>>,
    /// Index into the report.
    report: usize,
}

/// For each callee's address, which arguments are weights in every call.
type Given = HashMap<usize, Vec<bool>>;

/// Which arguments of each callee depend on weights only, in all calls of one graph. A call from elsewhere that gives
/// something else stays right: what the body has prepared is then computed at that call.
fn weight_arguments(graph: &Graph) -> Given {
    let weight = hoist::weight_only(graph);
    let mut given = Given::new();
    for id in graph.ids() {
        let Op::Call(c) = graph.op(id) else { continue };
        let args = graph.operands(id);
        let all = given.entry(Arc::as_ptr(&c.callee) as usize).or_insert_with(|| vec![true; args.len()]);
        all.iter_mut().zip(&args).for_each(|(all, arg)| *all &= weight[arg.0 as usize]);
    }
    given
}

/// The arguments of a split body: those it kept, and the weights prepared by `load`, written at the call.
fn prepare(out: &mut Graph, split: &Split, args: &[NodeId], loc: &Loc) -> Result<SmallVec<[NodeId; 4]>> {
    let pick = |at: &[usize]| at.iter().filter_map(|i| args.get(*i).copied()).collect::<SmallVec<[NodeId; 4]>>();
    let mut new = pick(&split.run_params);
    new.extend(out.inline(&split.load, &pick(&split.load_params), loc)?);
    Ok(new)
}

impl<'a> Module<'a> {
    fn new(budget: &'a Budget) -> Module<'a> {
        Module {
            budget,
            report: Report::default(),
            sites: Vec::new(),
            callees: HashMap::new(),
            bodies: HashMap::new(),
            costs: HashMap::new(),
        }
    }

    /// Optimises what a graph calls, then the graph; gives its index in the report.
    fn body(&mut self, graph: &Graph, weights: &[bool]) -> Result<(Graph, usize)> {
        let mut sites = Vec::new();
        let graph = self.with_optimised_callees(graph, weights, &mut sites)?;
        let (out, mut report) = optimise_body(&graph, self.budget, &self.costs)?;
        report.name = graph.name.clone();
        self.report.bodies.push(report);
        self.sites.push(sites);
        Ok((out, self.report.bodies.len() - 1))
    }

    fn with_optimised_callees(&mut self, graph: &Graph, weights: &[bool], sites: &mut Vec<usize>) -> Result<Graph> {
        let live = graph.live();
        let given = weight_arguments(graph);
        let mut out = Graph::new(graph.name.clone());
        let mut map: Vec<Option<NodeId>> = vec![None; graph.len()];
        for param in graph.params() {
            let node = graph.node(*param);
            if let Op::Param(p) = &node.op {
                // A body's parameter that every call gives a weight is one.
                let weight = p.kind == ParamKind::Input && weights.get(p.index) == Some(&true);
                let kind = if weight { ParamKind::Weight } else { p.kind };
                let name = node.name.as_deref().unwrap_or("");
                map[param.0 as usize] = Some(out.param(name, node.ty.clone(), kind, node.loc.clone()));
            }
        }
        for id in graph.ids().filter(|id| live[id.0 as usize]) {
            if map[id.0 as usize].is_some() {
                continue;
            }
            let node = graph.node(id);
            let mut kids: SmallVec<[NodeId; 4]> = graph.operands(id).iter().filter_map(|o| map[o.0 as usize]).collect();
            let op = match &node.op {
                Op::Call(c) if !is_composite(&c.callee.name) => {
                    let (callee, split) = self.callee(&c.callee, &given, sites)?;
                    if let Some(split) = split {
                        kids = prepare(&mut out, &split, &kids, &node.loc)?;
                    }
                    Call { callee }.into()
                }
                op => self.optimised_op(op, sites)?,
            };
            let new = out.add(op, &kids, node.loc.clone())?;
            if let Some(name) = &node.name {
                out.set_name(new, name);
            }
            map[id.0 as usize] = Some(new);
        }
        out.set_outputs(graph.outputs().iter().filter_map(|o| map[o.0 as usize]).collect());
        Ok(out)
    }

    fn optimised_op(&mut self, op: &Op, sites: &mut Vec<usize>) -> Result<Op> {
        Ok(match op {
            Op::Loop(l) => {
                let kind = match &l.kind {
                    LoopKind::For(n) => LoopKind::For(n.clone()),
                    LoopKind::While(cond) => LoopKind::While(self.shared(cond, sites)?),
                };
                Loop { kind, body: self.shared(&l.body, sites)?, carried: l.carried }.into()
            }
            Op::Cond(c) => {
                let branches = c.branches.iter().map(|b| self.shared(b, sites)).collect::<Result<_>>()?;
                Cond { branches }.into()
            }
            other => other.clone(),
        })
    }

    fn callee(
        &mut self,
        callee: &Arc<Callee>,
        given: &Given,
        sites: &mut Vec<usize>,
    ) -> Result<(Arc<Callee>, Option<Arc<Split>>)> {
        let key = Arc::as_ptr(callee) as usize;
        if let Some(known) = self.callees.get(&key) {
            sites.push(known.report);
            return Ok((known.new.clone(), known.split.clone()));
        }
        let (mut body, report) = self.body(&callee.body, given.get(&key).map_or(&[], Vec::as_slice))?;
        let split = hoist::split_weights(&body)?.map(Arc::new);
        if let Some(split) = &split {
            body = split.run.clone();
        }
        let new = Arc::new(Callee { name: callee.name.clone(), attrs: callee.attrs.clone(), body });
        self.costs.insert(Arc::as_ptr(&new) as usize, (self.report.bodies[report].cost_after * 1e12) as Cost);
        let known = Optimised { _old: callee.clone(), new: new.clone(), split: split.clone(), report };
        self.callees.insert(key, known);
        sites.push(report);
        Ok((new, split))
    }

    fn shared(&mut self, body: &Arc<Graph>, sites: &mut Vec<usize>) -> Result<Arc<Graph>> {
        let key = Arc::as_ptr(body) as usize;
        if let Some((_, done, at)) = self.bodies.get(&key) {
            sites.push(*at);
            return Ok(done.clone());
        }
        let (new, at) = self.body(body, &[])?;
        let done = Arc::new(new);
        self.bodies.insert(key, (body.clone(), done.clone(), at));
        sites.push(at);
        Ok(done)
    }

    /// Calls of each body from the whole program; callers come after their callees.
    fn count_calls(&mut self) {
        let count = self.sites.len();
        let mut calls = vec![0usize; count];
        if let Some(top) = calls.last_mut() {
            *top = 1;
        }
        for caller in (0..count).rev() {
            for callee in &self.sites[caller] {
                calls[*callee] += calls[caller];
            }
        }
        for (body, calls) in self.report.bodies.iter_mut().zip(calls) {
            body.calls = calls;
        }
    }
}

fn optimise_body(graph: &Graph, budget: &Budget, costs: &HashMap<usize, Cost>) -> Result<(Graph, BodyReport)> {
    let model = Model { device: budget.device, bodies: costs };
    let canonical = canon::canonical(graph)?;
    let Loaded { mut eg, outputs } = convert::load(&canonical);
    let before = extract(&eg, &model, &outputs).total(&eg, &outputs);
    let mut phases = Vec::new();
    let simplify = rules_of(Phase::Simplify, budget);
    phases.push(saturate(&mut eg, &simplify, "simplify", budget));
    let mut algebra = simplify.clone();
    algebra.extend(rules_of(Phase::Algebra, budget));
    phases.push(saturate(&mut eg, &algebra, "algebra", budget));
    // Composites in two rounds: attention is made of a softmax that the first round names.
    let composites = Budget { iterations: 2, ..budget.clone() };
    let mut phase = saturate(&mut eg, &rules_of(Phase::Composite, budget), "composites", &composites);
    phase.limits.retain(|l| *l != crate::report::Limit::Iterations);
    phases.push(phase);
    let (out, origins, after) = read_back(&eg, &model, &outputs, &canonical)?;
    let (out, origins, merged) = if budget.classes.exact && budget.join_weights {
        merge::merge(&out, &budget.device, origins)?
    } else {
        (out, origins, 0)
    };
    if merged > 0 {
        phases.push(PhaseReport {
            name: "merge",
            iterations: 1,
            firings: vec![(merge::RULE, merged)],
            ..Default::default()
        });
    }
    check_interface(graph, &out)?;
    let nodes = |g: &Graph| g.live().iter().filter(|l| **l).count();
    let report = BodyReport {
        nodes_before: nodes(graph),
        nodes_after: nodes(&out),
        cost_before: before as f64 / 1e12,
        cost_after: after as f64 / 1e12,
        phases,
        composites: composites_of(&out),
        origins,
        ..BodyReport::default()
    };
    Ok((out, report))
}

type ReadBack = (Graph, Vec<crate::report::Origin>, Cost);

fn read_back(eg: &EGraph, model: &Model, outputs: &[egg::Id], like: &Graph) -> Result<ReadBack> {
    let choice = extract(eg, model, outputs);
    let (out, origins) = convert::unload(eg, outputs, &|id| choice.node(eg, id), like)?;
    Ok((out, origins, choice.total(eg, outputs)))
}

fn composites_of(graph: &Graph) -> Vec<(Arc<str>, usize)> {
    let mut count: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    let live = graph.live();
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        if let Op::Call(c) = graph.op(id)
            && is_composite(&c.callee.name)
        {
            *count.entry(c.callee.name.clone()).or_default() += 1;
        }
    }
    count.into_iter().collect()
}

/// The result must take and give what the original did.
fn check_interface(old: &Graph, new: &Graph) -> Result<()> {
    let tys = |g: &Graph, ids: &[NodeId]| ids.iter().map(|i| g.ty(*i).clone()).collect::<Vec<_>>();
    if tys(old, old.outputs()) == tys(new, new.outputs()) && tys(old, old.params()) == tys(new, new.params()) {
        return Ok(());
    }
    Err(Diag::error("R002", format!("optimising `{}` changed its parameters or results", old.name))
        .help("this is a defect of a rule; turn the optimiser off and report it"))
}
