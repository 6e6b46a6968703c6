//! Branches. What constants decide is decided now; the rest becomes regions that hand out what differs.

use super::Eval;
use super::carry::Shape;
use super::stmt::{Flow, returns};
use crate::value::{Tensor, Value};
use girih_base::Result;
use girih_tile::{Block, Op};
use ruff_python_ast::{Expr, Stmt, StmtIf};
use ruff_text_size::Ranged;
use std::collections::BTreeMap;

/// What follows a branch that may return: the rest of the block, then of the blocks around it.
pub(crate) struct Rest<'a> {
    pub stmts: &'a [Stmt],
    pub next: Option<&'a Rest<'a>>,
}

/// Test (none for `else`) and statements of the arms of an `if`.
type Arms<'a> = [(Option<&'a Expr>, &'a [Stmt])];

impl Eval<'_> {
    /// Runs an `if`. Where it may return under a run-time condition, `rest` runs inside its arms and the result is a return.
    pub fn if_stmt(&mut self, s: &StmtIf, rest: &[Stmt], outer: Option<&Rest<'_>>) -> Result<Option<Flow>> {
        let mut arms: Vec<(Option<&Expr>, &[Stmt])> = vec![(Some(&s.test), &s.body)];
        arms.extend(s.elif_else_clauses.iter().map(|c| (c.test.as_ref(), &c.body[..])));
        let leaves = arms.iter().any(|(_, body)| returns(body));
        let rest = Rest { stmts: rest, next: outer };
        self.arms(&arms, leaves.then_some(&rest), &rest)
    }

    /// `inside`: the rest that runs inside run-time arms; `whole`: the rest in any case.
    fn arms(&mut self, arms: &Arms<'_>, inside: Option<&Rest<'_>>, whole: &Rest<'_>) -> Result<Option<Flow>> {
        let Some(((test, body), others)) = arms.split_first() else { return Ok(None) };
        let cond = match test {
            None => Value::Bool(true),
            Some(test) => self.expr(test)?,
        };
        match cond.truth() {
            Some(true) => {
                return Ok(match self.body(body, Some(whole))? {
                    Flow::Next => None,
                    flow => Some(flow),
                });
            }
            Some(false) => return self.arms(others, inside, whole),
            None => {}
        }
        if let Some(test) = test {
            self.enter(test.range());
        }
        let cond = self.scalar_condition(&cond)?;
        if inside.is_some() && self.fixed.last().is_some_and(|f| f.0 == self.frames.len()) {
            return Err(self.return_in_loop());
        }
        let at = self.here;
        let before = self.vars().clone();
        let mut blocks: Vec<Block> = Vec::new();
        let mut ends: Vec<(BTreeMap<String, Value>, Option<Value>)> = Vec::new();
        for arm in 0..2 {
            *self.vars() = before.clone();
            self.b.begin(Vec::new());
            let mut flow = match arm {
                0 => Some(self.body(body, inside.or(Some(whole)))?),
                _ => self.arms(others, inside, whole)?,
            };
            if let (Some(rest), None | Some(Flow::Next)) = (inside, &flow) {
                flow = Some(self.run_rest(rest)?);
            }
            let returned = match flow {
                Some(Flow::Return(v)) => Some(v),
                _ => None,
            };
            blocks.push(self.b.end(Vec::new()));
            ends.push((std::mem::take(self.vars()), returned));
        }
        self.enter(at);
        let (Some((vars1, ret1)), Some((vars0, ret0))) = (ends.pop(), ends.pop()) else { return Ok(None) };
        let mut merged: Vec<(String, Value, Value, Shape)> = Vec::new();
        if inside.is_some() {
            let (a, b) = (ret0.unwrap_or(Value::None), ret1.unwrap_or(Value::None));
            if matches!(a, Value::None) != matches!(b, Value::None) {
                return Err(self
                    .error("K011", "a function returns a value on one path and none on another", "decided here")
                    .help(
                        "end each path with `return` and a value of one type; in a loop, carry the value in a variable \
                         and return after it",
                    ));
            }
            let shape = self.join("the result", &a, &b)?;
            merged.push((String::new(), a, b, shape));
        } else {
            for (name, a) in &vars0 {
                let Some(b) = vars1.get(name) else { continue };
                if !a.same(b) {
                    let shape = self.join(name, a, b)?;
                    merged.push((name.clone(), a.clone(), b.clone(), shape));
                }
            }
        }
        let (Some(second), Some(first)) = (blocks.pop(), blocks.pop()) else { return Ok(None) };
        let mut finished = Vec::new();
        for (n, block) in [first, second].into_iter().enumerate() {
            self.b.resume(block);
            let mut out = Vec::new();
            for (_, a, b, shape) in &merged {
                self.pack(if n == 0 { a } else { b }, shape, &mut out)?;
            }
            finished.push(self.b.end(out));
        }
        let mut tys = Vec::new();
        merged.iter().for_each(|m| self.carried_types(&m.3, &mut tys));
        let (Some(otherwise), Some(then)) = (finished.pop(), finished.pop()) else { return Ok(None) };
        let ids = self.b.push(Op::If { cond: cond.id, then, otherwise }, tys);
        let mut ids = ids.into_iter();
        let mut vars: BTreeMap<String, Value> = vars0
            .iter()
            .filter(|(n, a)| vars1.get(*n).is_some_and(|b| a.same(b)))
            .map(|(n, a)| (n.clone(), a.clone()))
            .collect();
        let one = vars0.keys().filter(|n| !vars1.contains_key(*n));
        let other = vars1.keys().filter(|n| !vars0.contains_key(*n));
        self.only_partial(one.chain(other).cloned().collect());
        let mut result = None;
        for (name, a, _, shape) in &merged {
            let v = self.unpack_carried(shape, a, None, &mut ids)?;
            match inside {
                Some(_) => result = Some(v),
                None => {
                    vars.insert(name.clone(), v);
                }
            }
        }
        *self.vars() = vars;
        Ok(inside.map(|_| Flow::Return(result.unwrap_or(Value::None))))
    }

    /// Notes names that have no value after the statement being evaluated, since it may not have bound them.
    pub fn only_partial(&mut self, names: Vec<String>) {
        let (site, here) = (self.frame().site.clone(), self.loc());
        self.partial.extend(names.into_iter().map(|name| (site.clone(), name, here.clone())));
    }

    fn run_rest(&mut self, rest: &Rest<'_>) -> Result<Flow> {
        let mut at = Some(rest);
        while let Some(r) = at {
            if let Flow::Return(v) = self.body(r.stmts, r.next)? {
                return Ok(Flow::Return(v));
            }
            at = r.next;
        }
        Ok(Flow::Return(Value::None))
    }

    /// A bool scalar that decides at run time.
    pub fn scalar_condition(&mut self, v: &Value) -> Result<Tensor> {
        let t = self.truth_tensor(v)?;
        if t.shape.iter().any(|n| *n != 1) {
            return Err(self
                .error(
                    "K005",
                    format!("the condition is {v}, but a branch is taken by all elements together"),
                    "this condition",
                )
                .help("use `tl.where` to choose element by element"));
        }
        self.reshape(&t, &[])
    }

    /// `a if test else b`.
    pub fn conditional(&mut self, test: &Expr, yes: &Expr, no: &Expr) -> Result<Value> {
        let at = self.here;
        let cond = self.expr(test)?;
        match cond.truth() {
            Some(true) => return self.expr(yes),
            Some(false) => return self.expr(no),
            None => {}
        }
        let cond = self.at(test.range(), |e| e.scalar_condition(&cond))?;
        self.fixed.push((self.frames.len(), None));
        self.b.begin(Vec::new());
        let a = self.expr(yes)?;
        let first = self.b.end(Vec::new());
        self.b.begin(Vec::new());
        let b = self.expr(no)?;
        let second = self.b.end(Vec::new());
        self.fixed.pop();
        self.enter(at);
        let shape = self.join("the result", &a, &b)?;
        let mut blocks = Vec::new();
        for (block, v) in [(first, &a), (second, &b)] {
            self.b.resume(block);
            let mut out = Vec::new();
            self.pack(v, &shape, &mut out)?;
            blocks.push(self.b.end(out));
        }
        let mut tys = Vec::new();
        self.carried_types(&shape, &mut tys);
        let (Some(otherwise), Some(then)) = (blocks.pop(), blocks.pop()) else { return Ok(a) };
        let ids = self.b.push(Op::If { cond: cond.id, then, otherwise }, tys);
        self.unpack_carried(&shape, &a, None, &mut ids.into_iter())
    }
}
