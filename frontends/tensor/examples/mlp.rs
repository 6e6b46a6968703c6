//! A two-layer network learns the sign of x * y, the exclusive or of two signs: `cargo run --example mlp`.
#![allow(clippy::print_stdout)]

use girih::prelude::*;

#[derive(Clone, Tree)]
struct Mlp {
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
}

impl Mlp {
    fn new(key: &Key, inputs: usize, hidden: usize, classes: usize) -> Mlp {
        let [a, b] = key.split();
        let weights =
            |key: Key, from: usize, to: usize| key.normal(DType::F32, [from, to]) * (2.0 / from as f64).sqrt();
        Mlp {
            w1: weights(a, inputs, hidden).named("w1"),
            b1: Tensor::zeros(DType::F32, [hidden]).named("b1"),
            w2: weights(b, hidden, classes).named("w2"),
            b2: Tensor::zeros(DType::F32, [classes]).named("b2"),
        }
    }

    fn logits(&self, x: &Tensor) -> Tensor {
        let hidden = nn::linear(x, &self.w1, Some(&self.b1)).relu();
        nn::linear(&hidden, &self.w2, Some(&self.b2))
    }
}

fn loss(model: &Mlp, x: &Tensor, labels: &Tensor) -> Tensor {
    nn::cross_entropy(&model.logits(x), labels).mean(..)
}

/// The model's accuracy on the points it was trained on.
pub fn run(steps: usize) -> Result<f32, Box<Diag>> {
    let [points, weights] = Key::new(1).split();
    let x = points.normal(DType::F32, [256, 2]).named("points");
    let labels = x.prod(1).gt(0.0).cast(DType::I32).named("labels");

    let optimiser = AdamW::new(0.02);
    let gradient = value_and_grad(loss);
    let step = jit(move |model: &Mlp, state: &optim::AdamWState<Mlp>, x: &Tensor, labels: &Tensor| {
        let (loss, grads) = gradient(model, x, labels);
        let (model, state) = optimiser.step(model, &grads, state);
        (model, state, loss)
    });

    let mut model = Mlp::new(&weights, 2, 32, 2);
    let mut state = optimiser.init(&model);
    for i in 0..steps {
        let (next, next_state, loss) = step(&model, &state, &x, &labels);
        (model, state) = (next, next_state);
        if i % 20 == 0 {
            println!("step {i:3}  loss {:.4}", loss.item::<f32>()?);
        }
    }
    nn::accuracy(&model.logits(&x), &labels).item::<f32>()
}

#[allow(dead_code, reason = "a test runs the example as a module")]
fn main() {
    match run(100) {
        Ok(accuracy) => println!("accuracy {:.1} %", accuracy * 100.0),
        Err(why) => println!("{why}"),
    }
}
