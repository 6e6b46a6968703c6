//! What the layers of architectures share, inside a layer's body: products with weights, heads, cached attention.

use super::build::{Weight, decode, no_tensor, norm};
use super::config::Config;
use crate::model;
use girih_base::{DType, Dim, Result, ScalarOp};
use girih_graph::ops::DynUpdate;
use girih_graph::{Graph, NodeId, TensorTy, nn};

/// The parameters of a layer's body, in plain operations of `g`.
pub(super) struct Layer<'a> {
    pub g: &'a mut Graph,
    pub config: &'a Config,
    /// Rotation tables f32 [seq, n/2].
    pub cos: NodeId,
    pub sin: NodeId,
    /// The key and the value cache, replaced by their new values as the layer is built.
    pub caches: [NodeId; 2],
    /// The layer's weights by name.
    pub tensors: Vec<(&'static str, Weight)>,
}

impl Layer<'_> {
    fn tensor(&self, name: &str) -> Result<Weight> {
        let found = self.tensors.iter().find(|(n, _)| *n == name);
        found.map(|(_, w)| *w).ok_or_else(|| no_tensor(name))
    }

    /// `x` [.., in] times a weight [out, in], transposed: [.., out].
    pub fn linear(&mut self, x: NodeId, name: &str) -> Result<NodeId> {
        let weight = self.tensor(name)?;
        let w = decode(self.g, weight)?;
        let axis = self.g.tensor(x)?.rank().saturating_sub(1);
        let y = self.g.dot(x, w, &[], &[(axis, 1)])?;
        self.g.set_name(y, &format!("{name}.out"));
        Ok(y)
    }

    /// RMS norm of `x` over its last axis by the weight of that name.
    pub fn norm(&mut self, x: NodeId, name: &str) -> Result<NodeId> {
        let weight = self.tensor(name)?;
        let y = norm(self.g, x, weight, self.config.eps)?;
        self.g.set_name(y, &format!("{name}.out"));
        Ok(y)
    }

    /// Heads brought out: [seq, heads * head_dim] -> [kv_heads, .., seq, head_dim], with an axis of `group` query heads
    /// when it is given.
    pub fn heads(&mut self, x: NodeId, group: Option<usize>) -> Result<NodeId> {
        let c = self.config;
        let seq = model::seq(c.capacity);
        let (kv, d) = (Dim::from(c.kv_heads), Dim::from(c.head_dim));
        match group {
            Some(n) => {
                let x = self.g.reshape(x, vec![seq, kv, Dim::from(n), d])?;
                self.g.permute(x, &[1, 2, 0, 3])
            }
            None => {
                let x = self.g.reshape(x, vec![seq, kv, d])?;
                self.g.permute(x, &[1, 0, 2])
            }
        }
    }

    /// Writes keys and values [kv_heads, seq, head_dim] into the caches, attends with `q` [kv_heads, group, seq,
    /// head_dim] to all that is cached, and gives [seq, heads * head_dim]. A query sees keys at its own position and
    /// before; with a `window`, only that many.
    pub fn attend(&mut self, q: NodeId, k: NodeId, v: NodeId, scale: f64, window: Option<usize>) -> Result<NodeId> {
        let c = self.config;
        let (seq, pos) = (model::seq(c.capacity), model::pos(c.capacity));
        let all = &seq + &pos;
        let at = self.g.size(pos.clone(), DType::I32)?;
        let zero = self.g.scalar(0i64, DType::I32)?;
        let mut seen = [k, v];
        for (cache, new) in self.caches.iter_mut().zip(&mut seen) {
            let stored = self.g.tensor(*cache)?.dtype;
            let part = self.g.cast(*new, stored)?;
            *cache = self.g.push(DynUpdate { donate: true }, &[*cache, part, zero, at, zero])?;
            let cached = self.g.slice_axis(*cache, 1, Dim::ZERO, all.clone())?;
            *new = self.g.cast(cached, DType::F32)?;
        }
        let mask = match window {
            None => None,
            Some(n) => Some(window_mask(self.g, &seq, &all, &pos, n)?),
        };
        let y = nn::attention_plain(self.g, q, seen[0], seen[1], mask, scale, Some(pos))?;
        self.g.set_name(y, "attention.out");
        let y = self.g.permute(y, &[2, 0, 1, 3])?;
        self.g.reshape(y, vec![seq, Dim::from(c.heads * c.head_dim)])
    }
}

/// bool [queries, keys]: whether key `t` is among the last `n` up to the query at `i + offset`.
fn window_mask(g: &mut Graph, queries: &Dim, keys: &Dim, offset: &Dim, n: usize) -> Result<NodeId> {
    let ty = TensorTy::new(DType::I32, [queries.clone(), keys.clone()]);
    let (i, t) = (g.iota(ty.clone(), 0)?, g.iota(ty, 1)?);
    let before = g.size(offset - n as i64, DType::I32)?;
    let hidden = g.map_broadcast(ScalarOp::Add, &[i, before])?;
    g.map(ScalarOp::Lt, &[hidden, t])
}
