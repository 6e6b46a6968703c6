//! Loops that threads leave at different times around operations that all must reach: all go round under masks.

use super::*;

impl Lowerer<'_> {
    /// All threads go round until none wants to.
    pub(super) fn masked_loop(
        &mut self,
        at: At,
        cond: Option<&Expr>,
        step: Option<&Expr>,
        body: &Stmt,
        after: bool,
    ) -> R<bool> {
        if scan::returns(body) && self.masks.len() == self.frame().masks {
            return Err(self.need_function_mask(at));
        }
        let bool_ty = Ty::scalar(DType::Bool);
        let live = self.new_local("looping", bool_ty, None);
        let on = match self.masks.last().filter(|_| !self.plain) {
            Some(m) => {
                let m = m.local;
                self.b.get(m)
            }
            None => self.b.constant(girih_simt::Literal::Int(1), bool_ty),
        };
        self.b.set(live, on);
        let round = self.new_local("in_round", bool_ty, None);
        let depth = self.masks.len();
        self.masks.push(Mask { local: live, why: Some(at) });
        self.open();
        let done = (|s: &mut Self| -> R<()> {
            let test = |s: &mut Self| -> R<()> {
                if let Some(c) = cond {
                    let v = s.value(c)?;
                    let v = s.truth(v, c.at)?;
                    let go = s.id(&v.v, Scalar::Bool);
                    let on = s.b.get(live);
                    let both = s.b.map(S::And, &[on, go]);
                    s.b.set(live, both);
                }
                Ok(())
            };
            if !after {
                test(s)?;
                s.leave_together(live);
            }
            let on = s.b.get(live);
            s.b.set(round, on);
            s.masks.push(Mask { local: round, why: Some(at) });
            s.frame().loops.push(LoopCtx::Masked { masks: depth });
            let end = s.scoped(body);
            s.frame().loops.pop();
            s.masks.truncate(depth + 1);
            end?;
            if let Some(e) = step {
                s.loc(e.at);
                s.operand(e)?;
            }
            if after {
                test(s)?;
                s.leave_together(live);
            }
            Ok(())
        })(self);
        self.masks.truncate(depth);
        let block = self.close();
        done?;
        self.b.effect(Op::Loop(block));
        Ok(true)
    }

    /// Leaves the loop when no thread of the workgroup is live.
    pub(super) fn leave_together(&mut self, live: u32) {
        let vote = Space::Shared(self.scratch_array("any_left", 1));
        let (zero, one) = (self.b.uint(0), self.b.uint(1));
        self.b.effect(Op::Barrier);
        let lane = self.lane;
        let first = self.b.map(S::Eq, &[lane, zero]);
        self.b.if_then(first, |b| b.store(vote, zero, zero));
        self.b.effect(Op::Barrier);
        let on = self.b.get(live);
        self.open();
        self.b.effect(Op::Atomic(AtomicOp::Or, vote, zero, one));
        let body = self.close();
        self.b.effect(Op::If(on, body, Vec::new()));
        self.b.effect(Op::Barrier);
        let left = self.b.load(vote, zero);
        let none = self.b.map(S::Eq, &[left, zero]);
        self.open();
        self.b.effect(Op::Break);
        let body = self.close();
        self.b.effect(Op::If(none, body, Vec::new()));
    }

    /// Marks a loop as left at different times by different threads.
    pub(super) fn diverge(&mut self, home: At, at: At) -> Fail {
        if self.choices.diverges.insert(home) {
            Fail::Retry
        } else {
            self.err("U008", at, "threads leave this loop in a way that cannot be followed")
        }
    }
}
