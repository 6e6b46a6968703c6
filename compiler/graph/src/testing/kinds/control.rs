//! Bodies.

use super::computes;
use super::elements::map;
use super::shapes::permute;
use crate::graph::ParamKind;
use crate::ops::*;
use crate::testing::{Grow, LARGE};
use crate::ty::TensorTy;
use girih_base::{DType, Dim, Loc};
use std::sync::Arc;

/// A body over scalars or tensors of these types, grown for some steps; one result of the last type.
fn body(g: &mut Grow, tys: &[TensorTy], steps: usize) -> Option<crate::Graph> {
    let seed = g.r.bits();
    let mut inner = Grow::new(seed, g.config, true);
    inner.bindings = g.bindings.clone();
    for (i, ty) in tys.iter().enumerate() {
        let id = inner.g.param(&format!("b{i}"), ty.clone(), ParamKind::Input, Loc::unknown());
        inner.keep(id, LARGE, false);
    }
    for _ in 0..steps {
        match inner.r.below(3) {
            0 => permute(&mut inner),
            _ => map(&mut inner),
        };
    }
    let want = crate::Ty::from(tys.last()?.clone());
    let last = inner.pool.iter().rev().find(|x| *inner.g.ty(x.id) == want).copied()?;
    inner.g.set_outputs(vec![last.id]);
    Some(inner.g)
}

pub(super) fn repeat(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| computes(t.dtype)))?;
    let ty = g.ty(x);
    let constant = g.like(&ty);
    let body = Arc::new(body(g, &[TensorTy::scalar(DType::I32), ty.clone(), ty], 3)?);
    let rounds = Dim::from(g.r.below(4));
    let id = g.add(Loop { kind: LoopKind::For(rounds), body, carried: 1 }, &[x.id, constant.id])?;
    g.keep_all(id, 2.0 * LARGE, false)
}

pub(super) fn cond(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| computes(t.dtype)))?;
    let ty = g.ty(x);
    let dtype = *g.r.pick(&[DType::Bool, DType::I32]);
    let choice = g.pick_where(|g, c| c.exact && *g.ty(c.id) == TensorTy::scalar(dtype).into());
    let choice = choice.unwrap_or_else(|| g.fresh(TensorTy::scalar(dtype)));
    let branches =
        vec![Arc::new(body(g, std::slice::from_ref(&ty), 2)?), Arc::new(body(g, std::slice::from_ref(&ty), 2)?)];
    let id = g.add(Cond { branches }, &[choice.id, x.id])?;
    g.keep_all(id, 2.0 * LARGE, false)
}

pub(super) fn call(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| computes(t.dtype)))?;
    let ty = g.ty(x);
    let y = g.like(&ty);
    let callee = Callee { name: "random".into(), attrs: Vec::new(), body: body(g, &[ty.clone(), ty], 4)? };
    let callee = Arc::new(callee);
    let id = g.add(Call { callee: callee.clone() }, &[x.id, y.id])?;
    // Now and then twice, so that the body is shared.
    let id = if g.r.below(2) == 0 { g.add(Call { callee }, &[id, x.id])? } else { id };
    g.keep_all(id, 2.0 * LARGE, false)
}

pub(super) fn fence(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    g.moved(Fence, &[x.id], x)
}
