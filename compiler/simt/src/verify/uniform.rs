//! Barriers and subgroup operations must be reached by all threads together. A value is uniform when it does not depend
//! on the thread's index, on memory that the kernel writes, or on control flow that does.

use crate::ir::*;
use crate::op::*;
use girih_base::{Diag, Result};

struct Check<'k> {
    kernel: &'k Kernel,
    varies: Vec<bool>,
    local_varies: Vec<bool>,
    changed: bool,
}

/// Which values may differ between the threads of a workgroup, one flag for each of the kernel's.
pub fn varying(kernel: &Kernel) -> Vec<bool> {
    marked(kernel).varies
}

fn marked(kernel: &Kernel) -> Check<'_> {
    let (values, locals) = (kernel.values.len(), kernel.locals.len());
    let mut c = Check { kernel, varies: vec![false; values], local_varies: vec![false; locals], changed: true };
    // What varies only grows, so this ends; loops carry variation from their end to their start.
    while c.changed {
        c.changed = false;
        c.mark(&kernel.body, false);
    }
    c
}

/// Refuses barriers that some threads may not reach.
pub fn check(kernel: &Kernel) -> Result<()> {
    let c = marked(kernel);
    let mut left = false;
    c.barriers(&kernel.body, false, &mut left)
}

impl Check<'_> {
    fn flag(&mut self, v: Option<ValueId>) {
        if let Some(slot) = v.and_then(|v| self.varies.get_mut(v.0 as usize)) {
            self.changed |= !*slot;
            *slot = true;
        }
    }

    fn flag_local(&mut self, i: u32) {
        let slot = &mut self.local_varies[i as usize];
        self.changed |= !*slot;
        *slot = true;
    }

    fn varies(&self, v: ValueId) -> bool {
        self.varies[v.0 as usize]
    }

    fn mark(&mut self, stmts: &[Stmt], divergent: bool) {
        // A divergent break or continue leaves the rest of the loop to some threads only.
        let mut divergent = divergent;
        for s in stmts {
            let source = match &s.op {
                Op::Builtin(b) => matches!(b, Builtin::LocalIndex | Builtin::SubgroupLane),
                Op::Atomic(..) | Op::CompareExchange(..) | Op::Subgroup(..) | Op::Shuffle(..) => true,
                Op::Load(Space::Buffer(i), _) => self.kernel.buffers[*i as usize].written,
                Op::Load(Space::Local(i), _) | Op::Get(i) => self.local_varies[*i as usize],
                _ => false,
            };
            let mixed = source || s.op.operands().iter().any(|v| self.varies(*v));
            if mixed {
                self.flag(s.result);
            }
            match &s.op {
                Op::Set(i, _) | Op::Store(Space::Local(i), ..) if mixed || divergent => self.flag_local(*i),
                Op::If(_, then, otherwise) => {
                    self.mark(then, divergent || mixed);
                    self.mark(otherwise, divergent || mixed);
                    divergent |= mixed && (leaves(then) || leaves(otherwise));
                }
                Op::For { index, body, .. } => {
                    if mixed {
                        self.flag(Some(*index));
                    }
                    let escapes = self.escapes(body);
                    self.mark(body, divergent || mixed || escapes);
                }
                Op::Loop(body) => {
                    let escapes = self.escapes(body);
                    self.mark(body, divergent || escapes);
                }
                _ => {}
            }
        }
    }

    /// Whether some threads may leave this loop before others.
    fn escapes(&self, stmts: &[Stmt]) -> bool {
        stmts.iter().any(|s| match &s.op {
            Op::If(c, a, b) => (self.varies(*c) && (leaves(a) || leaves(b))) || self.escapes(a) || self.escapes(b),
            _ => false,
        })
    }

    fn barriers(&self, stmts: &[Stmt], divergent: bool, left: &mut bool) -> Result<()> {
        for s in stmts {
            match &s.op {
                Op::Barrier | Op::SubgroupBarrier | Op::Subgroup(..) | Op::Shuffle(..) if divergent || *left => {
                    let barrier = matches!(s.op, Op::Barrier | Op::SubgroupBarrier);
                    let what = if barrier { "barrier" } else { "subgroup operation" };
                    return Err(Diag::error("S003", format!("this {what} is reached by some threads only"))
                        .at(&s.loc, "under a condition that differs between threads")
                        .help("make the condition depend on the workgroup's index and sizes alone"));
                }
                Op::If(c, then, otherwise) => {
                    let varies = divergent || self.varies(*c);
                    self.barriers(then, varies, left)?;
                    self.barriers(otherwise, varies, left)?;
                    *left |= varies && (returns(then) || returns(otherwise));
                }
                Op::For { lo, hi, body, .. } => {
                    let varies = divergent || self.varies(*lo) || self.varies(*hi) || self.escapes(body);
                    self.barriers(body, varies, left)?;
                }
                Op::Loop(body) => self.barriers(body, divergent || self.escapes(body), left)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn any(stmts: &[Stmt], f: &dyn Fn(&Op) -> bool) -> bool {
    stmts.iter().any(|s| {
        f(&s.op)
            || match &s.op {
                Op::If(_, a, b) => any(a, f) || any(b, f),
                _ => false,
            }
    })
}

/// A break, continue or return of the innermost loop.
fn leaves(stmts: &[Stmt]) -> bool {
    any(stmts, &|op| matches!(op, Op::Break | Op::Continue | Op::Return)) || returns(stmts)
}

fn returns(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|s| match &s.op {
        Op::Return => true,
        Op::If(_, a, b) => returns(a) || returns(b),
        Op::For { body, .. } | Op::Loop(body) => returns(body),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::build::Builder;
    use girih_base::{DType, Dim, ScalarOp};

    /// Threads leave a counted loop at different times; what they set before differs, and so does a condition on it.
    #[test]
    fn what_is_set_before_a_varying_break_varies() {
        for escape in [false, true] {
            let mut b = Builder::new();
            let rounds = b.local("rounds", Ty::scalar(DType::U32), None);
            let (zero, one, eight) = (b.uint(0), b.uint(1), b.uint(8));
            b.set(rounds, zero);
            let lane = b.builtin(Builtin::LocalIndex);
            b.for_loop(zero, eight, 1, false, |b, i| {
                let old = b.get(rounds);
                let new = b.add(old, one);
                b.set(rounds, new);
                let done = b.map(ScalarOp::Eq, &[lane, i]);
                if escape {
                    b.if_then(done, |b| b.effect(Op::Break));
                }
            });
            let n = b.get(rounds);
            let few = b.map(ScalarOp::Lt, &[n, eight]);
            b.if_then(few, |b| b.effect(Op::Barrier));
            let kernel = b.finish("k", [32, 1, 1], Dim::ONE);
            assert_eq!(varying(&kernel)[n.0 as usize], escape);
            assert_eq!(check(&kernel).is_err(), escape);
        }
    }
}
