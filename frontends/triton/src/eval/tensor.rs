//! Arithmetic on tiles: code, and beside it what is known of integers.

use super::Eval;
use super::promote;
use crate::affine::{Affine, I32, Lin, Range, within};
use crate::value::{Tensor, Value, describe_type, type_name};
use girih_base::{DType, Dim, Result, ScalarOp};
use girih_tile::{Literal, Op, TileTy, ValueId};
use std::rc::Rc;

impl Eval<'_> {
    /// A new integer or other scalar or tile; integer scalars become atoms of sums.
    pub fn fresh_tensor(&mut self, id: ValueId, dtype: DType, shape: &[u32]) -> Tensor {
        let mut t = Tensor::new(id, dtype, shape.to_vec());
        if dtype.is_int() && shape.is_empty() {
            t = self.with_atom(t, None);
        }
        t
    }

    // Constants.

    /// A Python number as a tensor of this type.
    pub fn number(&mut self, v: &Value, dtype: DType) -> Result<Tensor> {
        let ty = TileTy::scalar(dtype);
        let literal = self.literal(v, dtype)?;
        let id = self.b.constant(literal, ty);
        let mut t = Tensor::new(id, dtype, Vec::new());
        if let (Literal::Int(i), true) = (literal, dtype.is_int()) {
            let wrapped = i as i32 as i64;
            t.range = Some(v.as_int().map_or((i as i128, i as i128), |i| (i, i)));
            // A low word says nothing of the number: sums of wide integers are of what fits.
            if dtype.bits() <= 32 || t.fits(I32) {
                t.affine = Some(Rc::new(Affine::scalar(Lin::int(wrapped))));
            }
            if dtype.bits() > 32 {
                t.low = Some(self.b.int(wrapped));
            }
        }
        Ok(t)
    }

    /// A Python number as a literal of this type.
    pub fn literal(&self, v: &Value, dtype: DType) -> Result<Literal> {
        Ok(match (v, dtype) {
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
        })
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
            Value::Foreign(name) => Err(self.foreign(name)),
            other => Err(self.error("K004", format!("expected a number or a tensor, got {}", other.quoted()), "here")),
        }
    }

    // Shapes.

    /// Repeats a tensor to a shape; axes are added in front, extents of 1 repeat.
    pub fn broadcast_to(&mut self, t: &Tensor, shape: &[u32]) -> Result<Tensor> {
        if t.shape == shape {
            return Ok(t.clone());
        }
        crate::builtins::create::sized(self, shape)?;
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
            Affine { base: a.base.clone(), strides, wrapped: a.wrapped.iter().map(|(z, i)| (*z, i + skip)).collect() }
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
        crate::builtins::create::sized(self, shape)?;
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
            let place = |(z, i): &(ValueId, usize)| Some((*z, to[from.iter().position(|f| f == i)?]));
            Affine { base: a.base.clone(), strides, wrapped: a.wrapped.iter().filter_map(place).collect() }
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
        let turn = |a: &Affine| {
            let place = |(z, i): &(ValueId, usize)| Some((*z, perm.iter().position(|p| p == i)?));
            Affine {
                base: a.base.clone(),
                strides: perm.iter().map(|p| a.strides[*p].clone()).collect(),
                wrapped: a.wrapped.iter().filter_map(place).collect(),
            }
        };
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
        // Narrow types wrap at fewer bits than sums do, and a large u32 is not the sum that it equals modulo 2^32.
        let large = wide && t.dtype == DType::U32 && !t.fits(I32);
        let affine = t.affine.clone().filter(|_| (to.bits() >= 32 || range.is_some()) && !large);
        let out = Tensor { id, dtype: to, shape: t.shape.clone(), affine, low: wide.then_some(low), range, cond: None };
        Ok(if large && t.shape.is_empty() { self.with_atom(out, range) } else { out })
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
        let holds = |i: usize| args[i].cond.as_deref().is_some_and(Vec::is_empty);
        match op {
            ScalarOp::Select if holds(0) => return Ok(args[1].clone()),
            ScalarOp::And if holds(0) => return Ok(args[1].clone()),
            ScalarOp::And if holds(1) => return Ok(args[0].clone()),
            _ => {}
        }
        let ids: Vec<ValueId> = args.iter().map(|a| a.id).collect();
        let unwrapped = self.unwrap(op, args);
        if let Some(t) = unwrapped {
            return Ok(t);
        }
        let id = self.b.map(op, &ids);
        let mut out = Tensor::new(id, dtype, shape.clone());
        if dtype == DType::Bool {
            out.cond = self.condition(op, args);
            if let Some(conds) = out.cond.clone()
                && !conds.is_empty()
                && self.everywhere(&conds, &shape)
            {
                // No condition is left.
                out.cond = Some(Rc::new(Vec::new()));
            }
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
        let mut known: Vec<Tensor> = args.iter().map(|a| (*a).clone()).collect();
        if op == ScalarOp::Min {
            for t in &mut known {
                t.range = self.assume_index(t);
            }
        }
        let args = &known.iter().collect::<Vec<&Tensor>>()[..];
        let assumed = self.assume_positive(op, args);
        let range = assumed.or_else(|| self.range_of(op, args));
        out.range = range.filter(|r| dtype_range(dtype).is_some_and(|d| within(*r, d)));
        let narrow = dtype.bits() < 32 && out.range.is_none();
        out.affine = self.sum_of(op, args).filter(|_| !narrow).map(Rc::new);
        if out.affine.is_none() && shape.is_empty() && !narrow {
            let range = out.range;
            let most = range.filter(|r| r.0 >= 0).and_then(|_| self.most_of(op, args));
            let bottom = if op == ScalarOp::Min { self.bottom(args[0]).zip(self.bottom(args[1])) } else { None };
            let out = self.with_atom(out, range);
            let low = self.low(&out);
            if let Some((a, b)) = bottom {
                self.bottoms.insert(low, a.min_of(&b));
            }
            if let (Some(known), Some(most)) = (self.ranges.get_mut(&low), most) {
                known.1 = Some(most);
            }
            return Ok(out);
        }
        if dtype == DType::I32 {
            self.note_wrapped(op, args, id);
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

    /// Pushes an operation with one result.
    pub fn push(&mut self, op: Op, dtype: DType, shape: &[u32]) -> ValueId {
        self.b.push(op, vec![TileTy::new(dtype, shape)])[0]
    }
}

/// Every value of an integer type.
pub(crate) fn dtype_range(d: DType) -> Option<Range> {
    girih_base::scalar::IntType::of(d).filter(|_| d != DType::Bool).map(|t| (t.min(), t.max()))
}
