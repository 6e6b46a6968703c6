//! Decisions before any code is emitted: how many threads, which layout each value gets, and which values are computed
//! where they are used instead of being kept.
//!
//! Layouts flow forward from anchors (dot products, folds) and backward from stores. A pure value with a single consumer
//! statement in the same region is *deferred*: the consumer computes it element by element in the layout it needs, so
//! that a chain of elementwise operations becomes one pass.

mod relabel;
mod walk;

use super::layout::{Layout, log2};
use crate::TargetDesc;
use girih_base::Result;
use girih_tile::{Access, Block, Kernel, Op, Stmt, ValueId};
pub use relabel::{fast_axis, pulled};
use std::collections::{BTreeMap, BTreeSet};
use walk::Walk;

/// log2 of the elements of a tile that one thread holds before a kernel takes more threads than usual.
const REGISTER_BITS: usize = 5;

/// The decisions, indexed by value.
pub struct Plan<'k> {
    /// log2 of the number of threads.
    pub lanes: usize,
    /// log2 of each value's extents.
    pub bits: Vec<Vec<u8>>,
    /// The layout a value has when it is kept.
    pub layout: Vec<Layout>,
    /// Computed where it is used.
    pub deferred: Vec<bool>,
    /// Number of operand positions that name the value.
    pub uses: Vec<u32>,
    /// The statement that defines a value.
    pub defs: BTreeMap<ValueId, &'k Stmt>,
}

/// Makes the decisions for a kernel.
///
/// # Errors
/// `L201` an extent that is not a power of two.
pub fn plan<'k>(kernel: &'k Kernel, desc: &TargetDesc) -> Result<Plan<'k>> {
    let n = kernel.values.len();
    let mut bits = Vec::with_capacity(n);
    for (i, v) in kernel.values.iter().enumerate() {
        let what = v.name.as_ref().map_or_else(|| format!("value {i}"), |n| format!("`{n}`"));
        bits.push(log2(&v.ty.shape, &format!("{what} of kernel `{}`", kernel.name))?);
    }
    let lanes = threads(kernel, desc, &bits);
    let plan =
        Plan { lanes, bits, layout: Vec::new(), deferred: vec![false; n], uses: vec![0; n], defs: BTreeMap::new() };
    let (natural, wanted, sinks) = (vec![None; n], vec![None; n], vec![BTreeSet::new(); n]);
    let mut walk = Walk { kernel, desc, plan, natural, wanted, sinks, stmts: 0 };
    walk.index(&kernel.body);
    walk.forward(&kernel.body);
    walk.backward(&kernel.body);
    walk.defer(&kernel.body, 0);
    for i in 0..n {
        let chosen = walk.natural[i].clone().or(walk.wanted[i].clone());
        let layout = chosen.unwrap_or_else(|| walk.blocked(i, None)).compressed();
        walk.plan.layout.push(layout);
    }
    Ok(walk.plan)
}

/// log2 of the number of threads: what the dots' register blocks ask for, else the target's number, at most one per vector.
fn threads(kernel: &Kernel, desc: &TargetDesc, bits: &[Vec<u8>]) -> usize {
    let mut dots = Vec::new();
    collect_dots(&kernel.body, &mut dots);
    let most = desc.max_threads.max(1).ilog2() as usize;
    let usual = desc.threads.max(1).ilog2() as usize;
    if dots.is_empty() {
        let largest = bits.iter().map(|b| b.iter().map(|x| *x as usize).sum::<usize>()).max().unwrap_or(0);
        // Large tiles take more threads, so that what one of them holds stays in registers.
        let usual = usual.max(largest.saturating_sub(REGISTER_BITS));
        return usual.min(largest.saturating_sub(2)).min(most);
    }
    let block = desc.dot_block[0].max(1).ilog2() as usize;
    let block_n = desc.dot_block[1].max(4).ilog2() as usize;
    let need = |v: &ValueId| {
        let b = &bits[v.0 as usize];
        let (m, n) = (b[0] as usize, b[1] as usize);
        m + n - block.min(m) - block_n.min(n)
    };
    dots.iter().map(need).max().unwrap_or(0).min(most)
}

fn collect_dots(block: &Block, out: &mut Vec<ValueId>) {
    for s in &block.stmts {
        if matches!(s.op, Op::Dot { .. }) {
            out.extend(&s.results);
        }
        for b in s.op.blocks() {
            collect_dots(b, out);
        }
    }
}

/// Whether the operation is a function of its operands (and read-only memory) alone.
pub fn pure(kernel: &Kernel, op: &Op) -> bool {
    match op {
        Op::Map(..) | Op::Cast(_) | Op::Bitcast(_) | Op::Splat(_) | Op::Arange(_) | Op::Const(_) => true,
        Op::Reshape(_) | Op::Permute(..) | Op::Broadcast(..) => true,
        Op::Load { param, .. } | Op::LoadAt { param, .. } | Op::LoadQuant { param, .. } => {
            kernel.params[*param].access == Access::Read
        }
        _ => false,
    }
}
