//! `Map`, `Cast`, `Bitcast`: element by element.

use super::{Rule, all_tensors, tensors};
use crate::eval::{Array, Cx, Data, Elem, Eval, Value, all_arrays, arrays, storage};
use crate::ty::Ty;
use girih_base::scalar::IntType;
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

/// A scalar operation on elements of `dtype`, by its row of the table. `select` is not among these.
pub(crate) fn apply(op: ScalarOp, dtype: DType, args: &[Elem]) -> DiagResult<Elem> {
    let meaning = &op.row().meaning;
    let missing = || Diag::error("G204", format!("`{}` has no meaning on {dtype}", op.name()));
    let Some(t) = IntType::of(dtype) else {
        let mut floats = [0.0; 3];
        floats.iter_mut().zip(args).for_each(|(f, a)| *f = a.f64());
        let floats = &floats[..args.len().min(3)];
        return match (meaning.float, meaning.test) {
            (Some(f), _) => Ok(Elem::F(f(floats))),
            (None, Some(f)) => Ok(Elem::I(f(floats) as i128)),
            (None, None) => Err(missing()),
        };
    };
    let mut ints = [0; 3];
    ints.iter_mut().zip(args).for_each(|(i, a)| *i = a.int());
    let value = meaning.int.ok_or_else(missing)?(&ints[..args.len().min(3)], t);
    Ok(Elem::I(match op.row().output {
        girih_base::scalar::Output::Same => t.wrap(value),
        girih_base::scalar::Output::Bool => value,
    }))
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
        let mut data = Data::empty(to);
        let mut operands = vec![Elem::I(0); list.len()];
        for i in 0..list[0].len() {
            operands.iter_mut().zip(&list).for_each(|(o, a)| *o = a.elem(i));
            data.push(to, apply(*self, dtype, &operands)?);
        }
        Ok(Array { dtype: to, shape, data }.into())
    }
}

/// One element under another dtype.
fn convert(from: Elem, to: DType) -> Elem {
    match (from, IntType::of(to)) {
        (Elem::F(x), None) => Elem::F(storage::round(to, x)),
        (Elem::I(i), None) => Elem::F(storage::round(to, storage::int_to_float(to, i))),
        (Elem::F(x), _) if to == DType::Bool => Elem::I((x != 0.0) as i128),
        (Elem::I(i), _) if to == DType::Bool => Elem::I((i != 0) as i128),
        (Elem::F(x), Some(t)) => {
            let (low, high) = storage::int_range(t);
            Elem::I((x as i128).clamp(low, high))
        }
        (Elem::I(i), Some(t)) => Elem::I(t.wrap(i)),
    }
}

impl Eval for Cast {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let mut data = Data::empty(self.to);
        (0..x.len()).for_each(|i| data.push(self.to, convert(x.elem(i), self.to)));
        Ok(Array { dtype: self.to, shape: x.shape.clone(), data }.into())
    }
}

impl Eval for Bitcast {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let [x] = arrays(args)?;
        let bits = (0..x.len()).map(|i| storage::bits_of(x.dtype, &x.data, i));
        Ok(Array { dtype: self.to, shape: x.shape.clone(), data: storage::from_bits(self.to, bits) }.into())
    }
}
