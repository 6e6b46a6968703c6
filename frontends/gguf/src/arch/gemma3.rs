//! Gemma 3 (text): norms before and after each part, norms of queries and keys, five layers that see a window for each
//! that sees everything, GELU-gated feed-forward, scaled embeddings.

use super::build::{Build, Built, LayerTensors};
use super::config::Config;
use super::decoder::Decoder;
use super::layer::Layer;
use super::rope::{self, Pairs};
use crate::file::Gguf;
use crate::model::Options;
use girih_base::{Diag, Result, ScalarOp};
use girih_graph::NodeId;

/// Which of the two kinds of layer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Sees a window of this many tokens.
    Local(usize),
    /// Sees everything.
    Global,
}

/// Builds the graph of one step.
pub(super) fn build(file: &Gguf, options: &Options) -> Result<(Built, Config)> {
    let config = Config::read(file, "gemma3", options)?;
    let c = &config;
    let meta = file.meta();
    let window = meta.uint("gemma3.attention.sliding_window")?;
    // Every sixth layer is global in all published sizes; newer files say so.
    let period = meta.uint_opt("gemma3.attention.sliding_window_pattern")?.unwrap_or(6);
    let (Ok(window), Ok(period @ 1..)) = (u32::try_from(window), usize::try_from(period)) else {
        return Err(Diag::error("M011", format!("a window of {window} tokens in a pattern of {period} layers"))
            .help("the file is damaged; download it again"));
    };
    let reach = |i: usize| if (i + 1).is_multiple_of(period) { Reach::Global } else { Reach::Local(window as usize) };
    // The 27B model, alone in having 62 layers, scales by the width per head instead of the head's own size.
    let all_layers = meta.uint("gemma3.block_count")?;
    let scaled_by = if all_layers == 62 { c.width / c.heads } else { c.head_dim };
    let scale = 1.0 / (scaled_by.max(1) as f64).sqrt();
    let local_base = meta.float_opt("gemma3.rope.freq_base_swa")?.unwrap_or(10000.0);

    let mut b = Build::new(file, c, options);
    let decoder = Decoder::open(&mut b, &tensors(c))?;

    let (seq, pos) = (b.seq(), b.pos());
    let frequencies = rope::frequencies(c, local_base, 1.0, None)?;
    let local = rope::tables(&mut b.g, &seq, &pos, &frequencies)?;
    let frequencies = rope::frequencies(c, c.rope_base, c.rope_factor, None)?;
    let global = rope::tables(&mut b.g, &seq, &pos, &frequencies)?;
    let x = b.embed(decoder.embedding, decoder.tokens)?;
    let ty = b.g.tensor(x)?.clone();
    let root = b.g.splat((c.width as f64).sqrt(), ty)?;
    let mut x = b.g.map(ScalarOp::Mul, &[x, root])?;
    let mut caches = Vec::new();
    for (i, params) in decoder.layers.iter().enumerate() {
        let reach = reach(i);
        let (name, tables) = if reach == Reach::Global { ("global_layer", global) } else { ("local_layer", local) };
        let (y, new) = b.layer(name, x, tables, params, |l, x| layer(l, x, scale, reach))?;
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
        ("attn_q_norm", vec![c.head_dim]),
        ("attn_k_norm", vec![c.head_dim]),
        ("attn_output", vec![c.width, q]),
        ("post_attention_norm", vec![c.width]),
        ("ffn_norm", vec![c.width]),
        ("ffn_gate", vec![c.feed_forward, c.width]),
        ("ffn_up", vec![c.feed_forward, c.width]),
        ("ffn_down", vec![c.width, c.feed_forward]),
        ("post_ffw_norm", vec![c.width]),
    ]
}

fn layer(l: &mut Layer<'_>, x: NodeId, scale: f64, reach: Reach) -> Result<NodeId> {
    let c = l.config;
    let h = l.norm(x, "attn_norm")?;
    let (q, k, v) = (l.linear(h, "attn_q")?, l.linear(h, "attn_k")?, l.linear(h, "attn_v")?);
    let (q, k, v) = (l.heads(q, Some(c.group()))?, l.heads(k, None)?, l.heads(v, None)?);
    let (q, k) = (l.norm(q, "attn_q_norm")?, l.norm(k, "attn_k_norm")?);
    let (cos, sin) = (l.cos, l.sin);
    let q = rope::rotate(l.g, q, cos, sin, c.rope_dims, Pairs::Halves)?;
    let k = rope::rotate(l.g, k, cos, sin, c.rope_dims, Pairs::Halves)?;
    let window = match reach {
        Reach::Local(n) => Some(n),
        Reach::Global => None,
    };
    let y = l.attend(q, k, v, scale, window)?;
    let y = l.linear(y, "attn_output")?;
    let y = l.norm(y, "post_attention_norm")?;
    let x = l.g.map(ScalarOp::Add, &[x, y])?;

    let h = l.norm(x, "ffn_norm")?;
    let (gate, up) = (l.linear(h, "ffn_gate")?, l.linear(h, "ffn_up")?);
    let gate = l.g.map(ScalarOp::GeluTanh, &[gate])?;
    let y = l.g.map(ScalarOp::Mul, &[gate, up])?;
    let y = l.linear(y, "ffn_down")?;
    let y = l.norm(y, "post_ffw_norm")?;
    l.g.map(ScalarOp::Add, &[x, y])
}
