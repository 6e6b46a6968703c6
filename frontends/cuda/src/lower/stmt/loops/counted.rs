//! Loops that count: unrolled where a warp's operations need known operands, else as they count in SIMT IR.

use super::*;

impl Lowerer<'_> {
    /// Tries to run the loop now; `false` when its rounds are not known.
    pub(super) fn unrolled(&mut self, var: &Var, cond: &Expr, step: &Expr, body: &Stmt) -> R<bool> {
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
    pub(super) fn probe(&mut self, var: &Var, n: i128, t: &Type, f: impl FnOnce(&mut Self) -> R<Tv>) -> R<Option<Tv>> {
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
    pub(super) fn counted(
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
    pub(super) fn steady(&self, name: &Arc<str>) -> bool {
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

    pub(super) fn b_bits_known(&mut self, v: ValueId, to: DType) -> ValueId {
        match self.b.known(v) {
            Some(n) if to == DType::U32 => self.b.uint(n as u32),
            _ => self.b_bits(v, to),
        }
    }

    /// Whether a 32-bit integer is known to be at least 0.
    pub fn not_negative(&self, v: ValueId) -> bool {
        self.b.known(v).is_some_and(|n| (0..=i32::MAX as i64).contains(&n)) || self.not_negative.contains(&v)
    }

    pub(super) fn bind_loop_variable(&mut self, var: &Var, first: Tv) -> R<()> {
        let place = self.variable(&var.name, &first.t.clone(), var.at)?;
        self.initialise(&place, &first.v, var.at)?;
        self.bind(&var.name, Binding::Place(place));
        Ok(())
    }
}
