//! Loops: counted where they count, unrolled where a warp's operations need known operands, under masks where threads leave at
//! different times around operations that all must reach.

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

    /// Tries to run the loop now; `false` when its rounds are not known.
    fn unrolled(&mut self, var: &Var, cond: &Expr, step: &Expr, body: &Stmt) -> R<bool> {
        let t = self.declared(&var.ty, var.init.as_ref(), var.at)?;
        let (Some(init), Type::Scalar(s)) = (&var.init, &t) else { return Ok(false) };
        if s.is_float() {
            return Ok(false);
        }
        self.open();
        let first = self.initial_of(init, &t, var.at);
        self.close();
        let Some(mut n) = first?.known() else { return Ok(false) };
        let mut rounds = Vec::new();
        loop {
            let Some(go) =
                self.probe(var, n, &t, |s| s.value(cond).and_then(|c| s.truth(c, cond.at)))?.and_then(|t| t.known())
            else {
                return Ok(false);
            };
            if go == 0 {
                break;
            }
            rounds.push(n);
            if rounds.len() > MOST_ROUNDS {
                return Ok(false);
            }
            let next = match &step.kind {
                ExprKind::Step(by, _, a) if names(a, &var.name) => Some(n + *by as i128),
                ExprKind::Assign(Some(op), a, b) if names(a, &var.name) => {
                    let t = t.clone();
                    self.probe(var, n, &t, |s| {
                        let by = s.value(b)?;
                        let old = Tv { v: Val::Int(n), t: t.clone() };
                        let new = s.binary(op, old, by, step.at)?;
                        s.convert(new, &t, step.at)
                    })?
                    .and_then(|t| t.known())
                }
                ExprKind::Assign(None, a, b) if names(a, &var.name) => {
                    let t = t.clone();
                    self.probe(var, n, &t, |s| {
                        let new = s.value(b)?;
                        s.convert(new, &t, step.at)
                    })?
                    .and_then(|t| t.known())
                }
                _ => None,
            };
            let Some(next) = next else { return Ok(false) };
            n = next;
        }
        for n in rounds {
            self.scopes.push(BTreeMap::new());
            self.bind(&var.name, Binding::Place(Place::Value(Tv { v: Val::Int(n), t: t.clone() })));
            self.frame().loops.push(LoopCtx::Unrolled);
            let done = self.scoped(body);
            self.frame().loops.pop();
            self.scopes.pop();
            done?;
        }
        Ok(true)
    }

    /// Evaluates with the loop variable known, keeping no code.
    fn probe(&mut self, var: &Var, n: i128, t: &Type, f: impl FnOnce(&mut Self) -> R<Tv>) -> R<Option<Tv>> {
        self.scopes.push(BTreeMap::new());
        self.bind(&var.name, Binding::Place(Place::Value(Tv { v: Val::Int(n), t: t.clone() })));
        self.open();
        let v = f(self);
        self.close();
        self.scopes.pop();
        match v {
            Ok(v) => Ok(Some(v)),
            Err(Fail::Retry) => Err(Fail::Retry),
            Err(_) => Ok(None),
        }
    }

    /// `for (int i = a; i < b; i += c)` with `a >= 0` and `b` the same in every round.
    fn counted(
        &mut self,
        at: At,
        var: &Var,
        cond: &Expr,
        step: &Expr,
        body: &Stmt,
        changed: &scan::Changed,
    ) -> R<Option<bool>> {
        let ExprKind::Binary(op @ ("<" | "<="), left, bound) = &cond.kind else { return Ok(None) };
        if !names(left, &var.name) || self.choices.memory.contains(&var.at) {
            return Ok(None);
        }
        let mut read = BTreeSet::new();
        scan::mentions(bound, &mut read);
        if read.contains(&var.name) || read.iter().any(|n| changed.mentions(n) || !self.steady(n)) || !self.light(bound)
        {
            return Ok(None);
        }
        let (by, read_step) = match &step.kind {
            ExprKind::Step(1, _, a) if names(a, &var.name) => (None, None),
            ExprKind::Assign(Some("+"), a, by) if names(a, &var.name) => (Some(&**by), Some(by)),
            _ => return Ok(None),
        };
        if read_step.is_some_and(|e| !self.light(e)) {
            return Ok(None);
        }
        let t = self.declared(&var.ty, var.init.as_ref(), var.at)?;
        let Type::Scalar(s @ (Scalar::Int | Scalar::UInt)) = t else { return Ok(None) };
        let by = match by {
            None => 1,
            Some(e) => match self.probe(var, 0, &t, |l| l.value(e))?.and_then(|t| t.known()) {
                Some(n @ 1..=0xffff) => n as u32,
                _ => return Ok(None),
            },
        };
        let Some(init) = &var.init else { return Ok(None) };
        let lo = self.initial_of(init, &t, var.at)?;
        let lo_id = self.id(&lo.v, s);
        if s == Scalar::Int && !self.not_negative(lo_id) {
            // The initialiser was evaluated: the general loop goes on from it.
            self.bind_loop_variable(var, lo)?;
            return self.loop_stmt(at, Some(cond), Some(step), body).map(Some);
        }
        let end = self.value(bound)?;
        let Some(e) = end.t.scalar().filter(|e| e.is_int() && !e.wide()) else {
            self.bind_loop_variable(var, lo)?;
            return self.loop_stmt(at, Some(cond), Some(step), body).map(Some);
        };
        let common = s.common(e.promote());
        let end = self.convert(end, &Type::Scalar(common), at)?;
        let mut hi = self.id(&end.v, common);
        // Unsigned indices wrap: near the top a larger step would jump over the end.
        let below = self.not_negative(hi) || self.b.known(hi).is_some_and(|n| (0..1 << 31).contains(&n));
        if common != Scalar::Int && by > 1 && !below {
            self.bind_loop_variable(var, Tv { v: Val::One(lo_id), t: t.clone() })?;
            return self.loop_stmt(at, Some(cond), Some(step), body).map(Some);
        }
        if common == Scalar::Int {
            if !self.not_negative(hi) {
                let zero = self.b.int(0);
                hi = self.b.map(S::Max, &[hi, zero]);
                if *op == "<=" {
                    // A negative end of `<=` means no round: -1 + 1.
                    let end_id = self.id(&end.v, common);
                    let low = self.b.int(-1);
                    hi = self.b.map(S::Max, &[end_id, low]);
                }
            }
            hi = match self.b.known(hi) {
                Some(n) => self.b.uint(n as u32),
                None => self.b.bitcast(hi, DType::U32),
            };
        }
        if *op == "<=" {
            let one = self.b.uint(1);
            hi = self.b.add(hi, one);
        }
        let collective = self.collective(body);
        let lo = self.b_bits_known(lo_id, DType::U32);
        if collective || (self.frame().collective && scan::returns(body)) {
            if self.choices.diverges.contains(&at) {
                let tv = Tv { v: Val::One(lo_id), t: t.clone() };
                self.bind_loop_variable(var, tv)?;
                return self.loop_stmt(at, Some(cond), Some(step), body).map(Some);
            }
            self.assumed.push((at, lo));
            self.assumed.push((at, hi));
        }
        let index = self.b.fresh(Ty::scalar(DType::U32));
        self.b.name(index, Some(var.name.clone()));
        self.open();
        let value = if s == Scalar::Int { self.b.bitcast(index, DType::I32) } else { index };
        self.not_negative.insert(value);
        self.scopes.push(BTreeMap::new());
        self.bind(&var.name, Binding::Place(Place::Value(Tv::one(value, s))));
        let masks = self.masks.len();
        self.frame().loops.push(LoopCtx::Plain { at, next: Next::Nothing, masks, collective });
        let done = self.scoped(body);
        self.frame().loops.pop();
        self.scopes.pop();
        let block = self.close();
        done?;
        self.loc(at);
        self.b.effect(Op::For { index, lo, hi, step: by, uniform: false, body: block });
        Ok(Some(true))
    }

    /// Whether a name keeps its value while nothing assigns to it by that name: not so what lies in memory, fields of an object
    /// that has methods, and what pointers, references or lambdas may reach.
    fn steady(&self, name: &Arc<str>) -> bool {
        let fixed = |t: &Type| matches!(t, Type::Array(..));
        match self.lookup(name) {
            Some(Binding::Place(Place::Value(_)) | Binding::Type(_) | Binding::Pack(_)) => return true,
            Some(Binding::Place(Place::Tree { ty, .. })) => return fixed(ty) || !self.changed.aliased(name),
            Some(Binding::Place(Place::Memory(p))) => return fixed(&p.to),
            None => {}
        }
        if let Some(Some(this)) = self.frames.last().map(|f| &f.this)
            && let Type::Struct(id) = this.ty()
            && let Some(field) = self.structs[*id as usize].fields.iter().find(|f| f.name == *name)
        {
            return fixed(&field.ty) || matches!(this, Place::Value(_));
        }
        self.p.globals.iter().find(|g| g.name == *name).is_none_or(|g| {
            matches!(g.place, Storage::Constant | Storage::Static) || g.constant || matches!(g.ty, TypeExpr::Array(..))
        })
    }

    fn b_bits_known(&mut self, v: ValueId, to: DType) -> ValueId {
        match self.b.known(v) {
            Some(n) if to == DType::U32 => self.b.uint(n as u32),
            _ => self.b_bits(v, to),
        }
    }

    /// Whether a 32-bit integer is known to be at least 0.
    pub fn not_negative(&self, v: ValueId) -> bool {
        self.b.known(v).is_some_and(|n| (0..=i32::MAX as i64).contains(&n)) || self.not_negative.contains(&v)
    }

    fn bind_loop_variable(&mut self, var: &Var, first: Tv) -> R<()> {
        let place = self.variable(&var.name, &first.t.clone(), var.at)?;
        self.initialise(&place, &first.v, var.at)?;
        self.bind(&var.name, Binding::Place(place));
        Ok(())
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

    /// All threads go round until none wants to.
    fn masked_loop(&mut self, at: At, cond: Option<&Expr>, step: Option<&Expr>, body: &Stmt, after: bool) -> R<bool> {
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
    fn leave_together(&mut self, live: u32) {
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

    /// Marks a loop as left at different times by different threads.
    fn diverge(&mut self, home: At, at: At) -> Fail {
        if self.choices.diverges.insert(home) {
            Fail::Retry
        } else {
            self.err("U008", at, "threads leave this loop in a way that cannot be followed")
        }
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
