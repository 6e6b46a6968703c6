//! Barriers and subgroup operations must be reached by all threads of a workgroup together. naga accepts them anywhere, other
//! validators do not, and hardware hangs: this check decides.

use super::uses::operands;
use girih_base::{Diag, Result};
use girih_simt::{Builtin, Kernel, Op, Space, Stmt};

struct Check<'k> {
    kernel: &'k Kernel,
    /// Values that may differ between the threads of a workgroup.
    varies: Vec<bool>,
    local_varies: Vec<bool>,
    changed: bool,
}

/// Refuses barriers under conditions that may differ between threads.
///
/// # Errors
/// `W003`, at the barrier.
pub fn check(kernel: &Kernel) -> Result<()> {
    let mut check = Check {
        kernel,
        varies: vec![false; kernel.values.len()],
        local_varies: kernel.locals.iter().map(|_| false).collect(),
        changed: true,
    };
    while check.changed {
        check.changed = false;
        check.mark(&kernel.body, false);
    }
    let mut diverged = false;
    check.verify(&kernel.body, false, &mut diverged)
}

impl Check<'_> {
    fn set(&mut self, at: u32, varies: bool, local: bool) {
        let slot = if local { &mut self.local_varies[at as usize] } else { &mut self.varies[at as usize] };
        self.changed |= varies && !*slot;
        *slot |= varies;
    }

    fn varies(&self, op: &Op) -> bool {
        let own = match op {
            Op::Builtin(b) => matches!(b, Builtin::LocalIndex | Builtin::SubgroupLane),
            Op::Get(i) => self.local_varies[*i as usize],
            Op::Load(Space::Buffer(i), _) => self.kernel.buffers[*i as usize].written,
            Op::Load(Space::Local(i), _) => self.local_varies[*i as usize],
            Op::Atomic(..) | Op::CompareExchange(..) | Op::Subgroup(..) => true,
            _ => false,
        };
        own || operands(op).iter().any(|v| self.varies[v.0 as usize])
    }

    fn mark(&mut self, stmts: &[Stmt], divergent: bool) {
        for s in stmts {
            let varies = self.varies(&s.op);
            if let Some(r) = s.result {
                self.set(r.0, varies, false);
            }
            match &s.op {
                Op::Set(i, _) | Op::Store(Space::Local(i), ..) => self.set(*i, varies || divergent, true),
                Op::If(_, a, b) => {
                    self.mark(a, divergent || varies);
                    self.mark(b, divergent || varies);
                }
                Op::For { index, uniform, body, .. } => {
                    self.set(index.0, varies && !uniform, false);
                    self.mark(body, divergent || (varies && !uniform));
                }
                Op::Loop(body) => self.mark(body, divergent || self.leaves(body)),
                _ => {}
            }
        }
    }

    /// Whether some threads may leave the loop before others.
    fn leaves(&self, stmts: &[Stmt]) -> bool {
        stmts.iter().any(|s| match &s.op {
            Op::If(c, a, b) => {
                (self.varies[c.0 as usize] && (jumps(a) || jumps(b))) || self.leaves(a) || self.leaves(b)
            }
            _ => false,
        })
    }

    /// `gone`: some threads may have returned or left the loop.
    fn verify(&self, stmts: &[Stmt], divergent: bool, gone: &mut bool) -> Result<()> {
        for s in stmts {
            match &s.op {
                Op::Barrier | Op::Subgroup(..) if divergent || *gone => {
                    let what = if s.op == Op::Barrier { "a barrier" } else { "a subgroup operation" };
                    return Err(Diag::error(
                        "W003",
                        format!("kernel `{}`: not every thread may reach {what}", self.kernel.name),
                    )
                    .at(&s.loc, "reached under a condition that differs between threads")
                    .help(
                        "move it out of the condition, or make the condition the same for all threads of the workgroup",
                    ));
                }
                Op::If(c, a, b) => {
                    let varies = self.varies[c.0 as usize];
                    self.verify(a, divergent || varies, gone)?;
                    self.verify(b, divergent || varies, gone)?;
                    *gone |= varies && (returns(a) || returns(b));
                }
                Op::For { lo, hi, uniform, body, .. } => {
                    let varies = !uniform && (self.varies[lo.0 as usize] || self.varies[hi.0 as usize]);
                    self.verify(body, divergent || varies || self.leaves(body), gone)?;
                }
                Op::Loop(body) => self.verify(body, divergent || self.leaves(body), gone)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a region leaves the loop around it.
fn jumps(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|s| match &s.op {
        Op::Break | Op::Continue | Op::Return => true,
        Op::If(_, a, b) => jumps(a) || jumps(b),
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
