//! A two-layer network learns to read hand-written digits: `cargo run --release --example digits`.
//!
//! The data is scikit-learn's `load_digits` (see `tests/data/README.md`): 1797 images of 8x8 pixels, of which the network
//! never sees 360.
#![allow(clippy::print_stdout)]

use girih::prelude::*;

const BATCH: usize = 128;

#[derive(Clone, Tree)]
struct Mlp {
    hidden: Linear,
    output: Linear,
}

#[derive(Clone, Tree)]
struct Linear {
    w: Tensor,
    b: Tensor,
}

impl Linear {
    /// Weights as He et al. draw them, for rectified inputs.
    fn new(key: &Key, inputs: usize, outputs: usize) -> Linear {
        let deviation = (2.0 / inputs as f64).sqrt();
        Linear { w: key.normal(DType::F32, [inputs, outputs]) * deviation, b: Tensor::zeros(DType::F32, [outputs]) }
    }

    fn apply(&self, x: &Tensor) -> Tensor {
        nn::linear(x, &self.w, Some(&self.b))
    }
}

impl Mlp {
    fn new(key: &Key) -> Mlp {
        let [a, b] = key.split();
        Mlp { hidden: Linear::new(&a, 64, 128), output: Linear::new(&b, 128, 10) }
    }

    /// Images [n, 64], pixels about 0, to logits [n, 10].
    fn logits(&self, images: &Tensor) -> Tensor {
        self.output.apply(&self.hidden.apply(images).relu())
    }
}

/// Images f32 [n, 64] and labels i32 [n].
#[derive(Clone, Tree)]
struct Digits {
    images: Tensor,
    labels: Tensor,
}

impl Digits {
    /// The images in an order drawn with `key`: those to train with and those to test with.
    fn load(path: &str, key: &Key) -> Result<(Digits, Digits), Box<Diag>> {
        let file = io::load_npy(path)?;
        let [n, _] = file.dims::<2>()?;
        let rows = file.take(&key.uniform(DType::F32, [n]).argsort(0), 0);
        let images = rows.slice(1, 0, 64).cast(DType::F32) / 16.0 - 0.3;
        let labels = rows.slice(1, 64, 65).squeeze(1).cast(DType::I32);
        let part = |from: usize, to: usize| {
            tree::detach(&Digits { images: images.slice(0, from, to), labels: labels.slice(0, from, to) })
        };
        Ok((part(0, n - 360)?, part(n - 360, n)?))
    }

    fn batch(&self, rows: &Tensor) -> Digits {
        Digits { images: self.images.take(rows, 0), labels: self.labels.take(rows, 0) }
    }
}

fn loss(model: &Mlp, batch: &Digits) -> Tensor {
    nn::cross_entropy(&model.logits(&batch.images), &batch.labels).mean(..)
}

/// The loss of every step, and the share of test images read right.
pub struct Outcome {
    /// Mean loss of each batch.
    pub losses: Vec<f32>,
    /// Accuracy on the images not trained with.
    pub accuracy: f32,
}

/// Trains for some rounds over the data, on the current device.
pub fn run(path: &str, epochs: usize) -> Result<Outcome, Box<Diag>> {
    let [order, weights, mut key] = Key::new(0).split();
    let (train, test) = Digits::load(path, &order)?;
    let (count, rounds) = (train.labels.dim(0), train.labels.dim(0) / BATCH);

    let optimiser = AdamW { weight_decay: 0.01, ..AdamW::new(4e-3) };
    let gradient = value_and_grad(loss);
    // Every image once, in a new order, as [batches, rows of a batch].
    let shuffle = jit(move |key: &Key| {
        let [now, next] = key.split();
        let order = now.uniform(DType::F32, [count]).argsort(0);
        (order.slice(0, 0, rounds * BATCH).reshape([rounds, BATCH]), next)
    });
    // A whole step is one program, the choice of its batch included.
    let step = jit(move |model: &Mlp, state: &optim::AdamWState<Mlp>, data: &Digits, order: &Tensor, at: &Tensor| {
        let (loss, grads) = gradient(model, &data.batch(&order.take(at, 0)));
        let (model, state) = optimiser.step(model, &grads, state);
        (model, state, loss)
    });

    let mut model = Mlp::new(&weights);
    let mut state = optimiser.init(&model);
    let mut losses = Vec::new();
    for epoch in 0..epochs {
        let (order, next_key) = shuffle(&key);
        key = next_key;
        for at in 0..rounds {
            let (next, next_state, loss) = step(&model, &state, &train, &order, &Tensor::new(&[at as i32], []));
            (model, state) = (next, next_state);
            losses.push(loss.item::<f32>()?);
        }
        println!("epoch {epoch:2}  loss {:.4}", losses.last().copied().unwrap_or(f32::NAN));
    }
    let accuracy = nn::accuracy(&model.logits(&test.images), &test.labels).item::<f32>()?;
    Ok(Outcome { losses, accuracy })
}

#[allow(dead_code, reason = "a test runs the example as a module")]
fn main() {
    match run(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/digits.npy"), 30) {
        Ok(outcome) => println!("{:.2} % of the test images read right", outcome.accuracy * 100.0),
        Err(why) => println!("{why}"),
    }
}
