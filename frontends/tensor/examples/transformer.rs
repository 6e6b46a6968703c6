//! A small transformer learns to repeat a sequence backwards: `cargo run --release --example transformer`.
#![allow(clippy::print_stdout)]

use girih::prelude::*;

const LETTERS: usize = 6;
const LENGTH: usize = 4;
const WIDTH: usize = 24;
const HEADS: usize = 2;

#[derive(Clone, Tree)]
struct Block {
    norm1: Tensor,
    qkv: Tensor,
    out: Tensor,
    norm2: Tensor,
    gate: Tensor,
    up: Tensor,
    down: Tensor,
}

#[derive(Clone, Tree)]
struct Model {
    embedding: Tensor,
    blocks: Vec<Block>,
    norm: Tensor,
}

fn matrix(key: &Key, from: usize, to: usize) -> Tensor {
    key.normal(DType::F32, [from, to]) * (1.0 / from as f64).sqrt()
}

impl Block {
    fn new(key: &Key) -> Block {
        let [a, b, c, d, e] = key.split();
        let ones = Tensor::ones(DType::F32, [WIDTH]);
        Block {
            norm1: ones.clone(),
            qkv: matrix(&a, WIDTH, 3 * WIDTH),
            out: matrix(&b, WIDTH, WIDTH),
            norm2: ones,
            gate: matrix(&c, WIDTH, 2 * WIDTH),
            up: matrix(&d, WIDTH, 2 * WIDTH),
            down: matrix(&e, 2 * WIDTH, WIDTH),
        }
    }

    /// [batch, length, width] -> the same.
    fn apply(&self, x: &Tensor) -> Tensor {
        let (batch, length) = (x.dim(0), x.dim(1));
        let qkv = nn::rms_norm(x, &self.norm1, 1e-5).matmul(&self.qkv);
        // [batch, length, 3, heads, width / heads] -> [3, batch, heads, length, width / heads]
        let qkv = qkv.reshape([batch, length, 3, HEADS, WIDTH / HEADS]).permute([2, 0, 3, 1, 4]);
        let part = |i: usize| qkv.slice(0, i, i + 1).squeeze(0);
        let (cos, sin) = nn::rope_tables(length, WIDTH / HEADS, 0, 10_000.0);
        let (q, k) = (nn::rope(&part(0), &cos, &sin), nn::rope(&part(1), &cos, &sin));
        let how = nn::Attention { causal: Some(0.into()), ..Default::default() };
        let seen = nn::attention(&q, &k, &part(2), &how);
        let seen = seen.transpose(1, 2).reshape([batch, length, WIDTH]);
        let x = x + seen.matmul(&self.out);
        let h = nn::rms_norm(&x, &self.norm2, 1e-5);
        &x + nn::swiglu(&h.matmul(&self.gate), &h.matmul(&self.up)).matmul(&self.down)
    }
}

impl Model {
    fn new(key: &Key, blocks: usize) -> Model {
        let [a, b] = key.split();
        Model {
            embedding: a.normal(DType::F32, [LETTERS + 1, WIDTH]) * 0.3,
            blocks: (0..blocks).map(|i| Block::new(&b.fold_in(i as u32))).collect(),
            norm: Tensor::ones(DType::F32, [WIDTH]),
        }
    }

    /// Letters i32 [batch, length] -> logits [batch, length, letters + 1].
    fn logits(&self, letters: &Tensor) -> Tensor {
        let x = nn::embedding(&self.embedding, letters);
        let x = self.blocks.iter().fold(x, |x, block| block.apply(&x));
        nn::rms_norm(&x, &self.norm, 1e-5).matmul(&self.embedding.t())
    }
}

/// Sequences `a b c d | d c b` and what comes next at each position; -1 where it cannot be known.
fn examples(key: &Key, count: usize) -> (Tensor, Tensor) {
    let letters = (key.uniform(DType::F32, [count, LENGTH]) * LETTERS as f64).cast(DType::I32);
    let mark = Tensor::full(LETTERS as f64, DType::I32, [count, 1]);
    let back = letters.reverse(1);
    let input = concat(&[&letters, &mark, &back.slice(1, 0, LENGTH - 1)], 1);
    let unknown = Tensor::full(-1.0, DType::I32, [count, LENGTH]);
    (input, concat(&[&unknown, &back], 1))
}

fn loss(model: &Model, input: &Tensor, next: &Tensor) -> Tensor {
    nn::cross_entropy(&model.logits(input), next).sum(..) / (LENGTH * input.dim(0)) as f64
}

/// The first and the last loss.
pub fn run(steps: u32, batch: usize) -> Result<(f32, f32), Box<Diag>> {
    let [weights, data] = Key::new(3).split();
    let optimiser = AdamW::new(1e-2);
    let gradient = value_and_grad(loss);
    let step = jit(move |model: &Model, state: &optim::AdamWState<Model>, key: &Key| {
        let (input, next) = examples(key, batch);
        let (loss, grads) = gradient(model, &input, &next);
        let (grads, _) = optim::clip_by_norm(&grads, 1.0);
        let (model, state) = optimiser.step(model, &grads, state);
        (model, state, loss)
    });
    let mut model = Model::new(&weights, 2);
    let mut state = optimiser.init(&model);
    let mut losses = Vec::new();
    for i in 0..steps {
        let (next, next_state, loss) = step(&model, &state, &data.fold_in(i));
        (model, state) = (next, next_state);
        losses.push(loss.item::<f32>()?);
        if i % 25 == 0 {
            println!("step {i:3}  loss {:.4}", losses[i as usize]);
        }
    }
    Ok((losses.first().copied().unwrap_or(f32::NAN), losses.last().copied().unwrap_or(f32::NAN)))
}

#[allow(dead_code, reason = "a test runs the example as a module")]
fn main() {
    match run(300, 64) {
        Ok((first, last)) => println!("loss {first:.3} -> {last:.3}"),
        Err(why) => println!("{why}"),
    }
}
