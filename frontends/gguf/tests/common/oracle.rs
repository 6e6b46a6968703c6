//! The forward pass of a model in f64, written down from the papers and llama.cpp's conventions, sharing nothing with
//! the graph but the file reader and the reference decoders: what the graph of the same file must compute.

use girih_base::DType;
use girih_gguf::{Gguf, Storage};

/// A model with its caches.
pub struct Oracle {
    file: Gguf,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    eps: f64,
    gemma: bool,
    /// Keys and values of each layer: [position][kv_heads * head_dim].
    cache: Vec<[Vec<Vec<f64>>; 2]>,
}

/// Rows of features.
type Rows = Vec<Vec<f64>>;

impl Oracle {
    pub fn new(file: &Gguf, layers: Option<usize>) -> Oracle {
        let m = file.meta();
        let arch = m.str("general.architecture").unwrap().to_string();
        let uint = |k: &str| m.uint_opt(&format!("{arch}.{k}")).unwrap().map(|v| v as usize);
        let heads = uint("attention.head_count").unwrap();
        let layers = layers.unwrap_or(uint("block_count").unwrap());
        Oracle {
            file: file.clone(),
            layers,
            heads,
            kv_heads: uint("attention.head_count_kv").unwrap_or(heads),
            head_dim: uint("attention.key_length").unwrap_or(uint("embedding_length").unwrap() / heads),
            // Constants are f32 in the graph.
            eps: m.float(&format!("{arch}.attention.layer_norm_rms_epsilon")).unwrap() as f32 as f64,
            gemma: arch == "gemma3",
            cache: vec![[Vec::new(), Vec::new()]; layers],
        }
    }

    /// The logits after each of `tokens`, which follow what was given before.
    pub fn step(&mut self, tokens: &[u32]) -> Rows {
        let embedding = self.file.tensor("token_embd.weight").unwrap();
        let mut x: Rows = tokens.iter().map(|t| self.row(&embedding.name, *t as usize)).collect();
        if self.gemma {
            let root = (x[0].len() as f64).sqrt() as f32 as f64;
            x.iter_mut().flatten().for_each(|v| *v *= root);
        }
        for i in 0..self.layers {
            x = self.layer(i, x);
        }
        let x = self.norm(&x, "output_norm");
        let head = if self.file.tensor("output.weight").is_some() { "output" } else { "token_embd" };
        self.matmul(&x, head)
    }

    /// Rounds the caches to f32, as they are stored between steps.
    pub fn round_caches(&mut self) {
        self.cache.iter_mut().flatten().flatten().flatten().for_each(|v| *v = *v as f32 as f64);
    }

    fn layer(&mut self, i: usize, mut x: Rows) -> Rows {
        let name = |part: &str| format!("blk.{i}.{part}");
        let h = self.norm(&x, &name("attn_norm"));
        let mut q = self.matmul(&h, &name("attn_q"));
        let mut k = self.matmul(&h, &name("attn_k"));
        let v = self.matmul(&h, &name("attn_v"));
        if self.gemma {
            q = self.norm_heads(&q, &name("attn_q_norm"));
            k = self.norm_heads(&k, &name("attn_k_norm"));
        }
        let start = self.cache[i][0].len();
        for (row, (q, k)) in q.iter_mut().zip(&mut k).enumerate() {
            self.rotate(q, start + row, i);
            self.rotate(k, start + row, i);
        }
        self.cache[i][0].extend(k);
        self.cache[i][1].extend(v);
        let mut y = self.matmul(&self.attend(i, &q, start), &name("attn_output"));
        if self.gemma {
            y = self.norm(&y, &name("post_attention_norm"));
        }
        add(&mut x, &y);
        let h = self.norm(&x, &name("ffn_norm"));
        let mut gate = self.matmul(&h, &name("ffn_gate"));
        let up = self.matmul(&h, &name("ffn_up"));
        let act = if self.gemma { gelu } else { silu };
        gate.iter_mut().zip(&up).for_each(|(g, u)| g.iter_mut().zip(u).for_each(|(g, u)| *g = act(*g) * u));
        let mut y = self.matmul(&gate, &name("ffn_down"));
        if self.gemma {
            y = self.norm(&y, &name("post_ffw_norm"));
        }
        add(&mut x, &y);
        x
    }

    fn local(&self, i: usize) -> bool {
        self.gemma && i % 6 != 5
    }

    fn attend(&self, i: usize, q: &Rows, start: usize) -> Rows {
        let (d, group) = (self.head_dim, self.heads / self.kv_heads);
        let scale = (1.0 / (d as f64).sqrt()) as f32 as f64;
        let [keys, values] = &self.cache[i];
        let window = self.file.meta().uint_opt("gemma3.attention.sliding_window").unwrap().unwrap_or(0) as usize;
        let attend = |(row, q): (usize, &Vec<f64>)| {
            let here = start + row;
            let first = if self.local(i) { (here + 1).saturating_sub(window) } else { 0 };
            let mut out = Vec::new();
            for head in 0..self.heads {
                let part = head / group * d..(head / group + 1) * d;
                let q = &q[head * d..(head + 1) * d];
                let scores: Vec<f64> = keys[first..=here].iter().map(|k| dot(q, &k[part.clone()]) * scale).collect();
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for j in part {
                    out.push(weights.iter().zip(&values[first..]).map(|(w, v)| w / sum * v[j]).sum());
                }
            }
            out
        };
        q.iter().enumerate().map(attend).collect()
    }

    /// Turns the pairs of every head: neighbours for llama, halves for gemma3.
    fn rotate(&self, x: &mut [f64], position: usize, layer: usize) {
        let base = match (self.gemma, self.local(layer)) {
            (true, true) => 10000.0,
            (true, false) => self.file.meta().float("gemma3.rope.freq_base").unwrap(),
            _ => self.file.meta().float("llama.rope.freq_base").unwrap(),
        };
        let (d, half) = (self.head_dim, self.head_dim / 2);
        for head in x.chunks_exact_mut(d) {
            for j in 0..half {
                let (a, b) = if self.gemma { (j, j + half) } else { (2 * j, 2 * j + 1) };
                let frequency = base.powf(-2.0 * j as f64 / d as f64) as f32 as f64;
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[b] * cos + head[a] * sin);
            }
        }
    }

    fn norm(&self, x: &Rows, name: &str) -> Rows {
        let w = self.row(&format!("{name}.weight"), 0);
        x.iter().map(|row| self.norm_row(row, &w)).collect()
    }

    fn norm_heads(&self, x: &Rows, name: &str) -> Rows {
        let w = self.row(&format!("{name}.weight"), 0);
        x.iter().map(|row| row.chunks_exact(self.head_dim).flat_map(|h| self.norm_row(h, &w)).collect()).collect()
    }

    fn norm_row(&self, row: &[f64], w: &[f64]) -> Vec<f64> {
        let mean = row.iter().map(|v| v * v).sum::<f64>() / row.len() as f64;
        let scale = 1.0 / (mean + self.eps).sqrt();
        row.iter().zip(w).map(|(v, w)| v * scale * w).collect()
    }

    /// Every row of `x` times every row of the weight, the weight's rows shared out over two threads.
    fn matmul(&self, x: &Rows, name: &str) -> Rows {
        let name = format!("{name}.weight");
        let rows = self.file.tensor(&name).unwrap().shape[0];
        let column = |r: usize| -> Vec<f64> {
            let w = self.row(&name, r);
            x.iter().map(|x| dot(x, &w)).collect()
        };
        let columns: Vec<Vec<f64>> = std::thread::scope(|s| {
            let upper = s.spawn(|| (rows / 2..rows).map(column).collect::<Vec<_>>());
            let mut all: Vec<_> = (0..rows / 2).map(column).collect();
            all.extend(upper.join().unwrap());
            all
        });
        (0..x.len()).map(|i| columns.iter().map(|c| c[i]).collect()).collect()
    }

    /// Row `index` of a tensor (or a whole vector), decoded by the reference decoder.
    fn row(&self, name: &str, index: usize) -> Vec<f64> {
        let t = self.file.tensor(name).unwrap();
        let columns = *t.shape.last().unwrap();
        let size = columns / t.storage.block_elements() * t.storage.block_bytes();
        let bytes = &self.file.bytes(t)[index * size..(index + 1) * size];
        match t.storage {
            Storage::Plain(DType::F32) => {
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f64).collect()
            }
            Storage::Plain(other) => panic!("the oracle does not read {other}"),
            Storage::Quant(format) => {
                let mut out = vec![0f32; columns];
                format.decode_row(bytes, &mut out).unwrap();
                out.into_iter().map(f64::from).collect()
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(x: &mut Rows, y: &Rows) {
    x.iter_mut().zip(y).for_each(|(x, y)| x.iter_mut().zip(y).for_each(|(x, y)| *x += y));
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn gelu(x: f64) -> f64 {
    let root = (2.0 / std::f64::consts::PI).sqrt();
    0.5 * x * (1.0 + (root * (x + 0.044715 * x * x * x)).tanh())
}
