//! Which values are used, how often, and whether in the loop that defines them.

use girih_simt::{Kernel, Op, Space, Stmt};
use std::collections::BTreeSet;

/// What the printer must know before it starts.
#[derive(Debug)]
pub struct Uses {
    /// Number of operand positions that name the value, dead statements not counted.
    pub count: Vec<u32>,
    /// The value is used in a deeper loop than the one that defines it.
    pub escapes: Vec<bool>,
    /// Arrays that atomic operations touch.
    pub atomic: BTreeSet<(u8, u32)>,
    /// Buffers that are read.
    pub loaded: BTreeSet<u32>,
    home: Vec<u32>,
    loops: u32,
}

/// Whether a statement may be left out when nobody uses its result.
pub fn removable(op: &Op) -> bool {
    match op {
        Op::Const(_) | Op::Uniform(_) | Op::Builtin(_) | Op::Get(_) | Op::Map(..) | Op::MakeVec(_) | Op::Cast(_) => {
            true
        }
        Op::Bitcast(_)
        | Op::Component(..)
        | Op::ComponentAt(..)
        | Op::UnpackHalf(_)
        | Op::PackHalf(_)
        | Op::Load(..) => true,
        Op::Store(..) | Op::Set(..) | Op::Atomic(..) | Op::CompareExchange(..) => false,
        Op::Barrier | Op::SubgroupBarrier | Op::Subgroup(..) | Op::Shuffle(..) | Op::Assert(..) | Op::Print(..) => {
            false
        }
        Op::If(..) | Op::For { .. } | Op::Loop(_) | Op::Break | Op::Continue | Op::Return | Op::Comment(_) => false,
    }
}

/// The key of an array in [`Uses::atomic`].
pub fn key(space: Space) -> (u8, u32) {
    match space {
        Space::Buffer(i) => (0, i),
        Space::Shared(i) => (1, i),
        Space::Local(i) => (2, i),
    }
}

impl Uses {
    /// Counts.
    pub fn of(kernel: &Kernel) -> Uses {
        let n = kernel.values.len();
        let mut uses = Uses {
            count: vec![0; n],
            escapes: vec![false; n],
            atomic: BTreeSet::new(),
            loaded: BTreeSet::new(),
            home: vec![0; n],
            loops: 0,
        };
        uses.homes(&kernel.body, 0);
        uses.loops = 0;
        let last = uses.count_loops(&kernel.body);
        uses.block(&kernel.body, 0, &mut (last + 1));
        uses
    }

    fn count_loops(&self, stmts: &[Stmt]) -> u32 {
        let count = |s: &Stmt| match &s.op {
            Op::For { body, .. } | Op::Loop(body) => 1 + self.count_loops(body),
            Op::If(_, a, b) => self.count_loops(a) + self.count_loops(b),
            _ => 0,
        };
        stmts.iter().map(count).sum()
    }

    /// Numbers loops in order of their statements and notes in which one each value is defined.
    fn homes(&mut self, stmts: &[Stmt], at: u32) {
        for s in stmts {
            if let Some(r) = s.result {
                self.home[r.0 as usize] = at;
            }
            match &s.op {
                Op::For { index, body, .. } => {
                    self.loops += 1;
                    let inner = self.loops;
                    self.home[index.0 as usize] = inner;
                    self.homes(body, inner);
                }
                Op::Loop(body) => {
                    self.loops += 1;
                    let inner = self.loops;
                    self.homes(body, inner);
                }
                Op::If(_, a, b) => {
                    self.homes(a, at);
                    self.homes(b, at);
                }
                _ => {}
            }
        }
    }

    /// Backwards, so that a use is seen before its definition; `next` counts the loops down.
    fn block(&mut self, stmts: &[Stmt], at: u32, next: &mut u32) {
        for s in stmts.iter().rev() {
            let dead = s.result.is_some_and(|r| self.count[r.0 as usize] == 0) && removable(&s.op);
            if dead {
                continue;
            }
            match &s.op {
                Op::For { body, .. } | Op::Loop(body) => {
                    // Inner loops have higher numbers and come first when walking backwards.
                    let inside = self.count_loops(body);
                    let inner = *next - 1 - inside;
                    self.block(body, inner, next);
                    *next = inner;
                }
                Op::If(_, a, b) => {
                    self.block(b, at, next);
                    self.block(a, at, next);
                }
                Op::Atomic(_, space, ..) | Op::CompareExchange(space, ..) => {
                    self.atomic.insert(key(*space));
                }
                Op::Load(Space::Buffer(i), _) => {
                    self.loaded.insert(*i);
                }
                _ => {}
            }
            for v in s.op.operands() {
                self.count[v.0 as usize] += 1;
                self.escapes[v.0 as usize] |= self.home[v.0 as usize] != at;
            }
        }
    }
}
