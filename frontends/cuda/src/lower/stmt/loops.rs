//! Loops: counted where they count, unrolled where a warp's operations need known operands, under masks where threads leave at
//! different times around operations that all must reach.

mod counted;
mod masked;

use super::super::scan;
use super::super::value::{Binding, Place, Tv, Val};
use super::super::*;
use crate::ast::*;
use girih_base::{DType, ScalarOp as S};
use girih_simt::{AtomicOp, Op};

/// Most rounds that are unrolled.
const MOST_ROUNDS: usize = 64;

impl Lowerer<'_> {
    pub(super) fn for_stmt(
        &mut self,
        at: At,
        init: &Stmt,
        cond: Option<&Expr>,
        step: Option<&Expr>,
        body: &Stmt,
        _unroll: Option<Unroll>,
    ) -> R<bool> {
        if let (StmtKind::Decl(vars), Some(cond), Some(step)) = (&init.kind, cond, step)
            && let [var] = &vars[..]
        {
            let mut changed = scan::Changed::default();
            self.assigned(body, &mut changed);
            if !changed.mentions(&var.name) {
                let stays = !scan::jumps(body) && !scan::returns(body);
                if self.collective(body) && stays && self.unrolled(var, cond, step, body)? {
                    return Ok(true);
                }
                if let Some(done) = self.counted(at, var, cond, step, body, &changed)? {
                    return Ok(done);
                }
            }
        }
        self.stmt(init)?;
        self.loop_stmt(at, cond, step, body)
    }

    /// The general loop; its variables are declared.
    pub(super) fn loop_stmt(&mut self, at: At, cond: Option<&Expr>, step: Option<&Expr>, body: &Stmt) -> R<bool> {
        let inside = self.collective(body) || cond.is_some_and(|c| self.collective_expr(c));
        let returns = scan::returns(body);
        if (inside && self.choices.diverges.contains(&at))
            || (self.guarded() && (returns || (inside && self.choices.diverges.contains(&at))))
            || (returns && self.choices.diverges.contains(&at))
        {
            return self.masked_loop(at, cond, step, body, false);
        }
        let together = inside || (self.frame().collective && returns);
        self.open();
        let done = (|s: &mut Self| -> R<()> {
            if let Some(c) = cond {
                let test = s.value(c)?;
                let test = s.truth(test, c.at)?;
                if test.known() == Some(0) {
                    s.b.effect(Op::Break);
                    return Ok(());
                }
                if test.known().is_none() {
                    let go = s.id(&test.v, Scalar::Bool);
                    if together {
                        s.assumed.push((at, go));
                    }
                    let stop = s.b.map(S::Not, &[go]);
                    s.open();
                    s.b.effect(Op::Break);
                    let leave = s.close();
                    s.b.effect(Op::If(stop, leave, Vec::new()));
                }
            }
            let masks = s.masks.len();
            let next = step.map_or(Next::Nothing, |e| Next::Step(Rc::new(e.clone())));
            s.frame().loops.push(LoopCtx::Plain { at, next, masks, collective: inside });
            let on = s.scoped(body);
            s.frame().loops.pop();
            if on? && let Some(e) = step {
                s.loc(e.at);
                s.operand(e)?;
            }
            Ok(())
        })(self);
        let block = self.close();
        done?;
        self.loc(at);
        self.b.effect(Op::Loop(block));
        Ok(true)
    }

    pub(super) fn do_stmt(&mut self, at: At, body: &Stmt, cond: &Expr) -> R<bool> {
        // `do { } while (0)`: a block, unless something leaves it.
        let inside = self.collective(body) || self.collective_expr(cond);
        if (inside || self.frame().collective) && self.choices.diverges.contains(&at)
            || (self.guarded() && scan::returns(body))
        {
            return self.masked_loop(at, Some(cond), None, body, true);
        }
        if let Ok(Some(0)) = self.type_free_constant(cond)
            && !scan::jumps(body)
        {
            return self.scoped(body);
        }
        let together = inside || (self.frame().collective && scan::returns(body));
        self.open();
        let done = (|s: &mut Self| -> R<()> {
            let masks = s.masks.len();
            s.frame().loops.push(LoopCtx::Plain {
                at,
                next: Next::Test(Rc::new(cond.clone())),
                masks,
                collective: inside,
            });
            let on = s.scoped(body);
            s.frame().loops.pop();
            if on? {
                s.test_or_leave(cond, together.then_some(at))?;
            }
            Ok(())
        })(self);
        let block = self.close();
        done?;
        self.b.effect(Op::Loop(block));
        Ok(true)
    }

    fn type_free_constant(&mut self, e: &Expr) -> R<Option<i128>> {
        self.open();
        let v = self.value(e);
        self.close();
        Ok(v?.known())
    }

    /// Leaves the loop when the condition fails.
    fn test_or_leave(&mut self, cond: &Expr, assumed: Option<At>) -> R<()> {
        let test = self.value(cond)?;
        let test = self.truth(test, cond.at)?;
        if test.known().is_some_and(|n| n != 0) {
            return Ok(());
        }
        let go = self.id(&test.v, Scalar::Bool);
        if let Some(at) = assumed {
            self.assumed.push((at, go));
        }
        let stop = self.b.map(S::Not, &[go]);
        self.open();
        self.b.effect(Op::Break);
        let leave = self.close();
        self.b.effect(Op::If(stop, leave, Vec::new()));
        Ok(())
    }

    pub(super) fn break_stmt(&mut self, at: At) -> R<bool> {
        let depth = self.masks.len();
        let guarded = self.guarded();
        match self.frame().loops.last() {
            Some(LoopCtx::Masked { masks }) => {
                let from = *masks;
                self.clear_masks(from);
            }
            Some(LoopCtx::Plain { at: home, masks, .. }) if guarded && depth > *masks => {
                let home = *home;
                return Err(self.diverge(home, at));
            }
            Some(LoopCtx::Plain { .. } | LoopCtx::Switch { .. }) => self.b.effect(Op::Break),
            Some(LoopCtx::Unrolled) => return Err(self.err("U005", at, "this break leaves an unrolled loop")),
            None => return Err(self.err("U002", at, "a break outside of a loop")),
        }
        Ok(false)
    }

    pub(super) fn continue_stmt(&mut self, at: At) -> R<bool> {
        let depth = self.masks.len();
        let guarded = self.guarded();
        let Some(i) = self.frame().loops.iter().rposition(|l| !matches!(l, LoopCtx::Switch { .. })) else {
            return Err(self.err("U002", at, "a continue outside of a loop"));
        };
        // Out of a switch first.
        if i + 1 < self.frame().loops.len() {
            if let Some(LoopCtx::Switch { resume }) = self.frame().loops.last() {
                let resume = *resume;
                let yes = self.b.constant(girih_simt::Literal::Int(1), Ty::scalar(DType::Bool));
                self.b.set(resume, yes);
                self.b.effect(Op::Break);
            }
            return Ok(false);
        }
        match &self.frame().loops[i] {
            LoopCtx::Masked { masks } => {
                let from = *masks + 1;
                self.clear_masks(from);
            }
            LoopCtx::Plain { at: home, masks, .. } if guarded && depth > *masks => {
                let home = *home;
                return Err(self.diverge(home, at));
            }
            LoopCtx::Plain { at: home, next, collective, .. } => {
                let (next, together) = (next.clone(), collective.then_some(*home));
                match next {
                    Next::Nothing => {}
                    Next::Step(e) => {
                        self.operand(&e)?;
                    }
                    Next::Test(e) => self.test_or_leave(&e, together)?,
                }
                self.b.effect(Op::Continue);
            }
            _ => return Err(self.err("U005", at, "this continue leaves an unrolled loop")),
        }
        Ok(false)
    }

    /// `for (x : array)`: one round after the other.
    pub(super) fn each(&mut self, var: &Var, range: &Expr, body: &Stmt, at: At) -> R<bool> {
        let place = self.place(range)?;
        let Type::Array(_, n) = place.ty().clone() else {
            return Err(self.err("U004", at, "only arrays are walked through this way"));
        };
        if n as usize > MOST_ROUNDS || scan::jumps(body) || scan::returns(body) {
            return Err(self.refuse(at, "this range loop", "write it with an index"));
        }
        for i in 0..n {
            self.scopes.push(BTreeMap::new());
            let p = self.rvalue(&place, at)?;
            let p = self.advance(p, Tv::int(i as i128, Scalar::Int), false, at)?;
            let element = self.dereference(p, at)?;
            let bound = if matches!(var.ty, TypeExpr::Reference(..)) {
                element
            } else {
                let tv = self.load(&element, at)?;
                let home = self.variable(&var.name, &tv.t.clone(), var.at)?;
                self.initialise(&home, &tv.v, at)?;
                home
            };
            self.bind(&var.name, Binding::Place(bound));
            let done = self.scoped(body);
            self.scopes.pop();
            done?;
        }
        Ok(true)
    }
}

fn names(e: &Expr, name: &Arc<str>) -> bool {
    matches!(&e.kind, ExprKind::Name(n) if n.parts.len() == 1 && n.parts[0].id == *name)
}
