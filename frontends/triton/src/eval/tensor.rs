//! Arithmetic on tiles: code, and beside it what is known of integers.

use super::Eval;
use super::promote;
use crate::affine::{Affine, Cond, I32, Lin, Range, product, sum, within};
use crate::value::{Tensor, Value, describe_type, type_name};
use girih_base::{DType, Dim, Result, ScalarOp};
use girih_tile::{Literal, Op, TileTy, ValueId};
use std::rc::Rc;

impl Eval<'_> {
    // Integers as sums.

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
        let mut top = a.base.fixed();
        for (v, d) in &a.base.terms {
            let Some((_, Some(most))) = self.ranges.get(v) else { return false };
            top = top + most * d;
        }
        for (s, n) in a.strides.iter().zip(shape) {
            top = top + s * (*n as i64 - 1);
        }
        if top.is_too_large() {
            return false;
        }
        self.check(top);
        true
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

    fn i32_tensor(&self, id: ValueId, a: Affine, shape: &[u32]) -> Tensor {
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

    /// A new integer or other scalar or tile; integer scalars become atoms of sums.
    pub fn fresh_tensor(&mut self, id: ValueId, dtype: DType, shape: &[u32]) -> Tensor {
        let mut t = Tensor::new(id, dtype, shape.to_vec());
        if dtype.is_int() && shape.is_empty() {
            t = self.with_atom(t, None);
        }
        t
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

    // Constants.

    /// A Python number as a tensor of this type.
    pub fn number(&mut self, v: &Value, dtype: DType) -> Result<Tensor> {
        let ty = TileTy::scalar(dtype);
        let literal = match (v, dtype) {
            (v, DType::Bool) => Literal::Int(v.truth().unwrap_or(false) as i64),
            (v, d) if d.is_float() => Literal::float(v.as_f64().unwrap_or(f64::NAN)),
            (Value::Float(f), _) if *f == 0.0 => Literal::Int(0),
            (Value::Float(f), d) => {
                return Err(self.error("K004", format!("{f:?} is not a value of {}", type_name(d)), "needed here"));
            }
            (v, d) => {
                let int = v.as_int().unwrap_or(0);
                let t = girih_base::scalar::IntType::of(d);
                if t.is_none_or(|t| !(t.min()..=t.max()).contains(&int)) {
                    return Err(self
                        .error("K004", format!("{int} is out of range for {}", type_name(d)), "needed here")
                        .help("cast one operand explicitly"));
                }
                // The bits count: large u64 become negative.
                Literal::Int(int as i64)
            }
        };
        let id = self.b.constant(literal, ty);
        let mut t = Tensor::new(id, dtype, Vec::new());
        if let (Literal::Int(i), true) = (literal, dtype.is_int()) {
            let wrapped = i as i32 as i64;
            t.affine = Some(Rc::new(Affine::scalar(Lin::int(wrapped))));
            t.range = v.as_int().map(|i| (i, i));
            if dtype.bits() > 32 {
                t.low = Some(self.b.int(wrapped));
            }
        }
        Ok(t)
    }

    /// A value as a tensor; Python numbers get their own type.
    pub fn tensor(&mut self, v: &Value) -> Result<Tensor> {
        match v {
            Value::Tensor(t) => Ok(t.clone()),
            Value::Bool(_) => self.number(v, DType::Bool),
            Value::Int(i) => match promote::of_int(*i) {
                Some(d) => self.number(v, d),
                None => Err(self.error("K004", format!("{i} does not fit 64 bits"), "needed here")),
            },
            Value::Float(f) => self.number(v, promote::of_float(*f)),
            other => Err(self.error("K004", format!("expected a number or a tensor, got {other}"), "here")),
        }
    }

    // Shapes.

    /// Repeats a tensor to a shape; axes are added in front, extents of 1 repeat.
    pub fn broadcast_to(&mut self, t: &Tensor, shape: &[u32]) -> Result<Tensor> {
        if t.shape == shape {
            return Ok(t.clone());
        }
        let skip = shape.len().wrapping_sub(t.shape.len());
        let fits = t.shape.len() <= shape.len()
            && t.shape.iter().zip(&shape[skip..]).all(|(have, want)| have == want || *have == 1);
        if !fits {
            return Err(self.shapes_differ(&t.shape, shape));
        }
        let kept: Vec<usize> = (0..t.shape.len()).filter(|i| t.shape[*i] != 1).collect();
        let spread = |e: &mut Self, id: ValueId| {
            let inner: Vec<u32> = kept.iter().map(|i| t.shape[*i]).collect();
            let id = e.b.reshape(id, &inner);
            let axes: Vec<usize> = kept.iter().map(|i| i + skip).collect();
            e.b.broadcast(id, shape, &axes)
        };
        let id = spread(self, t.id);
        let low = t.low.map(|low| spread(self, low));
        let widen = |a: &Affine| {
            let mut strides = vec![Dim::ZERO; shape.len()];
            for i in &kept {
                strides[i + skip] = a.strides[*i].clone();
            }
            Affine { base: a.base.clone(), strides }
        };
        Ok(Tensor {
            id,
            low,
            dtype: t.dtype,
            shape: shape.to_vec(),
            affine: t.affine.as_ref().map(|a| Rc::new(widen(a))),
            range: t.range,
            cond: t.cond.as_ref().map(|c| Rc::new(c.iter().map(|c| c.map(widen)).collect())),
        })
    }

    /// The common shape of two tensors.
    pub fn common_shape(&self, a: &[u32], b: &[u32]) -> Result<Vec<u32>> {
        let rank = a.len().max(b.len());
        let at = |s: &[u32], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
        (0..rank)
            .map(|i| match (at(a, i), at(b, i)) {
                (x, y) if x == y || y == 1 => Ok(x),
                (1, y) => Ok(y),
                _ => Err(self.shapes_differ(a, b)),
            })
            .collect()
    }

    fn shapes_differ(&self, a: &[u32], b: &[u32]) -> Box<girih_base::Diag> {
        self.error("K005", format!("shapes {a:?} and {b:?} do not fit together"), "these operands")
            .note("extents must agree or be 1, counted from the last axis")
            .help("add axes with `[:, None]`, or reshape one of them")
    }

    pub fn broadcast_pair(&mut self, a: Tensor, b: Tensor) -> Result<(Tensor, Tensor)> {
        let shape = self.common_shape(&a.shape, &b.shape)?;
        Ok((self.broadcast_to(&a, &shape)?, self.broadcast_to(&b, &shape)?))
    }

    /// The same elements in another shape.
    pub fn reshape(&mut self, t: &Tensor, shape: &[u32]) -> Result<Tensor> {
        if t.shape == shape {
            return Ok(t.clone());
        }
        let count = |s: &[u32]| s.iter().map(|n| *n as u64).product::<u64>();
        if count(&t.shape) != count(shape) {
            let (have, want) = (describe_type(t.dtype, &t.shape), count(shape));
            return Err(self.error(
                "K005",
                format!("{have} cannot become {shape:?}: {want} elements"),
                "reshaped here",
            ));
        }
        let id = self.b.reshape(t.id, shape);
        let low = t.low.map(|low| self.b.reshape(low, shape));
        // Sums survive when only axes of extent 1 come and go.
        let real = |s: &[u32]| s.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
        let keep = real(&t.shape) == real(shape);
        let from: Vec<usize> = (0..t.shape.len()).filter(|i| t.shape[*i] != 1).collect();
        let to: Vec<usize> = (0..shape.len()).filter(|i| shape[*i] != 1).collect();
        let moved = |a: &Affine| {
            let mut strides = vec![Dim::ZERO; shape.len()];
            for (f, t) in from.iter().zip(&to) {
                strides[*t] = a.strides[*f].clone();
            }
            Affine { base: a.base.clone(), strides }
        };
        let uniform = |a: &Affine| Affine::splat(a.base.clone(), shape.len());
        Ok(Tensor {
            id,
            low,
            dtype: t.dtype,
            shape: shape.to_vec(),
            affine: t.affine.as_ref().and_then(|a| match keep {
                true => Some(Rc::new(moved(a))),
                false => a.is_uniform().then(|| Rc::new(uniform(a))),
            }),
            range: t.range,
            cond: t.cond.as_ref().filter(|_| keep).map(|c| Rc::new(c.iter().map(|c| c.map(moved)).collect())),
        })
    }

    /// Axes reordered.
    pub fn permute(&mut self, t: &Tensor, perm: &[usize]) -> Tensor {
        let id = self.b.permute(t.id, perm);
        let low = t.low.map(|low| self.b.permute(low, perm));
        let turn =
            |a: &Affine| Affine { base: a.base.clone(), strides: perm.iter().map(|p| a.strides[*p].clone()).collect() };
        Tensor {
            id,
            low,
            dtype: t.dtype,
            shape: perm.iter().map(|p| t.shape[*p]).collect(),
            affine: t.affine.as_ref().map(|a| Rc::new(turn(a))),
            range: t.range,
            cond: t.cond.as_ref().map(|c| Rc::new(c.iter().map(|c| c.map(turn)).collect())),
        }
    }

    // Conversions.

    /// Triton's `cast`.
    pub fn cast(&mut self, t: &Tensor, to: DType) -> Result<Tensor> {
        if t.dtype == to {
            return Ok(t.clone());
        }
        if to == DType::Bool {
            let zero = self.b.constant(
                if t.dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) },
                TileTy::new(t.dtype, t.shape.clone()),
            );
            let id = self.b.map(ScalarOp::Ne, &[t.id, zero]);
            return Ok(Tensor::new(id, to, t.shape.clone()));
        }
        if !(t.dtype.is_int() && to.is_int()) {
            let id = self.b.cast(t.id, to);
            let range = if t.dtype == DType::Bool && to.is_int() { Some((0, 1)) } else { None };
            let out = Tensor { range, ..Tensor::new(id, to, t.shape.clone()) };
            return Ok(if to.is_int() && t.shape.is_empty() { self.with_atom(out, range) } else { out });
        }
        // Between integers the low bits stay, and the value too where it fits.
        let target = dtype_range(to).unwrap_or(I32);
        let range = t.range.or(dtype_range(t.dtype)).filter(|r| within(*r, target));
        let low = self.low(t);
        let id = match (to, range) {
            (DType::I32, _) => low,
            (DType::U32, _) => self.b.bitcast(low, DType::U32),
            // A value known to fit 32 bits is widened from its low word, so that no wide arithmetic is needed before.
            (_, Some(r)) if to.bits() == 64 && t.dtype.bits() == 64 && within(r, I32) => self.b.cast(low, to),
            _ => self.b.cast(t.id, to),
        };
        let wide = to.bits() == 64;
        // Narrow types wrap at fewer bits than sums do.
        let affine = t.affine.clone().filter(|_| to.bits() >= 32 || range.is_some());
        Ok(Tensor { id, dtype: to, shape: t.shape.clone(), affine, low: wide.then_some(low), range, cond: None })
    }

    /// Bits reinterpreted.
    pub fn bitcast(&mut self, t: &Tensor, to: DType) -> Result<Tensor> {
        if t.dtype == to {
            return Ok(t.clone());
        }
        let width = |d: DType| if d == DType::Bool { 1 } else { d.bits() };
        if width(t.dtype) != width(to) {
            let (a, b) = (type_name(t.dtype), type_name(to));
            return Err(self.error("K004", format!("{a} and {b} do not have the same number of bits"), "bitcast here"));
        }
        if t.dtype.is_int() && to.is_int() {
            return self.cast(t, to);
        }
        let id = self.b.bitcast(t.id, to);
        Ok(self.fresh_tensor(id, to, &t.shape.clone()))
    }

    // Operations.

    /// A scalar operation on operands of one type and shape.
    pub fn map(&mut self, op: ScalarOp, args: &[&Tensor]) -> Result<Tensor> {
        let dtypes: Vec<DType> = args.iter().map(|a| a.dtype).collect();
        let dtype = op.infer(&dtypes).map_err(|m| self.error("K004", m, "here"))?;
        let shape = args[0].shape.clone();
        if let Some(t) = self.small_wide(op, args, dtype)? {
            return Ok(t);
        }
        let ids: Vec<ValueId> = args.iter().map(|a| a.id).collect();
        let id = self.b.map(op, &ids);
        let mut out = Tensor::new(id, dtype, shape.clone());
        if dtype == DType::Bool {
            out.cond = self.condition(op, args);
            return Ok(out);
        }
        if !dtype.is_int() {
            return Ok(out);
        }
        let ring = matches!(op, ScalarOp::Add | ScalarOp::Sub | ScalarOp::Mul | ScalarOp::Neg | ScalarOp::Select);
        if dtype.bits() == 64 {
            let bitwise = matches!(op, ScalarOp::And | ScalarOp::Or | ScalarOp::Xor | ScalarOp::Not);
            let low = if ring || bitwise {
                let from = usize::from(op == ScalarOp::Select);
                let mut lows: Vec<ValueId> = args[..from].iter().map(|a| a.id).collect();
                for a in &args[from..] {
                    lows.push(self.low(a));
                }
                self.b.map(op, &lows)
            } else {
                let plain = Tensor::new(id, dtype, shape.clone());
                self.low(&plain)
            };
            out.low = Some(low);
        }
        out.range = self.range_of(op, args).filter(|r| dtype_range(dtype).is_some_and(|d| within(*r, d)));
        let narrow = dtype.bits() < 32 && out.range.is_none();
        out.affine = self.sum_of(op, args).filter(|_| !narrow).map(Rc::new);
        if out.affine.is_none() && shape.is_empty() && !narrow {
            let range = out.range;
            return Ok(self.with_atom(out, range));
        }
        Ok(out)
    }

    /// Comparisons, divisions and choices of 64-bit integers that are known to fit 32 bits.
    fn small_wide(&mut self, op: ScalarOp, args: &[&Tensor], dtype: DType) -> Result<Option<Tensor>> {
        use ScalarOp::{Div, Eq, Ge, Gt, Le, Lt, Max, Min, Ne, Rem};
        let wide = args[0].dtype.is_int() && args[0].dtype.bits() == 64;
        if !wide || !matches!(op, Eq | Ne | Lt | Le | Gt | Ge | Min | Max | Div | Rem) {
            return Ok(None);
        }
        // All or nothing: a check of the launch must not be left behind by an operation that stays wide.
        let checks = self.checks.len();
        if !args.iter().all(|a| self.is_small(a)) {
            self.checks.truncate(checks);
            return Ok(None);
        }
        let mut small = Vec::new();
        for a in args {
            let known = Tensor { range: a.range.filter(|r| within(*r, I32)), ..(*a).clone() };
            let mut narrow = self.cast(&known, DType::I32)?;
            if narrow.range.is_none() && !a.fits(I32) {
                narrow.range = Some((0, I32.1));
            }
            small.push(narrow);
        }
        let refs: Vec<&Tensor> = small.iter().collect();
        let out = self.map(op, &refs)?;
        Ok(Some(if dtype == DType::Bool { out } else { self.cast(&out, dtype)? }))
    }

    /// Whether an integer is known to fit i32, possibly by a check of the launch.
    pub fn is_small(&mut self, t: &Tensor) -> bool {
        t.fits(I32) || t.affine.clone().is_some_and(|a| self.true_sum(&a) && self.non_negative(&a, &t.shape))
    }

    /// Whether the sum is the number itself and not only equal modulo 2^32: its run-time parts are known to fit.
    fn true_sum(&self, a: &Affine) -> bool {
        a.base.terms.keys().all(|v| self.ranges.contains_key(v))
    }

    fn sum_of(&self, op: ScalarOp, args: &[&Tensor]) -> Option<Affine> {
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

    fn range_of(&self, op: ScalarOp, args: &[&Tensor]) -> Option<Range> {
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
    fn condition(&self, op: ScalarOp, args: &[&Tensor]) -> Option<Rc<Vec<Cond>>> {
        if op == ScalarOp::And {
            let (a, b) = (args[0].cond.as_deref()?, args[1].cond.as_deref()?);
            return Some(Rc::new(a.iter().chain(b).cloned().collect()));
        }
        if !args[0].dtype.is_signed() || !args[0].dtype.is_int() || args[0].dtype.bits() < 32 {
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
        let rest = Affine { base: b.base.sub(&Lin::new(bound.clone())), strides: b.strides.clone() };
        let left = a.sub(&rest)?;
        if left.strides.iter().any(|s| s.as_const().is_none_or(|c| c < 0)) {
            return None;
        }
        Some(Rc::new(vec![Cond::Below(left, bound)]))
    }

    /// Pushes an operation with one result.
    pub fn push(&mut self, op: Op, dtype: DType, shape: &[u32]) -> ValueId {
        self.b.push(op, vec![TileTy::new(dtype, shape)])[0]
    }
}

/// Every value of an integer type.
pub(crate) fn dtype_range(d: DType) -> Option<Range> {
    girih_base::scalar::IntType::of(d).filter(|_| d != DType::Bool).map(|t| (t.min(), t.max()))
}
