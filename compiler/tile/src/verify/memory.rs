//! Types of memory operations.

use super::{Check, Verifier};
use crate::ir::*;
use crate::op::*;
use girih_base::{DType, QuantFormat};

impl Verifier<'_> {
    /// Loads, stores and atomic operations; nothing is asked of others.
    pub(super) fn memory(&self, stmt: &Stmt) -> Check {
        match &stmt.op {
            Op::Load { param, view, at, mask, other: _ } => {
                let r = self.result(stmt)?;
                let p = self.param(*param, true, false)?;
                self.same("the result", r, &r.with_dtype(p.dtype))?;
                self.view(view, at, &r.shape)?;
                self.mask(*mask, &r.shape)
            }
            Op::LoadQuant { param, format, at, .. } => {
                let (r, p) = (self.result(stmt)?, self.param(*param, true, false)?);
                if p.dtype != DType::U8 || r.dtype != DType::F32 || r.shape.len() != 2 {
                    return Err("takes a u8 parameter and gives an f32 tile of two axes".into());
                }
                if QuantFormat::from_name(format).is_none() {
                    return Err(format!("no format `{format}`"));
                }
                at.iter().try_for_each(|v| self.i32_scalar("a coordinate", *v))
            }
            Op::LoadAt { param, index, mask, .. } => {
                let (r, p) = (self.result(stmt)?, self.param(*param, true, false)?);
                self.same("the result", r, &r.with_dtype(p.dtype))?;
                self.same("the index", self.ty(*index), &r.with_dtype(DType::I32))?;
                self.mask(*mask, &r.shape)
            }
            Op::Store { param, view, at, value, mask } => {
                let (v, p) = (self.ty(*value), self.param(*param, false, true)?);
                self.same("the value", v, &v.with_dtype(p.dtype))?;
                self.view(view, at, &v.shape)?;
                self.mask(*mask, &v.shape)?;
                self.results(stmt, &[])
            }
            Op::StoreAt { param, index, value, mask } => {
                let (v, p) = (self.ty(*value), self.param(*param, false, true)?);
                self.same("the value", v, &v.with_dtype(p.dtype))?;
                self.same("the index", self.ty(*index), &v.with_dtype(DType::I32))?;
                self.mask(*mask, &v.shape)?;
                self.results(stmt, &[])
            }
            Op::Atomic { op, param, index, value, mask } => {
                let (v, p) = (self.ty(*value), self.param(*param, true, true)?);
                self.same("the value", v, &v.with_dtype(p.dtype))?;
                self.same("the index", self.ty(*index), &v.with_dtype(DType::I32))?;
                self.mask(*mask, &v.shape)?;
                if matches!(op, AtomicOp::And | AtomicOp::Or | AtomicOp::Xor) && p.dtype.is_float() {
                    return Err("bitwise operations take integers".into());
                }
                self.results(stmt, std::slice::from_ref(v))
            }
            Op::CompareExchange { param, index, expected, value } => {
                let (v, p) = (self.ty(*value), self.param(*param, true, true)?);
                if !p.dtype.is_int() || p.dtype.bits() < 32 {
                    return Err("takes 32-bit or 64-bit integers".into());
                }
                self.same("the value", v, &v.with_dtype(p.dtype))?;
                self.same("the expected value", self.ty(*expected), v)?;
                self.same("the index", self.ty(*index), &v.with_dtype(DType::I32))?;
                self.results(stmt, std::slice::from_ref(v))
            }
            _ => Ok(()),
        }
    }

    fn param(&self, index: usize, reads: bool, writes: bool) -> Check<&Param> {
        let p = self.k.params.get(index).ok_or_else(|| format!("no parameter {index}"))?;
        if reads && p.access == Access::Write || writes && p.access == Access::Read {
            return Err(format!("parameter `{}` is not declared for this access", p.name));
        }
        Ok(p)
    }

    fn view(&self, view: &View, at: &[ValueId], shape: &[u32]) -> Check {
        if view.axes.len() != shape.len() || at.len() != shape.len() {
            let (axes, at, rank) = (view.axes.len(), at.len(), shape.len());
            return Err(format!("a tile with {rank} axes, a view with {axes} and {at} coordinates"));
        }
        if view.guards.iter().any(|g| g.coeffs.len() != view.axes.len()) {
            return Err("a guard needs one coefficient per axis".into());
        }
        at.iter().try_for_each(|v| self.i32_scalar("a coordinate", *v))
    }

    fn mask(&self, mask: Option<ValueId>, shape: &[u32]) -> Check {
        match mask {
            Some(m) => self.same("the mask", self.ty(m), &TileTy::new(DType::Bool, shape)),
            None => Ok(()),
        }
    }
}
