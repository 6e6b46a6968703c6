//! Repeated parts of a flat graph become calls of one body, so that thirty layers are optimised and compiled once.
//!
//! Importers write layers one after the other, so a repeated layer is a period in the order of nodes: node `i` and node
//! `i + P` have the same operation, types and relation to their neighbours. The longest such run is cut where the
//! fewest values cross, every copy is checked node by node against the first, and each becomes a call whose
//! arguments are the values it takes from elsewhere (weights, caches, the layer's input).

use girih_base::Result;
use girih_graph::ops::{Call, Callee, Proj};
use girih_graph::{Graph, NodeId, Op, ParamKind, Ty};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// Fewer nodes than this are not worth a call.
const SHORTEST: usize = 16;
/// Copies that make a repetition.
const COPIES: usize = 3;
/// Different repetitions looked for in one graph (an encoder's, a decoder's).
const PASSES: usize = 4;

/// The graph with repeated segments as shared callees.
pub fn outline(graph: &Graph) -> Result<Graph> {
    let mut out = graph.clone();
    for _ in 0..PASSES {
        let flat = Flat::new(&out);
        let Some(plan) = flat.plan() else { break };
        out = flat.write(&plan)?;
    }
    Ok(out)
}

/// The live nodes that are not parameters, in order, and where each stands.
struct Flat<'g> {
    graph: &'g Graph,
    nodes: Vec<NodeId>,
    place: Vec<Option<usize>>,
    /// Nodes with equal operation and types have equal numbers.
    kind: Vec<u32>,
    operands: Vec<SmallVec<[NodeId; 4]>>,
}

/// A run of `copies` segments of `period` nodes from place `start`.
#[derive(Clone, Copy)]
struct Run {
    start: usize,
    period: usize,
    copies: usize,
}

/// A checked run.
struct Plan {
    run: Run,
    /// For each copy, the value of each external operand of the body, by slot.
    arguments: Vec<Vec<NodeId>>,
    /// Kind of each slot's parameter.
    kinds: Vec<ParamKind>,
    /// Offsets in the segment whose values are used outside, in the order of the body's outputs.
    results: Vec<usize>,
}

impl<'g> Flat<'g> {
    fn new(graph: &'g Graph) -> Flat<'g> {
        let live = graph.live();
        let inner = |id: &NodeId| live[id.0 as usize] && !matches!(graph.op(*id), Op::Param(_));
        let nodes: Vec<NodeId> = graph.ids().filter(inner).collect();
        let mut place = vec![None; graph.len()];
        let mut numbers: HashMap<(&Op, &Ty), u32> = HashMap::new();
        let mut kind = Vec::with_capacity(nodes.len());
        for (i, id) in nodes.iter().enumerate() {
            place[id.0 as usize] = Some(i);
            let next = numbers.len() as u32;
            kind.push(*numbers.entry((graph.op(*id), graph.ty(*id))).or_insert(next));
        }
        let operands = nodes.iter().map(|id| graph.operands(*id).into_iter().collect()).collect();
        Flat { graph, nodes, place, kind, operands }
    }

    /// The best run that holds up to the check.
    fn plan(&self) -> Option<Plan> {
        let mut runs: Vec<Run> = Vec::new();
        for period in SHORTEST..=self.nodes.len() / COPIES {
            self.runs_of(period, &mut runs);
        }
        // Most nodes covered first, then the shortest period: not two layers as one.
        runs.sort_by_key(|r| (std::cmp::Reverse(r.copies * r.period / 8), r.period, r.start));
        runs.iter().take(8).find_map(|run| self.cut(*run))
    }

    fn runs_of(&self, period: usize, runs: &mut Vec<Run>) {
        let mut length = 0;
        for i in 0..=self.nodes.len() - period {
            if i + period < self.nodes.len() && self.alike(i, i + period) {
                length += 1;
                continue;
            }
            let copies = length / period + 1;
            if copies >= COPIES {
                runs.push(Run { start: i - length, period, copies });
            }
            length = 0;
        }
    }

    /// Whether two nodes may be the same place of two copies; decided for good by [`Flat::check`].
    fn alike(&self, i: usize, j: usize) -> bool {
        self.kind[i] == self.kind[j]
            && self.operands[i].len() == self.operands[j].len()
            && self.operands[i].iter().zip(&self.operands[j]).all(|(a, b)| self.graph.ty(*a) == self.graph.ty(*b))
    }

    /// Shifts a run to the place where the fewest values cross from copy to copy, and checks it.
    fn cut(&self, run: Run) -> Option<Plan> {
        let end = run.start + self.run_length(run);
        let mut shifts: Vec<(usize, usize)> = Vec::new();
        for shift in 0..run.period {
            let start = run.start + shift;
            let copies = (end - start) / run.period;
            if copies < COPIES {
                break;
            }
            // Losing a copy costs as much as a crossing value.
            let crossing = self.crossing(start + run.period);
            shifts.push((crossing + (run.copies - copies.min(run.copies)), shift));
        }
        shifts.sort();
        shifts.into_iter().take(16).find_map(|(_, shift)| {
            let start = run.start + shift;
            self.check(Run { start, copies: (end - start) / run.period, ..run })
        })
    }

    /// Nodes covered by the run, the incomplete last copy included.
    fn run_length(&self, run: Run) -> usize {
        let mut end = run.start + run.period;
        while end < self.nodes.len() && self.alike(end - run.period, end) {
            end += 1;
        }
        end - run.start
    }

    /// Values made before place `at` (parameters and constants aside) and used at or after it.
    fn crossing(&self, at: usize) -> usize {
        let mut seen: Vec<usize> = self.operands[at..]
            .iter()
            .flatten()
            .filter_map(|o| self.place[o.0 as usize].filter(|p| *p < at && !self.operands[*p].is_empty()))
            .collect();
        seen.sort();
        seen.dedup();
        seen.len()
    }

    /// The arguments and results of every copy, if all copies are the same function.
    fn check(&self, run: Run) -> Option<Plan> {
        let mut slots: HashMap<NodeId, usize> = HashMap::new();
        let mut arguments: Vec<Vec<NodeId>> = vec![Vec::new(); run.copies];
        // The second copy is the model: the first may take its input from anywhere.
        let inside = |copy: usize, o: NodeId| {
            let start = run.start + copy * run.period;
            self.place[o.0 as usize].filter(|p| (start..start + run.period).contains(p)).map(|p| p - start)
        };
        for offset in 0..run.period {
            let model = run.start + run.period + offset;
            for (k, operand) in self.operands[model].iter().enumerate() {
                let within = inside(1, *operand);
                let new = slots.len();
                let slot = if within.is_none() { Some(*slots.entry(*operand).or_insert(new)) } else { None };
                for (copy, values) in arguments.iter_mut().enumerate() {
                    let at = run.start + copy * run.period + offset;
                    let theirs = *self.operands[at].get(k)?;
                    if self.kind[at] != self.kind[model] || inside(copy, theirs) != within {
                        return None;
                    }
                    match slot {
                        Some(s) if s == values.len() => values.push(theirs),
                        Some(s) if values[s] != theirs => return None,
                        _ => {}
                    }
                }
            }
        }
        // Short or elementwise repetitions (rounds of a random generator) are better fused than called.
        let product = |at: usize| matches!(self.graph.op(self.nodes[at]), Op::Dot(_));
        if !(run.start..run.start + run.period).any(product) {
            return None;
        }
        let results = self.results(run);
        let (kinds, results) = self.kinds(run, &arguments, results);
        // A repetition that hands on everything it computes is no layer.
        (!results.is_empty() && results.len() <= 8).then_some(Plan { run, arguments, kinds, results })
    }

    /// Offsets whose value some copy hands to the outside.
    fn results(&self, run: Run) -> Vec<usize> {
        let region = run.start..run.start + run.copies * run.period;
        let mut used = vec![false; run.period];
        let mut outside = |user: Option<usize>, value: NodeId| {
            if let Some(p) = self.place[value.0 as usize].filter(|p| region.contains(p)) {
                let copy = (p - run.start) / run.period;
                let same = user.is_some_and(|u| region.contains(&u) && (u - run.start) / run.period == copy);
                used[(p - run.start) % run.period] |= !same;
            }
        };
        for (user, operands) in self.operands.iter().enumerate() {
            operands.iter().for_each(|o| outside(Some(user), *o));
        }
        self.graph.outputs().iter().for_each(|o| outside(None, *o));
        (0..run.period).filter(|o| used[*o]).collect()
    }

    /// What each slot's parameter is: a weight or a state if it is one in every copy. New values of states become the
    /// last results, as the convention for graphs wants it; states without one are plain inputs.
    fn kinds(&self, run: Run, arguments: &[Vec<NodeId>], results: Vec<usize>) -> (Vec<ParamKind>, Vec<usize>) {
        let kind_of = |id: NodeId| match self.graph.op(id) {
            Op::Param(p) => p.kind,
            _ => ParamKind::Input,
        };
        let count = arguments.first().map_or(0, Vec::len);
        let common = |s: usize| {
            let first = kind_of(arguments[0][s]);
            if arguments.iter().all(|a| kind_of(a[s]) == first) { first } else { ParamKind::Input }
        };
        let mut kinds: Vec<ParamKind> = (0..count).map(common).collect();
        let states: Vec<NodeId> =
            self.graph.params().iter().copied().filter(|p| kind_of(*p) == ParamKind::State).collect();
        let first_state = self.graph.outputs().len().checked_sub(states.len());
        // The offset in the copy of a state's new value.
        let renewed = |copy: usize, state: NodeId| -> Option<usize> {
            let at = states.iter().position(|s| *s == state)?;
            let new = *self.graph.outputs().get(first_state? + at)?;
            let start = run.start + copy * run.period;
            self.place[new.0 as usize].and_then(|p| p.checked_sub(start)).filter(|o| *o < run.period)
        };
        let mut last: Vec<usize> = Vec::new();
        for s in (0..count).filter(|s| kinds[*s] == ParamKind::State).collect::<Vec<_>>() {
            let offset = renewed(0, arguments[0][s]);
            let agreed = offset.is_some() && (0..run.copies).all(|c| renewed(c, arguments[c][s]) == offset);
            match offset.filter(|o| agreed && !last.contains(o)) {
                Some(o) => last.push(o),
                None => kinds[s] = ParamKind::Input,
            }
        }
        let mut ordered: Vec<usize> = results.into_iter().filter(|o| !last.contains(o)).collect();
        ordered.extend(last);
        (kinds, ordered)
    }

    /// The body, from the second copy.
    fn body(&self, plan: &Plan) -> Result<Graph> {
        let mut body = Graph::new(format!("{}.block", self.graph.name));
        let mut map: HashMap<NodeId, NodeId> = HashMap::new();
        for (argument, kind) in plan.arguments[1].iter().zip(&plan.kinds) {
            let node = self.graph.node(*argument);
            let name = node.name.as_deref().unwrap_or("");
            map.insert(*argument, body.param(name, node.ty.clone(), *kind, node.loc.clone()));
        }
        let start = plan.run.start + plan.run.period;
        for at in start..start + plan.run.period {
            self.copy(at, &mut body, &mut map)?;
        }
        let outputs = plan.results.iter().filter_map(|o| map.get(&self.nodes[start + o]).copied()).collect();
        body.set_outputs(outputs);
        Ok(body)
    }

    fn copy(&self, at: usize, into: &mut Graph, map: &mut HashMap<NodeId, NodeId>) -> Result<()> {
        let id = self.nodes[at];
        let node = self.graph.node(id);
        let kids: SmallVec<[NodeId; 4]> = self.operands[at].iter().filter_map(|o| map.get(o).copied()).collect();
        let new = into.add(node.op.clone(), &kids, node.loc.clone())?;
        if let Some(name) = &node.name {
            into.set_name(new, name);
        }
        map.insert(id, new);
        Ok(())
    }

    fn write(&self, plan: &Plan) -> Result<Graph> {
        let Run { start, period, copies } = plan.run;
        let callee = Arc::new(Callee { name: "block".into(), attrs: Vec::new(), body: self.body(plan)? });
        let mut out = Graph::new(self.graph.name.clone());
        let mut map: HashMap<NodeId, NodeId> = HashMap::new();
        for param in self.graph.params() {
            let node = self.graph.node(*param);
            if let Op::Param(p) = &node.op {
                let name = node.name.as_deref().unwrap_or("");
                map.insert(*param, out.param(name, node.ty.clone(), p.kind, node.loc.clone()));
            }
        }
        (0..start).try_for_each(|at| self.copy(at, &mut out, &mut map))?;
        for copy in 0..copies {
            let first = start + copy * period;
            let args: Vec<NodeId> = plan.arguments[copy].iter().filter_map(|a| map.get(a).copied()).collect();
            let loc = self.graph.node(self.nodes[first]).loc.clone();
            let call = out.add(Call { callee: callee.clone() }.into(), &args, loc.clone())?;
            for (index, offset) in plan.results.iter().enumerate() {
                let value = match plan.results.len() {
                    1 => call,
                    _ => out.add(Proj { index }.into(), &[call], loc.clone())?,
                };
                map.insert(self.nodes[first + offset], value);
            }
        }
        (start + copies * period..self.nodes.len()).try_for_each(|at| self.copy(at, &mut out, &mut map))?;
        out.set_outputs(self.graph.outputs().iter().filter_map(|o| map.get(o).copied()).collect());
        Ok(out)
    }
}
