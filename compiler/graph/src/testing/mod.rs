//! Random graphs that every level must agree on. Under the feature `testing`.
//!
//! A graph grows node by node from its seed, so `nodes - 1` gives the same graph without its last step: failing seeds
//! shrink by lowering `nodes`. Shapes are valid by construction (operands are looked up by type, or made), extents are 0,
//! 1, primes, powers of two and their neighbours. No NaN or infinity arises: operands are brought into the domain of
//! an operation, and the largest magnitude of each value is tracked. Operations that jump (rounding, comparison, sorting,
//! float to integer) are only applied to values that every target computes exactly, which [`Sample::exact`] tells of
//! the outputs.

mod kinds;
pub mod numbers;

use crate::eval::compare::Random;
use crate::eval::{Array, Cx, Value};
use crate::graph::{Graph, NodeId, ParamKind};
use crate::ops::{Op, Rule};
use crate::ty::{TensorTy, Ty};
use girih_base::{Bindings, DType, Dim, Loc, ScalarOp, Symbol};

pub use kinds::Kind;

/// What random graphs are made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Steps; most append one to three nodes.
    pub nodes: usize,
    /// No value has more elements than this.
    pub max_elements: usize,
    /// Dtypes of parameters and casts. Arithmetic is done on f16 and wider, integers and bool only.
    pub dtypes: Vec<DType>,
    /// How often each kind is tried, relative to the others.
    pub weights: Vec<(Kind, u32)>,
    /// Whether some extents are symbols.
    pub symbols: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            nodes: 12,
            max_elements: 2048,
            dtypes: DType::ALL.to_vec(),
            weights: Kind::WEIGHTS.to_vec(),
            symbols: true,
        }
    }
}

/// A random graph and what it runs on.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The graph; it verifies.
    pub graph: Graph,
    /// Values of its symbols.
    pub bindings: Bindings,
    /// One value per parameter, without NaN and infinities.
    pub inputs: Vec<Value>,
    /// For each output, whether it must be equal to the last bit on every target.
    pub exact: Vec<bool>,
}

/// The graph of a seed.
pub fn random_graph(seed: u64, config: &Config) -> Sample {
    let mut grow = Grow::new(seed, config, false);
    let rank = grow.r.below(3) + 1;
    let shape = grow.shape(rank);
    let dtype = *grow.r.pick(&[DType::F32, DType::F32, DType::I32, DType::F16]);
    let dtype = if config.dtypes.contains(&dtype) { dtype } else { config.dtypes.first().copied().unwrap_or(dtype) };
    grow.fresh(TensorTy { dtype, shape });
    for _ in 0..config.nodes {
        grow.step();
    }
    grow.finish(seed)
}

/// Everything known of a value that later steps need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    id: NodeId,
    /// No element is larger in magnitude (floats).
    bound: f64,
    /// Every target computes it to the last bit.
    exact: bool,
}

pub(crate) struct Grow<'a> {
    r: Random,
    config: &'a Config,
    g: Graph,
    bindings: Bindings,
    pool: Vec<Fact>,
    /// Growing a body: its parameters are given.
    body: bool,
    /// The extents of this graph: few, so that values often fit together.
    extents: Vec<i64>,
}

/// Edge cases, and what lies beside tile sizes.
const EXTENTS: &[i64] = &[1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 8, 9, 13, 16, 17, 31, 33];

/// Magnitudes beyond this are squashed.
const LARGE: f64 = 64.0;

impl<'a> Grow<'a> {
    fn new(seed: u64, config: &'a Config, body: bool) -> Grow<'a> {
        let g = Graph::new(if body { "body" } else { "random" });
        let mut r = Random(seed);
        let extents = (0..4).map(|_| *r.pick(EXTENTS)).collect();
        Grow { r, config, g, bindings: Bindings::new(), pool: Vec::new(), body, extents }
    }

    fn step(&mut self) {
        let total: u32 = self.config.weights.iter().map(|w| w.1).sum();
        let mut at = self.r.below(total as usize) as u32;
        for (kind, weight) in &self.config.weights {
            if at < *weight {
                // A step that does not fit what is there adds nothing.
                let _ = kind.grow(self);
                return;
            }
            at -= weight;
        }
    }

    fn extent(&mut self) -> Dim {
        let n = self.extents[self.r.below(self.extents.len())];
        match self.r.below(24) {
            0 => Dim::ZERO,
            1..=4 if self.config.symbols && !self.body => {
                let name = *self.r.pick(&["n", "m"]);
                self.bindings.entry(name.into()).or_insert(n);
                Symbol { name: name.into(), min: 0, max: 64, multiple_of: 1 }.into()
            }
            _ => Dim::from(n),
        }
    }

    fn shape(&mut self, rank: usize) -> Vec<Dim> {
        let mut shape = Vec::new();
        for _ in 0..rank {
            shape.push(self.extent());
            if self.elements(&shape).is_none() {
                shape.pop();
                shape.push(Dim::ONE);
            }
        }
        shape
    }

    /// The extents under the bindings, unless there are too many elements.
    fn elements(&self, shape: &[Dim]) -> Option<Vec<usize>> {
        let shape = Cx::new(&self.bindings).shape(shape).ok()?;
        (shape.iter().product::<usize>() <= self.config.max_elements).then_some(shape)
    }

    /// A value of this type: a parameter, or inside a body a constant. Magnitudes up to 1 (8 in f8e8m0).
    fn fresh(&mut self, ty: TensorTy) -> Fact {
        let constant = ty.const_shape().filter(|_| self.body || self.r.below(6) == 0);
        let id = match constant {
            Some(shape) => {
                let seed = self.r.bits();
                self.g.dense(ty.clone(), Array::random(ty.dtype, &shape, seed).encode()).ok()
            }
            None if self.body => self.g.splat(1i64, ty.clone()).ok(),
            None => None,
        };
        let id = id.unwrap_or_else(|| {
            let kind = *self.r.pick(&[ParamKind::Input, ParamKind::Input, ParamKind::Weight]);
            // Weights are data at hand: their size is known.
            let kind = if ty.const_shape().is_some() { kind } else { ParamKind::Input };
            let name = format!("p{}", self.g.params().len());
            self.g.param(&name, ty, kind, Loc::unknown())
        });
        self.keep(id, 8.0, true)
    }

    fn keep(&mut self, id: NodeId, bound: f64, exact: bool) -> Fact {
        let fact = Fact { id, bound, exact };
        self.pool.push(fact);
        fact
    }

    /// The operation, if its operands fit and the result is not too large. Not yet in the pool.
    fn add(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> Option<NodeId> {
        let op = op.into();
        let tys: Vec<&Ty> = operands.iter().map(|o| self.g.ty(*o)).collect();
        let ty = op.infer(&tys).ok()?;
        let parts: Vec<Ty> = match ty {
            Ty::Tuple(items) => items,
            one => vec![one],
        };
        for part in &parts {
            self.elements(&part.tensor()?.shape)?;
        }
        self.g.push(op, operands).ok()
    }

    /// Appends an operation whose result moves elements of `of` unchanged, or mixes in others as bounded.
    fn moved(&mut self, op: impl Into<Op>, operands: &[NodeId], of: Fact) -> Option<()> {
        let id = self.add(op, operands)?;
        self.keep(id, of.bound, of.exact);
        Some(())
    }

    /// Takes each tensor of a result into the pool.
    fn keep_all(&mut self, id: NodeId, bound: f64, exact: bool) -> Option<()> {
        let Ty::Tuple(items) = self.g.ty(id).clone() else {
            self.squash(id, bound, exact)?;
            return Some(());
        };
        for i in 0..items.len() {
            let part = self.g.proj(id, i).ok()?;
            self.squash(part, bound, exact)?;
        }
        Some(())
    }

    /// Takes a value into the pool; floats that may be large go through `tanh(x / bound)` first.
    fn squash(&mut self, id: NodeId, bound: f64, exact: bool) -> Option<Fact> {
        let ty = self.g.tensor(id).ok()?.clone();
        if !ty.dtype.is_float() || bound <= LARGE {
            return Some(self.keep(id, bound, exact));
        }
        let scale = self.g.splat(1.0 / bound.min(1e30), ty).ok()?;
        let small = self.g.map(ScalarOp::Mul, &[id, scale]).ok()?;
        let id = self.g.map(ScalarOp::Tanh, &[small]).ok()?;
        Some(self.keep(id, 1.0, false))
    }

    fn pick(&mut self) -> Option<Fact> {
        // Late values more often than early ones.
        let n = self.pool.len();
        let i = self.r.below(n).max(self.r.below(n));
        self.pool.get(i).copied()
    }

    fn pick_where(&mut self, f: impl Fn(&Graph, &Fact) -> bool) -> Option<Fact> {
        let fitting: Vec<Fact> = self.pool.iter().filter(|x| f(&self.g, x)).copied().collect();
        if fitting.is_empty() { None } else { Some(*self.r.pick(&fitting)) }
    }

    /// Another value of this type: one that is there, or a fresh one.
    fn like(&mut self, ty: &TensorTy) -> Fact {
        let want = Ty::from(ty.clone());
        match self.pick_where(|g, x| *g.ty(x.id) == want) {
            Some(x) if self.r.below(5) > 0 => x,
            _ => self.fresh(ty.clone()),
        }
    }

    fn ty(&self, x: Fact) -> TensorTy {
        self.g.tensor(x.id).cloned().unwrap_or(TensorTy::scalar(DType::F32))
    }

    fn finish(mut self, seed: u64) -> Sample {
        let unused: Vec<Fact> = self.pool.iter().filter(|x| self.g.users(x.id).is_empty()).copied().collect();
        let mut outputs: Vec<Fact> = unused.iter().rev().take(4).copied().collect();
        // A new value for a state now and then.
        if let (0, Some(x)) = (self.r.below(6), self.pick()) {
            let ty = self.ty(x);
            self.g.param("state", ty, ParamKind::State, Loc::unknown());
            outputs.push(x);
        }
        self.g.set_outputs(outputs.iter().map(|x| x.id).collect());
        let mut inputs = Vec::new();
        for (i, p) in self.g.params().iter().enumerate() {
            let ty = self.g.tensor(*p).cloned().unwrap_or(TensorTy::scalar(DType::F32));
            let shape = Cx::new(&self.bindings).shape(&ty.shape).unwrap_or_default();
            inputs.push(Array::random(ty.dtype, &shape, seed ^ (i as u64 + 1) << 32).into());
        }
        let exact = outputs.iter().map(|x| x.exact).collect();
        Sample { graph: self.g, bindings: self.bindings, inputs, exact }
    }
}
