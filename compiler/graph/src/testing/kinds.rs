//! How each kind of operation joins a random graph.

use super::{Fact, Grow};
use crate::graph::{NodeId, ParamKind};
use crate::ops::*;
use crate::ty::TensorTy;
use girih_base::scalar::Operands;
use girih_base::{DType, Dim, Loc, ScalarOp};
use std::sync::Arc;

macro_rules! kinds {
    ($($kind:ident $function:ident $weight:literal,)*) => {
        /// A kind of step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $(#[doc = concat!("Appends `", stringify!($function), "`.")] $kind,)* }

        impl Kind {
            /// Every kind and how often it is tried by default.
            pub const WEIGHTS: &'static [(Kind, u32)] = &[$((Kind::$kind, $weight)),*];

            pub(super) fn grow(self, grow: &mut Grow) -> Option<()> {
                match self { $(Kind::$kind => $function(grow)),* }
            }
        }
    };
}

kinds! {
    Fresh fresh 4,
    Count iota 2,
    Map map 30,
    Cast cast 8,
    Bitcast bitcast 2,
    Reshape reshape 4,
    Permute permute 5,
    Broadcast broadcast 5,
    Slice slice 4,
    Pad pad 4,
    Reverse reverse 2,
    Window window 3,
    Concat concat 3,
    Dot dot 8,
    Reduce reduce 8,
    Scan scan 4,
    Gather gather 4,
    Scatter scatter 3,
    DynSlice dyn_slice 2,
    DynUpdate dyn_update 2,
    Sort sort 2,
    Loop repeat 2,
    Cond cond 2,
    Call call 3,
    Fence fence 1,
}

/// Whether arithmetic on the dtype is well conditioned enough to compare.
fn computes(dtype: DType) -> bool {
    !dtype.is_float() || dtype.bits() >= 16
}

fn fresh(g: &mut Grow) -> Option<()> {
    let dtype = *g.r.pick(&g.config.dtypes);
    let rank = g.r.below(5);
    let shape = g.shape(rank);
    g.fresh(TensorTy { dtype, shape });
    Some(())
}

fn iota(g: &mut Grow) -> Option<()> {
    let rank = g.r.below(3) + 1;
    let shape = g.shape(rank);
    let dtype = *g.r.pick(&[DType::I32, DType::F32, DType::U8]);
    let axis = g.r.below(rank);
    let id = g.add(Iota { ty: TensorTy { dtype, shape }, axis }, &[])?;
    g.keep_all(id, g.config.max_elements as f64, true)
}

/// What must hold of an operand so that the result is a number of known size.
enum Domain {
    Any,
    Positive,
    Unit,
    AboveOne,
    Small,
}

fn domain(op: ScalarOp, slot: usize) -> Domain {
    match (op, slot) {
        (ScalarOp::Div | ScalarOp::Atan2, 1) => Domain::Positive,
        (ScalarOp::Pow, 0) => Domain::Positive,
        (
            ScalarOp::Sqrt
            | ScalarOp::Rsqrt
            | ScalarOp::Log
            | ScalarOp::Log2
            | ScalarOp::Log10
            | ScalarOp::Recip
            | ScalarOp::Cbrt,
            _,
        ) => Domain::Positive,
        (ScalarOp::Asin | ScalarOp::Acos | ScalarOp::Atanh | ScalarOp::Tan, _) => Domain::Unit,
        (ScalarOp::Acosh, _) => Domain::AboveOne,
        (ScalarOp::Log1p, _) => Domain::Unit,
        (
            ScalarOp::Exp
            | ScalarOp::Exp2
            | ScalarOp::Expm1
            | ScalarOp::Sinh
            | ScalarOp::Cosh
            | ScalarOp::Pow
            | ScalarOp::Sin
            | ScalarOp::Cos,
            _,
        ) => Domain::Small,
        _ => Domain::Any,
    }
}

/// The float value brought into a domain.
fn guarded(g: &mut Grow, x: Fact, domain: Domain) -> Option<Fact> {
    let ty = g.ty(x);
    let unit = |g: &mut Grow| -> Option<NodeId> {
        let t = g.add(ScalarOp::Tanh, &[x.id])?;
        let scale = g.g.splat(0.75, ty.clone()).ok()?;
        g.add(ScalarOp::Mul, &[t, scale])
    };
    let shifted = |g: &mut Grow, by: f64| -> Option<NodeId> {
        let a = g.add(ScalarOp::Abs, &[x.id])?;
        let by = g.g.splat(by, ty.clone()).ok()?;
        g.add(ScalarOp::Add, &[a, by])
    };
    let (id, bound) = match domain {
        Domain::Any => return Some(x),
        Domain::Small if x.bound <= 2.0 => return Some(x),
        Domain::Small | Domain::Unit => (unit(g)?, 0.75),
        Domain::Positive => (shifted(g, 0.5)?, x.bound + 0.5),
        Domain::AboveOne => (shifted(g, 1.5)?, x.bound + 1.5),
    };
    Some(Fact { id, bound, exact: false })
}

fn map(g: &mut Grow) -> Option<()> {
    use ScalarOp as S;
    let x = g.pick()?;
    let ty = g.ty(x);
    let fits = |op: &&S| match op.row().operands {
        Operands::Float => ty.dtype.is_float(),
        Operands::Int => ty.dtype.is_int(),
        Operands::Number => ty.dtype != DType::Bool,
        Operands::Bits => !ty.dtype.is_float(),
        Operands::Bool => ty.dtype == DType::Bool,
        Operands::Any | Operands::Select => true,
    };
    let ops: Vec<S> = S::ALL.iter().filter(fits).copied().collect();
    let op = *g.r.pick(&ops);
    if op == S::Select {
        let condition = g.like(&ty.with_dtype(DType::Bool));
        let other = g.like(&ty);
        let id = g.add(op, &[condition.id, x.id, other.id])?;
        g.keep(id, x.bound.max(other.bound), x.exact && other.exact && condition.exact);
        return Some(());
    }
    let mut operands = vec![x];
    while operands.len() < op.arity() {
        operands.push(g.like(&ty));
    }
    if !ty.dtype.is_float() {
        let ids: Vec<NodeId> = operands.iter().map(|o| o.id).collect();
        let id = g.add(op, &ids)?;
        g.keep(id, 0.0, operands.iter().all(|o| o.exact));
        return Some(());
    }
    // Results that jump, and results that every target gives exactly when the operands are exact.
    let jumps = matches!(
        op,
        S::Floor
            | S::Ceil
            | S::Trunc
            | S::Round
            | S::Sign
            | S::Eq
            | S::Ne
            | S::Lt
            | S::Le
            | S::Gt
            | S::Ge
            | S::CopySign
    );
    let keeps = matches!(op, S::Neg | S::Abs | S::Min | S::Max | S::Relu | S::IsNan | S::IsInf | S::IsFinite);
    let exact = operands.iter().all(|o| o.exact);
    // Float remainders jump where a quotient that is not exact crosses a whole number.
    if matches!(op, S::Rem | S::FloorDiv | S::FloorMod) || (jumps && !exact) || !computes(ty.dtype) {
        return None;
    }
    for (slot, operand) in operands.iter_mut().enumerate() {
        *operand = guarded(g, *operand, domain(op, slot))?;
    }
    if op == S::Clamp {
        // The limits in order.
        let one = g.g.splat(1.0, ty.clone()).ok()?;
        let above = g.add(S::Add, &[operands[1].id, one])?;
        operands[2] = Fact { id: above, bound: operands[1].bound + 1.0, exact: false };
    }
    let ids: Vec<NodeId> = operands.iter().map(|o| o.id).collect();
    let id = g.add(op, &ids)?;
    let b: Vec<f64> = operands.iter().map(|o| o.bound).collect();
    let sum: f64 = b.iter().sum();
    let bound = match op {
        S::Mul => b[0] * b[1],
        S::Square => b[0] * b[0],
        S::Fma => b[0] * b[1] + b[2],
        S::Div => 2.0 * b[0],
        S::Pow => (2.0 + b[0]).powf(b[1].max(1.0)),
        S::Exp | S::Exp2 | S::Expm1 | S::Sinh | S::Cosh => 8.0,
        S::Tan | S::Atanh | S::Asin | S::Acos => 4.0,
        _ => sum + 8.0,
    };
    g.squash(id, bound, exact && (jumps || keeps))?;
    Some(())
}

fn cast(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let (from, to) = (g.ty(x).dtype, *g.r.pick(&g.config.dtypes));
    let narrow = to.is_float() && !computes(to);
    if from.is_float() && (!to.is_float() || narrow) && !x.exact {
        return None;
    }
    // -0 in f8e8m0 is NaN, as are all negative values.
    if to == DType::F8E8M0 && from != DType::F8E8M0 {
        return None;
    }
    let mut of = x;
    if !from.is_float() && to.is_float() && from != DType::Bool {
        // Small whole numbers, which every float type but the smallest holds exactly.
        let mask = g.g.splat(3i64, g.ty(x)).ok()?;
        of = Fact { id: g.add(ScalarOp::And, &[x.id, mask])?, bound: 4.0, exact: x.exact };
    }
    let range = if to == DType::F4E2M1 { 6.0 } else { 448.0 };
    if narrow && of.bound > range {
        return None;
    }
    let id = g.add(Cast { to }, &[of.id])?;
    g.keep(id, of.bound.max(1.0), of.exact);
    Some(())
}

fn bitcast(g: &mut Grow) -> Option<()> {
    // Between integers only: float bits may be NaN one way, and differ in the last place the other.
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.dtype.is_int()))?;
    let from = g.ty(x).dtype;
    let to = DType::ALL.iter().copied().find(|d| d.is_int() && d.bits() == from.bits() && *d != from)?;
    g.moved(Bitcast { to }, &[x.id], x)
}

fn reshape(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let mut shape = g.ty(x).shape;
    match g.r.below(3) {
        0 => shape.insert(g.r.below(shape.len() + 1), Dim::ONE),
        1 if shape.len() > 1 => {
            let at = g.r.below(shape.len() - 1);
            let next = shape.remove(at + 1);
            shape[at] = &shape[at] * &next;
        }
        _ => {
            let at = (0..shape.len()).find(|a| shape[*a].as_const().is_some_and(|n| n > 2 && n % 2 == 0))?;
            shape[at] = Dim::from(shape[at].as_const()? / 2);
            shape.insert(at + 1, Dim::from(2i64));
        }
    }
    g.moved(Reshape { shape }, &[x.id], x)
}

fn permute(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 1))?;
    let rank = g.ty(x).rank();
    let mut perm: Vec<usize> = (0..rank).collect();
    for i in (1..rank).rev() {
        perm.swap(i, g.r.below(i + 1));
    }
    g.moved(Permute { perm }, &[x.id], x)
}

fn broadcast(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let mut shape = g.ty(x).shape;
    let at = g.r.below(shape.len() + 1);
    let extent = g.extent();
    let axes = (0..shape.len()).map(|a| a + (a >= at) as usize).collect();
    shape.insert(at, extent);
    g.moved(Broadcast { shape, axes }, &[x.id], x)
}

/// The extent of an axis when it is a number above `low`.
fn known(ty: &TensorTy, axis: usize, low: i64) -> Option<usize> {
    ty.shape[axis].as_const().filter(|n| *n > low).map(|n| n as usize)
}

fn slice(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let rank = ty.rank();
    let mut op = Slice { start: vec![Dim::ZERO; rank], limit: ty.shape.clone(), stride: vec![1; rank] };
    for a in 0..rank {
        if let Some(n) = known(&ty, a, 0) {
            let start = g.r.below(n);
            op.start[a] = Dim::from(start);
            op.limit[a] = Dim::from(start + 1 + g.r.below(n - start));
            op.stride[a] = *g.r.pick(&[1, 1, 2, 3]);
        }
    }
    g.moved(op, &[x.id], x)
}

fn pad(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let mut sizes = |choices: &[i64]| (0..ty.rank()).map(|_| *g.r.pick(choices)).collect::<Vec<_>>();
    let (low, high, interior) = (sizes(&[0, 1, 2]), sizes(&[0, 1, 3]), sizes(&[0, 0, 1]));
    let dims = |list: Vec<i64>| list.into_iter().map(Dim::from).collect();
    let value = g.like(&TensorTy::scalar(ty.dtype));
    let of = Fact { bound: x.bound.max(value.bound), exact: x.exact && value.exact, ..x };
    g.moved(Pad { low: dims(low), high: dims(high), interior }, &[x.id, value.id], of)
}

fn reverse(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let axes = (0..g.ty(x).rank()).filter(|_| g.r.below(2) == 0).collect();
    g.moved(Reverse { axes }, &[x.id], x)
}

fn window(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let mut axes = Vec::new();
    for axis in 0..ty.rank() {
        if let (Some(n), true) = (known(&ty, axis, 1), axes.len() < 2) {
            let (size, dilation) = (1 + g.r.below(n.min(3)) as i64, *g.r.pick(&[1, 1, 2]));
            if (size - 1) * dilation < n as i64 {
                axes.push(WindowAxis { axis, size, stride: *g.r.pick(&[1, 2, 3]), dilation });
            }
        }
    }
    g.moved(Window { axes }, &[x.id], x)
}

fn concat(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let mut ty = g.ty(x);
    let axis = g.r.below(ty.rank());
    ty.shape[axis] = g.extent();
    let y = g.like(&ty);
    let of = Fact { bound: x.bound.max(y.bound), exact: x.exact && y.exact, ..x };
    g.moved(Concat { axis }, &[x.id, y.id], of)
}

fn dot(g: &mut Grow) -> Option<()> {
    let a =
        g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0 && t.dtype != DType::Bool && computes(t.dtype)))?;
    let ty = g.ty(a);
    let left = g.r.below(ty.rank());
    let batch_axis = (0..ty.rank()).find(|i| *i != left).filter(|_| g.r.below(3) == 0);
    let n = g.extent();
    let mut shape = vec![ty.shape[left].clone(), n];
    let mut right = 0;
    if g.r.below(2) == 0 {
        shape.swap(0, 1);
        right = 1;
    }
    let mut batch = Vec::new();
    if let Some(axis) = batch_axis {
        shape.insert(0, ty.shape[axis].clone());
        right += 1;
        batch.push((axis, 0));
    }
    let b = g.like(&TensorTy { dtype: ty.dtype, shape });
    let k = g.elements(&[ty.shape[left].clone()])?[0] as f64;
    let op = Dot { batch, contract: vec![(left, right)], acc: ty.dtype.accumulator(), precision: Precision::Exact };
    let id = g.add(op, &[a.id, b.id])?;
    let exact = !ty.dtype.is_float() && a.exact && b.exact;
    g.keep_all(id, a.bound * b.bound * k.max(1.0), exact)
}

/// A monoid for the value, its accumulator, the result's bound over `n` elements, and whether the result is exact.
fn monoid(g: &mut Grow, x: Fact, n: f64) -> Option<(Monoid, DType, f64, bool)> {
    let dtype = g.ty(x).dtype;
    let plain = match dtype {
        DType::Bool => vec![Monoid::And, Monoid::Or, Monoid::Xor],
        d if d.is_int() => {
            use Monoid::*;
            vec![Sum, Prod, Max, Min, And, Or, Xor, ArgMax, ArgMin]
        }
        _ => {
            vec![Monoid::Sum, Monoid::Max, Monoid::Min, Monoid::ArgMax, Monoid::ArgMin, Monoid::Welford, Monoid::Online]
        }
    };
    let m = g.r.pick(&plain).clone();
    let sums = matches!(m, Monoid::Sum | Monoid::Prod | Monoid::Welford | Monoid::Online);
    let position = matches!(m, Monoid::ArgMax | Monoid::ArgMin);
    // The fold of nothing is infinite, and a position jumps.
    let empty = n == 0.0 && dtype.is_float() && !matches!(m, Monoid::Sum);
    if empty || (position && !x.exact) || (dtype.is_float() && !computes(dtype) && sums) {
        return None;
    }
    let bound = if sums { (x.bound + 1.0).powi(2) * n.max(1.0) } else { x.bound };
    let exact = x.exact && (!dtype.is_float() || !sums);
    Some((m, if sums { dtype.accumulator() } else { dtype }, bound, exact))
}

fn reduce(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let ty = g.ty(x);
    let mut axes = vec![g.r.below(ty.rank())];
    let folded: Vec<Dim> = axes.iter().map(|a| ty.shape[*a].clone()).collect();
    let mut n = g.elements(&folded)?[0] as f64;
    let (monoid, acc, mut bound, exact) = monoid(g, x, n)?;
    let second = (0..ty.rank()).find(|a| *a != axes[0]).filter(|_| g.r.below(3) == 0);
    if let (Some(a), false) = (second, matches!(monoid, Monoid::ArgMax | Monoid::ArgMin)) {
        n = g.elements(&[ty.shape[a].clone()])?[0] as f64;
        if n > 0.0 {
            axes.push(a);
            bound *= n;
        }
    }
    let id = g.add(Reduce { monoid, axes, acc }, &[x.id])?;
    g.keep_all(id, bound, exact)
}

fn scan(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let ty = g.ty(x);
    let axis = g.r.below(ty.rank());
    let n = g.elements(&[ty.shape[axis].clone()])?[0] as f64;
    let (monoid, acc, bound, exact) = monoid(g, x, n)?;
    // An exclusive scan begins with the identity, which is infinite for the others.
    let exclusive = g.r.below(3) == 0 && (!ty.dtype.is_float() || matches!(monoid, Monoid::Sum));
    let reverse = g.r.below(3) == 0;
    let id = g.add(Scan { monoid, axis, reverse, exclusive, acc }, &[x.id])?;
    g.keep_all(id, bound, exact)
}

/// Positions: whole numbers around the extents, some of them outside.
fn indices(g: &mut Grow, count: usize, components: usize) -> Fact {
    let dtype = *g.r.pick(&[DType::I32, DType::I32, DType::U8, DType::I64]);
    g.fresh(TensorTy::new(dtype, [count, components]))
}

fn gather(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let ty = g.ty(x);
    let axis = g.r.below(ty.rank());
    known(&ty, axis, 0)?;
    let count = g.r.below(6);
    let at = indices(g, count, 1);
    let mut sizes = ty.shape.clone();
    sizes[axis] = Dim::ONE;
    let op = Gather {
        sizes,
        offset_axes: (1..ty.rank()).collect(),
        collapsed: vec![axis],
        start_map: vec![axis],
        operand_batch: vec![],
        index_batch: vec![],
    };
    g.moved(op, &[x.id, at.id], x)
}

fn scatter(g: &mut Grow) -> Option<()> {
    let x =
        g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| t.rank() > 0 && t.dtype != DType::Bool && computes(t.dtype)))?;
    let ty = g.ty(x);
    let axis = g.r.below(ty.rank());
    let n = known(&ty, axis, 0)?;
    let combine = *g.r.pick(&[Combine::Add, Combine::Max, Combine::Min, Combine::Set]);
    let count = if combine == Combine::Set { 1 + g.r.below(n) } else { g.r.below(6) };
    // `Set` only where no element is hit twice.
    let at = match combine {
        Combine::Set => g.add(Iota { ty: TensorTy::new(DType::I32, [count, 1]), axis: 0 }, &[])?,
        _ => indices(g, count, 1).id,
    };
    let mut shape = ty.shape.clone();
    shape.remove(axis);
    shape.insert(0, Dim::from(count));
    let updates = g.like(&ty.with_shape(shape));
    let op = Scatter {
        combine,
        window_axes: (1..ty.rank()).collect(),
        inserted: vec![axis],
        start_map: vec![axis],
        operand_batch: vec![],
        index_batch: vec![],
        unique: combine == Combine::Set,
    };
    let id = g.add(op, &[x.id, at, updates.id])?;
    let exact = x.exact && updates.exact && (combine != Combine::Add || !ty.dtype.is_float());
    g.keep_all(id, x.bound + count as f64 * updates.bound, exact)
}

fn starts(g: &mut Grow, rank: usize) -> Vec<NodeId> {
    let ty = TensorTy::scalar(DType::I32);
    (0..rank).map(|_| g.like(&ty).id).collect()
}

/// Extents no larger than the operand's.
fn smaller(g: &mut Grow, ty: &TensorTy) -> Vec<Dim> {
    (0..ty.rank()).map(|a| known(ty, a, 1).map_or(ty.shape[a].clone(), |n| Dim::from(1 + g.r.below(n)))).collect()
}

fn dyn_slice(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let sizes = smaller(g, &ty);
    let mut operands = vec![x.id];
    operands.extend(starts(g, ty.rank()));
    g.moved(DynSlice { sizes }, &operands, x)
}

fn dyn_update(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    let ty = g.ty(x);
    let shape = smaller(g, &ty);
    let part = g.like(&ty.with_shape(shape));
    let mut operands = vec![x.id, part.id];
    operands.extend(starts(g, ty.rank()));
    let of = Fact { bound: x.bound.max(part.bound), exact: x.exact && part.exact, ..x };
    g.moved(DynUpdate { donate: false }, &operands, of)
}

fn sort(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| x.exact && g.tensor(x.id).is_ok_and(|t| t.rank() > 0))?;
    let ty = g.ty(x);
    let y = g.like(&ty.with_dtype(DType::I32));
    let op = Sort { axis: g.r.below(ty.rank()), keys: 1 + g.r.below(2), descending: g.r.below(2) == 0 };
    // A key that is not exact would jump; -0 and 0 are equal keys, which a stable sort keeps in order.
    if !y.exact {
        return None;
    }
    let id = g.add(op, &[x.id, y.id])?;
    g.keep_all(id, x.bound, true)
}

/// A body over scalars or tensors of these types, grown for some steps; one result of the last type.
fn body(g: &mut Grow, tys: &[TensorTy], steps: usize) -> Option<crate::Graph> {
    let seed = g.r.bits();
    let mut inner = Grow::new(seed, g.config, true);
    inner.bindings = g.bindings.clone();
    for (i, ty) in tys.iter().enumerate() {
        let id = inner.g.param(&format!("b{i}"), ty.clone(), ParamKind::Input, Loc::unknown());
        inner.keep(id, super::LARGE, false);
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

fn repeat(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| computes(t.dtype)))?;
    let ty = g.ty(x);
    let constant = g.like(&ty);
    let body = Arc::new(body(g, &[TensorTy::scalar(DType::I32), ty.clone(), ty], 3)?);
    let rounds = Dim::from(g.r.below(4));
    let id = g.add(Loop { kind: LoopKind::For(rounds), body, carried: 1 }, &[x.id, constant.id])?;
    g.keep_all(id, 2.0 * super::LARGE, false)
}

fn cond(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| computes(t.dtype)))?;
    let ty = g.ty(x);
    let dtype = *g.r.pick(&[DType::Bool, DType::I32]);
    let choice = g.pick_where(|g, c| c.exact && *g.ty(c.id) == TensorTy::scalar(dtype).into());
    let choice = choice.unwrap_or_else(|| g.fresh(TensorTy::scalar(dtype)));
    let branches =
        vec![Arc::new(body(g, std::slice::from_ref(&ty), 2)?), Arc::new(body(g, std::slice::from_ref(&ty), 2)?)];
    let id = g.add(Cond { branches }, &[choice.id, x.id])?;
    g.keep_all(id, 2.0 * super::LARGE, false)
}

fn call(g: &mut Grow) -> Option<()> {
    let x = g.pick_where(|g, x| g.tensor(x.id).is_ok_and(|t| computes(t.dtype)))?;
    let ty = g.ty(x);
    let y = g.like(&ty);
    let callee = Callee { name: "random".into(), attrs: Vec::new(), body: body(g, &[ty.clone(), ty], 4)? };
    let callee = Arc::new(callee);
    let id = g.add(Call { callee: callee.clone() }, &[x.id, y.id])?;
    // Now and then twice, so that the body is shared.
    let id = if g.r.below(2) == 0 { g.add(Call { callee }, &[id, x.id])? } else { id };
    g.keep_all(id, 2.0 * super::LARGE, false)
}

fn fence(g: &mut Grow) -> Option<()> {
    let x = g.pick()?;
    g.moved(Fence, &[x.id], x)
}
