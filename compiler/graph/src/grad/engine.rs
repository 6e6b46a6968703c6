//! The backward walk.

use super::{SavedLoop, Vjp, looping, zeros};
use crate::graph::{Graph, NodeId};
use crate::ops::{Callee, Op, Rule};
use crate::ty::TensorTy;
use girih_base::{Diag, Result, ScalarOp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A graph being extended backwards.
pub struct Backward {
    /// The graph: a copy of the original, then what rules append.
    pub g: Graph,
    /// What the forward pass of each differentiated loop kept.
    pub(crate) loops: BTreeMap<NodeId, SavedLoop>,
    /// Bodies differentiated so far.
    pub(crate) cache: Cache,
}

/// The node a rule is asked about.
pub struct Site {
    /// The node; rules may use its value.
    pub node: NodeId,
    /// Its operands.
    pub operands: Vec<NodeId>,
    /// Which tensors of the operands (tuples flattened) need a cotangent.
    pub needs: Vec<bool>,
}

/// Bodies of calls already differentiated.
#[derive(Default)]
pub(crate) struct Cache(pub Vec<KnownCall>);

/// The derivative of a callee by some of its parameters. The original is kept so that its address stays its own.
pub(crate) struct KnownCall {
    pub original: Arc<Callee>,
    pub wrt: Vec<usize>,
    /// Which outputs have a cotangent.
    pub mask: Vec<bool>,
    pub made: Arc<Callee>,
}

/// A copied graph with its backward part.
pub(crate) struct Pullback {
    pub g: Graph,
    /// The original's outputs in the copy.
    pub outputs: Vec<NodeId>,
    /// One gradient per `wrt`, zeros where there is none.
    pub grads: Vec<NodeId>,
}

/// Copies `f`, seeds its outputs with cotangents (which `seeds` may add as parameters), and walks back to `wrt`.
pub(crate) fn pullback(
    f: &Graph,
    wrt: &[usize],
    cache: &mut Cache,
    seeds: impl FnOnce(&mut Graph, &[NodeId]) -> Result<Vec<Option<NodeId>>>,
) -> Result<Pullback> {
    let mut wanted = Vec::new();
    for w in wrt {
        let param = f.params().get(*w).filter(|p| super::is_float(f, **p));
        wanted.push(*param.ok_or_else(|| {
            let got = f.params().get(*w).map_or("does not exist".to_string(), |p| format!("is {}", f.ty(*p)));
            Diag::error("G020", format!("`{}` cannot be differentiated by parameter {w}, which {got}", f.name))
                .help("gradients exist for float tensors")
        })?);
    }
    let active = active(f, &wanted);
    let mut b = Backward { g: Graph::new(f.name.clone()), loops: BTreeMap::new(), cache: std::mem::take(cache) };
    let map = b.copy(f, &active)?;
    let find = |id: &NodeId| map[id.0 as usize].ok_or_else(|| Diag::error("G021", "an output was not copied"));
    let outputs: Vec<NodeId> = f.outputs().iter().map(find).collect::<Result<_>>()?;
    let params: Vec<NodeId> = wanted.iter().map(find).collect::<Result<_>>()?;
    let end = b.g.len();
    let seeds = seeds(&mut b.g, &outputs)?;
    let found = b.walk(end, &outputs, &seeds, &params)?;
    let mut grads = Vec::new();
    for (param, found) in params.iter().zip(found) {
        grads.push(match found {
            Some(ct) => ct,
            None => {
                let ty = b.g.tensor(*param)?.clone();
                zeros(&mut b.g, &ty)?
            }
        });
    }
    *cache = b.cache;
    Ok(Pullback { g: b.g, outputs, grads })
}

/// The nodes whose value depends on `wanted` through floats.
pub(crate) fn active(g: &Graph, wanted: &[NodeId]) -> Vec<bool> {
    let mut active = vec![false; g.len()];
    for id in g.ids() {
        active[id.0 as usize] = wanted.contains(&id)
            || (g.ty(id).leaves().iter().any(|t| t.dtype.is_float())
                && g.operands(id).iter().any(|o| active[o.0 as usize]));
    }
    active
}

impl Backward {
    /// Appends the live nodes of `f`. Active loops are rewritten so that they keep what their derivative reads.
    fn copy(&mut self, f: &Graph, active: &[bool]) -> Result<Vec<Option<NodeId>>> {
        let live = f.live();
        let mut map: Vec<Option<NodeId>> = vec![None; f.len()];
        for p in f.params() {
            let node = f.node(*p);
            let Op::Param(param) = &node.op else { continue };
            let name = node.name.as_deref().unwrap_or_default();
            map[p.0 as usize] = Some(self.g.param(name, node.ty.clone(), param.kind, node.loc.clone()));
        }
        for id in f.ids() {
            let at = id.0 as usize;
            if map[at].is_some() || !live[at] {
                continue;
            }
            let node = f.node(id);
            self.g.set_loc(node.loc.clone());
            let operands: Vec<NodeId> = f.operands(id).iter().filter_map(|o| map[o.0 as usize]).collect();
            let new = match &node.op {
                Op::Loop(l) if active[at] => {
                    let needs =
                        self.needs(&operands, &f.operands(id).iter().map(|o| active[o.0 as usize]).collect::<Vec<_>>());
                    looping::keep(self, l, &operands, &needs)?
                }
                op => self.g.push(op.clone(), &operands)?,
            };
            if let Some(name) = &node.name {
                self.g.set_name(new, name);
            }
            map[at] = Some(new);
        }
        Ok(map)
    }

    /// One flag per tensor of the operands: it is a float and its node is active.
    fn needs(&self, operands: &[NodeId], active: &[bool]) -> Vec<bool> {
        let mut needs = Vec::new();
        for (o, a) in operands.iter().zip(active) {
            needs.extend(self.g.ty(*o).leaves().iter().map(|t| *a && t.dtype.is_float()));
        }
        needs
    }

    /// Walks the first `end` nodes backwards; gives the cotangents that reach `params`.
    fn walk(
        &mut self,
        end: usize,
        outputs: &[NodeId],
        seeds: &[Option<NodeId>],
        params: &[NodeId],
    ) -> Result<Vec<Option<NodeId>>> {
        let active = active(&self.g, params);
        let mut arrived: Vec<Vec<Vec<NodeId>>> = Vec::with_capacity(end);
        for id in self.g.ids().take(end) {
            arrived.push(vec![Vec::new(); self.g.ty(id).leaves().len()]);
        }
        for (out, seed) in outputs.iter().zip(seeds) {
            if let (Some(seed), true) = (seed, active[out.0 as usize]) {
                arrived[out.0 as usize][0].push(*seed);
            }
        }
        let mut result = vec![None; params.len()];
        for index in (0..end).rev() {
            let node = NodeId(index as u32);
            let mut cts = Vec::new();
            for parts in std::mem::take(&mut arrived[index]) {
                cts.push(self.sum(&parts)?);
            }
            if !active[index] || cts.iter().all(Option::is_none) {
                continue;
            }
            for (p, r) in params.iter().zip(&mut result) {
                if *p == node {
                    *r = cts[0];
                }
            }
            let operands: Vec<NodeId> = self.g.operands(node).to_vec();
            if operands.is_empty() {
                continue;
            }
            let flags: Vec<bool> = operands.iter().map(|o| active[o.0 as usize]).collect();
            let needs = self.needs(&operands, &flags);
            let (op, loc) = (self.g.op(node).clone(), self.g.node(node).loc.clone());
            self.g.set_loc(loc);
            let site = Site { node, operands, needs };
            let grads = op.vjp(self, &site, &cts)?;
            self.check(&op, &site, &grads)?;
            let mut grads = grads.into_iter().zip(&site.needs);
            for o in &site.operands {
                for list in &mut arrived[o.0 as usize] {
                    if let Some((Some(ct), true)) = grads.next() {
                        list.push(ct);
                    }
                }
            }
        }
        Ok(result)
    }

    fn sum(&mut self, parts: &[NodeId]) -> Result<Option<NodeId>> {
        let Some((first, rest)) = parts.split_first() else { return Ok(None) };
        let mut sum = *first;
        for p in rest {
            sum = self.g.map(ScalarOp::Add, &[sum, *p])?;
        }
        Ok(Some(sum))
    }

    /// A rule must answer with the operands' own types.
    fn check(&self, op: &Op, site: &Site, grads: &[Option<NodeId>]) -> Result<()> {
        let want: Vec<TensorTy> =
            site.operands.iter().flat_map(|o| self.g.ty(*o).leaves().into_iter().cloned()).collect();
        let fits = want.len() == grads.len()
            && grads.iter().zip(&want).zip(&site.needs).all(|((ct, ty), needed)| match ct {
                Some(ct) if *needed => {
                    let got = self.g.ty(*ct).tensor();
                    got.is_some_and(|got| {
                        got.dtype == ty.dtype
                            && got.rank() == ty.rank()
                            && got.shape.iter().zip(&ty.shape).all(|(a, b)| a.known_eq(b) != girih_base::Known::No)
                    })
                }
                _ => true,
            });
        if fits {
            return Ok(());
        }
        let got: Vec<_> = grads.iter().map(|ct| ct.map(|c| self.g.ty(c).clone())).collect();
        Err(Diag::error("G021", format!("the derivative of {} does not fit its operands", op.name()))
            .at(&self.g.node(site.node).loc, "this operation")
            .note(format!("operands {want:?}, cotangents {got:?}")))
    }
}
