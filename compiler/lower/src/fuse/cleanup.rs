//! Drops statements whose results nobody reads, and shares equal constants, so that kernels read well.

use girih_tile::{Block, Kernel, Literal, Op, TileTy, ValueId};
use std::collections::BTreeMap;

/// Cleans a finished kernel and numbers its values afresh.
pub fn drop_unused(kernel: &mut Kernel) {
    let tys: Vec<TileTy> = kernel.values.iter().map(|v| v.ty.clone()).collect();
    let mut alias = BTreeMap::new();
    share(&mut kernel.body, &mut Vec::new(), &tys, &mut alias);
    girih_tile::clean(kernel, &[]);
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
