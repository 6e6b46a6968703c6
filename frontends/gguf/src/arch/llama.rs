//! Llama and its kin (Llama 1 to 3, Mistral 7B, SmolLM, TinyLlama): RMS norm before each part, rotary positions over
//! neighbouring features, grouped-query attention, SwiGLU.

use super::build::{Build, Built, LayerTensors};
use super::config::Config;
use super::decoder::Decoder;
use super::layer::Layer;
use super::rope::{self, Pairs};
use crate::file::Gguf;
use crate::model::Options;
use girih_base::{Diag, Result, ScalarOp};
use girih_graph::NodeId;

/// Builds the graph of one step.
pub(super) fn build(file: &Gguf, options: &Options) -> Result<(Built, Config)> {
    let config = Config::read(file, "llama", options)?;
    if file.meta().uint_opt("llama.attention.sliding_window")?.unwrap_or(0) != 0 {
        return Err(Diag::error("M011", "this model sets `llama.attention.sliding_window`, which is not supported")
            .help("ignoring it would give wrong results beyond the window; use another model"));
    }
    let c = &config;
    let mut b = Build::new(file, c, options);
    let decoder = Decoder::open(&mut b, &tensors(c))?;
    let divisors = b.rope_divisors()?;
    let frequencies = rope::frequencies(c, c.rope_base, c.rope_factor, divisors.as_deref())?;

    let (seq, pos) = (b.seq(), b.pos());
    let tables = rope::tables(&mut b.g, &seq, &pos, &frequencies)?;
    let mut x = b.embed(decoder.embedding, decoder.tokens)?;
    let mut caches = Vec::new();
    for params in &decoder.layers {
        let (y, new) = b.layer("layer", x, tables, params, layer)?;
        caches.push(new);
        x = y;
    }
    let built = decoder.close(b, x, caches, options.logits)?;
    Ok((built, config))
}

fn tensors(c: &Config) -> LayerTensors {
    let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
    vec![
        ("attn_norm", vec![c.width]),
        ("attn_q", vec![q, c.width]),
        ("attn_k", vec![kv, c.width]),
        ("attn_v", vec![kv, c.width]),
        ("attn_output", vec![c.width, q]),
        ("ffn_norm", vec![c.width]),
        ("ffn_gate", vec![c.feed_forward, c.width]),
        ("ffn_up", vec![c.feed_forward, c.width]),
        ("ffn_down", vec![c.width, c.feed_forward]),
    ]
}

fn layer(l: &mut Layer<'_>, x: NodeId) -> Result<NodeId> {
    let c = l.config;
    let h = l.norm(x, "attn_norm")?;
    let (q, k, v) = (l.linear(h, "attn_q")?, l.linear(h, "attn_k")?, l.linear(h, "attn_v")?);
    let (q, k, v) = (l.heads(q, Some(c.group()))?, l.heads(k, None)?, l.heads(v, None)?);
    let (cos, sin) = (l.cos, l.sin);
    let q = rope::rotate(l.g, q, cos, sin, c.rope_dims, Pairs::Neighbours)?;
    let k = rope::rotate(l.g, k, cos, sin, c.rope_dims, Pairs::Neighbours)?;
    let y = l.attend(q, k, v, 1.0 / (c.head_dim as f64).sqrt(), None)?;
    let y = l.linear(y, "attn_output")?;
    let x = l.g.map(ScalarOp::Add, &[x, y])?;

    let h = l.norm(x, "ffn_norm")?;
    let (gate, up) = (l.linear(h, "ffn_gate")?, l.linear(h, "ffn_up")?);
    let y = swiglu(l, gate, up)?;
    let y = l.linear(y, "ffn_down")?;
    l.g.map(ScalarOp::Add, &[x, y])
}

/// `gate / (1 + e^-gate) * up`.
fn swiglu(l: &mut Layer<'_>, gate: NodeId, up: NodeId) -> Result<NodeId> {
    let ty = l.g.tensor(gate)?.clone();
    let one = l.g.splat(1.0, ty)?;
    let negative = l.g.map(ScalarOp::Neg, &[gate])?;
    let e = l.g.map(ScalarOp::Exp, &[negative])?;
    let below = l.g.map(ScalarOp::Add, &[one, e])?;
    let silu = l.g.map(ScalarOp::Div, &[gate, below])?;
    l.g.map(ScalarOp::Mul, &[silu, up])
}
