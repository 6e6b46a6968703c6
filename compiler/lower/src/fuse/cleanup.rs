//! Drops statements whose results nobody reads, and shares equal constants, so that kernels read well.

use girih_tile::{Block, Combine, Kernel, Literal, Op, TileTy, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// Cleans a finished kernel and numbers its values afresh.
pub fn drop_unused(kernel: &mut Kernel) {
    let tys: Vec<TileTy> = kernel.values.iter().map(|v| v.ty.clone()).collect();
    let mut alias = BTreeMap::new();
    share(&mut kernel.body, &mut Vec::new(), &tys, &mut alias);
    let mut used = BTreeSet::new();
    sweep(&mut kernel.body, &mut used);
    let mut numbers = BTreeMap::new();
    renumber(&mut kernel.body, &mut numbers);
    let mut values: Vec<(ValueId, ValueId)> = numbers.into_iter().collect();
    values.sort_by_key(|v| v.1);
    kernel.values = values.iter().map(|(old, _)| kernel.values[old.0 as usize].clone()).collect();
}

type Seen = Vec<(Literal, TileTy, ValueId)>;

/// Later constants equal to one in scope become that one.
fn share(block: &mut Block, seen: &mut Seen, tys: &[TileTy], alias: &mut BTreeMap<ValueId, ValueId>) {
    let depth = seen.len();
    for s in &mut block.stmts {
        s.op.map_operands(&mut |v| *alias.get(&v).unwrap_or(&v));
        if let (Op::Const(literal), [result]) = (&s.op, &s.results[..]) {
            let ty = &tys[result.0 as usize];
            match seen.iter().find(|(l, t, _)| l == literal && t == ty) {
                Some((_, _, first)) => {
                    alias.insert(*result, *first);
                }
                None => seen.push((*literal, ty.clone(), *result)),
            }
        }
        for b in s.op.blocks_mut() {
            share(b, seen, tys, alias);
        }
    }
    for r in &mut block.results {
        *r = *alias.get(r).unwrap_or(r);
    }
    seen.truncate(depth);
}

/// Keeps what has an effect or is read later, walking backwards.
fn sweep(block: &mut Block, used: &mut BTreeSet<ValueId>) {
    used.extend(block.results.iter().copied());
    let mut kept = Vec::new();
    for mut s in std::mem::take(&mut block.stmts).into_iter().rev() {
        let effect = has_effect(&s.op);
        if !effect && !s.results.iter().any(|r| used.contains(r)) {
            continue;
        }
        for b in s.op.blocks_mut() {
            sweep(b, used);
        }
        used.extend(s.op.operands());
        kept.push(s);
    }
    kept.reverse();
    block.stmts = kept;
}

fn has_effect(op: &Op) -> bool {
    match op {
        Op::Store { .. } | Op::StoreAt { .. } | Op::Atomic { .. } => true,
        Op::Reduce { combine: Combine::Body(_), .. } | Op::Scan { .. } => false,
        _ => op.blocks().iter().any(|b| b.stmts.iter().any(|s| has_effect(&s.op))),
    }
}

fn renumber(block: &mut Block, numbers: &mut BTreeMap<ValueId, ValueId>) {
    let define = |v: &mut ValueId, numbers: &mut BTreeMap<ValueId, ValueId>| {
        let next = ValueId(numbers.len() as u32);
        *v = *numbers.entry(*v).or_insert(next);
    };
    block.params.iter_mut().for_each(|p| define(p, numbers));
    for s in &mut block.stmts {
        s.op.map_operands(&mut |v| *numbers.get(&v).unwrap_or(&v));
        for b in s.op.blocks_mut() {
            renumber(b, numbers);
        }
        s.results.iter_mut().for_each(|r| define(r, numbers));
    }
    block.results.iter_mut().for_each(|r| *r = *numbers.get(r).unwrap_or(r));
}
