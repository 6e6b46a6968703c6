//! What is known of integers: sums over coordinates, ranges, and the conditions that masks are made of.

use super::Eval;
use super::tensor::dtype_range;
use crate::affine::{Affine, Cond, I32, Lin, Range, product, sum, within};
use crate::value::Tensor;
use girih_base::{DType, Dim, ScalarOp};
use girih_tile::{Literal, Op, ValueId};
use std::rc::Rc;

impl Eval<'_> {
    /// The range of a scalar, as far as constants tell.
    pub fn lin_range(&self, lin: &Lin) -> Range {
        let bounds = |d: &Dim| {
            let (lo, hi) = d.bounds();
            (lo as i128, hi as i128)
        };
        lin.terms.iter().fold(bounds(&lin.fixed()), |r, (v, d)| {
            let of = self.ranges.get(v).map_or(I32, |k| k.0);
            sum(r, product(of, bounds(d)))
        })
    }

    /// The range of a tile of these extents.
    pub fn affine_range(&self, a: &Affine, shape: &[u32]) -> Range {
        a.strides.iter().zip(shape).fold(self.lin_range(&a.base), |r, (s, n)| {
            let (lo, hi) = s.bounds();
            sum(r, product((0, *n as i128 - 1), (lo as i128, hi as i128)))
        })
    }

    /// Whether the value is proved to lie in `0..=i32::MAX` without wrapping; what only the launch can tell becomes a check of
    /// the launch.
    pub fn non_negative(&mut self, a: &Affine, shape: &[u32]) -> bool {
        let range = self.affine_range(a, shape);
        if range.0 < 0 {
            return false;
        }
        if range.1 <= I32.1 {
            return true;
        }
        let Some(top) = self.tile_top(a, shape).filter(|top| !top.is_too_large()) else { return false };
        self.check(top);
        true
    }

    /// The symbolic upper end of a tile, where there is one.
    pub(super) fn tile_top(&self, a: &Affine, shape: &[u32]) -> Option<Dim> {
        let mut top = a.base.fixed();
        for (v, d) in &a.base.terms {
            let Some((_, Some(most))) = self.ranges.get(v) else { return None };
            if d.bounds().0 < 0 {
                return None;
            }
            top = top + most * d;
        }
        Some(a.strides.iter().zip(shape).fold(top, |top, (s, n)| top + s * (*n as i64 - 1)))
    }

    /// The symbolic upper end of a non-negative scalar, where there is one.
    pub(super) fn top(&self, t: &Tensor) -> Option<Dim> {
        self.lin_top(&t.affine.as_deref().filter(|_| t.shape.is_empty())?.base)
    }

    /// The symbolic upper end of a sum of parts that are not negative, where there is one.
    pub fn lin_top(&self, lin: &Lin) -> Option<Dim> {
        let mut top = lin.fixed();
        for (v, d) in &lin.terms {
            let Some(((0.., _), Some(most))) = self.ranges.get(v) else { return None };
            if d.bounds().0 < 0 {
                return None;
            }
            top = top + most * d;
        }
        (!top.is_too_large()).then_some(top)
    }

    /// The symbolic lower end of a scalar, where there is one.
    pub fn bottom(&self, t: &Tensor) -> Option<Dim> {
        let a = t.affine.as_deref().filter(|_| t.shape.is_empty())?;
        let mut bottom = a.base.fixed();
        for (v, d) in &a.base.terms {
            let part = match d.bounds() {
                (0.., _) => match (self.bottoms.get(v), self.ranges.get(v)) {
                    (Some(b), _) => b * d,
                    (None, Some(((lo, _), _))) if *lo > I32.0 => &Dim::from(*lo as i64) * d,
                    _ => return None,
                },
                (_, ..=0) => match self.ranges.get(v) {
                    Some((_, Some(most))) => most * d,
                    _ => return None,
                },
                _ => return None,
            };
            bottom = bottom + part;
        }
        (!bottom.is_too_large()).then_some(bottom)
    }

    /// The symbolic upper end of a result that is not negative.
    pub fn most_of(&self, op: ScalarOp, args: &[&Tensor]) -> Option<Dim> {
        let size = |i: usize| {
            let a = args.get(i)?.affine.as_deref()?;
            a.base.dim().filter(|d| a.is_uniform() && d.bounds().0 >= 0)
        };
        let last = |d: Dim| (&d - &Dim::ONE).max_of(&Dim::ZERO);
        let most = match op {
            ScalarOp::Div => match (self.top(args[0])?, size(1)) {
                (a, Some(d)) => a.floor_div(&d.max_of(&Dim::ONE)),
                (a, None) => a,
            },
            ScalarOp::Rem => match (self.top(args[0]), size(1).map(last)) {
                (Some(a), Some(b)) => a.min_of(&b),
                (a, b) => a.or(b)?,
            },
            ScalarOp::Min => match (self.top(args[0]), self.top(args[1])) {
                (Some(a), Some(b)) => a.min_of(&b),
                (a, b) => a.or(b)?,
            },
            _ => return None,
        };
        (!most.is_too_large()).then_some(most)
    }

    /// A remainder of indices that need not wrap: the index itself.
    pub fn unwrap(&mut self, op: ScalarOp, args: &[&Tensor]) -> Option<Tensor> {
        if op != ScalarOp::Rem || self.again.needless.is_empty() || !self.again.needless.contains(&self.loc()) {
            return None;
        }
        let t = args[0];
        let (x, axis, bound) = crate::wrap::index(op, t.affine.as_deref(), args.get(1)?.affine.as_deref())?;
        if t.dtype != DType::I32 {
            return None;
        }
        let zero = self.push(Op::Const(Literal::Int(0)), DType::I32, &[]);
        self.ranges.insert(zero, ((0, 0), Some(Dim::ZERO)));
        let tile = self.b.splat(zero, &t.shape);
        let id = self.b.map(ScalarOp::Add, &[t.id, tile]);
        let mut sum = x.clone();
        sum.base = sum.base.add(&Lin::atom(zero));
        sum.wrapped.push((zero, axis));
        self.zeros.insert(zero, crate::wrap::Zero { x, bound });
        Some(Tensor { affine: Some(Rc::new(sum)), ..Tensor::new(id, t.dtype, t.shape.clone()) })
    }

    /// Remembers a remainder of indices.
    pub fn note_wrapped(&mut self, op: ScalarOp, args: &[&Tensor], result: ValueId) {
        let by = args.get(1).and_then(|t| t.affine.as_deref());
        if let Some((x, axis, bound)) = crate::wrap::index(op, args[0].affine.as_deref(), by) {
            let loc = self.loc();
            self.remainders.push(crate::wrap::Wrapped { result, loc, x, axis, bound });
        }
    }

    /// Records a size that must fit i32 at launch.
    pub fn check(&mut self, d: Dim) {
        let (lo, hi) = d.bounds();
        let fits = within((lo as i128, hi as i128), I32);
        if !fits && !self.checks.contains(&d) {
            self.checks.push(d);
        }
    }

    /// An i32 scalar with the value of a sum.
    pub fn lin_value(&mut self, lin: &Lin) -> ValueId {
        let mut total: Option<ValueId> = None;
        for (v, d) in &lin.terms {
            let part = if d.is(1) {
                *v
            } else {
                let d = self.b.size(d);
                self.b.map(ScalarOp::Mul, &[*v, d])
            };
            total = Some(match total {
                Some(t) => self.b.map(ScalarOp::Add, &[t, part]),
                None => part,
            });
        }
        let fixed = lin.fixed();
        match total {
            Some(t) if fixed.is(0) => t,
            Some(t) => {
                let f = self.b.size(&fixed);
                self.b.map(ScalarOp::Add, &[t, f])
            }
            None => self.b.size(&fixed),
        }
    }

    /// An i32 tensor that is a sum, with code for it.
    pub fn affine_tensor(&mut self, a: Affine, shape: &[u32]) -> Tensor {
        let base = self.lin_value(&a.base);
        let mut id = self.b.splat(base, shape);
        for (axis, s) in a.strides.iter().enumerate().filter(|(_, s)| !s.is(0)) {
            let mut part = self.b.arange(shape, axis);
            if !s.is(1) {
                let d = self.b.size(s);
                let d = self.b.splat(d, shape);
                part = self.b.map(ScalarOp::Mul, &[part, d]);
            }
            id = self.b.map(ScalarOp::Add, &[id, part]);
        }
        self.i32_tensor(id, a, shape)
    }

    pub fn i32_tensor(&self, id: ValueId, a: Affine, shape: &[u32]) -> Tensor {
        let range = Some(self.affine_range(&a, shape)).filter(|r| within(*r, I32));
        Tensor { affine: Some(Rc::new(a)), range, ..Tensor::new(id, DType::I32, shape.to_vec()) }
    }

    /// A symbolic size as an i32 scalar.
    pub fn dim_tensor(&mut self, d: &Dim) -> Tensor {
        self.check(d.clone());
        let id = self.b.size(d);
        let mut t = self.i32_tensor(id, Affine::scalar(Lin::new(d.clone())), &[]);
        // The launch checks it.
        let (lo, hi) = d.bounds();
        t.range = Some(((lo as i128).max(I32.0), (hi as i128).min(I32.1)));
        t
    }

    /// An i32 scalar of which nothing is known but its range.
    pub fn opaque(&mut self, id: ValueId, range: Option<Range>, most: Option<Dim>) -> Tensor {
        if let Some(r) = range {
            self.ranges.insert(id, (r, most));
        }
        self.i32_tensor(id, Affine::scalar(Lin::atom(id)), &[])
    }

    /// Makes an integer scalar an atom.
    pub fn with_atom(&mut self, mut t: Tensor, range: Option<Range>) -> Tensor {
        let natural = dtype_range(t.dtype);
        let range = range.or(natural);
        let low = self.low(&t);
        if t.dtype.bits() > 32 {
            t.low = Some(low);
        }
        if let Some(r) = range.filter(|r| within(*r, I32)) {
            self.ranges.insert(low, (r, None));
        }
        t.affine = Some(Rc::new(Affine::scalar(Lin::atom(low))));
        t.range = range;
        t
    }

    /// The value modulo 2^32 as i32.
    pub fn low(&mut self, t: &Tensor) -> ValueId {
        match (t.low, t.dtype) {
            (Some(low), _) => low,
            (None, DType::I32) => t.id,
            (None, DType::Bool) => self.b.cast(t.id, DType::I32),
            (None, DType::U32) => self.b.bitcast(t.id, DType::I32),
            (None, DType::U64) => {
                let word = self.b.cast(t.id, DType::U32);
                self.b.bitcast(word, DType::I32)
            }
            _ => self.b.cast(t.id, DType::I32),
        }
    }

    /// Whether an integer is known to fit i32, possibly by a check of the launch.
    pub fn is_small(&mut self, t: &Tensor) -> bool {
        t.fits(I32) || t.affine.clone().is_some_and(|a| self.true_sum(&a) && self.non_negative(&a, &t.shape))
    }

    /// Whether the sum is the number itself and not only equal modulo 2^32: its run-time parts are known to fit.
    pub fn true_sum(&self, a: &Affine) -> bool {
        a.base.terms.keys().all(|v| self.ranges.contains_key(v))
    }

    pub fn sum_of(&self, op: ScalarOp, args: &[&Tensor]) -> Option<Affine> {
        let a = args[0].affine.as_deref()?;
        if op == ScalarOp::Neg {
            let zero = Affine::splat(Lin::int(0), a.strides.len());
            return zero.sub(a);
        }
        let b = args.get(1)?.affine.as_deref()?;
        match op {
            ScalarOp::Add => a.add(b),
            ScalarOp::Sub => a.sub(b),
            ScalarOp::Mul => a.mul(b),
            ScalarOp::Shl => {
                let by = b.base.dim().and_then(|d| d.as_const()).filter(|n| b.is_uniform() && (0..31).contains(n))?;
                a.mul(&Affine::splat(Lin::int(1 << by), a.strides.len()))
            }
            // Sizes divide as sizes where nothing is negative.
            ScalarOp::Div | ScalarOp::Rem | ScalarOp::Min | ScalarOp::Max => {
                let (x, y) = (a.base.dim()?, b.base.dim()?);
                let known = args.iter().all(|t| t.range.is_some_and(|r| r.0 >= 0)) && a.is_uniform() && b.is_uniform();
                if !known || (y.bounds().0 < 1 && matches!(op, ScalarOp::Div | ScalarOp::Rem)) {
                    return None;
                }
                let d = match op {
                    ScalarOp::Div => x.floor_div(&y),
                    ScalarOp::Rem => x.modulo(&y),
                    ScalarOp::Min => x.min_of(&y),
                    _ => x.max_of(&y),
                };
                (!d.is_too_large()).then(|| Affine::splat(Lin::new(d), a.strides.len()))
            }
            _ => None,
        }
    }

    pub fn range_of(&self, op: ScalarOp, args: &[&Tensor]) -> Option<Range> {
        let r = |i: usize| args.get(i).and_then(|a| a.range);
        let positive = |r: Range| r.0 >= 0;
        match op {
            ScalarOp::Add => Some(sum(r(0)?, r(1)?)),
            ScalarOp::Sub => {
                let b = r(1)?;
                Some(sum(r(0)?, (-b.1, -b.0)))
            }
            ScalarOp::Mul => Some(product(r(0)?, r(1)?)),
            ScalarOp::Div if positive(r(1)?) => {
                let (a, b) = (r(0)?, r(1)?);
                if !positive(a) {
                    return Some((a.0, a.1.max(0)));
                }
                Some((a.0 / b.1.max(1), a.1 / b.0.max(1)))
            }
            ScalarOp::Rem => match (r(0), r(1)) {
                // The remainder is smaller than the divisor; of a zero divisor it is zero.
                (Some(a), Some(b)) if positive(a) && positive(b) => Some((0, a.1.min((b.1 - 1).max(0)))),
                (Some(a), _) if positive(a) => Some((0, a.1)),
                _ => None,
            },
            ScalarOp::Min => Some((r(0)?.0.min(r(1)?.0), r(0)?.1.min(r(1)?.1))),
            ScalarOp::Max => Some((r(0)?.0.max(r(1)?.0), r(0)?.1.max(r(1)?.1))),
            ScalarOp::Select => Some((r(1)?.0.min(r(2)?.0), r(1)?.1.max(r(2)?.1))),
            ScalarOp::Shr => {
                let (a, b) = (r(0)?, r(1)?);
                (positive(a) && b.0 >= 0).then(|| (0, a.1 >> b.0.min(100)))
            }
            ScalarOp::Shl => {
                let (a, b) = (r(0)?, r(1)?);
                (positive(a) && b.0 >= 0 && b.1 < 63).then(|| (a.0, a.1.saturating_mul(1 << b.1)))
            }
            ScalarOp::And => match (r(0), r(1)) {
                (Some(a), Some(b)) if positive(a) && positive(b) => Some((0, a.1.min(b.1))),
                (Some(a), _) | (_, Some(a)) if positive(a) => Some((0, a.1)),
                _ => None,
            },
            _ => None,
        }
    }

    /// What a bool operation says about sums.
    pub fn condition(&self, op: ScalarOp, args: &[&Tensor]) -> Option<Rc<Vec<Cond>>> {
        if op == ScalarOp::And {
            let (a, b) = (args[0].cond.as_deref()?, args[1].cond.as_deref()?);
            return Some(Rc::new(a.iter().chain(b).cloned().collect()));
        }
        if !args[0].dtype.is_signed() || !args[0].dtype.is_int() || args[0].dtype.bits() < 32 {
            return None;
        }
        // Sums hold modulo 2^32, wide integers are compared with all their bits.
        if args[0].dtype.bits() > 32 && !args.iter().all(|t| t.fits(I32)) {
            return None;
        }
        let (mut a, mut b) = (args[0].affine.as_deref()?.clone(), args.get(1)?.affine.as_deref()?.clone());
        let one = |a: &mut Affine| a.base = a.base.add(&Lin::int(1));
        match op {
            ScalarOp::Lt => {}
            ScalarOp::Le => one(&mut b),
            ScalarOp::Gt => std::mem::swap(&mut a, &mut b),
            ScalarOp::Ge => {
                std::mem::swap(&mut a, &mut b);
                one(&mut b);
            }
            _ => return None,
        }
        // a < b, and a constant a says how small b may be.
        if let (Some(c), true) = (a.base.dim().and_then(|d| d.as_const()), a.is_uniform()) {
            let above = Affine { base: b.base.sub(&Lin::int(c.saturating_add(1))), ..b };
            return Some(Rc::new(vec![Cond::NonNegative(above)]));
        }
        // Run-time parts and coordinates go to the left, sizes stay on the right.
        let bound = b.base.fixed();
        let rest = Affine { base: b.base.sub(&Lin::new(bound.clone())), ..b };
        let left = a.sub(&rest)?;
        if left.strides.iter().any(|s| s.as_const().is_none_or(|c| c < 0)) {
            return None;
        }
        Some(Rc::new(vec![Cond::Below(left, bound)]))
    }
}
