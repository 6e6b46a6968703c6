//! Random numbers that depend on nothing but a key: Threefry-2x32, bit for bit those of `jax.random`.
//!
//! A key is used once; [`Key::split`] makes more of it.
//!
//! ```
//! # use girih::prelude::*;
//! let [a, b] = Key::new(0).split();
//! let x = a.normal(DType::F32, [2, 3]);
//! let y = b.uniform(DType::F32, [2, 3]);
//! assert_eq!((x.dims::<2>()?, y.dims::<2>()?), ([2, 3], [2, 3]));
//! # Ok::<(), Box<Diag>>(())
//! ```

use crate::ops::Shape;
use crate::tensor::Tensor;
use crate::tree::Tree;
use girih_base::{DType, Diag, Dim, Loc, Result};
use girih_graph::{Graph, NodeId, random as lib};

/// A random key: u32 `[2]`.
#[derive(Clone, Debug, Tree)]
pub struct Key(pub Tensor);

impl Key {
    /// The key of a seed; `jax.random.key(seed)`.
    #[track_caller]
    pub fn new(seed: u64) -> Key {
        Key(Tensor::apply(&[], Loc::caller(), |g, _| lib::key(g, seed)))
    }

    /// `N` independent keys.
    #[track_caller]
    pub fn split<const N: usize>(&self) -> [Key; N] {
        let loc = Loc::caller();
        let keys = Tensor::apply(&[&self.0], loc.clone(), |g, i| lib::split(g, i[0], N));
        std::array::from_fn(|n| Key(Tensor::apply(&[&keys], loc.clone(), |g, i| lib::nth(g, i[0], n))))
    }

    /// A key that depends on this one and on a number, for example the step of training.
    #[track_caller]
    pub fn fold_in(&self, number: u32) -> Key {
        let fold = |g: &mut Graph, i: &[NodeId]| -> Result<NodeId> {
            let number = g.scalar(i64::from(number), DType::U32)?;
            lib::fold_in(g, i[0], number)
        };
        Key(Tensor::apply(&[&self.0], Loc::caller(), fold))
    }

    /// Floats uniform in 0..1; f16, bf16, f32 or f64.
    #[track_caller]
    pub fn uniform(&self, dtype: DType, shape: impl Shape) -> Tensor {
        self.uniform_in(dtype, shape, 0.0, 1.0)
    }

    /// Floats uniform in `low..high`.
    #[track_caller]
    pub fn uniform_in(&self, dtype: DType, shape: impl Shape, low: f64, high: f64) -> Tensor {
        self.draw(shape, |g, key, shape| lib::uniform(g, key, shape, dtype, low, high))
    }

    /// Standard normal floats; f16, bf16, f32 or f64.
    #[track_caller]
    pub fn normal(&self, dtype: DType, shape: impl Shape) -> Tensor {
        self.draw(shape, |g, key, shape| lib::normal(g, key, shape, dtype))
    }

    /// bool, true with probability `p`.
    #[track_caller]
    pub fn bernoulli(&self, p: f64, shape: impl Shape) -> Tensor {
        self.draw(shape, |g, key, shape| lib::bernoulli(g, key, p, shape))
    }

    #[track_caller]
    fn draw(&self, shape: impl Shape, f: impl FnOnce(&mut Graph, NodeId, &[Dim]) -> Result<NodeId>) -> Tensor {
        let loc = Loc::caller();
        match shape.dims(None) {
            Ok(shape) => Tensor::apply(&[&self.0], loc, |g, i| f(g, i[0], &shape)),
            Err(why) => Tensor::refused(Diag::error("T012", why).at(&loc, "this shape")),
        }
    }
}
