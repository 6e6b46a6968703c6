//! Derivatives of bodies: what `Call`, `Cond` and `Loop` run backwards.

use super::engine::{Cache, KnownCall, Pullback, pullback};
use super::{Backward, is_float};
use crate::graph::{Graph, NodeId, ParamKind};
use crate::ops::Callee;
use girih_base::{Diag, Loc, Result};
use std::sync::Arc;

/// Parameters of `f`, then one cotangent per output flagged in `mask` -> the gradients of `wrt`.
pub(crate) fn vjp_graph(f: &Graph, wrt: &[usize], mask: &[bool], cache: &mut Cache) -> Result<Graph> {
    let Pullback { mut g, grads, .. } = pullback(f, wrt, cache, |g, outputs| {
        let mut seeds = Vec::new();
        for (i, out) in outputs.iter().enumerate() {
            seeds.push(match mask.get(i) {
                Some(true) if is_float(g, *out) => {
                    let ty = g.ty(*out).clone();
                    Some(g.param(&format!("ct{i}"), ty, ParamKind::Input, Loc::unknown()))
                }
                Some(true) => {
                    return Err(Diag::error("G021", format!("output {i} of `{}` has no cotangent", g.name))
                        .note(format!("it is {}", g.ty(*out))));
                }
                _ => None,
            });
        }
        Ok(seeds)
    })?;
    g.set_outputs(grads);
    g.name = format!("{}.vjp", f.name);
    g.compact()
}

impl Backward {
    /// [`vjp_graph`] of a body, sharing this walk's cache.
    pub(crate) fn body(&mut self, f: &Graph, wrt: &[usize], mask: &[bool]) -> Result<Graph> {
        vjp_graph(f, wrt, mask, &mut self.cache)
    }

    /// The derivative of a callee, made once.
    pub(crate) fn callee(&mut self, callee: &Arc<Callee>, wrt: &[usize], mask: &[bool]) -> Result<Arc<Callee>> {
        let known = |c: &&KnownCall| Arc::ptr_eq(&c.original, callee) && c.wrt == wrt && c.mask == mask;
        if let Some(found) = self.cache.0.iter().find(known) {
            return Ok(found.made.clone());
        }
        let body = self.body(&callee.body, wrt, mask)?;
        let name = format!("{}.vjp", callee.name).into();
        let made = Arc::new(Callee { name, attrs: Vec::new(), body });
        self.cache.0.push(KnownCall {
            original: callee.clone(),
            wrt: wrt.to_vec(),
            mask: mask.to_vec(),
            made: made.clone(),
        });
        Ok(made)
    }

    /// The cotangents that are there, and a flag per output.
    pub(crate) fn present(cts: &[Option<NodeId>]) -> (Vec<bool>, Vec<NodeId>) {
        (cts.iter().map(Option::is_some).collect(), cts.iter().flatten().copied().collect())
    }
}
