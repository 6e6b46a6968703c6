//! Optimisers as pure functions of trees: parameters, gradients and state in, new parameters and state out. Inside a
//! `jit` the whole update becomes part of the step's program.

use crate::tensor::Tensor;
use crate::tree::{self, Tree};
use girih_base::DType;

/// Stochastic gradient descent with momentum.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Learning rate.
    pub rate: f64,
    /// How much of the last step is kept, 0 for plain descent.
    pub momentum: f64,
    /// Nesterov's variant: the gradient is taken where the momentum leads.
    pub nesterov: bool,
}

/// State of [`Sgd`]: the last step of every parameter.
#[derive(Clone, Debug, Tree)]
pub struct SgdState<P> {
    /// The velocity.
    pub velocity: P,
}

impl Sgd {
    /// Plain descent.
    pub fn new(rate: f64) -> Sgd {
        Sgd { rate, momentum: 0.0, nesterov: false }
    }

    /// The state before the first step: zeros.
    pub fn init<P: Tree>(&self, params: &P) -> SgdState<P> {
        SgdState { velocity: tree::map(params, Tensor::zeros_like) }
    }

    /// One step: `v = momentum v + g`, `p = p - rate v` (with Nesterov `p - rate (g + momentum v)`).
    pub fn step<P: Tree>(&self, params: &P, grads: &P, state: &SgdState<P>) -> (P, SgdState<P>) {
        let velocity = tree::zip(&state.velocity, grads, |v, g| v * self.momentum + g);
        let direction = match self.nesterov {
            true => tree::zip(grads, &velocity, |g, v| g + v * self.momentum),
            false => velocity.clone(),
        };
        let params = tree::zip(params, &direction, |p, d| keep_name(p, p - d * self.rate));
        (params, SgdState { velocity })
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled weight decay regularization").
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the running mean of gradients.
    pub beta1: f64,
    /// Decay of the running mean of their squares.
    pub beta2: f64,
    /// Added to the root of the squares.
    pub eps: f64,
    /// Share of a parameter that each unit of learning rate removes.
    pub weight_decay: f64,
}

/// State of [`AdamW`].
#[derive(Clone, Debug, Tree)]
pub struct AdamWState<P> {
    /// Running mean of gradients.
    pub mean: P,
    /// Running mean of squared gradients.
    pub square: P,
    /// Number of steps taken, f32 scalar.
    pub steps: Tensor,
}

impl AdamW {
    /// The usual constants: 0.9, 0.999, 1e-8, no decay.
    pub fn new(rate: f64) -> AdamW {
        AdamW { rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }

    /// The state before the first step: zeros.
    pub fn init<P: Tree>(&self, params: &P) -> AdamWState<P> {
        AdamWState {
            mean: tree::map(params, Tensor::zeros_like),
            square: tree::map(params, Tensor::zeros_like),
            steps: Tensor::scalar(0.0, DType::F32),
        }
    }

    /// One step.
    pub fn step<P: Tree>(&self, params: &P, grads: &P, state: &AdamWState<P>) -> (P, AdamWState<P>) {
        self.step_at(params, grads, state, 1.0)
    }

    /// One step with the learning rate scaled, as schedules do.
    pub fn step_at<P: Tree>(&self, params: &P, grads: &P, state: &AdamWState<P>, factor: f64) -> (P, AdamWState<P>) {
        let rate = self.rate * factor;
        let steps = &state.steps + 1.0;
        let mean = tree::zip(&state.mean, grads, |m, g| m * self.beta1 + g * (1.0 - self.beta1));
        let square = tree::zip(&state.square, grads, |s, g| s * self.beta2 + g.square() * (1.0 - self.beta2));
        // 1 - beta^steps: what the running means lack after so few steps.
        let correction = |beta: f64| 1.0 - (&steps * beta.ln()).exp();
        let (correct_mean, correct_square) = (correction(self.beta1), correction(self.beta2));
        let update = tree::zip(&mean, &square, |m, s| {
            let (cm, cs) = (correct_mean.cast(m.dtype()), correct_square.cast(s.dtype()));
            (m / cm) / ((s / cs).sqrt() + self.eps)
        });
        let params = tree::zip(params, &update, |p, u| keep_name(p, p * (1.0 - rate * self.weight_decay) - u * rate));
        (params, AdamWState { mean, square, steps })
    }
}

/// Scales gradients so that their norm over the whole tree is at most `limit`; gives the norm before, too.
pub fn clip_by_norm<P: Tree>(grads: &P, limit: f64) -> (P, Tensor) {
    let squares: Vec<Tensor> = tree::tensors(grads).iter().map(|g| g.cast(DType::F32).square().sum(..)).collect();
    let zero = Tensor::scalar(0.0, DType::F32);
    let norm = squares.iter().fold(zero, |sum, s| sum + s).sqrt();
    let scale = (limit / (&norm + 1e-12)).minimum(1.0);
    (tree::map(grads, |g| g * scale.cast(g.dtype())), norm)
}

fn keep_name(old: &Tensor, new: Tensor) -> Tensor {
    new.named_as(old)
}
