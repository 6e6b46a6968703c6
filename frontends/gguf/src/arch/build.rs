//! What architectures share: parameters, embedding, one layer as a shared call, caches, output.

use super::config::Config;
use super::decoder::LayerParams;
use super::layer::Layer;
use crate::file::Gguf;
use crate::model::{self, Logits, Options, StateSpec, WeightRef};
use crate::tensor::Storage;
use girih_base::{DType, Diag, Dim, Loc, Result, ScalarOp};
use girih_graph::ops::{Attr, Gather};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, nn};
use std::collections::BTreeSet;

/// A finished graph with what its parameters are.
pub(crate) struct Built {
    pub graph: Graph,
    pub weights: Vec<WeightRef>,
    pub states: Vec<StateSpec>,
}

/// A weight parameter and how its elements are stored.
#[derive(Clone, Copy)]
pub(super) struct Weight {
    pub node: NodeId,
    pub storage: Storage,
}

/// The graph of one step under construction. Weights must all be made before the first state.
pub(super) struct Build<'a> {
    pub g: Graph,
    pub file: &'a Gguf,
    pub config: &'a Config,
    cache: DType,
    weights: Vec<WeightRef>,
    states: Vec<(NodeId, StateSpec)>,
    known: BTreeSet<String>,
    /// Whether later layers were left out on purpose.
    truncated: bool,
}

/// One layer's tensors: the name inside the layer, and the shape, slowest axis first.
pub(super) type LayerTensors = Vec<(&'static str, Vec<usize>)>;

impl<'a> Build<'a> {
    pub fn new(file: &'a Gguf, config: &'a Config, options: &Options) -> Build<'a> {
        let g = Graph::new(format!("{}_step", config.architecture));
        let (weights, states, known) = (Vec::new(), Vec::new(), BTreeSet::new());
        let truncated = options.layers.is_some();
        Build { g, file, config, cache: options.cache, weights, states, known, truncated }
    }

    pub fn seq(&self) -> Dim {
        model::seq(self.config.capacity)
    }

    pub fn pos(&self) -> Dim {
        model::pos(self.config.capacity)
    }

    /// The input: `tokens` u32 [seq].
    pub fn tokens(&mut self) -> NodeId {
        let ty = TensorTy::new(DType::U32, [self.seq()]);
        self.g.param("tokens", ty, ParamKind::Input, Loc::unknown())
    }

    /// A weight parameter for the tensor of that name, which must have that shape.
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Result<Weight> {
        let tensor = self.file.tensor(name).ok_or_else(|| no_tensor(name))?;
        if tensor.shape != shape {
            return Err(Diag::error("M012", format!("tensor `{name}` has shape {:?}", tensor.shape))
                .note(format!("the metadata of this model says {shape:?} (slowest axis first)"))
                .help("the file is damaged, or of a variant that is not supported"));
        }
        let weight = WeightRef::new(tensor);
        let ty = TensorTy::new(weight.dtype, weight.shape.iter().copied());
        let node = self.g.param(name, ty, ParamKind::Weight, Loc::unknown());
        self.known.insert(name.into());
        self.weights.push(weight);
        Ok(Weight { node, storage: tensor.storage })
    }

    /// The weights of layer `index`.
    pub fn layer_weights(&mut self, index: usize, tensors: &LayerTensors) -> Result<Vec<(&'static str, Weight)>> {
        let weight = |(name, shape): &(&'static str, Vec<usize>)| {
            Ok((*name, self.weight(&format!("blk.{index}.{name}.weight"), shape)?))
        };
        tensors.iter().map(weight).collect()
    }

    /// The divisors of rotation frequencies, if the file has them; they become constants.
    pub fn rope_divisors(&mut self) -> Result<Option<Vec<f32>>> {
        let Some(tensor) = self.file.tensor("rope_freqs.weight") else { return Ok(None) };
        if tensor.storage != Storage::Plain(DType::F32) {
            return Err(Diag::error("M012", format!("`rope_freqs.weight` is {}, not f32", tensor.storage.name()))
                .help("convert the model again"));
        }
        self.known.insert(tensor.name.clone());
        let values = self.file.bytes(tensor).chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok(Some(values.collect()))
    }

    /// The rows of the embedding for the tokens: f32 [seq, width]. Quantised rows are gathered, then decoded.
    pub fn embed(&mut self, table: Weight, tokens: NodeId) -> Result<NodeId> {
        let index = self.g.reshape(tokens, vec![self.seq(), Dim::ONE])?;
        let row = self.g.tensor(table.node)?.shape.get(1).cloned().unwrap_or(Dim::ONE);
        let gather = Gather {
            sizes: vec![Dim::ONE, row],
            offset_axes: vec![1],
            collapsed: vec![0],
            start_map: vec![0],
            operand_batch: Vec::new(),
            index_batch: Vec::new(),
        };
        let rows = self.g.push(gather, &[table.node, index])?;
        decode(&mut self.g, Weight { node: rows, storage: table.storage })
    }

    /// Makes the two caches of layer `index`: [kv_heads, capacity, head_dim].
    pub fn caches(&mut self, index: usize) -> [NodeId; 2] {
        let c = self.config;
        ["k", "v"].map(|which| {
            let ty = TensorTy::new(self.cache, [c.kv_heads, c.capacity, c.head_dim]);
            let name = format!("blk.{index}.cache_{which}");
            let node = self.g.param(&name, ty.clone(), ParamKind::State, Loc::unknown());
            self.states.push((node, StateSpec { name, ty }));
            node
        })
    }

    /// Calls a layer's body, which is built once for all layers with the same name, formats and argument types. `body` takes the
    /// features f32 [seq, width] and gives them back. Gives the features and the new caches.
    pub fn layer(
        &mut self,
        name: &str,
        x: NodeId,
        (cos, sin): (NodeId, NodeId),
        LayerParams { weights, caches }: &LayerParams,
        body: impl FnOnce(&mut Layer<'_>, NodeId) -> Result<NodeId>,
    ) -> Result<(NodeId, [NodeId; 2])> {
        let mut args = vec![("x", x), ("cos", cos), ("sin", sin)];
        args.extend(weights.iter().map(|(name, w)| (*name, w.node)));
        args.extend([("cache_k", caches[0]), ("cache_v", caches[1])]);
        let config = self.config;
        // Rows of different formats can have the same number of bytes, so that types alone do not tell layers apart.
        let formats: Vec<&str> = weights.iter().map(|(_, w)| w.storage.name()).collect();
        let attrs = vec![("weights", Attr::Str(formats.join(" ").into()))];
        let out = self.g.composite_many(name, attrs, &args, |g, p| {
            let inner = weights.iter().zip(&p[3..]).map(|((n, w), node)| (*n, Weight { node: *node, ..*w })).collect();
            let caches = [p[p.len() - 2], p[p.len() - 1]];
            let mut layer = Layer { g, config, cos: p[1], sin: p[2], caches, tensors: inner };
            let x = body(&mut layer, p[0])?;
            Ok(vec![x, layer.caches[0], layer.caches[1]])
        })?;
        Ok((out[0], [out[1], out[2]]))
    }

    /// Declares the outputs: logits [1 or seq, vocabulary] from the normed features, then the new caches.
    pub fn finish(mut self, x: NodeId, head: Weight, caches: Vec<[NodeId; 2]>) -> Result<Built> {
        let w = decode(&mut self.g, head)?;
        let logits = self.g.dot(x, w, &[], &[(1, 1)])?;
        self.g.set_name(logits, "logits");
        let outputs = std::iter::once(logits).chain(caches.into_iter().flatten()).collect();
        self.g.set_outputs(outputs);
        self.no_unknown_tensors()?;
        let states = self.states.into_iter().map(|(_, s)| s).collect();
        Ok(Built { graph: self.g, weights: self.weights, states })
    }

    /// The features whose logits are wanted: all of [seq, width], or the last row.
    pub fn wanted_rows(&mut self, x: NodeId, logits: Logits) -> Result<NodeId> {
        match logits {
            Logits::All => Ok(x),
            Logits::Last => {
                let seq = self.seq();
                self.g.slice_axis(x, 0, &seq - 1, seq.clone())
            }
        }
    }

    /// A tensor that was not used is a part of the model that was not understood.
    fn no_unknown_tensors(&self) -> Result<()> {
        let built = |name: &str| -> bool {
            let index = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            !self.truncated || index.is_none_or(|i| i < self.config.layers)
        };
        match self.file.tensors().iter().find(|t| built(&t.name) && !self.known.contains(&t.name)) {
            None => Ok(()),
            Some(t) => Err(Diag::error(
                "M012",
                format!("tensor `{}` has no place in architecture `{}`", t.name, self.config.architecture),
            )
            .note("leaving a tensor out would give wrong results")
            .help("this variant of the architecture is not supported; use another model")),
        }
    }
}

/// `x / sqrt(mean(x^2) + eps) * w` over the last axis.
pub(super) fn norm(g: &mut Graph, x: NodeId, weight: Weight, eps: f64) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    let axis = ty.rank().saturating_sub(1);
    let square = g.map(ScalarOp::Mul, &[x, x])?;
    let sum = g.reduce(Monoid::Sum, square, &[axis])?;
    let short = g.tensor(sum)?.clone();
    let count = ty.shape.last().and_then(Dim::as_const).unwrap_or(1);
    let count = g.splat(count as f64, short.clone())?;
    let mean = g.map(ScalarOp::Div, &[sum, count])?;
    let eps = g.splat(eps, short)?;
    let safe = g.map(ScalarOp::Add, &[mean, eps])?;
    let scale = g.map(ScalarOp::Rsqrt, &[safe])?;
    let scale = g.broadcast(scale, ty.shape.clone(), (0..axis).collect())?;
    let y = g.map(ScalarOp::Mul, &[x, scale])?;
    let w = decode(g, weight)?;
    g.map_broadcast(ScalarOp::Mul, &[y, w])
}

/// The elements of a weight as f32.
pub(super) fn decode(g: &mut Graph, weight: Weight) -> Result<NodeId> {
    match weight.storage {
        Storage::Plain(_) => g.cast(weight.node, DType::F32),
        Storage::Quant(format) => nn::dequant(g, weight.node, format),
    }
}

pub(super) fn no_tensor(name: &str) -> Box<Diag> {
    Diag::error("M012", format!("the file has no tensor `{name}`"))
        .help("the file is incomplete, or of a variant that is not supported")
}
