//! `Map`, `Cast`, `Bitcast`: element by element.

use super::{Rule, all_tensors, tensors};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Array, Cx, Data, Eval, Value, all_arrays, arrays};
use crate::grad::{Backward, Cotangents, Site, Vjp, zeros};
use crate::graph::NodeId;
use crate::text::attrs::{Attrs, Fields, Item, attrs};
use crate::ty::Ty;
use girih_base::codec::{self, Scalar};
use girih_base::scalar::expr::Expr;
use girih_base::{DType, Diag, Result as DiagResult, ScalarOp};

/// Conversion of values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cast {
    /// Result element type.
    pub to: DType,
}

/// Reinterpretation of bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bitcast {
    /// Result element type, as wide as the operand's.
    pub to: DType,
}

impl Rule for ScalarOp {
    fn name(&self) -> &'static str {
        ScalarOp::name(*self)
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let operands = all_tensors(operands)?;
        let dtypes: Vec<_> = operands.iter().map(|t| t.dtype).collect();
        let dtype = ScalarOp::infer(*self, &dtypes)?;
        match operands.iter().find(|t| t.shape != operands[0].shape) {
            Some(other) => Err(format!("shapes differ: {} and {other}", operands[0])),
            None => Ok(operands[0].with_dtype(dtype).into()),
        }
    }
}

impl Rule for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        Ok(x.with_dtype(self.to).into())
    }
}

impl Rule for Bitcast {
    fn name(&self) -> &'static str {
        "bitcast"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        if x.dtype == DType::Bool || self.to == DType::Bool || x.dtype.bits() != self.to.bits() {
            return Err(format!("{} and {} do not have the same bits", x.dtype, self.to));
        }
        Ok(x.with_dtype(self.to).into())
    }
}

/// A scalar operation on elements of `dtype`: floats are not rounded, integers are wrapped.
pub(crate) fn apply(op: ScalarOp, dtype: DType, args: &[Scalar]) -> DiagResult<Scalar> {
    let meaning = &op.row().meaning;
    let mut floats = [0.0; 3];
    floats.iter_mut().zip(args).for_each(|(f, a)| *f = a.as_f64());
    let floats = &floats[..args.len().min(3)];
    match (dtype.is_float(), meaning.float, meaning.test) {
        (true, Some(f), _) => Ok(Scalar::Float(f(floats))),
        (true, None, Some(f)) => Ok(Scalar::Int(f(floats) as i128)),
        _ => girih_base::scalar::eval(op, args, dtype).map_err(|e| Diag::error("G204", e)),
    }
}

/// A function of one to three floats on every row of the columns.
fn each<T>(columns: &[&[f64]], f: impl Fn(&[f64]) -> T) -> Vec<T> {
    match columns {
        [x] => x.iter().map(|x| f(&[*x])).collect(),
        [x, y] => x.iter().zip(*y).map(|(x, y)| f(&[*x, *y])).collect(),
        [x, y, z] => x.iter().zip(*y).zip(*z).map(|((x, y), z)| f(&[*x, *y, *z])).collect(),
        _ => Vec::new(),
    }
}

impl Eval for ScalarOp {
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let shape = cx.shape_of(ty)?;
        if let (ScalarOp::Select, [condition, yes, no]) = (*self, &list[..]) {
            let mut out = (*yes).clone();
            for i in (0..condition.len()).filter(|i| condition.int(*i) == 0) {
                out.data.put(i, &no.data, i);
            }
            return Ok(out.into());
        }
        let (dtype, to) = (list[0].dtype, ty.tensor().map_or(list[0].dtype, |t| t.dtype));
        if dtype.is_float() {
            let columns = list.iter().map(|a| a.floats()).collect::<DiagResult<Vec<_>>>()?;
            let data = match (self.row().meaning.float, self.row().meaning.test) {
                (Some(f), _) => Data::Floats(each(&columns, f)),
                (None, Some(f)) => Data::Ints(each(&columns, |x| f(x) as i64)),
                (None, None) => {
                    return Err(Diag::error("G204", format!("`{}` has no meaning on {dtype}", self.name())));
                }
            };
            return Ok(Array { dtype: to, shape, data }.into());
        }
        let mut data = Data::empty(to);
        let mut operands = vec![Scalar::Int(0); list.len()];
        for i in 0..list[0].len() {
            operands.iter_mut().zip(&list).for_each(|(o, a)| *o = a.elem(i));
            data.push(to, apply(*self, dtype, &operands)?);
        }
        Ok(Array { dtype: to, shape, data }.into())
    }
}

impl Eval for Cast {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let mut data = Data::empty(self.to);
        (0..x.len()).for_each(|i| data.push(self.to, codec::cast(x.elem(i), self.to)));
        Ok(Array { dtype: self.to, shape: x.shape.clone(), data }.into())
    }
}

impl Eval for Bitcast {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let mut data = Data::empty(self.to);
        (0..x.len()).for_each(|i| data.push(self.to, codec::decode(codec::encode(x.elem(i), x.dtype), self.to)));
        Ok(Array { dtype: self.to, shape: x.shape.clone(), data }.into())
    }
}

attrs!(Cast "cast" { to });
attrs!(Bitcast "bitcast" { to });

// Written by the name of its row.
impl Attrs for ScalarOp {
    const NAME: &'static str = "map";
    fn attrs(&self) -> Vec<(&'static str, Item)> {
        Vec::new()
    }
    fn read(_: &mut Fields) -> Result<ScalarOp, String> {
        Err("scalar operations are written by their own names".into())
    }
}

impl Vjp for ScalarOp {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let mut out = vec![None; at.operands.len()];
        let Some(ct) = cts[0] else { return Ok(out) };
        for (i, text) in self.row().partials.iter().enumerate().filter(|(i, _)| at.needs[*i]) {
            let partial = Expr::parse(text).map_err(|why| Diag::error("G021", format!("{}: {why}", self.name())))?;
            out[i] = times(b, at, ct, &partial)?;
        }
        Ok(out)
    }
}

/// `ct` times a partial derivative. A choice is made between products instead of multiplying by a chosen 0 or 1, so that
/// what is not chosen (it may be infinite or NaN) leaves no trace.
fn times(b: &mut Backward, at: &Site, ct: NodeId, partial: &Expr) -> girih_base::Result<Option<NodeId>> {
    Ok(match partial {
        Expr::Number(0.0) => None,
        Expr::Number(1.0) => Some(ct),
        Expr::Number(-1.0) => Some(b.g.map(ScalarOp::Neg, &[ct])?),
        Expr::Apply(ScalarOp::Neg, args) => match times(b, at, ct, &args[0])? {
            Some(x) => Some(b.g.map(ScalarOp::Neg, &[x])?),
            None => None,
        },
        Expr::Apply(ScalarOp::Recip, args) => {
            let x = b.g.scalar_expr(&args[0], &at.operands, Some(at.node))?;
            Some(b.g.map(ScalarOp::Div, &[ct, x])?)
        }
        Expr::Apply(ScalarOp::Select, args) => {
            let condition = b.g.scalar_expr(&args[0], &at.operands, Some(at.node))?;
            let ty = b.g.tensor(ct)?.clone();
            let mut sides = [ct; 2];
            for (side, arg) in sides.iter_mut().zip(&args[1..]) {
                *side = match times(b, at, ct, arg)? {
                    Some(x) => x,
                    None => zeros(&mut b.g, &ty)?,
                };
            }
            Some(b.g.map(ScalarOp::Select, &[condition, sides[0], sides[1]])?)
        }
        _ => {
            let x = b.g.scalar_expr(partial, &at.operands, Some(at.node))?;
            Some(b.g.map(ScalarOp::Mul, &[ct, x])?)
        }
    })
}

impl Vjp for Cast {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None]) };
        let dtype = b.g.tensor(at.operands[0])?.dtype;
        Ok(vec![Some(b.g.cast(ct, dtype)?)])
    }
}

// A function of bits is constant almost everywhere.
impl Vjp for Bitcast {
    fn vjp(&self, _: &mut Backward, _: &Site, _: &[Option<NodeId>]) -> Cotangents {
        Ok(vec![None])
    }
}

impl Batch for ScalarOp {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let args = b.lift_all(args)?;
        b.push(*self, &args)
    }
}

impl Batch for Cast {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        b.push(self.clone(), &[args[0].id])
    }
}

impl Batch for Bitcast {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        b.push(self.clone(), &[args[0].id])
    }
}
