//! Assertions that loops ended by themselves, for drivers that leave them early without a word (see [`crate::rounds`]).
//!
//! A counted loop keeps where its next round would start, a loop without a count whether it was left by a `break`; behind the loop
//! that must be past its end. Every thread looks at itself, so it does not matter whose rounds the driver counted.

use girih_base::{DType, ScalarOp};
use girih_simt::{Builder, Kernel, Op, Stmt, Ty, ValueId};
use std::sync::Arc;

const U32: Ty = Ty::scalar(DType::U32);

/// The kernel with an assertion behind every loop.
pub fn guard(kernel: &Kernel, limit: u64) -> Kernel {
    let text = format!("the driver left this loop early: its threads make {limit} rounds of loops at most");
    let mut pass = Guard { b: Builder::over(kernel), loops: Vec::new(), text: text.into() };
    pass.block(&kernel.body);
    pass.b.finish(kernel.name.clone(), kernel.workgroup, kernel.groups.clone())
}

struct Guard {
    b: Builder,
    /// The variable of each loop around, and what a `break` writes to it.
    loops: Vec<(u32, ValueId)>,
    text: Arc<str>,
}

impl Guard {
    fn block(&mut self, stmts: &[Stmt]) {
        for s in stmts {
            self.b.set_loc(s.loc.clone());
            let op = match &s.op {
                Op::If(cond, then, otherwise) => {
                    let (then, otherwise) = (self.region(then, None), self.region(otherwise, None));
                    Op::If(*cond, then, otherwise)
                }
                Op::For { index, lo, hi, step, uniform, body } => {
                    let next = self.variable("next");
                    self.b.set(next, *lo);
                    self.loops.push((next, *hi));
                    let body = self.region(body, Some((next, *index, *step)));
                    self.loops.pop();
                    let (index, lo, hi, step, uniform) = (*index, *lo, *hi, *step, *uniform);
                    self.b.restate(Stmt { op: Op::For { index, lo, hi, step, uniform, body }, ..s.clone() });
                    self.assert(next, hi);
                    continue;
                }
                Op::Loop(body) => {
                    let (left, zero, one) = (self.variable("left"), self.b.uint(0), self.b.uint(1));
                    self.b.set(left, zero);
                    self.loops.push((left, one));
                    let body = self.region(body, None);
                    self.loops.pop();
                    self.b.restate(Stmt { op: Op::Loop(body), ..s.clone() });
                    self.assert(left, one);
                    continue;
                }
                Op::Break => {
                    if let Some((variable, end)) = self.loops.last().copied() {
                        self.b.set(variable, end);
                    }
                    Op::Break
                }
                op => op.clone(),
            };
            self.b.restate(Stmt { op, ..s.clone() });
        }
    }

    /// A region written anew; a round of a counted loop first says where the next one starts.
    fn region(&mut self, stmts: &[Stmt], round: Option<(u32, ValueId, u32)>) -> Vec<Stmt> {
        self.b.begin();
        if let Some((next, index, step)) = round {
            let step = self.b.uint(step);
            let start = self.b.map(ScalarOp::Add, &[index, step]);
            self.b.set(next, start);
        }
        self.block(stmts);
        self.b.end()
    }

    fn variable(&mut self, name: &str) -> u32 {
        let taken = |name: &str| {
            let arrays = self.b.buffers.iter().map(|x| &x.name).chain(self.b.shared.iter().map(|x| &x.name));
            arrays.chain(self.b.locals.iter().map(|x| &x.name)).any(|n| **n == *name)
        };
        let number = (0..).map(|i| format!("{name}_round{i}")).find(|n| !taken(n)).unwrap_or_default();
        self.b.local(&number, U32, None)
    }

    fn assert(&mut self, variable: u32, end: ValueId) {
        let at = self.b.get(variable);
        let ended = self.b.map(ScalarOp::Ge, &[at, end]);
        self.b.effect(Op::Assert(ended, self.text.clone()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use girih_base::Bindings;
    use girih_simt::{emulate, parse, verify};

    const KERNEL: &str = "kernel @sums workgroup [4, 1, 1] groups 1 {
  buffer y: u32 written
  local sum: u32
  %0.lane = local_index : u32
  %1 = 0 : u32
  %2 = 5 : u32
  %3 = 3 : u32
  for %4 in %1..%2 step 2 {
    %5 = get sum : u32
    %6 = add %5, %4 : u32
    set sum = %6
    %7 = ge %4, %0.lane : bool
    if %7 {
      break
    }
  }
  loop {
    %8 = get sum : u32
    %9 = add %8, %3 : u32
    set sum = %9
    %10 = gt %9, %2 : bool
    if %10 {
      break
    }
  }
  %11 = get sum : u32
  store y[%0.lane] = %11
}
";

    #[test]
    fn loops_that_end_pass() {
        let kernel = parse(KERNEL).unwrap();
        let guarded = guard(&kernel, 65535);
        verify::verify(&guarded).unwrap();
        let run = |k: &Kernel| {
            let mut memory = vec![vec![0u8; 16]];
            emulate::run(k, &mut memory, &Bindings::new(), emulate::Options::default()).map(|_| memory)
        };
        assert_eq!(run(&guarded).unwrap(), run(&kernel).unwrap());
        assert_eq!(run(&kernel).unwrap()[0][..4], 6u32.to_le_bytes());
    }
}
