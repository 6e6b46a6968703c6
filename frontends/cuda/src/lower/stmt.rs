//! Statements. Control flow that all threads take together stays structured; where threads part around an operation that all must
//! reach, masks say who takes part, and every effect is guarded by the innermost mask.

mod loops;
mod switch;

use super::scan;
use super::value::{Base, Binding, Ix, Place, Ptr, Tv, Val};
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
        let in_collective_loop = match self.frame().loops.last() {
            Some(LoopCtx::Plain { collective, .. }) => *collective,
            Some(LoopCtx::Masked { .. }) => true,
            _ => false,
        };
        let together =
            inside || (scan::returns(s) && self.frame().collective) || (scan::jumps(s) && in_collective_loop);
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

    /// A variable of the thread: locals for its scalars, or its bytes in order where that matters.
    pub fn variable(&mut self, name: &str, ty: &Type, at: At) -> R<Place> {
        if (self.choices.memory.contains(&at) || self.has_union(ty)) && !matches!(ty, Type::Pointer(_)) {
            if self.has_pointer(ty) {
                return Err(self.refuse(
                    at,
                    "bytes of a variable with pointers",
                    "keep the pointers in variables of their own",
                ));
            }
            let words = self.size(ty).div_ceil(4).max(1);
            let local = self.new_local(name, Ty::scalar(DType::U32), Some(words));
            let unit = if self.size(ty).is_multiple_of(4) { 4 } else { 1 };
            return Ok(Place::Memory(Ptr {
                base: Base::Space(Space::Local(local)),
                unit,
                ix: Ix::K(0),
                plus: 0,
                to: ty.clone(),
            }));
        }
        let tree = self.tree(name, ty, at)?;
        Ok(Place::Tree { tree, leaf: 0, ix: None, ty: ty.clone() })
    }

    /// The first value of a variable: no other thread's business, so not guarded.
    pub fn initialise(&mut self, place: &Place, v: &Val, at: At) -> R<()> {
        let plain = std::mem::replace(&mut self.plain, true);
        let done = self.store(place, v, at);
        self.plain = plain;
        done
    }

    fn declare(&mut self, v: &Var) -> R<()> {
        self.loc(v.at);
        match v.place {
            Storage::Shared => return self.declare_shared(v),
            Storage::Dynamic => return self.declare_dynamic(v),
            _ => {}
        }
        if let TypeExpr::Reference(inner, _) = &v.ty {
            let Some(Init::Value(e)) = &v.init else {
                return Err(self.err("U004", v.at, "a reference needs something to refer to"));
            };
            let place = self.place(e)?;
            if !matches!(**inner, TypeExpr::Auto) {
                let t = self.ty(inner, v.at)?;
                if *place.ty() != t && matches!(place, Place::Value(_)) {
                    let tv = self.load(&place, v.at)?;
                    let tv = self.convert(tv, &t, v.at)?;
                    self.bind(&v.name, Binding::Place(Place::Value(tv)));
                    return Ok(());
                }
            }
            self.bind(&v.name, Binding::Place(place));
            return Ok(());
        }
        if let (TypeExpr::Auto, Some(Init::Value(e))) = (&v.ty, &v.init)
            && matches!(e.kind, ExprKind::Lambda(_))
        {
            let tv = self.value(e)?;
            self.bind(&v.name, Binding::Place(Place::Value(tv)));
            return Ok(());
        }
        let t = self.declared(&v.ty, v.init.as_ref(), v.at)?;
        let changed = self.changed.contains(&v.name, &t);
        let loads = v.init.as_ref().is_some_and(|i| match i {
            Init::Value(e) => !self.light(e),
            Init::Args(args, _) => args.iter().any(|e| !self.light(e)),
        });
        let collective = v.init.as_ref().is_some_and(|i| match i {
            Init::Value(e) => self.collective_expr(e),
            Init::Args(args, _) => args.iter().any(|e| self.collective_expr(e)),
        });
        let value_like = matches!(t, Type::Scalar(_) | Type::Vector(..) | Type::Struct(_));
        if self.guarded() && loads && !collective && value_like {
            // One guard around the whole initialiser.
            let place = self.variable(&v.name, &t, v.at)?;
            let Some(mask) = self.masks.last().map(|m| m.local) else { return Ok(()) };
            let on = self.b.get(mask);
            self.open();
            self.plain = true;
            let done = (|s: &mut Self| -> R<()> {
                let Some(init) = &v.init else { return Ok(()) };
                let tv = s.initial_of(init, &t, v.at)?;
                s.store(&place, &tv.v, v.at)
            })(self);
            self.plain = false;
            let body = self.close();
            done?;
            self.b.effect(Op::If(on, body, Vec::new()));
            self.bind(&v.name, Binding::Place(place));
            return Ok(());
        }
        if let (false, Some(init)) = (changed, &v.init) {
            // Never changed: the value itself.
            let fixed = matches!(
                t,
                Type::Scalar(_)
                    | Type::Vector(..)
                    | Type::Pointer(_)
                    | Type::Lambda(_)
                    | Type::Group(_)
                    | Type::Functor(_)
                    | Type::Callable(_)
                    | Type::Null
            ) || (v.constant && matches!(t, Type::Array(..)) && !self.choices.memory.contains(&v.at));
            if fixed && !self.choices.memory.contains(&v.at) {
                let tv = self.initial_of(init, &t, v.at)?;
                self.name_value(&tv, &v.name);
                let constant_table = matches!(t, Type::Array(..)) && !all_known(&tv.v);
                if !constant_table {
                    self.bind(&v.name, Binding::Place(Place::Value(tv)));
                    return Ok(());
                }
                let place = self.variable(&v.name, &t, v.at)?;
                self.initialise(&place, &tv.v, v.at)?;
                self.bind(&v.name, Binding::Place(place));
                return Ok(());
            }
        }
        if v.place == Storage::Static && !v.constant {
            return Err(self.refuse(v.at, "a static variable that keeps its value between calls", "use a buffer"));
        }
        match t {
            Type::Group(_) | Type::Lambda(_) | Type::Functor(_) | Type::Callable(_) => {
                let tv = match &v.init {
                    Some(init) => self.initial_of(init, &t, v.at)?,
                    None => Tv { v: Val::Opaque, t },
                };
                self.bind(&v.name, Binding::Place(Place::Value(tv)));
            }
            t => {
                let place = self.variable(&v.name, &t, v.at)?;
                match (&v.init, &t) {
                    (Some(init), _) => {
                        let tv = self.initial_of(init, &t, v.at)?;
                        self.initialise(&place, &tv.v, v.at)?;
                    }
                    (None, Type::Struct(id)) => {
                        if self
                            .methods(*id, "constructor")
                            .iter()
                            .any(|m| self.p.functions[*m].params.iter().all(|p| p.default.is_some()))
                        {
                            let tv = self.construct(*id, &[], v.at)?;
                            self.initialise(&place, &tv.v, v.at)?;
                        } else {
                            self.default_fields(&place, *id, v.at)?;
                        }
                    }
                    (None, Type::Vector(Scalar::UInt, 3)) if type_is(&v.ty, "dim3") => {
                        self.initialise(&place, &Val::Group(vec![Val::Int(1); 3]), v.at)?;
                    }
                    _ => {}
                }
                self.bind(&v.name, Binding::Place(place));
            }
        }
        Ok(())
    }

    /// Whether evaluating touches no memory.
    fn light(&self, e: &Expr) -> bool {
        !scan::any_expr(e, &mut |n| match n {
            scan::Node::Expr(e) => match &e.kind {
                ExprKind::Index(..)
                | ExprKind::Unary("*", _)
                | ExprKind::Assign(..)
                | ExprKind::Step(..)
                | ExprKind::Lambda(_) => true,
                ExprKind::Member(_, _, arrow) => *arrow,
                ExprKind::Call(f, _) => scan::callee(f).is_none_or(|n| {
                    self.p.functions.iter().any(|f| f.name == *n) || n.starts_with("__ld") || n.starts_with("atomic")
                }),
                ExprKind::Binary("/" | "%", ..) => false,
                _ => false,
            },
            scan::Node::Stmt(_) => true,
        })
    }

    /// Gives a computed scalar the author's name.
    fn name_value(&mut self, tv: &Tv, name: &Arc<str>) {
        let name = Some(name.clone());
        match &tv.v {
            Val::One(v) if self.b.known(*v).is_none() => self.b.name(*v, name),
            Val::Pointer(Ptr { ix: Ix::V(_), .. }) => {}
            _ => {}
        }
    }

    fn declare_shared(&mut self, v: &Var) -> R<()> {
        let t = self.ty(&v.ty, v.at)?;
        if let Some(place) = self.shared_vars.get(&v.at).filter(|p| *p.ty() == t).cloned() {
            self.bind(&v.name, Binding::Place(place));
            return Ok(());
        }
        let place = self.shared_array(&v.name, &t, v.at)?;
        self.shared_vars.insert(v.at, place.clone());
        self.bind(&v.name, Binding::Place(place));
        Ok(())
    }

    fn shared_array(&mut self, name: &str, t: &Type, at: At) -> R<Place> {
        if self.has_pointer(t) {
            return Err(self.refuse(at, "pointers in shared memory", "store indices instead"));
        }
        let unique = self.unique(name);
        let dtype = if self.choices.words.contains(&format!("s:{unique}")) { DType::U32 } else { self.storage(t) };
        let size = dtype.bits() / 8;
        let len = self.size(t).div_ceil(size).max(1);
        self.b.shared.push(girih_simt::Shared { name: unique, elem: Ty::scalar(dtype), len });
        let space = Space::Shared(self.b.shared.len() as u32 - 1);
        let unit = if self.size(t).is_multiple_of(size) { size } else { 1 };
        Ok(Place::Memory(Ptr { base: Base::Space(space), unit, ix: Ix::K(0), plus: 0, to: t.clone() }))
    }

    fn declare_dynamic(&mut self, v: &Var) -> R<()> {
        let place = self.dynamic_shared(v)?;
        self.bind(&v.name, Binding::Place(place));
        Ok(())
    }

    /// `extern __shared__`: every declaration names the same memory.
    pub fn dynamic_shared(&mut self, v: &Var) -> R<Place> {
        let elem = match &v.ty {
            TypeExpr::Array(inner, _) => self.ty(inner, v.at)?,
            t => self.ty(t, v.at)?,
        };
        let bytes = self.shape.dynamic_shared;
        if bytes == 0 {
            return Err(
                match self.err(
                    "U007",
                    v.at,
                    format!("`{}` is dynamic shared memory, and the launch gives none", v.name),
                ) {
                    Fail::Diag(d) => Fail::Diag(d.help("give the launch its number of bytes of shared memory")),
                    retry => retry,
                },
            );
        }
        let index = match self.dynamic {
            Some(i) => i,
            None => {
                let unique = self.unique(&v.name);
                let dtype =
                    if self.choices.words.contains(&format!("s:{unique}")) { DType::U32 } else { self.storage(&elem) };
                let len = bytes.div_ceil(dtype.bits() / 8);
                self.b.shared.push(girih_simt::Shared { name: unique, elem: Ty::scalar(dtype), len });
                let i = self.b.shared.len() as u32 - 1;
                self.dynamic = Some(i);
                i
            }
        };
        let n = (bytes / self.size(&elem).max(1)).max(1);
        let to = Type::Array(Rc::new(elem), n);
        let unit = self.store_of(Space::Shared(index)).size;
        Ok(Place::Memory(Ptr { base: Base::Space(Space::Shared(index)), unit, ix: Ix::K(0), plus: 0, to }))
    }

    /// The type of a variable, from its initialiser where that decides it.
    pub fn declared(&mut self, ty: &TypeExpr, init: Option<&Init>, at: At) -> R<Type> {
        match (ty, init) {
            (TypeExpr::Auto, Some(Init::Value(e))) => {
                let t = self.type_of(e)?;
                Ok(if let Type::Array(e, _) = t { Type::Pointer(e) } else { t })
            }
            (TypeExpr::Auto, Some(Init::Args(args, _))) if args.len() == 1 => self.type_of(&args[0]),
            (TypeExpr::Pointer(inner, ..), Some(Init::Value(e))) if matches!(**inner, TypeExpr::Auto) => {
                let t = self.type_of(e)?;
                Ok(if let Type::Array(e, _) = t { Type::Pointer(e) } else { t })
            }
            (
                TypeExpr::Array(inner, None),
                Some(Init::Value(Expr { kind: ExprKind::List(items), .. }) | Init::Args(items, true)),
            ) => {
                let elem = self.ty(inner, at)?;
                Ok(Type::Array(Rc::new(elem), items.len().max(1) as u32))
            }
            _ => self.ty(ty, at),
        }
    }

    /// An initialiser's value.
    pub fn initial_of(&mut self, init: &Init, t: &Type, at: At) -> R<Tv> {
        match init {
            Init::Value(e) => self.initial(e, t),
            Init::Args(args, braces) => {
                if let Type::Struct(id) = t {
                    let constructors = !self.methods(*id, "constructor").is_empty();
                    if constructors || !braces {
                        let mut values = Vec::new();
                        for a in args {
                            values.push(self.operand(a)?);
                        }
                        return self.construct(*id, &values, at);
                    }
                }
                if args.len() == 1 && matches!(t, Type::Scalar(_) | Type::Pointer(_) | Type::Group(_)) {
                    return self.initial(&args[0], t);
                }
                if args.len() == 1 && !matches!(args[0].kind, ExprKind::List(_)) && !matches!(t, Type::Array(..)) {
                    let tv = self.value(&args[0])?;
                    return self.convert(tv, t, at);
                }
                self.list(args, t, at)
            }
        }
    }

    /// An expression, or a list in braces, as a value of a type.
    pub fn initial(&mut self, e: &Expr, t: &Type) -> R<Tv> {
        if let ExprKind::List(items) = &e.kind {
            return self.initial_of(&Init::Args(items.clone(), true), t, e.at);
        }
        let tv = self.value(e)?;
        self.convert(tv, t, e.at)
    }

    fn list(&mut self, items: &[Expr], t: &Type, at: At) -> R<Tv> {
        let parts = self.parts(t);
        if parts.is_empty() {
            return match (items, t) {
                ([], t) => Ok(Tv { v: self.zero(t, at)?, t: t.clone() }),
                _ => Err(self.err("U004", at, format!("a list for {}", self.type_name(t)))),
            };
        }
        if items.len() > parts.len() {
            return Err(self.err("U004", at, format!("{} values for {} places", items.len(), parts.len())));
        }
        let mut out = Vec::new();
        for (e, (_, part)) in items.iter().zip(&parts) {
            out.push(self.initial(e, part)?.v);
        }
        let one = matches!(t, Type::Vector(Scalar::UInt, 3));
        for (_, part) in parts.iter().skip(items.len()) {
            out.push(if one && !items.is_empty() { Val::Int(1) } else { self.zero(part, at)? });
        }
        Ok(Tv { v: Val::Group(out), t: t.clone() })
    }

    /// Zero of a type.
    pub fn zero(&mut self, t: &Type, at: At) -> R<Val> {
        Ok(match t {
            Type::Scalar(s) if s.is_float() => Val::Float(0.0),
            Type::Scalar(_) => Val::Int(0),
            Type::Pointer(to) => Val::Pointer(super::convert::null((**to).clone())),
            Type::Vector(..) | Type::Struct(_) | Type::Array(..) => {
                let parts = self.parts(t);
                if parts.len() > 4096 {
                    return Err(self.err("U006", at, "this initial value has more than 4096 parts"));
                }
                let mut out = Vec::new();
                for (_, p) in parts {
                    out.push(self.zero(&p, at)?);
                }
                Val::Group(out)
            }
            Type::Fragment(..) => {
                let inner = self.fragment_type(t);
                self.zero(&inner, at)?
            }
            _ => Val::Opaque,
        })
    }
}

fn all_known(v: &Val) -> bool {
    match v {
        Val::Group(parts) => parts.iter().all(all_known),
        Val::Int(_) | Val::Float(_) => true,
        _ => false,
    }
}

fn type_is(t: &TypeExpr, name: &str) -> bool {
    matches!(t, TypeExpr::Named(n) if &*n.last().id == name)
}
