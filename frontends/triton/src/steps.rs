//! Tiles of offsets that grow by the same amount in every round of a loop are computed from the round's number instead of
//! being carried: they need no room from one round to the next.

use girih_base::{DType, Literal, ScalarOp};
use girih_tile::{Block, Kernel, Op, Stmt, TileTy, Value, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// Rewrites `p = p + amount` to `p = start + round * amount`, modulo 2^32, where nothing after the loop needs `p`.
pub(crate) fn compute(kernel: &mut Kernel) {
    let mut facts = Facts { used: vec![0; kernel.values.len()], zeros: BTreeSet::new(), splats: BTreeMap::new() };
    facts.collect(&kernel.body);
    let mut body = std::mem::take(&mut kernel.body);
    block(kernel, &facts, &mut body);
    kernel.body = body;
}

struct Facts {
    /// How often each value is used.
    used: Vec<u32>,
    /// Scalars that are 0.
    zeros: BTreeSet<ValueId>,
    /// Tiles and the scalars that they repeat.
    splats: BTreeMap<ValueId, ValueId>,
}

impl Facts {
    fn collect(&mut self, block: &Block) {
        block.results.iter().for_each(|v| self.used[v.0 as usize] += 1);
        for s in &block.stmts {
            s.op.operands().iter().for_each(|v| self.used[v.0 as usize] += 1);
            match &s.op {
                Op::Const(Literal::Int(0)) => drop(self.zeros.insert(s.results[0])),
                Op::Splat(x) => drop(self.splats.insert(s.results[0], *x)),
                _ => {}
            }
            s.op.blocks().into_iter().for_each(|b| self.collect(b));
        }
    }
}

fn block(kernel: &mut Kernel, facts: &Facts, at: &mut Block) {
    for stmt in &mut at.stmts {
        stmt.op.blocks_mut().into_iter().for_each(|b| block(kernel, facts, b));
        let loc = stmt.loc.clone();
        let Op::For { lo, step: 1, init, body, .. } = &mut stmt.op else { continue };
        if !facts.zeros.contains(lo) {
            continue;
        }
        for i in (0..init.len()).rev() {
            let (p, start) = (body.params[i + 1], init[i]);
            let ty = kernel.values[p.0 as usize].ty.clone();
            if facts.used[stmt.results[i].0 as usize] > 0 || ty.dtype != DType::I32 || ty.shape.is_empty() {
                continue;
            }
            let Some(amount) = amount(facts, body, p, body.results[i]) else { continue };
            let mut fresh = |ty: TileTy| {
                kernel.values.push(Value { ty, name: None });
                ValueId(kernel.values.len() as u32 - 1)
            };
            let (moved, tile, sum) = (fresh(TileTy::new(DType::I32, [])), fresh(ty.clone()), fresh(ty));
            replace(body, p, sum);
            let one = |result, op| Stmt { results: vec![result], op, loc: loc.clone() };
            let new = [
                one(moved, Op::Map(ScalarOp::Mul, vec![body.params[0], amount])),
                one(tile, Op::Splat(moved)),
                one(sum, Op::Map(ScalarOp::Add, vec![start, tile])),
            ];
            body.stmts.splice(0..0, new);
            init.remove(i);
            body.params.remove(i + 1);
            body.results.remove(i);
            stmt.results.remove(i);
        }
    }
}

/// The scalar from before the loop that `next` is larger by than `p`.
fn amount(facts: &Facts, body: &Block, p: ValueId, next: ValueId) -> Option<ValueId> {
    let Op::Map(ScalarOp::Add, args) = &body.stmts.iter().find(|s| s.results.contains(&next))?.op else { return None };
    let other = match args[..] {
        [a, b] if a == p && b != p => b,
        [a, b] if b == p && a != p => a,
        _ => return None,
    };
    let amount = *facts.splats.get(&other)?;
    let inside = body.params.contains(&amount) || body.stmts.iter().any(|s| s.results.contains(&amount));
    (!inside).then_some(amount)
}

fn replace(block: &mut Block, old: ValueId, new: ValueId) {
    let swap = |v: ValueId| if v == old { new } else { v };
    block.results.iter_mut().for_each(|v| *v = swap(*v));
    for s in &mut block.stmts {
        s.op.map_operands(&mut |v| swap(v));
        s.op.blocks_mut().into_iter().for_each(|b| replace(b, old, new));
    }
}
