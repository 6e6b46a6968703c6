//! What decoder-only transformers have around their layers: embedding, caches, the last norm and the output.

use super::build::{Build, Built, LayerTensors, Weight, norm};
use crate::model::Logits;
use girih_base::Result;
use girih_graph::NodeId;

/// The parameters of a decoder; declaring them is the first thing to do with a [`Build`].
pub(super) struct Decoder {
    pub tokens: NodeId,
    pub embedding: Weight,
    pub layers: Vec<LayerParams>,
    output_norm: Weight,
    head: Weight,
}

/// The parameters of one layer: weights by their name inside the layer, and its two caches.
pub(super) struct LayerParams {
    pub weights: Vec<(&'static str, Weight)>,
    pub caches: [NodeId; 2],
}

impl Decoder {
    /// Declares the parameters; `tensors` are those of each layer.
    pub fn open(b: &mut Build<'_>, tensors: &LayerTensors) -> Result<Decoder> {
        let c = b.config;
        let tokens = b.tokens();
        let embedding = b.weight("token_embd.weight", &[c.vocabulary, c.width])?;
        let weights = (0..c.layers).map(|i| b.layer_weights(i, tensors)).collect::<Result<Vec<_>>>()?;
        let output_norm = b.weight("output_norm.weight", &[c.width])?;
        // Small models use the embedding for the output as well.
        let head = match b.file.tensor("output.weight") {
            Some(_) => b.weight("output.weight", &[c.vocabulary, c.width])?,
            None => embedding,
        };
        let with_caches = |(i, weights)| LayerParams { weights, caches: b.caches(i) };
        let layers = weights.into_iter().enumerate().map(with_caches).collect();
        Ok(Decoder { tokens, embedding, layers, output_norm, head })
    }

    /// Declares the outputs of the features `x` [seq, width] after the last layer, and of the new caches.
    pub fn close(&self, mut b: Build<'_>, x: NodeId, caches: Vec<[NodeId; 2]>, logits: Logits) -> Result<Built> {
        let x = b.wanted_rows(x, logits)?;
        let eps = b.config.eps;
        let x = norm(&mut b.g, x, self.output_norm, eps)?;
        b.finish(x, self.head, caches)
    }
}
