//! Which values are the same in every thread that computes them: these are held once, not once per thread.
//!
//! Statements run over all threads of a workgroup before the next one starts, so a load at one index gives every thread the
//! same element, whoever writes the array. (The verifier's analysis of barriers cannot assume that, and calls more values
//! varying than this one.)

use super::rows;
use girih_simt::{Builtin, Kernel, Op, Space, Stmt, ValueId};

/// What differs between threads.
pub(super) struct Varies {
    pub values: Vec<bool>,
    pub locals: Vec<bool>,
    /// For reads of variables that are written once: what was written.
    pub once: Vec<Option<ValueId>>,
    /// Variables that are read otherwise too.
    pub read: Vec<bool>,
}

struct Walk {
    varies: Varies,
    changed: bool,
}

/// Analyses a verified kernel.
pub(super) fn varies(kernel: &Kernel) -> Varies {
    let mut varies = Varies {
        values: vec![false; kernel.values.len()],
        locals: vec![false; kernel.locals.len()],
        once: rows::once(kernel),
        read: vec![false; kernel.locals.len()],
    };
    reads(&kernel.body, &mut varies);
    let mut walk = Walk { varies, changed: true };
    // What varies only grows, so this ends; loops carry variation from their end to their start.
    while walk.changed {
        walk.changed = false;
        walk.block(&kernel.body, false);
    }
    walk.varies
}

fn reads(stmts: &[Stmt], varies: &mut Varies) {
    for s in stmts {
        if let (Op::Get(i), Some(r)) = (&s.op, s.result) {
            varies.read[*i as usize] |= varies.once[r.0 as usize].is_none();
        }
        s.op.blocks().into_iter().for_each(|b| reads(b, varies));
    }
}

impl Walk {
    fn differs(&self, v: ValueId) -> bool {
        self.varies.values[v.0 as usize]
    }

    fn value(&mut self, v: ValueId) {
        self.changed |= !std::mem::replace(&mut self.varies.values[v.0 as usize], true);
    }

    fn local(&mut self, i: u32) {
        self.changed |= !std::mem::replace(&mut self.varies.locals[i as usize], true);
    }

    /// `divergent`: some threads that will go on later may be missing here.
    fn block(&mut self, stmts: &[Stmt], divergent: bool) {
        for s in stmts {
            let source = match &s.op {
                Op::Builtin(b) => matches!(b, Builtin::LocalIndex | Builtin::SubgroupLane),
                // Each thread finds what the one before left; subgroups differ from one another.
                Op::Atomic(..) | Op::CompareExchange(..) | Op::Subgroup(..) | Op::Shuffle(..) => true,
                Op::Get(i) => match s.result.and_then(|r| self.varies.once[r.0 as usize]) {
                    Some(x) => self.differs(x),
                    None => self.varies.locals[*i as usize],
                },
                Op::Load(Space::Local(i), _) => self.varies.locals[*i as usize],
                _ => false,
            };
            let mixed = source || s.op.operands().iter().any(|v| self.differs(*v));
            if let Some(result) = s.result
                && mixed
            {
                self.value(result);
            }
            match &s.op {
                Op::Set(i, _) | Op::Store(Space::Local(i), ..) if mixed || divergent => self.local(*i),
                Op::If(_, then, otherwise) => {
                    self.block(then, divergent || mixed);
                    self.block(otherwise, divergent || mixed);
                }
                Op::For { index, lo, body, .. } => {
                    // The index counts in step in every thread, until the thread's own end.
                    if self.differs(*lo) {
                        self.value(*index);
                    }
                    let parts = mixed || self.parts(body);
                    self.block(body, divergent || parts);
                }
                Op::Loop(body) => {
                    let parts = self.parts(body);
                    self.block(body, divergent || parts);
                }
                _ => {}
            }
        }
    }

    /// Whether some threads may leave a round of this loop before others. (Threads that return never come back.)
    fn parts(&self, stmts: &[Stmt]) -> bool {
        stmts.iter().any(|s| match &s.op {
            Op::If(c, a, b) => self.differs(*c) && (leaves(a) || leaves(b)) || self.parts(a) || self.parts(b),
            _ => false,
        })
    }
}

/// Whether a break or continue of the innermost loop occurs.
pub(super) fn leaves(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|s| match &s.op {
        Op::Break | Op::Continue => true,
        Op::If(_, a, b) => leaves(a) || leaves(b),
        _ => false,
    })
}
