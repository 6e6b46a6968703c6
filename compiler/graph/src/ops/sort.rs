//! `Sort`: stable, by the leading operands.

use super::{Rule, all_tensors, check_axis};
use crate::ty::Ty;

/// Sorts all operands together along one axis; the first `keys` of them decide, in order.
/// Floats are ordered by the total order of IEEE 754 with -0 = 0 and NaN last (first when descending).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The axis.
    pub axis: usize,
    /// Number of leading operands that are compared.
    pub keys: usize,
    /// Largest first.
    pub descending: bool,
}

impl Rule for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        check_axis(self.axis, first)?;
        if self.keys == 0 || self.keys > list.len() {
            return Err(format!("{} keys among {} operands", self.keys, list.len()));
        }
        if let Some(t) = list.iter().find(|t| t.shape != first.shape) {
            return Err(format!("shapes differ: {first} and {t}"));
        }
        Ok(match operands {
            [one] => (*one).clone(),
            _ => Ty::Tuple(operands.iter().map(|t| (*t).clone()).collect()),
        })
    }
}
