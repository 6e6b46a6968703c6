//! Statements. Control flow that all threads take together stays structured; where threads part around an operation that all must
//! reach, masks say who takes part, and every effect is guarded by the innermost mask.

mod declare;
mod loops;
mod switch;

use super::scan;
use super::value::Binding;
use super::*;
use crate::ast::*;
use girih_base::{DType, ScalarOp as S};
use girih_simt::{Literal, Op};

impl Lowerer<'_> {
    /// Statements in order; whether their end is reached.
    pub fn stmts(&mut self, list: &[Stmt]) -> R<bool> {
        let mut i = 0;
        while i < list.len() {
            let s = &list[i];
            self.remark(s.at);
            if self.guarded() && self.quiet(s) {
                let end = (i..list.len()).find(|j| !self.quiet(&list[*j])).unwrap_or(list.len());
                self.quiet_run(&list[i..end])?;
                i = end;
                continue;
            }
            let inlined = !self.frame().leaves && !self.guarded();
            if inlined
                && self.frame().loops.is_empty()
                && scan::returns(s)
                && i + 1 < list.len()
                && let StmtKind::If(init, c, a, b, _) = &s.kind
            {
                {
                    let (ta, tb) = (scan::always_returns(a), b.as_ref().is_some_and(|b| scan::always_returns(b)));
                    let whole = |s: &Stmt, always: bool| always || !scan::returns(s);
                    if ta != tb && whole(a, ta) && b.as_ref().is_none_or(|b| whole(b, tb)) {
                        return self.if_with_rest(s.at, init, c, a, b.as_deref(), ta, &list[i + 1..]);
                    }
                }
            }
            if !self.stmt(s)? {
                return Ok(false);
            }
            if let (true, Some(done)) = (scan::returns(s) && !self.frame().leaves && !self.guarded(), self.frame().done)
            {
                let done = self.b.get(done);
                if self.in_loop() {
                    self.open();
                    self.b.effect(Op::Break);
                    let body = self.close();
                    self.b.effect(Op::If(done, body, Vec::new()));
                } else {
                    let go = self.b.map(S::Not, &[done]);
                    self.open();
                    let end = self.stmts(&list[i + 1..]);
                    let body = self.close();
                    end?;
                    self.b.effect(Op::If(go, body, Vec::new()));
                    return Ok(true);
                }
            }
            i += 1;
        }
        Ok(true)
    }

    fn in_loop(&mut self) -> bool {
        !self.frame().loops.is_empty()
    }

    /// A statement that can run under one guard: nothing collective, no jump out of it, nothing declared.
    fn quiet(&self, s: &Stmt) -> bool {
        !matches!(s.kind, StmtKind::Decl(_) | StmtKind::Type(_) | StmtKind::Assert(..) | StmtKind::Empty)
            && !scan::returns(s)
            && !scan::jumps(s)
            && !self.collective(s)
    }

    fn quiet_run(&mut self, list: &[Stmt]) -> R<()> {
        let Some(mask) = self.masks.last().map(|m| m.local) else { return Ok(()) };
        let on = self.b.get(mask);
        self.open();
        self.plain = true;
        let done = self.stmts(list);
        self.plain = false;
        let body = self.close();
        done?;
        self.b.effect(Op::If(on, body, Vec::new()));
        Ok(())
    }

    /// The author's remarks on the lines before a statement of the kernel.
    fn remark(&mut self, at: At) {
        let (file, line) = self.p.sources.line(at);
        if file != 0 || self.frames.len() != 1 || line <= self.remarked {
            return;
        }
        let from = std::mem::replace(&mut self.remarked, line);
        let texts: Vec<Arc<str>> = match self.p.sources.files.first() {
            Some(f) => {
                let start = f.remarks.partition_point(|(l, _)| *l <= from);
                f.remarks[start..].iter().take_while(|(l, _)| *l < line).take(8).map(|(_, t)| t.clone()).collect()
            }
            None => Vec::new(),
        };
        texts.iter().for_each(|t| self.comment(t));
    }

    /// An `if` after which only one way goes on: the rest belongs to that way.
    #[allow(clippy::too_many_arguments, reason = "the pieces of the statement")]
    fn if_with_rest(
        &mut self,
        at: At,
        init: &Stmt,
        c: &Expr,
        a: &Stmt,
        b: Option<&Stmt>,
        then_leaves: bool,
        rest: &[Stmt],
    ) -> R<bool> {
        self.scopes.push(BTreeMap::new());
        self.stmt(init)?;
        let cond = self.value(c)?;
        let cond = self.truth(cond, c.at)?;
        if let Some(n) = cond.known() {
            let taken = if n != 0 { Some(a) } else { b };
            let on = match taken {
                Some(s) => self.scoped(s)?,
                None => true,
            };
            self.scopes.pop();
            return if on { self.stmts(rest) } else { Ok(false) };
        }
        let test = self.id(&cond.v, Scalar::Bool);
        if self.frame().collective {
            if self.choices.diverges.contains(&at) {
                self.scopes.pop();
                return Err(self.need_function_mask(at));
            }
            self.assumed.push((at, test));
        }
        let mut ends = [true; 2];
        let mut regions = Vec::new();
        for (n, branch) in [Some(a), b].into_iter().enumerate() {
            self.open();
            let done = (|s: &mut Self| -> R<bool> {
                let mut on = match branch {
                    Some(b) => s.scoped(b)?,
                    None => true,
                };
                if on && (n == 0) != then_leaves {
                    // What follows is not conditional for whoever gets here.
                    s.flow -= 1;
                    let end = s.stmts(rest);
                    s.flow += 1;
                    on = end?;
                }
                Ok(on)
            })(self);
            regions.push(self.close());
            ends[n] = done?;
        }
        self.scopes.pop();
        let other = regions.pop().unwrap_or_default();
        let then = regions.pop().unwrap_or_default();
        self.b.effect(Op::If(test, then, other));
        Ok(ends[0] || ends[1])
    }

    /// Returns differ between threads: the function gets a mask from its start, on the next walk.
    fn need_function_mask(&mut self, at: At) -> Fail {
        let name = self.frame().name.clone();
        let body = self.body_at(&name).unwrap_or(at);
        if self.choices.diverges.insert(body) {
            Fail::Retry
        } else {
            self.err("U008", at, "threads part here in a way that cannot be followed")
        }
    }

    fn body_at(&self, name: &str) -> Option<At> {
        self.p.functions.iter().find(|f| &*f.name == name && !f.body.is_empty()).map(|f| f.at)
    }

    /// A statement in a scope of its own.
    pub fn scoped(&mut self, s: &Stmt) -> R<bool> {
        self.scopes.push(BTreeMap::new());
        let done = match &s.kind {
            StmtKind::Block(list) => self.stmts(list),
            _ => self.stmts(std::slice::from_ref(s)),
        };
        self.scopes.pop();
        done
    }

    /// One statement; whether its end is reached.
    pub fn stmt(&mut self, s: &Stmt) -> R<bool> {
        self.spend(s.at)?;
        self.loc(s.at);
        match &s.kind {
            StmtKind::Empty => Ok(true),
            StmtKind::Block(_) => self.scoped(s),
            StmtKind::Expr(e) => {
                self.operand(e)?;
                Ok(true)
            }
            StmtKind::Decl(vars) => {
                for v in vars {
                    self.declare(v)?;
                }
                Ok(true)
            }
            StmtKind::If(init, c, a, b, constexpr) => {
                self.scopes.push(BTreeMap::new());
                self.stmt(init)?;
                if *constexpr {
                    self.constant(c)?;
                }
                let done = self.if_stmt(s, c, a, b.as_deref());
                self.scopes.pop();
                done
            }
            StmtKind::For(init, c, step, body, unroll) => {
                self.scopes.push(BTreeMap::new());
                let done = self.for_stmt(s.at, init, c.as_ref(), step.as_ref(), body, *unroll);
                self.scopes.pop();
                done
            }
            StmtKind::While(c, body) => self.loop_stmt(s.at, Some(c), None, body),
            StmtKind::Do(body, c) => self.do_stmt(s.at, body, c),
            StmtKind::Each(var, range, body) => self.each(var, range, body, s.at),
            StmtKind::Switch(e, cases) => self.switch(e, cases, s),
            StmtKind::Break => self.break_stmt(s.at),
            StmtKind::Continue => self.continue_stmt(s.at),
            StmtKind::Return(e) => self.return_stmt(e.as_ref(), s.at),
            StmtKind::Type(t) => {
                match t {
                    LocalType::Alias(name, t) => {
                        let t = self.ty(t, s.at)?;
                        self.bind(name, Binding::Type(t));
                    }
                    LocalType::Declared => {}
                    LocalType::Enum(index) => self.local_enum(*index, s.at)?,
                }
                Ok(true)
            }
            StmtKind::Assert(e, text) => {
                if self.constant(e)? == 0 {
                    return Err(self.err("U004", s.at, format!("static_assert fails: {text}")));
                }
                Ok(true)
            }
            StmtKind::Asm(asm) => {
                self.asm(asm, s.at)?;
                Ok(true)
            }
            StmtKind::Refused(why) => Err(self.refuse(s.at, *why, "write it with if, loops and return")),
        }
    }

    fn if_stmt(&mut self, s: &Stmt, c: &Expr, a: &Stmt, b: Option<&Stmt>) -> R<bool> {
        let cond = self.value(c)?;
        let cond = self.truth(cond, c.at)?;
        if let Some(n) = cond.known() {
            return match (n != 0, b) {
                (true, _) => self.scoped(a),
                (false, Some(b)) => self.scoped(b),
                (false, None) => Ok(true),
            };
        }
        self.loc(s.at);
        let test = self.id(&cond.v, Scalar::Bool);
        let inside = self.collective(a) || b.is_some_and(|b| self.collective(b));
        let escapes = scan::returns(s) || scan::jumps(s);
        let together = inside || self.leaves_others(s);
        if (self.guarded() && (inside || escapes)) || (together && self.choices.diverges.contains(&s.at)) {
            // Under a mask a condition may still be the same for all.
            if self.guarded() && !escapes && !self.choices.diverges.contains(&s.at) {
                self.assumed.push((s.at, test));
            } else {
                return self.masked_if(s, test, a, b);
            }
        } else if together {
            self.assumed.push((s.at, test));
        }
        self.open();
        let first = self.scoped(a);
        let then = self.close();
        let first = first?;
        self.open();
        let second = match b {
            Some(b) => self.scoped(b),
            None => Ok(true),
        };
        let other = self.close();
        let second = second?;
        self.loc(s.at);
        self.b.effect(Op::If(test, then, other));
        Ok(first || second)
    }

    /// Whether threads that jump or return in the statement leave others alone with an operation that all must reach.
    fn leaves_others(&mut self, s: &Stmt) -> bool {
        let in_collective_loop = match self.frame().loops.last() {
            Some(LoopCtx::Plain { collective, .. }) => *collective,
            Some(LoopCtx::Masked { .. }) => true,
            _ => false,
        };
        (scan::returns(s) && self.frame().collective) || (scan::jumps(s) && in_collective_loop)
    }

    /// Threads with the condition go one way, the others the other way; all walk through both.
    fn masked_if(&mut self, s: &Stmt, test: ValueId, a: &Stmt, b: Option<&Stmt>) -> R<bool> {
        if scan::returns(s) && self.masks.len() == self.frame().masks {
            return Err(self.need_function_mask(s.at));
        }
        let bool_ty = Ty::scalar(DType::Bool);
        let outer = self.masks.last().filter(|_| !self.plain).map(|m| m.local);
        let (mut yes, mut no) = (test, self.b.map(S::Not, &[test]));
        if let Some(m) = outer {
            let on = self.b.get(m);
            yes = self.b.map(S::And, &[on, yes]);
            no = self.b.map(S::And, &[on, no]);
        }
        let then_mask = self.new_local("active", bool_ty, None);
        self.b.set(then_mask, yes);
        let else_mask = b.map(|_| {
            let m = self.new_local("inactive", bool_ty, None);
            self.b.set(m, no);
            m
        });
        self.masks.push(Mask { local: then_mask, why: Some(s.at) });
        let first = self.scoped(a);
        self.masks.pop();
        let first = first?;
        let mut second = true;
        if let (Some(b), Some(m)) = (b, else_mask) {
            self.masks.push(Mask { local: m, why: Some(s.at) });
            let done = self.scoped(b);
            self.masks.pop();
            second = done?;
        }
        Ok(first || second)
    }

    /// A mask of the function's own, so that its returns leave the caller's alone.
    pub fn push_mask_copy(&mut self) {
        let local = self.new_local("running", Ty::scalar(DType::Bool), None);
        let on = match self.masks.last().filter(|_| !self.plain) {
            Some(m) => {
                let m = m.local;
                self.b.get(m)
            }
            None => self.b.constant(Literal::Int(1), Ty::scalar(DType::Bool)),
        };
        self.b.set(local, on);
        let why = self.masks.last().and_then(|m| m.why);
        self.masks.push(Mask { local, why });
    }

    /// Switches active threads off, in the masks from `from` on.
    fn clear_masks(&mut self, from: usize) {
        let locals: Vec<u32> = self.masks[from..].iter().map(|m| m.local).collect();
        self.guard(|s| {
            let no = s.b.constant(Literal::Int(0), Ty::scalar(DType::Bool));
            locals.iter().for_each(|m| s.b.set(*m, no));
        });
    }

    fn return_stmt(&mut self, e: Option<&Expr>, at: At) -> R<bool> {
        let (ret, result, leaves, own) = {
            let f = self.frame();
            (f.ret.clone(), f.result.clone(), f.leaves, f.masks)
        };
        if let Some(e) = e {
            if let Some(place) = &result {
                let tv = self.initial(e, &ret)?;
                self.store(place, &tv.v, at)?;
            } else {
                self.operand(e)?;
            }
        }
        if self.guarded() {
            if self.masks.len() == own {
                return Err(self.need_function_mask(at));
            }
            self.clear_masks(own);
            return Ok(false);
        }
        if leaves {
            if self.plain && !self.masks.is_empty() {
                return Err(self.need_function_mask(at));
            }
            self.b.effect(Op::Return);
            return Ok(false);
        }
        if let Some(done) = self.frame().done {
            let yes = self.b.constant(Literal::Int(1), Ty::scalar(DType::Bool));
            self.b.set(done, yes);
        }
        if self.in_loop() {
            self.b.effect(Op::Break);
        }
        Ok(false)
    }
}
