//! A model: the graph of one step, and where its weights lie in the file.

use crate::arch::{self, Config};
use crate::file::Gguf;
use crate::tensor::TensorInfo;
use girih_base::{DType, Diag, Dim, Result};
use girih_graph::{Graph, TensorTy};
use std::ops::Range;

/// How to build the graph of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Tokens that the KV cache holds; the model's own context length when not given.
    pub context: Option<usize>,
    /// Element type of the KV cache: `F32` or `F16`.
    pub cache: DType,
    /// Which logits to compute.
    pub logits: Logits,
    /// Only the first layers, for tests.
    pub layers: Option<usize>,
}

/// Positions that logits are computed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// The last token of the step: f32 [1, vocabulary].
    Last,
    /// Every token of the step: f32 [seq, vocabulary].
    All,
}

impl Default for Options {
    fn default() -> Options {
        Options { context: None, cache: DType::F32, logits: Logits::Last, layers: None }
    }
}

/// One weight of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightRef {
    /// Name in the file.
    pub name: String,
    /// Element type of the parameter; `U8` for quantised weights.
    pub dtype: DType,
    /// Shape of the parameter; `[rows, bytes of a row]` for quantised weights.
    pub shape: Vec<usize>,
    /// Where its bytes lie in the file.
    pub range: Range<usize>,
}

/// One piece of state that lives from step to step, zero at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSpec {
    /// Name of the parameter.
    pub name: String,
    /// Type of the parameter; no symbols in it.
    pub ty: TensorTy,
}

/// A language model read from a file.
///
/// The graph computes one step: `tokens` u32 `[seq]` at positions `pos..pos + seq` of the text. Its parameters are the
/// tokens (an input), the [`weights`](Model::weights), then the [`states`](Model::states); its outputs are the logits,
/// then the new states in the same order. `seq` and `pos` are symbols.
#[derive(Clone, Debug)]
pub struct Model {
    /// The graph of one step.
    pub graph: Graph,
    /// The weights, in parameter order.
    pub weights: Vec<WeightRef>,
    /// The states, in parameter order: for each layer the key cache, then the value cache.
    pub states: Vec<StateSpec>,
    /// Sizes and constants of the model.
    pub config: Config,
    file: Gguf,
}

impl Model {
    /// Builds the graph of the model in `file`.
    ///
    /// # Errors
    /// `M010` for missing metadata, `M011` for an unknown architecture, `M012` for tensors that do not fit it.
    pub fn new(file: &Gguf, options: &Options) -> Result<Model> {
        let (built, config) = arch::build(file, options)?;
        Ok(Model { graph: built.graph, weights: built.weights, states: built.states, config, file: file.clone() })
    }

    /// The bytes of a weight, straight from the map; nothing when there is no such weight.
    pub fn weight_bytes(&self, index: usize) -> &[u8] {
        let weight = self.weights.get(index).and_then(|w| self.file.tensor(&w.name));
        weight.map_or(&[], |t| self.file.bytes(t))
    }

    /// The file the model came from.
    pub fn file(&self) -> &Gguf {
        &self.file
    }

    /// Tokens that fit into the KV cache.
    pub fn context(&self) -> usize {
        self.config.capacity
    }

    /// Bytes that the KV cache takes; proportional to [`Options::context`].
    pub fn state_bytes(&self) -> u64 {
        let bytes = |s: &StateSpec| {
            let elements = s.ty.const_shape().map_or(0, |shape| shape.iter().map(|d| *d as u64).product());
            s.ty.dtype.bytes_for(elements)
        };
        self.states.iter().map(bytes).sum()
    }

    /// The symbol for the number of tokens in a step.
    pub fn seq(&self) -> Dim {
        seq(self.config.capacity)
    }

    /// The symbol for the number of tokens before the step.
    pub fn pos(&self) -> Dim {
        pos(self.config.capacity)
    }
}

pub(crate) fn seq(capacity: usize) -> Dim {
    Dim::symbol("seq", 1, capacity as i64)
}

pub(crate) fn pos(capacity: usize) -> Dim {
    Dim::symbol("pos", 0, capacity as i64 - 1)
}

impl WeightRef {
    /// The parameter for a tensor: quantised weights are rows of bytes.
    pub(crate) fn new(tensor: &TensorInfo) -> WeightRef {
        use crate::tensor::Storage;
        let mut shape = tensor.shape.clone();
        let dtype = match tensor.storage {
            Storage::Plain(dtype) => dtype,
            Storage::Quant(format) => {
                if let Some(columns) = shape.last_mut() {
                    *columns = *columns / format.block_elements() * format.block_bytes();
                }
                DType::U8
            }
        };
        WeightRef { name: tensor.name.clone(), dtype, shape, range: tensor.range.clone() }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<()> {
        if matches!(self.cache, DType::F32 | DType::F16) {
            return Ok(());
        }
        Err(Diag::error("M012", format!("a KV cache of {} is not supported", self.cache)).help("use f32 or f16"))
    }
}
