//! The forward pass of a model in f64, written down from the papers and llama.cpp's conventions: what the graph of the
//! same file must compute. It shares nothing with the graph but the file reader and the reference decoders, keeps no
//! copy of the weights, and is for checking, not for speed.

use crate::file::Gguf;
use crate::generate::Step;
use crate::tensor::Storage;
use girih_base::{Diag, Result, codec};

/// A model and its caches.
#[derive(Clone, Debug)]
pub struct Oracle {
    file: Gguf,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    eps: f64,
    gemma: bool,
    /// Tokens that local layers see; 0 for all.
    window: usize,
    /// Rotation base of local and of global layers.
    base: [f64; 2],
    /// Keys and values of each layer: [position][kv_heads * head_dim].
    cache: Vec<[Rows; 2]>,
}

/// One row of features per token.
type Rows = Vec<Vec<f64>>;

impl Oracle {
    /// Prepares a `llama` or `gemma3` file, of which [`crate::Model::new`] accepts the metadata; `layers` to stop early.
    ///
    /// # Errors
    /// `M010` for missing metadata, `M011` for what only the graph supports.
    pub fn new(file: &Gguf, layers: Option<usize>) -> Result<Oracle> {
        let meta = file.meta();
        let arch = meta.str("general.architecture")?.to_string();
        let key = |k: &str| format!("{arch}.{k}");
        let size = |k: &str| meta.uint_opt(&key(k)).map(|v| v.map(|v| v as usize));
        let heads = meta.uint(&key("attention.head_count"))?.max(1) as usize;
        let width = meta.uint(&key("embedding_length"))? as usize;
        let all = meta.uint(&key("block_count"))? as usize;
        let head_dim = size("attention.key_length")?.unwrap_or(width / heads);
        let scaled = [key("rope.scaling.type"), key("rope.scale_linear"), key("attention.sliding_window_pattern")];
        let special = scaled.iter().any(|k| meta.get(k).is_some()) || file.tensor("rope_freqs.weight").is_some();
        if special
            || size("rope.dimension_count")?.is_some_and(|n| n != head_dim)
            || !matches!(&*arch, "llama" | "gemma3")
        {
            return Err(Diag::error("M011", format!("the oracle does not know this variant of `{arch}`"))
                .help("compare with the graph evaluator instead"));
        }
        let layers = layers.unwrap_or(all).min(all);
        let global = meta.float_opt(&key("rope.freq_base"))?.unwrap_or(10000.0);
        let gemma = arch == "gemma3";
        Ok(Oracle {
            file: file.clone(),
            layers,
            heads,
            kv_heads: size("attention.head_count_kv")?.unwrap_or(heads).max(1),
            head_dim,
            // Constants are f32 in the graph.
            eps: meta.float(&key("attention.layer_norm_rms_epsilon"))? as f32 as f64,
            gemma,
            window: if gemma { size("attention.sliding_window")?.unwrap_or(0) } else { 0 },
            base: [if gemma { 10000.0 } else { global }, global],
            cache: vec![[Vec::new(), Vec::new()]; layers],
        })
    }

    /// The logits after each of `tokens`, which follow what was given before.
    pub fn logits(&mut self, tokens: &[u32]) -> Result<Rows> {
        let row = |t: &u32| self.row("token_embd.weight", *t as usize);
        let mut x = tokens.iter().map(row).collect::<Result<Rows>>()?;
        if self.gemma {
            let root = (x.first().map_or(0, Vec::len) as f64).sqrt() as f32 as f64;
            x.iter_mut().flatten().for_each(|v| *v *= root);
        }
        for i in 0..self.layers {
            x = self.layer(i, x)?;
        }
        let x = self.norm(&x, "output_norm")?;
        let head = if self.file.tensor("output.weight").is_some() { "output" } else { "token_embd" };
        self.matmul(&x, head)
    }

    /// Rounds the caches to f32, as they are stored between steps.
    pub fn round_caches(&mut self) {
        self.cache.iter_mut().flatten().flatten().flatten().for_each(|v| *v = *v as f32 as f64);
    }

    fn layer(&mut self, i: usize, mut x: Rows) -> Result<Rows> {
        let name = |part: &str| format!("blk.{i}.{part}");
        let h = self.norm(&x, &name("attn_norm"))?;
        let mut q = self.matmul(&h, &name("attn_q"))?;
        let mut k = self.matmul(&h, &name("attn_k"))?;
        let v = self.matmul(&h, &name("attn_v"))?;
        if self.gemma {
            q = self.norm(&q, &name("attn_q_norm"))?;
            k = self.norm(&k, &name("attn_k_norm"))?;
        }
        let start = self.cache[i][0].len();
        for (row, (q, k)) in q.iter_mut().zip(&mut k).enumerate() {
            self.rotate(q, start + row, i);
            self.rotate(k, start + row, i);
        }
        self.cache[i][0].extend(k);
        self.cache[i][1].extend(v);
        let mut y = self.matmul(&self.attend(i, &q, start), &name("attn_output"))?;
        if self.gemma {
            y = self.norm(&y, &name("post_attention_norm"))?;
        }
        add(&mut x, &y);
        let h = self.norm(&x, &name("ffn_norm"))?;
        let mut gate = self.matmul(&h, &name("ffn_gate"))?;
        let up = self.matmul(&h, &name("ffn_up"))?;
        let act = if self.gemma { gelu } else { silu };
        gate.iter_mut().zip(&up).for_each(|(g, u)| g.iter_mut().zip(u).for_each(|(g, u)| *g = act(*g) * u));
        let mut y = self.matmul(&gate, &name("ffn_down"))?;
        if self.gemma {
            y = self.norm(&y, &name("post_ffw_norm"))?;
        }
        add(&mut x, &y);
        Ok(x)
    }

    fn local(&self, layer: usize) -> bool {
        self.gemma && layer % 6 != 5
    }

    fn attend(&self, i: usize, q: &Rows, start: usize) -> Rows {
        let (d, group) = (self.head_dim, (self.heads / self.kv_heads).max(1));
        let scale = (1.0 / (d as f64).sqrt()) as f32 as f64;
        let [keys, values] = &self.cache[i];
        let attend = |(row, q): (usize, &Vec<f64>)| {
            let here = start + row;
            let first = if self.local(i) { (here + 1).saturating_sub(self.window) } else { 0 };
            let mut out = Vec::new();
            for (head, q) in q.chunks_exact(d).enumerate() {
                let part = head / group * d..(head / group + 1) * d;
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
        let base = self.base[!self.local(layer) as usize];
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

    /// RMS norm over pieces as long as the weight: whole rows, or heads.
    fn norm(&self, x: &Rows, name: &str) -> Result<Rows> {
        let w = self.row(&format!("{name}.weight"), 0)?;
        let piece = |v: &[f64]| -> Vec<f64> {
            let mean = v.iter().map(|v| v * v).sum::<f64>() / v.len() as f64;
            let scale = 1.0 / (mean + self.eps).sqrt();
            v.iter().zip(&w).map(|(v, w)| v * scale * w).collect()
        };
        Ok(x.iter().map(|row| row.chunks(w.len().max(1)).flat_map(piece).collect()).collect())
    }

    /// Every row of `x` times every row of the weight; the weight's rows are shared out over threads.
    fn matmul(&self, x: &Rows, name: &str) -> Result<Rows> {
        let name = format!("{name}.weight");
        let rows = self.tensor(&name)?.shape.first().copied().unwrap_or(0);
        let column = |r: usize| -> Result<Vec<f64>> {
            let w = self.row(&name, r)?;
            Ok(x.iter().map(|x| dot(x, &w)).collect())
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let share = rows.div_ceil(threads).max(1);
        let column = &column;
        let lost = || Diag::error("M011", "a thread of the oracle died");
        let columns = std::thread::scope(|s| {
            let part = |start: usize| s.spawn(move || (start..rows.min(start + share)).map(column).collect::<Vec<_>>());
            let parts: Vec<_> = (0..rows).step_by(share).map(part).collect();
            let mut columns = Vec::with_capacity(rows);
            for part in parts {
                columns.extend(part.join().map_err(|_| lost())?);
            }
            columns.into_iter().collect::<Result<Rows>>()
        })?;
        Ok((0..x.len()).map(|i| columns.iter().map(|c| c[i]).collect()).collect())
    }

    fn tensor(&self, name: &str) -> Result<&crate::TensorInfo> {
        self.file.tensor(name).ok_or_else(|| {
            Diag::error("M012", format!("the file has no tensor `{name}`")).help("the file is incomplete")
        })
    }

    /// Row `index` of a tensor (or a whole vector), decoded by the reference decoder.
    fn row(&self, name: &str, index: usize) -> Result<Vec<f64>> {
        let t = self.tensor(name)?;
        let columns = t.shape.last().copied().unwrap_or(1);
        let size = columns / t.storage.block_elements() * t.storage.block_bytes();
        let bytes = self.file.bytes(t).get(index * size..(index + 1) * size);
        let bytes = bytes.ok_or_else(|| {
            Diag::error("M012", format!("`{name}` has no row {index}")).help("the token does not exist")
        })?;
        match t.storage {
            Storage::Plain(dtype) => codec::decode_floats(dtype, bytes, columns),
            Storage::Quant(format) => {
                let mut out = vec![0f32; columns];
                format.decode_row(bytes, &mut out)?;
                Ok(out.into_iter().map(f64::from).collect())
            }
        }
    }
}

impl Step for Oracle {
    fn step(&mut self, tokens: &[u32], pos: usize) -> Result<Vec<f32>> {
        if pos == 0 {
            self.cache.iter_mut().flatten().for_each(Vec::clear);
        }
        let last = self.logits(tokens)?.pop().unwrap_or_default();
        Ok(last.into_iter().map(|v| v as f32).collect())
    }
}

/// Four sums at once: one alone waits for each addition.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (fours, rest) = a.as_chunks::<4>();
    let (other, last) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in fours.iter().zip(other) {
        for i in 0..4 {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f64 = rest.iter().zip(last).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
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
