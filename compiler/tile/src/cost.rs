//! What a kernel costs, by counting: arithmetic operations and bytes of its buffers.

use crate::ir::{Block, Kernel, ValueId};
use crate::op::{Literal, Op};
use girih_base::{DType, Dim};
use std::collections::BTreeMap;

/// An estimate of a whole launch.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Arithmetic operations; a matrix product of `m`, `k`, `n` counts `2 m k n`, index arithmetic counts nothing.
    pub flops: Dim,
    /// Bytes of all parameters, each once.
    pub bytes: Dim,
}

/// Counts a kernel's operations and bytes.
pub fn cost(kernel: &Kernel) -> Cost {
    let programs = kernel.grid.iter().fold(Dim::ONE, |n, g| &n * g);
    let mut sizes = BTreeMap::new();
    let flops = &block(kernel, &kernel.body, &mut sizes) * &programs;
    let bytes =
        kernel.params.iter().fold(Dim::ZERO, |sum, p| &sum + &(&p.len * p.dtype.bits() as i64).ceil_div(&Dim::from(8)));
    Cost { flops, bytes }
}

fn block(kernel: &Kernel, b: &Block, sizes: &mut BTreeMap<ValueId, Dim>) -> Dim {
    let ty = |v: &ValueId| &kernel.values[v.0 as usize].ty;
    let mut sum = Dim::ZERO;
    for s in &b.stmts {
        let elements = s.results.first().map_or(0, |r| ty(r).elements() as i64);
        let here = match &s.op {
            Op::Const(Literal::Int(v)) => {
                s.results.iter().for_each(|r| {
                    sizes.insert(*r, Dim::from(*v));
                });
                Dim::ZERO
            }
            Op::Size(d) => {
                s.results.iter().for_each(|r| {
                    sizes.insert(*r, d.clone());
                });
                Dim::ZERO
            }
            Op::Map(_, args) if args.iter().all(|a| ty(a).dtype != DType::I32) => Dim::from(elements),
            Op::Reduce { args, .. } | Op::Scan { args, .. } => {
                Dim::from(args.first().map_or(0, |a| ty(a).elements() as i64))
            }
            Op::Dot { a, .. } => Dim::from(2 * elements * ty(a).shape.get(1).copied().unwrap_or(1) as i64),
            Op::For { lo, hi, step, body, .. } => {
                let inner = block(kernel, body, sizes);
                let rounds = match (sizes.get(lo), sizes.get(hi)) {
                    (Some(lo), Some(hi)) => (hi - lo).ceil_div(&Dim::from(*step)),
                    _ => Dim::ONE,
                };
                &inner * &rounds
            }
            Op::While { test, body, .. } => &block(kernel, test, sizes) + &block(kernel, body, sizes),
            Op::If { then, otherwise, .. } => {
                let (x, y) = (block(kernel, then, sizes), block(kernel, otherwise, sizes));
                x.max_of(&y)
            }
            _ => Dim::ZERO,
        };
        sum = &sum + &here;
    }
    sum
}
