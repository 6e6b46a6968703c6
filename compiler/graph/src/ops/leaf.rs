//! `Param`, `Const`, `Iota`: values without operands.

use super::{Rule, check_axis};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Array, Cx, Eval, Value};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::graph::ParamKind;
use crate::literal::{Literal, Number};
use crate::text::attrs::{Attrs, Field, Fields, Item};
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Diag, Result as DiagResult};

/// A value from outside the graph. Added with [`crate::Graph::param`], never directly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Param {
    /// Position in the parameter list.
    pub index: usize,
    /// What it is to the runtime.
    pub kind: ParamKind,
}

/// A value known at compile time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Const {
    /// Type of the value.
    pub ty: TensorTy,
    /// The value.
    pub value: Literal,
}

/// Element `[.., i, ..]` is `i`, the coordinate along `axis`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Iota {
    /// Type of the value; not bool.
    pub ty: TensorTy,
    /// The axis that counts.
    pub axis: usize,
}

fn no_operands(operands: &[&Ty]) -> Result<(), String> {
    if operands.is_empty() { Ok(()) } else { Err(format!("takes no operands, got {}", operands.len())) }
}

impl Rule for Param {
    fn name(&self) -> &'static str {
        "param"
    }
    fn infer(&self, _: &[&Ty]) -> Result<Ty, String> {
        Err("parameters are added with `Graph::param`".into())
    }
}

impl Rule for Const {
    fn name(&self) -> &'static str {
        "const"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        no_operands(operands)?;
        match &self.value {
            Literal::Splat(_) => {}
            Literal::Dim(_) if self.ty.dtype.is_int() => {}
            Literal::Dim(_) => return Err(format!("a size as {}: it must be an integer type", self.ty.dtype)),
            Literal::Dense(bytes) => {
                let count = self.ty.elements().as_const().and_then(|n| u64::try_from(n).ok());
                let want = count.map(|n| self.ty.dtype.bytes_for(n));
                if want != Some(bytes.len() as u64) {
                    return Err(format!("{} bytes of data for {}", bytes.len(), self.ty));
                }
            }
        }
        Ok(self.ty.clone().into())
    }
}

impl Rule for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        no_operands(operands)?;
        check_axis(self.axis, &self.ty)?;
        match self.ty.dtype {
            DType::Bool => Err("cannot count in bool".into()),
            _ => Ok(self.ty.clone().into()),
        }
    }
}

impl Eval for Param {
    fn eval(&self, _: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        Err(Diag::error("G202", format!("parameter {} has no value", self.index)))
    }
}

impl Eval for Const {
    fn eval(&self, _: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let (dtype, shape) = (self.ty.dtype, cx.shape(&self.ty.shape)?);
        Ok(match &self.value {
            Literal::Splat(value) => Array::splat(dtype, &shape, *value).into(),
            Literal::Dim(dim) => Array::splat(dtype, &shape, Number::Int(cx.dim(dim)? as i128)).into(),
            Literal::Dense(bytes) => Array::decode(dtype, &shape, bytes)?.into(),
        })
    }
}

impl Eval for Iota {
    fn eval(&self, _: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let shape = cx.shape(&self.ty.shape)?;
        let (inner, extent) = (shape[self.axis + 1..].iter().product::<usize>().max(1), shape[self.axis].max(1));
        let coordinates = (0..shape.iter().product()).map(|flat: usize| (flat / inner % extent) as i128);
        Ok(Array::from_ints(self.ty.dtype, &shape, coordinates).rounded().into())
    }
}

// Written as its kind: `input`, `weight` or `state`.
impl Attrs for Param {
    const NAME: &'static str = "param";
    fn attrs(&self) -> Vec<(&'static str, Item)> {
        Vec::new()
    }
    fn read(_: &mut Fields) -> Result<Param, String> {
        Err("parameters are written `input`, `weight` or `state`".into())
    }
}

// The type is the one the node is printed with.
impl Attrs for Const {
    const NAME: &'static str = "const";
    fn attrs(&self) -> Vec<(&'static str, Item)> {
        vec![("value", self.value.item())]
    }
    fn read(fields: &mut Fields) -> Result<Const, String> {
        Ok(Const { value: fields.take("value")?, ty: fields.ty.clone().ok_or("needs `: type`")? })
    }
}

impl Attrs for Iota {
    const NAME: &'static str = "iota";
    fn attrs(&self) -> Vec<(&'static str, Item)> {
        vec![("axis", self.axis.item())]
    }
    fn read(fields: &mut Fields) -> Result<Iota, String> {
        Ok(Iota { axis: fields.take("axis")?, ty: fields.ty.clone().ok_or("needs `: type`")? })
    }
}

// Without operands there is nothing to pass on.
macro_rules! no_operands_to_differentiate {
    ($($kind:ty),*) => {$(
        impl Vjp for $kind {
            fn vjp(&self, _: &mut Backward, _: &Site, _: &[Option<NodeId>]) -> Cotangents {
                Ok(Vec::new())
            }
        }
    )*};
}
no_operands_to_differentiate!(Param, Const, Iota);

// Without operands nothing is batched, and these are never asked.
macro_rules! no_operands_to_batch {
    ($($kind:ty),*) => {$(
        impl Batch for $kind {
            fn batch(&self, b: &mut Batcher, _: &[Lane]) -> DiagResult<Vec<Lane>> {
                Err(crate::batch::cannot_batch(&b.g, Rule::name(self), "it has no operands"))
            }
        }
    )*};
}
no_operands_to_batch!(Param, Const, Iota);
