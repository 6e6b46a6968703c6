//! Dead code: what no store needs goes, carried values included, and values are numbered anew.

use crate::ir::{Block, Kernel, ValueId};
use crate::op::Op;

/// Removes dead code; `keep` is not dead. Gives each value's new number, none to those that went.
pub fn clean(kernel: &mut Kernel, keep: &[ValueId]) -> Vec<Option<ValueId>> {
    let mut live = Live { live: vec![false; kernel.values.len()], changed: true };
    keep.iter().for_each(|v| live.mark(*v));
    while live.changed {
        live.changed = false;
        live.block(&kernel.body);
    }
    let live = live.live;
    sweep(&mut kernel.body, &live);
    let mut order = Vec::new();
    let mut names = vec![None; kernel.values.len()];
    number(&mut kernel.body, &mut names, &mut order);
    rename(&mut kernel.body, &names);
    kernel.values = order.into_iter().map(|old: ValueId| kernel.values[old.0 as usize].clone()).collect();
    let mut used = vec![false; kernel.scalars.len()];
    scalars(&mut kernel.body, &mut |i| used[*i] = true);
    let places: Vec<usize> = used.iter().scan(0, |n, u| Some(std::mem::replace(n, *n + *u as usize))).collect();
    scalars(&mut kernel.body, &mut |i| *i = places[*i]);
    let mut keep = used.into_iter();
    kernel.scalars.retain(|_| keep.next().unwrap_or(false));
    names
}

struct Live {
    live: Vec<bool>,
    changed: bool,
}

fn effect(op: &Op) -> bool {
    matches!(op, Op::Store { .. } | Op::StoreAt { .. } | Op::Atomic { .. } | Op::CompareExchange { .. })
        || matches!(op, Op::Print(..) | Op::Assert(..))
        || (matches!(op, Op::For { .. } | Op::While { .. } | Op::If { .. })
            && op.blocks().iter().any(|b| b.stmts.iter().any(|s| effect(&s.op))))
}

impl Live {
    fn get(&self, v: ValueId) -> bool {
        self.live[v.0 as usize]
    }

    fn mark(&mut self, v: ValueId) {
        self.changed |= !self.live[v.0 as usize];
        self.live[v.0 as usize] = true;
    }

    /// The states of one carried value live and die together.
    fn together(&mut self, group: &[ValueId]) {
        if group.iter().any(|v| self.get(*v)) {
            group.iter().for_each(|v| self.mark(*v));
        }
    }

    fn block(&mut self, block: &Block) {
        for s in block.stmts.iter().rev() {
            if !(effect(&s.op) || s.results.iter().any(|r| self.get(*r))) {
                continue;
            }
            match &s.op {
                Op::For { lo, hi, init, body, .. } => {
                    self.mark(*lo);
                    self.mark(*hi);
                    self.mark(body.params[0]);
                    for (i, first) in init.iter().enumerate() {
                        self.together(&[s.results[i], body.params[i + 1], body.results[i], *first]);
                    }
                    self.block(body);
                }
                Op::While { init, test, body } => {
                    self.mark(test.results[0]);
                    for (i, first) in init.iter().enumerate() {
                        let group = [s.results[i], test.params[i], body.params[i], body.results[i], *first];
                        self.together(&group);
                    }
                    self.block(body);
                    self.block(test);
                }
                Op::If { cond, then, otherwise } => {
                    self.mark(*cond);
                    for (i, r) in s.results.iter().enumerate() {
                        if self.get(*r) {
                            self.mark(then.results[i]);
                            self.mark(otherwise.results[i]);
                        }
                    }
                    self.block(then);
                    self.block(otherwise);
                }
                op => {
                    op.operands().into_iter().for_each(|v| self.mark(v));
                    for b in op.blocks() {
                        b.params.iter().chain(&b.results).for_each(|v| self.mark(*v));
                        self.block(b);
                    }
                    s.results.iter().for_each(|v| self.mark(*v));
                }
            }
        }
    }
}

fn sweep(block: &mut Block, live: &[bool]) {
    let get = |v: &ValueId| live[v.0 as usize];
    block.stmts.retain(|s| effect(&s.op) || s.results.iter().any(get));
    for s in &mut block.stmts {
        let keep: Vec<bool> = s.results.iter().map(get).collect();
        let only = |list: &mut Vec<ValueId>, skip: usize| {
            let mut i = 0;
            list.retain(|_| {
                i += 1;
                i <= skip || keep[i - 1 - skip]
            });
        };
        match &mut s.op {
            Op::For { init, body, .. } => {
                only(init, 0);
                only(&mut body.params, 1);
                only(&mut body.results, 0);
            }
            Op::While { init, test, body } => {
                [init, &mut test.params, &mut body.params, &mut body.results].into_iter().for_each(|l| only(l, 0));
            }
            Op::If { then, otherwise, .. } => {
                only(&mut then.results, 0);
                only(&mut otherwise.results, 0);
            }
            _ => {
                s.op.blocks_mut().into_iter().for_each(|b| sweep(b, live));
                continue;
            }
        }
        only(&mut s.results, 0);
        s.op.blocks_mut().into_iter().for_each(|b| sweep(b, live));
    }
}

fn number(block: &mut Block, names: &mut [Option<ValueId>], order: &mut Vec<ValueId>) {
    let mut define = |v: ValueId, order: &mut Vec<ValueId>| {
        names[v.0 as usize] = Some(ValueId(order.len() as u32));
        order.push(v);
    };
    block.params.iter().for_each(|v| define(*v, order));
    for s in &mut block.stmts {
        for b in s.op.blocks_mut() {
            number(b, names, order);
        }
        for r in &s.results {
            names[r.0 as usize] = Some(ValueId(order.len() as u32));
            order.push(*r);
        }
    }
}

fn rename(block: &mut Block, names: &[Option<ValueId>]) {
    let new = |v: ValueId| names[v.0 as usize].unwrap_or(v);
    let all = |list: &mut Vec<ValueId>| list.iter_mut().for_each(|v| *v = new(*v));
    all(&mut block.params);
    all(&mut block.results);
    for s in &mut block.stmts {
        all(&mut s.results);
        s.op.map_operands(&mut |v| new(v));
        s.op.blocks_mut().into_iter().for_each(|b| rename(b, names));
    }
}

fn scalars(block: &mut Block, f: &mut dyn FnMut(&mut usize)) {
    for s in &mut block.stmts {
        if let Op::Scalar(i) = &mut s.op {
            f(i);
        }
        s.op.blocks_mut().into_iter().for_each(|b| scalars(b, f));
    }
}
