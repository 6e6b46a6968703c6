//! The folds: associative operations with an identity.

use crate::grad::{Backward, Site};
use crate::graph::{Graph, NodeId};
use crate::literal::Number;
use crate::text::attrs::{Field, Item, Symbols};
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Result as DiagResult};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An associative operation with an identity. Several state values make a tuple result.
#[derive(Clone, Debug)]
pub enum Monoid {
    /// Sum.
    Sum,
    /// Product.
    Prod,
    /// Maximum; NaN wins.
    Max,
    /// Minimum; NaN wins.
    Min,
    /// Bitwise or logical and.
    And,
    /// Bitwise or logical or.
    Or,
    /// Bitwise or logical exclusive or.
    Xor,
    /// Maximum and its first position (i32): two results.
    ArgMax,
    /// Minimum and its first position (i32): two results.
    ArgMin,
    /// Mean and sum of squared deviations: two results (Welford; Chan et al. for merging).
    Welford,
    /// Maximum m and sum of exp(x - m): two results (Milakov and Gimelshein's online softmax).
    Online,
    /// Any other: a body over (state.., state..) giving state, and the identity of each state value.
    Custom(Arc<Graph>, Vec<Number>),
}

impl Monoid {
    /// Every monoid that has a name of its own.
    pub const PLAIN: &'static [Monoid] = &[
        Monoid::Sum,
        Monoid::Prod,
        Monoid::Max,
        Monoid::Min,
        Monoid::And,
        Monoid::Or,
        Monoid::Xor,
        Monoid::ArgMax,
        Monoid::ArgMin,
        Monoid::Welford,
        Monoid::Online,
    ];

    /// Number of results for `operands` operands.
    pub fn results(&self, operands: usize) -> usize {
        match self {
            Monoid::ArgMax | Monoid::ArgMin | Monoid::Welford | Monoid::Online => 2,
            Monoid::Custom(..) => operands,
            _ => 1,
        }
    }

    /// Name in the text form.
    pub fn name(&self) -> &'static str {
        match self {
            Monoid::Sum => "sum",
            Monoid::Prod => "prod",
            Monoid::Max => "max",
            Monoid::Min => "min",
            Monoid::And => "and",
            Monoid::Or => "or",
            Monoid::Xor => "xor",
            Monoid::ArgMax => "argmax",
            Monoid::ArgMin => "argmin",
            Monoid::Welford => "welford",
            Monoid::Online => "online",
            Monoid::Custom(..) => "custom",
        }
    }

    /// The dtypes of the results of folding `operands` in `acc`, or why they do not fit.
    pub(super) fn infer(&self, operands: &[&TensorTy], acc: DType) -> Result<Vec<DType>, String> {
        if let Monoid::Custom(body, identity) = self {
            let n = operands.len();
            if body.params().len() != 2 * n || body.outputs().len() != n || identity.len() != n {
                return Err(format!(
                    "a custom fold of {n} values needs a body of {} parameters and {n} results",
                    2 * n
                ));
            }
            let scalars = operands.iter().map(|t| Ty::from(TensorTy::scalar(t.dtype))).cycle().take(3 * n);
            let state = body.params().iter().chain(body.outputs()).map(|id| body.ty(*id));
            if let Some((want, got)) = scalars.zip(state).find(|(want, got)| want != *got) {
                return Err(format!("the body of a custom fold must take and give scalars: {want}, not {got}"));
            }
            return Ok(operands.iter().map(|t| t.dtype).collect());
        }
        let [x] = operands else { return Err(format!("`{}` folds one tensor, got {}", self.name(), operands.len())) };
        let fits = match self {
            Monoid::And | Monoid::Or | Monoid::Xor => (x.dtype.is_int() || x.dtype == DType::Bool) && acc == x.dtype,
            Monoid::Welford | Monoid::Online => x.dtype.is_float() && acc.is_float() && acc.bits() >= x.dtype.bits(),
            Monoid::Sum | Monoid::Prod => {
                x.dtype != DType::Bool && acc.is_float() == x.dtype.is_float() && acc.bits() >= x.dtype.bits()
            }
            _ => x.dtype != DType::Bool && acc == x.dtype,
        };
        if !fits {
            return Err(format!("`{}` cannot fold {} in {acc}", self.name(), x.dtype));
        }
        Ok(match self {
            Monoid::ArgMax | Monoid::ArgMin => vec![acc, DType::I32],
            Monoid::Welford | Monoid::Online => vec![acc, acc],
            _ => vec![acc],
        })
    }
}

// A custom body is compared by identity: two bodies built apart are different monoids.
impl PartialEq for Monoid {
    fn eq(&self, other: &Monoid) -> bool {
        match (self, other) {
            (Monoid::Custom(a, x), Monoid::Custom(b, y)) => Arc::ptr_eq(a, b) && x == y,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Monoid {}

impl Hash for Monoid {
    fn hash<H: Hasher>(&self, h: &mut H) {
        std::mem::discriminant(self).hash(h);
        if let Monoid::Custom(body, identity) = self {
            (Arc::as_ptr(body) as usize).hash(h);
            identity.hash(h);
        }
    }
}

impl Field for Monoid {
    fn item(&self) -> Item {
        match self {
            Monoid::Custom(body, identity) => Item::Call("custom", vec![body.item(), identity.item()]),
            plain => Item::Word(plain.name().into()),
        }
    }
    fn read(item: Item, symbols: &Symbols) -> Result<Monoid, String> {
        match item {
            Item::Call("custom", items) => {
                let [body, identity]: [Item; 2] =
                    items.try_into().map_err(|_| "expected custom(@body, [identity, ..])")?;
                Ok(Monoid::Custom(Field::read(body, symbols)?, Field::read(identity, symbols)?))
            }
            Item::Word(w) => Monoid::PLAIN.iter().find(|m| m.name() == w).cloned().ok_or(format!("no fold `{w}`")),
            _ => Err("expected a fold".into()),
        }
    }
}

impl Monoid {
    /// The operands in the dtype they are folded in.
    pub(super) fn widened(&self, b: &mut Backward, at: &Site, acc: DType) -> DiagResult<Vec<NodeId>> {
        match self {
            Monoid::Custom(..) => Ok(at.operands.clone()),
            _ => at.operands.iter().map(|o| b.g.cast(*o, acc)).collect(),
        }
    }
}
