//! Folding, evaluated: what `Reduce` and `Scan` share.

use super::monoid::Monoid;
use crate::eval::{Array, Cx, Data, Value};
use crate::ty::{TensorTy, Ty};
use girih_base::scalar::IntType;
use girih_base::{Class, DType, Result as DiagResult, Scalar, ScalarOp, codec};

pub(super) fn result(dtypes: Vec<DType>, shape: &[girih_base::Dim]) -> Ty {
    let mut tys: Vec<Ty> = dtypes.into_iter().map(|dtype| TensorTy { dtype, shape: shape.to_vec() }.into()).collect();
    if tys.len() == 1 { tys.remove(0) } else { Ty::Tuple(tys) }
}

pub(super) fn same_shapes(list: &[&TensorTy]) -> Result<(), String> {
    match list.iter().find(|t| t.shape != list[0].shape) {
        Some(t) => Err(format!("shapes differ: {} and {t}", list[0])),
        None => Ok(()),
    }
}

/// The ends of a dtype: infinities where it has them, else its smallest and largest value.
fn range(dtype: DType) -> (Scalar, Scalar) {
    let ends = |low, high| (codec::decode(low, dtype), codec::decode(high, dtype));
    let ones = u64::MAX >> (64 - dtype.bits());
    match dtype.class() {
        Class::Bool => ends(0, 1),
        Class::Unsigned => ends(0, ones),
        Class::Signed => ends(1 << (dtype.bits() - 1), ones >> 1),
        Class::Float => {
            let end = |x| codec::decode(codec::encode_saturating(Scalar::Float(x), dtype), dtype);
            let infinite = codec::cast(Scalar::Float(f64::INFINITY), dtype).as_f64().is_infinite();
            match infinite {
                true => (Scalar::Float(f64::NEG_INFINITY), Scalar::Float(f64::INFINITY)),
                false => (end(f64::NEG_INFINITY), end(f64::INFINITY)),
            }
        }
    }
}

/// A running fold of one line of elements.
pub(super) struct Fold<'a> {
    monoid: &'a Monoid,
    acc: DType,
    cx: &'a Cx<'a>,
    count: usize,
    pub(super) state: Vec<Scalar>,
}

impl<'a> Fold<'a> {
    /// The fold of nothing: the identity.
    pub(super) fn new(monoid: &'a Monoid, acc: DType, cx: &'a Cx<'a>) -> Fold<'a> {
        let (low, high) = range(acc);
        let number = |i: i128| if acc.is_float() { Scalar::Float(i as f64) } else { Scalar::Int(i) };
        let state = match monoid {
            Monoid::Sum | Monoid::Or | Monoid::Xor => vec![number(0)],
            Monoid::Prod => vec![number(1)],
            // All bits set.
            Monoid::And if IntType::of(acc).is_some_and(|t| t.signed) => vec![number(-1)],
            Monoid::And => vec![high],
            Monoid::Max => vec![low],
            Monoid::Min => vec![high],
            Monoid::ArgMax => vec![low, Scalar::Int(0)],
            Monoid::ArgMin => vec![high, Scalar::Int(0)],
            Monoid::Welford => vec![number(0), number(0)],
            Monoid::Online => vec![low, number(0)],
            Monoid::Custom(_, identity) => identity.iter().map(|n| (*n).into()).collect(),
        };
        Fold { monoid, acc, cx, count: 0, state }
    }

    /// Takes in the element `x` (one per operand), which stands at position `at` of its axis.
    pub(super) fn push(&mut self, x: &[Scalar], at: usize) -> DiagResult<()> {
        self.count += 1;
        let first = self.count == 1;
        let op = match self.monoid {
            Monoid::Sum => ScalarOp::Add,
            Monoid::Prod => ScalarOp::Mul,
            Monoid::Max => ScalarOp::Max,
            Monoid::Min => ScalarOp::Min,
            Monoid::And => ScalarOp::And,
            Monoid::Or => ScalarOp::Or,
            Monoid::Xor => ScalarOp::Xor,
            Monoid::ArgMax | Monoid::ArgMin => {
                if first || self.beats(x[0], at) {
                    self.state = vec![x[0], Scalar::Int(at as i128)];
                }
                return Ok(());
            }
            Monoid::Welford => {
                let (x, mean, m2) = (x[0].as_f64(), self.state[0].as_f64(), self.state[1].as_f64());
                let new_mean = mean + (x - mean) / self.count as f64;
                self.state = vec![Scalar::Float(new_mean), Scalar::Float(m2 + (x - mean) * (x - new_mean))];
                return Ok(());
            }
            Monoid::Online => {
                let (x, max, sum) = (x[0].as_f64(), self.state[0].as_f64(), self.state[1].as_f64());
                let new_max = if x.is_nan() || max.is_nan() { f64::NAN } else { max.max(x) };
                // An element of -inf adds nothing, also where all are: that keeps (-inf, 0) the identity.
                let part =
                    |of: f64, scale: f64| if of == f64::NEG_INFINITY { 0.0 } else { scale * (of - new_max).exp() };
                self.state = vec![Scalar::Float(new_max), Scalar::Float(part(max, sum) + part(x, 1.0))];
                return Ok(());
            }
            Monoid::Custom(body, _) => {
                let dtypes = body.params().iter().map(|p| body.tensor(*p).map(|t| t.dtype));
                let args = self.state.iter().chain(x).zip(dtypes).map(|(e, d)| Ok(Array::repeat(d?, &[], *e).into()));
                let results = body.eval_body(args.collect::<DiagResult<_>>()?, self.cx)?;
                self.state = results.iter().map(|v| Ok(v.array()?.elem(0))).collect::<DiagResult<_>>()?;
                return Ok(());
            }
        };
        self.state[0] = if first { x[0] } else { super::map::apply(op, self.acc, &[self.state[0], x[0]])? };
        Ok(())
    }

    /// Whether `x` at `at` is better than the best so far: NaN beats numbers, and the lower position wins a tie.
    fn beats(&self, x: Scalar, at: usize) -> bool {
        let (best, position) = (self.state[0], self.state[1].as_int());
        let order = match (x, best) {
            (Scalar::Float(x), Scalar::Float(b)) => match (x.is_nan(), b.is_nan()) {
                (false, false) => x.partial_cmp(&b),
                (nan, best_nan) if matches!(self.monoid, Monoid::ArgMax) => Some(nan.cmp(&best_nan)),
                (nan, best_nan) => Some(best_nan.cmp(&nan)),
            },
            (x, b) => Some(x.as_int().cmp(&b.as_int())),
        };
        let wins =
            if matches!(self.monoid, Monoid::ArgMax) { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less };
        order == Some(wins) || (order == Some(std::cmp::Ordering::Equal) && (at as i128) < position)
    }
}

/// Results under construction, one per state value.
pub(super) struct Columns(Vec<(DType, Data)>);

impl Columns {
    pub(super) fn new(ty: &Ty) -> Columns {
        let tys = match ty {
            Ty::Tensor(t) => vec![t],
            Ty::Tuple(items) => items.iter().filter_map(Ty::tensor).collect(),
        };
        Columns(tys.iter().map(|t| (t.dtype, Data::empty(t.dtype))).collect())
    }

    pub(super) fn push(&mut self, state: &[Scalar]) {
        self.0.iter_mut().zip(state).for_each(|((dtype, data), e)| data.push(*dtype, *e));
    }

    /// The arrays of `shape`; each, when there are several, is one value of a tuple.
    pub(super) fn finish(self, shape: &[usize]) -> DiagResult<Vec<Array>> {
        Ok(self.0.into_iter().map(|(dtype, data)| Array { dtype, shape: shape.to_vec(), data }).collect())
    }
}

pub(super) fn value_of(mut arrays: Vec<Array>, ty: &Ty) -> Value {
    match ty {
        Ty::Tensor(_) if arrays.len() == 1 => arrays.remove(0).into(),
        _ => Value::Tuple(arrays.into_iter().map(Value::from).collect()),
    }
}

/// The elements of all operands at one position.
pub(super) fn row(list: &[&Array], i: usize, out: &mut Vec<Scalar>) {
    out.clear();
    out.extend(list.iter().map(|a| a.elem(i)));
}
