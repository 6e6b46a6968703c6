//! What only a launch can tell: conditions that a form of the kernel assumes, and every launch tests.

use super::Eval;
use crate::affine::{Cond, I32, Range};
use crate::signature::Assume;
use crate::value::Tensor;
use girih_base::{DType, Dim, ScalarOp};

impl Eval<'_> {
    /// The range of a quotient of which only the launch can tell that the divisor is positive, where that may be assumed.
    pub fn assume_positive(&mut self, op: ScalarOp, args: &[&Tensor]) -> Option<Range> {
        if self.assume == Assume::Nothing
            || op != ScalarOp::Div
            || !args[0].shape.is_empty()
            || args[0].dtype != DType::I32
        {
            return None;
        }
        let (a, b) = (args[0].range.filter(|r| r.0 >= 0)?, args[1]);
        if b.range.is_some_and(|r| r.0 >= 0) {
            return None;
        }
        let least = &self.bottom(b)? - &Dim::ONE;
        let fine = match self.assume {
            Assume::Launch(_) => self.suppose(&[least]),
            _ if least.bounds().1 < 0 || least.is_too_large() => false,
            _ => {
                self.assumed(least);
                true
            }
        };
        fine.then_some((0, a.1))
    }

    /// The range of an index of which only the launch can tell that it does not wrap around, where that may be assumed.
    pub fn assume_index(&mut self, t: &Tensor) -> Option<Range> {
        if t.range.is_some() || t.dtype != DType::I32 || !matches!(self.assume, Assume::Launch(_)) {
            return t.range;
        }
        let a = t.affine.clone().filter(|a| t.shape.is_empty() && self.true_sum(a))?;
        if self.lin_range(&a.base).0 < 0 {
            return None;
        }
        let room = Dim::from(I32.1 as i64) - self.top(t)?;
        self.suppose(&[room]).then_some((0, I32.1))
    }

    fn assumed(&mut self, least: Dim) {
        if !self.assumes.contains(&least) {
            self.assumes.push(least);
        }
    }

    /// Whether sizes are not negative: always, or at the launch this is compiled for.
    pub fn suppose(&mut self, sizes: &[Dim]) -> bool {
        let open: Vec<&Dim> = sizes.iter().filter(|d| d.bounds().0 < 0 || d.is_too_large()).collect();
        let mut fine = true;
        for d in &open {
            match d.eval(&self.known) {
                Ok(0..) if !d.is_too_large() => {}
                Ok(_) if !d.is_too_large() && !self.missed.contains(d) => {
                    self.missed.push((*d).clone());
                    fine = false;
                }
                _ => fine = false,
            }
        }
        if fine {
            open.into_iter().for_each(|d| self.assumed(d.clone()));
        }
        fine
    }

    /// Whether conditions hold for every element of every program: always, or at the launch this is compiled for.
    pub fn everywhere(&mut self, conds: &[Cond], shape: &[u32]) -> bool {
        let room = |e: &Self, c: &Cond| {
            let Cond::Below(left, bound) = c else { return None };
            if !e.true_sum(left) || e.affine_range(left, shape).0 < 0 {
                return None;
            }
            let top = e.tile_top(left, shape)?;
            Some(bound - &top - Dim::ONE)
        };
        match conds.iter().map(|c| room(self, c)).collect::<Option<Vec<Dim>>>() {
            Some(sizes) if self.suppose(&sizes) => {
                // The bound itself must not have wrapped.
                for c in conds {
                    if let Cond::Below(_, bound) = c {
                        self.check(bound.clone());
                    }
                }
                true
            }
            _ => false,
        }
    }
}
