//! Sizes and constants of a model, read from metadata and checked against each other.

use crate::file::Gguf;
use crate::meta::Value;
use crate::model::Options;
use girih_base::{Diag, Result};

/// Sizes and constants that every architecture has.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `general.architecture`.
    pub architecture: String,
    /// Layers that are built.
    pub layers: usize,
    /// Features of a token between layers.
    pub width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Features of a head.
    pub head_dim: usize,
    /// Features inside the feed-forward part.
    pub feed_forward: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens the model was trained to see at once.
    pub trained_context: usize,
    /// Tokens the KV cache holds.
    pub capacity: usize,
    /// Added under the root of RMS norms.
    pub eps: f64,
    /// Features of a head that are rotated, an even number.
    pub rope_dims: usize,
    /// Base of the rotation frequencies.
    pub rope_base: f64,
    /// Positions are divided by this.
    pub rope_factor: f64,
}

/// No real size comes near; products of three stay far inside i64.
const MAX_SIZE: u64 = 1 << 20;

/// Keys that change what a layer computes and that no architecture here knows; with any value but zero they are refused.
const UNKNOWN_MEANING: [&str; 7] = [
    "expert_count",
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "logit_scale",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "attention.scale",
];

impl Config {
    /// Reads the metadata of an architecture whose keys start with `name`.
    pub(crate) fn read(file: &Gguf, name: &str, options: &Options) -> Result<Config> {
        let meta = file.meta();
        let key = |suffix: &str| format!("{name}.{suffix}");
        let size_or = |suffix: &str, default: Option<usize>| -> Result<usize> {
            let value = match default {
                None => meta.uint(&key(suffix))?,
                Some(d) => meta.uint_opt(&key(suffix))?.unwrap_or(d as u64),
            };
            check_size(&key(suffix), value)
        };
        for suffix in UNKNOWN_MEANING {
            let value = meta.get(&key(suffix));
            if !matches!(value, None | Some(Value::Unsigned(0)) | Some(Value::Signed(0)))
                && value != Some(&Value::Float(0.0))
            {
                return Err(Diag::error("M011", format!("this model sets `{}`, which is not supported", key(suffix)))
                    .help("ignoring it would give wrong results; use another model"));
            }
        }
        let (width, heads) = (size_or("embedding_length", None)?, size_or("attention.head_count", None)?);
        let kv_heads = size_or("attention.head_count_kv", Some(heads))?;
        let head_dim = size_or("attention.key_length", Some((width / heads).max(1)))?;
        let value_dim = size_or("attention.value_length", Some(head_dim))?;
        let trained_context = size_or("context_length", None)?;
        let all_layers = size_or("block_count", None)?;
        let rope_dims = size_or("rope.dimension_count", Some(head_dim))?;
        let embedding = file.tensor("token_embd.weight").and_then(|t| t.shape.first().copied());
        let vocabulary = embedding.ok_or_else(|| super::build::no_tensor("token_embd.weight"))?;
        let config = Config {
            architecture: name.into(),
            layers: options.layers.unwrap_or(all_layers).min(all_layers),
            width,
            heads,
            kv_heads,
            head_dim,
            feed_forward: size_or("feed_forward_length", None)?,
            vocabulary: check_size("the vocabulary", vocabulary as u64)?,
            trained_context,
            capacity: capacity(options.context, trained_context)?,
            eps: meta.float(&key("attention.layer_norm_rms_epsilon"))?,
            rope_dims,
            rope_base: meta.float_opt(&key("rope.freq_base"))?.unwrap_or(10000.0),
            rope_factor: rope_factor(file, name)?,
        };
        let consistent = heads % kv_heads == 0 && value_dim == head_dim && rope_dims % 2 == 0 && rope_dims <= head_dim;
        if !consistent {
            return Err(Diag::error("M011", "the head sizes of this model do not fit together")
                .note(format!("{heads} query heads, {kv_heads} key/value heads, keys of {head_dim}, values of {value_dim}, {rope_dims} rotated"))
                .help("the file is damaged, or the model needs features that are not supported"));
        }
        if !(config.eps >= 0.0 && config.eps < 1.0 && config.rope_base > 0.0 && config.rope_base.is_finite()) {
            return Err(Diag::error("M011", "the norm epsilon or rotation base of this model is out of range")
                .note(format!("epsilon {}, base {}", config.eps, config.rope_base))
                .help("the file is damaged; download it again"));
        }
        Ok(config)
    }

    /// Query heads that share a key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

fn check_size(what: &str, value: u64) -> Result<usize> {
    if (1..=MAX_SIZE).contains(&value) {
        return Ok(value as usize);
    }
    Err(Diag::error("M011", format!("`{what}` is {value}, outside 1..={MAX_SIZE}"))
        .help("the file is damaged; download it again"))
}

fn capacity(wanted: Option<usize>, trained: usize) -> Result<usize> {
    match wanted {
        None => Ok(trained),
        Some(n) if (1..=trained).contains(&n) => Ok(n),
        Some(n) => Err(Diag::error("M015", format!("a context of {n} tokens was asked for, the model has {trained}"))
            .help(format!("give a context between 1 and {trained}"))),
    }
}

/// Linear position scaling; other kinds are refused by name.
fn rope_factor(file: &Gguf, name: &str) -> Result<f64> {
    let meta = file.meta();
    let key = format!("{name}.rope.scaling.type");
    let factor = match meta.str_opt(&key)? {
        None | Some("none") => meta.float_opt(&format!("{name}.rope.scale_linear"))?.unwrap_or(1.0),
        Some("linear") => meta.float(&format!("{name}.rope.scaling.factor"))?,
        Some(other) => {
            return Err(Diag::error("M011", format!("`{key}` is `{other}`, which is not supported"))
                .help("`none` and `linear` are; use another model"));
        }
    };
    if factor.is_finite() && factor > 0.0 {
        return Ok(factor);
    }
    Err(Diag::error("M011", format!("the rotation scaling factor is {factor}"))
        .help("the file is damaged; download it again"))
}
