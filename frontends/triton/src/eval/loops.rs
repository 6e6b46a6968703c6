//! Loops: what a round changes is carried, unless it grows by the same amount each round.

use super::Eval;
use super::carry::Carried;
use super::stmt::{Flow, assigned};
use crate::affine::{Affine, I32, Lin};
use crate::rounds::Looped;
use crate::value::{Tensor, Value};
use girih_base::{DType, Dim, Result, ScalarOp};
use girih_tile::{Block, Op, TileTy, ValueId};
use ruff_python_ast::{Expr, Stmt, StmtFor, StmtWhile};
use ruff_text_size::Ranged;
use std::collections::BTreeMap;

/// Passes over a loop's body before its carried values must be settled.
const PASSES: usize = 24;

impl Eval<'_> {
    /// Runs a `for`.
    pub fn for_stmt(&mut self, f: &StmtFor) -> Result<()> {
        if !f.orelse.is_empty() {
            return Err(self.error("K002", "`else` of a loop is not part of the language", "here"));
        }
        let over = self.expr(&f.iter)?;
        let range = match &over {
            Value::Range(r) if !r.unroll => r.clone(),
            _ => {
                let items = self.at(f.iter.range(), |e| e.items(&over))?;
                for item in items {
                    self.burn()?;
                    self.assign(&f.target, item)?;
                    if let Flow::Return(_) = self.body(&f.body, None)? {
                        return Err(self.return_in_loop());
                    }
                }
                return Ok(());
            }
        };
        self.enter(f.iter.range());
        let (lo, step, trips) = self.rounds(&range)?;
        let at = f.range();
        self.here = at;
        let Expr::Name(target) = &*f.target else {
            return Err(self.error("K002", "the target of a loop is a name", "here"));
        };
        let target = target.id.to_string();
        let (loc, once) = (self.loc(), self.once(&trips));
        if let Some(only) = self.only_round(&loc, once, &lo) {
            self.vars().insert(target, Value::Tensor(only));
            return match self.body(&f.body, None)? {
                Flow::Return(_) => Err(self.return_in_loop()),
                _ => Ok(()),
            };
        }
        let over = self.over_programs(&range);
        let before = self.vars().clone();
        let mut carried = self.carried(&f.body, &before, &target);
        let mut try_steps = true;
        for _ in 0..PASSES {
            self.burn()?;
            self.enter(at);
            let round = self.b.fresh(TileTy::scalar(DType::I32));
            let most = self.lin_top(&trips).map(|d| d - Dim::ONE);
            let top = self.lin_range(&trips).1.clamp(1, I32.1) - 1;
            self.ranges.insert(round, ((0, top), most));
            let (params, mut vars) = self.enter_region(&carried, &before, Some(&Lin::atom(round)), &[round])?;
            let index = self.loop_index(&lo, &step, round)?;
            self.b.name(round, None);
            vars.insert(target.clone(), Value::Tensor(index));
            let inside: Vec<Value> =
                carried.iter().map(|c| vars.get(&c.name).cloned().unwrap_or(Value::None)).collect();
            *self.vars() = vars;
            self.fix(&carried, &before);
            let flow = self.body(&f.body, None)?;
            self.fixed.pop();
            if let Flow::Return(_) = flow {
                return Err(self.return_in_loop());
            }
            self.enter(at);
            let settled = self.settle(&mut carried, &inside, round.0, &mut try_steps)?;
            if !settled {
                self.b.end(Vec::new());
                continue;
            }
            let body = self.leave_region(&carried, params)?;
            let mut init = Vec::new();
            for c in &carried {
                self.pack(&c.before, &c.shape, &mut init)?;
            }
            let mut tys = Vec::new();
            carried.iter().for_each(|c| self.carried_types(&c.shape, &mut tys));
            let (zero, end) = (self.b.int(0), self.lin_value(&trips));
            let ids = self.b.push(Op::For { lo: zero, hi: end, step: 1, init, body }, tys);
            self.loops.push(Looped { loc, once, round, over });
            let former = before.get(&target).cloned();
            self.after_loop(&carried, before, Some(&trips), ids)?;
            if let Some(former) = former {
                self.last_target(f, target, &former, (&lo, &step, &trips))?;
            }
            return Ok(());
        }
        self.enter(at);
        Err(self.error("K013", "the types of this loop's variables do not settle", "this loop"))
    }

    /// Runs a `while`.
    pub fn while_stmt(&mut self, w: &StmtWhile) -> Result<()> {
        if !w.orelse.is_empty() {
            return Err(self.error("K002", "`else` of a loop is not part of the language", "here"));
        }
        let at = w.range();
        let before = self.vars().clone();
        let mut carried = self.carried(&w.body, &before, "");
        let mut try_steps = false;
        for _ in 0..PASSES {
            self.burn()?;
            self.enter(at);
            let (params, vars) = self.enter_region(&carried, &before, None, &[])?;
            *self.vars() = vars;
            self.fixed.push((self.frames.len(), None));
            let cond = self.expr(&w.test)?;
            self.fixed.pop();
            // What constants make true, the body may change: it is looked at first.
            if cond.truth() == Some(false) {
                self.b.end(Vec::new());
                *self.vars() = before;
                return Ok(());
            }
            let test_value = match cond.truth() {
                Some(t) => self.number(&Value::Bool(t), DType::Bool)?,
                None => self.at(w.test.range(), |e| e.scalar_condition(&cond))?,
            };
            let test = self.b.end(vec![test_value.id]);
            let test = Block { params: params.clone(), ..test };
            let (params, vars) = self.enter_region(&carried, &before, None, &[])?;
            let inside: Vec<Value> =
                carried.iter().map(|c| vars.get(&c.name).cloned().unwrap_or(Value::None)).collect();
            *self.vars() = vars;
            self.fix(&carried, &before);
            let flow = self.body(&w.body, None)?;
            self.fixed.pop();
            if let Flow::Return(_) = flow {
                return Err(self.return_in_loop());
            }
            self.enter(at);
            if !self.settle(&mut carried, &inside, u32::MAX, &mut try_steps)? {
                self.b.end(Vec::new());
                continue;
            }
            if cond.truth() == Some(true) {
                return Err(self.at(w.test.range(), |e| {
                    e.error("K013", "this loop never ends", "always true")
                        .help("the condition must depend on what the body changes")
                }));
            }
            let body = self.leave_region(&carried, params)?;
            let mut init = Vec::new();
            for c in &carried {
                self.pack(&c.before, &c.shape, &mut init)?;
            }
            let mut tys = Vec::new();
            carried.iter().for_each(|c| self.carried_types(&c.shape, &mut tys));
            let ids = self.b.push(Op::While { init, test, body }, tys);
            return self.after_loop(&carried, before, None, ids);
        }
        self.enter(at);
        Err(self.error("K013", "the types of this loop's variables do not settle", "this loop"))
    }

    /// Variables from outside that a loop's statements do not assign must stay the same in it.
    fn fix(&mut self, carried: &[Carried], before: &BTreeMap<String, Value>) {
        let same = before.keys().filter(|n| !carried.iter().any(|c| c.name == **n)).cloned().collect();
        self.fixed.push((self.frames.len(), Some(same)));
    }

    /// After a loop its target is what it was in the last round, or what it was before if there was none.
    fn last_target(
        &mut self,
        f: &StmtFor,
        name: String,
        before: &Value,
        (lo, step, trips): (&Tensor, &Tensor, &Lin),
    ) -> Result<()> {
        self.vars().remove(&name);
        let mut changed = Vec::new();
        assigned(&f.body, &mut changed);
        let scalar = match before {
            Value::Int(_) => true,
            Value::Tensor(t) => t.dtype == lo.dtype && t.shape.is_empty(),
            _ => false,
        };
        if !scalar || changed.contains(&name) {
            // Whoever reads it is told that it is not known.
            return Ok(());
        }
        let zero = self.affine_tensor(Affine::scalar(Lin::int(0)), &[]);
        let rounds = self.affine_tensor(Affine::scalar(trips.clone()), &[]);
        let any = self.map(ScalarOp::Gt, &[&rounds, &zero])?;
        let last = self.affine_tensor(Affine::scalar(trips.sub(&Lin::int(1))), &[]);
        let last = self.cast(&last, lo.dtype)?;
        let part = self.map(ScalarOp::Mul, &[&last, step])?;
        let last = self.map(ScalarOp::Add, &[lo, &part])?;
        let before = self.convert(before, lo.dtype)?;
        let value = self.map(ScalarOp::Select, &[&any, &last, &before])?;
        self.vars().insert(name, Value::Tensor(value));
        Ok(())
    }

    /// The error for a loop that is left.
    pub fn return_in_loop(&self) -> Box<girih_base::Diag> {
        self.error("K002", "`return` inside a loop is not part of the language", "in this loop")
            .help("carry a condition, or return after the loop")
    }

    /// The variables that a loop changes.
    fn carried(&self, body: &[Stmt], before: &BTreeMap<String, Value>, target: &str) -> Vec<Carried> {
        let mut names = Vec::new();
        assigned(body, &mut names);
        let one = |name: String| {
            let value = before.get(&name)?;
            Some(Carried { before: value.clone(), shape: self.shape_of(value), name })
        };
        names.into_iter().filter(|n| n != target).filter_map(one).collect()
    }

    /// Opens a loop's region; gives its parameters and the variables inside.
    fn enter_region(
        &mut self,
        carried: &[Carried],
        before: &BTreeMap<String, Value>,
        rounds: Option<&Lin>,
        first: &[ValueId],
    ) -> Result<(Vec<ValueId>, BTreeMap<String, Value>)> {
        let mut tys = Vec::new();
        carried.iter().for_each(|c| self.carried_types(&c.shape, &mut tys));
        let params: Vec<ValueId> = tys.into_iter().map(|t| self.b.fresh(t)).collect();
        let all: Vec<ValueId> = first.iter().chain(&params).copied().collect();
        self.b.begin(all.clone());
        let mut vars = before.clone();
        let mut ids = params.iter().copied();
        for c in carried {
            let v = self.unpack_carried(&c.shape, &c.before, rounds, &mut ids)?;
            vars.insert(c.name.clone(), v);
        }
        Ok((all, vars))
    }

    fn leave_region(&mut self, carried: &[Carried], params: Vec<ValueId>) -> Result<Block> {
        let vars = self.vars().clone();
        let mut out = Vec::new();
        for c in carried {
            let v = vars.get(&c.name).cloned().unwrap_or(Value::None);
            self.pack(&v, &c.shape, &mut out)?;
        }
        let block = self.b.end(out);
        Ok(Block { params, ..block })
    }

    fn after_loop(
        &mut self,
        carried: &[Carried],
        before: BTreeMap<String, Value>,
        rounds: Option<&Lin>,
        ids: Vec<ValueId>,
    ) -> Result<()> {
        let mut ids = ids.into_iter();
        let mut vars = before;
        for c in carried {
            let v = self.unpack_carried(&c.shape, &c.before, rounds, &mut ids)?;
            vars.insert(c.name.clone(), v);
        }
        let inside = std::mem::replace(self.vars(), vars);
        let lost = inside.into_keys().filter(|n| !self.vars().contains_key(n)).collect();
        self.only_partial(lost);
        Ok(())
    }

    /// Compares what a round made of the carried values with how they are carried; whether that is settled.
    fn settle(&mut self, carried: &mut [Carried], inside: &[Value], mark: u32, try_steps: &mut bool) -> Result<bool> {
        let mut settled = true;
        let mut fitting = true;
        for (c, inside) in carried.iter_mut().zip(inside) {
            let after = self.vars().get(&c.name).cloned().unwrap_or(Value::None);
            if !self.fits(&after, &c.shape, &c.before) {
                let wider = self.widen(&c.name, &c.shape, &c.before, &after);
                c.shape = match wider {
                    Ok(s) => s,
                    Err(e) if e.code == "K011" => return Err(self.type_changes(&c.name, &c.before, &after)),
                    Err(e) => return Err(e),
                };
                (settled, fitting) = (false, false);
            } else if !self.steps_hold(&c.shape, inside, &after) {
                c.shape = Self::without_steps(&c.shape);
                *try_steps = false;
                settled = false;
            }
        }
        if fitting && *try_steps && settled {
            *try_steps = false;
            for (c, inside) in carried.iter_mut().zip(inside) {
                let after = self.vars().get(&c.name).cloned().unwrap_or(Value::None);
                let found = self.find_steps(&c.shape, inside, &after, mark);
                if format!("{found:?}") != format!("{:?}", c.shape) {
                    c.shape = found;
                    settled = false;
                }
            }
        }
        Ok(settled)
    }
}
