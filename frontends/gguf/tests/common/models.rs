//! Small models of each architecture with random weights, as files in memory.

use super::{V, Writer, s};

/// A reproducible stream of numbers (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }

    /// Uniform in -1..1.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

pub const F32: u32 = 0;
pub const Q4_0: u32 = 2;
pub const Q8_0: u32 = 8;

/// Random rows of a ggml type.
fn rows(n: &mut Numbers, shape: &[u64], ggml_type: u32) -> Vec<u8> {
    let elements: u64 = shape.iter().product();
    let block = |n: &mut Numbers, bytes: usize, scale: u16| -> Vec<u8> {
        let quants = (0..bytes).map(|_| n.next() as u8).collect::<Vec<_>>();
        [&scale.to_le_bytes()[..], &quants].concat()
    };
    match ggml_type {
        F32 => (0..elements).flat_map(|_| (n.float() * 0.3).to_le_bytes()).collect(),
        // Scales of 2^-5 and 2^-9.
        Q4_0 => (0..elements / 32).flat_map(|_| block(n, 16, 0x2800)).collect(),
        Q8_0 => (0..elements / 32).flat_map(|_| block(n, 32, 0x1800)).collect(),
        other => panic!("no random {other}"),
    }
}

/// A file under construction with its source of numbers.
struct Random {
    w: Writer,
    n: Numbers,
}

impl Random {
    fn tensor(mut self, name: &str, shape: &[u64], ggml_type: u32) -> Random {
        let bytes = rows(&mut self.n, shape, ggml_type);
        self.w = self.w.tensor(&format!("{name}.weight"), shape, ggml_type, bytes);
        self
    }

    /// A norm's weights, around 1.
    fn norm(mut self, name: &str, n: u64) -> Random {
        let values: Vec<f32> = (0..n).map(|_| 1.0 + 0.2 * self.n.float()).collect();
        self.w = self.w.f32s(&format!("{name}.weight"), &[n], &values);
        self
    }
}

pub const VOCABULARY: u64 = 40;

fn base(arch: &str, layers: u32, sizes: [u32; 5]) -> Writer {
    let [width, heads, kv_heads, head_dim, feed_forward] = sizes;
    let key = |k: &str| format!("{arch}.{k}");
    Writer::default()
        .meta("general.architecture", s(arch))
        .meta(&key("block_count"), V::U32(layers))
        .meta(&key("context_length"), V::U32(64))
        .meta(&key("embedding_length"), V::U32(width))
        .meta(&key("feed_forward_length"), V::U32(feed_forward))
        .meta(&key("attention.head_count"), V::U32(heads))
        .meta(&key("attention.head_count_kv"), V::U32(kv_heads))
        .meta(&key("attention.key_length"), V::U32(head_dim))
        .meta(&key("attention.value_length"), V::U32(head_dim))
        .meta(&key("attention.layer_norm_rms_epsilon"), V::F32(1e-5))
}

/// Three layers of Llama; `matrix` gives the type of the attention matrices of a layer.
pub fn llama(matrix: impl Fn(usize) -> u32) -> Writer {
    let w = base("llama", 3, [64, 4, 2, 16, 96]).meta("llama.rope.freq_base", V::F32(1000.0));
    let mut r = Random { w, n: Numbers(1) }.tensor("token_embd", &[VOCABULARY, 64], Q8_0);
    for i in 0..3 {
        let name = |part: &str| format!("blk.{i}.{part}");
        r = r
            .norm(&name("attn_norm"), 64)
            .tensor(&name("attn_q"), &[64, 64], matrix(i))
            .tensor(&name("attn_k"), &[32, 64], matrix(i))
            .tensor(&name("attn_v"), &[32, 64], matrix(i))
            .tensor(&name("attn_output"), &[64, 64], matrix(i))
            .norm(&name("ffn_norm"), 64)
            .tensor(&name("ffn_gate"), &[96, 64], Q8_0)
            .tensor(&name("ffn_up"), &[96, 64], F32)
            .tensor(&name("ffn_down"), &[64, 96], Q4_0);
    }
    r.norm("output_norm", 64).w
}

/// Seven layers of Gemma 3, the sixth global, with a window of 5 tokens.
pub fn gemma3() -> Writer {
    let w = base("gemma3", 7, [64, 4, 1, 32, 96])
        .meta("gemma3.attention.sliding_window", V::U32(5))
        .meta("gemma3.rope.freq_base", V::F32(1e6));
    let mut r = Random { w, n: Numbers(2) }.tensor("token_embd", &[VOCABULARY, 64], Q8_0);
    for i in 0..7 {
        let name = |part: &str| format!("blk.{i}.{part}");
        r = r
            .norm(&name("attn_norm"), 64)
            .tensor(&name("attn_q"), &[128, 64], Q8_0)
            .tensor(&name("attn_k"), &[32, 64], Q8_0)
            .tensor(&name("attn_v"), &[32, 64], F32)
            .norm(&name("attn_q_norm"), 32)
            .norm(&name("attn_k_norm"), 32)
            .tensor(&name("attn_output"), &[64, 128], Q8_0)
            .norm(&name("post_attention_norm"), 64)
            .norm(&name("ffn_norm"), 64)
            .tensor(&name("ffn_gate"), &[96, 64], Q8_0)
            .tensor(&name("ffn_up"), &[96, 64], F32)
            .tensor(&name("ffn_down"), &[64, 96], Q4_0)
            .norm(&name("post_ffw_norm"), 64);
    }
    r.norm("output_norm", 64).w
}
