//! Copies of statements with values and variables of their own.

use super::find::count;
use super::{Rewrite, U32};
use girih_simt::{Op, Space, Stmt, ValueId};
use std::collections::BTreeMap;

impl Rewrite<'_> {
    /// Computes such a value there.
    pub(super) fn lifted(&mut self, v: ValueId, inside: &BTreeMap<ValueId, &Op>, out: &mut Vec<Stmt>) -> ValueId {
        let Some(op) = inside.get(&v) else { return v };
        let mut op = (*op).clone();
        let names = op.operands().into_iter().map(|x| (x, self.lifted(x, inside, out))).collect();
        rename(&mut op, &names, &BTreeMap::new());
        let ty = self.out.values[v.0 as usize].ty;
        self.put(op, ty, out)
    }

    /// A copy of a statement with values, and variables of its own, of other names.
    pub(super) fn copied(&mut self, s: &Stmt) -> Stmt {
        let (mut uses, mut sets) = (vec![0; self.old.locals.len()], vec![0; self.old.locals.len()]);
        count(std::slice::from_ref(s), &mut uses, &mut sets);
        let mut locals = BTreeMap::new();
        for (i, (here, all)) in uses.iter().zip(&self.uses).enumerate() {
            if *here > 0 && here == all {
                self.out.locals.push(self.old.locals[i].clone());
                locals.insert(i as u32, self.out.locals.len() as u32 - 1);
            }
        }
        let mut values = BTreeMap::new();
        self.copy(s, &mut values, &locals)
    }

    fn copy(&mut self, s: &Stmt, values: &mut BTreeMap<ValueId, ValueId>, locals: &BTreeMap<u32, u32>) -> Stmt {
        let mut op = s.op.clone();
        if let Op::For { index, .. } = &mut op {
            let fresh = self.fresh(U32);
            values.insert(*index, fresh);
            *index = fresh;
        }
        rename(&mut op, values, locals);
        let mut inner =
            |this: &mut Self, b: &mut Vec<Stmt>| *b = b.iter().map(|s| this.copy(s, values, locals)).collect();
        match &mut op {
            Op::If(_, a, b) => {
                inner(self, a);
                inner(self, b);
            }
            Op::For { body, .. } | Op::Loop(body) => inner(self, body),
            _ => {}
        }
        let result = s.result.map(|r| {
            let ty = self.out.values[r.0 as usize].ty;
            let fresh = self.fresh(ty);
            values.insert(r, fresh);
            fresh
        });
        Stmt { result, op, loc: s.loc.clone() }
    }
}

/// Other names for operands and variables.
fn rename(op: &mut Op, values: &BTreeMap<ValueId, ValueId>, locals: &BTreeMap<u32, u32>) {
    let v = |x: &mut ValueId| *x = values.get(x).copied().unwrap_or(*x);
    let local = |i: &mut u32| *i = locals.get(i).copied().unwrap_or(*i);
    match op {
        Op::Load(Space::Local(i), _) | Op::Store(Space::Local(i), ..) | Op::Get(i) | Op::Set(i, _) => local(i),
        _ => {}
    }
    match op {
        Op::Map(_, args) | Op::MakeVec(args) | Op::Print(_, args) => args.iter_mut().for_each(v),
        Op::Cast(x) | Op::Bitcast(x) | Op::Component(x, _) | Op::UnpackHalf(x) | Op::PackHalf(x) => v(x),
        Op::Load(_, x) | Op::Set(_, x) | Op::Subgroup(_, x) | Op::If(x, ..) | Op::Assert(x, _) => v(x),
        Op::ComponentAt(x, y) | Op::Store(_, x, y) | Op::Atomic(_, _, x, y) | Op::Shuffle(_, x, y) => {
            v(x);
            v(y);
        }
        Op::CompareExchange(_, x, y, z) => [x, y, z].into_iter().for_each(v),
        Op::For { lo, hi, .. } => {
            v(lo);
            v(hi);
        }
        Op::Const(_) | Op::Uniform(_) | Op::Builtin(_) | Op::Get(_) | Op::Barrier | Op::SubgroupBarrier => {}
        Op::Loop(_) | Op::Break | Op::Continue | Op::Return | Op::Comment(_) => {}
    }
}
