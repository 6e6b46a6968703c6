//! Which values may differ between the threads of a workgroup: the analysis that decides what needs masks.

use girih_simt::{Builtin, Kernel, Op, Space, Stmt, ValueId};

struct Marks<'k> {
    kernel: &'k Kernel,
    values: Vec<bool>,
    locals: Vec<bool>,
    changed: bool,
}

/// One flag per value.
pub(crate) fn varying(kernel: &Kernel) -> Vec<bool> {
    let mut m = Marks {
        kernel,
        values: vec![false; kernel.values.len()],
        locals: vec![false; kernel.locals.len()],
        changed: true,
    };
    while m.changed {
        m.changed = false;
        m.block(&kernel.body, false);
    }
    m.values
}

impl Marks<'_> {
    fn flag(&mut self, v: ValueId) {
        self.changed |= !self.values[v.0 as usize];
        self.values[v.0 as usize] = true;
    }

    fn block(&mut self, stmts: &[Stmt], outer: bool) {
        let mut divergent = outer;
        for s in stmts {
            let source = match &s.op {
                Op::Builtin(b) => matches!(b, Builtin::LocalIndex | Builtin::SubgroupLane),
                Op::Atomic(..) | Op::CompareExchange(..) | Op::Subgroup(..) => true,
                Op::Load(Space::Buffer(i), _) => self.kernel.buffers[*i as usize].written,
                Op::Load(Space::Local(i), _) | Op::Get(i) => self.locals[*i as usize],
                _ => false,
            };
            let mixed = source || s.op.operands().iter().any(|v| self.values[v.0 as usize]);
            if let (true, Some(r)) = (mixed, s.result) {
                self.flag(r);
            }
            match &s.op {
                Op::Set(i, _) | Op::Store(Space::Local(i), ..) if mixed || divergent => {
                    self.changed |= !self.locals[*i as usize];
                    self.locals[*i as usize] = true;
                }
                Op::If(_, a, b) => {
                    self.block(a, divergent || mixed);
                    self.block(b, divergent || mixed);
                    divergent |= mixed && (leaves(a) || leaves(b));
                }
                Op::For { index, body, .. } => {
                    if mixed {
                        self.flag(*index);
                    }
                    let escapes = self.escapes(body);
                    self.block(body, divergent || mixed || escapes);
                }
                Op::Loop(body) => {
                    let escapes = self.escapes(body);
                    self.block(body, divergent || escapes);
                }
                _ => {}
            }
        }
    }

    /// Whether some threads may leave this loop before others.
    fn escapes(&self, stmts: &[Stmt]) -> bool {
        stmts.iter().any(|s| match &s.op {
            Op::If(c, a, b) => {
                (self.values[c.0 as usize] && (leaves(a) || leaves(b))) || self.escapes(a) || self.escapes(b)
            }
            _ => false,
        })
    }
}

fn leaves(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|s| match &s.op {
        Op::Break | Op::Continue | Op::Return => true,
        Op::If(_, a, b) => leaves(a) || leaves(b),
        Op::For { body, .. } | Op::Loop(body) => returns(body),
        _ => false,
    })
}

fn returns(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|s| match &s.op {
        Op::Return => true,
        Op::If(_, a, b) => returns(a) || returns(b),
        Op::For { body, .. } | Op::Loop(body) => returns(body),
        _ => false,
    })
}
