//! `Dot`: every matrix product.

use super::layout::inverse;
use super::{Rule, check_axes, tensors};
use crate::batch::{Batch, Batcher, Lane};
use crate::eval::{Array, Cx, Data, Eval, Value, arrays};
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::text::attrs::{attrs, words};
use crate::ty::{TensorTy, Ty};
use girih_base::scalar::IntType;
use girih_base::{DType, Result as DiagResult};

/// How faithfully a target must multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Products of the operands' own values, summed in the accumulator's dtype.
    Exact,
    /// The target may round operands to a narrower type that its matrix units take.
    Fast,
}

/// Batched contraction. The result's axes are: batch axes in order, the left operand's free axes, the right's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dot {
    /// Pairs of axes (left, right) that walk together.
    pub batch: Vec<(usize, usize)>,
    /// Pairs of axes (left, right) summed over.
    pub contract: Vec<(usize, usize)>,
    /// Dtype of the sum and of the result.
    pub acc: DType,
    /// Permission to round operands.
    pub precision: Precision,
}

impl Dot {
    /// The left operand's axes that are neither batch nor contracted.
    pub fn lhs_free(&self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|a| !self.batch.iter().chain(&self.contract).any(|p| p.0 == *a)).collect()
    }

    /// The right operand's axes that are neither batch nor contracted.
    pub fn rhs_free(&self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|a| !self.batch.iter().chain(&self.contract).any(|p| p.1 == *a)).collect()
    }
}

impl Rule for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [a, b] = tensors(operands)?;
        if a.dtype != b.dtype || a.dtype == DType::Bool {
            return Err(format!("operands must have one numeric dtype, got {a} and {b}"));
        }
        if a.dtype.is_float() != self.acc.is_float() || self.acc.bits() < a.dtype.bits() {
            return Err(format!("{} cannot be summed in {}", a.dtype, self.acc));
        }
        let pairs: Vec<_> = self.batch.iter().chain(&self.contract).copied().collect();
        check_axes(&pairs.iter().map(|p| p.0).collect::<Vec<_>>(), a)?;
        check_axes(&pairs.iter().map(|p| p.1).collect::<Vec<_>>(), b)?;
        for (l, r) in pairs {
            if a.shape[l] != b.shape[r] {
                return Err(format!("axis {l} of {a} and axis {r} of {b} differ: {} and {}", a.shape[l], b.shape[r]));
            }
        }
        let mut shape: Vec<_> = self.batch.iter().map(|p| a.shape[p.0].clone()).collect();
        shape.extend(self.lhs_free(a.rank()).into_iter().map(|i| a.shape[i].clone()));
        shape.extend(self.rhs_free(b.rank()).into_iter().map(|i| b.shape[i].clone()));
        Ok(TensorTy { dtype: self.acc, shape }.into())
    }
}

impl Eval for Dot {
    /// Both operands are brought to `[batch, free, contracted]` and `[batch, contracted, free]`.
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> DiagResult<Value> {
        let [a, b] = arrays(args)?;
        let left = |p: &(usize, usize)| p.0;
        let right = |p: &(usize, usize)| p.1;
        let (batch_a, batch_b) = (self.batch.iter().map(left), self.batch.iter().map(right));
        let (sum_a, sum_b) = (self.contract.iter().map(left), self.contract.iter().map(right));
        let (free_a, free_b) = (self.lhs_free(a.shape.len()), self.rhs_free(b.shape.len()));
        let count = |x: &Array, axes: &[usize]| axes.iter().map(|i| x.shape[*i]).product::<usize>();
        let k = sum_a.clone().map(|i| a.shape[i]).product();
        let (batch, m, n) = (batch_a.clone().map(|i| a.shape[i]).product(), count(a, &free_a), count(b, &free_b));
        let a = a.permuted(&batch_a.chain(free_a).chain(sum_a).collect::<Vec<_>>())?;
        let b = b.permuted(&batch_b.chain(sum_b).chain(free_b).collect::<Vec<_>>())?;
        let data = match (&a.data, &b.data, IntType::of(self.acc)) {
            (Data::Floats(a), Data::Floats(b), _) => {
                Data::Floats(products(a, b, [batch, m, n, k], |c, x, y| c + x * y))
            }
            // Sums are right modulo 2^64, and every accumulator's width divides that.
            (Data::Ints(a), Data::Ints(b), Some(t)) => {
                let sums = products(a, b, [batch, m, n, k], |c, x, y| c.wrapping_add(x.wrapping_mul(y)));
                Data::Ints(sums.into_iter().map(|v| t.wrap(v as i128) as i64).collect())
            }
            _ => return Err(girih_base::Diag::error("G205", "floats and integers in one product")),
        };
        Ok(Array { dtype: self.acc, shape: cx.shape_of(ty)?, data }.into())
    }
}

/// `c[i, m, n] = sum over k of a[i, m, k] * b[i, k, n]`, a row of `b` at a time so that memory is walked in order.
fn products<T: Copy + Default>(a: &[T], b: &[T], [batch, m, n, k]: [usize; 4], mad: impl Fn(T, T, T) -> T) -> Vec<T> {
    let mut c = vec![T::default(); batch * m * n];
    if n == 0 || k == 0 {
        return c;
    }
    for (row, out) in c.chunks_exact_mut(n).enumerate() {
        let b = &b[row / m * k * n..][..k * n];
        for (x, b) in a[row * k..][..k].iter().zip(b.chunks_exact(n)) {
            for (o, y) in out.iter_mut().zip(b) {
                *o = mad(*o, *x, *y);
            }
        }
    }
    c
}

attrs!(Dot "dot" { batch, contract, acc, precision });
words!(Precision { Exact "exact", Fast "fast" });

impl Vjp for Dot {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Some(ct) = cts[0] else { return Ok(vec![None, None]) };
        let [x, y] = [at.operands[0], at.operands[1]];
        let (tx, ty) = (b.g.tensor(x)?.clone(), b.g.tensor(y)?.clone());
        let (free_x, free_y) = (self.lhs_free(tx.rank()), self.rhs_free(ty.rank()));
        let nb = self.batch.len();
        // Axes of the result: batch, free axes of x, free axes of y. Operands are widened, so that no cotangent is
        // rounded before it is summed.
        let mut out = vec![None, None];
        if at.needs[0] {
            let wide = b.g.cast(y, self.acc)?;
            let batch = self.batch.iter().enumerate().map(|(i, p)| (i, p.1)).collect();
            let contract = free_y.iter().enumerate().map(|(i, a)| (nb + free_x.len() + i, *a)).collect();
            let d = b.g.push(Dot { batch, contract, ..self.clone() }, &[ct, wide])?;
            let mut summed = self.contract.clone();
            summed.sort_by_key(|p| p.1);
            let axes: Vec<usize> =
                self.batch.iter().map(|p| p.0).chain(free_x.clone()).chain(summed.iter().map(|p| p.0)).collect();
            let d = b.g.permute(d, &inverse(&axes))?;
            out[0] = Some(b.g.cast(d, tx.dtype)?);
        }
        if at.needs[1] {
            let wide = b.g.cast(x, self.acc)?;
            let batch = self.batch.iter().enumerate().map(|(i, p)| (p.0, i)).collect();
            let contract = free_x.iter().enumerate().map(|(i, a)| (*a, nb + i)).collect();
            let d = b.g.push(Dot { batch, contract, ..self.clone() }, &[wide, ct])?;
            let mut summed = self.contract.clone();
            summed.sort_by_key(|p| p.0);
            let axes: Vec<usize> =
                self.batch.iter().map(|p| p.1).chain(summed.iter().map(|p| p.1)).chain(free_y.clone()).collect();
            let d = b.g.permute(d, &inverse(&axes))?;
            out[1] = Some(b.g.cast(d, ty.dtype)?);
        }
        Ok(out)
    }
}

impl Batch for Dot {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let (x, y) = (args[0], args[1]);
        let shift = |pairs: &[(usize, usize)]| -> Vec<(usize, usize)> {
            pairs.iter().map(|p| (p.0 + x.batched as usize, p.1 + y.batched as usize)).collect()
        };
        let mut op = Dot { batch: shift(&self.batch), contract: shift(&self.contract), ..self.clone() };
        if x.batched && y.batched {
            op.batch.insert(0, (0, 0));
            return b.push(op, &[x.id, y.id]);
        }
        // The batch is one of the free axes of one operand: the first of them.
        let before = if x.batched { 0 } else { self.lhs_free(b.g.tensor(x.id)?.rank()).len() };
        let place = self.batch.len() + before;
        let id = b.g.push(op, &[x.id, y.id])?;
        let mut order: Vec<usize> = (0..b.g.tensor(id)?.rank()).filter(|a| *a != place).collect();
        order.insert(0, place);
        Ok(vec![Lane { id: b.g.permute(id, &order)?, batched: true }])
    }
}
