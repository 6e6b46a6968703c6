//! How often loops go round, and what their index is: as sums where sizes tell, and as nothing where the launch makes them needless.

use super::Eval;
use crate::affine::{Affine, I32, Lin, within};
use crate::signature::Assume;
use crate::value::{RangeOf, Tensor, Value};
use girih_base::{DType, Dim, Loc, Result, ScalarOp};
use girih_tile::ValueId;

impl Eval<'_> {
    /// First value, step and number of rounds of a range, as tensors and a sum; the number is not negative.
    pub(super) fn rounds(&mut self, r: &RangeOf) -> Result<(Tensor, Tensor, Lin)> {
        let mut parts = Vec::new();
        for v in [&r.lo, &r.hi, &r.step] {
            let t = self.expect_tensor(v, "a bound of the range")?;
            if !t.dtype.is_int() || t.shape.iter().any(|n| *n != 1) {
                return Err(self
                    .error("K004", format!("the bounds of a range are integer scalars, got {v}"), "this range")
                    .help("`.to(tl.int32)` cuts the fraction of a float off"));
            }
            parts.push(self.reshape(&t, &[])?);
        }
        let mut wide = false;
        for t in &parts {
            wide |= t.dtype != DType::I32 && !self.is_small(t);
        }
        let dtype = if wide { DType::I64 } else { DType::I32 };
        let (step, hi, lo) = (parts.remove(2), parts.remove(1), parts.remove(0));
        let (lo, hi, step) = (self.cast(&lo, dtype)?, self.cast(&hi, dtype)?, self.cast(&step, dtype)?);
        let known = step.affine.as_ref().and_then(|a| a.base.dim()).and_then(|d| d.as_const());
        if known == Some(0) {
            return Err(self.error("K006", "the step of a range is zero", "this range"));
        }
        let (from, to) = if known.is_some_and(|s| s < 0) { (&hi, &lo) } else { (&lo, &hi) };
        let span = self.map(ScalarOp::Sub, &[to, from])?;
        let size = known.map(|s| s.unsigned_abs() as i64);
        let symbolic = span.affine.as_ref().and_then(|a| a.base.dim()).filter(|_| !wide);
        let by = step.affine.as_ref().and_then(|a| a.base.dim()).filter(|d| d.bounds().0 >= 1);
        if let (Some(d), Some(by)) = (&symbolic, size.map(Dim::from).or(by)) {
            let trips = d.ceil_div(&by).max_of(&Dim::ZERO);
            if !trips.is_too_large() {
                return Ok((lo, step, Lin::new(trips)));
            }
        }
        let one = self.number(&Value::Int(1), dtype)?;
        let trips = match size {
            Some(1) => span,
            Some(n) => {
                let (less, by) =
                    (self.number(&Value::Int(n as i128 - 1), dtype)?, self.number(&Value::Int(n as i128), dtype)?);
                let up = self.map(ScalarOp::Add, &[&span, &less])?;
                self.map(ScalarOp::Div, &[&up, &by])?
            }
            None => {
                // (span + step - sign) / step, for steps of either sign.
                let positive = step.range.is_some_and(|r| r.0 >= 1);
                let sign = if positive { one } else { self.map(ScalarOp::Sign, &[&step])? };
                let less = self.map(ScalarOp::Sub, &[&step, &sign])?;
                let up = self.map(ScalarOp::Add, &[&span, &less])?;
                self.map(ScalarOp::Div, &[&up, &step])?
            }
        };
        let zero = self.number(&Value::Int(0), dtype)?;
        let trips =
            if trips.range.is_some_and(|r| r.0 >= 0) { trips } else { self.map(ScalarOp::Max, &[&trips, &zero])? };
        let range = trips.range.filter(|r| within(*r, I32));
        let low = self.low(&trips);
        let lin = match (&trips.affine, dtype) {
            (Some(a), DType::I32) => a.base.clone(),
            _ => Lin::atom(low),
        };
        if lin.terms.len() == 1 && lin.terms.contains_key(&low) {
            let (lo, hi) = range.unwrap_or((0, I32.1));
            let most = self.ranges.get(&low).and_then(|known| known.1.clone());
            self.ranges.insert(low, ((lo.max(0), hi), most));
        }
        Ok((lo, step, lin))
    }

    /// Whether a loop makes one round at the launch this is compiled for.
    pub(super) fn once(&mut self, trips: &Lin) -> bool {
        match (trips.dim(), &self.assume) {
            (Some(d), Assume::Launch(_)) => self.suppose(&[&d - &Dim::ONE, &Dim::ONE - &d]),
            _ => false,
        }
    }

    /// The target of a loop that is no loop: it makes one round, or its rounds are programs.
    pub(super) fn only_round(&mut self, loc: &Loc, once: bool, lo: &Tensor) -> Option<Tensor> {
        if once && self.again.once.contains(loc) {
            return Some(lo.clone());
        }
        let spread = self.again.spread.clone().filter(|s| s.loc == *loc)?;
        self.several(spread.axis).then(|| {
            self.spread += 1;
            self.program(spread.axis, &spread.count)
        })
    }

    /// The axis of `range(program_id(axis), n, num_programs(axis))`, and `n`, if the grid has several programs along it.
    pub(super) fn over_programs(&mut self, r: &RangeOf) -> Option<(usize, Dim)> {
        let [lo, hi, step] = [&r.lo, &r.hi, &r.step].map(|v| match v {
            Value::Tensor(t) if t.dtype == DType::I32 && t.shape.is_empty() => {
                t.affine.as_deref().map(|a| a.base.clone())
            }
            _ => None,
        });
        let (lo, hi, step) = (lo?, hi?.dim()?, step?.dim()?);
        let axis = self.programs.iter().position(|ids| ids.iter().any(|v| lo.sub(&Lin::atom(*v)).is_zero()))?;
        let launched = matches!(self.assume, Assume::Launch(_)) && hi.bounds().0 >= 0 && step == self.grid[axis];
        (launched && self.several(axis)).then_some((axis, hi))
    }

    /// Whether the grid has several programs along an axis, at the launch this is compiled for.
    fn several(&mut self, axis: usize) -> bool {
        let more = &self.grid[axis] - &Dim::from(2);
        self.suppose(&[more])
    }

    /// `lo + round * step`.
    pub(super) fn loop_index(&mut self, lo: &Tensor, step: &Tensor, round: ValueId) -> Result<Tensor> {
        let known = self.ranges.get(&round).cloned();
        let mut r = self.affine_tensor(Affine::scalar(Lin::atom(round)), &[]);
        r.range = known.map(|k| k.0);
        let r = self.cast(&r, lo.dtype)?;
        let part = self.map(ScalarOp::Mul, &[&r, step])?;
        let mut index = self.map(ScalarOp::Add, &[lo, &part])?;
        // Indices lie between the first value and the end, which are i32 where the index is.
        if index.range.is_none() && lo.range.is_some_and(|r| r.0 >= 0) && step.range.is_some_and(|r| r.0 >= 0) {
            index.range = Some((lo.range.map_or(0, |r| r.0), I32.1));
        }
        Ok(index)
    }
}
