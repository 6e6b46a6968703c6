//! What the parameters of a kernel stand for.

use super::{Eval, MAX_SIZE};
use crate::Binding;
use crate::signature::{Arg, Constant, Place};
use crate::value::{BlockPointer, Pointer, Value};
use girih_base::{DType, Dim, Result};
use girih_tile::Access;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

impl Eval<'_> {
    /// The value of a parameter, and what launches bind for it.
    pub fn argument(
        &mut self,
        name: &str,
        arg: &Arg,
        before: &mut BTreeMap<String, Value>,
        unique: &mut dyn FnMut(String) -> String,
        bindings: &mut Vec<(String, Binding)>,
    ) -> Result<Value> {
        let ascii = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let symbol = match (ascii, name.replace('.', "_")) {
            (true, _) => name.to_string(),
            // Arguments in tuples.
            (_, part) if part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => unique(part),
            _ => unique("argument".into()),
        };
        let multiple = |m: &u32| (*m).max(1) as i64;
        Ok(match arg {
            Arg::Constant(c) => self.constant(c)?,
            Arg::Tuple(list) => {
                let mut values = Vec::new();
                for (i, arg) in list.iter().enumerate() {
                    let part = format!("{name}.{i}");
                    let value = self.argument(&part, arg, before, unique, bindings)?;
                    before.insert(part, value.clone());
                    values.push(value);
                }
                Value::tuple(values)
            }
            Arg::Pointer { dtype, place: Place { alias, start: Some(start) }, multiple_of } => {
                let place = Place { alias: alias.clone(), start: None };
                let whole = Arg::Pointer { dtype: *dtype, multiple_of: *multiple_of, place };
                let Value::Pointer(p) = self.argument(name, &whole, before, unique, bindings)? else {
                    return Ok(Value::None);
                };
                let symbol = unique(format!("{symbol}_start"));
                let max = MAX_SIZE / multiple(start) * multiple(start);
                let d = self.symbol(&symbol, 0, max, multiple(start));
                bindings.push((name.into(), Binding::Start(symbol.into())));
                let start = self.dim_tensor(&d);
                let from = Pointer { offset: self.dim_tensor(&Dim::ZERO), ..p };
                self.offset(&from, &Value::Tensor(start), false)?
            }
            Arg::Pointer { dtype, place: Place { alias: Some(other), start: None }, .. } => {
                let base = match before.get(other) {
                    Some(Value::Pointer(p)) => Some(p.clone()),
                    Some(Value::BlockPointer(p)) => Some(p.base.clone()),
                    _ => None,
                };
                let fits = |p: &Pointer| {
                    p.dtype == *dtype || p.dtype.bits() == dtype.bits() && ![p.dtype, *dtype].contains(&DType::Bool)
                };
                match base.filter(fits) {
                    Some(p) => Value::Pointer(Pointer { dtype: *dtype, ..p }),
                    None => {
                        let what = format!("`{other}` is not an earlier pointer to {dtype}, or to a type of its size");
                        return Err(self.error("K012", what, "here"));
                    }
                }
            }
            Arg::Pointer { dtype, multiple_of, place: Place { alias: None, start: None } } => {
                let length: Arc<str> = unique(format!("{symbol}_len")).into();
                let multiple_of = multiple(multiple_of);
                let max = i32::MAX as i64 / multiple_of * multiple_of;
                let len = self.symbol(&length, 0, max, multiple_of);
                let param = self.b.param(&symbol, *dtype, len, Access::Read, false);
                self.uses.push((false, false));
                bindings.push((name.into(), Binding::Buffer { param, length, dtype: *dtype }));
                let zero = self.dim_tensor(&Dim::ZERO);
                Value::Pointer(Pointer { param, dtype: *dtype, offset: zero })
            }
            Arg::Descriptor { dtype, block, nan, place } => {
                let plain = Arg::Pointer { dtype: *dtype, multiple_of: 1, place: place.clone() };
                let Value::Pointer(base) = self.argument(name, &plain, before, unique, bindings)? else {
                    return Ok(Value::None);
                };
                let (mut shape, mut strides) = (Vec::new(), Vec::new());
                for axis in 0..block.len() {
                    let mut size = |e: &mut Self, what: &str, binding: fn(Arc<str>, usize) -> Binding| {
                        let symbol: Arc<str> = unique(format!("{symbol}_{what}{axis}")).into();
                        bindings.push((name.into(), binding(symbol.clone(), axis)));
                        let d = e.symbol(&symbol, 0, MAX_SIZE, 1);
                        e.dim_tensor(&d)
                    };
                    shape.push(size(self, "shape", Binding::Extent));
                    strides.push(match axis + 1 == block.len() {
                        true => self.dim_tensor(&Dim::ONE),
                        false => size(self, "stride", Binding::Stride),
                    });
                }
                let zero = self.dim_tensor(&Dim::ZERO);
                let offsets = vec![zero; block.len()];
                let block = block.clone();
                Value::BlockPointer(Rc::new(BlockPointer {
                    base,
                    shape,
                    strides,
                    offsets,
                    block,
                    descriptor: true,
                    nan: *nan,
                }))
            }
            Arg::Int { dtype, multiple_of, size: true } => {
                let multiple_of = multiple(multiple_of);
                let max = MAX_SIZE / multiple_of * multiple_of;
                let d = self.symbol(&symbol, 0, max, multiple_of);
                bindings.push((name.into(), Binding::Size(symbol.into())));
                let t = self.dim_tensor(&d);
                Value::Tensor(self.cast(&t, *dtype)?)
            }
            Arg::Int { dtype, .. } | Arg::Float(dtype) => {
                use DType::{F32, F64, I32, I64, U32, U64};
                if !matches!(dtype, I32 | U32 | I64 | U64 | F32 | F64) {
                    return Err(self.error(
                        "K012",
                        format!("a number of type {dtype} cannot be passed"),
                        "this parameter",
                    ));
                }
                let id = self.b.scalar(&symbol, *dtype);
                bindings.push((name.into(), Binding::Scalar(symbol.into(), *dtype)));
                Value::Tensor(self.fresh_tensor(id, *dtype, &[]))
            }
        })
    }

    /// A constant of the signature.
    pub fn constant(&mut self, c: &Constant) -> Result<Value> {
        match c {
            Constant::Function { module, name } => {
                let own = self.module.source.clone();
                let source = match module.is_empty() {
                    true => own,
                    false => match self.module.library.module(module, &own.file) {
                        Some(found) => found?,
                        None => {
                            return Err(self.error("K003", format!("there is no module `{module}`"), "this parameter"));
                        }
                    },
                };
                match self.global(&source, name)? {
                    Some(v @ Value::Function(_)) => Ok(v),
                    _ => {
                        Err(self.error("K003", format!("`{}` has no function `{name}`", source.file), "this parameter"))
                    }
                }
            }
            Constant::Tuple(list) => {
                let values = list.iter().map(|c| self.constant(c)).collect::<Result<_>>()?;
                Ok(Value::tuple(values))
            }
            c => Ok(c.value().unwrap_or(Value::None)),
        }
    }
}
