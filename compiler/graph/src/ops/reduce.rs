//! `Reduce` and `Scan`: folds by a monoid.

use super::layout::inverse;
use super::{Rule, all_tensors, check_axes};
use crate::batch::{Batch, Batcher, Lane, behind};
use crate::eval::{Array, Cx, Data, Eval, Value, all_arrays, view};
use crate::grad::folding::{self, Gives};
use crate::grad::{Backward, Cotangents, Site, Vjp, no_derivative, zeros};
use crate::graph::Graph;
use crate::graph::NodeId;
use crate::literal::Number;
use crate::nn::{over, spread, with};
use crate::text::attrs::{Field, Item, Symbols, attrs};
use crate::ty::{TensorTy, Ty};
use girih_base::scalar::IntType;
use girih_base::{Class, DType, Result as DiagResult, Scalar, ScalarOp, codec};
use girih_base::{Diag, Dim};
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
    fn infer(&self, operands: &[&TensorTy], acc: DType) -> Result<Vec<DType>, String> {
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

/// Axes folded away. The result has the accumulator's dtype.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// The fold.
    pub monoid: Monoid,
    /// The axes that vanish, in any order. `ArgMax` and `ArgMin` take exactly one.
    pub axes: Vec<usize>,
    /// Dtype of the running value and of the result.
    pub acc: DType,
}

/// Running folds along one axis; the shape is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    /// The fold.
    pub monoid: Monoid,
    /// The axis.
    pub axis: usize,
    /// From the end of the axis to its start.
    pub reverse: bool,
    /// Element `i` folds the elements before it, not itself.
    pub exclusive: bool,
    /// Dtype of the running value and of the result.
    pub acc: DType,
}

fn result(dtypes: Vec<DType>, shape: &[girih_base::Dim]) -> Ty {
    let mut tys: Vec<Ty> = dtypes.into_iter().map(|dtype| TensorTy { dtype, shape: shape.to_vec() }.into()).collect();
    if tys.len() == 1 { tys.remove(0) } else { Ty::Tuple(tys) }
}

fn same_shapes(list: &[&TensorTy]) -> Result<(), String> {
    match list.iter().find(|t| t.shape != list[0].shape) {
        Some(t) => Err(format!("shapes differ: {} and {t}", list[0])),
        None => Ok(()),
    }
}

impl Rule for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        same_shapes(&list)?;
        check_axes(&self.axes, first)?;
        if matches!(self.monoid, Monoid::ArgMax | Monoid::ArgMin) && self.axes.len() != 1 {
            return Err(format!("`{}` takes one axis, got {:?}", self.monoid.name(), self.axes));
        }
        let dtypes = self.monoid.infer(&list, self.acc)?;
        let shape: Vec<_> =
            (0..first.rank()).filter(|a| !self.axes.contains(a)).map(|a| first.shape[a].clone()).collect();
        Ok(result(dtypes, &shape))
    }
}

impl Rule for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let first = list.first().ok_or("takes at least one operand")?;
        same_shapes(&list)?;
        check_axes(&[self.axis], first)?;
        Ok(result(self.monoid.infer(&list, self.acc)?, &first.shape))
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
struct Fold<'a> {
    monoid: &'a Monoid,
    acc: DType,
    cx: &'a Cx<'a>,
    count: usize,
    state: Vec<Scalar>,
}

impl<'a> Fold<'a> {
    /// The fold of nothing: the identity.
    fn new(monoid: &'a Monoid, acc: DType, cx: &'a Cx<'a>) -> Fold<'a> {
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
    fn push(&mut self, x: &[Scalar], at: usize) -> DiagResult<()> {
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
struct Columns(Vec<(DType, Data)>);

impl Columns {
    fn new(ty: &Ty) -> Columns {
        let tys = match ty {
            Ty::Tensor(t) => vec![t],
            Ty::Tuple(items) => items.iter().filter_map(Ty::tensor).collect(),
        };
        Columns(tys.iter().map(|t| (t.dtype, Data::empty(t.dtype))).collect())
    }

    fn push(&mut self, state: &[Scalar]) {
        self.0.iter_mut().zip(state).for_each(|((dtype, data), e)| data.push(*dtype, *e));
    }

    /// The arrays of `shape`; each, when there are several, is one value of a tuple.
    fn finish(self, shape: &[usize]) -> DiagResult<Vec<Array>> {
        Ok(self.0.into_iter().map(|(dtype, data)| Array { dtype, shape: shape.to_vec(), data }).collect())
    }
}

fn value_of(mut arrays: Vec<Array>, ty: &Ty) -> Value {
    match ty {
        Ty::Tensor(_) if arrays.len() == 1 => arrays.remove(0).into(),
        _ => Value::Tuple(arrays.into_iter().map(Value::from).collect()),
    }
}

/// The elements of all operands at one position.
fn row(list: &[&Array], i: usize, out: &mut Vec<Scalar>) {
    out.clear();
    out.extend(list.iter().map(|a| a.elem(i)));
}

impl Eval for Reduce {
    /// Elements are folded in row-major order of the folded axes.
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let (kept, mut folded): (Vec<_>, Vec<_>) = (0..list[0].shape.len()).partition(|a| !self.axes.contains(a));
        folded.sort();
        let own = view::strides(&list[0].shape);
        let pick = |axes: &[usize]| -> (Vec<usize>, Vec<isize>) {
            (axes.iter().map(|a| list[0].shape[*a]).collect(), axes.iter().map(|a| own[*a]).collect())
        };
        let ((outer, outer_steps), (inner, inner_steps)) = (pick(&kept), pick(&folded));
        let mut columns = Columns::new(ty);
        let mut x = Vec::new();
        for base in view::walk(&outer, 0, &outer_steps) {
            let mut fold = Fold::new(&self.monoid, self.acc, cx);
            for (at, i) in view::walk(&inner, base as isize, &inner_steps).enumerate() {
                row(&list, i, &mut x);
                fold.push(&x, at)?;
            }
            columns.push(&fold.state);
        }
        Ok(value_of(columns.finish(&outer)?, ty))
    }
}

impl Eval for Scan {
    /// Walks each line in its direction; the results are put back in the order of the axis.
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let shape = list[0].shape.clone();
        let (own, n) = (view::strides(&shape), shape[self.axis]);
        let mut lines = shape.clone();
        lines[self.axis] = 1;
        let mut columns = Columns::new(ty);
        // Where each result element, in the order it is made, belongs.
        let mut places = vec![0; list[0].len()];
        let (mut made, mut x) = (0, Vec::new());
        for base in view::walk(&lines, 0, &own).take(if n == 0 { 0 } else { usize::MAX }) {
            let mut fold = Fold::new(&self.monoid, self.acc, cx);
            for step in 0..n {
                let at = if self.reverse { n - 1 - step } else { step };
                let i = (base as isize + at as isize * own[self.axis]) as usize;
                if self.exclusive {
                    columns.push(&fold.state);
                }
                row(&list, i, &mut x);
                fold.push(&x, at)?;
                if !self.exclusive {
                    columns.push(&fold.state);
                }
                places[i] = made;
                made += 1;
            }
        }
        let mut out = columns.finish(&shape)?;
        out.iter_mut().for_each(|a| a.data = a.data.pick(places.iter().copied()));
        Ok(value_of(out, ty))
    }
}

attrs!(Reduce "reduce" { monoid, axes, acc });
attrs!(Scan "scan" { monoid, axis, reverse, exclusive, acc });

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

/// Prefix products, sums and the like of one operand.
fn scan(
    b: &mut Backward,
    monoid: Monoid,
    x: NodeId,
    axis: usize,
    reverse: bool,
    exclusive: bool,
) -> DiagResult<NodeId> {
    let acc = b.g.tensor(x)?.dtype;
    b.g.push(Scan { monoid, axis, reverse, exclusive, acc }, &[x])
}

impl Vjp for Reduce {
    /// Where several elements share the maximum (minimum), each gets an equal part; `ArgMax` and `ArgMin` give all of it
    /// to the first one.
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        if let Monoid::Custom(..) = self.monoid {
            return self.custom_vjp(b, at, cts);
        }
        let narrow = b.g.tensor(at.operands[0])?.clone();
        let x = b.g.cast(at.operands[0], self.acc)?;
        let ty = narrow.with_dtype(self.acc);
        let axes = &self.axes;
        let d = match (&self.monoid, cts) {
            (_, [None]) | (_, [None, None]) => return Ok(vec![None; at.operands.len()]),
            (Monoid::Sum, [Some(ct)]) => spread(&mut b.g, *ct, axes, &ty)?,
            (Monoid::Prod, [Some(ct)]) => {
                let others = product_of_others(b, x, axes)?;
                let ct = spread(&mut b.g, *ct, axes, &ty)?;
                b.g.map(ScalarOp::Mul, &[ct, others])?
            }
            (Monoid::Max | Monoid::Min, [Some(ct)]) => share(b, x, at.node, *ct, axes)?,
            (Monoid::ArgMax | Monoid::ArgMin, [Some(ct), _]) => {
                let winner = b.g.proj(at.node, 1)?;
                let at_i = ty.with_dtype(DType::I32);
                let winner = spread(&mut b.g, winner, axes, &at_i)?;
                let position = b.g.iota(at_i, axes[0])?;
                let hit = b.g.map(ScalarOp::Eq, &[position, winner])?;
                let (ct, zero) = (spread(&mut b.g, *ct, axes, &ty)?, zeros(&mut b.g, &ty)?);
                b.g.map(ScalarOp::Select, &[hit, ct, zero])?
            }
            (Monoid::Welford, [mean_ct, squares_ct]) => {
                let mut parts = Vec::new();
                if let Some(ct) = mean_ct {
                    let n = axes.iter().fold(Dim::ONE, |n, a| &n * &ty.shape[*a]);
                    let each = over(&mut b.g, *ct, &n)?;
                    parts.push(spread(&mut b.g, each, axes, &ty)?);
                }
                if let Some(ct) = squares_ct {
                    let mean = b.g.proj(at.node, 0)?;
                    let mean = spread(&mut b.g, mean, axes, &ty)?;
                    let centred = b.g.map(ScalarOp::Sub, &[x, mean])?;
                    let twice = with(&mut b.g, ScalarOp::Mul, centred, 2.0)?;
                    let ct = spread(&mut b.g, *ct, axes, &ty)?;
                    parts.push(b.g.map(ScalarOp::Mul, &[ct, twice])?);
                }
                add_up(b, &parts)?
            }
            (Monoid::Online, [max_ct, sum_ct]) => {
                // l = sum exp(x - m): x moves l directly, and through m by -l.
                let (m, l) = (b.g.proj(at.node, 0)?, b.g.proj(at.node, 1)?);
                let (mut parts, mut through_max) = (Vec::new(), max_ct.iter().copied().collect::<Vec<_>>());
                if let Some(ct) = sum_ct {
                    let wide = spread(&mut b.g, m, axes, &ty)?;
                    let shifted = b.g.map(ScalarOp::Sub, &[x, wide])?;
                    let e = b.g.map(ScalarOp::Exp, &[shifted])?;
                    let spread_ct = spread(&mut b.g, *ct, axes, &ty)?;
                    parts.push(b.g.map(ScalarOp::Mul, &[spread_ct, e])?);
                    let back = b.g.map(ScalarOp::Mul, &[*ct, l])?;
                    through_max.push(b.g.map(ScalarOp::Neg, &[back])?);
                }
                let ct = add_up(b, &through_max)?;
                parts.push(share(b, x, m, ct, axes)?);
                add_up(b, &parts)?
            }
            (other, _) => {
                let what = format!("a `{}` fold", other.name());
                return Err(no_derivative(&b.g, at.node, &what, "no rule is known"));
            }
        };
        Ok(vec![Some(b.g.cast(d, narrow.dtype)?)])
    }
}

fn add_up(b: &mut Backward, parts: &[NodeId]) -> DiagResult<NodeId> {
    match parts {
        [one] => Ok(*one),
        [x, y] => b.g.map(ScalarOp::Add, &[*x, *y]),
        _ => Err(Diag::error("G021", "a fold has no cotangent")),
    }
}

/// `ct` in equal parts to the elements that equal the folded value `best`, 0 to the others.
fn share(b: &mut Backward, x: NodeId, best: NodeId, ct: NodeId, axes: &[usize]) -> DiagResult<NodeId> {
    let ty = b.g.tensor(x)?.clone();
    let best = spread(&mut b.g, best, axes, &ty)?;
    let hit = b.g.map(ScalarOp::Eq, &[x, best])?;
    let ones = b.g.cast(hit, ty.dtype.accumulator())?;
    let ties = b.g.reduce(Monoid::Sum, ones, axes)?;
    let ties = b.g.cast(ties, ty.dtype)?;
    let part = b.g.map(ScalarOp::Div, &[ct, ties])?;
    let (part, zero) = (spread(&mut b.g, part, axes, &ty)?, zeros(&mut b.g, &ty)?);
    b.g.map(ScalarOp::Select, &[hit, part, zero])
}

/// For every element the product of all others over `axes`: products before it times products after it, so that zeros
/// are no special case.
fn product_of_others(b: &mut Backward, x: NodeId, axes: &[usize]) -> DiagResult<NodeId> {
    let ty = b.g.tensor(x)?.clone();
    let mut order: Vec<usize> = (0..ty.rank()).filter(|a| !axes.contains(a)).collect();
    let kept = order.len();
    order.extend(axes);
    let moved = b.g.permute(x, &order)?;
    let full = b.g.tensor(moved)?.shape.clone();
    let mut shape = full[..kept].to_vec();
    shape.push(crate::ty::product(&full[kept..]));
    let flat = b.g.reshape(moved, shape)?;
    let before = scan(b, Monoid::Prod, flat, kept, false, true)?;
    let after = scan(b, Monoid::Prod, flat, kept, true, true)?;
    let others = b.g.map(ScalarOp::Mul, &[before, after])?;
    let others = b.g.reshape(others, full)?;
    b.g.permute(others, &inverse(&order))
}

impl Vjp for Scan {
    /// Sums are folded backwards; other folds are differentiated as the loops they are. Of equal elements the earlier one
    /// keeps the maximum.
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let mut out = vec![None; at.operands.len()];
        if let (Monoid::Sum, [Some(ct)]) = (&self.monoid, cts) {
            let dtype = b.g.tensor(at.operands[0])?.dtype;
            let d = scan(b, Monoid::Sum, *ct, self.axis, !self.reverse, self.exclusive)?;
            out[0] = Some(b.g.cast(d, dtype)?);
            return Ok(out);
        }
        let how = (self.axis, self.reverse, Gives::Every { exclusive: self.exclusive });
        let operands = self.monoid.widened(b, at, self.acc)?;
        let wrt: Vec<usize> = (0..operands.len()).filter(|i| at.needs[*i]).collect();
        let grads = folding::differentiate(b, at, &self.monoid, how, &operands, &wrt, cts)?;
        for (w, d) in wrt.iter().zip(grads) {
            let dtype = b.g.tensor(at.operands[*w])?.dtype;
            out[*w] = Some(b.g.cast(d, dtype)?);
        }
        Ok(out)
    }
}

impl Monoid {
    /// The operands in the dtype they are folded in.
    fn widened(&self, b: &mut Backward, at: &Site, acc: DType) -> DiagResult<Vec<NodeId>> {
        match self {
            Monoid::Custom(..) => Ok(at.operands.clone()),
            _ => at.operands.iter().map(|o| b.g.cast(*o, acc)).collect(),
        }
    }
}

impl Reduce {
    /// The derivative of a custom fold: its axes as one, last axis, folded by a loop.
    fn custom_vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let shape = b.g.tensor(at.operands[0])?.shape.clone();
        let mut order: Vec<usize> = (0..shape.len()).filter(|a| !self.axes.contains(a)).collect();
        let kept = order.len();
        order.extend((0..shape.len()).filter(|a| self.axes.contains(a)));
        let moved: Vec<Dim> = order.iter().map(|a| shape[*a].clone()).collect();
        let mut flat = moved[..kept].to_vec();
        flat.push(crate::ty::product(&moved[kept..]));
        let mut single = moved[..kept].to_vec();
        single.push(Dim::ONE);

        let mut operands = Vec::new();
        for o in &at.operands {
            let x = b.g.permute(*o, &order)?;
            operands.push(b.g.reshape(x, flat.clone())?);
        }
        let mut wide = Vec::new();
        for ct in cts {
            wide.push(match ct {
                Some(ct) => Some(b.g.reshape(*ct, single.clone())?),
                None => None,
            });
        }
        let wrt: Vec<usize> = (0..operands.len()).filter(|i| at.needs[*i]).collect();
        let how = (kept, false, Gives::Last);
        let grads = folding::differentiate(b, at, &self.monoid, how, &operands, &wrt, &wide)?;
        let mut out = vec![None; at.operands.len()];
        for (w, d) in wrt.iter().zip(grads) {
            let d = b.g.reshape(d, moved.clone())?;
            out[*w] = Some(b.g.permute(d, &inverse(&order))?);
        }
        Ok(out)
    }
}

impl Batch for Reduce {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let args = b.lift_all(args)?;
        b.push(Reduce { axes: behind(&self.axes), ..self.clone() }, &args)
    }
}

impl Batch for Scan {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let args = b.lift_all(args)?;
        b.push(Scan { axis: self.axis + 1, ..self.clone() }, &args)
    }
}
