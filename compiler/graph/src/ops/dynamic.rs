//! `DynSlice`, `DynUpdate`: a part at a computed place, read and replaced.

use super::scatter::{Combine, Scatter};
use super::{Gather, Rule, all_tensors, check_rank};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Array, Cx, Eval, Value, all_arrays, view};
use crate::grad::{Backward, Cotangents, Site, Vjp, zeros};
use crate::graph::NodeId;
use crate::text::attrs::attrs;
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Diag, Dim, Known, Result as DiagResult, ScalarOp};

/// A slice whose start is computed: operands are the tensor and one integer scalar per axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DynSlice {
    /// Result extent of each axis.
    pub sizes: Vec<Dim>,
}

/// A tensor with one part replaced: operands are the tensor, the part, and one integer scalar per axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DynUpdate {
    /// Whether the first operand may be overwritten, since nobody reads it afterwards.
    pub donate: bool,
}

/// Refuses starts that are not one integer scalar per axis.
fn check_starts(starts: &[&TensorTy], x: &TensorTy) -> Result<(), String> {
    check_rank("start indices", starts.len(), x)?;
    match starts.iter().find(|s| s.rank() != 0 || !s.dtype.is_int()) {
        Some(s) => Err(format!("start indices are integer scalars, got {s}")),
        None => Ok(()),
    }
}

impl Rule for DynSlice {
    fn name(&self) -> &'static str {
        "dyn_slice"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let (x, starts) = list.split_first().ok_or("takes a tensor and start indices")?;
        check_starts(starts, x)?;
        check_rank("sizes", self.sizes.len(), x)?;
        if let Some(a) = (0..x.rank()).find(|a| self.sizes[*a].known_le(&x.shape[*a]) == Known::No) {
            return Err(format!("{} elements do not fit axis {a} of {x}", self.sizes[a]));
        }
        Ok(x.with_shape(self.sizes.clone()).into())
    }
}

impl Rule for DynUpdate {
    fn name(&self) -> &'static str {
        "dyn_update"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let list = all_tensors(operands)?;
        let [x, part, starts @ ..] = &list[..] else { return Err("takes a tensor, a part and start indices".into()) };
        check_starts(starts, x)?;
        let fits = part.dtype == x.dtype
            && part.rank() == x.rank()
            && (0..x.rank()).all(|a| part.shape[a].known_le(&x.shape[a]) != Known::No);
        if fits { Ok((*x).clone().into()) } else { Err(format!("the part {part} does not fit into {x}")) }
    }
}

/// The start of a part of shape `part` inside `whole`, each coordinate clamped so that the part fits.
fn clamped_start(starts: &[&Array], part: &[usize], whole: &[usize]) -> DiagResult<Vec<usize>> {
    let mut out = Vec::new();
    for ((start, part), whole) in starts.iter().zip(part).zip(whole) {
        let last = whole
            .checked_sub(*part)
            .ok_or_else(|| Diag::error("G206", format!("a part of {part} elements does not fit an axis of {whole}")))?;
        out.push(start.int(0).clamp(0, last as i128) as usize);
    }
    Ok(out)
}

fn offset(start: &[usize], steps: &[isize]) -> isize {
    start.iter().zip(steps).map(|(i, s)| *i as isize * s).sum()
}

impl Eval for DynSlice {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let (x, sizes, own) = (list[0], cx.shape(&self.sizes)?, view::strides(&list[0].shape));
        let start = clamped_start(&list[1..], &sizes, &x.shape)?;
        Ok(x.view(&sizes, offset(&start, &own), &own)?.into())
    }
}

impl Eval for DynUpdate {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        let list = all_arrays(args)?;
        let (x, part, own) = (list[0], list[1], view::strides(&list[0].shape));
        let start = clamped_start(&list[2..], &part.shape, &x.shape)?;
        let mut out = x.clone();
        out.data.place(&part.data, view::walk(&part.shape, offset(&start, &own), &own));
        Ok(out.into())
    }
}

attrs!(DynSlice "dyn_slice" { sizes });

attrs!(DynUpdate "dyn_update" { donate });

impl Vjp for DynSlice {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let mut out = vec![None; at.operands.len()];
        let Some(ct) = cts[0] else { return Ok(out) };
        let ty = b.g.tensor(at.operands[0])?.clone();
        let zero = zeros(&mut b.g, &ty)?;
        let operands: Vec<NodeId> = [zero, ct].into_iter().chain(at.operands[1..].iter().copied()).collect();
        out[0] = Some(b.g.push(DynUpdate { donate: true }, &operands)?);
        Ok(out)
    }
}

impl Vjp for DynUpdate {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let mut out = vec![None; at.operands.len()];
        let Some(ct) = cts[0] else { return Ok(out) };
        let part = b.g.tensor(at.operands[1])?.clone();
        let starts = &at.operands[2..];
        if at.needs[0] {
            let zero = zeros(&mut b.g, &part)?;
            let operands: Vec<NodeId> = [ct, zero].into_iter().chain(starts.iter().copied()).collect();
            out[0] = Some(b.g.push(DynUpdate { donate: false }, &operands)?);
        }
        if at.needs[1] {
            let operands: Vec<NodeId> = [ct].into_iter().chain(starts.iter().copied()).collect();
            out[1] = Some(b.g.push(DynSlice { sizes: part.shape }, &operands)?);
        }
        Ok(out)
    }
}

/// One integer array [batch, axes] from scalar starts, some of which differ from example to example.
fn start_vectors(b: &mut Batcher, starts: &[Lane]) -> DiagResult<NodeId> {
    let first = b.g.tensor(starts[0].id)?.dtype;
    let mut same = true;
    for s in starts {
        same &= b.g.tensor(s.id)?.dtype == first;
    }
    let dtype = if same { first } else { DType::I64 };
    let mut columns = Vec::new();
    for s in starts {
        let s = b.lift(*s)?.id;
        let s = b.g.cast(s, dtype)?;
        columns.push(b.g.reshape(s, vec![b.size.clone(), Dim::ONE])?);
    }
    b.g.concat(&columns, 1)
}

impl Batch for DynSlice {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let (x, starts) = (args[0], &args[1..]);
        if starts.iter().all(|s| !s.batched) {
            let zero = match starts.first() {
                Some(s) => b.g.tensor(s.id)?.dtype,
                None => DType::I32,
            };
            let zero = b.g.scalar(0, zero)?;
            let operands: Vec<NodeId> = [x.id, zero].into_iter().chain(starts.iter().map(|s| s.id)).collect();
            return b.push(DynSlice { sizes: b.shape(&self.sizes) }, &operands);
        }
        let rank = starts.len();
        let indices = start_vectors(b, starts)?;
        let shift = x.batched as usize;
        let mut op = Gather {
            sizes: self.sizes.clone(),
            offset_axes: (1..=rank).collect(),
            collapsed: Vec::new(),
            start_map: (shift..rank + shift).collect(),
            operand_batch: Vec::new(),
            index_batch: Vec::new(),
        };
        if x.batched {
            op.sizes.insert(0, Dim::ONE);
            op.operand_batch.push(0);
            op.index_batch.push(0);
        }
        b.push(op, &[x.id, indices])
    }
}

impl Batch for DynUpdate {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let (x, part, starts) = (b.lift(args[0])?.id, b.lift(args[1])?.id, &args[2..]);
        let donate = self.donate && args[0].batched;
        if starts.iter().all(|s| !s.batched) {
            let zero = match starts.first() {
                Some(s) => b.g.tensor(s.id)?.dtype,
                None => DType::I32,
            };
            let zero = b.g.scalar(0, zero)?;
            let operands: Vec<NodeId> = [x, part, zero].into_iter().chain(starts.iter().map(|s| s.id)).collect();
            return b.push(DynUpdate { donate }, &operands);
        }
        // Scatter drops what would lie outside, an update clamps: clamp first.
        let rank = starts.len();
        let (tx, tp) = (b.g.tensor(x)?.clone(), b.g.tensor(part)?.clone());
        let indices = start_vectors(b, starts)?;
        let map: Vec<usize> = (1..=rank).collect();
        let (indices, limits) = super::gather::last_starts(&mut b.g, indices, &tx, &map, &tp.shape)?;
        let ty = b.g.tensor(indices)?.clone();
        let zero = zeros(&mut b.g, &ty)?;
        let indices = b.g.map(ScalarOp::Clamp, &[indices, zero, limits])?;
        let op = Scatter {
            combine: Combine::Set,
            window_axes: map.clone(),
            inserted: Vec::new(),
            start_map: map,
            operand_batch: vec![0],
            index_batch: vec![0],
            unique: true,
        };
        b.push(op, &[x, indices, part])
    }
}
