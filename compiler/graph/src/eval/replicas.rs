//! The meaning of a program of several replicas: all of them step by step together.

use super::{Cx, Value, all_arrays, take};
use crate::graph::{Graph, NodeId};
use crate::ops::{Collective, Loop, LoopKind, Op};
use crate::text::attrs::Item;
use girih_base::{Bindings, Diag, Result};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Graph {
    /// Evaluates the program on every replica of a mesh, exactly as [`Graph::eval`] does on one. `mesh` are the named axes and
    /// their sizes; `inputs` has one list of values per replica, in row-major order of the axes; so has the result.
    ///
    /// Loops and branches that exchange values inside must take the same way on all replicas.
    ///
    /// # Errors
    /// Those of [`Graph::eval`]; `G202` for a mesh that does not fit the inputs; `G208` for an exchange over an axis that
    /// the mesh does not have in this size; `G209` for replicas that part ways before an exchange.
    pub fn eval_replicas(
        &self,
        mesh: &[(&str, usize)],
        inputs: &[Vec<Value>],
        bindings: &Bindings,
    ) -> Result<Vec<Vec<Value>>> {
        let cx = Cx::new(bindings);
        let count = mesh.iter().try_fold(1usize, |n, (_, size)| n.checked_mul(*size));
        let names: BTreeSet<&str> = mesh.iter().map(|(name, _)| *name).collect();
        if count != Some(inputs.len()) || inputs.is_empty() || names.len() != mesh.len() {
            let message = format!("inputs for {} replicas do not fit the mesh {mesh:?}", inputs.len());
            return Err(Diag::error("G202", message).note("one list of inputs per replica, axes with different names"));
        }
        let inputs = inputs.iter().map(|i| self.check_inputs(i, &cx)).collect::<Result<Vec<_>>>()?;
        Mesh { axes: mesh, cx }.run(self, inputs)
    }
}

struct Mesh<'a> {
    axes: &'a [(&'a str, usize)],
    cx: Cx<'a>,
}

/// One list of values per replica.
type All = Vec<Vec<Value>>;

impl Mesh<'_> {
    fn run(&self, graph: &Graph, inputs: All) -> Result<All> {
        let live = graph.live();
        let mut uses = vec![0usize; graph.len()];
        for id in graph.ids().filter(|id| live[id.0 as usize]) {
            graph.operands(id).iter().for_each(|o| uses[o.0 as usize] += 1);
        }
        graph.outputs().iter().for_each(|o| uses[o.0 as usize] += 1);
        let replicas = inputs.len();
        // Per node, one value per replica.
        let mut values: Vec<Option<Vec<Value>>> = vec![None; graph.len()];
        for (i, param) in graph.params().iter().enumerate() {
            let missing = || Diag::error("G202", format!("`{}` has too few inputs", graph.name));
            let each = inputs.iter().map(|r| r.get(i).cloned().ok_or_else(missing));
            values[param.0 as usize] = Some(each.collect::<Result<_>>()?);
        }
        for id in graph.ids().filter(|id| live[id.0 as usize]) {
            let node = graph.node(id);
            if matches!(node.op, Op::Param(_)) {
                continue;
            }
            let mut args: All = vec![Vec::new(); replicas];
            for operand in graph.operands(id) {
                let each = take(&mut values, &mut uses, operand)?;
                args.iter_mut().zip(each).for_each(|(args, v)| args.push(v));
            }
            let each = self.node(graph, id, &args).map_err(|e| e.at(&node.loc, "in this operation"))?;
            values[id.0 as usize] = Some(each);
        }
        let mut out: All = vec![Vec::new(); replicas];
        for o in graph.outputs() {
            let each = take(&mut values, &mut uses, *o)?;
            out.iter_mut().zip(each).for_each(|(out, v)| out.push(v));
        }
        Ok(out)
    }

    fn node(&self, graph: &Graph, id: NodeId, args: &All) -> Result<Vec<Value>> {
        let node = graph.node(id);
        let together = exchanges(&node.op, None);
        let packed = |results: All| -> Vec<Value> { results.into_iter().map(Value::Tuple).collect() };
        match &node.op {
            Op::Collective(c) => self.exchange(c, args),
            Op::Call(c) if together => {
                let results = self.run(&c.callee.body, args.clone())?;
                Ok(results.into_iter().map(one_or_tuple).collect())
            }
            Op::Cond(c) if together => {
                let last = c.branches.len() as i128 - 1;
                let choices: Vec<i128> =
                    args.iter().map(|a| Ok(a[0].array()?.int(0).clamp(0, last))).collect::<Result<_>>()?;
                let branch = agreed(&choices)? as usize;
                Ok(packed(self.run(&c.branches[branch], args.iter().map(|a| a[1..].to_vec()).collect())?))
            }
            Op::Loop(l) if together => Ok(packed(self.repeat(l, args)?)),
            op => args.iter().map(|a| op.meaning().eval(a, &node.ty, &self.cx)).collect(),
        }
    }

    fn repeat(&self, l: &Loop, args: &All) -> Result<All> {
        let mut carried: All = args.iter().map(|a| a[..l.carried].to_vec()).collect();
        let inputs = |carried: &All, round: Option<i64>| -> All {
            let all = carried.iter().zip(args).map(|(c, a)| {
                let first = round.map(|r| super::Array::from_ints(girih_base::DType::I32, &[], [r as i128]).into());
                first.into_iter().chain(c.iter().chain(&a[l.carried..]).cloned()).collect()
            });
            all.collect()
        };
        match &l.kind {
            LoopKind::For(rounds) => {
                for round in 0..self.cx.dim(rounds)? {
                    carried = self.run(&l.body, inputs(&carried, Some(round)))?;
                }
            }
            LoopKind::While(condition) => {
                for round in 0.. {
                    let go = self.run(condition, inputs(&carried, None))?;
                    let go: Vec<i128> = go.iter().map(|r| Ok(r[0].array()?.int(0))).collect::<Result<_>>()?;
                    if agreed(&go)? == 0 {
                        break;
                    }
                    if round == self.cx.max_rounds {
                        return Err(Diag::error("G207", format!("a loop did not end within {round} rounds")));
                    }
                    carried = self.run(&l.body, inputs(&carried, None))?;
                }
            }
        }
        Ok(carried)
    }

    /// The exchange among the replicas that differ in the position along one axis only.
    fn exchange(&self, c: &Collective, args: &All) -> Result<Vec<Value>> {
        let Some(axis) = self.axes.iter().position(|(name, size)| **name == *c.over && *size == c.size) else {
            let message = format!("the mesh {:?} has no axis `{}` of {}", self.axes, c.over, c.size);
            return Err(Diag::error("G208", message).help("name the axis and its size as the exchange does"));
        };
        let step: usize = self.axes[axis + 1..].iter().map(|(_, size)| size).product();
        let mut out: Vec<Option<Value>> = vec![None; args.len()];
        for first in (0..args.len()).filter(|r| (r / step).is_multiple_of(c.size)) {
            let line: Vec<usize> = (0..c.size).map(|p| first + p * step).collect();
            let mut given = Vec::new();
            for r in &line {
                given.extend(all_arrays(&args[*r])?);
            }
            for (r, y) in line.iter().zip(c.exchange(&given, &self.cx)?) {
                out[*r] = Some(y.into());
            }
        }
        let missing = || Diag::error("G209", "a replica took no part in an exchange");
        out.into_iter().map(|v| v.ok_or_else(missing)).collect()
    }
}

fn one_or_tuple(mut results: Vec<Value>) -> Value {
    if results.len() == 1 { results.remove(0) } else { Value::Tuple(results) }
}

/// The one choice of all replicas.
fn agreed(choices: &[i128]) -> Result<i128> {
    match choices.split_first() {
        Some((first, rest)) if rest.iter().all(|c| c == first) => Ok(*first),
        _ => Err(Diag::error("G209", "replicas part ways where they exchange values")
            .note(format!("they choose {choices:?}"))
            .help("make the condition equal on all replicas, for example by an `all_reduce`")),
    }
}

/// Whether an operation, or a body inside it, exchanges values (over the axis `over`, if one is given).
pub(crate) fn exchanges(op: &Op, over: Option<&str>) -> bool {
    fn inside(op: &Op, over: Option<&str>, seen: &mut BTreeSet<usize>) -> bool {
        match op {
            Op::Collective(c) => over.is_none_or(|o| *c.over == *o),
            op => op.attrs().iter().any(|(_, item)| in_item(item, over, seen)),
        }
    }
    fn in_item(item: &Item, over: Option<&str>, seen: &mut BTreeSet<usize>) -> bool {
        let in_body = |body: &Graph, seen: &mut BTreeSet<usize>| body.ids().any(|id| inside(body.op(id), over, seen));
        match item {
            Item::Body(body) => seen.insert(Arc::as_ptr(body) as usize) && in_body(body, seen),
            Item::Callee(callee) => seen.insert(Arc::as_ptr(callee) as usize) && in_body(&callee.body, seen),
            Item::List(items) | Item::Call(_, items) => items.iter().any(|i| in_item(i, over, seen)),
            _ => false,
        }
    }
    matches!(op, Op::Collective(_) | Op::Call(_) | Op::Loop(_) | Op::Cond(_)) && inside(op, over, &mut BTreeSet::new())
}
